//! `Bundle`: `secrets.age` opened, as values. Entries of the archive come in; contents for a host leave, and after changes the
//! entries of the next generation. Nothing here touches a disk, a clock or the system's randomness.

use super::archive::Entries;
use super::documents::Documents;
use super::env_file::EnvFile;
use super::layout::{Document, Place, Scope, SecretName};
use super::recipient::Recipient;
use super::record::{Metadata, Record};
use super::sealed;
use crate::words::{Error, FileName, GroupName, HostName, KeyName, Random, Result, Secret, ServiceName};
use age::x25519;
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fmt;

/// Everything that an opened bundle holds: values, earlier values, keys, and what is known of hosts.
#[derive(Clone)]
pub struct Bundle {
    pub(super) record: Record,
    pub(super) now: Documents,
    pub(super) history: BTreeMap<u64, Documents>,
    pub(super) pending: Documents,
    pub(super) revoking: Documents,
    pub(super) backup_key: Option<Secret>,
    pub(super) locked_backup_key: Option<Secret>,
    /// By the last generation that had them.
    pub(super) former_backup_keys: BTreeMap<u64, Secret>,
    pub(super) host_keys: BTreeMap<HostName, Secret>,
    /// Are its values on a disk? Those of a bundle just created are not.
    pub(super) is_stored: bool,
    pub(super) is_changed: bool,
}

/// What a host gets of a service.
#[derive(Clone, Debug, Default)]
pub struct Content {
    /// `None` if the service has files only.
    pub env: Option<EnvFile>,
    pub files: BTreeMap<FileName, Secret>,
}

impl fmt::Debug for Bundle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Bundle({} generation {}, {} secrets)", self.id(), self.generation(), self.now.names().len())
    }
}

impl Bundle {
    /// A new, empty bundle; its first save makes it generation 1. Without recipients it is sealed with the password.
    pub fn create(recipients: Vec<Recipient>, created: DateTime<Utc>, random: Random) -> Result<Self> {
        let mut record = Record::default();
        record.created = Some(created);
        let known = recipients.into_iter().map(|one| Recipient { added: Some(created), ..one });
        record.recipients = distinct(known.collect());
        let mut bundle = Self::with_record(record, random);
        bundle.complete(random);
        bundle.is_changed = true;
        Ok(bundle)
    }

    pub(super) fn with_record(mut record: Record, random: Random) -> Self {
        // Packed by hand: fingerprints hold for this run, and from the next save for good.
        record.fingerprint_key.get_or_insert_with(|| random_secret(32, random));
        Self {
            record,
            now: Documents::default(),
            history: BTreeMap::new(),
            pending: Documents::default(),
            revoking: Documents::default(),
            backup_key: None,
            locked_backup_key: None,
            former_backup_keys: BTreeMap::new(),
            host_keys: BTreeMap::new(),
            is_stored: false,
            is_changed: false,
        }
    }

    /// Reads what was in the archive. A bundle packed by hand may lack the record and every key.
    pub(super) fn from_entries(mut entries: Entries, random: Random) -> Result<Self> {
        let record = match entries.remove(&Place::Record) {
            Some(text) => Record::parse(&text).map_err(|error| error.at(Place::Record))?,
            None => Record::default(),
        };
        let mut bundle = Self::with_record(record, random);
        bundle.is_stored = true;
        for (place, content) in entries {
            match place {
                Place::Now(document) => bundle.now.insert(document, content)?,
                Place::Earlier(generation, document) => {
                    let earlier = bundle.history.entry(generation).or_default();
                    earlier.insert(document, content).map_err(|error| error.at(format!("history/{generation}")))?;
                }
                Place::Pending(document) => {
                    bundle.pending.insert(document, content).map_err(|error| error.at("pending"))?;
                }
                Place::Revoking(document) => {
                    bundle.revoking.insert(document, content).map_err(|error| error.at("revoking"))?;
                }
                Place::BackupKey => bundle.backup_key = Some(identity_in(Place::BackupKey, content)?),
                Place::LockedBackupKey => bundle.locked_backup_key = Some(content),
                Place::FormerBackupKey(generation) => {
                    let key = identity_in(Place::FormerBackupKey(generation), content)?;
                    bundle.former_backup_keys.insert(generation, key);
                }
                Place::HostKey(host) => {
                    let key = identity_in(Place::HostKey(host.clone()), content)?;
                    bundle.host_keys.insert(host, key);
                }
                Place::Record => {}
            }
        }
        Ok(bundle)
    }

