//! `Dialect`: for whom an env file was written. Quotes, `$` and `#` mean something else to each.

use super::env_lines::Assignment;
use super::{compose_lines, docker_lines, dotenv_lines, shell_lines, sops_lines, systemd_lines};
use crate::words::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A reader of env files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// `docker run --env-file`
    Docker,
    /// `env_file:` of Compose
    Compose,
    /// `EnvironmentFile=` of a systemd unit
    Systemd,
    /// `set -a; . FILE` in a POSIX shell
    Shell,
    /// The libraries that read `.env`
    Dotenv,
    /// `sops exec-env`
    Sops,
}

impl Dialect {
    /// Every reader whose files look alike.
    pub const ALL: [Self; 5] = [Self::Docker, Self::Compose, Self::Systemd, Self::Shell, Self::Dotenv];

    /// What this reader makes of a file.
    pub(super) fn read(self, bytes: &[u8]) -> Vec<Assignment> {
        match self {
            Self::Docker => docker_lines::read(bytes),
            Self::Compose => compose_lines::read(bytes),
            Self::Systemd => systemd_lines::read(bytes),
            Self::Shell => shell_lines::read(bytes),
            Self::Dotenv => dotenv_lines::read(bytes),
            Self::Sops => sops_lines::assignments(bytes),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Systemd => "systemd",
            Self::Shell => "shell",
            Self::Dotenv => "dotenv",
            Self::Sops => "sops",
        }
    }
}

impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Dialect {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let known = Self::ALL.into_iter().chain([Self::Sops]).find(|dialect| dialect.name() == text);
        known.ok_or_else(|| {
            Error::new("it is not a dialect").hint("known are docker, compose, systemd, shell, dotenv and sops")
        })
    }
}
