//! `Backup`: the complete secrets of one play on one host as they were, with a label that says of what; sealed it lies on the host, which
//! cannot read it. Stock `age` and `tar` give back the files.

mod disagreement;
mod held;
mod label;
mod present;
mod prunable;
mod receipt;
mod rehearsal;
mod retention;
#[cfg(test)]
mod tests;
mod which;
mod why;

use super::{DesiredSet, policy};
use crate::words::{Error, Mode, Result, RunId, Secret, gunzip};
use std::collections::BTreeMap;
use std::io::Read;
use zeroize::Zeroizing;

pub use disagreement::{Disagreement, disagreements};
pub use held::{HeldBackup, Standing, held};
pub use label::{Label, LabelledFile};
pub use present::{names_of_present, present};
pub use prunable::Prunable;
pub use receipt::Receipt;
pub use rehearsal::{Rehearsal, Verdict};
pub use retention::{Retention, to_prune};
pub use which::Which;
pub use why::Why;

/// More is nobody's backup.
const LARGEST: usize = 256 << 20;
const MOST_FILES: usize = 20_000;

/// The label, beside the set's files: their names never begin with a dot.
const LABEL: &str = ".distribute/backup.toml";
/// What is kept of the bundle, for a day on which it is lost.
const KEEPSAKE: &str = ".distribute/bundle.toml";
/// The host's own password.
const VAULT_PASSWORD: &str = ".distribute/vault-password";

/// What was on a host, as files.
#[derive(Clone, Debug)]
pub struct Backup {
    pub label: Label,
    /// By path in the set.
    pub files: BTreeMap<String, Secret>,
    pub vault_password: Secret,
    /// The bundle's record, with this host's enrolment only. Empty until it is packed.
    pub keepsake: Secret,
}

impl Backup {
    /// Of a set that is pushed.
    pub fn of_set(set: &DesiredSet, run: &RunId, why: Why, bundle_id: &str) -> Self {
        let files = set.files.iter().map(|file| (file.path.clone(), file.content.clone())).collect();
        Self {
            label: Label::of_set(set, run, why, bundle_id),
            files,
            vault_password: set.vault_password.clone(),
            keepsake: Secret::new(Vec::new()),
        }
    }

    /// As a gzipped tar: what is sealed, and what `age -d | tar xz` gives back without us, which is the set and nothing else. What we want to
    /// know besides is a second tar behind the end of the first: `tar xzi` (--ignore-zeros) shows both.
    ///
    /// # Errors
    /// When a path does not fit into a tar.
    pub fn pack(&self, keepsake: &Secret) -> Result<Secret> {
        let label = Secret::new(self.label.to_toml()?);
        let known = [(LABEL, &label), (KEEPSAKE, keepsake), (VAULT_PASSWORD, &self.vault_password)];
        // Room for the worst case: a buffer that grows leaves copies behind.
        let lengths = known.iter().map(|(_, content)| content.len()).chain(self.files.values().map(Secret::len));
        let size: usize = lengths.map(|length| length + 4096).sum();
        let mut packed = Zeroizing::new(Vec::with_capacity(size + size / 1000 + 4096));
        let mut pack = || -> std::io::Result<()> {
            let mut gzip = flate2::write::GzEncoder::new(&mut *packed, flate2::Compression::default());
            let files =
                self.label.files.iter().filter_map(|file| Some((&*file.path, self.files.get(&file.path)?, file.mode)));
            append_tar(&mut gzip, files)?;
            append_tar(&mut gzip, known.into_iter().map(|(name, content)| (name, content, policy::FILE)))?;
            gzip.finish().map(drop)
        };
        pack().map_err(|e| Error::new("packing the backup").because(e))?;
        Ok(Secret::new(std::mem::take(&mut *packed)))
    }

    /// Reads what `pack` made, and compares each file with what the label says of it.
    ///
    /// # Errors
    /// When it is damaged, or something else; the message says what, for a line behind the name of the backup.
    pub fn unpack(packed: &[u8]) -> Result<Self> {
        let mut entries = entries(packed)?;
        let mut take = |name: &str| entries.remove(name).ok_or_else(|| Error::new(format!("it holds no {name}")));
        let label = Label::from_toml(take(LABEL)?.expose())?;
        let (keepsake, vault_password) = (take(KEEPSAKE)?, take(VAULT_PASSWORD)?);
        let backup = Self { label, files: entries, vault_password, keepsake };
        backup.refuse_unlabelled()?;
        Ok(backup)
    }

    fn refuse_unlabelled(&self) -> Result<()> {
        for file in &self.label.files {
            let Some(content) = self.files.get(&file.path) else {
                return Err(Error::new(format!("{} is not in it, and its label says so", file.path.escape_debug())));
            };
            if super::desired::sha256(content.expose()) != file.sha256 {
                return Err(Error::new(format!("{} in it is not what its label says", file.path.escape_debug())));
            }
        }
        match self.files.keys().find(|path| self.label.file(path).is_none()) {
            Some(path) => Err(Error::new(format!("{} is in it, and its label does not say so", path.escape_debug()))),
            None => Ok(()),
        }
    }
}

fn entries(packed: &[u8]) -> Result<BTreeMap<String, Secret>> {
    let clear = gunzip(packed, LARGEST)?;
    files_in(tar::Archive::new(&clear[..]), clear.len(), true)
}

fn append_tar<'a>(
    to: &mut impl std::io::Write,
    files: impl Iterator<Item = (&'a str, &'a Secret, Mode)>,
) -> std::io::Result<()> {
    let mut archive = tar::Builder::new(to);
    for (path, content, mode) in files {
        let mut header = tar::Header::new_gnu();
        header.set_mode(mode.bits());
        header.set_size(content.len() as u64);
        header.set_mtime(0);
        archive.append_data(&mut header, path, content.expose())?;
    }
    archive.finish()
}

/// The plain files of a tar, by path. A second name of a file is that file again; links, devices and directories are passed over.
///
/// # Errors
/// When it is damaged, or has more files than anybody's secrets.
pub fn files_of(tar: &[u8]) -> Result<BTreeMap<String, Secret>> {
    files_in(tar::Archive::new(tar), tar.len(), false)
}

fn files_in(mut archive: tar::Archive<&[u8]>, size: usize, and_behind: bool) -> Result<BTreeMap<String, Secret>> {
    archive.set_ignore_zeros(and_behind);
    let damaged = |_| Error::new("the archive is damaged");
    let mut found: BTreeMap<String, Secret> = BTreeMap::new();
    for entry in archive.entries().map_err(damaged)? {
        let mut entry = entry.map_err(damaged)?;
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        if found.len() == MOST_FILES {
            return Err(Error::new(format!("the archive holds more than {MOST_FILES} files")));
        }
        let kind = entry.header().entry_type();
        let content = match () {
            () if kind.is_file() => {
                let mut content = Zeroizing::new(Vec::with_capacity((entry.size() as usize).min(size)));
                entry.read_to_end(&mut content).map_err(damaged)?;
                Secret::new(std::mem::take(&mut *content))
            }
            () if kind.is_hard_link() => {
                let target = entry.link_name_bytes().map(|name| String::from_utf8_lossy(&name).into_owned());
                match target.and_then(|target| found.get(&target).cloned()) {
                    Some(content) => content,
                    None => continue,
                }
            }
            () => continue,
        };
        found.insert(path, content);
    }
    Ok(found)
}
