//! A report for a person: what changed where, failures folded by cause, and at the end a recap, a line a host, as Ansible users know it.

use super::{Event, ExposureReport, FileReport, HostReport, Late, Report, RotationReport, audited, backup};
use crate::plan::{Change, Finding};
use crate::words::{Failure, HostName, Outcome, Period, RunId, plural};
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt::Write;

/// Findings of one host that are listed before the rest is only counted.
const FINDINGS_SHOWN: usize = 20;

/// An event as a line for stderr, while hosts are at work.
pub fn progress(event: &Event) -> String {
    match event {
        Event::Finished(host) => match &host.error {
            Some(failure) => format!("{}: {}: {}: {}", host.host, host.outcome, failure.phase, failure.message),
            None => format!("{}: {}", host.host, host.outcome),
        },
        Event::Started(host) => format!("{host}: connecting"),
        Event::Pushing(host) => format!("{host}: sending"),
    }
}

/// `now` is for ages, which only `status` shows. What an audit found is folded over all hosts.
pub fn human(report: &Report, now: DateTime<Utc>) -> String {
    if report.command == "audit" {
        return audited::findings(report) + &failures(report) + &audited::recap(report);
    }
    let mut text = String::new();
    text.extend(report.rotation.iter().map(RotationReport::plan_text));
    for host in &report.hosts {
        text.push_str(&section(host, report, now));
    }
    text.push_str(&failures(report));
    text.extend(report.rotation.iter().map(|rotation| rotation.end_text(now)));
    text.extend(report.late.iter().map(|late| late_line(late, now)));
    text.extend(report.exposures.iter().map(ExposureReport::text));
    text.push_str(&backup::copies(report));
    text.extend(report.recovery.iter().map(|recovery| recovery.text(report.check)));
    let is_of_backups = report.command.starts_with("backup") || report.recovery.is_some();
    text.push_str(&if is_of_backups { backup::recap(report) } else { recap(report) });
    text
}

fn section(host: &HostReport, report: &Report, now: DateTime<Utc>) -> String {
    let mut lines = Vec::new();
    if report.command == "status" && !host.outcome.is_failure() && host.outcome != Outcome::Skipped {
        lines.extend(state(host, now));
    } else {
        for file in host.files.iter().filter(|file| file.change != Change::None) {
            lines.extend(file_lines(file, report.diff));
        }
    }
    let would = if report.check { "would run" } else { "ran" };
    if !host.actions.is_empty() && report.command != "status" && host.outcome != Outcome::Failed {
        let names: Vec<&str> = host.actions.iter().map(|name| name.as_str()).collect();
        lines.push(format!("  > {would} the actions of {}", names.join(", ")));
    }
    for finding in host.findings.iter().take(FINDINGS_SHOWN) {
        lines.push(finding_line(finding));
    }
    if host.findings.len() > FINDINGS_SHOWN {
        lines.push(format!("  ! and {} more", host.findings.len() - FINDINGS_SHOWN));
    }
    lines.extend(backup::lines(host, report));
    lines.extend(host.notes.iter().map(|note| format!("  * {note}")));
    if host.is_put_back {
        lines.push("  < put back: what was live before is live again".to_owned());
    }
    let will = if report.check { "would be kept as" } else { "kept as" };
    lines.extend(host.kept.iter().map(|path| format!("  = {will} {path}")));
    if lines.is_empty() {
        return String::new();
    }
    format!("{} ({})\n{}\n\n", host.host, host.address, lines.join("\n"))
}

fn finding_line(finding: &Finding) -> String {
    let Finding { rule, path, found, expected, .. } = finding;
    let expected = if expected == "nothing" { String::new() } else { format!(" (should be {expected})") };
    let mended = if finding.fixed { ", mended" } else { "" };
    format!("  ! {rule}: {path}: {found}{expected}{mended}")
}

fn file_lines(file: &FileReport, diff: bool) -> Vec<String> {
    let mark = match file.change {
        Change::None => ' ',
        Change::Added => '+',
        Change::Removed => '-',
        Change::Changed | Change::Access => '~',
    };
    let why = if file.change == Change::Access { " (owner, mode or link)" } else { "" };
    let changed = if file.keys.is_empty() { String::new() } else { format!(" ({})", plural(file.keys.len(), "key")) };
    let mut lines = vec![format!("  {mark} {}{why}{changed}", file.path)];
    for key in file.keys.iter().filter(|_| diff) {
        let mark = match key.change {
            Change::Added => '+',
            Change::Removed => '-',
            _ => '~',
        };
        lines.push(format!("      {mark} {}  {}", key.key, key.fingerprint));
    }
    lines
}

