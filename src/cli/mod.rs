//! The user's words: the only room with clap, prompts and the environment. One file a command; a command reads as its own summary.

mod audit;
mod backup;
mod bundle;
mod confirm;
mod deploy;
mod editor;
mod fleet;
mod format_given;
mod git;
mod hardening;
mod interrupt;
mod inventory;
mod keygen;
mod last_runs;
mod last_seen;
mod login;
mod memory_file;
mod moment_given;
mod notifications;
mod option_value;
mod project;
mod prompt;
mod recover;
mod report_file;
mod restore;
mod rotate;
mod run;
mod schedule;
mod setup;
mod shared;
mod sources;
mod status;
mod swap;
mod under_way;
mod unlock;
mod usage_error;

use crate::words::{Error, Result};
use clap::{CommandFactory, FromArgMatches, Parser, Subcommand};
use std::ffi::OsString;
use std::process::ExitCode;

pub use hardening::harden;
pub use project::Project;
pub use shared::{Format, Shared};

const AFTER: &str = "\
Examples:
  distribute bundle create env-files/       seal env files into secrets.age
  distribute setup --check                  what would be done on every host
  distribute deploy --hosts 'web:!web3' --diff
  distribute audit -q                       for cron: silent when all is well

Exit codes:
  0    everything is as it should be
  1    our own error or a usage error: nothing was changed on any host
  2    at least one host failed
  3    audit or bundle check found something; `status --overdue` has something due, or `rotate` had to leave it, `recover` did not find it, `--max-age` a run that was missed
  4    no host failed, but at least one was unreachable
  130  interrupted; every host is whole";

/// Puts secrets on servers you own: one age-encrypted file in your git repository, an inventory, playbooks, one command.
#[derive(Parser)]
#[command(name = "distribute", version, after_help = AFTER, max_term_width = 100, subcommand_required = true, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    shared: Shared,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Enrol hosts: check them, pin host key and services, make directories, push
    Setup(setup::Args),
    /// Make every enrolled host's secrets right; restart what changed
    Deploy(deploy::Args),
    /// Give new values to what is due, everywhere they belong; or put everything back
    Rotate(rotate::Args),
    /// Read the hosts and say what is not as it should be; --fix mends what is safe to mend
    Audit(audit::Args),
    /// Seal what is on the hosts now; list, check, fetch, prune and rehearse what is sealed there
    Backup(backup::Args),
    /// Put hosts back as they were: by run, by time, or to what was before
    Restore(restore::Args),
    /// Make a bundle that is lost again, from the sealed backups on the hosts
    Recover(recover::Args),
    /// Show what is on the hosts: generation, age, drift, owed restarts, last backup
    Status(status::Args),
    /// Create, change and read the bundle of secrets (secrets.age)
    Bundle(bundle::Args),
    /// Run a program with a service's secrets in its environment: on a host, in a container, or from the bundle
    Run(run::Args),
    /// Show hosts and groups; say what a host gets and who gets a secret
    Inventory(inventory::Args),
    /// Write what runs rotate, audit and backup at their times: systemd timers or lines of a crontab
    Schedule(schedule::Args),
    /// Make an age identity, a key that opens bundles
    Keygen(keygen::Args),
}

/// Runs the program for these arguments. Prints results to stdout and errors to stderr.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments: Vec<OsString> = arguments.into_iter().collect();
    let matches = match command().try_get_matches_from(&arguments) {
        Ok(matches) => matches,
        Err(error) => return refused(&error, &arguments),
    };
    let mut cli = Cli::from_arg_matches(&matches).expect("clap checked the arguments");
    if let Some(format) = format_behind(&matches) {
        cli.shared.output = format;
    }
    let quiet_pipe = |error: &Error| error.message() == shared::BROKEN_PIPE;
    let is_json = cli.shared.is_json();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) if quiet_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            shared::print_error(&error);
            if is_json {
                shared::print_error_document(&error);
            }
            ExitCode::from(if error.message() == shared::INTERRUPTED { 130 } else { 1 })
        }
    }
}

/// Help that was asked for is a result. clap's own code for a usage error is 2, which here means that a host failed.
fn refused(error: &clap::Error, arguments: &[OsString]) -> ExitCode {
    let _ = error.print();
    if !error.use_stderr() {
        return ExitCode::SUCCESS;
    }
    if usage_error::asks_for_json(arguments, std::env::var_os("DISTRIBUTE_OUTPUT"), takes_value) {
        shared::print_error_document(&usage_error::usage_error(error));
    }
    ExitCode::from(1)
}

/// Is the word behind this one the value of a shared option?
fn takes_value(word: &str) -> bool {
    let is_meant = |arg: &clap::Arg| match word.strip_prefix("--") {
        Some(long) => arg.get_long_and_visible_aliases().is_some_and(|names| names.contains(&long)),
        None => arg.get_short().is_some_and(|short| word == format!("-{short}")),
    };
    Cli::command().get_arguments().any(|arg| arg.get_action().takes_values() && is_meant(arg))
}

/// `-o` is the format in front of every command and behind it; only behind `keygen` it is the file, as in age-keygen.
fn command() -> clap::Command {
    let command = Cli::command().mut_args(without_empty_variable);
    let output = command.get_arguments().find(|arg| arg.get_id() == "output").cloned().expect("it is a shared option");
    command.mut_subcommands(|sub| match sub.get_name() {
        "keygen" => sub,
        _ => sub.arg(output.clone().global(true)),
    })
}

/// CI sets variables that it has no value for to nothing: that counts as unset.
fn without_empty_variable(arg: clap::Arg) -> clap::Arg {
    match arg.get_env().and_then(std::env::var_os) {
        Some(value) if value.is_empty() => arg.env(clap::builder::Resettable::Reset),
        _ => arg,
    }
}

/// The format that was given behind the command.
fn format_behind(matches: &clap::ArgMatches) -> Option<Format> {
    let (_, behind) = matches.subcommand()?;
    let format = behind.try_get_one::<Format>("output").ok()??;
    (behind.value_source("output") == Some(clap::parser::ValueSource::CommandLine)).then_some(*format)
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    if !matches!(cli.command, Command::Run(_)) {
        hardening::for_good();
    }
    match cli.command {
        Command::Setup(args) => setup::run(args, &cli.shared),
        Command::Deploy(args) => deploy::run(args, &cli.shared),
        Command::Rotate(args) => rotate::run(args, &cli.shared),
        Command::Audit(args) => audit::run(args, &cli.shared),
        Command::Backup(args) => backup::run(args, &cli.shared),
        Command::Restore(args) => restore::run(args, &cli.shared),
        Command::Recover(args) => recover::run(args, &cli.shared),
        Command::Status(args) => status::run(args, &cli.shared),
        Command::Bundle(args) => bundle::run(args, &cli.shared),
        Command::Run(args) => run::run(args, &cli.shared),
        Command::Inventory(args) => inventory::run(args, &cli.shared),
        Command::Schedule(args) => schedule::run(args, &cli.shared),
        Command::Keygen(args) => keygen::run(args, &cli.shared),
    }
}
