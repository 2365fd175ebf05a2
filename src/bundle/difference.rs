//! `Difference`: what one bundle has that another has not, by name and fingerprint. No value is in it.

use super::layout::{Document, SecretName};
use super::opened::Bundle;
use super::record::{Enrolment, Metadata};
use crate::words::{HostName, Secret};
use std::collections::{BTreeMap, BTreeSet};

/// What became of something.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    Added,
    Removed,
    Changed,
}

impl Change {
    /// `None` when it is the same in both.
    fn of<T: PartialEq>(old: Option<&T>, new: Option<&T>) -> Option<Self> {
        match (old, new) {
            (None, Some(_)) => Some(Self::Added),
            (Some(_), None) => Some(Self::Removed),
            (Some(old), Some(new)) if old != new => Some(Self::Changed),
            _ => None,
        }
    }

    /// For a line or a report.
    pub fn word(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }
}

/// One thing that is not the same in both: what it was and what it is, as people may see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changed {
    /// `aws.KEY`, `age1...`, `web1`
    pub name: String,
    /// Which part of it: `value`, `note`, `services`, ...
    pub field: &'static str,
    pub change: Change,
    pub old: Option<String>,
    pub new: Option<String>,
}

/// Everything that differs; empty lists where nothing does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Difference {
    /// Values, by keyed fingerprints.
    pub secrets: Vec<Changed>,
    pub metadata: Vec<Changed>,
    pub recipients: Vec<Changed>,
    pub enrolments: Vec<Changed>,
    /// Env files with the same values, and other comments or another order.
    pub texts: Vec<Document>,
    /// Of the bundle itself: its keys, a rotation under way, what is to be revoked, fields of a newer version.
    pub bundle: Vec<Changed>,
}

impl Difference {
    /// From the old one to the new one. Fingerprints are those of whichever is the later generation, so that the same value has the same.
    pub fn between(old: &Bundle, new: &Bundle) -> Self {
        let later = if old.generation() > new.generation() { old } else { new };
        let fingerprint = |value: &Secret| later.fingerprint(value.expose());
        Self {
            secrets: each(&values(old), &values(new), "value", |value| fingerprint(value)),
            metadata: metadata(old, new),
            recipients: recipients(old, new),
            enrolments: enrolments(old, new),
            texts: texts(old, new),
            bundle: of_bundle(old, new, &fingerprint),
        }
    }

    /// Is there nothing that differs?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// All of it, in the order in which it is shown.
    pub fn all(&self) -> impl Iterator<Item = &Changed> {
        [&self.secrets, &self.metadata, &self.recipients, &self.enrolments, &self.bundle].into_iter().flatten()
    }
}

fn values(bundle: &Bundle) -> BTreeMap<String, &Secret> {
    super::merge::flat(bundle).into_iter().map(|(name, value)| (name.to_string(), value)).collect()
}

/// Each key of two maps that is not the same in both.
fn each<T: PartialEq>(
    old: &BTreeMap<String, T>,
    new: &BTreeMap<String, T>,
    field: &'static str,
    shown: impl Fn(&T) -> String,
) -> Vec<Changed> {
    let names: BTreeSet<&String> = old.keys().chain(new.keys()).collect();
    let changed = names.into_iter().filter_map(|name| one(name, field, old.get(name), new.get(name), &shown));
    changed.collect()
}

fn one<T: PartialEq>(
    name: &str,
    field: &'static str,
    old: Option<&T>,
    new: Option<&T>,
    shown: impl Fn(&T) -> String,
) -> Option<Changed> {
    let change = Change::of(old, new)?;
    Some(Changed { name: name.to_owned(), field, change, old: old.map(&shown), new: new.map(&shown) })
}

/// Of secrets that both have: what only one has came or went with it.
fn metadata(old: &Bundle, new: &Bundle) -> Vec<Changed> {
    let names: BTreeSet<&String> = old.record.secrets.keys().chain(new.record.secrets.keys()).collect();
    let mut changed = Vec::new();
    for name in names {
        let has_value = |bundle: &Bundle| name.parse::<SecretName>().is_ok_and(|name| bundle.value(&name).is_some());
        if has_value(old) != has_value(new) {
            continue;
        }
        let nothing = Metadata::default();
        let of = |bundle: &Bundle| bundle.record.secrets.get(name).unwrap_or(&nothing).clone();
        let (old, new) = (of(old), of(new));
        let text = |field, old: &Option<String>, new: &Option<String>| {
            one(name, field, old.as_ref(), new.as_ref(), |text: &String| super::merge::shown(text))
        };
        changed.extend(text("owner", &old.owner, &new.owner));
        changed.extend(text("note", &old.note, &new.note));
        changed.extend(text("generator", &old.generator, &new.generator));
        changed.extend(one(name, "public", old.public.as_ref(), new.public.as_ref(), ToString::to_string));
        let (before, after) = (old.rotate_every.as_ref(), new.rotate_every.as_ref());
        changed.extend(one(name, "rotate-every", before, after, ToString::to_string));
    }
    changed
}

