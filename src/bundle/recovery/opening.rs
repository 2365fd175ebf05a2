//! Opens what lies on hosts while there is no bundle: `key.age`, and backups.

use super::super::sealed::{self, Refusal, Sealed};
use super::super::unlock::Unlock;
use crate::words::{Error, Result, Secret};
use zeroize::Zeroizing;

impl Unlock {
    /// Is nothing at hand that could open anything?
    pub fn is_empty(&self) -> bool {
        !self.has_identity() && self.password().is_none()
    }

    /// The identity in a `key.age`, which the password locked, or which was sealed to recipients.
    ///
    /// # Errors
    /// When nothing at hand opens it, or no identity is in it.
    pub fn open_key_age(&self, key_age: &[u8]) -> Result<Secret> {
        let (mut clear, _) = self.open(&Sealed::read(key_age)?)?;
        sealed::identities(&clear)?;
        Ok(Secret::new(std::mem::take(&mut *clear)))
    }

    /// What is sealed in a backup, and whether this key opened it. What else is at hand is tried after the key.
    ///
    /// # Errors
    /// When it is damaged, or nothing opens it; then hints say of each why.
    pub fn open_backup(&self, backup: &[u8], key: Option<&Secret>) -> Result<(Zeroizing<Vec<u8>>, bool)> {
        let damaged = || Error::new("it is cut off or altered");
        let backup = Sealed::read(backup).map_err(|_| damaged())?;
        if let Some(key) = key {
            match backup.open_with_keys(&sealed::identities(key.expose())?) {
                Ok(clear) => return Ok((clear, true)),
                Err(Refusal::Damaged) => return Err(damaged()),
                Err(_) => {}
            }
        }
        self.open(&backup).map(|(clear, _)| (clear, false))
    }
}
