//! Old values whose time is over: revoked only when every host has the new one.

use super::programs::Programs;
use super::saga::Saga;
use crate::bundle::Revocation;
use crate::engine::Intent;
use crate::plan::Change;
use crate::plan::rotation::{PlannedTurn, RotationPlan};
use crate::report::{HostReport, LaterRevocation};
use crate::words::{HostName, Result};
use chrono::Utc;
use std::collections::BTreeSet;

impl<'p> Saga<'p> {
    /// Those whose overlap is over, or all; with `--hosts` the command below asks the hosts itself.
    pub(super) fn due_revocations(&self, is_urgent: bool) -> impl Iterator<Item = &Revocation> {
        let now = Utc::now();
        self.sources.bundle.revocations().iter().filter(move |revocation| is_urgent || revocation.after <= now)
    }

    /// Revokes what is due, and notes what is not and why.
    pub(super) fn revoke_due(&mut self, is_urgent: bool) -> Result<()> {
        let all = RotationPlan::revocations(self.ground())?;
        let due: BTreeSet<_> = self.due_revocations(is_urgent).map(|revocation| revocation.secret.clone()).collect();
        let (due, young): (Vec<_>, Vec<_>) =
            all.into_iter().partition(|(revocation, _)| due.contains(&revocation.secret));
        self.told.revoke_later = young.iter().map(|(revocation, _)| later(revocation, None)).collect();
        if due.is_empty() {
            return Ok(());
        }
        let reports = self.look(&due)?;
        let mut bundle = self.sources.bundle.clone();
        for (revocation, planned) in &due {
            match self.revoke_one(revocation, planned.as_ref(), &reports)? {
                None => {
                    bundle.revoked(&revocation.secret);
                    self.told.revoked.push(revocation.secret.to_string());
                }
                Some(why) => self.told.revoke_later.push(later(revocation, Some(why))),
            }
        }
        self.save(bundle)
    }

    /// The hosts that hold one of them, as they are now.
    fn look(&self, due: &[(Revocation, Option<PlannedTurn>)]) -> Result<Vec<HostReport>> {
        let holders: BTreeSet<&HostName> =
            due.iter().filter_map(|(_, planned)| planned.as_ref()).flat_map(|planned| &planned.holders).collect();
        let may = |host: &&HostName| self.shared.hosts.is_none() || self.sources.hosts.contains(host);
        let hosts = self.sources.inventory.hosts().iter().map(|host| &host.name).filter(|name| holders.contains(name));
        let hosts: Vec<HostName> = hosts.filter(may).cloned().collect();
        if hosts.is_empty() { Ok(Vec::new()) } else { Ok(self.visit(&hosts, Intent::Look, false)?.hosts) }
    }

    /// Gives why it was not done.
    fn revoke_one(
        &self,
        revocation: &Revocation,
        planned: Option<&PlannedTurn<'p>>,
        reports: &[HostReport],
    ) -> Result<Option<String>> {
        let Some(planned) = planned else {
            return Ok(Some("no policy with a step `revoke` names it any more".to_owned()));
        };
        if self.sources.interrupt.has_come() {
            return Ok(Some("interrupted".to_owned()));
        }
        if let Some(host) = planned.holders.iter().find(|host| !has_new(host, planned, reports)) {
            return Ok(Some(format!("{host} may still use it: distribute deploy --hosts {host}")));
        }
        let programs = Programs::find([planned], &self.playbook.directory)?;
        let bundle = &self.sources.bundle;
        let of = |public: &Option<_>| public.as_ref().and_then(|public| bundle.value(public));
        let old_public = revocation.public.as_ref().and_then(|public| bundle.revoking(public));
        let old = (bundle.revoking(&revocation.secret), old_public);
        let new = (bundle.value(&revocation.secret), of(&revocation.public));
        let answer = self.call_with(&programs, planned, "revoke", &revocation.run, old, new);
        Ok(answer.and_then(Result::err).map(|trouble| trouble.message))
    }
}

/// Has this host the value that replaced it? Only its own word counts.
fn has_new(host: &HostName, planned: &PlannedTurn, reports: &[HostReport]) -> bool {
    let Some(report) = reports.iter().find(|report| report.host == *host) else { return false };
    let is_old = |file: &crate::report::FileReport| {
        file.service.as_ref().is_some_and(|service| planned.services.contains(service))
            && matches!(file.change, Change::Added | Change::Changed)
    };
    report.error.is_none() && !report.files.is_empty() && !report.files.iter().any(is_old)
}

fn later(revocation: &Revocation, why: Option<String>) -> LaterRevocation {
    LaterRevocation { secret: revocation.secret.to_string(), after: revocation.after, why }
}
