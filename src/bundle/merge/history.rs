//! Earlier values after a merge: those of both sides, as many as are kept of each secret.

use super::sides::Sides;
use crate::bundle::documents::Documents;
use crate::bundle::history::KEPT;
use crate::bundle::layout::SecretName;
use crate::bundle::opened::Bundle;
use crate::words::Secret;
use std::collections::{BTreeMap, BTreeSet};

/// The values of one secret, by the last generation that had each.
type Values<'a> = BTreeMap<u64, &'a Secret>;

/// `lost` are values that were chosen against, as if their side had replaced them.
pub fn merge(sides: &Sides, lost: &[(SecretName, u64, Secret)], bundle: &mut Bundle) {
    let (ours, theirs) = (by_name(sides.ours), by_name(sides.theirs));
    let mut history: BTreeMap<u64, Documents> = BTreeMap::new();
    let names: BTreeSet<&SecretName> =
        ours.keys().chain(theirs.keys()).chain(lost.iter().map(|(name, ..)| name)).collect();
    for name in names {
        let nothing = Values::new();
        let (of_ours, of_theirs) = (ours.get(name).unwrap_or(&nothing), theirs.get(name).unwrap_or(&nothing));
        let mut values = united(of_ours, of_theirs);
        lost.iter()
            .filter(|(one, ..)| one == name)
            .for_each(|(_, generation, value)| add(&mut values, *generation, value));
        for (generation, value) in bounded(values, &dropped(bundle, name)) {
            history.entry(generation).or_default().set(name, value.clone());
        }
    }
    bundle.history = history;
    forget_dropped(bundle);
}

fn by_name(bundle: &Bundle) -> BTreeMap<SecretName, Values<'_>> {
    let mut all: BTreeMap<SecretName, Values> = BTreeMap::new();
    for (generation, documents) in &bundle.history {
        for name in documents.names() {
            if let Some(value) = documents.get(&name) {
                all.entry(name).or_default().insert(*generation, value);
            }
        }
    }
    all
}

/// A value that one side replaced later than the other did counts once.
fn united<'a>(ours: &Values<'a>, theirs: &Values<'a>) -> Values<'a> {
    let is_later_in = |other: &Values, own: &Values, generation: u64, value: &Secret| {
        let mut later = other.range(generation + 1..);
        later.any(|(at, one)| *one == value && own.get(at) != Some(one))
    };
    let mut values = Values::new();
    for (own, other) in [(ours, theirs), (theirs, ours)] {
        for (generation, value) in own.iter().filter(|(at, value)| !is_later_in(other, own, **at, value)) {
            add(&mut values, *generation, value);
        }
    }
    values
}

/// Both branches count from the same generation, so one number may stand for two values: one of them goes to the nearest number that is
/// free, the lower ones first. Which one is not left to the side it is from.
fn add<'a>(values: &mut Values<'a>, generation: u64, value: &'a Secret) {
    let Some(there) = values.get(&generation).copied() else {
        values.insert(generation, value);
        return;
    };
    if there == value {
        return;
    }
    let (stays, goes) = if there.expose() > value.expose() { (there, value) } else { (value, there) };
    values.insert(generation, stays);
    let is_free = |at: &u64| !values.contains_key(at);
    if !values.values().any(|one| *one == goes)
        && let Some(at) = (0..generation).rev().find(is_free).or_else(|| (generation + 1..).find(is_free))
    {
        values.insert(at, goes);
    }
}

fn dropped(bundle: &Bundle, name: &SecretName) -> BTreeSet<u64> {
    bundle.metadata(name).map(|known| known.dropped.clone()).unwrap_or_default()
}

/// The latest of those that somebody had, and of those that a rotation made and took back.
fn bounded<'a>(values: Values<'a>, dropped: &BTreeSet<u64>) -> Vec<(u64, &'a Secret)> {
    let (of_none, had): (Vec<_>, Vec<_>) = values.into_iter().rev().partition(|(at, _)| dropped.contains(at));
    had.into_iter().take(KEPT).chain(of_none.into_iter().take(KEPT)).collect()
}

fn forget_dropped(bundle: &mut Bundle) {
    let history = &bundle.history;
    for (name, known) in bundle.record.secrets.iter_mut().filter(|(_, known)| !known.dropped.is_empty()) {
        let Ok(name) = name.parse::<SecretName>() else { continue };
        known.dropped.retain(|at| history.get(at).is_some_and(|documents| documents.get(&name).is_some()));
    }
}
