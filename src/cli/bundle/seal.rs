//! `bundle seal`: a service's variables as one host gets them, sealed so that this host alone opens them with its own password file: for an
//! image, or for a place that is no root of a play.

use crate::cli::Shared;
use crate::cli::format_given::FormatGiven;
use crate::cli::option_value::option_value;
use crate::cli::shared::print_bytes;
use crate::inventory::Inventory;
use crate::words::{Error, HostName, Result, ServiceName};
use std::io::IsTerminal;

#[derive(clap::Args)]
pub struct Args {
    /// The service whose variables are sealed
    service: ServiceName,
    /// The host that is to open them, with its vault-password; it must be enrolled
    #[arg(long = "for", value_name = "HOST")]
    host: HostName,
    /// How it is written: shell, docker, compose, systemd, json, kubernetes
    #[arg(long, value_name = "FORMAT", default_value = "shell", value_parser = option_value::<FormatGiven>)]
    format: FormatGiven,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    if std::io::stdout().is_terminal() {
        return Err(Error::new("stdout is a terminal, and what is sealed is no text; nothing was sealed")
            .hint(format!("distribute bundle seal {} --for {} >{0}.env.age", args.service, args.host)));
    }
    let super::Opened { bundle, .. } = super::open(shared)?;
    let inventory = Inventory::load(&shared.project()?.inventory)?;
    let groups = inventory.host(&args.host).map(|host| host.groups.clone()).unwrap_or_default();
    let may = bundle.enrolment(&args.host).is_some_and(|enrolment| enrolment.services.contains(&args.service));
    if !may {
        return Err(Error::new(format!("{} is not enrolled for {}; nothing was sealed", args.host, args.service))
            .hint("`distribute setup` enrols hosts for what the playbooks give them"));
    }
    let content = bundle.content(&args.service, &args.host, &groups);
    let Some(env) = content.and_then(|content| content.env) else {
        return Err(Error::new(format!("{} has no variables, only files; nothing was sealed", args.service))
            .hint("a file is sealed by age itself: distribute bundle get SERVICE/FILE | age -r RECIPIENT"));
    };
    let values = env.values();
    let clear =
        args.format.0.write(&values, None).map_err(|refusal| {
            refusal.among(&args.service, &values).hint("--format names another; nothing was sealed")
        })?;
    let sealed = bundle.seal_for_host(&args.host, &clear)?;
    let sealed =
        sealed.ok_or_else(|| Error::new(format!("{} has no identity yet", args.host)).hint("distribute setup"))?;
    print_bytes(&sealed)
}
