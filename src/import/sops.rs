//! What SOPS sealed to age recipients, as YAML, JSON, an env file, or a whole file in JSON. Every value is opened with the keys that lead to
//! it, and the MAC over all of them is checked before anything is taken.

use super::clear_env;
use super::env_reader::EnvReader;
use super::node::{Kind, Node};
use super::reading::{CLEAR, Contents, Reading, no_texts};
use super::sops_lines::SopsLines;
use super::sops_metadata::{Metadata, Open};
use super::sops_walk::Walk;
use super::values::take;
use super::{json, yaml};
use crate::words::{Error, Result, plural};

/// How it is to be read.
pub struct Manner {
    /// Take values that nobody sealed, too.
    pub with_clear: bool,
    /// Take what is in it as one file.
    pub is_whole: bool,
    /// What env files in it are written for.
    pub dialect: Option<EnvReader>,
}

/// The forms that SOPS writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Env,
    Json,
    Yaml,
}

/// The form, if it has the marks of SOPS.
pub fn form(bytes: &[u8]) -> Option<Form> {
    let mut lines = bytes.split(|b| *b == b'\n');
    if bytes.trim_ascii_start().starts_with(b"{") {
        return bytes.windows(6).any(|window| window == b"\"sops\"").then_some(Form::Json);
    }
    lines.find_map(|line| match line {
        line if line.starts_with(b"sops_mac=") => Some(Form::Env),
        line if line.trim_ascii_end() == b"sops:" => Some(Form::Yaml),
        _ => None,
    })
}

/// Reads a file of SOPS; `open` opens its data key.
pub fn read(bytes: &[u8], form: Form, manner: &Manner, open: Open) -> Result<Contents> {
    if form == Form::Env {
        return env(bytes, manner, open).map(Contents::Values);
    }
    let document = match form {
        Form::Json => json::read(bytes)?,
        _ => yaml::read(bytes)?.ok_or_else(|| Error::new("it is empty"))?,
    };
    let metadata = document.map().and_then(|map| map.get("sops")).filter(|node| node.map().is_some());
    let metadata = Metadata::of(metadata.ok_or_else(no_metadata)?);
    if manner.dialect.is_some() {
        return Err(Error::new("only env files have a dialect").hint("leave out --dialect"));
    }
    let mut walk = Walk::new(&metadata, open, form == Form::Json, manner.with_clear)?;
    let mut reading = Reading::default();
    take(&document, true, &mut reading, &mut |leaf, _| walk.value(leaf));
    walk.finish(&metadata, &reading)?;
    judge(walk, reading, &document, manner)
}

fn no_metadata() -> Error {
    Error::new("it has no `sops` part, so SOPS did not seal it")
}

/// What of it is taken.
fn judge(walk: Walk, mut reading: Reading, document: &Node, manner: &Manner) -> Result<Contents> {
    reading.left_out.retain(|left| left.path != "sops" && !left.path.starts_with("sops."));
    if manner.is_whole || is_binary(document) {
        return whole(reading, document, manner.is_whole);
    }
    if !manner.with_clear {
        reading.leave_out_where(CLEAR, |entry| walk.clear.contains(&entry.path));
    }
    reading.notes.extend(no_texts(walk.others, "as SOPS writes them"));
    Ok(Contents::Values(reading))
}

/// SOPS wraps a file of any kind as the one key `data`.
fn is_binary(document: &Node) -> bool {
    document
        .map()
        .is_some_and(|map| map.len() == 2 && map.get("data").is_some_and(|node| matches!(node.kind, Kind::Scalar(_))))
}

fn whole(mut reading: Reading, document: &Node, is_wanted: bool) -> Result<Contents> {
    let error = match (is_binary(document), is_wanted) {
        _ if !reading.troubles.is_empty() => return Ok(Contents::Values(reading)),
        (true, true) => {
            return match reading.entries.pop() {
                Some(entry) => Ok(Contents::Whole(entry.value)),
                None => Err(Error::new("there is nothing in it")),
            };
        }
        (true, false) => Error::new("its one key is `data`: it may be a file of any kind that SOPS wrapped")
            .hint("say what it becomes: --as SERVICE/FILE, or --as SERVICE.KEY"),
        _ => {
            Error::new("it is not one file, which SOPS would have wrapped as the one key `data`").hint("leave out --as")
        }
    };
    Err(error)
}

/// An env file is opened as `sops -d` would, and then read as any other.
fn env(bytes: &[u8], manner: &Manner, open: Open) -> Result<Reading> {
    if manner.is_whole {
        return Err(Error::new("it is an env file, so it is not one file").hint("leave out --as"));
    }
    let lines = SopsLines::read(bytes)?;
    let mut walk = Walk::new(&lines.metadata, open, false, manner.with_clear)?;
    let mut opened = Reading::default();
    let clear = lines.opened(&mut opened, &mut |text, place| walk.line(text, place));
    walk.finish(&lines.metadata, &opened)?;
    if !opened.troubles.is_empty() {
        return Ok(opened);
    }
    let mut reading = clear_env::read_sealed(clear.text.expose(), manner.dialect)?;
    if !manner.with_clear {
        let is_clear = |line: usize| clear.unsealed.contains(&line);
        reading.leave_out_where(CLEAR, |entry| is_clear(entry.line));
        reading.troubles.retain(|trouble| !is_clear(trouble.line));
    }
    if lines.comments() > 0 {
        reading.notes.push(format!("{} left out", plural(lines.comments(), "comment")));
    }
    Ok(reading)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_is_known_by_its_marks() {
        for (text, form_of_it) in [
            ("A=1\nsops_mac=x\n", Some(Form::Env)),
            ("a: 1\nsops:\n    mac: x\n", Some(Form::Yaml)),
            ("{\"a\":1,\"sops\":{}}", Some(Form::Json)),
            ("{\"a\":1}", None),
            ("A=1\n", None),
            ("a:\n  sops:\n", None),
        ] {
            assert_eq!(form(text.as_bytes()), form_of_it, "{text}");
        }
    }
}
