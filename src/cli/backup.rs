//! `backup`: what is sealed: on the hosts, and of the bundle beside it.

mod drill;
mod fetch;
mod list;
mod make;
mod opener;
mod prune;
mod verify;

use super::Shared;
use super::fleet::{self, Errand, Moment};
use super::shared::Timeout;
use super::sources::Sources;
use crate::engine::{BackupWork, Intent, Work};
use crate::plan::backup::Which;
use crate::report::Report;
use crate::words::{Result, RunId};
use std::process::ExitCode;

pub use opener::Opener;

const AFTER: &str = "\
Examples:
  distribute backup                         seal what is on every host now, and the bundle as it is
  distribute backup list --hosts web1
  distribute backup verify                  open every backup here, and compare hosts with each other
  distribute backup fetch                   sealed copies to backups/HOST/ beside the bundle
  distribute backup fetch --to s3://bucket/prefix
  distribute backup prune --keep-daily 7 --keep-weekly 4 --check
  distribute backup drill                   would the newest backup of each host bring back what is live?

What a backup holds comes back with `distribute restore`.";

/// Seals what is on every host now, hand edits included, and puts it beside the others there; lists, checks, fetches and prunes what there is
#[derive(clap::Args)]
#[command(after_help = AFTER, args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    timeout: Timeout,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Show every backup: run, time, why, size, to whom it is sealed, and whether it is intact
    List(list::Args),
    /// Bring sealed copies here, or into a bucket; nothing there is ever replaced
    Fetch(fetch::Args),
    /// Remove what the rules do not keep, on the hosts and of the bundle here; never the newest good one
    Prune(prune::Args),
    /// Open each here; compare hashes and contents with what its run recorded, and hosts with each other
    Verify(verify::Args),
    /// Unpack the newest backup of each host there, in memory, and compare it with what is live
    Drill(drill::Args),
}

/// Which backups are meant, where not all are.
#[derive(clap::Args)]
struct Chosen {
    /// Only the backup that this run made
    #[arg(long, value_name = "RUN", value_parser = super::option_value::option_value::<RunId>, conflicts_with = "newest")]
    run: Option<RunId>,
    /// Only the newest good one of each host
    #[arg(long)]
    newest: bool,
}

impl Chosen {
    fn which(&self) -> Which {
        match &self.run {
            Some(run) => Which::Run(run.clone()),
            None if self.newest => Which::Newest,
            None => Which::All,
        }
    }
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    match args.command {
        None => make::run(&args.timeout, shared),
        Some(Command::List(args)) => list::run(&args, shared),
        Some(Command::Fetch(args)) => fetch::run(&args, shared),
        Some(Command::Prune(args)) => prune::run(&args, shared),
        Some(Command::Verify(args)) => verify::run(&args, shared),
        Some(Command::Drill(args)) => drill::run(&args, shared),
    }
}

/// Sends the errand to the selected hosts, and gives the report.
fn go(
    command: &'static str,
    work: BackupWork,
    intent: Intent,
    timeout: &Timeout,
    shared: &Shared,
    sources: &Sources,
    moment: Moment,
) -> Result<Report> {
    let plans = fleet::readable(shared, sources)?;
    let errand = Errand { work: Work::Backups(work), ..Errand::new(command, intent, timeout.duration()) };
    fleet::go(shared, sources, errand, moment, plans)
}

/// Prints the report. With `-q`, as from cron, silence means that all is well.
fn conclude(shared: &Shared, report: &Report, moment: Moment) -> Result<ExitCode> {
    match shared.quiet && !shared.is_json() && report.exit_status() == 0 {
        true => Ok(ExitCode::SUCCESS),
        false => fleet::conclude(shared, report, moment.now),
    }
}
