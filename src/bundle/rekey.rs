//! Who can open the bundle: recipients come and go, and with one who goes the keys that he could read.

use super::opened::{Bundle, new_identity};
use super::recipient::Recipient;
use super::sealed::{identities, identity_text};
use crate::words::{Error, Result, Secret, nearest};
use chrono::{DateTime, Utc};
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

/// Former backup keys that are kept, so that old backups still open.
const FORMER: usize = 20;
/// Files of hosts that are known as former ones of ours. One that is forgotten is kept there, as a stranger's would be.
const FORMER_FILES: usize = 1000;

impl Bundle {
    /// Adds one who can open it from the next save on. False when he could already, under this name.
    ///
    /// # Errors
    /// When the key is there under another name, or the name has another key.
    pub fn add_recipient(&mut self, new: Recipient, now: DateTime<Utc>) -> Result<bool> {
        if let Some(known) = self.record.recipients.iter_mut().find(|one| one.key == new.key) {
            return match &known.label {
                Some(label) if new.label.as_ref() != Some(label) => {
                    Err(Error::new(format!("{} is there already, as {label}; nothing was changed", new.word())))
                }
                Some(_) => Ok(false),
                None => {
                    // Its name is new, and since when it is there nobody knows.
                    known.label = new.label;
                    self.is_changed = true;
                    Ok(true)
                }
            };
        }
        if let Some(taken) = self.record.recipients.iter().find(|one| one.label.is_some() && one.label == new.label) {
            let name = taken.name();
            return Err(Error::new(format!("{name} has a key already: {}; nothing was changed", taken.word()))
                .hint(format!("a second key gets a name of its own, such as {name}-laptop"))
                .hint(format!("or take the old one out first: distribute bundle recipients remove {name}")));
        }
        self.record.recipients.push(Recipient { added: Some(now), ..new });
        self.reseal_backup_key();
        Ok(true)
    }

    /// Takes out one by his name or key, and notes what he could read. The keys that he could read are made anew.
    ///
    /// # Errors
    /// When there is no such recipient.
    pub fn remove_recipient(&mut self, text: &str, now: DateTime<Utc>) -> Result<Recipient> {
        let is_meant = |one: &Recipient| one.name() == text || one.key == text || one.word() == text;
        let Some(index) = self.record.recipients.iter().position(is_meant) else {
            return Err(self.no_such_recipient(text));
        };
        let gone = self.record.recipients.remove(index);
        self.expose(gone.title(), Some(gone.word()), now);
        self.renew_keys();
        Ok(gone)
    }

    /// Everybody who can open it by a key cannot any more: it is going to be sealed with a password alone.
    pub fn remove_all_recipients(&mut self, now: DateTime<Utc>) -> Vec<Recipient> {
        let gone = std::mem::take(&mut self.record.recipients);
        for one in &gone {
            self.expose(one.title(), Some(one.word()), now);
        }
        self.renew_keys();
        gone
    }

    /// Whoever knew the password until now could read everything.
    pub fn expose_password(&mut self, now: DateTime<Utc>) {
        self.expose(format!("the password until generation {}", self.generation()), None, now);
    }

    /// New keys in the place of those that who opened the bundle could read: that of the backups, and those that are put on hosts. The former
    /// backup key stays, for what was sealed to it.
    pub fn renew_keys(&mut self) {
        self.is_changed = true;
        let generation = self.generation();
        if let Some(former) = self.backup_key.replace(new_identity()) {
            self.former_backup_keys.insert(generation, former);
        }
        while self.former_backup_keys.len() > FORMER {
            self.former_backup_keys.pop_first();
        }
        let former: Vec<Secret> =
            self.host_keys.values_mut().map(|key| std::mem::replace(key, new_identity())).collect();
        former.iter().for_each(|key| self.note_former(key));
        self.reseal_backup_key();
    }

    /// What is locked as `key.age`: the backup key, then the former ones, so that it opens old backups too.
    pub(super) fn all_backup_keys(&self) -> Option<Secret> {
        let keys: Vec<&[u8]> =
            self.backup_key.iter().chain(self.former_backup_keys.values().rev()).map(Secret::expose).collect();
        (!keys.is_empty()).then(|| Secret::new(keys.concat()))
    }

    /// The same back from a `key.age`. Up to which generation a former one was used is not known any more.
    pub(super) fn take_backup_keys(&mut self, text: &Secret) {
        let mut keys = identities(text.expose()).unwrap_or_default().into_iter().map(|key| identity_text(&key));
        self.backup_key = keys.next();
        self.former_backup_keys = (0..).zip(keys.collect::<Vec<_>>().into_iter().rev()).collect();
    }

    /// The next save locks it anew: `key.age` is for whom the bundle is for.
    pub fn reseal_backup_key(&mut self) {
        if let Some(former) = self.locked_backup_key.take() {
            self.note_former(&former);
        }
        self.is_changed = true;
    }

    pub(super) fn note_former(&mut self, file: &Secret) {
        let known = &mut self.record.former_files;
        let hash = HEXLOWER.encode(&Sha256::digest(file.expose()));
        if !known.contains(&hash) {
            known.push(hash);
        }
        known.drain(..known.len().saturating_sub(FORMER_FILES));
    }

    /// Hashes (SHA-256, in hex) of what was put on hosts as their own password and `key.age` before these were made anew.
    pub fn former_files(&self) -> impl Iterator<Item = &str> {
        self.record.former_files.iter().map(String::as_str)
    }