    /// What goes into the archive as that generation.
    pub(super) fn entries(&self, generation: u64) -> Result<Entries> {
        let mut record = self.record.clone();
        record.generation = generation;
        let mut entries = Entries::from([(Place::Record, record.to_secret()?)]);
        entries.extend(self.now.contents().map(|(document, content)| (Place::Now(document.clone()), content)));
        for (generation, documents) in &self.history {
            let earlier = documents.contents();
            entries.extend(earlier.map(|(document, content)| (Place::Earlier(*generation, document.clone()), content)));
        }
        entries.extend(self.pending.contents().map(|(document, content)| (Place::Pending(document.clone()), content)));
        entries
            .extend(self.revoking.contents().map(|(document, content)| (Place::Revoking(document.clone()), content)));
        entries.extend(self.backup_key.clone().map(|key| (Place::BackupKey, key)));
        entries.extend(self.locked_backup_key.clone().map(|key| (Place::LockedBackupKey, key)));
        let former = self.former_backup_keys.iter();
        entries.extend(former.map(|(generation, key)| (Place::FormerBackupKey(*generation), key.clone())));
        entries.extend(self.host_keys.iter().map(|(host, key)| (Place::HostKey(host.clone()), key.clone())));
        Ok(entries)
    }

    /// An env file that could not be read again must not be sealed.
    pub(super) fn refuse_too_many_keys(&self) -> Result<()> {
        self.now.envs.iter().try_for_each(|(document, env)| env.refuse_too_many().map_err(|error| error.at(document)))
    }

    /// Makes what a bundle packed by hand lacks.
    pub(super) fn complete(&mut self, random: Random) {
        if self.record.id.is_empty() {
            self.is_changed = true;
            self.record.id = HEXLOWER.encode(random_secret(16, random).expose());
        }
        if self.backup_key.is_none() {
            self.is_changed = true;
            self.backup_key = Some(new_identity());
            self.locked_backup_key = None;
        }
    }

    /// 16 random bytes in hex; empty until the first save of a bundle packed by hand.
    pub fn id(&self) -> &str {
        &self.record.id
    }

    /// Grows by one with each save; 0 before the first.
    pub fn generation(&self) -> u64 {
        self.record.generation
    }

    pub(super) fn set_locked_backup_key(&mut self, locked: Secret) {
        self.locked_backup_key = Some(locked);
        self.is_changed = true;
    }

    /// The generation that it will have once it is saved.
    pub fn next_generation(&self) -> u64 {
        self.generation() + u64::from(self.is_changed)
    }

    /// The public keys it is sealed to; none when it is sealed with a password.
    pub fn recipients(&self) -> &[Recipient] {
        &self.record.recipients
    }

    /// Has something changed since it was opened or saved?
    pub fn is_changed(&self) -> bool {
        self.is_changed
    }

    /// Every service that has something, be it only an override.
    pub fn services(&self) -> Vec<ServiceName> {
        let services: BTreeSet<_> = self.now.all().map(|document| document.service.clone()).collect();
        services.into_iter().collect()
    }

    /// What a host gets of a service: common, then each group's override in the order given, then the host's own.
    pub fn content(&self, service: &ServiceName, host: &HostName, groups: &[GroupName]) -> Option<Content> {
        let mut content = Content::default();
        for scope in scopes(host, groups) {
            if let Some(env) = self.env(&scope, service) {
                match &mut content.env {
                    Some(below) => below.overlay(env),
                    none => *none = Some(env.clone()),
                }
            }
            content.files.extend(self.files(&scope, service));
        }
        (content.env.is_some() || !content.files.is_empty()).then_some(content)
    }

    /// The secret whose value a host gets, of those that differ in their scope only; `None` if it has none in any.
    pub fn effective(&self, name: &SecretName, host: &HostName, groups: &[GroupName]) -> Option<SecretName> {
        self.layers(name, host, groups).filter(|name| self.value(name).is_some()).last()
    }

