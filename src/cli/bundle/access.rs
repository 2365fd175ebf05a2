//! `Access`: who can open the bundle, and a change of that: one save, said before and after. Commands only differ in what they ask for.

mod telling;

use super::Opened;
use super::password_identity::PasswordIdentity;
use crate::bundle::{BundleFile, OpenedBy, Recipient, Unlock};
use crate::cli::confirm::Consent;
use crate::cli::fleet::Moment;
use crate::cli::shared::{print_note, print_result};
use crate::cli::{Shared, prompt, unlock};
use crate::report::ExposureReport;
use crate::words::{Error, Result, RunId, Secret, listed};
use std::path::PathBuf;

/// The recipient that stands for everybody who knows the password.
pub const PASSWORD: &str = "password";
const OLD_FILES: &str =
    "who lost access can still read what git has of the bundle, with his old key: rotate what he could read";

/// What is to change.
#[derive(Default)]
pub struct Change {
    pub add: Vec<Recipient>,
    /// By name or key.
    pub remove: Vec<String>,
    /// New keys inside, also when nobody loses access.
    pub is_rekey: bool,
    pub new_password: Option<NewPassword>,
    /// No recipients any more.
    pub is_password_only: bool,
}

/// Where a new password comes from.
pub enum NewPassword {
    File(PathBuf),
    Asked,
}

/// Who can open the bundle, while it changes.
pub struct Access<'a> {
    opened: Opened,
    /// What opened it until now.
    before: Unlock,
    /// Those who could open it until now.
    recipients: Vec<Recipient>,
    was_password: bool,
    /// How many had lost access before.
    exposures: usize,
    /// A new identity that the password is to lock; it is written before the bundle is sealed to it.
    identity: Option<PasswordIdentity>,
    is_password_new: bool,
    moment: Moment,
    /// Are copies sealed anew too, also when nobody loses access? After a removal that was killed they are still as they were.
    is_rekey: bool,
    shared: &'a Shared,
}

impl<'a> Access<'a> {
    /// Makes the change, and says what it means.
    pub fn change(command: &str, change: Change, shared: &'a Shared) -> Result<()> {
        let is_removal = !change.remove.is_empty() || change.is_password_only;
        let consent = match is_removal {
            true => Consent::of(shared, "removing a recipient takes the bundle from somebody")?,
            false => Consent::Given,
        };
        let mut access = Self::open(shared)?;
        access.apply(change)?;
        access.refuse_lockout()?;
        if is_removal {
            let gone: Vec<String> = access.lost().iter().map(|one| one.name().to_owned()).collect();
            consent.ask(&format!("{} will not open the bundle any more: go on?", listed(&gone)))?;
        }
        access.save(command)
    }

    fn open(shared: &'a Shared) -> Result<Self> {
        let opened = super::open(shared)?;
        let before = opened.file.unlock().clone();
        let recipients = opened.bundle.recipients().to_vec();
        let was_password = recipients.is_empty() && opened.file.opened_by() == OpenedBy::Password;
        let moment = Moment::now();
        let exposures = opened.bundle.exposures().len();
        Ok(Self {
            opened,
            before,
            recipients,
            was_password,
            exposures,
            identity: None,
            is_password_new: false,
            moment,
            is_rekey: false,
            shared,
        })
    }

    fn apply(&mut self, change: Change) -> Result<()> {
        let now = self.moment.now;
        self.is_rekey = change.is_rekey;
        let is_new_password = change.new_password.is_some() || change.is_password_only || self.needs_password(&change);
        let password = if is_new_password { Some(new_password(change.new_password.as_ref())?) } else { None };
        if change.is_password_only {
            self.opened.bundle.remove_all_recipients(now);
        }
        let stays_password = self.opened.bundle.recipients().is_empty() && change.add.is_empty();
        match password {
            Some(password) if stays_password => self.seal_with(password)?,
            Some(password) => self.lock_identity_with(password)?,
            None if self.was_password && !change.add.is_empty() => self.keep_password()?,
            None => {}
        }
        // In this order somebody's new key takes the place of his old one.
        for gone in &change.remove {
            self.opened.bundle.remove_recipient(gone, now)?;
        }
        for new in change.add {
            self.opened.bundle.add_recipient(new, now)?;
        }
        if change.is_rekey && self.lost().is_empty() && !self.is_password_new {
            self.opened.bundle.renew_keys();
        }
        Ok(())
    }

