//! `Transaction`: the difference between what a play wants on a host and what is there, as steps that make it right.
//!
//! It is made after the host said what is there and before anything is written. `--check` shows it; a run sends it.

use super::policy::{self, on_the_wire};
use super::{DesiredFile, DesiredSet, Finding, Kind, Manifest, RootFacts, Severity, Staged, Stat, Step};
use crate::words::{Failure, Outcome, Phase, RunId, Secret, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What the bundle knows and the play does not: who we are to the host, and how to seal and to fingerprint.
pub struct Purpose<'a> {
    pub run: &'a RunId,
    pub bundle_id: &'a str,
    pub generation: u64,
    /// `setup --accept-new`: take over a host that held another bundle's secrets.
    pub any_bundle: bool,
    /// Refuse a host where another run is at work. Who only looks does not mind.
    pub heeds_lock: bool,
    /// Keyed hash of a content's SHA-256, for manifests.
    pub mac: &'a dyn Fn(&[u8]) -> String,
    /// Seals the tar of a set for the backups. An error is ours, and is told as this host's failure to be staged.
    pub seal: &'a dyn Fn(&DesiredSet) -> crate::words::Result<Vec<u8>>,
}

#[derive(Debug, Default)]
pub struct Transaction {
    pub steps: Vec<Step>,
    pub staged: Vec<Staged>,
    /// Every file of the set, and those that go.
    pub files: Vec<FileChange>,
    pub findings: Vec<Finding>,
    /// Where somebody else's files are kept, relative to the root.
    pub kept: Vec<String>,
    /// Services whose actions will run.
    pub actions: Vec<ServiceName>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileChange {
    /// Relative to `secrets/`.
    pub path: String,
    pub service: Option<ServiceName>,
    pub change: Change,
    pub keys: Vec<KeyChange>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    None,
    Added,
    Changed,
    /// Same content, other owner, mode or link.
    Access,
    Removed,
}

impl Change {
    pub const fn outcome(self) -> Outcome {
        match self {
            Self::None => Outcome::Ok,
            _ => Outcome::Changed,
        }
    }

    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Added => "added",
            Self::Changed => "changed",
            Self::Access => "access",
            Self::Removed => "removed",
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    pub key: String,
    pub change: Change,
    pub fingerprint: String,
}

impl Transaction {
    /// Compares. Fails where nothing may be sent: a path that others can write, a lock, another bundle, an older generation.
    pub fn new(want: &DesiredSet, facts: &RootFacts, uid: u32, purpose: &Purpose) -> Result<Self, Failure> {
        refuse_gaps(facts)?;
        refuse_unsafe(want, facts, uid)?;
        if purpose.heeds_lock {
            refuse_locked(facts)?;
        }
        refuse_older(facts, purpose)?;
        let mut builder = Builder { want, facts, purpose, out: Self::default() };
        builder.compare()?;
        Ok(builder.out)
    }

    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

/// A host whose stat did not run (too many names for one command line) would look empty.
fn refuse_gaps(facts: &RootFacts) -> Result<(), Failure> {
    match facts.entries.contains_key("/") {
        true => Ok(()),
        false => Err(Failure::new(Phase::Exec, "the host could not say what is there")
            .hint("log in and look at its secrets directory: are there very many files?")),
    }
}

/// As sshd looks at a key file: every directory on the way belongs to root or to us, and nobody else may write there.
fn refuse_unsafe(want: &DesiredSet, facts: &RootFacts, uid: u32) -> Result<(), Failure> {
    let stage = |message: String| Failure::new(Phase::Stage, message);
    if let Some(real) = &facts.elsewhere {
        return Err(stage(format!("{} is really {real}: a parent is a link", want.root))
            .hint(format!("set root = \"{real}\" in the inventory or the playbook")));
    }
    for (path, stat) in facts.entries.iter().filter(|(path, _)| path.starts_with('/')) {
        refuse_parent(path, stat, uid)?;
    }
    if facts.closed {
        return Err(Failure::new(Phase::Become, format!("{} cannot be entered as this user", want.root))
            .hint("set become = \"sudo\" (or \"doas\") for this host in the inventory"));
    }
    for name in ["secrets", "backups", ".distribute"] {
        let Some(stat) = facts.entries.get(name) else { continue };
        let path = want.root.join(name);
        if let Some(target) = &stat.target {
            return Err(stage(format!("{path} is a link to {target}, and nothing is written through links"))
                .hint(format!("look at it, and remove the link: rm {path}")));
        }
        if !stat.is_directory() {
            return Err(stage(format!("{path} is not a directory")).hint("look at it, and move it away"));
        }
        let expected = if name == "secrets" { want.access.owner.as_str() } else { "root" };
        let ours = stat.uid == uid || (name == "secrets" && stat.belongs_to(&want.access.owner, &want.access.group));
        if !ours && stat.uid != 0 {
            return Err(stage(format!("{path} belongs to {}, not to {expected}", stat.owner()))
                .hint(format!("find out why; then: chown {expected} {path}")));
        }
    }
    Ok(())
}

fn refuse_parent(path: &str, stat: &Stat, uid: u32) -> Result<(), Failure> {
    let refused = |what: String, mend: String| Err(Failure::new(Phase::Stage, what).hint(mend));
    if let Some(target) = &stat.target {
        return refused(format!("{path} is a link to {target}"), "name the real path as the root".to_owned());
    }
    if !stat.is_directory() {
        return refused(format!("{path} is not a directory"), "move it away, or choose another root".to_owned());
    }
    if stat.uid != 0 && stat.uid != uid {
        let what = format!("{path} belongs to {}, who could replace what lies below", stat.user);
        return refused(what, format!("chown root {path}"));
    }
    // In a sticky directory, such as /tmp, nobody can replace what belongs to root or to us.
    if (stat.mode.is_world_writable() || stat.mode.is_group_writable()) && !stat.mode.is_sticky() {
        let what = format!("{path} has mode {}: others can write there", stat.mode);
        return refused(what, format!("chmod go-w {path}"));
    }
    Ok(())
}

fn refuse_locked(facts: &RootFacts) -> Result<(), Failure> {
    match &facts.lock {
        Some(holder) => Err(lock_failure(holder)),
        None => Ok(()),
    }
}

/// `holder` is `SINCE WHO`, as the lock record has it.
pub fn lock_failure(holder: &str) -> Failure {
    let (since, who) = holder.split_once(' ').unwrap_or((holder, "an unknown run"));
    Failure::new(Phase::Lock, format!("another run is at work here: {who}, since {since}"))
        .hint("wait for it to end, and run this again; a lock whose holder is dead is taken over by itself")
}

fn refuse_older(facts: &RootFacts, purpose: &Purpose) -> Result<(), Failure> {
    let Some((bundle, seen)) = &facts.generation else { return Ok(()) };
    let enrolment = |message: String| Failure::new(Phase::Enrolment, message);
    if bundle != purpose.bundle_id && !purpose.any_bundle {
        return Err(enrolment(format!("this host holds the secrets of another bundle ({bundle})"))
            .hint("if that is meant: distribute setup --accept-new --hosts HOST"));
    }
    if bundle == purpose.bundle_id && *seen > purpose.generation {
        let message =
            format!("this host has seen generation {seen}, and this bundle is only at {}", purpose.generation);
        return Err(enrolment(message)
            .hint("get the newer secrets.age (git pull); to go back on purpose, restore old values into it"));
    }
    Ok(())
}

struct Builder<'a> {
    want: &'a DesiredSet,
    facts: &'a RootFacts,
    purpose: &'a Purpose<'a>,
    out: Transaction,
}

/// A name below `secrets/` where one of our links belongs, and what is there.
enum Place {
    Right,
    Free,
    /// A regular file: kept as a hard link, then replaced at once.
    File,
    /// A directory or a foreign link: moved away first.
    Other,
}

impl Builder<'_> {
    fn compare(&mut self) -> Result<(), Failure> {
        self.compare_files();
        self.find_strays();
        let new_set = self.needs_new_set();
        let owed: BTreeSet<ServiceName> = self.services_to_tell(new_set);
        let admin = self.admin_files();
        let directories = self.directories();
        let mut leftovers = self.leftovers();
        if !new_set {
            leftovers.extend(self.obsolete_links());
            leftovers.extend(self.surplus_backups(0));
        }
        let recovers = self.facts.stale_lock.is_some() || leftovers.iter().any(|path| !is_lock_record(path));
        let idle = !new_set && !recovers && owed.is_empty() && self.facts.owed.is_empty();
        if idle && admin.is_empty() && directories.is_empty() {
            return Ok(());
        }
        self.fence();
        self.out.steps.extend(directories);
        if !leftovers.is_empty() {
            self.out.steps.push(Step::Remove(leftovers));
        }
        let mut puts = admin;
        if new_set {
            self.stage_set(&mut puts)?;
        }
        self.stage(&mut puts, "owed", ".distribute/owed".to_owned(), owed_text(&owed), !owed.is_empty());
        self.sync(&puts, new_set);
        self.out.steps.push(Step::Phase(Phase::Switch));
        self.out.steps.extend(puts.into_iter().map(|put| put.step));
        if new_set {
            self.switch();
        } else {
            self.flush();
        }
        self.act(&owed);
        if new_set {
            self.prune();
        }
        Ok(())
    }

