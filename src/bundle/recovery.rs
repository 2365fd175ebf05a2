//! `Recovery`: a bundle that is lost, made again from what the backups on hosts kept of it. Remains of hosts come in; a bundle leaves, and
//! what could not be found. Pure: nothing here connects, or knows who was asked.

mod finds;
mod opening;

use super::enrolment;
use super::layout::SecretName;
use super::opened::Bundle;
use super::record::{Enrolment, Record};
use super::sealed;
use crate::dialect::Dialect;
use crate::words::{Error, HostName, Random, Result, RunId, Secret, ServiceName, listed, printable};
use chrono::{DateTime, Utc};
use finds::Finds;
use std::collections::{BTreeMap, BTreeSet};

/// A host may count further than its backups prove, but not without end: nothing could be saved any more.
const FARTHEST: u64 = 1 << 20;

/// What one backup gives back.
#[derive(Clone, Debug)]
pub struct Remains {
    pub host: HostName,
    /// The run that sealed it.
    pub made: RunId,
    /// The run whose push its files are.
    pub run: RunId,
    /// Is it what the bundle gave the host, and nobody else's work?
    pub is_pushed: bool,
    pub keepsake: Keepsake,
    pub vault_password: Secret,
    pub files: Vec<RemainingFile>,
    /// What lay beside it as `key.age`, if that opened it.
    pub backup_key: Option<BackupKey>,
}

/// A file of a backup, with what its label says of it.
#[derive(Clone, Debug)]
pub struct RemainingFile {
    /// In the set.
    pub path: String,
    pub service: Option<ServiceName>,
    /// The documents it was made of: `services/aws.env`.
    pub from: Vec<String>,
    /// Key -> the layer that gave its value, where that is not the common one.
    pub overrides: BTreeMap<String, String>,
    pub written: Written,
    /// Somebody changed it on the host.
    pub is_edited: bool,
    pub content: Secret,
}

/// How values of the bundle lie in a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// As in the bundle, comments too.
    AsStored,
    In(Dialect),
    /// One value, whose key is the file's name.
    OneKey,
    /// By a template: they do not come back.
    Rendered,
}

/// The identity that opens backups, and how it lies on hosts.
#[derive(Clone, Debug)]
pub struct BackupKey {
    pub identity: Secret,
    /// `key.age`.
    pub locked: Secret,
}

/// What a backup keeps of the bundle besides values.
#[derive(Clone, Debug)]
pub struct Keepsake(Record);

/// What else is known on the day of the recovery.
#[derive(Clone, Debug)]
pub struct Circumstances {
    pub now: DateTime<Utc>,
    /// The keys that hosts proved to have, as OpenSSH writes them.
    pub host_keys: BTreeMap<HostName, String>,
    /// The highest generations that hosts and this machine know of, and of which bundle, where that is noted.
    pub seen: Vec<(Option<String>, u64)>,
    /// Hosts of which nothing was read, and why.
    pub unread: Vec<(HostName, String)>,
}

/// A bundle made again.
#[derive(Debug)]
pub struct Recovery {
    pub bundle: Bundle,
    /// Secrets that it has again.
    pub recovered: usize,
    /// The run that the list of its secrets is from.
    pub newest: RunId,
    pub missing: Vec<Missing>,
    /// What there is to know.
    pub notes: Vec<String>,
    /// Hosts that still had an earlier value of something.
    pub lagging: Vec<HostName>,
}

/// A secret that the bundle had, and whose value was not found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    pub secret: String,
    pub why: String,
}

impl Keepsake {
    /// # Errors
    /// When it cannot be read; the message is for a line behind the name of the backup.
    pub fn read(text: &Secret) -> Result<Self> {
        let record = Record::parse(text).map_err(|error| error.at("what it kept of the bundle"))?;
        // The id goes into files and messages.
        let is_plain = |b: u8| b.is_ascii_alphanumeric() || b"._-".contains(&b);
        let is_id = (1..=64).contains(&record.id.len()) && record.id.bytes().all(is_plain);
        match is_id && record.fingerprint_key.is_some() {
            true => Ok(Self(record)),
            false => Err(Error::new("what it kept of the bundle does not say of which")),
        }
    }

    /// The id of the bundle that it is of.
    pub fn bundle_id(&self) -> &str {
        &self.0.id
    }

    /// Only the bundle has the key: who forges a backup has another one.
    fn is_of_the_same(&self, other: &Self) -> bool {
        self.0.id == other.0.id && self.0.fingerprint_key == other.0.fingerprint_key
    }
}

impl Recovery {
    /// Makes the bundle again. Where several remains have a value, that of the newest push is taken.
    ///
    /// # Errors
    /// When there is nothing, or it is of several bundles.
    pub fn of(remains: &[Remains], known: &Circumstances, random: Random) -> Result<Self> {
        let newest = remains.iter().max_by_key(|one| (&one.made, one.keepsake.0.generation));
        let newest = newest.ok_or_else(|| Error::new("there is no backup to recover from"))?;
        refuse_several(remains)?;
        let mut notes = Vec::new();
        let mut record = newest.keepsake.0.clone();
        record.enrolments = enrolments(remains, known);
        let names: BTreeSet<SecretName> = record.secrets.keys().filter_map(|name| name.parse().ok()).collect();
        let mut bundle = Bundle::with_record(record, random);
        bundle.record.generation = generation(remains, known, &mut notes);
        bundle.host_keys = host_identities(remains);
        set_backup_key(&mut bundle, remains, &mut notes);
        note_recipients(&bundle, &mut notes);
        let mut finds = Finds::of(remains, names);
        bundle.now = finds.documents();
        bundle.is_changed = true;
        let missing = finds.missing(&bundle.now, &known.unread);
        keep_metadata(&mut bundle);
        notes.extend(finds.notes);
        let lagging = finds.lagging.into_iter().collect();
        Ok(Self { recovered: bundle.secrets().len(), newest: newest.made.clone(), bundle, missing, notes, lagging })
    }
}

