//! A tree becomes values with their paths. What each scalar is, the format says.

use super::entry::Entry;
use super::node::{Kind, Node, Scalar};
use super::reading::{CLEAR, EMPTY, NULL, Reading};
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
    let mut way = Way::default();
    way.walk(node, &mut |leaf| match open(&leaf, reading) {
        Value::Clear(_) if !with_clear => reading.leave_out(leaf.line, leaf.path, CLEAR),
        Value::Sealed(value) | Value::Clear(value) => {
            reading.entries.push(Entry { path: leaf.path.to_vec(), value, line: leaf.line });
        }
        Value::Null => reading.leave_out(leaf.line, leaf.path, NULL),
        Value::Refused(why) => reading.trouble(leaf.line, format!("{}: {why}", super::entry::shown(leaf.path))),
    });
    way.empty
        .iter()
        .filter(|(_, path)| !path.is_empty())
        .for_each(|(line, path)| reading.leave_out(*line, path, EMPTY));
    reading.left_out.sort_by_key(|left| left.line);
}

/// The keys on the way down, and what has nothing below it.
#[derive(Default)]
struct Way {
    path: Vec<String>,
    names: Vec<String>,
    empty: Vec<(usize, Vec<String>)>,
}

impl Way {
    fn walk(&mut self, node: &Node, each: &mut dyn FnMut(Leaf)) {
        match &node.kind {
            Kind::Map(map) if map.len() == 0 => self.empty.push((node.line, self.path.clone())),
            Kind::List(items) if items.is_empty() => self.empty.push((node.line, self.path.clone())),
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
