//! `Output`: what a template writes, in memory that is wiped also when it has to move.

use crate::words::Secret;
use std::io;
use zeroize::Zeroizing;

const LARGEST: usize = 16 * 1024 * 1024;

#[derive(Default)]
pub struct Output(Zeroizing<Vec<u8>>);

impl Output {
    pub fn finish(mut self) -> Secret {
        Secret::new(std::mem::take(&mut *self.0))
    }

    fn make_room(&mut self, more: usize) {
        let mut larger = Zeroizing::new(Vec::with_capacity((self.0.len() + more).max(4096) * 2));
        larger.extend_from_slice(&self.0);
        self.0 = larger;
    }
}

impl io::Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > LARGEST {
            return Err(io::Error::other("too much"));
        }
        if self.0.capacity() - self.0.len() < bytes.len() {
            self.make_room(bytes.len());
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
