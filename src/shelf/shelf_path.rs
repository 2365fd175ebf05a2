//! `ShelfPath`: where something lies on a shelf, checked once. It can neither leave the shelf nor confuse a terminal.

use crate::words::{Error, Result, printable};
use std::fmt;

const MOST_PARTS: usize = 4;
const LONGEST_PART: usize = 200;

/// `web1/42-20261121T020000Z-7f3a.tar.gz.age`: parts of letters, digits, `.`, `_` and `-` that do not begin with a dot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShelfPath(String);

impl ShelfPath {
    /// Takes text that is such a path.
    pub fn new(text: &str) -> Result<Self> {
        if text.split('/').count() <= MOST_PARTS && text.split('/').all(is_part) {
            return Ok(Self(text.to_owned()));
        }
        Err(Error::new(format!("{} is no path on a shelf", printable(text.as_bytes(), 80)))
            .hint("at most four parts of letters, digits, `.`, `_` and `-` that do not begin with a dot"))
    }

    /// As it was given.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The directories it lies in, from the outermost: `a/b` and `a/b/c` of `a/b/c/d` come after `a`.
    pub fn parents(&self) -> impl Iterator<Item = &str> {
        self.0.match_indices('/').map(|(at, _)| &self.0[..at])
    }
}

impl fmt::Display for ShelfPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// May this be one of the parts?
pub fn is_part(text: &str) -> bool {
    let is_allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    (1..=LONGEST_PART).contains(&text.len()) && !text.starts_with('.') && text.bytes().all(is_allowed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_stays_on_the_shelf() {
        for good in ["a", "web1/42-20261121T020000Z-7f3a.tar.gz.age", "a/b/c/d", "-a/_b"] {
            assert_eq!(ShelfPath::new(good).unwrap().as_str(), good);
        }
        let long = "a".repeat(LONGEST_PART + 1);
        for bad in
            ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/.b", "a b", "a\\b", "a/b/c/d/e", "ä", "a\n", &long]
        {
            let error = ShelfPath::new(bad).unwrap_err().to_string();
            assert!(!error.contains('\n'), "{bad:?}");
        }
        let parents: Vec<_> = ShelfPath::new("a/b/c").unwrap().parents().map(str::to_owned).collect();
        assert_eq!(parents, ["a", "a/b"]);
    }
}
