//! `Place`: where a service's variables lie on this machine, and how they are read there.

use super::Args;
use crate::bundle::{Bundle, Scope, SealedContent, Unlock, is_age_file};
use crate::cli::last_seen::LastSeen;
use crate::cli::{Shared, unlock};
use crate::dialect::Dialect;
use crate::inventory::Inventory;
use crate::words::{Error, KeyName, Mode, Result, Secret, ServiceName, nearest};
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LARGEST: u64 = 64 << 20;
const IN_CONTAINERS: &str = "/run/secrets";
const ENDINGS: [&str; 3] = ["env", "json", "yaml"];

/// Found, and not read yet.
pub enum Place {
    File(PathBuf),
    /// A file for each key.
    Directory(PathBuf),
    Bundle(PathBuf),
}

/// The first place that has them; nothing where there is none.
pub fn find(service: &ServiceName, args: &Args, shared: &Shared) -> Result<Option<Place>> {
    if let Some(file) = &args.file {
        return Ok(file.exists().then(|| Place::File(file.clone())));
    }
    let wants_bundle = args.host.is_some() || (shared.bundle.is_some() && args.secrets.is_none());
    if !wants_bundle {
        for directory in directories(args, shared)? {
            if let Some(place) = in_directory(&directory, service) {
                // Nobody named it: whoever could put it there could put anything into the program.
                if args.secrets.is_none() {
                    refuse_foreign(place.path())?;
                }
                return Ok(Some(place));
            }
        }
    }
    let bundle = shared.project()?.bundle;
    Ok((args.secrets.is_none() && bundle.exists()).then_some(Place::Bundle(bundle)))
}

/// The error where there is none, with what was looked at.
pub fn nowhere(service: &ServiceName, args: &Args, shared: &Shared) -> Error {
    let error = match &args.file {
        Some(file) => Error::new(format!("{} is not there; nothing was run", file.display())),
        None => Error::new(format!("there are no variables of {service} on this machine; nothing was run")),
    };
    let looked = directories(args, shared).unwrap_or_default();
    let error = looked.iter().filter(|_| args.file.is_none()).fold(error, |error, directory| {
        error.hint(format!("{}: no {service}.env, .json, .yaml or {service}/", directory.display()))
    });
    error.hint("--secrets names the directory, --file the file; --or-environment goes on with what is in the environment already")
}

fn directories(args: &Args, shared: &Shared) -> Result<Vec<PathBuf>> {
    if let Some(given) = &args.secrets {
        return Ok(vec![given.clone()]);
    }
    let start = match &shared.directory {
        Some(directory) => directory.clone(),
        None => std::env::current_dir().map_err(|e| Error::new("finding the working directory").because(e))?,
    };
    let above = start.ancestors().map(|directory| directory.join("secrets")).find(|directory| directory.is_dir());
    Ok([above, Some(PathBuf::from(IN_CONTAINERS))].into_iter().flatten().collect())
}

fn in_directory(directory: &Path, service: &ServiceName) -> Option<Place> {
    let named = |ending: &str| directory.join(format!("{service}.{ending}"));
    let files = ENDINGS.iter().flat_map(|ending| [named(ending), named(&format!("{ending}.age"))]);
    let own = directory.join(service.as_str());
    files
        .into_iter()
        .find(|path| path.exists())
        .map(Place::File)
        .or_else(|| own.is_dir().then_some(Place::Directory(own)))
}

impl Place {
    fn path(&self) -> &Path {
        match self {
            Self::File(path) | Self::Directory(path) | Self::Bundle(path) => path,
        }
    }

    /// Keys and values.
    pub fn read(&self, service: &ServiceName, args: &Args, shared: &Shared) -> Result<Vec<(KeyName, Secret)>> {
        match self {
            Self::File(path) => file(path, service, args, shared).map_err(|error| error.at(path.display())),
            Self::Directory(path) => directory(path),
            Self::Bundle(path) => {
                // Looked at first: what somebody else saves while we open it is not older than what we open.
                let last_seen = LastSeen::of(path)?;
                let unlock = unlock::unlock(shared, path)?;
                let opened = content(path).and_then(|bytes| Bundle::from_sealed(bytes.expose(), &unlock));
                let bundle = opened.map_err(|error| error.at(path.display()))?;
                last_seen.check(&bundle)?;
                of_bundle(&bundle, service, args, shared)
            }
        }
    }
}

fn file(path: &Path, service: &ServiceName, args: &Args, shared: &Shared) -> Result<Vec<(KeyName, Secret)>> {
    let bytes = content(path)?;
    if !is_age_file(bytes.expose()) {
        return dialect(path, bytes.expose(), args).read(bytes.expose());
    }
    match SealedContent::open(bytes.expose(), &beside(path, shared)?)? {
        SealedContent::Bundle(bundle) => of_bundle(&bundle, service, args, shared),
        SealedContent::File(clear) => dialect(path, clear.expose(), args).read(clear.expose()),
    }
}

