//! The new file beside another: written, synced, and then put in the other's place, or removed again.

use super::{Error, Result};
use data_encoding::HEXLOWER;
use std::fs::{self, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

/// A file beside its target, removed again unless it takes the target's place.
pub struct Temporary {
    /// Where it lies meanwhile.
    pub path: PathBuf,
    target: PathBuf,
}

impl Temporary {
    /// Writes and syncs a new file beside the target, with the mode and owner of the old one, or else with mode 600.
    pub fn write(target: &Path, bytes: &[u8], old: Option<&File>) -> Result<Self> {
        let mut random = [0; 8];
        getrandom::fill(&mut random).expect("the operating system gives random bytes");
        let path = target.with_file_name(format!("{}{}.tmp", prefix(target), HEXLOWER.encode(&random)));
        let failed = |what: &str, error| Error::new(format!("{what} {}", path.display())).because(error);
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path).map_err(|e| failed("making", e))?;
        let temporary = Self { path: path.clone(), target: target.to_owned() };
        let written = file.write_all(bytes).and_then(|()| take_after(&file, old)).and_then(|()| file.sync_all());
        written.map_err(|e| failed("writing", e))?;
        Ok(temporary)
    }

    /// Takes the name, and with it the place of the old file.
    pub fn rename(self) -> Result<()> {
        fs::rename(&self.path, &self.target).map_err(|e| Error::new("putting the new file in place").because(e))
    }

    /// Takes the name only if nobody has it; false when somebody does.
    pub fn link(self) -> Result<bool> {
        match fs::hard_link(&self.path, &self.target) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
            // Some file systems know no hard links, such as those of USB sticks.
            Err(_) => self.rename_to_new(),
        }
    }

    /// The same by a rename, where the system has one that replaces nothing.
    fn rename_to_new(self) -> Result<bool> {
        #[cfg(target_os = "linux")]
        {
            use rustix::fs::{CWD, RenameFlags, renameat_with};
            match renameat_with(CWD, &self.path, CWD, &self.target, RenameFlags::NOREPLACE) {
                Ok(()) => return Ok(true),
                Err(rustix::io::Errno::EXIST) => return Ok(false),
                Err(_) => {}
            }
        }
        // Here somebody else could be faster by a moment.
        if self.target.symlink_metadata().is_ok() { Ok(false) } else { self.rename().map(|()| true) }
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path); // gone already when it was renamed
    }
}

/// Gives a file the mode and the owner of the old one. Only root may give a file away; in a shared repository, whoever
/// saves owns it from then on.
fn take_after(file: &File, old: Option<&File>) -> std::io::Result<()> {
    let Some(old) = old.map(File::metadata).transpose()? else { return Ok(()) };
    let new = file.metadata()?;
    if old.uid() != new.uid() && nix::unistd::geteuid().is_root() {
        fchown(file, Some(old.uid()), None)?;
    }
    if old.gid() != new.gid() {
        let _ = fchown(file, None, Some(old.gid())); // we may not be in this group
    }
    file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o777))
}

/// Removes what a save that was killed left beside the file; called under its lock.
pub fn sweep(path: &Path) {
    let Ok(directory) = fs::read_dir(parent(path)) else { return };
    let prefix = prefix(path);
    for entry in directory.flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(&prefix)?.strip_suffix(".tmp"));
        if random.is_some_and(|random| random.len() == 16 && random.bytes().all(|b| b.is_ascii_hexdigit())) {
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn prefix(path: &Path) -> String {
    format!(".{}.", path.file_name().unwrap_or_default().to_string_lossy())
}

fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Puts the rename of this file on the disk.
pub fn sync_directory(path: &Path) -> Result<()> {
    let synced = File::open(parent(path)).and_then(|directory| directory.sync_all());
    synced.map_err(|e| Error::new("its directory could not be synced").because(e))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_replaced_with_and_without_hard_links() {
        for take in [Temporary::link, Temporary::rename_to_new] {
            let directory = tempfile::tempdir().unwrap();
            let target = directory.path().join("a");
            let put = |bytes: &[u8]| Temporary::write(&target, bytes, None).and_then(take).unwrap();
            assert!(put(b"first") && !put(b"second"));
            assert_eq!(fs::read(&target).unwrap(), b"first");
            fs::remove_file(&target).unwrap();
            std::os::unix::fs::symlink("nowhere", &target).unwrap();
            assert!(!put(b"third"));
            assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
        }
    }
}
