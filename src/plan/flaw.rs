//! `Flaw`: what is wrong with a secret before it goes anywhere: missing, empty, a placeholder, blanks around it, weak, used twice. Judged from
//! names and values alone; never a value is told.

use super::entitlement::{Entitlement, entitlements};
use crate::bundle::{Bundle, Item, SecretName, is_plain};
use crate::inventory::Inventory;
use crate::playbook::Playbook;
use crate::words::{Error, HostName, KeyName, Result, Secret, ServiceName, listed, named, plural};
use std::collections::{BTreeMap, BTreeSet};
use std::str::FromStr;

const BETTER: &str = "`distribute bundle generate` makes a better one";

/// Shorter ones can be tried out.
const SHORTEST: usize = 12;
/// Fewer different bytes make no secret.
const FEWEST: usize = 5;
/// Shorter values are the same by chance.
const WORTH_COMPARING: usize = 8;

/// What words like these mean: somebody was going to put something else there.
const PLACEHOLDERS: [&str; 18] = [
    "changeme",
    "change-me",
    "change_me",
    "placeholder",
    "replaceme",
    "replace-me",
    "replace_me",
    "todo",
    "fixme",
    "tbd",
    "xxx",
    "xxxx",
    "xxxxxxxx",
    "example",
    "dummy",
    "insert-here",
    "none",
    "null",
];

/// The first words of everybody's list.
const COMMON: [&str; 11] = [
    "password",
    "passw0rd",
    "123456",
    "12345678",
    "123456789",
    "1234567890",
    "qwerty",
    "letmein",
    "iloveyou",
    "password1",
    "password123",
];

/// Kinds of flaws.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum FlawRule {
    Missing,
    Empty,
    Placeholder,
    Whitespace,
    Crlf,
    Weak,
    Duplicate,
}

impl FlawRule {
    /// Every one with its word.
    pub const ALL: [(&'static str, Self); 7] = [
        ("missing", Self::Missing),
        ("empty", Self::Empty),
        ("placeholder", Self::Placeholder),
        ("whitespace", Self::Whitespace),
        ("crlf", Self::Crlf),
        ("weak", Self::Weak),
        ("duplicate", Self::Duplicate),
    ];

    /// The word.
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, rule)| *rule == self).map_or("", |(word, _)| word)
    }
}

impl FromStr for FlawRule {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        named(text, "a rule of `bundle check`", &Self::ALL)
    }
}

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Flaw {
    pub rule: FlawRule,
    /// The secret; of a missing one the name that it should have.
    pub secret: SecretName,
    /// What is wrong, and what to do. Never a value.
    pub message: String,
    /// Who lacks it; empty where that is not the question.
    pub hosts: Vec<HostName>,
}

impl Flaw {
    /// All of the bundle, by secret. Without inventory and playbook nothing is known to be required.
    ///
    /// # Errors
    /// When the playbook does not fit the inventory.
    pub fn all(bundle: &Bundle, project: Option<(&Inventory, &Playbook)>) -> Result<Vec<Self>> {
        let mut flaws = match project {
            Some((inventory, playbook)) => missing(bundle, inventory, playbook)?,
            None => Vec::new(),
        };
        for (name, value) in bundle.values() {
            let flaw = of_value(&name, value);
            flaws.extend(flaw.map(|(rule, message)| Self { rule, secret: name, message, hosts: Vec::new() }));
        }
        flaws.extend(duplicates(bundle));
        flaws.sort_by(|one, other| (&one.secret, one.rule).cmp(&(&other.secret, other.rule)));
        Ok(flaws)
    }
}

/// The worst thing about a value.
fn of_value(name: &SecretName, value: &Secret) -> Option<(FlawRule, String)> {
    let bytes = value.expose();
    let trimmed = bytes.trim_ascii();
    let flaw = |rule, message: &str| Some((rule, message.to_owned()));
    match &name.item {
        _ if bytes.is_empty() => flaw(FlawRule::Empty, "it is empty"),
        Item::File(_) => None,
        Item::Key(_) if trimmed.is_empty() => flaw(FlawRule::Empty, "there is nothing in it but blanks"),
        Item::Key(_) if bytes.contains(&b'\r') => {
            flaw(FlawRule::Crlf, "there is a carriage return in it: it came from a file with CRLF line ends")
        }
        Item::Key(_) if trimmed.len() != bytes.len() => {
            flaw(FlawRule::Whitespace, "there are blanks around it, which some readers drop and others do not")
        }
        Item::Key(_) if is_placeholder(trimmed) => flaw(FlawRule::Placeholder, "it is a placeholder"),
        Item::Key(_) if COMMON.contains(&String::from_utf8_lossy(trimmed).to_lowercase().as_str()) => {
            Some((FlawRule::Weak, format!("it is among the first that everybody tries; {BETTER}")))
        }
        Item::Key(key) if is_secret(key) => weakness(key, trimmed).map(|message| (FlawRule::Weak, message)),
        Item::Key(_) => None,
    }
}

fn is_placeholder(value: &[u8]) -> bool {
    let text = String::from_utf8_lossy(value).to_lowercase();
    let is_bracketed =
        (text.starts_with('<') && text.ends_with('>')) || (text.starts_with("${") && text.ends_with('}'));
    let is_yours = text.starts_with("your-")
        || text.starts_with("your_")
        || text.starts_with("my-secret")
        || text.contains("changeme");
    is_bracketed || is_yours || PLACEHOLDERS.contains(&text.trim_matches(|char| char == '.' || char == '!'))
}

