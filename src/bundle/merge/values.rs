//! Env files and plain files, merged by key and by file.

use super::conflict::Side;
use super::env_text;
use super::sides::{Sides, Three};
use crate::bundle::documents::Documents;
use crate::bundle::env_file::{EnvFile, Line};
use crate::bundle::layout::{Document, Item, SecretName};
use crate::bundle::opened::Bundle;
use crate::words::{KeyName, Secret};
use std::collections::{BTreeMap, BTreeSet};

/// The side of each secret whose values differ.
pub type SidesOfValues = BTreeMap<SecretName, Side>;

/// Values after a merge.
pub struct Values {
    pub documents: Documents,
    pub sides: SidesOfValues,
    /// Values that were chosen against, each with the last generation that had it: they go to the history.
    pub lost: Vec<(SecretName, u64, Secret)>,
}

type Flat<'a> = BTreeMap<SecretName, &'a Secret>;

pub fn merged(sides: &mut Sides) -> Values {
    let (base, ours, theirs) = (sides.base.map(flat), flat(sides.ours), flat(sides.theirs));
    let base = base.unwrap_or_default();
    let mut values = Values { documents: Documents::default(), sides: BTreeMap::new(), lost: Vec::new() };
    let mut kept: BTreeMap<Document, BTreeMap<KeyName, Secret>> = BTreeMap::new();
    let names: BTreeSet<&SecretName> = base.keys().chain(ours.keys()).chain(theirs.keys()).collect();
    for name in names {
        let three =
            Three { base: base.get(name).copied(), ours: ours.get(name).copied(), theirs: theirs.get(name).copied() };
        let side = decide(sides, name, three, &mut values);
        let Some(value) = three.of(side).cloned() else { continue };
        match &name.item {
            Item::Key(key) => _ = kept.entry(name.document()).or_default().insert(key.clone(), value),
            Item::File(_) => _ = values.documents.files.insert(name.document(), value),
        }
    }
    values.documents.envs = envs(sides, kept);
    values
}

fn decide(sides: &mut Sides, name: &SecretName, three: Three<Secret>, values: &mut Values) -> Side {
    if three.ours == three.theirs {
        return Side::Ours;
    }
    let shown = |value: Option<&Secret>| value.map(|value| sides.fingerprint(value));
    let side = match sides.base {
        Some(_) if three.theirs == three.base => Side::Ours,
        Some(_) if three.ours == three.base => Side::Theirs,
        _ => {
            let (base, ours, theirs) = (shown(three.base), shown(three.ours), shown(three.theirs));
            let side = sides.conflict(name.to_string(), base, ours, theirs);
            let (other, bundle) = match side {
                Side::Ours => (three.theirs, sides.theirs),
                Side::Theirs => (three.ours, sides.ours),
            };
            values.lost.extend(other.map(|value| (name.clone(), bundle.generation(), value.clone())));
            side
        }
    };
    values.sides.insert(name.clone(), side);
    side
}

/// Maps, since a look into an env file goes through all its lines.
pub fn flat(bundle: &Bundle) -> Flat<'_> {
    bundle.values().collect()
}

fn envs(sides: &Sides, mut kept: BTreeMap<Document, BTreeMap<KeyName, Secret>>) -> BTreeMap<Document, EnvFile> {
    let mut envs = BTreeMap::new();
    for document in sides.keys(|bundle| Some(&bundle.now.envs)) {
        let values = kept.remove(&document).unwrap_or_default();
        let three = sides.three(|bundle| bundle.now.envs.get(&document));
        // Without a value in it, it may still be there for its comments.
        let is_there = match (three.ours.is_some(), three.theirs.is_some()) {
            (ours, theirs) if ours == theirs => ours,
            _ => three.base.is_none(),
        };
        if is_there || !values.is_empty() {
            let lines = |env: Option<&'_ EnvFile>| env.map_or(&[][..], |env| &env.0[..]).to_vec();
            let (base, ours, theirs) = (lines(three.base), lines(three.ours), lines(three.theirs));
            envs.insert(document, EnvFile(filled(env_text::merged(&base, &ours, &theirs), values)));
        }
    }
    envs
}

/// The lines with the values that they have now; keys that are gone go with their lines.
fn filled(lines: Vec<&Line>, mut values: BTreeMap<KeyName, Secret>) -> Vec<Line> {
    let mut filled = Vec::with_capacity(lines.len() + values.len());
    for line in lines {
        match line {
            Line::Text(_) => filled.push(line.clone()),
            Line::Pair(key, _) => filled.extend(values.remove(key).map(|value| Line::Pair(key.clone(), value))),
        }
    }
    filled.extend(values.into_iter().map(|(key, value)| Line::Pair(key, value)));
    filled
}
