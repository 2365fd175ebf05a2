//! Timestamped copies of the sealed bundle, in `backups/bundle/` beside it: as it was before a rotation. They are as sealed as it is.

use super::file::BundleFile;
use crate::words::{Error, Result, RunId, Temporary, sync_directory};
use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;

impl BundleFile {
    /// Keeps the file as it was last read or written, under a name that begins with its generation; synced. Gives its path.
    ///
    /// # Errors
    /// When the file changed meanwhile, or the copy cannot be written; nothing else has changed then.
    pub fn keep_copy(&self, name: &RunId) -> Result<PathBuf> {
        let bytes = self.bytes()?;
        let path = self.copy_path(name);
        let directory = path.parent().expect("it lies in a directory");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(directory);
        made.map_err(|e| Error::new(format!("making {}", directory.display())).because(e))?;
        let failed = |error: Error| error.at("keeping a copy of the bundle").hint("the bundle is as it was");
        let copy = Temporary::write(&path, &bytes, None).map_err(failed)?;
        copy.rename()?;
        sync_directory(&path)?;
        Ok(path)
    }

    /// Where the copy of this name lies, if there is one.
    pub fn copy_of(&self, name: &RunId) -> Option<PathBuf> {
        Some(self.copy_path(name)).filter(|path| path.is_file())
    }

    /// Removes a copy that is not needed any more. One that stays does no harm.
    pub fn forget_copy(&self, name: &RunId) {
        let _ = std::fs::remove_file(self.copy_path(name));
    }

    fn copy_path(&self, name: &RunId) -> PathBuf {
        self.path().with_file_name("backups").join("bundle").join(format!("{name}.age"))
    }
}
