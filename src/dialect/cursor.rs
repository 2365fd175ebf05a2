//! `Cursor`: a place in a file that is read byte by byte, and its line.

use crate::words::Error;

/// Behind the last byte, `peek` and `next` give `None`.
pub struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
    line: usize,
}

impl<'a> Cursor<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, line: 1 }
    }

    pub fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    pub fn next(&mut self) -> Option<u8> {
        let byte = self.peek()?;
        self.at += 1;
        self.line += usize::from(byte == b'\n');
        Some(byte)
    }

    /// Steps over this byte, if it is next.
    pub fn eat(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        if is_next {
            self.next();
        }
        is_next
    }

    /// Steps over these bytes, if they are next.
    pub fn eat_all(&mut self, bytes: &[u8]) -> bool {
        let is_next = self.bytes[self.at..].starts_with(bytes);
        if is_next {
            bytes.iter().for_each(|_| _ = self.next());
        }
        is_next
    }

    /// What stands before the first byte that is not so.
    pub fn take_while(&mut self, is: impl Fn(u8) -> bool) -> &'a [u8] {
        let from = self.at;
        while self.peek().is_some_and(&is) {
            self.next();
        }
        &self.bytes[from..self.at]
    }

    /// The rest of the line; the newline is stepped over.
    pub fn rest_of_line(&mut self) -> &'a [u8] {
        let line = self.take_while(|b| b != b'\n');
        self.eat(b'\n');
        line
    }

    /// An error in this line.
    pub fn error(&self, why: impl Into<String>) -> Error {
        Error::new(why).at(format!("line {}", self.line))
    }
}
