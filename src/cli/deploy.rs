//! `deploy`: makes every enrolled host's secrets right.

use super::fleet::{self, Errand, Moment};
use super::last_runs;
use super::notifications::Notifications;
use super::shared::Timeout;
use super::{Shared, sources::Sources};
use crate::engine::Intent;
use crate::words::Result;
use std::process::ExitCode;

/// Makes every enrolled host's secrets right; restarts what changed; unchanged hosts are not touched
#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.refuse_under_way()?;
    let plans = fleet::enrolled(shared, &sources)?;
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let errand = Errand::new("deploy", intent, args.timeout.duration());
    let notifications = Notifications::new(shared, &sources.playbook, &sources.bundle)?;
    notifications.begin("deploy");
    let report = fleet::go(shared, &sources, errand, moment, plans);
    let report = notifications.or_broken("deploy", &fleet::run_id(&sources, moment), report)?;
    last_runs::note(shared, &report, moment.now);
    let code = fleet::conclude(shared, &report, moment.now);
    notifications.end_of(&report);
    code
}
