//! What secrets were before: each change keeps the value it replaces, under the last saved generation that had it. Bounded: so many different
//! values, and the last few as often as they came back.

use super::change::{Change, What};
use super::layout::SecretName;
use super::opened::Bundle;
use super::record::Metadata;
use crate::words::Secret;
use chrono::{DateTime, Utc};
use std::collections::BTreeSet;

/// Different earlier values kept of each secret. One that came back, or is the value now, takes no place.
pub(super) const KEPT: usize = 3;

/// The last values are kept even where they are the same, so that it is known who had which. Fewer than the changes that are noted.
const RECENT: usize = 8;

/// A value that the bundle holds, and the generations that had it.
pub struct Held {
    /// `None` where that is not known.
    pub first: Option<u64>,
    /// `None`: it is the value now.
    pub last: Option<u64>,
    pub since: Option<DateTime<Utc>>,
    /// A rotation made it and was undone; nobody had it for good.
    pub is_dropped: bool,
    pub value: Secret,
}

impl Bundle {
    /// Earlier values, the newest first, each with the last generation that had it.
    pub fn earlier(&self, name: &SecretName) -> Vec<(u64, Secret)> {
        let values = self.history.iter().rev();
        values.filter_map(|(generation, documents)| Some((*generation, documents.get(name)?.clone()))).collect()
    }

    /// The same without values that a rotation made and dropped again: nobody had those for good.
    pub fn earlier_in_use(&self, name: &SecretName) -> Vec<(u64, Secret)> {
        let dropped = self.dropped(name);
        self.earlier(name).into_iter().filter(|(generation, _)| !dropped.contains(generation)).collect()
    }

    /// The value that it had in this generation. `None` where that is not known: of what was before the earliest that is kept, since
    /// only so many are; and where it had none.
    pub fn value_in(&self, name: &SecretName, generation: u64) -> Option<Secret> {
        let earlier = self.earlier_in_use(name);
        let changes = self.changes(name);
        match changes.iter().find(|change| change.generation <= generation) {
            Some(Change { what: What::Removed, .. }) => return None,
            None if earlier.is_empty() && changes.last().is_some_and(|first| first.what == What::New) => return None,
            _ => {}
        }
        match earlier.iter().rposition(|(last, _)| *last >= generation) {
            None => self.value(name).cloned(),
            Some(at) => {
                let (last, value) = &earlier[at];
                let is_its = match self.noted_start(name, *last) {
                    Some(first) => first <= generation,
                    // Before it others may have been forgotten.
                    None => at + 1 < KEPT || *last == generation,
                };
                is_its.then(|| value.clone())
            }
        }
    }

    /// Since when it had the value that it had last in this generation, if that is noted.
    fn noted_start(&self, name: &SecretName, last: u64) -> Option<u64> {
        let changes = self.known(name)?.changes.iter().rev();
        changes.filter(|change| change.what.gives_value()).map(|change| change.generation).find(|first| *first <= last)
    }

    /// The last changes of a secret, the newest first. What an earlier version did not note follows from the values that are kept.
    pub fn changes(&self, name: &SecretName) -> Vec<Change> {
        let known = self.known(name);
        let mut changes = known.map(|known| known.changes.clone()).unwrap_or_default();
        let noted: BTreeSet<u64> = changes.iter().map(|change| change.generation).collect();
        let ends = self.earlier_in_use(name).into_iter().map(|(last, _)| last + 1);
        changes.extend(ends.filter(|end| !noted.contains(end)).map(|generation| Change {
            generation,
            time: None,
            what: What::Changed,
        }));
        changes.sort_by_key(|change| std::cmp::Reverse(change.generation));
        if let Some(newest) = changes.first_mut().filter(|newest| !noted.contains(&newest.generation)) {
            newest.time = known.and_then(|known| known.rotated);
            if self.value(name).is_none() {
                newest.what = What::Removed;
            }
        }
        changes
    }

