//! Env files in clear text: known by their name, or by a key that the bundle has. And which values tell something.

use super::Finding;
use super::needles::SHORTEST;
use crate::words::KeyName;
use std::collections::BTreeSet;

const TEMPLATES: [&str; 8] = ["example", "sample", "template", "tmpl", "tpl", "dist", "default", "defaults"];
const PLACEHOLDERS: [&str; 10] =
    ["changeme", "change-me", "change_me", "placeholder", "replace", "example", "your", "todo", "dummy", "insert"];
/// Words up to this length are names of things; longer ones may be a passphrase.
const LONGEST_WORDS: usize = 20;

/// The first line that makes a file of this name an env file in clear text.
pub fn finding(name: &str, content: &[u8], keys: &BTreeSet<KeyName>) -> Option<Finding> {
    let name = name.to_ascii_lowercase();
    let is_env = name.ends_with(".env") || name.starts_with(".env") || name.contains(".env.");
    let is_template = name.split(['.', '-', '_']).any(|word| TEMPLATES.contains(&word));
    let is_known = |key: &str| KeyName::new(key).is_ok_and(|key| keys.contains(&key));
    if !is_env && !is_env_file(content) {
        return None;
    }
    for (index, line) in content.split(|byte| *byte == b'\n').enumerate() {
        let Some((key, value)) = pair(line).filter(|(_, value)| !is_placeholder(value)) else { continue };
        let what = match (is_env, is_known(key)) {
            _ if is_template && !is_telling(value) => continue,
            (_, true) => format!("a clear env file: {key}, a key of the bundle, has a value"),
            (true, false) => format!("a clear env file: {key} has a value"),
            (false, false) => continue,
        };
        return Some(Finding { line: Some(index as u64 + 1), what });
    }
    None
}

/// Is every line that says something KEY=value, as docker reads it?
fn is_env_file(content: &[u8]) -> bool {
    let says = |line: &&[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii_start().starts_with(b"#");
    let mut lines = content.split(|byte| *byte == b'\n').filter(says).peekable();
    lines.peek().is_some() && lines.all(|line| pair(line).is_some())
}

fn pair(line: &[u8]) -> Option<(&str, &[u8])> {
    let line = line.trim_ascii();
    let line = line.strip_prefix(b"export ").unwrap_or(line);
    let equals = line.iter().position(|byte| *byte == b'=')?;
    let key = std::str::from_utf8(&line[..equals]).ok()?;
    KeyName::new(key).ok().map(|_| (key, &line[equals + 1..]))
}

/// Empty, a reference, or a word that asks for a value.
fn is_placeholder(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let quoted = |quote: u8| value.strip_prefix(&[quote])?.strip_suffix(&[quote]);
    let value = quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(value).trim_ascii();
    let text = String::from_utf8_lossy(value).to_ascii_lowercase();
    text.chars().all(|c| matches!(c, 'x' | '*' | '.' | '-' | '_'))
        || (text.starts_with('<') && text.ends_with('>'))
        || text.starts_with('$')
        || PLACEHOLDERS.iter().any(|word| text.contains(word))
}

/// Is it long enough and odd enough to be nobody's but its owner's? Numbers, dates, addresses, names of hosts and regions, short words
/// and public keys stand in many files for good reasons.
pub fn is_telling(value: &[u8]) -> bool {
    let value = value.trim_ascii();
    let is_number = value.iter().all(|b| b.is_ascii_digit() || b".:,-/ +".contains(b));
    let is_public = [&b"ssh-"[..], b"-----BEGIN PUBLIC", b"-----BEGIN CERTIFICATE", b"-----BEGIN RSA PUBLIC"];
    if value.len() < SHORTEST || is_number || is_public.iter().any(|start| value.starts_with(start)) {
        return false;
    }
    let pieces = value.split(|b| !b.is_ascii_alphanumeric());
    let is_words = pieces.filter(|piece| !piece.is_empty()).all(is_word) && value.is_ascii();
    let has_password = value.contains(&b'@');
    let is_address = value.windows(3).any(|part| part == b"://") || (value.contains(&b'.') && !value.contains(&b' '));
    !is_words || has_password || (value.len() > LONGEST_WORDS && !is_address)
}

/// A short number; or letters in one case, also with a capital, and a number behind them as in `web01`.
fn is_word(piece: &[u8]) -> bool {
    let digits = piece.iter().rev().take_while(|b| b.is_ascii_digit()).count();
    let letters = &piece[..piece.len() - digits];
    let Some((first, rest)) = letters.split_first() else { return digits <= 4 };
    let is_in_case = rest.iter().all(u8::is_ascii_lowercase) || letters.iter().all(u8::is_ascii_uppercase);
    is_in_case && first.is_ascii_alphabetic() && digits <= 2
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn odd_values_tell_and_names_do_not() {
        for value in [
            "correct-horse-battery-staple",
            "hunter2hunter2",
            "postgres://u:pass@host/db",
            "xK29sKa02Klq",
            "p0ison-Wert-4711",
        ] {
            assert!(is_telling(value.as_bytes()), "{value}");
        }
        for value in [
            "short1",
            "production",
            "eu-central-1",
            "2026-11-22",
            "10.0.0.1:5432",
            "https://api.example.com/v1/things",
            "web.example.com",
            "Europe/Berlin",
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA",
        ] {
            assert!(!is_telling(value.as_bytes()), "{value}");
        }
    }
}
