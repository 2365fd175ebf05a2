//! `status`: what is on the hosts now: generation, age, drift, owed restarts, last backup. It reads and does not touch.

use super::fleet::{self, Errand, Moment};
use super::shared::Timeout;
use super::{Shared, sources::Sources};
use crate::engine::Intent;
use crate::words::{Outcome, Result};
use std::process::ExitCode;

/// Shows per host and service: generation, age, drift, owed restarts, last backup
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    let plans = fleet::enrolled(&sources)?;
    let errand = Errand::new("status", Intent::Check, args.timeout.duration());
    let mut report = fleet::go(shared, &sources, errand, moment, plans)?;
    for host in report.hosts.iter_mut().filter(|host| host.outcome == Outcome::Changed) {
        // Nothing changed: what deploy would do is said file by file.
        host.outcome = Outcome::Ok;
        host.actions.clear();
        host.kept.clear();
    }
    fleet::conclude(shared, &report, moment.now)
}
