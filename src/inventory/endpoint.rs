//! `Endpoint`: where a host is and how to log in there.

use crate::words::HostName;
use std::path::PathBuf;

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    pub host: HostName,
    pub address: String,
    pub port: u16,
    pub user: String,
    pub identity_file: Option<PathBuf>,
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
    None,
    Sudo,
    Doas,
}

impl Escalation {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Sudo => "sudo",
            Self::Doas => "doas",
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Ssh,
    Local,
}

impl Connection {
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Ssh => "ssh",
            Self::Local => "local",
        }
    }
}