    fn live(&self) -> Option<&str> {
        self.facts.live.as_deref()
    }

    /// The live set, where it is one of ours and not somebody's kept files.
    fn live_set(&self) -> Option<&str> {
        self.live().filter(|name| policy::run_of_set(name).is_some())
    }

    fn in_live(&self, path: &str) -> String {
        format!("secrets/{}/{path}", self.live().unwrap_or_default())
    }

    fn compare_files(&mut self) {
        for file in &self.want.files {
            let (change, keys) = (self.change_of(file), self.key_changes(file));
            let keys = if change == Change::None { Vec::new() } else { keys };
            let service = Some(file.service.clone());
            self.out.files.push(FileChange { path: file.path.clone(), service, change, keys });
        }
        let wanted: BTreeSet<&str> = self.want.files.iter().map(|file| file.path.as_str()).collect();
        let gone = self.facts.manifest.files.keys().filter(|path| !wanted.contains(path.as_str()));
        for path in gone.cloned().collect::<Vec<_>>() {
            let service = self.service_of_directory(&path);
            self.out.files.push(FileChange { path, service, change: Change::Removed, keys: Vec::new() });
        }
    }

    /// A raw service that loses one of its files is still there to be told.
    fn service_of_directory(&self, path: &str) -> Option<ServiceName> {
        let (directory, _) = path.split_once('/')?;
        let mut names = self.want.services.iter().map(|service| &service.name);
        names.find(|name| name.as_str() == directory).cloned()
    }

