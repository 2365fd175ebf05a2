//! A real PostgreSQL for the length of a test: a cluster, an address and a socket of its own. It answers when `start` returns, logs every statement,
//! asks for passwords over TCP, and is gone when dropped or when the test is killed.
#![allow(dead_code, reason = "each test file uses a part")]

use super::sshd::{directory, free_port, wait_for};
use nix::sys::signal::{Signal, kill};
use nix::unistd::{Pid, Uid, User, chown};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use tempfile::TempDir;

pub struct Postgres {
    dir: TempDir,
    server: Child,
    pub address: String,
    pub port: u16,
}

impl Postgres {
    /// Can one be started here? Prints why not.
    pub fn is_possible() -> bool {
        let why = match (Uid::effective().is_root(), binaries()) {
            (false, _) => "skipped: needs root, to become another user who may run PostgreSQL",
            (_, None) => "skipped: PostgreSQL is not installed",
            _ => return true,
        };
        println!("{why}");
        false
    }

    pub fn start() -> Self {
        let dir = directory();
        let user = user();
        chown(dir.path(), Some(user.uid), Some(user.gid)).unwrap();
        fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let mut make = as_user(&dir, "initdb");
        make.args([
            "-U",
            "postgres",
            "--auth-local=trust",
            "--auth-host=scram-sha-256",
            "--no-sync",
            "--locale=C",
            "-E",
            "UTF8",
        ]);
        succeeded(&make.output().unwrap());
        let (address, port) = free_port();
        let server = spawn(&dir, &address, port);
        let mut postgres = Self { dir, server, address, port };
        wait_for("PostgreSQL", || {
            assert!(postgres.server.try_wait().unwrap().is_none(), "PostgreSQL ended: {}", postgres.log());
            postgres.try_sql("SELECT 1").status.success()
        });
        postgres
    }

    /// The same cluster in the same place, after `stop`.
    pub fn restart(&mut self) {
        self.server = spawn(&self.dir, &self.address, self.port);
        wait_for("PostgreSQL", || self.try_sql("SELECT 1").status.success());
    }

    pub fn stop(&mut self) {
        // What is left of the server when it is told to quit ends by itself.
        let _ = kill(Pid::from_raw(self.server.id() as i32), Signal::SIGQUIT);
        let _ = self.server.wait();
    }

    /// Where the unix socket lies; whoever comes there is let in.
    pub fn socket_dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    /// How an administrator connects.
    pub fn admin_env(&self) -> Vec<(String, String)> {
        let socket = self.dir.path().to_str().unwrap();
        let port = self.port.to_string();
        let pairs = [("PGHOST", socket), ("PGPORT", &port), ("PGUSER", "postgres"), ("PGDATABASE", "postgres")];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    }

    /// Runs statements as the administrator, and gives what they print: a line a row, `|` between columns.
    #[track_caller]
    pub fn sql(&self, text: &str) -> String {
        let output = self.try_sql(text);
        succeeded(&output);
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    fn try_sql(&self, text: &str) -> Output {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", "-A", "-t", "-w", "-v", "ON_ERROR_STOP=1"]).envs(self.admin_env());
        fed(psql, text)
    }

    /// Makes a role that has this password; no statement with it is in the log.
    #[track_caller]
    pub fn make_role(&self, role: &str, password: &str) {
        self.sql(&format!("SET log_statement = 'none';\nCREATE ROLE {role} LOGIN PASSWORD '{password}';"));
    }

    /// Where this role logs in over TCP.
    pub fn url(&self, role: &str, password: &str) -> String {
        format!("postgresql://{role}:{password}@{}:{}/postgres", self.address, self.port)
    }

    /// Does this password let this role in, over TCP? It goes to psql over a pipe: an environment would be seen.
    pub fn lets_in(&self, role: &str, password: &str) -> bool {
        let password: String = password.bytes().map(|byte| format!("%{byte:02X}")).collect();
        self.lets_in_by(&self.url(role, &password))
    }

    pub fn lets_in_by(&self, url: &str) -> bool {
        self.try_sql(&format!("\\connect -reuse-previous=off {url}\nSELECT 1;\n")).status.success()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

/// The newest that is installed.
fn binaries() -> Option<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").ok()?.filter_map(Result::ok);
    let found = versions.map(|version| version.path().join("bin")).filter(|path| path.join("initdb").exists());
    found.max_by_key(|path| path.parent().and_then(Path::file_name)?.to_str()?.parse::<u32>().ok())
}

/// PostgreSQL does not run as root.
fn user() -> User {
    let named = |name| User::from_name(name).ok().flatten();
    named("postgres").or_else(|| named("nobody")).expect("a user for PostgreSQL")
}

/// It dies with us.
fn as_user(dir: &TempDir, program: &str) -> Command {
    let user = user();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "QUIT", "--clear-groups", "--inh-caps=-all"]);
    command.args([format!("--reuid={}", user.uid), format!("--regid={}", user.gid)]);
    command.arg(binaries().expect("PostgreSQL is installed").join(program)).arg("-D").arg(dir.path().join("data"));
    command.current_dir(dir.path()).stdin(Stdio::null()).env("LC_ALL", "C");
    command
}

fn spawn(dir: &TempDir, address: &str, port: u16) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.path().join("log")).unwrap();
    let mut server = as_user(dir, "postgres");
    let socket = format!("unix_socket_directories={}", dir.path().display());
    for setting in [&format!("listen_addresses={address}"), &format!("port={port}"), &socket] {
        server.args(["-c", setting]);
    }
    for setting in
        ["fsync=off", "log_statement=all", "log_connections=on", "max_connections=50", "log_min_messages=debug1"]
    {
        server.args(["-c", setting]);
    }
    server.stdout(Stdio::null()).stderr(log).spawn().unwrap()
}

fn fed(mut command: Command, text: &str) -> Output {
    let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    // A client that was not let in reads nothing.
    let _ = child.stdin.take().unwrap().write_all(text.as_bytes());
    child.wait_with_output().unwrap()
}

#[track_caller]
fn succeeded(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
