//! `Opener`: opens sealed backups here, with the bundle's own key or whatever else is at hand, and says of each that does not open why.

use crate::bundle::{Bundle, Unlock};
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
        if let (Standing::Damaged, Some(receipt)) = (held.standing, &held.receipt) {
            return Err(match sealed.len() as u64 {
                size if size < receipt.size => format!("it is cut off: {size} of {} bytes are there", receipt.size),
                _ => "it is not what its run sealed: it was altered, or something else was put in its place".to_owned(),
            });
        }
        let packed = self.bundle.open_backup(sealed, &self.unlock).map_err(|error| match error.hints() {
            [] => format!("{error}{}", self.who_opens(held)),
            _ => error.to_string(),
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
        let gone = |one: &&String| !self.bundle.recipients().contains(one);
        let mut keys: Vec<&str> = receipt.recipients.iter().filter(gone).map(String::as_str).collect();
        keys.sort_unstable();
        let password = "whatever opens backups/key.age on the host";
        match keys.is_empty() {
            true => format!("; {password} gives the key that does"),
            false => format!("; the identity of {} opens it (--identity), and {password}", keys.join(" or ")),
        }
    }
}
