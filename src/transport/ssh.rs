//! An SSH session over a stream: the algorithms, the handler that russh asks, and the handshake with its deadline.

use super::channel::{self, Channel};
use super::deadlines::shown;
use super::dial::{Dialled, Greeting, Scissors, dial, told};
use super::host_key::{HostKeys, Judge};
use super::{Deadlines, Login, auth};
use crate::inventory::Endpoint;
use crate::words::{Failure, Phase, printable};
use russh::client::{self, ChannelOpenHandle, DisconnectReason, Handle, Msg};
use russh::keys::{Algorithm, PublicKeyOrCertificate};
use russh::{Disconnect, Error, Preferred, SshId, cipher, compression, kex};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::BufReader;
use tokio::time::timeout;

/// Reading through a buffer saves one call of the kernel for each packet.
const BUFFER: usize = 16 * 1024;
/// dropbear hangs up ("String too long") on more than MAX_CMD_LEN, 9000 in its sysoptions.h.
const DROPBEAR_COMMAND: usize = 8900;
/// sshd hands the command to the login shell as one argument, of which Linux takes 128 KiB.
const OPENSSH_COMMAND: usize = 128 * 1024 - 1;
const GOODBYE: Duration = Duration::from_secs(1);

/// An SSH connection, logged in.
pub(super) struct Session {
    handle: Handle<Guard>,
    notes: Arc<Notes>,
    open: Duration,
    longest_command: usize,
    // Dropped last: whatever the session still waits for ends here.
    _scissors: Scissors,
}

/// What the handler learns on the session's own task, for those who wait outside.
pub(super) struct Notes {
    peer: String,
    refusal: Mutex<Option<Failure>>,
    host_key: Mutex<Option<String>>,
    farewell: Mutex<Option<String>>,
}

impl Notes {
    fn new(peer: String) -> Self {
        Self { peer, refusal: Mutex::default(), host_key: Mutex::default(), farewell: Mutex::default() }
    }

    /// The address and port at the other end.
    pub fn peer(&self) -> &str {
        &self.peer
    }

    /// What the server said when it hung up.
    pub fn farewell(&self) -> Option<String> {
        read(&self.farewell)
    }
}

fn read<T: Clone>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().expect("nobody panics while holding this lock").clone()
}

fn write<T>(slot: &Mutex<Option<T>>, value: T) {
    *slot.lock().expect("nobody panics while holding this lock") = Some(value);
}

/// Answers russh. It runs on the session's task, so it only compares and notes.
pub(super) struct Guard {
    judge: Judge,
    notes: Arc<Notes>,
}

impl Session {
    /// Connects, checks the host key and logs in.
    pub async fn connect(
        endpoint: &Endpoint,
        host_keys: &HostKeys,
        login: &Login,
        deadlines: &Deadlines,
    ) -> Result<Self, Failure> {
        let judge = Judge::new(endpoint, host_keys)?;
        auth::check(endpoint, login)?;
        let dialled = dial(endpoint, deadlines).await?;
        let mut session = Self::over(dialled, judge, deadlines).await?;
        auth::authenticate(&mut session.handle, endpoint, login, deadlines.auth, &session.notes).await?;
        Ok(session)
    }

    /// Shakes hands over a stream, wherever it comes from.
    async fn over(dialled: Dialled, judge: Judge, deadlines: &Deadlines) -> Result<Self, Failure> {
        let Dialled { wire, scissors, peer, greeting } = dialled;
        let notes = Arc::new(Notes::new(peer.to_string()));
        let config = Arc::new(config(judge.preferred()));
        let guard = Guard { judge, notes: notes.clone() };
        let stream = BufReader::with_capacity(BUFFER, wire);
        match timeout(deadlines.handshake, client::connect_stream(config, stream, guard)).await {
            Ok(Ok(handle)) => {
                let longest_command = if greeting.is_dropbear() { DROPBEAR_COMMAND } else { OPENSSH_COMMAND };
                Ok(Self { handle, notes, open: deadlines.open, longest_command, _scissors: scissors })
            }
            Ok(Err(e)) => Err(read(&notes.refusal).unwrap_or_else(|| broken(&notes.peer, &e, &greeting))),
            Err(_) => Err(silent(&notes.peer, deadlines.handshake, &greeting)),
        }
    }

    /// The address and port at the other end.
    pub fn peer(&self) -> &str {
        &self.notes.peer
    }

    /// The key that the host proved to have, as OpenSSH writes it.
    pub fn host_key(&self) -> Option<String> {
        read(&self.notes.host_key)
    }

    /// The longest command that this server takes, in bytes.
    pub fn longest_command(&self) -> usize {
        self.longest_command
    }

    /// Starts a command; the user's login shell reads it.
    pub async fn exec(&mut self, command: &str) -> Result<Channel, Failure> {
        let opening = async {
            let channel = self.handle.channel_open_session().await?;
            let (reader, writer) = channel.split();
            writer.exec(true, command).await?; // wanting the answer costs no round trip: nobody waits for it
            Ok::<_, Error>((reader, writer))
        };
        let failure =
            |why: String| Failure::new(Phase::Exec, format!("{} did not run the command: {why}", self.peer()));
        match timeout(self.open, opening).await {
            Ok(Ok((reader, writer))) => {
                Ok(Channel::spawn(|input, mouth, gone| channel::pump(reader, writer, input, mouth, gone)))
            }
            Ok(Err(e)) => Err(failure(self.notes.farewell().unwrap_or_else(|| reason(&e)))),
            Err(_) => Err(failure(format!("no answer to opening a channel within {}", shown(self.open)))),
        }
    }

