//! `bundle.toml`: what a bundle knows of itself, of hosts and of each secret; no values. Text comes in, checked fields leave,
//! and the other way round with everything sorted. Keys that this version does not know are kept as they are.

use super::change::Change;
use super::exposure::Exposure;
use super::layout::SecretName;
use super::recipient::Recipient;
use super::rotation::{Revocation, Rotation};
use crate::words::{Error, GroupName, HostName, Period, Result, Secret, ServiceName};
use chrono::{DateTime, SecondsFormat, Utc};
use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::collections::{BTreeMap, BTreeSet};

const VERSION: u64 = 1;

/// The file as fields. Times are RFC 3339, whole seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Record {
    #[serde(default = "one")]
    version: u64,
    /// 16 random bytes in hex; empty until the first save of a bundle packed by hand.
    #[serde(default)]
    pub id: String,
    #[serde(default)]
    pub generation: u64,
    #[serde(default, with = "time", skip_serializing_if = "Option::is_none")]
    pub created: Option<DateTime<Utc>>,
    /// Empty: sealed with the password.
    #[serde(default)]
    pub recipients: Vec<Recipient>,
    #[serde(default, with = "hex", skip_serializing_if = "Option::is_none")]
    pub fingerprint_key: Option<Secret>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub enrolments: BTreeMap<HostName, Enrolment>,
    /// By the name people use: `aws.KEY`, `groups/web/tls/cert.pem`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub secrets: BTreeMap<String, Metadata>,
    /// What was known of secrets that were taken out and whose earlier values are kept.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub removed: BTreeMap<String, Metadata>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotation: Option<Rotation>,
    /// Old values that are still to be revoked, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub revocations: Vec<Revocation>,
    /// Who lost access, and what he could read, the first first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exposures: Vec<Exposure>,
    /// Hashes of what was put beside the sets of hosts before keys were made anew, so that it is known there as ours; the first first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub former_files: Vec<String>,
    #[serde(flatten)]
    pub(super) other: BTreeMap<String, toml::Value>,
}

/// What the bundle remembers of a host. There are host keys only once one was pinned.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Enrolment {
    /// As OpenSSH writes them: `ssh-ed25519 AAAA...`.
    #[serde(default)]
    pub host_keys: Vec<String>,
    /// Services that the host may hold.
    #[serde(default)]
    pub services: BTreeSet<ServiceName>,
    /// Where on the host its secrets may lie.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub roots: BTreeSet<String>,
    /// Groups whose overrides the host may hold.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub groups: BTreeSet<GroupName>,
    /// When the host keys were last pinned; `None` if they never were.
    #[serde(default, with = "time", skip_serializing_if = "Option::is_none")]
    pub enrolled: Option<DateTime<Utc>>,
}

/// What is known of one secret besides its value.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub struct Metadata {
    #[serde(default, with = "time", skip_serializing_if = "Option::is_none")]
    pub created: Option<DateTime<Utc>>,
    /// When the value was last replaced; `None` if it is still the first.
    #[serde(default, with = "time", skip_serializing_if = "Option::is_none")]
    pub rotated: Option<DateTime<Utc>>,
    #[serde(default, with = "period", skip_serializing_if = "Option::is_none")]
    pub rotate_every: Option<Period>,
    /// As written: `password:32`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generator: Option<String>,
    /// The file that holds the public half of this key pair, and changes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub public: Option<SecretName>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// Who answers for it: a person or a team.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner: Option<String>,
    /// Generations of the history whose value was made by a rotation that was undone.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub dropped: BTreeSet<u64>,
    /// Its last changes, the latest last.
    #[serde(default, with = "changes", skip_serializing_if = "Vec::is_empty")]
    pub changes: Vec<Change>,
    #[serde(flatten)]
    pub(super) other: BTreeMap<String, toml::Value>,
}

impl Metadata {
    /// When the value became what it is.
    pub fn since(&self) -> Option<DateTime<Utc>> {
        self.rotated.or(self.created)
    }
}

