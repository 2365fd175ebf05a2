//! A driver for the remote program: a real shell runs the exec command, and the bytes that go to it are those that go over the wire.
#![allow(dead_code, reason = "each part of the test uses some of it")]

use distribute::bundle::Origin;
use distribute::inventory::Escalation;
use distribute::plan::backup::{Backup, Why};
use distribute::plan::{Audit, DesiredFile, DesiredService, DesiredSet, HostFacts, Purpose, Transaction};
use distribute::playbook::Access;
use distribute::remote::{self, Frame, FrameReader, Pushed};
use distribute::words::{Failure, HostName, Mode, PlayName, Principal, RemotePath, RunId, Secret, ServiceName};
use nix::unistd::{Gid, Uid};
use sha2::{Digest, Sha256};
use std::ffi::OsString;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::JoinHandle;

pub const BUNDLE: &str = "b0b0b0b0";
/// Stands in every secret of every test: it may be found in the sets, and nowhere else.
pub const POISON: &str = "P0is0n-7c1e";

pub fn is_root() -> bool {
    Uid::effective().is_root()
}

pub fn installed(tool: &str) -> bool {
    let path = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin";
    let found = path.split(':').any(|directory| Path::new(directory).join(tool).exists());
    if !found {
        println!("skipped: {tool} is not installed");
    }
    found
}

/// A host: a directory that holds a play's root, and how a command is run there.
pub struct Host {
    pub directory: tempfile::TempDir,
    /// The program that runs the exec command, as sshd runs the login shell: `sh -c COMMAND`.
    login: Vec<OsString>,
    /// What is to be called `sh` there; first in PATH.
    path: OsString,
    pub env: Vec<(OsString, OsString)>,
    /// The host's `/`, seen from here.
    pub slash: PathBuf,
}

