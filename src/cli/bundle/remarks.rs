//! `Remarks`: what people write about a secret. It is shown wherever names are, so it never holds the value.

use crate::bundle::{Bundle, Scope, SecretName};
use crate::words::{Error, Result, Secret, printable};

const LONGEST_NOTE: usize = 500;
const LONGEST_OWNER: usize = 100;
/// A shorter value stands in any text by chance.
const SHORTEST: usize = 4;

#[derive(clap::Args)]
pub struct Remarks {
    /// What people should know of it, in one line that is no secret; '' takes it away
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Who answers for it, a person or a team; '' takes it away
    #[arg(long, value_name = "NAME")]
    owner: Option<String>,
}

impl Remarks {
    /// Is one of them given, and is each of a form that can be kept? What was typed is not repeated: it may be the value.
    pub fn are_given(&self) -> Result<bool> {
        fits("note", self.note.as_deref(), LONGEST_NOTE)?;
        fits("owner", self.owner.as_deref(), LONGEST_OWNER)?;
        Ok(self.note.is_some() || self.owner.is_some())
    }

    /// Notes them with a secret.
    pub fn put(&self, name: &SecretName, bundle: &mut Bundle) {
        if self.note.is_none() && self.owner.is_none() {
            return;
        }
        bundle.describe(name, |known| {
            for (given, kept) in [(&self.note, &mut known.note), (&self.owner, &mut known.owner)] {
                if let Some(text) = given {
                    *kept = Some(text.trim().to_owned()).filter(|text| !text.is_empty());
                }
            }
        });
    }
}

fn fits(what: &str, text: Option<&str>, longest: usize) -> Result<()> {
    let text = text.unwrap_or_default().trim();
    let reason = match () {
        () if text.chars().count() > longest => format!("it is longer than {longest} characters"),
        () if text.contains(['\n', '\t']) || printable(text.as_bytes(), longest) != text => {
            "it is not one line of printable text".to_owned()
        }
        () => return Ok(()),
    };
    Err(Error::new(format!("the {what} cannot be kept: {reason}; nothing was changed")))
}

/// Refuses a note or an owner that holds a value of the secret, as it is now or was, here or for a host.
pub fn refuse_values(name: &SecretName, bundle: &Bundle) -> Result<()> {
    let Some(known) = bundle.metadata(name) else { return Ok(()) };
    let same = bundle
        .secrets()
        .into_iter()
        .filter(|other| other.clone().within(Scope::Common) == name.clone().within(Scope::Common));
    let values = same.filter_map(|name| bundle.value(&name).cloned());
    let values: Vec<Secret> = values
        .chain(bundle.earlier(name).into_iter().map(|(_, value)| value))
        .chain(bundle.pending(name).cloned())
        .collect();
    for (what, text) in [("note", &known.note), ("owner", &known.owner)] {
        if text.as_ref().is_some_and(|text| values.iter().any(|value| holds(text, value))) {
            return Err(Error::new(format!(
                "the {what} of {name} holds its value, and a {what} is shown to whoever lists names; nothing was changed"
            ))
            .hint("if the value was typed into a command line, make a new one: the shell's history may hold it"));
        }
    }
    Ok(())
}

/// The whole of it, or one line of several.
fn holds(text: &str, value: &Secret) -> bool {
    let has = |part: &[u8]| match part.trim_ascii() {
        [] => false,
        short if short.len() < SHORTEST => text.as_bytes() == short,
        part => text.as_bytes().windows(part.len()).any(|window| window == part),
    };
    value.expose().split(|b| *b == b'\n').any(has)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_one_printable_line() {
        let note = |note: &str| Remarks { note: Some(note.to_owned()), owner: None };
        assert!(note(" Größe: 5 µm, from the portal ").are_given().unwrap());
        assert!(note("").are_given().unwrap() && note(&"x".repeat(500)).are_given().unwrap());
        for (text, word) in [("a\nPOISON", "one line"), ("\x1b[31mPOISON", "printable"), ("\u{202e}x", "printable")] {
            let error = note(text).are_given().unwrap_err().to_string();
            assert!(error.contains(word) && !error.contains("POISON"), "{error}");
        }
        assert!(note(&"x".repeat(501)).are_given().unwrap_err().to_string().contains("500"));
        let owner = Remarks { note: None, owner: Some("x".repeat(101)) };
        assert!(owner.are_given().unwrap_err().to_string().contains("owner"));
    }

    #[test]
    fn a_value_is_found_in_a_note() {
        for (text, value, is_there) in [
            ("it is POISON now", "POISON\n", true),
            ("line two", "-----\nline two\n", true),
            ("version 1", "1", false),
            ("1", "1", true),
            ("anything", "", false),
            ("POISO", "POISON", false),
        ] {
            assert_eq!(holds(text, &Secret::new(value)), is_there, "{text}");
        }
    }
}
