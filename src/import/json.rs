//! JSON as nodes, with lines, with numbers as they are written, and with no key twice: what serde_json does not keep.

use super::node::{DEEPEST, Kind, MOST_NODES, Map, Node, Scalar, place};
use crate::words::{Error, Result, Secret};
use zeroize::Zeroizing;

/// The document in these bytes, and nothing behind it.
pub fn read(bytes: &[u8]) -> Result<Node> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::new("it is not UTF-8 text, so not JSON"))?;
    let mut reader = Reader { text: text.as_bytes(), at: 0, line: 1, left: MOST_NODES };
    let node = reader.node(0)?;
    match reader.peek() {
        None => Ok(node),
        Some(_) => Err(reader.error("something follows the document")),
    }
}

struct Reader<'a> {
    text: &'a [u8],
    at: usize,
    line: usize,
    left: usize,
}

impl Reader<'_> {
    fn error(&self, message: &str) -> Error {
        Error::new(message).at(place(self.line))
    }

    fn unexpected(&self) -> Error {
        self.error("it is not JSON")
    }

    /// The next byte that is no blank.
    fn peek(&mut self) -> Option<u8> {
        while let Some(byte @ (b' ' | b'\t' | b'\n' | b'\r')) = self.text.get(self.at) {
            self.line += usize::from(*byte == b'\n');
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_there = self.peek() == Some(byte);
        self.at += usize::from(is_there);
        is_there
    }

    fn node(&mut self, depth: usize) -> Result<Node> {
        if depth > DEEPEST {
            return Err(self.error("it is nested deeper than 64 levels"));
        }
        self.left = self.left.checked_sub(1).ok_or_else(|| self.error("it holds more than 100000 values"))?;
        let first = self.peek().ok_or_else(|| self.error("it ends in the middle"))?;
        let line = self.line;
        let kind = match first {
            b'{' => self.map(depth)?,
            b'[' => self.list(depth)?,
            b'"' => Kind::Scalar(Scalar { text: self.string()?, is_plain: false, tag: None }),
            _ => self.word()?,
        };
        Ok(Node { line, kind })
    }

    fn map(&mut self, depth: usize) -> Result<Kind> {
        let mut map = Map::default();
        self.at += 1;
        if self.takes(b'}') {
            return Ok(Kind::Map(map));
        }
        loop {
            if self.peek() != Some(b'"') {
                return Err(self.unexpected());
            }
            let line = self.line;
            let key = String::from_utf8(self.string()?.expose().to_vec()).map_err(|_| self.unexpected())?;
            if !self.takes(b':') {
                return Err(self.unexpected());
            }
            let value = self.node(depth + 1)?;
            map.insert(key, line, value)?;
            if self.takes(b'}') {
                return Ok(Kind::Map(map));
            }
            if !self.takes(b',') {
                return Err(self.unexpected());
            }
        }
    }

    fn list(&mut self, depth: usize) -> Result<Kind> {
        let mut items = Vec::new();
        self.at += 1;
        if self.takes(b']') {
            return Ok(Kind::List(items));
        }
        loop {
            items.push(self.node(depth + 1)?);
            if self.takes(b']') {
                return Ok(Kind::List(items));
            }
            if !self.takes(b',') {
                return Err(self.unexpected());
            }
        }
    }

    /// A number, `true`, `false` or `null`.
    fn word(&mut self) -> Result<Kind> {
        let rest = &self.text[self.at..];
        let is_end = |b: &u8| !(b.is_ascii_alphanumeric() || matches!(b, b'+' | b'-' | b'.'));
        let word = &rest[..rest.iter().position(is_end).unwrap_or(rest.len())];
        if serde_json::from_slice::<serde::de::IgnoredAny>(word).is_err() {
            return Err(self.unexpected());
        }
        self.at += word.len();
        Ok(Kind::Scalar(Scalar { text: Secret::new(word), is_plain: true, tag: None }))
    }

    fn string(&mut self) -> Result<Secret> {
        let rest = &self.text[self.at + 1..];
        let mut end = 0;
        while rest.get(end).is_some_and(|b| *b != b'"') {
            end += 1 + usize::from(rest[end] == b'\\');
        }
        let raw =
            rest.get(..end).filter(|raw| raw.len() < rest.len()).ok_or_else(|| self.error("a text does not end"))?;
        let value = unescaped(raw)
            .ok_or_else(|| self.error("a text holds an escape or a character that JSON does not know"))?;
        self.at += end + 2;
        Ok(value)
    }
}

