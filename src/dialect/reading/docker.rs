//! `docker run --env-file`: everything behind the first `=` is the value, quotes and blanks included.

use super::super::docker::LONGEST_LINE;
use super::assignment::{Assignment, KEY, NO_EQUALS, NOT_UTF8};
use super::cursor::without_mark;
use crate::words::Secret;

const TOO_LONG: &str = "its line is longer than 64 KiB, where docker stops reading";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    let lines = without_mark(bytes).split(|b| *b == b'\n').enumerate();
    lines.filter_map(|(index, line)| assignment(index + 1, line)).collect()
}

fn assignment(number: usize, line: &[u8]) -> Option<Assignment> {
    if line.len() > LONGEST_LINE {
        return Some(Assignment::refused(number, key(line), TOO_LONG));
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let Ok(text) = std::str::from_utf8(line) else { return Some(Assignment::refused(number, key(line), NOT_UTF8)) };
    let line = text.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return None;
    }
    let Some((key, value)) = line.split_once('=') else {
        return Some(Assignment::none(number, NO_EQUALS));
    };
    let is_key = !key.is_empty() && !key.contains(char::is_whitespace);
    let value = if is_key { Ok(Secret::new(value.as_bytes())) } else { Err(KEY) };
    Some(Assignment::new(number, key.as_bytes(), value))
}

fn key(line: &[u8]) -> &[u8] {
    line.split(|b| *b == b'=').next().unwrap_or_default()
}
