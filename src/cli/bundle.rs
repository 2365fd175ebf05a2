//! `distribute bundle`: create, change and read `secrets.age`. Each command is a file; here is what they share.

mod access;
mod check;
mod create;
mod describe;
mod diff;
mod edit;
mod generate;
mod get;
mod guard;
mod import;
mod install_git;
mod list;
mod log;
mod merge;
mod opened;
mod password_identity;
mod recipient;
mod recipients;
mod rekey;
mod remarks;
mod rename;
mod restore;
mod revert;
mod seal;
mod set;
mod textconv;
mod unset;

use super::Shared;
use crate::bundle::{Bundle, Scope, SecretName};
use crate::words::{Error, GroupName, HostName, Result, ServiceName, nearest};
use opened::{Opened, generation, open, report, save, store, tell};
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// Make a new bundle from env files and directories of files
    Create(create::Args),
    /// Open an env file or a plain file in your editor, in memory only
    Edit(edit::Args),
    /// Set one value or file, from stdin, from a hidden prompt, or generated
    Set(set::Args),
    /// Give a secret a new value, made as its values are made
    Generate(generate::Args),
    /// Take secrets out; their values stay in the history
    Unset(unset::Args),
    /// Give a secret or a service another name
    Rename(rename::Args),
    /// Show or change what is known of a secret: note, owner, how often it rotates, how it is made
    Describe(describe::Args),
    /// Write one value, file or env file to stdout
    Get(get::Args),
    /// Take secrets from env files, Ansible vaults and files of SOPS
    Import(import::Args),
    /// Names and ages of all secrets; never values
    List(list::Args),
    /// Who can open the bundle by a key of his own: list, add, remove
    Recipients(recipients::Args),
    /// Seal the bundle anew: new keys in it, a new password, or other recipients
    Rekey(rekey::Args),
    /// Which secrets changed when, and which values of one are kept; never values
    Log(log::Args),
    /// Give secrets an earlier value again, as a new generation
    Revert(revert::Args),
    /// Take the values of a copy that was kept of the bundle, as a new generation
    Restore(restore::Args),
    /// Seal a service's variables for one host, which opens them with its own password file
    Seal(seal::Args),
    /// Say what is missing, empty, a placeholder, weak or used twice
    Check(check::Args),
    /// What differs from an earlier revision in git: names and fingerprints, never values
    Diff(diff::Args),
    /// The bundle as text without values, for `git diff` and `git log -p`
    Textconv(textconv::Args),
    /// Merge two branches' bundles by key and by file: git's merge driver, and what settles its conflicts
    Merge(merge::Args),
    /// Tell this git repository to diff, merge and guard the bundle
    InstallGit(install_git::Args),
    /// Refuse secrets in clear text that are about to be committed: git's pre-commit hook
    Guard(guard::Args),
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    match args.command {
        Command::Create(args) => create::run(args, shared),
        Command::Edit(args) => edit::run(args, shared),
        Command::Set(args) => set::run(args, shared),
        Command::Generate(args) => generate::run(args, shared),
        Command::Unset(args) => unset::run(args, shared),
        Command::Rename(args) => rename::run(args, shared),
        Command::Describe(args) => describe::run(args, shared),
        Command::Get(args) => get::run(args, shared),
        Command::Import(args) => import::run(args, shared),
        Command::List(args) => list::run(args, shared),
        Command::Recipients(args) => recipients::run(args, shared),
        Command::Rekey(args) => rekey::run(args, shared),
        Command::Log(args) => log::run(args, shared),
        Command::Revert(args) => revert::run(args, shared),
        Command::Restore(args) => restore::run(args, shared),
        Command::Seal(args) => seal::run(args, shared),
        Command::Check(args) => return check::run(args, shared),
        Command::Diff(args) => diff::run(args, shared),
        Command::Textconv(args) => textconv::run(args, shared),
        Command::Merge(args) => return merge::run(args, shared),
        Command::InstallGit(args) => install_git::run(args, shared),
        Command::Guard(args) => return guard::run(args, shared),
    }?;
    Ok(ExitCode::SUCCESS)
}

/// An override instead of the value for everybody.
#[derive(clap::Args)]
struct Override {
    /// The override of this group
    #[arg(long, value_name = "GROUP", conflicts_with = "host")]
    group: Option<GroupName>,
    /// The override of this host
    #[arg(long, value_name = "HOST")]
    host: Option<HostName>,
}

impl Override {
    fn scope(&self) -> Scope {
        match (&self.group, &self.host) {
            (Some(group), _) => Scope::Group(group.clone()),
            (None, Some(host)) => Scope::Host(host.clone()),
            (None, None) => Scope::Common,
        }
    }

    /// The name as typed, in the scope of the options unless it carries its own.
    fn name(&self, text: &str) -> Result<SecretName> {
        let name: SecretName = text.parse()?;
        match (name.scope == Scope::Common, self.scope()) {
            (true, scope) => Ok(name.within(scope)),
            (false, Scope::Common) => Ok(name),
            _ => Err(Error::new(format!("{name} says already whose it is; leave out --host and --group"))),
        }
    }
}

fn unknown_service(service: &ServiceName, bundle: &Bundle) -> Error {
    let services = bundle.services();
    let near = nearest(service.as_str(), services.iter().map(ServiceName::as_str)).map(str::to_owned);
    suggest(Error::new(format!("the bundle has no service {service}")), near)
}

pub(super) fn unknown_secret(name: &SecretName, bundle: &Bundle) -> Error {
    if !bundle.earlier_in_use(name).is_empty() {
        return Error::new(format!("the bundle has no {name} any more: it was unset"))
            .hint(format!("`distribute bundle revert {name}` brings it back"));
    }
    let names: Vec<String> = bundle.secrets().iter().map(SecretName::to_string).collect();
    let near = nearest(&name.to_string(), names.iter().map(String::as_str)).map(str::to_owned);
    suggest(Error::new(format!("the bundle has no {name}")), near)
}

fn suggest(error: Error, near: Option<String>) -> Error {
    match near {
        Some(near) => error.hint(format!("did you mean {near}?")),
        None => error.hint("`distribute bundle list` shows what there is"),
    }
}
