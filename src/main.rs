//! Arguments in, exit code out; before either, what protects the secrets in this process's memory.

use std::process::ExitCode;

fn main() -> ExitCode {
    distribute::cli::harden();
    distribute::cli::run(std::env::args_os())
}
