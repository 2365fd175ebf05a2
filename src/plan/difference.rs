//! `Difference`: what a play wants on a host beside what is there. It only reads; `Transaction` makes steps of it.

use super::policy::{self, on_the_wire};
use super::{Change, DesiredFile, DesiredSet, FileChange, Finding, KeyChange, Purpose, RootFacts, Rule, Stat, Step};
use crate::words::{Mode, RunId, Secret, ServiceName, printable};
use std::collections::{BTreeMap, BTreeSet};

/// Where an owner belongs: what we make ourselves is ours already.
const UNCHANGED: &str = "-";

pub(super) struct Difference<'a> {
    pub want: &'a DesiredSet,
    pub facts: &'a RootFacts,
    pub purpose: &'a Purpose<'a>,
}

/// A name below `secrets/` where one of our links belongs, and what is there.
pub(super) enum Place {
    Right,
    Free,
    /// A regular file: kept as a hard link, then replaced at once.
    File,
    /// A directory or a foreign link: moved away first.
    Other,
}

impl Difference<'_> {
    /// The directory that `..data` leads to, whoever made it.
    pub fn live(&self) -> Option<&str> {
        self.facts.live.as_deref()
    }

    /// The live set, where it is one of ours and not somebody's kept files.
    pub fn live_set(&self) -> Option<&str> {
        self.live().filter(|name| policy::run_of_set(name).is_some())
    }

    /// A path in the live set, relative to the root.
    pub fn in_live(&self, path: &str) -> String {
        format!("secrets/{}/{path}", self.live().unwrap_or_default())
    }

    /// Every file of the set, and those that go.
    pub fn files(&self) -> Vec<FileChange> {
        let mut files = Vec::new();
        for file in &self.want.files {
            let (change, keys) = (self.change_of(file), self.key_changes(file));
            let keys = if change == Change::None { Vec::new() } else { keys };
            let service = Some(file.service.clone());
            files.push(FileChange { path: file.path.clone(), service, change, keys });
        }
        let wanted: BTreeSet<&str> = self.want.files.iter().map(|file| file.path.as_str()).collect();
        let gone = self.facts.manifest.files.keys().filter(|path| !wanted.contains(path.as_str()));
        for path in gone.cloned().collect::<Vec<_>>() {
            let service = self.service_of_directory(&path);
            files.push(FileChange { path, service, change: Change::Removed, keys: Vec::new() });
        }
        files
    }

    /// A raw service that loses one of its files is still there to be told.
    fn service_of_directory(&self, path: &str) -> Option<ServiceName> {
        let (directory, _) = path.split_once('/')?;
        let mut names = self.want.services.iter().map(|service| &service.name);
        names.find(|name| name.as_str() == directory).cloned()
    }

    fn change_of(&self, file: &DesiredFile) -> Change {
        if self.live_set().is_none_or(|_| !self.facts.entries.contains_key(&self.in_live(&file.path))) {
            return Change::Added;
        }
        let Some((_, stat)) = self.same_before(file) else { return Change::Changed };
        let right = stat.mode == file.mode && stat.belongs_to(&file.owner, &file.group) && stat.links == 1;
        let place = self.place(file.link_name());
        if right && matches!(place, Place::Right) { Change::None } else { Change::Access }
    }

    /// The file of the live set with the same content, if there is one.
    pub fn same_before(&self, file: &DesiredFile) -> Option<(String, &Stat)> {
        let path = self.live_set().map(|_| self.in_live(&file.path))?;
        let stat = self.facts.entries.get(&path).filter(|stat| stat.is_file())?;
        (self.facts.hashes.get(&path) == Some(&file.sha256)).then_some((path, stat))
    }

    fn key_changes(&self, file: &DesiredFile) -> Vec<KeyChange> {
        let old: BTreeMap<&str, &str> = self
            .facts
            .manifest
            .keys
            .iter()
            .filter(|((path, _), _)| *path == file.path)
            .map(|((_, key), print)| (key.as_str(), print.as_str()))
            .collect();
        let mut changes = Vec::new();
        for (key, print) in &file.keys {
            let change = match old.get(key.as_str()) {
                None => Change::Added,
                Some(was) if was != print => Change::Changed,
                Some(_) => continue,
            };
            changes.push(KeyChange { key: key.as_str().to_owned(), change, fingerprint: print.clone() });
        }
        let kept: BTreeSet<&str> = file.keys.iter().map(|(key, _)| key.as_str()).collect();
        for (key, print) in old.into_iter().filter(|(key, _)| !kept.contains(key)) {
            changes.push(KeyChange { key: key.to_owned(), change: Change::Removed, fingerprint: print.to_owned() });
        }
        changes
    }

    /// What is there under this name of `secrets/`.
    pub fn place(&self, name: &str) -> Place {
        match self.facts.entries.get(&format!("secrets/{name}")) {
            None => Place::Free,
            Some(stat) if stat.target.as_deref() == Some(&format!("..data/{name}")) => Place::Right,
            Some(stat) if stat.is_file() => Place::File,
            Some(_) => Place::Other,
        }
    }

    /// Hand edits, and what nobody of us put there: said, and kept when a switch would take it out of sight.
    pub fn strays(&self) -> Vec<Finding> {
        let mut findings = Vec::new();
        // Another bundle's hashes are under another key.
        let manifest = self.facts.manifest.files.iter().filter(|_| !self.is_foreign());
        for (path, mac) in manifest {
            let Some(hash) = self.facts.hashes.get(&self.in_live(path)) else { continue };
            let found = (self.purpose.mac)(hash.as_bytes());
            if found != *mac {
                findings.push(self.finding(Rule::Drift, path, short(mac), short(&found)));
            }
        }
        for path in self.strangers_in_live() {
            findings.push(self.finding(Rule::UnexpectedFile, &path, "nothing", "a file that we did not put there"));
        }
        let links = self.want.link_names();
        for (name, stat) in self.facts.inside("secrets") {
            let known = name == "..data" || policy::run_of_set(name).is_some() || self.is_our_link(name, stat);
            let replaced = links.contains(name) && stat.target.is_none();
            if known || (links.contains(name) && !replaced) {
                continue;
            }
            let (expected, found) = match () {
                () if replaced => ("our link", "something else in its place"),
                () if policy::is_kept(name) => ("nothing", "kept from before a run: look at it, and remove it"),
                () => ("nothing", "a file that we did not put there"),
            };
            findings.push(self.finding(Rule::UnexpectedFile, name, expected, found));
        }
        findings
    }

    fn finding(&self, rule: Rule, path: &str, expected: &str, found: &str) -> Finding {
        self.at_root(rule, &format!("secrets/{path}"), expected, found)
    }

    /// Files in the live set that its manifest does not name, relative to the set.
    pub fn strangers_in_live(&self) -> Vec<String> {
        let Some(set) = self.live_set() else { return Vec::new() };
        let prefix = format!("secrets/{set}/");
        let below = self.facts.entries.iter().filter_map(|(path, stat)| Some((path.strip_prefix(&prefix)?, stat)));
        let files = &self.facts.manifest.files;
        let is_known = |path: &str, stat: &Stat| match stat.is_directory() {
            true => files.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/'))),
            false => files.contains_key(path),
        };
        below.filter(|(path, stat)| !is_known(path, stat)).map(|(path, _)| path.to_owned()).collect()
    }

    pub fn is_our_link(&self, name: &str, stat: &Stat) -> bool {
        stat.target.as_deref() == Some(&format!("..data/{name}"))
    }

    /// Must another set be written, for a file, a stranger or a directory that is not as it should be?
    pub fn needs_new_set(&self, files: &[FileChange]) -> bool {
        let Some(set) = self.live_set() else { return true };
        let directories = self.want.set_directories().into_iter().map(|below| match below.as_str() {
            "" => format!("secrets/{set}"),
            below => format!("secrets/{set}/{below}"),
        });
        let wrong_directory = |path: String| match self.facts.entries.get(&path) {
            Some(stat) => stat.mode != self.want.access.directory_mode || !self.belongs(stat),
            None => true,
        };
        files.iter().any(|file| file.change != Change::None)
            || !self.strangers_in_live().is_empty()
            || directories.into_iter().any(wrong_directory)
    }

    fn belongs(&self, stat: &Stat) -> bool {
        stat.belongs_to(&self.want.access.owner, &self.want.access.group)
    }

    /// Services with an action, of which a file changes, and those that are owed one since an earlier run.
    pub fn services_to_tell(&self, files: &[FileChange], new_set: bool) -> BTreeSet<ServiceName> {
        let changed = files.iter().filter(|file| new_set && file.change != Change::None);
        let changed: BTreeSet<&ServiceName> = changed.filter_map(|file| file.service.as_ref()).collect();
        let acting = self.want.services.iter().filter(|service| service.action.is_some());
        let told = acting.filter(|service| changed.contains(&service.name) || self.facts.owed.contains(&service.name));
        told.map(|service| service.name.clone()).collect()
    }

    /// Directories that are missing or have another mode or owner than they should.
    pub fn directories(&self) -> Vec<Step> {
        let access = &self.want.access;
        let owner = format!("{}:{}", on_the_wire(&access.owner), on_the_wire(&access.group));
        let mut steps = Vec::new();
        let right = |stat: Option<&Stat>, mode| stat.is_some_and(|stat| stat.mode == mode);
        let secrets = self.facts.entries.get("secrets");
        if !right(secrets, access.directory_mode) || !secrets.is_some_and(|stat| self.belongs(stat)) {
            steps.push(Step::Directory { path: "secrets".to_owned(), mode: access.directory_mode, owner });
        }
        for name in ["backups", ".distribute"] {
            if !right(self.facts.entries.get(name), policy::DIRECTORY) {
                steps.push(Step::Directory {
                    path: name.to_owned(),
                    mode: policy::DIRECTORY,
                    owner: UNCHANGED.to_owned(),
                });
            }
        }
        steps
    }

    /// What an interrupted run left: sets that nobody points to, manifests without a set, receipts without a backup, staging directories, lock records.
    pub fn leftovers(&self) -> Vec<String> {
        let kept = [self.live(), self.facts.previous.as_deref()];
        let sets = self
            .facts
            .inside("secrets")
            .filter(|(name, _)| policy::run_of_set(name).is_some() && !kept.contains(&Some(name)));
        let records = self.facts.inside(".distribute").filter(|(name, _)| {
            let manifest = name.strip_prefix("manifest.").is_some_and(|set| !kept.contains(&Some(set)));
            let receipt = policy::run_of_receipt(name).is_some_and(|run| self.is_without_backup(&run));
            // The stale lock itself is dealt with when the lock is taken.
            let staging = name.starts_with("stage.") || is_lock_record(name);
            (manifest || receipt || staging) && is_plain(name)
        });
        let sets = sets.map(|(name, _)| format!("secrets/{name}"));
        sets.chain(records.map(|(name, _)| format!(".distribute/{name}"))).collect()
    }

    /// Is the sealed copy gone that a receipt is for? That of the live set is made again.
    pub fn is_without_backup(&self, run: &RunId) -> bool {
        let is_there = self.facts.entries.contains_key(&format!("backups/{}", policy::backup_name(run)));
        !is_there && self.facts.live_run().as_ref() != Some(run)
    }

    /// Is it told already that there are no backups at all, or could nobody look?
    pub fn has_no_backups(&self) -> bool {
        let is_directory = self.facts.entries.get("backups").is_some_and(Stat::is_directory);
        !is_directory || self.facts.shut.contains("backups")
    }

    /// Our links to files that are not wanted any more.
    pub fn obsolete_links(&self) -> Vec<String> {
        let links = self.want.link_names();
        let obsolete = self
            .facts
            .inside("secrets")
            .filter(|(name, stat)| self.is_our_link(name, stat) && !links.contains(*name) && is_plain(name));
        obsolete.map(|(name, _)| format!("secrets/{name}")).collect()
    }

    /// Does the root hold what another bundle put there?
    pub fn is_foreign(&self) -> bool {
        self.facts.generation.as_ref().is_some_and(|(bundle, _)| bundle != self.purpose.bundle_id)
    }

    /// Sealed copies of another bundle, which the new key.age does not open, with their receipts.
    pub fn foreign_backups(&self) -> Vec<String> {
        let backups = self.facts.inside("backups").filter(|_| self.is_foreign());
        let runs: Vec<RunId> = backups.filter_map(|(name, _)| policy::run_of_backup(name)).collect();
        runs.iter().flat_map(|run| self.paths_of_backup(run)).collect()
    }

    /// The run of the live set, if its sealed copy is gone, or what was recorded of it.
    pub fn unsealed_run(&self) -> Option<RunId> {
        let run = policy::run_of_set(self.live_set()?)?;
        let sealed = format!("backups/{}", policy::backup_name(&run));
        let is_sealed = self.facts.entries.contains_key(&sealed) && self.facts.receipts.contains_key(&run);
        (!self.is_foreign() && !is_sealed).then_some(run)
    }

    /// Is it a file with this content?
    pub fn is_same(&self, path: &str, content: &Secret) -> bool {
        self.facts.entries.get(path).is_some_and(Stat::is_file)
            && self.facts.hashes.get(path) == Some(&super::desired::sha256(content.expose()))
    }

    /// Is it what we put there before keys were made anew?
    pub fn is_former(&self, path: &str) -> bool {
        self.facts.hashes.get(path).is_some_and(|hash| self.want.former.contains(hash))
    }

    /// And with the right mode?
    pub fn is_right(&self, path: &str, content: &Secret) -> bool {
        self.is_same(path, content) && self.facts.entries.get(path).is_some_and(|stat| stat.mode == policy::FILE)
    }

    /// What is not as it should be beside the files of the set, and will be mended. Before the first set there is nothing to say.
    pub fn disorder(&self, new_set: bool) -> Vec<Finding> {
        if self.live().is_none() {
            return self.strange_files().collect();
        }
        let access = &self.want.access;
        let mut expected = vec![("secrets".to_owned(), access.directory_mode)];
        expected.extend(["backups", ".distribute"].map(|name| (name.to_owned(), policy::DIRECTORY)));
        if let Some(set) = self.live_set() {
            expected.push((format!("secrets/{set}"), access.directory_mode));
        }
        expected.extend(self.want.admin_files().map(|(path, _)| (path.to_owned(), policy::FILE)));
        let wrong_modes = expected.into_iter().filter_map(|(path, mode)| self.wrong_mode(&path, mode));
        // With a new set comes a new copy.
        let sealed = self.unsealed_run().filter(|_| !new_set).map(|run| {
            let copy = format!("backups/{}", policy::backup_name(&run));
            let (path, what) = match self.facts.entries.contains_key(&copy) {
                true => {
                    (format!(".distribute/{}", policy::receipt_name(&run)), "the receipt of the live set's sealed copy")
                }
                false => (copy, "the live set's sealed copy"),
            };
            self.at_root(Rule::Missing, &path, what, "nothing")
        });
        wrong_modes.chain(sealed).chain(self.strange_files()).collect()
    }

    fn wrong_mode(&self, path: &str, expected: Mode) -> Option<Finding> {
        let Some(stat) = self.facts.entries.get(path) else {
            return Some(self.at_root(Rule::Missing, path, &expected.to_string(), "nothing"));
        };
        let rule = policy::mode_rule(stat.mode, expected)?;
        Some(self.at_root(rule, path, &expected.to_string(), &stat.mode.to_string()))
    }

    /// Something that is not ours in the place of one of our files.
    fn strange_files(&self) -> impl Iterator<Item = Finding> {
        let files = self
            .want
            .admin_files()
            .into_iter()
            .filter(|(path, content)| self.facts.entries.contains_key(*path) && !self.is_same(path, content));
        files.map(|(path, _)| match self.is_former(path) {
            true => self.at_root(Rule::Drift, path, "our file", "the one from before keys were made anew"),
            false => self.at_root(Rule::Drift, path, "our file", "something else in its place"),
        })
    }

    fn at_root(&self, rule: Rule, path: &str, expected: &str, found: &str) -> Finding {
        Finding::new(rule, self.want.root.join(&printable(path.as_bytes(), 300)), expected, found)
    }

    /// A backup and its receipt, as far as they are there.
    pub fn paths_of_backup(&self, run: &RunId) -> Vec<String> {
        let paths =
            [format!("backups/{}", policy::backup_name(run)), format!(".distribute/{}", policy::receipt_name(run))];
        paths.into_iter().filter(|path| self.facts.entries.contains_key(path)).collect()
    }

    /// The oldest backups beyond what is to be kept. That of the live set stays, or it would be sealed again; so does the newest.
    pub fn surplus_backups(&self) -> Vec<String> {
        let live = self.live_set().and_then(policy::run_of_set);
        let newest = self.facts.newest_backup();
        self.surplus(0, &[live, newest])
    }

    /// The same when so many more are coming, and the one of this run is that of the set which is live then.
    pub fn surplus_with_more(&self, coming: usize, live: Option<RunId>) -> Vec<String> {
        self.surplus(coming, &[live])
    }

    fn surplus(&self, coming: usize, spared: &[Option<RunId>]) -> Vec<String> {
        if self.is_foreign() {
            return Vec::new();
        }
        let mut backups: Vec<RunId> =
            self.facts.inside("backups").filter_map(|(name, _)| policy::run_of_backup(name)).collect();
        backups.sort_unstable();
        let surplus = (backups.len() + coming).saturating_sub(self.want.keep as usize);
        backups.retain(|run| !spared.iter().flatten().any(|spared| spared == run));
        backups.iter().take(surplus).flat_map(|run| self.paths_of_backup(run)).collect()
    }
}

/// As much of a fingerprint as is shown.
pub(super) fn short(print: &str) -> &str {
    print.get(..8).unwrap_or(print)
}

/// Of a run that is about to take a lock, or did not live to: no secret is in it, and alone it is no reason for a push.
pub(super) fn is_lock_record(path: &str) -> bool {
    let name = path.strip_prefix(".distribute/").unwrap_or(path);
    ["own.", "heir."].iter().any(|prefix| name.starts_with(prefix))
}

/// May this name, which a host told us, go back to it in a step? Ours all may; what cannot is left alone.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
}

/// The same of somebody else's file: a name that came here unchanged, and fits on a line of a plan.
pub(super) fn can_travel(name: &str) -> bool {
    name.chars().all(|c| !c.is_control() && !matches!(c, '\'' | '"' | '\\' | char::REPLACEMENT_CHARACTER))
}
