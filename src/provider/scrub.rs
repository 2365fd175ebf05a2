//! What a step said, without secrets: not as they are, and not as programs like to write them down.

use super::output::Output;
use crate::words::{Secret, printable, redact};
use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};
use std::fmt::Write;
use zeroize::Zeroizing;

/// Shorter stretches of a secret are not known as such when it was cut.
const STRETCH: usize = 8;
const MARK: &str = "[secret]";

/// One line.
pub(super) fn scrub(output: &Output, secrets: &[&Secret]) -> String {
    if output.bytes().is_empty() {
        return String::new();
    }
    let forms: Vec<Secret> = secrets.iter().flat_map(|secret| forms(secret.expose())).collect();
    let all = secrets.iter().copied().chain(&forms);
    let text = Zeroizing::new(printable(output.bytes(), usize::MAX));
    let text = redact(text.trim_start(), all);
    if output.is_cut() { without_torn_start(&text) } else { text }
}

/// Where the beginning was cut off, there may stand the end of a secret that is too short to be known as one.
fn without_torn_start(text: &str) -> String {
    let torn = text.char_indices().nth(STRETCH - 1).map_or(text.len(), |(at, _)| at);
    let mark = text.find(MARK).unwrap_or(text.len());
    format!("…{}", &text[torn.min(mark)..])
}

/// The ways to write a value down, besides the value itself.
fn forms(value: &[u8]) -> Vec<Secret> {
    let mut texts = vec![percent(value, |byte| write_hex(byte, true)), percent(value, |byte| write_hex(byte, false))];
    for hex in [HEXLOWER.encode(value), HEXUPPER.encode(value)] {
        texts.extend(wrapped(&hex, 60));
        texts.push(hex);
    }
    for encoding in [&BASE64, &BASE64URL] {
        let line = Zeroizing::new([value, b"\n"].concat());
        for text in [encoding.encode(value), encoding.encode(&line)] {
            texts.extend([64, 76].into_iter().flat_map(|columns| wrapped(&text, columns)));
            texts.push(text);
        }
        texts.extend([1, 2].into_iter().filter_map(|shift| shifted(encoding, value, shift)));
    }
    texts.extend(std::str::from_utf8(value).ok().and_then(|text| serde_json::to_string(text).ok()).map(inside));
    texts.into_iter().map(String::into_bytes).map(Secret::new).collect()
}

fn write_hex(byte: u8, is_upper: bool) -> String {
    if is_upper { format!("%{byte:02X}") } else { format!("%{byte:02x}") }
}

/// As in a URL.
fn percent(value: &[u8], escape: impl Fn(u8) -> String) -> String {
    let mut text = String::with_capacity(value.len() * 3);
    for byte in value {
        match byte {
            b'-' | b'.' | b'_' | b'~' => text.push(char::from(*byte)),
            byte if byte.is_ascii_alphanumeric() => text.push(char::from(*byte)),
            byte => write!(text, "{}", escape(*byte)).expect("a string takes everything"),
        }
    }
    text
}

/// As it stands in a longer text that was encoded: what stands around it shares groups with it, which are left off.
fn shifted(encoding: &data_encoding::Encoding, value: &[u8], shift: usize) -> Option<String> {
    let padded = Zeroizing::new([&vec![0; shift], value].concat());
    let text = Zeroizing::new(encoding.encode(&padded));
    let end = padded.len() / 3 * 4;
    (end >= 4 + STRETCH).then(|| text[4..end].to_owned())
}

/// In lines, as `base64`, `openssl` and `xxd` write it.
fn wrapped(text: &str, columns: usize) -> Option<String> {
    let lines = text.as_bytes().chunks(columns).map(|line| std::str::from_utf8(line).unwrap_or_default());
    (text.len() > columns).then(|| lines.collect::<Vec<_>>().join("\n"))
}

/// Without the quotes.
fn inside(json: String) -> String {
    let json = Zeroizing::new(json);
    json[1..json.len() - 1].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scrubbed(text: &[u8], secret: &str) -> String {
        let mut output = Output::end();
        output.push(text);
        scrub(&output, &[&Secret::new(secret.as_bytes())])
    }

    #[track_caller]
    fn case(text: &str, secret: &str, expected: &str) {
        assert_eq!(scrubbed(text.as_bytes(), secret), expected);
    }

    #[test]
    fn however_it_is_written() {
        let secret = "p@ss/wörd+1234\"5";
        case(&format!("is {secret}!"), secret, "is [secret]!");
        case(&format!("is {}.", BASE64.encode(secret.as_bytes())), secret, "is [secret].");
        case(&format!("is {}.", BASE64URL.encode(secret.as_bytes())), secret, "is [secret].");
        case(&format!("is {}", HEXUPPER.encode(secret.as_bytes())), secret, "is [secret]");
        case(
            "url p%40ss%2Fw%C3%B6rd%2B1234%225 and p%40ss%2fw%c3%b6rd%2b1234%225",
            secret,
            "url [secret] and [secret]",
        );
        case("json \"p@ss/wörd+1234\\\"5\"", secret, "json \"[secret]\"");
        case("with a line's end cEBzcy93w7ZyZCsxMjM0IjUK", secret, "with a line's end [secret]");
    }

    #[test]
    fn in_the_middle_of_what_is_encoded() {
        for before in ["a", "ab", "abc", "abcd"] {
            let text = BASE64.encode(format!("{before}correct-horse-battery!").as_bytes());
            let shown = scrubbed(text.as_bytes(), "correct-horse-battery");
            assert!(shown.contains(MARK) && shown.len() <= MARK.len() + 16, "{shown}");
        }
    }

    #[test]
    fn in_lines() {
        let secret = "0123456789abcdefghijklmnopqrstuvwxyz".repeat(5);
        let lines = wrapped(&BASE64.encode(secret.as_bytes()), 76).unwrap();
        case(&format!("{lines}\n"), &secret, MARK);
        case(&wrapped(&HEXLOWER.encode(secret.as_bytes()), 60).unwrap(), &secret, MARK);
    }

    #[test]
    fn what_was_cut_off_is_no_way_in() {
        let secret = "correct-horse-battery";
        for cut in 1..secret.len() {
            let text = [&secret.as_bytes()[secret.len() - cut..], &vec![b'.'; 4096 - cut]].concat();
            let mut output = Output::end();
            output.push(secret.as_bytes());
            output.push(&text);
            let shown = scrub(&output, &[&Secret::new(secret.as_bytes())]);
            let shown = shown.strip_prefix("…").unwrap().trim_start_matches(MARK);
            assert!(shown.chars().all(|c| c == '.'), "{cut}: {}", &shown[..20]);
        }
    }

    #[test]
    fn nothing_said_is_nothing_shown() {
        case("", "correct-horse", "");
        case("\n \n", "correct-horse", "");
    }
}
