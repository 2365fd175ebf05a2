//! `recover`: the control machine is lost. With what opens backups, and a way to log in, the bundle is made again from what lies sealed on the
//! hosts; what could not be found is said.

mod ground;
mod salvage;

use super::Shared;
use super::fleet::{self, Errand, Moment};
use super::interrupt::Interrupt;
use super::last_seen::LastSeen;
use super::option_value::option_value;
use super::shared::Timeout;
use super::{login, unlock};
use crate::bundle::{Bundle, BundleFile, Circumstances, Recovery, Unlock, system_random};
use crate::engine::{Intent, Work};
use crate::inventory::Connection;
use crate::plan;
use crate::report::{HostReport, RecoveryReport, Report};
use crate::words::{Error, Failure, HostName, Outcome, Phase, RemotePath, Result, RunId, listed};
use ground::Ground;
use salvage::{Salvage, Salvaged};
use std::collections::BTreeMap;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

const AFTER: &str = "\
Examples:
  distribute recover --identity key.txt                     inventory and playbooks are there again, from git
  distribute recover --password-file pw --accept-new        the same for a bundle that a password opened
  distribute recover -i hosts.toml --root /opt/web --identity key.txt --check

Afterwards `distribute deploy --check` says what hosts would get that they do not have.";

/// Makes a bundle that is lost again, from the sealed backups on the hosts, and says what it could not find
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Where secrets lie on the hosts, beside where the playbooks put them; may be given several times
    #[arg(long, value_name = "PATH", value_parser = option_value::<RemotePath>)]
    root: Vec<RemotePath>,
    /// Accept host keys that no known_hosts file knows
    #[arg(long)]
    accept_new: bool,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let (moment, interrupt) = (Moment::now(), Interrupt::listen()?);
    let path = shared.project()?.bundle;
    refuse_taken(&path)?;
    let ground = Ground::load(shared, args.root.clone())?;
    let unlock = unlock::unlock(shared, &path)?;
    refuse_nothing(&unlock)?;
    let (mut report, salvaged) = ask(&args, shared, &ground, &unlock, &interrupt, moment)?;
    if report.interrupted {
        return fleet::conclude(shared, &report, moment.now);
    }
    fail_unopened(&mut report.hosts, &salvaged);
    refuse_empty(&report.hosts, &salvaged)?;
    let known = circumstances(&ground, &report.hosts, &salvaged, &path, moment)?;
    let mut recovery = Recovery::of(&salvaged.remains, &known, &mut system_random)?;
    write(&path, &mut recovery.bundle, &unlock, shared)?;
    if !recovery.lagging.is_empty() {
        shared.detail(format_args!("some values were older on {}: the newest were taken", listed(&recovery.lagging)));
    }
    report.run = RunId::new(recovery.bundle.next_generation(), moment.now, moment.random);
    report.recovery = Some(told(recovery, known, salvaged.bare, &path));
    fleet::conclude(shared, &report, moment.now)
}

/// Asks every host for what is sealed there. There is no bundle to ask with: an empty one stands for it.
fn ask(
    args: &Args,
    shared: &Shared,
    ground: &Ground,
    unlock: &Unlock,
    interrupt: &Interrupt,
    moment: Moment,
) -> Result<(Report, Salvaged)> {
    let login = login::gather(ground.hosts(), unlock)?;
    let plans = ground.plans(args.accept_new, &fleet::known_hosts(shared)?)?;
    let salvage = Arc::new(Salvage::new(unlock.clone()));
    let errand = Errand::new("recover", Intent::Look, args.timeout.duration());
    let errand = Errand { work: Work::Recovery(salvage.clone()), ..errand };
    let empty = Bundle::create(Vec::new(), moment.now, &mut system_random)?;
    let run = fleet::make_run(shared, &empty, &login, errand, RunId::new(0, moment.now, moment.random));
    let mut report = fleet::travel(shared, interrupt, "recover", run, plans)?;
    let salvaged = salvage.end(&mut report.hosts);
    Ok((report, salvaged))
}

/// A bundle is never overwritten, and it may be the better one.
fn refuse_taken(path: &Path) -> Result<()> {
    match path.symlink_metadata() {
        Err(_) => Ok(()),
        Ok(_) => Err(Error::new(format!("{}: there is a bundle already; nothing was done", path.display()))
            .hint("to look at what the hosts have beside it, name another file: -b recovered.age")),
    }
}

