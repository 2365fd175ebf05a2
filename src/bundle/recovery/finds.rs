//! `Finds`: every file that was found on a host, the best first, and which documents of the bundle they make again.

use super::super::documents::Documents;
use super::super::env_file::EnvFile;
use super::super::layout::{Document, Item, Place, Scope, SecretName};
use super::{Missing, RemainingFile, Remains, Written};
use crate::words::{HostName, KeyName, Result, RunId, Secret, ServiceName, listed, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

/// What was found, and what is learned while it is put together.
pub struct Finds<'a> {
    /// Of each service, the best first.
    own: BTreeMap<ServiceName, Vec<Find<'a>>>,
    /// Files made of other services', the best first.
    unions: Vec<Find<'a>>,
    /// Files that templates made.
    rendered: Vec<Find<'a>>,
    /// What the bundle had, and where.
    names: BTreeSet<SecretName>,
    places: BTreeSet<Document>,
    pub notes: Vec<String>,
    pub lagging: BTreeSet<HostName>,
}

/// A file of a host, and what of the bundle it shows.
struct Find<'a> {
    remains: &'a Remains,
    file: &'a RemainingFile,
    documents: Vec<Document>,
    overrides: BTreeMap<KeyName, Scope>,
    /// `None` of a plain file.
    env: Option<EnvFile>,
}

impl<'a> Find<'a> {
    /// # Errors
    /// When its label names no documents of a bundle, or somebody made something else of an env file.
    fn read(remains: &'a Remains, file: &'a RemainingFile) -> Result<Self> {
        let documents = file.from.iter().map(|path| document(path)).collect::<Result<Vec<_>>>()?;
        let read = |(key, scope): (&String, &String)| Ok((key.parse()?, document(&format!("{scope}/x.env"))?.scope));
        let overrides = file.overrides.iter().map(read).collect::<Result<_>>()?;
        let is_env = documents.iter().all(|document| document.file.is_none());
        let env = if is_env { env_of(file)? } else { None };
        Ok(Self { remains, file, documents, overrides, env })
    }

    /// What nobody touched is better than what somebody edited, what the bundle gave better than what was brought back there; then the newest.
    fn rank(&self) -> (u8, &RunId) {
        let kind = match () {
            () if self.file.is_edited => 0,
            () if !self.remains.is_pushed => 1,
            () => 2,
        };
        (kind, &self.remains.run)
    }

    /// Is it made of documents of its own service?
    fn is_own(&self) -> bool {
        self.documents.iter().all(|document| Some(&document.service) == self.file.service.as_ref())
    }

    /// The layer that gave this key its value.
    fn scope_of(&self, key: &KeyName) -> &Scope {
        let weakest = self.documents.first().map_or(&Scope::Common, |document| &document.scope);
        self.overrides.get(key).unwrap_or(weakest)
    }

    /// The value of exactly this secret, and of no other layer's.
    fn shows(&self, name: &SecretName) -> Option<&Secret> {
        match &name.item {
            Item::Key(key) if *self.scope_of(key) == name.scope => self.env.as_ref()?.get(key),
            Item::Key(_) => None,
            Item::File(_) => (self.documents == [name.document()]).then_some(&self.file.content),
        }
    }

    /// The keys that this document gave, in their order here.
    fn keys_of<'b>(&'b self, document: &'b Document) -> impl Iterator<Item = &'b KeyName> {
        let keys = self.env.iter().flat_map(EnvFile::keys);
        keys.filter(|key| self.documents.contains(document) && *self.scope_of(key) == document.scope)
    }

    /// Of a file made of others': the value, if only one layer of the service can have given it.
    fn shows_in_union(&self, name: &SecretName) -> Option<&Secret> {
        let Item::Key(key) = &name.item else { return None };
        let mut of_service = self.documents.iter().filter(|document| document.service == name.service);
        let is_its = of_service.next() == Some(&name.document()) && of_service.next().is_none();
        self.env.as_ref().filter(|_| is_its)?.get(key)
    }
}

impl fmt::Display for Find<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&find_name(self.remains, self.file))
    }
}