    fn no_such_recipient(&self, text: &str) -> Error {
        let names: Vec<&str> = self.recipients().iter().map(Recipient::name).collect();
        let shown = crate::words::printable(text.as_bytes(), 80);
        let error = Error::new(format!("`{shown}` is no recipient of the bundle; nothing was changed"));
        match (nearest(text, names.iter().copied()), names.is_empty()) {
            (Some(near), _) => error.hint(format!("did you mean {near}?")),
            (None, true) => error.hint("the bundle is sealed with a password; `distribute bundle rekey` changes it"),
            (None, false) => error.hint("`distribute bundle recipients list` shows them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};
    use super::super::unlock::Unlock;
    use super::*;

    fn someone(label: &str) -> Recipient {
        let key = identities(new_identity().expose()).unwrap().remove(0);
        Recipient {
            added: Some(at(1)),
            ..Recipient::new(&key.to_public().to_string()).unwrap().labelled(label).unwrap()
        }
    }

    #[test]
    fn who_leaves_leaves_a_list_that_shrinks() {
        let mut bundle = packed(&[("services/a.env", "K=1\nL=2\n"), ("hosts/h/a.env", "K=3\n"), ("services/t/f", "4")]);
        bundle.complete(&mut |bytes| bytes.fill(2));
        let (alice, bob) = (someone("alice"), someone("bob"));
        bundle.add_recipient(alice.clone(), at(1)).unwrap();
        bundle.add_recipient(bob.clone(), at(1)).unwrap();
        let (key, sealed) = (bundle.backup_key.clone(), bundle.seal_backup(b"old").unwrap());
        assert_eq!(bundle.remove_recipient("bob", at(9)).unwrap(), bob);
        assert_eq!(bundle.recipients(), [alice]);
        let left = |bundle: &Bundle| {
            let names = bundle.still_exposed(&bundle.exposures()[0]);
            names.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(left(&bundle), ["a.K", "a.L", "hosts/h/a.K", "t/f"]);
        bundle.set(&name("a.K"), secret("new"), at(10));
        bundle.remove(&name("t/f"), at(10));
        assert_eq!(left(&bundle), ["a.L", "hosts/h/a.K"]);
        bundle.set(&name("a.K"), secret("1"), at(11));
        assert_eq!(left(&bundle), ["a.K", "a.L", "hosts/h/a.K"], "the old value again is exposed again");
        bundle.set(&name("b.COPY"), secret("long enough"), at(12));
        assert_eq!(left(&bundle), ["a.K", "a.L", "hosts/h/a.K"]);
        assert_ne!(bundle.backup_key, key, "he could read the old one");
        assert_eq!(*bundle.open_backup(&sealed, &Unlock::new()).unwrap(), b"old", "the former key is kept");
        let mut recovered = packed(&[]);
        recovered.take_backup_keys(&bundle.all_backup_keys().unwrap());
        assert_eq!(recovered.backup_key, bundle.backup_key);
        assert_eq!(*recovered.open_backup(&sealed, &Unlock::new()).unwrap(), b"old");
        assert!(!format!("{:?}", bundle.exposures()).contains("new"));
        let again = Bundle::from_entries(bundle.entries(3).unwrap(), &mut |_| ()).unwrap();
        assert_eq!(again.exposures(), bundle.exposures());
        assert_eq!(*again.open_backup(&sealed, &Unlock::new()).unwrap(), b"old");
    }

    #[test]
    fn earlier_values_and_copies_are_exposed_too() {
        let mut bundle =
            packed(&[("services/a.env", "K=first value\nOLD=gone by then\n"), ("bundle.toml", "generation = 1")]);
        bundle.add_recipient(someone("alice"), at(1)).unwrap();
        bundle.add_recipient(someone("bob"), at(1)).unwrap();
        bundle.set(&name("a.K"), secret("second value"), at(2));
        bundle.remove(&name("a.OLD"), at(2));
        bundle.saved(2);
        bundle.remove_recipient("bob", at(3)).unwrap();
        let left = |bundle: &Bundle| bundle.still_exposed(&bundle.exposures()[0]);
        bundle.set(&name("a.K"), secret("third value"), at(4));
        assert_eq!(left(&bundle), []);
        bundle.set(&name("a.K"), secret("first value"), at(5));
        bundle.set(&name("a.OLD"), secret("gone by then"), at(5));
        bundle.set(&name("b.OTHER"), secret("second value"), at(5));
        assert_eq!(left(&bundle), [name("a.K"), name("a.OLD"), name("b.OTHER")]);
    }

    #[test]
    fn names_and_keys_are_there_once() {
        let mut bundle = packed(&[]);
        let alice = someone("alice");
        assert!(bundle.add_recipient(alice.clone(), at(1)).unwrap());
        bundle.saved(1);
        assert!(!bundle.add_recipient(alice.clone(), at(1)).unwrap() && !bundle.is_changed());
        let error = |result: Result<bool>| result.unwrap_err().to_string();
        assert!(error(bundle.add_recipient(someone("alice"), at(1))).contains("has a key already"));
        let other = Recipient { label: Some("bob".to_owned()), ..alice.clone() };
        assert!(error(bundle.add_recipient(other, at(1))).contains("as alice"));
        assert!(bundle.remove_recipient("alicf", at(1)).unwrap_err().hints()[0].contains("did you mean alice"));
        assert!(!bundle.is_changed() && bundle.exposures().is_empty());
    }
}
