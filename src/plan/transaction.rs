//! `Transaction`: the difference between what a play wants on a host and what is there, as steps that make it right.
//!
//! It is made after the host said what is there and before anything is written. `--check` shows it; a run sends it.

mod backups;
mod restore;

use super::backup::{Backup, Why};
use super::difference::{Difference, Place, can_travel, is_lock_record};
use super::policy::{self, on_the_wire};
use super::refusal::refuse;
use super::{Change, DesiredSet, FileChange, Finding, Kind, Manifest, RootFacts, Rule, Staged, Stat, Step};
use crate::words::{Failure, Phase, RunId, Secret, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What the bundle knows and the play does not: who we are to the host, and how to seal and to fingerprint.
pub struct Purpose<'a> {
    pub run: &'a RunId,
    pub bundle_id: &'a str,
    pub generation: u64,
    /// `setup --accept-new`: take over a host that held another bundle's secrets.
    pub any_bundle: bool,
    /// This run brings earlier values back: a failed health check is told, and does not bring the others back again.
    pub is_way_back: bool,
    /// Refuse a host where another run is at work. Who only looks does not mind.
    pub heeds_lock: bool,
    /// Keyed hash of a content's SHA-256, for manifests.
    pub mac: &'a dyn Fn(&[u8]) -> String,
    /// What makes the backups of this run.
    pub why: Why,
    /// The public keys that backups are sealed to, beside the bundle's own.
    pub recipients: &'a [String],
    /// Seals a backup. An error is ours, and is told as this host's failure to be staged.
    pub seal: &'a dyn Fn(&Backup) -> crate::words::Result<Vec<u8>>,
}

/// Steps and what travels with them, and what a report says of them.
#[derive(Debug, Default)]
pub struct Transaction {
    /// In the order in which they are carried out.
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

impl Transaction {
    /// Compares. Fails where nothing may be sent: a path that others can write, a lock, another bundle, an older generation.
    pub fn new(want: &DesiredSet, facts: &RootFacts, uid: u32, purpose: &Purpose) -> Result<Self, Failure> {
        let mut builder = Builder::of(want, facts, uid, purpose)?;
        builder.compare()?;
        Ok(builder.out)
    }

    /// Is there nothing to do?
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }
}

struct Builder<'a> {
    is: Difference<'a>,
    /// A set that is still there and is to be live again, in place of a new one.
    before: Option<String>,
    /// What is live, where nothing sealed says it yet.
    replaced: Option<&'a Backup>,
    out: Transaction,
}

impl<'a> Builder<'a> {
    fn of(want: &'a DesiredSet, facts: &'a RootFacts, uid: u32, purpose: &'a Purpose<'a>) -> Result<Self, Failure> {
        refuse(want, facts, uid, purpose)?;
        let is = Difference { want, facts, purpose };
        Ok(Self { is, before: None, replaced: None, out: Transaction::default() })
    }

