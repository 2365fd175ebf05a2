//! `env_file` of Compose: version 2 (compose-go) and version 1 (python-dotenv), which agree on less than they seem to.
//! Double quotes hold everything but `$`, which only version 2 expands there, and a backslash at the end, which version 1 takes for
//! an escape of the quote. Single quotes hold `$`; a backslash before a backslash or a quote is one to the one and two to the other.

use super::draft::Draft;
use crate::words::{KeyName, Secret};

pub(super) fn refuses(value: &Secret) -> Option<&'static str> {
    let bytes = value.expose();
    let has_dollar = bytes.contains(&b'$');
    let has = |pair: &[u8]| bytes.windows(2).any(|window| window == pair);
    match () {
        () if bytes.contains(&0) => Some("the value holds a NUL byte"),
        () if std::str::from_utf8(bytes).is_err() => Some("the value holds bytes that are not UTF-8"),
        () if bytes.len() > super::shell::LONGEST => Some("the value is longer than 127 KiB"),
        () if is_bare(bytes) => None,
        () if bytes.ends_with(b"\\") => Some("the value ends in a backslash and needs quotes"),
        () if expands_anywhere(bytes) => Some("the value holds `${`, which version 1 expands in any quotes"),
        () if has_dollar && bytes.contains(&b'\r') => Some("the value holds `$` and a carriage return"),
        () if has_dollar && (has(b"\\\\") || has(b"\\'")) => {
            Some("the value holds `$` and a backslash before another or before `'`")
        }
        () => None,
    }
}

/// python-dotenv looks for `${...}` after the quotes are gone.
fn expands_anywhere(bytes: &[u8]) -> bool {
    let start = bytes.windows(2).position(|window| window == b"${");
    start.is_some_and(|start| bytes[start..].contains(&b'}'))
}

/// A backslash means itself outside of quotes.
fn is_bare(bytes: &[u8]) -> bool {
    bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"!%*+,-./:=?@[\\]^_{}~".contains(b))
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    Draft::lines(values, 2, write_value)
}

fn write_value(value: &[u8], draft: &mut Draft) {
    if is_bare(value) {
        return draft.put(value);
    }
    if value.contains(&b'$') {
        draft.put_byte(b'\'');
        draft.put_escaped(value, b"'");
        return draft.put_byte(b'\'');
    }
    draft.put_byte(b'"');
    for byte in value {
        match byte {
            // Both would make a newline of a CR that stands as it is.
            b'\r' => draft.put(b"\\r"),
            byte => draft.put_escaped(&[*byte], b"\"\\"),
        }
    }
    draft.put_byte(b'"');
}
