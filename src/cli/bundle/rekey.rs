//! `bundle rekey`: the bundle is sealed anew, with new keys in it; who can open it may change at the same time.

use super::access::{Access, Change, NewPassword};
use super::recipient::labelled;
use crate::cli::Shared;
use crate::words::Result;
use std::path::PathBuf;

const AFTER: &str = "\
A bundle with a password gets a new one: from --new-password-file, or asked for twice. One with
recipients is sealed to them anew. In any case the backups' key and the hosts' own passwords are
made anew (`deploy` brings them), and old backups still open. It is one save, all or nothing: what
was written is opened and compared before it takes the old one's place.
--check says who gains and who loses access.";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Seal it also to this recipient; may be given several times
    #[arg(long, value_name = "LABEL=RECIPIENT")]
    add: Vec<String>,
    /// Not to this one any more; may be given several times
    #[arg(long, value_name = "LABEL")]
    remove: Vec<String>,
    /// File that holds the new password (mode 600 or 400)
    #[arg(long, value_name = "PATH")]
    new_password_file: Option<PathBuf>,
    /// Ask for a new password, also where the bundle has recipients
    #[arg(long, conflicts_with = "new_password_file")]
    new_password: bool,
    /// No recipients any more: sealed with a password alone
    #[arg(long, conflicts_with_all = ["add", "remove"])]
    password_only: bool,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let new_password = match (args.new_password_file, args.new_password) {
        (Some(path), _) => Some(NewPassword::File(path)),
        (None, true) => Some(NewPassword::Asked),
        (None, false) => None,
    };
    let change = Change {
        add: args.add.iter().map(|text| labelled(text)).collect::<Result<_>>()?,
        remove: args.remove,
        is_rekey: true,
        new_password,
        is_password_only: args.password_only,
    };
    Access::change("bundle rekey", change, shared)
}
