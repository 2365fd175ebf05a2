//! `Fleet`: the selected hosts of a run on their way through the engine: login, signals, progress on stderr, the report on stdout.

use super::interrupt::Interrupt;
use super::shared::{BROKEN_PIPE, Shared, print_error, print_result};
use super::sources::Sources;
use crate::bundle::{Bundle, Recipient};
use crate::engine::{self, HostPlan, Intent, Run, Work};
use crate::inventory::Endpoint;
use crate::plan::backup::Why;
use crate::plan::{self, DesiredSet};
use crate::report::{self, Event, HostReport, Report};
use crate::transport::{Deadlines, HostKeys, KnownHosts, Login};
use crate::words::{Error, Failure, HostName, Phase, Result, RunId};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::mpsc;

/// A look takes milliseconds; a host that swaps may take seconds.
const LOOK: Duration = Duration::from_secs(30);
/// An audit reads whatever is there.
const AUDIT: Duration = Duration::from_secs(120);
/// Between two signs of life of a host that is being written.
const PATIENCE: Duration = Duration::from_secs(60);

/// A run, named once: what its clock and its dice said.
#[derive(Clone, Copy)]
pub struct Moment {
    pub now: DateTime<Utc>,
    pub random: u16,
}

impl Moment {
    /// The clock's time and fresh randomness. The digits begin with how far the second has gone, in 128ths: so runs of one second sort as they
    /// came.
    pub fn now() -> Self {
        let mut random = [0; 2];
        crate::bundle::system_random(&mut random);
        let now = Utc::now();
        let part = now.timestamp_subsec_millis().min(999) * 128 / 1000;
        Self { now, random: (part as u16) << 9 | u16::from_be_bytes(random) >> 7 }
    }
}

/// How a command goes to its hosts.
pub struct Errand {
    pub command: &'static str,
    pub work: Work,
    pub intent: Intent,
    /// Take over a host that held another bundle's secrets, and host keys that nobody knows.
    pub accept_new: bool,
    /// Earlier values are brought back: a failed health check does not bring the newer ones back again.
    pub is_way_back: bool,
    /// One deadline for everything on the network, instead of those by phase.
    pub timeout: Option<Duration>,
    /// What must be done, once, before the first host is sent anything.
    pub first: Box<dyn Fn() -> Result<()> + Send + Sync>,
}

impl Errand {
    /// One that has nothing to do before it sends.
    pub fn new(command: &'static str, intent: Intent, timeout: Option<Duration>) -> Self {
        let first = Box::new(|| Ok(()));
        Self { command, work: Work::Sets, intent, accept_new: false, is_way_back: false, timeout, first }
    }
}

/// The name of the run that begins at this moment.
pub fn run_id(sources: &Sources, moment: Moment) -> RunId {
    RunId::new(sources.bundle.next_generation(), moment.now, moment.random)
}

/// Sends the plans through the engine and gives the report.
pub fn go(shared: &Shared, sources: &Sources, errand: Errand, moment: Moment, plans: Vec<HostPlan>) -> Result<Report> {
    let (id, command) = (run_id(sources, moment), errand.command);
    let run = make_run(shared, &sources.bundle, &sources.login, errand, id);
    travel(shared, &sources.interrupt, command, run, plans)
}

/// The same for a run that was made already.
pub fn travel(
    shared: &Shared,
    interrupt: &Interrupt,
    command: &'static str,
    run: Run,
    plans: Vec<HostPlan>,
) -> Result<Report> {
    let (id, run) = (run.id.clone(), Arc::new(run));
    let threads = std::thread::available_parallelism().map_or(2, usize::from).min(4);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(threads).enable_all().build();
    let runtime = runtime.map_err(|e| Error::new("starting the runtime").because(e))?;
    let (hosts, interrupted) = runtime.block_on(drive(shared, interrupt, plans, run.clone()));
    // A name service that hangs must not hold us.
    runtime.shutdown_background();
    if let Some(Err(failure)) = run.ready.get() {
        let error = Error::new(&failure.message);
        return Err(failure.hint.iter().fold(error, |error, hint| error.hint(hint)));
    }
    Ok(Report { check: shared.check, diff: shared.diff, interrupted, ..Report::new(command, id, hosts) })
}

/// Prints the report, and gives what the program exits with.
pub fn conclude(shared: &Shared, report: &Report, now: DateTime<Utc>) -> Result<ExitCode> {
    let text = if shared.is_json() { report::json(report) } else { report::human(report, now) };
    // What the hosts came to counts, also where nobody reads it.
    match print_result(&text) {
        Err(error) if error.message() != BROKEN_PIPE => {
            print_error(&error);
            Ok(ExitCode::from(report.exit_status().max(1)))
        }
        _ => Ok(ExitCode::from(report.exit_status())),
    }
}

/// The run as the engine wants it.
pub fn make_run(shared: &Shared, bundle: &Bundle, login: &Login, errand: Errand, id: RunId) -> Run {
    let look = if matches!(errand.work, Work::Sets) { LOOK } else { AUDIT };
    let bundle = Arc::new(bundle.clone());
    let sealing = bundle.clone();
    let (hashing, fingerprinting) = (bundle.clone(), bundle.clone());
    Run {
        id,
        work: errand.work,
        intent: errand.intent,
        login: login.clone(),
        deadlines: errand.timeout.map_or_else(Deadlines::default, Deadlines::with_limit),
        look: errand.timeout.unwrap_or(look),
        patience: errand.timeout.unwrap_or(PATIENCE),
        forks: shared.forks(),
        who: who(),
        bundle_id: bundle.id().to_owned(),
        generation: bundle.next_generation(),
        any_bundle: errand.accept_new,
        is_way_back: errand.is_way_back,
        first: errand.first,
        ready: tokio::sync::OnceCell::new(),
        earlier: bundle.known_values(),
        mac: Box::new(move |bytes| hashing.mac(bytes)),
        fingerprint: Box::new(move |bytes| fingerprinting.fingerprint(bytes)),
        why: Why::of_command(errand.command),
        recipients: bundle.backup_recipients().map(Recipient::word).collect(),
        seal: Box::new(move |backup| {
            let keepsake = sealing.keepsake(&backup.label.host)?;
            sealing.seal_backup(backup.pack(&keepsake)?.expose())
        }),
        nonce: Box::new(|| {
            let mut bytes = [0; 16];
            crate::bundle::system_random(&mut bytes);
            HEXLOWER.encode(&bytes)
        }),
    }
}

