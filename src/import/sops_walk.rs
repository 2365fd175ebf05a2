//! Goes through what SOPS sealed, value by value: each is opened where it lies, and all of them make the MAC.

use super::go_text::as_go;
use super::reading::Reading;
use super::sops_metadata::{Metadata, Open};
use super::sops_value::{DataKey, Type, is_sealed};
use super::values::{Leaf, Value};
use crate::words::{Error, Result, Secret};
use sha2::{Digest, Sha512};
use std::collections::BTreeSet;

/// Written first into a MAC that leaves out what is clear: the SHA-256 of `sops`.
const SEALED_ONLY: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// Why a sealed value does not open.
pub const ALTERED: &str = "it was altered, or moved here from another key";

/// The data key, and the MAC as far as it has come.
pub struct Walk {
    key: DataKey,
    mac: Sha512,
    is_mac_of_sealed_only: bool,
    is_json: bool,
    /// Values that are no texts, of those that are taken.
    pub others: usize,
    /// Where clear values lie.
    pub clear: BTreeSet<Vec<String>>,
    with_clear: bool,
}

impl Walk {
    pub fn new(metadata: &Metadata, open: Open, is_json: bool, with_clear: bool) -> Result<Self> {
        let key = metadata.data_key(open)?;
        let key = DataKey::new(&key).ok_or_else(|| Error::new("its data key is not one of 32 bytes"))?;
        let is_mac_of_sealed_only = metadata.is_mac_of_sealed_only();
        let mac = if is_mac_of_sealed_only { Sha512::new_with_prefix(SEALED_ONLY) } else { Sha512::new() };
        Ok(Self { key, mac, is_mac_of_sealed_only, is_json, others: 0, clear: BTreeSet::new(), with_clear })
    }

    pub fn value(&mut self, leaf: &Leaf) -> Value {
        if leaf.path[0] == "sops" {
            return Value::Null; // left out, and not told: see `sops::judge`
        }
        let text = leaf.scalar.text.expose();
        if is_sealed(text) {
            return match self.open(text, &place(leaf)) {
                Some((value, _)) => Value::Sealed(value),
                None => Value::Refused(ALTERED.to_owned()),
            };
        }
        if leaf.scalar.is_null() {
            return Value::Null;
        }
        self.mac_clear(&as_go(leaf.scalar, self.is_json));
        // SOPS seals an empty text as itself.
        if !text.is_empty() || self.is_mac_of_sealed_only {
            self.clear.insert(leaf.path.to_vec());
            self.others += usize::from(self.with_clear && leaf.scalar.is_other_than_text());
        }
        Value::Clear(leaf.scalar.text.clone())
    }

    fn open(&mut self, text: &[u8], place: &str) -> Option<(Secret, Type)> {
        let (value, kind) = self.key.open(std::str::from_utf8(text).ok()?, place)?;
        if kind == Type::Comment {
            return Some((value, kind));
        }
        self.mac.update(value.expose());
        self.others += usize::from(kind != Type::Text);
        Some(match (kind, value.expose()) {
            // Sealed with a capital, shown without.
            (Type::Bool, b"True") => (Secret::new(*b"true"), kind),
            (Type::Bool, b"False") => (Secret::new(*b"false"), kind),
            _ => (value, kind),
        })
    }

    fn mac_clear(&mut self, text: &[u8]) {
        if !self.is_mac_of_sealed_only {
            self.mac.update(text);
        }
    }

    /// Every value opened: is the whole what SOPS sealed?
    pub fn finish(&mut self, metadata: &Metadata, reading: &Reading) -> Result<()> {
        if !reading.troubles.is_empty() {
            return Ok(()); // told one by one, and nothing is taken
        }
        let refuse =
            |message: &str| Error::new(message).hint("get it back from version control: it was changed without SOPS");
        let (mac, modified) = metadata.mac().ok_or_else(|| refuse("it has no MAC"))?;
        let (expected, _) = self.key.open(mac, modified).ok_or_else(|| refuse("its MAC is altered"))?;
        let found = data_encoding::HEXUPPER.encode(&std::mem::take(&mut self.mac).finalize());
        match found.as_bytes() == expected.expose() {
            true => Ok(()),
            false => Err(refuse("its MAC is not that of its values: something was changed, added or taken out")),
        }
    }

    /// The value of an env file's line.
    pub fn line(&mut self, text: &Secret, place: &str) -> Line {
        if is_sealed(text.expose()) {
            return match self.open(text.expose(), place) {
                Some((_, Type::Comment)) => Line::Comment,
                Some((value, _)) => Line::Sealed(value),
                None => Line::Altered,
            };
        }
        self.mac_clear(text.expose());
        if text.is_empty() && !self.is_mac_of_sealed_only { Line::Sealed(Secret::new([])) } else { Line::Clear }
    }
}

/// What a line of a sealed env file is.
pub enum Line {
    Sealed(Secret),
    Clear,
    Comment,
    Altered,
}

/// Lists add nothing to where a value lies.
fn place(leaf: &Leaf) -> String {
    let mut place = String::new();
    for part in leaf.names {
        place.push_str(part);
        place.push(':');
    }
    place
}
