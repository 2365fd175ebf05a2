//! `Variables`: what a program gets, by key; a later service's are stronger.

use crate::words::{Error, KeyName, Result, Secret, plural};
use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;

/// Keys and values.
#[derive(Default)]
pub struct Variables(BTreeMap<KeyName, Secret>);

impl Variables {
    /// Lays others over them.
    pub fn add(&mut self, others: Vec<(KeyName, Secret)>) {
        self.0.extend(others);
    }

    /// Refuses to go on where a key has no value, here or else in the environment.
    pub fn require(&self, keys: &[KeyName], or_environment: bool) -> Result<()> {
        let in_environment =
            |key: &KeyName| or_environment && std::env::var_os(key.as_str()).is_some_and(|it| !it.is_empty());
        let is_missing = |key: &&KeyName| self.0.get(key).is_none_or(Secret::is_empty) && !in_environment(key);
        let missing: Vec<&str> = keys.iter().filter(is_missing).map(KeyName::as_str).collect();
        if missing.is_empty() {
            return Ok(());
        }
        Err(Error::new(format!("{} has no value; nothing was run", missing.join(", "))))
    }

    /// For a message: the keys.
    pub fn shown(&self) -> String {
        format!("{}: {}", plural(self.0.len(), "variable"), self.keys().join(", "))
    }

    /// In the order of the alphabet.
    pub fn keys(&self) -> Vec<&str> {
        self.0.keys().map(KeyName::as_str).collect()
    }

    /// As a process takes them.
    ///
    /// # Errors
    /// When a value holds a NUL byte, which no environment can.
    pub fn for_the_program(&self) -> Result<Vec<(OsString, OsString)>> {
        let pair = |(key, value): (&KeyName, &Secret)| match value.expose().contains(&0) {
            true => Err(Error::new(format!(
                "the value of {key} holds a NUL byte, which no environment can hold; nothing was run"
            ))
            .hint("give it to the program as a file: format = \"raw\" or \"files\" in the playbook")),
            false => Ok((OsString::from(key.as_str()), OsStr::from_bytes(value.expose()).to_owned())),
        };
        self.0.iter().map(pair).collect()
    }
}
