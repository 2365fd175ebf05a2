//! `LastRuns`: when each command last ended well on this machine, one small file a bundle beside what was seen of it. A schedule that
//! stopped says nothing by itself; `status --max-age` asks here.

use super::Shared;
use super::last_seen::record_of;
use super::shared::print_error;
use crate::report::{Late, Report};
use crate::words::{Error, Period, Result, named};
use chrono::{DateTime, SecondsFormat, Utc};
use std::collections::BTreeMap;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;

const COMMANDS: [(&str, &str); 5] =
    [("rotate", "rotate"), ("deploy", "deploy"), ("audit", "audit"), ("backup", "backup"), ("drill", "drill")];

/// The record of one bundle.
pub struct LastRuns {
    file: PathBuf,
    runs: BTreeMap<&'static str, DateTime<Utc>>,
}

/// `[COMMAND=]PERIOD`: how long ago a command's last good run may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MaxAge {
    pub command: &'static str,
    pub period: Period,
}

impl FromStr for MaxAge {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (command, period) = text.split_once('=').unwrap_or(("rotate", text));
        Ok(Self { command: named(command, "a command that runs on a schedule", &COMMANDS)?, period: period.parse()? })
    }
}

impl LastRuns {
    /// Of the bundle at this path.
    pub fn of(bundle: &Path) -> Result<Self> {
        let file = record_of(bundle)?.with_extension("runs");
        let runs = read(&file)?;
        Ok(Self { file, runs })
    }

    /// Notes a run that ended well, at this time. What another command notes meanwhile is kept.
    pub fn note(&mut self, command: &str, time: DateTime<Utc>) -> Result<()> {
        let command = named(command, "a command that is noted", &COMMANDS)?;
        let failed = |e| Error::new(format!("noting the run in {}", self.file.display())).because(e);
        let _alone = alone(&self.file).map_err(failed)?;
        self.runs = read(&self.file)?;
        self.runs.insert(command, time);
        write(&self.file, &self.runs).map_err(failed)
    }

    /// The commands whose last good run is too long ago, is none, or is in the future: then the clock jumped back, and proves nothing.
    pub fn late(&self, wanted: &[MaxAge], now: DateTime<Utc>) -> Vec<Late> {
        let late = |wanted: &MaxAge| {
            let last = self.runs.get(wanted.command).copied();
            let age = last.and_then(|last| u64::try_from((now - last).num_seconds()).ok().filter(|_| last <= now));
            let is_late = age.is_none_or(|age| age > wanted.period.as_secs());
            is_late.then_some(Late { command: wanted.command, last, max_age: wanted.period })
        };
        wanted.iter().filter_map(late).collect()
    }
}

/// Notes the run of this report if it went well: an audit did that also when it found something. That it cannot be noted is told, and
/// changes nothing about the run.
pub fn note(shared: &Shared, report: &Report, now: DateTime<Utc>) {
    note_as(report.command, shared, report, now);
}

/// The same for a command of two words, which goes by one here.
pub fn note_as(command: &str, shared: &Shared, report: &Report, now: DateTime<Utc>) {
    let is_well = match report.exit_status() {
        0 => true,
        3 => report.command == "audit",
        _ => false,
    };
    if shared.check || !is_well {
        return;
    }
    let noted = shared.project().and_then(|project| LastRuns::of(&project.bundle)?.note(command, now));
    noted.unwrap_or_else(|error| print_error(&error));
}

/// Until it is dropped nobody else notes a run here.
fn alone(file: &Path) -> std::io::Result<File> {
    let directory = file.parent().expect("it lies in the state directory");
    DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    let directory = File::open(directory)?;
    directory.lock()?;
    Ok(directory)
}

fn write(file: &Path, runs: &BTreeMap<&'static str, DateTime<Utc>>) -> std::io::Result<()> {
    let beside = file.with_extension(format!("runs.new{}", std::process::id()));
    let mut new = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    for (command, time) in runs {
        writeln!(new, "{command} {}", time.to_rfc3339_opts(SecondsFormat::Secs, true))?;
    }
    new.sync_all()?;
    fs::rename(&beside, file)
}