    /// Says goodbye, and waits a moment for the server to hang up.
    pub async fn close(self) {
        let Self { mut handle, _scissors, .. } = self;
        let _ = timeout(GOODBYE, async {
            let _ = handle.disconnect(Disconnect::ByApplication, "", "").await;
            let _ = (&mut handle).await;
        })
        .await;
    }
}

fn config(host_key_types: Vec<Algorithm>) -> client::Config {
    client::Config {
        client_id: SshId::Standard(concat!("SSH-2.0-distribute_", env!("CARGO_PKG_VERSION")).into()),
        // Both: keepalives are not sent while the socket is blocked, and count as life only when answered.
        keepalive_interval: Some(Duration::from_secs(15)),
        keepalive_max: 3,
        inactivity_timeout: Some(Duration::from_secs(60)),
        channel_buffer_size: 32,
        preferred: Preferred {
            kex: vec![
                kex::MLKEM768X25519_SHA256,
                kex::CURVE25519,
                kex::CURVE25519_PRE_RFC_8731,
                kex::DH_G16_SHA512,
                kex::DH_G18_SHA512,
                kex::DH_G14_SHA256,
                // Without these two in the list, the server's signature types and the guard against Terrapin are lost.
                kex::EXTENSION_SUPPORT_AS_CLIENT,
                kex::EXTENSION_OPENSSH_STRICT_KEX_AS_CLIENT,
            ]
            .into(),
            cipher: vec![cipher::AES_256_GCM, cipher::CHACHA20_POLY1305, cipher::AES_256_CTR, cipher::AES_128_CTR]
                .into(),
            key: host_key_types.into(),
            compression: vec![compression::NONE].into(),
            ..Preferred::DEFAULT
        },
        ..client::Config::default()
    }
}

const PENALTIES: &str = "sshd may be penalising this address (PerSourcePenalties) or have too many logins at once \
                         (MaxStartups): wait a minute, use fewer --forks, or exempt this machine on the server \
                         (PerSourcePenaltyExemptList)";

fn broken(peer: &str, error: &Error, greeting: &Greeting) -> Failure {
    let failure = |what: String| Failure::new(Phase::Connect, format!("{peer} {what}"));
    if let Some(words) = greeting.words() {
        let hint = "is this the port of sshd? if so: ".to_owned() + PENALTIES;
        return failure(format!("is not speaking SSH, it said: {words}")).hint(hint);
    }
    if greeting.is_silence() {
        return failure(format!("hung up before saying anything ({})", reason(error))).hint(PENALTIES);
    }
    match error {
        Error::NoCommonAlgo { kind, ours, theirs } => failure(format!(
            "has no {} that we take: it has {}; we take {}",
            match kind {
                russh::AlgorithmKind::Kex => "key exchange",
                russh::AlgorithmKind::Key => "type of host key",
                russh::AlgorithmKind::Cipher => "cipher",
                russh::AlgorithmKind::Compression => "compression",
                russh::AlgorithmKind::Mac => "MAC",
            },
            printable(theirs.join(", ").as_bytes(), 400),
            ours.join(", "),
        ))
        .hint("update the server's OpenSSH, or allow one of ours in its sshd_config"),
        _ => failure(format!("broke off the handshake: {}", reason(error))).hint(PENALTIES),
    }
}

fn silent(peer: &str, limit: Duration, greeting: &Greeting) -> Failure {
    let what = match greeting.words() {
        Some(words) => format!("is not speaking SSH, it said: {words}; nothing else came"),
        None if greeting.has_banner() => "said hello and then nothing more".to_owned(),
        None => "took the connection and said nothing".to_owned(),
    };
    Failure::new(Phase::Connect, format!("{peer} {what} within {} (handshake)", shown(limit)))
        .hint("is this the port of sshd, and is the machine overloaded?")
}

fn reason(error: &Error) -> String {
    match error {
        Error::IO(e) => told(e),
        Error::Disconnect | Error::HUP | Error::SendError | Error::RecvError => "the connection was closed".into(),
        other => printable(other.to_string().as_bytes(), 200),
    }
}

/// A server has no business opening channels to us: dropping the handle refuses.
macro_rules! refuse {
    ($($name:ident($($type:ty),*)),* $(,)?) => {$(
        #[allow(clippy::too_many_arguments, reason = "the trait's shape")]
        async fn $name(
            &mut self,
            _: russh::Channel<Msg>,
            $(_: $type,)*
            reply: ChannelOpenHandle,
            _: &mut client::Session,
        ) -> Result<(), Error> {
            drop(reply);
            Ok(())
        }
    )*};
}

impl client::Handler for Guard {
    type Error = Error;

    async fn check_server_key(&mut self, shown: &PublicKeyOrCertificate) -> Result<bool, Error> {
        let key = shown.public_key();
        match self.judge.check(&key) {
            Ok(()) => {
                write(&self.notes.host_key, key.to_openssh()?);
                Ok(true)
            }
            Err(failure) => {
                write(&self.notes.refusal, failure);
                Ok(false)
            }
        }
    }

    async fn disconnected(&mut self, reason: DisconnectReason<Error>) -> Result<(), Error> {
        match reason {
            DisconnectReason::ReceivedDisconnect(words) => {
                write(&self.notes.farewell, printable(words.message.as_bytes(), 200));
                Ok(())
            }
            DisconnectReason::Error(e) => Err(e),
        }
    }

    refuse!(
        server_channel_open_forwarded_tcpip(&str, u32, &str, u32),
        server_channel_open_forwarded_streamlocal(&str),
        server_channel_open_agent_forward(),
        server_channel_open_unknown(),
        server_channel_open_session(),
        server_channel_open_direct_tcpip(&str, u32, &str, u32),
        server_channel_open_direct_streamlocal(&str),
        server_channel_open_x11(&str, u32),
    );
}
