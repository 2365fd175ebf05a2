//! `PasswordIdentity`: `vault-identity.age` beside the bundle: the identity of whoever knows the password, where the bundle has recipients. It
//! is locked, so it lies in git with the bundle.

use crate::bundle::{Recipient, Unlock, identities, new_identity, seal_identity};
use crate::words::{Error, Result, Secret, Temporary, sweep, sync_directory};
use std::fs::File;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// An identity, and the password that is to lock it.
pub struct PasswordIdentity {
    place: PathBuf,
    text: Secret,
    password: Secret,
    /// What the file holds until now.
    former: Option<Secret>,
    /// Is it what the file holds already?
    is_there: bool,
    /// The file as it is now, if there is one.
    original: Option<Vec<u8>>,
}

impl PasswordIdentity {
    /// A new one for a new password. What the old password locks there is kept until the bundle is saved.
    ///
    /// # Errors
    /// When there is one that the old password does not open.
    pub fn new(place: PathBuf, password: Secret, old: Option<&Secret>) -> Result<Self> {
        let original = bytes(&place)?;
        // The new password opens it where it was changed before, and the bundle was not: that run was killed.
        let by = |word: &Secret| opened(&place, word).ok();
        let former = match original {
            Some(_) => Some(old.and_then(by).or_else(|| by(&password)).ok_or_else(|| foreign(&place))?),
            None => None,
        };
        Ok(Self { place, text: new_identity(), password, former, is_there: false, original })
    }

    /// The one that is there for this password, or else a new one.
    ///
    /// # Errors
    /// When there is one that it does not open.
    pub fn keep(place: PathBuf, password: Secret) -> Result<Self> {
        let original = bytes(&place)?;
        let is_there = original.is_some();
        let text = if is_there { opened(&place, &password)? } else { new_identity() };
        Ok(Self { place, text, password, former: None, is_there, original })
    }

    /// Was there one that a change of the password came to its end with? One that was killed left two in the file.
    pub fn is_settled(&self) -> bool {
        let held = |former: &Secret| identities(former.expose()).map_or(0, |held| held.len());
        self.former.as_ref().is_some_and(|former| held(former) == 1)
    }

    /// What to seal to.
    pub fn recipient(&self) -> Result<Recipient> {
        let key = identities(self.text.expose())?.remove(0);
        Recipient::new(&key.to_public().to_string())
    }

    /// The clear text of the identity.
    pub fn text(&self) -> Secret {
        self.text.clone()
    }

    /// Before the bundle is saved: the new identity and the former one, so that the new password opens the bundle whether or not the save comes
    /// to its end.
    pub fn write_beside_former(&self) -> Result<()> {
        let both =
            [Some(&self.text), self.former.as_ref()].into_iter().flatten().map(Secret::expose).collect::<Vec<_>>();
        if self.is_there { Ok(()) } else { self.put(&Secret::new(both.concat())) }
    }

    /// After that: the new one alone.
    pub fn write(&self) -> Result<()> {
        if self.former.is_some() { self.put(&self.text) } else { Ok(()) }
    }

    /// The bundle was not saved: the file as it was before.
    ///
    /// # Errors
    /// When it cannot be written; then it is as it was for the save.
    pub fn take_back(&self) -> Result<()> {
        match &self.original {
            _ if self.is_there || bytes(&self.place)? == self.original => Ok(()),
            Some(original) => self.replace(original, |_| Ok(())),
            None => {
                std::fs::remove_file(&self.place).map_err(|e| Error::new(self.place.display().to_string()).because(e))
            }
        }
    }

    /// Opened once more before it takes the other's place: nobody who has the password alone has another way in.
    fn put(&self, text: &Secret) -> Result<()> {
        let locked = seal_identity(text, &self.password)?;
        self.replace(locked.expose(), |written| match opened(&written.path, &self.password)? == *text {
            true => Ok(()),
            false => Err(Error::new("what was written is not what was meant")),
        })
    }

    fn replace(&self, bytes: &[u8], prove: impl FnOnce(&Temporary) -> Result<()>) -> Result<()> {
        sweep(&self.place);
        let old = File::open(&self.place).ok();
        let written = Temporary::write(&self.place, bytes, old.as_ref());
        let proved = written.and_then(|written| prove(&written).and_then(|()| written.rename()));
        proved.and_then(|()| sync_directory(&self.place)).map_err(|error| error.at(self.place.display()))
    }
}

/// What the file holds, if there is one.
fn bytes(place: &Path) -> Result<Option<Vec<u8>>> {
    match std::fs::read(place) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Error::new(place.display().to_string()).because(error)),
    }
}

fn opened(place: &Path, password: &Secret) -> Result<Secret> {
    let locked = Unlock::new().password_given("the password", password.clone()).locked_identity_file(place)?;
    locked.first_identity().map_err(|_| foreign(place))
}

fn foreign(place: &Path) -> Error {
    Error::new(format!("{}: it is there, and the password does not open it; nothing was changed", place.display()))
        .hint("it is the identity of whoever knows another password: move it away, or use that password")
}