/// The keys and values of a file that is made of them; `None` of one that a template made.
fn env_of(file: &RemainingFile) -> Result<Option<EnvFile>> {
    let values = match file.written {
        Written::AsStored => return EnvFile::parse(file.content.expose()).map(Some),
        Written::In(dialect) => dialect.read(file.content.expose())?,
        Written::OneKey => vec![(file.path.rsplit('/').next().unwrap_or_default().parse()?, file.content.clone())],
        Written::Rendered => return Ok(None),
    };
    let mut env = EnvFile::default();
    values.into_iter().for_each(|(key, value)| _ = env.set(&key, value));
    Ok(Some(env))
}

/// `aws.env of web1`. The path is a label's word.
fn find_name(remains: &Remains, file: &RemainingFile) -> String {
    format!("{} of {}", printable(file.path.as_bytes(), 200), remains.host)
}

fn document(path: &str) -> Result<Document> {
    match path.parse()? {
        Place::Now(document) => Ok(document),
        place => Err(crate::words::Error::new(format!("{place} is no document of secrets"))),
    }
}

impl<'a> Finds<'a> {
    /// `names` is what the bundle had.
    pub fn of(remains: &'a [Remains], names: BTreeSet<SecretName>) -> Self {
        let places = names.iter().map(SecretName::document).collect();
        let (own, unions, rendered, notes, lagging) = Default::default();
        let mut finds = Self { own, unions, rendered, names, places, notes, lagging };
        // A file that no service of the play had is nobody's.
        for (one, file) in remains.iter().flat_map(|one| one.files.iter().map(move |file| (one, file))) {
            let Some(service) = file.service.as_ref().filter(|_| !file.from.is_empty()) else { continue };
            match Find::read(one, file) {
                Ok(find) if file.written == Written::Rendered => finds.rendered.push(find),
                Ok(find) if find.is_own() => finds.own.entry(service.clone()).or_default().push(find),
                Ok(find) => finds.unions.push(find),
                Err(error) => finds.notes.push(format!("{} was passed over: {error}", find_name(one, file))),
            }
        }
        for list in finds.own.values_mut().chain([&mut finds.unions]) {
            list.sort_by(|one, other| other.rank().cmp(&one.rank()));
        }
        finds
    }

    /// Everything that can be put together again.
    pub fn documents(&mut self) -> Documents {
        let all: BTreeSet<Document> = self.own.values().flatten().flat_map(|find| find.documents.clone()).collect();
        let mut documents = Documents::default();
        for document in &all {
            match document.file {
                None => documents.envs.extend(self.env(document).map(|env| (document.clone(), env))),
                Some(_) => documents.files.extend(self.plain(document).map(|content| (document.clone(), content))),
            }
        }
        self.fill_from_unions(&mut documents);
        documents
    }

    fn of_service(&self, service: &ServiceName) -> &[Find<'a>] {
        self.own.get(service).map_or(&[], Vec::as_slice)
    }

    /// Did every copy of it pass through somebody's hands? Then it is taken as it was found.
    fn is_only_edited(&self, document: &Document) -> bool {
        let mut copies = self.of_service(&document.service).iter().filter(|find| find.documents.contains(document));
        copies.all(|find| find.file.is_edited)
    }

    fn env(&mut self, document: &Document) -> Option<EnvFile> {
        let name = |key: &KeyName| SecretName::key(&document.service, key).within(document.scope.clone());
        let as_found = self.is_only_edited(document);
        let is_meant = |finds: &Self, key: &KeyName| as_found || finds.names.contains(&name(key));
        let having = |find: &&Find| find.documents.contains(document);
        // Of the weakest layer all lines are there, comments too; keys of the others stand where that has them, or at the end.
        let is_weakest = |find: &&Find| find.documents.first() == Some(document);
        let whole = self.of_service(&document.service).iter().find(is_weakest).and_then(|find| find.env.clone());
        let is_there = whole.as_ref().is_some_and(|env| env.is_empty() || self.places.contains(document));
        let mut env = whole.unwrap_or_default();
        let mut keys: Vec<KeyName> = env.keys().cloned().collect();
        for find in self.of_service(&document.service).iter().filter(having) {
            let more: Vec<KeyName> = find.keys_of(document).filter(|key| !keys.contains(key)).cloned().collect();
            keys.extend(more);
        }
        for key in keys {
            let value = if is_meant(self, &key) { self.value(&name(&key)) } else { None };
            match value {
                Some(value) => drop(env.set(&key, value)),
                None => drop(env.remove(&key)),
            }
        }
        (is_there || !env.is_empty()).then_some(env)
    }

