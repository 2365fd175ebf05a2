//! `Project`: the directory that holds `inventory/`, `playbooks/` and `secrets.age`.

use super::Shared;
use crate::words::{Error, Result};
use std::path::{Path, PathBuf};

/// Where the three are. Nothing is opened yet, and none of them need exist.
#[derive(Debug)]
pub struct Project {
    /// The directory itself.
    pub root: PathBuf,
    pub inventory: PathBuf,
    pub playbooks: PathBuf,
    pub bundle: PathBuf,
}

impl Project {
    /// Walks up from the working directory to the first that holds one of the three; flags name each by itself.
    pub(super) fn find(shared: &Shared) -> Result<Self> {
        let root = match &shared.directory {
            Some(directory) if directory.is_dir() => directory.clone(),
            Some(directory) => {
                return Err(Error::new(format!("{} is not a directory", directory.display()))
                    .hint("-C names the directory that holds inventory/, playbooks/ and secrets.age"));
            }
            None => above()?,
        };
        let or = |given: &Option<PathBuf>, name: &str| given.clone().unwrap_or_else(|| root.join(name));
        Ok(Self {
            inventory: or(&shared.inventory, "inventory"),
            playbooks: or(&shared.playbook, "playbooks"),
            bundle: or(&shared.bundle, "secrets.age"),
            root,
        })
    }
}

/// The nearest directory upwards that looks like a project, or the working directory itself.
fn above() -> Result<PathBuf> {
    let here = std::env::current_dir().map_err(|e| Error::new("finding the working directory").because(e))?;
    let is_project = |dir: &&Path| {
        dir.join("secrets.age").exists() || dir.join("inventory").exists() && dir.join("playbooks").exists()
    };
    Ok(here.ancestors().find(is_project).unwrap_or(&here).to_owned())
}
