//! A host of its own: a real OpenSSH server (or dropbear with nothing but busybox) in its own mount, UTS and pid
//! namespaces, with its own /opt, /tmp, /home, /root, /run and /etc, and its own loopback address. It answers when
//! `start` returns, is looked into through /proc/PID/root, and is gone, with everything it runs, when dropped.
#![allow(dead_code, reason = "each test file uses a part")]

use super::sshd::{make_key, wait_for, without_comment};
use nix::sys::signal::Signal;
use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use tempfile::TempDir;

/// An unprivileged user whom every host knows.
pub const DEPLOY: u32 = 4711;

/// What is particular about a host.
#[derive(Clone)]
pub struct Spec {
    pub port: u16,
    /// Lines of sshd_config; the first value of a keyword counts.
    pub sshd: Vec<String>,
    /// Run as root in the host's namespaces before its server starts.
    pub script: String,
    /// Mount options of /opt.
    pub opt: &'static str,
    pub address: Option<String>,
    pub is_busybox: bool,
}

impl Default for Spec {
    fn default() -> Self {
        let (sshd, script) = (Vec::new(), String::new());
        Self { port: 22, sshd, script, opt: "mode=755", address: None, is_busybox: false }
    }
}

impl Spec {
    pub fn script(mut self, lines: &str) -> Self {
        self.script += lines;
        self.script += "\n";
        self
    }

    pub fn sshd(mut self, line: &str) -> Self {
        self.sshd.push(line.to_owned());
        self
    }

    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    pub fn opt(mut self, options: &'static str) -> Self {
        self.opt = options;
        self
    }

    pub fn busybox() -> Self {
        Self { is_busybox: true, ..Self::default() }
    }

    /// The deploy user becomes root with sudo under this rule.
    pub fn sudo(self, rule: &str) -> Self {
        self.script(&format!("printf '%s\\n' {} > /etc/sudoers.d/deploy", quoted(rule)))
    }
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

pub struct Host {
    pub name: String,
    pub address: String,
    pub port: u16,
    /// `ssh-ed25519 AAAA…`
    pub host_key: String,
    dir: TempDir,
    child: Child,
    pid: i32,
}

const PREPARE: &str = r#"
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
hostname "$1"
dir=$2
options=$3
mount -t proc proc /proc
mount --bind "$dir/etc" /etc
for place in /root /home /run /var/log /var/tmp /srv; do mount -t tmpfs -o mode=755 tmpfs "$place"; done
mount -t tmpfs -o "$options" tmpfs /opt
mount -t tmpfs -o mode=1777 tmpfs /tmp
mkdir -m 755 /run/sshd
mkdir -m 700 /home/deploy
chown 4711:4711 /home/deploy
"#;

const PREPARE_BUSYBOX: &str = r#"
set -eu
PATH=/usr/sbin:/usr/bin:/sbin:/bin
hostname "$1"
dir=$2
mkdir "$dir/root"
mount -t tmpfs -o mode=755 tmpfs "$dir/root"
cd "$dir/root"
mkdir -p bin sbin usr/bin usr/sbin etc root/.ssh dev proc opt tmp lib64
chmod 700 root root/.ssh
chmod 1777 tmp
cp /bin/busybox bin/busybox
cp /usr/sbin/dropbear usr/sbin/dropbear
ldd /usr/sbin/dropbear | grep -o '/[^ ]*' | while read -r library; do
    mkdir -p ".${library%/*}"
    cp "$library" ".$library"
done
cp "$dir/etc/ssh/authorized_keys" root/.ssh/authorized_keys
chmod 600 root/.ssh/authorized_keys
cp "$dir/dropbear_key" etc/dropbear_key
printf 'root:x:0:0:root:/root:/bin/sh\n' > etc/passwd
printf 'root:x:0:\n' > etc/group
for device in null zero random urandom ptmx tty; do cp -a "/dev/$device" dev/; done
mount -t proc proc proc
chroot . /bin/busybox --install -s
"#;

impl Host {
    /// `public` is the key that is let in as root and as deploy. `None` where we are not root.
    pub fn start(name: &str, spec: &Spec, public: &str) -> Self {
        let dir = super::sshd::directory();
        let etc = dir.path().join("etc");
        copy_etc(&etc);
        append(&etc.join("passwd"), "deploy:x:4711:4711::/home/deploy:/bin/sh\n");
        append(&etc.join("group"), "deploy:x:4711:\n");
        append(&etc.join("shadow"), "deploy:*:19000:0:99999:7:::\n");
        fs::write(etc.join("ssh/authorized_keys"), public).unwrap();
        let (address, port) = (spec.address.clone().unwrap_or_else(|| free_address(spec.port)), spec.port);
        let (host_key, serve) = if spec.is_busybox {
            let serve = format!(
                "exec chroot . /usr/sbin/dropbear -F -E -s -P /dev/null -r /etc/dropbear_key -p {address}:{port}"
            );
            (dropbear_key(&dir.path().join("dropbear_key")), serve)
        } else {
            let key = without_comment(&make_key(&etc.join("ssh/test_host_key"), "ed25519", ""));
            fs::write(etc.join("ssh/test_config"), config(spec, &address)).unwrap();
            (key, "exec /usr/sbin/sshd -D -e -f /etc/ssh/test_config".to_owned())
        };
        let prepare = if spec.is_busybox { PREPARE_BUSYBOX } else { PREPARE };
        // Should the tests themselves be killed, their hosts go with them.
        let child = Command::new("setpriv")
            .args(["--pdeathsig", "KILL", "--", "unshare"])
            .args(["--mount", "--uts", "--pid", "--fork", "--kill-child", "sh", "-c"])
            .arg(format!("{prepare}\n{}\n{serve}\n", spec.script))
            .args(["sh", name])
            .arg(dir.path())
            .arg(spec.opt)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::File::create(dir.path().join("log")).unwrap())
            .spawn()
            .unwrap();
        let mut host = Self { name: name.to_owned(), address, port, host_key, dir, child, pid: 0 };
        host.wait_for_banner();
        host.pid = only_child(host.child.id());
        host
    }

