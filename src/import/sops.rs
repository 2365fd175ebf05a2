//! What SOPS sealed to age recipients, as YAML, JSON, an env file, or a whole file in JSON. Every value is opened with the keys that lead to
//! it, and the MAC over all of them is checked before anything is taken.

use super::clear_env;
use super::dialect::Dialect;
use super::node::{Kind, Node, Scalar, Tag};
use super::reading::{CLEAR, Contents, Reading, no_texts};
use super::sops_lines::SopsLines;
use super::sops_metadata::{Metadata, Open};
use super::sops_value::{DataKey, Type, is_sealed};
use super::values::{Leaf, Value, take};
use super::{json, yaml};
use crate::words::{Error, Result, Secret, plural};
use sha2::{Digest, Sha512};
use std::borrow::Cow;
use std::collections::BTreeSet;

/// How it is to be read.
pub struct Manner {
    /// Take values that nobody sealed, too.
    pub with_clear: bool,
    /// Take what is in it as one file.
    pub is_whole: bool,
    /// What env files in it are written for.
    pub dialect: Option<Dialect>,
}

/// The forms that SOPS writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Env,
    Json,
    Yaml,
}

/// Written first into a MAC that leaves out what is clear: the SHA-256 of `sops`.
const SEALED_ONLY: [u8; 32] = [
    0x8a, 0x3f, 0xd2, 0xad, 0x54, 0xce, 0x66, 0x52, 0x7b, 0x10, 0x34, 0xf3, 0xd1, 0x47, 0xbe, 0x0b, 0x0b, 0x97, 0x5b,
    0x3b, 0xf4, 0x4f, 0x72, 0xc6, 0xfd, 0xad, 0xec, 0x81, 0x76, 0xf2, 0x7d, 0x69,
];

/// The form, if it has the marks of SOPS.
pub fn form(bytes: &[u8]) -> Option<Form> {
    let mut lines = bytes.split(|b| *b == b'\n');
    if bytes.trim_ascii_start().starts_with(b"{") {
        return bytes.windows(6).any(|window| window == b"\"sops\"").then_some(Form::Json);
    }
    lines.find_map(|line| match line {
        line if line.starts_with(b"sops_mac=") => Some(Form::Env),
        line if line.trim_ascii_end() == b"sops:" => Some(Form::Yaml),
        _ => None,
    })
}

/// Reads a file of SOPS; `open` opens its data key.
pub fn read(bytes: &[u8], form: Form, manner: &Manner, open: Open) -> Result<Contents> {
    if form == Form::Env {
        return env(bytes, manner, open).map(Contents::Values);
    }
    let document = match form {
        Form::Json => json::read(bytes)?,
        _ => yaml::read(bytes)?.ok_or_else(|| Error::new("it is empty"))?,
    };
    let metadata = document.map().and_then(|map| map.get("sops")).filter(|node| node.map().is_some());
    let metadata = Metadata::of(metadata.ok_or_else(no_metadata)?);
    if manner.dialect.is_some() {
        return Err(Error::new("only env files have a dialect").hint("leave out --dialect"));
    }
    let mut walk = Walk::new(&metadata, open, form == Form::Json, manner.with_clear)?;
    let mut reading = Reading::default();
    take(&document, true, &mut reading, &mut |leaf, _| walk.value(leaf));
    walk.finish(&metadata, &reading)?;
    walk.judge(reading, &document, manner)
}

fn no_metadata() -> Error {
    Error::new("it has no `sops` part, so SOPS did not seal it")
}

/// The data key, and the MAC as far as it has come.
struct Walk {
    key: DataKey,
    mac: Sha512,
    is_mac_of_sealed_only: bool,
    is_json: bool,
    others: usize,
    clear: BTreeSet<Vec<String>>,
    with_clear: bool,
}

impl Walk {
    fn new(metadata: &Metadata, open: Open, is_json: bool, with_clear: bool) -> Result<Self> {
        let key = metadata.data_key(open)?;
        let key = DataKey::new(&key).ok_or_else(|| Error::new("its data key is not one of 32 bytes"))?;
        let is_mac_of_sealed_only = metadata.is_mac_of_sealed_only();
        let mac = if is_mac_of_sealed_only { Sha512::new_with_prefix(SEALED_ONLY) } else { Sha512::new() };
        Ok(Self { key, mac, is_mac_of_sealed_only, is_json, others: 0, clear: BTreeSet::new(), with_clear })
    }