    fn change_of(&self, file: &DesiredFile) -> Change {
        let at = self.in_live(&file.path);
        let Some(stat) = self.live_set().and_then(|_| self.facts.entries.get(&at)) else { return Change::Added };
        if !stat.is_file() || self.facts.hashes.get(&at) != Some(&file.sha256) {
            return Change::Changed;
        }
        let right = stat.mode == file.mode && stat.belongs_to(&file.owner, &file.group) && stat.links == 1;
        let place = self.place(file.link_name());
        if right && matches!(place, Place::Right) { Change::None } else { Change::Access }
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

    fn place(&self, name: &str) -> Place {
        match self.facts.entries.get(&format!("secrets/{name}")) {
            None => Place::Free,
            Some(stat) if stat.target.as_deref() == Some(&format!("..data/{name}")) => Place::Right,
            Some(stat) if stat.is_file() => Place::File,
            Some(_) => Place::Other,
        }
    }

    /// Hand edits, and what nobody of us put there: said, and kept when a switch would take it out of sight.
    fn find_strays(&mut self) {
        let mut findings = Vec::new();
        for (path, mac) in &self.facts.manifest.files {
            let Some(hash) = self.facts.hashes.get(&self.in_live(path)) else { continue };
            let found = (self.purpose.mac)(hash.as_bytes());
            if found != *mac {
                findings.push(self.finding(
                    "drift",
                    path,
                    Severity::High,
                    &mac[..mac.len().min(8)],
                    &found[..found.len().min(8)],
                ));
            }
        }
        for path in self.strangers_in_live() {
            findings.push(self.finding(
                "unexpected-file",
                &path,
                Severity::Medium,
                "nothing",
                "a file that we did not put there",
            ));
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
                () if policy::is_kept(name) => ("nothing", "kept from before a run"),
                () => ("nothing", "a file that we did not put there"),
            };
            findings.push(self.finding("unexpected-file", name, Severity::Medium, expected, found));
        }
        self.out.findings.extend(findings);
    }

