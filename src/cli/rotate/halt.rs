//! `Halt`: why a rotation did not go on to its end.

use crate::words::Error;

/// A rotation stops here.
pub enum Halt {
    /// Somebody said so; it can be resumed.
    Interrupted,
    /// What went wrong, and what to do about it; everything is put back.
    Failed { why: String, hint: Option<String> },
}

impl Halt {
    /// Without a hint.
    pub fn failed(why: impl Into<String>) -> Self {
        Self::Failed { why: why.into(), hint: None }
    }
}

impl From<Error> for Halt {
    fn from(error: Error) -> Self {
        Self::Failed { why: error.to_string(), hint: error.hints().first().cloned() }
    }
}
