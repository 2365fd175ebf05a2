//! `Sources`: what a command on hosts starts from: inventory, playbooks, the opened bundle, and the hosts that are meant.

use super::interrupt::Interrupt;
use super::last_seen::LastSeen;
use super::login;
use super::under_way;
use super::unlock::unlock;
use super::{Project, Shared};
use crate::bundle::{Bundle, BundleFile, OpenedBy, Unlock};
use crate::inventory::{Host, Inventory};
use crate::plan::DesiredSet;
use crate::playbook::Playbook;
use crate::report::{CopyReport, Deed};
use crate::transport::Login;
use crate::words::{HostName, Result, RunId};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Instant;

/// What a run is made from, read and checked.
pub struct Sources {
    pub inventory: Inventory,
    pub playbook: Playbook,
    pub hosts: Vec<HostName>,
    pub bundle: Bundle,
    /// What is at hand to open sealed files.
    pub unlock: Unlock,
    pub store: Arc<Mutex<Store>>,
    pub login: Login,
    pub interrupt: Interrupt,
}

/// Where the bundle is saved, and remembered as seen.
pub struct Store {
    file: BundleFile,
    last_seen: LastSeen,
    quiet: bool,
}

impl Store {
    /// Where the bundle lies.
    pub fn path(&self) -> &Path {
        self.file.path()
    }

    /// Refuses to go on with a file that somebody else has written since.
    pub fn refuse_changed(&self) -> Result<()> {
        self.file.refuse_changed()
    }

    /// Keeps a copy of the sealed file as it is.
    pub fn keep_copy(&self, name: &RunId) -> Result<PathBuf> {
        self.file.keep_copy(name)
    }

    /// Where such a copy would lie.
    pub fn place_of_copy(&self, name: &RunId) -> PathBuf {
        self.file.place_of_copy(name)
    }

    /// Where such a copy lies, if there is one.
    pub fn copy_of(&self, name: &RunId) -> Option<PathBuf> {
        self.file.copy_of(name)
    }

    /// Removes such a copy again.
    pub fn forget_copy(&self, name: &RunId) {
        self.file.forget_copy(name);
    }

    /// All such copies, the oldest first.
    pub fn copies(&self) -> Result<Vec<CopyReport>> {
        let copy = |(run, path, size)| CopyReport { run, path, size, deed: Deed::None, intact: None, problem: None };
        Ok(self.file.copies()?.into_iter().map(copy).collect())
    }

    /// Opens such a copy.
    pub fn open_copy(&self, name: &RunId) -> Result<Bundle> {
        self.file.open_copy(name)
    }

    /// The same, and whether they open, where that costs no second each as with a password.
    pub fn listed_copies(&self) -> Result<Vec<CopyReport>> {
        if self.file.opened_by() == OpenedBy::Password {
            return self.copies();
        }
        let opened = self.verified_copies()?.into_iter();
        Ok(opened.map(|copy| CopyReport { deed: Deed::None, problem: None, ..copy }).collect())
    }

    /// All such copies, each opened.
    pub fn verified_copies(&self) -> Result<Vec<CopyReport>> {
        let mut copies = self.copies()?;
        for copy in &mut copies {
            let opened = self.open_copy(&copy.run);
            copy.intact = Some(opened.is_ok());
            match opened {
                Ok(_) => copy.deed = Deed::Opened,
                Err(error) => copy.problem = Some(error.to_string()),
            }
        }
        Ok(copies)
    }

    /// Removes such a copy for good.
    pub fn remove_copy(&self, name: &RunId) -> Result<()> {
        self.file.remove_copy(name)
    }

    /// Makes in memory what a bundle packed by hand lacks.
    pub fn complete(&self, bundle: &mut Bundle) -> Result<()> {
        self.file.complete(bundle)
    }

    /// Saves the bundle if it has changed, and says so.
    pub fn save(&mut self, bundle: &mut Bundle) -> Result<()> {
        if self.file.save(bundle)? {
            self.last_seen.record_saved(bundle)?;
            if !self.quiet {
                eprintln!("{}: generation {}", self.file.path().display(), bundle.generation());
            }
        }
        Ok(())
    }
}

impl Sources {
    /// Reads everything there is to read, cheapest first: a mistyped host is told before a second is spent on the password.
    pub fn load(shared: &Shared) -> Result<Self> {
        let interrupt = Interrupt::listen()?;
        let project = shared.project()?;
        let (inventory, playbook, hosts) = named(shared, &project)?;
        let unlock = unlock(shared, &project.bundle)?;
        let started = Instant::now();
        // Looked at first: what somebody else saves while we open it is not older than what we open.
        let seen = LastSeen::of(&project.bundle);
        let (opened, login) = std::thread::scope(|scope| {
            // Beside the second that the password takes: locked keys take their time too.
            let named = hosts.iter().filter_map(|name| inventory.host(name));
            let login = scope.spawn(|| login::gather(named, &unlock));
            (BundleFile::open(&project.bundle, &unlock), login.join().expect("reading keys does not panic"))
        });
        let (file, bundle) = opened?;
        let login = login?;
        shared.detail(format_args!("{}: opened in {:.1} s", project.bundle.display(), started.elapsed().as_secs_f64()));
        let mut last_seen = seen?;
        last_seen.check(&bundle)?;
        if !shared.check {
            last_seen.record(&bundle)?;
        }
        Ok(Self {
            inventory,
            playbook,
            hosts,
            bundle,
            unlock,
            store: Arc::new(Mutex::new(Store { file, last_seen, quiet: shared.quiet })),
            login,
            interrupt,
        })
    }

    /// For commands that only look: says if a rotation is under way.
    pub fn note_under_way(&self) {
        under_way::note(self.bundle.rotation(), self.store().path());
    }

    /// For commands that would send or change what a rotation is about.
    pub fn refuse_under_way(&self) -> Result<()> {
        self.bundle.rotation().map_or(Ok(()), |rotation| Err(under_way::refusal(rotation, self.store().path())))
    }

    /// The file of the bundle, for one at a time.
    pub fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().expect("nobody panics while saving")
    }

    /// A host that was selected.
    pub fn host(&self, name: &HostName) -> &Host {
        self.inventory.host(name).expect("the name came from this inventory")
    }

    /// What the plays give this host.
    pub fn sets(&self, host: &HostName) -> Result<Vec<DesiredSet>> {
        DesiredSet::for_host(&self.inventory, &self.playbook, &self.bundle, self.host(host))
    }
}

fn named(shared: &Shared, project: &Project) -> Result<(Inventory, Playbook, Vec<HostName>)> {
    let inventory = Inventory::load(&project.inventory)?;
    let playbook = Playbook::load(&project.playbooks)?;
    let hosts = inventory.select(&shared.pattern()?)?.into_iter().map(|host| host.name.clone()).collect();
    Ok((inventory, playbook, hosts))
}
