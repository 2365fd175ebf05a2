//! `Finding`: one departure that was seen: rule, path, expected, found, severity.

use super::Rule;
use crate::words::{Error, Result, named};
use std::fmt;
use std::str::FromStr;

/// How bad a departure is; the worse, the later.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Worth knowing, and nobody's fault.
    Info,
    Low,
    Medium,
    High,
}

impl Severity {
    /// From the least to the worst.
    pub const ALL: [Self; 4] = [Self::Info, Self::Low, Self::Medium, Self::High];

    /// The word in reports and behind `--severity`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Severity {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named(text, "a severity", &Self::ALL.map(|severity| (severity.as_str(), severity)))
    }
}

/// A departure from a rule. All texts are safe for a terminal.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Finding {
    pub rule: Rule,
    /// Absolute on the host.
    pub path: String,
    pub severity: Severity,
    pub expected: String,
    pub found: String,
    /// It was seen, and is gone now.
    pub fixed: bool,
    /// The command or the act that mends it, where one is known.
    pub fix: Option<String>,
    /// Does `audit --fix` mend it?
    pub fixable: bool,
    /// What else is to be known of it.
    pub note: Option<String>,
}

impl Finding {
    /// Says what mends it.
    pub fn mended_by(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }

    /// One that is as bad as its rule says, and that nobody has mended.
    pub fn new(rule: Rule, path: String, expected: impl Into<String>, found: impl Into<String>) -> Self {
        let (expected, found) = (expected.into(), found.into());
        Self {
            rule,
            path,
            severity: rule.severity(),
            expected,
            found,
            fixed: false,
            fix: None,
            fixable: false,
            note: None,
        }
    }
}