    fn wait_for_banner(&mut self) {
        wait_for("the banner of a host", || {
            if let Some(status) = self.child.try_wait().unwrap() {
                panic!("the host {} ended with {status}: {}", self.name, self.log());
            }
            reads_banner(&self.address, self.port)
        });
    }

    /// The host's own server as we see it: the first process of its pid namespace.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// A path of the host as we can open it.
    pub fn path(&self, path: &str) -> PathBuf {
        PathBuf::from(format!("/proc/{}/root{path}", self.pid))
    }

    pub fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap_or_else(|e| panic!("{path} on {}: {e}", self.name))
    }

    pub fn exists(&self, path: &str) -> bool {
        self.path(path).symlink_metadata().is_ok()
    }

    /// The names in a directory, sorted.
    pub fn names(&self, path: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(path)).unwrap_or_else(|e| panic!("{path} on {}: {e}", self.name));
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    /// Runs a command as root on the host, and gives what it says.
    #[track_caller]
    pub fn sh(&self, script: &str) -> String {
        let pid = self.pid.to_string();
        let ran = Command::new("nsenter")
            .args(["-t", &pid, "-m", "-u", "-p", &format!("--root=/proc/{pid}/root"), "--", "/bin/sh", "-c", script])
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .output()
            .unwrap();
        assert!(ran.status.success(), "{script}: {}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    }

    /// Everything below /opt to the inode: number, mode, owner, times, link count, size and target.
    pub fn snapshot(&self) -> BTreeMap<String, String> {
        let mut found = BTreeMap::new();
        let root = self.path("");
        for entry in walkdir::WalkDir::new(self.path("/opt")).follow_links(false).follow_root_links(false) {
            let entry = entry.unwrap();
            let meta = entry.path().symlink_metadata().unwrap();
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let line = format!(
                "{} {:o} {}:{} m{}.{:09} c{}.{:09} {} {} {}",
                meta.ino(),
                meta.mode(),
                meta.uid(),
                meta.gid(),
                meta.mtime(),
                meta.mtime_nsec(),
                meta.ctime(),
                meta.ctime_nsec(),
                meta.nlink(),
                meta.size(),
                target.display()
            );
            let path = format!("/{}", entry.path().strip_prefix(&root).unwrap().display());
            found.insert(path, line);
        }
        found
    }

    /// `600 0:0` and so on.
    pub fn access(&self, path: &str) -> String {
        let meta = self.path(path).symlink_metadata().unwrap_or_else(|e| panic!("{path} on {}: {e}", self.name));
        format!("{:o} {}:{}", meta.mode() & 0o7777, meta.uid(), meta.gid())
    }

    /// The places of this host that are its own.
    pub fn places(&self) -> Vec<PathBuf> {
        let places = ["/opt", "/tmp", "/root", "/home", "/run", "/var/log", "/var/tmp", "/srv", "/etc"];
        places.iter().map(|place| self.path(place)).filter(|path| path.exists()).collect()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }

    pub fn log_file(&self) -> PathBuf {
        self.dir.path().join("log")
    }

    pub fn etc(&self, name: &str) -> PathBuf {
        self.dir.path().join("etc").join(name)
    }

    /// The processes of this host, besides its server, as we number them, with their command lines.
    pub fn processes(&self) -> Vec<(i32, String)> {
        let ours = fs::read_link(format!("/proc/{}/ns/pid", self.pid)).unwrap();
        let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let here = numbers.filter(|pid: &i32| {
            *pid != self.pid && fs::read_link(format!("/proc/{pid}/ns/pid")).is_ok_and(|ns| ns == ours)
        });
        here.map(|pid| {
            let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            (pid, String::from_utf8_lossy(&line).replace('\0', " "))
        })
        .collect()
    }
}

impl Drop for Host {
    /// The first process of a pid namespace takes all the others with it, and `unshare` ends with it.
    fn drop(&mut self) {
        if self.pid == 0 || nix::sys::signal::kill(nix::unistd::Pid::from_raw(self.pid), Signal::SIGKILL).is_err() {
            let _ = self.child.kill();
        }
        let _ = self.child.wait();
    }
}

fn config(spec: &Spec, address: &str) -> String {
    let own = spec.sshd.join("\n");
    format!(
        "{own}\nHostKey /etc/ssh/test_host_key\nListenAddress {address}\nPort {}\nPidFile none\n\
         AuthorizedKeysFile /etc/ssh/authorized_keys\nStrictModes no\nUsePAM no\nPermitRootLogin yes\n\
         PasswordAuthentication no\nKbdInteractiveAuthentication no\nMaxStartups 1000\nLogLevel VERBOSE\n\
         PrintMotd no\nUseDNS no\n",
        spec.port
    )
}

fn dropbear_key(path: &Path) -> String {
    let made = Command::new("dropbearkey").args(["-t", "ed25519", "-f"]).arg(path).output().unwrap();
    let text = String::from_utf8(made.stdout).unwrap();
    without_comment(text.lines().find(|line| line.starts_with("ssh-ed25519 ")).unwrap())
}

/// What a server, a shell, sudo and doas need of /etc.
fn copy_etc(etc: &Path) {
    fs::create_dir_all(etc.join("ssh")).unwrap();
    let needed = "passwd group shadow shells nsswitch.conf hosts host.conf ld.so.cache pam.d pam.conf security \
                  sudoers sudoers.d sudo.conf login.defs environment";
    let there = needed.split_whitespace().map(|name| Path::new("/etc").join(name)).filter(|path| path.exists());
    let copied = Command::new("cp").arg("-a").args(there).arg(etc).status().unwrap();
    assert!(copied.success());
}

fn append(path: &Path, line: &str) {
    let text = fs::read_to_string(path).unwrap();
    fs::write(path, text + line).unwrap();
}

/// The one child that `unshare --fork` has.
fn only_child(parent: u32) -> i32 {
    let text = fs::read_to_string(format!("/proc/{parent}/task/{parent}/children")).unwrap();
    text.trim().parse().unwrap()
}

/// An address in 127/8 of which nobody uses this port. sshd may sit on 127.0.0.1 and other tests below 127.220.
pub fn free_address(port: u16) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    loop {
        let number = std::process::id().wrapping_mul(64).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let [_, high, middle, low] = number.to_be_bytes();
        let address = format!("127.{}.{middle}.{}", 221 + high % 33, low.clamp(1, 254));
        if low != 0 && low != 255 && TcpListener::bind((address.as_str(), port)).is_ok() {
            return address;
        }
    }
}

fn reads_banner(address: &str, port: u16) -> bool {
    let Ok(mut stream) = TcpStream::connect((address, port)) else { return false };
    let mut banner = [0; 4];
    stream.read_exact(&mut banner).is_ok() && &banner == b"SSH-"
}
