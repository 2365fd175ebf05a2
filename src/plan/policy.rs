//! The one place where 700 and 600, and the names of things on a host, are written.

use super::Rule;
use crate::words::{Mode, Principal, RunId};

/// `secrets/`, `backups/`, `.distribute/` and every set, unless the play says otherwise of its own.
pub const DIRECTORY: Mode = Mode::new(0o700);
/// Every file, unless the play or the service says otherwise.
pub const FILE: Mode = Mode::new(0o600);
/// A root that we make for a play whose owner is somebody else than root: he must be able to walk through it.
pub const SHARED_ROOT: Mode = Mode::new(0o755);
/// How long an action may take, in seconds, before it is stopped and stays owed.
pub const ACTION_SECONDS: u64 = 300;

/// The directory of a run's set below `secrets/`.
pub fn set_name(run: &RunId) -> String {
    format!("..{run}")
}

/// The run whose set this is, if it is one of ours.
pub fn run_of_set(name: &str) -> Option<RunId> {
    name.strip_prefix("..")?.parse().ok()
}

/// The directory below `secrets/` where a run keeps what somebody else put there.
pub fn kept_name(run: &RunId) -> String {
    format!("..kept-{run}")
}

/// Is it the name of somebody's kept files?
pub fn is_kept(name: &str) -> bool {
    name.strip_prefix("..kept-").is_some_and(|run| run.parse::<RunId>().is_ok())
}

/// The sealed copy of a run's set below `backups/`.
pub fn backup_name(run: &RunId) -> String {
    format!("{run}.tar.gz.age")
}

/// The run whose sealed copy has this name.
pub fn run_of_backup(name: &str) -> Option<RunId> {
    name.strip_suffix(".tar.gz.age")?.parse().ok()
}

/// What is recorded of a run's sealed copy, below `.distribute/`.
pub fn receipt_name(run: &RunId) -> String {
    format!("receipt.{run}")
}

/// The run whose receipt has this name.
pub fn run_of_receipt(name: &str) -> Option<RunId> {
    name.strip_prefix("receipt.")?.parse().ok()
}

/// The manifest of a set below `.distribute/`.
pub fn manifest_name(set: &str) -> String {
    format!("manifest.{set}")
}

/// The audit's word for a mode that is not the expected one: the worst that is true of it.
pub fn mode_rule(found: Mode, expected: Mode) -> Option<Rule> {
    let more = found.bits() & !expected.bits();
    let rule = match () {
        () if found == expected => return None,
        () if more & 0o002 != 0 => Rule::WorldWritable,
        () if more & 0o005 != 0 => Rule::WorldReadable,
        () if more & 0o020 != 0 => Rule::GroupWritable,
        () if more & 0o050 != 0 => Rule::GroupReadable,
        () => Rule::WrongMode,
    };
    Some(rule)
}

/// Root is called 0 on the wire: a host may have no /etc/passwd.
pub fn on_the_wire(principal: &Principal) -> &str {
    if principal.as_str() == "root" { "0" } else { principal.as_str() }
}
