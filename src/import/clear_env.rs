//! An env file in clear text. Without a dialect only those lines are taken that every reader reads alike: each reads the whole file, and
//! what they make of a line is compared. With one, it is what that reader makes of it.

use super::entry::Entry;
use super::env_reader::EnvReader;
use super::reading::Reading;
use crate::dialect::Assignment;
use crate::words::{Error, KeyName, Result, Secret, listed, plural};
use std::collections::BTreeMap;

/// What is in the file. Lines that cannot be taken are in its troubles.
pub fn read(bytes: &[u8], dialect: Option<EnvReader>) -> Result<Reading> {
    let mut reading = read_among(bytes, dialect, &EnvReader::ALL)?;
    let is_comment = |line: &&[u8]| line.trim_ascii_start().starts_with(b"#");
    let comments = bytes.split(|b| *b == b'\n').filter(is_comment).count();
    if comments > 0 {
        reading.notes.push(format!("{} left out", plural(comments, "comment")));
    }
    Ok(reading)
}

/// The same for what SOPS had sealed: SOPS itself is one more reader.
pub fn read_sealed(bytes: &[u8], dialect: Option<EnvReader>) -> Result<Reading> {
    let readers = [&EnvReader::ALL[..], &[EnvReader::Sops]].concat();
    read_among(bytes, dialect, &readers)
}

fn read_among(bytes: &[u8], dialect: Option<EnvReader>, readers: &[EnvReader]) -> Result<Reading> {
    if bytes.contains(&0) {
        return Err(Error::new("it holds a NUL byte, which no variable can"));
    }
    let mut reading = Reading::default();
    match dialect {
        Some(dialect) => dialect.read(bytes).into_iter().for_each(|found| take(found, &mut reading)),
        None => compare(bytes, readers, &mut reading),
    }
    Ok(reading)
}

fn take(found: Assignment, reading: &mut Reading) {
    let line = found.line;
    match found.pair() {
        Ok((key, value)) => reading.entries.push(Entry { path: vec![key.as_str().to_owned()], value, line }),
        Err(why) => reading.trouble(line, why.message()),
    }
}

fn named(key: Option<&KeyName>, what: &str) -> String {
    key.map_or_else(|| what.to_owned(), |key| format!("{key}: {what}"))
}

/// What the readers make of the assignment that begins in a line; one that finds two there is not understood.
type Found = BTreeMap<EnvReader, Vec<Assignment>>;

fn compare(bytes: &[u8], readers: &[EnvReader], reading: &mut Reading) {
    let mut lines: BTreeMap<usize, Found> = BTreeMap::new();
    for reader in readers {
        for found in reader.read(bytes) {
            lines.entry(found.line).or_default().entry(*reader).or_default().push(found);
        }
    }
    let texts: Vec<&[u8]> = bytes.split(|b| *b == b'\n').collect();
    for (line, found) in lines {
        match agreed(found, readers.len()) {
            Ok(assignment) => take(assignment, reading),
            Err(found) => {
                let text = texts.get(line - 1).copied().unwrap_or_default();
                reading.trouble(line, differing(text, &found, readers));
            }
        }
    }
    if !reading.troubles.is_empty() {
        let names = readers.iter().map(EnvReader::to_string).collect::<Vec<_>>().join(", ");
        reading.hints.push(format!("say for whom it was written, with --dialect and one of {names}"));
    }
}

/// What all of them make of it, if it is one thing.
fn agreed(found: Found, readers: usize) -> Result<Assignment, Found> {
    let all: Vec<&Assignment> = found.values().flatten().collect();
    let is_one = all.len() == readers && found.len() == readers;
    let is_same = all.windows(2).all(|pair| pair[0] == pair[1]);
    if is_one && is_same { found.into_values().flatten().next().ok_or_else(Found::new) } else { Err(found) }
}

fn differing(text: &[u8], found: &Found, readers: &[EnvReader]) -> String {
    // What only some find may be the inside of a value to the others, and no key.
    let is_found_by_all = found.len() == readers.len();
    let key = found.values().flatten().find_map(|assignment| assignment.key.clone()).filter(|_| is_found_by_all);
    let mut groups: Vec<(&Secret, Vec<EnvReader>)> = Vec::new();
    let mut refusing = Vec::new();
    for reader in readers {
        match found.get(reader).map(Vec::as_slice) {
            Some([Assignment { value: Ok(value), .. }]) => match groups.iter_mut().find(|(known, _)| *known == value) {
                Some((_, group)) => group.push(*reader),
                None => groups.push((value, vec![*reader])),
            },
            _ => refusing.push(*reader),
        }
    }
    let mut what = format!("{} is not read alike by all", feature(text));
    let groups: Vec<String> = groups.iter().map(|(_, group)| listed(group)).collect();
    if groups.len() > 1 {
        what.push_str(&format!("; one value to {}", groups.join("; another to ")));
    }
    if !refusing.is_empty() {
        what.push_str(&format!("; no plain value to {}", listed(&refusing)));
    }
    named(key.as_ref(), &what)
}

fn has_odd(line: &[u8]) -> bool {
    let is_odd = |c: char| c.is_whitespace() || c.is_control() || c == '\u{feff}';
    std::str::from_utf8(line).is_ok_and(|line| line.contains(is_odd))
}

/// What of the line they may differ about.
fn feature(line: &[u8]) -> &'static str {
    let has = |bytes: &[u8]| line.iter().any(|b| bytes.contains(b));
    let value = line.splitn(2, |b| *b == b'=').nth(1);
    match (line, value) {
        (line, _) if line.starts_with(b"\xef\xbb\xbf") => "a byte order mark",
        (line, _) if line.trim_ascii_start().starts_with(b"export") => "`export`",
        (_, None) => "a line without `=`",
        _ if has(b"\"'") => "a quote",
        _ if has(b"$") => "`$`",
        _ if has(b"`") => "a backtick",
        _ if has(b"\\") => "a backslash",
        _ if has(b"#") => "`#`",
        (line, _) if line.ends_with(b"\r") => "a line end of Windows (CR LF)",
        _ if has(b" \t") => "a blank",
        (line, _) if has_odd(line) => "a blank or a line end that is not usual",
        _ if has(b";&|<>()~") => "a character that a shell acts on",
        _ => "this line",
    }
}

#[cfg(test)]
mod tests;
