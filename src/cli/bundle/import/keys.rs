//! What opens sealed sources: passwords for vaults, and the identities of age where SOPS looks for them.

use super::source::shown;
use crate::bundle::{Unlock, read_private};
use crate::cli::unlock::refuse_secret;
use crate::cli::{Shared, unlock};
use crate::import::{VaultPassword, VaultPasswords};
use crate::words::{Error, Result, Secret};
use std::env::var_os;
use std::path::{Path, PathBuf};

const LONGEST_PASSWORD: usize = 64 * 1024;

/// Reads each file. As Ansible does it, blanks and line ends around a password are not part of it.
pub fn vault_passwords(files: &[PathBuf]) -> Result<VaultPasswords> {
    files.iter().map(|file| vault_password(file)).collect::<Result<_>>().map(VaultPasswords)
}

fn vault_password(given: &Path) -> Result<VaultPassword> {
    let text = given.to_str().ok_or_else(|| Error::new("--vault-password-file: the path is not UTF-8 text"))?;
    // A label has no slash, so `./a@b` is a path.
    let (label, path) = match text.split_once('@').filter(|(label, _)| !label.contains('/')) {
        Some((label, path)) => (Some(label.to_owned()), Path::new(path)),
        None => (None, given),
    };
    refuse_secret(path, "--vault-password-file")?;
    let content = read_private(path, LONGEST_PASSWORD, None)?;
    let password = Secret::new(content.expose().trim_ascii());
    if password.is_empty() {
        return Err(Error::new(format!("{}: the password file is empty", shown(path))));
    }
    Ok(VaultPassword { label, place: text.to_owned(), password })
}

/// What may open the bundle, and the keys of SOPS: SOPS_AGE_KEY_FILE, or the file in the user's configuration.
pub fn unlock(shared: &Shared) -> Result<Unlock> {
    let unlock = unlock::unlock(shared, &shared.project()?.bundle)?.for_another_file();
    let unlock = match var_os("SOPS_AGE_KEY").is_some_and(|key| !key.is_empty()) {
        true => unlock.note("SOPS_AGE_KEY is not read: a key belongs into a file, not into the environment"),
        false => unlock,
    };
    if let Some(path) = var_os("SOPS_AGE_KEY_FILE").filter(|path| !path.is_empty()).map(PathBuf::from) {
        refuse_secret(&path, "SOPS_AGE_KEY_FILE")?;
        return unlock.identity_file(&path);
    }
    Ok(with_usual_file(unlock))
}

fn with_usual_file(unlock: Unlock) -> Unlock {
    let home = || var_os("HOME").filter(|home| !home.is_empty()).map(|home| PathBuf::from(home).join(".config"));
    let directory = var_os("XDG_CONFIG_HOME").filter(|home| !home.is_empty()).map(PathBuf::from).or_else(home);
    let Some(path) = directory.map(|directory| directory.join("sops/age/keys.txt")) else { return unlock };
    if path.symlink_metadata().is_err() {
        return unlock.note(format!("no SOPS_AGE_KEY_FILE, and no {}", path.display()));
    }
    // Nobody named it, so that it cannot be used is no error until nothing else opens the source.
    unlock.clone().identity_file(&path).unwrap_or_else(|error| unlock.note(error.to_string()))
}
