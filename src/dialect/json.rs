//! JSON: one object whose values are strings. Only what must be escaped is: a value is found as it is written.

use super::cursor::Cursor;
use super::draft::Draft;
use super::found::Found;
use crate::words::{Error, KeyName, Result, Secret};

pub(super) fn refuses(value: &Secret) -> Option<&'static str> {
    std::str::from_utf8(value.expose()).is_err().then_some("the value holds bytes that are not UTF-8")
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    let mut draft = Draft::with_room(
        4 + values.iter().map(|(key, value)| key.as_str().len() + 6 * value.len() + 10).sum::<usize>(),
    );
    draft.put(b"{");
    for (index, (key, value)) in values.iter().enumerate() {
        draft.put(if index == 0 { b"\n  \"" } else { b",\n  \"" });
        draft.put(key.as_str().as_bytes());
        draft.put(b"\": ");
        write_string(value.expose(), &mut draft);
    }
    draft.put(if values.is_empty() { b"}\n" } else { b"\n}\n" });
    draft.finish()
}

/// With its quotes.
pub(crate) fn string(value: &[u8]) -> Secret {
    let mut draft = Draft::with_room(6 * value.len() + 2);
    write_string(value, &mut draft);
    draft.finish()
}

fn write_string(value: &[u8], draft: &mut Draft) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    draft.put_byte(b'"');
    for byte in value {
        match byte {
            b'"' | b'\\' => draft.put(&[b'\\', *byte]),
            b'\n' => draft.put(b"\\n"),
            b'\r' => draft.put(b"\\r"),
            b'\t' => draft.put(b"\\t"),
            0..0x20 | 0x7f => {
                draft.put(&[b'\\', b'u', b'0', b'0', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]);
            }
            byte => draft.put_byte(*byte),
        }
    }
    draft.put_byte(b'"');
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    if std::str::from_utf8(bytes).is_err() {
        return Err(Error::new("it is not UTF-8, so it is not JSON"));
    }
    let mut found = Found::new(bytes);
    let mut cursor = Cursor::new(bytes);
    expect(&mut cursor, b'{')?;
    let mut is_first = true;
    while skip(&mut cursor) != Some(b'}') {
        if !is_first {
            expect(&mut cursor, b',')?;
        }
        is_first = false;
        skip(&mut cursor);
        read_string(&mut cursor, &mut found)?;
        let key = Secret::new(found.value.as_slice());
        found.value.clear();
        expect(&mut cursor, b':')?;
        if skip(&mut cursor) != Some(b'"') {
            return Err(cursor.error("a value is not a string"));
        }
        read_string(&mut cursor, &mut found)?;
        found.keep(key.expose()).map_err(|error| cursor.error(error.message()))?;
    }
    cursor.next();
    match skip(&mut cursor) {
        None => Ok(found.finish()),
        Some(_) => Err(cursor.error("something stands behind the object")),
    }
}

fn skip(cursor: &mut Cursor<'_>) -> Option<u8> {
    cursor.take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    cursor.peek()
}

fn expect(cursor: &mut Cursor<'_>, byte: u8) -> Result<()> {
    skip(cursor);
    match cursor.eat(byte) {
        true => Ok(()),
        false => Err(cursor.error(format!("it is not an object of strings: `{}` is missing", char::from(byte)))),
    }
}

fn read_string(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    expect(cursor, b'"')?;
    loop {
        match cursor.next().ok_or_else(|| cursor.error("a string is not closed"))? {
            b'"' => return Ok(()),
            b'\\' => read_escape(cursor, found)?,
            0..0x20 => return Err(cursor.error("a control character stands in a string")),
            byte => found.value.push(byte),
        }
    }
}

fn read_escape(cursor: &mut Cursor<'_>, found: &mut Found) -> Result<()> {
    let wrong = |cursor: &Cursor<'_>| cursor.error("there is an escape that JSON does not know");
    let byte = match cursor.next() {
        Some(byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let character = read_code_point(cursor).ok_or_else(|| wrong(cursor))?;
            let mut utf8 = zeroize::Zeroizing::new([0; 4]);
            found.value.extend_from_slice(character.encode_utf8(&mut *utf8).as_bytes());
            return Ok(());
        }
        _ => return Err(wrong(cursor)),
    };
    found.value.push(byte);
    Ok(())
}

/// Characters beyond the first 65536 are two units.
fn read_code_point(cursor: &mut Cursor<'_>) -> Option<char> {
    let high = read_unit(cursor)?;
    if !(0xD800..0xDC00).contains(&high) {
        return char::from_u32(high);
    }
    let low = cursor.eat_all(b"\\u").then(|| read_unit(cursor)).flatten()?;
    let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + low)
}

fn read_unit(cursor: &mut Cursor<'_>) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + char::from(cursor.next()?).to_digit(16)?))
}
