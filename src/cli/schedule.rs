//! `schedule`: what runs rotate, audit, backup and its drill with nobody watching: systemd timers, or lines of a crontab.

mod call;
mod cron_block;
mod crontab;
mod job;
mod outcome;
mod schedule_time;
mod systemctl;
mod timers;
mod unit;
mod unit_directory;

use super::Shared;
use super::option_value::option_value;
use super::shared::print_result;
use crate::words::{FileName, Result};
use call::{Call, project_of};
use cron_block::CronBlock;
use job::Job;
use outcome::Outcome;
use schedule_time::ScheduleTime;
use serde_json::{Value, json};
use std::path::PathBuf;
use std::process::ExitCode;
use timers::Timers;
use unit::{Manager, units};
use unit_directory::{Entry, UnitDirectory};

const AFTER: &str = "\
Examples:
  distribute schedule print --systemd       the units, to read or to put into configuration management
  distribute schedule install --systemd     as root: write them, and start the timers
  distribute schedule install --cron --rotate-at 'Sat 23:30'
  distribute schedule install --cron --remove";

/// Writes what runs rotate and backup weekly, audit daily and drills monthly: systemd timers or lines of a crontab
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand)]
enum Action {
    /// Write them to stdout
    Print(Kind),
    /// Put them where they take effect; what is there already is left alone. With --check: say what would be written
    Install {
        #[command(flatten)]
        kind: Kind,
        /// Take them out again
        #[arg(long)]
        remove: bool,
    },
}

#[derive(clap::Args)]
#[command(group = clap::ArgGroup::new("writes for").required(true))]
struct Kind {
    /// Units for systemd: a service and a timer each
    #[arg(long, group = "writes for")]
    systemd: bool,
    /// Lines for your crontab
    #[arg(long, group = "writes for")]
    cron: bool,
    /// Units of your own systemd, not the system's
    #[arg(long, conflicts_with = "cron")]
    user: bool,
    /// Where the units go, in place of where systemd looks for them; then no timer is started
    // Not named `directory`: to clap that is -C.
    #[arg(long = "directory", value_name = "DIR", conflicts_with = "cron")]
    unit_directory: Option<PathBuf>,
    /// What the names of the units begin with: one for each project
    #[arg(long, value_name = "NAME", default_value = "distribute", value_parser = option_value::<FileName>)]
    name: FileName,
    /// When new values are made, once a week: [WEEKDAY ]HH:MM; without a weekday on Sunday
    #[arg(long, value_name = "TIME", default_value = "Sun 02:00", value_parser = option_value::<ScheduleTime>)]
    rotate_at: ScheduleTime,
    /// When the hosts are read: [WEEKDAY ]HH:MM; without a weekday every day
    #[arg(long, value_name = "TIME", default_value = "03:00", value_parser = option_value::<ScheduleTime>)]
    audit_at: ScheduleTime,
    /// When backups are made, once a week: [WEEKDAY ]HH:MM; without a weekday on Sunday
    #[arg(long, value_name = "TIME", default_value = "Sun 04:00", value_parser = option_value::<ScheduleTime>)]
    backup_at: ScheduleTime,
    /// When backups are rehearsed: [WEEKDAY ]HH:MM; without a weekday on the first of the month
    #[arg(long, value_name = "TIME", default_value = "1st 05:00", value_parser = option_value::<ScheduleTime>)]
    drill_at: ScheduleTime,
}

impl Kind {
    fn jobs(&self) -> [Job; 4] {
        job::jobs(self.rotate_at, self.audit_at, self.backup_at, self.drill_at)
    }

    fn manager(&self) -> Manager {
        if self.user { Manager::User } else { Manager::System }
    }

    fn directory(&self, shared: &Shared) -> Result<UnitDirectory> {
        UnitDirectory::new(self.unit_directory.as_deref(), self.manager(), project_of(shared)?)
    }

