//! `Unlock`: what may open a bundle, in the order it was found: a password and identity files. When nothing does, it says of
//! each why not. The environment is read elsewhere; here come paths and notes.

use super::identity::{Identity, Unlocking};
use super::person::Person;
use super::private_file::{read_locked, read_private};
use super::recipient::Recipient;
use super::sealed::{Lock, RESTORE, Refusal, Sealed, Stanza, is_age_file};
use crate::words::{Error, Result, Secret, listed, plural};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LONGEST_PASSWORD: usize = 4096;
const LARGEST_IDENTITY: usize = 64 * 1024;

/// What is at hand, each with its place for messages.
#[derive(Clone, Default)]
pub struct Unlock {
    password: Option<(String, Secret)>,
    identities: Vec<(String, Secret)>,
    /// Of SSH keys; the password is tried too.
    passphrases: Vec<Secret>,
    person: Person,
    /// Whom the bundle was sealed to when it was opened here last: names and keys, for messages.
    recipients_seen: Vec<String>,
    notes: Vec<String>,
    credentials: Option<PathBuf>,
}

const NOTHING_OPENS: &str = "nothing at hand opens it";

/// How a bundle was opened: the next save wants the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenedBy {
    Password,
    Identity,
}

impl Unlock {
    /// Nothing at hand yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where systemd puts what it hands to this service: files there may look as it makes them.
    pub fn credentials_in(mut self, directory: Option<PathBuf>) -> Self {
        self.credentials = directory;
        self
    }

    /// Reads a password file: one newline at its end is not part of it, everything else is.
    pub fn password_file(mut self, path: &Path) -> Result<Self> {
        let content = read_private(path, LONGEST_PASSWORD, self.credentials.as_deref())?;
        let bytes = content.expose();
        let password = bytes.strip_suffix(b"\n").map_or(bytes, |line| line.strip_suffix(b"\r").unwrap_or(line));
        let refuse = |reason: &str| Err(Error::new(format!("{}: {reason}", path.display())));
        if password.is_empty() {
            return refuse("the password file is empty");
        }
        if password.contains(&0) {
            return refuse("the password file holds a NUL byte");
        }
        // What `setup` puts on a host as vault-password is an age identity.
        if password.split(|b| *b == b'\n').any(|line| line.starts_with(b"AGE-SECRET-KEY-1")) {
            self.identities.push((path.display().to_string(), content));
            return Ok(self);
        }
        if std::str::from_utf8(password).is_err() {
            return refuse("the password is not UTF-8 text, which age wants");
        }
        self.password = Some((path.display().to_string(), Secret::new(password)));
        Ok(self)
    }

    /// Reads an identity file; one locked with a passphrase is unlocked later by the password.
    pub fn identity_file(mut self, path: &Path) -> Result<Self> {
        let content = read_private(path, LARGEST_IDENTITY, self.credentials.as_deref())?;
        self.identities.push((path.display().to_string(), content));
        Ok(self)
    }

    /// Reads an identity file that anybody may read, since it is locked with the password: it lies in git beside the bundle.
    ///
    /// # Errors
    /// When it is not locked: then it must be private, and named with --identity.
    pub fn locked_identity_file(mut self, path: &Path) -> Result<Self> {
        let content = read_locked(path, LARGEST_IDENTITY)?;
        match Sealed::read(content.expose()).map(|sealed| matches!(sealed.lock(), Lock::Password)) {
            Ok(true) => self.identities.push((path.display().to_string(), content)),
            Ok(false) | Err(_) => {
                let error = Error::new(format!("{}: it is no identity that a password locks", path.display()));
                return Err(error.hint(
                    "`distribute keygen --lock` makes one; one that is not locked lies in a private file: --identity",
                ));
            }
        }
        Ok(self)
    }

    /// A passphrase for SSH keys.
    pub fn passphrase_given(mut self, passphrase: Secret) -> Self {
        self.passphrases.push(passphrase);
        self
    }

    /// Who may be asked where a key asks.
    pub fn person(mut self, person: Person) -> Self {
        self.person = person;
        self
    }

