//! What is known of each secret, merged field by field. Times follow the value that they are about.

use super::conflict::Side;
use super::sides::{Sides, Three, merged_map, shown};
use super::values::{SidesOfValues, flat};
use crate::bundle::change::{Change, KEPT as CHANGES_KEPT};
use crate::bundle::layout::SecretName;
use crate::bundle::record::Metadata;
use std::collections::{BTreeMap, BTreeSet};

/// `values` are the sides of the secrets whose values differ.
pub fn merged(sides: &mut Sides, values: &SidesOfValues) -> BTreeMap<String, Metadata> {
    let in_sides: [BTreeSet<String>; 2] =
        [sides.ours, sides.theirs].map(|bundle| flat(bundle).keys().map(SecretName::to_string).collect());
    let base: BTreeSet<String> =
        sides.base.map(|base| flat(base).keys().map(SecretName::to_string).collect()).unwrap_or_default();
    let values: BTreeMap<String, Side> = values.iter().map(|(name, side)| (name.to_string(), *side)).collect();
    let mut merged = BTreeMap::new();
    for name in sides.keys(|bundle| Some(&bundle.record.secrets)) {
        let [in_ours, in_theirs] = [&in_sides[0], &in_sides[1]].map(|names| names.contains(&name));
        let side = values.get(&name).copied();
        let known = match (in_ours, in_theirs, side) {
            // It was taken out on both sides, and nothing is known of it any more.
            (false, false, _) if base.contains(&name) => None,
            (true, true, _) | (false, false, _) => fields(sides, &name, side),
            // One side has no value of it: whichever was taken, took what is known of it along.
            (_, _, side) => whole(sides, &name, side.unwrap_or(if in_ours { Side::Ours } else { Side::Theirs })),
        };
        merged.extend(known.map(|known| (name, known)));
    }
    merged
}

fn of<'a>(sides: &Sides<'a>, name: &str) -> Three<'a, Metadata> {
    sides.three(|bundle| bundle.record.secrets.get(name))
}

/// That of the side alone; nothing if the side has no value of it.
fn whole(sides: &Sides, name: &str, side: Side) -> Option<Metadata> {
    let bundle = match side {
        Side::Ours => sides.ours,
        Side::Theirs => sides.theirs,
    };
    let has_value = name.parse::<SecretName>().is_ok_and(|name| bundle.value(&name).is_some());
    of(sides, name).of(side).filter(|_| has_value).cloned()
}

fn fields(sides: &mut Sides, name: &str, side: Option<Side>) -> Option<Metadata> {
    let three = of(sides, name);
    let mut known = times(three, side)?;
    let text = |text: &String| shown(text);
    let mut pick = |field: &str, get: fn(&Metadata) -> Option<&String>| {
        sides.pick(|| format!("{field} {name}"), three.part(get), text).cloned()
    };
    known.note = pick("note", |known| known.note.as_ref());
    known.owner = pick("owner", |known| known.owner.as_ref());
    known.generator = pick("generator", |known| known.generator.as_ref());
    let halves = three.part(|known| known.public.as_ref());
    known.public = sides.pick(|| format!("public {name}"), halves, ToString::to_string).cloned();
    let periods = three.part(|known| known.rotate_every.as_ref());
    known.rotate_every = sides.pick(|| format!("rotate-every {name}"), periods, ToString::to_string).copied();
    let title = |field: &str| format!("bundle.toml {name} {field}");
    known.other = merged_map(sides, title, |bundle| Some(&bundle.record.secrets.get(name)?.other));
    let nothing = Metadata::default();
    (known != nothing || three.ours.is_some() && three.theirs.is_some()).then_some(known)
}

/// When it was made and replaced, and which earlier values were never anybody's.
fn times(three: Three<Metadata>, side: Option<Side>) -> Option<Metadata> {
    let both: Vec<&Metadata> = [three.ours, three.theirs].into_iter().flatten().collect();
    let dropped = both.iter().flat_map(|known| known.dropped.iter().copied()).collect();
    let (created, rotated) = match side.and_then(|side| three.of(side)) {
        Some(known) => (known.created, known.rotated),
        None => {
            (both.iter().filter_map(|known| known.created).min(), both.iter().filter_map(|known| known.rotated).max())
        }
    };
    let changes = changes(&both);
    (!both.is_empty()).then(|| Metadata { created, rotated, dropped, changes, ..Metadata::default() })
}

/// The changes of both, the latest last.
fn changes(both: &[&Metadata]) -> Vec<Change> {
    let mut all: Vec<Change> = Vec::new();
    for change in both.iter().flat_map(|known| &known.changes) {
        if !all.contains(change) {
            all.push(change.clone());
        }
    }
    all.sort_by_key(|change| (change.generation, change.time, change.to_string()));
    all.split_off(all.len().saturating_sub(CHANGES_KEPT))
}

/// What was known of secrets that are in neither: of the side that took it out last.
pub fn of_removed(sides: &Sides, there: &BTreeMap<String, Metadata>) -> BTreeMap<String, Metadata> {
    let all = sides.ours.record.removed.iter().chain(&sides.theirs.record.removed);
    let mut merged: BTreeMap<String, Metadata> = BTreeMap::new();
    for (name, known) in all.filter(|(name, _)| !there.contains_key(*name)) {
        // Of two that are as late, the same one whoever merges.
        let last = |known: &Metadata| {
            (known.changes.last().map(|change| (change.generation, change.time)), format!("{known:?}"))
        };
        if merged.get(name).is_none_or(|one| last(one) < last(known)) {
            merged.insert(name.clone(), known.clone());
        }
    }
    merged
}
