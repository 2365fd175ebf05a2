//! `SealedContent`: what lies in an age file that is not the project's bundle: one file, or a whole bundle.

use super::archive;
use super::file::system_random;
use super::opened::Bundle;
use super::sealed::{self, Sealed};
use super::unlock::Unlock;
use crate::words::{HostName, Result, Secret};

/// An age file, opened.
pub enum SealedContent {
    /// As `secrets.age`.
    Bundle(Box<Bundle>),
    /// Whatever somebody sealed.
    File(Secret),
}

impl SealedContent {
    /// Does it begin as an age file does, armored or not?
    pub fn is_sealed(bytes: &[u8]) -> bool {
        sealed::is_age_file(bytes)
    }

    /// Opens it with what is at hand.
    ///
    /// # Errors
    /// Of each thing at hand, why it does not open it; or what is wrong with the bundle in it.
    pub fn open(bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        let (mut clear, _) = unlock.open(&Sealed::read(bytes)?)?;
        if clear.starts_with(b"\x1f\x8b") {
            let bundle = Bundle::from_entries(archive::unpack(&clear)?, &mut system_random)?;
            return Ok(Self::Bundle(Box::new(bundle)));
        }
        Ok(Self::File(Secret::new(std::mem::take(&mut *clear))))
    }
}

impl Bundle {
    /// An age file that this host opens with its `vault-password`; `None` if it was never enrolled.
    ///
    /// # Errors
    /// When its identity is damaged, or sealing fails.
    pub fn seal_for_host(&self, host: &HostName, clear: &Secret) -> Result<Option<Vec<u8>>> {
        let Some(identity) = self.host_identity(host) else { return Ok(None) };
        let to =
            sealed::identities(identity.expose())?.into_iter().map(|key| Box::new(key.to_public()) as sealed::SealTo);
        sealed::seal_to_recipients(clear.expose(), &to.collect::<Vec<_>>()).map(Some)
    }
}