/// What is in the record; nothing if there is none.
fn read(file: &Path) -> Result<BTreeMap<&'static str, DateTime<Utc>>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(error) => return Err(Error::new(file.display().to_string()).because(error)),
    };
    let line = |line: &str| {
        let (command, time) = line.split_once(' ')?;
        let (command, _) = COMMANDS.iter().find(|(known, _)| *known == command)?;
        Some((*command, DateTime::parse_from_rfc3339(time).ok()?.to_utc()))
    };
    text.lines().map(line).collect::<Option<_>>().ok_or_else(|| {
        Error::new(format!("{}: what ran here before cannot be read", file.display()))
            .hint(format!("forget it, and the next good runs are noted again: rm {}", file.display()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn record() -> (tempfile::TempDir, LastRuns) {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("state/0a.runs");
        (directory, LastRuns { file, runs: BTreeMap::new() })
    }

    #[test]
    fn runs_are_noted_beside_each_other() {
        let (_directory, mut one) = record();
        let mut other = LastRuns { file: one.file.clone(), runs: BTreeMap::new() };
        one.note("rotate", at("2026-11-22T02:00:00Z")).unwrap();
        other.note("audit", at("2026-11-22T03:00:00.5Z")).unwrap();
        other.note("audit", at("2026-11-23T03:00:00Z")).unwrap();
        let text = fs::read_to_string(&one.file).unwrap();
        assert_eq!(text, "audit 2026-11-23T03:00:00Z\nrotate 2026-11-22T02:00:00Z\n");
        assert_eq!(fs::read_dir(one.file.parent().unwrap()).unwrap().count(), 1);
        assert!(one.note("status", at("2026-11-22T02:00:00Z")).is_err());
    }

    #[test]
    fn late_is_too_old_none_or_in_the_future() {
        let (_directory, mut runs) = record();
        runs.note("rotate", at("2026-11-22T02:00:00Z")).unwrap();
        let wanted = ["8d", "backup=1d"].map(|text| text.parse().unwrap());
        let late = |now: &str| -> Vec<_> {
            runs.late(&wanted, at(now)).iter().map(|late| (late.command, late.last.is_some())).collect()
        };
        assert_eq!(late("2026-11-30T02:00:00Z"), [("backup", false)]);
        assert_eq!(late("2026-11-30T02:00:01Z"), [("rotate", true), ("backup", false)]);
        assert_eq!(late("2026-11-22T01:59:59Z"), [("rotate", true), ("backup", false)]);
    }

    #[test]
    fn a_damaged_record_is_told_and_kept() {
        let (directory, mut runs) = record();
        fs::create_dir(directory.path().join("state")).unwrap();
        for damaged in ["rotate", "rotate yesterday\n", "rotat 2026-11-22T02:00:00Z\n", "\n", "\0\0\0"] {
            fs::write(&runs.file, damaged).unwrap();
            let error = runs.note("rotate", at("2026-11-22T02:00:00Z")).unwrap_err();
            assert!(error.message().ends_with("cannot be read") && error.hints()[0].contains("rm "), "{error}");
            assert_eq!(fs::read_to_string(&runs.file).unwrap(), damaged);
        }
    }

    #[test]
    fn a_period_may_name_its_command() {
        let read = |text: &str| text.parse::<MaxAge>().map(|age| (age.command, age.period.as_secs()));
        assert_eq!(read("8d").unwrap(), ("rotate", 691_200));
        assert_eq!(read("audit=25h").unwrap(), ("audit", 90_000));
        assert_eq!(read("audti=25h").unwrap_err().hints(), ["did you mean `audit`?"]);
        assert!(read("status=1d").is_err() && read("rotate=").is_err() && read("").is_err());
    }
}
