//! Timestamped copies of the sealed bundle, in `backups/bundle/` beside it: as it was before a rotation. They are as sealed as it is.

use super::beside::{Temporary, sync_directory};
use super::file::BundleFile;
use crate::words::{Error, Result, RunId};
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
        let directory = self.path().with_file_name("backups").join("bundle");
        let made = DirBuilder::new().recursive(true).mode(0o700).create(&directory);
        made.map_err(|e| Error::new(format!("making {}", directory.display())).because(e))?;
        let path = directory.join(format!("{name}.age"));
        let copy = Temporary::write(&path, &bytes, None).map_err(|error| error.at("keeping a copy of the bundle"))?;
        copy.rename()?;
        sync_directory(&path)?;
        Ok(path)
    }
}