    fn plain(&mut self, document: &Document) -> Option<Secret> {
        let item = Item::File(document.file.clone()?);
        let name = SecretName { scope: document.scope.clone(), service: document.service.clone(), item };
        let is_meant = self.names.contains(&name) || self.is_only_edited(document);
        if is_meant { self.value(&name) } else { None }
    }

    /// The best value of exactly this secret; what others say of it is noted.
    fn value(&mut self, name: &SecretName) -> Option<Secret> {
        let finds = self.own.get(&name.service)?;
        let mut showing = finds.iter().filter_map(|find| Some((find, find.shows(name)?)));
        let (best, value) = showing.next()?;
        let others: Vec<&Find> = showing.filter(|(_, other)| *other != value).map(|(find, _)| find).collect();
        let (equals, lesser): (Vec<&Find>, Vec<&Find>) =
            others.into_iter().partition(|find| find.rank() == best.rank());
        let is_older = |find: &&Find| !find.file.is_edited && find.remains.host != best.remains.host;
        self.lagging.extend(lesser.into_iter().filter(is_older).map(|find| find.remains.host.clone()));
        if !equals.is_empty() {
            let (host, run) = (&best.remains.host, &best.remains.run);
            let hosts: Vec<&HostName> = equals.iter().map(|find| &find.remains.host).collect();
            let hosts = listed(&hosts);
            self.notes
                .push(format!("{name} is not the same on {host} and {hosts} in run {run}: that of {host} was taken"));
        }
        if best.file.is_edited {
            let note = format!("{best} was changed by hand: its values are as found there");
            if !self.notes.contains(&note) {
                self.notes.push(note);
            }
        }
        Some(value.clone())
    }

    /// A service that hosts get within a file of others' only: its values come back, its comments do not.
    fn fill_from_unions(&mut self, documents: &mut Documents) {
        let mut lost: BTreeSet<&SecretName> = self.names.iter().filter(|name| documents.get(name).is_none()).collect();
        let mut taken: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for find in &self.unions {
            if lost.is_empty() {
                break;
            }
            // In the order in which they stand there.
            for key in find.env.iter().flat_map(EnvFile::keys) {
                for document in &find.documents {
                    let name = SecretName::key(&document.service, key).within(document.scope.clone());
                    if let Some(value) = find.shows_in_union(&name).filter(|_| lost.remove(&name)) {
                        documents.set(&name, value.clone());
                        let edited = if find.file.is_edited { ", which was changed by hand" } else { "" };
                        taken.entry(format!("{find}{edited}")).or_default().push(name.to_string());
                    }
                }
            }
        }
        let notes = taken.iter().map(|(find, names)| format!("only in {find}, without comments: {}", listed(names)));
        self.notes.extend(notes);
    }

    /// What the bundle had and no host gave back, and why, as far as that is known.
    pub fn missing(&self, now: &Documents, unread: &[(HostName, String)]) -> Vec<Missing> {
        let lost = self.names.iter().filter(|name| now.get(name).is_none());
        lost.map(|name| Missing { secret: name.to_string(), why: self.why(name, unread) }).collect()
    }

    fn why(&self, name: &SecretName, unread: &[(HostName, String)]) -> String {
        if let Scope::Host(host) = &name.scope
            && let Some((_, why)) = unread.iter().find(|(unread, _)| unread == host)
        {
            return format!("its host was not read: {why}");
        }
        let all = self.own.values().flatten().chain(&self.unions);
        let is_hidden = all.clone().any(|find| match &name.item {
            Item::Key(key) => {
                find.documents.contains(&name.document()) && find.env.as_ref().is_some_and(|env| env.get(key).is_some())
            }
            Item::File(_) => find.documents.iter().any(|document| {
                document.service == name.service && document.file == name.document().file && name.scope < document.scope
            }),
        });
        let rendered = self.rendered.iter().find(|find| find.documents.contains(&name.document()));
        if let Some(find) = rendered.filter(|_| !is_hidden) {
            return format!("at most in {find}, which a template made: nothing is read back from that");
        }
        let hosts: Vec<&HostName> = unread.iter().map(|(host, _)| host).collect();
        match (is_hidden, hosts.is_empty()) {
            (true, true) => "overridden on every host that gets it".to_owned(),
            (true, false) => format!("overridden on every host that was read; {} could not be", listed(&hosts)),
            (false, true) => "on no host".to_owned(),
            (false, false) => format!("on no host that was read; {} could not be", listed(&hosts)),
        }
    }
}
