//! A Kubernetes Secret, for `kubectl apply -f`. All values are base64 under `data`: any byte goes, and no word means `true` to YAML.

use super::Manifest;
use super::cursor::Cursor;
use super::draft::Draft;
use super::found::Found;
use crate::words::{Error, KeyName, Result, Secret};
use data_encoding::BASE64;
use zeroize::Zeroizing;

/// The API refuses a Secret whose values are together longer.
const LARGEST: usize = 1024 * 1024;
const TOO_MUCH: &str = "the values up to here are together longer than 1 MiB";

pub(super) fn refuses(value: &Secret) -> Option<&'static str> {
    (value.len() > LARGEST).then_some("the value is longer than 1 MiB")
}

/// The key with which there is too much.
pub(super) fn too_much(values: &[(KeyName, Secret)]) -> Option<(&KeyName, &'static str)> {
    let mut sum = 0;
    let is_over = |(_, value): &&(KeyName, Secret)| {
        sum += value.len();
        sum > LARGEST
    };
    values.iter().find(is_over).map(|(key, _)| (key, TOO_MUCH))
}

pub(super) fn write(values: &[(KeyName, Secret)], manifest: &Manifest) -> Secret {
    let namespace = manifest.namespace().map(|namespace| format!("  namespace: \"{namespace}\"\n")).unwrap_or_default();
    let head = format!(
        "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"{}\"\n{namespace}type: Opaque\ndata:{}\n",
        manifest.name(),
        if values.is_empty() { " {}" } else { "" }
    );
    let size = |(key, value): &(KeyName, Secret)| key.as_str().len() + BASE64.encode_len(value.len()) + 10;
    let mut draft = Draft::with_room(head.len() + values.iter().map(size).sum::<usize>());
    draft.put(head.as_bytes());
    for (key, value) in values {
        for part in [b"  \"", key.as_str().as_bytes(), b"\": \"", encoded(value).expose(), b"\"\n"] {
            draft.put(part);
        }
    }
    draft.finish()
}

/// As a value stands in it.
pub(super) fn encoded(value: &Secret) -> Secret {
    Secret::new(BASE64.encode(value.expose()).into_bytes())
}

/// As it was written here: of what YAML knows besides, nothing.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    let mut cursor = Cursor::new(bytes);
    let mut found = Found::new(bytes);
    if !cursor.eat_all(b"apiVersion: v1\nkind: Secret\nmetadata:\n") {
        return Err(Error::new("it is not a Secret as distribute writes it"));
    }
    loop {
        match cursor.rest_of_line() {
            b"data: {}" => return Ok(found.finish()),
            b"data:" => break,
            line if line.starts_with(b"  ") || line == b"type: Opaque" => {}
            _ => return Err(cursor.error("it is not a Secret as distribute writes it")),
        }
    }
    while cursor.peek().is_some() {
        let (key, encoded) = pair(cursor.rest_of_line()).ok_or_else(|| cursor.error("it is not KEY: base64"))?;
        let decoded = Zeroizing::new(BASE64.decode(encoded).map_err(|_| cursor.error("the value is not base64"))?);
        found.value.extend_from_slice(&decoded);
        found.keep(key).map_err(|error| cursor.error(error.message()))?;
    }
    Ok(found.finish())
}

/// Quoted, as we write it, or as a person might.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_prefix(b"  ")?;
    let colon = line.iter().position(|b| *b == b':')?;
    let bare = |word: &'_ [u8]| -> Option<(usize, usize)> {
        let is_quoted = word.len() >= 2 && word.starts_with(b"\"") && word.ends_with(b"\"");
        Some(if is_quoted { (1, word.len() - 1) } else { (0, word.len()) })
    };
    let (key, value) = (&line[..colon], line[colon + 1..].trim_ascii());
    let ((from, to), (start, end)) = (bare(key)?, bare(value)?);
    Some((&key[from..to], &value[start..end]))
}
