//! `Conflict`: one thing that both sides changed, each in its own way.

use std::fmt;

/// Whose version it is: of the branch that is merged into, or of the one that is merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    Ours,
    Theirs,
}

impl fmt::Display for Side {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Theirs => "theirs",
        })
    }
}

/// What both sides changed. Of values it holds fingerprints only.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conflict {
    /// `aws.KEY`, `tls/cert.pem`, `note aws.KEY`, `enrolment web1`, `recipients`, `rotation`, ...
    pub name: String,
    /// What it was, as people may see it; `None` if it was not there.
    pub base: Option<String>,
    pub ours: Option<String>,
    pub theirs: Option<String>,
    /// The side that was chosen.
    pub side: Option<Side>,
}
