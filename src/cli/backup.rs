//! `backup`: keeps a timestamped copy of the sealed bundle beside it. What hosts hold is kept, sealed, on each host by every push.

use super::fleet::Moment;
use super::last_runs::LastRuns;
use super::shared::{print_note, print_result};
use super::sources::Sources;
use super::{Shared, under_way};
use crate::words::{Result, RunId};
use std::process::ExitCode;

/// Keeps a sealed copy of the bundle, as it is now, in backups/bundle/ beside it
#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    // Opened, so that what is kept is known to open again.
    let sources = Sources::load(shared)?;
    under_way::note(sources.bundle.rotation());
    let name = RunId::new(sources.bundle.generation(), moment.now, moment.random);
    let store = sources.store();
    let path = if shared.check { None } else { Some(store.keep_copy(&name)?) };
    if let Some(path) = &path {
        print_note(shared, &format!("{}: kept", path.display()));
        LastRuns::of(store.path())?.note("backup", moment.now)?;
    } else {
        print_note(shared, "--check: nothing was written");
    }
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