impl Default for Record {
    fn default() -> Self {
        Self {
            version: VERSION,
            id: String::new(),
            generation: 0,
            created: None,
            recipients: Vec::new(),
            fingerprint_key: None,
            enrolments: BTreeMap::new(),
            secrets: BTreeMap::new(),
            removed: BTreeMap::new(),
            rotation: None,
            revocations: Vec::new(),
            exposures: Vec::new(),
            former_files: Vec::new(),
            other: BTreeMap::new(),
        }
    }
}

impl Record {
    pub fn parse(text: &Secret) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            #[serde(default = "one")]
            version: u64,
        }
        let text = std::str::from_utf8(text.expose()).map_err(|_| Error::new("it is not text"))?;
        // The version first: what a newer one writes need not fit this one's fields.
        let head: Head = toml::from_str(text).map_err(|error| wrong(text, &error))?;
        if head.version != VERSION {
            return Err(Error::new(format!("it is version {}, made by a newer distribute", head.version))
                .hint(format!("this one reads version {VERSION}: update it")));
        }
        toml::from_str(text).map_err(|error| wrong(text, &error))
    }

    /// What a backup of this host keeps of it: enough to make a bundle again in which the host is who it was. Of secrets all names are there.
    pub fn excerpt(&self, host: &HostName, names: impl Iterator<Item = String>) -> Self {
        let known = |name: String| (name.clone(), self.secrets.get(&name).cloned().unwrap_or_default());
        Self {
            version: self.version,
            id: self.id.clone(),
            generation: self.generation,
            created: self.created,
            recipients: self.recipients.clone(),
            fingerprint_key: self.fingerprint_key.clone(),
            enrolments: self
                .enrolments
                .get_key_value(host)
                .map(|(host, enrolment)| (host.clone(), enrolment.clone()))
                .into_iter()
                .collect(),
            secrets: names.map(known).collect(),
            ..Self::default()
        }
    }

    pub fn to_secret(&self) -> Result<Secret> {
        let text = toml::to_string(self).map_err(|_| Error::new("bundle.toml cannot be written"))?;
        Ok(Secret::new(text.into_bytes()))
    }
}

/// Only the line: the parser's own text quotes it, and the fingerprint key stands in this file.
fn wrong(text: &str, error: &toml::de::Error) -> Error {
    let line = error
        .span()
        .map(|span| text.as_bytes()[..span.start.min(text.len())].iter().filter(|b| **b == b'\n').count() + 1);
    match line {
        Some(line) => Error::new(format!("line {line} is not what belongs there")),
        None => Error::new("it is not what it should be"),
    }
}

fn one() -> u64 {
    VERSION
}

/// A time that has to be there.
pub(super) mod moment {
    use super::*;

