//! `distribute keygen`: a new age identity in a file that nobody else can read; its public key goes to stdout.

use super::shared::{print_note, print_result};
use super::{Shared, unlock};
use crate::bundle::{identities, identity_text, new_identity, seal_identity};
use crate::words::{Error, Result, Secret};
use chrono::{SecondsFormat, Utc};
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    /// Where the identity goes; an existing file is never overwritten
    #[arg(short = 'o', long = "output", value_name = "FILE")]
    file: PathBuf,
    /// Lock it with the password of --password-file, so that it opens nothing without it
    #[arg(long)]
    lock: bool,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let key = identities(new_identity().expose())?.remove(0);
    let public = key.to_public();
    let head =
        format!("# created: {}\n# public key: {public}\n", Utc::now().to_rfc3339_opts(SecondsFormat::Secs, true));
    let text = Secret::new([head.as_bytes(), identity_text(&key).expose()].concat());
    let password = args.lock.then(|| password(shared)).transpose()?;
    refuse_taken(&args.file)?;
    if shared.check {
        print_note(shared, &format!("would write a new identity to {}", args.file.display()));
        return Ok(ExitCode::SUCCESS);
    }
    let text = password.map_or(Ok(text.clone()), |password| seal_identity(&text, &password))?;
    write_new(&args.file, &text)?;
    print_result(&format!("{public}\n"))?;
    Ok(ExitCode::SUCCESS)
}

/// What `--lock` locks with.
fn password(shared: &Shared) -> Result<Secret> {
    let unlock = unlock::unlock(shared, &shared.project()?.bundle)?;
    unlock.password().cloned().ok_or_else(|| {
        Error::new("there is no password to lock it with").hint("name a password file with --password-file")
    })
}

fn refuse_taken(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() { Err(taken(path)) } else { Ok(()) }
}

fn taken(path: &Path) -> Error {
    Error::new(format!("{} exists already; nothing was written", path.display()))
        .hint("another name with -o FILE: a key that is overwritten opens nothing any more")
}

fn write_new(path: &Path, text: &Secret) -> Result<()> {
    let failed = |error: std::io::Error| match error.kind() {
        ErrorKind::AlreadyExists => taken(path),
        _ => Error::new(format!("writing {}", path.display())).because(error),
    };
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
    file.write_all(text.expose()).and_then(|()| file.sync_all()).map_err(|error| {
        let _ = std::fs::remove_file(path);
        failed(error)
    })
}
