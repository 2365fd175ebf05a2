//! What the bundle allows: a host gets secrets only if it was enrolled, and only of services that it was enrolled for. Whoever can
//! change the inventory or a playbook, but cannot open the bundle, cannot draw a secret to another host.

use super::DesiredSet;
use crate::bundle::Bundle;
use crate::inventory::{Connection, Host};
use crate::words::{Failure, GroupName, Phase, ServiceName};
use std::collections::BTreeSet;

/// Stands among the pinned keys for `connection = "local"`, which has no host key: a change of `connection` is a change of host.
pub const LOCAL: &str = "local";

/// The keys pinned for this host, if it may have these sets.
///
/// # Errors
/// A `Failure` in phase enrolment that names the command which would enrol it.
pub fn admit(bundle: &Bundle, host: &Host, sets: &[DesiredSet]) -> Result<Vec<String>, Failure> {
    let setup = || format!("look at what the playbooks give it, then: distribute setup --hosts {}", host.name);
    let refused = |message: String| Err(Failure::new(Phase::Enrolment, message).hint(setup()));
    let Some(enrolment) = bundle.enrolment(&host.name).filter(|enrolment| !enrolment.host_keys.is_empty()) else {
        return refused("this host was never set up, so nothing was sent to it".to_owned());
    };
    let is_local = enrolment.host_keys.iter().any(|key| key == LOCAL);
    if is_local != (host.endpoint.connection == Connection::Local) {
        let was = if is_local { "local" } else { "ssh" };
        return refused(format!("this host was set up with connection = \"{was}\", so nothing was sent to it"));
    }
    let wanted = wanted(sets);
    let strange: Vec<&str> = wanted.difference(&enrolment.services).map(ServiceName::as_str).collect();
    if !strange.is_empty() {
        return refused(format!("this host was never set up for {}, so nothing was sent to it", strange.join(", ")));
    }
    let groups = override_groups(bundle, host, sets);
    let strange: Vec<&str> = groups.difference(&enrolment.groups).map(GroupName::as_str).collect();
    if !strange.is_empty() {
        return refused(format!(
            "this host was never set up with the values of group {}, so nothing was sent to it",
            strange.join(", ")
        ));
    }
    let roots = roots(sets);
    let strange: Vec<&str> = roots.difference(&enrolment.roots).map(String::as_str).collect();
    if !strange.is_empty() {
        return refused(format!(
            "this host was never set up with secrets in {}, so nothing was sent to it",
            strange.join(", ")
        ));
    }
    Ok(enrolment.host_keys.clone())
}

/// Where on the host these sets lie.
pub fn roots(sets: &[DesiredSet]) -> BTreeSet<String> {
    sets.iter().map(|set| set.root.as_str().to_owned()).collect()
}

/// The bundle's services that these sets are made of.
pub fn wanted(sets: &[DesiredSet]) -> BTreeSet<ServiceName> {
    sets.iter().flat_map(DesiredSet::sources).collect()
}

/// The host's groups that have values of their own for what it gets.
pub fn override_groups(bundle: &Bundle, host: &Host, sets: &[DesiredSet]) -> BTreeSet<GroupName> {
    let wanted = wanted(sets);
    let has_values = |group: &&GroupName| wanted.iter().any(|service| bundle.overrides(group, service));
    host.groups.iter().filter(has_values).cloned().collect()
}
