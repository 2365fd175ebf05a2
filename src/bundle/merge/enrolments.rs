//! What is remembered of each host after a merge. Its host keys and its own identity belong together and are of one side; services,
//! roots and groups are merged one by one.

use super::conflict::Side;
use super::sides::{Sides, Three, merged_set};
use crate::bundle::opened::Bundle;
use crate::bundle::recipient::Recipient;
use crate::bundle::record::Enrolment;
use crate::words::{HostName, Secret};

/// What proves a host to be who it is, and what opens what is sealed for it.
#[derive(PartialEq)]
struct Pin<'a> {
    host_keys: &'a [String],
    identity: Option<&'a Secret>,
}

pub fn merge(sides: &mut Sides, bundle: &mut Bundle) {
    bundle.record.enrolments.clear();
    let mut hosts = sides.keys(|one| Some(&one.record.enrolments));
    hosts.extend(sides.keys(|one| Some(&one.host_keys)));
    for host in hosts {
        let three = sides.three(|one| one.record.enrolments.get(&host));
        let (side, enrolment) = match (three.ours, three.theirs) {
            (Some(ours), Some(theirs)) if sides.base.is_some() => of_both(sides, &host, three.base, ours, theirs),
            _ => of_one(sides, &host, three),
        };
        let identities = sides.three(|one| one.host_keys.get(&host));
        bundle.record.enrolments.extend(enrolment.map(|enrolment| (host.clone(), enrolment)));
        bundle.host_keys.extend(identities.of(side).map(|identity| (host, identity.clone())));
    }
}

/// One side took the host out, or only one has it, or nobody knows what was before.
fn of_one(sides: &mut Sides, host: &HostName, three: Three<Enrolment>) -> (Side, Option<Enrolment>) {
    let identities = sides.three(|one| one.host_keys.get(host));
    let of = |enrolment: Option<&Enrolment>, identity: Option<&Secret>| (enrolment.cloned(), identity.cloned());
    let whole = [of(three.base, identities.base), of(three.ours, identities.ours), of(three.theirs, identities.theirs)];
    let is_there = |one: &&(Option<Enrolment>, Option<Secret>)| one.0.is_some() || one.1.is_some();
    let [base, ours, theirs] = whole.each_ref().map(|one| Some(one).filter(is_there));
    let shown = |one: &(Option<Enrolment>, Option<Secret>)| keys(one.0.as_ref().map_or(&[], |one| &one.host_keys));
    let side = sides.side(|| title(host), Three { base, ours, theirs }, shown);
    (side, three.of(side).cloned())
}

fn of_both<'p>(
    sides: &mut Sides<'p>,
    host: &HostName,
    base: Option<&'p Enrolment>,
    ours: &'p Enrolment,
    theirs: &'p Enrolment,
) -> (Side, Option<Enrolment>) {
    let identities = sides.three(|one| one.host_keys.get(host));
    let pin = |one: &'p Enrolment, identity| Pin { host_keys: &one.host_keys, identity };
    let pins = [
        base.map(|base| pin(base, identities.base)),
        Some(pin(ours, identities.ours)),
        Some(pin(theirs, identities.theirs)),
    ];
    let [b, o, t] = pins.each_ref().map(Option::as_ref);
    let side = sides.side(|| title(host), Three { base: b, ours: o, theirs: t }, |pin| keys(pin.host_keys));
    let nothing = Enrolment::default();
    let (base, of_side) = (base.unwrap_or(&nothing), if side == Side::Ours { ours } else { theirs });
    let is_pinned_alike = ours.host_keys == theirs.host_keys;
    let enrolled = if is_pinned_alike { ours.enrolled.max(theirs.enrolled) } else { of_side.enrolled };
    let merged = Enrolment {
        host_keys: of_side.host_keys.clone(),
        services: merged_set(&base.services, &ours.services, &theirs.services),
        roots: merged_set(&base.roots, &ours.roots, &theirs.roots),
        groups: merged_set(&base.groups, &ours.groups, &theirs.groups),
        enrolled,
    };
    (side, Some(merged))
}

fn title(host: &HostName) -> String {
    format!("enrolment {host}")
}

/// As ssh-keygen shows them.
pub fn keys(host_keys: &[String]) -> String {
    let word = |key: &String| Recipient { label: None, key: key.clone(), added: None }.word();
    match host_keys.is_empty() {
        true => "no host key pinned".to_owned(),
        false => host_keys.iter().map(word).collect::<Vec<_>>().join(", "),
    }
}
