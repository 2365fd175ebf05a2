//! `Rule`: what an audit looks for, by the words of the design. A finding names the rule that it departs from.

use super::Severity;
use crate::words::{Error, Result, named};
use std::fmt;
use std::str::FromStr;

/// One thing that is to hold on every host.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Rule {
    /// Something that we put there is gone.
    Missing,
    /// A mode that is not the expected one, and opens nothing to others.
    WrongMode,
    WorldReadable,
    WorldWritable,
    GroupReadable,
    GroupWritable,
    WrongOwner,
    /// A directory on the way where somebody else could put another in place of what lies below.
    ParentWritable,
    /// A link where none belongs, or one that leads elsewhere.
    Symlink,
    /// A file of ours that has a second name.
    Hardlink,
    UnexpectedFile,
    /// Content that is not what we put there.
    Drift,
    /// A set that is neither the live one nor the one before.
    StaleSet,
    /// A backup that the host can read.
    UnsealedBackup,
    /// What an editor, or a run that died, left behind.
    Leftover,
    /// A restart that was due after a switch and did not happen.
    OwedRestart,
    /// A unit or a container that was started before the secrets it reads were changed.
    StaleConsumer,
    /// Memory, and what is in it, may end in clear on a disk.
    ClearSwap,
    /// The bundle holds newer secrets than the host.
    Undeployed,
}

impl Rule {
    /// Every rule, those of the design's list first.
    pub const ALL: [Self; 19] = [
        Self::Missing,
        Self::WrongMode,
        Self::WorldReadable,
        Self::WorldWritable,
        Self::GroupReadable,
        Self::GroupWritable,
        Self::WrongOwner,
        Self::ParentWritable,
        Self::Symlink,
        Self::Hardlink,
        Self::UnexpectedFile,
        Self::Drift,
        Self::StaleSet,
        Self::UnsealedBackup,
        Self::Leftover,
        Self::OwedRestart,
        Self::StaleConsumer,
        Self::ClearSwap,
        Self::Undeployed,
    ];

    /// The word in reports, in JSON and behind `--rule`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::WrongMode => "wrong-mode",
            Self::WorldReadable => "world-readable",
            Self::WorldWritable => "world-writable",
            Self::GroupReadable => "group-readable",
            Self::GroupWritable => "group-writable",
            Self::WrongOwner => "wrong-owner",
            Self::ParentWritable => "parent-writable",
            Self::Symlink => "symlink",
            Self::Hardlink => "hardlink",
            Self::UnexpectedFile => "unexpected-file",
            Self::Drift => "drift",
            Self::StaleSet => "stale-set",
            Self::UnsealedBackup => "unsealed-backup",
            Self::Leftover => "leftover",
            Self::OwedRestart => "owed-restart",
            Self::StaleConsumer => "stale-consumer",
            Self::ClearSwap => "clear-swap",
            Self::Undeployed => "undeployed",
        }
    }

    /// How bad a departure from it is.
    pub const fn severity(self) -> Severity {
        match self {
            Self::WorldReadable
            | Self::WorldWritable
            | Self::GroupWritable
            | Self::WrongOwner
            | Self::ParentWritable
            | Self::Symlink
            | Self::Drift
            | Self::UnsealedBackup => Severity::High,
            Self::Missing
            | Self::GroupReadable
            | Self::Hardlink
            | Self::UnexpectedFile
            | Self::Leftover
            | Self::OwedRestart
            | Self::StaleConsumer => Severity::Medium,
            Self::WrongMode | Self::StaleSet | Self::Undeployed => Severity::Low,
            Self::ClearSwap => Severity::Info,
        }
    }
}

impl fmt::Display for Rule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Rule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named(text, "a rule", &Self::ALL.map(|rule| (rule.as_str(), rule)))
    }
}

impl serde::Serialize for Rule {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rule_goes_by_its_name() {
        for rule in Rule::ALL {
            assert_eq!(rule.as_str().parse::<Rule>().unwrap(), rule);
        }
        let error = "world-readble".parse::<Rule>().unwrap_err();
        assert_eq!(
            (error.to_string().as_str(), error.hints()),
            ("`world-readble` is not a rule", &["did you mean `world-readable`?".to_owned()][..])
        );
        assert!("x".parse::<Rule>().unwrap_err().hints()[0].starts_with("there are missing, "));
    }
}