    fn value(&mut self, leaf: &Leaf) -> Value {
        if leaf.path[0] == "sops" {
            return Value::Null; // left out, and not told: see `judge`
        }
        let text = leaf.scalar.text.expose();
        if is_sealed(text) {
            return match self.open(text, &place(leaf)) {
                Some((value, _)) => Value::Sealed(value),
                None => Value::Refused(ALTERED.to_owned()),
            };
        }
        if leaf.scalar.is_null() {
            return Value::Null;
        }
        self.mac_clear(&as_go(leaf.scalar, self.is_json));
        // SOPS seals an empty text as itself.
        if !text.is_empty() || self.is_mac_of_sealed_only {
            self.clear.insert(leaf.path.to_vec());
            self.others += usize::from(self.with_clear && leaf.scalar.is_other_than_text());
        }
        Value::Clear(leaf.scalar.text.clone())
    }

    fn open(&mut self, text: &[u8], place: &str) -> Option<(Secret, Type)> {
        let (value, kind) = self.key.open(std::str::from_utf8(text).ok()?, place)?;
        if kind == Type::Comment {
            return Some((value, kind));
        }
        self.mac.update(value.expose());
        self.others += usize::from(kind != Type::Text);
        Some(match (kind, value.expose()) {
            // Sealed with a capital, shown without.
            (Type::Bool, b"True") => (Secret::new(*b"true"), kind),
            (Type::Bool, b"False") => (Secret::new(*b"false"), kind),
            _ => (value, kind),
        })
    }

    fn mac_clear(&mut self, text: &[u8]) {
        if !self.is_mac_of_sealed_only {
            self.mac.update(text);
        }
    }

    /// Every value opened: is the whole what SOPS sealed?
    fn finish(&mut self, metadata: &Metadata, reading: &Reading) -> Result<()> {
        if !reading.troubles.is_empty() {
            return Ok(()); // told one by one, and nothing is taken
        }
        let refuse =
            |message: &str| Error::new(message).hint("get it back from version control: it was changed without SOPS");
        let (mac, modified) = metadata.mac().ok_or_else(|| refuse("it has no MAC"))?;
        let (expected, _) = self.key.open(mac, modified).ok_or_else(|| refuse("its MAC is altered"))?;
        let found = data_encoding::HEXUPPER.encode(&std::mem::take(&mut self.mac).finalize());
        match found.as_bytes() == expected.expose() {
            true => Ok(()),
            false => Err(refuse("its MAC is not that of its values: something was changed, added or taken out")),
        }
    }

    /// What of it is taken.
    fn judge(self, mut reading: Reading, document: &Node, manner: &Manner) -> Result<Contents> {
        reading.left_out.retain(|left| left.path != "sops" && !left.path.starts_with("sops."));
        if manner.is_whole || is_binary(document) {
            return whole(reading, document, manner.is_whole);
        }
        if !manner.with_clear {
            reading.leave_out_where(CLEAR, |entry| self.clear.contains(&entry.path));
        }
        reading.notes.extend(no_texts(self.others, "as SOPS writes them"));
        Ok(Contents::Values(reading))
    }
}

const ALTERED: &str = "it was altered, or moved here from another key";

/// SOPS wraps a file of any kind as the one key `data`.
fn is_binary(document: &Node) -> bool {
    document
        .map()
        .is_some_and(|map| map.len() == 2 && map.get("data").is_some_and(|node| matches!(node.kind, Kind::Scalar(_))))
}

fn whole(mut reading: Reading, document: &Node, is_wanted: bool) -> Result<Contents> {
    let error = match (is_binary(document), is_wanted) {
        _ if !reading.troubles.is_empty() => return Ok(Contents::Values(reading)),
        (true, true) => {
            return match reading.entries.pop() {
                Some(entry) => Ok(Contents::Whole(entry.value)),
                None => Err(Error::new("there is nothing in it")),
            };
        }
        (true, false) => Error::new("its one key is `data`: it may be a file of any kind that SOPS wrapped")
            .hint("say what it becomes: --as SERVICE/FILE, or --as SERVICE.KEY"),
        _ => Error::new("it is not one file, which SOPS would have wrapped as the one key `data`").hint("leave out --as"),
    };
    Err(error)
}

