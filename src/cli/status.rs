//! `status`: what is on the hosts now: generation, age, drift, owed restarts, last backup. It reads and does not touch.

use super::fleet::{self, Errand, Moment};
use super::last_runs::{LastRuns, MaxAge};
use super::option_value::option_value;
use super::shared::Timeout;
use super::{Shared, sources::Sources, under_way};
use crate::engine::Intent;
use crate::plan::rotation::{Ground, Overdue};
use crate::report::ExposureReport;
use crate::words::{Outcome, Result};
use std::process::ExitCode;

/// Shows per host and service: generation, age, drift, owed restarts, last backup
#[derive(clap::Args)]
pub struct Args {
    /// Exit 3 if a secret's time to be rotated has come
    #[arg(long)]
    overdue: bool,
    /// Exit 3 if the command's last good run on this machine is longer ago, such as 8d or audit=25h; without a command it is rotate
    #[arg(long, value_name = "[COMMAND=]PERIOD", value_parser = option_value::<MaxAge>)]
    max_age: Vec<MaxAge>,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let plans = fleet::enrolled(shared, &sources)?;
    let errand = Errand::new("status", Intent::Look, args.timeout.duration());
    let mut report = fleet::go(shared, &sources, errand, moment, plans)?;
    for host in report.hosts.iter_mut().filter(|host| host.outcome == Outcome::Changed) {
        // Nothing changed: what deploy would do is said file by file.
        host.outcome = Outcome::Ok;
        host.actions.clear();
        host.kept.clear();
    }
    let Sources { inventory, playbook, bundle, .. } = &sources;
    let ground = Ground { inventory, playbook, bundle, now: moment.now };
    let overdue = Overdue::of(ground)?;
    for host in &mut report.hosts {
        host.overdue = overdue.on(&host.host).iter().map(ToString::to_string).collect();
    }
    let nowhere = if shared.hosts.is_some() { Vec::new() } else { overdue.on_no_host() };
    let is_due = args.overdue && (!nowhere.is_empty() || report.hosts.iter().any(|host| !host.overdue.is_empty()));
    report.rotation = under_way::report(bundle, nowhere);
    report.exposures = ExposureReport::all(bundle);
    if !args.max_age.is_empty() {
        report.late = LastRuns::of(&shared.project()?.bundle)?.late(&args.max_age, moment.now);
    }
    let code = fleet::conclude(shared, &report, moment.now)?;
    Ok(if is_due && code == ExitCode::SUCCESS { ExitCode::from(3) } else { code })
}