    fn finding(&self, rule: &'static str, path: &str, severity: Severity, expected: &str, found: &str) -> Finding {
        let path = self.want.root.join(&format!("secrets/{path}"));
        Finding { rule, path, severity, expected: expected.to_owned(), found: found.to_owned(), fixed: false }
    }

    /// Files in the live set that its manifest does not name, relative to the set.
    fn strangers_in_live(&self) -> Vec<String> {
        let Some(set) = self.live_set() else { return Vec::new() };
        let prefix = format!("secrets/{set}/");
        let below = self.facts.entries.iter().filter_map(|(path, stat)| Some((path.strip_prefix(&prefix)?, stat)));
        let unknown =
            below.filter(|(path, stat)| !stat.is_directory() && !self.facts.manifest.files.contains_key(*path));
        unknown.map(|(path, _)| path.to_owned()).collect()
    }

    fn is_our_link(&self, name: &str, stat: &Stat) -> bool {
        stat.target.as_deref() == Some(&format!("..data/{name}"))
    }

    fn needs_new_set(&self) -> bool {
        let Some(set) = self.live_set() else { return true };
        let directories = self.want.set_directories().into_iter().map(|below| match below.as_str() {
            "" => format!("secrets/{set}"),
            below => format!("secrets/{set}/{below}"),
        });
        let wrong_directory = |path: String| match self.facts.entries.get(&path) {
            Some(stat) => stat.mode != self.want.access.directory_mode || !self.belongs(stat),
            None => true,
        };
        self.out.files.iter().any(|file| file.change != Change::None)
            || !self.strangers_in_live().is_empty()
            || directories.into_iter().any(wrong_directory)
    }

    fn belongs(&self, stat: &Stat) -> bool {
        stat.belongs_to(&self.want.access.owner, &self.want.access.group)
    }

    /// Services with an action, of which a file changes, and those that are owed one since an earlier run.
    fn services_to_tell(&self, new_set: bool) -> BTreeSet<ServiceName> {
        let changed = self.out.files.iter().filter(|file| new_set && file.change != Change::None);
        let changed: BTreeSet<&ServiceName> = changed.filter_map(|file| file.service.as_ref()).collect();
        let acting = self.want.services.iter().filter(|service| service.action.is_some());
        let told = acting.filter(|service| changed.contains(&service.name) || self.facts.owed.contains(&service.name));
        told.map(|service| service.name.clone()).collect()
    }

    fn fence(&mut self) {
        self.out.steps.push(Step::Phase(Phase::Stage));
        self.out.steps.push(Step::Fence {
            bundle: self.purpose.bundle_id.to_owned(),
            generation: self.purpose.generation,
            any_bundle: self.purpose.any_bundle,
        });
        self.out.steps.push(Step::Expect(self.facts.live.clone()));
    }