fn refuse_nothing(unlock: &Unlock) -> Result<()> {
    match unlock.is_empty() {
        false => Ok(()),
        true => Err(Error::new("nothing is at hand that could open a backup; nobody was asked").hint(
            "name the identity of one of the bundle's recipients (--identity), or its password (--password-file)",
        )),
    }
}

/// A host that has backups and gives nothing back is not one that went well.
fn fail_unopened(hosts: &mut [HostReport], salvaged: &Salvaged) {
    for host in hosts.iter_mut().filter(|host| host.error.is_none() && !salvaged.has(&host.host)) {
        let Some(newest) = host.backups.first() else { continue };
        let problem = newest.problem.clone().unwrap_or_default();
        let failure =
            Failure::new(Phase::Exec, format!("none of its {} backups is of use: {problem}", host.backups.len()));
        host.fail(failure.hint("another identity or password may open them: --identity, --password-file"));
    }
}

fn refuse_empty(hosts: &[HostReport], salvaged: &Salvaged) -> Result<()> {
    if !salvaged.remains.is_empty() {
        return Ok(());
    }
    let mut reasons: BTreeMap<String, Vec<&HostName>> = BTreeMap::new();
    for host in hosts {
        let why = host.error.as_ref().map_or_else(|| "it has no backups".to_owned(), reason);
        reasons.entry(why).or_default().push(&host.host);
    }
    let error = Error::new("no backup could be opened on any host; nothing was written");
    Err(reasons.into_iter().fold(error, |error, (why, hosts)| error.hint(format!("{}: {why}", listed(&hosts)))))
}

fn reason(failure: &Failure) -> String {
    format!("{}: {}", failure.phase, failure.message)
}

fn circumstances(
    ground: &Ground,
    hosts: &[HostReport],
    salvaged: &Salvaged,
    path: &Path,
    moment: Moment,
) -> Result<Circumstances> {
    let key = |host: &HostReport| {
        let is_local = ground.endpoint(&host.host).connection == Connection::Local;
        let key = if is_local { Some(plan::LOCAL.to_owned()) } else { host.host_key.clone() };
        Some((host.host.clone(), key?))
    };
    let failed = hosts.iter().filter_map(|host| Some((host.host.clone(), reason(host.error.as_ref()?))));
    let is_bare = |host: &&HostReport| host.outcome == Outcome::Ok && !salvaged.has(&host.host);
    let bare = hosts.iter().filter(is_bare).map(|host| (host.host.clone(), "it has no backups".to_owned()));
    let left_out = ground.left_out().map(|host| (host, "left out by --hosts".to_owned()));
    let here = LastSeen::before(path)?.map(|(id, generation)| (Some(id), generation));
    Ok(Circumstances {
        now: moment.now,
        host_keys: hosts.iter().filter_map(key).collect(),
        seen: salvaged.seen.iter().cloned().chain(here).collect(),
        unread: failed.chain(bare).chain(left_out).collect(),
    })
}

fn write(path: &Path, bundle: &mut Bundle, unlock: &Unlock, shared: &Shared) -> Result<()> {
    if shared.check {
        return BundleFile::could_create(path, bundle, unlock);
    }
    BundleFile::create(path, bundle, unlock)?;
    LastSeen::record_created(path, bundle)
}

fn told(recovery: Recovery, known: Circumstances, bare: Vec<String>, path: &Path) -> RecoveryReport {
    let Recovery { bundle, recovered, newest, missing, mut notes, .. } = recovery;
    let unread = |(host, why): (HostName, String)| {
        format!("{host} was not read ({why}): distribute setup --hosts {host} takes it in again")
    };
    notes.extend(known.unread.into_iter().map(unread));
    notes.push(format!(
        "the newest backup is of run {newest}: what came into the bundle later, earlier values (history), a rotation that was under way and revocations that were due are in none"
    ));
    RecoveryReport {
        path: path.display().to_string(),
        bundle: bundle.id().to_owned(),
        generation: bundle.next_generation(),
        recovered,
        missing,
        bare,
        notes,
    }
}
