//! `HeldBackup`: a sealed copy as it lies on a host, judged by its receipt: is it still what the run sealed?

use super::Receipt;
use crate::plan::{DesiredSet, Kind, Purpose, RootFacts, policy};
use crate::words::RunId;
use std::fmt;

/// A backup on a host, as a look tells it; nothing of it was opened.
#[derive(Clone, Debug)]
pub struct HeldBackup {
    pub run: RunId,
    /// Relative to the root.
    pub path: String,
    /// In bytes.
    pub size: u64,
    pub receipt: Option<Receipt>,
    pub standing: Standing,
}

/// What its receipt says of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// To the byte what the run sealed.
    Intact,
    /// Cut off, altered, or something else in its place.
    Damaged,
    /// There is no receipt: only opening it tells.
    Unrecorded,
    /// Its receipt was written for another host or root, or by somebody else.
    Swapped,
    /// Another bundle's.
    Foreign,
}

impl Standing {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Damaged => "damaged",
            Self::Unrecorded => "unrecorded",
            Self::Swapped => "swapped",
            Self::Foreign => "foreign",
        }
    }

    /// May it be relied on without opening it?
    pub const fn is_good(self) -> bool {
        matches!(self, Self::Intact)
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The backups of a root, the oldest first. Hashes are there only if they were asked for; without one nothing is intact.
pub fn held(set: &DesiredSet, facts: &RootFacts, purpose: &Purpose) -> Vec<HeldBackup> {
    let mut held: Vec<HeldBackup> = Vec::new();
    for (name, stat) in facts.inside("backups") {
        let Some(run) = policy::run_of_backup(name) else { continue };
        let path = format!("backups/{name}");
        let receipt = facts.receipts.get(&run).cloned();
        let is_whole = |receipt: &Receipt| {
            stat.kind == Kind::File && stat.size == receipt.size && facts.hashes.get(&path) == Some(&receipt.sha256)
        };
        let standing = match &receipt {
            None if stat.kind != Kind::File => Standing::Damaged,
            None => Standing::Unrecorded,
            Some(receipt) if receipt.bundle != purpose.bundle_id => Standing::Foreign,
            Some(receipt) if !receipt.is_for(set.host.as_str(), set.root.as_str(), purpose.mac) => Standing::Swapped,
            Some(receipt) if is_whole(receipt) => Standing::Intact,
            Some(_) => Standing::Damaged,
        };
        held.push(HeldBackup { run, path, size: stat.size, receipt, standing });
    }
    held.sort_by(|one, other| one.run.cmp(&other.run));
    held
}
