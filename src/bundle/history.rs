//! What secrets were before: each change keeps the value it replaces, under the last saved generation that had it. Bounded.

use super::layout::SecretName;
use super::opened::Bundle;
use crate::words::Secret;
use chrono::{DateTime, Utc};

/// Earlier values kept of each secret.
pub(super) const KEPT: usize = 3;

impl Bundle {
    /// Earlier values, the newest first, each with the last generation that had it.
    pub fn earlier(&self, name: &SecretName) -> Vec<(u64, Secret)> {
        let values = self.history.iter().rev();
        values.filter_map(|(generation, documents)| Some((*generation, documents.get(name)?.clone()))).collect()
    }

    /// The same without values that a rotation made and dropped again: nobody had those for good.
    pub fn earlier_in_use(&self, name: &SecretName) -> Vec<(u64, Secret)> {
        let dropped = self.record.secrets.get(&name.to_string()).map(|known| known.dropped.clone()).unwrap_or_default();
        self.earlier(name).into_iter().filter(|(generation, _)| !dropped.contains(generation)).collect()
    }

    /// The value that it had in this generation. `None` where that is not known: of what was before the earliest that is kept, since
    /// only so many are.
    pub fn value_in(&self, name: &SecretName, generation: u64) -> Option<Secret> {
        let earlier = self.earlier_in_use(name);
        match earlier.iter().rposition(|(last, _)| *last >= generation) {
            None => self.value(name).cloned(),
            Some(at) if at + 1 >= KEPT && earlier[at].0 > generation => None,
            Some(at) => Some(earlier[at].1.clone()),
        }
    }

    pub(super) fn changed(&mut self, name: &SecretName, old: Option<Secret>, now: DateTime<Utc>) {
        self.is_changed = true;
        let metadata = self.record.secrets.entry(name.to_string()).or_default();
        match old {
            None => metadata.created = Some(now),
            Some(value) => {
                metadata.rotated = Some(now);
                self.remember(name, value);
            }
        }
    }

    /// Keeps the value under the last saved generation that had it. One that was never saved never left this machine.
    pub(super) fn remember(&mut self, name: &SecretName, value: Secret) {
        let documents = self.history.entry(self.record.generation).or_default();
        if self.is_stored && documents.get(name).is_none() {
            documents.set(name, value);
        }
        // Values that were dropped before they were anybody's push none out that somebody had.
        let dropped = self.record.secrets.get(&name.to_string()).map(|known| known.dropped.clone()).unwrap_or_default();
        for is_dropped in [false, true] {
            let having = self.history.iter_mut().rev().filter(|(generation, documents)| {
                documents.get(name).is_some() && dropped.contains(generation) == is_dropped
            });
            for (_, documents) in having.skip(KEPT) {
                documents.remove(name);
                documents.drop_empty();
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
