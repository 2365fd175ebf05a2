//! How a clear number or truth value is hashed: not as it is written, but as the language prints it in which SOPS is written.

use super::node::{Scalar, Tag};
use std::borrow::Cow;
use zeroize::Zeroizing;

/// A clear value as SOPS, which is written in Go, hashes it. What is written in a manner that is not known here fails the MAC.
pub fn as_go(scalar: &Scalar, is_json: bool) -> Cow<'_, [u8]> {
    let text = scalar.text.expose();
    let plain = std::str::from_utf8(text).ok().filter(|_| scalar.is_plain && scalar.tag != Some(Tag::Text));
    let Some(plain) = plain else { return text.into() };
    let shown = match plain {
        "true" | "True" | "TRUE" => Some("True".to_owned()),
        "false" | "False" | "FALSE" => Some("False".to_owned()),
        plain if is_json => plain.parse().ok().map(|number: f64| number.to_string()),
        plain => whole_number(plain).map(|number| number.to_string()).or_else(|| float(plain)),
    };
    shown.map_or(text.into(), |shown| shown.into_bytes().into())
}

fn whole_number(text: &str) -> Option<i64> {
    let text = Zeroizing::new(text.replace('_', ""));
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let radixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let radix = radixes.iter().find_map(|(start, radix)| digits.strip_prefix(start).map(|rest| (rest, *radix)));
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|rest| (rest, 8));
    let (digits, radix) = radix.or(octal).unwrap_or((digits, 10));
    let is_plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    is_plain.then(|| i64::from_str_radix(&Zeroizing::new(format!("{sign}{digits}")), radix).ok()).flatten()
}

fn float(text: &str) -> Option<String> {
    let is_float =
        text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|_| is_float).map(|number: f64| number.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::Secret;

    fn plain(text: &str) -> Scalar {
        Scalar { text: Secret::new(text.as_bytes()), is_plain: true, tag: None }
    }

    #[test]
    fn clear_values_are_hashed_as_go_writes_them() {
        for (text, yaml, json) in [
            ("true", "True", "True"),
            ("7", "7", "7"),
            ("-7", "-7", "-7"),
            ("0x1F", "31", "0x1F"),
            ("0o17", "15", "0o17"),
            ("017", "15", "17"),
            ("1_000", "1000", "1_000"),
            ("1.50", "1.5", "1.5"),
            ("1e3", "1000", "1000"),
            ("+5", "5", "5"),
            ("yes", "yes", "yes"),
            ("1.2.3", "1.2.3", "1.2.3"),
            ("x", "x", "x"),
        ] {
            assert_eq!(*as_go(&plain(text), false), *yaml.as_bytes(), "{text}");
            assert_eq!(*as_go(&plain(text), true), *json.as_bytes(), "{text}");
        }
        assert_eq!(*as_go(&Scalar { is_plain: false, ..plain("true") }, false), *b"true");
    }
}
