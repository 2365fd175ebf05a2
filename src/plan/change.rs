//! `Change`: what becomes of a file or a value, compared with what is on the host.

use crate::words::{Outcome, ServiceName};

/// A file of the set, or one that goes, and what becomes of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to `secrets/`.
    pub path: String,
    /// `None` for a file that no service of the play has.
    pub service: Option<ServiceName>,
    pub change: Change,
    /// Only the keys that differ; empty for a file that is no env file.
    pub keys: Vec<KeyChange>,
}

/// What becomes of a file or of a key in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Added,
    Changed,
    /// Same content, other owner, mode or link.
    Access,
    Removed,
}

impl Change {
    /// How the change counts in the recap.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::None => Outcome::Ok,
            _ => Outcome::Changed,
        }
    }

    /// The word in reports and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Access => "access",
            Self::Removed => "removed",
        }
    }
}

/// A key of an env file that differs from the one on the host.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub key: String,
    pub change: Change,
    /// Eight hex digits, of the new value; of the old one where the key was removed.
    pub fingerprint: String,
}
