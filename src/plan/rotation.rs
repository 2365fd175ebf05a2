//! `RotationPlan`: which secrets get new values, why, and which hosts hold them; made from policies, bundle and clock alone. Whoever is
//! asked for a few hosts never splits a secret that others share.

mod age;
mod candidates;
mod holdings;
mod selection;
#[cfg(test)]
mod tests;

use crate::bundle::{Bundle, Revocation, SecretName, Turn};
use crate::inventory::Inventory;
use crate::playbook::{Maker, Playbook, RotationPolicy, ValueScope};
use crate::words::{Error, HostName, Period, Result, RunId, Secret, ServiceName, listed};
use candidates::{candidates, named_by};
use chrono::{DateTime, Utc};
use holdings::Holdings;
use std::collections::BTreeSet;

pub use age::Overdue;
pub use selection::{Leak, Selection};

/// What will be rotated, in the order of the policies, and what will not although somebody might expect it.
#[derive(Debug)]
pub struct RotationPlan<'a> {
    pub turns: Vec<PlannedTurn<'a>>,
    pub skipped: Vec<SkippedSecret>,
    /// What is due next, and in how long.
    pub next: Option<(SecretName, Period)>,
}

/// A secret that gets a new value.
#[derive(Clone, Debug)]
pub struct PlannedTurn<'a> {
    pub turn: Turn,
    pub policy: &'a RotationPolicy,
    /// Of a secret that each host has its own of.
    pub host: Option<HostName>,
    pub old: Option<Secret>,
    pub old_public: Option<Secret>,
    /// Such as `91d old, every 90d`.
    pub why: String,
    /// Enrolled hosts that get it, in inventory order.
    pub holders: Vec<HostName>,
    /// Services of the playbook whose files hold it.
    pub services: BTreeSet<ServiceName>,
    /// Those of them that act when it changes.
    pub acting: Vec<ServiceName>,
}

/// A secret that was meant and is left as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SkippedSecret {
    pub name: SecretName,
    pub why: String,
    /// What would rotate it.
    pub command: Option<String>,
    /// Should it have been rotated? Then the run has not done all that it was asked for.
    pub is_missed: bool,
}

/// What a plan is made from.
#[derive(Clone, Copy)]
pub struct Ground<'a, 'p> {
    pub inventory: &'a Inventory,
    /// Plans point to its policies.
    pub playbook: &'p Playbook,
    pub bundle: &'a Bundle,
    pub now: DateTime<Utc>,
}

/// An old value that a provider still accepts.
#[derive(Clone, Debug)]
pub struct OldValue<'p> {
    pub revocation: Revocation,
    /// `None` if no policy says any more how to revoke it.
    pub planned: Option<PlannedTurn<'p>>,
    /// Hosts that had it: each must have the new value first.
    pub holders: Vec<HostName>,
    /// Hosts that are still to have it: it is the value that the bundle has for them.
    pub users: Vec<HostName>,
}

impl<'p> RotationPlan<'p> {
    /// The plan for what was selected; with `limit` only for what no host but these holds.
    ///
    /// # Errors
    /// A policy that names no secret, two for one, one that contradicts the bundle; a selection that names nothing.
    pub fn new(ground: Ground<'_, 'p>, selection: &Selection, limit: Option<&BTreeSet<HostName>>) -> Result<Self> {
        let holdings = Holdings::of(ground)?;
        let candidates = candidates(ground, &holdings)?;
        let chosen = selection.choose(ground, &candidates)?;
        let mut plan = Self { turns: Vec::new(), skipped: chosen.without_policy, next: chosen.next };
        for (candidate, why) in chosen.turns {
            match candidate.obstacle(ground, selection, limit) {
                Obstacle::None => plan.turns.push(PlannedTurn { why, ..candidate }),
                Obstacle::Elsewhere => {}
                Obstacle::Told(skipped) => plan.skipped.push(*skipped),
            }
        }
        plan.skipped.extend(chosen.from_the_future);
        plan.skipped.extend(homeless(ground, &candidates, selection)?);
        Ok(plan)
    }

    /// Of these alone.
    pub fn of(turns: Vec<PlannedTurn<'p>>) -> Self {
        Self { turns, skipped: Vec::new(), next: None }
    }

    /// The plan of the rotation that is under way, with the policies as they are now.
    ///
    /// # Errors
    /// A secret of it has no policy any more, or not the same scope.
    pub fn resumed(ground: Ground<'_, 'p>) -> Result<Self> {
        let holdings = Holdings::of(ground)?;
        let candidates = candidates(ground, &holdings)?;
        let mut turns = Vec::new();
        for turn in ground.bundle.rotation().map_or(&[][..], |rotation| &rotation.secrets) {
            let found = candidates.iter().find(|candidate| candidate.turn.name == turn.name);
            let found = found.ok_or_else(|| {
                Error::new(format!("{} is being rotated, but no policy in the playbooks names it any more", turn.name))
                    .hint("its steps are needed to finish and to undo: put the [[rotate]] table back (git log -p playbooks/)")
            })?;
            let why = "its rotation is under way".to_owned();
            turns.push(PlannedTurn { turn: turn.clone(), why, ..found.clone() });
        }
        Ok(Self::of(turns))
    }

