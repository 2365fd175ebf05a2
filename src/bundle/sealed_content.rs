//! What lies in an age file that is not the project's bundle: one file, or a whole bundle, and what may be told of it while it is sealed.

use super::archive;
use super::file::system_random;
use super::opened::Bundle;
use super::sealed::{self, Lock, Sealed};
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
    /// Opens it with what is at hand.
    ///
    /// # Errors
    /// Of each thing at hand, why it does not open it; or what is wrong with the bundle in it.
    pub fn open(bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        let clear = open_sealed(bytes, unlock)?;
        match clear.expose().starts_with(b"\x1f\x8b") {
            true => Bundle::from_archive(&clear).map(|bundle| Self::Bundle(Box::new(bundle))),
            false => Ok(Self::File(clear)),
        }
    }
}

/// Opens an age file, whatever is in it.
///
/// # Errors
/// Of each thing at hand, why it does not open it.
pub fn open_sealed(bytes: &[u8], unlock: &Unlock) -> Result<Secret> {
    let (mut clear, _) = unlock.open(&Sealed::read(bytes)?)?;
    Ok(Secret::new(std::mem::take(&mut *clear)))
}

/// What its header says it is sealed with, in words.
///
/// # Errors
/// When it is no age file; the error says what it is instead.
pub fn sealed_with(bytes: &[u8]) -> Result<&'static str> {
    Ok(match Sealed::read(bytes)?.lock() {
        Lock::Password => "a password",
        Lock::Keys(_) => "keys",
    })
}

impl Bundle {
    /// Opens sealed bytes that lie elsewhere than in the project: what git keeps of a bundle, one side of a merge.
    ///
    /// # Errors
    /// When it is no age file, or nothing at hand opens it, or what is in it is no bundle.
    pub fn from_sealed(bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        Self::from_archive(&open_sealed(bytes, unlock)?)
    }

    fn from_archive(clear: &Secret) -> Result<Self> {
        Self::from_entries(archive::unpack(clear.expose())?, &mut system_random)
    }

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
