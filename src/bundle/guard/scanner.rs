//! `Scanner`: looks for needles in a stream that comes in pieces, and counts its lines.

use super::Finding;
use super::needles::{Needles, REACH};
use zeroize::Zeroizing;

/// Bytes that are looked at together.
pub const PIECE: usize = 64 * 1024;

pub struct Scanner<'a> {
    needles: &'a Needles,
    /// What was not looked at yet: a needle that begins here may end in the next piece.
    window: Zeroizing<Vec<u8>>,
    line: u64,
    found: Vec<Finding>,
}

impl<'a> Scanner<'a> {
    /// `length` is how much there is at least.
    pub fn new(needles: &'a Needles, length: usize) -> Self {
        let room = if length > PIECE { PIECE + REACH } else { length };
        let window = Zeroizing::new(Vec::with_capacity(room));
        Self { needles, window, line: 1, found: Vec::new() }
    }

    pub fn feed(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(PIECE) {
            self.window.extend_from_slice(piece);
            self.look(self.window.len().saturating_sub(REACH));
        }
    }

    /// What was found: each once, at its first line.
    pub fn end(mut self) -> Vec<Finding> {
        self.look(self.window.len());
        self.found
    }

    /// Looks at what begins in this many bytes, and drops them.
    fn look(&mut self, until: usize) {
        for at in 0..until {
            if let Some(what) = self.needles.at(&self.window[at..])
                && !self.found.iter().any(|finding| finding.what == what)
            {
                self.found.push(Finding { line: Some(self.line), what: what.to_owned() });
            }
            self.line += u64::from(self.window[at] == b'\n');
        }
        let rest = self.window.len() - until;
        self.window.copy_within(until.., 0);
        self.window.truncate(rest);
    }
}
