//! `Found`: what a reader has read so far.

use crate::words::{Error, KeyName, Result, Secret};
use std::collections::HashMap;
use zeroize::Zeroizing;

/// Keys and values, and the value at hand in memory that never has to move.
pub struct Found {
    values: Vec<(KeyName, Secret)>,
    places: HashMap<KeyName, usize>,
    /// The value at hand.
    pub value: Zeroizing<Vec<u8>>,
}

impl Found {
    /// Nothing that is read is longer than its file.
    pub fn new(file: &[u8]) -> Self {
        let value = Zeroizing::new(Vec::with_capacity(file.len()));
        Self { values: Vec::new(), places: HashMap::new(), value }
    }

    /// The value at hand is this key's; a later one takes the place of an earlier one.
    pub fn keep(&mut self, key: &[u8]) -> Result<()> {
        let name = std::str::from_utf8(key).ok().and_then(|key| KeyName::new(key).ok());
        let name = name.ok_or_else(|| Error::new("what stands before the value is not a key name"))?;
        let value = Secret::new(self.value.as_slice());
        self.value.clear();
        match self.places.get(&name) {
            Some(place) => self.values[*place].1 = value,
            None => {
                self.places.insert(name.clone(), self.values.len());
                self.values.push((name, value));
            }
        }
        Ok(())
    }

    pub fn finish(self) -> Vec<(KeyName, Secret)> {
        self.values
    }
}
