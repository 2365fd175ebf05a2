//! Timestamped copies of the sealed bundle, in `backups/bundle/` beside it: as it was before a rotation. They are as sealed as it is.

use super::file::BundleFile;
use super::opened::Bundle;
use super::sealed::Sealed;
use super::unlock::Unlock;
use crate::words::{Error, Result, RunId, Temporary, sweep, sync_directory};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

impl BundleFile {
    /// Keeps the file as it was last read or written, under a name that begins with its generation; synced. Gives its path.
    ///
    /// # Errors
    /// When the file changed meanwhile, or the copy cannot be written; nothing else has changed then.
    pub fn keep_copy(&self, name: &RunId) -> Result<PathBuf> {
        let bytes = self.bytes()?;
        let path = self.place_of_copy(name);
        let directory = path.parent().expect("it lies in a directory");
        let failed = |error: Error| error.at("keeping a copy of the bundle").hint("the bundle is as it was");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|e| failed(Error::new(format!("making {}", directory.display())).because(e)))?;
        let copy = Temporary::write(&path, &bytes, None).map_err(failed)?;
        copy.rename().and_then(|()| sync_directory(&path)).map_err(failed)?;
        Ok(path)
    }

    /// Where the copy of this name lies, if there is one.
    pub fn copy_of(&self, name: &RunId) -> Option<PathBuf> {
        Some(self.place_of_copy(name)).filter(|path| path.is_file())
    }

    /// Removes a copy that is not needed any more. One that stays does no harm.
    pub fn forget_copy(&self, name: &RunId) {
        let _ = std::fs::remove_file(self.place_of_copy(name));
    }

    /// All copies: name, path and size in bytes, the oldest first.
    pub fn copies(&self) -> Result<Vec<(RunId, PathBuf, u64)>> {
        copies_beside(self.path())
    }

    /// Opens a copy, with what the bundle was opened with.
    ///
    /// # Errors
    /// When it is damaged, or no key at hand opens it.
    pub fn open_copy(&self, name: &RunId) -> Result<Bundle> {
        Self::open(&self.place_of_copy(name), self.unlock()).map(|(_, bundle)| bundle)
    }

    /// Seals a copy for those whom the bundle is for now; what is in it stays as it is. `before` is what opened it until now, `after` what opens the bundle.
    ///
    /// # Errors
    /// When it does not open, or cannot be written; then it stays as it is.
    pub fn reseal_copy(&self, name: &RunId, bundle: &Bundle, before: &Unlock, after: &Unlock) -> Result<()> {
        let path = self.place_of_copy(name);
        let reseal = || -> Result<()> {
            let old = std::fs::read(&path).map_err(|e| Error::new("it cannot be read").because(e))?;
            let (clear, _) = before.open(&Sealed::read(&old)?)?;
            let new = self.seal(bundle, &clear)?;
            if *after.open(&Sealed::read(&new)?)?.0 != *clear {
                return Err(Error::new("what was sealed anew does not open again"));
            }
            Temporary::write(&path, &new, None)?.rename()?;
            sync_directory(&path)
        };
        reseal().map_err(|error| error.at(path.display()))
    }

    /// Removes what was left of copies whose writing was killed; called while nobody else saves the bundle.
    pub fn sweep_copies(&self) {
        let directory = self.path().with_file_name("backups").join("bundle");
        for entry in std::fs::read_dir(directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let copy = name.to_str().and_then(|name| name.strip_prefix('.')?.split_once(".age.")).map(|(copy, _)| copy);
            if let Some(copy) = copy {
                sweep(&entry.path().with_file_name(format!("{copy}.age")));
            }
        }
    }

    /// Removes a copy for good.
    pub fn remove_copy(&self, name: &RunId) -> Result<()> {
        let path = self.place_of_copy(name);
        std::fs::remove_file(&path).map_err(|e| Error::new(format!("removing {}", path.display())).because(e))
    }

    /// Where the copy of this name lies, or would.
    pub fn place_of_copy(&self, name: &RunId) -> PathBuf {
        self.path().with_file_name("backups").join("bundle").join(format!("{name}.age"))
    }
}

/// The copies of the bundle at this path, also where that is gone: name, path and size in bytes, the oldest first.
///
/// # Errors
/// When the directory cannot be read.
pub fn copies_beside(bundle: &Path) -> Result<Vec<(RunId, PathBuf, u64)>> {
    let directory = bundle.with_file_name("backups").join("bundle");
    let failed = |e| Error::new(directory.display().to_string()).because(e);
    let entries = match std::fs::read_dir(&directory) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(failed)?,
    };
    let mut copies = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed)?;
        let name = entry.file_name();
        let run = name.to_str().and_then(|name| name.strip_suffix(".age")?.parse::<RunId>().ok());
        if let Some(run) = run {
            copies.push((run, entry.path(), entry.metadata().map_err(failed)?.len()));
        }
    }
    copies.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(copies)
}
