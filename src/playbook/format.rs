//! `Format`: how a service lies on a host.

use crate::dialect::Dialect;
use crate::words::{Error, Result, nearest};
use std::fmt;
use std::str::FromStr;

/// One file in a dialect, a directory of files, or what a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One file of keys and values, as this reader wants them.
    In(Dialect),
    /// A directory with the service's files as they are.
    Raw,
    /// A directory with a file for each key, its exact bytes, and the service's files as they are.
    Files,
    /// A directory with the file that a template makes.
    Template,
}

impl Format {
    /// The word in the playbook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::In(dialect) => dialect.as_str(),
            Self::Raw => "raw",
            Self::Files => "files",
            Self::Template => "template",
        }
    }

    /// Every one, in the order in which they are told.
    pub fn all() -> impl Iterator<Item = Self> {
        Dialect::ALL.into_iter().map(Self::In).chain([Self::Raw, Self::Files, Self::Template])
    }

    /// What its one file is written in; `None` of a directory.
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::In(dialect) => Some(dialect),
            Self::Raw | Self::Files | Self::Template => None,
        }
    }

    /// What stands behind the service's name in `secrets/`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::In(Dialect::Docker | Dialect::Compose | Dialect::Systemd | Dialect::Shell) => ".env",
            Self::In(Dialect::Json) => ".json",
            Self::In(Dialect::Kubernetes) => ".yaml",
            Self::Raw | Self::Files | Self::Template => "",
        }
    }

    /// Is it a directory on the host?
    pub const fn is_directory(self) -> bool {
        self.dialect().is_none()
    }

    /// May it be made of other services' keys?
    pub fn may_include(self) -> bool {
        self != Self::Raw
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Format {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::all().find(|format| format.as_str() == text).ok_or_else(|| {
            let names: Vec<&str> = Self::all().map(Self::as_str).collect();
            let error = Error::new(format!("format `{}` is not known", text.escape_debug()));
            match nearest(text, names.iter().copied()) {
                Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
                None => error.hint(format!("known: {}", names.join(", "))),
            }
        })
    }
}
