//! `FleetInUse`: hosts whose secret is used all the time, as an application would, while it is rotated with the programs that are shipped.

use crate::host::{Host, Spec};
use crate::workspace::{Workspace, wait};
use serde_json::Value;
use std::fs;
use std::path::{Path, PathBuf};

/// Three hosts, each with a program that uses the secret again and again and writes a line for each time.
pub struct FleetInUse {
    pub ws: Workspace,
}

/// Where a consumer writes `ok ...`, or what went wrong.
const USED: &str = "/srv/used";
/// How often each host uses the secret in each phase, at least.
const TIMES: usize = 5;

impl FleetInUse {
    /// `playbook` is a service with its policy.
    pub fn new(exports: Vec<(String, String)>, playbook: &str) -> Self {
        let mut ws = Workspace::new();
        ws.exports = exports;
        for name in ["web1", "web2", "web3"] {
            ws.add(name, Spec::default().script("mkfifo /srv/gate"), "");
        }
        copy_rotators(&ws.path("project/playbooks/rotators"));
        ws.rotate_by(playbook);
        Self { ws }
    }

    /// What the service has at first, brought to every host.
    pub fn begin(&self, secret: &str, value: &str) {
        self.ws.set(secret, value);
        self.ws.setup();
    }

    /// A file of every host.
    pub fn write(&self, path: &str, text: &str) {
        for host in &self.ws.hosts {
            fs::write(host.path(path), text).unwrap();
        }
    }

    /// Starts a consumer on every host, which leaves others some of the machine: `once` is shell that uses the secret once and prints a
    /// line that begins with `ok`.
    pub fn consume(&self, once: &str) {
        let script = format!(
            "while ! test -e /srv/stop; do\n({once}) >> {USED} 2>&1 || echo failed >> {USED}\nsleep 0.1\ndone\n"
        );
        self.write("/srv/consumer", &script);
        for host in &self.ws.hosts {
            host.sh("setsid sh /srv/consumer < /dev/null > /dev/null 2>&1 &");
        }
        self.used_again();
    }

    /// Waits until every host has used the secret a few more times: it has read its file since.
    pub fn used_again(&self) {
        let before: Vec<usize> = self.ws.hosts.iter().map(|host| uses(host).len()).collect();
        for (host, before) in self.ws.hosts.iter().zip(before) {
            wait("the consumer", || uses(host).len() >= before + TIMES);
        }
    }

    /// Runs a command that rotates, with all that it and its steps say on stderr, and gives `rotation` of its report.
    #[track_caller]
    pub fn rotation(&self, args: &[&str], status: i32) -> Value {
        self.ws.json(&[args, &["-v"]].concat(), status)["rotation"].clone()
    }

    /// Waits until the overlap is over and old values are revoked.
    #[track_caller]
    pub fn revoke(&self, secret: &str) {
        wait("the end of the overlap", || {
            let told = self.rotation(&["rotate", "--revoke"], 0);
            told["revoked"].as_array().unwrap().iter().any(|name| name == secret)
        });
    }

    /// Stops the consumers, and gives what all hosts wrote.
    pub fn stop(&self) -> Vec<String> {
        self.write("/srv/stop", "");
        for host in &self.ws.hosts {
            wait("the end of a consumer", || !host.processes().iter().any(|(_, line)| line.contains("/srv/consumer")));
        }
        self.ws.hosts.iter().flat_map(uses).collect()
    }

    /// Every use of every host went well. How many there were in each phase is what `used_again` waits for.
    #[track_caller]
    pub fn assert_never_failed(&self) {
        let all = self.stop();
        let failed: Vec<&String> = all.iter().filter(|line| !line.starts_with("ok")).collect();
        assert_eq!(failed, Vec::<&String>::new(), "of {} uses", all.len());
        println!("{} uses, none failed", all.len());
    }

    /// Every host has this in a file of its live set.
    #[track_caller]
    pub fn assert_live(&self, file: &str, text: &str) {
        for host in &self.ws.hosts {
            assert!(host.read(&live(file)).contains(text), "{file} on {}", host.name);
        }
    }

    /// Nothing that was ever printed, logged or left behind holds one of these; nor do these places.
    #[track_caller]
    pub fn assert_silent(&self, values: &[String], places: &[PathBuf]) {
        for value in values.iter().chain([&self.ws.poison]) {
            self.ws.assert_nowhere(value, places.to_vec(), |_| false);
        }
        self.ws.assert_no_leak();
    }
}

/// A file of the live set, by the way that applications take.
pub fn live(file: &str) -> String {
    format!("{}/secrets/{file}", crate::workspace::ROOT)
}

/// The whole lines that a consumer wrote.
pub fn uses(host: &Host) -> Vec<String> {
    let text = fs::read_to_string(host.path(USED)).unwrap_or_default();
    text.split_inclusive('\n').filter_map(|line| Some(line.strip_suffix('\n')?.to_owned())).collect()
}

/// As a user who copies them beside the playbook.
fn copy_rotators(to: &Path) {
    fs::create_dir(to).unwrap();
    let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("playbooks/rotators");
    for entry in fs::read_dir(shipped).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}
