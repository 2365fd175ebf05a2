//! What we log in with: key files, ssh-agent, and what unlocks the keys. Collected once for all hosts.

use super::unlock::ssh_passphrase;
use crate::bundle::Unlock;
use crate::inventory::Host;
use crate::transport::{Login, LoginFiles};
use crate::words::{Result, Secret};
use std::path::PathBuf;

/// The keys that the hosts name, those in `~/.ssh`, and the agent. A locked key is tried with the passphrase in
/// `DISTRIBUTE_SSH_PASSPHRASE_FILE` and with the bundle's password; each try takes a third of a second.
pub fn gather<'a>(hosts: impl Iterator<Item = &'a Host>, unlock: &Unlock) -> Result<Login> {
    let mut identity_files: Vec<PathBuf> = hosts.filter_map(|host| host.endpoint.identity_file.clone()).collect();
    identity_files.sort();
    identity_files.dedup();
    let home = std::env::var_os("HOME").map(PathBuf::from);
    let defaults = ["id_ed25519", "id_ecdsa", "id_rsa"];
    let default_files =
        home.map(|home| defaults.iter().map(|name| home.join(".ssh").join(name)).collect()).unwrap_or_default();
    Login::gather(LoginFiles {
        agent: std::env::var_os("SSH_AUTH_SOCK").filter(|path| !path.is_empty()).map(PathBuf::from),
        identity_files,
        default_files,
        passphrases: passphrases(unlock)?,
    })
}

fn passphrases(unlock: &Unlock) -> Result<Vec<Secret>> {
    let mut passphrases: Vec<Secret> = ssh_passphrase()?.into_iter().collect();
    passphrases.extend(unlock.password().cloned());
    Ok(passphrases)
}