fn unescaped(raw: &[u8]) -> Option<Secret> {
    let mut value = Zeroizing::new(Vec::with_capacity(raw.len())); // no escape is shorter than what it stands for
    let mut rest = raw;
    while let [byte, after @ ..] = rest {
        rest = after;
        match byte {
            b'\\' => {
                let (escape, after) = rest.split_first()?;
                rest = after;
                match escape {
                    b'n' => value.push(b'\n'),
                    b'r' => value.push(b'\r'),
                    b't' => value.push(b'\t'),
                    b'b' => value.push(8),
                    b'f' => value.push(12),
                    b'"' | b'\\' | b'/' => value.push(*escape),
                    b'u' => value.extend_from_slice(character(&mut rest)?.encode_utf8(&mut [0; 4]).as_bytes()),
                    _ => return None,
                }
            }
            0..=0x1f => return None,
            byte => value.push(*byte),
        }
    }
    Some(Secret::new(std::mem::take(&mut *value)))
}

/// What stands behind `\u`: one unit of UTF-16, or two as a pair.
fn character(rest: &mut &[u8]) -> Option<char> {
    let first = unit(rest)?;
    if !(0xd800..0xe000).contains(&first) {
        return char::from_u32(first);
    }
    *rest = rest.strip_prefix(b"\\u")?;
    let second = unit(rest)?;
    let is_pair = first < 0xdc00 && (0xdc00..0xe000).contains(&second);
    is_pair.then(|| char::from_u32(0x10000 + ((first - 0xd800) << 10) + (second - 0xdc00))).flatten()
}

fn unit(rest: &mut &[u8]) -> Option<u32> {
    let (digits, after) = rest.split_at_checked(4)?;
    *rest = after;
    let text = std::str::from_utf8(digits).ok().filter(|text| text.bytes().all(|b| b.is_ascii_hexdigit()))?;
    u32::from_str_radix(text, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What serde_json makes of it must be what we make of it.
    fn as_value(node: &Node) -> serde_json::Value {
        match &node.kind {
            Kind::Map(map) => map.iter().map(|(key, node)| (key.clone(), as_value(node))).collect(),
            Kind::List(items) => items.iter().map(as_value).collect(),
            Kind::Scalar(scalar) if scalar.is_plain => serde_json::from_slice(scalar.text.expose()).unwrap(),
            Kind::Scalar(scalar) => std::str::from_utf8(scalar.text.expose()).unwrap().into(),
        }
    }

    #[test]
    fn reads_what_serde_reads_and_refuses_what_it_refuses() {
        for text in [
            "{}",
            "[]",
            " [ ] ",
            "{\"a\":1}",
            "{\n\t\"a\" : [1, -2.5e+3, true, false, null, \"\"]\n}",
            "\"\\ud83d\\ude00\\u00e4ä\"",
            r#""\"\\\/\b\f\n\r\t""#,
            "7",
            "{\"a\":{\"b\":{}}}",
            "",
            "{",
            "[",
            "[1,]",
            "{\"a\":1,}",
            "{\"a\"}",
            "{a:1}",
            "'a'",
            "\"a",
            "\"\\",
            "\"\\\"",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud83d\"",
            "\"\\ud83dx\"",
            "\"\\ud83d\\u0041\"",
            "\"\\ude00\"",
            "\"\n\"",
            "01",
            "1 2",
            "nul",
            "+1",
            "1.",
            ".5",
            "--1",
            "[1 2]",
            "{\"a\":1 \"b\":2}",
            "NaN",
            "\u{feff}{}",
            "\"\\u+123\"",
        ] {
            let ours = read(text.as_bytes());
            match serde_json::from_str::<serde_json::Value>(text) {
                Ok(value) => assert_eq!(as_value(&ours.unwrap()), value, "{text}"),
                Err(_) => assert!(ours.is_err(), "{text}"),
            }
        }
    }

    #[test]
    fn a_key_stands_once_and_errors_name_the_line_only() {
        let error = read(b"{\n\"a\": 1,\n\"a\": \"POISON\"}").unwrap_err().to_string();
        assert_eq!(error, "line 3: a stands here again, first in line 2");
        let error = read(b"{\n\"a\": POISON}").unwrap_err().to_string();
        assert_eq!(error, "line 2: it is not JSON");
        assert!(read("[".repeat(1000).as_bytes()).unwrap_err().to_string().contains("nested"));
    }
}