    pub fn serialize<S: Serializer>(time: &DateTime<Utc>, to: S) -> Result<S::Ok, S::Error> {
        super::time::serialize(&Some(*time), to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<DateTime<Utc>, D::Error> {
        super::time::deserialize(from)?.ok_or_else(|| serde::de::Error::custom("not a time"))
    }
}

/// Times as RFC 3339 text, by the second.
pub(super) mod time {
    use super::*;

    pub fn serialize<S: Serializer>(time: &Option<DateTime<Utc>>, to: S) -> Result<S::Ok, S::Error> {
        time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<DateTime<Utc>>, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Written {
            Text(String),
            Time(toml::value::Datetime),
        }
        let text = match Written::deserialize(from)? {
            Written::Text(text) => text,
            Written::Time(time) => time.to_string(),
        };
        let time = DateTime::parse_from_rfc3339(&text).map_err(|_| serde::de::Error::custom("not a time"))?;
        Ok(Some(time.to_utc()))
    }
}

mod hex {
    use super::*;

    pub fn serialize<S: Serializer>(key: &Option<Secret>, to: S) -> Result<S::Ok, S::Error> {
        key.as_ref().map(|key| HEXLOWER.encode(key.expose())).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Secret>, D::Error> {
        let text = zeroize::Zeroizing::new(String::deserialize(from)?);
        match HEXLOWER.decode(text.as_bytes()) {
            Ok(key) if key.len() == 32 => Ok(Some(Secret::new(key))),
            _ => Err(serde::de::Error::custom("not 64 hex digits")),
        }
    }
}

/// A line each.
mod changes {
    use super::*;

    pub fn serialize<S: Serializer>(changes: &[Change], to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(changes.iter().map(Change::to_string))
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<Change>, D::Error> {
        let lines = Vec::<String>::deserialize(from)?;
        lines.iter().map(|line| line.parse()).collect::<Result<_, Error>>().map_err(serde::de::Error::custom)
    }
}

/// A period in the largest unit that divides it: `90d`, `26h`.
mod period {
    use super::*;

    pub fn serialize<S: Serializer>(period: &Option<Period>, to: S) -> Result<S::Ok, S::Error> {
        period.map(text).serialize(to)
    }

    pub fn text(period: Period) -> String {
        let seconds = period.as_secs();
        let units = [('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];
        let (letter, size) = units.into_iter().find(|(_, size)| seconds.is_multiple_of(*size)).unwrap_or(('s', 1));
        format!("{}{letter}", seconds / size)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Period>, D::Error> {
        let text = String::deserialize(from)?;
        text.parse().map(Some).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Record> {
        Record::parse(&Secret::new(text))
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        let text = format!(
            r#"version = 1
id = "00112233445566778899aabbccddeeff"
generation = 7
created = "2026-11-21T02:00:00Z"
recipients = []
fingerprint-key = "{}"
[enrolments."web1.example.com"]
host-keys = ["ssh-ed25519 AAAA"]
services = ["aws"]
enrolled = "2026-11-21T02:00:00Z"
[secrets."aws.KEY"]
created = "2026-11-21T02:00:00Z"
rotated = 2026-11-22T02:00:00Z
rotate-every = "90d"
changes = ["6 - new", "7 2026-11-22T02:00:00Z changed"]
later = "kept"
[removed."aws.OLD"]
note = "it was"
[rotation]
run = "7-20261122T020000Z-7f3a"
started = "2026-11-22T02:00:00Z"
[[rotation.secrets]]
name = "aws.KEY"
[[revocations]]
secret = "hosts/web1/tls/key.pem"
public = "hosts/web1/tls/public.pem"
run = "6-20261121T020000Z-7f3a"
after = "2026-11-23T02:00:00Z"
[laters]
state = "unknown"
"#,
            "ab".repeat(32)
        );
        let record = parse(&text).unwrap();
        let written = record.to_secret().unwrap();
        let again = Record::parse(&written).unwrap();
        assert_eq!(again.to_secret().unwrap(), written);
        let shown = String::from_utf8(written.expose().to_vec()).unwrap();
        for part in [
            "rotate-every = \"90d\"",
            "later = \"kept\"",
            "changes = [\"6 - new\", \"7 2026-11-22T02:00:00Z changed\"]",
            "[removed.\"aws.OLD\"]",
            "state = \"unknown\"",
            "rotated = \"2026-11-22T02:00:00Z\"",
            "run = \"7-20261122T020000Z-7f3a\"",
            "after = \"2026-11-23T02:00:00Z\"",
        ] {
            assert!(shown.contains(part), "{part} in {shown}");
        }
        assert!(!format!("{record:?}").contains("abab"));
    }

    #[test]
    fn little_is_enough() {
        let record = parse("").unwrap();
        assert_eq!((record.generation, record.id.as_str()), (0, ""));
    }

    #[test]
    fn errors_say_the_line_and_never_the_text() {
        assert!(parse("version = 2\nid = 3\n").unwrap_err().to_string().contains("newer distribute"));
        for text in ["version = 1\nfingerprint-key = \"POISON\"\n", "id = \"x\"\ngeneration = \"POISON\"", "\nPOISON"] {
            let error = parse(text).unwrap_err().to_string();
            assert!(error.contains("line 2") && !error.contains("POISON"), "{error}");
        }
    }
}
