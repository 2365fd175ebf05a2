//! `DesiredSet`: what a play wants on a host, made from inventory, playbook and bundle before any connection.

use super::entitlement::{Entitled, Entitlement, entitlements};
use super::policy;
use crate::bundle::{Bundle, EnvFile, Origin};
use crate::inventory::{Host, Inventory};
use crate::playbook::{Access, Action, Consumer, Format, Playbook, Probe};
use crate::words::{
    Error, HostName, KeyName, Mode, PlayName, Principal, RemotePath, Result, Secret, ServiceName, nearest,
};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::{BTreeMap, BTreeSet};

/// One play's files for one host, with everything that is to hold for them.
#[derive(Clone, Debug)]
pub struct DesiredSet {
    pub host: HostName,
    pub play: PlayName,
    pub root: RemotePath,
    /// Of `secrets/` and the set's directories.
    pub access: Access,
    /// Backups kept on the host.
    pub keep: u32,
    /// In the playbook's order.
    pub services: Vec<DesiredService>,
    pub files: Vec<DesiredFile>,
    /// The host's own password file.
    pub vault_password: Secret,
    /// What opens the backups, itself locked.
    pub key_age: Secret,
    /// Hashes of former ones of both, which are ours all the same.
    pub former: BTreeSet<String>,
}

/// A service of the set, and what is to happen when its files change.
#[derive(Clone, Debug)]
pub struct DesiredService {
    pub name: ServiceName,
    /// The bundle's services that its files are made of.
    pub sources: Vec<ServiceName>,
    /// Who reads its files, as far as the playbook says.
    pub consumers: Vec<Consumer>,
    /// Program and arguments; `None` runs nothing.
    pub action: Option<Vec<String>>,
    /// `["http", url]` or `["command", program, ...]`, and within how many seconds.
    pub health: Option<(Vec<String>, u64)>,
}

/// A file of the set: its content, and who may read it.
#[derive(Clone, Debug)]
pub struct DesiredFile {
    /// Relative to the set: `aws.env`, or `tls/cert.pem`.
    pub path: String,
    pub service: ServiceName,
    /// What of the bundle it is made of.
    pub origin: Origin,
    pub content: Secret,
    /// In hexadecimal.
    pub sha256: String,
    /// Fingerprints of its values, for `--diff` now and later.
    pub keys: Vec<(KeyName, String)>,
    /// The values themselves, so that they can be struck out of what a host says.
    pub values: Vec<Secret>,
    pub mode: Mode,
    pub owner: Principal,
    pub group: Principal,
}

impl DesiredFile {
    /// The name below `secrets/` that links to it or to its directory.
    pub fn link_name(&self) -> &str {
        self.path.split('/').next().expect("a path has a first part")
    }
}

impl DesiredSet {
    /// The sets of all plays for this host, in the playbook's order. Errors name service and key, and are ours: nothing was connected yet.
    pub fn for_host(inventory: &Inventory, playbook: &Playbook, bundle: &Bundle, host: &Host) -> Result<Vec<Self>> {
        let entitlements = entitlements(inventory, playbook, host)?;
        let plays = entitlements.iter().filter(|entitlement| !entitlement.services.is_empty());
        plays.map(|entitlement| Self::new(entitlement, bundle, host)).collect()
    }

    fn new(entitlement: &Entitlement, bundle: &Bundle, host: &Host) -> Result<Self> {
        let source = Source { bundle, host };
        let mut files = Vec::new();
        for entitled in &entitlement.services {
            files.extend(source.files(entitled)?);
        }
        let identity = bundle.host_identity(&host.name);
        Ok(Self {
            host: host.name.clone(),
            play: entitlement.play.name.clone(),
            root: entitlement.root.clone(),
            access: entitlement.play.access.clone(),
            keep: entitlement.play.keep,
            services: entitlement.services.iter().map(DesiredService::new).collect(),
            files,
            // A host without an identity was never set up; the enrolment check says so before this is used.
            vault_password: identity.unwrap_or_else(|| Secret::new(Vec::new())),
            key_age: Secret::new(bundle.key_age()?.to_vec()),
            former: bundle.former_files().map(str::to_owned).collect(),
        })
    }

