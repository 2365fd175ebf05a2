//! What a host says is there. It is the host's word: bounded and checked when it is read (`remote::reply`), believed only about itself.

use super::backup::Receipt;
use super::policy;
use crate::words::{FileName, KeyName, Mode, Principal, RunId, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What one host said of itself and of each root that it was asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HostFacts {
    /// Of the user whom the program runs as; 0 is root.
    pub uid: u32,
    /// Tools of coreutils, and tar, that the host does not have.
    pub missing: Vec<String>,
    /// In the order in which the roots were asked for.
    pub roots: Vec<RootFacts>,
    /// Only for an audit, as everything below: what is mounted there, in the kernel's order.
    pub mounts: Vec<Mount>,
    /// Devices and files that memory is swapped to, and that are not known to be encrypted.
    pub clear_swaps: Vec<String>,
    /// What runs of each consumer that was asked about, in the order of asking; a compose service may run several times.
    pub consumers: Vec<Vec<Instance>>,
    /// Sets were switched each time that it was read.
    pub is_restless: bool,
    /// Did systemd and docker answer in time, as far as they were asked?
    pub has_asked: bool,
}

impl HostFacts {
    /// The mount that a path lies on.
    pub fn mount_of(&self, path: &str) -> Option<&Mount> {
        let is_above = |mount: &&Mount| {
            let point = mount.point.trim_end_matches('/');
            path.strip_prefix(point).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        // The last of equals covers those before it.
        self.mounts.iter().filter(is_above).max_by_key(|mount| mount.point.len())
    }
}

/// A line of the kernel's list of mounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mount {
    pub point: String,
    /// `ext4`, `fuse.sshfs`.
    pub kind: String,
    pub options: Vec<String>,
}

/// A running unit or container, by the host's clock, in seconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    pub name: String,
    pub made: i64,
    pub started: i64,
    /// Of a unit: when its state last changed, as a reload does.
    pub changed: i64,
}

/// What is there at one root and below it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RootFacts {
    /// The root, or `secrets/`, is there but cannot be entered.
    pub closed: bool,
    /// The root is there and cannot be written, be it for the file system or for us.
    pub read_only: bool,
    /// Where the root really is, if a parent is a link.
    pub elsewhere: Option<String>,
    /// The directory below `secrets/` that `..data` leads to.
    pub live: Option<String>,
    /// Since when, and by whom, the lock is held.
    pub lock: Option<String>,
    /// The same of a lock whose holder is dead; the next push takes it over.
    pub stale_lock: Option<String>,
    /// By path: absolute for the parents and the root itself, relative to the root for what is below.
    pub entries: BTreeMap<String, Stat>,
    /// SHA-256 in hexadecimal, by path relative to the root.
    pub hashes: BTreeMap<String, String>,
    /// Bundle id and the highest generation of it that this root has seen.
    pub generation: Option<(String, u64)>,
    /// The set before the live one.
    pub previous: Option<String>,
    /// Services whose actions were recorded before a switch and not done since.
    pub owed: BTreeSet<ServiceName>,
    /// Of the live set.
    pub manifest: Manifest,
    /// What is recorded of sealed copies.
    pub receipts: BTreeMap<RunId, Receipt>,
    /// The manifest of each set, where backups were asked for.
    pub manifests: BTreeMap<String, Manifest>,
    /// Only for an audit, as everything below: directories that could not be read.
    pub shut: BTreeSet<String>,
    /// Entries beyond the mode, by path: `user:1000:r--, mask::r--`.
    pub acls: BTreeMap<String, String>,
    /// File capabilities, by path: `cap_net_raw=ep`.
    pub capabilities: BTreeMap<String, String>,
    /// Files in `backups/` that are not sealed.
    pub unsealed: BTreeSet<String>,
}

impl RootFacts {
    /// The run that made the live set, if it is one of ours.
    pub fn live_run(&self) -> Option<RunId> {
        policy::run_of_set(self.live.as_deref()?)
    }

    /// The highest generation that anything there speaks of, and of which bundle, if that is noted.
    pub fn highest(&self) -> (Option<String>, u64) {
        let (bundle, noted) = self.generation.clone().unzip();
        let sets = self.inside("secrets").filter_map(|(name, _)| policy::run_of_set(name));
        let backups = self.inside("backups").filter_map(|(name, _)| policy::run_of_backup(name));
        let highest = sets.chain(backups).map(|run| run.generation()).max().unwrap_or(0);
        (bundle, noted.map_or(highest, |noted| highest.max(noted)))
    }

