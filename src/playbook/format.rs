//! `Format`: how a service lies on a host.

use crate::dialect::Dialect;
use crate::words::{Error, Result, nearest};
use std::fmt;
use std::str::FromStr;

/// One file in a dialect, a directory of files, or what a template makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One env file, as `docker run --env-file` reads it.
    Docker,
    /// One env file, as Compose reads it.
    Compose,
    /// One env file, as a unit's `EnvironmentFile=` reads it.
    Systemd,
    /// One env file, as a POSIX shell reads it.
    Shell,
    /// One object of strings.
    Json,
    /// A Kubernetes Secret.
    Kubernetes,
    /// A directory with the service's files as they are.
    Raw,
    /// A directory with a file for each key, its exact bytes, and the service's files as they are.
    Files,
    /// A directory with the file that a template makes.
    Template,
}

impl Format {
    /// Every one, in the order in which they are told.
    pub const ALL: [Self; 9] = [
        Self::Docker,
        Self::Compose,
        Self::Systemd,
        Self::Shell,
        Self::Json,
        Self::Kubernetes,
        Self::Raw,
        Self::Files,
        Self::Template,
    ];

    /// The word in the playbook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Systemd => "systemd",
            Self::Shell => "shell",
            Self::Json => "json",
            Self::Kubernetes => "kubernetes",
            Self::Raw => "raw",
            Self::Files => "files",
            Self::Template => "template",
        }
    }

    /// What its one file is written in; `None` of a directory.
    pub const fn dialect(self) -> Option<Dialect> {
        match self {
            Self::Docker => Some(Dialect::Docker),
            Self::Compose => Some(Dialect::Compose),
            Self::Systemd => Some(Dialect::Systemd),
            Self::Shell => Some(Dialect::Shell),
            Self::Json => Some(Dialect::Json),
            Self::Kubernetes => Some(Dialect::Kubernetes),
            Self::Raw | Self::Files | Self::Template => None,
        }
    }

    /// What stands behind the service's name in `secrets/`.
    pub const fn suffix(self) -> &'static str {
        match self {
            Self::Docker | Self::Compose | Self::Systemd | Self::Shell => ".env",
            Self::Json => ".json",
            Self::Kubernetes => ".yaml",
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
        Self::ALL.into_iter().find(|format| format.as_str() == text).ok_or_else(|| {
            let names = Self::ALL.map(Self::as_str);
            let error = Error::new(format!("format `{}` is not known", text.escape_debug()));
            match nearest(text, names) {
                Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
                None => error.hint(format!("known: {}", names.join(", "))),
            }
        })
    }
}
