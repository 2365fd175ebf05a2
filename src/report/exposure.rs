//! What somebody could read who can open the bundle no more, for people and for machines. It shrinks as secrets are rotated.

use crate::bundle::{Bundle, SecretName};
use crate::words::{listed, plural};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// One that lost access, and which of what he could read is as it was.
#[derive(Clone, Debug)]
pub struct ExposureReport {
    /// Whose key it was.
    pub name: String,
    /// The key as one word; of a password there is none.
    pub key: Option<String>,
    pub removed: DateTime<Utc>,
    /// The last generation that could be read.
    pub generation: u64,
    /// How many secrets could be read.
    pub secrets: usize,
    /// Those that were not rotated since.
    pub left: Vec<SecretName>,
}

impl ExposureReport {
    /// Of everybody who lost access, the first first.
    pub fn all(bundle: &Bundle) -> Vec<Self> {
        let of = |exposure: &crate::bundle::Exposure| Self {
            name: exposure.name.clone(),
            key: exposure.key.clone(),
            removed: exposure.removed,
            generation: exposure.generation,
            secrets: exposure.secrets.len(),
            left: bundle.still_exposed(exposure),
        };
        bundle.exposures().iter().map(of).collect()
    }

    /// `bob (age1...), removed 2026-11-22: 3 of 12 secrets not rotated since`
    pub fn sentence(&self) -> String {
        let key = self.key.as_ref().filter(|key| **key != self.name).map(|key| format!(" ({key})")).unwrap_or_default();
        let head = format!("{}{key}, removed {}", self.name, self.removed.format("%Y-%m-%d"));
        match self.left.len() {
            0 => format!("{head}: all of {} rotated or removed since", plural(self.secrets, "secret")),
            left => format!("{head}: {left} of {} not rotated since", plural(self.secrets, "secret")),
        }
    }

    /// For a status: what is left, and what rotates it. Nothing once nothing is left.
    pub fn text(&self) -> String {
        if self.left.is_empty() {
            return String::new();
        }
        let way_out = self.way_out().map(|command| format!("  rotate them: {command}\n")).unwrap_or_default();
        format!("exposed: {}: {}\n{way_out}", self.sentence(), listed(&self.left))
    }

    /// The command that rotates what is left; of a password there is none that knows whom.
    pub fn way_out(&self) -> Option<String> {
        self.key.as_ref().map(|_| format!("distribute rotate --compromised {}", self.name))
    }

    /// The names of what is left, a line each.
    pub fn names(&self, indent: &str) -> String {
        self.left.iter().map(|name| format!("{indent}{name}\n")).collect()
    }

    /// As a machine reads it.
    pub fn json(&self) -> Value {
        let left: Vec<String> = self.left.iter().map(ToString::to_string).collect();
        json!({
            "label": self.name, "recipient": self.key, "removed": self.removed.to_rfc3339_opts(SecondsFormat::Secs, true),
            "generation": self.generation, "secrets": self.secrets, "left": left,
        })
    }
}
