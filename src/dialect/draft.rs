//! `Draft`: a file while it is written, in memory that is wiped and never has to move.

use crate::words::{KeyName, Secret};
use zeroize::Zeroizing;

/// Made with room for the longest that can come.
pub struct Draft(Zeroizing<Vec<u8>>);

impl Draft {
    /// `growth`: how many bytes a byte of a value becomes at most; `around`: how many stand around a pair.
    pub fn new(values: &[(KeyName, Secret)], growth: usize, around: usize) -> Self {
        let size = |(key, value): &(KeyName, Secret)| key.as_str().len() + growth * value.len() + around;
        Self::with_room(values.iter().map(size).sum())
    }

    /// For this many bytes.
    pub fn with_room(size: usize) -> Self {
        Self(Zeroizing::new(Vec::with_capacity(size)))
    }

    pub fn put(&mut self, bytes: &[u8]) {
        debug_assert!(self.0.len() + bytes.len() <= self.0.capacity(), "a move would leave a copy");
        self.0.extend_from_slice(bytes);
    }

    pub fn put_byte(&mut self, byte: u8) {
        self.put(&[byte]);
    }

    /// With a backslash before each of these.
    pub fn put_escaped(&mut self, bytes: &[u8], escaped: &[u8]) {
        for byte in bytes {
            if escaped.contains(byte) {
                self.put_byte(b'\\');
            }
            self.put_byte(*byte);
        }
    }

    pub fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }
}
