//! (placeholder until the bundle room's own arrives)

use super::Shared;
use crate::bundle::Unlock;
use crate::words::Result;
use std::path::Path;

pub fn unlock(shared: &Shared, bundle: &Path) -> Result<Unlock> {
    let mut unlock = Unlock::new();
    if let Some(path) = &shared.password_file {
        unlock = unlock.password_file(path)?;
    } else if bundle.with_file_name("vault-password").exists() {
        unlock = unlock.password_file(&bundle.with_file_name("vault-password"))?;
    }
    for path in &shared.identity {
        unlock = unlock.identity_file(path)?;
    }
    Ok(unlock)
}
