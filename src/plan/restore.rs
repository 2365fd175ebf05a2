//! `Restore`: what a host is to be put back to, out of what is still there: the set before, by one rename, or a sealed copy. What is wanted
//! then becomes a `DesiredSet` like any other, so that switch, actions, health checks and the way back are those of a deploy.

use super::backup::{Backup, HeldBackup, LabelledFile, Standing, Which, Why, held};
use super::difference::Difference;
use super::keys_in::{keys_in, with_keys};
use super::{DesiredFile, DesiredSet, Manifest, Purpose, RootFacts, policy};
use crate::bundle::{EnvFile, Origin};
use crate::dialect::Dialect;
use crate::playbook::Format;
use crate::words::{Failure, KeyName, Mode, Phase, Principal, RunId, Secret, ServiceName};
use std::collections::{BTreeMap, BTreeSet};

/// What somebody wants back.
#[derive(Clone, Debug)]
pub struct Restore {
    /// One backup of each host.
    pub which: Which,
    /// Only these services; all if there is none.
    pub services: Vec<ServiceName>,
}

/// Where it comes from.
#[derive(Clone, Debug)]
pub enum Source {
    /// It is live: there is nothing to do. Says why, if the run that was named is another.
    Live(Option<String>),
    /// The set before, whole and still on the host.
    Set(String),
    Copy(HeldBackup),
    /// There is nothing before what is live. Another root of the host may have something.
    Nothing(Failure),
}

/// A secret that is brought back and whose value in the bundle is another: `aws.KEY`, or `tls/cert.pem`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct OtherValue {
    pub secret: String,
    /// `None` if there was no such key then.
    print: Option<Print>,
}

/// What tells a value without showing it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Print {
    /// The bundle's fingerprint.
    Key(String),
    /// The SHA-256 of a whole file.
    File(String),
}

impl OtherValue {
    /// Is there a value, that a bundle could take?
    pub fn is_there(&self) -> bool {
        self.print.is_some()
    }

    /// Is it this one?
    pub fn is(&self, value: &Secret, fingerprint: &dyn Fn(&[u8]) -> String) -> bool {
        match &self.print {
            Some(Print::Key(print)) => fingerprint(value.expose()) == *print,
            Some(Print::File(sha256)) => super::desired::sha256(value.expose()) == *sha256,
            None => false,
        }
    }
}

impl Restore {
    /// Finds it on a host.
    ///
    /// # Errors
    /// When it is not there, or cannot be relied on; the failure names what is.
    pub fn choose(&self, set: &DesiredSet, facts: &RootFacts, purpose: &Purpose) -> Result<Source, Failure> {
        if !self.services.is_empty() && !set.services.iter().any(|service| self.is_meant(&service.name)) {
            return Ok(Source::Live(None));
        }
        let held = held(set, facts, purpose);
        let live = facts.live_run();
        let before = self.set_before(set, facts, purpose, &held);
        let run = match &self.which {
            Which::Run(run) => run.clone(),
            Which::Previous => match facts.previous.as_deref().and_then(policy::run_of_set) {
                // A run writes it down before it switches: one that died in between leaves no word of what was before.
                Some(run) if live.as_ref() == Some(&run) && !is_newest(&held, &run) => {
                    return Err(nothing(set, &held, "a run died here, and which set was the one before is not known"));
                }
                Some(run) if live.is_some() && live.as_ref() != Some(&run) => run,
                _ => match self.named(&held, live.as_ref(), set) {
                    Ok(run) => run,
                    Err(failure) => return Ok(Source::Nothing(failure)),
                },
            },
            Which::At(time) => {
                let known = held.iter().map(|one| &one.run).chain(&live);
                match known.filter(|run| run.time() <= *time).max() {
                    Some(run) => run.clone(),
                    None => return Err(nothing(set, &held, "nothing here is as old as that")),
                }
            }
            Which::All | Which::Newest => self.named(&held, live.as_ref(), set)?,
        };
        if live.as_ref() == Some(&run) && is_untouched(set, facts, purpose) {
            return Ok(Source::Live(None));
        }
        if let Some(name) = before.filter(|name| policy::run_of_set(name).as_ref() == Some(&run)) {
            return Ok(Source::Set(name));
        }
        match held.iter().find(|one| one.run == run) {
            Some(one) if matches!(one.standing, Standing::Intact | Standing::Unrecorded) => {
                Ok(Source::Copy(one.clone()))
            }
            Some(one) => Err(nothing(set, &held, &format!("the backup of run {run} is {}", told(one.standing)))),
            None if live.as_ref().is_some_and(|live| *live < run && is_newest(&held, live))
                && is_past(&run, purpose) =>
            {
                let live = live.expect("it was looked at");
                Ok(Source::Live(Some(format!("run {run} changed nothing here: what {live} brought is live still"))))
            }
            None => Err(nothing(set, &held, &format!("there is no backup of run {run} here"))),
        }
    }

