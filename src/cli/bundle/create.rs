//! `bundle create`: env files and directories of files become a new bundle. Links are refused, hidden files are skipped aloud.

use super::recipient;
use crate::bundle::{Bundle, BundleFile, EnvFile, Place, SecretName, system_random};
use crate::cli::last_seen::LastSeen;
use crate::cli::shared::print_note;
use crate::cli::{Shared, unlock};
use crate::words::{Error, Result, Secret, plural};
use chrono::{DateTime, Utc};
use serde_json::json;
use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use walkdir::{DirEntry, WalkDir};
use zeroize::Zeroizing;

const LARGEST: u64 = 16 << 20;

#[derive(clap::Args)]
pub struct Args {
    /// Env files (x.env), and directories with x.env, SERVICE/FILE, or services/, groups/GROUP/ and hosts/HOST/ with the same
    #[arg(value_name = "DIR|FILE", required = true)]
    sources: Vec<PathBuf>,
    /// Seal to this recipient instead of a password, with or without whose it is; may be given several times
    #[arg(long, value_name = "[LABEL=]RECIPIENT")]
    recipient: Vec<String>,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let path = shared.project()?.bundle;
    let now = Utc::now();
    let recipients = args.recipient.iter().map(|text| recipient::given(text)).collect::<Result<_>>()?;
    let mut bundle = Bundle::create(recipients, now, &mut system_random)?;
    let mut seen = BTreeSet::new();
    for source in &args.sources {
        for (place, file) in found(source, shared)? {
            if !seen.insert(place.to_string().to_ascii_lowercase()) {
                return Err(Error::new(format!("{}: there is a {place} already, from another source", file.display())));
            }
            add(&mut bundle, place, &file, now).map_err(|error| error.at(file.display()))?;
        }
    }
    let unlock = unlock::unlock(shared, &path)?;
    let (services, secrets) = (bundle.services().len(), bundle.secrets().len());
    let summary = [plural(services, "service"), plural(secrets, "secret")].join(", ");
    let fields = json!({ "command": "bundle create", "services": services, "secrets": secrets });
    BundleFile::could_create(&path, &bundle, &unlock)?;
    if shared.check {
        print_note(shared, &format!("would make {} with {summary}", path.display()));
        return super::report(&bundle, fields, shared);
    }
    let file = BundleFile::create(&path, &mut bundle, &unlock)?;
    LastSeen::record_created(&path, &bundle)?;
    if !file.is_proved() {
        print_note(shared, "sealed, and not opened again to prove it: no identity is at hand (--identity)");
    }
    print_note(shared, &format!("{}, {summary}", super::generation(&file, &bundle)));
    print_note(shared, "the files it was made from still hold the secrets in clear text: remove them");
    super::report(&bundle, fields, shared)
}

/// The files of a source, each with its place in the bundle.
fn found(source: &Path, shared: &Shared) -> Result<Vec<(Place, PathBuf)>> {
    let kind = source.symlink_metadata().map_err(|e| Error::new(source.display().to_string()).because(e))?;
    if kind.is_dir() {
        return files_in(source, shared);
    }
    let name = source.file_name().unwrap_or_default().to_string_lossy().into_owned();
    if kind.is_file() && name.ends_with(".env") {
        return Ok(vec![(format!("services/{name}").parse()?, source.to_owned())]);
    }
    let error = Error::new(format!("{} is neither a directory nor an env file", source.display()));
    Err(error.hint("a value file is called SERVICE.env; any other file goes into a directory: DIR/SERVICE/FILE"))
}

fn files_in(directory: &Path, shared: &Shared) -> Result<Vec<(Place, PathBuf)>> {
    let is_hidden = |entry: &DirEntry| entry.depth() > 0 && entry.file_name().to_string_lossy().starts_with('.');
    let keep = |entry: &DirEntry| {
        if is_hidden(entry) {
            print_note(shared, &format!("{}: skipped, it is hidden", entry.path().display()));
        }
        !is_hidden(entry)
    };
    let mut files = Vec::new();
    for entry in WalkDir::new(directory).follow_links(false).sort_by_file_name().into_iter().filter_entry(keep) {
        let entry = entry.map_err(|e| Error::new("reading the directory").because(e))?;
        let path = entry.path();
        if entry.file_type().is_dir() {
            continue;
        }
        if !entry.file_type().is_file() {
            return Err(Error::new(format!("{} is a link or a special file", path.display()))
                .hint("only regular files are taken"));
        }
        let relative = path.strip_prefix(directory).unwrap_or(path).to_string_lossy();
        files.push((place(&relative).map_err(|error| error.at(path.display()))?, path.to_owned()));
    }
    Ok(files)
}

/// As in the archive if it looks like that, otherwise under `services/`.
fn place(relative: &str) -> Result<Place> {
    let is_laid_out = ["services/", "groups/", "hosts/"].iter().any(|top| relative.starts_with(top));
    let path = if is_laid_out { relative.to_owned() } else { format!("services/{relative}") };
    match path.parse()? {
        place @ Place::Now(_) => Ok(place),
        _ => Err(Error::new("it has no place among the secrets")),
    }
}

fn add(bundle: &mut Bundle, place: Place, file: &Path, now: DateTime<Utc>) -> Result<()> {
    let Place::Now(document) = place else { return Ok(()) };
    let content = content(file)?;
    match &document.file {
        None => drop(bundle.replace_env(&document.scope, &document.service, EnvFile::parse(content.expose())?, now)),
        Some(file) => drop(bundle.set(&SecretName::file(&document.service, file).within(document.scope), content, now)),
    }
    Ok(())
}

fn content(path: &Path) -> Result<Secret> {
    let file = File::open(path).map_err(|e| Error::new("it cannot be read").because(e))?;
    let size = file.metadata().map_or(0, |found| found.len()).min(LARGEST);
    let mut bytes = Zeroizing::new(Vec::with_capacity(size as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(|e| Error::new("it cannot be read").because(e))?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new("it is larger than 16 MiB"));
    }
    Ok(Secret::new(std::mem::take(&mut *bytes)))
}
