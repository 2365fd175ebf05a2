//! Env files in clear text: known by their name, by a key that the bundle has, or by a key that says it is secret.

use super::Finding;
use super::worth::{is_plain, is_word};
use crate::words::KeyName;
use std::collections::BTreeSet;

const TEMPLATES: [&str; 8] = ["example", "sample", "template", "tmpl", "tpl", "dist", "default", "defaults"];
/// A value of nothing but these and of `BESIDE` asks for a value; one of these has to be in it.
const PLACEHOLDERS: [&str; 13] = [
    "changeme",
    "change",
    "replaceme",
    "replace",
    "placeholder",
    "example",
    "your",
    "todo",
    "fixme",
    "dummy",
    "insert",
    "fill",
    "redacted",
];
const BESIDE: [&str; 33] = [
    "me", "secret", "password", "with", "this", "that", "my", "a", "an", "the", "here", "in", "it", "to", "of", "and",
    "value", "values", "key", "token", "api", "user", "username", "name", "host", "id", "real", "own", "at", "com",
    "org", "net", "be",
];
/// Words that make a key one of a secret.
const SECRET: [&str; 9] =
    ["PASSWORD", "PASSWD", "PASSPHRASE", "SECRET", "TOKEN", "CREDENTIAL", "CREDENTIALS", "APIKEY", "PRIVATE"];
const SECRET_AT_THE_END: [&str; 5] = ["KEY", "KEYS", "PASS", "PWD", "PW"];
/// What is about a secret and is none.
const ABOUT: [&str; 16] = [
    "FILE",
    "PATH",
    "DIR",
    "NAME",
    "ID",
    "URL",
    "URI",
    "TTL",
    "EXPIRY",
    "EXPIRES",
    "LIFETIME",
    "LENGTH",
    "SIZE",
    "SECONDS",
    "ALGORITHM",
    "TYPE",
];
const SHORTEST_SECRET: usize = 6;
/// Words up to this length are names of things; longer ones may be a passphrase.
const LONGEST_WORDS: usize = 20;

/// The first line that makes a file of this name an env file in clear text.
pub fn finding(name: &str, content: &[u8], keys: &BTreeSet<KeyName>) -> Option<Finding> {
    let name = name.to_ascii_lowercase();
    let is_env = name.ends_with(".env") || name.starts_with(".env") || name.contains(".env.");
    let is_template = name.split(['.', '-', '_']).any(|word| TEMPLATES.contains(&word));
    let is_known = |key: &str| KeyName::new(key).is_ok_and(|key| keys.contains(&key));
    let is_shaped = is_env_file(content);
    if !is_env && !is_shaped {
        return None;
    }
    let is_in_capitals =
        is_shaped && lines(content).filter_map(|(_, line)| pair(line, false)).all(|(key, _)| is_capital(key));
    for (index, line) in lines(content) {
        let Some((key, value)) = pair(line, is_env).filter(|(_, value)| !is_placeholder(value)) else { continue };
        let is_secret = is_in_capitals && is_secret(key, value);
        let what = match is_known(key) {
            _ if is_template && !is_odd(value) && !is_secret => continue,
            true => format!("a clear env file: {key}, a key of the bundle, has a value"),
            false if is_env || is_secret => format!("a clear env file: {key} has a value"),
            false => continue,
        };
        return Some(Finding { line: Some(index as u64 + 1), what });
    }
    None
}

/// Those that say something, by number.
fn lines(content: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let says = |line: &[u8]| !line.trim_ascii().is_empty() && !line.trim_ascii_start().starts_with(b"#");
    content.split(|byte| *byte == b'\n').enumerate().filter(move |(_, line)| says(line))
}

/// Is every line that says something KEY=value, as docker reads it?
fn is_env_file(content: &[u8]) -> bool {
    let mut lines = lines(content).peekable();
    lines.peek().is_some() && lines.all(|(_, line)| pair(line, false).is_some())
}

/// `KEY=value`, also with blanks, quotes, `export` and a comment behind it; in a file whose name says that it is one, `KEY: value`, too.
fn pair(line: &[u8], is_env: bool) -> Option<(&str, &[u8])> {
    let line = line.trim_ascii();
    let exported = line.strip_prefix(b"export").filter(|rest| rest.first().is_some_and(u8::is_ascii_whitespace));
    let line = exported.unwrap_or(line);
    let is_colon = |at: usize| is_env && line[at] == b':' && line.get(at + 1).is_none_or(u8::is_ascii_whitespace);
    let at = (0..line.len()).find(|at| line[*at] == b'=' || is_colon(*at))?;
    let key = std::str::from_utf8(unquoted(line[..at].trim_ascii())).ok()?;
    KeyName::new(key).ok().map(|_| (key, without_comment(line[at + 1..].trim_ascii())))
}

fn unquoted(value: &[u8]) -> &[u8] {
    let quoted = |quote: u8| value.strip_prefix(&[quote])?.strip_suffix(&[quote]);
    quoted(b'"').or_else(|| quoted(b'\'')).unwrap_or(value).trim_ascii()
}

/// A quoted value is left as it is.
fn without_comment(value: &[u8]) -> &[u8] {
    if value.starts_with(b"#") {
        return b"";
    }
    let comment = value
        .windows(2)
        .position(|pair| pair == b" #")
        .filter(|_| !value.starts_with(b"\"") && !value.starts_with(b"'"));
    comment.map_or(value, |at| value[..at].trim_ascii())
}

fn is_capital(key: &str) -> bool {
    key.bytes().any(|b| b.is_ascii_uppercase()) && !key.bytes().any(|b| b.is_ascii_lowercase())
}

