//! `Fleet`: throw-away SSH hosts in this process. Each is a directory with an address and a host key of its own; one client key
//! is let in and may run commands, as this user and in that directory. Everything else is refused. Dropping it ends what runs.

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use russh::keys::ssh_key::LineEnding;
use russh::keys::ssh_key::private::Ed25519Keypair;
use russh::keys::{PrivateKey, PublicKey};
use russh::server::{self, Auth, ChannelOpenHandle, Config, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, ChannelMsg, ChannelReadHalf, MethodKind, MethodSet};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{self, Error, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpStream};
use tokio::process::{ChildStdin, Command};

pub struct Fleet {
    pub hosts: Vec<Host>,
    running: Running,
}

pub struct Host {
    pub name: String,
    pub address: String,
    pub port: u16,
    /// What is the whole machine elsewhere.
    pub directory: PathBuf,
}

/// The process groups of the commands that run now.
type Running = Arc<Mutex<BTreeSet<i32>>>;

impl Fleet {
    /// Starts a host for each name below `directory`. The client key and known_hosts go to `home/.ssh`.
    pub async fn start(names: &[String], directory: &Path, home: &Path) -> io::Result<Self> {
        let ssh = home.join(".ssh");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&ssh)?;
        let client = new_key()?;
        write_private(&ssh.join("id_ed25519"), client.to_openssh(LineEnding::LF).map_err(Error::other)?.as_bytes())?;
        let (mut fleet, mut known_hosts) = (Self { hosts: Vec::new(), running: Running::default() }, String::new());
        for (number, name) in names.iter().enumerate() {
            let host_key = new_key()?;
            let (host, listener) = new_host(name, number, directory).await?;
            known_hosts += &format!(
                "[{}]:{} {}\n",
                host.address,
                host.port,
                host_key.public_key().to_openssh().map_err(Error::other)?
            );
            let door = Door {
                key: Arc::new(client.public_key().clone()),
                directory: host.directory.clone(),
                running: fleet.running.clone(),
                channels: HashMap::new(),
            };
            tokio::spawn(listen(listener, Arc::new(config(host_key)), door));
            fleet.hosts.push(host);
        }
        write_private(&ssh.join("known_hosts"), known_hosts.as_bytes())?;
        Ok(fleet)
    }
}

impl Drop for Fleet {
    fn drop(&mut self) {
        for group in self.running.lock().expect("nobody panics with it").iter() {
            let _ = killpg(Pid::from_raw(*group), Signal::SIGKILL);
        }
    }
}

async fn new_host(name: &str, number: usize, directory: &Path) -> io::Result<(Host, TcpListener)> {
    let directory = directory.join(name);
    fs::DirBuilder::new().mode(0o700).create(&directory)?;
    // Linux answers on all of 127/8, so each host has an address of its own; elsewhere only the port differs.
    let [.., high, low] = std::process::id().to_be_bytes();
    let own = format!("127.{}.{}.{}", high % 200 + 20, low, number % 250 + 1);
    let listener = match TcpListener::bind((own.as_str(), 0)).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind(("127.0.0.1", 0)).await?,
    };
    let socket = listener.local_addr()?;
    Ok((Host { name: name.to_owned(), address: socket.ip().to_string(), port: socket.port(), directory }, listener))
}

fn new_key() -> io::Result<PrivateKey> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(Error::other)?;
    Ok(Ed25519Keypair::from_seed(&seed).into())
}

pub fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?.write_all(content)
}

fn config(host_key: PrivateKey) -> Config {
    Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        nodelay: true,
        ..Config::default()
    }
}

async fn listen(listener: TcpListener, config: Arc<Config>, door: Door) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(serve(stream, config.clone(), door.clone()));
    }
}

async fn serve(stream: TcpStream, config: Arc<Config>, door: Door) {
    // How a connection ends is told by its client.
    if let Ok(session) = server::run_stream(config, stream, door).await {
        let _ = session.await;
    }
}

/// What one connection may do.
struct Door {
    key: Arc<PublicKey>,
    directory: PathBuf,
    running: Running,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl Clone for Door {
    /// For the next connection, which has no channels yet.
    fn clone(&self) -> Self {
        Self {
            key: self.key.clone(),
            directory: self.directory.clone(),
            running: self.running.clone(),
            channels: HashMap::new(),
        }
    }
}

impl server::Handler for Door {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, shown: VerifiedPublicKey<'_>) -> Result<Auth, russh::Error> {
        let is_ours = shown.public_key.key_data() == self.key.key_data();
        Ok(if is_ours { Auth::Accept } else { Auth::reject() })
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), russh::Error> {
        self.channels.insert(channel.id(), channel);
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), russh::Error> {
        let Some(channel) = self.channels.remove(&id) else { return session.channel_failure(id) };
        let command = String::from_utf8_lossy(command).into_owned();
        tokio::spawn(run(command, channel, self.directory.clone(), self.running.clone()));
        session.channel_success(id)
    }

    async fn shell_request(&mut self, id: ChannelId, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }

    async fn subsystem_request(&mut self, id: ChannelId, _: &str, session: &mut Session) -> Result<(), russh::Error> {
        session.channel_failure(id)
    }
}

/// Runs a command with the channel as its stdin, stdout and stderr, in a process group of its own that ends with the channel.
async fn run(command: String, channel: Channel<Msg>, directory: PathBuf, running: Running) {
    let (input, output) = channel.split();
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(command).current_dir(&directory).process_group(0).kill_on_drop(true);
    shell.env_clear().env("HOME", &directory).env("PATH", "/usr/local/bin:/usr/bin:/bin");
    let Ok(mut child) = shell.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() else {
        let _ = output.close().await;
        return;
    };
    let group = child.id().map_or(0, |id| id as i32);
    running.lock().expect("nobody panics with it").insert(group);
    let stdin = child.stdin.take().expect("it is piped");
    let (mut out, mut err) = (child.stdout.take().expect("it is piped"), child.stderr.take().expect("it is piped"));
    let (mut to_out, mut to_err) = (output.make_writer(), output.make_writer_ext(Some(1)));
    let ended = async {
        let _ = tokio::join!(tokio::io::copy(&mut out, &mut to_out), tokio::io::copy(&mut err, &mut to_err));
        child.wait().await
    };
    tokio::select! {
        status = ended => {
            let _ = output.exit_status(status.map_or(255, exit_code)).await;
            let _ = output.eof().await;
            let _ = output.close().await;
        }
        () = feed(input, stdin) => {}
    }
    let _ = killpg(Pid::from_raw(group), Signal::SIGKILL);
    running.lock().expect("nobody panics with it").remove(&group);
}

fn exit_code(status: ExitStatus) -> u32 {
    status.code().map_or(255, |code| code as u32)
}

/// Hands on what the client sends, until it hangs up.
async fn feed(mut input: ChannelReadHalf, stdin: ChildStdin) {
    let mut stdin = Some(stdin);
    while let Some(message) = input.wait().await {
        stdin = match (message, stdin) {
            (ChannelMsg::Close, _) => return,
            (ChannelMsg::Eof, _) => None,
            // A command need not read it all.
            (ChannelMsg::Data { data }, Some(mut open)) => open.write_all(&data).await.is_ok().then_some(open),
            (_, stdin) => stdin,
        }
    }
}
