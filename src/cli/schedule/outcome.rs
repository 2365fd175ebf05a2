//! `Outcome`: what became of a file or a crontab, or would.

/// In the words that are shown, and in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    Created,
    Changed,
    Unchanged,
    Removed,
    /// It was to be removed, and was not there.
    Absent,
}

impl Outcome {
    /// From what was there before and what is to be.
    pub fn between(before: Option<&str>, after: Option<&str>) -> Self {
        match (before, after) {
            (None, Some(_)) => Self::Created,
            (None, None) => Self::Absent,
            (Some(_), None) => Self::Removed,
            (Some(before), Some(after)) if before == after => Self::Unchanged,
            (Some(_), Some(_)) => Self::Changed,
        }
    }

    /// Is anything written?
    pub const fn is_change(self) -> bool {
        matches!(self, Self::Created | Self::Changed | Self::Removed)
    }

    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Removed => "removed",
            Self::Absent => "absent",
        }
    }
}
