//! `Selection`: what somebody asked to have rotated: what is due, or what he named.

use super::age::{Age, age};
use super::candidates::{matches, no_such_secret};
use super::{Ground, PlannedTurn, SkippedSecret, shown};
use crate::bundle::{Exposure, Scope, SecretName};
use crate::plan::entitlement::entitlements;
use crate::playbook::SecretGlob;
use crate::words::{Error, HostName, Period, Result, ServiceName, nearest};
use std::collections::BTreeSet;

/// Nothing of it: what is due.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    pub secrets: Vec<SecretGlob>,
    pub services: Vec<ServiceName>,
    pub all: bool,
    pub leaks: Vec<Leak>,
}

/// Who may have read secrets that he should not have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Leak {
    Host(HostName),
    /// Somebody who can open the bundle.
    Recipient(String),
    /// Somebody who could open it, and what of it is as it was then.
    Former(String, Vec<SecretName>),
}

/// What was chosen of the candidates, each with the reason.
pub(super) struct Chosen<'a> {
    pub turns: Vec<(PlannedTurn<'a>, String)>,
    pub without_policy: Vec<SkippedSecret>,
    pub from_the_future: Vec<SkippedSecret>,
    pub next: Option<(SecretName, Period)>,
}

impl Leak {
    /// A host of the inventory or of the bundle, or one of the bundle's recipients.
    pub fn named(text: &str, ground: Ground) -> Result<Self> {
        let enrolled = ground.bundle.enrolments().map(|(host, _)| host);
        let hosts: BTreeSet<&HostName> =
            ground.inventory.hosts().iter().map(|host| &host.name).chain(enrolled).collect();
        if let Some(host) = hosts.iter().find(|host| host.as_str() == text) {
            return Ok(Self::Host((*host).clone()));
        }
        if ground.bundle.recipients().iter().any(|one| one.key == text || one.name() == text) {
            return Ok(Self::Recipient(text.to_owned()));
        }
        let is_former = |one: &&Exposure| one.name == text || one.key.as_deref() == Some(text);
        let former: Vec<&Exposure> = ground.bundle.exposures().iter().filter(is_former).collect();
        if !former.is_empty() {
            let left = former.iter().flat_map(|exposure| ground.bundle.still_exposed(exposure));
            let left: BTreeSet<SecretName> = left.collect();
            return Ok(Self::Former(text.to_owned(), left.into_iter().collect()));
        }
        let error =
            Error::new(format!("`{}` is neither a host nor one who can or could open the bundle", text.escape_debug()));
        Err(match nearest(text, hosts.iter().map(|host| host.as_str())) {
            Some(near) => error.hint(format!("did you mean `{near}`?")),
            None => match ground.bundle.recipients() {
                [] => error
                    .hint("the bundle is sealed with a password: who knows it could read all: distribute rotate --all"),
                some => error.hint(format!(
                    "recipients are {}",
                    some.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
                )),
            },
        })
    }

    /// Everything that he could read.
    fn readable(&self, ground: Ground) -> Vec<SecretName> {
        let host = match self {
            Self::Host(host) => host,
            Self::Recipient(_) => return ground.bundle.secrets(),
            Self::Former(_, left) => return left.clone(),
        };
        let known = ground.inventory.host(host);
        let enrolment = ground.bundle.enrolment(host);
        let mut services: BTreeSet<ServiceName> =
            enrolment.map(|enrolment| enrolment.services.clone()).unwrap_or_default();
        if let Some(entitlements) = known.and_then(|host| entitlements(ground.inventory, ground.playbook, host).ok()) {
            services.extend(
                entitlements
                    .iter()
                    .flat_map(|entitlement| &entitlement.services)
                    .flat_map(|e| e.sources.iter().cloned()),
            );
        }
        let groups = match known {
            Some(host) => host.groups.clone(),
            None => enrolment.map(|enrolment| enrolment.groups.iter().cloned().collect()).unwrap_or_default(),
        };
        let has = |name: &SecretName| {
            services.contains(&name.service) && ground.bundle.effective(name, host, &groups).as_ref() == Some(name)
        };
        ground.bundle.secrets().into_iter().filter(has).collect()
    }

    fn reason(&self) -> String {
        match self {
            Self::Host(host) => format!("{host} could read it"),
            Self::Recipient(name) | Self::Former(name, _) => format!("{name} could read it"),
        }
    }
}

impl Selection {
    /// Was nothing named? Then it is for what is due.
    pub fn is_due(&self) -> bool {
        self.secrets.is_empty() && self.services.is_empty() && self.leaks.is_empty() && !self.all
    }

    /// Were secrets named, one by one or by their services?
    pub fn is_named(&self) -> bool {
        !self.secrets.is_empty() || !self.services.is_empty()
    }

    /// Is somebody reading along? Then no old value stays valid for a while.
    pub fn is_urgent(&self) -> bool {
        !self.leaks.is_empty()
    }

