//! `Salvage`: opens what hosts give back, with what is at hand and with the keys found beside it, and keeps what is of use.

use crate::bundle::{BackupKey, Keepsake, RemainingFile, Remains, Unlock, Written};
use crate::dialect::Dialect;
use crate::engine::{Salvor, Taken};
use crate::plan::backup::{Backup, HeldBackup, LabelledFile, Standing, Why};
use crate::plan::{DesiredSet, RootFacts};
use crate::playbook::Format;
use crate::report::{Deed, HostReport};
use crate::words::{HostName, RunId, Secret, printable};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

/// A root of a host.
type Place = (HostName, String);

/// What is at hand, and what was found so far.
pub struct Salvage {
    unlock: Unlock,
    /// `key.age` -> the identity in it, or why it does not open. Opening one takes a second, and hosts have the same.
    keys: Mutex<Vec<(Secret, Result<Secret, String>)>>,
    found: Mutex<Found>,
}

#[derive(Default)]
struct Found {
    remains: Vec<Remains>,
    opened: BTreeSet<Place>,
    /// The newest backup of each place where none opened so far.
    locked: BTreeMap<Place, (DesiredSet, HeldBackup, Vec<u8>)>,
    /// What receipts say of runs.
    whys: BTreeMap<Place, BTreeMap<RunId, Why>>,
    seen: Vec<(Option<String>, u64)>,
    /// Places without a backup, and whether there is anything at all.
    bare: Vec<(Place, bool)>,
}

/// Everything that was found.
pub struct Salvaged {
    pub remains: Vec<Remains>,
    pub seen: Vec<(Option<String>, u64)>,
    /// Places without a backup, for people.
    pub bare: Vec<String>,
}

impl Salvaged {
    /// Did this host give anything back?
    pub fn has(&self, host: &HostName) -> bool {
        self.remains.iter().any(|one| one.host == *host)
    }
}

impl Salvor for Salvage {
    fn look(&self, set: &DesiredSet, facts: &RootFacts) {
        let mut found = self.found();
        found.seen.push(facts.highest());
        let whys = facts.receipts.iter().map(|(run, receipt)| (run.clone(), receipt.why)).collect();
        found.whys.insert(place(set), whys);
        if facts.newest_backup().is_none() {
            found.bare.push((place(set), facts.entries.contains_key(set.root.as_str())));
        }
    }

    fn take(&self, set: &DesiredSet, held: &HeldBackup, key_age: Option<&Secret>, sealed: Vec<u8>) -> Taken {
        let key = key_age.map(|locked| (locked, self.key(locked)));
        let own = key.as_ref().and_then(|(_, key)| key.as_ref().ok());
        match self.unlock.open_backup(&sealed, own) {
            Ok((packed, by_key)) => {
                let key = key.filter(|_| by_key).and_then(|(locked, key)| Some((locked, key.ok()?)));
                let key = key.map(|(locked, identity)| BackupKey { identity, locked: locked.clone() });
                self.keep(set, held, &packed, key).unwrap_or_else(useless)
            }
            Err(error) => {
                let locked = (set.clone(), held.clone(), sealed);
                self.found().locked.entry(place(set)).or_insert(locked);
                let of_key = key.and_then(|(_, key)| key.err()).map(|why| format!("; backups/key.age: {why}"));
                // Damaged it would have no hints.
                let recipients = held.receipt.as_ref().map(|receipt| receipt.recipients.join(" or "));
                let whose = recipients.filter(|keys| !keys.is_empty() && !error.hints().is_empty());
                let whose = whose.map(|keys| format!("; the identity of {keys} opens it")).unwrap_or_default();
                useless(format!("{}{}{whose}", because(&error), of_key.unwrap_or_default()))
            }
        }
    }
}

impl Salvage {
    /// Nothing was found yet.
    pub fn new(unlock: Unlock) -> Self {
        Self { unlock, keys: Mutex::default(), found: Mutex::default() }
    }

