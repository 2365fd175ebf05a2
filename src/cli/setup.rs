//! `setup`: enrols hosts. What they may hold and their own passwords are in the sealed bundle before anything leaves this machine; their
//! host keys are pinned there once they proved them.

use super::fleet::{self, Errand, Moment};
use super::shared::Timeout;
use super::{Shared, sources::Sources};
use crate::bundle::new_identity;
use crate::engine::{HostPlan, Intent};
use crate::inventory::Connection;
use crate::plan;
use crate::report::{HostReport, Report};
use crate::transport::{HostKeys, KnownHosts};
use crate::words::{HostName, Phase, Result};
use std::process::ExitCode;
use std::sync::Arc;

/// Enrols hosts: checks what they can do, pins their host keys and the services they may hold, makes their directories, pushes, checks
#[derive(clap::Args)]
pub struct Args {
    /// Accept host keys that no known_hosts file knows, and hosts that held another bundle's secrets
    #[arg(long)]
    accept_new: bool,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    let mut sources = Sources::load(shared)?;
    enrol(&mut sources)?;
    let plans = plans(&args, shared, &sources)?;
    if !shared.check {
        sources.save(shared)?;
    }
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let errand = Errand { command: "setup", intent, accept_new: args.accept_new, timeout: args.timeout.duration() };
    let report = fleet::go(shared, &sources, &errand, moment, plans)?;
    if !shared.check {
        pin(&mut sources, &report, moment);
        sources.save(shared)?;
    }
    fleet::conclude(shared, &report, moment.now)
}

/// Notes in the bundle what the playbooks give each host; hosts that get nothing are left alone.
fn enrol(sources: &mut Sources) -> Result<()> {
    for host in sources.hosts.clone() {
        let sets = sources.sets(&host)?;
        if !sets.is_empty() {
            let groups = plan::override_groups(&sources.bundle, sources.host(&host), &sets);
            sources.bundle.enrol_services(&host, &plan::wanted(&sets), new_identity);
            sources.bundle.enrol_groups(&host, &groups);
        }
    }
    Ok(())
}

fn plans(args: &Args, shared: &Shared, sources: &Sources) -> Result<Vec<HostPlan>> {
    let known = fleet::known_hosts(shared)?;
    let plan = |host: &HostName| {
        let sets = sources.sets(host)?;
        Ok(fleet::host_plan(sources, host, host_keys(args, shared, sources, host, &known), sets, None))
    };
    sources.hosts.iter().map(plan).collect()
}

/// A pinned host stays pinned; only one that is named together with --accept-new is looked at anew.
fn host_keys(args: &Args, shared: &Shared, sources: &Sources, host: &HostName, known: &Arc<KnownHosts>) -> HostKeys {
    let pinned = sources.bundle.enrolment(host).map(|enrolment| enrolment.host_keys.clone()).unwrap_or_default();
    let anew = args.accept_new && shared.hosts.is_some();
    if pinned.is_empty() || pinned == [plan::LOCAL] || anew {
        HostKeys::Known { known: known.clone(), accept_new: args.accept_new }
    } else {
        HostKeys::Pinned(pinned)
    }
}

/// Pins the key of every host that holds its secrets now, also where a restart failed afterwards.
fn pin(sources: &mut Sources, report: &Report, moment: Moment) {
    for host in report.hosts.iter().filter(|host| holds_secrets(host)) {
        let local = sources.host(&host.host).endpoint.connection == Connection::Local;
        let key = if local { Some(plan::LOCAL.to_owned()) } else { host.host_key.clone() };
        if let Some(key) = key {
            sources.bundle.pin(&host.host, vec![key], moment.now);
        }
    }
}

fn holds_secrets(host: &HostReport) -> bool {
    match &host.error {
        None => !host.files.is_empty(),
        Some(failure) => failure.phase >= Phase::Switch,
    }
}
