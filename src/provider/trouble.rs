//! `Trouble`: why a step did not go well. It holds no secret, and may be shown and kept.

use super::Call;
use std::fmt;

/// A message that names step and secret, and what to do next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Trouble {
    /// In lower case without a final period; what the program itself said stands at its end.
    pub message: String,
    /// What to do next.
    pub hint: Option<String>,
}

impl Trouble {
    /// `what` follows the names of step, secret and host.
    pub(super) fn of(call: &Call, what: impl fmt::Display) -> Self {
        let host = call.host.map_or_else(String::new, |host| format!(" for {host}"));
        Self { message: format!("`{}` of {}{host} {what}", call.step, call.secret), hint: None }
    }

    /// Adds what to do next.
    pub(super) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
