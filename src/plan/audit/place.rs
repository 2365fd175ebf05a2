//! `Place`: what a path below a root is to us, by its name alone.

use super::Auditor;
use super::access::Access;
use crate::plan::difference::{Difference, is_lock_record};
use crate::plan::{DesiredFile, Rule, Stat, policy};
use std::collections::{BTreeMap, BTreeSet};

pub(super) enum Place {
    /// A file or a directory that we put there, and who may do what with it.
    Ours(Access),
    /// The same in the set before the live one.
    Old(Access),
    /// `secrets/..data`.
    Switch,
    /// The link `secrets/NAME -> ..data/NAME`.
    Link(String),
    /// Not ours: rule, and what it is.
    Stranger(Rule, &'static str),
    /// Ours, and in nobody's use any more.
    OwnLeftover(Rule, &'static str),
    /// Somebody else's, in the root and not in our directories: none of our business.
    Beside,
}

impl Place {
    /// Is what lies below it told by it?
    pub fn is_opaque(&self) -> bool {
        matches!(self, Self::Stranger(..) | Self::OwnLeftover(..) | Self::Beside)
    }
}

/// What is expected, looked up by name: a host may have 50,000 of them.
pub(super) struct Known<'a> {
    /// What is in the live set by its manifest; where that is lost, what should be.
    pub files: BTreeSet<&'a str>,
    pub directories: BTreeSet<&'a str>,
    pub wanted: BTreeMap<&'a str, &'a DesiredFile>,
    /// Names in `secrets/` that are links to what is wanted, or was put there and is not yet gone.
    pub links: BTreeSet<&'a str>,
    /// Backups beyond those that are kept.
    pub surplus: BTreeSet<String>,
}

impl<'a> Known<'a> {
    pub fn new(is: &Difference<'a>) -> Self {
        let wanted: BTreeMap<_, _> = is.want.files.iter().map(|file| (file.path.as_str(), file)).collect();
        let put: BTreeSet<&str> = is.facts.manifest.files.keys().map(String::as_str).collect();
        let files = if put.is_empty() { wanted.keys().copied().collect() } else { put };
        let all = files.iter().chain(wanted.keys());
        let links = all.map(|path| path.split('/').next().unwrap_or(path)).collect();
        let directories = files.iter().flat_map(|path| super::ancestors(path)).collect();
        Self { files, directories, wanted, links, surplus: is.surplus_backups().into_iter().collect() }
    }
}

/// What an editor leaves beside a file: a backup, a swap file, a merge's original.
pub(super) fn is_editors(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    let ends = ["~", ".swp", ".swo", ".swx", ".bak", ".orig", ".rej", ".save", ".un~"];
    ends.iter().any(|end| name.ends_with(end) && name.len() > end.len())
        || name.starts_with(".#")
        || (name.starts_with('#') && name.ends_with('#') && name.len() > 1)
}

/// A copy of one of our places, by its name: an editor's, or one that somebody made before he tried something.
fn is_copy(name: &str) -> bool {
    let of_password = name.trim_start_matches('.').starts_with("vault-password");
    let ends = [".old", ".save", ".tar", ".gz", ".tgz", ".zip", ".copy"];
    of_password || is_editors(name) || ends.iter().any(|end| name.ends_with(end))
}

const STRANGE: &str = "a file that we did not put there";

impl Auditor<'_> {
    pub(super) fn place(&self, path: &str, stat: &Stat) -> Place {
        match path.split_once('/') {
            None => self.at_top(path),
            Some(("secrets", below)) => self.in_secrets(path, below, stat),
            Some(("backups", name)) => self.in_backups(path, name),
            Some((".distribute", name)) => self.in_records(path, name),
            Some(_) => Place::Beside,
        }
    }

    fn at_top(&self, name: &str) -> Place {
        match name {
            "secrets" => Place::Ours(self.set_access("", true)),
            "backups" | ".distribute" => Place::Ours(Access::private(policy::DIRECTORY, true)),
            "vault-password" => Place::Ours(Access::private(policy::FILE, false)),
            _ if is_copy(name) => self.strange(name),
            _ => Place::Beside,
        }
    }

    fn strange(&self, path: &str) -> Place {
        match is_editors(path) {
            true => Place::Stranger(Rule::Leftover, "what an editor left: it may hold secrets"),
            false => Place::Stranger(Rule::UnexpectedFile, STRANGE),
        }
    }