/// By the option, else by the name. Of `.env` there are several kinds: all but docker's, which is the playbook's default, say so in their first line.
fn dialect(path: &Path, bytes: &[u8], args: &Args) -> Dialect {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".age").unwrap_or(&name);
    match (args.format, name.rsplit('.').next()) {
        (Some(given), _) => given.0,
        (None, Some("json")) => Dialect::Json,
        (None, Some("yaml" | "yml")) => Dialect::Kubernetes,
        (None, _) => Dialect::marked(bytes).unwrap_or(Dialect::Docker),
    }
}

/// What opens a sealed file: the options, else `vault-password` beside it or beside the directory of secrets that it lies in.
fn beside(path: &Path, shared: &Shared) -> Result<Unlock> {
    let here = path.parent().unwrap_or(Path::new("."));
    let above = here.join("..");
    let place = [here, &above].into_iter().find(|directory| directory.join("vault-password").exists()).unwrap_or(here);
    unlock::unlock(shared, &place.join("secrets.age"))
}

fn of_bundle(bundle: &Bundle, service: &ServiceName, args: &Args, shared: &Shared) -> Result<Vec<(KeyName, Secret)>> {
    let env = match &args.host {
        None => bundle.env(&Scope::Common, service).cloned(),
        Some(name) => {
            let inventory = Inventory::load(&shared.project()?.inventory)?;
            let host =
                inventory.host(name).ok_or_else(|| Error::new(format!("host {name} is not in the inventory")))?;
            bundle.content(service, name, &host.groups).and_then(|content| content.env)
        }
    };
    if env.is_none() && args.or_environment {
        return Ok(Vec::new());
    }
    env.map(|env| env.values()).ok_or_else(|| {
        let services = bundle.services();
        let error = Error::new(format!("the bundle has no variables of {service}; nothing was run"));
        match nearest(service.as_str(), services.iter().map(ServiceName::as_str)) {
            Some(near) => error.hint(format!("did you mean {near}?")),
            None => error.hint("`distribute bundle list` shows what there is"),
        }
    })
}

/// A file for each key, as docker's and podman's secrets are; what is no key's name is left alone.
fn directory(path: &Path) -> Result<Vec<(KeyName, Secret)>> {
    let failed = |e| Error::new(path.display().to_string()).because(e);
    let mut variables = Vec::new();
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        let key = entry.file_name().to_str().and_then(|name| name.parse::<KeyName>().ok());
        if let Some(key) = key.filter(|_| entry.path().is_file()) {
            let value = content(&entry.path()).map_err(|error| error.at(entry.path().display()))?;
            variables.push((key, value));
        }
    }
    variables.sort_by(|one, other| one.0.cmp(&other.0));
    Ok(variables)
}

/// Refuses what somebody else could have put there: it and the directories above must be root's or ours, and not everybody may write there.
fn refuse_foreign(path: &Path) -> Result<()> {
    let real = path.canonicalize().map_err(|e| Error::new(path.display().to_string()).because(e))?;
    let me = nix::unistd::geteuid().as_raw();
    for place in real.ancestors() {
        let found = place.symlink_metadata().map_err(|e| Error::new(place.display().to_string()).because(e))?;
        let is_foreign = found.uid() != me && found.uid() != 0;
        let mode = Mode::new(found.mode());
        if is_foreign || (mode.is_world_writable() && !(found.is_dir() && mode.is_sticky())) {
            let why = if is_foreign {
                format!("belongs to user {}", found.uid())
            } else {
                "can be written by everybody".to_owned()
            };
            return Err(Error::new(format!(
                "{} was found, but {} {why}; nothing was run",
                path.display(),
                place.display()
            ))
            .hint("if it is meant, name it: --secrets DIR or --file PATH"));
        }
    }
    Ok(())
}

/// Whoever can write the file could put anything into the program: not everybody may. Errors do not name it.
fn content(path: &Path) -> Result<Secret> {
    let failed = |e| Error::new("it cannot be read").because(e);
    let file = File::open(path).map_err(failed)?;
    let found = file.metadata().map_err(failed)?;
    if !found.is_file() {
        return Err(Error::new("it is not a regular file"));
    }
    if Mode::new(found.mode()).is_world_writable() {
        return Err(Error::new("everybody can write it; nothing was run").hint(format!("chmod o-w {}", path.display())));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(found.len().min(LARGEST) as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    match bytes.len() as u64 > LARGEST {
        true => Err(Error::new("it is larger than 64 MiB")),
        false => Ok(Secret::new(std::mem::take(&mut *bytes))),
    }
}
