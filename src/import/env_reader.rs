//! `EnvReader`: for whom an env file was written. Quotes, `$` and `#` mean something else to each.

use super::sops_lines;
use crate::dialect::{Assignment, Dialect, dotenv};
use crate::words::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A reader of env files: one that is written for, too, or one that is read alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EnvReader {
    /// Who reads on a host.
    Of(Dialect),
    /// The libraries that read `.env`
    Dotenv,
    /// `sops exec-env`
    Sops,
}

impl EnvReader {
    /// Every reader whose files look alike.
    pub const ALL: [Self; 5] = [
        Self::Of(Dialect::Docker),
        Self::Of(Dialect::Compose),
        Self::Of(Dialect::Systemd),
        Self::Of(Dialect::Shell),
        Self::Dotenv,
    ];

    /// What this reader makes of a file.
    pub(super) fn read(self, bytes: &[u8]) -> Vec<Assignment> {
        match self {
            Self::Of(dialect) => dialect.assignments(bytes),
            Self::Dotenv => dotenv::read(bytes),
            Self::Sops => sops_lines::assignments(bytes),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Of(dialect) => dialect.as_str(),
            Self::Dotenv => "dotenv",
            Self::Sops => "sops",
        }
    }
}

impl fmt::Display for EnvReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for EnvReader {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().chain([Self::Sops]).find(|reader| reader.name() == text);
        known.ok_or_else(|| {
            Error::new("it is not a dialect").hint("known are docker, compose, systemd, shell, dotenv and sops")
        })
    }
}
