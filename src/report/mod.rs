//! What happened. The engine sends events and gives a `Report`; human text, JSON, JUnit and metrics are readers of it.

mod audited;
mod backup;
mod exposure;
#[cfg(test)]
mod fixture;
mod human;
mod json;
mod junit;
mod metrics;
mod recovery;
mod rotation;

use crate::plan::restore::OtherValue;
use crate::plan::{Change, Finding, KeyChange, Severity};
use crate::words::{Failure, HostName, Outcome, Period, RunId, ServiceName};
use chrono::{DateTime, Utc};

pub use backup::{BackupReport, CopyReport, Deed};
pub use exposure::ExposureReport;
pub use human::{human, progress};
pub use json::json;
pub use junit::junit;
pub use metrics::metrics;
pub use recovery::RecoveryReport;
pub use rotation::{LaterRevocation, Provider, RotatedSecret, RotationReport, RotationState, Values};

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
    /// Of an audit with `--check --fix`: what can be mended would be.
    pub would_fix: bool,
    /// Of an audit: findings at or above this make it exit 3.
    pub fail_on: Option<Severity>,
    /// Of a status: commands whose last good run is too long ago.
    pub late: Vec<Late>,
    /// In inventory order.
    pub hosts: Vec<HostReport>,
    /// Of `backup`: copies of the bundle beside it, the oldest first.
    pub copies: Vec<CopyReport>,
    /// Of `rotate`.
    pub rotation: Option<RotationReport>,
    /// Of a status: who could read secrets that were not rotated since.
    pub exposures: Vec<ExposureReport>,
    /// Of `recover`.
    pub recovery: Option<RecoveryReport>,
}

/// A command that should have run by now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Late {
    pub command: &'static str,
    /// The last good run on this machine; one in the future counts for nothing.
    pub last: Option<DateTime<Utc>>,
    pub max_age: Period,
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
    /// Of a rotation or a restore: what it was sent was taken back again.
    pub is_put_back: bool,
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
    /// What there is to know, and is not wrong.
    pub notes: Vec<String>,
    /// Of a restore: the run whose secrets were brought back, or would be.
    pub restored: Option<RunId>,
    /// Of a restore: secrets whose value in the bundle is another.
    pub other_than_bundle: Vec<OtherValue>,
    /// What is sealed there, and what became of it.
    pub backups: Vec<BackupReport>,
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
            is_put_back: false,
            kept: Vec::new(),
            actions: Vec::new(),
            owed: Vec::new(),
            lock: None,
            dead_lock: None,
            overdue: Vec::new(),
            notes: Vec::new(),
            restored: None,
            other_than_bundle: Vec::new(),
            backups: Vec::new(),
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
        self.backups.retain(|backup| backup.deed != Deed::Made);
        self.backups
            .iter_mut()
            .filter(|backup| backup.deed == Deed::Removed)
            .for_each(|backup| backup.deed = Deed::None);
        if !self.switched {
            self.restored = None;
            self.other_than_bundle.clear();
            self.files.clear();
            self.kept.clear();
            self.actions.clear();
        }
    }

    /// Findings that nobody has mended.
    pub fn open(&self) -> impl Iterator<Item = &Finding> {
        self.findings.iter().filter(|finding| !finding.fixed)
    }

    /// Files that changed, or would.
    fn changed(&self) -> usize {
        self.files.iter().filter(|file| file.change != Change::None).count()
    }
}

impl Report {
    /// Of hosts alone; what else there is to say is filled in.
    pub fn new(command: &'static str, run: RunId, hosts: Vec<HostReport>) -> Self {
        Self {
            command,
            run,
            check: false,
            diff: false,
            interrupted: false,
            would_fix: false,
            fail_on: None,
            late: Vec::new(),
            hosts,
            copies: Vec::new(),
            rotation: None,
            exposures: Vec::new(),
            recovery: None,
        }
    }

    /// Is there a host on which something changed, or would?
    pub fn would_change(&self) -> bool {
        self.count(Outcome::Changed) > 0
    }

    /// Is there a backup that cannot be relied on?
    pub fn has_bad_backups(&self) -> bool {
        let backups = self.hosts.iter().flat_map(|host| &host.backups);
        backups.map(|backup| &backup.problem).chain(self.copies.iter().map(|copy| &copy.problem)).any(Option::is_some)
    }