    fn named(&self, held: &[HeldBackup], live: Option<&RunId>, set: &DesiredSet) -> Result<RunId, Failure> {
        // Where nothing is live any more, the newest is what was there before.
        let which = if live.is_none() { &Which::Newest } else { &self.which };
        let one = which.of(held, live).first().map(|one| one.run.clone());
        one.ok_or_else(|| nothing(set, held, "there is no earlier backup here"))
    }

    /// The set before, if it may be live again as it is: every file what was put there, with the mode and the owner that the playbook
    /// wants now, for services that the host gets now.
    fn set_before(
        &self,
        set: &DesiredSet,
        facts: &RootFacts,
        purpose: &Purpose,
        held: &[HeldBackup],
    ) -> Option<String> {
        let name = facts.previous.as_deref().filter(|_| facts.live.is_some())?;
        let run = policy::run_of_set(name)?;
        let manifest = facts.manifests.get(name).filter(|manifest| !manifest.files.is_empty())?;
        // Whose copy is another's was not this host's under this name, whatever lies there; without a receipt only opening it tells.
        let may_be_anothers = held.iter().any(|one| {
            one.run == run && matches!(one.standing, Standing::Swapped | Standing::Foreign | Standing::Unrecorded)
        });
        let is_right = |(path, mac): (&String, &String)| {
            let at = format!("secrets/{name}/{path}");
            let (Some(stat), Some(hash), Some(place)) =
                (facts.entries.get(&at), facts.hashes.get(&at), place_of(set, path))
            else {
                return false;
            };
            let belongs = stat.belongs_to(&place.owner, &place.group) && stat.mode == place.mode && stat.links == 1;
            stat.is_file() && belongs && (purpose.mac)(hash.as_bytes()) == *mac
        };
        let prefix = format!("secrets/{name}/");
        let directory = |path: &str| {
            manifest.files.keys().any(|file| file.strip_prefix(path).is_some_and(|rest| rest.starts_with('/')))
        };
        let below = facts.entries.iter().filter_map(|(path, stat)| Some((path.strip_prefix(&prefix)?, stat)));
        let is_known = |(path, stat): (&str, &super::Stat)| match stat.is_directory() {
            true => {
                directory(path)
                    && stat.mode == set.access.directory_mode
                    && stat.belongs_to(&set.access.owner, &set.access.group)
            }
            false => manifest.files.contains_key(path),
        };
        let top = facts.entries.get(&format!("secrets/{name}"))?;
        let is_own = top.is_directory()
            && top.mode == set.access.directory_mode
            && top.belongs_to(&set.access.owner, &set.access.group);
        (!may_be_anothers && is_own && manifest.files.iter().all(is_right) && below.into_iter().all(is_known))
            .then(|| name.to_owned())
    }

