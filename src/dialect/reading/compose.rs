//! `env_file:` of Compose. What it would look up, and what one release reads one way and another one another, is refused.

use super::assignment::{Assignment, VARIABLE};
use super::cursor::{has_odd_ends, has_odd_line_end, without_mark};
use super::quoted_env::QuotedEnv;
use crate::words::Secret;

const COMMENT: &str = "releases of Compose differ about a `#` without a blank before it";
const ESCAPE: &str = "releases of Compose differ about such a backslash";
const ODD: &str =
    "releases of Compose differ about a blank at its ends, or a line end in it, that is not of ASCII or not usual";

/// Which releases are asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Releases {
    /// All that there were.
    Any,
    /// Those that the writer writes for: they agree about what it escapes.
    WrittenFor,
}

pub fn read(bytes: &[u8], releases: Releases) -> Vec<Assignment> {
    releases.read(without_mark(bytes))
}

impl QuotedEnv for Releases {
    const KEY_ENDS: &'static [u8] = b"=:\n";
    const BLANKS: &'static [u8] = b" \t";
    const LINE_END: &'static str = "releases of Compose differ about a line end of Windows between quotes";

    fn unquoted(&self, line: &[u8]) -> Result<Secret, &'static str> {
        let (value, comment) = match line.iter().position(|b| *b == b'#') {
            Some(0) => return Err(COMMENT),
            Some(at) if line[at - 1] != b' ' => return Err(COMMENT),
            Some(at) => line.split_at(at),
            None => (line, &b""[..]),
        };
        let is_expanded = value.contains(&b'$') || comment.contains(&b'$');
        let has_odd_end = *self == Self::Any && has_odd_line_end(line.strip_suffix(b"\r").unwrap_or(line));
        if has_odd_end || has_odd_ends(value.trim_ascii()) {
            return Err(ODD);
        }
        if is_expanded { Err(VARIABLE) } else { Ok(Secret::new(value.trim_ascii())) }
    }

    fn unescape(&self, quote: u8, escaped: u8, value: &mut Vec<u8>) -> Result<(), &'static str> {
        match (quote, escaped) {
            (b'"', b'n') => value.push(b'\n'),
            (b'"', b'r') => value.push(b'\r'),
            (b'"', b'"') => value.push(b'"'),
            (b'"', b'\\') | (b'\'', b'\'') if *self == Self::WrittenFor => value.push(escaped),
            (b'"', _) | (_, b'\'' | b'\\') => return Err(ESCAPE),
            (_, other) => value.extend_from_slice(&[b'\\', other]),
        }
        Ok(())
    }
}
