//! `BundleFile`: where a bundle lies, what was read there, and how it was opened. A save takes the lock, checks that the file is
//! still the one that was read, writes beside, syncs, opens what it wrote and compares, renames, and syncs the directory.
//! Until the rename the old file is untouched, whatever fails.

use super::archive;
use super::opened::Bundle;
use super::sealed::{self, Sealed};
use super::unlock::{OpenedBy, Unlock};
use crate::words::{Error, Result, Secret, Temporary, sweep, sync_directory};
use sha2::{Digest, Sha256};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

/// A bundle on the disk, as it was when it was last read or written.
pub struct BundleFile {
    path: PathBuf,
    /// The hash of the sealed bytes that were read or written last.
    hash: [u8; 32],
    opened_by: OpenedBy,
    is_armored: bool,
    is_proved: bool,
    unlock: Unlock,
}

/// Where the identity lies that the password locks, for a bundle that has recipients.
pub fn locked_identity(bundle: &Path) -> PathBuf {
    bundle.with_file_name("vault-identity.age")
}

/// Randomness of the operating system.
pub fn system_random(buffer: &mut [u8]) {
    getrandom::fill(buffer).expect("the operating system gives random bytes");
}

impl BundleFile {
    /// Reads and opens the bundle. Nothing on the disk changes.
    pub fn open(path: &Path, unlock: &Unlock) -> Result<(Self, Bundle)> {
        Self::open_here(path, unlock).map_err(|error| error.at(path.display()))
    }

    fn open_here(path: &Path, unlock: &Unlock) -> Result<(Self, Bundle)> {
        let bytes = read(path)?;
        let sealed = Sealed::read(&bytes)?;
        let (clear, opened_by) = unlock.open(&sealed)?;
        let bundle = Bundle::from_entries(archive::unpack(&clear)?, &mut system_random)?;
        let file = Self {
            path: path.to_owned(),
            hash: hash(&bytes),
            opened_by,
            is_armored: !bytes.starts_with(b"age-"),
            is_proved: true,
            unlock: unlock.clone(),
        };
        Ok((file, bundle))
    }

    /// Seals a new bundle where there is none.
    pub fn create(path: &Path, bundle: &mut Bundle, unlock: &Unlock) -> Result<Self> {
        Self::create_here(path, bundle, unlock).map_err(|error| error.at(path.display()))
    }

    /// Would `create` refuse this at once? Nothing is sealed or written.
    pub fn could_create(path: &Path, bundle: &Bundle, unlock: &Unlock) -> Result<()> {
        Self::to_create(path, bundle, unlock).map(drop).map_err(|error| error.at(path.display()))
    }

    fn to_create(path: &Path, bundle: &Bundle, unlock: &Unlock) -> Result<Self> {
        refuse_taken(path)?;
        let opened_by = if bundle.recipients().is_empty() { OpenedBy::Password } else { OpenedBy::Identity };
        let is_proved = opened_by == OpenedBy::Password || unlock.has_identity();
        let unlock = unlock.clone();
        let file = Self { path: path.to_owned(), hash: [0; 32], opened_by, is_armored: false, is_proved, unlock };
        file.refuse_unsealable(bundle)?;
        Ok(file)
    }

    fn create_here(path: &Path, bundle: &mut Bundle, unlock: &Unlock) -> Result<Self> {
        let mut file = Self::to_create(path, bundle, unlock)?;
        let (next, bytes) = file.sealed(bundle)?;
        let temporary = Temporary::write(path, &bytes, None).map_err(as_it_was)?;
        if file.is_proved {
            file.prove(&temporary, bundle, next)?;
        }
        if !temporary.link()? {
            return Err(there_is_one());
        }
        file.hash = hash(&bytes);
        bundle.saved(next);
        sync_directory(path).map_err(|error| error.at("it was saved"))?;
        Ok(file)
    }

    /// The file that a merge replaces, whatever lies there now. What is saved is sealed as this bundle says, and armored if those bytes are.
    pub fn to_replace(path: &Path, bundle: &Bundle, like: &[u8], unlock: &Unlock) -> Result<Self> {
        let opened_by = if bundle.recipients().is_empty() { OpenedBy::Password } else { OpenedBy::Identity };
        let hash = hash(&read(path).map_err(|error| error.at(path.display()))?);
        let (path, unlock, is_armored) = (path.to_owned(), unlock.clone(), !like.starts_with(b"age-"));
        Ok(Self { path, hash, opened_by, is_armored, is_proved: true, unlock })
    }