fn state(host: &HostReport, now: DateTime<Utc>) -> Vec<String> {
    let age = |run: &RunId| {
        let seconds = (now - run.time()).num_seconds().max(0);
        format!("{run}, {} ago", Period::from_secs(seconds.unsigned_abs()))
    };
    let mut lines = vec![match &host.live {
        Some(run) => format!("  generation {} (run {})", run.generation(), age(run)),
        None => "  no set of ours".to_owned(),
    }];
    for file in &host.files {
        let state = match file.change {
            Change::None => "current",
            Change::Added => "missing",
            Change::Changed => "differs from the bundle",
            Change::Access => "owner, mode or link is wrong",
            Change::Removed => "no longer in the playbook",
        };
        lines.push(format!(
            "  {:<width$}  {state}",
            file.path,
            width = host.files.iter().map(|file| file.path.len()).max().unwrap_or(0)
        ));
    }
    if !host.owed.is_empty() {
        let names: Vec<&str> = host.owed.iter().map(|name| name.as_str()).collect();
        lines.push(format!("  owed: the actions of {} (the next deploy runs them)", names.join(", ")));
    }
    if !host.overdue.is_empty() {
        lines.push(format!("  overdue: {}", host.overdue.join(", ")));
    }
    lines.extend(host.lock.iter().map(|who| format!("  another run is at work here since {who}")));
    lines.extend(
        host.dead_lock.iter().map(|who| format!("  a run died here: {who} (the next deploy cleans up after it)")),
    );
    lines.push(match &host.last_backup {
        Some(run) => format!("  last backup: {}", age(run)),
        None => "  last backup: none".to_owned(),
    });
    lines
}

fn late_line(late: &Late, now: DateTime<Utc>) -> String {
    let last = match late.last {
        None => "no good run on this machine".to_owned(),
        Some(last) if last > now => {
            let last = last.to_rfc3339_opts(SecondsFormat::Secs, true);
            format!("last good run in the future, {last}: the clock jumped back")
        }
        Some(last) => {
            format!("last good run {} ago", Period::from_secs((now - last).num_seconds().unsigned_abs()))
        }
    };
    format!("{}: {last}, --max-age {}\n", late.command, late.max_age)
}

/// Hosts that failed in the same way are one paragraph: how, who, and what to do.
fn failures(report: &Report) -> String {
    let mut folded: Vec<(String, &Failure, Outcome, Vec<&HostName>)> = Vec::new();
    for host in &report.hosts {
        let Some(failure) = &host.error else { continue };
        let cause = cause(host, failure);
        match folded.iter_mut().find(|(other, ..)| *other == cause) {
            Some((.., hosts)) => hosts.push(&host.host),
            None => folded.push((cause, failure, host.outcome, vec![&host.host])),
        }
    }
    let mut text = String::new();
    for (_, failure, outcome, hosts) in folded {
        let names: Vec<&str> = hosts.iter().map(|host| host.as_str()).collect();
        let others = if hosts.len() > 1 { format!(" (×{})", hosts.len()) } else { String::new() };
        writeln!(text, "{outcome}: {}{others}", names.join(", ")).expect("a string takes it");
        writeln!(text, "  {}: {}", failure.phase, failure.message).expect("a string takes it");
        if let Some(hint) = &failure.hint {
            // It is the same for all of them, but for the name.
            let one = format!("--hosts {}", names[0]);
            let hint = hint.replace(&one, &format!("--hosts {}", names.join(",")));
            writeln!(text, "  hint: {hint}").expect("a string takes it");
        }
        text.push('\n');
    }
    text
}

/// The failure without what is particular to the host.
fn cause(host: &HostReport, failure: &Failure) -> String {
    let address = host.address.rsplit_once(':').map_or(host.address.as_str(), |(address, _)| address);
    let hint = failure.hint.as_deref().unwrap_or_default();
    let text = format!("{} {}\n{hint}", failure.phase, failure.message).replace(&host.address, "*");
    text.replace(address, "*").replace(host.host.as_str(), "*")
}

fn recap(report: &Report) -> String {
    let check = if report.check { " (check: nothing was changed)" } else { "" };
    let mut text = format!("RECAP {} {}{check}\n", report.command, report.run);
    let width = report.hosts.iter().map(|host| host.host.as_str().len()).max().unwrap_or(0);
    for host in &report.hosts {
        // Asking changes nothing.
        let files = if report.command == "status" { 0 } else { host.changed() };
        // A host may change beside its files: a mode that was mended, a restart that was owed.
        let changed = files.max(usize::from(host.outcome == Outcome::Changed));
        let (unreachable, failed, skipped) = match host.outcome {
            Outcome::Unreachable => (1, 0, 0),
            Outcome::Failed => (0, 1, 0),
            Outcome::Skipped => (0, 0, 1),
            Outcome::Ok | Outcome::Changed => (0, 0, 0),
        };
        let ok = host.files.len() - files;
        writeln!(
            text,
            "{:<width$} : ok={ok} changed={changed} unreachable={unreachable} failed={failed} skipped={skipped}",
            host.host,
        )
        .expect("a string takes it");
    }
    text
}
