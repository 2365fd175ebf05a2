//! The playbook: which services' secrets each host gets, with which owner and mode, and what happens when they change.
//! TOML files come in, checked plays leave. Which hosts a pattern means is the inventory's to say, and what a service holds
//! is the bundle's.

mod action;
mod format;
mod notification;
mod read;
mod rollout;
mod rotation_policy;
mod secret_glob;
mod service_glob;
mod template;
#[cfg(test)]
mod tests;

use crate::dialect::Manifest;
use crate::words::{Error, KeyName, Mode, Pattern, PlayName, Principal, RemotePath, Result, ServiceName, TomlFiles};
use std::collections::HashMap;
use std::path::{Path, PathBuf};

pub use action::{Action, Consumer, Health, Probe};
pub use format::Format;
pub use notification::{Address, Channel, Notification, When};
pub use rollout::{Rollout, Share};
pub use rotation_policy::{Maker, RotationPolicy, Steps, ValueScope};
pub use secret_glob::SecretGlob;
pub use service_glob::ServiceGlob;
pub use template::Template;

/// The plays of all files, in order, and how secrets are rotated.
#[derive(Clone, Debug)]
pub struct Playbook {
    pub plays: Vec<Play>,
    pub rotations: Vec<RotationPolicy>,
    pub rollout: Rollout,
    /// Where its files lie, and programs that it names by a relative path.
    pub directory: PathBuf,
    /// Who hears of runs, in order.
    pub notifications: Vec<Notification>,
}

/// One play: hosts, and the services whose secrets they get.
#[derive(Clone, Debug)]
pub struct Play {
    pub name: PlayName,
    pub hosts: Pattern,
    /// Secrets go to `<root>/secrets`. A host's or group's root is stronger, that of the inventory's defaults weaker.
    pub root: Option<RemotePath>,
    pub access: Access,
    /// Backups kept on each host.
    pub keep: u32,
    pub services: Vec<Service>,
}

/// Who may do what with the files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    pub owner: Principal,
    pub group: Principal,
    /// Of files.
    pub mode: Mode,
    pub directory_mode: Mode,
}

/// A service as a play gives it, with the play's settings filled in.
#[derive(Clone, Debug)]
pub struct Service {
    pub name: ServiceName,
    pub format: Format,
    /// Narrower than the play, if given.
    pub hosts: Option<Pattern>,
    /// Made of other services that the host gets; of itself, if empty. A template may use all of them then.
    pub include: Vec<ServiceGlob>,
    /// Keys that every host must have for it.
    pub require: Vec<KeyName>,
    /// What the object is called, of format `kubernetes`.
    pub manifest: Option<Manifest>,
    /// Of format `template`.
    pub template: Option<Template>,
    /// The play's, unless given here.
    pub access: Access,
    /// What to run when its files changed; `None` runs nothing.
    pub on_change: Option<Action>,
    /// How to see that it went well; `None` asks nothing.
    pub health: Option<Health>,
}

impl Default for Access {
    /// Nobody but root.
    fn default() -> Self {
        let root = Principal::new("root").expect("`root` is a name");
        Self { owner: root.clone(), group: root, mode: Mode::new(0o600), directory_mode: Mode::new(0o700) }
    }
}

impl Playbook {
    /// Reads a .toml file, or a directory of them in the order of their names.
    pub fn load(path: &Path) -> Result<Self> {
        let files = TomlFiles::read(path, "playbook")?;
        let directory = if path.is_dir() { path } else { path.parent().unwrap_or(Path::new("")) }.to_owned();
        let (mut plays, mut rotations, mut notifications) = (Vec::new(), Vec::new(), Vec::new());
        let mut rollout: Option<(Rollout, String)> = None;
        let mut places: HashMap<PlayName, String> = HashMap::new();
        for file in files.tables() {
            notifications.extend(Notification::all(&file)?);
            for (play, place) in read::plays(&file, &directory)? {
                if let Some(other) = places.insert(play.name.clone(), place.clone()) {
                    return Err(Error::new(format!("play \"{}\" is already in {other}", play.name)).at(place));
                }
                plays.push(play);
            }
            rotations.extend(read::rotations(&file)?);
            if let Some((table, place)) = read::rollout(&file)? {
                if let Some((_, other)) = &rollout {
                    return Err(Error::new(format!("[rollout] is already in {other}")).at(place));
                }
                rollout = Some((table, place));
            }
        }
        if plays.is_empty() {
            return Err(Error::new(format!("{}: there is no play", path.display()))
                .hint("a play starts with [[play]], a name and the hosts"));
        }
        let rollout = rollout.map(|(table, _)| table).unwrap_or_default();
        Ok(Self { plays, rotations, rollout, notifications, directory })
    }
}

impl Service {
    /// What it is called in `<root>/secrets`: a file, or a directory.
    pub fn entry(&self) -> String {
        format!("{}{}", self.name, self.format.suffix())
    }

    /// Is it made of nothing but what the bundle has under its name?
    pub fn is_plain(&self) -> bool {
        self.include.is_empty() && self.format != Format::Template
    }
}