    /// The run of the newest sealed copy.
    pub fn newest_backup(&self) -> Option<RunId> {
        self.inside("backups").filter_map(|(name, _)| policy::run_of_backup(name)).max()
    }

    /// What lies directly in a directory: names and what they are.
    pub fn inside<'a>(&'a self, directory: &str) -> impl Iterator<Item = (&'a str, &'a Stat)> {
        let prefix = format!("{directory}/");
        self.entries.iter().filter_map(move |(path, stat)| {
            let name = path.strip_prefix(&prefix)?;
            (!name.contains('/')).then_some((name, stat))
        })
    }
}

/// A file, directory or link, as the host's `stat` tells it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    pub kind: Kind,
    pub mode: Mode,
    pub uid: u32,
    pub gid: u32,
    /// The owner's name, or the number where it has none.
    pub user: String,
    pub group: String,
    /// Hard links; a file of ours has one.
    pub links: u64,
    /// Bytes.
    pub size: u64,
    /// Seconds since 1970, by the host's clock.
    pub modified: i64,
    /// Of a link.
    pub target: Option<String>,
}

/// What a path is, as far as we care.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    File,
    Directory,
    Link,
    Other,
}

impl Stat {
    /// Is it a directory, not a link to one?
    pub fn is_directory(&self) -> bool {
        self.kind == Kind::Directory
    }

    /// Is it a plain file, not a link to one?
    pub fn is_file(&self) -> bool {
        self.kind == Kind::File
    }

    /// Are these its owner and its group, by name or by number?
    pub fn belongs_to(&self, owner: &Principal, group: &Principal) -> bool {
        is(owner, self.uid, &self.user) && is(group, self.gid, &self.group)
    }

    /// `root:adm`, for messages.
    pub fn owner(&self) -> String {
        format!("{}:{}", self.user, self.group)
    }
}

/// Root is the number 0 whatever the host calls it; everybody else goes by name, or by number where one was given.
fn is(principal: &Principal, id: u32, name: &str) -> bool {
    match principal.as_str() {
        "root" => id == 0,
        text => text == name || text == id.to_string(),
    }
}

/// What we wrote into a set, as keyed hashes that only the bundle can make: so we know a hand edit, and a reader of the host learns nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Path in the set -> HMAC of the SHA-256 of the content.
    pub files: BTreeMap<String, String>,
    /// Path and key -> fingerprint of the value.
    pub keys: BTreeMap<(String, String), String>,
}

impl Manifest {
    /// One line each; the form in which it lies on the host.
    pub fn to_text(&self) -> String {
        let files = self.files.iter().map(|(path, mac)| format!("file {mac} {path}\n"));
        let keys = self.keys.iter().map(|((path, key), print)| format!("key {print} {path} {key}\n"));
        files.chain(keys).collect()
    }

    /// Takes one line of it; false if the line is something else.
    pub fn take(&mut self, line: &str) -> bool {
        // It is a host's word: what is not of this form is not taken.
        let is_hex = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_hexdigit());
        let is_path = |text: &str| text.split('/').all(|part| FileName::new(part).is_ok());
        match line.split(' ').collect::<Vec<_>>()[..] {
            ["file", mac, path] if is_hex(mac) && is_path(path) => {
                self.files.insert(path.to_owned(), mac.to_owned()).is_none()
            }
            ["key", print, path, key] if is_hex(print) && is_path(path) && KeyName::new(key).is_ok() => {
                self.keys.insert((path.to_owned(), key.to_owned()), print.to_owned()).is_none()
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_reads_what_it_writes() {
        let mut manifest = Manifest::default();
        manifest.files.insert("aws.env".to_owned(), "ab12".to_owned());
        manifest.keys.insert(("aws.env".to_owned(), "KEY".to_owned()), "1a2b3c4d".to_owned());
        let mut read = Manifest::default();
        assert!(manifest.to_text().lines().all(|line| read.take(line)));
        assert_eq!(read, manifest);
        assert!(!read.take("file too many words here"));
    }

    #[test]
    fn root_is_a_number_and_others_are_names() {
        let stat = Stat {
            kind: Kind::File,
            mode: Mode::new(0o600),
            uid: 0,
            gid: 7,
            user: "toor".to_owned(),
            group: "lp".to_owned(),
            links: 1,
            size: 0,
            modified: 0,
            target: None,
        };
        let principal = |text: &str| Principal::new(text).unwrap();
        assert!(stat.belongs_to(&principal("root"), &principal("lp")));
        assert!(stat.belongs_to(&principal("0"), &principal("7")));
        assert!(!stat.belongs_to(&principal("root"), &principal("root")));
    }
}
