//! `Age`: how it stands with the age of a value, and which values are older than they may become.

use super::Ground;
use super::candidates::candidates;
use super::holdings::Holdings;
use crate::bundle::{Metadata, SecretName};
use crate::inventory::Host;
use crate::words::{Period, Result};
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

/// Secrets that this host gets and that are older than a policy, or the bundle, lets them become.
///
/// # Errors
/// As for a plan: a policy that names no secret, two for one.
pub fn overdue(ground: Ground, host: &Host) -> Result<Vec<SecretName>> {
    let holdings = Holdings::of(ground)?;
    let candidates = candidates(ground, &holdings)?;
    let is_late = |name: &SecretName| {
        let policy = candidates.iter().find(|candidate| {
            candidate.turn.name == *name
                || candidate.host.as_ref() == Some(&host.name)
                    && candidate.turn.name.without_scope() == name.without_scope()
        });
        let metadata = ground.bundle.metadata(name);
        let every = policy.and_then(|planned| planned.policy.every).or(metadata.and_then(|known| known.rotate_every));
        every.is_some_and(|every| {
            let age = age(metadata, every, ground.now);
            !matches!(age, Age::Young { .. }) && (policy.is_some() || age != Age::Unknown)
        })
    };
    Ok(holdings.of_host(&host.name, ground.bundle).into_iter().filter(is_late).collect())
}