    /// Every value of a secret that the bundle holds, the newest first, and of equal ones the newest; those that were dropped come last.
    pub fn held(&self, name: &SecretName) -> Vec<Held> {
        let changes = self.changes(name);
        let earlier = self.earlier_in_use(name);
        let ends: Vec<u64> = earlier.iter().map(|(last, _)| *last).collect();
        let now = self.value(name).map(|value| (None, value.clone()));
        let all = now.into_iter().chain(earlier.into_iter().map(|(last, value)| (Some(last), value)));
        let mut values: Vec<(Option<u64>, Secret)> = Vec::new();
        for (last, value) in all {
            if values.iter().all(|(_, one)| *one != value) {
                values.push((last, value));
            }
        }
        let in_use = values.into_iter().map(|(last, value)| {
            let before = ends.iter().copied().find(|end| last.is_none_or(|last| *end < last));
            let is_its = |change: &&Change| {
                change.what.gives_value()
                    && last.is_none_or(|last| change.generation <= last)
                    && before.is_none_or(|before| change.generation > before)
            };
            let began = changes.iter().find(is_its);
            let first = began.map(|began| began.generation).or(before.map(|before| before + 1));
            let since = began.and_then(|began| began.time);
            let since = since.or_else(|| self.metadata(name).filter(|_| last.is_none()).and_then(Metadata::since));
            Held { first, last, since, is_dropped: false, value }
        });
        let dropped = self.dropped(name);
        let undone = self.earlier(name).into_iter().filter(|(last, _)| dropped.contains(last));
        let undone =
            undone.map(|(last, value)| Held { first: None, last: Some(last), since: None, is_dropped: true, value });
        in_use.chain(undone).collect()
    }

    /// The names of all secrets of which something is known or kept, also of those that were taken out.
    pub fn names_ever(&self) -> BTreeSet<SecretName> {
        let kept = self.history.values().flat_map(|documents| documents.names());
        self.secrets().into_iter().chain(kept).collect()
    }

    /// Gives a secret that was taken out its value again, and with it what was known of it.
    pub fn bring_back(&mut self, name: &SecretName, value: Secret, now: DateTime<Utc>) -> bool {
        let gone = self.record.removed.get(&name.to_string()).filter(|_| self.value(name).is_none()).cloned();
        let is_changed = self.set(name, value, now);
        if let Some(gone) = gone {
            self.describe(name, |known| {
                let changes = std::mem::take(&mut known.changes);
                *known = Metadata { changes, rotated: Some(now), ..gone };
            });
        }
        is_changed
    }

    /// What is known of it, or was when it was taken out.
    fn known(&self, name: &SecretName) -> Option<&Metadata> {
        let name = name.to_string();
        self.record.secrets.get(&name).or_else(|| self.record.removed.get(&name))
    }

    fn dropped(&self, name: &SecretName) -> BTreeSet<u64> {
        self.known(name).map(|known| known.dropped.clone()).unwrap_or_default()
    }

    pub(super) fn changed(&mut self, name: &SecretName, old: Option<Secret>, now: DateTime<Utc>) {
        self.is_changed = true;
        let generation = self.record.generation + 1;
        let metadata = self.described(name);
        let what = if old.is_some() { What::Changed } else { What::New };
        metadata.note(Change { generation, time: Some(now), what });
        match old {
            None => metadata.created = Some(now),
            Some(value) => {
                metadata.rotated = Some(now);
                self.remember(name, value);
            }
        }
    }

    /// It was taken out. What was known of it is kept as long as a value of it is.
    pub(super) fn removed(&mut self, name: &SecretName, old: Secret, now: DateTime<Utc>) {
        self.is_changed = true;
        self.remember(name, old);
        let generation = self.record.generation + 1;
        let mut known = self.record.secrets.remove(&name.to_string()).unwrap_or_default();
        known.note(Change { generation, time: Some(now), what: What::Removed });
        if !self.earlier(name).is_empty() {
            self.record.removed.insert(name.to_string(), known);
        }
    }

    /// What is known of a secret that has a value now. Of one that had been taken out it goes on with its changes.
    fn described(&mut self, name: &SecretName) -> &mut Metadata {
        let gone = self.record.removed.remove(&name.to_string()).unwrap_or_default();
        self.record.secrets.entry(name.to_string()).or_insert_with(|| Metadata {
            changes: gone.changes,
            dropped: gone.dropped,
            ..Metadata::default()
        })
    }

    /// Keeps the value under the last saved generation that had it. One that was never saved never left this machine.
    pub(super) fn remember(&mut self, name: &SecretName, value: Secret) {
        let documents = self.history.entry(self.record.generation).or_default();
        if self.is_stored && documents.get(name).is_none() {
            documents.set(name, value);
        }
        self.keep_few(name);
    }

