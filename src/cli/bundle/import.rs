//! `bundle import`: what other tools keep secrets in becomes keys and files of the bundle. All sources are read, every line that cannot be
//! taken is told, and then all is taken or nothing.

mod draft;
mod imported;
mod keys;
mod source;

use super::Override;
use crate::bundle::SecretName;
use crate::cli::Shared;
use crate::cli::option_value::option_value;
use crate::cli::shared::print_note;
use crate::import::EnvReader;
use crate::words::{Error, Result, ServiceName};
use draft::Draft;
use serde_json::json;
use source::Source;
use std::path::PathBuf;

#[derive(clap::Args)]
pub struct Args {
    /// Env files, files that ansible-vault sealed or that hold `!vault` values, and files that SOPS sealed to age recipients
    #[arg(value_name = "SOURCE", required = true)]
    sources: Vec<PathBuf>,
    /// What the sources are [default: told by their marks]
    #[arg(long, value_name = "FORMAT")]
    format: Option<source::Format>,
    /// For whom an env file was written; needed where quotes, `$` or `#` mean something else to each: docker, compose, systemd,
    /// shell, dotenv, sops
    #[arg(long, value_name = "DIALECT", value_parser = option_value::<EnvReader>)]
    dialect: Option<EnvReader>,
    /// The service that gets the values [default: the source's name up to its first dot]
    #[arg(long, value_name = "NAME")]
    service: Option<ServiceName>,
    /// Take one source as one secret: SERVICE/FILE, or SERVICE.KEY
    #[arg(long = "as", value_name = "NAME", conflicts_with_all = ["service", "flatten", "clear", "dialect"])]
    whole: Option<String>,
    /// File with a password for vaults (mode 600 or 400), LABEL@PATH for those with that label; may be given several times
    #[arg(long, value_name = "[LABEL@]PATH")]
    vault_password_file: Vec<PathBuf>,
    /// Join the keys of nested values with `_`
    #[arg(long)]
    flatten: bool,
    /// Take values, too, that stand in clear text among sealed ones
    #[arg(long)]
    clear: bool,
    /// Replace other values that the bundle has; they stay among the earlier ones
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let whole = args.whole.as_deref().map(|name| args.whose.name(name)).transpose()?;
    refuse_several(&args, whole.as_ref())?;
    let passwords = keys::vault_passwords(&args.vault_password_file)?;
    let unlock = keys::unlock(shared)?;
    let manner = source::Manner { args: &args, is_whole: whole.is_some(), passwords: &passwords, unlock: &unlock };
    let sources = args.sources.iter().map(|path| Source::read(path, &manner)).collect::<Result<Vec<_>>>()?;
    let mut opened = super::open(shared)?;
    let mut draft = Draft::default();
    for source in sources {
        match &whole {
            Some(name) => draft.add_whole(source, name, &opened.bundle),
            None => draft.add(source, &args, &opened.bundle)?,
        }
    }
    let draft = draft.checked(args.replace)?;
    let (told, sources) = (draft.told(), draft.documents());
    let notes = draft.notes();
    draft.apply(&mut opened.bundle, chrono::Utc::now());
    let fields = json!({ "command": "bundle import", "sources": sources, "notes": notes });
    super::save(&mut opened, &told, fields, shared)?;
    notes.iter().for_each(|note| print_note(shared, note));
    Ok(())
}

fn refuse_several(args: &Args, whole: Option<&SecretName>) -> Result<()> {
    match whole {
        Some(name) if args.sources.len() > 1 => {
            Err(Error::new(format!("--as {name} takes one source, not {}", args.sources.len())))
        }
        _ => Ok(()),
    }
}
