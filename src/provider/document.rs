//! The document that a step reads on stdin: `distribute.step/1`, one JSON object, then the end of input. Fields are added within /1, never changed.

use super::Call;
use crate::words::Secret;
use data_encoding::BASE64;
use serde::Serialize;
use zeroize::Zeroizing;

#[derive(Serialize)]
struct Document<'a> {
    schema: &'a str,
    step: &'a str,
    secret: &'a str,
    host: Option<&'a str>,
    run: &'a str,
    encoding: &'a str,
    old: Option<&'a str>,
    new: Option<&'a str>,
    old_public: Option<&'a str>,
    new_public: Option<&'a str>,
}

/// The document's bytes. They are written once, into a buffer that is large enough and wiped when dropped.
pub(super) fn document(call: &Call) -> Zeroizing<Vec<u8>> {
    let values = [call.old, call.new, call.old_public, call.new_public];
    let is_text = values.iter().flatten().all(|value| std::str::from_utf8(value.expose()).is_ok());
    let texts = values.map(|value| value.map(|value| written(value, is_text)));
    let [old, new, old_public, new_public] = texts.each_ref().map(|text| text.as_ref().map(|text| text.as_str()));
    let (schema, encoding) = ("distribute.step/1", if is_text { "utf-8" } else { "base64" });
    let Call { step, secret, host, run, .. } = *call;
    let document = Document { schema, step, secret, host, run, encoding, old, new, old_public, new_public };
    // An escape is six characters at most; what grows leaves copies behind.
    let size = [old, new, old_public, new_public].into_iter().flatten().map(str::len).sum::<usize>();
    let names = secret.len() + run.len() + step.len() + host.map_or(0, str::len);
    let mut bytes = Zeroizing::new(Vec::with_capacity((size + names) * 6 + 512));
    serde_json::to_writer(&mut *bytes, &document).expect("strings can be written as JSON");
    bytes.push(b'\n');
    bytes
}

fn written(value: &Secret, is_text: bool) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(BASE64.encode_len(value.len()).max(value.len())));
    match std::str::from_utf8(value.expose()) {
        Ok(plain) if is_text => text.push_str(plain),
        _ => BASE64.encode_append(value.expose(), &mut text),
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call<'a>(old: &'a Secret, new: &'a Secret) -> Call<'a> {
        let (step, secret, host, run) = ("set", "postgres.PASSWORD", None, "42-20261121T020000Z-7f3a");
        Call { step, secret, host, run, old: Some(old), new: Some(new), old_public: None, new_public: None }
    }

    fn parsed(call: &Call) -> serde_json::Value {
        serde_json::from_slice(&document(call)).unwrap()
    }

    #[test]
    fn values_are_text_or_base64_all_of_them() {
        let (text, bytes) = (Secret::new("a\"b\n\u{1}ü".as_bytes()), Secret::new(*b"\xff\x00"));
        let document = parsed(&call(&text, &text));
        assert_eq!((&document["encoding"], &document["new"]), (&"utf-8".into(), &"a\"b\n\u{1}ü".into()));
        assert!(document["host"].is_null() && document["old_public"].is_null());
        let document = parsed(&call(&text, &bytes));
        assert_eq!((&document["encoding"], &document["new"]), (&"base64".into(), &"/wA=".into()));
        assert_eq!(document["old"], BASE64.encode(text.expose()));
    }

    #[test]
    fn the_buffer_never_grows() {
        let worst = Secret::new(vec![1; 5000]);
        let bytes = document(&call(&worst, &worst));
        assert!(bytes.len() > 60_000 && bytes.capacity() == 60_000 + ("set".len() + 17 + 24) * 6 + 512);
    }
}
