//! A Kubernetes Secret as it is written here: of what YAML knows besides, nothing.

use super::assignment::Assignment;
use crate::words::Secret;
use data_encoding::BASE64;

const HEAD: [&[u8]; 3] = [b"apiVersion: v1", b"kind: Secret", b"metadata:"];
const NOT_OURS: &str = "it is not a Secret as distribute writes it";

pub fn read(bytes: &[u8]) -> Vec<Assignment> {
    let lines = bytes.split_inclusive(|b| *b == b'\n').map(|line| line.strip_suffix(b"\n").unwrap_or(line));
    let mut lines = (1..).zip(lines);
    if !HEAD.iter().all(|head| lines.next().is_some_and(|(_, line)| line == *head)) {
        return vec![Assignment::none(1, NOT_OURS)];
    }
    loop {
        match lines.next() {
            Some((_, b"data: {}")) => return Vec::new(),
            Some((_, b"data:")) => return lines.map(|(number, line)| assignment(number, line)).collect(),
            Some((_, line)) if line.starts_with(b"  ") || line == b"type: Opaque" => {}
            other => return vec![Assignment::none(other.map_or(HEAD.len(), |(number, _)| number), NOT_OURS)],
        }
    }
}

fn assignment(number: usize, line: &[u8]) -> Assignment {
    let Some((key, encoded)) = pair(line) else { return Assignment::none(number, "it is not KEY: base64") };
    let value = BASE64.decode(encoded).map(Secret::new).map_err(|_| "the value is not base64");
    Assignment::new(number, key, value)
}

/// Quoted, as we write it, or as a person might.
fn pair(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let line = line.strip_prefix(b"  ")?;
    let colon = line.iter().position(|b| *b == b':')?;
    Some((bare(&line[..colon]), bare(line[colon + 1..].trim_ascii())))
}

fn bare(word: &[u8]) -> &[u8] {
    word.strip_prefix(b"\"").and_then(|word| word.strip_suffix(b"\"")).unwrap_or(word)
}
