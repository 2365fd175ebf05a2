//! Rotations after a merge: one under way is of one side, with the values that wait for it; old values that are still to be revoked are
//! merged secret by secret.

use super::conflict::Side;
use super::sides::{Sides, Three};
use crate::bundle::documents::Documents;
use crate::bundle::layout::SecretName;
use crate::bundle::opened::Bundle;
use crate::bundle::rotation::{Revocation, Rotation};
use crate::words::Secret;
use std::collections::{BTreeMap, BTreeSet};

pub fn merge(sides: &mut Sides, bundle: &mut Bundle) {
    under_way(sides, bundle);
    to_revoke(sides, bundle);
}

#[derive(PartialEq)]
struct UnderWay<'a> {
    rotation: Option<&'a Rotation>,
    pending: &'a Documents,
}

fn under_way(sides: &mut Sides, bundle: &mut Bundle) {
    let of = |one| -> UnderWay { under_way_in(one) };
    let (base, ours, theirs) = (sides.base.map(of), of(sides.ours), of(sides.theirs));
    let three = Three { base: base.as_ref(), ours: Some(&ours), theirs: Some(&theirs) };
    let shown = |one: &UnderWay| match one.rotation {
        None => "none".to_owned(),
        Some(rotation) => rotation.run.to_string(),
    };
    let from = match sides.side(|| "rotation".to_owned(), three, shown) {
        Side::Ours => sides.ours,
        Side::Theirs => sides.theirs,
    };
    bundle.record.rotation = from.record.rotation.clone();
    bundle.pending = from.pending.clone();
}

fn under_way_in(bundle: &Bundle) -> UnderWay<'_> {
    UnderWay { rotation: bundle.record.rotation.as_ref(), pending: &bundle.pending }
}

/// What is to be revoked of one secret, with the old values.
type Old<'a> = Vec<(&'a Revocation, Vec<Option<&'a Secret>>)>;

fn to_revoke(sides: &mut Sides, bundle: &mut Bundle) {
    let (base, ours, theirs) = (sides.base.map(by_secret), by_secret(sides.ours), by_secret(sides.theirs));
    let base = base.unwrap_or_default();
    let names: BTreeSet<&SecretName> = base.keys().chain(ours.keys()).chain(theirs.keys()).copied().collect();
    bundle.record.revocations.clear();
    bundle.revoking = Documents::default();
    for name in names {
        let three = Three { base: base.get(name), ours: ours.get(name), theirs: theirs.get(name) };
        let shown = |old: &Old| old.iter().map(|(one, _)| one.run.to_string()).collect::<Vec<_>>().join(", ");
        for (revocation, values) in sides.pick(|| format!("revocation {name}"), three, shown).into_iter().flatten() {
            bundle.record.revocations.push((*revocation).clone());
            for (half, value) in revocation.halves().into_iter().zip(values) {
                value.map(|value| bundle.revoking.set(half, value.clone()));
            }
        }
    }
    bundle.record.revocations.sort_by(|one, other| one.run.cmp(&other.run));
}

fn by_secret(bundle: &Bundle) -> BTreeMap<&SecretName, Old<'_>> {
    let mut all: BTreeMap<&SecretName, Old> = BTreeMap::new();
    for revocation in &bundle.record.revocations {
        let values = revocation.halves().into_iter().map(|half| bundle.revoking.get(half)).collect();
        all.entry(&revocation.secret).or_default().push((revocation, values));
    }
    all
}