    /// Whom the bundle was sealed to when it was seen last, for messages.
    pub fn recipients_seen(mut self, recipients: Vec<String>) -> Self {
        self.recipients_seen = recipients;
        self
    }

    /// The same for another file than the bundle: nothing is known of what that is sealed to.
    pub fn for_another_file(mut self) -> Self {
        self.recipients_seen.clear();
        self.notes.clear();
        self
    }

    /// Adds something that was looked for and not found.
    pub fn note(mut self, text: impl Into<String>) -> Self {
        self.notes.push(text.into());
        self
    }

    /// A password that is no file, as from a prompt.
    pub fn password_given(mut self, place: impl Into<String>, password: Secret) -> Self {
        self.password = Some((place.into(), password));
        self
    }

    /// An identity that is no file.
    pub fn identity_given(mut self, place: impl Into<String>, identity: Secret) -> Self {
        self.identities.push((place.into(), identity));
        self
    }

    /// The password, if there is one.
    pub fn password(&self) -> Option<&Secret> {
        self.password.as_ref().map(|(_, password)| password)
    }

    /// Is an identity at hand? It may still be locked.
    pub fn has_identity(&self) -> bool {
        !self.identities.is_empty()
    }

    /// The text of the identity that was named first, unlocked.
    ///
    /// # Errors
    /// When there is none, or the password does not unlock it.
    pub fn first_identity(&self) -> Result<Secret> {
        let (_, content) = self.identities.first().ok_or_else(super::sealed::no_identity)?;
        self.clear(content)
    }

    /// The same with what the password unlocks unlocked: for many files that costs its second once.
    pub fn unlocked(&self) -> Self {
        let mut all = self.clone();
        for (_, content) in all.identities.iter_mut().filter(|(_, content)| is_age_file(content.expose())) {
            if let Ok(clear) = self.clear(content) {
                *content = clear;
            }
        }
        all
    }

    /// Who may be asked.
    pub(super) fn who(&self) -> Person {
        self.person
    }

    /// Could one of the identities at hand open what is sealed to these? A plugin's is believed to.
    pub fn could_open(&self, recipients: &[Recipient]) -> bool {
        // Those that cost nothing first.
        let (locked, clear): (Vec<_>, Vec<_>) =
            self.identities.iter().map(|(_, content)| content).partition(|content| is_age_file(content.expose()));
        let mut keys = clear.into_iter().chain(locked).flat_map(|content| self.keys(content).unwrap_or_default());
        keys.any(|key| match key.recipient() {
            Some(own) => recipients.iter().any(|one| one.key == own.key),
            None => recipients.iter().any(Recipient::is_of_plugin),
        })
    }

