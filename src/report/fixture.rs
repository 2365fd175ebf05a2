//! Reports of audits for the tests of this room.

use super::{HostReport, Report};
use crate::plan::{Finding, Rule, Severity};
use crate::words::{HostName, RunId};

/// The run whose name is `3-20261121T020000Z-7f3a`.
pub(super) fn audit(hosts: Vec<HostReport>) -> Report {
    let run = RunId::new(3, "2026-11-21T02:00:00Z".parse().unwrap(), 0x7f3a);
    Report { fail_on: Some(Severity::Low), ..Report::new("audit", run, hosts) }
}

/// A host that was looked at.
pub(super) fn host(name: &str, findings: impl IntoIterator<Item = Finding>) -> HostReport {
    let report = HostReport::new(HostName::new(name).unwrap(), format!("{name}.example:22"));
    HostReport { findings: findings.into_iter().collect(), seconds: 0.25, ..report }
}

/// A departure that nobody has mended.
pub(super) fn finding(rule: Rule, path: &str) -> Finding {
    Finding::new(rule, path.to_owned(), "0600", "0644")
}

/// Something that should not be there.
pub(super) fn stray(path: &str) -> Finding {
    Finding::new(Rule::UnexpectedFile, path.to_owned(), "nothing", "a file that is not ours")
}
