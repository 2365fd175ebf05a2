//! `LastSeen`: what this machine remembers of a bundle: its id and highest generation, one small file a bundle in the state directory.
//! age proves what was sealed, not by whom, and an old file is as genuine as a new one: this is how an older bundle is noticed.

use crate::bundle::Bundle;
use crate::words::{Error, Result};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// The record of one bundle: where it lies, and the id and generation in it.
pub struct LastSeen {
    file: PathBuf,
    seen: Option<(String, u64)>,
}

impl LastSeen {
    /// Of the bundle at this path. A state directory that cannot be read is an error: without it an old bundle would pass.
    pub fn of(bundle: &Path) -> Result<Self> {
        let path = fs::canonicalize(bundle).map_err(|e| Error::new(bundle.display().to_string()).because(e))?;
        let name = HEXLOWER.encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]);
        let file = directory()?.join(name);
        let text = match fs::read_to_string(&file) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Error::new(file.display().to_string()).because(error)),
        };
        let seen = text.split_once(' ').and_then(|(id, number)| Some((id.to_owned(), number.trim().parse().ok()?)));
        Ok(Self { file, seen })
    }

    /// Refuses a bundle that is older than what was seen here, or another one in its place.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        let forget = format!("if this is meant, forget what was seen: rm {}", self.file.display());
        match &self.seen {
            Some((id, _)) if id != bundle.id() && !id.is_empty() => {
                let message = format!("this is another bundle ({}) than the one seen here before ({id})", bundle.id());
                Err(Error::new(message)
                    .hint("anybody can make a bundle for public recipients: find out where this one is from")
                    .hint(forget))
            }
            Some((_, seen)) if *seen > bundle.generation() => {
                let message = format!(
                    "the bundle is at generation {}, but generation {seen} was seen here before",
                    bundle.generation()
                );
                Err(Error::new(message)
                    .hint("an older file was put back: get the newer one (git pull, git checkout)")
                    .hint(forget))
            }
            _ => Ok(()),
        }
    }

    /// Remembers the bundle as it is now.
    pub fn record(&mut self, bundle: &Bundle) -> Result<()> {
        let now = (bundle.id().to_owned(), bundle.generation());
        if self.seen.as_ref() == Some(&now) {
            return Ok(());
        }
        let write = || -> std::io::Result<()> {
            let beside = self.file.with_extension(format!("new{}", std::process::id()));
            let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
            writeln!(file, "{} {}", now.0, now.1)?;
            file.sync_all()?;
            fs::rename(&beside, &self.file)
        };
        let made = self
            .file
            .parent()
            .map_or(Ok(()), |parent| fs::DirBuilder::new().recursive(true).mode(0o700).create(parent));
        made.and_then(|()| write())
            .map_err(|e| Error::new(format!("remembering the bundle in {}", self.file.display())).because(e))?;
        self.seen = Some(now);
        Ok(())
    }
}

/// `$DISTRIBUTE_STATE_DIR`, else `$XDG_STATE_HOME/distribute`, else `~/.local/state/distribute`; cron may set no HOME.
fn directory() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    if let Some(directory) = variable("DISTRIBUTE_STATE_DIR") {
        return Ok(directory);
    }
    if let Some(state) = variable("XDG_STATE_HOME") {
        return Ok(state.join("distribute"));
    }
    let home = variable("HOME").or_else(|| Some(nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??.dir));
    home.map(|home| home.join(".local/state/distribute")).ok_or_else(|| {
        Error::new("there is no home directory to remember bundles in")
            .hint("set DISTRIBUTE_STATE_DIR to a directory of your own")
    })
}
