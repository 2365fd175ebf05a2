//! JSON: one object whose values are strings.

use super::assignment::Assignment;
use super::cursor::Cursor;
use zeroize::Zeroizing;

const NO_OBJECT: &str = "it is not an object of strings";
const ESCAPE: &str = "there is an escape that JSON does not know";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    if let Err(error) = std::str::from_utf8(bytes) {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        return vec![Assignment::none(line, "it is not UTF-8, so it is not JSON")];
    }
    let (mut cursor, mut found) = (Cursor::new(bytes), Vec::new());
    if let Err(why) = object(&mut cursor, &mut found) {
        found.push(Assignment::none(cursor.line, why));
    }
    found
}

fn object(cursor: &mut Cursor, found: &mut Vec<Assignment>) -> Result<(), &'static str> {
    expect(cursor, b'{')?;
    while skip(cursor) != Some(b'}') {
        if !found.is_empty() {
            expect(cursor, b',')?;
        }
        found.push(pair(cursor)?);
    }
    cursor.next();
    match skip(cursor) {
        None => Ok(()),
        Some(_) => Err("something stands behind the object"),
    }
}

fn pair(cursor: &mut Cursor) -> Result<Assignment, &'static str> {
    expect(cursor, b'"')?;
    let line = cursor.line;
    let key = cursor.collect(string)?;
    expect(cursor, b':')?;
    if skip(cursor) != Some(b'"') {
        return Err("a value is not a string");
    }
    cursor.next();
    let value = cursor.collect(string)?;
    Ok(Assignment::new(line, key.expose(), Ok(value)))
}

fn skip(cursor: &mut Cursor) -> Option<u8> {
    cursor.take_while(|b| matches!(b, b' ' | b'\t' | b'\n' | b'\r'));
    cursor.peek()
}

fn expect(cursor: &mut Cursor, byte: u8) -> Result<(), &'static str> {
    skip(cursor);
    if cursor.eat(byte) { Ok(()) } else { Err(NO_OBJECT) }
}

/// Behind its first quote.
fn string(cursor: &mut Cursor, value: &mut Vec<u8>) -> Result<(), &'static str> {
    loop {
        match cursor.next().ok_or("a string is not closed")? {
            b'"' => return Ok(()),
            b'\\' => escape(cursor, value)?,
            0..0x20 => return Err("a control character stands in a string"),
            byte => value.push(byte),
        }
    }
}

fn escape(cursor: &mut Cursor, value: &mut Vec<u8>) -> Result<(), &'static str> {
    let byte = match cursor.next() {
        Some(byte @ (b'"' | b'\\' | b'/')) => byte,
        Some(b'b') => 8,
        Some(b'f') => 12,
        Some(b'n') => b'\n',
        Some(b'r') => b'\r',
        Some(b't') => b'\t',
        Some(b'u') => {
            let character = code_point(cursor).ok_or(ESCAPE)?;
            let mut utf8 = Zeroizing::new([0; 4]);
            value.extend_from_slice(character.encode_utf8(&mut *utf8).as_bytes());
            return Ok(());
        }
        _ => return Err(ESCAPE),
    };
    value.push(byte);
    Ok(())
}

/// Characters beyond the first 65536 are two units.
fn code_point(cursor: &mut Cursor) -> Option<char> {
    let high = unit(cursor)?;
    if !(0xD800..0xDC00).contains(&high) {
        return char::from_u32(high);
    }
    let low = (cursor.eat(b'\\') && cursor.eat(b'u')).then(|| unit(cursor)).flatten()?;
    let low = low.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
    char::from_u32(0x10000 + ((high - 0xD800) << 10) + low)
}

fn unit(cursor: &mut Cursor) -> Option<u32> {
    (0..4).try_fold(0, |unit, _| Some(unit * 16 + char::from(cursor.next()?).to_digit(16)?))
}
