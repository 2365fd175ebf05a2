//! `docker --env-file`, and `kubectl create secret generic --from-env-file`: lines of KEY=value without quotes or escapes.

use super::draft::Draft;
use super::found::Found;
use crate::words::{Error, KeyName, Result, Secret};

/// Go's line scanner, which both use, stops at a longer line.
const LONGEST_LINE: usize = 64 * 1024 - 2;
const BOM: &[u8] = b"\xef\xbb\xbf";

pub(super) fn refuses(key: &KeyName, value: &Secret) -> Option<&'static str> {
    let bytes = value.expose();
    match () {
        () if bytes.contains(&b'\n') => Some("the value holds a newline"),
        () if bytes.contains(&b'\r') => Some("the value holds a carriage return"),
        () if bytes.contains(&0) => Some("the value holds a NUL byte"),
        () if std::str::from_utf8(bytes).is_err() => Some("the value holds bytes that are not UTF-8"),
        () if key.as_str().len() + 1 + bytes.len() > LONGEST_LINE => Some("the value makes a line longer than 64 KiB"),
        () => None,
    }
}

pub(super) fn write(values: &[(KeyName, Secret)]) -> Secret {
    let mut draft = Draft::new(values, 1, 2);
    for (key, value) in values {
        for part in [key.as_str().as_bytes(), b"=", value.expose(), b"\n"] {
            draft.put(part);
        }
    }
    draft.finish()
}

pub(super) fn read(bytes: &[u8]) -> Result<Vec<(KeyName, Secret)>> {
    let mut found = Found::new(bytes);
    let text = bytes.strip_prefix(BOM).unwrap_or(bytes);
    for (index, line) in text.split(|b| *b == b'\n').enumerate() {
        read_line(line, &mut found).map_err(|error| error.at(format!("line {}", index + 1)))?;
    }
    Ok(found.finish())
}

fn read_line(line: &[u8], found: &mut Found) -> Result<()> {
    if line.len() > LONGEST_LINE {
        return Err(Error::new("it is longer than 64 KiB, where docker stops reading"));
    }
    let line = line.strip_suffix(b"\r").unwrap_or(line);
    let line = std::str::from_utf8(line).map_err(|_| Error::new("it is not UTF-8, where docker stops reading"))?;
    let line = line.trim_start();
    if line.is_empty() || line.starts_with('#') {
        return Ok(());
    }
    let (key, value) = line.split_once('=').ok_or_else(|| {
        Error::new("there is no `=`: docker would take the value from the environment that it is started in")
    })?;
    found.value.extend_from_slice(value.as_bytes());
    found.keep(key.as_bytes())
}