fn recipients(old: &Bundle, new: &Bundle) -> Vec<Changed> {
    let by_word = |bundle: &Bundle| -> BTreeMap<String, String> {
        bundle.recipients().iter().map(|one| (one.word(), one.label.clone().unwrap_or_default())).collect()
    };
    each(&by_word(old), &by_word(new), "recipient", String::clone)
}

fn enrolments(old: &Bundle, new: &Bundle) -> Vec<Changed> {
    let hosts: BTreeSet<&HostName> = old.enrolments().chain(new.enrolments()).map(|(host, _)| host).collect();
    let mut changed = Vec::new();
    for host in hosts {
        match (old.enrolment(host), new.enrolment(host)) {
            (Some(old), Some(new)) => changed.extend(of_host(host, old, new)),
            (old, new) => changed.extend(one(host.as_str(), "enrolment", old, new, |one| listed(&one.services))),
        }
    }
    changed
}

fn of_host(host: &HostName, old: &Enrolment, new: &Enrolment) -> impl Iterator<Item = Changed> {
    let set = |field, old: String, new: String| one(host.as_str(), field, Some(&old), Some(&new), String::clone);
    let keys = |one: &Enrolment| super::merge::host_keys(&one.host_keys);
    [
        set("host-keys", keys(old), keys(new)),
        set("services", listed(&old.services), listed(&new.services)),
        set("roots", listed(&old.roots), listed(&new.roots)),
        set("groups", listed(&old.groups), listed(&new.groups)),
    ]
    .into_iter()
    .flatten()
}

fn listed<T: ToString>(names: &BTreeSet<T>) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

fn texts(old: &Bundle, new: &Bundle) -> Vec<Document> {
    let mut texts = Vec::new();
    for (document, after) in &new.now.envs {
        let Some(before) = old.now.envs.get(document) else { continue };
        let sorted = |env: &super::EnvFile| env.values().into_iter().collect::<BTreeMap<_, _>>();
        if before != after && sorted(before) == sorted(after) {
            texts.push(document.clone());
        }
    }
    texts
}

fn of_bundle(old: &Bundle, new: &Bundle, fingerprint: &impl Fn(&Secret) -> String) -> Vec<Changed> {
    let name = "bundle";
    let rotation = |bundle: &Bundle| bundle.rotation().map(|rotation| rotation.run.to_string());
    let revocations = |bundle: &Bundle| {
        let names: BTreeSet<String> = bundle.revocations().iter().map(|one| one.secret.to_string()).collect();
        Some(listed(&names)).filter(|names| !names.is_empty())
    };
    let (ids, runs) = ([old, new].map(|one| Some(one.id().to_owned())), [old, new].map(rotation));
    let revoked = [old, new].map(revocations);
    let keys = [old, new].map(|one| one.backup_key.as_ref());
    let own = [old, new].map(|one| one.record.fingerprint_key.as_ref().filter(|_| !one.id().is_empty()));
    let fields: Vec<BTreeSet<String>> = [old, new].map(|one| one.record.other.keys().cloned().collect()).into();
    let others = [&fields[0], &fields[1]].map(|names| Some(listed(names)).filter(|names| !names.is_empty()));
    let text = |field, pair: &[Option<String>; 2]| one(name, field, pair[0].as_ref(), pair[1].as_ref(), String::clone);
    let key = |field, pair: [Option<&Secret>; 2]| one(name, field, pair[0], pair[1], fingerprint);
    let changed = [
        text("id", &ids),
        key("fingerprint-key", own),
        key("backup-key", keys),
        text("rotation", &runs),
        text("revocations", &revoked),
        text("fields", &others),
    ];
    changed.into_iter().flatten().collect()
}

impl Bundle {
    /// Each env file without its values: comments, order and keys. A comment may hold an old value, so it is a secret.
    pub fn texts(&self) -> Vec<(String, Secret)> {
        let without_values = |env: &super::EnvFile| {
            let mut env = env.clone();
            let keys: Vec<_> = env.keys().cloned().collect();
            keys.iter().for_each(|key| drop(env.set(key, Secret::new([]))));
            env.to_secret()
        };
        self.now.envs.iter().map(|(document, env)| (document.to_string(), without_values(env))).collect()
    }
}
