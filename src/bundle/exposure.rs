//! `Exposure`: what somebody could read who can open the bundle no more. It is worked off as its values are replaced: each is kept as a keyed
//! hash, so that a value that is put back counts as exposed again.

use super::layout::SecretName;
use super::opened::Bundle;
use super::record::moment;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Hex digits of a value's keyed hash.
const DIGITS: usize = 16;

/// One that lost access, and the values of then.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Exposure {
    /// Whose key it was, as people call it.
    pub name: String,
    /// The key as one word; of a password there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// When access ended.
    #[serde(with = "moment")]
    pub removed: DateTime<Utc>,
    /// The last generation that could be read.
    pub generation: u64,
    /// Every secret that could be read, and the keyed hash of its value.
    pub secrets: BTreeMap<String, String>,
}

impl Bundle {
    /// Everybody who lost access, the first first.
    pub fn exposures(&self) -> &[Exposure] {
        &self.record.exposures
    }

    /// The secrets whose value is still the one that was exposed.
    pub fn still_exposed(&self, exposure: &Exposure) -> Vec<SecretName> {
        let is_same = |name: &SecretName| {
            exposure.secrets.get(&name.to_string()).is_some_and(|hash| self.value_hash(name).as_ref() == Some(hash))
        };
        self.secrets().into_iter().filter(is_same).collect()
    }

    /// Notes what somebody could read until now.
    pub(super) fn expose(&mut self, name: String, key: Option<String>, now: DateTime<Utc>) {
        let hashes = self.secrets().into_iter().filter_map(|name| Some((name.to_string(), self.value_hash(&name)?)));
        let secrets = hashes.collect();
        let generation = self.generation();
        self.record.exposures.push(Exposure { name, key, removed: now, generation, secrets });
        self.is_changed = true;
    }

    /// Of a secret's value now; nobody guesses the value from it.
    pub(super) fn value_hash(&self, name: &SecretName) -> Option<String> {
        let mut hash = self.mac(self.value(name)?.expose());
        hash.truncate(DIGITS);
        Some(hash)
    }
}
