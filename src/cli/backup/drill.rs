//! `backup drill`: would the newest backup of each host bring back what is live there?

use super::{Opener, go};
use crate::cli::Shared;
use crate::cli::fleet::{self, Moment};
use crate::cli::last_runs;
use crate::cli::notifications::Notifications;
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent};
use crate::words::Result;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: &Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let run = fleet::run_id(&sources, moment);
    let notifications = Notifications::new(shared, &sources.playbook, &sources.bundle)?;
    notifications.begin("backup");
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let work = BackupWork::Drill(Opener::new(&sources).shared());
    let report = go("backup drill", work, intent, &args.timeout, shared, &sources, moment);
    let report = notifications.or_broken("backup", &run, report)?;
    last_runs::note_as("drill", shared, &report, moment.now);
    let code = match shared.quiet && !shared.is_json() && report.is_as_live() {
        true => Ok(ExitCode::SUCCESS),
        false => fleet::conclude(shared, &report, moment.now),
    };
    notifications.end_as("backup", &report);
    code
}
