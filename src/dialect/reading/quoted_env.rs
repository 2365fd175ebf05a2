//! `QuotedEnv`: env files with `export`, quotes, and comments behind a blank, as Compose and the libraries of `.env` read them. Each says
//! in what it differs.

use super::assignment::{AFTER_QUOTE, Assignment, KEY, NO_EQUALS, NOT_UTF8, OPEN_QUOTE, VARIABLE};
use super::cursor::Cursor;
use crate::words::Secret;

const COLON: &str = "`:` ends a key for Compose";

/// A reader of such files.
pub trait QuotedEnv {
    /// What ends a key, or the line without one.
    const KEY_ENDS: &'static [u8];
    /// What may stand between `=` and the value.
    const BLANKS: &'static [u8];
    /// Why a CR between quotes is refused.
    const LINE_END: &'static str;

    /// A value without quotes, and all that stands behind it.
    fn unquoted(&self, line: &[u8]) -> Result<Secret, &'static str>;

    /// What a backslash and this byte are in such quotes.
    fn unescape(&self, quote: u8, escaped: u8, value: &mut Vec<u8>) -> Result<(), &'static str>;

    fn read(&self, bytes: &[u8]) -> Vec<Assignment> {
        Cursor::new(bytes).assignments(|b| b.is_ascii_whitespace(), |cursor| self.assignment(cursor))
    }

    fn assignment(&self, cursor: &mut Cursor) -> Assignment {
        let line = cursor.line;
        cursor.skip_export();
        let key = cursor.take_while(|b| !Self::KEY_ENDS.contains(&b)).trim_ascii_end();
        let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
        let value = match cursor.peek() {
            Some(b'=') if !key.is_empty() && key.iter().all(is_key) => {
                cursor.next();
                cursor.take_while(|b| Self::BLANKS.contains(&b));
                self.value(cursor)
            }
            Some(b'=') => Err(KEY),
            found => {
                cursor.line_end();
                return Assignment::none(line, if found == Some(b':') { COLON } else { NO_EQUALS });
            }
        };
        cursor.line_end();
        let is_text = |value: &Secret| std::str::from_utf8(value.expose()).is_ok();
        let value = value.and_then(|value| if is_text(&value) { Ok(value) } else { Err(NOT_UTF8) });
        Assignment::new(line, key, value)
    }

    fn value(&self, cursor: &mut Cursor) -> Result<Secret, &'static str> {
        match cursor.peek() {
            Some(quote @ (b'\'' | b'"')) => {
                cursor.next();
                let value = cursor.collect(|cursor, value| self.quoted(cursor, quote, value))?;
                if cursor.nothing_follows(|b| b.is_ascii_whitespace()) { Ok(value) } else { Err(AFTER_QUOTE) }
            }
            _ => self.unquoted(cursor.line_end()),
        }
    }

    fn quoted(&self, cursor: &mut Cursor, quote: u8, value: &mut Vec<u8>) -> Result<(), &'static str> {
        loop {
            match cursor.next().ok_or(OPEN_QUOTE)? {
                byte if byte == quote => return Ok(()),
                b'$' if quote == b'"' => return Err(VARIABLE),
                b'\r' => return Err(Self::LINE_END),
                b'\\' => self.unescape(quote, cursor.next().ok_or(OPEN_QUOTE)?, value)?,
                byte => value.push(byte),
            }
        }
    }
}
