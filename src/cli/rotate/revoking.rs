//! Old values whose time is over: revoked only when every host that had one has the new one.

use super::programs::Programs;
use super::saga::Saga;
use crate::bundle::{Revocation, SecretName};
use crate::engine::Intent;
use crate::plan::Change;
use crate::plan::rotation::{OldValue, PlannedTurn, RotationPlan};
use crate::report::{FileReport, HostReport, LaterRevocation};
use crate::words::{HostName, Result};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

impl<'p> Saga<'p> {
    /// Secrets with an old value whose overlap is over; if it is urgent, also those that are to be rotated.
    pub(super) fn due_revocations(&self, now: DateTime<Utc>, is_urgent: bool) -> Vec<SecretName> {
        let is_planned = |secret: &SecretName| self.turns.iter().any(|planned| planned.turn.name == *secret);
        let is_due = |revocation: &&Revocation| revocation.after <= now || is_urgent && is_planned(&revocation.secret);
        self.sources.bundle.revocations().iter().filter(is_due).map(|due| due.secret.clone()).collect()
    }

    /// With `--check`: those that stay accepted for now.
    pub(super) fn tell_young_revocations(&mut self, is_urgent: bool) {
        let due = self.due_revocations(self.moment.now, is_urgent);
        let young = self.sources.bundle.revocations().iter().filter(|revocation| !due.contains(&revocation.secret));
        self.told.revoke_later = young.map(|revocation| LaterRevocation::new(revocation, None)).collect();
    }

    /// Revokes what is due, and notes what is not and why. With `--hosts` only where no other host had the old value.
    pub(super) fn revoke_due(&mut self, now: DateTime<Utc>, is_urgent: bool) -> Result<()> {
        let (due, limit) = (self.due_revocations(now, is_urgent), self.limit());
        let is_meant = |old: &OldValue| {
            let is_within = limit.as_ref().is_none_or(|limit| old.holders.iter().all(|host| limit.contains(host)));
            is_within && due.contains(&old.revocation.secret)
        };
        let (due, later): (Vec<_>, Vec<_>) = RotationPlan::revocations(self.ground())?.into_iter().partition(is_meant);
        self.told.revoke_later = later.iter().map(|old| LaterRevocation::new(&old.revocation, None)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let reports = self.look(&due)?;
        let mut bundle = self.sources.bundle.clone();
        for old in &due {
            match self.revoke_one(old, &reports)? {
                None => {
                    bundle.revoked(&old.revocation.secret);
                    self.told.revoked.push(old.revocation.secret.to_string());
                }
                Some(why) => self.told.revoke_later.push(LaterRevocation::new(&old.revocation, Some(why))),
            }
        }
        self.save(bundle)
    }

    /// The hosts that had one of them, as they are now.
    fn look(&self, due: &[OldValue]) -> Result<Vec<HostReport>> {
        let holders: BTreeSet<&HostName> = due.iter().flat_map(|old| &old.holders).collect();
        let hosts = self.sources.inventory.hosts().iter().map(|host| &host.name).filter(|name| holders.contains(name));
        let hosts: Vec<HostName> = hosts.cloned().collect();
        if hosts.is_empty() { Ok(Vec::new()) } else { Ok(self.visit(&hosts, Intent::Look, false)?.hosts) }
    }

    /// Gives why it was not done.
    fn revoke_one(&mut self, old: &OldValue<'p>, reports: &[HostReport]) -> Result<Option<String>> {
        let Some(planned) = &old.planned else {
            let why = "no policy with a step `revoke` names it any more: put that back; or revoke it by hand, and then \
                       have it forgotten: distribute rotate --revoke --yes";
            return Ok((!self.shared.yes).then(|| why.to_owned()));
        };
        if self.sources.interrupt.has_come() {
            return Ok(Some("interrupted".to_owned()));
        }
        if self.sources.store().refuse_changed().is_err() {
            return Ok(Some("secrets.age changed on disk while this rotation was at work".to_owned()));
        }
        if let Some(host) = old.users.first() {
            return Ok(Some(format!("it is the value that {host} has: distribute rotate --hosts {host}")));
        }
        if let Some(host) = old.holders.iter().find(|host| !has_new(host, planned, reports)) {
            return Ok(Some(format!("{host} may still use it: distribute deploy --hosts {host}")));
        }
        let (bundle, revocation) = (&self.sources.bundle, &old.revocation);
        let programs = Programs::find([planned], &self.playbook.directory)?;
        let old_public = revocation.public.as_ref().and_then(|public| bundle.revoking(public));
        let new_public = revocation.public.as_ref().and_then(|public| bundle.value(public));
        let old = (bundle.revoking(&revocation.secret), old_public);
        let new = (bundle.value(&revocation.secret), new_public);
        let answer = self.call_with(&programs, planned, "revoke", &revocation.run, old, new);
        let trouble = answer.and_then(Result::err);
        self.told.is_stuck |= trouble.is_some();
        Ok(trouble.map(|trouble| trouble.message))
    }
}

/// Has this host the value that replaced it? Only its own word counts.
fn has_new(host: &HostName, planned: &PlannedTurn, reports: &[HostReport]) -> bool {
    let Some(report) = reports.iter().find(|report| report.host == *host) else { return false };
    let is_old = |file: &FileReport| {
        file.service.as_ref().is_some_and(|service| planned.services.contains(service))
            && matches!(file.change, Change::Added | Change::Changed)
    };
    report.error.is_none() && !report.files.is_empty() && !report.files.iter().any(is_old)
}
