//! `.env` as the libraries of Node, Python and Ruby read it, where they agree. What one expands and another one leaves is refused.

use super::assignment::{Assignment, VARIABLE};
use super::cursor::{has_odd_ends, has_odd_line_end, is_blank};
use super::quoted_env::QuotedEnv;
use crate::words::Secret;

const COMMENT: &str = "libraries differ about a `#` without a blank before it";
const ESCAPE: &str = "libraries differ about such a backslash";
const TAB: &str = "libraries differ about a tab";
const ODD: &str = "libraries differ about a blank at its ends, or a line end in it, that is not of ASCII or not usual";
const BACKTICK: &str = "libraries differ about backticks";

/// All of them.
struct Libraries;

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    Libraries.read(bytes)
}

impl QuotedEnv for Libraries {
    const KEY_ENDS: &'static [u8] = b"=\n";
    const BLANKS: &'static [u8] = b" ";
    const LINE_END: &'static str = "libraries differ about a line end of Windows between quotes";

    fn unquoted(&self, line: &[u8]) -> Result<Secret, &'static str> {
        let value = match line.iter().position(|b| *b == b'#') {
            Some(at) if at == 0 || !is_blank(line[at - 1]) => return Err(COMMENT),
            Some(at) => &line[..at],
            None => line,
        };
        match value {
            value if value.starts_with(b"`") => Err(BACKTICK),
            value if value.contains(&b'$') => Err(VARIABLE),
            value if value.contains(&b'\\') => Err(ESCAPE),
            value if value.contains(&b'\t') => Err(TAB),
            value if has_odd_ends(value.trim_ascii()) || has_odd_line_end(line.strip_suffix(b"\r").unwrap_or(line)) => {
                Err(ODD)
            }
            value => Ok(Secret::new(value.trim_ascii())),
        }
    }

    fn unescape(&self, quote: u8, escaped: u8, value: &mut Vec<u8>) -> Result<(), &'static str> {
        match (quote, escaped) {
            (b'"', b'n') => value.push(b'\n'),
            (b'"', b'r') => value.push(b'\r'),
            _ => return Err(ESCAPE),
        }
        Ok(())
    }
}
