//! `UnitDirectory`: where unit files lie. Ours are written when they differ; somebody else's are never touched.

use super::outcome::Outcome;
use super::unit::{Manager, Unit, mark};
use crate::cli::report_file;
use crate::words::{Error, Result};
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// A directory of units, and the project whose units we know there.
pub struct UnitDirectory {
    path: PathBuf,
    project: String,
}

/// A unit file, and what becomes of it.
pub struct Entry {
    pub path: PathBuf,
    /// What it is to hold; empty when it goes.
    pub text: String,
    pub outcome: Outcome,
}

impl UnitDirectory {
    /// The one given, or where systemd looks for units of the system or of this user.
    pub fn new(given: Option<&Path>, manager: Manager, project: String) -> Result<Self> {
        let path = match (given, manager) {
            (Some(path), _) => path.to_owned(),
            (None, Manager::System) => PathBuf::from("/etc/systemd/system"),
            (None, Manager::User) => users()?,
        };
        Ok(Self { path, project })
    }

    /// Where this unit is, or would be.
    pub fn place(&self, unit: &Unit) -> PathBuf {
        self.path.join(&unit.file_name)
    }

    /// Compares the units with what is there; without `keep` they are to go. Nothing is written yet.
    pub fn compare(&self, units: Vec<Unit>, keep: bool) -> Result<Vec<Entry>> {
        let entry = |unit: Unit| {
            let path = self.place(&unit);
            let before = self.read(&path)?;
            let after = keep.then_some(unit.text);
            let outcome = Outcome::between(before.as_deref(), after.as_deref());
            Ok(Entry { path, text: after.unwrap_or_default(), outcome })
        };
        units.into_iter().map(entry).collect()
    }

    fn read(&self, path: &Path) -> Result<Option<String>> {
        let text = match fs::read_to_string(path) {
            Ok(text) => text,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Error::new(format!("reading {}", path.display())).because(error)),
        };
        match text.lines().next() == Some(&mark(&self.project)) {
            true => Ok(Some(text)),
            false => Err(Error::new(format!("{}: this unit is not of this project", path.display()))
                .hint("give ours another name: --name NAME")),
        }
    }

    /// Writes and removes what differs.
    pub fn apply(&self, entries: &[Entry]) -> Result<()> {
        for entry in entries {
            match entry.outcome {
                Outcome::Created | Outcome::Changed => self.write(entry)?,
                Outcome::Removed => fs::remove_file(&entry.path)
                    .map_err(|e| self.refused(Error::new(format!("removing {}", entry.path.display())).because(e)))?,
                Outcome::Unchanged | Outcome::Absent => {}
            }
        }
        Ok(())
    }

    fn write(&self, entry: &Entry) -> Result<()> {
        fs::create_dir_all(&self.path)
            .map_err(|e| self.refused(Error::new(format!("making {}", self.path.display())).because(e)))?;
        report_file::write(&entry.path, &entry.text).map_err(|error| self.refused(error))
    }

    fn refused(&self, error: Error) -> Error {
        match self.path.starts_with("/etc") && !nix::unistd::geteuid().is_root() {
            true => error.hint("run it as root, or with --user for a schedule of your own"),
            false => error,
        }
    }
}

/// `$XDG_CONFIG_HOME/systemd/user`, or the one in the home directory.
fn users() -> Result<PathBuf> {
    let variable = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let config = variable("XDG_CONFIG_HOME").or_else(|| Some(variable("HOME")?.join(".config")));
    config
        .map(|config| config.join("systemd/user"))
        .ok_or_else(|| Error::new("there is no home directory for --user").hint("set HOME, or name a --directory"))
}
