//! `env_file:` of Compose, where its releases agree: quotes, `export`, and a comment behind a blank. What it would look up, and what one
//! release reads one way and another one another, is refused.

use super::env_lines::{
    AFTER_QUOTE, Assignment, Cursor, KEY, NO_EQUALS, NOT_UTF8, OPEN_QUOTE, VARIABLE, is_blank, without_mark,
};
use crate::words::Secret;

const COMMENT: &str = "releases of Compose differ about a `#` without a blank before it";
const ESCAPE: &str = "releases of Compose differ about such a backslash";
const LINE_END: &str = "releases of Compose differ about a line end of Windows between quotes";
const COLON: &str = "`:` ends a key for Compose";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    let mut cursor = Cursor::new(without_mark(bytes));
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
    let key = cursor.take_while(|b| !matches!(b, b'=' | b':' | b'\n')).trim_ascii_end();
    let is_key = |b: &u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'.' | b'-');
    let value = match cursor.peek() {
        Some(b'=') if !key.is_empty() && key.iter().all(is_key) => {
            cursor.next();
            cursor.take_while(is_blank);
            value(cursor)
        }
        Some(b'=') => Err(KEY),
        found => {
            cursor.line_end();
            return Assignment::none(line, if found.is_some_and(|b| b == b':') { COLON } else { NO_EQUALS });
        }
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
        Some(quote @ (b'\'' | b'"')) => {
            cursor.next();
            let value = cursor.collect(|cursor, value| quoted(cursor, quote, value))?;
            if cursor.nothing_follows() { Ok(value) } else { Err(AFTER_QUOTE) }
        }
        _ => unquoted(cursor.line_end()),
    }
}

fn unquoted(line: &[u8]) -> Result<Secret, &'static str> {
    let (value, comment) = match line.iter().position(|b| *b == b'#') {
        Some(0) => return Err(COMMENT),
        Some(at) if line[at - 1] != b' ' => return Err(COMMENT),
        Some(at) => line.split_at(at),
        None => (line, &b""[..]),
    };
    let is_expanded = value.contains(&b'$') || comment.contains(&b'$');
    if is_expanded { Err(VARIABLE) } else { Ok(Secret::new(value.trim_ascii())) }
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
                (b'"', b'"') => value.push(b'"'),
                (b'"', _) | (_, b'\'' | b'\\') => return Err(ESCAPE),
                (_, other) => value.extend_from_slice(&[b'\\', other]),
            },
            byte => value.push(byte),
        }
    }
}
