//! `Recipient`: a public key that the bundle is sealed to, and whose it is. In bundle.toml it is the key alone, or a table with its label.

use super::sealed::Kind;
use crate::words::{Error, Result, printable};
use chrono::{DateTime, Utc};
use data_encoding::{BASE64, BASE64_NOPAD};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};
use std::fmt;

const LONGEST_LABEL: usize = 64;

/// Two are the same when their keys are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// Whose it is, such as `alice` or `bob@example.com`; `None` if nobody said.
    pub label: Option<String>,
    /// As age writes it: `age1...`, or `ssh-ed25519 AAAA...` without the comment.
    pub key: String,
    /// Since when it can open the bundle, if that is known.
    pub added: Option<DateTime<Utc>>,
}

impl Recipient {
    /// A key that nobody is named for; it is checked.
    ///
    /// # Errors
    /// When it is no recipient, or none that we can seal to.
    pub fn new(text: &str) -> Result<Self> {
        let key = without_comment(text);
        Kind::of(&key)?;
        Ok(Self { label: None, key, added: None })
    }

    /// The same with whose it is.
    ///
    /// # Errors
    /// When the label is not one.
    pub fn labelled(self, label: &str) -> Result<Self> {
        check_label(label)?;
        Ok(Self { label: Some(label.to_owned()), ..self })
    }

    /// What people call it: the label, else the key.
    pub fn name(&self) -> &str {
        self.label.as_deref().unwrap_or(&self.key)
    }

    /// The same as one word, for who is no recipient any more.
    pub(super) fn title(&self) -> String {
        self.label.clone().unwrap_or_else(|| self.word())
    }

    /// The key as one word: of an SSH key its fingerprint, as ssh-keygen shows it.
    pub fn word(&self) -> String {
        self.ssh_hash().map_or_else(|| self.key.clone(), |hash| format!("SHA256:{}", BASE64_NOPAD.encode(&hash)))
    }

    /// What stands for an SSH key in the header of a file that is sealed to it.
    pub(super) fn tag(&self) -> Option<String> {
        self.ssh_hash().map(|hash| BASE64_NOPAD.encode(&hash[..4]))
    }

    fn ssh_hash(&self) -> Option<[u8; 32]> {
        let data = self.key.strip_prefix("ssh-")?.split(' ').nth(1)?;
        Some(Sha256::digest(BASE64.decode(data.as_bytes()).ok()?).into())
    }

    /// Does a program that is called age-plugin-... know what to do with it?
    pub fn is_of_plugin(&self) -> bool {
        matches!(Kind::of(&self.key), Ok(Kind::Plugin(_)))
    }
}

impl fmt::Display for Recipient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.label {
            Some(label) => write!(f, "{label} ({})", self.word()),
            None => f.write_str(&self.word()),
        }
    }
}

/// `ssh-ed25519 AAAA alice@laptop`: the last word says nothing that counts.
fn without_comment(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    match words.as_slice() {
        [kind, data, ..] if kind.starts_with("ssh-") => format!("{kind} {data}"),
        _ => text.trim().to_owned(),
    }
}

fn check_label(label: &str) -> Result<()> {
    let is_fine = |byte: u8| byte.is_ascii_alphanumeric() || b"._@+-".contains(&byte);
    if label.is_empty() || label.len() > LONGEST_LABEL || label.starts_with('-') || !label.bytes().all(is_fine) {
        return Err(Error::new(format!("`{}` is not a label", printable(label.as_bytes(), LONGEST_LABEL)))
            .hint("a label says whose key it is, such as alice or bob@example.com: letters, digits, `.`, `_`, `@`, `+` and `-`"));
    }
    Ok(())
}

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Written {
    Key(String),
    Table {
        label: Option<String>,
        recipient: String,
        #[serde(default, with = "super::record::time", skip_serializing_if = "Option::is_none")]
        added: Option<DateTime<Utc>>,
    },
}

impl Serialize for Recipient {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let Self { label, key, added } = self.clone();
        match label {
            None => Written::Key(key).serialize(to),
            Some(_) => Written::Table { label, recipient: key, added }.serialize(to),
        }
    }
}

impl<'de> Deserialize<'de> for Recipient {
    /// Not checked: a save refuses what it cannot seal to, and reading must not.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        Ok(match Written::deserialize(from)? {
            Written::Key(key) => Self { label: None, key, added: None },
            Written::Table { label, recipient, added } => Self { label, key: recipient, added },
        })
    }
}
