//! `RotationLock`: one rotation of a bundle at a time. The kernel frees it with its process, however that ends. What a step of such a process still
//! does is stopped by whoever takes the lock next.

use crate::cli::last_seen;
use crate::provider::StepGroup;
use crate::words::{Error, Result};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Who only asks holds the lock for a moment, and must not be taken for a rotation.
const PATIENCE: Duration = Duration::from_secs(1);
const TICK: Duration = Duration::from_millis(20);
const STEP: &str = "step ";

/// Held as long as it lives: a file in the state directory, which says who holds it, and the directory of the bundle, which those who have another state
/// directory see too.
pub struct RotationLock {
    file: File,
    _directory: Option<File>,
}

impl RotationLock {
    /// Who is rotating this bundle right now, if somebody is on this machine: `pid 123`, where that can be known.
    pub fn holder(bundle: &Path) -> Option<String> {
        holder_here(bundle).or_else(|| holder_elsewhere(bundle))
    }

    /// Takes it for the bundle at this path, and stops what a step of a rotation that was killed still does.
    ///
    /// # Errors
    /// When another process holds it, the message says which; or what is left of a step cannot be stopped.
    pub fn take(bundle: &Path) -> Result<Self> {
        let path = last_seen::record_of(bundle)?.with_extension("rotating");
        let failed = |error| Error::new(format!("locking {}", path.display())).because(error);
        let file = open(&path).map_err(failed)?;
        if !takes(&file).map_err(failed)? {
            return Err(refusal(&format!(" of this bundle is at work on this machine ({})", who(&text(&file)))));
        }
        let lock = Self { file, _directory: take_directory(bundle)? };
        stop_step(&text(&lock.file))?;
        lock.write("").map_err(failed)?;
        Ok(lock)
    }

    /// Notes the processes of a step that begins, for whoever comes when we were killed.
    ///
    /// # Errors
    /// The disk is full, say.
    pub fn note_step(&self, step: &StepGroup) -> io::Result<()> {
        self.write(&format!("{STEP}{step}\n"))
    }

    /// Notes that nothing of it is left.
    pub fn forget_step(&self) {
        let _ = self.write("");
    }

    /// The first line stays what it is while it is written again, for those who ask meanwhile.
    fn write(&self, step: &str) -> io::Result<()> {
        let text = format!("pid {}\n{step}", std::process::id());
        self.file.write_all_at(text.as_bytes(), 0)?;
        self.file.set_len(text.len() as u64)
    }
}

/// With our state directory.
fn holder_here(bundle: &Path) -> Option<String> {
    let file = File::open(last_seen::record_of(bundle).ok()?.with_extension("rotating")).ok()?;
    let who = who(&text(&file));
    let pid = who.strip_prefix("pid ")?.parse().ok()?;
    // Asking takes the lock for a moment: the dead are not asked about.
    if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
        return None;
    }
    is_held(&file).then_some(who)
}

fn holder_elsewhere(bundle: &Path) -> Option<String> {
    directory(bundle).filter(is_held).map(|_| "with another state directory".to_owned())
}

fn is_held(file: &File) -> bool {
    matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock))
}

/// The directory that holds the bundle. `None` where that is the state directory: there is a lock in it already, and others are taken on it.
fn directory(bundle: &Path) -> Option<File> {
    let parent = |path: PathBuf| path.parent().map(Path::to_owned);
    let directory = parent(fs::canonicalize(bundle).ok()?)?;
    let state = last_seen::record_of(bundle).ok().and_then(parent).and_then(|state| fs::canonicalize(state).ok());
    if state.as_ref() == Some(&directory) { None } else { File::open(directory).ok() }
}

/// A file system that knows no locks of directories, such as NFS, leaves us with the first one.
fn take_directory(bundle: &Path) -> Result<Option<File>> {
    let directory = directory(bundle);
    match directory.as_ref().map(takes) {
        Some(Ok(false)) => {
            Err(refusal(" of this bundle, or of one beside it, is at work, with another state directory"))
        }
        _ => Ok(directory),
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

/// Takes it, within a second.
fn takes(file: &File) -> io::Result<bool> {
    let end = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(true),
            Err(TryLockError::WouldBlock) if Instant::now() < end => std::thread::sleep(TICK),
            Err(TryLockError::WouldBlock) => return Ok(false),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
}

fn text(file: &File) -> String {
    let mut bytes = [0; 400];
    let length = file.read_at(&mut bytes, 0).unwrap_or_default();
    String::from_utf8_lossy(&bytes[..length]).into_owned()
}

fn who(text: &str) -> String {
    text.lines().next().unwrap_or_default().trim().to_owned()
}

/// What was noted of a step was not taken back: whoever ran it was killed, and it may still be at work.
fn stop_step(text: &str) -> Result<()> {
    let noted = text.lines().find_map(|line| line.strip_prefix(STEP)?.parse::<StepGroup>().ok());
    if let Some(step) = noted
        && step.stop()? > 0
    {
        eprintln!("note: a step of the run that was killed was still at work, and was stopped");
    }
    Ok(())
}

fn refusal(what: &str) -> Error {
    Error::new(format!("another rotation{what}; nothing was done"))
        .hint("wait for it to end, then look: distribute status")
}
