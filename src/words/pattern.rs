//! `Pattern`: which hosts are meant, in Ansible's language: `all`, `web`, `web*`, `web[0:3]`, `~regex`, `a:b`, `a:&b`, `a:!b`, `,` for `:`.
//!
//! Parsed here, matched against an inventory there. `@file` is read by whoever has a file system and given here as text.

use super::{Error, Result};
use std::fmt;

/// A pattern as parsed: terms in the order they were written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    text: String,
    terms: Vec<Term>,
}

/// How a term joins what the terms before it chose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Join {
    /// `a:b`
    Union,
    /// `a:&b`
    Intersection,
    /// `a:!b`
    Difference,
}

/// One part of a pattern: hosts, and how they join those chosen before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Term {
    pub join: Join,
    pub names: Names,
    /// `[2]`, `[-1]`, `[0:3]` (inclusive, as in Ansible), `[1:]`: of the hosts that `names` gives.
    pub subscript: Option<Subscript>,
    /// The term as written, for messages.
    pub text: String,
}

/// Which hosts or groups a term names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Names {
    /// `all` or `*`
    All,
    /// A name, or a glob with `*`, `?` and `[seq]`, of hosts and groups.
    Glob(String),
    /// `~regex`, anchored at the start only, as Python's `re.match`.
    Regex(String),
}

/// Which of the hosts named are meant; counted from 0, negative from the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subscript {
    One(i64),
    /// From, and to (inclusive); an open end is `None`.
    Range(Option<i64>, Option<i64>),
}

impl Pattern {
    /// The pattern that means every host.
    pub fn all() -> Self {
        Self::parse("all").expect("`all` is a pattern")
    }

    /// Reads a pattern. An empty one is an error, and so is a term that cannot be read.
    pub fn parse(text: &str) -> Result<Self> {
        let mut terms = Vec::new();
        for piece in split(text) {
            let piece = piece.trim();
            if !piece.is_empty() {
                terms.push(term(piece)?);
            }
        }
        if terms.is_empty() {
            return Err(Error::new("the host pattern is empty").hint("`all` means every host"));
        }
        // As in Ansible, only the order union, intersection, difference counts, not where a term was written.
        terms.sort_by_key(|term| match term.join {
            Join::Union => 0,
            Join::Intersection => 1,
            Join::Difference => 2,
        });
        if terms[0].join != Join::Union {
            terms.insert(0, Term { join: Join::Union, names: Names::All, subscript: None, text: "all".to_owned() });
        }
        Ok(Self { text: text.to_owned(), terms })
    }

    /// Unions first, then intersections, then differences.
    pub fn terms(&self) -> &[Term] {
        &self.terms
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// Splits at `,` if there is one, else at `:`; neither inside brackets of any kind, which may be a subscript, a `[seq]`
/// or part of a regex. Outside of them a colon joins, also behind a regex: `~web.*:!web02`.
fn split(text: &str) -> Vec<&str> {
    let commas = split_at(text, ',');
    if commas.len() > 1 { commas } else { split_at(text, ':') }
}

fn split_at(text: &str, separator: char) -> Vec<&str> {
    let (mut pieces, mut start, mut depth) = (Vec::new(), 0, 0usize);
    for (at, c) in text.char_indices() {
        match c {
            '[' | '(' | '{' => depth += 1,
            ']' | ')' | '}' => depth = depth.saturating_sub(1),
            c if c == separator && depth == 0 => {
                pieces.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&text[start..]);
    pieces
}

fn term(piece: &str) -> Result<Term> {
    let (join, rest) = match piece.as_bytes()[0] {
        b'&' => (Join::Intersection, &piece[1..]),
        b'!' => (Join::Difference, &piece[1..]),
        _ => (Join::Union, piece),
    };
    let wrong = |why: &str| Error::new(format!("host pattern `{}`: {why}", piece.escape_debug()));
    if rest.is_empty() {
        return Err(wrong("a name is missing"));
    }
    if let Some(regex) = rest.strip_prefix('~') {
        return Ok(Term { join, names: Names::Regex(regex.to_owned()), subscript: None, text: piece.to_owned() });
    }
    let (name, subscript) = match rest.rfind('[').filter(|_| rest.ends_with(']')) {
        Some(at) => match subscript(&rest[at + 1..rest.len() - 1]) {
            Some(subscript) => (&rest[..at], Some(subscript)),
            None => (rest, None), // a glob's [seq]
        },
        None => (rest, None),
    };
    if name.is_empty() || name.chars().any(|c| c.is_control() || c.is_whitespace()) {
        return Err(wrong("a name is missing or holds white space"));
    }
    let names = if matches!(name, "all" | "*") { Names::All } else { Names::Glob(name.to_owned()) };
    Ok(Term { join, names, subscript, text: piece.to_owned() })
}

fn subscript(text: &str) -> Option<Subscript> {
    if text.contains('+') {
        return None;
    }
    let end = |text: &str| if text.is_empty() { Some(None) } else { text.parse().ok().map(Some) };
    match text.split_once(':').or_else(|| text.split_once('-').filter(|(from, _)| !from.is_empty())) {
        Some((from, to)) => Some(Subscript::Range(end(from)?, end(to)?)),
        None => text.parse().ok().map(Subscript::One),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(text: &str, expected: &[(Join, &str)]) {
        let pattern = Pattern::parse(text).unwrap();
        let found: Vec<_> = pattern.terms().iter().map(|term| (term.join, term.text.as_str())).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn terms_join_in_ansible_order() {
        use Join::*;
        case("web", &[(Union, "web")]);
        case("web:db", &[(Union, "web"), (Union, "db")]);
        case("web,db", &[(Union, "web"), (Union, "db")]);
        case("!db:web:&live", &[(Union, "web"), (Intersection, "&live"), (Difference, "!db")]);
        case("!db", &[(Union, "all"), (Difference, "!db")]);
        case("~web[0-9]:x", &[(Union, "~web[0-9]"), (Union, "x")]);
        case("~web.*:!web02", &[(Union, "~web.*"), (Difference, "!web02")]);
        case("~(?:a|b)[0-9:]{1,2}", &[(Union, "~(?:a|b)[0-9:]{1,2}")]);
        case("web[0:2],db", &[(Union, "web[0:2]"), (Union, "db")]);
    }

    #[test]
    fn subscripts_are_told_from_globs() {
        let subscript = |text: &str| Pattern::parse(text).unwrap().terms()[0].subscript;
        assert_eq!(subscript("web[0:3]"), Some(Subscript::Range(Some(0), Some(3))));
        assert_eq!(subscript("web[-1]"), Some(Subscript::One(-1)));
        assert_eq!(subscript("web[1:]"), Some(Subscript::Range(Some(1), None)));
        assert_eq!(subscript("web[ab]"), None);
        assert_eq!(subscript("web[ab][0]"), Some(Subscript::One(0)));
        assert_eq!(subscript("web[+1]"), None);
    }

    #[test]
    fn nonsense_is_an_error() {
        for bad in ["", " ", ":", "&", "!", "a\nb", "web 1"] {
            assert!(Pattern::parse(bad).is_err(), "{bad:?}");
        }
    }
}
