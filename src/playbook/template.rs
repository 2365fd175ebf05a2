//! `Template`: the text from which a config file is made, read with the playbook.

use crate::words::{Error, FileName, Result, printable};
use nix::libc;
use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;
use zeroize::Zeroizing;

const LARGEST: u64 = 1024 * 1024;

/// Its name, and what it says; what it says is checked where it is filled in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// As the playbook names it.
    pub path: String,
    /// Of the file that it makes: without `.j2`.
    pub file: FileName,
    pub text: Arc<str>,
}

impl Template {
    /// Relative to the directory of the playbook, and below it: what is written here lands on hosts.
    pub(super) fn read(path: &str, directory: &Path) -> Result<Self> {
        let name = Path::new(path).file_name().and_then(|name| name.to_str()).unwrap_or_default();
        let stem = name.strip_suffix(".j2").unwrap_or(name);
        let file = FileName::new(stem)?;
        let shown = printable(path.as_bytes(), 400);
        if [name, stem].into_iter().any(is_key_name) {
            return Err(Error::new(format!("{shown} is no template by its name, but a password, a key or a bundle")));
        }
        let text = text(&inside(path, directory)?).map_err(|error| error.at(shown))?;
        Ok(Self { path: path.to_owned(), file, text: text.into() })
    }
}

fn is_key_name(name: &str) -> bool {
    matches!(name, "vault-password" | "vault-identity.age") || name.to_ascii_lowercase().ends_with(".age")
}

/// Where it lies. Whoever may write a playbook names the file: it is not to name one of this machine's own.
fn inside(path: &str, directory: &Path) -> Result<PathBuf> {
    let shown = printable(path.as_bytes(), 400);
    let is_below = |part: Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    if !Path::new(path).components().all(is_below) {
        let error = Error::new(format!("the template {shown} does not lie below the playbook's directory"));
        return Err(error.hint("a template lies beside its playbook or deeper, and is named without `..`"));
    }
    let mut found = if directory.as_os_str().is_empty() { PathBuf::from(".") } else { directory.to_owned() };
    for part in Path::new(path).components() {
        found.push(part);
        let failed = |error| Error::new(format!("reading the template {shown}")).because(error);
        if found.symlink_metadata().map_err(failed)?.is_symlink() {
            let error = Error::new(format!("there is a symbolic link on the way to the template {shown}"));
            return Err(error.hint("put the template itself beside the playbook"));
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String> {
    let failed = |error: std::io::Error| Error::new("the template cannot be read").because(error);
    // Checked on the open file; a fifo does not hang us.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK | libc::O_CLOEXEC;
    let file = OpenOptions::new().read(true).custom_flags(flags).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(Error::new("not a plain file"));
    }
    if metadata.permissions().mode() & 0o002 != 0 {
        return Err(Error::new("anybody on this machine may write to this template"));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(metadata.len().min(LARGEST) as usize + 1));
    file.take(LARGEST + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > LARGEST {
        return Err(Error::new("larger than 1 MiB"));
    }
    refuse_keys(&bytes)?;
    String::from_utf8(std::mem::take(&mut *bytes)).map_err(|_| Error::new("not UTF-8 text"))
}

/// Private keys come out of the bundle, and not from beside a playbook.
fn refuse_keys(bytes: &[u8]) -> Result<()> {
    let has = |word: &[u8]| bytes.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word));
    match has(b"AGE-SECRET-KEY-") || has(b"PRIVATE KEY-----") {
        true => Err(Error::new("it holds a private key, so it is no template")
            .hint("a key belongs into the bundle: `distribute bundle set SERVICE/FILE < FILE`")),
        false => Ok(()),
    }
}
