//! A file that only its owner may read: a password or an identity. Opened once, checked on the open file, never run.

use crate::words::{Error, Mode, Result, Secret};
use nix::libc;
use std::fs::{File, Metadata, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a regular file of the caller or root with mode 600 or 400, of `limit` bytes at most. `credentials` is where systemd puts what it
/// hands to this service, if it does.
pub fn read_private(path: &Path, limit: usize, credentials: Option<&Path>) -> Result<Secret> {
    read_checked(path, limit, credentials).map_err(|error| error.at(path.display()))
}

/// Reads a regular file of any owner and mode: it is locked.
pub fn read_locked(path: &Path, limit: usize) -> Result<Secret> {
    let opened = open(path).and_then(|file| {
        let is_file = file.metadata().is_ok_and(|found| found.is_file());
        if is_file { read(file, limit) } else { Err(Error::new("it is not a regular file")) }
    });
    opened.map_err(|error| error.at(path.display()))
}

fn read_checked(path: &Path, limit: usize, credentials: Option<&Path>) -> Result<Secret> {
    // Checked on the open file, so that nobody can exchange it in between.
    let file = open(path)?;
    check(&file, path, credentials)?;
    read(file, limit)
}

fn open(path: &Path) -> Result<File> {
    // NONBLOCK so that a fifo does not hang us.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
        Some(libc::ELOOP) => Error::new("it is a symbolic link").hint("name the file itself"),
        _ => Error::new("it cannot be read").because(error),
    })
}

fn read(file: File, limit: usize) -> Result<Secret> {
    let mut content = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut content).map_err(|e| Error::new("reading").because(e))?;
    if content.len() > limit {
        return Err(Error::new(format!("it is larger than {} KiB", limit / 1024)));
    }
    Ok(Secret::new(std::mem::take(&mut *content)))
}

fn check(file: &File, path: &Path, credentials: Option<&Path>) -> Result<()> {
    let found = file.metadata().map_err(|e| Error::new("it cannot be looked at").because(e))?;
    if !found.is_file() {
        return Err(Error::new("it is not a regular file"));
    }
    let me = nix::unistd::geteuid().as_raw();
    if found.uid() != me && found.uid() != 0 {
        return Err(Error::new(format!("it belongs to user {}, who is neither you nor root", found.uid()))
            .hint(format!("copy it, or `chown {me} {}`", path.display())));
    }
    let mode = Mode::new(found.mode());
    if !matches!(mode.bits(), 0o600 | 0o400) && !is_credential(&found, path, credentials) {
        let reason = if mode.is_open_to_others() { "others can get at it" } else { "only 0600 and 0400 are taken" };
        return Err(Error::new(format!("its mode is {mode}: {reason}")).hint(format!("chmod 600 {}", path.display())));
    }
    Ok(())
}

/// A service with `User=` gets a file of root that an access list opens to its user alone. To who only looks at the mode, the list's mask
/// is what the group may do: 0440, and the group is root's.
fn is_credential(found: &Metadata, path: &Path, credentials: Option<&Path>) -> bool {
    let is_there = credentials.is_some_and(|directory| path.parent() == Some(directory));
    is_there && (found.uid(), found.gid(), Mode::new(found.mode()).bits()) == (0, 0, 0o440)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn only_a_private_regular_file_is_read() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let fails = |path: &Path| read_private(path, 4096, None).unwrap_err().to_string();
        assert!(fails(&path).contains("cannot be read"));
        fs::write(&path, "POISON\n").unwrap();
        for (mode, fine) in
            [(0o600, true), (0o400, true), (0o644, false), (0o640, false), (0o700, false), (0o604, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_private(&path, 4096, None).is_ok(), fine, "{mode:o}");
        }
        assert!(fails(&path).contains("0604"));
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        assert!(fails(&link).contains("symbolic link"));
        assert!(fails(directory.path()).contains("not a regular file"));
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        assert!(fails(&fifo).contains("not a regular file"));
        assert!(read_private(&path, 3, None).unwrap_err().to_string().contains("larger"));
    }

    /// A file of the shape that systemd gives to a service with `User=`; tests/fleet has the real one.
    #[test]
    fn what_systemd_hands_over_is_taken_from_its_place_only() {
        if !nix::unistd::geteuid().is_root() {
            return println!("skipped: needs root");
        }
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("vault-password");
        fs::write(&path, "POISON\n").unwrap();
        let takes = |mode: u32, credentials: Option<&Path>| {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read_private(&path, 4096, credentials).is_ok()
        };
        assert!(takes(0o440, Some(directory.path())) && takes(0o400, Some(directory.path())));
        assert!(
            !takes(0o440, None) && !takes(0o440, Some(Path::new("/run"))) && !takes(0o440, directory.path().parent())
        );
        assert!(!takes(0o444, Some(directory.path())) && !takes(0o640, Some(directory.path())));
        std::os::unix::fs::chown(&path, None, Some(1)).unwrap();
        assert!(!takes(0o440, Some(directory.path())), "another group could read it");
    }
}
