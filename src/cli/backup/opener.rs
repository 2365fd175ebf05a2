//! `Opener`: opens sealed backups here, with the bundle's own key or whatever else is at hand, and says of each that does not open why.

use crate::bundle::{Bundle, NotOpened, Unlock};
use crate::cli::sources::Sources;
use crate::engine::BackupOpener;
use crate::plan::DesiredSet;
use crate::plan::backup::{Backup, HeldBackup, Standing};
use std::sync::Arc;

/// What may open a backup.
#[derive(Clone)]
pub struct Opener {
    bundle: Bundle,
    unlock: Unlock,
}

impl Opener {
    /// With what opened the bundle.
    pub fn new(sources: &Sources) -> Self {
        Self { bundle: sources.bundle.clone(), unlock: sources.unlock.clone() }
    }

    /// For an engine that opens what it reads back.
    pub fn shared(self) -> Arc<BackupOpener> {
        Arc::new(move |set, held, sealed| self.open(set, held, sealed))
    }

    /// Opens it, and checks that it is what its name, its place and its label say.
    ///
    /// # Errors
    /// What is wrong with it, for a line behind its name.
    pub fn open(&self, set: &DesiredSet, held: &HeldBackup, sealed: &[u8]) -> Result<Backup, String> {
        let opened = self.open_here(set, held, sealed);
        match (&held.receipt, held.standing) {
            // What its run sealed was something else, whatever this is.
            (Some(_), Standing::Damaged) => {
                Err(opened.err().unwrap_or_else(|| "it is not what its run sealed".to_owned()))
            }
            _ => opened,
        }
    }

    fn open_here(&self, set: &DesiredSet, held: &HeldBackup, sealed: &[u8]) -> Result<Backup, String> {
        let size = held.receipt.as_ref().map(|receipt| receipt.size);
        let is_shorter = size.is_some_and(|size| (sealed.len() as u64) < size);
        let is_begun = sealed.is_empty() || sealed.starts_with(b"age-encryption.org");
        let packed = self.bundle.open_backup(sealed, &self.unlock).map_err(|why| match why {
            NotOpened::Damaged | NotOpened::NotSealed(_) if is_shorter && is_begun => {
                format!("it is cut off: {} of {} bytes are there", sealed.len(), size.unwrap_or_default())
            }
            NotOpened::NotSealed(why) => why,
            NotOpened::Damaged => "it is cut off or altered: it is not what its run sealed".to_owned(),
            NotOpened::NoKey => {
                format!("no key at hand opens it: it was sealed for others{}", self.who_opens(held))
            }
        })?;
        let backup = Backup::unpack(&packed).map_err(|error| error.to_string())?;
        match backup.label.is_not_of(set, &held.run, self.bundle.id()) {
            Some(why) => Err(why),
            None => Ok(backup),
        }
    }

    /// Whose identity opens it, as far as its receipt says.
    fn who_opens(&self, held: &HeldBackup) -> String {
        let Some(receipt) = &held.receipt else { return String::new() };
        let gone = |one: &&String| !self.bundle.recipients().iter().any(|known| known.word() == **one);
        let mut keys: Vec<&str> = receipt.recipients.iter().filter(gone).map(String::as_str).collect();
        keys.sort_unstable();
        // Beside another bundle's backup lies our key.
        let is_ours = receipt.bundle == self.bundle.id();
        let password = if is_ours { "; whatever opens backups/key.age on the host gives a key that does" } else { "" };
        match keys.is_empty() {
            true => password.to_owned(),
            false => format!("; the identity of {} opens it (--identity){password}", keys.join(" or ")),
        }
    }
}