    fn compare(&mut self) -> Result<(), Failure> {
        self.out.files = self.is.files();
        self.out.findings = self.is.strays();
        let new_set = self.is.needs_new_set(&self.out.files);
        self.out.findings.extend(self.is.disorder(new_set));
        let owed = self.is.services_to_tell(&self.out.files, new_set);
        let (mut puts, keeping) = self.admin_files();
        if !new_set {
            self.lost_records(&mut puts)?;
        }
        let directories = self.is.directories();
        let mut leftovers = self.is.leftovers();
        if !new_set {
            leftovers.extend(self.is.obsolete_links());
            leftovers.extend(self.is.surplus_backups());
        }
        let recovers = self.is.facts.stale_lock.is_some() || leftovers.iter().any(|path| !is_lock_record(path));
        let idle = !new_set && !recovers && owed.is_empty() && self.is.facts.owed.is_empty();
        if idle && puts.is_empty() && directories.is_empty() {
            return Ok(());
        }
        self.refuse_read_only()?;
        self.fence();
        self.out.steps.extend(directories);
        self.remove(leftovers);
        if new_set && let Some(replaced) = self.replaced {
            self.stage_backup(&mut puts, "replaced", replaced)?;
        }
        match self.before.clone() {
            Some(before) if new_set => self.stage_set_before(&mut puts, before)?,
            _ if new_set => self.stage_set(&mut puts)?,
            _ => {}
        }
        self.stage(&mut puts, "owed", ".distribute/owed".to_owned(), owed_text(&owed), !owed.is_empty());
        self.sync(&puts, new_set && self.before.is_none());
        self.out.steps.push(Step::Phase(Phase::Switch));
        if !keeping.is_empty() {
            self.keep(&policy::kept_name(self.is.purpose.run), keeping);
        }
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

    fn refuse_read_only(&self) -> Result<(), Failure> {
        if self.is.facts.read_only && self.is.purpose.heeds_lock {
            let message = format!("cannot write in {}: Read-only file system, or not ours to write", self.is.want.root);
            return Err(Failure::new(Phase::Stage, message).hint("nothing was changed; mend this and run it again"));
        }
        Ok(())
    }

    fn remove(&mut self, paths: Vec<String>) {
        if !paths.is_empty() {
            self.out.steps.push(Step::Remove(paths));
        }
    }

    fn fence(&mut self) {
        self.out.steps.push(Step::Phase(Phase::Stage));
        self.out.steps.push(Step::Fence {
            bundle: self.is.purpose.bundle_id.to_owned(),
            generation: self.is.purpose.generation,
            any_bundle: self.is.purpose.any_bundle,
        });
        self.out.steps.push(Step::Expect(self.is.facts.live.clone()));
    }

    /// The host's own password and what opens its backups, where they are not as they should be. What stands in their
    /// place and is not ours is kept.
    fn admin_files(&mut self) -> (Vec<Put>, Vec<Step>) {
        let (mut puts, mut keeping) = (Vec::new(), Vec::new());
        let kept = policy::kept_name(self.is.purpose.run);
        let want = self.is.want;
        for (path, content) in want.admin_files() {
            let name = last_part(path);
            let kept = format!("secrets/{kept}/{name}");
            match self.is.facts.entries.get(path) {
                Some(_) if self.is.is_same(path, content) => {}
                Some(stat) if stat.is_file() && self.is.is_former(path) => {}
                Some(stat) if stat.is_file() => keeping.push(Step::Keep { path: path.to_owned(), kept }),
                Some(_) => keeping.push(Step::Move { path: path.to_owned(), kept }),
                None => {}
            }
            let wanted = !self.is.is_right(path, content);
            self.stage(&mut puts, name, path.to_owned(), content.clone(), wanted);
        }
        (puts, keeping)
    }

    /// What belongs to a live set that is right, and is gone: its sealed copy, and the highest generation seen.
    fn lost_records(&mut self, puts: &mut Vec<Put>) -> Result<(), Failure> {
        if let Some(run) = self.is.unsealed_run() {
            self.stage_copy(puts, "sealed", &run)?;
        }
        let lost = self.is.facts.generation.is_none();
        self.stage(puts, "generation", ".distribute/generation".to_owned(), self.generation(), lost);
        Ok(())
    }

    fn generation(&self) -> Secret {
        text(format!("generation {} {}\n", self.is.purpose.bundle_id, self.is.purpose.generation))
    }

    fn stage(&mut self, puts: &mut Vec<Put>, staged: &str, path: String, content: Secret, wanted: bool) {
        if wanted {
            self.out.staged.push(Staged::File { path: staged.to_owned(), content });
            puts.push(Put { staged: staged.to_owned(), step: Step::Put { staged: staged.to_owned(), path } });
        }
    }

    fn stage_set(&mut self, puts: &mut Vec<Put>) -> Result<(), Failure> {
        let set = policy::set_name(self.is.purpose.run);
        self.own_set();
        let manifest = self.manifest();
        self.stage(
            puts,
            "manifest",
            format!(".distribute/{}", policy::manifest_name(&set)),
            text(manifest.to_text()),
            true,
        );
        self.stage_previous(puts);
        self.stage_copy(puts, "sealed", self.is.purpose.run)?;
        self.stage(puts, "generation", ".distribute/generation".to_owned(), self.generation(), true);
        puts.push(Put { staged: "set".to_owned(), step: Step::Set(set.clone()) });
        self.out.staged.push(Staged::Link { path: "data".to_owned(), target: set });
        Ok(())
    }

    fn stage_previous(&mut self, puts: &mut Vec<Put>) {
        if let Some(live) = self.is.live_set() {
            let previous = text(format!("previous {live}\n"));
            self.stage(puts, "previous", ".distribute/previous".to_owned(), previous, true);
        }
    }

    fn manifest(&self) -> Manifest {
        let mut manifest = Manifest::default();
        for file in &self.is.want.files {
            manifest.files.insert(file.path.clone(), (self.is.purpose.mac)(file.sha256.as_bytes()));
            for (key, print) in &file.keys {
                manifest.keys.insert((file.path.clone(), key.as_str().to_owned()), print.clone());
            }
        }
        manifest
    }

    /// Mode and owner of the staged set, one step for all that agree.
    fn own_set(&mut self) {
        let access = &self.is.want.access;
        let mut groups: BTreeMap<(u32, String), Vec<String>> = BTreeMap::new();
        for file in &self.is.want.files {
            let owner = format!("{}:{}", on_the_wire(&file.owner), on_the_wire(&file.group));
            groups.entry((file.mode.bits(), owner)).or_default().push(format!("set/{}", file.path));
            let content = file.content.clone();
            self.out.staged.push(Staged::File { path: format!("set/{}", file.path), content });
        }
        let owner = format!("{}:{}", on_the_wire(&access.owner), on_the_wire(&access.group));
        let directories = self.is.want.set_directories().into_iter().map(|below| staged_set(&below)).collect();
        for ((mode, owner), paths) in groups {
            self.out.steps.push(Step::Own { paths, mode: crate::words::Mode::new(mode), owner });
        }
        self.out.steps.push(Step::Own { paths: directories, mode: access.directory_mode, owner });
        self.age_set();
    }

    /// What says the same as before keeps its time: a unit that was started since is not stale because another service changed.
    fn age_set(&mut self) {
        let mut ages: BTreeMap<i64, (String, Vec<String>)> = BTreeMap::new();
        for file in &self.is.want.files {
            if let Some((path, stat)) = self.is.same_before(file) {
                ages.entry(stat.modified).or_insert((path, Vec::new())).1.push(format!("set/{}", file.path));
            }
        }
        self.out.steps.extend(ages.into_values().map(|(like, paths)| Step::Age { like, paths }));
    }

    fn sync(&mut self, puts: &[Put], new_set: bool) {
        let staged = puts.iter().map(|put| put.staged.clone());
        let mut paths: Vec<String> = staged.filter(|staged| !staged.is_empty()).collect();
        if new_set {
            paths.extend(
                self.is.want.set_directories().iter().filter(|below| !below.is_empty()).map(|below| staged_set(below)),
            );
            paths.extend(self.is.want.files.iter().map(|file| format!("set/{}", file.path)));
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
        let kept = policy::kept_name(self.is.purpose.run);
        let mut keeping = Vec::new();
        for name in self.is.want.link_names() {
            let path = format!("secrets/{name}");
            match self.is.place(&name) {
                Place::Right => continue,
                Place::Free => before.push(name.clone()),
                Place::File => {
                    keeping.push(Step::Keep { path, kept: format!("secrets/{kept}/{name}") });
                    // A name that the old set has leads to the old set until the switch; another must not lead nowhere.
                    let shown = self.is.live().is_none() || self.is.facts.entries.contains_key(&self.is.in_live(&name));
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
        keeping.extend(
            self.is
                .foreign_backups()
                .into_iter()
                .map(|path| Step::Move { kept: format!("secrets/{kept}/{}", last_part(&path)), path }),
        );
        let adopts = self.is.live().is_none() && !keeping.is_empty();
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
        let access = &self.is.want.access;
        let owner = format!("{}:{}", on_the_wire(&access.owner), on_the_wire(&access.group));
        self.out.steps.push(Step::Directory { path: format!("secrets/{kept}"), mode: access.directory_mode, owner });
        for step in &keeping {
            if let Step::Keep { kept, .. } | Step::Move { kept, .. } = step {
                self.out.kept.push(self.is.want.root.join(kept));
            }
        }
        self.out.steps.extend(keeping);
        self.out.steps.push(Step::Flush(vec![format!("secrets/{kept}")]));
    }

    /// Hand-edited and foreign files of the live set get a second name, before the set goes out of sight.
    fn keep_drifted(&self, kept: &str) -> Vec<Step> {
        let drifted = self.out.findings.iter().filter(|finding| finding.rule == Rule::Drift);
        let prefix = self.is.want.root.join("secrets/");
        let drifted = drifted.filter_map(|finding| finding.path.strip_prefix(&prefix).map(str::to_owned));
        let paths: BTreeSet<String> =
            drifted.chain(self.is.strangers_in_live().into_iter().filter(|path| can_travel(path))).collect();
        let steps = paths.into_iter().filter(|path| {
            self.is.facts.entries.get(&self.is.in_live(path)).is_some_and(|stat| stat.kind == Kind::File)
        });
        steps
            .map(|path| Step::Keep {
                kept: format!("secrets/{kept}/set-{}", path.replace('/', "+")),
                path: self.is.in_live(&path),
            })
            .collect()
    }

    fn link(&mut self, names: Vec<String>) {
        if !names.is_empty() {
            self.out.steps.push(Step::Link(names));
        }
    }

    fn act(&mut self, owed: &BTreeSet<ServiceName>) {
        let acting: Vec<_> = self.is.want.services.iter().filter(|service| owed.contains(&service.name)).collect();
        if !acting.is_empty() || !self.is.facts.owed.is_empty() {
            self.out.steps.push(Step::Phase(Phase::Action));
            self.out.steps.push(Step::Act);
        }
        // Services that restart the same thing restart it once, and owe it together.
        let mut told: Vec<(&Vec<String>, Vec<ServiceName>)> = Vec::new();
        for service in &acting {
            let argv = service.action.as_ref().expect("only services with an action are owed one");
            match told.iter_mut().find(|(other, _)| *other == argv) {
                Some((_, services)) => services.push(service.name.clone()),
                None => told.push((argv, vec![service.name.clone()])),
            }
        }
        let seconds = policy::ACTION_SECONDS;
        let actions: Vec<Step> =
            told.into_iter().map(|(argv, services)| Step::Action { services, seconds, argv: argv.clone() }).collect();
        let changed: BTreeSet<&ServiceName> = self
            .out
            .files
            .iter()
            .filter(|file| file.change != Change::None)
            .filter_map(|file| file.service.as_ref())
            .collect();
        let checks = self
            .is
            .want
            .services
            .iter()
            .filter(|service| changed.contains(&service.name) || owed.contains(&service.name));
        let checks: Vec<Step> = checks
            .filter_map(|service| {
                let (probe, seconds) = service.health.clone()?;
                Some(Step::Health { service: service.name.clone(), seconds, probe })
            })
            .collect();
        self.out.actions = acting.iter().map(|service| service.name.clone()).collect();
        if !checks.is_empty() {
            self.out.steps.push(Step::Phase(Phase::Health));
            self.out.steps.push(Step::CheckHealth { switches_back: !self.is.purpose.is_way_back });
        }
        self.out.steps.extend(actions);
        self.out.steps.extend(checks);
    }

    /// After everything went well: links of files that are gone, the set before the one before, and backups beyond `keep`.
    fn prune(&mut self) {
        let mut paths = self.is.obsolete_links();
        if let (Some(previous), Some(live)) = (&self.is.facts.previous, self.is.live_set())
            && previous != live
            && self.before.as_ref() != Some(previous)
            && policy::run_of_set(previous).is_some()
        {
            paths.push(format!("secrets/{previous}"));
            paths.push(format!(".distribute/{}", policy::manifest_name(previous)));
        }
        // Those that this run adds count too.
        let lost = self.before.as_deref().and_then(|set| self.lost_copy(set));
        let coming = 1 + usize::from(lost.is_some()) + usize::from(self.replaced.is_some());
        paths.extend(self.is.surplus_with_more(coming, self.before.as_deref().and_then(policy::run_of_set)));
        self.remove(paths);
        self.keep_whole();
    }

    /// Somebody put a file into the set whose name we cannot say back to the host: then the set is kept as it is.
    fn keep_whole(&mut self) {
        let Some(path) = self.is.live_set().map(|live| format!("secrets/{live}")) else { return };
        let is_directory =
            |path: &str| self.is.facts.entries.get(&self.is.in_live(path)).is_some_and(Stat::is_directory);
        if self.is.strangers_in_live().iter().all(|path| can_travel(path) && !is_directory(path)) {
            return;
        }
        let kept = policy::kept_name(self.is.purpose.run);
        let keeping = Step::Move { path, kept: format!("secrets/{kept}/set") };
        self.keep(&kept, vec![keeping]);
    }
}

/// A staged file on its way to its place.
struct Put {
    staged: String,
    step: Step,
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().expect("a path has a last part")
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
