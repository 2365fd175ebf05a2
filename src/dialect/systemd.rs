//! `EnvironmentFile=` of a unit. Quotes are written double: in single ones, versions before 240 took a backslash for an escape.

use super::cursor::Cursor;
use super::draft::Draft;
use super::found::Found;
use crate::words::{Error, KeyName, Result, Secret};

pub(super) fn refuses(key: &KeyName, value: &Secret) -> Option<&'static str> {
    let bytes = value.expose();
    match () {
        () if key.as_str().contains('-') => Some("its name holds `-`"),
        () if bytes.len() > super::shell::LONGEST => Some("the value is longer than 127 KiB"),
        () if bytes.contains(&0) => Some("the value holds a NUL byte"),
        () if bytes.contains(&b'\r') => Some("the value holds a carriage return"),
        // Versions before 247 drop the whole variable.
        () if bytes.iter().any(|b| b.is_ascii_control() && !matches!(b, b'\t' | b'\n')) => {
            Some("the value holds a control character")
        }
        () => match std::str::from_utf8(bytes) {
            Err(_) => Some("the value holds bytes that are not UTF-8"),
            Ok(text) => {
                text.chars().any(is_noncharacter).then_some("the value holds a code point that is no character")
            }
        },
    }
}

/// Not UTF-8 in systemd's eyes (`unichar_is_valid`): it would drop the whole file.
fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE
}

fn is_bare(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!%*+,-./:=?@[]^_{}~".contains(b))
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    let mut draft = Draft::new(values, 2, 4);
    for (key, value) in values {
        draft.put(key.as_str().as_bytes());
        draft.put_byte(b'=');
        match is_bare(value.expose()) {
            true => draft.put(value.expose()),
            false => {
                draft.put_byte(b'"');
                draft.put_escaped(value.expose(), b"\"\\`$");
                draft.put_byte(b'"');
            }
        }
        draft.put_byte(b'\n');
    }
    draft.finish()
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    if std::str::from_utf8(bytes).map_or(true, |text| text.chars().any(is_noncharacter)) {
        return Err(Error::new("it is not UTF-8, and systemd would drop all of it"));
    }
    let mut found = Found::new(bytes);
    let mut cursor = Cursor::new(bytes);
    loop {
        cursor.take_while(is_white);
        match cursor.peek() {
            None => return Ok(found.finish()),
            Some(b'#' | b';') => read_comment(&mut cursor),
            Some(_) => read_pair(&mut cursor, &mut found)?,
        }
    }
}

fn is_white(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t' | b'\n' | b'\r')
}

fn is_end(byte: u8) -> bool {
    matches!(byte, b'\n' | b'\r')
}

/// A backslash at its end lets a comment go on.
fn read_comment(cursor: &mut Cursor<'_>) {
    while let Some(byte) = cursor.next() {
        match byte {
            b'\\' => _ = cursor.next(),
            byte if is_end(byte) => return,
            _ => {}
        }
    }
}

fn read_pair(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    let key = cursor.take_while(|b| b != b'=' && !is_end(b)).trim_ascii_end();
    if !cursor.eat(b'=') {
        return Err(cursor.error("there is no `=`, and systemd would drop the line"));
    }
    if key.contains(&b'-') {
        return Err(cursor.error("systemd drops a variable with `-` in its name"));
    }
    // What is quoted and what is not may follow one another.
    loop {
        cursor.take_while(|b| matches!(b, b' ' | b'\t'));
        match cursor.peek() {
            Some(b'\'') => read_single(cursor, found),
            Some(b'"') => read_double(cursor, found),
            Some(byte) if !is_end(byte) => {
                read_bare(cursor, found);
                break;
            }
            _ => break,
        }
    }
    found.keep(key).map_err(|error| cursor.error(error.message()))
}

/// To the end of the line. Blanks at the end do not count, unless a backslash stands before them.
fn read_bare(cursor: &mut Cursor<'_>, found: &mut Found) {
    let mut end = found.value.len();
    while let Some(byte) = cursor.peek().filter(|byte| !is_end(*byte)) {
        cursor.next();
        match byte {
            b'\\' => match cursor.next() {
                Some(next) if !is_end(next) => found.value.push(next),
                _ => {}
            },
            byte => found.value.push(byte),
        }
        if byte == b'\\' || !is_white(byte) {
            end = found.value.len();
        }
    }
    found.value.truncate(end);
}

/// A quote that is not closed ends with the file.
fn read_single(cursor: &mut Cursor<'_>, found: &mut Found) {
    cursor.next();
    found.value.extend_from_slice(cursor.take_while(|b| b != b'\''));
    cursor.next();
}

fn read_double(cursor: &mut Cursor<'_>, found: &mut Found) {
    cursor.next();
    while let Some(byte) = cursor.next() {
        match byte {
            b'"' => return,
            b'\\' => match cursor.next() {
                Some(next) if b"\"\\`$".contains(&next) => found.value.push(next),
                Some(b'\n') | None => {}
                Some(next) => found.value.extend_from_slice(&[b'\\', next]),
            },
            byte => found.value.push(byte),
        }
    }
}
