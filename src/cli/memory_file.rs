//! `MemoryFile`: a file for an editor, in a private directory on a file system that lives in memory. Wiped when dropped,
//! together with whatever the editor put beside it. Where there is no such file system it may lie on a disk, if the user says so. What a kill -9 left is wiped by the next one: its lock is free.

use crate::bundle::system_random;
use crate::words::{Error, Result, Secret};
use data_encoding::HEXLOWER;
use nix::libc;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use walkdir::WalkDir;
use zeroize::Zeroizing;

const PREFIX: &str = "distribute-";
const LARGEST: u64 = 16 << 20;

/// A file of mode 0600 in a directory of mode 0700.
pub struct MemoryFile {
    directory: PathBuf,
    path: PathBuf,
    is_on_disk: bool,
    /// Says that we live; the system lets go of it however we end.
    _lock: File,
}

impl MemoryFile {
    /// Makes the directory; the file comes with the first `write`.
    pub fn create(name: &str, may_be_on_disk: bool) -> Result<Self> {
        places().iter().chain([&on_disk()]).for_each(|place| sweep(place));
        let mut random = [0; 8];
        system_random(&mut random);
        let (base, is_on_disk) = base(may_be_on_disk)?;
        let directory = base.join(format!("{PREFIX}{}", HEXLOWER.encode(&random)));
        let lock = locked_directory(&directory)
            .map_err(|e| Error::new(format!("making {}", directory.display())).because(e))?;
        Ok(Self { path: directory.join(name), directory, is_on_disk, _lock: lock })
    }

    /// Where the editor finds it.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Was there no file system in memory?
    pub fn is_on_disk(&self) -> bool {
        self.is_on_disk
    }

    /// Writes the text into a new file, and wipes the one before it.
    pub fn write(&self, text: &Secret) -> Result<()> {
        let failed = |e| Error::new(format!("writing {}", self.path.display())).because(e);
        wipe(&self.path);
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.path).map_err(failed)?;
        file.write_all(text.expose()).map_err(failed)
    }

    /// What the editor left, 16 MiB at most.
    pub fn read(&self) -> Result<Secret> {
        let failed = |e| Error::new("reading what the editor left").because(e);
        let found = self.path.symlink_metadata().map_err(failed)?;
        if !found.is_file() || found.len() > LARGEST {
            return Err(Error::new("what the editor left is not a file of 16 MiB at most"));
        }
        let mut bytes = Zeroizing::new(Vec::with_capacity(found.len() as usize + 1));
        File::open(&self.path).and_then(|file| file.take(LARGEST).read_to_end(&mut bytes)).map_err(failed)?;
        Ok(Secret::new(std::mem::take(&mut *bytes)))
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        wipe_directory(&self.directory);
    }
}

/// Makes and locks it under another name, so that nobody finds it unlocked under its own.
fn locked_directory(path: &Path) -> std::io::Result<File> {
    let beside = path.with_extension("new");
    DirBuilder::new().mode(0o700).create(&beside)?;
    let locked = File::open(&beside).and_then(|lock| lock.try_lock().map_err(std::io::Error::from).map(|()| lock));
    locked.and_then(|lock| fs::rename(&beside, path).map(|()| lock)).inspect_err(|_| drop(fs::remove_dir(&beside)))
}

/// Wipes our directories whose owners are gone.
fn sweep(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let random = name.to_str().and_then(|name| name.strip_prefix(PREFIX)).unwrap_or_default();
        if random.len() != 16 || !random.bytes().all(|b| b.is_ascii_hexdigit()) {
            continue;
        }
        let flags = libc::O_DIRECTORY | libc::O_NOFOLLOW | libc::O_NONBLOCK;
        let Ok(lock) = OpenOptions::new().read(true).custom_flags(flags).open(entry.path()) else { continue };
        let is_ours = lock.metadata().is_ok_and(|found| found.uid() == nix::unistd::geteuid().as_raw());
        if is_ours && lock.try_lock().is_ok() {
            wipe_directory(&entry.path());
        }
    }
}

fn wipe_directory(path: &Path) {
    let entries = WalkDir::new(path).into_iter().flatten();
    entries.filter(|entry| entry.file_type().is_file()).for_each(|entry| wipe(entry.path()));
    let _ = fs::remove_dir_all(path);
}

/// Overwrites and unlinks. In memory the same pages are overwritten.
fn wipe(path: &Path) {
    let Ok(found) = path.symlink_metadata() else { return };
    if found.is_file()
        && let Ok(mut file) = OpenOptions::new().write(true).open(path)
    {
        let _ = file.write_all(&vec![0; found.len().min(LARGEST) as usize]);
        let _ = file.sync_data(); // on a disk, else only the name would go
    }
    let _ = fs::remove_file(path);
}

/// The user's runtime directory or shared memory, whichever is really in memory.
fn base(may_be_on_disk: bool) -> Result<(PathBuf, bool)> {
    let in_memory = places().into_iter().find(|path| is_in_memory(path)).map(|path| (path, false));
    in_memory.or_else(|| may_be_on_disk.then(|| (on_disk(), true))).ok_or_else(|| {
        Error::new("there is no file system in memory to edit on: neither XDG_RUNTIME_DIR nor /dev/shm is one")
            .hint("`distribute bundle set` needs no file")
            .hint("--allow-disk puts the clear text on a disk while you edit")
    })
}

/// Where temporary files lie that nobody else reads.
fn on_disk() -> PathBuf {
    let given = std::env::var_os("TMPDIR").map(PathBuf::from).filter(|path| path.is_absolute() && path.is_dir());
    given.unwrap_or_else(|| PathBuf::from("/var/tmp"))
}

fn places() -> Vec<PathBuf> {
    let runtime = std::env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from).filter(|path| path.is_absolute());
    runtime.into_iter().chain([PathBuf::from("/dev/shm")]).collect()
}

#[cfg(target_os = "linux")]
fn is_in_memory(path: &Path) -> bool {
    use nix::sys::statfs::{TMPFS_MAGIC, statfs};
    const RAMFS_MAGIC: u64 = 0x8584_58f6;
    statfs(path)
        .is_ok_and(|found| found.filesystem_type() == TMPFS_MAGIC || found.filesystem_type().0 as u64 == RAMFS_MAGIC)
}

#[cfg(not(target_os = "linux"))]
fn is_in_memory(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_left() {
        let Ok(file) = MemoryFile::create("a.env", false) else {
            eprintln!("skipped: no file system in memory here");
            return;
        };
        file.write(&Secret::new(*b"A=1\n")).unwrap();
        file.write(&Secret::new(*b"A=2\n")).unwrap();
        assert_eq!(file.read().unwrap().expose(), b"A=2\n");
        let directory = file.path().parent().unwrap().to_owned();
        fs::write(directory.join("a.env~"), "backup").unwrap();
        drop(file);
        assert!(!directory.exists());
    }

    #[test]
    fn only_what_nobody_holds_is_swept() {
        let place = tempfile::tempdir().unwrap();
        let [live, dead, other] = ["distribute-0123456789abcdef", "distribute-fedcba9876543210", "distribute-mine"]
            .map(|name| place.path().join(name));
        let lock = locked_directory(&live).unwrap();
        drop(locked_directory(&dead).unwrap());
        fs::create_dir(&other).unwrap();
        fs::write(dead.join("a.env"), "A=1").unwrap();
        sweep(place.path());
        assert!(live.exists() && !dead.exists() && other.exists());
        drop(lock);
        sweep(place.path());
        assert!(!live.exists());
    }
}
