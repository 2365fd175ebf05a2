//! `PasswordIdentity`: `vault-identity.age` beside the bundle: the identity of whoever knows the password, where the bundle has recipients. It
//! is locked, so it lies in git with the bundle.

use crate::bundle::{Recipient, Unlock, identities, new_identity, seal_identity};
use crate::words::{Error, Result, Secret, Temporary, sync_directory};
use std::fs::File;
use std::path::PathBuf;

/// An identity, and the password that is to lock it.
pub struct PasswordIdentity {
    place: PathBuf,
    text: Secret,
    password: Secret,
    /// What the file holds until now.
    former: Option<Secret>,
    /// Is it what the file holds already?
    is_there: bool,
}

impl PasswordIdentity {
    /// A new one for a new password. What the old password locks there is kept until the bundle is saved.
    ///
    /// # Errors
    /// When there is one that the old password does not open.
    pub fn new(place: PathBuf, password: Secret, old: Option<&Secret>) -> Result<Self> {
        let there = place.symlink_metadata().is_ok();
        let former = match old {
            Some(old) if there => Some(opened(&place, old)?),
            _ if there => return Err(foreign(&place)),
            _ => None,
        };
        Ok(Self { place, text: new_identity(), password, former, is_there: false })
    }

    /// The one that is there for this password, or else a new one.
    ///
    /// # Errors
    /// When there is one that it does not open.
    pub fn keep(place: PathBuf, password: Secret) -> Result<Self> {
        let is_there = place.symlink_metadata().is_ok();
        let text = if is_there { opened(&place, &password)? } else { new_identity() };
        Ok(Self { place, text, password, former: None, is_there })
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

    fn put(&self, text: &Secret) -> Result<()> {
        let locked = seal_identity(text, &self.password)?;
        let old = File::open(&self.place).ok();
        let written = Temporary::write(&self.place, locked.expose(), old.as_ref()).and_then(Temporary::rename);
        written.and_then(|()| sync_directory(&self.place)).map_err(|error| error.at(self.place.display()))
    }
}

fn opened(place: &PathBuf, password: &Secret) -> Result<Secret> {
    let locked = Unlock::new().password_given("the password", password.clone()).locked_identity_file(place)?;
    locked.first_identity().map_err(|_| foreign(place))
}

fn foreign(place: &std::path::Path) -> Error {
    Error::new(format!("{}: it is there, and the password does not open it; nothing was changed", place.display()))
        .hint("it is the identity of whoever knows another password: move it away, or use that password")
}
