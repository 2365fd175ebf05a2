//! Arguments in, exit code out; before either, what protects the secrets in this process's memory.

use nix::sys::resource::{Resource, getrlimit, setrlimit};
use std::process::ExitCode;

fn main() -> ExitCode {
    harden();
    distribute::cli::run(std::env::args_os())
}

/// No core dump, and no other process of this user may trace us or read our memory. Room for as many connections as there may be.
fn harden() {
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    #[cfg(target_os = "linux")]
    let _ = nix::sys::prctl::set_dumpable(false);
    if let Ok((_, most)) = getrlimit(Resource::RLIMIT_NOFILE) {
        let _ = setrlimit(Resource::RLIMIT_NOFILE, most, most);
    }
}
