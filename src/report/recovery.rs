//! `RecoveryReport`: a bundle that was made again, and what of it could not be found.

use crate::bundle::Missing;
use crate::words::plural;
use serde_json::{Value, json};

/// What a recovery came to.
#[derive(Clone, Debug)]
pub struct RecoveryReport {
    /// Where the bundle lies now, or would.
    pub path: String,
    /// Its id.
    pub bundle: String,
    pub generation: u64,
    /// Secrets that it has again.
    pub recovered: usize,
    pub missing: Vec<Missing>,
    /// Hosts and roots that were read, and had no backup.
    pub bare: Vec<String>,
    /// What there is to know, and is not wrong.
    pub notes: Vec<String>,
}

impl RecoveryReport {
    /// Could something not be found?
    pub fn has_missed(&self) -> bool {
        !self.missing.is_empty() || !self.bare.is_empty()
    }

    pub(super) fn json(&self) -> Value {
        let missing = self.missing.iter().map(|missing| json!({ "secret": missing.secret, "why": missing.why }));
        json!({
            "path": self.path,
            "bundle": self.bundle,
            "generation": self.generation,
            "recovered": self.recovered,
            "missing": missing.collect::<Vec<_>>(),
            "without_backups": self.bare,
            "notes": self.notes,
        })
    }

    pub(super) fn text(&self, check: bool) -> String {
        let is = if check { "would be " } else { "" };
        let recovered = plural(self.recovered, "secret");
        let head = format!("{}: {recovered} {is}recovered, generation {}\n", self.path, self.generation);
        let missing =
            self.missing.iter().map(|missing| format!("  ! {} was not found: {}\n", missing.secret, missing.why));
        let bare = self.bare.iter().map(|place| format!("  ! no backup in {place}\n"));
        let notes = self.notes.iter().map(|note| format!("  * {note}\n"));
        let lines: String = missing.chain(bare).chain(notes).collect();
        format!("{head}{lines}\n")
    }
}