    /// Puts sealed bytes as they are in the place of those that are there, as safely as a save does.
    pub fn put(path: &Path, bytes: &[u8], there: &[u8]) -> Result<()> {
        let put = || {
            refuse_link(path)?;
            let old = lock(path)?;
            let temporary = Temporary::write(path, bytes, Some(&old)).map_err(as_it_was)?;
            match read(path)? == there {
                true => temporary.rename().and_then(|()| sync_directory(path)),
                false => Err(Error::new("it changed on disk meanwhile; nothing was written")),
            }
        };
        put().map_err(|error: Error| error.at(path.display()))
    }

    /// The SHA-256 of the sealed bytes that were read or written last.
    pub fn hash(&self) -> &[u8; 32] {
        &self.hash
    }

    /// Are these the sealed bytes that were read or written last?
    pub fn is_sealed_as(&self, bytes: &[u8]) -> bool {
        self.hash == hash(bytes)
    }

    /// Makes in memory what a bundle packed by hand lacks: id, backup identity, and that identity locked.
    pub fn complete(&self, bundle: &mut Bundle) -> Result<()> {
        bundle.complete(&mut system_random);
        if bundle.locked_backup_key.is_none()
            && let Some(key) = bundle.all_backup_keys()
        {
            bundle.set_locked_backup_key(Secret::new(self.seal(bundle, key.expose())?));
        }
        Ok(())
    }

    /// Seals what changed as the next generation. False, and nothing is written, when nothing changed.
    pub fn save(&mut self, bundle: &mut Bundle) -> Result<bool> {
        self.save_beside(bundle, |_| Ok(()), |_| ())
    }

    /// The same where something lies beside the bundle that has to fit it. `first` changes that once nobody else can save any more, and `undo`
    /// takes it back when the bundle stays as it was.
    pub fn save_beside(
        &mut self,
        bundle: &mut Bundle,
        first: impl FnOnce(&Self) -> Result<()>,
        undo: impl FnOnce(&Self),
    ) -> Result<bool> {
        if !bundle.is_changed() {
            return Ok(false);
        }
        self.save_here(bundle, first, undo).map_err(|error| error.at(self.path.display()))?;
        Ok(true)
    }

    /// Does something beside the bundle while nobody else saves it.
    ///
    /// # Errors
    /// When somebody else has saved it since, or does so right now; then nothing was done.
    pub fn beside<T>(&self, act: impl FnOnce() -> Result<T>) -> Result<T> {
        let _lock = lock(&self.path)?;
        self.is_still_the_same()?;
        act()
    }

    /// Would `save` refuse this at once? Nothing is sealed or written.
    pub fn could_save(&self, bundle: &Bundle) -> Result<()> {
        if !bundle.is_changed() {
            return Ok(());
        }
        let refused = refuse_link(&self.path).and_then(|()| self.refuse_unsealable(bundle));
        refused.and_then(|()| self.is_still_the_same()).map_err(|error| error.at(self.path.display()))
    }

    fn save_here(
        &mut self,
        bundle: &mut Bundle,
        first: impl FnOnce(&Self) -> Result<()>,
        undo: impl FnOnce(&Self),
    ) -> Result<()> {
        refuse_link(&self.path)?;
        self.refuse_unsealable(bundle)?;
        let old = lock(&self.path)?;
        self.is_still_the_same()?;
        let saved = first(self).and_then(|()| self.replace(bundle, &old));
        // What failed after the rename finds a bundle that was saved.
        if saved.is_err() && bundle.is_changed() {
            undo(self);
        }
        saved
    }

    fn replace(&mut self, bundle: &mut Bundle, old: &File) -> Result<()> {
        sweep(&self.path);
        sweep(&locked_identity(&self.path));
        let (next, bytes) = self.sealed(bundle)?;
        let temporary = Temporary::write(&self.path, &bytes, Some(old)).map_err(as_it_was)?;
        self.prove(&temporary, bundle, next)?;
        // Again: sealing takes seconds, and git does not ask for our lock.
        self.is_still_the_same()?;
        temporary.rename()?;
        self.hash = hash(&bytes);
        bundle.saved(next);
        sync_directory(&self.path).map_err(|error| error.at("it was saved"))
    }

    /// Refuses a file that somebody else has written since it was opened.
    pub fn refuse_changed(&self) -> Result<()> {
        self.bytes().map(drop).map_err(|error| error.at(self.path.display()))
    }

