//! `redact`: strikes secrets out of what a host says. Programs print what they should not, and what they print is cut
//! somewhere, also in the middle of a value; so every stretch that a secret has too is struck out, not only whole values.

use super::{Secret, printable};
use std::collections::HashMap;

/// Stretches of this many characters, and longer ones, are struck out; shorter values only whole.
pub const STRETCH: usize = 8;
/// Values shorter than this are words like `yes`: striking them out would only confuse.
const SHORTEST: usize = 4;
const MARK: &str = "[secret]";

/// `text` has gone through `printable`; so do the secrets here, to be found in it.
pub fn redact<'a>(text: &str, secrets: impl Iterator<Item = &'a Secret>) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut is_struck = vec![false; chars.len()];
    let places = places(&chars);
    for secret in secrets.filter(|secret| secret.len() >= SHORTEST) {
        let shown = zeroize::Zeroizing::new(printable(secret.expose(), usize::MAX));
        let mut secret = zeroize::Zeroizing::new(Vec::with_capacity(shown.len()));
        secret.extend(shown.chars());
        let length = secret.len().min(STRETCH);
        if length < STRETCH {
            let whole = (0..chars.len()).filter(|at| length > 0 && chars[*at..].starts_with(&secret));
            whole.for_each(|at| is_struck[at..at + length].fill(true));
            continue;
        }
        for stretch in secret.windows(STRETCH) {
            for at in places.get(stretch).into_iter().flatten() {
                is_struck[*at..*at + STRETCH].fill(true);
            }
        }
    }
    struck(&chars, &is_struck)
}

/// In front of a mark of omission may stand the beginning of a secret that is too short to be known as one.
fn is_torn(chars: &[char], at: usize) -> bool {
    chars[at..].iter().take(STRETCH).any(|c| *c == '…')
}

/// Where each stretch of the text stands. The text is short and a secret may be long, so it is the text that is indexed.
fn places(chars: &[char]) -> HashMap<&[char], Vec<usize>> {
    let mut places: HashMap<&[char], Vec<usize>> = HashMap::new();
    chars.windows(STRETCH).enumerate().for_each(|(at, stretch)| places.entry(stretch).or_default().push(at));
    places
}

fn struck(chars: &[char], is_struck: &[bool]) -> String {
    let mut text = String::new();
    for (at, c) in chars.iter().enumerate() {
        match (is_struck[at], at > 0 && is_struck[at - 1]) {
            (false, _) if *c != '…' && is_torn(chars, at) => {}
            (false, _) => text.push(*c),
            (true, false) => text.push_str(MARK),
            (true, true) => {}
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, secrets: &[&str], expected: &str) {
        let secrets: Vec<Secret> = secrets.iter().map(|text| Secret::new(text.as_bytes())).collect();
        assert_eq!(redact(text, secrets.iter()), expected);
    }

    #[test]
    fn secrets_are_struck_out() {
        case("password correct-horse refused", &["correct-horse"], "password [secret] refused");
        case("twice correct-horse correct-horse", &["correct-horse"], "twice [secret] [secret]");
        case("port 80801 of s3cr3", &["s3cr3", "yes"], "port 80801 of [secret]");
        case("nothing of it", &["correct-horse", ""], "nothing of it");
    }

    #[test]
    fn what_was_cut_is_struck_out_too() {
        case("rrect-horse at the start", &["correct-horse"], "[secret] at the start");
        case("at the end correct-ho", &["correct-horse"], "at the end [secret]");
        case("at the very end correct-hor…", &["correct-horse-battery"], "at the very end [secret]…");
        case("short: correc…; and so on", &["correct-horse-battery"], "short:…; and so on");
        case("a line of it: BBBBBBBBBBBB done", &["AAAAAAAAAAAA\nBBBBBBBBBBBB\n"], "a line of it:[secret] done");
    }
}