    /// What the set before makes wanted, without its contents: only their hashes are known here.
    pub fn of_set(set: &DesiredSet, facts: &RootFacts, name: &str) -> DesiredSet {
        let manifest = &facts.manifests[name];
        let files = manifest.files.keys().filter_map(|path| {
            let sha256 = facts.hashes.get(&format!("secrets/{name}/{path}"))?.clone();
            let file = place_of(set, path)?;
            Some(DesiredFile { sha256, keys: keys_of(manifest, path), ..file })
        });
        DesiredSet { files: files.collect(), ..set.clone() }
    }

    /// The same with the contents that were read back: takes what lay in the set's directory.
    ///
    /// # Errors
    /// When they are not what the host said a moment ago.
    pub fn with_contents(
        want: DesiredSet,
        name: &str,
        read: &mut BTreeMap<String, Secret>,
        fingerprint: &dyn Fn(&[u8]) -> String,
    ) -> Result<DesiredSet, Failure> {
        let changed = || {
            Failure::new(Phase::Stage, format!("secrets/{name} was changed while it was read; nothing was changed"))
                .hint("run this again when nobody is at work there")
        };
        let mut files = Vec::new();
        for file in want.files {
            let content = read.remove(&format!("secrets/{name}/{}", file.path)).ok_or_else(changed)?;
            let sha256 = file.sha256.clone();
            files.push(
                Some(filled(file, content, fingerprint)).filter(|file| file.sha256 == sha256).ok_or_else(changed)?,
            );
        }
        Ok(DesiredSet { files, ..want })
    }

    /// What is live as what is wanted, where its actions are owed since a run that died: they are run then, as on a deploy. `None` if there
    /// is more to do than that, which is for a deploy.
    pub fn of_owed(set: &DesiredSet, facts: &RootFacts) -> Option<DesiredSet> {
        let live = facts.live.as_deref().filter(|live| facts.manifests.contains_key(*live))?;
        let run = policy::run_of_set(live)?;
        // Else it would be sealed now, and its contents are not here.
        let is_sealed = facts.entries.contains_key(&format!("backups/{}", policy::backup_name(&run)))
            && facts.receipts.contains_key(&run);
        let want = Self::of_set(set, facts, live);
        let is_whole = want.files.len() == facts.manifests[live].files.len();
        (is_sealed && is_whole && !facts.owed.is_empty()).then_some(want)
    }