    /// Of a root of which no bundle says what belongs there: it can be looked at, and no more.
    pub fn unknown(host: &HostName, play: PlayName, root: RemotePath, access: Access) -> Self {
        Self {
            host: host.clone(),
            play,
            root,
            access,
            keep: 0,
            services: Vec::new(),
            files: Vec::new(),
            vault_password: Secret::new(Vec::new()),
            key_age: Secret::new(Vec::new()),
            former: BTreeSet::new(),
        }
    }

    /// Of a root that must be made: whoever owns the secrets must be able to walk through it.
    pub fn root_mode(&self) -> Mode {
        if self.access.owner.as_str() == "root" { policy::DIRECTORY } else { policy::SHARED_ROOT }
    }

    /// The files beside the sets, by path relative to the root.
    pub fn admin_files(&self) -> [(&'static str, &Secret); 2] {
        [("vault-password", &self.vault_password), ("backups/key.age", &self.key_age)]
    }

    /// Names below `secrets/` that are ours.
    pub fn link_names(&self) -> BTreeSet<String> {
        self.files.iter().map(|file| file.link_name().to_owned()).collect()
    }

    /// The set's directories relative to it; the set itself is the empty path.
    pub fn set_directories(&self) -> BTreeSet<String> {
        let below =
            self.files.iter().filter_map(|file| file.path.rsplit_once('/').map(|(directory, _)| directory.to_owned()));
        below.chain([String::new()]).collect()
    }

    /// The bundle's services that this set is made of.
    pub fn sources(&self) -> BTreeSet<ServiceName> {
        self.services.iter().flat_map(|service| service.sources.iter().cloned()).collect()
    }
}

impl DesiredService {
    fn new(entitled: &Entitled) -> Self {
        let health = entitled.service.health.as_ref().map(|health| {
            let probe = match &health.probe {
                Probe::Http(url) => vec!["http".to_owned(), url.clone()],
                Probe::Command(argv) => [vec!["command".to_owned()], argv.clone()].concat(),
            };
            (probe, health.within.as_secs())
        });
        let action = entitled.service.on_change.as_ref().map(|action| action.argv());
        let consumers = entitled.service.on_change.as_ref().map(Action::consumers).unwrap_or_default();
        Self { name: entitled.service.name.clone(), sources: entitled.sources.clone(), consumers, action, health }
    }
}

/// Where contents come from for one host.
struct Source<'a> {
    bundle: &'a Bundle,
    host: &'a Host,
}

