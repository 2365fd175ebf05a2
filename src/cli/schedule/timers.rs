//! `Timers`: units written or removed, and the timers among them started or stopped to match.

use super::outcome::Outcome;
use super::systemctl::Systemctl;
use super::unit::Manager;
use super::unit_directory::{Entry, UnitDirectory};
use crate::words::Result;

/// The timers of one schedule, and the systemd that knows them.
pub struct Timers {
    names: Vec<String>,
    manager: Manager,
    is_known: bool,
}

/// What became of them.
pub enum Done {
    Started,
    Stopped,
    Unchanged,
    /// No systemd that knows the directory runs here; what starts them where it does.
    Left(String),
}

impl Done {
    /// The word in JSON.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Started => "started",
            Self::Stopped => "stopped",
            Self::Unchanged => "unchanged",
            Self::Left(_) => "left",
        }
    }

    /// A line for people; empty if there is nothing to say.
    pub fn sentence(&self) -> String {
        match self {
            Self::Started => "the timers run\n".to_owned(),
            Self::Stopped => "the timers are stopped\n".to_owned(),
            Self::Left(start) if !start.is_empty() => format!("no timer was started; where systemd runs: {start}\n"),
            Self::Unchanged | Self::Left(_) => String::new(),
        }
    }
}

impl Timers {
    /// `is_known` says whether that systemd looks into the directory of the units.
    pub const fn new(names: Vec<String>, manager: Manager, is_known: bool) -> Self {
        Self { names, manager, is_known }
    }

    /// Writes or removes what differs; timers are stopped before their units go.
    pub fn apply(&self, directory: &UnitDirectory, entries: &[Entry], keep: bool) -> Result<Done> {
        let is_change = entries.iter().any(|entry| entry.outcome.is_change());
        let Some(systemctl) = Systemctl::running(self.manager).filter(|_| self.is_known) else {
            directory.apply(entries)?;
            return Ok(Done::Left(if is_change && keep { self.start() } else { String::new() }));
        };
        match keep {
            true if !is_change && systemctl.are_on(&self.names)? => Ok(Done::Unchanged),
            true => {
                directory.apply(entries)?;
                systemctl.turn_on(&self.names)?;
                Ok(Done::Started)
            }
            false if !is_change => Ok(Done::Unchanged),
            false => {
                systemctl.turn_off(&timers_that_go(entries))?;
                directory.apply(entries)?;
                systemctl.reload()?;
                Ok(Done::Stopped)
            }
        }
    }

    fn start(&self) -> String {
        let user = if self.manager == Manager::User { "--user " } else { "" };
        format!("systemctl {user}enable --now {}", self.names.join(" "))
    }
}

/// systemd refuses to stop one whose unit somebody has removed already.
fn timers_that_go(entries: &[Entry]) -> Vec<String> {
    let there = entries.iter().filter(|entry| entry.outcome == Outcome::Removed);
    let names = there.filter_map(|entry| entry.path.file_name()?.to_str());
    names.filter(|name| name.ends_with(".timer")).map(str::to_owned).collect()
}
