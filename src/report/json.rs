//! A report as one JSON document, `distribute.report/1`. Fields are added, never changed.

use super::{BackupReport, CopyReport, ExposureReport, FileReport, HostReport, Late, Report};
use crate::plan::backup::Why;
use crate::words::Outcome;
use crate::words::RunId;
use chrono::SecondsFormat;
use serde_json::{Value, json};

/// The document as text, for stdout.
pub fn json(report: &Report) -> String {
    let count = |outcome| report.count(outcome);
    let (command, subcommand) =
        report.command.split_once(' ').map_or((report.command, None), |(one, two)| (one, Some(two)));
    let mut document = json!({
        "schema": "distribute.report/1",
        "command": command,
        "run": report.run.to_string(),
        "check": report.check,
        "interrupted": report.interrupted,
        "summary": {
            "hosts": report.hosts.len(),
            "ok": count(Outcome::Ok),
            "changed": count(Outcome::Changed),
            "failed": count(Outcome::Failed),
            "unreachable": count(Outcome::Unreachable),
            "skipped": count(Outcome::Skipped),
            "findings": report.findings(),
            "accepted": report.accepted(),
        },
        "late": report.late.iter().map(late_value).collect::<Vec<_>>(),
        "hosts": report.hosts.iter().map(|host| host_value(host, report.diff)).collect::<Vec<_>>(),
    });
    if let Some(subcommand) = subcommand {
        document["subcommand"] = subcommand.into();
    }
    if command == "backup" {
        document["copies"] = report.copies.iter().map(copy_value).collect();
    }
    if command == "status" {
        document["exposures"] = report.exposures.iter().map(ExposureReport::json).collect();
    }
    if let Some(rotation) = &report.rotation {
        document["rotation"] = rotation.json();
    }
    if let Some(recovery) = &report.recovery {
        document["recovery"] = recovery.json();
    }
    format!("{document:#}\n")
}

fn late_value(late: &Late) -> Value {
    json!({
        "command": late.command,
        "last": late.last.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true)),
        "max_age_seconds": late.max_age.as_secs(),
    })
}

fn host_value(host: &HostReport, diff: bool) -> Value {
    json!({
        "host": host.host,
        "address": host.address,
        "outcome": host.outcome,
        "generation": host.generation,
        "seconds": (host.seconds * 1000.0).round() / 1000.0,
        "files": host.files.iter().map(|file| file_value(file, diff)).collect::<Vec<_>>(),
        "findings": host.findings,
        "accepted": host.accepted,
        "error": host.error,
        "kept": host.kept,
        "put_back": host.is_put_back,
        "actions": host.actions,
        "owed": host.owed,
        "overdue": host.overdue,
        "lock": host.lock,
        "dead_lock": host.dead_lock,
        "live": host.live.as_ref().map(ToString::to_string),
        "notes": host.notes,
        "restored": host.restored.as_ref().map(ToString::to_string),
        "other_than_bundle": host.other_than_bundle.iter().map(|other| &other.secret).collect::<Vec<_>>(),
        "backups": host.backups.iter().map(backup_value).collect::<Vec<_>>(),
        "last_backup": host.last_backup.as_ref().map(ToString::to_string),
    })
}

fn backup_value(backup: &BackupReport) -> Value {
    json!({
        "run": backup.run.to_string(),
        "made": time(&backup.run),
        "play": backup.play,
        "path": backup.path,
        "why": backup.why.map(Why::as_str),
        "size": backup.size,
        "sealed_to": backup.recipients,
        "state": backup.standing.as_str(),
        "intact": backup.standing.is_good() && !backup.is_bad(),
        "deed": backup.deed.as_str(),
        "problem": backup.problem,
        "note": backup.note,
    })
}

fn copy_value(copy: &CopyReport) -> Value {
    json!({
        "run": copy.run.to_string(),
        "made": time(&copy.run),
        "path": copy.path.display().to_string(),
        "size": copy.size,
        "intact": copy.intact,
        "deed": copy.deed.as_str(),
        "problem": copy.problem,
    })
}

fn time(run: &RunId) -> String {
    run.time().to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn file_value(file: &FileReport, diff: bool) -> Value {
    let keys = file.keys.iter().filter(|_| diff);
    let keys = keys.map(|key| json!({ "key": key.key, "change": key.change.as_str(), "fingerprint": key.fingerprint }));
    json!({
        "path": file.path,
        "service": file.service,
        "outcome": file.change.outcome(),
        "change": file.change.as_str(),
        "keys": keys.collect::<Vec<_>>(),
    })
}
