//! `BackupReport`: a sealed copy on a host, and what a run did with it.

use super::{HostReport, Report};
use crate::plan::backup::{HeldBackup, Standing, Why};
use crate::words::{Outcome, PlayName, RunId, bytes, plural};
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What became of a backup, or would.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// Nothing: it is there.
    None,
    Made,
    Removed,
    /// Brought here, or to where it was asked for.
    Fetched,
    /// The same bytes were there already.
    FetchedBefore,
    /// Opened here, and compared with what its run recorded.
    Opened,
    /// Unpacked on its host, in memory, and compared with what is live there.
    Rehearsed,
}

impl Deed {
    /// The word in reports.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Made => "made",
            Self::Removed => "removed",
            Self::Fetched => "fetched",
            Self::FetchedBefore => "fetched-before",
            Self::Opened => "opened",
            Self::Rehearsed => "rehearsed",
        }
    }
}

/// One backup in a report.
#[derive(Clone, Debug)]
pub struct BackupReport {
    pub play: PlayName,
    pub run: RunId,
    /// Absolute on the host.
    pub path: String,
    pub why: Option<Why>,
    /// In bytes.
    pub size: u64,
    /// The public keys it is sealed to beside the bundle's own; `None` where nothing says so.
    pub recipients: Option<Vec<String>>,
    pub standing: Standing,
    pub deed: Deed,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// What there is to know about it, and is not wrong.
    pub note: Option<String>,
}

impl BackupReport {
    /// Of what lies there.
    pub fn new(play: &PlayName, path: String, held: &HeldBackup) -> Self {
        Self {
            play: play.clone(),
            run: held.run.clone(),
            path,
            why: held.receipt.as_ref().map(|receipt| receipt.why),
            size: held.size,
            recipients: held.receipt.as_ref().map(|receipt| receipt.recipients.clone()),
            standing: held.standing,
            deed: Deed::None,
            problem: None,
            note: None,
        }
    }

    /// Can it not be relied on?
    pub fn is_bad(&self) -> bool {
        self.problem.is_some()
    }
}

/// A copy of the sealed bundle, in `backups/bundle/` beside it.
#[derive(Clone, Debug)]
pub struct CopyReport {
    pub run: RunId,
    pub path: PathBuf,
    /// In bytes.
    pub size: u64,
    pub deed: Deed,
    /// Does it open? `None` if nobody tried.
    pub intact: Option<bool>,
    /// Why it does not open.
    pub problem: Option<String>,
}

/// What there is to say of the backups of a host, a line each. Only a list shows those with which nothing was done.
pub(super) fn lines(host: &HostReport, report: &Report) -> Vec<String> {
    let is_told = |backup: &&BackupReport| match backup.deed {
        Deed::None => is_list(report) || backup.problem.is_some(),
        // Of many that are as they should be one line is enough.
        Deed::Opened => backup.problem.is_some() || backup.note.is_some(),
        _ => true,
    };
    let told: Vec<&BackupReport> = host.backups.iter().filter(is_told).collect();
    let plays: BTreeSet<&PlayName> = host.backups.iter().map(|backup| &backup.play).collect();
    let mut lines: Vec<String> = Vec::new();
    for backup in told {
        let play = if plays.len() > 1 { format!("{}: ", backup.play) } else { String::new() };
        lines.push(format!("  {} {play}{}", mark(backup, report.check), row(backup)));
        lines.extend(backup.problem.iter().map(|problem| format!("      {problem}")));
        lines.extend(backup.note.iter().map(|note| format!("      {note}")));
        lines.extend(rehearsed(backup, report.check).map(|how| format!("      {how}")));
    }
    let opened = host.backups.iter().filter(|backup| backup.deed == Deed::Opened && !backup.is_bad()).count();
    if opened > 0 {
        lines.push(format!("  {} opened: as recorded", plural(opened, "backup")));
    }
    lines
}

/// How a drill went, where there is nothing else to say.
fn rehearsed(backup: &BackupReport, check: bool) -> Option<&'static str> {
    match (backup.deed, backup.is_bad() || backup.note.is_some()) {
        (Deed::Rehearsed, false) if check => Some("opens here: would be unpacked there, in memory"),
        (Deed::Rehearsed, false) => Some("brings back what is live"),
        _ => None,
    }
}

