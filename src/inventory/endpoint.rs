//! `Endpoint`: where a host is and how to log in there.

use crate::words::HostName;
use std::path::PathBuf;

/// One host's address and login, as resolved.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: HostName,
    /// A name or an IP address, IPv6 without brackets.
    pub address: String,
    pub port: u16,
    pub user: String,
    /// The private key to log in with; `None` leaves it to ssh-agent and the default files.
    pub identity_file: Option<PathBuf>,
    /// `[user@]host[:port]`, several with commas; connecting refuses it so far.
    pub jump: Option<String>,
    pub escalation: Escalation,
    pub connection: Connection,
}

impl Endpoint {
    /// `203.0.113.10:22`, `[2001:db8::1]:22`.
    pub fn socket(&self) -> String {
        match self.address.contains(':') {
            true => format!("[{}]:{}", self.address, self.port),
            false => format!("{}:{}", self.address, self.port),
        }
    }
}

/// How the login user becomes root: the inventory's `become`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    /// The login user stays who it is.
    None,
    Sudo,
    Doas,
}

impl Escalation {
    /// The word in the inventory.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sudo => "sudo",
            Self::Doas => "doas",
        }
    }
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Ssh,
    /// This machine, without ssh.
    Local,
}

impl Connection {
    /// The word in the inventory.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Local => "local",
        }
    }
}
