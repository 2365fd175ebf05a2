//! `bundle recipients`: who can open the bundle by a key of his own.

mod list;

use super::access::{Access, Change};
use crate::cli::Shared;
use crate::words::Result;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Who can open the bundle, and who could and what of it was not rotated since
    List(list::Args),
    /// One more who can open it; a bundle with a password keeps it, as one of its recipients
    Add(Add),
    /// Somebody who cannot open it any more; says and records what he could read
    Remove(Remove),
}

#[derive(clap::Args)]
struct Add {
    /// Whose key it is, such as alice or bob@example.com
    label: String,
    /// age1..., an SSH public key (ssh-ed25519, ssh-rsa), a plugin's age1name1..., or a file that holds one (alice.pub)
    #[arg(num_args = 1.., required = true)]
    recipient: Vec<String>,
}

#[derive(clap::Args)]
struct Remove {
    /// As `recipients list` shows it; or the key itself
    #[arg(required = true)]
    label: Vec<String>,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    match args.command {
        Command::List(args) => list::run(args, shared),
        Command::Add(args) => {
            // An SSH key that is pasted without quotes comes as several words.
            let new = super::recipient::labelled_as(&args.label, &args.recipient.join(" "))?;
            Access::change("bundle recipients add", Change { add: vec![new], ..Change::default() }, shared)
        }
        Command::Remove(args) => {
            Access::change("bundle recipients remove", Change { remove: args.label, ..Change::default() }, shared)
        }
    }
}
