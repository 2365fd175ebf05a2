//! `docker --env-file`, and `kubectl create secret generic --from-env-file`: lines of KEY=value without quotes or escapes.

use super::draft::Draft;
use crate::words::{KeyName, Secret};

/// Go's line scanner, which both use, stops at a longer line.
pub(super) const LONGEST_LINE: usize = 64 * 1024 - 2;

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
    Draft::lines(values, 1, |value, draft| draft.put(value))
}
