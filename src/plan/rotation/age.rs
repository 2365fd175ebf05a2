//! `Age`: how it stands with the age of a value, and which values are older than they may become.

use super::candidates::candidates;
use super::holdings::Holdings;
use super::{Ground, PlannedTurn};
use crate::bundle::{Metadata, SecretName};
use crate::words::{HostName, Period, Result};
use chrono::{DateTime, Utc};

/// How it stands with the age of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Young {
        left: Period,
    },
    Due {
        old: Period,
        every: Period,
    },
    /// Nobody noted when it was made.
    Unknown,
    /// It was made after now.
    Future(DateTime<Utc>),
}

/// How old the value is that a host, or everybody, has now.
pub(super) fn age(metadata: Option<&Metadata>, every: Period, now: DateTime<Utc>) -> Age {
    let Some(since) = metadata.and_then(Metadata::since) else { return Age::Unknown };
    let seconds = (now - since).num_seconds();
    // Two clocks are never quite the same.
    if seconds < -300 {
        return Age::Future(since);
    }
    let old = Period::from_secs(seconds.max(0).unsigned_abs());
    match every.as_secs().checked_sub(old.as_secs()) {
        None | Some(0) => Age::Due { old, every },
        Some(left) => Age::Young { left: Period::from_secs(left) },
    }
}

/// What is older than a policy, or the bundle, lets it become; found out once for all hosts.
pub struct Overdue<'a, 'p> {
    ground: Ground<'a, 'p>,
    holdings: Holdings,
    candidates: Vec<PlannedTurn<'p>>,
}

impl<'a, 'p> Overdue<'a, 'p> {
    /// # Errors
    /// As for a plan: a policy that names no secret, two for one.
    pub fn of(ground: Ground<'a, 'p>) -> Result<Self> {
        let holdings = Holdings::of(ground)?;
        let candidates = candidates(ground, &holdings)?;
        Ok(Self { ground, holdings, candidates })
    }

    /// Secrets that this host gets.
    pub fn on(&self, host: &HostName) -> Vec<SecretName> {
        let names = self.holdings.of_host(host, self.ground.bundle);
        names.into_iter().filter(|name| self.is_late(name, Some(host))).collect()
    }

    /// Secrets that no host gets.
    pub fn on_no_host(&self) -> Vec<SecretName> {
        let is_held = |name: &SecretName| !self.holdings.holders(&[name], self.ground.bundle).is_empty();
        let names = self.ground.bundle.secrets().into_iter();
        names.filter(|name| self.is_late(name, None) && !is_held(name)).collect()
    }

    fn is_late(&self, name: &SecretName, host: Option<&HostName>) -> bool {
        let is_its = |candidate: &&PlannedTurn| {
            let is_own = candidate.host.is_some() && candidate.host.as_ref() == host;
            candidate.turn.name == *name || is_own && candidate.turn.name.without_scope() == name.without_scope()
        };
        let policy = self.candidates.iter().find(is_its);
        let metadata = self.ground.bundle.metadata(name);
        let every = policy.and_then(|planned| planned.policy.every).or(metadata.and_then(|known| known.rotate_every));
        every.is_some_and(|every| {
            let age = age(metadata, every, self.ground.now);
            !matches!(age, Age::Young { .. }) && (policy.is_some() || age != Age::Unknown)
        })
    }
}
