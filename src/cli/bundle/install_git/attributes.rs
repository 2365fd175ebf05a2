//! `.gitattributes`: which files are bundles. It is committed, so every clone knows; all else follows from its lines.

use super::{text_of, with_line};
use crate::words::Result;
use std::path::{Path, PathBuf};

const ATTRIBUTES: &str = "diff=distribute merge=distribute -text";

pub struct Attributes {
    pub path: PathBuf,
    text: String,
}

impl Attributes {
    pub fn read(path: &Path) -> Result<Self> {
        Ok(Self { path: path.to_owned(), text: text_of(path)? })
    }

    pub fn text(&self) -> String {
        self.text.clone()
    }

    /// Names the bundle, or takes its line out. False when it is so already.
    pub fn set(&mut self, name: &str, is_there: bool) -> bool {
        let line = format!("{} {ATTRIBUTES}", pattern(name));
        let has_line = self.text.lines().any(|other| other.trim_end() == line);
        match (has_line, is_there) {
            (false, true) => self.text = with_line(&self.text, &line),
            (true, false) => {
                let stays = |other: &&str| other.trim_end() != line;
                self.text = self.text.split_inclusive('\n').filter(stays).collect();
            }
            _ => return false,
        }
        true
    }

    /// Every bundle that it names, from the top of the work tree.
    pub fn bundles(&self) -> Vec<String> {
        let lines = self.text.lines().filter_map(|line| line.trim_end().strip_suffix(ATTRIBUTES));
        lines.map(|pattern| pattern.trim().trim_matches('"').to_owned()).collect()
    }
}

/// A blank ends a pattern, unless it stands in quotes.
fn pattern(name: &str) -> String {
    if name.contains(' ') { format!("\"{name}\"") } else { name.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_comes_and_goes_and_the_others_stay() {
        let mut attributes = Attributes { path: PathBuf::new(), text: "*.png binary\n# end".to_owned() };
        assert!(attributes.set("secrets.age", true) && !attributes.set("secrets.age", true));
        assert!(attributes.set("my ops/secrets.age", true));
        assert_eq!(attributes.bundles(), ["secrets.age", "my ops/secrets.age"]);
        assert!(attributes.text.contains("\"my ops/secrets.age\" diff=distribute merge=distribute -text\n"));
        assert!(attributes.set("my ops/secrets.age", false) && attributes.set("secrets.age", false));
        assert_eq!(attributes.text, "*.png binary\n# end\n");
    }
}