impl Source<'_> {
    fn files(&self, entitled: &Entitled) -> Result<Vec<DesiredFile>> {
        match entitled.service.format {
            Format::Raw => self.raw(entitled),
            Format::Docker if entitled.service.include.is_empty() => Ok(vec![self.docker(entitled)?]),
            Format::Docker => Ok(vec![self.union(entitled)?]),
        }
    }

    fn content(&self, service: &ServiceName) -> Result<crate::bundle::Content> {
        self.bundle.content(service, &self.host.name, &self.host.groups).ok_or_else(|| {
            let services = self.bundle.services();
            let error = Error::new(format!("service `{service}` is in a playbook, but not in the bundle"));
            match nearest(service.as_str(), services.iter().map(ServiceName::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("put it there: distribute bundle set {service}.KEY")),
            }
        })
    }

    fn raw(&self, entitled: &Entitled) -> Result<Vec<DesiredFile>> {
        let service = &entitled.service.name;
        let content = self.content(service)?;
        let mut files = Vec::new();
        if let Some(env) = &content.env {
            let path = format!("{service}/{service}.env");
            files.push(self.file(entitled, path, self.origin_of_env(service), env.to_secret(), Vec::new()));
        }
        for (name, content) in content.files {
            let origin = self.bundle.origin_of_file(service, &name, &self.host.name, &self.host.groups);
            files.push(self.file(entitled, format!("{service}/{name}"), origin, content, Vec::new()));
        }
        Ok(files)
    }

    fn origin_of_env(&self, service: &ServiceName) -> Origin {
        self.bundle.origin_of_env(service, &self.host.name, &self.host.groups)
    }

    fn docker(&self, entitled: &Entitled) -> Result<DesiredFile> {
        let service = &entitled.service.name;
        let content = self.content(service)?;
        let Some(env) = content.env else {
            return Err(Error::new(format!(
                "service `{service}` has files and no env file, so the docker format cannot hold it"
            ))
            .hint("say format = \"raw\" in the playbook"));
        };
        let values = docker_values(service, &env)?;
        Ok(self.file(entitled, format!("{service}.env"), self.origin_of_env(service), env.to_secret(), values))
    }

    /// One env file of all values of its sources; a key that two of them give must have one value.
    fn union(&self, entitled: &Entitled) -> Result<DesiredFile> {
        let service = &entitled.service.name;
        let mut seen: BTreeMap<KeyName, (ServiceName, Secret)> = BTreeMap::new();
        let mut values = Vec::new();
        let mut origin = Origin::default();
        for source in &entitled.sources {
            let Some(env) = self.content(source)?.env else { continue };
            origin.documents.extend(self.origin_of_env(source).documents);
            for (key, value) in docker_values(source, &env)? {
                match seen.get(&key) {
                    Some((_, other)) if *other == value => continue,
                    Some((first, _)) => {
                        return Err(Error::new(format!(
                            "service `{service}`: `{first}` and `{source}` give `{key}` different values"
                        ))
                        .hint("rename the key in one of them, or leave one of them out of `include`"));
                    }
                    None => {}
                }
                seen.insert(key.clone(), (source.clone(), value.clone()));
                values.push((key, value));
            }
        }
        let size = values.iter().map(|(key, value)| key.as_str().len() + value.len() + 2).sum();
        let mut bytes = Vec::with_capacity(size);
        for (key, value) in &values {
            for part in [key.as_str().as_bytes(), b"=", value.expose(), b"\n"] {
                bytes.extend_from_slice(part);
            }
        }
        Ok(self.file(entitled, format!("{service}.env"), origin, Secret::new(bytes), values))
    }

    fn file(
        &self,
        entitled: &Entitled,
        path: String,
        origin: Origin,
        content: Secret,
        values: Vec<(KeyName, Secret)>,
    ) -> DesiredFile {
        let access = &entitled.service.access;
        DesiredFile {
            path,
            service: entitled.service.name.clone(),
            origin,
            sha256: sha256(content.expose()),
            content,
            values: values.iter().map(|(_, value)| value.clone()).collect(),
            keys: values.into_iter().map(|(key, value)| (key, self.bundle.fingerprint(value.expose()))).collect(),
            mode: access.mode,
            owner: access.owner.clone(),
            group: access.group.clone(),
        }
    }
}

/// The values of an env file, if `docker --env-file` can read each back: it knows neither quotes nor escapes.
fn docker_values(service: &ServiceName, env: &EnvFile) -> Result<Vec<(KeyName, Secret)>> {
    let values = env.values();
    for (key, value) in &values {
        let what = match () {
            () if value.expose().contains(&b'\n') => "a newline",
            () if value.expose().contains(&b'\r') => "a carriage return",
            () if value.expose().contains(&0) => "a NUL byte",
            () => continue,
        };
        return Err(Error::new(format!("service `{service}`, key `{key}`: the value holds {what}, which the docker format cannot hold"))
            .hint(format!("make it a file of a raw service (distribute bundle set {service}/FILE), or encode it, in base64 for example")));
    }
    Ok(values)
}

/// In hexadecimal, as sha256sum writes it.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