    /// Directories that are missing or have another mode or owner than they should.
    fn directories(&self) -> Vec<Step> {
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

    /// The host's own password and what opens its backups, where they are not as they should be.
    fn admin_files(&mut self) -> Vec<Put> {
        let mut puts = Vec::new();
        let files = [("vault-password", &self.want.vault_password), ("backups/key.age", &self.want.key_age)];
        for (path, content) in files {
            let stat = self.facts.entries.get(path);
            let right = stat.is_some_and(|stat| stat.is_file() && stat.mode == policy::FILE)
                && self.facts.hashes.get(path) == Some(&super::desired::sha256(content.expose()));
            let staged = path.rsplit('/').next().expect("a path has a last part");
            self.stage(&mut puts, staged, path.to_owned(), content.clone(), !right);
        }
        puts
    }

    fn stage(&mut self, puts: &mut Vec<Put>, staged: &str, path: String, content: Secret, wanted: bool) {
        if wanted {
            self.out.staged.push(Staged::File { path: staged.to_owned(), content });
            puts.push(Put { staged: staged.to_owned(), step: Step::Put { staged: staged.to_owned(), path } });
        }
    }

    /// What an interrupted run left: sets that nobody points to, manifests without a set, staging directories, lock records.
    fn leftovers(&self) -> Vec<String> {
        let kept = [self.live(), self.facts.previous.as_deref()];
        let sets = self
            .facts
            .inside("secrets")
            .filter(|(name, _)| policy::run_of_set(name).is_some() && !kept.contains(&Some(name)));
        let records = self.facts.inside(".distribute").filter(|(name, _)| {
            let manifest = name.strip_prefix("manifest.").is_some_and(|set| !kept.contains(&Some(set)));
            // The stale lock itself is dealt with when the lock is taken.
            let staging = name.starts_with("stage.") || is_lock_record(name);
            (manifest || staging) && is_plain(name)
        });
        let sets = sets.map(|(name, _)| format!("secrets/{name}"));
        sets.chain(records.map(|(name, _)| format!(".distribute/{name}"))).collect()
    }

    fn stage_set(&mut self, puts: &mut Vec<Put>) -> Result<(), Failure> {
        let set = policy::set_name(self.purpose.run);
        self.own_set();
        let manifest = self.manifest();
        self.stage(
            puts,
            "manifest",
            format!(".distribute/{}", policy::manifest_name(&set)),
            text(manifest.to_text()),
            true,
        );
        if let Some(live) = self.live_set() {
            let previous = text(format!("previous {live}\n"));
            self.stage(puts, "previous", ".distribute/previous".to_owned(), previous, true);
        }
        let backup = format!("backups/{}", policy::backup_name(self.purpose.run));
        let sealed = (self.purpose.seal)(self.want).map_err(|error| Failure::new(Phase::Stage, error.to_string()))?;
        self.stage(puts, "sealed", backup, Secret::new(sealed), true);
        let generation = text(format!("generation {} {}\n", self.purpose.bundle_id, self.purpose.generation));
        self.stage(puts, "generation", ".distribute/generation".to_owned(), generation, true);
        puts.push(Put { staged: "set".to_owned(), step: Step::Set(set.clone()) });
        self.out.staged.push(Staged::Link { path: "data".to_owned(), target: set });
        Ok(())
    }

    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::default();
        for file in &self.want.files {
            manifest.files.insert(file.path.clone(), (self.purpose.mac)(file.sha256.as_bytes()));
            for (key, print) in &file.keys {
                manifest.keys.insert((file.path.clone(), key.as_str().to_owned()), print.clone());
            }
        }
        manifest
    }

    /// Mode and owner of the staged set, one step for all that agree.
    fn own_set(&mut self) {
        let access = &self.want.access;
        let mut groups: BTreeMap<(u32, String), Vec<String>> = BTreeMap::new();
        for file in &self.want.files {
            let owner = format!("{}:{}", on_the_wire(&file.owner), on_the_wire(&file.group));
            groups.entry((file.mode.bits(), owner)).or_default().push(format!("set/{}", file.path));
            let content = file.content.clone();
            self.out.staged.push(Staged::File { path: format!("set/{}", file.path), content });
        }
        let owner = format!("{}:{}", on_the_wire(&access.owner), on_the_wire(&access.group));
        let directories = self.want.set_directories().into_iter().map(|below| staged_set(&below)).collect();
        for ((mode, owner), paths) in groups {
            self.out.steps.push(Step::Own { paths, mode: crate::words::Mode::new(mode), owner });
        }
        self.out.steps.push(Step::Own { paths: directories, mode: access.directory_mode, owner });
    }

    fn sync(&mut self, puts: &[Put], new_set: bool) {
        let mut paths: Vec<String> = puts.iter().map(|put| put.staged.clone()).collect();
        if new_set {
            paths.extend(
                self.want.set_directories().iter().filter(|below| !below.is_empty()).map(|below| staged_set(below)),
            );
            paths.extend(self.want.files.iter().map(|file| format!("set/{}", file.path)));
        }
        if !paths.is_empty() {
            self.out.steps.push(Step::Sync(paths));
        }
    }

    fn flush(&mut self) {
        let directories = [".", "secrets", "backups", ".distribute"];
        self.out.steps.push(Step::Flush(directories.map(str::to_owned).to_vec()));
    }

