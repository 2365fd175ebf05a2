//! `LastSeen`: what this machine remembers of a bundle: its id and highest generation, one small file a bundle in the state directory.
//! age proves what was sealed, not by whom, and an old file is as genuine as a new one: this is how an older bundle is noticed.

use crate::bundle::{Bundle, BundleFile, Recipient};
use crate::words::{Error, Result, printable};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::Write;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// More would make no message clearer.
const MOST_RECIPIENTS: usize = 50;

/// The record of one bundle: where it lies, and the id and generation in it.
pub struct LastSeen {
    file: PathBuf,
    seen: Option<(String, u64)>,
}

impl LastSeen {
    /// Of the bundle at this path. A state directory that cannot be read is an error: without it an old bundle would pass.
    pub fn of(bundle: &Path) -> Result<Self> {
        let file = record_of(bundle)?;
        let seen = read(&file)?;
        Ok(Self { file, seen })
    }

    /// Id and generation that were seen at a path where no bundle lies any more; nothing if none was.
    pub fn before(bundle: &Path) -> Result<Option<(String, u64)>> {
        record_before(bundle)?.map_or(Ok(None), |file| read(&file))
    }

    /// Is it known of a path where no bundle lies any more whom that was sealed to, and was this key none of them?
    pub fn was_none_of_them(bundle: &Path, recipient: &Recipient) -> bool {
        let file = record_before(bundle).ok().flatten();
        let text = file.and_then(|file| fs::read_to_string(recipients_of(&file)).ok()).unwrap_or_default();
        let word = recipient.word();
        let is_it = |line: &str| line == word || line.ends_with(&format!(" ({word})"));
        !text.is_empty() && !text.lines().any(is_it)
    }

    /// Refuses a bundle that is older than what was seen here, unless it is known to be that of another branch: this commit's, or what was
    /// saved here last upon such a one. Gives the generation that was seen then.
    ///
    /// # Errors
    /// When it is another bundle, or an older one that somebody put back.
    pub fn check_branch(
        &self,
        bundle: &Bundle,
        file: &BundleFile,
        is_committed: impl FnOnce() -> bool,
    ) -> Result<Option<u64>> {
        let Err(error) = self.check(bundle) else { return Ok(None) };
        let seen = self.newer(bundle).filter(|_| self.is_saved_here(file) || is_committed());
        seen.map(Some).ok_or(error)
    }

    /// The higher generation of this bundle that was seen here, if one was.
    fn newer(&self, bundle: &Bundle) -> Option<u64> {
        let (id, seen) = self.seen.as_ref()?;
        (id == bundle.id() && *seen > bundle.generation()).then_some(*seen)
    }

    fn is_saved_here(&self, file: &BundleFile) -> bool {
        fs::read_to_string(self.branch()).is_ok_and(|text| text.trim() == HEXLOWER.encode(file.hash()))
    }

    /// Remembers what was saved on a branch that is behind another one, so that it is no older file that was put back.
    fn record_branch(&self, bundle: &Bundle, file: &BundleFile) -> Result<()> {
        let text = format!("{}\n", HEXLOWER.encode(file.hash()));
        self.newer(bundle).map_or(Ok(()), |_| put(&self.branch(), &text)).map_err(|error| self.not_remembered(error))
    }

    fn branch(&self) -> PathBuf {
        self.file.with_extension("branch")
    }

    fn not_remembered(&self, error: std::io::Error) -> Error {
        Error::new(format!("remembering the bundle in {}", self.file.display())).because(error)
    }

    /// Refuses a bundle that is older than what was seen here, or another one in its place.
    pub fn check(&self, bundle: &Bundle) -> Result<()> {
        let forget = forget(&self.file);
        match &self.seen {
            Some((id, _)) if id != bundle.id() && !id.is_empty() => {
                let message = format!("this is another bundle ({}) than the one seen here before ({id})", bundle.id());
                Err(Error::new(message)
                    .hint("anybody can make a bundle for public recipients: find out where this one is from")
                    .hint(forget))
            }
            Some((_, seen)) if *seen > bundle.generation() => {
                let message = format!(
                    "the bundle is at generation {}, but generation {seen} was seen here before",
                    bundle.generation()
                );
                Err(Error::new(message)
                    .hint("an older file was put back, or it is that of another branch: get the newer one (git merge, git pull)")
                    .hint(forget))
            }
            _ => Ok(()),
        }
    }

    /// Whom the bundle at this path was sealed to when it was seen last, for messages; nothing if that is not known.
    pub fn recipients(bundle: &Path) -> Vec<String> {
        let text = record_of(bundle).map(|file| fs::read_to_string(recipients_of(&file)).unwrap_or_default());
        text.unwrap_or_default().lines().take(MOST_RECIPIENTS).map(|line| printable(line.as_bytes(), 200)).collect()
    }