    /// The names that a secret has in each layer of a host's values, the strongest last; they need not have a value.
    pub fn layers<'a>(
        &self,
        name: &'a SecretName,
        host: &'a HostName,
        groups: &'a [GroupName],
    ) -> impl Iterator<Item = SecretName> + 'a {
        scopes(host, groups).map(|scope| name.clone().within(scope))
    }

    /// The env file of a service in one scope.
    pub fn env(&self, scope: &Scope, service: &ServiceName) -> Option<&EnvFile> {
        self.now.envs.get(&Document { scope: scope.clone(), service: service.clone(), file: None })
    }

    pub(super) fn files<'a>(
        &'a self,
        scope: &'a Scope,
        service: &'a ServiceName,
    ) -> impl Iterator<Item = (FileName, Secret)> + 'a {
        let ours =
            self.now.files.iter().filter(move |(document, _)| document.scope == *scope && document.service == *service);
        ours.filter_map(|(document, content)| Some((document.file.clone()?, content.clone())))
    }

    /// The names of all secrets, overrides included.
    pub fn secrets(&self) -> Vec<SecretName> {
        self.now.names()
    }

    /// The same with their values.
    pub fn values(&self) -> impl Iterator<Item = (SecretName, &Secret)> {
        self.now.values()
    }

    /// Every value that whoever opens it can read: those of now, those to come and those to be revoked, then earlier ones, the newest first.
    pub(super) fn readable(&self) -> impl Iterator<Item = (SecretName, &Secret)> {
        let layers = [&self.now, &self.pending, &self.revoking].into_iter().chain(self.history.values().rev());
        layers.flat_map(Documents::values)
    }

    /// The value now; the layer is the one that the name says, no other is asked.
    pub fn value(&self, name: &SecretName) -> Option<&Secret> {
        self.now.get(name)
    }

    /// What is known besides the value; `None` if nothing was ever noted.
    pub fn metadata(&self, name: &SecretName) -> Option<&Metadata> {
        self.record.secrets.get(&name.to_string())
    }

    /// Changes what is known of a secret: how often it rotates, how it is made, a note.
    pub fn describe(&mut self, name: &SecretName, change: impl FnOnce(&mut Metadata)) {
        let metadata = self.record.secrets.entry(name.to_string()).or_default();
        let before = metadata.clone();
        change(metadata);
        self.is_changed |= *metadata != before;
    }

    /// Sets a secret and keeps its earlier value. The same value again changes nothing, and says so.
    pub fn set(&mut self, name: &SecretName, value: Secret, now: DateTime<Utc>) -> bool {
        if self.now.get(name) == Some(&value) {
            return false;
        }
        let old = self.now.set(name, value);
        self.changed(name, old, now);
        true
    }

    /// Takes a secret out; its value stays among the earlier ones.
    pub fn remove(&mut self, name: &SecretName, now: DateTime<Utc>) -> bool {
        let Some(old) = self.now.remove(name) else { return false };
        self.drop_bare(&name.document());
        self.removed(name, old, now);
        true
    }

    /// Puts another env file in the place of a service's, comments and order included. False when it is the same.
    pub fn replace_env(&mut self, scope: &Scope, service: &ServiceName, env: EnvFile, now: DateTime<Utc>) -> bool {
        let document = Document { scope: scope.clone(), service: service.clone(), file: None };
        let before = self.now.envs.get(&document).cloned().unwrap_or_default();
        if before == env {
            return false;
        }
        let name = |key: &KeyName| SecretName::key(service, key).within(scope.clone());
        self.now.envs.insert(document, env.clone());
        // Maps, since a look into an env file goes through all its lines.
        let (old, new): (HashMap<_, _>, HashMap<_, _>) = (before.pairs().collect(), env.pairs().collect());
        for (key, value) in before.pairs().filter(|(key, _)| !new.contains_key(key)) {
            self.removed(&name(key), value.clone(), now);
        }
        for (key, _) in env.pairs().filter(|(key, value)| old.get(key) != Some(value)) {
            self.changed(&name(key), old.get(key).map(|value| (*value).clone()), now);
        }
        self.is_changed = true;
        true
    }

    /// Its values and files become those of an earlier one; what they were stays among the earlier values. Gives how many changed.
    pub fn take_values_of(&mut self, old: &Self, now: DateTime<Utc>) -> usize {
        let names: BTreeSet<SecretName> = self.secrets().into_iter().chain(old.secrets()).collect();
        let differs = |name: &&SecretName| self.value(name) != old.value(name);
        let changed: Vec<SecretName> = names.iter().filter(differs).cloned().collect();
        // Whole env files where there are any: with their comments and their order.
        for (document, env) in &old.now.envs {
            self.replace_env(&document.scope, &document.service, env.clone(), now);
        }
        for name in &changed {
            match old.value(name) {
                Some(value) => _ = self.set(name, value.clone(), now),
                None => _ = self.remove(name, now),
            }
            if let Some(known) = old.metadata(name) {
                self.describe(name, |metadata| {
                    metadata.rotate_every = known.rotate_every;
                    metadata.generator.clone_from(&known.generator);
                    metadata.public.clone_from(&known.public);
                    metadata.note.clone_from(&known.note);
                    metadata.owner.clone_from(&known.owner);
                });
            }
        }
        changed.len()
    }

    /// It takes the place of a bundle that had come to this generation: its next save is a later one.
    pub fn succeed(&mut self, generation: u64) {
        self.record.generation = self.record.generation.max(generation);
        self.is_changed = true;
    }

    /// The save wrote this generation.
    pub(super) fn saved(&mut self, generation: u64) {
        self.record.generation = generation;
        self.is_stored = true;
        self.is_changed = false;
    }
}

