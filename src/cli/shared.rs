//! The options that every command takes, and how results and errors reach the terminal.

use super::Project;
use super::option_value::option_value;
use crate::words::{Error, Pattern, Result};
use clap::{ArgAction, ValueEnum};
use std::io::Write;
use std::path::PathBuf;

#[derive(clap::Args, Debug)]
#[command(next_help_heading = "Shared options")]
pub struct Shared {
    /// The project directory; otherwise found by walking up from here
    #[arg(short = 'C', value_name = "DIR", global = true, env = "DISTRIBUTE_DIR", hide_env_values = true)]
    pub directory: Option<PathBuf>,
    /// Inventory file or directory [default: inventory/]
    #[arg(short, long, value_name = "PATH", global = true, env = "DISTRIBUTE_INVENTORY", hide_env_values = true)]
    pub inventory: Option<PathBuf>,
    /// The bundle [default: secrets.age]
    #[arg(short, long, value_name = "PATH", global = true, env = "DISTRIBUTE_BUNDLE", hide_env_values = true)]
    pub bundle: Option<PathBuf>,
    /// Playbook file or directory [default: playbooks/]
    #[arg(short, long, value_name = "PATH", global = true, env = "DISTRIBUTE_PLAYBOOK", hide_env_values = true)]
    pub playbook: Option<PathBuf>,
    /// Only these hosts: a pattern as in Ansible, such as web[0:3]:!staging
    #[arg(short = 'l', long, visible_alias = "limit", value_name = "PATTERN", global = true)]
    pub hosts: Option<String>,
    /// Hosts at one time [default: 32]
    #[arg(short, long, value_name = "N", global = true, env = "DISTRIBUTE_FORKS", hide_env_values = true, value_parser = clap::value_parser!(u16).range(1..=1024))]
    // Optional, so that a schedule can tell what was given from what is usual.
    pub forks: Option<u16>,
    /// File that holds the bundle's password (mode 600 or 400) [default: vault-password beside the bundle, if there is one]
    #[arg(long, value_name = "PATH", global = true, env = "DISTRIBUTE_PASSWORD_FILE", hide_env_values = true)]
    pub password_file: Option<PathBuf>,
    /// An identity file that opens the bundle, of age, a plugin or SSH; may be given several times
    #[arg(
        long,
        value_name = "PATH",
        global = true,
        env = "DISTRIBUTE_IDENTITY",
        hide_env_values = true,
        value_delimiter = ':'
    )]
    pub identity: Vec<PathBuf>,
    /// Say what would be done, and change nothing
    #[arg(long, visible_alias = "dry-run", global = true)]
    pub check: bool,
    /// Show keys and short fingerprints of what changes; never values
    #[arg(long, global = true)]
    pub diff: bool,
    /// How results are written to stdout
    // Not global here: `command()` puts it behind each command, because behind keygen -o is something else.
    #[arg(
        short,
        long,
        value_name = "FORMAT",
        default_value = "human",
        env = "DISTRIBUTE_OUTPUT",
        hide_env_values = true
    )]
    pub output: Format,
    /// Only results and errors
    #[arg(short, long, global = true)]
    pub quiet: bool,
    /// Say what happens while it happens
    #[arg(short, long, action = ArgAction::Count, global = true)]
    pub verbose: u8,
    /// Do not ask before something is destroyed
    #[arg(short, long, global = true)]
    pub yes: bool,
}

/// Of commands that go to hosts.
#[derive(clap::Args, Debug)]
pub struct Timeout {
    /// Longest time for each phase on the network, such as 10s [default: 5s to 120s, by phase]
    #[arg(long, value_name = "PERIOD", value_parser = option_value::<crate::words::Period>)]
    timeout: Option<crate::words::Period>,
}

impl Timeout {
    /// The longest time for each phase; `None` leaves the usual ones.
    pub fn duration(&self) -> Option<std::time::Duration> {
        self.timeout.map(|period| period.duration())
    }
}

/// How results are written to stdout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Format {
    Human,
    Json,
}

impl Shared {
    /// Where inventory, playbooks and bundle are.
    pub fn project(&self) -> Result<Project> {
        Project::find(self)
    }

    /// The hosts that are meant: `--hosts`, or all. `@file` is read here: a pattern a line.
    pub fn pattern(&self) -> Result<Pattern> {
        let Some(text) = &self.hosts else { return Ok(Pattern::all()) };
        let mut terms = Vec::new();
        for term in text.split(',') {
            match term.trim().strip_prefix('@') {
                Some(path) => terms.extend(patterns_in(path)?),
                None => terms.push(term.to_owned()),
            }
        }
        Pattern::parse(&terms.join(","))
    }

    /// How many hosts at one time.
    pub fn forks(&self) -> usize {
        usize::from(self.forks.unwrap_or(32))
    }

    /// A message for people: stderr, unless `-q`.
    pub fn say(&self, message: std::fmt::Arguments) {
        if !self.quiet {
            let _ = writeln!(std::io::stderr().lock(), "{message}");
        }
    }

    /// A message for people who asked for more with `-v`.
    pub fn detail(&self, message: std::fmt::Arguments) {
        if self.verbose > 0 {
            self.say(message);
        }
    }

    /// Were results asked for as JSON?
    pub fn is_json(&self) -> bool {
        self.output == Format::Json
    }
}

fn patterns_in(path: &str) -> Result<Vec<String>> {
    let text = std::fs::read_to_string(path).map_err(|e| Error::new(format!("host pattern file {path}")).because(e))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    Ok(lines.map(str::to_owned).collect())
}

/// A signal came while an editor was open; its code is 130.
pub(super) const INTERRUPTED: &str = "interrupted while the editor was open; nothing was changed";

pub(super) const BROKEN_PIPE: &str = "stdout was closed";

/// Writes a result that is text to stdout.
pub fn print_result(text: &str) -> Result<()> {
    print_bytes(text.as_bytes())
}

/// Writes a result to stdout. A reader that went away (`| head`) is not an error of ours.
pub fn print_bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(bytes).and_then(|()| stdout.flush());
    written.map_err(|error| match error.kind() {
        std::io::ErrorKind::BrokenPipe => Error::new(BROKEN_PIPE),
        _ => Error::new("writing to stdout").because(error),
    })
}

/// Says on stderr what was done, unless `--quiet`.
pub fn print_note(shared: &Shared, text: &str) {
    if !shared.quiet {
        let _ = std::io::stderr().lock().write_all(format!("{text}\n").as_bytes());
    }
}

/// Prints `error: …` and each hint on a line of its own.
pub fn print_error(error: &Error) {
    let mut text = format!("error: {error}\n");
    for hint in error.hints() {
        text.push_str(&format!("hint: {hint}\n"));
    }
    let _ = std::io::stderr().lock().write_all(text.as_bytes());
}

/// The same for a machine: with `-o json` stdout holds one document, whatever happens.
pub fn print_error_document(error: &Error) {
    let error = serde_json::json!({ "message": error.to_string(), "hints": error.hints() });
    let _ = print_result(&format!("{:#}\n", serde_json::json!({ "schema": "distribute.error/1", "error": error })));
}