/// Does its name say that it has to be hard to guess?
fn is_secret(key: &KeyName) -> bool {
    let upper = key.as_str().to_ascii_uppercase();
    let words: Vec<&str> = upper.split(['_', '-']).collect();
    let has = |word: &&str| {
        matches!(*word, "PASSWORD" | "PASSWD" | "PASS" | "PWD" | "PASSPHRASE" | "SECRET" | "TOKEN" | "APIKEY")
    };
    words.iter().any(has)
        || (words.contains(&"API") || words.contains(&"PRIVATE") || words.contains(&"SIGNING"))
            && words.contains(&"KEY")
}

fn weakness(key: &KeyName, value: &[u8]) -> Option<String> {
    let text = String::from_utf8_lossy(value).to_lowercase();
    let different = value.iter().collect::<BTreeSet<_>>().len();
    match () {
        () if text == key.as_str().to_lowercase() => Some(format!("it is its own name; {BETTER}")),
        () if value.len() < SHORTEST => Some(format!("it has fewer than {SHORTEST} characters; {BETTER}")),
        () if different < FEWEST => Some(format!("it has fewer than {FEWEST} different characters; {BETTER}")),
        () => None,
    }
}

/// The same value under two names: one of them leaks both, and they are rotated apart. An override that repeats the common value is told as
/// needless.
fn duplicates(bundle: &Bundle) -> Vec<Flaw> {
    let mut by_value: BTreeMap<String, Vec<SecretName>> = BTreeMap::new();
    for (name, value) in bundle.values() {
        let value = value.expose();
        let is_worth = match &name.item {
            Item::Key(key) => value.len() >= WORTH_COMPARING && (is_secret(key) || !is_plain(value)),
            Item::File(_) => value.len() >= WORTH_COMPARING,
        };
        if is_worth {
            by_value.entry(bundle.mac(value)).or_default().push(name);
        }
    }
    let several = by_value.into_values().filter(|names| names.len() > 1);
    several
        .map(|mut names| {
            let first = names.remove(0);
            let message = format!("the same value is that of {}", listed(&names));
            Flaw { rule: FlawRule::Duplicate, secret: first, message, hosts: Vec::new() }
        })
        .collect()
}

/// What services require, and hosts that get them would not have.
fn missing(bundle: &Bundle, inventory: &Inventory, playbook: &Playbook) -> Result<Vec<Flaw>> {
    let mut lacking: BTreeMap<(ServiceName, ServiceName, KeyName), Vec<HostName>> = BTreeMap::new();
    for host in inventory.hosts() {
        for Entitlement { services, .. } in entitlements(inventory, playbook, host)? {
            for entitled in &services {
                for key in entitled.lacking(bundle, host) {
                    let at = (entitled.service.name.clone(), entitled.first_source().clone(), key.clone());
                    lacking.entry(at).or_default().push(host.name.clone());
                }
            }
        }
    }
    let flaw = |((service, source, key), hosts): ((ServiceName, ServiceName, KeyName), Vec<HostName>)| {
        let secret = SecretName::key(&source, &key);
        let message = format!(
            "service {service} requires it, and {} would not have it: distribute bundle set {secret}",
            plural(hosts.len(), "host")
        );
        Flaw { rule: FlawRule::Missing, secret, message, hosts }
    };
    Ok(lacking.into_iter().map(flaw).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_judged_by_what_they_are_and_what_they_are_called() {
        for (name, value, expected) in [
            ("a.DB_PASSWORD", "", Some(FlawRule::Empty)),
            ("a.MODE", "  ", Some(FlawRule::Empty)),
            ("a.MODE", "x\r", Some(FlawRule::Crlf)),
            ("a.MODE", " x", Some(FlawRule::Whitespace)),
            ("a.MODE", "x\n", Some(FlawRule::Whitespace)),
            ("a.MODE", "changeme", Some(FlawRule::Placeholder)),
            ("a.MODE", "<your key>", Some(FlawRule::Placeholder)),
            ("a.MODE", "${TOKEN}", Some(FlawRule::Placeholder)),
            ("a.MODE", "your-api-key", Some(FlawRule::Placeholder)),
            ("a.MODE", "TODO", Some(FlawRule::Placeholder)),
            ("a.MODE", "x", None),
            ("a.MODE", "password", Some(FlawRule::Weak)),
            ("a.DB_PASSWORD", "hunter2", Some(FlawRule::Weak)),
            ("a.DB_PASSWORD", "aaaaaaaaaaaaaaaaaaaa", Some(FlawRule::Weak)),
            ("a.DB_PASSWORD", "password123", Some(FlawRule::Weak)),
            ("a.API_KEY", "short", Some(FlawRule::Weak)),
            ("a.MONKEY", "short", None),
            ("a.PUBLIC_KEY_ID", "short", None),
            ("a.DB_PASSWORD", "kX8#vPq2!mZr", None),
            ("tls/cert.pem", "x\r\n", None),
            ("tls/cert.pem", "", Some(FlawRule::Empty)),
        ] {
            let found = of_value(&name.parse().unwrap(), &Secret::new(value));
            assert_eq!(found.as_ref().map(|(rule, _)| *rule), expected, "{name} {value:?}");
            assert!(value.len() < 5 || found.is_none_or(|(_, message)| !message.contains(value)));
        }
    }

    #[test]
    fn a_rule_has_a_word() {
        for (word, rule) in FlawRule::ALL {
            assert_eq!((rule.as_str(), word.parse::<FlawRule>().unwrap()), (word, rule));
        }
        assert!("weka".parse::<FlawRule>().unwrap_err().hints()[0].contains("weak"));
    }
}
