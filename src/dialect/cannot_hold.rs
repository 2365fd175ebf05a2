//! `CannotHold`: a value that a dialect cannot hold, why, and the ways out.

use super::Dialect;
use crate::words::{Error, KeyName, Secret, ServiceName};

/// Names the key, never the value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CannotHold {
    pub key: KeyName,
    pub dialect: Dialect,
    /// `the value holds a newline`.
    pub what: &'static str,
}

impl CannotHold {
    /// For a person, where its value is one of these.
    pub fn among(&self, service: &ServiceName, values: &[(KeyName, Secret)]) -> Error {
        let none = Secret::new(Vec::new());
        self.of(service, values.iter().find(|(key, _)| *key == self.key).map_or(&none, |(_, value)| value))
    }

    /// For a person: `value` tells which formats would do.
    pub fn of(&self, service: &ServiceName, value: &Secret) -> Error {
        let Self { key, dialect, what } = self;
        let others = Dialect::ALL.into_iter().filter(|other| other.refuses(key, value).is_none());
        let formats: Vec<&str> = others.map(Dialect::as_str).chain(["files"]).collect();
        Error::new(format!(
            "service `{service}`, key `{key}`: {what}, which the {} format cannot hold",
            dialect.as_str()
        ))
        .hint(format!("formats that hold it, if its reader knows one of them: {}", formats.join(", ")))
        .hint(format!(
            "or make it a file of a raw service (distribute bundle set {service}/FILE), or encode it, in base64 for example"
        ))
    }
}
