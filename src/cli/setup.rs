//! `setup`: enrols hosts. What they may hold and their own passwords are in the sealed bundle before anything leaves this machine; their
//! host keys are pinned there once they proved them.

use super::fleet::{self, Errand, Moment};
use super::shared::{Timeout, print_error};
use super::{Shared, sources::Sources};
use crate::bundle::{Bundle, new_identity};
use crate::engine::{HostPlan, Intent, Work};
use crate::inventory::Connection;
use crate::plan;
use crate::report::{HostReport, Report};
use crate::transport::{self, HostKeys, KnownHosts};
use crate::words::{Failure, HostName, Phase, Result};
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

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
    sources.refuse_under_way()?;
    complete(&mut sources)?;
    enrol(&mut sources)?;
    let plans = plans(&args, shared, &sources)?;
    let enrolled = Arc::new(Mutex::new(sources.bundle.clone()));
    let report = fleet::go(shared, &sources, errand(&args, shared, &sources, &enrolled), moment, plans)?;
    sources.bundle = enrolled.lock().expect("nobody panics while saving").clone();
    let saved = if shared.check { Ok(()) } else { pin(shared, &mut sources, &report, moment) };
    let code = fleet::conclude(shared, &report, moment.now)?;
    // Hosts were written: that is not an error which changed nothing.
    saved.map_or_else(
        |error| {
            print_error(&error.at("the hosts have their secrets, but their host keys could not be pinned"));
            Ok(ExitCode::from(2))
        },
        |()| Ok(code),
    )
}

/// A bundle packed by hand lacks what hosts are told.
fn complete(sources: &mut Sources) -> Result<()> {
    let mut bundle = sources.bundle.clone();
    sources.store().complete(&mut bundle)?;
    sources.bundle = bundle;
    Ok(())
}

/// The enrolments are saved when the first host is about to be sent something, and not at all if none is.
fn errand(args: &Args, shared: &Shared, sources: &Sources, enrolled: &Arc<Mutex<Bundle>>) -> Errand {
    let (store, enrolled) = (sources.store.clone(), enrolled.clone());
    let save = move || {
        let mut bundle = enrolled.lock().expect("nobody panics while saving");
        store.lock().expect("nobody panics while saving").save(&mut bundle)
    };
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let errand = Errand::new("setup", intent, args.timeout.duration());
    Errand { work: Work::Enrolment, accept_new: args.accept_new, first: Box::new(save), ..errand }
}

/// Notes in the bundle what the playbooks give each host; hosts that get nothing are left alone.
fn enrol(sources: &mut Sources) -> Result<()> {
    for host in sources.hosts.clone() {
        let sets = sources.sets(&host)?;
        if !sets.is_empty() {
            let groups = plan::override_groups(&sources.bundle, sources.host(&host), &sets);
            sources.bundle.enrol_services(&host, &plan::wanted(&sets), new_identity);
            sources.bundle.enrol_groups(&host, &groups);
            sources.bundle.enrol_roots(&host, &plan::roots(&sets));
        }
    }
    Ok(())
}

fn plans(args: &Args, shared: &Shared, sources: &Sources) -> Result<Vec<HostPlan>> {
    let known = fleet::known_hosts(shared)?;
    let plan = |host: &HostName| {
        let sets = sources.sets(host)?;
        let (host_keys, refused) = host_keys(args, shared, sources, host, &known);
        Ok(fleet::host_plan(sources, host, host_keys, sets, refused))
    };
    sources.hosts.iter().map(plan).collect()
}

/// A pinned host stays pinned; only one that is named together with --accept-new is looked at anew.
fn host_keys(
    args: &Args,
    shared: &Shared,
    sources: &Sources,
    host: &HostName,
    known: &Arc<KnownHosts>,
) -> (HostKeys, Option<Failure>) {
    let pinned = sources.bundle.enrolment(host).map(|enrolment| enrolment.host_keys.clone()).unwrap_or_default();
    let anew = args.accept_new && shared.hosts.is_some();
    if pinned.is_empty() || pinned == [plan::LOCAL] || anew {
        (HostKeys::Known { known: known.clone(), accept_new: args.accept_new }, None)
    } else {
        fleet::pinned(pinned, known, &sources.host(host).endpoint)
    }
}

/// Pins the key of every host that holds its secrets now, also where a restart failed afterwards.
fn pin(shared: &Shared, sources: &mut Sources, report: &Report, moment: Moment) -> Result<()> {
    if !report.hosts.iter().any(holds_secrets) {
        return Ok(());
    }
    for host in report.hosts.iter().filter(|host| holds_secrets(host)) {
        let local = sources.host(&host.host).endpoint.connection == Connection::Local;
        let key = if local { Some(plan::LOCAL.to_owned()) } else { host.host_key.clone() };
        let Some(key) = key else { continue };
        let is_new = sources.bundle.enrolment(&host.host).is_none_or(|enrolment| !enrolment.host_keys.contains(&key));
        if is_new && !local {
            let shown = transport::fingerprint(&key);
            shared.say(format_args!("{}: host key pinned: {shown}", host.host));
        }
        sources.bundle.pin(&host.host, vec![key], moment.now);
    }
    let mut bundle = sources.bundle.clone();
    sources.store().save(&mut bundle)
}

fn holds_secrets(host: &HostReport) -> bool {
    match &host.error {
        None => !host.files.is_empty(),
        Some(failure) => host.switched || failure.phase >= Phase::Switch,
    }
}
