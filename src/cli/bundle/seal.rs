//! `bundle seal`: a service's variables as one host gets them, sealed so that this host alone opens them with its own password file: for an
//! image, or for a place that is no root of a play.

use crate::cli::Shared;
use crate::cli::shared::print_bytes;
use crate::inventory::Inventory;
use crate::words::{Error, HostName, Result, ServiceName};

#[derive(clap::Args)]
pub struct Args {
    /// The service whose variables are sealed
    service: ServiceName,
    /// The host that is to open them, with its vault-password; it must be enrolled
    #[arg(long = "for", value_name = "HOST")]
    host: HostName,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let super::Opened { bundle, .. } = super::open(shared)?;
    let inventory = Inventory::load(&shared.project()?.inventory)?;
    let groups = inventory.host(&args.host).map(|host| host.groups.clone()).unwrap_or_default();
    let may = bundle.enrolment(&args.host).is_some_and(|enrolment| enrolment.services.contains(&args.service));
    if !may {
        return Err(Error::new(format!("{} is not enrolled for {}; nothing was sealed", args.host, args.service))
            .hint("`distribute setup` enrols hosts for what the playbooks give them"));
    }
    let content = bundle.content(&args.service, &args.host, &groups);
    let env = content.and_then(|content| content.env).ok_or_else(|| super::unknown_service(&args.service, &bundle))?;
    let sealed = bundle.seal_for_host(&args.host, &env.to_secret())?;
    let sealed =
        sealed.ok_or_else(|| Error::new(format!("{} has no identity yet", args.host)).hint("distribute setup"))?;
    print_bytes(&sealed)
}