    /// What is still to be revoked, each with the policy that says how, if there is one.
    ///
    /// # Errors
    /// As for a plan.
    pub fn revocations(ground: Ground<'_, 'p>) -> Result<Vec<OldValue<'p>>> {
        if ground.bundle.revocations().is_empty() {
            return Ok(Vec::new());
        }
        let holdings = Holdings::of(ground)?;
        let candidates = candidates(ground, &holdings)?;
        let policy = |revocation: &Revocation| {
            let found = candidates.iter().find(|candidate| candidate.turn.name == revocation.secret);
            found.filter(|candidate| candidate.policy.steps.revoke.is_some()).cloned()
        };
        let old_value = |revocation: &Revocation| OldValue {
            users: holdings.users(&revocation.secret, ground.bundle.revoking(&revocation.secret), ground.bundle),
            holders: holders_before(revocation, &holdings, ground.bundle),
            planned: policy(revocation),
            revocation: revocation.clone(),
        };
        Ok(ground.bundle.revocations().iter().map(old_value).collect())
    }

    /// The hosts that any of these secrets is on, in inventory order.
    pub fn hosts(&self, inventory: &Inventory) -> Vec<HostName> {
        let holders: BTreeSet<&HostName> = self.turns.iter().flat_map(|turn| &turn.holders).collect();
        inventory.hosts().iter().map(|host| &host.name).filter(|name| holders.contains(name)).cloned().collect()
    }

    /// The bundle as it would be, with values in the place of those that do not exist yet: of the same form, but no secrets.
    pub fn preview(&self, ground: Ground) -> Bundle {
        let mut preview = ground.bundle.clone();
        for (tag, planned) in self.turns.iter().enumerate() {
            for (half, name) in planned.turn.halves().into_iter().enumerate() {
                if preview.pending(name).is_none() {
                    preview.set_pending(name, planned.placeholder(2 * tag + half));
                }
            }
        }
        preview.rotated(ground.now)
    }
}

impl PlannedTurn<'_> {
    /// What stands for the new value before there is one.
    fn placeholder(&self, tag: usize) -> Secret {
        match self.policy.generate {
            Maker::Generator(generator) => generator.placeholder(tag),
            Maker::Command => Secret::new(format!("{tag:032}")),
        }
    }

    /// Where the bundle keeps what replaces it now; `None` where nothing is to be revoked.
    pub fn revocation(&self, run: &RunId, now: DateTime<Utc>, at_once: bool) -> Option<Revocation> {
        self.policy.steps.revoke.as_ref()?;
        self.old.as_ref()?;
        let overlap = if at_once { 0 } else { self.policy.overlap.as_secs() };
        let after = now + chrono::Duration::seconds(i64::try_from(overlap).unwrap_or(i64::MAX / 1000).min(1 << 40));
        Some(Revocation { secret: self.turn.name.clone(), public: self.turn.public.clone(), run: run.clone(), after })
    }

    fn obstacle(&self, ground: Ground, selection: &Selection, limit: Option<&BTreeSet<HostName>>) -> Obstacle {
        let name = &self.turn.name;
        let command = format!("distribute rotate --secret {name}");
        let told = |why: String, command| {
            let is_missed = selection.is_urgent() || selection.is_named();
            Obstacle::Told(Box::new(SkippedSecret { name: name.clone(), why, command, is_missed }))
        };
        if let Some(limit) = limit {
            let others: Vec<&str> =
                self.holders.iter().filter(|host| !limit.contains(*host)).map(HostName::as_str).collect();
            match (others.len(), self.holders.len()) {
                (0, 0) => return Obstacle::Elsewhere,
                (some, all) if some == all => return Obstacle::Elsewhere,
                (0, _) => {}
                _ => return told(format!("{} would keep the old value: it is shared", listed(&others)), Some(command)),
            }
        }
        let outstanding = ground.bundle.revocations().iter().find(|revocation| revocation.secret == *name);
        match outstanding {
            Some(revocation) => told(
                format!("the value before this one is accepted until {}: that ends first", shown(revocation.after)),
                None,
            ),
            None => Obstacle::None,
        }
    }
}

enum Obstacle {
    None,
    /// It is none of the hosts that were asked for.
    Elsewhere,
    Told(Box<SkippedSecret>),
}

/// A time for messages, by the minute.
pub fn shown(time: DateTime<Utc>) -> String {
    time.format("%Y-%m-%d %H:%M UTC").to_string()
}

/// What each host should have its own of, and no host gets.
fn homeless(ground: Ground, candidates: &[PlannedTurn], selection: &Selection) -> Result<Vec<SkippedSecret>> {
    let mut found = Vec::new();
    let is_homeless = |policy: &&RotationPolicy| {
        policy.scope == ValueScope::Host && !candidates.iter().any(|candidate| candidate.policy.place == policy.place)
    };
    for policy in ground.playbook.rotations.iter().filter(is_homeless) {
        let names = named_by(policy, ground.bundle)?;
        let meant = names.into_iter().filter(|name| selection.all || selection.names(name));
        let why = "each host has its own of it, and no enrolled host gets it";
        found.extend(meant.map(|name| SkippedSecret { name, why: why.to_owned(), command: None, is_missed: false }));
    }
    Ok(found)
}

/// The hosts of all secrets that had this old value: hosts that now have one each may have shared it.
fn holders_before(revocation: &Revocation, holdings: &Holdings, bundle: &Bundle) -> Vec<HostName> {
    let old = bundle.revoking(&revocation.secret);
    let same = bundle.revocations().iter().filter(|other| bundle.revoking(&other.secret) == old);
    let holders: BTreeSet<HostName> = same.flat_map(|other| holdings.holders(&other.halves(), bundle)).collect();
    holders.into_iter().collect()
}