    /// Of a directory of the user's choice systemd knows nothing.
    fn timers(&self) -> Timers {
        let names = self.jobs().iter().map(|job| format!("{}-{}.timer", self.name, job.name)).collect();
        Timers::new(names, self.manager(), self.unit_directory.is_none())
    }
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    match args.action {
        Action::Print(kind) if kind.cron => print_cron(&kind, shared)?,
        Action::Print(kind) => print_units(&kind, shared)?,
        Action::Install { kind, remove } if kind.cron => install_cron(&kind, remove, shared)?,
        Action::Install { kind, remove } => install_units(&kind, remove, shared)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn print_cron(kind: &Kind, shared: &Shared) -> Result<()> {
    let text = CronBlock::new(&Call::of(shared)?, &kind.jobs())?.text();
    let result = json!({ "kind": "cron", "text": text });
    print(shared, kind, result, &text)
}

fn print_units(kind: &Kind, shared: &Shared) -> Result<()> {
    let call = Call::of(shared)?;
    let directory = kind.directory(shared)?;
    let units = units(&call, &kind.jobs(), kind.name.as_str(), kind.manager());
    let shown: Vec<String> =
        units.iter().map(|unit| headed(&directory.place(unit).display().to_string(), &unit.text)).collect();
    let files = units.iter().map(|unit| json!({ "path": directory.place(unit), "text": unit.text }));
    print(shared, kind, json!({ "kind": "systemd", "files": files.collect::<Vec<_>>() }), &shown.join("\n"))
}

fn headed(path: &str, text: &str) -> String {
    format!("# {path}\n{text}")
}

/// One document, or the text for people.
fn print(shared: &Shared, kind: &Kind, result: Value, text: &str) -> Result<()> {
    if !shared.is_json() {
        return print_result(text);
    }
    let mut document = json!({ "schema": "distribute.schedule/1", "check": shared.check });
    let jobs = kind.jobs();
    let jobs = jobs.iter().map(|job| {
        json!({ "name": job.name, "at": job.at.to_string(), "calendar": job.at.calendar(), "cron": job.at.cron(), "words": job.words })
    });
    document["jobs"] = jobs.collect();
    if let (Some(document), Value::Object(fields)) = (document.as_object_mut(), result) {
        document.extend(fields);
    }
    print_result(&format!("{document:#}\n"))
}

fn install_cron(kind: &Kind, remove: bool, shared: &Shared) -> Result<()> {
    let before = crontab::read()?;
    let old = before.as_deref().unwrap_or_default();
    let (block, after) = match remove {
        true => (String::new(), CronBlock::of(&project_of(shared)?).take_from(old)?),
        false => {
            let block = CronBlock::new(&Call::of(shared)?, &kind.jobs())?;
            (block.text(), block.put_into(old)?)
        }
    };
    let outcome = match (remove, old == after) {
        (true, true) => Outcome::Absent,
        (true, false) => Outcome::Removed,
        (false, same) if same => Outcome::Unchanged,
        (false, _) if before.is_none() => Outcome::Created,
        (false, _) => Outcome::Changed,
    };
    if outcome.is_change() && !shared.check {
        crontab::replace(&after)?;
    }
    let result = json!({ "kind": "cron", "outcome": outcome.as_str(), "text": block });
    let shown = if shared.check && outcome.is_change() { block } else { String::new() };
    // Other lines stay when ours go.
    let what = if remove { "our lines in the crontab" } else { "the crontab" };
    print(shared, kind, result, &(shown + &said(shared, outcome, what)))
}

fn install_units(kind: &Kind, remove: bool, shared: &Shared) -> Result<()> {
    let directory = kind.directory(shared)?;
    let call = if remove { Call::to_remove(shared)? } else { Call::of(shared)? };
    let units = units(&call, &kind.jobs(), kind.name.as_str(), kind.manager());
    let entries = directory.compare(units, !remove)?;
    let done = if shared.check { None } else { Some(kind.timers().apply(&directory, &entries, !remove)?) };
    let files = entries
        .iter()
        .map(|entry| json!({ "path": entry.path, "text": entry.text, "outcome": entry.outcome.as_str() }));
    let timers = done.as_ref().map(timers::Done::as_str);
    let result = json!({ "kind": "systemd", "timers": timers, "files": files.collect::<Vec<_>>() });
    let mut text: String = entries.iter().map(|entry| entry_text(shared, entry)).collect();
    text += &done.as_ref().map(timers::Done::sentence).unwrap_or_default();
    print(shared, kind, result, &text)
}

fn entry_text(shared: &Shared, entry: &Entry) -> String {
    let path = entry.path.display().to_string();
    let shown = match shared.check && entry.outcome.is_change() && !entry.text.is_empty() {
        true => headed(&path, &entry.text),
        false => String::new(),
    };
    shown + &said(shared, entry.outcome, &path)
}

fn said(shared: &Shared, outcome: Outcome, what: &str) -> String {
    let would = if shared.check && outcome.is_change() { "would be " } else { "" };
    format!("{what}: {would}{}\n", outcome.as_str())
}
