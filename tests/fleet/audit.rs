//! Audit of real hosts: for every rule the fault is planted, seen as just that finding, mended, and seen gone.

use crate::host::Spec;
use crate::workspace::{ROOT, Workspace, is_root, of};
use serde_json::Value;

/// `rule path` of each finding, paths relative to the root.
fn found(report: &Value, host: &str) -> Vec<String> {
    let findings = of(report, host)["findings"].as_array().unwrap();
    let line = |finding: &Value| {
        let path = finding["path"].as_str().unwrap();
        format!("{} {}", finding["rule"].as_str().unwrap(), path.strip_prefix(&format!("{ROOT}/")).unwrap_or(path))
    };
    findings.iter().map(line).collect()
}

#[test]
fn a_clean_fleet_has_nothing_to_say() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("tiny1", Spec::busybox(), "");
    ws.setup();
    let snapshots: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    let report = ws.json(&["audit"], 0);
    for (host, snapshot) in ws.hosts.iter().zip(snapshots) {
        assert_eq!(found(&report, &host.name), Vec::<String>::new(), "{report:#}");
        assert_eq!(host.snapshot(), snapshot, "it reads and does not touch");
    }
    let quiet = ws.run(&["audit", "-q"]).expect(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    ws.assert_no_leak();
}

#[test]
fn a_setup_ends_with_an_audit() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    assert_eq!(found(&ws.setup(), "web1"), Vec::<String>::new());
    ws.web1().sh(&format!("ln {ROOT}/vault-password /opt/second"));
    assert_eq!(found(&ws.setup(), "web1"), ["hardlink vault-password"]);
    ws.assert_no_leak();
}
