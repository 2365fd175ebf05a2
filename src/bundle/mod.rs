//! `secrets.age` as values. A sealed file and what unlocks it come in; what each host gets leaves, and after changes a new
//! sealed file that was opened and compared before it took the old one's place.
//! Inwards: [`BundleFile`] (the file) · `sealed` (age) · `archive` (the gzipped tar) · `layout` (what may lie in it) ·
//! `record` (bundle.toml) · [`EnvFile`] · [`Bundle`] (all of it as values).

#[cfg(test)]
mod age_vectors;
mod archive;
mod copies;
mod documents;
mod enrolment;
mod env_file;
mod exposure;
mod file;
#[cfg(test)]
mod fixture;
mod history;
mod identity;
mod keys;
mod layout;
mod opened;
mod origin;
mod person;
mod private_file;
mod recipient;
mod record;
mod recovery;
mod rekey;
mod rotation;
mod sealed;
mod unlock;

pub use copies::copies_beside;
pub use env_file::EnvFile;
pub use exposure::Exposure;
pub use file::{BundleFile, system_random};
pub use keys::NotOpened;
pub use layout::{Document, Item, Place, Scope, SecretName};
pub use opened::{Bundle, Content, new_identity};
pub use origin::Origin;
pub use person::Person;
pub use recipient::Recipient;
pub use record::{Enrolment, Metadata};
pub use recovery::{BackupKey, Circumstances, Keepsake, Missing, Recovery, RemainingFile, Remains};
pub use rotation::{OldValues, Revocation, Rotation, Turn};
pub use sealed::{identities, identity_text, seal_identity};
pub use unlock::{OpenedBy, Unlock};
