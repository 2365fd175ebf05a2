//! Which hosts are enrolled: the host keys pinned for each, the services it may hold, and the identity made for it.

use super::layout::Scope;
use super::opened::Bundle;
use super::record::Enrolment;
use crate::words::{GroupName, HostName, Secret, ServiceName};
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

impl Bundle {
    /// What is remembered of this host; `None` if it was never enrolled.
    pub fn enrolment(&self, host: &HostName) -> Option<&Enrolment> {
        self.record.enrolments.get(host)
    }

    /// Every host that is remembered, by name.
    pub fn enrolments(&self) -> impl Iterator<Item = (&HostName, &Enrolment)> {
        self.record.enrolments.iter()
    }

    /// Adds services that a host may hold, and makes the host's own identity if it has none.
    pub fn enrol_services(
        &mut self,
        host: &HostName,
        services: &BTreeSet<ServiceName>,
        new_identity: impl FnOnce() -> Secret,
    ) {
        if !self.record.enrolments.contains_key(host) {
            self.record.enrolments.insert(host.clone(), Enrolment::default());
            self.is_changed = true;
        }
        if let Some(enrolment) = self.record.enrolments.get_mut(host) {
            self.is_changed |= !services.is_subset(&enrolment.services);
            enrolment.services.extend(services.iter().cloned());
        }
        if !self.host_keys.contains_key(host) {
            self.host_keys.insert(host.clone(), new_identity());
            self.is_changed = true;
        }
    }

    /// Adds groups whose overrides a host may hold. The host has services already.
    pub fn enrol_groups(&mut self, host: &HostName, groups: &BTreeSet<GroupName>) {
        if let Some(enrolment) = self.record.enrolments.get_mut(host) {
            self.is_changed |= !groups.is_subset(&enrolment.groups);
            enrolment.groups.extend(groups.iter().cloned());
        }
    }

    /// Adds places on a host where its secrets may lie. The host has services already.
    pub fn enrol_roots(&mut self, host: &HostName, roots: &BTreeSet<String>) {
        if let Some(enrolment) = self.record.enrolments.get_mut(host) {
            self.is_changed |= !roots.is_subset(&enrolment.roots);
            enrolment.roots.extend(roots.iter().cloned());
        }
    }

    /// Does a group have values of its own for a service?
    pub fn overrides(&self, group: &GroupName, service: &ServiceName) -> bool {
        let scope = Scope::Group(group.clone());
        self.env(&scope, service).is_some() || self.files(&scope, service).next().is_some()
    }

    /// Pins the SSH host keys of a host, as OpenSSH writes public keys: `ssh-ed25519 AAAA...`.
    pub fn pin(&mut self, host: &HostName, host_keys: Vec<String>, now: DateTime<Utc>) {
        let enrolment = self.record.enrolments.entry(host.clone()).or_default();
        if enrolment.host_keys != host_keys {
            *enrolment = pinned(std::mem::take(enrolment), host_keys, now);
            self.is_changed = true;
        }
    }

    /// What `setup` puts on the host as `vault-password`: an age identity file.
    pub fn host_identity(&self, host: &HostName) -> Option<Secret> {
        self.host_keys.get(host).cloned()
    }
}

/// The enrolment with these host keys; the time is that of the last change.
pub(super) fn pinned(before: Enrolment, host_keys: Vec<String>, now: DateTime<Utc>) -> Enrolment {
    let enrolled = if before.host_keys == host_keys { before.enrolled } else { Some(now) };
    Enrolment { host_keys, enrolled, ..before }
}

#[cfg(test)]
mod tests {
    use super::super::archive::Entries;
    use super::super::opened::new_identity;
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(seconds, 0).unwrap()
    }

    #[test]
    fn enrolling_twice_changes_nothing() {
        let mut bundle = Bundle::from_entries(Entries::new(), &mut |_| ()).unwrap();
        let host: HostName = "h".parse().unwrap();
        let services = BTreeSet::from(["a".parse().unwrap()]);
        bundle.enrol_services(&host, &services, new_identity);
        bundle.pin(&host, vec!["ssh-ed25519 AAAA".to_owned()], at(7));
        assert!(bundle.is_changed());
        bundle.saved(1);
        bundle.enrol_services(&host, &services, || unreachable!("it has one"));
        bundle.pin(&host, vec!["ssh-ed25519 AAAA".to_owned()], at(8));
        assert!(!bundle.is_changed());
        let enrolment = bundle.enrolment(&host).unwrap();
        assert_eq!((enrolment.enrolled, &enrolment.services), (Some(at(7)), &services));
        assert!(bundle.host_identity(&host).unwrap().expose().starts_with(b"AGE-SECRET-KEY-1"));
        let again = Bundle::from_entries(bundle.entries(2).unwrap(), &mut |_| ()).unwrap();
        assert_eq!(again.enrolment(&host), Some(enrolment));
    }
}
