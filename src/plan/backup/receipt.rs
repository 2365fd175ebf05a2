//! `Receipt`: a line in `.distribute/` beside each backup: which run sealed what, when and for whom. Its last word but one is a keyed hash
//! that only the bundle can make, so a host can lose a backup but not pass off another as it. No secrets.

use super::{Backup, Label, Why};
use crate::plan::Purpose;
use crate::plan::desired::sha256;
use crate::words::RunId;
use std::fmt;

/// What a run recorded of a backup that it sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    pub run: RunId,
    pub why: Why,
    /// Of the sealed file, in bytes.
    pub size: u64,
    /// Of the sealed file, in hexadecimal.
    pub sha256: String,
    /// The id of the bundle.
    pub bundle: String,
    /// The public keys it is sealed to beside the bundle's backup key; none for a bundle that a password opens.
    pub recipients: Vec<String>,
    /// Keyed hash of all of this, with host and root.
    pub mac: String,
}

impl Receipt {
    /// Of a backup that was just sealed.
    pub fn of(backup: &Backup, sealed: &[u8], purpose: &Purpose) -> Self {
        let Label { run, why, bundle, host, root, .. } = &backup.label;
        let receipt = Self {
            run: run.clone(),
            why: *why,
            size: sealed.len() as u64,
            sha256: sha256(sealed),
            bundle: bundle.clone(),
            recipients: purpose.recipients.to_vec(),
            mac: String::new(),
        };
        receipt.signed(host.as_str(), root, purpose.mac)
    }

    /// Signs what a run sealed for the play at this root of this host.
    pub fn signed(self, host: &str, root: &str, mac: &dyn Fn(&[u8]) -> String) -> Self {
        let mac = mac(self.signed_text(host, root).as_bytes());
        Self { mac, ..self }
    }

    /// Was it signed with this key, for this root of this host?
    pub fn is_for(&self, host: &str, root: &str, mac: &dyn Fn(&[u8]) -> String) -> bool {
        mac(self.signed_text(host, root).as_bytes()) == self.mac
    }

    fn signed_text(&self, host: &str, root: &str) -> String {
        format!("receipt\n{host}\n{root}\n{}\n", self.words())
    }

    fn words(&self) -> String {
        let Self { run, why, size, sha256, bundle, recipients, .. } = self;
        let recipients = if recipients.is_empty() { "-".to_owned() } else { recipients.join(",") };
        format!("{run} {why} {size} {sha256} {bundle} {recipients}")
    }

    /// Reads the line that `Display` writes; `None` for anything else. It is a host's word.
    pub fn read(line: &str) -> Option<Self> {
        let is_hex = |text: &str| text.len() == 64 && text.bytes().all(|b| b.is_ascii_hexdigit());
        let is_word = |text: &str| text.len() <= 200 && text.bytes().all(|b| b.is_ascii_graphic());
        let ["receipt", run, why, size, sha256, bundle, recipients, mac] = line.split(' ').collect::<Vec<_>>()[..]
        else {
            return None;
        };
        let recipients = recipients.split(',').filter(|recipient| *recipient != "-");
        let receipt = Self {
            run: run.parse().ok()?,
            why: why.parse().ok()?,
            size: size.parse().ok()?,
            sha256: sha256.to_owned(),
            bundle: bundle.to_owned(),
            recipients: recipients.map(str::to_owned).collect(),
            mac: mac.to_owned(),
        };
        let is_sound =
            is_hex(sha256) && is_word(mac) && is_word(bundle) && receipt.recipients.iter().all(|one| is_word(one));
        is_sound.then_some(receipt)
    }
}

impl fmt::Display for Receipt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "receipt {} {}", self.words(), self.mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mac(bytes: &[u8]) -> String {
        sha256(&[b"key", bytes].concat())
    }

    fn receipt() -> Receipt {
        Receipt {
            run: "42-20261121T020000Z-7f3a".parse().unwrap(),
            why: Why::Deploy,
            size: 7,
            sha256: "ab".repeat(32),
            bundle: "0123".to_owned(),
            recipients: vec!["age1a".to_owned(), "age1b".to_owned()],
            mac: String::new(),
        }
    }

    #[test]
    fn it_reads_what_it_writes() {
        for receipt in [receipt(), Receipt { recipients: Vec::new(), ..receipt() }] {
            let signed = receipt.signed("web1", "/opt/app", &mac);
            assert_eq!(Receipt::read(&signed.to_string()), Some(signed));
        }
        for bad in ["", "receipt", "receipt 42 deploy 7", &receipt().to_string().replace("ab", "zz")] {
            assert_eq!(Receipt::read(bad), None, "{bad}");
        }
    }

    #[test]
    fn it_holds_for_one_host_one_root_and_one_key() {
        let signed = receipt().signed("web1", "/opt/app", &mac);
        assert!(signed.is_for("web1", "/opt/app", &mac));
        assert!(!signed.is_for("web2", "/opt/app", &mac) && !signed.is_for("web1", "/opt/other", &mac));
        assert!(!signed.is_for("web1", "/opt/app", &|bytes| sha256(bytes)));
        let altered = Receipt { size: 8, ..signed };
        assert!(!altered.is_for("web1", "/opt/app", &mac));
    }
}
