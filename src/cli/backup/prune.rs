//! `backup prune`: removes what the rules do not keep, on the hosts and of the bundle's copies here.

use super::{conclude, go};
use crate::cli::Shared;
use crate::cli::confirm::Consent;
use crate::cli::fleet::{self, Moment};
use crate::cli::shared::Timeout;
use crate::cli::sources::Sources;
use crate::engine::{BackupWork, Intent};
use crate::plan::backup::Retention;
use crate::report::{CopyReport, Deed, Report};
use crate::words::{Result, RunId, bytes, plural};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Keep the newest N [default, without any rule: what the play keeps; 5 of the bundle]
    #[arg(long, value_name = "N")]
    keep: Option<usize>,
    /// Keep the newest of each of the last N days that have one (UTC)
    #[arg(long, value_name = "N")]
    keep_daily: Option<usize>,
    /// The same of weeks, which begin on Monday
    #[arg(long, value_name = "N")]
    keep_weekly: Option<usize>,
    #[command(flatten)]
    timeout: Timeout,
}

/// Copies of the bundle that stay where no rule says otherwise.
const COPIES_KEPT: usize = 5;

pub fn run(args: &Args, shared: &Shared) -> Result<ExitCode> {
    let consent = Consent::of(shared, "pruning removes backups for good")?;
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.refuse_under_way()?;
    if let Consent::Ask = consent {
        let report = prune(args, Intent::Check, shared, &sources, moment)?;
        fleet::conclude(shared, &Report { check: true, ..report }, moment.now)?;
        consent.ask("remove these?")?;
    }
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let report = prune(args, intent, shared, &sources, moment)?;
    conclude(shared, &report, moment)
}

fn prune(args: &Args, intent: Intent, shared: &Shared, sources: &Sources, moment: Moment) -> Result<Report> {
    let retention = Retention { last: args.keep, daily: args.keep_daily, weekly: args.keep_weekly };
    let mut report = go("backup prune", BackupWork::Prune(retention), intent, &args.timeout, shared, sources, moment)?;
    // Of a few hosts: then the bundle is not meant.
    if shared.hosts.is_none() {
        report.copies = prune_copies(retention, intent, sources)?;
    }
    let on_hosts = report.hosts.iter().flat_map(|host| &host.backups).map(|backup| (backup.deed, backup.size));
    let here = report.copies.iter().map(|copy| (copy.deed, copy.size));
    let freed = |all: &mut dyn Iterator<Item = (Deed, u64)>| {
        all.filter(|(deed, _)| *deed == Deed::Removed).fold((0, 0), |(count, sum), (_, size)| (count + 1, sum + size))
    };
    let ((count, size), (copies, more)) = (freed(&mut on_hosts.into_iter()), freed(&mut here.into_iter()));
    let would = if intent == Intent::Apply { "freed" } else { "would be freed" };
    let here = if copies > 0 { format!(", here {} ({copies} of the bundle)", bytes(more)) } else { String::new() };
    shared.say(format_args!("on hosts {} {would} ({}){here}", bytes(size), plural(count, "backup")));
    Ok(report)
}

fn prune_copies(retention: Retention, intent: Intent, sources: &Sources) -> Result<Vec<CopyReport>> {
    let retention = match retention.is_empty() {
        true => Retention { last: Some(COPIES_KEPT), ..retention },
        false => retention,
    };
    let store = sources.store();
    let mut copies = store.copies()?;
    let runs: Vec<RunId> = copies.iter().map(|copy| copy.run.clone()).collect();
    // Only one that opens is good; looking from the newest on, one is enough.
    let good = runs.iter().rev().find(|run| store.open_copy(run).is_ok()).cloned();
    let surplus = retention.surplus(&runs, |run| good.as_ref() == Some(run));
    for copy in copies.iter_mut().filter(|copy| surplus.contains(&copy.run)) {
        copy.deed = Deed::Removed;
        if intent == Intent::Apply {
            store.remove_copy(&copy.run)?;
        }
    }
    Ok(copies)
}
