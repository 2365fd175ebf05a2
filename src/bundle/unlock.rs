//! `Unlock`: what may open a bundle, in the order it was found: a password and identity files. When nothing does, it says of
//! each why not. The environment is read elsewhere; here come paths and notes.

use super::private_file::read_private;
use super::sealed::{self, Lock, RESTORE, Refusal, Sealed};
use crate::words::{Error, Result, Secret};
use age::x25519;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

const LONGEST_PASSWORD: usize = 4096;
const LARGEST_IDENTITY: usize = 64 * 1024;

/// What is at hand, each with its place for messages.
#[derive(Clone, Default)]
pub struct Unlock {
    password: Option<(String, Secret)>,
    identities: Vec<(String, Secret)>,
    notes: Vec<String>,
    credentials: Option<PathBuf>,
}

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

    /// Opens an age file that is no bundle, such as the data key in a file of SOPS.
    pub fn open_file(&self, bytes: &[u8]) -> Result<Secret> {
        let (mut clear, _) = self.open(&Sealed::read(bytes)?)?;
        Ok(Secret::new(std::mem::take(&mut *clear)))
    }

    /// Opens a sealed file with whatever fits, or says of each why it did not.
    pub(super) fn open(&self, sealed: &Sealed) -> Result<(Zeroizing<Vec<u8>>, OpenedBy)> {
        let mut tried = Vec::new();
        match sealed.lock() {
            Lock::Password => {
                if let Some(clear) = self.try_password(sealed, &mut tried)? {
                    return Ok((clear, OpenedBy::Password));
                }
                tried.extend(
                    self.identities
                        .iter()
                        .map(|(place, _)| format!("{place}: a key does not open it, it is sealed with a password")),
                );
            }
            Lock::Keys { x25519, others } => {
                for (place, content) in &self.identities {
                    match self.try_identity(sealed, content)? {
                        Ok(clear) => return Ok((clear, OpenedBy::Identity)),
                        Err(reason) => tried.push(format!("{place}: {reason}")),
                    }
                }
                if let Some((place, _)) = &self.password {
                    tried.push(format!("{place}: a password does not open it, it is sealed to keys"));
                }
                if !x25519 && !others.is_empty() {
                    tried.push(format!("it is sealed to {} only, which is not supported yet", others.join(", ")));
                }
            }
        }
        Err(self.nothing_opens(tried))
    }

    fn try_password(&self, sealed: &Sealed, tried: &mut Vec<String>) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((place, password)) = &self.password else { return Ok(None) };
        match sealed.open_with_password(password) {
            Ok(clear) => Ok(Some(clear)),
            Err(Refusal::Damaged) => Err(damaged()),
            Err(Refusal::Wrong) => {
                tried.push(format!("{place}: wrong password"));
                Ok(None)
            }
        }
    }

    fn try_identity(&self, sealed: &Sealed, content: &Secret) -> Result<Result<Zeroizing<Vec<u8>>, String>> {
        let keys = match self.keys(content) {
            Ok(keys) => keys,
            Err(error) => return Ok(Err(error.to_string())),
        };
        match sealed.open_with_keys(&keys) {
            Ok(clear) => Ok(Ok(clear)),
            Err(Refusal::Damaged) => Err(damaged()),
            Err(Refusal::Wrong) => Ok(Err("it is not sealed to this key".to_owned())),
        }
    }

    /// The keys in an identity file, which may itself be an age file locked with the password.
    fn keys(&self, content: &Secret) -> Result<Vec<x25519::Identity>> {
        let bytes = content.expose();
        let Ok(locked) = Sealed::read(bytes) else {
            let is_age = bytes.starts_with(b"age-encryption.org/") || bytes.starts_with(b"-----BEGIN AGE");
            return if is_age { Sealed::read(bytes).map(|_| Vec::new()) } else { sealed::identities(bytes) };
        };
        let password =
            self.password().ok_or_else(|| Error::new("it is locked, and there is no password to unlock it"))?;
        match (locked.lock(), locked.open_with_password(password)) {
            (Lock::Keys { .. }, _) => {
                Err(Error::new("it is sealed to a key; only a password can lock an identity file"))
            }
            (_, Ok(clear)) => sealed::identities(&clear),
            (_, Err(Refusal::Wrong)) => Err(Error::new("it is locked, and the password does not unlock it")),
            (_, Err(Refusal::Damaged)) => Err(Error::new("it is cut off or altered")),
        }
    }

    fn nothing_opens(&self, tried: Vec<String>) -> Error {
        let mut error = Error::new("nothing at hand opens it");
        for line in tried.into_iter().chain(self.notes.iter().cloned()) {
            error = error.hint(line);
        }
        error.hint("name what opens it: --password-file, DISTRIBUTE_PASSWORD_FILE, --identity or DISTRIBUTE_IDENTITY")
    }
}

fn damaged() -> Error {
    Error::new("it is cut off or altered").hint(RESTORE)
}

#[cfg(test)]
mod tests {
    use super::*;
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
        let sealed = Sealed::read(&sealed::seal_to_recipients(b"x", &[mine.to_public()]).unwrap()).unwrap();
        let unlock = Unlock::new()
            .password_given("the prompt", Secret::new(*b"POISON"))
            .identity_given("other.key", sealed::identity_text(&other))
            .note("no vault-password beside the bundle");
        let hints = unlock.open(&sealed).unwrap_err().hints().join("\n");
        for part in ["the prompt: a password does not", "other.key: it is not sealed to", "no vault-password"] {
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
        let sealed = Sealed::read(&sealed::seal_to_recipients(b"x", &[mine.to_public()]).unwrap()).unwrap();
        let unlock = Unlock::new().identity_given("mine.key", Secret::new(locked));
        assert!(unlock.open(&sealed).unwrap_err().hints()[0].contains("no password to unlock"));
        assert!(unlock.password_given("p", password).open(&sealed).is_ok());
    }
}
