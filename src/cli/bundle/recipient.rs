//! A recipient as people give one: the key itself or a file that holds it, with whose it is.

use super::access::PASSWORD;
use crate::bundle::Recipient;
use crate::words::{Error, Result, plural};
use std::path::Path;

/// `LABEL=RECIPIENT`
pub fn labelled(text: &str) -> Result<Recipient> {
    let (label, key) = text.split_once('=').ok_or_else(|| {
        Error::new("--add wants LABEL=RECIPIENT").hint("such as --add alice=age1..., or --add bob=bob.pub")
    })?;
    labelled_as(label, key)
}

/// The same where the label may be missing.
pub fn given(text: &str) -> Result<Recipient> {
    match text.split_once('=') {
        Some((label, key)) if !label.contains(' ') && !label.starts_with("age1") => labelled_as(label, key),
        _ => unlabelled(text),
    }
}

/// The recipient itself, or the file that holds it.
pub fn labelled_as(label: &str, text: &str) -> Result<Recipient> {
    if label == PASSWORD {
        return Err(Error::new("`password` is whoever knows the password, not a label for a key; nothing was changed"));
    }
    unlabelled(text)?.labelled(label)
}

/// The same with nobody named for it.
fn unlabelled(text: &str) -> Result<Recipient> {
    let path = Path::new(text);
    let is_file = !text.starts_with("age1") && !text.starts_with("ssh-") && path.is_file();
    let line = if is_file { line_of(path)? } else { text.to_owned() };
    Recipient::new(&line).map_err(|error| match is_file {
        true => error.at(path.display()),
        false => error,
    })
}

/// The one recipient in a file such as `id_ed25519.pub`. A private key is not read any further.
fn line_of(path: &Path) -> Result<String> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::new(path.display().to_string()).because(e))?;
    let lines: Vec<&str> =
        text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')).collect();
    match lines.as_slice() {
        [first, ..] if first.starts_with("-----BEGIN") => {
            Err(Error::new(format!("{}: it is a private key", path.display()))
                .hint("name the public half, such as id_ed25519.pub"))
        }
        lines if lines.iter().any(|line| line.to_ascii_uppercase().starts_with("AGE-SECRET-KEY-")) => {
            Err(Error::new(format!("{}: it is an identity, which stays with its owner", path.display()))
                .hint("a recipient is its public key, age1...: `age-keygen -y FILE` shows it"))
        }
        [line] => Ok((*line).to_owned()),
        lines => Err(Error::new(format!("{}: it holds {}, not one", path.display(), plural(lines.len(), "recipient")))),
    }
}
