//! A real Redis for the length of a test, on an address of its own and with users in a file. It answers when `start` returns, and is gone when
//! dropped or when the test is killed.
#![allow(dead_code, reason = "each test file uses a part")]

use super::sshd::{directory, free_port, wait_for};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

pub struct Redis {
    dir: TempDir,
    server: Child,
    pub address: String,
    pub port: u16,
}

impl Redis {
    /// Can one be started here? Prints why not.
    pub fn is_possible() -> bool {
        let is_there =
            ["/usr/bin/redis-server", "/usr/local/bin/redis-server"].iter().any(|path| Path::new(path).exists());
        if !is_there {
            println!("skipped: redis-server is not installed");
        }
        is_there
    }

    pub fn start() -> Self {
        let dir = directory();
        fs::write(dir.path().join("users.acl"), "user default on nopass ~* &* +@all\n").unwrap();
        let (address, port) = free_port();
        let server = spawn(&dir, &address, port);
        let mut redis = Self { dir, server, address, port };
        redis.wait();
        redis
    }

    fn wait(&mut self) {
        wait_for("Redis", || {
            assert!(self.server.try_wait().unwrap().is_none(), "Redis ended: {}", self.log());
            TcpStream::connect((self.address.as_str(), self.port)).is_ok() && self.ask("PING").contains("PONG")
        });
    }

    /// The same data in the same place, after `stop`.
    pub fn restart(&mut self) {
        self.server = spawn(&self.dir, &self.address, self.port);
        self.wait();
    }

    pub fn stop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }

    /// Sends lines of words as the default user, and gives all answers as they come.
    pub fn ask(&self, lines: &str) -> String {
        let mut stream = TcpStream::connect((self.address.as_str(), self.port)).unwrap();
        stream.write_all(format!("{lines}\r\nQUIT\r\n").as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    }

    /// Does this password let this user in?
    pub fn lets_in(&self, user: &str, password: &str) -> bool {
        self.ask(&format!("AUTH {user} {password}")).starts_with("+OK")
    }

    /// The file that users are saved to.
    pub fn users(&self) -> String {
        fs::read_to_string(self.dir.path().join("users.acl")).unwrap()
    }

    /// Where the log and the users lie.
    pub fn dir(&self) -> PathBuf {
        self.dir.path().to_owned()
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Redis {
    fn drop(&mut self) {
        self.stop();
    }
}

/// It dies with us.
fn spawn(dir: &TempDir, address: &str, port: u16) -> Child {
    let log = fs::OpenOptions::new().create(true).append(true).open(dir.path().join("log")).unwrap();
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL", "redis-server", "--bind", address, "--port", &port.to_string()]);
    server.args(["--save", "", "--loglevel", "debug", "--daemonize", "no", "--aclfile", "users.acl"]);
    server.current_dir(dir.path()).stdin(Stdio::null()).stdout(log).stderr(Stdio::null()).spawn().unwrap()
}
