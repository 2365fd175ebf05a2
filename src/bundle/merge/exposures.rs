//! What those could read who lost access, after a merge: those of both sides. The branch on which somebody was not taken out was sealed to him
//! as well, so what is new there he could read, too.

use super::sides::Sides;
use crate::bundle::exposure::Exposure;
use crate::bundle::opened::Bundle;
use std::collections::BTreeMap;

pub fn merge(sides: &Sides, bundle: &mut Bundle) {
    let (ours, theirs) = (&sides.ours.record.exposures, &sides.theirs.record.exposures);
    let is_same = |one: &Exposure, other: &Exposure| {
        (&one.name, &one.key, one.removed) == (&other.name, &other.key, other.removed)
    };
    let has = |list: &[Exposure], one: &Exposure| list.iter().any(|other| is_same(one, other));
    let mut merged: Vec<Exposure> = ours.iter().chain(theirs.iter().filter(|one| !has(ours, one))).cloned().collect();
    for exposure in &mut merged {
        for (side, list) in [(sides.ours, ours), (sides.theirs, theirs)] {
            if !has(list, exposure) {
                side.add_readable(exposure);
            }
        }
    }
    merged.retain(|exposure| !is_untrue(sides, bundle, exposure));
    merged.extend(dropped(sides, bundle, &merged));
    merged.sort_by_key(|exposure| (exposure.removed, exposure.name.clone(), exposure.key.clone()));
    bundle.record.exposures = merged;
}

/// One side took him out, and the other side was chosen: he can open it as before.
fn is_untrue(sides: &Sides, bundle: &Bundle, exposure: &Exposure) -> bool {
    let is_recipient = |one: &Bundle| one.recipients().iter().any(|one| Some(one.word()) == exposure.key);
    is_recipient(bundle)
        && sides.base.is_some_and(is_recipient)
        && is_recipient(sides.ours) != is_recipient(sides.theirs)
}

/// Recipients of one side that the choice of the other one took out: nobody noted yet what they could read. It ended when the last of them all
/// came, as far as is known.
fn dropped(sides: &Sides, bundle: &Bundle, noted: &[Exposure]) -> Vec<Exposure> {
    let of_both =
        || [sides.ours, sides.theirs].into_iter().flat_map(|side| side.recipients().iter().map(move |one| (side, one)));
    let removed = of_both().filter_map(|(_, one)| one.added).max().unwrap_or_default();
    let mut dropped: BTreeMap<String, Exposure> = BTreeMap::new();
    for (side, one) in of_both().filter(|(_, one)| !bundle.recipients().iter().any(|stays| stays.key == one.key)) {
        let word = one.word();
        if noted.iter().any(|exposure| exposure.key.as_ref() == Some(&word)) {
            continue;
        }
        let name = one.title();
        let key = Some(word.clone());
        let new = Exposure { name, key, removed, generation: side.generation(), secrets: BTreeMap::new() };
        side.add_readable(dropped.entry(word).or_insert(new));
    }
    dropped.into_values().collect()
}
