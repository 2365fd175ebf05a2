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

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escalation {
    None,
    Sudo,
    Doas,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connection {
    Ssh,
    Local,
}
