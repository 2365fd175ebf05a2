//! `Exposure`: what somebody could read who can open the bundle no more. It is worked off as its values are replaced: each is kept as a keyed
//! hash, so that a value that is put back counts as exposed again.

use super::layout::SecretName;
use super::opened::Bundle;
use super::record::moment;
use crate::words::Secret;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashSet};

/// Hex digits of a value's keyed hash.
const DIGITS: usize = 16;
/// Values from this length on are known again under another name.
const TELLING: usize = 8;

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
    /// Every secret that could be read, and the keyed hashes of its values: the one of then first, and those of the history.
    pub secrets: BTreeMap<String, Vec<String>>,
}

impl Exposure {
    /// These could be read as well.
    pub(super) fn add(&mut self, name: &SecretName, hash: String) {
        let hashes = self.secrets.entry(name.to_string()).or_default();
        if !hashes.contains(&hash) {
            hashes.push(hash);
        }
    }
}

impl Bundle {
    /// Everybody who lost access, the first first.
    pub fn exposures(&self) -> &[Exposure] {
        &self.record.exposures
    }

    /// The secrets that have a value that was exposed: the same one still, an earlier one again, or that of another name.
    pub fn still_exposed(&self, exposure: &Exposure) -> Vec<SecretName> {
        let all: HashSet<&String> = exposure.secrets.values().flatten().collect();
        let is_exposed = |(name, value): &(SecretName, &Secret)| {
            let hash = self.hash(value);
            let is_own = exposure.secrets.get(&name.to_string()).is_some_and(|hashes| hashes.contains(&hash));
            // A short one is the same by chance: `true`, a port.
            is_own || (all.contains(&hash) && value.len() >= TELLING)
        };
        self.values().filter(is_exposed).map(|(name, _)| name).collect()
    }

    /// Notes what somebody could read until now, earlier values and those of a rotation as well.
    pub(super) fn expose(&mut self, name: String, key: Option<String>, now: DateTime<Utc>) {
        let generation = self.generation();
        let mut exposure = Exposure { name, key, removed: now, generation, secrets: BTreeMap::new() };
        self.add_readable(&mut exposure);
        self.record.exposures.push(exposure);
        self.is_changed = true;
    }

    /// Whoever could open this bundle could read all of this.
    pub(super) fn add_readable(&self, exposure: &mut Exposure) {
        self.readable().for_each(|(name, value)| exposure.add(&name, self.hash(value)));
    }

    /// Nobody guesses the value from it.
    fn hash(&self, value: &Secret) -> String {
        let mut hash = self.mac(value.expose());
        hash.truncate(DIGITS);
        hash
    }
}
