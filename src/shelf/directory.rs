//! `Directory`: a shelf on this machine, or on a disk that is mounted here. Only its owner gets in.

use super::shelf_path::{ShelfPath, is_part};
use super::{LARGEST, Put, compared, too_large};
use crate::words::{Error, Result, Temporary, printable, sync_directory};
use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where copies lie as files.
pub struct Directory(PathBuf);

impl Directory {
    /// One that is there, or may be made.
    pub fn new(path: &str) -> Result<Self> {
        let directory = Self(PathBuf::from(path));
        match fs::metadata(path) {
            _ if path.is_empty() => Err(Error::new("the directory to keep backups in has no name")),
            Ok(found) if !found.is_dir() => Err(Error::new("it is not a directory").at(directory.shown())),
            Err(error) if error.kind() != ErrorKind::NotFound => {
                Err(Error::new("it cannot be looked at").because(error).at(directory.shown()))
            }
            _ => Ok(directory),
        }
    }

    /// Written beside and synced before it has its name, and it takes that only from nobody.
    pub fn put(&self, path: &ShelfPath, bytes: &[u8]) -> Result<Put> {
        if let Some(there) = self.get(path)? {
            return self.compared(path, &there, bytes);
        }
        let target = self.0.join(path.as_str());
        self.make_parents(path)?;
        if Temporary::write(&target, bytes, None).and_then(Temporary::link).map_err(|error| self.failed(error))? {
            sync_directory(&target).map_err(|error| error.at(self.shown()))?;
            return Ok(Put::Stored);
        }
        match self.get(path)? {
            Some(there) => self.compared(path, &there, bytes),
            None => Err(Error::new("somebody put it there and took it away at once").at(self.shown())),
        }
    }

    /// Neither a link nor anything else that is no plain file is followed or read.
    pub fn get(&self, path: &ShelfPath) -> Result<Option<Vec<u8>>> {
        let wrong = |error: Error| error.at(path).at(self.shown());
        self.refuse_parents(path)?;
        let (no_link, no_waiting) = (nix::libc::O_NOFOLLOW, nix::libc::O_NONBLOCK); // a fifo must not hang us
        let file =
            match OpenOptions::new().read(true).custom_flags(no_link | no_waiting).open(self.0.join(path.as_str())) {
                Ok(file) => file,
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
                Err(error) if error.raw_os_error() == Some(nix::libc::ELOOP) => {
                    return Err(wrong(Error::new("it is a symbolic link, which is not followed")));
                }
                Err(error) => return Err(wrong(Error::new("it cannot be opened").because(error))),
            };
        let found = file.metadata().map_err(|e| wrong(Error::new("it cannot be looked at").because(e)))?;
        if !found.is_file() {
            return Err(wrong(Error::new("it is not a regular file")));
        }
        let mut bytes = Vec::new();
        file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| wrong(Error::new("reading").because(e)))?;
        if bytes.len() as u64 > LARGEST { Err(wrong(too_large())) } else { Ok(Some(bytes)) }
    }

    /// Plain files whose names a `put` could have given.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut paths = Vec::new();
        self.list_below("", &mut paths)?;
        Ok(paths)
    }

    fn list_below(&self, below: &str, paths: &mut Vec<String>) -> Result<()> {
        let failed = |e| Error::new("it cannot be listed").because(e).at(self.0.join(below).display());
        let entries = match fs::read_dir(self.0.join(below)) {
            // Made by the first `put`.
            Err(error) if error.kind() == ErrorKind::NotFound && below.is_empty() => return Ok(()),
            entries => entries.map_err(failed)?,
        };
        for entry in entries {
            let entry = entry.map_err(failed)?;
            let kind = entry.file_type().map_err(failed)?;
            let Some(name) = entry.file_name().to_str().filter(|name| is_part(name)).map(str::to_owned) else {
                continue;
            };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            if ShelfPath::new(&path).is_err() {
                continue; // deeper than a `put` goes
            }
            match kind {
                kind if kind.is_dir() => self.list_below(&path, paths)?,
                kind if kind.is_file() => paths.push(path),
                _ => {}
            }
        }
        Ok(())
    }

    /// As it was given.
    pub fn shown(&self) -> String {
        printable(self.0.as_os_str().as_encoded_bytes(), 400)
    }

    /// Each is on the disk before something lies in it.
    fn make_parents(&self, path: &ShelfPath) -> Result<()> {
        make(&self.0)?;
        path.parents().try_for_each(|parent| make(&self.0.join(parent)))
    }

    /// A link below the shelf could lead out of it.
    fn refuse_parents(&self, path: &ShelfPath) -> Result<()> {
        for parent in path.parents() {
            match self.0.join(parent).symlink_metadata() {
                Ok(found) if !found.is_dir() => {
                    return Err(Error::new("it is not a directory").at(parent).at(self.shown()));
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn compared(&self, path: &ShelfPath, there: &[u8], bytes: &[u8]) -> Result<Put> {
        compared(path, there, bytes).map_err(|error| error.at(self.shown()))
    }

    fn failed(&self, error: Error) -> Error {
        error.at(self.shown()).hint("nothing was put there: may you write there, and is there room?")
    }
}

/// Nothing is said of directories that are there already: whose they are is their owner's business.
fn make(directory: &Path) -> Result<()> {
    if directory.is_dir() {
        return Ok(());
    }
    if let Some(parent) = directory.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        make(parent)?;
    }
    match DirBuilder::new().mode(0o700).create(directory) {
        Ok(()) => sync_directory(directory),
        Err(error) if error.kind() == ErrorKind::AlreadyExists && directory.is_dir() => Ok(()), // somebody else just made it
        Err(error) => Err(Error::new("it cannot be made")
            .because(error)
            .at(printable(directory.as_os_str().as_encoded_bytes(), 400))
            .hint("nothing was put there: may you write there?")),
    }
}
