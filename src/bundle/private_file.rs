//! A file that only its owner may read: a password or an identity. Opened once, checked on the open file, never run.

use crate::words::{Error, Mode, Result, Secret};
use nix::libc;
use std::fs::{File, OpenOptions};
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a regular file of the caller or root with mode 600 or 400, of `limit` bytes at most.
pub fn read_private(path: &Path, limit: usize) -> Result<Secret> {
    read_checked(path, limit).map_err(|error| error.at(path.display()))
}

fn read_checked(path: &Path, limit: usize) -> Result<Secret> {
    // Checked on the open file, so that nobody can exchange it in between; NONBLOCK so that a fifo does not hang us.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file =
        OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(|error| match error.raw_os_error() {
            Some(libc::ELOOP) => Error::new("it is a symbolic link").hint("name the file itself"),
            _ => Error::new("it cannot be read").because(error),
        })?;
    check(&file, path)?;
    let mut content = Zeroizing::new(Vec::with_capacity(limit + 1));
    file.take(limit as u64 + 1).read_to_end(&mut content).map_err(|e| Error::new("reading").because(e))?;
    if content.len() > limit {
        return Err(Error::new(format!("it is larger than {} KiB", limit / 1024)));
    }
    Ok(Secret::new(std::mem::take(&mut *content)))
}

fn check(file: &File, path: &Path) -> Result<()> {
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
    if !matches!(mode.bits(), 0o600 | 0o400) {
        let reason = if mode.is_open_to_others() { "others can get at it" } else { "only 0600 and 0400 are taken" };
        return Err(Error::new(format!("its mode is {mode}: {reason}")).hint(format!("chmod 600 {}", path.display())));
    }
    Ok(())
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
        let fails = |path: &Path| read_private(path, 4096).unwrap_err().to_string();
        assert!(fails(&path).contains("cannot be read"));
        fs::write(&path, "POISON\n").unwrap();
        for (mode, fine) in
            [(0o600, true), (0o400, true), (0o644, false), (0o640, false), (0o700, false), (0o604, false)]
        {
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            assert_eq!(read_private(&path, 4096).is_ok(), fine, "{mode:o}");
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
        assert!(read_private(&path, 3).unwrap_err().to_string().contains("larger"));
    }
}