    /// Opens a sealed file with whatever fits, or says of each why it did not.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<(Zeroizing<Vec<u8>>, OpenedBy)> {
        let tried = match sealed.lock() {
            Lock::Password => match self.try_password(sealed)? {
                Ok(clear) => return Ok((clear, OpenedBy::Password)),
                Err(tried) => tried,
            },
            Lock::Keys(stanzas) => match self.try_identities(sealed, stanzas)? {
                Ok(clear) => return Ok((clear, OpenedBy::Identity)),
                Err(tried) => tried,
            },
        };
        Err(self.nothing_opens(tried))
    }

    /// Is this the error of what is sealed for others? Anything else that does not open is damaged.
    #[must_use]
    pub fn has_nothing_for(error: &Error) -> bool {
        error.message().ends_with(NOTHING_OPENS)
    }

    fn try_password(&self, sealed: &Sealed) -> Result<Result<Zeroizing<Vec<u8>>, Vec<String>>> {
        let mut tried = Vec::new();
        if let Some((place, password)) = &self.password {
            match sealed.open_with_password(password) {
                Ok(clear) => return Ok(Ok(clear)),
                Err(Refusal::Wrong) => tried.push(format!("{place}: wrong password")),
                Err(_) => return Err(damaged()),
            }
        }
        let identities = self.identities.iter();
        tried.extend(
            identities.map(|(place, _)| format!("{place}: a key does not open it, it is sealed with a password")),
        );
        Ok(Err(tried))
    }

    /// Those that cost nothing first: a locked one takes a second, and others may ask somebody.
    fn try_identities(&self, sealed: &Sealed, stanzas: &[Stanza]) -> Result<Result<Zeroizing<Vec<u8>>, Vec<String>>> {
        let (mut tried, mut later) = (BTreeMap::new(), Vec::new());
        for (index, (place, content)) in self.identities.iter().enumerate() {
            let keys = if is_age_file(content.expose()) { None } else { Some(self.keys(content)) };
            match keys {
                Some(Ok(keys)) if keys.iter().all(|key| matches!(key, Identity::X25519(_))) => {
                    match self.try_keys(sealed, stanzas, place, &keys)? {
                        Ok(clear) => return Ok(Ok(clear)),
                        Err(reason) => drop(tried.insert(index, format!("{place}: {reason}"))),
                    }
                }
                _ => later.push((index, place, content)),
            }
        }
        for (index, place, content) in later {
            let reason = match self.keys(content) {
                Ok(keys) => match self.try_keys(sealed, stanzas, place, &keys)? {
                    Ok(clear) => return Ok(Ok(clear)),
                    Err(reason) => reason,
                },
                Err(error) => error.to_string(),
            };
            tried.insert(index, format!("{place}: {reason}"));
        }
        let mut tried: Vec<String> = tried.into_values().collect();
        if let Some((place, _)) = &self.password {
            tried.push(format!("{place}: a password does not open it, it is sealed to keys"));
        }
        tried.push(format!("it is sealed to {}", kinds(stanzas)));
        if !self.recipients_seen.is_empty() {
            tried.push(format!(
                "opened here last, it was sealed to {}: the identity of one of them opens it",
                listed(&self.recipients_seen)
            ));
        }
        Ok(Err(tried))
    }

    /// The keys of one identity file.
    fn try_keys(
        &self,
        sealed: &Sealed,
        stanzas: &[Stanza],
        place: &str,
        keys: &[Identity],
    ) -> Result<Result<Zeroizing<Vec<u8>>, String>> {
        let passphrases: Vec<&Secret> = self.passphrases.iter().chain(self.password()).collect();
        let unlocking = Unlocking { passphrases: &passphrases, person: self.person, place };
        for key in keys.iter().filter(|key| key.may_open(stanzas)) {
            match key.open(sealed, unlocking) {
                Ok(clear) => return Ok(Ok(clear)),
                Err(Refusal::Damaged) => return Err(damaged()),
                Err(Refusal::Trouble(why)) => return Ok(Err(why)),
                Err(Refusal::Wrong) => {}
            }
        }
        let names: Vec<String> = keys.iter().map(ToString::to_string).collect();
        Ok(Err(format!("it is the key of {}, and the file is not sealed to that", listed(&names))))
    }

    /// The keys in an identity file, which may itself be an age file locked with the password.
    fn keys(&self, content: &Secret) -> Result<Vec<Identity>> {
        let bytes = content.expose();
        if is_age_file(bytes) { Identity::all(self.clear(content)?.expose()) } else { Identity::all(bytes) }
    }

    /// The text of an identity file that the password locked.
    fn clear(&self, content: &Secret) -> Result<Secret> {
        let locked = Sealed::read(content.expose())?;
        if matches!(locked.lock(), Lock::Keys(_)) {
            return Err(Error::new("it is sealed to a key; only a password can lock an identity file"));
        }
        let password =
            self.password().ok_or_else(|| Error::new("it is locked, and there is no password to unlock it"))?;
        match locked.open_with_password(password) {
            Ok(mut clear) => Ok(Secret::new(std::mem::take(&mut *clear))),
            Err(Refusal::Wrong) => Err(Error::new("it is locked, and the password does not unlock it")),
            Err(_) => Err(Error::new("it is cut off or altered")),
        }
    }

    fn nothing_opens(&self, tried: Vec<String>) -> Error {
        let mut error = Error::new(NOTHING_OPENS);
        for line in tried.into_iter().chain(self.notes.iter().cloned()) {
            if !error.hints().contains(&line) {
                error = error.hint(line);
            }
        }
        error.hint("name what opens it: --password-file, DISTRIBUTE_PASSWORD_FILE, --identity or DISTRIBUTE_IDENTITY")
    }
}

