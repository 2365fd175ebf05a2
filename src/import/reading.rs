//! `Reading`: what was found in one source, and what stands in the way of taking it.

use super::entry::{Entry, shown};
use crate::words::{Secret, plural};

/// What a source holds.
pub enum Contents {
    /// Values by their keys.
    Values(Reading),
    /// One file, as it is.
    Whole(Secret),
}

/// The values of a source, what of it is not taken, and why it cannot be taken at all.
#[derive(Debug, Default)]
pub struct Reading {
    pub entries: Vec<Entry>,
    pub left_out: Vec<LeftOut>,
    /// What a person should know, each a sentence.
    pub notes: Vec<String>,
    pub troubles: Vec<Trouble>,
    /// What to do about the troubles.
    pub hints: Vec<String>,
}

/// A value that is there and not taken.
#[derive(Debug, PartialEq, Eq)]
pub struct LeftOut {
    pub line: usize,
    pub path: String,
    pub why: &'static str,
}

/// A line that cannot be taken. It names keys, never the text.
#[derive(Debug, PartialEq, Eq)]
pub struct Trouble {
    /// From 1; 0 is the whole file.
    pub line: usize,
    pub message: String,
}

/// Why a value that nobody sealed is left out.
pub const CLEAR: &str = "it is in clear text";
/// Why a list or a mapping without anything in it is left out.
pub const EMPTY: &str = "there is nothing in it";
/// Why a null is left out.
pub const NULL: &str = "it is null";

/// Told of numbers, truth values and dates, which have more than one way to be written.
pub fn no_texts(count: usize, how: &str) -> Option<String> {
    let are = if count == 1 { "is no text" } else { "are no texts" };
    (count > 0).then(|| format!("{} {are} (numbers, truth values, dates): taken {how}", plural(count, "value")))
}

impl Reading {
    /// Says that this line cannot be taken.
    pub fn trouble(&mut self, line: usize, message: impl Into<String>) {
        self.troubles.push(Trouble { line, message: message.into() });
    }

    /// Says that this value is not taken.
    pub fn leave_out(&mut self, line: usize, path: &[String], why: &'static str) {
        self.left_out.push(LeftOut { line, path: shown(path), why });
    }

    /// Does not take these values.
    pub fn leave_out_where(&mut self, why: &'static str, is_left: impl Fn(&Entry) -> bool) {
        let (left, entries): (Vec<Entry>, Vec<Entry>) =
            std::mem::take(&mut self.entries).into_iter().partition(|entry| is_left(entry));
        left.iter().for_each(|entry| self.leave_out(entry.line, &entry.path, why));
        self.entries = entries;
    }
}