    /// From the next save on it is sealed with this password, unless it has recipients.
    pub fn seal_with_password(&mut self, place: &str, password: Secret) {
        self.unlock = std::mem::take(&mut self.unlock).password_given(place, password);
        self.opened_by = OpenedBy::Password;
    }

    /// One more identity is at hand.
    pub fn add_identity(&mut self, place: &str, identity: Secret) {
        self.unlock = std::mem::take(&mut self.unlock).identity_given(place, identity);
    }

    /// Would something at hand open it once it is saved?
    pub fn could_open(&self, bundle: &Bundle) -> bool {
        match bundle.recipients() {
            [] => self.opened_by == OpenedBy::Password && self.unlock.password().is_some(),
            recipients => self.unlock.could_open(recipients),
        }
    }

    /// What opened it, and opens its copies.
    pub fn unlock(&self) -> &Unlock {
        &self.unlock
    }

    /// Where the bundle lies.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What it was opened with.
    pub fn opened_by(&self) -> OpenedBy {
        self.opened_by
    }

    /// Was the sealed file opened again with something at hand? Only one just created for others may not have been.
    pub fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// The next generation and its sealed bytes.
    fn sealed(&self, bundle: &mut Bundle) -> Result<(u64, Vec<u8>)> {
        self.complete(bundle)?;
        let next =
            bundle.generation().checked_add(1).ok_or_else(|| Error::new("its generation cannot grow any more"))?;
        let bytes = self.seal(bundle, &archive::pack(&bundle.entries(next)?)?)?;
        let bytes = if self.is_armored { sealed::armored(&bytes)? } else { bytes };
        if bytes.len() as u64 > sealed::LARGEST {
            return Err(Error::new("it would be larger than 64 MiB"));
        }
        Ok((next, bytes))
    }

    pub(super) fn seal(&self, bundle: &Bundle, clear: &[u8]) -> Result<Vec<u8>> {
        let recipients = self.recipients(bundle)?;
        match recipients.is_empty() {
            true => sealed::seal_to_password(clear, self.password()?),
            false => sealed::seal_to_recipients(clear, &recipients),
        }
    }

    /// Could it be opened again, and is there what it would be sealed with?
    fn refuse_unsealable(&self, bundle: &Bundle) -> Result<()> {
        bundle.refuse_too_many_keys()?;
        bundle.refuse_clash()?;
        match self.recipients(bundle)?.is_empty() {
            true => self.password().map(drop),
            false => Ok(()),
        }
    }

    /// What it is sealed to; an unknown kind is refused before anything is made.
    fn recipients(&self, bundle: &Bundle) -> Result<Vec<sealed::SealTo>> {
        bundle.recipients().iter().map(|one| sealed::recipient(&one.key, self.unlock.who())).collect()
    }

    /// The password to seal with, for want of recipients.
    fn password(&self) -> Result<&Secret> {
        match (self.opened_by, self.unlock.password()) {
            (OpenedBy::Password, Some(password)) => Ok(password),
            (OpenedBy::Password, None) => Err(Error::new("there is no password to seal it with")
                .hint("name a password file with --password-file, or seal to keys with --recipient age1...")),
            (OpenedBy::Identity, _) => {
                Err(Error::new("it was opened with a key, but its bundle.toml lists no recipients to seal it to again")
                    .hint("write `recipients = [\"age1...\"]` into bundle.toml and seal it once more by hand"))
            }
        }
    }

    /// Opens what was written and compares: a bundle that we cannot open again never takes the old one's place.
    fn prove(&self, temporary: &Temporary, bundle: &Bundle, generation: u64) -> Result<()> {
        let wrong = |error: Error| error.at("what was written does not open again, so the old file stays");
        let (clear, _) =
            Sealed::read(&read(&temporary.path)?).and_then(|sealed| self.unlock.open(&sealed)).map_err(wrong)?;
        if archive::unpack(&clear)? != bundle.entries(generation)? {
            return Err(Error::new("what was written is not what was meant, so the old file stays"));
        }
        Ok(())
    }

    fn is_still_the_same(&self) -> Result<()> {
        self.bytes().map(drop)
    }

    /// The sealed bytes, if they are still those that were last read or written.
    pub(super) fn bytes(&self) -> Result<Vec<u8>> {
        match read(&self.path) {
            Ok(bytes) if hash(&bytes) == self.hash => Ok(bytes),
            _ => Err(Error::new("it changed on disk since it was opened: a pull in between? nothing was written")
                .hint("do the same again: it starts from the file as it is now")),
        }
    }
}

