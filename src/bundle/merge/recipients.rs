//! Who can open the bundle after a merge: by key, and whom one side took out is out.

use super::sides::Sides;
use crate::bundle::opened::Bundle;
use crate::bundle::recipient::Recipient;
use std::collections::{BTreeMap, BTreeSet};

type ByKey<'a> = BTreeMap<&'a str, &'a Recipient>;

pub fn merged(sides: &mut Sides) -> Vec<Recipient> {
    let (base, ours, theirs) = (sides.base.map(by_key), by_key(sides.ours), by_key(sides.theirs));
    let result = one_by_one(sides, base.as_ref(), &ours, &theirs);
    if !is_ambiguous(base.as_ref(), &ours, &theirs, &result) {
        let mut merged: Vec<Recipient> =
            result.into_iter().cloned().map(|one| labelled(sides, base.as_ref(), &ours, &theirs, one)).collect();
        labels_of_two(&merged).iter().for_each(|label| settle(sides, label, &ours, &theirs, &mut merged));
        if labels_of_two(&merged).is_empty() {
            return merged;
        }
    }
    let list = |bundle: &Bundle| Some(names(bundle.recipients()));
    let side = sides.conflict(
        "recipients".to_owned(),
        sides.base.and_then(list),
        list(sides.ours).unwrap_or_default().into(),
        list(sides.theirs).unwrap_or_default().into(),
    );
    match side {
        super::Side::Ours => sides.ours.recipients().to_vec(),
        super::Side::Theirs => sides.theirs.recipients().to_vec(),
    }
}

fn by_key(bundle: &Bundle) -> ByKey<'_> {
    bundle.recipients().iter().map(|one| (one.key.as_str(), one)).collect()
}

fn names(recipients: &[Recipient]) -> String {
    match recipients.is_empty() {
        true => "a password".to_owned(),
        false => recipients.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    }
}

/// Ours in their order, then those that theirs added.
fn one_by_one<'a>(sides: &Sides<'a>, base: Option<&ByKey>, ours: &ByKey<'a>, theirs: &ByKey<'a>) -> Vec<&'a Recipient> {
    let is_new = |key: &str| base.is_none_or(|base| !base.contains_key(key));
    let stay = sides.ours.recipients().iter().filter(|one| theirs.contains_key(one.key.as_str()) || is_new(&one.key));
    let new = sides.theirs.recipients().iter().filter(|one| !ours.contains_key(one.key.as_str()) && is_new(&one.key));
    stay.chain(new).collect()
}

/// A password and keys exclude each other, and a merge must not make one of the other: one side has none, or both changed it and none
/// is left. Without a base nobody knows who was taken out.
fn is_ambiguous(base: Option<&ByKey>, ours: &ByKey, theirs: &ByKey, result: &[&Recipient]) -> bool {
    let is_same = |one: &ByKey, other: &ByKey| one.keys().eq(other.keys());
    let Some(base) = base else { return !is_same(ours, theirs) };
    if ours.is_empty() != theirs.is_empty() {
        return true; // whoever changed values only did not ask for the other lock
    }
    if is_same(ours, theirs) || is_same(ours, base) || is_same(theirs, base) {
        return false;
    }
    [base, ours, theirs].iter().any(|keys| keys.is_empty()) || result.is_empty()
}

/// With the label that it has now, and the time from which on it could open the bundle.
fn labelled(sides: &mut Sides, base: Option<&ByKey>, ours: &ByKey, theirs: &ByKey, one: Recipient) -> Recipient {
    let key = one.key.as_str();
    let (Some(our), Some(their)) = (ours.get(key), theirs.get(key)) else { return one };
    let three = super::sides::Three {
        base: base.and_then(|base| base.get(key)?.label.as_ref()),
        ours: our.label.as_ref(),
        theirs: their.label.as_ref(),
    };
    let label = sides.pick(|| format!("recipient {}", one.word()), three, String::clone).cloned();
    let added = [our.added, their.added].into_iter().flatten().min();
    Recipient { label, added, ..one }
}

/// Labels that stand for two keys: each is fine on its own side.
fn labels_of_two(merged: &[Recipient]) -> BTreeSet<String> {
    let mut seen = BTreeSet::new();
    let labels = merged.iter().filter_map(|one| one.label.as_ref());
    labels.filter(|label| !seen.insert(*label)).cloned().collect()
}

/// The key that the side has under this label keeps it. The other one is as on that side, or is not there if it is not there.
fn settle(sides: &mut Sides, label: &String, ours: &ByKey, theirs: &ByKey, merged: &mut Vec<Recipient>) {
    let of = |bundle: &Bundle| bundle.recipients().iter().find(|one| one.label.as_ref() == Some(label)).cloned();
    let [base, our, their] = [sides.base.and_then(of), of(sides.ours), of(sides.theirs)];
    let word = |one: &Option<Recipient>| one.as_ref().map(Recipient::word);
    let side = sides.conflict(format!("recipient {label}"), word(&base), word(&our), word(&their));
    let (kept, of_side) = match side {
        super::Side::Ours => (our, ours),
        super::Side::Theirs => (their, theirs),
    };
    let is_other =
        |one: &Recipient| one.label.as_ref() == Some(label) && kept.as_ref().is_none_or(|kept| kept.key != one.key);
    *merged = std::mem::take(merged)
        .into_iter()
        .filter_map(|one| match is_other(&one) {
            true => of_side.get(one.key.as_str()).map(|of_side| (*of_side).clone()),
            false => Some(one),
        })
        .collect();
}