    /// To seal a bundle anew that has nothing but a password is to change that.
    fn needs_password(&self, change: &Change) -> bool {
        self.was_password && change.is_rekey && change.add.is_empty()
    }

    /// The password alone, as before or instead of recipients.
    fn seal_with(&mut self, password: Secret) -> Result<()> {
        if self.was_password {
            if self.before.password() == Some(&password) {
                return Err(same_password());
            }
            self.opened.bundle.expose_password(self.moment.now);
            self.opened.bundle.renew_keys();
        }
        self.opened.file.seal_with_password("the new password", password);
        self.is_password_new = true;
        Ok(())
    }

    /// age does not let a password stand beside recipients: it locks an identity that is one of them.
    fn lock_identity_with(&mut self, password: Secret) -> Result<()> {
        let Self { opened: Opened { file, bundle, .. }, moment, .. } = self;
        let place = unlock::locked_identity(file.path());
        if bundle.recipients().iter().any(|one| one.name() == PASSWORD) {
            bundle.remove_recipient(PASSWORD, moment.now)?;
        } else if self.was_password {
            bundle.expose_password(moment.now);
            bundle.renew_keys();
        }
        let is_same = self.before.password() == Some(&password);
        let identity = PasswordIdentity::new(place, password, self.before.password())?;
        if is_same && identity.is_settled() {
            return Err(same_password());
        }
        bundle.add_recipient(identity.recipient()?.labelled(PASSWORD)?, moment.now)?;
        file.add_identity("the new password's identity", identity.text());
        self.identity = Some(identity);
        self.is_password_new = true;
        Ok(())
    }

    /// The password goes on to open it.
    fn keep_password(&mut self) -> Result<()> {
        let Opened { file, bundle, .. } = &mut self.opened;
        let Some(password) = self.before.password() else { return Ok(()) };
        let identity = PasswordIdentity::keep(unlock::locked_identity(file.path()), password.clone())?;
        bundle.add_recipient(identity.recipient()?.labelled(PASSWORD)?, self.moment.now)?;
        file.add_identity("the password's identity", identity.text());
        self.identity = Some(identity);
        Ok(())
    }

    /// Somebody has to be able to open it, and why not who is here.
    fn refuse_lockout(&self) -> Result<()> {
        let Opened { file, bundle, .. } = &self.opened;
        if !bundle.is_changed() || file.could_open(bundle) {
            return Ok(());
        }
        let error = match bundle.recipients() {
            [] => Error::new("then nobody could open the bundle any more; nothing was changed")
                .hint("to seal it with a password alone: distribute bundle rekey --password-only"),
            left => {
                let names: Vec<&str> = left.iter().map(Recipient::name).collect();
                Error::new(format!(
                    "nothing at hand would open the bundle then, only {}; nothing was changed",
                    listed(&names)
                ))
                .hint("one of them has to do it; or name an identity of theirs with --identity")
            }
        };
        Err(error)
    }

    /// Does somebody lose access?
    fn is_loss(&self) -> bool {
        !self.lost().is_empty() || (self.was_password && self.is_password_new)
    }

