//! `DesiredSet`: what a play wants on a host, made from inventory, playbook and bundle before any connection.

use super::contents::Contents;
use super::entitlement::{Entitled, Entitlement, entitlements};
use super::policy;
use crate::bundle::{Bundle, Origin};
use crate::dialect::Manifest;
use crate::inventory::{Host, Inventory};
use crate::playbook::{Access, Action, Consumer, Format, Playbook, Probe};
use crate::words::{HostName, KeyName, Mode, PlayName, Principal, RemotePath, Result, Secret, ServiceName};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeSet;

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
    pub format: Format,
    /// What the object is called, of format `kubernetes`.
    pub manifest: Option<Manifest>,
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
        let contents = Contents { bundle, host };
        let mut files = Vec::new();
        for entitled in &entitlement.services {
            files.extend(contents.files(entitled)?);
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

/// In hexadecimal, as sha256sum writes it.
pub(super) fn sha256(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}
