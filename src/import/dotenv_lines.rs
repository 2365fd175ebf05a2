//! `.env` as the libraries of Node, Python and Ruby read it, where they agree. What one expands and another one leaves is refused.

use super::env_lines::{AFTER_QUOTE, Assignment, Cursor, KEY, NO_EQUALS, NOT_UTF8, OPEN_QUOTE, VARIABLE, is_blank};
use crate::words::Secret;

const COMMENT: &str = "libraries differ about a `#` without a blank before it";
const ESCAPE: &str = "libraries differ about such a backslash";
const LINE_END: &str = "libraries differ about a line end of Windows between quotes";
const TAB: &str = "libraries differ about a tab";
const BACKTICK: &str = "libraries differ about backticks";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    let mut cursor = Cursor::new(bytes);
    let mut found = Vec::new();
    loop {
        cursor.take_while(|b| b.is_ascii_whitespace());
        match cursor.peek() {
            None => return found,
            Some(b'#') => drop(cursor.line_end()),
            Some(_) => found.push(assignment(&mut cursor)),
        }
    }
}

fn assignment(cursor: &mut Cursor) -> Assignment {
    let line = cursor.line;
    cursor.skip_export();
    let key = cursor.take_while(|b| !matches!(b, b'=' | b'\n')).trim_ascii_end();
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let value = match cursor.next() {
        Some(b'=') if !key.is_empty() && key.iter().all(is_key) => {
            cursor.take_while(|b| b == b' ');
            value(cursor)
        }
        Some(b'=') => Err(KEY),
        _ => return Assignment::none(line, NO_EQUALS),
    };
    cursor.line_end();
    let value = value.and_then(|value| match std::str::from_utf8(value.expose()) {
        Ok(_) => Ok(value),
        Err(_) => Err(NOT_UTF8),
    });
    Assignment::new(line, key, value)
}

fn value(cursor: &mut Cursor) -> Result<Secret, &'static str> {
    match cursor.peek() {
        Some(b'`') => Err(BACKTICK),
        Some(quote @ (b'\'' | b'"')) => {
            cursor.next();
            let value = cursor.collect(|cursor, value| quoted(cursor, quote, value))?;
            if cursor.nothing_follows() { Ok(value) } else { Err(AFTER_QUOTE) }
        }
        _ => unquoted(cursor.line_end()),
    }
}

fn unquoted(line: &[u8]) -> Result<Secret, &'static str> {
    let value = match line.iter().position(|b| *b == b'#') {
        Some(at) if at == 0 || !is_blank(line[at - 1]) => return Err(COMMENT),
        Some(at) => &line[..at],
        None => line,
    };
    match value {
        value if value.contains(&b'$') => Err(VARIABLE),
        value if value.contains(&b'\\') => Err(ESCAPE),
        value if value.contains(&b'\t') => Err(TAB),
        value => Ok(Secret::new(value.trim_ascii())),
    }
}

fn quoted(cursor: &mut Cursor, quote: u8, value: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match cursor.next().ok_or(OPEN_QUOTE)? {
            byte if byte == quote => return Ok(()),
            b'$' if quote == b'"' => return Err(VARIABLE),
            b'\r' => return Err(LINE_END),
            b'\\' => match (quote, cursor.next().ok_or(OPEN_QUOTE)?) {
                (b'"', b'n') => value.push(b'\n'),
                (b'"', b'r') => value.push(b'\r'),
                _ => return Err(ESCAPE),
            },
            byte => value.push(byte),
        }
    }
}
