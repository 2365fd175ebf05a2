//! `EnvFile`: KEY=value lines with their comments, blank lines and order. Bytes come in and the same bytes leave.
//! Everything behind the first `=` is the value, quotes included, as `docker --env-file` reads it. A value that no line can
//! hold (newline, CR, NUL) stands escaped under the marker line `#: escaped`. Errors name line and key, never the text.

use crate::words::{Error, KeyName, Result, Secret};
use std::collections::{HashMap, HashSet};
use zeroize::Zeroizing;

/// A service that reads more from its environment than this is not known.
pub const MOST_KEYS: usize = 10_000;
const MARKER: &[u8] = b"#: escaped";
const BOM: &[u8] = b"\xef\xbb\xbf";

/// The lines of a file, in order. Two are equal when their comments are, too.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct EnvFile(pub(super) Vec<Line>);

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// A comment or a blank line; a comment may hold an old value, so it is a secret too.
    Text(Secret),
    Pair(KeyName, Secret),
}

impl EnvFile {
    /// Reads a whole file. A byte order mark and the CR of line ends are dropped; a key that stands twice is an error.
    pub fn parse(bytes: &[u8]) -> Result<Self> {
        let bytes = bytes.strip_prefix(BOM).unwrap_or(bytes);
        let mut file = Self::default();
        let mut keys = HashSet::new();
        let mut is_escaped = false;
        let mut lines = bytes.split(|b| *b == b'\n').enumerate().peekable();
        while let Some((index, line)) = lines.next() {
            if line.is_empty() && lines.peek().is_none() {
                break; // what follows the last newline
            }
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let at = |error: Error| error.at(format!("line {}", index + 1));
            if line == MARKER && !is_escaped {
                is_escaped = true;
            } else if line.trim_ascii().is_empty() || line.trim_ascii_start().starts_with(b"#") {
                if is_escaped {
                    return Err(at(dangling()));
                }
                file.0.push(Line::Text(Secret::new(line)));
            } else {
                let (key, value) = pair(line, is_escaped).map_err(at)?;
                if !keys.insert(key.clone()) {
                    return Err(at(Error::new(format!("{key} stands twice in this file"))));
                }
                if keys.len() > MOST_KEYS {
                    return Err(at(too_many()));
                }
                file.0.push(Line::Pair(key, value));
                is_escaped = false;
            }
        }
        if is_escaped { Err(dangling().at("the last line")) } else { Ok(file) }
    }

    /// What `parse` would refuse for its length.
    pub(super) fn refuse_too_many(&self) -> Result<()> {
        if self.pairs().count() > MOST_KEYS { Err(too_many()) } else { Ok(()) }
    }

    /// The bytes of the whole file.
    pub fn to_secret(&self) -> Secret {
        let size = self.0.iter().map(Line::longest).sum();
        let mut bytes = Zeroizing::new(Vec::with_capacity(size));
        self.0.iter().for_each(|line| line.write(&mut bytes));
        Secret::new(std::mem::take(&mut *bytes))
    }