/// `3 keys: 2 X25519, ssh-ed25519 (tag Ab12Cd)`
fn kinds(stanzas: &[Stanza]) -> String {
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    stanzas.iter().for_each(|stanza| *counts.entry(stanza.shown()).or_default() += 1);
    let shown = counts.iter().map(|(kind, count)| if *count == 1 { kind.clone() } else { format!("{count} {kind}") });
    format!("{}: {}", plural(stanzas.len(), "key"), shown.collect::<Vec<_>>().join(", "))
}

fn damaged() -> Error {
    Error::new("it is cut off or altered").hint(RESTORE)
}

#[cfg(test)]
mod tests {
    use super::super::sealed;
    use super::*;
    use age::x25519;
    use std::io::Write;
    use std::os::unix::fs::OpenOptionsExt;

    fn password_of(content: &[u8]) -> Result<Option<Vec<u8>>> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("password");
        let mut file = std::fs::OpenOptions::new().create_new(true).write(true).mode(0o600).open(&path).unwrap();
        file.write_all(content).unwrap();
        Unlock::new().password_file(&path).map(|unlock| unlock.password().map(|p| p.expose().to_vec()))
    }

    #[test]
    fn one_newline_is_not_part_of_a_password() {
        for (content, password) in [
            (&b"secret"[..], &b"secret"[..]),
            (b"secret\n", b"secret"),
            (b"secret\r\n", b"secret"),
            (b"secret\n\n", b"secret\n"),
            (b" secret \n", b" secret "),
            (b"\xef\xbb\xbfsecret\n", b"\xef\xbb\xbfsecret"),
        ] {
            assert_eq!(password_of(content).unwrap().unwrap(), password);
        }
        for bad in [&b""[..], b"\n", b"\r\n", b"a\0b", b"\xff\xfe", &[b'x'; 4097]] {
            let error = password_of(bad).unwrap_err().to_string();
            assert!(!error.contains("a\0b"), "{error}");
        }
    }

    #[test]
    fn an_error_says_of_each_why_it_did_not_open() {
        let (mine, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let sealed = Sealed::read(&sealed::seal_to_recipients(b"x", &[Box::new(mine.to_public())]).unwrap()).unwrap();
        let unlock = Unlock::new()
            .password_given("the prompt", Secret::new(*b"POISON"))
            .identity_given("other.key", sealed::identity_text(&other))
            .note("no vault-password beside the bundle");
        let hints = unlock.open(&sealed).unwrap_err().hints().join("\n");
        for part in [
            "the prompt: a password does not",
            "other.key: it is the key of age1",
            "sealed to 1 key: X25519",
            "no vault-password",
        ] {
            assert!(hints.contains(part), "{hints}");
        }
        let unlock = unlock.identity_given("mine.key", sealed::identity_text(&mine));
        assert_eq!(unlock.open(&sealed).unwrap().1, OpenedBy::Identity);
    }

    #[test]
    fn a_locked_identity_opens_with_the_password() {
        let mine = x25519::Identity::generate();
        let password = Secret::new(*b"lock");
        let locked = sealed::seal_to_password(sealed::identity_text(&mine).expose(), &password).unwrap();
        let sealed = Sealed::read(&sealed::seal_to_recipients(b"x", &[Box::new(mine.to_public())]).unwrap()).unwrap();
        let unlock = Unlock::new().identity_given("mine.key", Secret::new(locked));
        assert!(unlock.open(&sealed).unwrap_err().hints()[0].contains("no password to unlock"));
        assert!(unlock.password_given("p", password).open(&sealed).is_ok());
    }
}
