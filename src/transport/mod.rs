//! Bytes to a host and back: over SSH, or on this machine. This room knows neither plans nor secrets; it is given an
//! endpoint and means to log in, and gives a [`Connection`] that runs a command, or a [`Failure`] that names the phase
//! and what to do. Nothing here is retried: who comes back at once is what sshd's penalties are made for.

mod auth;
mod channel;
mod deadlines;
mod dial;
mod host_key;
mod known_hosts;
mod local;
mod login;
mod ssh;

pub use channel::{Channel, Output};
pub use deadlines::Deadlines;
pub use host_key::HostKeys;
pub use known_hosts::{KnownHosts, Verdict};
pub use login::{Login, LoginFiles};

use crate::inventory::{self, Endpoint};
use crate::words::{Failure, printable};

/// A way to a host, open and logged in. Dropping it cuts it.
pub struct Connection(Way);

enum Way {
    Ssh { session: Box<ssh::Session>, host_key: String },
    Local,
}

/// Connects and logs in, each phase within its deadline.
pub async fn connect(
    endpoint: &Endpoint,
    host_keys: &HostKeys,
    login: &Login,
    deadlines: &Deadlines,
) -> Result<Connection, Failure> {
    match endpoint.connection {
        inventory::Connection::Local => Ok(Connection(Way::Local)),
        inventory::Connection::Ssh => {
            let session = Box::new(ssh::Session::connect(endpoint, host_keys, login, deadlines).await?);
            let host_key = session.host_key().expect("a session is open only after its host key was accepted");
            Ok(Connection(Way::Ssh { session, host_key }))
        }
    }
}

impl Connection {
    /// The key that the server proved to have, as OpenSSH writes it: type and base64.
    pub fn host_key(&self) -> Option<&str> {
        match &self.0 {
            Way::Ssh { host_key, .. } => Some(host_key),
            Way::Local => None,
        }
    }

    /// Whom we speak with: `203.0.113.10:22`, or `local`.
    pub fn peer(&self) -> String {
        match &self.0 {
            Way::Ssh { session, .. } => session.peer().to_owned(),
            Way::Local => "local".to_owned(),
        }
    }

    /// How long a command the server takes.
    pub fn longest_command(&self) -> usize {
        match &self.0 {
            Way::Ssh { session, .. } => session.longest_command(),
            Way::Local => 128 * 1024 - 1,
        }
    }

    /// Starts a command. Over SSH the login shell reads it, here `/bin/sh` does.
    pub async fn exec(&mut self, command: &str) -> Result<Channel, Failure> {
        match &mut self.0 {
            Way::Ssh { session, .. } => session.exec(command).await,
            Way::Local => local::exec(command),
        }
    }

    /// Hangs up politely, in a second at most.
    pub async fn close(self) {
        if let Way::Ssh { session, .. } = self.0 {
            session.close().await;
        }
    }
}

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Connection({})", self.peer())
    }
}

/// Type and SHA-256 fingerprint of a host key as OpenSSH writes it, for people to compare.
pub fn fingerprint(key: &str) -> String {
    russh::keys::PublicKey::from_openssh(key)
        .map_or_else(|_| printable(key.as_bytes(), 100), |key| known_hosts::fingerprint(&key))
}

/// The command that tries the same way by hand.
fn paste_ssh(endpoint: &Endpoint) -> String {
    let key = endpoint.identity_file.as_ref().map(|path| format!("-i {} ", shell_word(&path.display().to_string())));
    let target = shell_word(&format!("{}@{}", endpoint.user, endpoint.address));
    format!("ssh -v {}-p {} {target} true", key.unwrap_or_default(), endpoint.port)
}

/// Text as one word of a shell, for commands that people paste.
fn shell_word(text: &str) -> String {
    let text = printable(text.as_bytes(), 4096);
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "@%+=:,./_-~".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) { text } else { format!("'{}'", text.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_of_a_shell_are_quoted_when_they_must_be() {
        for (text, word) in [("web1", "web1"), ("~/.ssh/id", "~/.ssh/id"), ("", "''"), ("a b", "'a b'")] {
            assert_eq!(shell_word(text), word);
        }
        assert_eq!(shell_word("it's $(x)"), r"'it'\''s $(x)'");
        assert!(!shell_word("\u{1b}[31m").contains('\u{1b}'));
    }
}
