//! `Sides`: the three bundles of a merge, which side each thing is taken from, and the conflicts so far.

use super::conflict::{Conflict, Side};
use crate::bundle::opened::Bundle;
use crate::words::{Secret, printable};
use std::collections::{BTreeMap, BTreeSet};

/// Longer notes are cut where they are shown.
const SHOWN: usize = 60;

pub struct Sides<'a> {
    pub base: Option<&'a Bundle>,
    pub ours: &'a Bundle,
    pub theirs: &'a Bundle,
    choose: super::Choose<'a>,
    conflicts: Vec<Conflict>,
}

/// One thing in the base and on both sides; `None` where it is not there.
pub struct Three<'a, T: ?Sized> {
    pub base: Option<&'a T>,
    pub ours: Option<&'a T>,
    pub theirs: Option<&'a T>,
}

impl<T: ?Sized> Clone for Three<'_, T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T: ?Sized> Copy for Three<'_, T> {}

impl<'a, T: ?Sized> Three<'a, T> {
    /// A part of it.
    pub fn part<U: ?Sized>(self, part: impl Fn(&'a T) -> Option<&'a U>) -> Three<'a, U> {
        Three { base: self.base.and_then(&part), ours: self.ours.and_then(&part), theirs: self.theirs.and_then(&part) }
    }

    pub fn of(self, side: Side) -> Option<&'a T> {
        match side {
            Side::Ours => self.ours,
            Side::Theirs => self.theirs,
        }
    }
}

impl<'a> Sides<'a> {
    pub fn new(base: Option<&'a Bundle>, ours: &'a Bundle, theirs: &'a Bundle, choose: super::Choose<'a>) -> Self {
        Self { base, ours, theirs, choose, conflicts: Vec::new() }
    }

    pub fn into_conflicts(self) -> Vec<Conflict> {
        self.conflicts
    }

    /// The same thing of each bundle.
    pub fn three<T: ?Sized>(&self, get: impl Fn(&'a Bundle) -> Option<&'a T>) -> Three<'a, T> {
        Three { base: self.base.and_then(&get), ours: get(self.ours), theirs: get(self.theirs) }
    }

    /// What it is after the merge.
    pub fn pick<'t, T: PartialEq + ?Sized>(
        &mut self,
        name: impl FnOnce() -> String,
        three: Three<'t, T>,
        shown: impl Fn(&T) -> String,
    ) -> Option<&'t T> {
        three.of(self.side(name, three, shown))
    }

    /// The side that has what it is after the merge: the one that changed it. When both did, and not to the same, it is a conflict.
    pub fn side<T: PartialEq + ?Sized>(
        &mut self,
        name: impl FnOnce() -> String,
        three: Three<T>,
        shown: impl Fn(&T) -> String,
    ) -> Side {
        let Three { base, ours, theirs } = three;
        let is_known = self.base.is_some();
        match () {
            () if ours == theirs || (is_known && theirs == base) => Side::Ours,
            () if is_known && ours == base => Side::Theirs,
            () => self.conflict(name(), base.map(&shown), ours.map(&shown), theirs.map(&shown)),
        }
    }

    /// Notes it; gives the side that was chosen, and ours for the time being if none was.
    pub fn conflict(
        &mut self,
        name: String,
        base: Option<String>,
        ours: Option<String>,
        theirs: Option<String>,
    ) -> Side {
        let side = (self.choose)(&name);
        self.conflicts.push(Conflict { name, base, ours, theirs, side });
        side.unwrap_or(Side::Ours)
    }

    /// The side with the higher generation: all fingerprints are under its key, so that one value has one.
    pub fn later(&self) -> &'a Bundle {
        if self.theirs.generation() > self.ours.generation() { self.theirs } else { self.ours }
    }

    pub fn fingerprint(&self, value: &Secret) -> String {
        self.later().fingerprint(value.expose())
    }

    /// Every key that one of the three has.
    pub fn keys<K: Ord + Clone + 'a, V: 'a>(
        &self,
        map: impl Fn(&'a Bundle) -> Option<&'a BTreeMap<K, V>>,
    ) -> BTreeSet<K> {
        let three = self.three(map);
        [three.base, three.ours, three.theirs].into_iter().flatten().flat_map(|map| map.keys().cloned()).collect()
    }
}

/// Elements that both have or one added; what one took away is gone.
pub fn merged_set<T: Ord + Clone>(base: &BTreeSet<T>, ours: &BTreeSet<T>, theirs: &BTreeSet<T>) -> BTreeSet<T> {
    let stays = |element: &&T| (ours.contains(element) && theirs.contains(element)) || !base.contains(element);
    ours.union(theirs).filter(stays).cloned().collect()
}

/// Fields that this version does not know, each by itself.
pub fn merged_map<'a>(
    sides: &mut Sides<'a>,
    name: impl Fn(&str) -> String,
    map: impl Fn(&'a Bundle) -> Option<&'a BTreeMap<String, toml::Value>>,
) -> BTreeMap<String, toml::Value> {
    let three = sides.three(&map);
    let mut merged = BTreeMap::new();
    for field in sides.keys(&map) {
        let values = three.part(|map| map.get(&field));
        // Nobody knows what it is, so it is not shown.
        if let Some(value) = sides.pick(|| name(&field), values, |_| "a field of a newer version".to_owned()) {
            merged.insert(field, value.clone());
        }
    }
    merged
}

/// A text that is no secret, for a line.
pub fn shown(text: &str) -> String {
    printable(text.as_bytes(), SHOWN)
}