    /// How many hosts came to this outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.hosts.iter().filter(|host| host.outcome == outcome).count()
    }

    /// How many departures were seen, on all hosts.
    pub fn findings(&self) -> usize {
        self.hosts.iter().map(|host| host.findings.len()).sum()
    }

    /// How many departures somebody accepted, on all hosts.
    pub fn accepted(&self) -> usize {
        self.hosts.iter().map(|host| host.accepted).sum()
    }

    /// Does this finding make the audit fail?
    pub fn counts(&self, finding: &Finding) -> bool {
        !finding.fixed && self.fail_on.is_some_and(|least| finding.severity >= least)
    }

    /// Is there a finding that counts, and that was not mended?
    pub fn is_departed(&self) -> bool {
        self.hosts.iter().flat_map(|host| &host.findings).any(|finding| self.counts(finding))
    }

    /// Was every host reached, nothing mended, and nothing found that counts? Then `audit -q` has nothing to say.
    pub fn is_clean(&self) -> bool {
        let speaks = |finding: &Finding| finding.fixed || self.counts(finding);
        let is_clean = |host: &HostReport| !host.outcome.is_failure() && !host.findings.iter().any(speaks);
        !self.interrupted && self.hosts.iter().all(is_clean)
    }

    /// Of a drill: was every host reached, and what was unpacked there what is live? Then `backup drill -q` has nothing to say.
    pub fn is_as_live(&self) -> bool {
        let rehearsed = |backup: &&BackupReport| backup.deed == Deed::Rehearsed;
        let mut rehearsed = self.hosts.iter().flat_map(|host| &host.backups).filter(rehearsed);
        self.exit_status() == 0 && rehearsed.all(|backup| backup.note.is_none())
    }

    /// Did a rotation not come to its end, be it that every host is well?
    fn has_failed(&self) -> bool {
        self.command == "rotate" && self.rotation.as_ref().is_some_and(RotationReport::has_failed)
    }

    /// Was nothing to be rotated, and is all well? Then `rotate -q` has nothing to say.
    pub fn says_nothing(&self) -> bool {
        let is_idle = |rotation: &RotationReport| {
            rotation.state == RotationState::Nothing && rotation.skipped.is_empty() && rotation.revoked.is_empty()
        };
        self.exit_status() == 0 && self.rotation.as_ref().is_some_and(is_idle)
    }

    /// 0, 2, 3, 4 or 130, as the design says.
    pub fn exit_status(&self) -> u8 {
        match () {
            () if self.interrupted => 130,
            () if self.count(Outcome::Failed) > 0 || self.has_failed() => 2,
            () if self.count(Outcome::Unreachable) > 0 => 4,
            () if self.is_departed() || self.has_bad_backups() || !self.late.is_empty() => 3,
            () if self.rotation.as_ref().is_some_and(RotationReport::has_missed) => 3,
            () if self.recovery.as_ref().is_some_and(RecoveryReport::has_missed) => 3,
            () => 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::fixture::{audit, finding, host};
    use super::*;
    use crate::plan::Rule;
    use crate::words::Phase;

    /// A host that came to this, with one finding that may be mended.
    fn came_to(outcome: Outcome, rule: Option<(Rule, bool)>) -> HostReport {
        let findings = rule.map(|(rule, fixed)| Finding { fixed, ..finding(rule, "/opt/app/x") });
        HostReport { outcome, ..host("web1", findings) }
    }

    #[test]
    fn the_exit_status_says_the_worst() {
        use Outcome::{Changed, Failed, Ok, Skipped, Unreachable};
        let high = came_to(Ok, Some((Rule::Drift, false)));
        let cases = [
            (false, vec![], 0),
            (false, vec![came_to(Ok, None), came_to(Skipped, None)], 0),
            (false, vec![high.clone()], 3),
            (false, vec![came_to(Ok, Some((Rule::Missing, false)))], 3),
            (false, vec![came_to(Ok, Some((Rule::WrongMode, false)))], 0),
            (false, vec![came_to(Changed, Some((Rule::Drift, true)))], 0),
            (false, vec![high.clone(), came_to(Unreachable, None)], 4),
            (false, vec![high.clone(), came_to(Unreachable, None), came_to(Failed, None)], 2),
            (true, vec![high.clone(), came_to(Unreachable, None), came_to(Failed, None)], 130),
        ];
        for (interrupted, hosts, status) in cases {
            let report = Report { interrupted, fail_on: Some(Severity::Medium), ..audit(hosts) };
            assert_eq!(report.exit_status(), status, "{report:?}");
        }
        let late = Late { command: "rotate", last: None, max_age: Period::from_secs(1) };
        for (outcome, status) in [(Ok, 3), (Unreachable, 4)] {
            let report = Report { late: vec![late.clone()], ..audit(vec![came_to(outcome, None)]) };
            assert_eq!(report.exit_status(), status, "{report:?}");
        }
        // Commands that were not asked to fail on findings do not.
        assert_eq!(Report { fail_on: None, ..audit(vec![high]) }.exit_status(), 0);
    }

    #[test]
    fn clean_is_what_nobody_need_hear_of() {
        let clean = came_to(Outcome::Ok, None);
        assert!(audit(vec![HostReport { accepted: 2, ..clean.clone() }, came_to(Outcome::Skipped, None)]).is_clean());
        assert!(!Report { interrupted: true, ..audit(vec![clean.clone()]) }.is_clean());
        assert!(audit(vec![clean.clone(), came_to(Outcome::Ok, Some((Rule::ClearSwap, false)))]).is_clean());
        assert!(!audit(vec![clean.clone(), came_to(Outcome::Ok, Some((Rule::Drift, false)))]).is_clean());
        assert!(!audit(vec![clean.clone(), came_to(Outcome::Changed, Some((Rule::Drift, true)))]).is_clean());
        let mut failed = clean.clone();
        failed.fail(Failure::new(Phase::Connect, "no answer"));
        assert!(!audit(vec![clean, failed]).is_clean());
    }

    #[test]
    fn the_document_counts_what_was_accepted() {
        let hosts =
            vec![HostReport { accepted: 2, ..host("web1", []) }, HostReport { accepted: 1, ..host("web2", []) }];
        let document: serde_json::Value = serde_json::from_str(&json(&audit(hosts))).unwrap();
        assert_eq!((&document["summary"]["accepted"], &document["hosts"][0]["accepted"]), (&3.into(), &2.into()));
    }
}
