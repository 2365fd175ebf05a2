//! `Why`: what made a backup.

use crate::words::Error;
use std::fmt;
use std::str::FromStr;

/// The command whose run made it, and what it holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Why {
    /// What was pushed, by the command of that name.
    Setup,
    Deploy,
    Rotate,
    /// What an earlier backup brought back.
    Restore,
    /// What was there, as somebody asked for.
    Backup,
    /// What was there before a restore took its place.
    Replaced,
}

impl Why {
    const ALL: [Self; 6] = [Self::Setup, Self::Deploy, Self::Rotate, Self::Restore, Self::Backup, Self::Replaced];

    /// The word in receipts, labels and reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Setup => "setup",
            Self::Deploy => "deploy",
            Self::Rotate => "rotate",
            Self::Restore => "restore",
            Self::Backup => "backup",
            Self::Replaced => "replaced",
        }
    }

    /// What the backups of this command's pushes are for.
    pub fn of_command(command: &str) -> Self {
        command.parse().unwrap_or(Self::Deploy)
    }

    /// Does it hold what the bundle gave the host then, and not what somebody may have made of it?
    pub const fn is_from_bundle(self) -> bool {
        matches!(self, Self::Setup | Self::Deploy | Self::Rotate)
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Why {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let known = Self::ALL.into_iter().find(|why| why.as_str() == text);
        known.ok_or_else(|| Error::new(format!("`{}` is no reason for a backup", text.escape_debug())))
    }
}