/// The layers of a host's values, the strongest last.
pub(super) fn scopes<'a>(host: &'a HostName, groups: &'a [GroupName]) -> impl Iterator<Item = Scope> + 'a {
    let own = std::iter::once(Scope::Host(host.clone()));
    std::iter::once(Scope::Common).chain(groups.iter().cloned().map(Scope::Group)).chain(own)
}

/// Each key once, in the order of the keys.
fn distinct(recipients: Vec<Recipient>) -> Vec<Recipient> {
    let by_key: BTreeMap<_, _> = recipients.into_iter().map(|recipient| (recipient.key.clone(), recipient)).collect();
    by_key.into_values().collect()
}

/// A fresh age identity, as the text of an identity file.
pub fn new_identity() -> Secret {
    sealed::identity_text(&x25519::Identity::generate())
}

fn identity_in(place: Place, content: Secret) -> Result<Secret> {
    sealed::identities(content.expose()).map_err(|error| error.at(place))?;
    Ok(content)
}

fn random_secret(length: usize, random: Random) -> Secret {
    let mut bytes = zeroize::Zeroizing::new(vec![0; length]);
    random(&mut bytes);
    Secret::new(std::mem::take(&mut *bytes))
}

/// The error of a bundle without a key that a save would have made.
pub(super) fn lacking(what: &str) -> Error {
    Error::new(format!("the bundle has no {what} yet"))
        .hint("it was packed by hand; any change that is saved makes it, such as `distribute setup`")
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};
    use super::*;

    #[test]
    fn a_host_gets_common_then_groups_then_its_own() {
        let bundle = packed(&[
            ("services/a.env", "# c\nX=common\nY=common\nZ=common\n"),
            ("groups/parent/a.env", "Y=parent\nZ=parent\n"),
            ("groups/child/a.env", "Z=child\nW=child\n"),
            ("hosts/h1/a.env", "W=h1\n"),
            ("hosts/h1/tls/cert", "h1"),
            ("services/tls/cert", "common"),
            ("services/tls/key", "common"),
        ]);
        let (service, host) = ("a".parse().unwrap(), "h1".parse().unwrap());
        let groups = ["parent".parse().unwrap(), "child".parse().unwrap()];
        let env = bundle.content(&service, &host, &groups).unwrap().env.unwrap();
        assert_eq!(env.to_secret().expose(), b"# c\nX=common\nY=parent\nZ=child\nW=h1\n");
        let other = bundle.content(&service, &"h2".parse().unwrap(), &[]).unwrap().env.unwrap();
        assert_eq!(other.to_secret().expose(), b"# c\nX=common\nY=common\nZ=common\n");
        let tls = bundle.content(&"tls".parse().unwrap(), &host, &[]).unwrap();
        let files: Vec<_> = tls.files.iter().map(|(file, content)| (file.as_str(), content.expose())).collect();
        assert_eq!(files, [("cert", &b"h1"[..]), ("key", b"common")]);
        assert!(bundle.content(&"none".parse().unwrap(), &host, &groups).is_none());
        assert_eq!(bundle.services(), ["a".parse().unwrap(), "tls".parse().unwrap()]);
    }

    #[test]
    fn another_env_file_keeps_what_it_drops() {
        let mut bundle = packed(&[("services/a.env", "K=0\nL=x\n"), ("bundle.toml", "generation = 1")]);
        let (service, text) = ("a".parse().unwrap(), b"# new\nK=1\nM=2\n");
        let env = EnvFile::parse(text).unwrap();
        assert!(bundle.replace_env(&Scope::Common, &service, env.clone(), at(5)));
        assert_eq!(bundle.env(&Scope::Common, &service).unwrap().to_secret().expose(), text);
        assert_eq!(bundle.earlier(&name("a.K")), [(1, secret("0"))]);
        assert_eq!(bundle.earlier(&name("a.L")), [(1, secret("x"))]);
        assert_eq!(bundle.metadata(&name("a.M")).unwrap().created, Some(at(5)));
        bundle.saved(2);
        assert!(!bundle.replace_env(&Scope::Common, &service, env, at(6)) && !bundle.is_changed());
    }

    #[test]
    fn debug_shows_no_secret() {
        let bundle = packed(&[("services/a.env", "K=POISON\n")]);
        assert!(
            !format!("{bundle:?} {:?}", bundle.content(&"a".parse().unwrap(), &"h".parse().unwrap(), &[]))
                .contains("POISON")
        );
    }
}
