//! A user's project in a directory of its own: the repository's own example with the addresses of real hosts, a
//! bundle with a poison value in it, a home with an SSH key, and the real command line. Whatever a story does, at its
//! end the poison is in its target files and nowhere else.
#![allow(dead_code, reason = "each test file uses a part")]

use super::host::{Host, Spec};
use super::process_watch::{self, Watch, random_hex};
use super::sshd::{make_key, wait_for};
use data_encoding::{BASE64, HEXLOWER, HEXUPPER};
use serde_json::Value;
use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

pub const ROOT: &str = "/opt/callableapis";

/// Hosts are namespaces, and making one needs root.
pub fn is_root() -> bool {
    let is_root = nix::unistd::Uid::effective().is_root();
    if !is_root {
        println!("skipped: needs root");
    }
    is_root
}

pub struct Workspace {
    dir: TempDir,
    pub poison: String,
    pub hosts: Vec<Host>,
    /// What the user exported besides: where a database is, say.
    pub exports: Vec<(String, String)>,
    runs: Cell<u32>,
}

/// How a command ended.
pub struct Ran {
    pub status: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    #[track_caller]
    pub fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    pub fn report(&self) -> Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|e| panic!("not JSON: {e}: {}\nstderr: {}", self.stdout, self.stderr))
    }
}

/// A command that is still at work.
pub struct Running {
    child: Child,
    out: PathBuf,
    err: PathBuf,
    started: Instant,
    _watch: Watch,
}

impl Running {
    pub fn pid(&self) -> nix::unistd::Pid {
        nix::unistd::Pid::from_raw(self.child.id() as i32)
    }

    pub fn signal(&self, signal: nix::sys::signal::Signal) {
        nix::sys::signal::kill(self.pid(), signal).unwrap();
    }

    pub fn is_done(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    pub fn stderr(&self) -> String {
        fs::read_to_string(&self.err).unwrap()
    }

    #[track_caller]
    pub fn wait(mut self) -> Ran {
        let end = Instant::now() + Duration::from_secs(150);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > end {
                let _ = self.child.kill();
                panic!("distribute did not end by itself: {}", self.stderr());
            }
            std::thread::sleep(Duration::from_millis(4));
        };
        let text = |path: &Path| String::from_utf8_lossy(&fs::read(path).unwrap()).into_owned();
        if std::env::var_os("FLEET_TIMES").is_some() {
            eprintln!("{:?} {:?}", self.out, self.started.elapsed());
        }
        let status = status.code().unwrap_or(-1);
        Ran { status, stdout: text(&self.out), stderr: text(&self.err) }
    }
}

impl Workspace {
    /// The example's playbook and services, and no host yet.
    pub fn new() -> Self {
        let dir = tempfile::Builder::new().prefix("distribute-fleet-").tempdir().unwrap();
        let poison = format!("{}{}", process_watch::prefix(), random_hex(12));
        let workspace = Self { dir, poison, hosts: Vec::new(), exports: Vec::new(), runs: Cell::new(0) };
        for name in ["project/inventory", "project/playbooks", "home/.ssh", "state", "tmp", "out"] {
            fs::create_dir_all(workspace.path(name)).unwrap();
        }
        fs::write(workspace.path("project/playbooks/callableapis.toml"), example("playbooks/callableapis.toml"))
            .unwrap();
        make_key(&workspace.path("home/.ssh/id_ed25519"), "ed25519", "");
        workspace.make_bundle();
        workspace
    }

    /// One host, which has everything that the example's playbook gives.
    pub fn with_host(spec: Spec) -> Self {
        let mut workspace = Self::new();
        workspace.add("web1", spec, "");
        workspace
    }