fn refuse_several(remains: &[Remains]) -> Result<()> {
    let mut bundles: Vec<(&Keepsake, BTreeSet<&HostName>)> = Vec::new();
    for one in remains {
        match bundles.iter_mut().find(|(keepsake, _)| keepsake.is_of_the_same(&one.keepsake)) {
            Some((_, hosts)) => _ = hosts.insert(&one.host),
            None => bundles.push((&one.keepsake, BTreeSet::from([&one.host]))),
        }
    }
    if bundles.len() == 1 {
        return Ok(());
    }
    let ids: BTreeSet<&str> = bundles.iter().map(|(keepsake, _)| keepsake.bundle_id()).collect();
    let error = match ids.len() {
        1 => Error::new(
            "the backups say that they are of one bundle, and were made with different keys: some are forged",
        ),
        _ => Error::new("the hosts hold backups of different bundles"),
    };
    let line = |(keepsake, hosts): &(&Keepsake, BTreeSet<&HostName>)| {
        let hosts: Vec<_> = hosts.iter().collect();
        format!("{}: {}", printable(keepsake.bundle_id().as_bytes(), 64), listed(&hosts))
    };
    let error = bundles.iter().map(line).fold(error, Error::hint);
    Err(error.hint("choose the hosts of one of them with --hosts; nothing was written"))
}

/// Each host as its own newest backup knows it, with the key that it proved just now.
fn enrolments(remains: &[Remains], known: &Circumstances) -> BTreeMap<HostName, Enrolment> {
    let enrolment = |one: &Remains| {
        let before = one.keepsake.0.enrolments.get(&one.host).cloned().unwrap_or_default();
        let keys: Vec<String> = known.host_keys.get(&one.host).cloned().into_iter().collect();
        (one.host.clone(), enrolment::pinned(before, keys, known.now))
    };
    newest_of_each(remains).map(enrolment).collect()
}

/// What `setup` made for each host; one that is no identity is left out, and made again by the next setup.
fn host_identities(remains: &[Remains]) -> BTreeMap<HostName, Secret> {
    let usable = newest_of_each(remains).filter(|one| sealed::identities(one.vault_password.expose()).is_ok());
    usable.map(|one| (one.host.clone(), one.vault_password.clone())).collect()
}

fn newest_of_each(remains: &[Remains]) -> impl Iterator<Item = &Remains> {
    let mut newest: BTreeMap<&HostName, &Remains> = BTreeMap::new();
    for one in remains {
        let before = newest.entry(&one.host).or_insert(one);
        if one.made > before.made {
            *before = one;
        }
    }
    newest.into_values()
}

/// The highest that anybody knows of, so that hosts take what comes next.
fn generation(remains: &[Remains], known: &Circumstances, notes: &mut Vec<String>) -> u64 {
    let of_backups = remains.iter().map(|one| one.made.generation().max(one.keepsake.0.generation));
    let proved = of_backups.max().unwrap_or(0);
    let id = remains.first().map(|one| one.keepsake.bundle_id());
    let seen =
        known.seen.iter().filter(|(bundle, _)| bundle.is_none() || bundle.as_deref() == id).map(|(_, seen)| *seen);
    let (near, far): (Vec<u64>, Vec<u64>) = seen.partition(|seen| *seen <= proved.saturating_add(FARTHEST));
    if let Some(far) = far.iter().max() {
        notes.push(format!(
            "a host says that it has seen generation {far}, which no backup comes near: it was not believed"
        ));
    }
    near.into_iter().max().unwrap_or(0).max(proved)
}

fn set_backup_key(bundle: &mut Bundle, remains: &[Remains], notes: &mut Vec<String>) {
    let having = remains.iter().filter(|one| one.backup_key.is_some()).max_by_key(|one| &one.made);
    match having.and_then(|one| one.backup_key.clone()) {
        Some(key) => {
            bundle.take_backup_keys(&key.identity);
            bundle.locked_backup_key = Some(key.locked);
        }
        None => notes.push(
            "the key of the backups (backups/key.age) was on no host: the bundle has a new one, and backups made until now open with the recipients' identities only"
                .to_owned(),
        ),
    }
}

/// Anybody can seal for public keys, so a host that is alone with its word could name one of its own.
fn note_recipients(bundle: &Bundle, notes: &mut Vec<String>) {
    if !bundle.recipients().is_empty() {
        notes.push(format!("it is sealed to {}: look whether you know them all", listed(bundle.recipients())));
    }
}

/// What is known of secrets, as far as it still says something: history is gone, and a value that is missing will be new.
fn keep_metadata(bundle: &mut Bundle) {
    let there: BTreeSet<String> = bundle.secrets().iter().map(ToString::to_string).collect();
    for (name, metadata) in &mut bundle.record.secrets {
        metadata.dropped.clear();
        if !there.contains(name) {
            (metadata.created, metadata.rotated) = (None, None);
        }
    }
    bundle.record.secrets.retain(|_, metadata| *metadata != Default::default());
}

#[cfg(test)]
mod tests;
