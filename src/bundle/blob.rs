//! A sealed bundle that does not lie in its place: what git keeps of it, one side of a merge. And the file that a merge replaces.

use super::archive;
use super::file::system_random;
use super::opened::Bundle;
use super::sealed::{Lock, Sealed};
use super::unlock::Unlock;
use crate::words::Result;

impl Bundle {
    /// Opens sealed bytes.
    ///
    /// # Errors
    /// When it is no age file, or nothing at hand opens it, or what is in it is no bundle.
    pub fn from_sealed(bytes: &[u8], unlock: &Unlock) -> Result<Self> {
        let (clear, _) = unlock.open(&Sealed::read(bytes)?)?;
        Self::from_entries(archive::unpack(&clear)?, &mut system_random)
    }
}

/// Does it begin as an age file does, armored or not?
pub fn is_sealed(bytes: &[u8]) -> bool {
    let bytes = bytes.trim_ascii_start();
    bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----")
}

/// What its header says it is sealed with, in words.
///
/// # Errors
/// When it is no age file; the error says what it is instead.
pub fn sealed_with(bytes: &[u8]) -> Result<&'static str> {
    Ok(match Sealed::read(bytes)?.lock() {
        Lock::Password => "a password",
        Lock::Keys { .. } => "keys",
    })
}
