//! `Entry`: one value of a source, with the keys that lead to it.

use crate::words::{KeyName, Secret, printable};

/// One value that a source holds.
#[derive(Debug)]
pub struct Entry {
    /// The keys from the outermost in; the place in a list is a number from 0.
    pub path: Vec<String>,
    pub value: Secret,
    /// From 1.
    pub line: usize,
}

impl Entry {
    /// Does it lie deeper than at the top?
    pub fn is_nested(&self) -> bool {
        self.path.len() > 1
    }

    /// The key it gets: its own, or the path joined with `_`; `None` when that is no key name.
    pub fn key(&self) -> Option<KeyName> {
        KeyName::new(self.path.join("_")).ok()
    }

    /// The path for people: `db.users.0`.
    pub fn shown(&self) -> String {
        shown(&self.path)
    }
}

/// A path for people, safe for a terminal.
pub fn shown(path: &[String]) -> String {
    printable(path.join(".").as_bytes(), 120)
}
