//! `RotationLock`: one rotation of a bundle at a time on this machine. The kernel frees it with its process, however that ends.

use crate::cli::last_seen;
use crate::words::{Error, Result};
use nix::errno::Errno;
use nix::sys::signal::kill;
use nix::unistd::Pid;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

/// Held as long as it lives.
pub struct RotationLock {
    _file: File,
}

impl RotationLock {
    /// `pid 123` of the process that is rotating this bundle right now, if there is one on this machine.
    pub fn holder(bundle: &Path) -> Option<String> {
        let mut file = File::open(last_seen::record_of(bundle).ok()?.with_extension("rotating")).ok()?;
        let who = who(&mut file);
        let pid = who.strip_prefix("pid ")?.parse().ok()?;
        // Asking takes the lock for a moment, which must not be in the way of whoever takes it in earnest: the dead are not asked about.
        if kill(Pid::from_raw(pid), None) == Err(Errno::ESRCH) {
            return None;
        }
        matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)).then_some(who)
    }

    /// Takes it for the bundle at this path.
    ///
    /// # Errors
    /// When another process holds it; the message says which.
    pub fn take(bundle: &Path) -> Result<Self> {
        let path = last_seen::record_of(bundle)?.with_extension("rotating");
        let failed = |error| Error::new(format!("locking {}", path.display())).because(error);
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).clone();
        let mut file = options.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(taken(&mut file)),
            Err(TryLockError::Error(error)) => return Err(failed(error)),
        }
        file.set_len(0).and_then(|()| writeln!(file, "pid {}", std::process::id())).map_err(failed)?;
        Ok(Self { _file: file })
    }
}

fn who(file: &mut File) -> String {
    let mut who = String::new();
    let _ = file.take(100).read_to_string(&mut who);
    who.trim().to_owned()
}

fn taken(file: &mut File) -> Error {
    let who = who(file);
    Error::new(format!("another rotation of this bundle is at work on this machine ({who}); nothing was done"))
        .hint("wait for it to end, then look: distribute status")
}