    /// Remembers the bundle as it is now, unless somebody saw a higher generation of it meanwhile.
    pub fn record(&mut self, bundle: &Bundle) -> Result<()> {
        let now = (bundle.id().to_owned(), bundle.generation());
        self.seen = read(&self.file)?;
        if self.seen.as_ref().is_some_and(|(id, seen)| *id == now.0 && *seen >= now.1) {
            return Ok(());
        }
        let names: String = bundle.recipients().iter().map(|one| format!("{one}\n")).collect();
        let write = || {
            let recipients = recipients_of(&self.file);
            if fs::read_to_string(&recipients).unwrap_or_default() != names {
                put(&recipients, &names)?;
            }
            put(&self.file, &format!("{} {}\n", now.0, now.1))
        };
        let made = self
            .file
            .parent()
            .map_or(Ok(()), |parent| fs::DirBuilder::new().recursive(true).mode(0o700).create(parent));
        made.and_then(|()| write()).map_err(|error| self.not_remembered(error))?;
        self.seen = Some(now);
        Ok(())
    }

    /// Remembers a bundle that was just saved; when that fails, it says that the save did not.
    pub fn record_saved(&mut self, bundle: &Bundle) -> Result<()> {
        self.record(bundle).map_err(|error| but_saved(bundle, error))
    }

    /// The same where an older generation may be that of another branch: what was seen stays seen.
    pub fn record_saved_on_branch(&mut self, bundle: &Bundle, file: &BundleFile) -> Result<()> {
        let recorded = self.record(bundle).and_then(|()| self.record_branch(bundle, file));
        recorded.map_err(|error| but_saved(bundle, error))
    }

    /// What a merge made may still be behind a third branch. Nothing else of it is remembered before somebody opens it.
    pub fn record_merged(&self, bundle: &Bundle, file: &BundleFile) -> Result<()> {
        self.record_branch(bundle, file).map_err(|error| but_saved(bundle, error))
    }

    /// The same for a bundle that was just created.
    pub fn record_created(path: &Path, bundle: &Bundle) -> Result<()> {
        Self::of(path).map_err(|error| but_saved(bundle, error))?.record_saved(bundle)
    }
}

/// Writes a small file in the place of another.
fn put(file: &Path, text: &str) -> std::io::Result<()> {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".new{}", std::process::id()));
    let beside = PathBuf::from(name);
    let mut new = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&beside)?;
    new.write_all(text.as_bytes())?;
    new.sync_all()?;
    fs::rename(&beside, file)
}

/// Where what was remembered of a path lies; nothing if its directory is gone.
fn record_before(bundle: &Path) -> Result<Option<PathBuf>> {
    let directory = bundle.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let name = bundle.file_name().unwrap_or_default();
    fs::canonicalize(directory).ok().map(|directory| record_at(&directory.join(name))).transpose()
}

fn recipients_of(record: &Path) -> PathBuf {
    record.with_extension("recipients")
}

/// Where what is remembered of the bundle at this path lies; what else is remembered of it lies beside.
pub(super) fn record_of(bundle: &Path) -> Result<PathBuf> {
    let path = fs::canonicalize(bundle).map_err(|e| Error::new(bundle.display().to_string()).because(e))?;
    record_at(&path)
}

/// The same for a path that is the real one.
fn record_at(path: &Path) -> Result<PathBuf> {
    let name = HEXLOWER.encode(&Sha256::digest(path.as_os_str().as_encoded_bytes())[..16]);
    Ok(directory()?.join(name))
}

fn but_saved(bundle: &Bundle, error: Error) -> Error {
    let saved = Error::new(format!("it was saved as generation {}, but {error}", bundle.generation()));
    error.hints().iter().fold(saved, |saved, hint| saved.hint(hint.clone()))
}

/// What is in the record; nothing if there is none. One that cannot be read proves nothing, and is not taken for none.
fn read(file: &Path) -> Result<Option<(String, u64)>> {
    let text = match fs::read_to_string(file) {
        Ok(text) => text,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(Error::new(file.display().to_string()).because(error).hint(forget(file))),
    };
    if text.is_empty() {
        return Ok(None);
    }
    let seen = text.split_once(' ').and_then(|(id, number)| Some((id.to_owned(), number.trim().parse().ok()?)));
    let damaged = || Error::new(format!("{}: what was seen of the bundle cannot be read", file.display()));
    seen.map(Some).ok_or_else(|| damaged().hint(forget(file)))
}

fn forget(file: &Path) -> String {
    format!("if this is meant, forget what was seen: rm {}", file.display())
}

/// What is to be used in place of the user's own state directory.
pub const STATE_DIRECTORY: &str = "DISTRIBUTE_STATE_DIR";

/// The directory that this variable names, if it does.
pub fn state_directory_given() -> Option<PathBuf> {
    variable(STATE_DIRECTORY)
}

/// A variable that is set to nothing counts as unset.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// `$DISTRIBUTE_STATE_DIR`, else `$XDG_STATE_HOME/distribute`, else `~/.local/state/distribute`; cron may set no HOME.
fn directory() -> Result<PathBuf> {
    if let Some(directory) = state_directory_given() {
        return Ok(directory);
    }
    if let Some(state) = variable("XDG_STATE_HOME") {
        return Ok(state.join("distribute"));
    }
    let home = variable("HOME").or_else(|| Some(nix::unistd::User::from_uid(nix::unistd::getuid()).ok()??.dir));
    home.map(|home| home.join(".local/state/distribute")).ok_or_else(|| {
        Error::new("there is no home directory to remember bundles in")
            .hint("set DISTRIBUTE_STATE_DIR to a directory of your own")
    })
}
