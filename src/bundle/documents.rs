//! `Documents`: env files and plain files by their place, as they are now or as they were in some generation.

use super::env_file::EnvFile;
use super::layout::{Document, Item, SecretName};
use crate::words::{Result, Secret};
use std::collections::BTreeMap;

/// All documents of one generation, or those of it that were replaced.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Documents {
    pub envs: BTreeMap<Document, EnvFile>,
    pub files: BTreeMap<Document, Secret>,
}

impl Documents {
    /// Takes a file of the archive; an env file is read, and an error names it.
    pub fn insert(&mut self, document: Document, content: Secret) -> Result<()> {
        if document.file.is_some() {
            self.files.insert(document, content);
        } else {
            let env = EnvFile::parse(content.expose()).map_err(|error| error.at(&document))?;
            self.envs.insert(document, env);
        }
        Ok(())
    }

    /// Every file as it goes into the archive.
    pub fn contents(&self) -> impl Iterator<Item = (&Document, Secret)> {
        let envs = self.envs.iter().map(|(document, env)| (document, env.to_secret()));
        envs.chain(self.files.iter().map(|(document, content)| (document, content.clone())))
    }

    /// Every env file, then every plain file.
    pub fn all(&self) -> impl Iterator<Item = &Document> {
        self.envs.keys().chain(self.files.keys())
    }

    /// The value of a key, or the content of a file.
    pub fn get(&self, name: &SecretName) -> Option<&Secret> {
        match &name.item {
            Item::Key(key) => self.envs.get(&name.document())?.get(key),
            Item::File(_) => self.files.get(&name.document()),
        }
    }

    /// Sets it; gives back what it replaced.
    pub fn set(&mut self, name: &SecretName, value: Secret) -> Option<Secret> {
        match &name.item {
            Item::Key(key) => self.envs.entry(name.document()).or_default().set(key, value),
            Item::File(_) => self.files.insert(name.document(), value),
        }
    }

    /// Removes it; gives back what it was.
    pub fn remove(&mut self, name: &SecretName) -> Option<Secret> {
        match &name.item {
            Item::Key(key) => self.envs.get_mut(&name.document())?.remove(key),
            Item::File(_) => self.files.remove(&name.document()),
        }
    }

    /// Drops env files in which no value is left.
    pub fn drop_empty(&mut self) {
        self.envs.retain(|_, env| !env.is_empty());
    }

    /// Is there no document, not even one without values?
    pub fn is_empty(&self) -> bool {
        self.envs.is_empty() && self.files.is_empty()
    }

    /// The names of all secrets: those of env files in the order they stand there, then the files.
    pub fn names(&self) -> Vec<SecretName> {
        self.values().map(|(name, _)| name).collect()
    }

    /// The same with their values, in one go: a look for one key goes through all lines of its env file.
    pub fn values(&self) -> impl Iterator<Item = (SecretName, &Secret)> {
        let keys = self.envs.iter().flat_map(|(document, env)| {
            env.pairs().map(move |(key, value)| (name(document, Item::Key(key.clone())), value))
        });
        let files = self.files.iter();
        keys.chain(
            files.filter_map(|(document, value)| Some((name(document, Item::File(document.file.clone()?)), value))),
        )
    }
}

fn name(document: &Document, item: Item) -> SecretName {
    SecretName { scope: document.scope.clone(), service: document.service.clone(), item }
}
