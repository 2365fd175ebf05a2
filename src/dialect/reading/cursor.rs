//! `Cursor`: a place in a file that is read byte by byte, and its line.

use super::assignment::Assignment;
use crate::words::Secret;
use zeroize::Zeroizing;

/// With a buffer that holds the longest value, so that none grows and leaves copies behind. Behind the last byte, `peek` and `next`
/// give `None`.
pub struct Cursor<'a> {
    rest: &'a [u8],
    /// From 1.
    pub line: usize,
    buffer: Zeroizing<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, line: 1, buffer: Zeroizing::new(Vec::with_capacity(bytes.len())) }
    }

    /// All assignments, with nothing between them but such bytes, and comments behind a `#`.
    pub fn assignments(
        mut self,
        is_between: impl Fn(u8) -> bool,
        assignment: impl Fn(&mut Self) -> Assignment,
    ) -> Vec<Assignment> {
        let mut found = Vec::new();
        loop {
            self.take_while(&is_between);
            match self.peek() {
                None => return found,
                Some(b'#') => drop(self.line_end()),
                Some(_) => found.push(assignment(&mut self)),
            }
        }
    }

    /// The value that is put together there.
    pub fn collect(
        &mut self,
        collect: impl FnOnce(&mut Self, &mut Vec<u8>) -> Result<(), &'static str>,
    ) -> Result<Secret, &'static str> {
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        let collected = collect(self, &mut buffer).map(|()| Secret::new(&buffer[..]));
        self.buffer = buffer;
        collected
    }

    pub fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub fn next(&mut self) -> Option<u8> {
        let (byte, rest) = self.rest.split_first()?;
        self.rest = rest;
        self.line += usize::from(*byte == b'\n');
        Some(*byte)
    }

    /// Goes over this byte, if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Goes over the bytes that are so.
    pub fn take_while(&mut self, is_so: impl Fn(u8) -> bool) -> &'a [u8] {
        let start = self.rest;
        while self.peek().is_some_and(&is_so) {
            self.next();
        }
        &start[..start.len() - self.rest.len()]
    }

    /// Goes to the end of the line, which stays.
    pub fn line_end(&mut self) -> &'a [u8] {
        self.take_while(|b| b != b'\n')
    }

    /// Goes over `export` with blanks behind it.
    pub fn skip_export(&mut self) -> bool {
        let is_export = self.rest.strip_prefix(b"export").and_then(<[u8]>::first).is_some_and(|b| is_blank(*b));
        if is_export {
            self.rest = &self.rest[6..];
            self.take_while(is_blank);
        }
        is_export
    }

    /// The rest of the line: nothing but such bytes, or a comment behind a blank?
    pub fn nothing_follows(&mut self, is_nothing: impl Fn(u8) -> bool) -> bool {
        let rest = self.line_end();
        match rest.iter().position(|b| !is_nothing(*b)) {
            None => true,
            Some(at) => rest[at] == b'#' && is_blank(rest[0]),
        }
    }
}

pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

/// Does it begin or end with what some readers take for a blank? ASCII blanks count as long as they are not gone.
pub fn has_odd_ends(text: &[u8]) -> bool {
    let is_blank =
        |c: char| c.is_whitespace() || matches!(c, '\u{1c}'..='\u{1f}' | '\u{feff}' | '\u{200b}' | '\u{180e}');
    std::str::from_utf8(text).is_ok_and(|text| text.starts_with(is_blank) || text.ends_with(is_blank))
}

/// Is there a line end for some readers in it?
pub fn has_odd_line_end(text: &[u8]) -> bool {
    let is_end =
        |c: char| matches!(c, '\u{b}' | '\u{c}' | '\r' | '\u{1c}'..='\u{1e}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    std::str::from_utf8(text).is_ok_and(|text| text.contains(is_end))
}

pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
