//! JSON: one object whose values are strings. Only what must be escaped is: a value is found as it is written.

use super::draft::Draft;
use crate::words::{KeyName, Secret};

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