    fn found(&self) -> std::sync::MutexGuard<'_, Found> {
        self.found.lock().expect("nobody panics while keeping")
    }

    /// The identity in a `key.age`.
    fn key(&self, locked: &Secret) -> Result<Secret, String> {
        let mut keys = self.keys.lock().expect("nobody panics while opening");
        if let Some((_, key)) = keys.iter().find(|(known, _)| known == locked) {
            return key.clone();
        }
        let key = self.unlock.open_key_age(locked.expose()).map_err(|error| because(&error));
        keys.push((locked.clone(), key.clone()));
        key
    }

    /// Checks that it is what its name and its place say, and keeps it if it adds something.
    fn keep(
        &self,
        set: &DesiredSet,
        held: &HeldBackup,
        packed: &[u8],
        key: Option<BackupKey>,
    ) -> Result<Taken, String> {
        let backup = Backup::unpack(packed).map_err(|error| error.to_string())?;
        if let Some(why) = backup.label.is_not_of(set, &held.run, &backup.label.bundle) {
            return Err(why);
        }
        let keepsake = Keepsake::read(&backup.keepsake).map_err(|error| error.to_string())?;
        if keepsake.bundle_id() != backup.label.bundle {
            return Err("its label is of another bundle than what it kept".to_owned());
        }
        let mut found = self.found();
        let is_pushed = is_pushed(&backup, found.whys.get(&place(set)));
        let is_enough = is_pushed && backup.label.files.iter().all(|file| !file.edited);
        // Of those that may be somebody's work the newest is enough.
        if found.opened.insert(place(set)) || is_pushed {
            found.remains.push(remains(set, backup, keepsake, is_pushed, key));
        }
        Ok(Taken { problem: None, is_enough })
    }

    /// What was found on all hosts. A backup for which the key was missing may open with the one of another host.
    pub fn end(&self, hosts: &mut [HostReport]) -> Salvaged {
        let locked = std::mem::take(&mut self.found().locked);
        for (place, (set, held, sealed)) in locked {
            if !self.found().opened.contains(&place) && self.open_late(&set, &held, &sealed) {
                let path = set.root.join(&held.path);
                let backups = hosts.iter_mut().filter(|host| host.host == set.host).flat_map(|host| &mut host.backups);
                for backup in backups.filter(|backup| backup.path == path) {
                    (backup.problem, backup.deed, backup.standing) = (None, Deed::Opened, Standing::Intact);
                }
            }
        }
        let found = std::mem::take(&mut *self.found());
        let has_any = |host: &HostName| found.whys.keys().any(|place| place.0 == *host && !is_bare(&found.bare, place));
        let told = |((host, root), is_there): &(Place, bool)| {
            (*is_there || !has_any(host)).then(|| format!("{root} of {host}"))
        };
        Salvaged { bare: found.bare.iter().filter_map(told).collect(), remains: found.remains, seen: found.seen }
    }

    fn open_late(&self, set: &DesiredSet, held: &HeldBackup, sealed: &[u8]) -> bool {
        let keys = self.keys.lock().expect("nobody panics while opening").clone();
        keys.into_iter().any(|(locked, identity)| {
            let Ok(identity) = identity else { return false };
            let Ok((packed, by_key)) = self.unlock.open_backup(sealed, Some(&identity)) else { return false };
            let key = by_key.then_some(BackupKey { identity, locked });
            self.keep(set, held, &packed, key).is_ok()
        })
    }
}

fn place(set: &DesiredSet) -> Place {
    (set.host.clone(), set.root.as_str().to_owned())
}

fn is_bare(bare: &[(Place, bool)], place: &Place) -> bool {
    bare.iter().any(|(one, _)| one == place)
}

fn useless(problem: String) -> Taken {
    // A label says what it likes.
    Taken { problem: Some(printable(problem.as_bytes(), 500)), is_enough: false }
}

/// The message, and why the first of those at hand did not do.
fn because(error: &crate::words::Error) -> String {
    let hints = error.hints();
    let first = hints.first().filter(|_| hints.len() > 1).map(|hint| format!(" ({hint})"));
    format!("{error}{}", first.unwrap_or_default())
}

/// Read back from a host it is still what was pushed, if the set that was live came from the bundle.
fn is_pushed(backup: &Backup, whys: Option<&BTreeMap<RunId, Why>>) -> bool {
    let live = backup.label.of.as_ref().and_then(|run| whys?.get(run));
    let is_read_back = backup.label.why == Why::Backup && live.is_some_and(|why| why.is_from_bundle());
    is_read_back || backup.label.why.is_from_bundle()
}

fn written(format: Format) -> Written {
    match (format, format.dialect()) {
        (Format::In(Dialect::Docker) | Format::Raw, _) => Written::AsStored,
        (Format::Files, _) => Written::OneKey,
        (_, Some(dialect)) => Written::In(dialect),
        (_, None) => Written::Rendered,
    }
}

fn remains(set: &DesiredSet, backup: Backup, keepsake: Keepsake, is_pushed: bool, key: Option<BackupKey>) -> Remains {
    let Backup { label, mut files, vault_password, .. } = backup;
    let file = |file: LabelledFile| RemainingFile {
        content: files.remove(&file.path).unwrap_or_else(|| Secret::new(Vec::new())),
        written: written(file.format),
        path: file.path,
        service: file.service,
        from: file.from,
        overrides: file.overrides,
        is_edited: file.edited,
    };
    Remains {
        host: set.host.clone(),
        run: label.of.unwrap_or_else(|| label.run.clone()),
        made: label.run,
        is_pushed,
        keepsake,
        vault_password,
        files: label.files.into_iter().map(file).collect(),
        backup_key: key,
    }
}
