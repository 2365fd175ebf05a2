//! `Rotation`: new values that wait in the bundle until every host and provider has them, and old ones that wait to be revoked. Both
//! are sealed before anything leaves this machine, so that no crash loses a value.

use super::layout::SecretName;
use super::opened::Bundle;
use super::record::moment;
use crate::words::{RunId, Secret, as_text};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A rotation that was begun and has not come to an end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Rotation {
    /// The same for every step, also of those that resume it.
    #[serde(with = "as_text")]
    pub run: RunId,
    #[serde(with = "moment")]
    pub started: DateTime<Utc>,
    /// Somebody reads along: no old value stays valid for a while.
    #[serde(default)]
    pub is_urgent: bool,
    pub secrets: Vec<Turn>,
}

/// A secret that gets a new value, and where the public half of it goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Turn {
    pub name: SecretName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<SecretName>,
}

impl Turn {
    /// The secret, and its public half if there is one.
    pub fn halves(&self) -> Vec<&SecretName> {
        std::iter::once(&self.name).chain(&self.public).collect()
    }
}

impl Revocation {
    /// The secret, and its public half if there is one.
    pub fn halves(&self) -> Vec<&SecretName> {
        std::iter::once(&self.secret).chain(&self.public).collect()
    }
}

/// An old value that the provider still accepts beside the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revocation {
    pub secret: SecretName,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<SecretName>,
    /// The rotation that replaced it.
    #[serde(with = "as_text")]
    pub run: RunId,
    /// When its overlap is over.
    #[serde(with = "moment")]
    pub after: DateTime<Utc>,
}

/// The old values that a revocation is about.
pub struct OldValues {
    pub secret: Secret,
    pub public: Option<Secret>,
}

impl Bundle {
    /// The rotation under way, if there is one.
    pub fn rotation(&self) -> Option<&Rotation> {
        self.record.rotation.as_ref()
    }

    /// Notes that these secrets are being rotated. Their new values follow, each as soon as it exists.
    pub fn begin_rotation(&mut self, rotation: Rotation) {
        self.record.rotation = Some(rotation);
        self.is_changed = true;
    }

    /// Takes a new value; what everybody has stays as it is.
    pub fn set_pending(&mut self, name: &SecretName, value: Secret) {
        self.pending.set(name, value);
        self.is_changed = true;
    }

    /// The new value of a secret that is being rotated, once it exists.
    pub fn pending(&self, name: &SecretName) -> Option<&Secret> {
        self.pending.get(name)
    }

    /// Every value that this bundle knows: those of now, those to come, those to be revoked, and earlier ones.
    pub fn known_values(&self) -> Vec<Secret> {
        let layers = [&self.now, &self.pending, &self.revoking].into_iter().chain(self.history.values());
        layers
            .flat_map(|documents| documents.names().into_iter().filter_map(|name| documents.get(&name).cloned()))
            .collect()
    }

    /// The bundle as it will be: the same generation, with the new values. It is for sending, not for saving.
    pub fn rotated(&self, now: DateTime<Utc>) -> Self {
        let mut rotated = self.clone();
        rotated.take_pending(now);
        rotated.is_changed = false;
        rotated
    }

    /// The new values take their places; the old ones go to the history, and those that are still to be revoked are kept for that.
    pub fn commit_rotation(&mut self, now: DateTime<Utc>, revocations: Vec<(Revocation, OldValues)>) {
        self.take_pending(now);
        for turn in self.record.rotation.take().map(|rotation| rotation.secrets).unwrap_or_default() {
            // Also of one that had no value of its own before.
            self.describe(&turn.name, |known| known.rotated = Some(now));
        }
        for (revocation, old) in revocations {
            self.revoking.set(&revocation.secret, old.secret);
            if let (Some(name), Some(value)) = (&revocation.public, old.public) {
                self.revoking.set(name, value);
            }
            self.record.revocations.push(revocation);
        }
        self.is_changed = true;
    }

    fn take_pending(&mut self, now: DateTime<Utc>) {
        let pending = std::mem::take(&mut self.pending);
        for name in pending.names() {
            if let Some(value) = pending.get(&name) {
                self.set(&name, value.clone(), now);
            }
        }
    }

    /// The rotation was undone: everybody has the old values. The new ones go to the history, for they left this machine.
    pub fn drop_rotation(&mut self) {
        let pending = std::mem::take(&mut self.pending);
        for name in pending.names() {
            if let Some(value) = pending.get(&name) {
                self.remember_dropped(&name, value.clone());
            }
        }
        self.record.rotation = None;
        self.is_changed = true;
    }

    /// Old values that are still to be revoked, the oldest first.
    pub fn revocations(&self) -> &[Revocation] {
        &self.record.revocations
    }

    /// The old value of a secret that is still to be revoked.
    pub fn revoking(&self, name: &SecretName) -> Option<&Secret> {
        self.revoking.get(name)
    }

    /// The provider accepts the old value no more.
    pub fn revoked(&mut self, name: &SecretName) {
        let Some(at) = self.record.revocations.iter().position(|other| other.secret == *name) else { return };
        let revocation = self.record.revocations.remove(at);
        self.revoking.remove(&revocation.secret);
        if let Some(public) = &revocation.public {
            self.revoking.remove(public);
        }
        self.revoking.drop_empty();
        self.is_changed = true;
    }
}