    /// The value of this key.
    pub fn get(&self, key: &KeyName) -> Option<&Secret> {
        self.pairs().find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    /// Sets the value in its line, or in a new one at the end; gives back what it replaced.
    pub fn set(&mut self, key: &KeyName, value: Secret) -> Option<Secret> {
        for line in &mut self.0 {
            if let Line::Pair(k, old) = line
                && k == key
            {
                return Some(std::mem::replace(old, value));
            }
        }
        self.0.push(Line::Pair(key.clone(), value));
        None
    }

    /// Sets many, each as `set` does; of one key the last value holds.
    pub fn set_all(&mut self, pairs: Vec<(KeyName, Secret)>) {
        let lines = self.0.iter().enumerate();
        let mut places: HashMap<KeyName, usize> = lines
            .filter_map(|(place, line)| match line {
                Line::Pair(key, _) => Some((key.clone(), place)),
                Line::Text(_) => None,
            })
            .collect();
        for (key, value) in pairs {
            let place = *places.entry(key.clone()).or_insert(self.0.len());
            match self.0.get_mut(place) {
                Some(line) => *line = Line::Pair(key, value),
                None => self.0.push(Line::Pair(key, value)),
            }
        }
    }

    /// Removes the key with its line; gives back the value.
    pub fn remove(&mut self, key: &KeyName) -> Option<Secret> {
        let index = self.0.iter().position(|line| matches!(line, Line::Pair(k, _) if k == key))?;
        match self.0.remove(index) {
            Line::Pair(_, value) => Some(value),
            Line::Text(_) => None,
        }
    }

    /// Calls a key otherwise; its line stays where it is. False when there is no such key.
    pub(super) fn rename(&mut self, old: &KeyName, new: &KeyName) -> bool {
        let keys = self.0.iter_mut().filter_map(|line| match line {
            Line::Pair(key, _) if key == old => Some(key),
            _ => None,
        });
        keys.map(|key| key.clone_from(new)).count() > 0
    }

    /// Is there no line in it at all?
    pub(super) fn is_bare(&self) -> bool {
        self.0.is_empty()
    }

    /// The keys, in the order of their lines.
    pub fn keys(&self) -> impl Iterator<Item = &KeyName> {
        self.pairs().map(|(key, _)| key)
    }

    /// Copies of all keys and values, in the order of their lines.
    pub fn values(&self) -> Vec<(KeyName, Secret)> {
        self.pairs().map(|(key, value)| (key.clone(), value.clone())).collect()
    }

    /// Is there no value in it? Comments may be.
    pub fn is_empty(&self) -> bool {
        self.pairs().next().is_none()
    }

    /// Lays the values of another over this one's.
    pub fn overlay(&mut self, other: &Self) {
        other.pairs().for_each(|(key, value)| drop(self.set(key, value.clone())));
    }

    /// Keys and values without the comments.
    pub(super) fn pairs(&self) -> impl Iterator<Item = (&KeyName, &Secret)> {
        self.0.iter().filter_map(|line| match line {
            Line::Pair(key, value) => Some((key, value)),
            Line::Text(_) => None,
        })
    }
}

impl Line {
    fn longest(&self) -> usize {
        match self {
            Self::Text(text) => text.len() + 1,
            Self::Pair(key, value) => MARKER.len() + key.as_str().len() + 2 * value.len() + 3,
        }
    }