/// An advisory lock on the bundle itself, so that nothing is left lying about. Whoever locked a file that was replaced
/// meanwhile sees that in the comparison that follows.
fn lock(path: &Path) -> Result<File> {
    // Opened for writing where we may: NFS locks nothing else.
    let file = OpenOptions::new().read(true).append(true).open(path).or_else(|_| File::open(path));
    let file = file.map_err(|e| Error::new("it cannot be opened").because(e))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::new("somebody else is saving it right now; nothing was written")
            .hint("wait for the other distribute to end, then do the same again")),
        Err(TryLockError::Error(error)) => Err(Error::new("it cannot be locked").because(error)),
    }
}

/// A bundle is never overwritten by a new one.
fn refuse_taken(path: &Path) -> Result<()> {
    if path.symlink_metadata().is_ok() { Err(there_is_one()) } else { Ok(()) }
}

fn there_is_one() -> Error {
    Error::new("there is a bundle already; nothing was written")
        .hint("`distribute bundle set` and `bundle edit` change it; remove the file first to start anew")
}

/// What could not be written lay beside it.
fn as_it_was(error: Error) -> Error {
    error.hint("the bundle is as it was")
}

fn refuse_link(path: &Path) -> Result<()> {
    let found = path.symlink_metadata().map_err(|e| Error::new("it cannot be looked at").because(e))?;
    if !found.is_symlink() {
        return Ok(());
    }
    let real = fs::canonicalize(path).map_or_else(|_| "nothing".to_owned(), |real| real.display().to_string());
    Err(Error::new(format!("it is a symbolic link to {real}; nothing was written"))
        .hint(format!("name the file itself: --bundle {real}")))
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let options = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).clone(); // a fifo must not hang us
    let file = options.open(path).map_err(|error| match error.kind() {
        ErrorKind::NotFound => Error::new("there is no bundle here")
            .hint("`distribute bundle create DIR` makes one; -C or --bundle names another place"),
        _ => Error::new("it cannot be read").because(error),
    })?;
    let found = file.metadata().map_err(|e| Error::new("it cannot be looked at").because(e))?;
    if !found.is_file() {
        return Err(Error::new("it is not a regular file"));
    }
    let mut bytes = Vec::with_capacity(found.len().min(sealed::LARGEST) as usize + 1);
    file.take(sealed::LARGEST + 1).read_to_end(&mut bytes).map_err(|e| Error::new("reading").because(e))?;
    if bytes.len() as u64 > sealed::LARGEST {
        return Err(Error::new("it is larger than 64 MiB"));
    }
    Ok(bytes)
}

fn hash(bytes: &[u8]) -> [u8; 32] {
    Sha256::digest(bytes).into()
}

#[cfg(test)]
mod tests {
    use super::super::opened::new_identity;
    use super::super::recipient::Recipient;
    use super::*;
    use chrono::DateTime;
    use std::os::unix::fs::{MetadataExt, PermissionsExt};

    /// A directory with a bundle sealed to a key of its own.
    struct Place {
        directory: tempfile::TempDir,
        unlock: Unlock,
    }

    impl Place {
        fn new() -> Self {
            let key = new_identity();
            let recipient = sealed::identities(key.expose()).unwrap()[0].to_public().to_string();
            let place =
                Self { directory: tempfile::tempdir().unwrap(), unlock: Unlock::new().identity_given("key", key) };
            let mut bundle =
                Bundle::create(vec![Recipient::new(&recipient).unwrap()], DateTime::UNIX_EPOCH, &mut system_random)
                    .unwrap();
            set(&mut bundle, "0");
            BundleFile::create(&place.path(), &mut bundle, &place.unlock).unwrap();
            place
        }

        fn path(&self) -> PathBuf {
            self.directory.path().join("secrets.age")
        }

        fn open(&self) -> (BundleFile, Bundle) {
            BundleFile::open(&self.path(), &self.unlock).unwrap()
        }

        fn names(&self) -> Vec<String> {
            let entries = fs::read_dir(self.directory.path()).unwrap().flatten();
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
        }
    }

    fn set(bundle: &mut Bundle, value: &str) {
        bundle.set(&"a.K".parse().unwrap(), Secret::new(value), DateTime::UNIX_EPOCH);
    }

