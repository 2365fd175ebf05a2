//! `Assignment`: what a reader makes of a line, or why it makes nothing of it.

use crate::words::{Error, KeyName, Result, Secret};
use std::collections::HashMap;

/// One assignment, at the line where it begins.
#[derive(Debug, PartialEq, Eq)]
pub struct Assignment {
    /// From 1.
    pub line: usize,
    /// `None` when what stands there is no key name: it may be part of a value, and is not shown.
    pub key: Option<KeyName>,
    /// Or why it is not taken.
    pub value: Result<Secret, &'static str>,
}

/// A line without an assignment.
pub const NO_EQUALS: &str = "there is no `=`, so its value would come from the environment or from nowhere";
pub const VARIABLE: &str = "`$` stands for a variable, whose value is not here";
pub const OPEN_QUOTE: &str = "a quote is not closed";
pub const AFTER_QUOTE: &str = "something stands behind the closing quote";
pub const NOT_UTF8: &str = "it is not UTF-8 text";
pub const KEY: &str = "what stands before `=` is not a key";
const NO_NAME: &str = "what stands before the value is not a key name";

impl Assignment {
    pub fn new(line: usize, key: &[u8], value: Result<Secret, &'static str>) -> Self {
        let key = std::str::from_utf8(key).ok().and_then(|key| KeyName::new(key).ok());
        Self { line, key, value }
    }

    /// A line that is not taken.
    pub fn refused(line: usize, key: &[u8], why: &'static str) -> Self {
        Self::new(line, key, Err(why))
    }

    /// A line that is no assignment at all: no word of it is known to be a key.
    pub fn none(line: usize, why: &'static str) -> Self {
        Self { line, key: None, value: Err(why) }
    }

    /// Key and value.
    ///
    /// # Errors
    /// Why it is not taken, with its key if it has one; the line is left to the caller.
    pub fn pair(self) -> Result<(KeyName, Secret)> {
        match (self.key, self.value) {
            (Some(key), Ok(value)) => Ok((key, value)),
            (Some(key), Err(why)) => Err(Error::new(why).at(key)),
            (None, Err(why)) => Err(Error::new(why)),
            (None, Ok(_)) => Err(Error::new(NO_NAME)),
        }
    }
}

/// All keys and values in the order of the file; a later value takes the place of an earlier one.
///
/// # Errors
/// The first assignment that is not taken, with its line.
pub fn pairs(assignments: Vec<Assignment>) -> Result<Vec<(KeyName, Secret)>> {
    let mut pairs: Vec<(KeyName, Secret)> = Vec::with_capacity(assignments.len());
    let mut places = HashMap::new();
    for assignment in assignments {
        let line = assignment.line;
        let (key, value) = assignment.pair().map_err(|error| error.at(format!("line {line}")))?;
        match places.get(&key) {
            Some(place) => {
                let (_, earlier): &mut (KeyName, Secret) = &mut pairs[*place];
                *earlier = value;
            }
            None => {
                places.insert(key.clone(), pairs.len());
                pairs.push((key, value));
            }
        }
    }
    Ok(pairs)
}
