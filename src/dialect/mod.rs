//! `Dialect`: how a reader on a host wants keys and values written. One value model, ordered `(KeyName, Secret)`, and for each
//! dialect what it refuses, how it writes, and how its reader reads. What a dialect accepts arrives byte for byte: the tests ask
//! the real readers. What it cannot hold is refused, never bent.

mod cannot_hold;
mod compose;
mod docker;
mod draft;
mod json;
mod kubernetes;
mod manifest;
mod reading;
mod shell;
mod systemd;
#[cfg(test)]
mod tests;

use crate::words::{KeyName, Result, Secret};
use reading::compose::Releases;

pub use cannot_hold::CannotHold;
pub use manifest::Manifest;
pub use reading::{Assignment, NO_EQUALS, dotenv};
pub use shell::quoted as shell_quoted;

pub(crate) use json::string as json_string;

/// Who reads the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Dialect {
    /// `docker run --env-file` and `kubectl create secret --from-env-file`: everything behind the first `=` is the value.
    Docker,
    /// `env_file` of Compose, version 1 and 2.
    Compose,
    /// `EnvironmentFile=` of a unit.
    Systemd,
    /// `set -a; . FILE` in a POSIX shell.
    Shell,
    /// One object of strings.
    Json,
    /// A `v1` Secret for `kubectl apply -f`.
    Kubernetes,
}

impl Dialect {
    /// Every one, in the order in which they are told.
    pub const ALL: [Self; 6] = [Self::Docker, Self::Compose, Self::Systemd, Self::Shell, Self::Json, Self::Kubernetes];

    /// The word in the playbook.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Docker => "docker",
            Self::Compose => "compose",
            Self::Systemd => "systemd",
            Self::Shell => "shell",
            Self::Json => "json",
            Self::Kubernetes => "kubernetes",
        }
    }

    /// Why this pair cannot be written: `the value holds a newline`.
    pub fn refuses(self, key: &KeyName, value: &Secret) -> Option<&'static str> {
        match self {
            Self::Docker => docker::refuses(key, value),
            Self::Compose => compose::refuses(value),
            Self::Systemd => systemd::refuses(key, value),
            Self::Shell => shell::refuses(key, value),
            Self::Json => json::refuses(value),
            Self::Kubernetes => kubernetes::refuses(value),
        }
    }

    /// The first pair that cannot be written, and why.
    pub fn check(self, values: &[(KeyName, Secret)]) -> Result<(), CannotHold> {
        let mut refusals = values.iter().filter_map(|(key, value)| Some((key, self.refuses(key, value)?)));
        let too_much = || kubernetes::too_much(values).filter(|_| self == Self::Kubernetes);
        match refusals.next().or_else(too_much) {
            Some((key, what)) => Err(CannotHold { key: key.clone(), dialect: self, what }),
            None => Ok(()),
        }
    }

    /// The whole file. Only a manifest has a name of its own; without one given it is called `secrets`.
    pub fn write(self, values: &[(KeyName, Secret)], manifest: Option<&Manifest>) -> Result<Secret, CannotHold> {
        self.check(values)?;
        let file = self.lines(values, manifest);
        Ok(match self.mark() {
            Some(mark) => Secret::new([mark.as_bytes(), file.expose()].concat()),
            None => file,
        })
    }

    /// The first line of a file whose name does not tell how it is written: a comment to its reader, and to `run` how it is read.
    fn mark(self) -> Option<String> {
        matches!(self, Self::Compose | Self::Systemd | Self::Shell)
            .then(|| format!("# distribute: {}\n", self.as_str()))
    }

    /// What a file says of itself in its first line; of one that says nothing it is not known.
    pub fn marked(bytes: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|dialect| dialect.mark().is_some_and(|mark| bytes.starts_with(mark.as_bytes())))
    }

    fn lines(self, values: &[(KeyName, Secret)], manifest: Option<&Manifest>) -> Secret {
        match self {
            Self::Docker => docker::write(values),
            Self::Compose => compose::write(values),
            Self::Systemd => systemd::write(values),
            Self::Shell => shell::write(values),
            Self::Json => json::write(values),
            Self::Kubernetes => kubernetes::write(values, manifest.unwrap_or(&Manifest::default())),
        }
    }

    /// A value as it stands in the file, where that is not the value itself.
    pub fn written(self, key: &KeyName, value: &Secret) -> Option<Secret> {
        let written = match self {
            Self::Docker => return None,
            Self::Json => json::string(value.expose()),
            Self::Kubernetes => kubernetes::encoded(value),
            Self::Compose | Self::Systemd | Self::Shell => {
                self.refuses(key, value).is_none().then_some(())?;
                let line = self.lines(&[(key.clone(), value.clone())], None);
                let from = key.as_str().len() + 1;
                Secret::new(&line.expose()[from..line.len() - 1])
            }
        };
        Some(written).filter(|written| written != value)
    }

    /// What the reader sees, in the order of the file; of a key that stands twice the last value.
    ///
    /// # Errors
    /// Where the reader would stop, drop a line, or put in what is not in the file. They name line and key, never the text.
    pub fn read(self, bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
        reading::pairs(match self {
            Self::Compose => reading::compose::read(bytes, Releases::WrittenFor),
            _ => self.assignments(bytes),
        })
    }

    /// What the reader makes of a file that somebody wrote, line by line. Where its releases differ it makes nothing of a line.
    pub fn assignments(self, bytes: &[u8]) -> Vec<Assignment> {
        match self {
            Self::Docker => reading::docker::read(bytes),
            Self::Compose => reading::compose::read(bytes, Releases::Any),
            Self::Systemd => reading::systemd::read(bytes),
            Self::Shell => reading::shell::read(bytes),
            Self::Json => reading::json::read(bytes),
            Self::Kubernetes => reading::kubernetes::read(bytes),
        }
    }
}
