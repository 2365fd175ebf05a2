//! `Output`: what a template writes, in memory that is wiped also when it has to move.

use crate::words::Secret;
use std::io;
use zeroize::Zeroizing;

const LARGEST: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub struct Output {
    bytes: Zeroizing<Vec<u8>>,
    /// It took no more.
    pub is_full: bool,
}

impl Output {
    pub fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.bytes))
    }

    fn make_room(&mut self, more: usize) {
        let mut larger = Zeroizing::new(Vec::with_capacity((self.bytes.len() + more).max(4096) * 2));
        larger.extend_from_slice(&self.bytes);
        self.bytes = larger;
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.bytes.len() + bytes.len() > LARGEST {
            self.is_full = true;
            return Err(io::Error::other("too much"));
        }
        if self.bytes.capacity() - self.bytes.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
