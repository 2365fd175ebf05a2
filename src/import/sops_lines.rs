//! An env file as SOPS writes it: `KEY=value` with line ends as `\n`, comments, and its metadata as keys that start with `sops_`.

use super::reading::Reading;
use super::sops_metadata::Metadata;
use super::sops_walk::{ALTERED, Line};
use crate::dialect::{Assignment, NO_EQUALS};
use crate::words::{Error, KeyName, Result, Secret};
use std::collections::BTreeSet;
use zeroize::Zeroizing;

/// A line with what stands before its `=` (nothing in a comment) and what stands behind it.
struct Pair<'a> {
    line: usize,
    key: Option<&'a str>,
    value: Secret,
}

/// The lines and the metadata of a sealed env file.
pub struct SopsLines<'a> {
    pairs: Vec<Pair<'a>>,
    pub metadata: Metadata,
}

/// What `sops -d` would write, line for line where the sealed one had it.
pub struct Opened {
    pub text: Secret,
    /// The lines that nobody had sealed.
    pub unsealed: BTreeSet<usize>,
}

impl<'a> SopsLines<'a> {
    pub fn read(bytes: &'a [u8]) -> Result<Self> {
        let text = std::str::from_utf8(bytes).map_err(|_| Error::new("it is not UTF-8 text"))?;
        let (mut pairs, mut metadata) = (Vec::new(), Metadata::default());
        for (index, line) in text.split('\n').enumerate().filter(|(_, line)| !line.is_empty()) {
            let line_number = index + 1;
            if let Some(comment) = line.strip_prefix('#') {
                pairs.push(Pair { line: line_number, key: None, value: Secret::new(comment.as_bytes()) });
                continue;
            }
            let (key, value) =
                line.split_once('=').ok_or_else(|| Error::new(format!("line {line_number}: there is no `=`")))?;
            match key.strip_prefix("sops_") {
                Some(name) => metadata.insert(name, with_line_ends(value.as_bytes()).expose()),
                None => pairs.push(Pair { line: line_number, key: Some(key), value: with_line_ends(value.as_bytes()) }),
            }
        }
        Ok(Self { pairs, metadata })
    }

    /// Opens each line; what was altered goes to the troubles.
    pub fn opened(&self, reading: &mut Reading, open: &mut dyn FnMut(&Secret, &str) -> Line) -> Opened {
        let mut unsealed = BTreeSet::new();
        let mut lines = Vec::new();
        for pair in &self.pairs {
            let Some(key) = pair.key else { continue };
            let value = match open(&pair.value, &format!("{key}:")) {
                Line::Sealed(value) => value,
                Line::Clear => {
                    unsealed.insert(pair.line);
                    pair.value.clone()
                }
                Line::Comment | Line::Altered => {
                    reading.trouble(pair.line, format!("{}{ALTERED}", named(key)));
                    continue;
                }
            };
            lines.push((pair.line, key, value));
        }
        Opened { text: written(&lines), unsealed }
    }

    /// Comments, sealed or not.
    pub fn comments(&self) -> usize {
        self.pairs.iter().filter(|pair| pair.key.is_none()).count()
    }
}

fn named(key: &str) -> String {
    KeyName::new(key).map(|key| format!("{key}: ")).unwrap_or_default()
}

fn written(lines: &[(usize, &str, Secret)]) -> Secret {
    let size = lines.iter().map(|(_, key, value)| key.len() + 2 * value.len() + 2).sum::<usize>();
    let mut text = Zeroizing::new(Vec::with_capacity(size + lines.last().map_or(0, |(line, ..)| *line)));
    let mut at = 1;
    for (line, key, value) in lines {
        text.extend(std::iter::repeat_n(b'\n', line - at));
        at = *line;
        text.extend_from_slice(key.as_bytes());
        text.push(b'=');
        for byte in value.expose() {
            match byte {
                b'\n' => text.extend_from_slice(b"\\n"),
                byte => text.push(*byte),
            }
        }
    }
    text.push(b'\n');
    Secret::new(std::mem::take(&mut *text))
}

/// `\n` is a line end to SOPS, whatever stands before it.
pub fn with_line_ends(text: &[u8]) -> Secret {
    let mut value = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text;
    while let Some((byte, after)) = rest.split_first() {
        let is_end = rest.starts_with(b"\\n");
        value.push(if is_end { b'\n' } else { *byte });
        rest = if is_end { &rest[2..] } else { after };
    }
    Secret::new(std::mem::take(&mut *value))
}

/// A clear env file as SOPS reads it: everything behind the first `=`, with `\n` as a line end.
pub fn assignments(bytes: &[u8]) -> Vec<Assignment> {
    let lines = bytes.split(|b| *b == b'\n').enumerate().filter(|(_, line)| !line.is_empty() && line[0] != b'#');
    let assignment = |(index, line): (usize, &[u8])| match line.iter().position(|b| *b == b'=') {
        Some(at) => Assignment::new(index + 1, &line[..at], Ok(with_line_ends(&line[at + 1..]))),
        None => Assignment::none(index + 1, NO_EQUALS),
    };
    lines.map(assignment).collect()
}
