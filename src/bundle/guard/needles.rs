//! `Needles`: what is looked for, each as the bytes that it would be in a file, found by their first eight.

use crate::words::Secret;
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::collections::HashMap;
use std::hash::{BuildHasher, RandomState};
use zeroize::Zeroizing;

/// Shorter values would be found everywhere.
pub const SHORTEST: usize = 8;
/// Of longer values, this beginning is looked for.
const LONGEST: usize = 4096;
/// The longest needle, in hex; what a mark wants behind it is less.
pub const REACH: usize = 2 * LONGEST;

/// What begins here, once more of it was looked at.
#[derive(Clone, Copy)]
enum Mark {
    Whole,
    Word,
    AgeKey,
    PrivateKey,
}

struct Needle {
    bytes: Secret,
    mark: Mark,
    what: String,
}

#[derive(Default)]
pub struct Needles {
    list: Vec<Needle>,
    /// By a hash of the first eight bytes, for a map does not wipe its keys.
    starts: HashMap<u64, Vec<usize>>,
    hashing: RandomState,
    /// Does one begin with these two? Most places in a file are done with here.
    pairs: Vec<bool>,
}

impl Needles {
    /// Private keys, by how they begin.
    pub fn add_markers(&mut self) {
        self.push(Secret::new(*b"AGE-SECRET-KEY-"), Mark::AgeKey, "an age secret key");
        self.push(Secret::new(*b"-----BEGIN "), Mark::PrivateKey, "a private key");
    }

    /// A value as it is, in base64 wherever it begins there, and in hex.
    pub fn add(&mut self, value: &Secret, what: &str) {
        let bytes = value.expose();
        let bytes = bytes.strip_suffix(b"\n").unwrap_or(bytes);
        let bytes = &bytes[..bytes.len().min(LONGEST)];
        self.push(Secret::new(bytes), Mark::Whole, what);
        for offset in 0..3 {
            for encoding in [&BASE64, &BASE64URL] {
                self.push(in_base64(bytes, offset, encoding), Mark::Whole, &format!("{what} in base64"));
            }
        }
        for encoding in [&HEXLOWER, &HEXUPPER] {
            self.push(encoded(bytes, encoding), Mark::Whole, &format!("{what} in hex"));
        }
    }

    /// A value that is too short to be looked for alone, as it stands behind its key. False if it is too short even then.
    pub fn add_beside(&mut self, key: &str, value: &Secret, what: &str) -> bool {
        let value = value.expose().trim_ascii();
        for between in ["=", "=\"", "='", " = ", " = \"", " = '", ": ", ": \"", ": '", "\": \""] {
            let mut bytes = Zeroizing::new(Vec::with_capacity(key.len() + between.len() + value.len()));
            [key.as_bytes(), between.as_bytes(), value].iter().for_each(|part| bytes.extend_from_slice(part));
            self.push(Secret::new(std::mem::take(&mut *bytes)), Mark::Word, what);
        }
        key.len() + 1 + value.len() >= SHORTEST
    }

    fn push(&mut self, bytes: Secret, mark: Mark, what: &str) {
        let Some(start) = bytes.expose().first_chunk::<SHORTEST>().copied() else { return };
        let there = self.starts.entry(self.hashing.hash_one(start)).or_default();
        if there.iter().any(|at| self.list[*at].bytes == bytes) {
            return;
        }
        self.pairs.resize(1 << 16, false);
        self.pairs[pair(&start)] = true;
        there.push(self.list.len());
        self.list.push(Needle { bytes, mark, what: what.to_owned() });
    }

    /// What begins at the beginning of these bytes.
    pub fn at(&self, bytes: &[u8]) -> Option<&str> {
        let start = bytes.first_chunk::<SHORTEST>()?;
        if !self.pairs.get(pair(start)).copied().unwrap_or_default() {
            return None;
        }
        let mut there = self.starts.get(&self.hashing.hash_one(start))?.iter().map(|at| &self.list[*at]);
        there.find(|needle| needle.is_at(bytes)).map(|needle| needle.what.as_str())
    }
}

impl Needle {
    fn is_at(&self, bytes: &[u8]) -> bool {
        let Some(rest) = bytes.strip_prefix(self.bytes.expose()) else { return false };
        match self.mark {
            Mark::Whole => true,
            Mark::Word => rest.first().is_none_or(|byte| !byte.is_ascii_alphanumeric()),
            Mark::AgeKey => run(rest, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-') >= 50,
            Mark::PrivateKey => is_private_key(rest),
        }
    }
}

/// A label that ends in `PRIVATE KEY`, and soon behind it a line of base64: text about keys has none.
fn is_private_key(rest: &[u8]) -> bool {
    let label = run(rest, |b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b' ');
    let label_text = rest[..label].strip_suffix(b" BLOCK").unwrap_or(&rest[..label]);
    if !label_text.ends_with(b"PRIVATE KEY") || !rest[label..].starts_with(b"-----") {
        return false;
    }
    let behind = &rest[label + 5..rest.len().min(label + 600)];
    behind.split(|b| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/' | b'='))).any(|word| word.len() >= 40)
}

fn run(bytes: &[u8], is_in: impl Fn(u8) -> bool) -> usize {
    bytes.iter().take_while(|byte| is_in(**byte)).count()
}

fn pair(start: &[u8; SHORTEST]) -> usize {
    usize::from(start[0]) << 8 | usize::from(start[1])
}

fn encoded(bytes: &[u8], encoding: &data_encoding::Encoding) -> Secret {
    let mut text = Zeroizing::new(vec![0; encoding.encode_len(bytes.len())]);
    encoding.encode_mut(bytes, &mut text);
    Secret::new(std::mem::take(&mut *text))
}

/// What of the base64 text does not depend on what stands before and behind the value.
fn in_base64(bytes: &[u8], offset: usize, encoding: &data_encoding::Encoding) -> Secret {
    let mut shifted = Zeroizing::new(Vec::with_capacity(offset + bytes.len()));
    shifted.extend_from_slice(&[0; 3][..offset]);
    shifted.extend_from_slice(bytes);
    let text = encoded(&shifted, encoding);
    let (first, behind) = ((offset * 8).div_ceil(6), shifted.len() * 8 / 6);
    Secret::new(&text.expose()[first..behind])
}
