//! `listed`: names in a sentence.

use std::fmt::Display;

const SHOWN: usize = 8;

/// `a, b, c`, and after eight of them `and 9 more`.
pub fn listed<T: Display>(names: &[T]) -> String {
    let shown: Vec<String> = names.iter().take(SHOWN).map(ToString::to_string).collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}