/// `user@host pid 123`, for the lock on each host; only what is safe in a line.
fn who() -> String {
    let user = nix::unistd::User::from_uid(nix::unistd::getuid())
        .ok()
        .flatten()
        .map_or_else(|| "?".to_owned(), |user| user.name);
    let host =
        nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok()).unwrap_or_else(|| "?".to_owned());
    let plain = |text: String| {
        text.chars().filter(|c| c.is_ascii_alphanumeric() || "._-".contains(*c)).take(64).collect::<String>()
    };
    format!("{}@{} pid {}", plain(user), plain(host), std::process::id())
}

async fn drive(shared: &Shared, interrupt: &Interrupt, plans: Vec<HostPlan>, run: Arc<Run>) -> (Vec<HostReport>, bool) {
    let (events, mut heard) = mpsc::unbounded_channel();
    let shown = shown(shared);
    let printer = tokio::spawn(async move {
        while let Some(event) = heard.recv().await {
            if shown(&event) {
                eprintln!("{}", report::progress(&event));
            }
        }
    });
    let hosts = engine::run(plans, run, interrupt.set_off(), events).await;
    let _ = printer.await;
    (hosts, interrupt.has_come())
}

/// Which events are said while hosts are at work: with `-v` all; where stdout is for a machine, failures.
fn shown(shared: &Shared) -> fn(&Event) -> bool {
    match () {
        () if shared.quiet => |_| false,
        () if shared.verbose > 0 => |_| true,
        () if shared.is_json() => |event| matches!(event, Event::Finished(host) if host.outcome.is_failure()),
        () => |_| false,
    }
}

/// Plans for hosts that are enrolled already; the others carry why nothing is sent to them.
pub fn enrolled(shared: &Shared, sources: &Sources) -> Result<Vec<HostPlan>> {
    plans(shared, sources, &sources.hosts, true)
}

/// The same for these hosts, whichever were selected.
pub fn enrolled_among(shared: &Shared, sources: &Sources, hosts: &[HostName]) -> Result<Vec<HostPlan>> {
    plans(shared, sources, hosts, true)
}

/// The same for who only reads: it must be the host that was set up, whatever it was set up for.
pub fn readable(shared: &Shared, sources: &Sources) -> Result<Vec<HostPlan>> {
    plans(shared, sources, &sources.hosts, false)
}

fn plans(shared: &Shared, sources: &Sources, hosts: &[HostName], sends: bool) -> Result<Vec<HostPlan>> {
    let known = known_hosts(shared)?;
    let plan = |host: &HostName| {
        let sets = sources.sets(host)?;
        let sent = if sends { &sets[..] } else { &[] };
        let admitted = plan::admit(&sources.bundle, sources.host(host), sent);
        let (host_keys, refused) = match admitted {
            Ok(keys) => pinned(keys, &known, &sources.host(host).endpoint),
            Err(failure) => (HostKeys::Pinned(Vec::new()), Some(failure)),
        };
        Ok(host_plan(sources, host, host_keys, sets, refused))
    };
    hosts.iter().map(plan).collect()
}

/// The pinned keys, unless one was revoked: a pin does not outlive that day.
pub fn pinned(keys: Vec<String>, known: &KnownHosts, endpoint: &Endpoint) -> (HostKeys, Option<Failure>) {
    let names = [endpoint.address.as_str(), endpoint.host.as_str()];
    let at = |key: &String| names.iter().find_map(|name| known.revokes(name, endpoint.port, key));
    let refused = keys.iter().find_map(at).map(|at| {
        let message = format!("its host key is revoked by {at}; refused before anything was sent");
        Failure::new(Phase::Hostkey, message)
            .hint(format!("give the host a new key, then: distribute setup --hosts {} --accept-new", endpoint.host))
    });
    (HostKeys::Pinned(keys), refused)
}

/// The plan for one host; a refusal counts only where a play means it.
pub fn host_plan(
    sources: &Sources,
    host: &HostName,
    host_keys: HostKeys,
    sets: Vec<DesiredSet>,
    refused: Option<Failure>,
) -> HostPlan {
    // A host that no play means is skipped, enrolled or not.
    let refused = refused.filter(|_| !sets.is_empty());
    HostPlan { endpoint: sources.host(host).endpoint.clone(), host_keys, sets, refused }
}

/// The user's, the project's and the system's known_hosts.
pub fn known_hosts(shared: &Shared) -> Result<Arc<KnownHosts>> {
    let mut files = Vec::new();
    if let Some(home) = std::env::var_os("HOME").map(PathBuf::from) {
        files.extend(["known_hosts", "known_hosts2"].map(|name| home.join(".ssh").join(name)));
    }
    let project = shared.project()?;
    files.push(project.bundle.with_file_name("known_hosts"));
    files.push(PathBuf::from("/etc/ssh/ssh_known_hosts"));
    let known = KnownHosts::load(&files)?;
    known.warnings().iter().for_each(|warning| shared.detail(format_args!("{warning}")));
    Ok(Arc::new(known))
}
