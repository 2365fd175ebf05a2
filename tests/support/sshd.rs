//! A real sshd, and a real ssh-agent, on this machine for the length of a test. Each has a directory, keys and an
//! address of its own, answers when `start` returns, and is gone when dropped.
#![allow(dead_code, reason = "each test file uses a part")]

use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub struct Sshd {
    dir: TempDir,
    child: Child,
    pub address: String,
    pub port: u16,
    pub user: String,
}

impl Sshd {
    /// An sshd with one ed25519 host key that lets `self.key()` in. `extra` are lines of sshd_config; the first
    /// value of a keyword counts, so they win.
    pub fn start(extra: &[&str]) -> Self {
        Self::start_with_host_keys(&["ed25519"], extra)
    }

    pub fn start_with_host_keys(types: &[&str], extra: &[&str]) -> Self {
        let dir = directory();
        let path = |name: &str| dir.path().join(name).display().to_string();
        let (address, port) = free_port();
        let mut config = extra.join("\n") + "\n";
        for kind in types {
            make_key(&dir.path().join(format!("host_{kind}")), kind, "");
            config += &format!("HostKey {}\n", path(&format!("host_{kind}")));
        }
        let public = make_key(&dir.path().join("user_key"), "ed25519", "");
        fs::write(path("authorized_keys"), public).unwrap();
        config += &format!(
            "ListenAddress {address}\nPort {port}\nPidFile none\nAuthorizedKeysFile {}\nStrictModes no\nUsePAM no\n\
             PermitRootLogin yes\nPasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 1000\n\
             LogLevel VERBOSE\nPrintMotd no\nSetEnv SHLVL=5\nSubsystem sftp internal-sftp\n",
            path("authorized_keys"),
        ); // SHLVL keeps bash from reading its startup files
        if nix::unistd::Uid::effective().is_root() {
            fs::create_dir_all("/run/sshd").unwrap(); // where sshd shuts its children in
        }
        let child = spawn_sshd(dir.path(), &config);
        let user = nix::unistd::User::from_uid(nix::unistd::Uid::effective()).unwrap().unwrap().name;
        let mut sshd = Self { dir, child, address, port, user };
        sshd.wait_for_banner();
        sshd
    }

    fn wait_for_banner(&mut self) {
        wait_for("the banner of sshd", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("sshd ended with {status}: {}", self.log());
            }
            reads_banner(&self.address, self.port)
        });
    }

    pub fn path(&self) -> &Path {
        self.dir.path()
    }

    /// The private key that is let in.
    pub fn key(&self) -> PathBuf {
        self.path().join("user_key")
    }

    /// The public host key: type and base64.
    pub fn host_key(&self) -> String {
        self.host_key_of("ed25519")
    }

    pub fn host_key_of(&self, kind: &str) -> String {
        without_comment(&fs::read_to_string(self.path().join(format!("host_{kind}.pub"))).unwrap())
    }

    /// Lets in another key; `options` may be a forced command.
    pub fn authorize(&self, options: &str, public: &str) {
        let file = self.path().join("authorized_keys");
        let line = format!("{options} {}\n", public.trim());
        fs::write(&file, fs::read_to_string(&file).unwrap() + line.trim_start()).unwrap();
    }

    /// Lets in nobody.
    pub fn lock_out(&self) {
        fs::write(self.path().join("authorized_keys"), "").unwrap();
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.path().join("log")).unwrap()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn_sshd(dir: &Path, config: &str) -> Child {
    fs::write(dir.join("sshd_config"), config).unwrap();
    let log = fs::File::create(dir.join("log")).unwrap();
    Command::new("/usr/sbin/sshd")
        .args(["-D", "-e", "-f"])
        .arg(dir.join("sshd_config"))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(log)
        .spawn()
        .unwrap()
}

/// Dropbear, for what is not OpenSSH.
pub struct Dropbear {
    dir: TempDir,
    child: Child,
    pub address: String,
    pub port: u16,
    pub host_key: String,
}

