//! A tree becomes values with their paths. What each scalar is, the format says.

use super::entry::Entry;
use super::node::{Kind, Node, Scalar};
use super::reading::{CLEAR, NULL, Reading};
use crate::words::Secret;

/// What a format makes of a scalar.
pub enum Value {
    Sealed(Secret),
    Clear(Secret),
    Null,
    /// Why it cannot be taken.
    Refused(String),
}

/// Where a scalar lies, and what it is.
pub struct Leaf<'a> {
    pub line: usize,
    pub path: &'a [String],
    /// The path without the places in lists.
    pub names: &'a [String],
    pub scalar: &'a Scalar,
}

/// Goes through a document in its order and takes every value; clear ones if they are wanted.
pub fn take(node: &Node, with_clear: bool, reading: &mut Reading, open: &mut dyn FnMut(&Leaf, &mut Reading) -> Value) {
    let mut way = Way { path: Vec::new(), names: Vec::new() };
    way.walk(node, &mut |leaf| match open(&leaf, reading) {
        Value::Clear(_) if !with_clear => reading.leave_out(leaf.line, leaf.path, CLEAR),
        Value::Sealed(value) | Value::Clear(value) => {
            reading.entries.push(Entry { path: leaf.path.to_vec(), value, line: leaf.line });
        }
        Value::Null => reading.leave_out(leaf.line, leaf.path, NULL),
        Value::Refused(why) => reading.trouble(leaf.line, format!("{}: {why}", super::entry::shown(leaf.path))),
    });
}

/// The keys on the way down.
struct Way {
    path: Vec<String>,
    names: Vec<String>,
}

impl Way {
    fn walk(&mut self, node: &Node, each: &mut dyn FnMut(Leaf)) {
        match &node.kind {
            Kind::Scalar(scalar) => each(Leaf { line: node.line, path: &self.path, names: &self.names, scalar }),
            Kind::Map(map) => map.iter().for_each(|(key, node)| {
                self.names.push(key.clone());
                self.step(key.clone(), node, each);
                self.names.pop();
            }),
            Kind::List(items) => {
                items.iter().enumerate().for_each(|(index, node)| self.step(index.to_string(), node, each));
            }
        }
    }

    fn step(&mut self, part: String, node: &Node, each: &mut dyn FnMut(Leaf)) {
        self.path.push(part);
        self.walk(node, each);
        self.path.pop();
    }
}