impl Host {
    /// `shell` stands where `sh` stands on the host: `dash`, `bash`, `busybox`, `mksh`.
    pub fn new(shell: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let bin = directory.path().join("bin");
        std::fs::create_dir(&bin).unwrap();
        let target = ["/usr/bin", "/bin"].map(|at| Path::new(at).join(shell)).into_iter().find(|path| path.exists());
        std::os::unix::fs::symlink(target.expect(shell), bin.join("sh")).unwrap();
        let login = vec![bin.join("sh").into(), "-c".into()];
        let mut path = bin.into_os_string();
        path.push(":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        Self { directory, login, path, env: Vec::new(), slash: "/".into() }
    }

    /// A host whose only userland is busybox, in a chroot and a mount namespace of its own.
    pub fn busybox_only() -> Option<Self> {
        if !is_root() || !installed("busybox") {
            return None;
        }
        let mut host = Self::new("busybox");
        host.slash = host.directory.path().to_owned();
        std::fs::remove_file(host.at("bin/sh")).unwrap();
        for directory in ["proc", "dev", "tmp"] {
            std::fs::create_dir(host.at(directory)).unwrap();
        }
        std::fs::copy("/usr/bin/busybox", host.at("bin/busybox")).unwrap();
        let list = Command::new("busybox").arg("--list").output().unwrap();
        for applet in String::from_utf8(list.stdout).unwrap().lines().filter(|applet| *applet != "busybox") {
            std::os::unix::fs::symlink("busybox", host.at("bin").join(applet)).unwrap();
        }
        // Debian's busybox prefers its applets; a true /dev/null, and a /proc for the lock.
        let enter =
            "mount -t proc proc \"$1/proc\" && mount --bind /dev \"$1/dev\" && exec chroot \"$1\" /bin/sh -c \"$2\"";
        let at = host.slash.clone().into_os_string();
        let words = ["unshare", "--mount", "/bin/sh", "-c", enter, "sh"];
        host.login = words.into_iter().map(Into::into).chain([at]).collect();
        host.path = "/usr/sbin:/usr/bin:/sbin:/bin".into();
        Some(host)
    }

    /// What stands before `sh -c COMMAND`: strace, unshare.
    pub fn through<S: Into<OsString>>(mut self, words: impl IntoIterator<Item = S>) -> Self {
        self.login = words.into_iter().map(Into::into).chain(self.login).collect();
        self
    }

    /// Another login shell, which is given `-c COMMAND`.
    pub fn with_login(mut self, words: &[&str]) -> Self {
        self.login = words.iter().map(Into::into).collect();
        self
    }

    pub fn with_env(mut self, name: &str, value: &str) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    pub fn at(&self, below: &str) -> PathBuf {
        self.directory.path().join(below)
    }

    /// The play's root, as the host calls it.
    pub fn root(&self) -> RemotePath {
        let at = self.at("opt");
        let seen =
            if self.slash == Path::new("/") { at } else { Path::new("/").join(at.strip_prefix(&self.slash).unwrap()) };
        RemotePath::new(seen.to_str().unwrap()).unwrap()
    }

    /// Something below the play's root, as we see it.
    pub fn root_at(&self, below: &str) -> PathBuf {
        self.at("opt").join(below)
    }

    pub fn secret(&self, name: &str) -> Option<Vec<u8>> {
        std::fs::read(self.root_at("secrets").join(name)).ok()
    }

    pub fn command(&self) -> Command {
        self.command_through(&[])
    }

    /// With words before `sh -c COMMAND`, for this once.
    pub fn command_through(&self, words: &[OsString]) -> Command {
        let mut words = words.iter().chain(&self.login);
        let mut command = Command::new(words.next().unwrap());
        command.args(words).arg(remote::command());
        command.env_clear().env("PATH", &self.path).envs(self.env.iter().map(|(name, value)| (name, value)));
        command.current_dir("/").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// Starts the program for these sets; it has not been spoken to.
    pub fn start(&self) -> Session {
        Session::start(self.command())
    }

    /// Looks, plans, and pushes if there is anything to do: a whole run.
    pub fn deploy(&self, want: &Want) -> Deployed {
        self.try_deploy(want).unwrap_or_else(|failure| panic!("{failure:?}"))
    }

    pub fn try_deploy(&self, want: &Want) -> Result<Deployed, Failure> {
        let mut session = self.start();
        let facts = session.look(&[&want.set])?;
        let transaction = want.plan(&facts)?;
        if transaction.is_empty() {
            session.bye();
            return Ok(Deployed { transaction, pushed: None });
        }
        let pushed = session.push(std::slice::from_ref(&transaction));
        session.end();
        let pushed = pushed.ok_or_else(|| Failure::new(distribute::words::Phase::Exec, "no second frame"))?;
        if let Some(failure) = pushed.failures.first() {
            return Err(failure.clone());
        }
        let mut after = pushed.facts.clone();
        after.uid = facts.uid;
        let left = want.plan(&after)?;
        assert!(left.is_empty(), "the plan made again is not empty: {:?}", left.steps);
        Ok(Deployed { transaction, pushed: Some(pushed) })
    }

    /// The plan for what is there now.
    pub fn plan(&self, want: &Want) -> Result<Transaction, Failure> {
        let mut session = self.start();
        let facts = session.look(&[&want.set])?;
        session.bye();
        want.plan(&facts)
    }

    /// What an audit is told; nothing is waited for.
    pub fn audit(&self, want: &Want) -> HostFacts {
        let mut session = self.start();
        let facts = session.audit(&[&want.set], 0).unwrap();
        session.bye();
        facts
    }

    pub fn facts(&self, want: &Want) -> HostFacts {
        let mut session = self.start();
        let facts = session.look(&[&want.set]).unwrap();
        session.bye();
        facts
    }
}

#[derive(Debug)]
pub struct Deployed {
    pub transaction: Transaction,
    /// Nothing, if there was nothing to do.
    pub pushed: Option<Pushed>,
}

impl Deployed {
    pub fn changed(&self) -> bool {
        self.pushed.is_some()
    }
}

/// One exec of the program.
pub struct Session {
    pub child: Child,
    pub stdin: Option<ChildStdin>,
    stdout: Option<ChildStdout>,
    stderr: Option<JoinHandle<Vec<u8>>>,
    frames: FrameReader,
    pub nonce: String,
}

impl Session {
    pub fn start(mut command: Command) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let mut child = command.spawn().unwrap();
        let stderr = child.stderr.take().map(|mut stderr| {
            std::thread::spawn(move || {
                let mut said = Vec::new();
                let _ = stderr.read_to_end(&mut said);
                said
            })
        });
        let nonce = format!("{:08x}{:024x}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let (stdin, stdout) = (child.stdin.take(), child.stdout.take());
        Self { frames: FrameReader::new(&nonce), child, stdin, stdout, stderr, nonce }
    }

    pub fn send(&mut self, bytes: &[u8]) {
        // A program that has ended does not read: what it said before tells why.
        let _ = self.stdin.as_mut().expect("an open stdin").write_all(bytes);
    }

    pub fn frame(&mut self) -> Option<Frame> {
        let mut buffer = [0; 65536];
        let stdout = self.stdout.as_mut().expect("an open stdout");
        let mut bytes: &[u8] = &[];
        loop {
            if let Some(frame) = self.frames.feed(bytes).unwrap() {
                return Some(frame);
            }
            match stdout.read(&mut buffer).unwrap() {
                0 => return None,
                count => bytes = &buffer[..count],
            }
            let said = String::from_utf8_lossy(bytes);
            assert!(!said.contains(POISON), "a value came back: {said}");
        }
    }

    pub fn look(&mut self, sets: &[&DesiredSet]) -> Result<HostFacts, Failure> {
        let roots: Vec<_> = sets.iter().map(|set| (set.root_mode(), set.root.clone())).collect();
        self.send(&remote::hello(&self.nonce, Escalation::None, 0, &roots));
        match self.frame() {
            Some(frame) => remote::look(&self.nonce, &frame),
            None => Err(Failure::new(distribute::words::Phase::Exec, format!("no frame: {}", self.end().1))),
        }
    }

    /// Everything that is there, as `audit` asks for it; a lock is waited for so many seconds.
    pub fn audit(&mut self, sets: &[&DesiredSet], wait: u64) -> Result<HostFacts, Failure> {
        let roots: Vec<_> = sets.iter().map(|set| (set.root_mode(), set.root.clone())).collect();
        self.send(&remote::audit_hello(&self.nonce, Escalation::None, wait, &roots, &[]));
        match self.frame() {
            Some(frame) => remote::look(&self.nonce, &frame),
            None => Err(Failure::new(distribute::words::Phase::Exec, format!("no frame: {}", self.end().1))),
        }
    }

    /// What is there with the hashes of all sets and sealed copies, as `restore` asks for it.
    pub fn look_at_backups(&mut self, sets: &[&DesiredSet]) -> Result<HostFacts, Failure> {
        let roots: Vec<_> = sets.iter().map(|set| (set.root_mode(), set.root.clone())).collect();
        self.send(&remote::backups_hello(&self.nonce, Escalation::None, 0, &roots));
        match self.frame() {
            Some(frame) => remote::look(&self.nonce, &frame),
            None => Err(Failure::new(distribute::words::Phase::Exec, format!("no frame: {}", self.end().1))),
        }
    }

    pub fn announce(&mut self) {
        self.send(&remote::push_line("2026-11-21T02:00:00Z", "tester@desk"));
    }

    pub fn push(&mut self, transactions: &[Transaction]) -> Option<Pushed> {
        let payload = remote::payload(transactions).unwrap();
        self.push_bytes(&payload)
    }

    pub fn push_bytes(&mut self, payload: &[u8]) -> Option<Pushed> {
        self.announce();
        self.send(payload);
        self.stdin = None;
        let frame = self.frame()?;
        Some(remote::push(&self.nonce, &frame))
    }

    pub fn bye(mut self) {
        self.send(b"bye\n");
        assert!(self.end().0.success());
    }

    /// The client is gone: nobody reads any more.
    pub fn hang_up(&mut self) {
        self.stdin = None;
        self.stdout = None;
    }

    /// Waits for the end, also of everything that still holds stdout.
    pub fn end(&mut self) -> (ExitStatus, String) {
        self.stdin = None;
        if let Some(mut stdout) = self.stdout.take() {
            let _ = stdout.read_to_end(&mut Vec::new());
        }
        let status = self.child.wait().unwrap();
        let said = self.stderr.take().map(|said| said.join().unwrap()).unwrap_or_default();
        let said = String::from_utf8_lossy(&said).into_owned();
        assert!(!said.contains(POISON), "a value came back on stderr: {said}");
        (status, said)
    }
}

/// What is wanted, with the run that wants it.
#[derive(Clone)]
pub struct Want {
    pub set: DesiredSet,
    pub run: RunId,
    pub bundle: String,
    pub any_bundle: bool,
}

impl Want {
    pub fn new(host: &Host, generation: u64) -> Self {
        let name = |id: u32| Principal::new(id.to_string()).unwrap();
        let root = Principal::new("root").unwrap();
        let (owner, group) = match is_root() {
            true => (root.clone(), root),
            false => (name(Uid::effective().as_raw()), name(Gid::effective().as_raw())),
        };
        let set = DesiredSet {
            host: HostName::new("web1").unwrap(),
            play: PlayName::new("play").unwrap(),
            root: host.root(),
            access: Access { owner, group, mode: Mode::new(0o600), directory_mode: Mode::new(0o700) },
            keep: 5,
            services: Vec::new(),
            files: Vec::new(),
            vault_password: Secret::new(*b"AGE-SECRET-KEY-NOT-REALLY\n"),
            key_age: Secret::new(*b"age-encryption.org/v1 locked\n"),
            former: std::collections::BTreeSet::new(),
        };
        Self { set, run: run(generation), bundle: BUNDLE.to_owned(), any_bundle: false }
    }

    /// A file of the set; its service is its name without the end, or its directory.
    pub fn file(mut self, path: &str, content: impl AsRef<[u8]>) -> Self {
        let service = path.split('/').next().unwrap().trim_end_matches(".env");
        let content = Secret::new(content.as_ref());
        self.set.files.push(DesiredFile {
            format: distribute::playbook::Format::In(distribute::dialect::Dialect::Docker),
            manifest: None,
            path: path.to_owned(),
            service: ServiceName::new(service).unwrap(),
            origin: Origin::default(),
            sha256: sha256(content.expose()),
            content,
            keys: Vec::new(),
            values: Vec::new(),
            mode: self.set.access.mode,
            owner: self.set.access.owner.clone(),
            group: self.set.access.group.clone(),
        });
        if !self.set.services.iter().any(|known| known.name.as_str() == service) {
            let name = ServiceName::new(service).unwrap();
            self.set.services.push(DesiredService {
                sources: vec![name.clone()],
                name,
                consumers: Vec::new(),
                action: None,
                health: None,
            });
        }
        self
    }

    pub fn action(mut self, service: &str, argv: &[&str]) -> Self {
        self.service(service).action = Some(argv.iter().map(|word| (*word).to_owned()).collect());
        self
    }

    pub fn health(mut self, service: &str, argv: &[&str], seconds: u64) -> Self {
        let probe = ["command"].iter().chain(argv).map(|word| (*word).to_owned()).collect();
        self.service(service).health = Some((probe, seconds));
        self
    }

    fn service(&mut self, name: &str) -> &mut DesiredService {
        self.set.services.iter_mut().find(|service| service.name.as_str() == name).expect("a service with a file")
    }

    pub fn plan(&self, facts: &HostFacts) -> Result<Transaction, Failure> {
        assert_eq!(facts.missing, Vec::<String>::new());
        self.with_purpose(|purpose| Transaction::new(&self.set, &facts.roots[0], facts.uid, purpose))
    }

    /// What an audit says of these facts.
    pub fn audit(&self, facts: &HostFacts) -> Result<Audit, Failure> {
        let host = HostName::new("web1").unwrap();
        self.with_purpose(|purpose| Audit::new(&host, &self.set, facts, &facts.roots[0], purpose))
    }

    pub fn with_purpose<T>(&self, then: impl FnOnce(&Purpose) -> T) -> T {
        let mac = |bytes: &[u8]| sha256(bytes)[..16].to_owned();
        let seal = |backup: &Backup| Ok(format!("age-encryption.org/v1 {} files", backup.files.len()).into_bytes());
        then(&Purpose {
            run: &self.run,
            bundle_id: &self.bundle,
            generation: self.run.generation(),
            any_bundle: self.any_bundle,
            is_way_back: false,
            heeds_lock: true,
            mac: &mac,
            why: Why::Deploy,
            recipients: &[],
            seal: &seal,
        })
    }
}

/// A run of its own for each call.
pub fn run(generation: u64) -> RunId {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    let time = chrono::DateTime::from_timestamp(1_790_000_000 + i64::from(count), 0).unwrap();
    RunId::new(generation, time, count as u16)
}

pub fn sha256(bytes: &[u8]) -> String {
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
