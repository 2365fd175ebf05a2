//! Filters that a secret knows: what goes in is wiped, and so is what comes out.

use super::looked_up::LookedUp;
use crate::dialect::{json_string, shell_quoted};
use crate::words::Secret;
use data_encoding::BASE64;
use minijinja::value::ValueKind;
use minijinja::{Environment, Error, ErrorKind, Value};
use zeroize::Zeroizing;

/// They take strings of the inventory too. Is it there? asks no more of a secret than that.
pub fn add_to(environment: &mut Environment<'_>) {
    for name in ["json", "tojson"] {
        environment.add_filter(name, |value: Value| json(&value));
    }
    for name in ["base64", "b64encode"] {
        environment.add_filter(name, |value: Value| made(&value, |bytes| Ok(base64(bytes))));
    }
    environment.add_filter("shellquote", |value: Value| made(&value, |bytes| Ok(shell_quoted(bytes))));
    environment.add_filter("urlencode", |value: Value| made(&value, |bytes| Ok(url_encoded(bytes))));
    environment.add_test("defined", |value: Value| !is_absent(&value));
    environment.add_test("undefined", |value: Value| is_absent(&value));
}

fn is_absent(value: &Value) -> bool {
    if let Some(secret) = value.downcast_object_ref::<LookedUp>() {
        secret.touch();
    }
    value.is_undefined()
}

fn made(value: &Value, make: impl Fn(&[u8]) -> Result<Secret, Error>) -> Result<Value, Error> {
    if let Some(secret) = value.downcast_object_ref::<LookedUp>() {
        return Ok(Value::from_object(secret.made(make(secret.touch().expose())?)));
    }
    let text = match value.kind() {
        ValueKind::String => value.as_str().unwrap_or_default().to_owned(),
        ValueKind::Number | ValueKind::Bool => value.to_string(),
        ValueKind::Undefined => return Err(Error::from(ErrorKind::UndefinedError)),
        _ => return Err(Error::from(ErrorKind::InvalidOperation)),
    };
    let made = make(text.as_bytes())?;
    let text = std::str::from_utf8(made.expose()).map_err(|_| Error::from(ErrorKind::InvalidOperation))?;
    Ok(Value::from(text))
}

/// Lists in lists; one list may stand in another many times.
const DEEPEST: usize = 32;
const MOST: usize = 100_000;

fn json(value: &Value) -> Result<Value, Error> {
    json_within(value, DEEPEST, &mut 0)
}

fn json_within(value: &Value, deeper: usize, count: &mut usize) -> Result<Value, Error> {
    *count += 1;
    if deeper == 0 || *count > MOST {
        return Err(Error::from(ErrorKind::InvalidOperation));
    }
    match value.kind() {
        ValueKind::Number => Ok(value.clone()),
        ValueKind::Bool => Ok(Value::from(if value.is_true() { "true" } else { "false" })),
        ValueKind::Seq => {
            let items =
                value.try_iter()?.map(|item| json_within(&item, deeper - 1, count).map(|item| item.to_string()));
            Ok(Value::from(format!("[{}]", items.collect::<Result<Vec<_>, _>>()?.join(", "))))
        }
        _ => made(value, |bytes| match std::str::from_utf8(bytes) {
            Ok(_) => Ok(json_string(bytes)),
            Err(_) => Err(Error::from(ErrorKind::InvalidOperation)),
        }),
    }
}

fn base64(bytes: &[u8]) -> Secret {
    Secret::new(BASE64.encode(bytes).into_bytes())
}

/// Everything but what no part of a URL takes for its own.
fn url_encoded(bytes: &[u8]) -> Secret {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    let mut text = Zeroizing::new(Vec::with_capacity(3 * bytes.len()));
    for byte in bytes {
        match byte {
            byte if byte.is_ascii_alphanumeric() || b"-._~".contains(byte) => text.push(*byte),
            byte => text.extend([b'%', DIGITS[usize::from(byte >> 4)], DIGITS[usize::from(byte & 15)]]),
        }
    }
    Secret::new(std::mem::take(&mut *text))
}
