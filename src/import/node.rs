//! `Node`: a YAML or JSON document as a tree, with the line of everything in it.

use crate::words::{Error, Result, Secret};
use std::collections::HashMap;

/// Deeper than this nobody nests secrets; a document that does was made to exhaust the stack.
pub const DEEPEST: usize = 64;
/// Values, keys and lists of one document.
pub const MOST_NODES: usize = 100_000;

/// A value with its line, from 1.
#[derive(Debug)]
pub struct Node {
    pub line: usize,
    pub kind: Kind,
}

#[derive(Debug)]
pub enum Kind {
    Scalar(Scalar),
    Map(Map),
    List(Vec<Node>),
}

/// A text, a number, a truth value or nothing, as it is written.
#[derive(Debug)]
pub struct Scalar {
    pub text: Secret,
    /// Without quotes: it may be something else than a text.
    pub is_plain: bool,
    pub tag: Option<Tag>,
}

/// The tags that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tag {
    Vault,
    Unsafe,
    Text,
}

/// Keys and values in the order of the document. A key stands in it once.
#[derive(Debug, Default)]
pub struct Map {
    pairs: Vec<(String, Node)>,
    lines: HashMap<String, usize>,
}

impl Map {
    /// Adds a value; a key that is there already is refused with both lines.
    pub fn insert(&mut self, key: String, line: usize, value: Node) -> Result<()> {
        if let Some(first) = self.lines.insert(key.clone(), line) {
            let shown = crate::words::printable(key.as_bytes(), 80);
            return Err(Error::new(format!("{shown} stands here again, first in line {first}")).at(place(line)));
        }
        self.pairs.push((key, value));
        Ok(())
    }

    pub fn get(&self, key: &str) -> Option<&Node> {
        self.iter().find(|(name, _)| *name == key).map(|(_, node)| node)
    }

    pub fn iter(&self) -> impl Iterator<Item = (&String, &Node)> {
        self.pairs.iter().map(|(key, node)| (key, node))
    }

    pub fn len(&self) -> usize {
        self.pairs.len()
    }
}

impl Node {
    pub fn map(&self) -> Option<&Map> {
        match &self.kind {
            Kind::Map(map) => Some(map),
            _ => None,
        }
    }
}

impl Scalar {
    /// Empty where a value is expected, `~` or `null`.
    pub fn is_null(&self) -> bool {
        self.is_bare() && matches!(self.text.expose(), b"" | b"~" | b"null" | b"Null" | b"NULL")
    }

    /// Is it a number, a truth value or a date to some reader of YAML? 1.1 knows more of them than 1.2; here either counts.
    pub fn is_other_than_text(&self) -> bool {
        let text = self.text.expose();
        let words = ["true", "false", "yes", "no", "on", "off", "y", "n", ".inf", "-.inf", "+.inf", ".nan"];
        let is_word = words.iter().any(|word| text.eq_ignore_ascii_case(word.as_bytes()));
        let starts = text.first().is_some_and(|b| b.is_ascii_digit() || matches!(b, b'+' | b'-' | b'.'));
        let is_numeric = |b: &u8| b.is_ascii_hexdigit() || b"xXoO_.:+-eETtZ ".contains(b);
        let is_number = starts && text.iter().any(u8::is_ascii_digit) && text.iter().all(is_numeric);
        self.is_bare() && (is_word || is_number)
    }

    fn is_bare(&self) -> bool {
        self.is_plain && self.tag.is_none()
    }
}

/// `line 7`, for the front of a message.
pub fn place(line: usize) -> String {
    format!("line {line}")
}
