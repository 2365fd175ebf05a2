//! `Outcome`: how it went for a host or a file, in the words of Ansible's recap.

use std::fmt;

/// What a host came to; the change of a file is told in the same words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    Ok,
    Changed,
    /// Nothing was tried: no play means the host, or the run was interrupted before its turn.
    Skipped,
    /// There never was an authenticated session.
    Unreachable,
    Failed,
}

impl Outcome {
    /// Does it count as a failure, for the exit code and the recap?
    pub const fn is_failure(self) -> bool {
        matches!(self, Self::Failed | Self::Unreachable)
    }

    /// The word in the recap and in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Changed => "changed",
            Self::Skipped => "skipped",
            Self::Unreachable => "unreachable",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