    /// The example's three hosts, and its inventory with nothing but their addresses changed.
    pub fn example() -> Self {
        let mut workspace = Self::new();
        workspace.start("onode1", &Spec::default());
        workspace.start("onode2", &Spec::default());
        workspace.start("gnode1", &Spec::default().port(2222).sudo("deploy ALL=(ALL) NOPASSWD: ALL"));
        let mut inventory = example("inventory/hosts.toml");
        for (host, address) in workspace.hosts.iter().zip(["203.0.113.10\"", "203.0.113.11\"", "203.0.113.20\""]) {
            assert!(inventory.contains(address));
            inventory = inventory.replace(address, &format!("{}\"", host.address));
        }
        fs::write(workspace.path("project/inventory/hosts.toml"), inventory).unwrap();
        workspace
    }

    fn make_bundle(&self) {
        let seed = self.path("seed");
        fs::create_dir(&seed).unwrap();
        let write = |name: &str, text: String| fs::write(seed.join(name), text).unwrap();
        write(
            "aws.env",
            format!("# for the uploads\nAWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY={}\n", self.poison),
        );
        write("github-oidc.env", format!("GITHUB_CLIENT_SECRET={}-oidc\n", self.poison));
        write("cloudflare.env", "CLOUDFLARE_API_TOKEN=not-a-secret-token\n".to_owned());
        write("api.env", format!("API_PASSWORD=x{}\nAPI_PORT=8080\n", self.poison));
        let public = self.run(&["keygen", "-o", &self.identity()]).expect(0).stdout;
        self.run(&["bundle", "create", "--recipient", public.trim(), seed.to_str().unwrap()]).expect(0);
        fs::remove_dir_all(seed).unwrap();
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn identity(&self) -> String {
        self.path("home/identity").to_str().unwrap().to_owned()
    }

    pub fn public_key(&self) -> String {
        fs::read_to_string(self.path("home/.ssh/id_ed25519.pub")).unwrap()
    }

    /// Starts a host, knows its key, and writes the inventory with it.
    pub fn add(&mut self, name: &str, spec: Spec, settings: &str) -> usize {
        self.start(name, &spec);
        let host = self.hosts.last().unwrap();
        let line = format!(
            "{name} = {{ address = \"{}\", port = {}, groups = [\"production\"]{settings} }}\n",
            host.address, host.port
        );
        self.add_line(&line);
        self.hosts.len() - 1
    }

    /// A line of the inventory's hosts.
    pub fn add_line(&self, line: &str) {
        let path = self.path("project/inventory/hosts.toml");
        let mut text =
            fs::read_to_string(&path).unwrap_or_else(|_| "[defaults]\nuser = \"root\"\n\n[hosts]\n".to_owned());
        text += line;
        fs::write(path, text).unwrap();
    }

    fn start(&mut self, name: &str, spec: &Spec) {
        let host = Host::start(name, spec, &self.public_key());
        self.know(&host);
        self.hosts.push(host);
    }

    fn know(&self, host: &Host) {
        let name = if host.port == 22 { host.address.clone() } else { format!("[{}]:{}", host.address, host.port) };
        let file = self.path("home/.ssh/known_hosts");
        let mut file = fs::OpenOptions::new().create(true).append(true).open(file).unwrap();
        writeln!(file, "{name} {}", host.host_key).unwrap();
    }

    pub fn forget_known_hosts(&self) {
        fs::remove_file(self.path("home/.ssh/known_hosts")).unwrap();
    }

    /// The same host in the same place, with another key: reinstalled, or somebody else.
    pub fn reinstall(&mut self, host: usize, spec: Spec) {
        let old = self.hosts.remove(host);
        let spec = Spec { port: old.port, address: Some(old.address.clone()), ..spec };
        let name = old.name.clone();
        drop(old);
        let new = Host::start(&name, &spec, &self.public_key());
        self.hosts.insert(host, new);
    }

    /// What the inventory calls a host is what we do.
    pub fn rename_host(&mut self, host: usize, name: &str) {
        self.hosts[host].name = name.to_owned();
    }

    pub fn host(&self, name: &str) -> &Host {
        self.hosts.iter().find(|host| host.name == name).unwrap()
    }

    /// The first host.
    pub fn web1(&self) -> &Host {
        &self.hosts[0]
    }

    #[track_caller]
    pub fn edit_inventory(&self, from: &str, to: &str) {
        edit(&self.path("project/inventory/hosts.toml"), from, to);
    }

    #[track_caller]
    pub fn edit_playbook(&self, from: &str, to: &str) {
        edit(&self.path("project/playbooks/callableapis.toml"), from, to);
    }

    /// Adds these lines to a service of the playbook.
    #[track_caller]
    pub fn service(&self, name: &str, lines: &str) {
        let head = format!("name = \"{name}\"");
        self.edit_playbook(&head, &format!("{head}\n{lines}"));
    }

    /// Puts this behind the playbook: policies and how they are rolled out.
    pub fn rotate_by(&self, policy: &str) {
        let path = self.path("project/playbooks/callableapis.toml");
        let text = fs::read_to_string(&path).unwrap() + "\n" + policy;
        fs::write(path, text).unwrap();
    }

    fn command(&self, program: &str, args: &[&str]) -> Command {
        let mut command = Command::new(program);
        command
            .args(args)
            .current_dir(self.path("project"))
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("HOME", self.path("home"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("TMPDIR", self.path("tmp"))
            .env("DISTRIBUTE_IDENTITY", self.identity())
            .envs(self.exports.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Starts the real program.
    pub fn spawn(&self, args: &[&str]) -> Running {
        self.spawn_with(args, b"")
    }

    /// Starts it under another program, such as strace.
    pub fn spawn_under(&self, program: &[&str], args: &[&str]) -> Running {
        let words = [&program[1..], &[env!("CARGO_BIN_EXE_distribute")], args].concat();
        self.start_program(self.command(program[0], &words), b"")
    }

    fn spawn_with(&self, args: &[&str], input: &[u8]) -> Running {
        let mut command = self.command(env!("CARGO_BIN_EXE_distribute"), args);
        if args.first() == Some(&"keygen") {
            command.env_remove("DISTRIBUTE_IDENTITY");
        }
        self.start_program(command, input)
    }

    /// Runs it on a terminal of its own, and presses keys once it asks.
    #[track_caller]
    pub fn answer(&self, args: &[&str], question: &str, keys: &str) -> Ran {
        let line = format!("{} {}", env!("CARGO_BIN_EXE_distribute"), args.join(" "));
        let mut command = self.command("script", &["-qefc", &line, "/dev/null"]);
        command.env("SHELL", "/bin/sh").env("TERM", "dumb");
        let (mut running, mut terminal) = self.start_open(command);
        wait(question, || fs::read_to_string(&running.out).unwrap().contains(question) || running.is_done());
        terminal.write_all(keys.as_bytes()).unwrap();
        running.wait()
    }

    fn start_program(&self, command: Command, input: &[u8]) -> Running {
        let (running, mut stdin) = self.start_open(command);
        // It may end without reading.
        let fed = stdin.write_all(input);
        assert!(fed.map_or_else(|error| error.kind() == std::io::ErrorKind::BrokenPipe, |()| true));
        running
    }

    fn start_open(&self, mut command: Command) -> (Running, ChildStdin) {
        self.runs.set(self.runs.get() + 1);
        let out = self.path(&format!("out/{}.stdout", self.runs.get()));
        let err = out.with_extension("stderr");
        let watch = Watch::start();
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(fs::File::create(&out).unwrap())
            .stderr(fs::File::create(&err).unwrap())
            .spawn()
            .unwrap();
        let stdin = child.stdin.take().unwrap();
        (Running { child, out, err, started: Instant::now(), _watch: watch }, stdin)
    }

    #[track_caller]
    pub fn run(&self, args: &[&str]) -> Ran {
        self.spawn(args).wait()
    }

    /// Runs it with something on stdin.
    #[track_caller]
    pub fn feed(&self, args: &[&str], input: &[u8]) -> Ran {
        self.spawn_with(args, input).wait()
    }

    /// Runs it, expects this exit code, and gives the report.
    #[track_caller]
    pub fn json(&self, args: &[&str], status: i32) -> Value {
        self.run(&[args, &["-o", "json"]].concat()).expect(status).report()
    }

    /// Puts a value into the bundle.
    #[track_caller]
    pub fn set(&self, name: &str, value: &str) {
        self.set_with(&[name], value);
    }

    #[track_caller]
    pub fn set_with(&self, args: &[&str], value: &str) {
        self.spawn_with(&[&["bundle", "set"], args].concat(), value.as_bytes()).wait().expect(0);
    }

    /// A value as the bundle has it. What the command printed is not kept: it is the one that shows values.
    #[track_caller]
    pub fn value(&self, name: &str) -> String {
        let shown = self.run(&["bundle", "get", name]).expect(0).stdout;
        fs::remove_file(self.path(&format!("out/{}.stdout", self.runs.get()))).unwrap();
        shown.trim_end().to_owned()
    }

    /// A file of the bundle's archive, through stock age and tar.
    #[track_caller]
    pub fn archived(&self, entry: &str) -> String {
        let sealed = fs::read(self.path("project/secrets.age")).unwrap();
        let archive = self.age(Path::new(&self.identity()), &sealed);
        let mut tar = Command::new("tar");
        let tar = tar.args(["xzO", "--wildcards", entry]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = tar.spawn().unwrap();
        child.stdin.take().unwrap().write_all(&archive).unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    }

    #[track_caller]
    pub fn setup(&self) -> Value {
        self.json(&["setup"], 0)
    }

    #[track_caller]
    pub fn deploy(&self) -> Value {
        self.json(&["deploy"], 0)
    }

    /// The files of a host that hold the poison, as the host calls them.
    pub fn holders_on(&self, host: &Host) -> Vec<String> {
        Self::holders_of_on(&self.poison, host)
    }

    fn holders_of_on(value: &str, host: &Host) -> Vec<String> {
        let root = format!("/proc/{}/root", host.pid());
        let mut found: Vec<String> =
            holders_of(value, &host.places()).iter().map(|path| path.strip_prefix(&root).unwrap().to_owned()).collect();
        found.sort();
        found
    }

    /// The end of every story.
    #[track_caller]
    pub fn assert_no_leak(&self) {
        self.assert_no_leak_but(|_| false);
    }

    /// `also` tells files of hosts that the story itself wrote the poison into.
    #[track_caller]
    pub fn assert_no_leak_but(&self, also: impl Fn(&str) -> bool) {
        let ours = |entry: &fs::DirEntry| {
            let name = entry.file_name().to_string_lossy().into_owned();
            name.starts_with("distribute")
                && !name.starts_with("distribute-fleet-")
                && !name.starts_with("distribute-test-")
        };
        let mut places = Vec::new();
        for place in ["/tmp", "/dev/shm", "/var/tmp"] {
            let entries = fs::read_dir(place).into_iter().flatten().filter_map(Result::ok).filter(ours);
            places.extend(entries.map(|entry| entry.path()));
        }
        self.assert_nowhere(&self.poison, places, also);
        assert_eq!(process_watch::seen(), Vec::<String>::new(), "in a process");
    }

    /// This value is nowhere in the project, in what was printed or in these places besides, and on hosts only where it belongs.
    #[track_caller]
    pub fn assert_nowhere(&self, value: &str, mut places: Vec<PathBuf>, also: impl Fn(&str) -> bool) {
        places.push(self.dir.path().to_owned());
        places.extend(self.hosts.iter().map(Host::log_file));
        assert_eq!(holders_of(value, &places), Vec::<String>::new(), "on this machine");
        for host in &self.hosts {
            let found = Self::holders_of_on(value, host).into_iter();
            let strays: Vec<String> = found.filter(|path| !is_target(path) && !also(path)).collect();
            assert_eq!(strays, Vec::<String>::new(), "on {}", host.name);
        }
    }

    /// Does this host hold the poison where it belongs?
    #[track_caller]
    pub fn assert_arrived(&self, host: &Host) {
        let live = fs::read_link(host.path(&format!("{ROOT}/secrets/..data"))).unwrap();
        let live = format!("{ROOT}/secrets/{}/", live.display());
        let found: Vec<String> =
            self.holders_on(host).iter().filter_map(|path| path.strip_prefix(&live).map(str::to_owned)).collect();
        for file in ["all-secrets.env", "api.env", "aws.env", "github-oidc.env"] {
            assert!(found.iter().any(|path| path == file), "{file} is not among {found:?}");
        }
    }

    /// Sealed by stock age to the bundle's identity, as anybody can who knows the public key.
    #[track_caller]
    pub fn seal(&self, clear: &[u8]) -> Vec<u8> {
        let mut age = Command::new("age");
        let age = age.args(["-e", "-i", &self.identity()]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = age.spawn().unwrap();
        child.stdin.take().unwrap().write_all(clear).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success());
        done.stdout
    }

    /// Stock age, with the bundle's identity unless another is named.
    #[track_caller]
    pub fn age(&self, identity: &Path, sealed: &[u8]) -> Vec<u8> {
        let mut age = Command::new("age");
        let mut child = age
            .args(["-d", "-i"])
            .arg(identity)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        child.stdin.take().unwrap().write_all(sealed).unwrap();
        let done = child.wait_with_output().unwrap();
        assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        done.stdout
    }
}

/// Each way in which a value could be written down, a line each.
fn disguises(value: &str) -> String {
    let bytes = value.as_bytes();
    let mut lines = vec![value.to_owned(), HEXLOWER.encode(bytes), HEXUPPER.encode(bytes)];
    for shift in 0..3 {
        // What stands before it moves the groups of base64; the ends mix with neighbours and are left off.
        let text = BASE64.encode(&[&vec![b'?'; shift][..], bytes].concat());
        lines.push(text[if shift == 0 { 0 } else { 4 }..text.len() - 4].to_owned());
    }
    lines.join("\n") + "\n"
}

/// The files below these places that hold a value, in whatever disguise. It goes to grep over a pipe: an argument
/// would be seen.
fn holders_of(value: &str, places: &[PathBuf]) -> Vec<String> {
    let mut grep = Command::new("grep");
    grep.args(["-rlaF", "--devices=skip", "-f", "-", "--"]).args(places);
    let mut child =
        grep.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).env_clear().spawn().unwrap();
    child.stdin.take().unwrap().write_all(disguises(value).as_bytes()).unwrap();
    let found = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    found.lines().map(str::to_owned).collect()
}

/// A file of a set (or one that we kept), which is where secrets belong.
fn is_target(path: &str) -> bool {
    path.starts_with("/opt/") && path.split_once("/secrets/..").is_some_and(|(_, rest)| rest.contains('/'))
}

fn example(name: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name)).unwrap()
}

#[track_caller]
fn edit(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).unwrap();
    assert!(text.contains(from), "{} does not hold {from:?}", path.display());
    fs::write(path, text.replace(from, to)).unwrap();
}

/// The report of one host.
#[track_caller]
pub fn of<'a>(report: &'a Value, host: &str) -> &'a Value {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|one| one["host"] == host).unwrap_or_else(|| panic!("{host} is not in {report:#}"))
}

/// `phase: message` of a host's error.
#[track_caller]
pub fn error(report: &Value, host: &str) -> String {
    let error = &of(report, host)["error"];
    assert!(error.is_object(), "no error: {report:#}");
    let text = |name: &str| error[name].as_str().unwrap_or_default().to_owned();
    format!("{}: {} ({})", text("phase"), text("message"), text("hint"))
}

/// `path change` of each file that is not as it was.
pub fn changes(report: &Value, host: &str) -> Vec<String> {
    let files = of(report, host)["files"].as_array().unwrap();
    let changed = files.iter().filter(|file| file["change"] != "none");
    changed
        .map(|file| {
            let name = file["path"].as_str().unwrap().rsplit_once("/secrets/").unwrap().1;
            format!("{name} {}", file["change"].as_str().unwrap())
        })
        .collect()
}

/// A file that is private, as a careful user would write it.
pub fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

pub fn wait(what: &str, is_true: impl FnMut() -> bool) {
    wait_for(what, is_true);
}