    /// Forgets the oldest values. Those that were dropped before they were anybody's push none out that somebody had.
    pub(super) fn keep_few(&mut self, name: &SecretName) {
        let dropped = self.dropped(name);
        let now = self.value(name).cloned();
        for is_dropped in [false, true] {
            let having = self.history.iter_mut().rev().filter(|(generation, documents)| {
                documents.get(name).is_some() && dropped.contains(generation) == is_dropped
            });
            let mut different: Vec<Secret> = Vec::new();
            for (at, (_, documents)) in having.enumerate() {
                let Some(value) = documents.get(name) else { continue };
                let is_other = now.as_ref() != Some(value) && !different.contains(value);
                if is_other {
                    different.push(value.clone());
                }
                if different.len() > KEPT || (at >= RECENT && !is_other) {
                    documents.remove(name);
                    documents.drop_empty();
                }
            }
        }
        self.history.retain(|_, documents| !documents.is_empty());
    }

    /// The same for a value that a rotation made and dropped again.
    pub(super) fn remember_dropped(&mut self, name: &SecretName, value: Secret) {
        let generation = self.record.generation;
        self.record.secrets.entry(name.to_string()).or_default().dropped.insert(generation);
        self.remember(name, value);
        let history = &self.history;
        if let Some(known) = self.record.secrets.get_mut(&name.to_string()) {
            known
                .dropped
                .retain(|generation| history.get(generation).is_some_and(|documents| documents.get(name).is_some()));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};
    use super::*;

    #[test]
    fn earlier_values_are_kept_and_bounded() {
        let mut bundle = packed(&[("services/a.env", "K=0\nL=x\n"), ("bundle.toml", "generation = 10")]);
        let k = name("a.K");
        assert!(!bundle.set(&k, secret("0"), at(1)) && !bundle.is_changed());
        for i in 1..6u64 {
            assert!(bundle.set(&k, secret("never saved"), at(1)));
            assert!(bundle.set(&k, secret(&i.to_string()), at(100 + i as i64)));
            bundle.saved(10 + i);
        }
        let earlier: Vec<_> = bundle.earlier(&k).into_iter().map(|(g, v)| (g, v.expose().to_vec())).collect();
        assert_eq!(earlier, [(14, b"4".to_vec()), (13, b"3".to_vec()), (12, b"2".to_vec())]);
        assert_eq!(bundle.metadata(&k).unwrap().since(), Some(at(105)));
        let in_generation = |generation| bundle.value_in(&k, generation).map(|value| value.expose().to_vec());
        assert_eq!([16, 15, 14, 13, 12].map(in_generation), [b"5", b"5", b"4", b"3", b"2"].map(|v| Some(v.to_vec())));
        assert_eq!(in_generation(11), None, "it was 1, which is not kept any more");
        let again = Bundle::from_entries(bundle.entries(16).unwrap(), &mut |_| ()).unwrap();
        assert_eq!((again.earlier(&k), again.generation()), (bundle.earlier(&k), 16));
        assert_eq!(again.value(&name("a.L")), Some(&secret("x")));
    }

    #[test]
    fn what_was_taken_out_comes_back_with_what_was_known() {
        let mut bundle = packed(&[("services/a.env", "K=0\nL=x\n"), ("bundle.toml", "generation = 1")]);
        let k = name("a.K");
        bundle.describe(&k, |known| known.note = Some("mine".to_owned()));
        bundle.set(&k, secret("1"), at(20));
        bundle.saved(2);
        assert!(bundle.remove(&k, at(30)) && bundle.metadata(&k).is_none());
        bundle.saved(3);
        let mut bundle = Bundle::from_entries(bundle.entries(3).unwrap(), &mut |_| ()).unwrap();
        assert_eq!(bundle.value_in(&k, 2), Some(secret("1")));
        assert_eq!(bundle.value_in(&k, 3), None, "it had none");
        assert!(bundle.names_ever().contains(&k) && !bundle.secrets().contains(&k));
        assert!(bundle.bring_back(&k, secret("1"), at(40)));
        bundle.saved(4);
        let known = bundle.metadata(&k).unwrap();
        assert_eq!((known.note.as_deref(), known.since()), (Some("mine"), Some(at(40))));
        assert!(bundle.record.removed.is_empty());
        let words: Vec<_> = bundle.changes(&k).iter().map(|c| (c.generation, c.what.word().to_owned())).collect();
        assert_eq!(words, [(4, "new".to_owned()), (3, "removed".to_owned()), (2, "changed".to_owned())]);
        let ranges: Vec<_> = bundle.held(&k).iter().map(|held| (held.first, held.last, held.since)).collect();
        assert_eq!(ranges, [(Some(4), None, Some(at(40))), (None, Some(1), None)]);
        assert_eq!(
            [1, 2, 3, 4].map(|g| bundle.value_in(&k, g).map(|v| v.expose().to_vec())),
            [Some(b"0".to_vec()), Some(b"1".to_vec()), None, Some(b"1".to_vec())]
        );
        // Set anew it is another secret with the same past.
        bundle.remove(&k, at(50));
        bundle.saved(5);
        bundle.set(&k, secret("2"), at(60));
        let known = bundle.metadata(&k).unwrap();
        assert_eq!((known.note.as_deref(), known.created, known.changes.len()), (None, Some(at(60)), 5));
    }

    #[test]
    fn values_that_come_back_push_none_out() {
        let mut bundle = packed(&[("services/a.env", "K=0\n"), ("bundle.toml", "generation = 1")]);
        let k = name("a.K");
        let mut had = vec![(1, "0".to_owned())];
        let turns = ["1", "2", "3"].into_iter().chain(["2", "3"].into_iter().cycle().take(30));
        for (generation, value) in (2..).zip(turns) {
            assert!(bundle.set(&k, secret(value), at(generation as i64)));
            bundle.saved(generation);
            had.push((generation, value.to_owned()));
            let kept: Vec<_> = bundle.held(&k).iter().map(|one| one.value.expose().to_vec()).collect();
            assert_eq!(kept.len(), 4.min(had.len()), "{generation}: every different value is held once");
            assert!(bundle.earlier(&k).len() <= RECENT + KEPT, "{generation}");
            // What is told of a generation is so, and of those that are noted it is told.
            for (of, value) in &had {
                match bundle.value_in(&k, *of) {
                    Some(told) => assert_eq!(told, secret(value), "{of} at {generation}"),
                    None => assert!(*of + (RECENT as u64) < generation, "{of} at {generation}"),
                }
            }
        }
        // A fourth other one pushes out the oldest.
        for (generation, value) in [(40, "4"), (41, "5")] {
            bundle.set(&k, secret(value), at(50));
            bundle.saved(generation);
        }
        let kept: Vec<_> = bundle.held(&k).iter().map(|one| one.value.expose().to_vec()).collect();
        assert_eq!(kept, [b"5", b"4", b"3", b"2"]);
        bundle.set(&k, secret("3"), at(51));
        bundle.saved(42);
        bundle.remove(&k, at(52));
        assert_eq!(bundle.value_in(&k, 1), None);
    }

    #[test]
    fn of_an_earlier_version_the_kept_values_tell() {
        let mut bundle = packed(&[
            ("services/a.env", "K=2\n"),
            ("history/4/services/a.env", "K=1\nGONE=0\n"),
            ("history/2/services/a.env", "K=0\n"),
            ("bundle.toml", "generation = 7\n[secrets.\"a.K\"]\nrotated = \"1970-01-01T00:00:09Z\"\n"),
        ]);
        let told =
            |bundle: &Bundle, of: &str| bundle.changes(&name(of)).iter().map(ToString::to_string).collect::<Vec<_>>();
        assert_eq!(told(&bundle, "a.K"), ["5 1970-01-01T00:00:09Z changed", "3 - changed"]);
        assert_eq!(told(&bundle, "a.GONE"), ["5 - removed"]);
        bundle.set(&name("a.K"), secret("3"), at(10));
        assert_eq!(told(&bundle, "a.K"), ["8 1970-01-01T00:00:10Z changed", "5 - changed", "3 - changed"]);
        assert_eq!(
            bundle.held(&name("a.K")).iter().map(|h| h.first).collect::<Vec<_>>(),
            [Some(8), Some(5), Some(3), None]
        );
    }

    #[test]
    fn the_first_change_of_a_bundle_packed_by_hand_is_kept_too() {
        let mut bundle = packed(&[("services/a.env", "K=0\n")]);
        bundle.set(&name("a.K"), secret("1"), at(1));
        assert_eq!(bundle.earlier(&name("a.K")), [(0, secret("0"))]);
        let mut created = Bundle::create(Vec::new(), at(0), &mut |bytes| bytes.fill(1)).unwrap();
        created.set(&name("a.K"), secret("0"), at(1));
        created.set(&name("a.K"), secret("1"), at(1));
        assert!(created.earlier(&name("a.K")).is_empty(), "it never was on a disk");
    }
}