    fn save(mut self, command: &str) -> Result<()> {
        let exposed = ExposureReport::all(&self.opened.bundle).split_off(self.exposures);
        let (lines, fields) = (self.lines(), self.fields(command, &exposed));
        let is_loss = self.is_loss();
        let copy = is_loss.then(|| RunId::new(self.opened.bundle.generation(), self.moment.now, self.moment.random));
        let (identity, shared) = (self.identity.as_ref(), self.shared);
        let first = |file: &BundleFile| begin(file, identity, copy.as_ref());
        let undo = |file: &BundleFile| take_back(file, identity, copy.as_ref(), shared);
        let is_saved = super::store(&mut self.opened, (first, undo), shared)?;
        let told = super::tell(&mut self.opened, is_saved, &lines.join("\n"), fields, shared);
        let texts = exposed.iter().filter(|_| !shared.is_json()).map(telling::exposed);
        let told = told.and_then(|()| texts.into_iter().try_for_each(|text| print_result(&text)));
        // Also when nobody reads what is told.
        if is_saved {
            self.finish(is_loss);
        }
        told
    }

    /// What goes once it is saved: the former identity, and access to the copies. The bundle is safe, so nothing here is an error.
    fn finish(&self, is_loss: bool) {
        let file = &self.opened.file;
        let note = |error: Error| print_note(self.shared, &format!("note: {error}"));
        match &self.identity {
            Some(identity) => file.beside(|| identity.write()).unwrap_or_else(note),
            None if self.lost().iter().any(|one| one.name() == PASSWORD) => {
                let place = unlock::locked_identity(file.path());
                print_note(self.shared, &format!("{} opens nothing any more: remove it", place.display()));
            }
            None => {}
        }
        if !is_loss && !self.is_rekey {
            return;
        }
        let count = file.beside(|| self.reseal_copies()).unwrap_or_else(|error| {
            note(error);
            0
        });
        if count > 0 {
            print_note(
                self.shared,
                &format!("{} of the bundle in backups/bundle/ sealed anew", telling::copies(count)),
            );
        }
        if is_loss {
            print_note(self.shared, OLD_FILES);
        }
    }

    /// How many there are that only those open now who open the bundle.
    fn reseal_copies(&self) -> Result<usize> {
        let Opened { file, bundle, .. } = &self.opened;
        file.sweep_copies();
        let note = |error: Error| print_note(self.shared, &format!("note: {error}"));
        let copies = file.copies()?;
        if copies.is_empty() {
            return Ok(0);
        }
        let (before, after) = (self.before.unlocked(), file.unlock().unlocked());
        let resealed =
            copies.iter().filter(|(run, ..)| file.reseal_copy(run, bundle, &before, &after).map_err(note).is_ok());
        Ok(resealed.count())
    }
}

/// What must be there before the bundle is sealed to it; nobody else saves it meanwhile.
fn begin(file: &BundleFile, identity: Option<&PasswordIdentity>, copy: Option<&RunId>) -> Result<()> {
    if let Some(copy) = copy {
        file.sweep_copies();
        file.keep_copy(copy)?;
    }
    identity.map_or(Ok(()), PasswordIdentity::write_beside_former)
}

/// The bundle stays as it was, and so does what lies beside it.
fn take_back(file: &BundleFile, identity: Option<&PasswordIdentity>, copy: Option<&RunId>, shared: &Shared) {
    if let Some(error) = identity.and_then(|identity| identity.take_back().err()) {
        print_note(shared, &format!("note: {error}: the new password opens it, and the bundle"));
    }
    if let Some(copy) = copy {
        file.forget_copy(copy);
    }
}

fn same_password() -> Error {
    Error::new("that is the password that it has already; nothing was changed")
}

fn new_password(from: Option<&NewPassword>) -> Result<Secret> {
    if let Some(NewPassword::File(path)) = from {
        unlock::refuse_secret(path, "--new-password-file")?;
        let read = unlock::empty().password_file(path)?;
        return read
            .password()
            .cloned()
            .ok_or_else(|| Error::new(format!("{}: it holds an identity, not a password", path.display())));
    }
    let asked = |question: &str| {
        prompt::hidden(question).map_err(|error| error.hint("without a terminal: --new-password-file PATH"))
    };
    let password = asked("new password of the bundle")?;
    if password.is_empty() {
        return Err(Error::new("the password is empty; nothing was changed"));
    }
    match asked("the same again")? == password {
        true => Ok(password),
        false => Err(Error::new("the two are not the same; nothing was changed")),
    }
}