    pub(super) fn choose<'a>(&self, ground: Ground, candidates: &[PlannedTurn<'a>]) -> Result<Chosen<'a>> {
        if self.is_due() {
            return Ok(due(ground, candidates));
        }
        self.refuse_unknown(ground, candidates)?;
        let leaked: Vec<(SecretName, String)> = self
            .leaks
            .iter()
            .flat_map(|leak| leak.readable(ground).into_iter().map(|name| (name, leak.reason())))
            .collect();
        let turns = candidates
            .iter()
            .filter_map(|candidate| Some((candidate.clone(), self.reason(ground, candidate, &leaked)?)));
        let turns: Vec<_> = turns.collect();
        let without_policy = self.without_policy(ground, candidates, &leaked);
        Ok(Chosen { turns, without_policy, from_the_future: Vec::new(), next: None })
    }

    fn reason(&self, ground: Ground, candidate: &PlannedTurn, leaked: &[(SecretName, String)]) -> Option<String> {
        let name = &candidate.turn.name;
        if self.all || self.names(name) {
            return Some("named".to_owned());
        }
        // A host that has no value of its own yet has the common one, which others could read.
        let is_meant = |other: &SecretName| {
            other == name
                || candidate.turn.public.as_ref() == Some(other)
                || candidate.host.is_some()
                    && other.without_scope() == name.without_scope()
                    && ground.bundle.value(other) == candidate.old.as_ref()
        };
        leaked.iter().find(|(other, _)| is_meant(other)).map(|(_, reason)| reason.clone())
    }

    pub(super) fn names(&self, name: &SecretName) -> bool {
        self.services.contains(&name.service) || self.secrets.iter().any(|glob| matches(glob, name))
    }

    /// What is meant and belongs to no policy must be changed by hand.
    fn without_policy(
        &self,
        ground: Ground,
        candidates: &[PlannedTurn],
        leaked: &[(SecretName, String)],
    ) -> Vec<SkippedSecret> {
        let has_policy = |name: &SecretName| candidates.iter().any(|candidate| covers(candidate, name));
        let is_meant = |name: &SecretName| self.names(name) || leaked.iter().any(|(other, _)| other == name);
        let names = ground.bundle.secrets().into_iter().filter(|name| is_meant(name) && !has_policy(name));
        names.map(|name| without_policy(name, "no", self.is_urgent())).collect()
    }

    fn refuse_unknown(&self, ground: Ground, candidates: &[PlannedTurn]) -> Result<()> {
        let services = ground.bundle.services();
        if let Some(unknown) = self.services.iter().find(|service| !services.contains(service)) {
            let error = Error::new(format!("the bundle has no service `{unknown}`"));
            return Err(match nearest(unknown.as_str(), services.iter().map(ServiceName::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint("`distribute bundle list` shows what there is"),
            });
        }
        for service in &self.services {
            if !candidates.iter().any(|candidate| candidate.turn.name.service == *service) {
                return Err(Error::new(format!("no policy rotates anything of service `{service}`")).hint(
                    "add a [[rotate]] table in playbooks/, or change its secrets by hand: distribute bundle set",
                ));
            }
        }
        for glob in &self.secrets {
            if candidates.iter().any(|candidate| matches(glob, &candidate.turn.name)) {
                continue;
            }
            if !ground.bundle.secrets().iter().any(|name| matches(glob, name)) {
                return Err(no_such_secret(glob, ground.bundle));
            }
            return Err(Error::new(format!("no policy rotates `{glob}`"))
                .hint("add it to a [[rotate]] table in playbooks/: secrets, generate and, where a provider knows it, steps")
                .hint(format!("or change it by hand: distribute bundle set {glob}, then distribute deploy")));
        }
        Ok(())
    }
}

/// Is the policy of this candidate also for that secret: itself, its public half, or the value that a host's own takes the place of?
fn covers(candidate: &PlannedTurn, name: &SecretName) -> bool {
    candidate.turn.name == *name
        || candidate.turn.public.as_ref() == Some(name)
        || candidate.host.is_some() && candidate.turn.name.without_scope() == name.without_scope()
}

fn due<'a>(ground: Ground, candidates: &[PlannedTurn<'a>]) -> Chosen<'a> {
    let mut chosen = Chosen { turns: Vec::new(), without_policy: Vec::new(), from_the_future: Vec::new(), next: None };
    for candidate in candidates {
        let name = &candidate.turn.name;
        let metadata =
            ground.bundle.metadata(name).or_else(|| ground.bundle.metadata(&name.clone().within(Scope::Common)));
        let Some(every) = candidate.policy.every.or(metadata.and_then(|known| known.rotate_every)) else { continue };
        let why = match age(metadata, every, ground.now) {
            Age::Young { left } => {
                if chosen.next.as_ref().is_none_or(|(_, soonest)| left < *soonest) {
                    chosen.next = Some((name.clone(), left));
                }
                continue;
            }
            Age::Due { old, every } => format!("{old} old, every {every}"),
            Age::Unknown => format!("of unknown age, every {every}"),
            Age::Future(since) => {
                chosen.from_the_future.push(SkippedSecret {
                    name: name.clone(),
                    why: format!("its value is from {}, which lies in the future: is the clock right?", shown(since)),
                    command: Some(format!("distribute rotate --secret {name}")),
                    is_missed: true,
                });
                continue;
            }
        };
        chosen.turns.push((candidate.clone(), why));
    }
    chosen.without_policy = late_without_policy(ground, candidates);
    chosen
}

/// Secrets that the bundle says are too old, and that no policy can renew.
fn late_without_policy(ground: Ground, candidates: &[PlannedTurn]) -> Vec<SkippedSecret> {
    let is_late = |name: &SecretName| {
        let metadata = ground.bundle.metadata(name);
        let every = metadata.and_then(|known| known.rotate_every);
        every.is_some_and(|every| matches!(age(metadata, every, ground.now), Age::Due { .. }))
    };
    let has_policy = |name: &SecretName| candidates.iter().any(|candidate| covers(candidate, name));
    let late = ground.bundle.secrets().into_iter().filter(|name| is_late(name) && !has_policy(name));
    late.map(|name| without_policy(name, "it is overdue, and no", false)).collect()
}

fn without_policy(name: SecretName, no: &str, is_missed: bool) -> SkippedSecret {
    let why = format!("{no} [[rotate]] policy names it: change it where it comes from, then `distribute bundle set`");
    SkippedSecret { name, why, command: None, is_missed }
}
