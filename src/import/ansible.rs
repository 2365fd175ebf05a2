//! What `ansible-vault` sealed: a whole file, or single values (`!vault`) in a file of variables.

use super::clear_env;
use super::env_reader::EnvReader;
use super::node::{Scalar, Tag, place};
use super::reading::{Contents, Reading, no_texts};
use super::values::{Leaf, Value, take};
use super::vault::{self, VaultPasswords};
use super::yaml;
use crate::words::{Error, Result};

/// How it is to be read.
pub struct Manner {
    /// Take values that nobody sealed, too.
    pub with_clear: bool,
    /// Take what is in the vault as one file.
    pub is_whole: bool,
    /// What is in the vault is an env file.
    pub dialect: Option<EnvReader>,
}

/// Is all of this a vault?
pub fn is_whole(bytes: &[u8]) -> bool {
    vault::is_vault(bytes)
}

/// May there be `!vault` values in this?
pub fn has_values(bytes: &[u8]) -> bool {
    bytes.windows(6).any(|window| window == b"!vault")
}

/// Reads a vault file, or a file of variables with `!vault` values in it.
pub fn read(bytes: &[u8], passwords: &VaultPasswords, manner: &Manner) -> Result<Contents> {
    if !vault::is_vault(bytes) {
        return match (manner.is_whole, manner.dialect) {
            (true, _) => Err(Error::new("it is not a vault as a whole, so it is not one file").hint("leave out --as")),
            (_, Some(_)) => Err(no_dialect()),
            _ => variables(bytes, passwords, manner.with_clear).map(Contents::Values),
        };
    }
    let clear = vault::open(bytes, passwords)?;
    match manner.dialect {
        _ if manner.is_whole => Ok(Contents::Whole(clear)),
        Some(dialect) => clear_env::read(clear.expose(), Some(dialect)).map(Contents::Values),
        // Everything in it was sealed.
        None => variables(clear.expose(), passwords, true).map_err(inside).map(Contents::Values),
    }
}

fn no_dialect() -> Error {
    Error::new("it is a file of variables, which has no dialect").hint("leave out --dialect")
}

fn inside(error: Error) -> Error {
    error
        .at("in the vault")
        .hint("if it is a file of another kind, take it as it is with --as SERVICE/FILE; an env file with --dialect")
}

fn variables(bytes: &[u8], passwords: &VaultPasswords, with_clear: bool) -> Result<Reading> {
    let not_variables = || Error::new("it is no mapping of variables, KEY: value");
    let mut reading = Reading::default();
    let Some(document) = yaml::read(bytes)? else { return Ok(reading) };
    document.map().ok_or_else(not_variables)?;
    let mut seen = Seen { with_clear, ..Seen::default() };
    take(&document, with_clear, &mut reading, &mut |leaf, reading| value(leaf, passwords, &mut seen, reading));
    seen.note(&mut reading);
    Ok(reading)
}

/// What is told once at the end, of the values that are taken.
#[derive(Default)]
struct Seen {
    with_clear: bool,
    others: usize,
    templates: Vec<String>,
}

fn value(leaf: &Leaf, passwords: &VaultPasswords, seen: &mut Seen, reading: &mut Reading) -> Value {
    let scalar = leaf.scalar;
    let value = match scalar.tag {
        Some(Tag::Vault) => match vault::open(scalar.text.expose(), passwords) {
            Ok(value) => Value::Sealed(value),
            Err(error) => {
                let hints =
                    error.hints().iter().filter(|hint| !reading.hints.contains(hint)).cloned().collect::<Vec<_>>();
                reading.hints.extend(hints);
                return Value::Refused(error.to_string());
            }
        },
        _ if scalar.is_null() => return Value::Null,
        _ => Value::Clear(scalar.text.clone()),
    };
    let is_taken = seen.with_clear || matches!(value, Value::Sealed(_));
    if let Value::Sealed(secret) | Value::Clear(secret) = &value
        && is_taken
    {
        seen.others += usize::from(scalar.is_other_than_text());
        if is_template(secret.expose(), scalar) {
            seen.templates.push(format!("{} ({})", super::entry::shown(leaf.path), place(leaf.line)));
        }
    }
    value
}

/// Ansible fills in what stands in braces, except in what is marked as unsafe.
fn is_template(value: &[u8], scalar: &Scalar) -> bool {
    scalar.tag != Some(Tag::Unsafe) && value.windows(2).any(|pair| pair == b"{{" || pair == b"{%")
}

impl Seen {
    fn note(self, reading: &mut Reading) {
        reading.notes.extend(no_texts(self.others, "as they are written"));
        if !self.templates.is_empty() {
            let names = crate::words::listed(&self.templates);
            reading.notes.push(format!("Ansible would fill in a template, here it stays as it is written: {names}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clear(text: &str, with_clear: bool) -> Reading {
        let manner = Manner { with_clear, is_whole: false, dialect: None };
        match read(text.as_bytes(), &VaultPasswords::default(), &manner).unwrap() {
            Contents::Values(reading) => reading,
            Contents::Whole(_) => panic!(),
        }
    }

    #[test]
    fn clear_values_are_left_out_unless_they_are_wanted() {
        let text = "a: POISON\nb: {c: [1, x]}\nd: ~\n";
        let reading = clear(text, false);
        assert!(reading.entries.is_empty() && reading.left_out.len() == 4);
        let reading = clear(text, true);
        let names: Vec<String> =
            reading.entries.iter().map(|entry| format!("{}:{}", entry.shown(), entry.line)).collect();
        assert_eq!(names, ["a:1", "b.c.0:2", "b.c.1:2"]);
        assert_eq!(reading.entries[1].key().unwrap().as_str(), "b_c_0");
        assert!(reading.left_out[0].path == "d" && !format!("{reading:?}").contains("POISON"));
    }

    #[test]
    fn what_has_nothing_in_it_is_told() {
        let left = clear("a: []\nb: {c: {}, d: 1}\n", true).left_out;
        let told: Vec<_> = left.iter().map(|left| (left.line, left.path.as_str(), left.why)).collect();
        let why = "there is nothing in it";
        assert_eq!(told, [(1, "a", why), (2, "b.c", why)]);
    }

    #[test]
    fn templates_and_numbers_are_told() {
        let notes = clear("a: '{{ b }}'\nb: !unsafe '{{ x }}'\nc: 012\nd: off\n", true).notes.join("\n");
        assert!(
            notes.contains("a (line 1)") && !notes.contains("b (line") && notes.contains("2 values are no texts"),
            "{notes}"
        );
    }

    #[test]
    fn what_is_no_mapping_is_refused() {
        let manner = Manner { with_clear: true, is_whole: false, dialect: None };
        for text in ["- a\n", "POISON\n"] {
            let error = read(text.as_bytes(), &VaultPasswords::default(), &manner).err().unwrap().to_string();
            assert!(error.contains("no mapping") && !error.contains("POISON"));
        }
    }
}
