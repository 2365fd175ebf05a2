//! What happened. The engine sends events and gives a `Report`; human text and JSON are two readers of them.

mod human;
mod json;

use crate::plan::{Change, Finding, KeyChange, Severity};
use crate::words::{Failure, HostName, Outcome, RunId, ServiceName};

pub use human::{human, progress};
pub use json::json;

/// Something just happened to a host.
#[derive(Clone, Debug)]
pub enum Event {
    /// A connection is being made.
    Started(HostName),
    /// Something is about to be written.
    Pushing(HostName),
    /// Nothing more happens to it; this is its report.
    Finished(Box<HostReport>),
}

/// Everything that happened in one invocation.
#[derive(Debug)]
pub struct Report {
    /// The command as typed, such as `deploy`.
    pub command: &'static str,
    pub run: RunId,
    /// Nothing was changed: it says what would be.
    pub check: bool,
    /// Keys and fingerprints were asked for.
    pub diff: bool,
    pub interrupted: bool,
    /// Of an audit: findings at or above this make it exit 3.
    pub fail_on: Option<Severity>,
    /// In inventory order.
    pub hosts: Vec<HostReport>,
}

/// What happened to one host.
#[derive(Clone, Debug)]
pub struct HostReport {
    pub host: HostName,
    /// `203.0.113.10:22`, or `local`.
    pub address: String,
    pub outcome: Outcome,
    /// Of the live set: the highest, where a host has several roots.
    pub generation: Option<u64>,
    /// From its turn to its end.
    pub seconds: f64,
    pub files: Vec<FileReport>,
    pub findings: Vec<Finding>,
    /// Findings that somebody accepted, and that do not count.
    pub accepted: usize,
    /// Why it failed or could not be reached.
    pub error: Option<Failure>,
    /// Was something switched, and is it live still?
    pub switched: bool,
    /// Where files that we did not put there are kept now.
    pub kept: Vec<String>,
    /// Services whose actions ran, or would.
    pub actions: Vec<ServiceName>,
    /// Services whose actions are still to be run.
    pub owed: Vec<ServiceName>,
    /// Since when another run is at work there, and whose.
    pub lock: Option<String>,
    /// The same of a run that died there; the next push cleans up after it.
    pub dead_lock: Option<String>,
    /// Secrets whose time to be rotated has come.
    pub overdue: Vec<String>,
    /// The run that made the live set, and the newest backup.
    pub live: Option<RunId>,
    pub last_backup: Option<RunId>,
    /// The key that the host proved to have, as OpenSSH writes it.
    pub host_key: Option<String>,
}

/// A file and what became of it, or would.
#[derive(Clone, Debug)]
pub struct FileReport {
    /// Absolute on the host.
    pub path: String,
    /// `None` for a file that no service of the play has.
    pub service: Option<ServiceName>,
    pub change: Change,
    pub keys: Vec<KeyChange>,
}

impl HostReport {
    /// A host about which nothing is known yet.
    pub fn new(host: HostName, address: String) -> Self {
        Self {
            host,
            address,
            outcome: Outcome::Ok,
            generation: None,
            seconds: 0.0,
            files: Vec::new(),
            findings: Vec::new(),
            accepted: 0,
            error: None,
            switched: false,
            kept: Vec::new(),
            actions: Vec::new(),
            owed: Vec::new(),
            lock: None,
            dead_lock: None,
            overdue: Vec::new(),
            live: None,
            last_backup: None,
            host_key: None,
        }
    }

    /// Notes the failure; the outcome follows from its phase.
    pub fn fail(&mut self, failure: Failure) {
        self.outcome = failure.phase.outcome();
        self.error = Some(failure);
        // What was planned did not come to be.
        if !self.switched {
            self.files.clear();
            self.kept.clear();
            self.actions.clear();
        }
    }

    /// Files that changed, or would.
    fn changed(&self) -> usize {
        self.files.iter().filter(|file| file.change != Change::None).count()
    }
}

impl Report {
    /// How many hosts came to this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.hosts.iter().filter(|host| host.outcome == outcome).count()
    }

    /// How many departures were seen, on all hosts.
    pub fn findings(&self) -> usize {
        self.hosts.iter().map(|host| host.findings.len()).sum()
    }

    /// Is there a finding that counts, and that was not mended?
    pub fn is_departed(&self) -> bool {
        let Some(least) = self.fail_on else { return false };
        let mut findings = self.hosts.iter().flat_map(|host| &host.findings);
        findings.any(|finding| finding.severity >= least && !finding.fixed)
    }

    /// 0, 2, 3, 4 or 130, as the design says.
    pub fn exit_status(&self) -> u8 {
        match () {
            () if self.interrupted => 130,
            () if self.count(Outcome::Failed) > 0 => 2,
            () if self.count(Outcome::Unreachable) > 0 => 4,
            () if self.is_departed() => 3,
            () => 0,
        }
    }
}
