//! `bundle get`: one value, file or env file to stdout. The one command that shows secrets, so not by accident on a screen.

use super::Override;
use crate::bundle::{Bundle, Item};
use crate::cli::Shared;
use crate::cli::shared::print_bytes;
use crate::words::{Error, Result, Secret, ServiceName};
use std::io::IsTerminal;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY, SERVICE/FILE, or SERVICE for its whole env file
    name: String,
    /// Show it even on a terminal
    #[arg(long)]
    reveal: bool,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    if std::io::stdout().is_terminal() && !args.reveal {
        return Err(Error::new("stdout is a terminal, where others may see it or scroll back to it")
            .hint("--reveal shows it all the same; or pipe it to where it is needed"));
    }
    let super::Opened { bundle, .. } = super::open(shared)?;
    print_bytes(wanted(&args, &bundle)?.expose())
}

/// A value gets a newline behind it; files and env files are their exact bytes.
fn wanted(args: &Args, bundle: &Bundle) -> Result<Secret> {
    let service: Option<ServiceName> = args.name.parse().ok();
    if let Some(env) = service.as_ref().and_then(|service| bundle.env(&args.whose.scope(), service)) {
        return Ok(env.to_secret());
    }
    let name = match (args.whose.name(&args.name), service) {
        (Ok(name), _) => name,
        (Err(_), Some(service)) => return Err(super::unknown_service(&service, bundle)),
        (Err(error), None) => return Err(error),
    };
    let value = bundle.value(&name).ok_or_else(|| super::unknown_secret(&name, bundle))?;
    Ok(match name.item {
        Item::Key(_) => Secret::new([value.expose(), b"\n"].concat()),
        Item::File(_) => value.clone(),
    })
}
