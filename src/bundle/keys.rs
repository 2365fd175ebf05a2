//! What a bundle's keys are for: short fingerprints for reports, full ones for hosts, and backups sealed without key derivation.

use super::opened::{Bundle, lacking};
use super::person::Person;
use super::recipient::Recipient;
use super::sealed;
use super::unlock::Unlock;
use crate::words::{HostName, Result, Secret};
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Why a backup does not open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotOpened {
    /// It is no age file, or its header is gone; what it is instead.
    NotSealed(String),
    /// The key is right, and what is sealed was cut off or altered.
    Damaged,
    /// It was sealed for others.
    NoKey,
}

impl Bundle {
    /// Eight hex digits that tell values apart, and let nobody guess a weak one without the bundle.
    pub fn fingerprint(&self, value: &[u8]) -> String {
        HEXLOWER.encode(&hmac(self.key(), value)[..4])
    }

    /// 64 hex digits under a key of their own: no fingerprint is a part of one.
    pub fn mac(&self, bytes: &[u8]) -> String {
        let key = hmac(self.key(), b"distribute: key of the full fingerprint");
        HEXLOWER.encode(&hmac(&key, bytes))
    }

    fn key(&self) -> &[u8] {
        self.record.fingerprint_key.as_ref().map_or(&[], |key| key.expose())
    }

    /// An age file that the backup key and each recipient opens alone.
    pub fn seal_backup(&self, clear: &[u8]) -> Result<Vec<u8>> {
        let key = self.backup_key.as_ref().ok_or_else(|| lacking("backup key"))?;
        let own = sealed::identities(key.expose())?.into_iter();
        let own = own.map(|identity| Ok(Box::new(identity.to_public()) as sealed::SealTo));
        let others = self.backup_recipients().map(|one| sealed::recipient(&one.key, Person::default()));
        sealed::seal_to_recipients(clear, &own.chain(others).collect::<Result<Vec<_>>>()?)
    }

    /// Who opens backups besides the backup key. No program is started for each host: whoever has a plugin's key opens `key.age`.
    pub fn backup_recipients(&self) -> impl Iterator<Item = &Recipient> {
        self.record.recipients.iter().filter(|one| !one.is_of_plugin())
    }

    /// What a backup of this host keeps of the bundle besides the values: the record, with this host's enrolment only.
    pub fn keepsake(&self, host: &HostName) -> Result<Secret> {
        self.record.excerpt(host, self.secrets().iter().map(ToString::to_string)).to_secret()
    }

    /// The backup key, locked by the password or sealed to the recipients: it lies beside the backups as `key.age`.
    pub fn key_age(&self) -> Result<&[u8]> {
        self.locked_backup_key.as_ref().map(|key| key.expose()).ok_or_else(|| lacking("locked backup key"))
    }

    /// Opens a backup sealed by this bundle; or by another one, where one of the identities at hand does.
    ///
    /// # Errors
    /// Why it does not open.
    pub fn open_backup(&self, bytes: &[u8], unlock: &Unlock) -> Result<zeroize::Zeroizing<Vec<u8>>, NotOpened> {
        let backup = sealed::Sealed::read(bytes).map_err(|error| NotOpened::NotSealed(error.to_string()))?;
        let keys = self.backup_key.iter().chain(self.former_backup_keys.values().rev());
        let own: Vec<_> = keys.flat_map(|key| sealed::identities(key.expose()).unwrap_or_default()).collect();
        match backup.open_with_keys(&own) {
            Ok(clear) => Ok(clear),
            Err(sealed::Refusal::Damaged) => Err(NotOpened::Damaged),
            Err(_) => unlock.open(&backup).map(|(clear, _)| clear).map_err(|_| NotOpened::NoKey),
        }
    }
}

fn hmac(key: &[u8], bytes: &[u8]) -> [u8; 32] {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).expect("HMAC takes keys of any length");
    mac.update(bytes);
    mac.finalize().into_bytes().into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::DateTime;

    fn bundle(fill: u8) -> Bundle {
        Bundle::create(Vec::new(), DateTime::UNIX_EPOCH, &mut |bytes| bytes.fill(fill)).unwrap()
    }

    #[test]
    fn fingerprints_are_keyed() {
        // RFC 4231, case 1: 20 times 0x0b, "Hi There"
        assert_eq!(HEXLOWER.encode(&hmac(&[0x0b; 20], b"Hi There")[..4]), "b0344c61");
        let (a, b) = (bundle(1), bundle(2));
        assert_eq!(a.fingerprint(b"x").len(), 8);
        assert_eq!(a.fingerprint(b"x"), bundle(1).fingerprint(b"x"));
        assert_ne!(a.fingerprint(b"x"), b.fingerprint(b"x"));
        assert_eq!(a.mac(b"x").len(), 64);
        assert!(!a.mac(b"x").starts_with(&a.fingerprint(b"x")));
    }

    #[test]
    fn a_backup_opens_with_its_bundle_only() {
        let (a, b) = (bundle(1), bundle(1));
        let sealed = a.seal_backup(b"POISON").unwrap();
        assert!(!sealed.windows(6).any(|w| w == b"POISON"));
        let nothing = Unlock::new();
        assert_eq!(*a.open_backup(&sealed, &nothing).unwrap(), b"POISON");
        assert_eq!(b.open_backup(&sealed, &nothing).unwrap_err(), NotOpened::NoKey);
        assert_eq!(a.open_backup(&sealed[..sealed.len() - 1], &nothing).unwrap_err(), NotOpened::Damaged);
        assert!(matches!(a.open_backup(b"x", &nothing).unwrap_err(), NotOpened::NotSealed(_)));
        assert!(a.key_age().unwrap_err().to_string().contains("no locked backup key"));
    }
}
