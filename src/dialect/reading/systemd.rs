//! `EnvironmentFile=` of systemd, as its state machine goes through the bytes: quotes may stand in the middle, a backslash escapes, and at the
//! end of a line it joins the next one. What systemd would drop with a warning is refused.

use super::super::systemd::is_noncharacter;
use super::assignment::{Assignment, NO_EQUALS, NOT_UTF8, OPEN_QUOTE};
use crate::words::Secret;
use zeroize::Zeroizing;

#[derive(Clone, Copy, PartialEq)]
enum State {
    BeforeKey,
    Key,
    BeforeValue,
    Value,
    Escape,
    Single,
    Double,
    DoubleEscape,
    Comment,
}

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    let mut machine = Machine {
        state: State::BeforeKey,
        line: 1,
        begun: 1,
        key: Zeroizing::new(Vec::with_capacity(bytes.len())),
        value: Zeroizing::new(Vec::with_capacity(bytes.len())),
        blank: None,
        found: Vec::new(),
    };
    for byte in bytes {
        machine.take(*byte);
        machine.line += usize::from(*byte == b'\n');
    }
    machine.end();
    machine.found
}

struct Machine {
    state: State,
    line: usize,
    begun: usize,
    key: Zeroizing<Vec<u8>>,
    value: Zeroizing<Vec<u8>>,
    /// Where the blanks at the end of the value begin.
    blank: Option<usize>,
    found: Vec<Assignment>,
}

impl Machine {
    fn take(&mut self, byte: u8) {
        let is_end = matches!(byte, b'\n' | b'\r');
        let is_space = is_end || matches!(byte, b' ' | b'\t');
        match self.state {
            State::BeforeKey if matches!(byte, b'#' | b';') => self.state = State::Comment,
            State::BeforeKey if is_space => {}
            State::BeforeKey => self.begin(byte),
            State::Key if is_end => self.no_assignment(),
            State::Key if byte == b'=' => self.state = State::BeforeValue,
            State::Key => self.key.push(byte),
            State::BeforeValue | State::Value if is_end => self.finish(),
            State::BeforeValue if byte == b'\'' => self.state = State::Single,
            State::BeforeValue if byte == b'"' => self.state = State::Double,
            State::BeforeValue | State::Value if byte == b'\\' => (self.state, self.blank) = (State::Escape, None),
            State::BeforeValue if is_space => {}
            State::BeforeValue | State::Value => self.plain(byte, is_space),
            State::Escape => {
                self.state = State::Value;
                if !is_end {
                    self.value.push(byte);
                }
            }
            State::Single | State::Double if byte == self.quote() => self.state = State::BeforeValue,
            State::Double if byte == b'\\' => self.state = State::DoubleEscape,
            State::Single | State::Double => self.value.push(byte),
            State::DoubleEscape => self.escaped_in_quotes(byte),
            // Older ones join the next line to a comment that ends in a backslash; to newer ones it ends there.
            State::Comment if byte == b'\\' => {}
            State::Comment if is_end => self.state = State::BeforeKey,
            State::Comment => {}
        }
    }

    fn quote(&self) -> u8 {
        if self.state == State::Single { b'\'' } else { b'"' }
    }

    fn begin(&mut self, byte: u8) {
        self.begun = self.line;
        self.key.clear();
        self.key.push(byte);
        self.state = State::Key;
    }

    fn plain(&mut self, byte: u8, is_space: bool) {
        self.state = State::Value;
        self.blank = if is_space { self.blank.or(Some(self.value.len())) } else { None };
        self.value.push(byte);
    }

    fn escaped_in_quotes(&mut self, byte: u8) {
        self.state = State::Double;
        match byte {
            b'"' | b'\\' | b'`' | b'$' => self.value.push(byte),
            b'\n' => {}
            byte => self.value.extend_from_slice(&[b'\\', byte]),
        }
    }

    fn finish(&mut self) {
        let end = self.blank.unwrap_or(self.value.len());
        let value = Secret::new(&self.value[..end]);
        let value = match std::str::from_utf8(value.expose()) {
            Err(_) => Err(NOT_UTF8),
            Ok(text) if text.chars().any(|c| c.is_ascii_control() && !matches!(c, '\n' | '\t')) => {
                Err("its value holds a control character, and systemd would leave it out")
            }
            Ok(text) if text.chars().any(is_noncharacter) => {
                Err("its value holds a code point that is no character, and systemd would drop the file")
            }
            Ok(_) => Ok(value),
        };
        let key = self.key.trim_ascii_end();
        let is_key = key.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
            && key.first().is_some_and(|b| !b.is_ascii_digit());
        let value = if is_key { value } else { Err("systemd knows no such key, and would leave it out") };
        self.found.push(Assignment::new(self.begun, key, value));
        self.reset();
    }

    fn refuse(&mut self, why: &'static str) {
        self.found.push(Assignment::refused(self.begun, self.key.trim_ascii_end(), why));
        self.reset();
    }

    fn no_assignment(&mut self) {
        self.found.push(Assignment::none(self.begun, NO_EQUALS));
        self.reset();
    }

    fn reset(&mut self) {
        self.value.clear();
        self.blank = None;
        self.state = State::BeforeKey;
    }

    fn end(&mut self) {
        match self.state {
            State::BeforeKey | State::Comment => {}
            State::Key => self.no_assignment(),
            State::BeforeValue | State::Value | State::Escape => self.finish(),
            State::Single | State::Double | State::DoubleEscape => self.refuse(OPEN_QUOTE),
        }
    }
}