/// Does the key say that it is one, and is the value long enough to be one?
fn is_secret(key: &str, value: &[u8]) -> bool {
    let words: Vec<&str> = key.split('_').collect();
    let last = words.last().copied().unwrap_or_default();
    let says = words.iter().any(|word| SECRET.contains(word)) || SECRET_AT_THE_END.contains(&last);
    let value = unquoted(value);
    says && !ABOUT.contains(&last) && value.len() >= SHORTEST_SECRET && !is_plain_text(value)
}

/// A number may well be a password here.
fn is_plain_text(value: &[u8]) -> bool {
    is_plain(value) && !value.iter().all(u8::is_ascii_digit)
}

/// Empty, a reference, or words that ask for a value: the whole of it.
fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(unquoted(value)).into_owned();
    let is_within = |start: &str, end: &str| {
        text.len() >= start.len() + end.len() && text.starts_with(start) && text.ends_with(end)
    };
    text.chars().all(|c| matches!(c, 'x' | 'X' | '*' | '.' | '-' | '_'))
        || is_within("<", ">")
        || is_within("{{", "}}")
        || is_within("$(", ")")
        || is_reference(&text)
        || asks(&text.to_ascii_lowercase())
}

/// `$NAME`, `${NAME}`, `${NAME:-changeme}`
fn is_reference(text: &str) -> bool {
    let Some(rest) = text.strip_prefix('$') else { return false };
    let is_name = |name: &str| KeyName::new(name).is_ok();
    let Some(inner) = rest.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) else {
        return is_name(rest) && is_capital(rest);
    };
    let end = inner.find(|c: char| !c.is_ascii_alphanumeric() && c != '_').unwrap_or(inner.len());
    let (name, default) = inner.split_at(end);
    // What stands behind `:?` is a message.
    let default = default.strip_prefix(':').unwrap_or(default);
    is_name(name)
        && (default.starts_with('?') || is_placeholder(default.trim_start_matches(['-', '=', '+']).as_bytes()))
}

fn asks(text: &str) -> bool {
    let words: Vec<&str> = text.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty()).collect();
    let is_asking = |word: &str| PLACEHOLDERS.contains(&word);
    let is_beside = |word: &str| BESIDE.contains(&word) || word.bytes().all(|b| b == b'x');
    words.iter().any(|word| is_asking(word)) && words.iter().all(|word| is_asking(word) || is_beside(word))
}

/// Is it so odd that it is nobody's example? Templates hold numbers, addresses and short words for good reasons.
fn is_odd(value: &[u8]) -> bool {
    let value = unquoted(value);
    if value.len() < super::needles::SHORTEST || is_plain(value) {
        return false;
    }
    let pieces = value.split(|b| !b.is_ascii_alphanumeric());
    let is_words = pieces.filter(|piece| !piece.is_empty()).all(is_word) && value.is_ascii();
    let is_address = value.windows(3).any(|part| part == b"://") || (value.contains(&b'.') && !value.contains(&b' '));
    !is_words || value.contains(&b'@') || (value.len() > LONGEST_WORDS && !is_address)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn is_clear(name: &str, text: &str) -> bool {
        finding(name, text.as_bytes(), &BTreeSet::new()).is_some()
    }

    #[test]
    fn a_placeholder_is_one_as_a_whole() {
        for value in [
            "",
            "changeme",
            "\"your-api-key-here\"",
            "${FOO}",
            "$FOO",
            "${FOO:-changeme}",
            "${FOO:?say it}",
            "<token>",
            "# fill in",
            "xxx",
            "'***'",
        ] {
            assert!(!is_clear(".env", &format!("A={value}\n")), "{value}");
        }
        for value in
            ["changeme-notreally-T0ken99x", "${FOO:-Xy77}", "$ecretPa55", "example1", "\"b\" # changeme", "todo42"]
        {
            assert!(is_clear(".env", &format!("A={value}\n")), "{value}");
        }
    }

    #[test]
    fn lines_are_read_as_people_write_them() {
        for line in ["A = b", "A: b", "export A=b", "export  A = 'b'", "  A=\"b\"", "\"A\": b", "# c\r\nA=b\r"] {
            assert!(is_clear("prod.env", &format!("{line}\n")), "{line}");
        }
        assert!(!is_clear("prod.env", "A: \nB:\n# C: d\n"));
    }

    #[test]
    fn a_file_of_secrets_is_one_whatever_its_name() {
        for text in [
            "SECRET=hunter2\n",
            "# c\nPORT=1\nDB_PASSWORD = 'letmein'\n",
            "export API_KEY=abcdef\n",
            "PIN_PASS=123456\n",
        ] {
            for name in ["env", "env.txt", "settings"] {
                assert!(is_clear(name, text), "{name}: {text}");
            }
        }
        for text in [
            "PORT=8080\nMODE=fast-enough\n",
            "SECRET=\nTOKEN=changeme\n",
            "KEY_FILE=/etc/keys/a.pem\n",
            "TOKEN_TTL=3600000\n",
            "password=hunter2\nother = 1\n",
            "SECRET=hunter2\nall:\n\ttrue\n",
            "SECRET_MODE=production\n",
        ] {
            assert!(!is_clear("settings", text), "{text}");
        }
        assert!(!is_clear(".env.example", "DB_PASSWORD=changeme\nPORT=8080\nDB_SECRET=postgres\n"));
        assert!(is_clear(".env.example", "DB_PASSWORD=letmein\n"));
    }
}
