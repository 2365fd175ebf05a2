//! `Program`: a step of a rotation policy, looked up and looked at before anything begins.

use super::interpreter;
use crate::words::{Error, Result, printable};
use nix::unistd::{AccessFlags, access};
use std::env;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// A program of the user's. Its arguments stand in the playbook and hold no value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Where the program lies, from the root on, and its arguments.
    pub argv: Vec<String>,
    /// Its working directory.
    pub directory: PathBuf,
    /// How long it may run.
    pub deadline: Duration,
}

impl Program {
    /// The first word with a slash in it is relative to `directory`; without, it is looked up in `PATH`. An error if it is not there, cannot be
    /// run, or anybody on this machine may write to it.
    pub fn find(argv: &[String], directory: &Path, deadline: Duration) -> Result<Self> {
        let name = argv.first().filter(|name| !name.is_empty());
        let name = name
            .ok_or_else(|| Error::new("a step names no program").hint("a step is [\"PROGRAM\", \"ARGUMENT\", ...]"))?;
        let directory = directory
            .canonicalize()
            .map_err(|e| Error::new(format!("reading the directory {}", shown(directory))).because(e))?;
        let path = if name.contains('/') { directory.join(name) } else { in_path(name)? };
        check(&path)?;
        let first = path
            .into_os_string()
            .into_string()
            .map_err(|path| Error::new(format!("{}: not UTF-8", shown(Path::new(&path)))))?;
        let argv = std::iter::once(first).chain(argv[1..].iter().cloned()).collect();
        Ok(Self { argv, directory, deadline })
    }
}

fn shown(path: &Path) -> String {
    printable(path.as_os_str().as_encoded_bytes(), 400)
}

/// Entries of `PATH` that are relative would mean something else in each directory: they are passed over.
fn in_path(name: &str) -> Result<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let mut places = env::split_paths(&path).filter(|place| place.is_absolute()).map(|place| place.join(name));
    let found = places.find(|place| place.is_file() && access(place, AccessFlags::X_OK).is_ok());
    found.ok_or_else(|| {
        Error::new(format!("the program {} is not in PATH", printable(name.as_bytes(), 400)))
            .hint("with a slash in it, the name is relative to the playbook's directory: rotators/NAME")
    })
}

fn check(path: &Path) -> Result<()> {
    let wrong = |why: &str| Error::new(format!("{}: {why}", shown(path)));
    let metadata = path.metadata().map_err(|e| {
        wrong("this program cannot be run")
            .because(e)
            .hint("a name with a slash in it is relative to the playbook's directory")
    })?;
    if !metadata.is_file() {
        return Err(wrong("not a program, but a directory or something else"));
    }
    if access(path, AccessFlags::X_OK).is_err() {
        return Err(wrong("this program is not executable").hint(format!("chmod +x {}", shown(path))));
    }
    refuse_world_writable(path)?;
    interpreter::check(path)
}

/// Where anybody may put another in its place, the program is not the user's. In a sticky directory nobody can.
fn refuse_world_writable(path: &Path) -> Result<()> {
    let real = path.canonicalize().map_err(|e| Error::new(format!("reading {}", shown(path))).because(e))?;
    let directories = [path.parent(), real.parent()].into_iter().flatten();
    for place in directories.chain([real.as_path()]) {
        let mode = place.metadata().map_or(0, |metadata| metadata.permissions().mode());
        if mode & 0o002 != 0 && mode & 0o1000 == 0 {
            return Err(Error::new(format!(
                "{}: anybody on this machine may write to this, and it is run with secrets",
                shown(place)
            ))
            .hint(format!("chmod o-w {}", shown(place))));
        }
    }
    Ok(())
}
