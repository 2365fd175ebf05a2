//! `restore`: puts hosts back as they were: by run, by time, or to what was before; all services or some.

use super::backup::Opener;
use super::confirm::Consent;
use super::fleet::{self, Errand, Moment};
use super::moment_given::MomentGiven;
use super::option_value::option_value;
use super::shared::Timeout;
use super::{Shared, sources::Sources};
use crate::bundle::{Bundle, SecretName};
use crate::engine::{Intent, RestoreWork, Work};
use crate::plan::backup::Which;
use crate::plan::restore::{OtherValue, Restore};
use crate::report::Report;
use crate::words::{Error, Result, RunId, Secret, ServiceName, nearest, plural};
use std::collections::{BTreeMap, BTreeSet};
use std::process::ExitCode;

const AFTER: &str = "\
Examples:
  distribute restore --previous --hosts web1 --check --diff
  distribute restore --previous --hosts web1
  distribute restore --run 42-20261121T020000Z-7f3a --yes
  distribute restore --at 2026-11-20T12:00:00Z --service api
  distribute backup list                    which runs there are

The bundle stays as it is, and the next deploy brings its values again: `distribute bundle revert` takes old values into it.
`distribute bundle restore` does that with a whole copy of the bundle.";

/// Puts hosts back as they were, with the actions and health checks of a deploy; what is replaced is sealed first
#[derive(clap::Args)]
#[command(after_help = AFTER)]
#[command(group(clap::ArgGroup::new("which").required(true)))]
pub struct Args {
    /// As this run left them
    #[arg(long, value_name = "RUN", group = "which", value_parser = option_value::<RunId>)]
    run: Option<RunId>,
    /// As they were then: 2026-11-20T12:00:00Z, 2026-11-20 (its first moment, UTC), or 3h for three hours ago
    #[arg(long, value_name = "TIME", group = "which", value_parser = option_value::<MomentGiven>)]
    at: Option<MomentGiven>,
    /// As they were before what is live now
    #[arg(long, group = "which")]
    previous: bool,
    /// Only this service; may be given several times, or with commas
    #[arg(long, value_name = "SERVICE", value_delimiter = ',', value_parser = option_value::<ServiceName>)]
    service: Vec<ServiceName>,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let consent = Consent::of(shared, "restoring puts older secrets over newer ones")?;
    let moment = Moment::now();
    let sources = Sources::load(shared)?;
    sources.refuse_under_way()?;
    refuse_unknown(&args.service, &sources)?;
    if consent == Consent::Ask {
        let report = restore(&args, Intent::Check, shared, &sources, moment)?;
        if !report.would_change() {
            return fleet::conclude(shared, &report, moment.now);
        }
        fleet::conclude(shared, &Report { check: true, ..report }, moment.now)?;
        consent.ask("put these back?")?;
    }
    let intent = if shared.check { Intent::Check } else { Intent::Apply };
    let report = restore(&args, intent, shared, &sources, moment)?;
    let code = fleet::conclude(shared, &report, moment.now);
    offer_revert(shared, &report, &sources.bundle);
    code
}

fn restore(args: &Args, intent: Intent, shared: &Shared, sources: &Sources, moment: Moment) -> Result<Report> {
    let which = match (&args.run, &args.at) {
        (Some(run), _) => Which::Run(run.clone()),
        (None, Some(at)) => Which::At(at.time(moment.now)),
        (None, None) => Which::Previous,
    };
    let restore = Restore { which, services: args.service.clone() };
    let work = RestoreWork { restore, open: Opener::new(sources).shared() };
    let errand = Errand { work: Work::Restore(work), ..Errand::new("restore", intent, args.timeout.duration()) };
    let plans = fleet::enrolled(shared, sources)?;
    fleet::go(shared, sources, errand, moment, plans)
}

/// A service that none of the hosts gets is a typo.
fn refuse_unknown(services: &[ServiceName], sources: &Sources) -> Result<()> {
    let mut known = Vec::new();
    for host in &sources.hosts {
        known.extend(sources.sets(host)?.into_iter().flat_map(|set| set.services).map(|service| service.name));
    }
    let Some(service) = services.iter().find(|service| !known.contains(service)) else { return Ok(()) };
    let error = Error::new(format!("none of these hosts gets a service `{service}`"));
    Err(match nearest(service.as_str(), known.iter().map(ServiceName::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("`distribute inventory host HOST` says what a host gets"),
    })
}

/// Secrets named in the offer before the rest is only counted.
const NAMED: usize = 8;

/// The bundle says something else than the hosts now: how it takes the old values, too, where its history has them.
fn offer_revert(shared: &Shared, report: &Report, bundle: &Bundle) {
    let (mut all, mut known, mut unknown) = (BTreeSet::new(), BTreeMap::<u64, BTreeSet<&str>>::new(), BTreeSet::new());
    for host in report.hosts.iter().filter(|host| !host.outcome.is_failure()) {
        for other in &host.other_than_bundle {
            let secret = other.secret.as_str();
            all.insert(secret);
            match generation_of(other, bundle) {
                Some(generation) => _ = known.entry(generation).or_default().insert(secret),
                None if other.is_there() => _ = unknown.insert(secret),
                None => {}
            }
        }
    }
    if all.is_empty() {
        return;
    }
    let (would, is) = if report.check { ("would have", "would bring") } else { ("has", "brings") };
    let mut lines = vec![format!(
        "the bundle {would} other values than the hosts for {}, and the next deploy {is} its own",
        plural(all.len(), "secret")
    )];
    let revert = |(generation, names): (u64, BTreeSet<&str>)| {
        format!("to keep these: distribute bundle revert --to {generation} {}", listed(&names, " "))
    };
    lines.extend(known.into_iter().map(revert));
    if !unknown.is_empty() {
        let names = listed(&unknown, ", ");
        lines.push(format!(
            "not in its history any more, if they ever were (`distribute bundle set` takes them): {names}"
        ));
    }
    shared.say(format_args!("{}", lines.join("\n")));
}

/// The last generation that had the value which was brought back, by the value: the name of a run does not tell what was edited, or
/// brought back once before.
fn generation_of(other: &OtherValue, bundle: &Bundle) -> Option<u64> {
    let name = other.secret.parse::<SecretName>().ok()?;
    let is_it = |(_, value): &&(u64, Secret)| other.is(value, &|bytes| bundle.fingerprint(bytes));
    bundle.earlier_in_use(&name).iter().find(is_it).map(|(generation, _)| *generation)
}

fn listed(names: &BTreeSet<&str>, between: &str) -> String {
    let shown: Vec<&str> = names.iter().copied().take(NAMED).collect();
    let more = names.len() - shown.len();
    let more = if more > 0 { format!(" (and {more} more)") } else { String::new() };
    format!("{}{more}", shown.join(between))
}
