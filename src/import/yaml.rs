//! YAML as nodes: one document, no anchors, no aliases, known tags only. The parser's own texts are not shown, since they may quote the file.

use super::node::{DEEPEST, Kind, MOST_NODES, Map, Node, Scalar, Tag, place};
use crate::words::{Error, Result, Secret};
use saphyr_parser::{Event, Parser, ScalarStyle, StrInput};
use std::borrow::Cow;

/// The document in these bytes. `None` if there is nothing but comments.
pub fn read(bytes: &[u8]) -> Result<Option<Node>> {
    let text = std::str::from_utf8(bytes).map_err(|_| Error::new("it is not UTF-8 text, so not YAML"))?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let mut reader = Reader { parser: Parser::new_from_str(text), left: MOST_NODES };
    let mut document = None;
    loop {
        let (event, line) = reader.next()?;
        match event {
            Event::StreamEnd => return Ok(document),
            Event::Nothing | Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd => {}
            _ if document.is_some() => return Err(Error::new("a second document begins").at(place(line))),
            event => document = Some(reader.node(event, line, 0)?),
        }
    }
}

struct Reader<'a> {
    parser: Parser<'a, StrInput<'a>>,
    left: usize,
}

impl<'a> Reader<'a> {
    fn next(&mut self) -> Result<(Event<'a>, usize)> {
        let ended = || Error::new("it ends in the middle");
        let (event, span) = self
            .parser
            .next_event()
            .ok_or_else(ended)?
            .map_err(|error| Error::new("it is not YAML").at(place(error.marker().line())))?;
        self.left = self.left.checked_sub(1).ok_or_else(|| Error::new("it holds more than 100000 values"))?;
        Ok((event, span.start.line()))
    }

    fn node(&mut self, event: Event<'a>, line: usize, depth: usize) -> Result<Node> {
        let refuse = |message: &str| Err(Error::new(message).at(place(line)));
        if depth > DEEPEST {
            return refuse("it is nested deeper than 64 levels");
        }
        match event {
            Event::Scalar(text, style, 0, tag) => {
                let tag = tag.map(|tag| known(&tag)).transpose().map_err(|error| error.at(place(line)))?.flatten();
                let is_plain = style == ScalarStyle::Plain;
                Ok(Node { line, kind: Kind::Scalar(Scalar { text: secret(text), is_plain, tag }) })
            }
            Event::SequenceStart(0, None) => self.list(line, depth),
            Event::MappingStart(0, None) => self.map(line, depth),
            Event::SequenceStart(0, _) | Event::MappingStart(0, _) => refuse("a tag on a list or a mapping"),
            _ => refuse("an anchor or an alias (& or *), which may stand for anything"),
        }
    }

    fn list(&mut self, line: usize, depth: usize) -> Result<Node> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(Node { line, kind: Kind::List(items) }),
                (event, line) => items.push(self.node(event, line, depth + 1)?),
            }
        }
    }

    fn map(&mut self, line: usize, depth: usize) -> Result<Node> {
        let mut map = Map::default();
        loop {
            let (event, at) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(Node { line, kind: Kind::Map(map) }),
                found => found,
            };
            let refuse = |message: &str| Err(Error::new(message).at(place(at)));
            let Event::Scalar(key, style, 0, None) = event else {
                return refuse("a key that is not a plain text, or has a tag or an anchor");
            };
            if key == "<<" && style == ScalarStyle::Plain {
                return refuse("a merge key (<<), which stands for other keys");
            }
            let (event, _) = self.next()?;
            // The line of its key, where people look for it: a block begins one below.
            let value = self.node(event, at, depth + 1)?;
            map.insert(key.into_owned(), at, value)?;
        }
    }
}

fn known(tag: &saphyr_parser::Tag) -> Result<Option<Tag>> {
    match (tag.handle.as_str(), tag.suffix.as_str()) {
        ("!", "vault" | "vault-encrypted") => Ok(Some(Tag::Vault)),
        ("!", "unsafe") => Ok(Some(Tag::Unsafe)),
        ("tag:yaml.org,2002:", "str") => Ok(Some(Tag::Text)),
        ("tag:yaml.org,2002:", "int" | "float" | "bool") => Ok(None),
        _ => {
            Err(Error::new("a tag that is not known")
                .hint("known are !vault, !unsafe, !!str, !!int, !!float and !!bool"))
        }
    }
}

fn secret(text: Cow<'_, str>) -> Secret {
    Secret::new(text.into_owned().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(text: &str) -> String {
        let error = read(text.as_bytes()).expect_err(text);
        let shown = format!("{error} {:?}", error.hints());
        assert!(!shown.contains("POISON"), "{shown}");
        shown
    }

    #[test]
    fn what_could_be_something_else_is_refused_with_its_line() {
        for (text, line, word) in [
            ("a: &x POISON\n", "line 1", "anchor"),
            ("a: 1\nb: *a\n", "line 2", ""),
            ("a: 1\na: POISON\n", "line 2", "a stands here again, first in line 1"),
            ("a: 1\n---\nb: POISON\n", "line 3", "second document"),
            ("a: !custom POISON\n", "line 1", "tag"),
            ("a: !!binary POISON\n", "line 1", "tag"),
            ("<<: {a: POISON}\n", "line 1", "merge"),
            ("? [a]\n: POISON\n", "line 1", "key"),
            ("a: 'POISON\n", "line", "not YAML"),
            ("a: [POISON\n", "line", "not YAML"),
        ] {
            let said = refused(text);
            assert!(said.contains(line) && said.contains(word), "{text}: {said}");
        }
        assert!(refused(&format!("a: {}{}", "[".repeat(100), "]".repeat(100))).contains("nested"));
        assert!(refused(&format!("a: [{}]", "1,".repeat(MOST_NODES))).contains("100000"));
        assert!(read(b"a: \xff").is_err() && read(b"# only\n").unwrap().is_none());
    }

    #[test]
    fn a_bomb_of_aliases_is_refused_at_its_first_anchor() {
        assert!(refused("a: &a [x,x]\nb: &b [*a,*a]\nc: [*b,*b]\n").contains("line 1"));
    }

    #[test]
    fn lines_and_kinds_are_kept() {
        let node = read(b"\xef\xbb\xbf# c\na: yes\nb:\n  - 'yes'\n  - ~\n  - !!str 7\n").unwrap().unwrap();
        let map = node.map().unwrap();
        let Kind::Scalar(a) = &map.get("a").unwrap().kind else { panic!() };
        assert!(a.is_other_than_text() && !a.is_null() && map.get("a").unwrap().line == 2);
        let Kind::List(items) = &map.get("b").unwrap().kind else { panic!() };
        let kinds = items.iter().map(|item| match &item.kind {
            Kind::Scalar(scalar) => (scalar.is_other_than_text(), scalar.is_null(), item.line),
            _ => panic!(),
        });
        assert!(kinds.eq([(false, false, 4), (false, true, 5), (false, false, 6)]));
    }
}