    fn write(&self, to: &mut Vec<u8>) {
        match self {
            Self::Text(text) => to.extend_from_slice(text.expose()),
            Self::Pair(key, value) if value.expose().iter().any(|b| matches!(b, b'\n' | b'\r' | 0)) => {
                to.extend_from_slice(MARKER);
                to.push(b'\n');
                to.extend_from_slice(key.as_str().as_bytes());
                to.push(b'=');
                escape(value.expose(), to);
            }
            Self::Pair(key, value) => {
                to.extend_from_slice(key.as_str().as_bytes());
                to.push(b'=');
                to.extend_from_slice(value.expose());
            }
        }
        to.push(b'\n');
    }
}

fn pair(line: &[u8], is_escaped: bool) -> Result<(KeyName, Secret)> {
    let Some(equals) = line.iter().position(|b| *b == b'=') else {
        return Err(Error::new("there is no `=`").hint(
            "each line is KEY=value, a comment that starts with `#`, or blank; a value cannot go on in the next line",
        ));
    };
    let (key, value) = (&line[..equals], &line[equals + 1..]);
    if key.trim_ascii_start().starts_with(b"export ") {
        return Err(Error::new("it starts with `export`").hint("an env file is not a shell script: remove the word"));
    }
    // A key that is none may be part of a value (base64 ends in `=`), so it is not shown.
    let name = std::str::from_utf8(key).ok().and_then(|key| KeyName::new(key).ok());
    let key = name.ok_or_else(|| {
        Error::new("what stands before `=` is not a key name")
            .hint("a key starts with a letter or `_` and holds letters, digits, `_` and `-`, without blanks around it")
    })?;
    if value.contains(&0) {
        return Err(Error::new(format!("the value of {key} holds a NUL byte")));
    }
    let value = match is_escaped {
        true => unescape(value).ok_or_else(|| {
            Error::new(format!("the value of {key} is marked `#: escaped` and holds an unknown escape"))
                .hint("known are \\n, \\r, \\0 and \\\\")
        })?,
        false => Secret::new(value),
    };
    Ok((key, value))
}

fn too_many() -> Error {
    Error::new(format!("there are more than {MOST_KEYS} keys in one env file"))
}

fn dangling() -> Error {
    Error::new("`#: escaped` is not followed by KEY=value")
        .hint("the marker belongs directly before the value that is escaped")
}

fn escape(value: &[u8], to: &mut Vec<u8>) {
    for byte in value {
        match byte {
            b'\n' => to.extend_from_slice(b"\\n"),
            b'\r' => to.extend_from_slice(b"\\r"),
            0 => to.extend_from_slice(b"\\0"),
            b'\\' => to.extend_from_slice(b"\\\\"),
            byte => to.push(*byte),
        }
    }
}

fn unescape(text: &[u8]) -> Option<Secret> {
    let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut bytes = text.iter();
    while let Some(byte) = bytes.next() {
        value.push(match byte {
            b'\\' => match bytes.next()? {
                b'n' => b'\n',
                b'r' => b'\r',
                b'0' => 0,
                b'\\' => b'\\',
                _ => return None,
            },
            byte => *byte,
        });
    }
    Some(Secret::new(std::mem::take(&mut *value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> KeyName {
        KeyName::new(text).unwrap()
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        let cases: [(&[u8], &[u8]); 8] = [
            (b"", b""),
            (b"A=1\n", b"A=1\n"),
            (b"A=1", b"A=1\n"),
            (
                b"# head\n\n  # indented\nB=\nA=\"x y\" # not a comment\n\n",
                b"# head\n\n  # indented\nB=\nA=\"x y\" # not a comment\n\n",
            ),
            (b"\xef\xbb\xbfA=1\r\n# c\r\nB==2==\r\n", b"A=1\n# c\nB==2==\n"),
            (b"A= x \nB=\xff\xfe\n", b"A= x \nB=\xff\xfe\n"),
            (b"#: escaped\nA=a\\nb\n", b"#: escaped\nA=a\\nb\n"),
            (b"#: escaped\nA=plain\n", b"A=plain\n"),
        ];
        for (given, expected) in cases {
            assert_eq!(
                EnvFile::parse(given).unwrap().to_secret().expose(),
                expected,
                "{:?}",
                String::from_utf8_lossy(given)
            );
        }
    }

    #[test]
    fn any_value_round_trips() {
        for value in [&b""[..], b"\n", b"a\nb\r\n\0c\\n", b"\\", b"\\\n", b"'\"$`", b"#x", b"\xff\n", b" ", b"\r"] {
            let mut file = EnvFile::parse(b"# c\nA=1\n").unwrap();
            file.set(&key("B"), Secret::new(value));
            file.set(&key("C"), Secret::new(*b"last"));
            let again = EnvFile::parse(file.to_secret().expose()).unwrap();
            assert_eq!(again, file);
            assert_eq!(again.get(&key("B")).unwrap().expose(), value);
        }
    }

    #[test]
    fn errors_name_line_and_key_never_the_text() {
        for (text, line, word) in [
            ("A=1\nPOISON\n", "line 2", "no `=`"),
            ("\nPOISON POISON=1\n", "line 2", "not a key name"),
            ("export A=POISON\n", "line 1", "export"),
            ("A=POISON\n#x\nA=POISON\n", "line 3", "A stands twice"),
            ("#: escaped\nA=POISON\\x\n", "line 2", "unknown escape"),
            ("#: escaped\n# POISON\nA=1\n", "line 2", "escaped"),
            ("A=POISON\0\n", "line 1", "NUL"),
            ("A=POISON\n#: escaped\n", "last line", "escaped"),
        ] {
            let error = EnvFile::parse(text.as_bytes()).unwrap_err();
            let shown = format!("{error} {:?} {error:?}", error.hints());
            assert!(shown.contains(line) && shown.contains(word), "{shown}");
            assert!(!shown.contains("POISON"), "{shown}");
        }
    }

    #[test]
    fn set_keeps_the_place_and_remove_takes_the_line() {
        let mut file = EnvFile::parse(b"# c\nA=1\nB=2\n").unwrap();
        assert_eq!(file.set(&key("A"), Secret::new(*b"9")), Some(Secret::new(*b"1")));
        assert_eq!(file.remove(&key("B")), Some(Secret::new(*b"2")));
        assert_eq!(file.remove(&key("B")), None);
        assert_eq!(file.to_secret().expose(), b"# c\nA=9\n");
    }

    #[test]
    fn an_overlay_replaces_and_adds() {
        let mut file = EnvFile::parse(b"A=1\nB=2\n").unwrap();
        file.overlay(&EnvFile::parse(b"# not taken\nC=3\nA=9\n").unwrap());
        assert_eq!(file.to_secret().expose(), b"A=9\nB=2\nC=3\n");
    }

    #[test]
    fn ten_thousand_keys_and_no_more() {
        let text = |keys: usize| (0..keys).map(|key| format!("K{key}=1\n")).collect::<String>().into_bytes();
        let mut file = EnvFile::parse(&text(MOST_KEYS)).unwrap();
        file.refuse_too_many().unwrap();
        assert!(EnvFile::parse(&text(MOST_KEYS + 1)).unwrap_err().to_string().contains("more than 10000 keys"));
        file.set(&KeyName::new("ONE_MORE").unwrap(), Secret::new(*b"1"));
        assert!(file.refuse_too_many().is_err());
    }
}