/// Lists add nothing to where a value lies.
fn place(leaf: &Leaf) -> String {
    let mut place = String::new();
    for part in leaf.names {
        place.push_str(part);
        place.push(':');
    }
    place
}

/// A clear value as SOPS, which is written in Go, hashes it. What is written in a manner that is not known here fails the MAC.
fn as_go(scalar: &Scalar, is_json: bool) -> Cow<'_, [u8]> {
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
    let text = text.replace('_', "");
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => ("-", digits),
        None => ("", text.strip_prefix('+').unwrap_or(&text)),
    };
    let radixes = [("0x", 16), ("0X", 16), ("0o", 8), ("0O", 8), ("0b", 2), ("0B", 2)];
    let radix = radixes.iter().find_map(|(start, radix)| digits.strip_prefix(start).map(|rest| (rest, *radix)));
    let octal = digits.strip_prefix('0').filter(|rest| !rest.is_empty()).map(|rest| (rest, 8));
    let (digits, radix) = radix.or(octal).unwrap_or((digits, 10));
    let is_plain = digits.starts_with(|c: char| c.is_ascii_hexdigit());
    is_plain.then(|| i64::from_str_radix(&format!("{sign}{digits}"), radix).ok()).flatten()
}

fn float(text: &str) -> Option<String> {
    let is_float =
        text.bytes().any(|b| b.is_ascii_digit()) && text.bytes().all(|b| b.is_ascii_digit() || b"+-.eE".contains(&b));
    text.parse().ok().filter(|_| is_float).map(|number: f64| number.to_string())
}

/// An env file is opened as `sops -d` would, and then read as any other.
fn env(bytes: &[u8], manner: &Manner, open: Open) -> Result<Reading> {
    if manner.is_whole {
        return Err(Error::new("it is an env file, so it is not one file").hint("leave out --as"));
    }
    let lines = SopsLines::read(bytes)?;
    let mut walk = Walk::new(&lines.metadata, open, false, manner.with_clear)?;
    let mut opened = Reading::default();
    let clear = lines.opened(&mut opened, &mut |text, place| walk.line(text, place));
    walk.finish(&lines.metadata, &opened)?;
    if !opened.troubles.is_empty() {
        return Ok(opened);
    }
    let mut reading = clear_env::read_sealed(clear.text.expose(), manner.dialect)?;
    if !manner.with_clear {
        let is_clear = |line: usize| clear.unsealed.contains(&line);
        reading.leave_out_where(CLEAR, |entry| is_clear(entry.line));
        reading.troubles.retain(|trouble| !is_clear(trouble.line));
    }
    if lines.comments() > 0 {
        reading.notes.push(format!("{} left out", plural(lines.comments(), "comment")));
    }
    Ok(reading)
}

/// What a line of a sealed env file is.
pub enum Line {
    Sealed(Secret),
    Clear,
    Comment,
    Altered,
}

impl Walk {
    fn line(&mut self, text: &Secret, place: &str) -> Line {
        if is_sealed(text.expose()) {
            return match self.open(text.expose(), place) {
                Some((_, Type::Comment)) => Line::Comment,
                Some((value, _)) => Line::Sealed(value),
                None => Line::Altered,
            };
        }
        self.mac_clear(text.expose());
        if text.is_empty() && !self.is_mac_of_sealed_only { Line::Sealed(Secret::new([])) } else { Line::Clear }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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

    #[test]
    fn the_form_is_known_by_its_marks() {
        for (text, form_of_it) in [
            ("A=1\nsops_mac=x\n", Some(Form::Env)),
            ("a: 1\nsops:\n    mac: x\n", Some(Form::Yaml)),
            ("{\"a\":1,\"sops\":{}}", Some(Form::Json)),
            ("{\"a\":1}", None),
            ("A=1\n", None),
            ("a:\n  sops:\n", None),
        ] {
            assert_eq!(form(text.as_bytes()), form_of_it, "{text}");
        }
    }
}
