//! `Output`: what a step writes to one of its pipes. The value of `generate` is kept whole, of anything else only the end.

use zeroize::Zeroizing;

/// The end that is kept, for messages.
const END: usize = 4096;
/// The largest value that `generate` may print.
pub(super) const LARGEST_VALUE: usize = 1 << 20;

/// Bytes as they come. The buffer never grows, and is wiped when dropped.
pub(super) struct Output {
    bytes: Zeroizing<Vec<u8>>,
    most: usize,
    is_value: bool,
    is_cut: bool,
}

impl Output {
    /// Keeps the last 4 KiB.
    pub(super) fn end() -> Self {
        Self { bytes: Zeroizing::new(Vec::with_capacity(END)), most: END, is_value: false, is_cut: false }
    }

    /// Keeps a value and one newline behind it.
    pub(super) fn value() -> Self {
        let most = LARGEST_VALUE + 1;
        Self { bytes: Zeroizing::new(Vec::with_capacity(most)), most, is_value: true, is_cut: false }
    }

    /// Takes what was read.
    pub(super) fn push(&mut self, chunk: &[u8]) {
        let room = self.most - self.bytes.len();
        self.is_cut |= chunk.len() > room;
        if self.is_value {
            self.bytes.extend_from_slice(&chunk[..chunk.len().min(room)]);
            return;
        }
        let chunk = &chunk[chunk.len().saturating_sub(self.most)..];
        let dropped = (self.bytes.len() + chunk.len()).saturating_sub(self.most);
        self.bytes.copy_within(dropped.., 0);
        let kept = self.bytes.len() - dropped;
        self.bytes.truncate(kept);
        self.bytes.extend_from_slice(chunk);
    }

    /// What was kept.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Was there more?
    pub(super) fn is_cut(&self) -> bool {
        self.is_cut
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_is_kept() {
        let mut output = Output::end();
        output.push(b"begin");
        assert!(!output.is_cut() && output.bytes() == b"begin");
        output.push(&[b'x'; END - 2]);
        assert!(output.is_cut() && output.bytes().starts_with(b"inxx") && output.bytes().len() == END);
        output.push(&[[b'y'; END].as_slice(), b"the end"].concat());
        assert!(output.bytes().ends_with(b"ythe end") && output.bytes().starts_with(b"y"));
        assert_eq!((output.bytes().len(), output.bytes.capacity()), (END, END));
    }

    #[test]
    fn of_a_value_the_beginning_is_kept() {
        let mut output = Output::value();
        output.push(&vec![b'x'; LARGEST_VALUE]);
        output.push(b"\n");
        assert!(!output.is_cut() && output.bytes().len() == LARGEST_VALUE + 1);
        output.push(b"\n");
        assert!(output.is_cut() && output.bytes().len() == LARGEST_VALUE + 1);
    }
}
