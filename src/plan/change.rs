//! `Change`: what becomes of a file or a value, compared with what is on the host.

use crate::words::{Outcome, ServiceName};

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to `secrets/`.
    pub path: String,
    pub service: Option<ServiceName>,
    pub change: Change,
    pub keys: Vec<KeyChange>,
}

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
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::None => Outcome::Ok,
            _ => Outcome::Changed,
        }
    }

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

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub key: String,
    pub change: Change,
    pub fingerprint: String,
}
