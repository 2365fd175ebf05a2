//! `Glob`: a name with wildcards, as the shell and Python's `fnmatch` know them: `*`, `?`, `[seq]`, `[!seq]`. Case counts.

use std::fmt;

/// A glob as parsed; equal only to one that was written the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Glob {
    text: String,
    parts: Vec<Part>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Char(char),
    One,
    Many,
    /// Ranges of characters, and whether they are the ones that do not match.
    Set {
        ranges: Vec<(char, char)>,
        inverted: bool,
    },
}

impl Glob {
    /// Takes any text: what cannot be a wildcard means itself.
    pub fn new(text: impl Into<String>) -> Self {
        let text = text.into();
        let chars: Vec<char> = text.chars().collect();
        let (mut parts, mut at) = (Vec::new(), 0);
        while at < chars.len() {
            let (part, length) = match chars[at] {
                '*' => (Part::Many, 1),
                '?' => (Part::One, 1),
                // A bracket that is never closed means itself.
                '[' => set(&chars[at..]).unwrap_or((Part::Char('['), 1)),
                c => (Part::Char(c), 1),
            };
            if !(part == Part::Many && parts.last() == Some(&Part::Many)) {
                parts.push(part);
            }
            at += length;
        }
        Self { text, parts }
    }

    /// Is it a plain name, which only matches itself?
    pub fn is_plain(&self) -> bool {
        self.parts.iter().all(|part| matches!(part, Part::Char(_)))
    }

    /// The glob as written.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Remembers only the last `*`, so time grows with the product of the two lengths and no further.
    pub fn matches(&self, name: &str) -> bool {
        let name: Vec<char> = name.chars().collect();
        let (mut part, mut at) = (0, 0);
        let mut star: Option<(usize, usize)> = None;
        while at < name.len() {
            match self.parts.get(part) {
                Some(Part::Many) => {
                    star = Some((part, at));
                    part += 1;
                }
                Some(one) if one.takes(name[at]) => (part, at) = (part + 1, at + 1),
                _ => match star {
                    Some((many, from)) => {
                        star = Some((many, from + 1));
                        (part, at) = (many + 1, from + 1);
                    }
                    None => return false,
                },
            }
        }
        self.parts[part..].iter().all(|left| *left == Part::Many)
    }
}

impl Part {
    fn takes(&self, c: char) -> bool {
        match self {
            Self::Char(own) => *own == c,
            Self::One => true,
            Self::Many => false,
            Self::Set { ranges, inverted } => ranges.iter().any(|(from, to)| (*from..=*to).contains(&c)) != *inverted,
        }
    }
}

/// The set that starts here and how many characters it takes. A `]` right at its start is a member.
fn set(chars: &[char]) -> Option<(Part, usize)> {
    let inverted = chars.get(1) == Some(&'!');
    let first = if inverted { 2 } else { 1 };
    let end = first + 1 + chars.get(first + 1..)?.iter().position(|c| *c == ']')?;
    let (members, mut ranges, mut at) = (&chars[first..end], Vec::new(), 0);
    while at < members.len() {
        if at + 2 < members.len() && members[at + 1] == '-' {
            ranges.push((members[at], members[at + 2]));
            at += 3;
        } else {
            ranges.push((members[at], members[at]));
            at += 1;
        }
    }
    Some((Part::Set { ranges, inverted }, end + 1))
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn case(glob: &str, yes: &[&str], no: &[&str]) {
        let glob = Glob::new(glob);
        for name in yes {
            assert!(glob.matches(name), "{glob} should match {name}");
        }
        for name in no {
            assert!(!glob.matches(name), "{glob} should not match {name}");
        }
    }

    #[test]
    fn matches_as_fnmatch_does() {
        case("web", &["web"], &["web1", "we", "Web", ""]);
        case("*", &["", "x", "web.example.com"], &[]);
        case("web*", &["web", "web01"], &["db", "xweb"]);
        case("w*b*1", &["wb1", "webb01", "w1b1"], &["wb", "web12"]);
        case("web?", &["web1"], &["web", "web12"]);
        case("web[12]", &["web1", "web2"], &["web3", "web12"]);
        case("web[a-c1]", &["weba", "webc", "web1"], &["webd", "web-"]);
        case("web[!12]", &["web3"], &["web1", "web"]);
        case("a[]]b", &["a]b"], &["ab"]);
        case("a[-z]", &["a-", "az"], &["ab"]);
        case("a[b", &["a[b"], &["ab"]);
        case("a[]", &["a[]"], &["a"]);
        case("", &[""], &["a"]);
    }

    #[test]
    fn many_stars_end_in_time() {
        assert!(!Glob::new("*a".repeat(60)).matches(&"a".repeat(2000).replace("aaaa", "aaab").replace('a', "c")));
        assert!(!Glob::new(format!("{}b", "a*".repeat(60))).matches(&"a".repeat(5000)));
    }

    #[test]
    fn a_plain_name_is_known() {
        assert!(Glob::new("api-v2").is_plain());
        assert!(!Glob::new("api-*").is_plain());
    }
}
