//! Files in which others keep secrets, read: bytes come in, and values with the path of their keys and their line leave. What could be
//! meant in more than one way is told, not guessed. Nothing here knows the bundle; what opens a sealed data key is handed in.
//! [`Reading`] (what is in a source) · [`clear_env`] (env files, a reader a [`Dialect`]) · [`ansible`] (vaults) · [`sops`] ·
//! `yaml` and `json` make [`Node`](node::Node)s.

pub mod ansible;
pub mod clear_env;
mod compose_lines;
mod dialect;
mod docker_lines;
mod dotenv_lines;
mod entry;
mod env_lines;
mod go_text;
mod json;
mod node;
mod reading;
mod shell_lines;
pub mod sops;
mod sops_lines;
mod sops_metadata;
mod sops_value;
mod sops_walk;
mod systemd_lines;
#[cfg(test)]
mod tests;
mod values;
mod vault;
mod yaml;

pub use dialect::Dialect;
pub use entry::Entry;
pub use reading::{Contents, Reading};
pub use vault::{VaultPassword, VaultPasswords};
