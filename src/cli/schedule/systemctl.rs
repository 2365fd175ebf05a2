//! `Systemctl`: what is asked of a systemd that runs: to read its units again, and to start or stop the timers.

use super::unit::Manager;
use crate::words::{Error, Result, printable};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The system's manager or the user's.
pub struct Systemctl(Manager);

impl Systemctl {
    /// `None` where that systemd does not run.
    pub fn running(manager: Manager) -> Option<Self> {
        let users = || std::env::var_os("XDG_RUNTIME_DIR").is_some_and(|dir| Path::new(&dir).join("systemd").is_dir());
        let runs = Path::new("/run/systemd/system").is_dir() && (manager == Manager::System || users());
        runs.then_some(Self(manager))
    }

    /// Are all of them on, now and after the next boot?
    pub fn are_on(&self, timers: &[String]) -> Result<bool> {
        let is = |question: &str| {
            let answers = timers.iter().map(|timer| Ok(self.run(&[question, "--quiet", timer])?.status.success()));
            answers.collect::<Result<Vec<bool>>>()
        };
        Ok(is("is-enabled")?.into_iter().chain(is("is-active")?).all(|is| is))
    }

    /// Reads units that changed, and starts the timers now and at every boot.
    pub fn turn_on(&self, timers: &[String]) -> Result<()> {
        self.must(&["daemon-reload"], &[])?;
        self.must(&["enable", "--now"], timers)
    }

    /// To be done while the units are still there.
    pub fn turn_off(&self, timers: &[String]) -> Result<()> {
        if timers.is_empty() {
            return Ok(());
        }
        self.must(&["disable", "--now"], timers)
    }

    /// Forgets units that are gone.
    pub fn reload(&self) -> Result<()> {
        self.must(&["daemon-reload"], &[])
    }

    fn must(&self, words: &[&str], units: &[String]) -> Result<()> {
        let all: Vec<&str> = words.iter().copied().chain(units.iter().map(String::as_str)).collect();
        let done = self.run(&all)?;
        match done.status.success() {
            true => Ok(()),
            false => Err(Error::new(format!("systemctl {}: {}", words.join(" "), printable(&done.stderr, 400)))),
        }
    }

    fn run(&self, words: &[&str]) -> Result<Output> {
        let mut command = Command::new("systemctl");
        if self.0 == Manager::User {
            command.arg("--user");
        }
        let done = command.args(words).stdin(Stdio::null()).output();
        done.map_err(|e| Error::new("starting systemctl").because(e))
    }
}
