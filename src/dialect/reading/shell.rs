//! `set -a; . FILE` in a POSIX shell, as far as a line is an assignment and nothing but one. What the shell would look up, run or expand is
//! refused.

use super::assignment::{Assignment, NO_EQUALS, OPEN_QUOTE, VARIABLE};
use super::cursor::{Cursor, is_blank};

const COMMAND: &str = "a shell would run it as a command";
const META: &str = "it holds a character that a shell acts on: ; & | < > ( )";
const EXPANDED: &str = "a shell would put something else in its place: ~ * ? [ {";
const SUBSTITUTED: &str = "a shell would run the command between backticks";
const FOLLOWED: &str = "something stands behind the value, and a shell would run it";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    Cursor::new(bytes).assignments(|b| is_blank(b) || b == b'\n', assignment)
}

fn assignment(cursor: &mut Cursor) -> Assignment {
    let line = cursor.line;
    let is_exported = cursor.skip_export();
    let key = cursor.take_while(|b| b.is_ascii_alphanumeric() || b == b'_');
    if key.first().is_none_or(u8::is_ascii_digit) || cursor.peek() != Some(b'=') {
        let has_equals = cursor.line_end().contains(&b'=');
        return Assignment::none(line, if has_equals { COMMAND } else { NO_EQUALS });
    }
    cursor.next();
    let value = cursor.collect(|cursor, value| word(cursor, is_exported, value)).and_then(|value| {
        match cursor.nothing_follows(is_blank) {
            true => Ok(value),
            false => Err(FOLLOWED),
        }
    });
    cursor.line_end();
    Assignment::new(line, key, value)
}

fn word(cursor: &mut Cursor, is_exported: bool, value: &mut Vec<u8>) -> Result<(), &'static str> {
    let mut may_be_home = true;
    while let Some(byte) = cursor.peek() {
        if is_blank(byte) || byte == b'\n' {
            break;
        }
        cursor.next();
        match byte {
            b'\'' => {
                value.extend_from_slice(cursor.take_while(|b| b != b'\''));
                cursor.next().ok_or(OPEN_QUOTE)?;
            }
            b'"' => double(cursor, value)?,
            b'\\' => match cursor.next() {
                Some(b'\n') => {}
                Some(escaped) => value.push(escaped),
                None => value.push(b'\\'),
            },
            b'$' => return Err(VARIABLE),
            b'`' => return Err(SUBSTITUTED),
            b';' | b'&' | b'|' | b'<' | b'>' | b'(' | b')' => return Err(META),
            b'~' if may_be_home => return Err(EXPANDED),
            // Some shells expand the words behind `export` as those of any command.
            b'*' | b'?' | b'[' | b'{' | b'~' if is_exported => return Err(EXPANDED),
            byte => value.push(byte),
        }
        may_be_home = matches!(byte, b':' | b'=');
    }
    Ok(())
}

fn double(cursor: &mut Cursor, value: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match cursor.next().ok_or(OPEN_QUOTE)? {
            b'"' => return Ok(()),
            b'$' => return Err(VARIABLE),
            b'`' => return Err(SUBSTITUTED),
            b'\\' => match cursor.next().ok_or(OPEN_QUOTE)? {
                escaped @ (b'$' | b'`' | b'"' | b'\\') => value.push(escaped),
                b'\n' => {}
                other => value.extend_from_slice(&[b'\\', other]),
            },
            byte => value.push(byte),
        }
    }
}
