//! `env_file` of Compose: version 2 (compose-go) and version 1 (python-dotenv), which agree on less than they seem to.
//! Double quotes hold everything but `$`, which only version 2 expands there, and a backslash at the end, which version 1 takes for
//! an escape of the quote. Single quotes hold `$`; a backslash before a backslash or a quote is one to the one and two to the other.

use super::cursor::Cursor;
use super::draft::Draft;
use super::found::Found;
use crate::words::{KeyName, Result, Secret};

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
    let mut draft = Draft::new(values, 2, 4);
    for (key, value) in values {
        draft.put(key.as_str().as_bytes());
        draft.put_byte(b'=');
        write_value(value.expose(), &mut draft);
        draft.put_byte(b'\n');
    }
    draft.finish()
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

/// As version 2 reads it, but for what it expands.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    let mut found = Found::new(bytes);
    let mut cursor = Cursor::new(bytes);
    loop {
        cursor.take_while(|b| b.is_ascii_whitespace());
        match cursor.peek() {
            None => return Ok(found.finish()),
            Some(b'#') => _ = cursor.rest_of_line(),
            Some(_) => read_pair(&mut cursor, &mut found)?,
        }
    }
}

fn read_pair(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    if cursor.eat_all(b"export ") {
        cursor.take_while(is_blank);
    }
    let key = cursor.take_while(|b| b.is_ascii_alphanumeric() || b"_-".contains(&b));
    cursor.take_while(is_blank);
    if !cursor.eat(b'=') {
        return Err(cursor.error("a key is not followed by `=`"));
    }
    cursor.take_while(is_blank);
    let wrong = match cursor.peek() {
        Some(quote @ (b'\'' | b'"')) => {
            read_quoted(quote, cursor, found)?;
            let rest = cursor.rest_of_line().trim_ascii();
            (!rest.is_empty() && !rest.starts_with(b"#")).then_some("something stands behind the closing quote")
        }
        _ => {
            let line = cursor.rest_of_line();
            let end = line.windows(2).position(|pair| pair == b" #").unwrap_or(line.len());
            found.value.extend_from_slice(line[..end].trim_ascii_end());
            found.value.contains(&b'$').then_some("there is a `$`, which compose expands")
        }
    };
    match wrong {
        Some(wrong) => Err(cursor.error(wrong)),
        None => found.keep(key).map_err(|error| cursor.error(error.message())),
    }
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

fn read_quoted(quote: u8, cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    cursor.next();
    let unclosed = "a quote is not closed";
    loop {
        match cursor.next().ok_or_else(|| cursor.error(unclosed))? {
            byte if byte == quote => return Ok(()),
            b'\\' if quote == b'\'' => match cursor.next().ok_or_else(|| cursor.error(unclosed))? {
                b'\'' => found.value.push(b'\''),
                other => found.value.extend_from_slice(&[b'\\', other]),
            },
            b'\\' => match cursor.next().ok_or_else(|| cursor.error(unclosed))? {
                byte @ (b'"' | b'\\') => found.value.push(byte),
                b'n' => found.value.push(b'\n'),
                b'r' => found.value.push(b'\r'),
                b't' => found.value.push(b'\t'),
                _ => return Err(cursor.error("there is an escape that is not known here")),
            },
            b'$' if quote == b'"' => return Err(cursor.error("there is a `$`, which compose expands")),
            byte => found.value.push(byte),
        }
    }
}
