//! `Draft`: a file while it is written, in memory that is wiped and never has to move.

use crate::words::{KeyName, Secret};
use zeroize::Zeroizing;

/// Made with room for the longest that can come.
pub struct Draft(Zeroizing<Vec<u8>>);

impl Draft {
    /// A whole file of `KEY=value`, each value as `write` puts it: `growth` bytes at most for each of its own, and two quotes.
    pub fn lines(values: &[(KeyName, Secret)], growth: usize, write: impl Fn(&[u8], &mut Self)) -> Secret {
        let size = |(key, value): &(KeyName, Secret)| key.as_str().len() + growth * value.len() + 4;
        let mut draft = Self::with_room(values.iter().map(size).sum());
        for (key, value) in values {
            draft.put(key.as_str().as_bytes());
            draft.put_byte(b'=');
            write(value.expose(), &mut draft);
            draft.put_byte(b'\n');
        }
        draft.finish()
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
