//! `rotate`: new values for what is due or named: sealed first, then accepted by their providers, then rolled out in batches; or
//! everybody has the old values again.

mod accepting;
mod halt;
mod lock;
mod programs;
mod revoking;
mod rolling;
mod saga;
mod telling;

use super::fleet::{self, Moment};
use super::notifications::Notifications;
use super::option_value::option_value;
use super::shared::Timeout;
use super::{Shared, sources::Sources};
use crate::plan::rotation::{Ground, Leak, Selection};
use crate::playbook::SecretGlob;
use crate::words::{Error, Result, ServiceName};
pub(super) use lock::RotationLock;
use saga::Saga;
use std::process::ExitCode;

const AFTER: &str = "\
Examples:
  distribute rotate                             for cron: what is due by the policies in playbooks/
  distribute rotate --hosts onode1 --check      what would be rotated there; nothing is generated or changed
  distribute rotate --secret api.SESSION_KEY    now, due or not
  distribute rotate --compromised web3          everything that this host could read
  distribute rotate --resume                    finish a rotation that was interrupted, or --abort it";

/// Gives new values to what is due, or named, everywhere they belong, or puts the old ones back
#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Only this secret, or those that a glob means, such as api.SESSION_*; may be given several times, and adds to --service and --compromised
    #[arg(long, value_name = "SECRET", value_parser = option_value::<SecretGlob>)]
    secret: Vec<SecretGlob>,
    /// Only secrets of this service; may be given several times
    #[arg(long, value_name = "SERVICE", value_parser = option_value::<ServiceName>)]
    service: Vec<ServiceName>,
    /// Everything that has a policy, due or not
    #[arg(long, conflicts_with_all = ["secret", "service"])]
    all: bool,
    /// Everything that this host, or this recipient of the bundle, could read; old values are revoked without an overlap
    #[arg(long, value_name = "HOST|RECIPIENT")]
    compromised: Vec<String>,
    /// Finish the rotation that is under way
    #[arg(long, conflicts_with_all = ["secret", "service", "all", "compromised"])]
    resume: bool,
    /// Undo the rotation that is under way: everybody has the old values again
    #[arg(long, conflicts_with_all = ["secret", "service", "all", "compromised", "resume"])]
    abort: bool,
    /// Only revoke old values whose overlap is over; nothing is rotated
    #[arg(long, conflicts_with_all = ["secret", "service", "all", "compromised", "resume", "abort"])]
    revoke: bool,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let moment = Moment::now();
    if shared.hosts.is_some() && (args.resume || args.abort) {
        return Err(Error::new("a rotation is finished or undone on all of its hosts; leave out --hosts"));
    }
    let sources = Sources::load(shared)?;
    let playbook = sources.playbook.clone();
    let selection = selection(&args, &sources, moment)?;
    let notifications = Notifications::new(shared, &playbook, &sources.bundle)?;
    notifications.begin("rotate");
    let run = fleet::run_id(&sources, moment);
    let saga = Saga::new(shared, sources, &playbook, moment, args.timeout.duration(), &notifications);
    let ended = match () {
        () if args.resume => saga.resume(),
        () if args.abort => saga.abort(),
        () if args.revoke => saga.revoke(),
        () => saga.begin(&selection),
    };
    notifications.or_broken("rotate", &run, ended)
}

fn selection(args: &Args, sources: &Sources, moment: Moment) -> Result<Selection> {
    let Sources { inventory, playbook, bundle, .. } = sources;
    let ground = Ground { inventory, playbook, bundle, now: moment.now };
    let leaks =
        args.compromised.iter().map(|text| Leak::named(text, ground).map_err(|error| error.at("--compromised")));
    Ok(Selection {
        secrets: args.secret.clone(),
        services: args.service.clone(),
        all: args.all,
        leaks: leaks.collect::<Result<_>>()?,
    })
}
