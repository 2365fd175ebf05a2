//! `backup` without a word behind it: one more of each host, and of the bundle.

use super::{conclude, go};
use crate::cli::Shared;
use crate::cli::fleet::{self, Moment};
use crate::cli::last_runs;
use crate::cli::notifications::Notifications;
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent};
use crate::report::{CopyReport, Deed};
use crate::words::Result;
use std::process::ExitCode;

pub fn run(timeout: &Timeout, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let run = fleet::run_id(&sources, moment);
    let notifications = Notifications::new(shared, &sources.playbook, &sources.bundle)?;
    notifications.begin("backup");
    let report = || {
        // Opened above, so that what is kept is known to open again.
        let store = sources.store();
        let path = if shared.check { store.place_of_copy(&run) } else { store.keep_copy(&run)? };
        let size = store.path().metadata().map_or(0, |found| found.len());
        drop(store);
        let intent = if shared.check { Intent::Check } else { Intent::Apply };
        let mut report = go("backup", BackupWork::Make, intent, timeout, shared, &sources, moment)?;
        report.copies.push(CopyReport { run: run.clone(), path, size, deed: Deed::Made, intact: None, problem: None });
        Ok(report)
    };
    let report = notifications.or_broken("backup", &run, report())?;
    last_runs::note(shared, &report, moment.now);
    let code = conclude(shared, &report, moment);
    notifications.end_of(&report);
    code
}
