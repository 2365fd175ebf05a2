//! What may open the bundle, from the options, the environment and the place beside it.

use super::Shared;
use crate::bundle::Unlock;
use crate::words::Result;
use std::path::Path;

/// `--password-file` or DISTRIBUTE_PASSWORD_FILE, else `vault-password` beside the bundle; then each `--identity`.
pub fn unlock(shared: &Shared, bundle: &Path) -> Result<Unlock> {
    let beside = bundle.with_file_name("vault-password");
    let mut unlock = Unlock::new();
    unlock = match &shared.password_file {
        Some(path) => unlock.password_file(path)?,
        None if beside.symlink_metadata().is_ok() => unlock.password_file(&beside)?,
        None => unlock.note(format!("no --password-file, and no {}", beside.display())),
    };
    for path in shared.identity.iter().filter(|path| !path.as_os_str().is_empty()) {
        unlock = unlock.identity_file(path)?;
    }
    Ok(unlock)
}
