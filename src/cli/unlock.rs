//! What may open the bundle, from the options, the environment and the place beside it.

use super::last_seen::LastSeen;
use super::{Shared, prompt};
pub(super) use crate::bundle::locked_identity;
use crate::bundle::{Person, Unlock};
use crate::words::{Error, Result, Secret};
use std::io::IsTerminal;
use std::path::{Path, PathBuf};

/// `--password-file` or DISTRIBUTE_PASSWORD_FILE, else `vault-password` beside the bundle; then each `--identity`.
pub fn unlock(shared: &Shared, bundle: &Path) -> Result<Unlock> {
    let beside = bundle.with_file_name("vault-password");
    let mut unlock = empty();
    unlock = match &shared.password_file {
        Some(path) => {
            refuse_secret(path, "--password-file or DISTRIBUTE_PASSWORD_FILE")?;
            unlock.password_file(path)?
        }
        None if beside.symlink_metadata().is_ok() => unlock.password_file(&beside)?,
        None => unlock.note(format!("no --password-file, and no {}", beside.display())),
    };
    let locked = locked_identity(bundle);
    if unlock.password().is_some() && locked.symlink_metadata().is_ok() {
        unlock = unlock.locked_identity_file(&locked)?;
    }
    if let Some(passphrase) = ssh_passphrase()? {
        unlock = unlock.passphrase_given(passphrase);
    }
    for path in shared.identity.iter().filter(|path| !path.as_os_str().is_empty()) {
        refuse_secret(path, "--identity or DISTRIBUTE_IDENTITY")?;
        unlock = unlock.identity_file(path)?;
    }
    Ok(unlock.person(person(shared)).recipients_seen(LastSeen::recipients(bundle)))
}

/// The passphrase of SSH keys, in the file that `DISTRIBUTE_SSH_PASSPHRASE_FILE` names.
pub(super) fn ssh_passphrase() -> Result<Option<Secret>> {
    let variable = "DISTRIBUTE_SSH_PASSPHRASE_FILE";
    let Some(path) = std::env::var_os(variable).filter(|path| !path.is_empty()).map(PathBuf::from) else {
        return Ok(None);
    };
    refuse_secret(&path, variable)?;
    Ok(empty().password_file(&path)?.password().cloned())
}

/// Whoever sits at the terminal, if somebody does and is not left alone with -q or a machine's output.
fn person(shared: &Shared) -> Person {
    if shared.quiet || shared.is_json() || !std::io::stdin().is_terminal() {
        return Person::default();
    }
    Person { ask_hidden: Some(|question| prompt::hidden(question).ok()), tell: Some(|text| eprintln!("{text}")) }
}

/// Nothing at hand yet.
pub(super) fn empty() -> Unlock {
    let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").filter(|path| !path.is_empty());
    Unlock::new().credentials_in(credentials.map(Into::into))
}

/// Refuses a path that is really a key or may be a password, before an error could show it. `given` is where it came from.
pub(super) fn refuse_secret(path: &Path, given: &str) -> Result<()> {
    let text = path.to_string_lossy();
    if text.to_ascii_uppercase().contains("AGE-SECRET-KEY-") {
        return Err(Error::new(format!("{given}: a key was given where a path belongs; it is not shown"))
            .hint("put it into a file of mode 600 and name that; others may have seen it where it was given"));
    }
    if !text.contains('/') && path.symlink_metadata().is_err() {
        return Err(Error::new(format!("{given}: there is no such file here; what was given is not shown"))
            .hint("it wants the path of a file, not the secret itself; with ./ before it, it is shown"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_in_the_place_of_a_path_is_not_shown() {
        for secret in ["AGE-SECRET-KEY-1POISON", "/x/AGE-SECRET-KEY-1POISON", "POISON", &"POISON".repeat(999)] {
            let error = refuse_secret(Path::new(secret), "--identity").unwrap_err();
            assert!(!error.to_string().contains("POISON") && !error.hints().join("").contains("POISON"));
        }
        refuse_secret(Path::new("./missing"), "--identity").unwrap();
        refuse_secret(Path::new("Cargo.toml"), "--identity").unwrap();
    }
}
