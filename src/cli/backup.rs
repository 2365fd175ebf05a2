//! `backup`: keeps a timestamped copy of the sealed bundle beside it. What hosts hold is kept, sealed, on each host by every push.

use super::Shared;
use super::fleet::Moment;
use super::last_runs::LastRuns;
use super::notifications::{Notifications, Outcome};
use super::shared::{print_note, print_result};
use super::sources::Sources;
use crate::words::{Result, RunId};
use std::path::PathBuf;
use std::process::ExitCode;

/// Keeps a sealed copy of the bundle, as it is now, in backups/bundle/ beside it
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    // Opened, so that what is kept is known to open again.
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let name = RunId::new(sources.bundle.generation(), moment.now, moment.random);
    let notifications = Notifications::new(shared, &sources.playbook, &sources.bundle)?;
    notifications.begin("backup");
    let path = notifications.or_broken("backup", &name, keep(&sources, &name, moment, shared))?;
    let message = match &path {
        Some(path) => format!("{}: kept", path.display()),
        None => "--check: nothing was written".to_owned(),
    };
    print_note(shared, &message);
    let outcome =
        Outcome { command: "backup", run: &name, status: 0, message: &message, report: None, now: moment.now };
    notifications.end(&outcome);
    if shared.is_json() {
        let path = path.map(|path| path.display().to_string());
        let document = serde_json::json!({
            "schema": "distribute.backup/1", "command": "backup", "check": shared.check, "run": name.to_string(),
            "generation": sources.bundle.generation(), "path": path,
        });
        print_result(&format!("{document:#}\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn keep(sources: &Sources, name: &RunId, moment: Moment, shared: &Shared) -> Result<Option<PathBuf>> {
    if shared.check {
        return Ok(None);
    }
    let store = sources.store();
    let path = store.keep_copy(name)?;
    LastRuns::of(store.path())?.note("backup", moment.now)?;
    Ok(Some(path))
}