impl Dropbear {
    /// Lets root in with `public`. Dropbear reads `~/.ssh/authorized_keys` and nothing else, so it runs in a mount
    /// namespace where root's home is ours; `None` where that is not allowed.
    pub fn start(public: &str) -> Option<Self> {
        if !nix::unistd::Uid::effective().is_root() {
            return None;
        }
        let dir = directory();
        let (address, port) = free_port();
        let key = dir.path().join("host_key");
        let made = Command::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(&key).output().ok()?;
        let text = String::from_utf8(made.stdout).unwrap();
        let host_key = without_comment(text.lines().find(|line| line.starts_with("ssh-ed25519 "))?);
        let home = dir.path().join("home");
        fs::create_dir_all(home.join(".ssh")).unwrap();
        fs::write(home.join(".ssh/authorized_keys"), public).unwrap();
        fs::write(dir.path().join("passwd"), format!("root:x:0:0:root:{}:/bin/sh\n", home.display())).unwrap();
        let child = Command::new("unshare")
            .args(["-m", "sh", "-c"])
            .arg("mount --bind \"$1/passwd\" /etc/passwd && exec /usr/sbin/dropbear -F -E -s -P /dev/null -r \"$2\" -p \"$3\"")
            .arg("sh")
            .arg(dir.path())
            .arg(&key)
            .arg(format!("{address}:{port}"))
            .stdin(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .ok()?;
        let mut dropbear = Self { dir, child, address, port, host_key };
        let mut has_ended = false;
        wait_for("the banner of dropbear", || {
            has_ended = dropbear.child.try_wait().unwrap().is_some();
            has_ended || reads_banner(&dropbear.address, dropbear.port)
        });
        if has_ended { None } else { Some(dropbear) }
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Dropbear {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A real ssh-agent that holds `keys`.
pub struct Agent {
    dir: TempDir,
    child: Child,
}

impl Agent {
    pub fn start(keys: &[&Path]) -> Self {
        let dir = directory();
        let socket = dir.path().join("agent");
        let child = Command::new("ssh-agent").args(["-D", "-a"]).arg(&socket).stdout(Stdio::null()).spawn().unwrap();
        let agent = Self { dir, child };
        wait_for("ssh-agent", || UnixStream::connect(agent.socket()).is_ok());
        for key in keys {
            let mut add = Command::new("ssh-add");
            let added =
                add.arg("-q").arg(key).env("SSH_AUTH_SOCK", agent.socket()).stdin(Stdio::null()).output().unwrap();
            assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
        }
        agent
    }

    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("agent")
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Makes a key pair and gives its public half.
pub fn make_key(path: &Path, kind: &str, passphrase: &str) -> String {
    let mut keygen = Command::new("ssh-keygen");
    let made = keygen.args(["-q", "-t", kind, "-N", passphrase, "-C", "a test", "-f"]).arg(path).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    fs::read_to_string(path.with_extension("pub")).unwrap()
}

/// Lets an authority sign a key for a user; the certificate lies beside the key.
pub fn certify(key: &Path, authority: &Path, user: &str) {
    let mut keygen = Command::new("ssh-keygen");
    let signed = keygen.args(["-q", "-I", "a test", "-n", user, "-s"]).arg(authority).arg(key.with_extension("pub"));
    let signed = signed.output().unwrap();
    assert!(signed.status.success(), "{}", String::from_utf8_lossy(&signed.stderr));
}

/// Takes the passphrase off a key.
pub fn unlock_key(path: &Path, passphrase: &str) {
    let mut keygen = Command::new("ssh-keygen");
    let done = keygen.args(["-q", "-p", "-P", passphrase, "-N", "", "-f"]).arg(path).output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
}

/// `type base64`, as the bundle pins it.
pub fn without_comment(public: &str) -> String {
    public.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
}

/// An address in 127/8 that only this test uses, and a port there that no outgoing connection is given.
pub fn free_port() -> (String, u16) {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let [.., high, low] = std::process::id().to_be_bytes();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    let address = format!("127.{}.{low}.{}", high % 200 + 20, number % 250 + 1);
    let mut ports = 20_000 + number..30_000;
    let port = ports.find(|port| TcpListener::bind((address.as_str(), *port)).is_ok()).unwrap();
    (address, port)
}

pub fn directory() -> TempDir {
    tempfile::Builder::new().prefix("distribute-test-").tempdir().unwrap()
}

/// Waits for a condition, for half a minute at most.
#[track_caller]
pub fn wait_for(what: &str, mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(30);
    while !is_true() {
        assert!(Instant::now() < end, "waited half a minute for {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

fn reads_banner(address: &str, port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((address, port)) else { return false };
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-"
}