    #[test]
    fn a_save_makes_the_next_generation_and_keeps_the_mode() {
        let place = Place::new();
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o644)).unwrap();
        let (mut file, mut bundle) = place.open();
        assert_eq!((bundle.generation(), file.opened_by()), (1, OpenedBy::Identity));
        let before = fs::read(place.path()).unwrap();
        assert!(!file.save(&mut bundle).unwrap());
        assert_eq!(fs::read(place.path()).unwrap(), before, "nothing changed, nothing written");
        let locked = bundle.key_age().unwrap().to_vec();
        for generation in 2..4 {
            set(&mut bundle, &generation.to_string());
            assert!(file.save(&mut bundle).unwrap());
            assert_eq!(place.open().1.generation(), generation);
        }
        assert_eq!(place.open().1.key_age().unwrap(), locked, "the locked key is made once");
        assert_eq!(fs::metadata(place.path()).unwrap().mode() & 0o777, 0o644);
        assert_eq!(place.names(), ["secrets.age"]);
    }

    #[test]
    fn a_file_that_changed_meanwhile_is_not_overwritten() {
        let place = Place::new();
        let ((mut first, mut one), (mut second, mut two)) = (place.open(), place.open());
        set(&mut one, "1");
        set(&mut two, "2");
        first.save(&mut one).unwrap();
        let after = fs::read(place.path()).unwrap();
        assert!(second.save(&mut two).unwrap_err().to_string().contains("changed on disk"));
        assert_eq!(fs::read(place.path()).unwrap(), after);
        fs::remove_file(place.path()).unwrap();
        assert!(second.save(&mut two).is_err());
        assert!(place.names().is_empty());
    }

    #[test]
    fn two_do_not_save_at_once() {
        let place = Place::new();
        let (mut file, mut bundle) = place.open();
        set(&mut bundle, "1");
        let held = lock(&place.path()).unwrap();
        assert!(file.save(&mut bundle).unwrap_err().to_string().contains("somebody else"));
        drop(held);
        file.save(&mut bundle).unwrap();
    }

    #[test]
    fn what_we_could_not_open_again_is_not_put_in_place() {
        let place = Place::new();
        let (mut file, mut bundle) = place.open();
        let before = fs::read(place.path()).unwrap();
        set(&mut bundle, "1");
        file.unlock = Unlock::new().identity_given("other", new_identity());
        assert!(file.save(&mut bundle).unwrap_err().to_string().contains("does not open again"));
        assert_eq!(fs::read(place.path()).unwrap(), before);
        assert_eq!(place.names(), ["secrets.age"]);
    }

    #[test]
    fn a_link_is_not_followed_and_nothing_is_overwritten() {
        let place = Place::new();
        let link = place.directory.path().join("link");
        std::os::unix::fs::symlink(place.path(), &link).unwrap();
        let (mut file, mut bundle) = BundleFile::open(&link, &place.unlock).unwrap();
        set(&mut bundle, "1");
        let error = file.save(&mut bundle).unwrap_err().to_string();
        assert!(error.contains("symbolic link") && error.contains("secrets.age"), "{error}");
        for taken in [link, place.path()] {
            assert!(BundleFile::create(&taken, &mut bundle, &place.unlock).is_err());
        }
    }

    #[test]
    fn a_save_sweeps_what_a_killed_one_left() {
        let place = Place::new();
        let killed = [".secrets.age.0123456789abcdef.tmp", ".vault-identity.age.0123456789abcdef.tmp"];
        for name in killed.into_iter().chain([".secrets.age.other.tmp", ".secrets.age.swp"]) {
            fs::write(place.directory.path().join(name), "x").unwrap();
        }
        let (mut file, mut bundle) = place.open();
        set(&mut bundle, "1");
        file.save(&mut bundle).unwrap();
        let mut names = place.names();
        names.sort();
        assert_eq!(names, [".secrets.age.other.tmp", ".secrets.age.swp", "secrets.age"]);
    }

    #[test]
    fn armor_stays_armor() {
        let place = Place::new();
        let text = sealed::armored(&fs::read(place.path()).unwrap()).unwrap();
        fs::write(place.path(), text).unwrap();
        let (mut file, mut bundle) = place.open();
        set(&mut bundle, "1");
        file.save(&mut bundle).unwrap();
        assert!(fs::read(place.path()).unwrap().starts_with(b"-----BEGIN AGE"));
        assert_eq!(place.open().1.generation(), 2);
    }
}