impl Serialize for SecretName {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        as_text::serialize(self, to)
    }
}

impl<'de> Deserialize<'de> for SecretName {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        as_text::deserialize(from)
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};
    use super::*;

    fn rotation(names: &[&str]) -> Rotation {
        let secrets = names.iter().map(|text| Turn { name: name(text), public: None }).collect();
        Rotation { run: "3-20261122T020000Z-7f3a".parse().unwrap(), started: at(10), is_urgent: true, secrets }
    }

    fn begun() -> Bundle {
        let mut bundle = packed(&[("services/a.env", "K=old\nL=other\n"), ("bundle.toml", "generation = 3")]);
        bundle.begin_rotation(rotation(&["a.K", "hosts/h/a.L"]));
        bundle.set_pending(&name("a.K"), secret("new"));
        bundle.set_pending(&name("hosts/h/a.L"), secret("own"));
        bundle.saved(4);
        bundle
    }

    /// What another program reads from what this one writes.
    fn read_again(bundle: &Bundle) -> Bundle {
        Bundle::from_entries(bundle.entries(bundle.generation()).unwrap(), &mut |_| ()).unwrap()
    }

    #[test]
    fn new_values_wait_until_everybody_has_them() {
        let bundle = read_again(&begun());
        assert_eq!(bundle.rotation(), Some(&rotation(&["a.K", "hosts/h/a.L"])));
        assert_eq!(
            (bundle.value(&name("a.K")), bundle.pending(&name("a.K"))),
            (Some(&secret("old")), Some(&secret("new")))
        );
        assert_eq!(bundle.secrets().len(), 2, "what waits is no secret of anybody yet");
        let rotated = bundle.rotated(at(11));
        assert_eq!((rotated.value(&name("a.K")), rotated.next_generation()), (Some(&secret("new")), 4));
        assert_eq!(rotated.effective(&name("a.L"), &"h".parse().unwrap(), &[]), Some(name("hosts/h/a.L")));
        assert_eq!(rotated.effective(&name("a.L"), &"i".parse().unwrap(), &[]), Some(name("a.L")));
        for value in ["old", "new", "other", "own"] {
            assert!(bundle.known_values().contains(&secret(value)), "{value}");
        }
    }

    #[test]
    fn at_its_end_old_values_are_history_and_wait_to_be_revoked() {
        let mut bundle = begun();
        let run = bundle.rotation().unwrap().run.clone();
        let revocation = Revocation { secret: name("a.K"), public: None, run, after: at(99) };
        bundle.commit_rotation(at(12), vec![(revocation.clone(), OldValues { secret: secret("old"), public: None })]);
        bundle.saved(5);
        let mut bundle = read_again(&bundle);
        assert_eq!((bundle.rotation(), bundle.pending(&name("a.K"))), (None, None));
        assert_eq!(bundle.value(&name("a.K")), Some(&secret("new")));
        assert_eq!(bundle.metadata(&name("a.K")).unwrap().since(), Some(at(12)));
        assert_eq!(bundle.earlier(&name("a.K")), [(4, secret("old"))]);
        assert_eq!((bundle.revocations(), bundle.revoking(&name("a.K"))), (&[revocation][..], Some(&secret("old"))));
        bundle.revoked(&name("a.K"));
        assert!(bundle.is_changed() && read_again(&bundle).revocations().is_empty());
        assert_eq!(bundle.revoking(&name("a.K")), None);
    }

    #[test]
    fn undone_it_leaves_the_new_values_in_the_history() {
        let mut bundle = begun();
        bundle.drop_rotation();
        bundle.saved(5);
        let bundle = read_again(&bundle);
        assert_eq!((bundle.rotation(), bundle.value(&name("a.K"))), (None, Some(&secret("old"))));
        assert_eq!(bundle.earlier(&name("a.K")), [(4, secret("new"))]);
        assert_eq!(bundle.earlier(&name("hosts/h/a.L")), [(4, secret("own"))]);
        let known = bundle.metadata(&name("a.K")).unwrap();
        assert!(known.dropped.contains(&4) && known.rotated.is_none());
    }

    #[test]
    fn values_that_were_dropped_push_out_none_that_somebody_had() {
        let mut bundle = packed(&[("services/a.env", "K=0\n"), ("bundle.toml", "generation = 1")]);
        for generation in 2..5 {
            bundle.set(&name("a.K"), secret(&format!("real {generation}")), at(1));
            bundle.saved(generation);
        }
        for generation in (5..17).step_by(2) {
            bundle.begin_rotation(rotation(&["a.K"]));
            bundle.set_pending(&name("a.K"), secret(&format!("dropped {generation}")));
            bundle.saved(generation);
            bundle.drop_rotation();
            bundle.saved(generation + 1);
        }
        let bundle = read_again(&bundle);
        let earlier: Vec<u64> = bundle.earlier(&name("a.K")).into_iter().map(|(generation, _)| generation).collect();
        assert_eq!(earlier, [15, 13, 11, 3, 2, 1]);
        assert_eq!(bundle.metadata(&name("a.K")).unwrap().dropped.iter().copied().collect::<Vec<_>>(), [11, 13, 15]);
    }
}
