//! Files in which others keep secrets, read: bytes come in, and values with the path of their keys and their line leave. What could be
//! meant in more than one way is told, not guessed. Nothing here knows the bundle; what opens a sealed data key is handed in.
//! [`Reading`] (what is in a source) · [`clear_env`] (env files, one for each [`EnvReader`]) · [`ansible`] (vaults) · [`sops`] ·
//! `yaml` and `json` make [`Node`](node::Node)s.

pub mod ansible;
pub mod clear_env;
mod entry;
mod env_reader;
mod go_text;
mod json;
mod node;
mod reading;
pub mod sops;
mod sops_lines;
mod sops_metadata;
mod sops_value;
mod sops_walk;
#[cfg(test)]
mod tests;
mod values;
mod vault;
mod yaml;

pub use entry::Entry;
pub use env_reader::EnvReader;
pub use reading::{Contents, Reading};
pub use vault::{VaultPassword, VaultPasswords};
