//! `EnvironmentFile=` of a unit. Quotes are written double: in single ones, versions before 240 took a backslash for an escape.

use super::draft::Draft;
use crate::words::{KeyName, Secret};

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
pub(super) fn is_noncharacter(c: char) -> bool {
    matches!(u32::from(c), 0xFDD0..=0xFDEF) || u32::from(c) & 0xFFFE == 0xFFFE
}

fn is_bare(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!%*+,-./:=?@[]^_{}~".contains(b))
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    Draft::lines(values, 2, |value, draft| match is_bare(value) {
        true => draft.put(value),
        false => {
            draft.put_byte(b'"');
            draft.put_escaped(value, b"\"\\`$");
            draft.put_byte(b'"');
        }
    })
}