    /// Links for new names first: until the switch they lead nowhere, which is what the old set says. Then the switch; then
    /// what stood in the place of a link.
    fn switch(&mut self) {
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let kept = policy::kept_name(self.purpose.run);
        let mut keeping = Vec::new();
        for name in self.want.link_names() {
            let path = format!("secrets/{name}");
            match self.place(&name) {
                Place::Right => continue,
                Place::Free => before.push(name.clone()),
                Place::File => {
                    keeping.push(Step::Keep { path, kept: format!("secrets/{kept}/{name}") });
                    // A name that the old set has leads to the old set until the switch; another must not lead nowhere.
                    let shown = self.live().is_none() || self.facts.entries.contains_key(&self.in_live(&name));
                    if shown { before.push(name.clone()) } else { after.push(name.clone()) }
                }
                Place::Other => {
                    keeping.push(Step::Move { path, kept: format!("secrets/{kept}/{name}") });
                    before.push(name.clone());
                }
            }
            self.out.staged.push(Staged::Link { path: format!("links/{name}"), target: format!("..data/{name}") });
        }
        keeping.extend(self.keep_drifted(&kept));
        let adopts = self.live().is_none() && !keeping.is_empty();
        if !keeping.is_empty() {
            self.keep(&kept, keeping);
        }
        if adopts {
            // A first setup over plain files: `..data` leads to them while the links take their places, so that one switch changes all.
            self.out.staged.push(Staged::Link { path: "adopt".to_owned(), target: kept });
            self.out.steps.push(Step::Put { staged: "adopt".to_owned(), path: "secrets/..data".to_owned() });
        }
        self.link(before);
        self.flush();
        self.out.steps.push(Step::Switch);
        self.link(after);
    }

    fn keep(&mut self, kept: &str, keeping: Vec<Step>) {
        let access = &self.want.access;
        let owner = format!("{}:{}", on_the_wire(&access.owner), on_the_wire(&access.group));
        self.out.steps.push(Step::Directory { path: format!("secrets/{kept}"), mode: access.directory_mode, owner });
        for step in &keeping {
            if let Step::Keep { kept, .. } | Step::Move { kept, .. } = step {
                self.out.kept.push(self.want.root.join(kept));
            }
        }
        self.out.steps.extend(keeping);
        self.out.steps.push(Step::Flush(vec![format!("secrets/{kept}")]));
    }

    /// Hand-edited and foreign files of the live set get a second name, before the set goes out of sight.
    fn keep_drifted(&self, kept: &str) -> Vec<Step> {
        let drifted = self.out.findings.iter().filter(|finding| finding.rule == "drift");
        let prefix = self.want.root.join("secrets/");
        let drifted = drifted.filter_map(|finding| finding.path.strip_prefix(&prefix).map(str::to_owned));
        let paths: BTreeSet<String> =
            drifted.chain(self.strangers_in_live().into_iter().filter(|path| can_travel(path))).collect();
        let steps = paths
            .into_iter()
            .filter(|path| self.facts.entries.get(&self.in_live(path)).is_some_and(|stat| stat.kind == Kind::File));
        steps
            .map(|path| Step::Keep {
                kept: format!("secrets/{kept}/set-{}", path.replace('/', "+")),
                path: self.in_live(&path),
            })
            .collect()
    }

    fn link(&mut self, names: Vec<String>) {
        if !names.is_empty() {
            self.out.steps.push(Step::Link(names));
        }
    }

    fn act(&mut self, owed: &BTreeSet<ServiceName>) {
        let acting: Vec<_> = self.want.services.iter().filter(|service| owed.contains(&service.name)).collect();
        if !acting.is_empty() || !self.facts.owed.is_empty() {
            self.out.steps.push(Step::Phase(Phase::Action));
            self.out.steps.push(Step::Act);
        }
        let mut said: Vec<&Vec<String>> = Vec::new();
        let mut actions = Vec::new();
        for service in &acting {
            let argv = service.action.as_ref().expect("only services with an action are owed one");
            // Two services that restart the same thing restart it once.
            if !said.contains(&argv) {
                said.push(argv);
                actions.push(Step::Action {
                    service: service.name.clone(),
                    seconds: policy::ACTION_SECONDS,
                    argv: argv.clone(),
                });
            }
        }
        let changed: BTreeSet<&ServiceName> = self
            .out
            .files
            .iter()
            .filter(|file| file.change != Change::None)
            .filter_map(|file| file.service.as_ref())
            .collect();
        let checks =
            self.want.services.iter().filter(|service| changed.contains(&service.name) || owed.contains(&service.name));
        let checks: Vec<Step> = checks
            .filter_map(|service| {
                let (probe, seconds) = service.health.clone()?;
                Some(Step::Health { service: service.name.clone(), seconds, probe })
            })
            .collect();
        self.out.actions = acting.iter().map(|service| service.name.clone()).collect();
        if !checks.is_empty() {
            self.out.steps.push(Step::Phase(Phase::Health));
            self.out.steps.push(Step::CheckHealth);
        }
        self.out.steps.extend(actions);
        self.out.steps.extend(checks);
    }