    fn in_secrets(&self, path: &str, below: &str, stat: &Stat) -> Place {
        let (top, rest) = below.split_once('/').map_or((below, None), |(top, rest)| (top, Some(rest)));
        match rest {
            _ if self.is.live() == Some(top) => self.in_live(path, rest),
            _ if policy::run_of_set(top).is_some() && self.is_old(top) => match is_editors(path) {
                true => self.strange(path),
                false => Place::Old(self.set_access(rest.unwrap_or_default(), rest.is_none() || stat.is_directory())),
            },
            Some(_) => self.strange(path),
            None if top == "..data" => Place::Switch,
            None if policy::run_of_set(top).is_some() => {
                Place::OwnLeftover(Rule::StaleSet, "a set that is neither live nor the one before")
            }
            None if policy::is_kept(top) => {
                Place::Stranger(Rule::UnexpectedFile, "kept from before a run: look at it, and remove it")
            }
            None if self.known.links.contains(top) => Place::Link(top.to_owned()),
            None if self.is.is_our_link(top, stat) => {
                Place::OwnLeftover(Rule::Leftover, "our link to a file that is not wanted any more")
            }
            None => self.strange(path),
        }
    }

    /// Is it the set before the live one? Where none is live, or nothing says which was before, any may be that was whole once.
    fn is_old(&self, set: &str) -> bool {
        let entries = &self.is.facts.entries;
        let was_whole = || {
            let is_older = policy::run_of_set(set) < self.is.live_set().and_then(policy::run_of_set);
            let manifest = format!(".distribute/{}", policy::manifest_name(set));
            is_older && entries.contains_key(&format!("secrets/{set}")) && entries.contains_key(&manifest)
        };
        match &self.is.facts.previous {
            _ if self.is.live_set().is_none() || !entries.contains_key(".distribute") => true,
            Some(previous) => previous == set,
            None => was_whole(),
        }
    }

    fn in_live(&self, path: &str, rest: Option<&str>) -> Place {
        let Some(rest) = rest else { return Place::Ours(self.set_access("", true)) };
        match () {
            () if self.known.files.contains(rest) => Place::Ours(self.set_access(rest, false)),
            () if self.known.directories.contains(rest) => Place::Ours(self.set_access(rest, true)),
            () => self.strange(path),
        }
    }

    fn in_backups(&self, path: &str, name: &str) -> Place {
        let is_clear = self.is.facts.unsealed.contains(path);
        match () {
            () if name == "key.age" => Place::Ours(Access::private(policy::FILE, false)),
            () if is_clear && !is_editors(name) => {
                Place::Stranger(Rule::UnsealedBackup, "not an age file: the host reads what is in it")
            }
            () if self.known.surplus.contains(path) => {
                Place::Stranger(Rule::Leftover, "one backup more than is to be kept")
            }
            () if policy::run_of_backup(name).is_some() => Place::Ours(Access::private(policy::FILE, false)),
            () => self.strange(path),
        }
    }

    fn in_records(&self, path: &str, name: &str) -> Place {
        let is_there = |set: &str| self.is.facts.entries.contains_key(&format!("secrets/{set}"));
        if let Some(run) = policy::run_of_receipt(name) {
            return match self.is.is_without_backup(&run) && !self.is.has_no_backups() {
                true => Place::OwnLeftover(Rule::Leftover, "what is known of a backup that is gone"),
                false => Place::Ours(Access::private(policy::FILE, false)),
            };
        }
        match name.strip_prefix("manifest.") {
            Some(set) if self.is.live() == Some(set) || (policy::run_of_set(set).is_some() && self.is_old(set)) => {
                Place::Ours(Access::private(policy::FILE, false))
            }
            // It is told with its set, and goes with it.
            Some(set) if policy::run_of_set(set).is_some() && is_there(set) => Place::Beside,
            Some(set) if policy::run_of_set(set).is_some() => {
                Place::OwnLeftover(Rule::Leftover, "what is known of a set that is gone")
            }
            _ if ["generation", "previous", "owed"].contains(&name) => {
                Place::Ours(Access::private(policy::FILE, false))
            }
            _ if name == "lock" => Place::OwnLeftover(Rule::Leftover, "the lock of a run that died"),
            _ if is_lock_record(name) || name.starts_with("stage.") => {
                Place::OwnLeftover(Rule::Leftover, "what a run that died left behind")
            }
            _ => self.strange(path),
        }
    }
}
