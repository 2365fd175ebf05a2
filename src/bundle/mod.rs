//! `secrets.age` as values. A sealed file and what unlocks it come in; what each host gets leaves, and after changes a new
//! sealed file that was opened and compared before it took the old one's place.
//! Inwards: [`BundleFile`] (the file) · `sealed` (age) · `archive` (the gzipped tar) · `layout` (what may lie in it) ·
//! `record` (bundle.toml) · [`EnvFile`] · [`Bundle`] (all of it as values).

#[cfg(test)]
mod age_vectors;
mod archive;
mod change;
mod clash;
mod copies;
mod difference;
mod documents;
mod enrolment;
mod env_file;
mod exposure;
mod file;
#[cfg(test)]
mod fixture;
mod guard;
mod history;
mod identity;
mod keys;
mod layout;
mod merge;
mod opened;
mod origin;
mod person;
mod private_file;
mod recipient;
mod record;
mod recovery;
mod rekey;
mod rename;
mod rotation;
mod sealed;
mod sealed_content;
mod unlock;

pub use change::{Change, What};
pub use copies::copies_beside;
pub use difference::{Changed, Difference};
pub use env_file::{EnvFile, MOST_KEYS};
pub use exposure::Exposure;
pub use file::{BundleFile, locked_identity, system_random};
pub use guard::{Finding, Guard, is_plain};
pub use history::Held;
pub use keys::NotOpened;
pub use layout::{Document, Item, Place, Scope, SecretName};
pub use merge::{Conflict, Merge, Merged, Side, merge};
pub use opened::{Bundle, Content, new_identity};
pub use origin::Origin;
pub use person::Person;
pub use private_file::read_private;
pub use recipient::Recipient;
pub use record::{Enrolment, Metadata};
pub use recovery::{BackupKey, Circumstances, Keepsake, Missing, Recovery, RemainingFile, Remains, Written};
pub use rotation::{OldValues, Revocation, Rotation, Turn};
pub use sealed::{identities, identity_text, is_age_file, seal_identity};
pub use sealed_content::{SealedContent, open_sealed, sealed_with};
pub use unlock::{OpenedBy, Unlock};
