//! What a reader makes of an env file: assignments, or why it would not make one of a line.

use crate::words::{KeyName, Secret};
use zeroize::Zeroizing;

/// One assignment, at the line where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Assignment {
    /// From 1.
    pub line: usize,
    /// `None` when what stands there is no key name: it may be part of a value, and is not shown.
    pub key: Option<KeyName>,
    /// Or why it is not taken.
    pub value: Result<Secret, &'static str>,
}

impl Assignment {
    pub fn new(line: usize, key: &[u8], value: Result<Secret, &'static str>) -> Self {
        let key = std::str::from_utf8(key).ok().and_then(|key| KeyName::new(key).ok());
        Self { line, key, value }
    }

    /// A line that is not taken.
    pub fn refused(line: usize, key: &[u8], why: &'static str) -> Self {
        Self::new(line, key, Err(why))
    }

    /// A line that is no assignment at all: no word of it is known to be a key.
    pub fn none(line: usize, why: &'static str) -> Self {
        Self { line, key: None, value: Err(why) }
    }
}

pub const NO_EQUALS: &str = "there is no `=`, so its value would come from the environment or from nowhere";
pub const VARIABLE: &str = "`$` stands for a variable, whose value is not here";
pub const OPEN_QUOTE: &str = "a quote is not closed";
pub const AFTER_QUOTE: &str = "something stands behind the closing quote";
pub const NOT_UTF8: &str = "it is not UTF-8 text";
pub const KEY: &str = "what stands before `=` is not a key";

/// A file with the place in it, and a buffer that holds the longest value, so that none grows and leaves copies behind.
pub struct Cursor<'a> {
    pub rest: &'a [u8],
    pub line: usize,
    buffer: Zeroizing<Vec<u8>>,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes, line: 1, buffer: Zeroizing::new(Vec::with_capacity(bytes.len())) }
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

    /// The rest of the line: nothing, or a comment behind a blank?
    pub fn nothing_follows(&mut self) -> bool {
        let rest = self.line_end();
        rest.trim_ascii().is_empty() || (is_blank(rest[0]) && rest.trim_ascii_start().starts_with(b"#"))
    }
}

pub fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

pub fn without_mark(bytes: &[u8]) -> &[u8] {
    bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes)
}