/// Copies of the bundle, as a section of their own.
pub(super) fn copies(report: &Report) -> String {
    let is_told = |copy: &&CopyReport| {
        is_list(report) || copy.problem.is_some() || !matches!(copy.deed, Deed::None | Deed::Opened)
    };
    let mut lines = Vec::new();
    for copy in report.copies.iter().filter(is_told) {
        let mark = match (copy.deed, &copy.problem) {
            (_, Some(_)) => '!',
            (Deed::Made, _) => '+',
            (Deed::Removed, _) => '-',
            _ => ' ',
        };
        let state = match copy.intact {
            Some(true) => "intact",
            Some(false) => "damaged",
            None => "",
        };
        let line = format!("  {mark} {}  {}  {:>9}  {state}", copy.run, time(&copy.run), bytes(copy.size));
        lines.push(line.trim_end().to_owned());
        lines.extend(copy.problem.iter().map(|problem| format!("      {problem}")));
    }
    let opened = report.copies.iter().filter(|copy| copy.deed == Deed::Opened && copy.problem.is_none()).count();
    if opened > 0 {
        lines.push(format!("  {} opened", if opened == 1 { "1 copy".to_owned() } else { format!("{opened} copies") }));
    }
    let directory = report.copies.first().and_then(|copy| copy.path.parent());
    match (lines.is_empty(), directory) {
        (false, Some(directory)) => format!("the bundle ({})\n{}\n\n", directory.display(), lines.join("\n")),
        _ => String::new(),
    }
}

/// A line a host: how many there are, and what became of them.
pub(super) fn recap(report: &Report) -> String {
    let check = if report.check { " (check: nothing was changed)" } else { "" };
    let mut text = format!("RECAP {} {}{check}\n", report.command, report.run);
    let width = report.hosts.iter().map(|host| host.host.as_str().len()).max().unwrap_or(0);
    for host in &report.hosts {
        let count = |meant: &dyn Fn(&BackupReport) -> bool| host.backups.iter().filter(|backup| meant(backup)).count();
        let there = count(&|backup| backup.deed != Deed::Removed);
        let (made, removed) =
            (count(&|backup| backup.deed == Deed::Made), count(&|backup| backup.deed == Deed::Removed));
        let bad = count(&|backup| backup.is_bad() || !backup.standing.is_good());
        let is = |outcome| usize::from(host.outcome == outcome);
        let (unreachable, failed, skipped) = (is(Outcome::Unreachable), is(Outcome::Failed), is(Outcome::Skipped));
        text.push_str(&format!(
            "{:<width$} : backups={there} made={made} removed={removed} bad={bad} unreachable={unreachable} failed={failed} skipped={skipped}\n",
            host.host,
        ));
    }
    text
}

fn is_list(report: &Report) -> bool {
    report.command == "backup list"
}

fn mark(backup: &BackupReport, check: bool) -> char {
    match backup.deed {
        _ if backup.is_bad() => '!',
        Deed::Made => '+',
        Deed::Removed => '-',
        Deed::Fetched if check => '+',
        Deed::Fetched => '>',
        _ => ' ',
    }
}

fn row(backup: &BackupReport) -> String {
    let why = backup.why.map_or("?", Why::as_str);
    let sealed_to = match backup.recipients.as_deref() {
        None => "?".to_owned(),
        Some([]) => "the bundle".to_owned(),
        Some(recipients) => {
            format!("the bundle, {}", recipients.iter().map(|one| short(one)).collect::<Vec<_>>().join(", "))
        }
    };
    format!(
        "{}  {}  {why:<8}  {:>9}  {:<10}  {sealed_to}",
        backup.run,
        time(&backup.run),
        bytes(backup.size),
        backup.standing
    )
}

/// As much of a public key as tells it from others.
fn short(recipient: &str) -> String {
    if recipient.len() > 16 { format!("{}…", &recipient[..12]) } else { recipient.to_owned() }
}

fn time(run: &RunId) -> String {
    run.time().format("%Y-%m-%d %H:%M").to_string()
}
