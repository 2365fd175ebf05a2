//! `Failure`: why a host could not be made right, as a value: which phase, what was wrong, what to do next.

use super::Outcome;
use std::fmt;

/// Where on the way a host failed, in the order of the way.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// The name of the host into addresses.
    Resolve,
    Connect,
    /// The key that the host showed was not accepted.
    Hostkey,
    /// The host may not hold what the bundle has for it.
    Enrolment,
    /// Logging in.
    Auth,
    /// Becoming root, by sudo or doas.
    Become,
    /// The program did not start, or did not answer as it should.
    Exec,
    /// Another run is at work there.
    Lock,
    /// Up to the switch: nothing that is live has changed.
    Stage,
    Switch,
    Action,
    Health,
    Rollback,
}

impl Phase {
    /// Every phase, in the order of the way.
    pub const ALL: [Phase; 13] = [
        Self::Resolve,
        Self::Connect,
        Self::Hostkey,
        Self::Enrolment,
        Self::Auth,
        Self::Become,
        Self::Exec,
        Self::Lock,
        Self::Stage,
        Self::Switch,
        Self::Action,
        Self::Health,
        Self::Rollback,
    ];

    /// The word in reports, and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Resolve => "resolve",
            Self::Connect => "connect",
            Self::Hostkey => "hostkey",
            Self::Enrolment => "enrolment",
            Self::Auth => "auth",
            Self::Become => "become",
            Self::Exec => "exec",
            Self::Lock => "lock",
            Self::Stage => "stage",
            Self::Switch => "switch",
            Self::Action => "action",
            Self::Health => "health",
            Self::Rollback => "rollback",
        }
    }

    /// The phase of that name, as the remote program writes it.
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|phase| phase.as_str() == text)
    }

    /// Ansible's sense: unreachable means that there never was an authenticated session.
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::Resolve | Self::Connect | Self::Hostkey | Self::Auth => Outcome::Unreachable,
            _ => Outcome::Failed,
        }
    }
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What went wrong on one host. It ends that host's run and no other's.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Failure {
    pub phase: Phase,
    pub message: String,
    /// What to do next, where we know it.
    pub hint: Option<String>,
}

impl Failure {
    /// A failure without a hint.
    pub fn new(phase: Phase, message: impl Into<String>) -> Self {
        Self { phase, message: message.into(), hint: None }
    }

    /// Says what to do next, in place of an earlier hint.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}