    /// What a backup makes wanted; and the files of it that belong to no service of the host any more. Of some services only: the rest is
    /// as it is in `present`, which was read back.
    pub fn of_backup(
        &self,
        set: &DesiredSet,
        backup: &Backup,
        present: Option<&Backup>,
        fingerprint: &dyn Fn(&[u8]) -> String,
    ) -> (DesiredSet, Vec<String>) {
        let (mut files, mut left) = (Vec::new(), Vec::new());
        for (path, content) in &backup.files {
            match place_of(set, path).map(|place| in_format_of(place, backup)) {
                Some(place) if self.is_meant(&place.service) => {
                    let content = without_others(set, &place, content, backup);
                    files.push(filled(place, content, fingerprint));
                }
                Some(_) => {}
                None => left.push(path.clone()),
            }
        }
        for (path, content) in present.iter().flat_map(|present| &present.files) {
            let Some(place) = place_of(set, path).filter(|place| !self.is_meant(&place.service)) else { continue };
            let present = present.expect("it has files");
            let place = in_format_of(place, present);
            let content = self.merged(set, &place, content, backup, present);
            files.push(filled(place, content, fingerprint));
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        // What is left of other services is not asked for.
        let left = if self.services.is_empty() { left } else { Vec::new() };
        (DesiredSet { files, ..set.clone() }, left)
    }

    /// The secrets that are brought back and whose value in the bundle is another. Files that are made of others are not asked.
    pub fn other_than_bundle(&self, bundle: &DesiredSet, restored: &DesiredSet) -> Vec<OtherValue> {
        let is_own = |file: &&DesiredFile| {
            let service = bundle.services.iter().find(|service| service.name == file.service);
            let is_made = file.format == Format::Template;
            let is_own = service.is_some_and(|service| service.sources == [file.service.clone()]);
            self.is_meant(&file.service) && is_own && !is_made
        };
        let mut others = BTreeSet::new();
        for file in restored.files.iter().filter(is_own) {
            let Some(wanted) = bundle.files.iter().find(|wanted| wanted.path == file.path) else { continue };
            let (service, is_env) = (&file.service, !file.keys.is_empty() || !wanted.keys.is_empty());
            if file.sha256 != wanted.sha256 && !is_env {
                let document = wanted.origin.documents.last().map(|document| document.to_string());
                let name = document.map(|document| document.trim_start_matches("services/").to_owned());
                let secret = name.unwrap_or_else(|| file.path.clone());
                others.insert(OtherValue { secret, print: Some(Print::File(file.sha256.clone())) });
            }
            let print_in = |keys: &[(KeyName, String)], key: &KeyName| {
                keys.iter().find(|(other, _)| other == key).map(|(_, print)| print.clone())
            };
            for (key, _) in file.keys.iter().chain(&wanted.keys) {
                let print = print_in(&file.keys, key);
                if print != print_in(&wanted.keys, key) {
                    let layer = wanted.origin.overrides.get(key).map(|scope| format!("{scope}/")).unwrap_or_default();
                    others
                        .insert(OtherValue { secret: format!("{layer}{service}.{key}"), print: print.map(Print::Key) });
                }
            }
        }
        others.into_iter().collect()
    }

    fn is_meant(&self, service: &ServiceName) -> bool {
        self.services.is_empty() || self.services.contains(service)
    }

    /// An env file that includes others has the values of those that are brought back.
    fn merged(
        &self,
        set: &DesiredSet,
        place: &DesiredFile,
        content: &Secret,
        backup: &Backup,
        present: &Backup,
    ) -> Secret {
        let service = set.services.iter().find(|service| service.name == place.service);
        let sources = service.into_iter().flat_map(|service| &service.sources);
        let brought: Vec<&ServiceName> =
            sources.filter(|source| **source != place.service && self.services.contains(source)).collect();
        // One file, or one a key.
        let env = |files: &Backup, source: &ServiceName| {
            let of_source = |(path, content): (&String, &Secret)| {
                let place = place_of(set, path).filter(|place| place.service == *source)?;
                keys_in(&in_format_of(place, files), content)
            };
            files.files.iter().filter_map(of_source).reduce(|mut all, more| {
                all.overlay(&more);
                all
            })
        };
        let Some(mut merged) = keys_in(place, content) else { return content.clone() };
        for source in brought {
            let (Some(old), Some(now)) = (env(backup, source), env(present, source)) else { continue };
            for key in now.keys().filter(|key| old.get(key).is_none()) {
                merged.remove(key);
            }
            for (key, value) in old.values() {
                merged.set(&key, value);
            }
        }
        with_keys(place, &merged).unwrap_or_else(|| content.clone())
    }
}

/// In what the service's one file was written then, if its backup says so.
fn in_format_of(place: DesiredFile, backup: &Backup) -> DesiredFile {
    let format = backup.label.file(&place.path).map(|file| file.format);
    // Of labels from before there were formats, what is in a directory is as it is.
    let format = format.filter(|format| *format != Format::In(Dialect::Docker) || !place.path.contains('/'));
    DesiredFile { format: format.unwrap_or(place.format), ..place }
}

/// Where a service's one file lies.
fn path_of(set: &DesiredSet, service: &ServiceName) -> String {
    let file = set.files.iter().find(|file| file.service == *service && !file.path.contains('/'));
    file.map_or_else(|| format!("{service}.env"), |file| file.path.clone())
}

/// The facts of a root with the keys of what is really live there, where somebody changed what had been put.
pub fn as_found(facts: &RootFacts, present: &Backup, fingerprint: &dyn Fn(&[u8]) -> String) -> RootFacts {
    let mut facts = facts.clone();
    for (path, content) in &present.files {
        let found = match present.label.file(path) {
            Some(file) if file.format != Format::In(Dialect::Docker) => values_of(file, content),
            _ => EnvFile::parse(content.expose()).ok(),
        };
        let Some(env) = found else { continue };
        let keys = &mut facts.manifest.keys;
        if keys.keys().any(|(of, _)| of == path) {
            keys.retain(|(of, _), _| of != path);
            let found = env.values().into_iter();
            keys.extend(found.map(|(key, value)| ((path.clone(), key.to_string()), fingerprint(value.expose()))));
        }
    }
    facts
}

/// Did no later run bring anything here, as far as its backups tell?
fn is_newest(held: &[HeldBackup], live: &RunId) -> bool {
    let is_brought = |one: &&HeldBackup| one.receipt.as_ref().is_none_or(|receipt| receipt.why != Why::Backup);
    held.iter().filter(is_brought).all(|one| one.run <= *live)
}

/// May there have been such a run? A later generation than the bundle's was none's.
fn is_past(run: &RunId, purpose: &Purpose) -> bool {
    run.generation() <= purpose.generation && run.time() <= purpose.run.time()
}

/// By its label alone: whose it is does not matter.
fn values_of(file: &LabelledFile, content: &Secret) -> Option<EnvFile> {
    let mut env = EnvFile::default();
    let values = file.format.dialect()?.read(content.expose()).ok()?;
    values.into_iter().for_each(|(key, value)| _ = env.set(&key, value));
    Some(env)
}

/// An env file that includes others, without the values of services that the host does not get any more.
fn without_others(set: &DesiredSet, place: &DesiredFile, content: &Secret, backup: &Backup) -> Secret {
    let env = |path: &str| {
        let content = backup.files.get(path)?;
        match backup.label.file(path) {
            Some(file) if file.format != Format::In(Dialect::Docker) => values_of(file, content),
            _ => EnvFile::parse(content.expose()).ok(),
        }
    };
    let own = path_of(set, &place.service);
    let is_union =
        set.services.iter().any(|service| service.name == place.service && service.sources != [place.service.clone()]);
    let gone: Vec<&String> = backup.files.keys().filter(|path| place_of(set, path).is_none()).collect();
    let Some(mut merged) = env(&own).filter(|_| is_union && !gone.is_empty()) else { return content.clone() };
    let given = backup.files.keys().filter(|path| **path != own && !path.contains('/') && !gone.contains(path));
    let given: Vec<EnvFile> = given.filter_map(|path| env(path)).collect();
    for env in gone.into_iter().filter_map(|path| env(path)) {
        for key in env.keys().filter(|key| !given.iter().any(|env| env.get(key).is_some())) {
            merged.remove(key);
        }
    }
    with_keys(place, &merged).unwrap_or_else(|| content.clone())
}

/// Are the files live that its run put there, and sealed to the byte? Then nothing more has to be backed up before they go out of sight.
pub fn is_sealed_as_it_is(set: &DesiredSet, facts: &RootFacts, purpose: &Purpose) -> bool {
    let live = facts.live_run();
    let is_kept = held(set, facts, purpose).iter().any(|one| Some(&one.run) == live.as_ref() && one.standing.is_good());
    is_kept && is_untouched(set, facts, purpose)
}

/// Has nobody changed what is live?
fn is_untouched(set: &DesiredSet, facts: &RootFacts, purpose: &Purpose) -> bool {
    let is = Difference { want: set, facts, purpose };
    let live = facts.live.as_deref().unwrap_or_default();
    let is_as_put = |(path, mac): (&String, &String)| {
        let hash = facts.hashes.get(&format!("secrets/{live}/{path}"));
        hash.is_some_and(|hash| (purpose.mac)(hash.as_bytes()) == *mac)
    };
    let links: BTreeSet<&str> = facts.manifest.files.keys().filter_map(|path| path.split('/').next()).collect();
    let is_linked =
        |name: &&str| facts.entries.get(&format!("secrets/{name}")).is_some_and(|stat| is.is_our_link(name, stat));
    is.live_set().is_some()
        && facts.manifest.files.iter().all(is_as_put)
        && links.iter().all(is_linked)
        && is.strangers_in_live().is_empty()
}

/// Where a file of this name belongs now: its service, mode and owner. `None` if no service of the host has it.
fn place_of(set: &DesiredSet, path: &str) -> Option<DesiredFile> {
    if let Some(file) = set.files.iter().find(|file| file.path == path) {
        return Some(DesiredFile {
            keys: Vec::new(),
            values: Vec::new(),
            content: Secret::new(Vec::new()),
            ..file.clone()
        });
    }
    let suffixes = Format::all().map(Format::suffix).filter(|suffix| !suffix.is_empty());
    let heads = suffixes.filter_map(|suffix| path.strip_suffix(suffix));
    let head = path.split_once('/').map(|(directory, _)| directory).or(heads.into_iter().next())?;
    let service = set.services.iter().find(|service| service.name.as_str() == head)?;
    let sibling = set.files.iter().find(|file| file.service == service.name);
    let or_set = |of: fn(&DesiredFile) -> &Principal, own: &Principal| sibling.map_or(own, of).clone();
    Some(DesiredFile {
        path: path.to_owned(),
        service: service.name.clone(),
        format: sibling.map_or(Format::In(Dialect::Docker), |file| file.format),
        manifest: sibling.and_then(|file| file.manifest.clone()),
        origin: Origin::default(),
        content: Secret::new(Vec::new()),
        sha256: String::new(),
        keys: Vec::new(),
        values: Vec::new(),
        mode: sibling.map_or(set.access.mode, |file: &DesiredFile| -> Mode { file.mode }),
        owner: or_set(|file| &file.owner, &set.access.owner),
        group: or_set(|file| &file.group, &set.access.group),
    })
}

/// With its content, and what reports say of its keys.
fn filled(place: DesiredFile, content: Secret, fingerprint: &dyn Fn(&[u8]) -> String) -> DesiredFile {
    let values = keys_in(&place, &content).map(|env| env.values()).unwrap_or_default();
    DesiredFile {
        sha256: super::desired::sha256(content.expose()),
        keys: values.iter().map(|(key, value)| (key.clone(), fingerprint(value.expose()))).collect(),
        values: super::contents::to_strike_out(place.format, &values),
        content,
        ..place
    }
}

fn keys_of(manifest: &Manifest, path: &str) -> Vec<(KeyName, String)> {
    let keys = manifest.keys.iter().filter(|((of, _), _)| of == path);
    keys.filter_map(|((_, key), print)| Some((KeyName::new(key).ok()?, print.clone()))).collect()
}

/// With what it means.
fn told(standing: Standing) -> String {
    let means = match standing {
        Standing::Swapped => ": its receipt is that of another host or place",
        Standing::Foreign => ": it is another bundle's",
        Standing::Damaged => ": it is not what its run sealed",
        Standing::Intact | Standing::Unrecorded => "",
    };
    format!("{standing}{means}")
}

fn nothing(set: &DesiredSet, held: &[HeldBackup], why: &str) -> Failure {
    let good: Vec<String> = held.iter().filter(|one| one.standing.is_good()).map(|one| one.run.to_string()).collect();
    let hint = match good.is_empty() {
        true => format!("it has no good backup: `distribute deploy --hosts {}` brings what the bundle says", set.host),
        false => format!("it has these, the newest last: {}", good.join(", ")),
    };
    Failure::new(Phase::Stage, format!("{why}; nothing was changed")).hint(hint)
}