    /// After everything went well: links of files that are gone, the set before the one before, and backups beyond `keep`.
    fn prune(&mut self) {
        let mut paths = self.obsolete_links();
        if let (Some(previous), Some(live)) = (&self.facts.previous, self.live_set())
            && previous != live
            && policy::run_of_set(previous).is_some()
        {
            paths.push(format!("secrets/{previous}"));
            paths.push(format!(".distribute/{}", policy::manifest_name(previous)));
        }
        // The one that this run adds counts too.
        paths.extend(self.surplus_backups(1));
        if !paths.is_empty() {
            self.out.steps.push(Step::Remove(paths));
        }
        self.keep_whole();
    }

    /// Somebody put a file into the set whose name we cannot say back to the host: then the set is kept as it is.
    fn keep_whole(&mut self) {
        let Some(path) = self.live_set().map(|live| format!("secrets/{live}")) else { return };
        if self.strangers_in_live().iter().all(|path| can_travel(path)) {
            return;
        }
        let kept = policy::kept_name(self.purpose.run);
        let keeping = Step::Move { path, kept: format!("secrets/{kept}/set") };
        self.keep(&kept, vec![keeping]);
    }

    /// Our links to files that are not wanted any more.
    fn obsolete_links(&self) -> Vec<String> {
        let links = self.want.link_names();
        let obsolete = self
            .facts
            .inside("secrets")
            .filter(|(name, stat)| self.is_our_link(name, stat) && !links.contains(*name) && is_plain(name));
        obsolete.map(|(name, _)| format!("secrets/{name}")).collect()
    }

    /// The oldest backups, when there are `coming` more.
    fn surplus_backups(&self, coming: usize) -> Vec<String> {
        let mut backups: Vec<RunId> =
            self.facts.inside("backups").filter_map(|(name, _)| policy::run_of_backup(name)).collect();
        backups.sort_unstable();
        let surplus = (backups.len() + coming).saturating_sub(self.want.keep as usize);
        backups.iter().take(surplus).map(|run| format!("backups/{}", policy::backup_name(run))).collect()
    }
}

/// Where an owner belongs: what we make ourselves is ours already.
const UNCHANGED: &str = "-";

/// A staged file on its way to its place.
struct Put {
    staged: String,
    step: Step,
}

fn staged_set(below: &str) -> String {
    if below.is_empty() { "set".to_owned() } else { format!("set/{below}") }
}

fn text(text: String) -> Secret {
    Secret::new(text.into_bytes())
}

fn owed_text(owed: &BTreeSet<ServiceName>) -> Secret {
    text(owed.iter().map(|service| format!("owed {service}\n")).collect())
}

/// Of a run that is about to take a lock, or did not live to: no secret is in it, and alone it is no reason for a push.
fn is_lock_record(path: &str) -> bool {
    let name = path.strip_prefix(".distribute/").unwrap_or(path);
    ["own.", "heir."].iter().any(|prefix| name.starts_with(prefix))
}

/// May this name, which a host told us, go back to it in a step? Ours all may; what cannot is left alone.
fn is_plain(name: &str) -> bool {
    !name.starts_with('-') && name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-' | b'/'))
}

/// The same of somebody else's file: a name that came here unchanged, and fits on a line of a plan.
fn can_travel(name: &str) -> bool {
    name.chars().all(|c| !c.is_control() && !matches!(c, '\'' | '"' | '\\' | char::REPLACEMENT_CHARACTER))
}
