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

use super::git::Git;
use super::last_seen::LastSeen;
use super::shared::{print_note, print_result};
use super::{Shared, under_way, unlock};
use crate::bundle::{Bundle, BundleFile, Scope, SecretName};
use crate::words::{Error, GroupName, HostName, Result, ServiceName, nearest};
use serde_json::Value;
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

/// A bundle that was opened, and what this machine saw of it before.
struct Opened {
    file: BundleFile,
    bundle: Bundle,
    last_seen: LastSeen,
}

/// Opens the bundle. An older one, or another in its place, is refused before anybody types into it or reads from it.
fn open(shared: &Shared) -> Result<Opened> {
    let path = shared.project()?.bundle;
    // Looked at first: what somebody else saves while we open it is not older than what we open.
    let last_seen = LastSeen::of(&path);
    let (file, bundle) = BundleFile::open(&path, &unlock::unlock(shared, &path)?)?;
    let last_seen = last_seen?;
    if let Some(seen) = last_seen.check_branch(&bundle, &file, || is_committed(&file))? {
        let generation = bundle.generation();
        let note = format!(
            "note: generation {generation}, and {seen} was seen here: another branch? hosts take it only once it is merged"
        );
        print_note(shared, &note);
    }
    under_way::note(bundle.rotation(), &path);
    Ok(Opened { file, bundle, last_seen })
}

/// Is it exactly what this commit has? Then whoever put it there did it by git.
fn is_committed(file: &BundleFile) -> bool {
    let name = file.path().file_name().unwrap_or_default();
    let in_head = Git::around(file.path()).and_then(|git| git.in_revision("HEAD", name));
    in_head.is_ok_and(|bytes| file.is_sealed_as(&bytes))
}

/// Saves what changed; only then says what that was, and which generation it became. The fields are those of the JSON report.
fn save(opened: &mut Opened, what: &str, fields: Value, shared: &Shared) -> Result<()> {
    let is_saved = store(opened, (|_| Ok(()), |_| ()), shared)?;
    tell(opened, is_saved, what, fields, shared)
}

/// Saves what changed, unless with `--check`. Where something lies beside the bundle that has to fit it: what comes first, and what undoes that.
fn store(
    opened: &mut Opened,
    (first, undo): (impl FnOnce(&BundleFile) -> Result<()>, impl FnOnce(&BundleFile)),
    shared: &Shared,
) -> Result<bool> {
    let Opened { file, bundle, .. } = opened;
    if let Some(rotation) = bundle.rotation().filter(|_| bundle.is_changed()) {
        return Err(under_way::refusal(rotation, file.path()));
    }
    file.could_save(bundle)?;
    Ok(!shared.check && file.save_beside(bundle, first, undo)?)
}

fn tell(opened: &mut Opened, is_saved: bool, what: &str, fields: Value, shared: &Shared) -> Result<()> {
    let Opened { file, bundle, last_seen } = opened;
    if is_saved {
        last_seen.record_saved_on_branch(bundle, file)?;
    }
    print_note(shared, what);
    if shared.check {
        print_note(shared, "--check: nothing was written");
    } else if is_saved {
        print_note(shared, &generation(file, bundle));
        note_conflict(file, shared);
    }
    report(bundle, fields, shared)
}

/// What git left in conflict is our side alone, and so is what was saved upon it.
fn note_conflict(file: &BundleFile, shared: &Shared) {
    let name = file.path().file_name().unwrap_or_default();
    if Git::around(file.path()).is_ok_and(|git| git.is_in_conflict(name)) {
        let name = file_name(file);
        print_note(
            shared,
            &format!(
                "note: git has {name} in conflict, and their changes are not in it: to merge them, undo this by \
                `git checkout --merge {name}`, and then `distribute bundle merge`"
            ),
        );
    }
}

/// The one JSON document of a command that changes the bundle, if JSON was asked for.
fn report(bundle: &Bundle, mut fields: Value, shared: &Shared) -> Result<()> {
    if !shared.is_json() {
        return Ok(());
    }
    fields["schema"] = "distribute.bundle/1".into();
    fields["check"] = shared.check.into();
    fields["generation"] = bundle.generation().into();
    print_result(&format!("{fields}\n"))
}

fn generation(file: &BundleFile, bundle: &Bundle) -> String {
    format!("{}: generation {}", file_name(file), bundle.generation())
}

fn file_name(file: &BundleFile) -> String {
    file.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
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
