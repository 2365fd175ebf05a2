//! Short words for opening a connection to a test's server and running a command there.
#![allow(dead_code, reason = "each test file uses a part")]

use super::sshd::Sshd;
use bytes::Bytes;
use distribute::inventory::{self, Endpoint, Escalation};
use distribute::transport::{Connection, Deadlines, HostKeys, KnownHosts, Login, LoginFiles, Output, connect};
use distribute::words::{Failure, HostName, Secret};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

/// The keys that a host is shown.
pub struct Keys {
    pub named: Option<PathBuf>,
    files: LoginFiles,
}

impl Keys {
    pub fn none() -> Self {
        let files =
            LoginFiles { agent: None, identity_files: Vec::new(), default_files: Vec::new(), passphrases: Vec::new() };
        Self { named: None, files }
    }

    /// The host's own `identity_file`.
    pub fn file(path: &Path) -> Self {
        let mut keys = Self::none();
        keys.named = Some(path.to_owned());
        keys.files.identity_files.push(path.to_owned());
        keys
    }

    pub fn default(mut self, path: &Path) -> Self {
        self.files.default_files.push(path.to_owned());
        self
    }

    pub fn agent(mut self, socket: &Path) -> Self {
        self.files.agent = Some(socket.to_owned());
        self
    }

    pub fn passphrases(mut self, texts: &[&str]) -> Self {
        self.files.passphrases = texts.iter().map(|text| Secret::new(text.as_bytes())).collect();
        self
    }

    pub fn login(self) -> Login {
        Login::gather(self.files).unwrap()
    }
}

/// The inventory's `web1`, which is this sshd and names its key.
pub fn endpoint(sshd: &Sshd) -> Endpoint {
    endpoint_at(&sshd.address, sshd.port, &sshd.user, Some(&sshd.key()))
}

pub fn endpoint_at(address: &str, port: u16, user: &str, identity_file: Option<&Path>) -> Endpoint {
    Endpoint {
        host: HostName::new("web1").unwrap(),
        address: address.to_owned(),
        port,
        user: user.to_owned(),
        identity_file: identity_file.map(Path::to_owned),
        jump: None,
        escalation: Escalation::None,
        connection: inventory::Connection::Ssh,
    }
}

pub fn known(content: &str, accept_new: bool) -> HostKeys {
    let dir = super::sshd::directory();
    let file = dir.path().join("known_hosts");
    std::fs::write(&file, content).unwrap();
    HostKeys::Known { known: Arc::new(KnownHosts::load(&[file]).unwrap()), accept_new }
}

/// Connects with the right host key pinned.
pub async fn open(sshd: &Sshd, keys: Keys) -> Result<Connection, Failure> {
    let endpoint = endpoint_at(&sshd.address, sshd.port, &sshd.user, keys.named.as_deref());
    let pinned = HostKeys::Pinned(vec![sshd.host_key()]);
    connect(&endpoint, &pinned, &keys.login(), &Deadlines::default()).await
}

#[derive(Debug, Default)]
pub struct Ran {
    pub out: Vec<u8>,
    pub err: Vec<u8>,
    pub exit: Option<u32>,
    pub signal: Option<String>,
    pub is_refused: bool,
}

impl Ran {
    pub fn out(&self) -> &str {
        std::str::from_utf8(&self.out).unwrap()
    }

    pub fn err(&self) -> &str {
        std::str::from_utf8(&self.err).unwrap()
    }
}

/// Runs a command to its end with this input.
pub async fn run(connection: &mut Connection, command: &str, input: &[u8]) -> Ran {
    let mut channel = connection.exec(command).await.unwrap();
    channel.send(Bytes::copy_from_slice(input));
    channel.finish();
    let mut ran = Ran::default();
    while let Some(output) = channel.next().await {
        match output {
            Output::Stdout(bytes) => ran.out.extend_from_slice(&bytes),
            Output::Stderr(bytes) => ran.err.extend_from_slice(&bytes),
            Output::Exit(code) => ran.exit = Some(code),
            Output::Signal(name) => ran.signal = Some(name),
            Output::Refused => ran.is_refused = true,
        }
    }
    ran
}

/// The story ends within a minute, or the test fails.
pub async fn within<T>(story: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), story).await.expect("the story did not end within a minute")
}
