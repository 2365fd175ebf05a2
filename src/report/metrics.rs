//! A report as metrics, in Prometheus' text format, for the textfile collector of node_exporter. Without timestamps, which the
//! collector refuses; when it ran is a value.

use super::{HostReport, Report};
use crate::plan::Severity;
use crate::words::Outcome;
use chrono::{DateTime, Utc};
use std::fmt::Write;

const LAST_SUCCESS: &str = "distribute_last_success_timestamp_seconds";

const OUTCOMES: [Outcome; 5] = [Outcome::Ok, Outcome::Changed, Outcome::Failed, Outcome::Unreachable, Outcome::Skipped];

/// The whole text of the file. `before` is what stood in it: a run that fails leaves the time of the last success as it was.
pub fn metrics(report: &Report, now: DateTime<Utc>, seconds: f64, before: Option<&str>) -> String {
    let command = labels(&[("command", report.command)]);
    let mut text = String::new();
    let at = format!("{command} {}", now.timestamp());
    family(&mut text, "distribute_last_run_timestamp_seconds", "When the command last ran", &[at]);
    let success: Vec<String> = last_success(report, now, before, &command).into_iter().collect();
    family(&mut text, LAST_SUCCESS, "When it last ran and no host failed or was unreachable", &success);
    let took = format!("{command} {seconds:.3}");
    family(&mut text, "distribute_run_duration_seconds", "How long the last run took", &[took]);
    let outcomes = OUTCOMES.map(|outcome| {
        let labels = labels(&[("command", report.command), ("outcome", outcome.as_str())]);
        format!("{labels} {}", report.count(outcome))
    });
    family(&mut text, "distribute_hosts", "Hosts of the last run, by what they came to", &outcomes);
    if report.command == "audit" {
        audited(&mut text, report);
    }
    text
}

/// What was found and not mended.
fn audited(text: &mut String, report: &Report) {
    let open = |severity| report.hosts.iter().flat_map(HostReport::open).filter(move |one| one.severity == severity);
    let found = Severity::ALL
        .map(|severity| format!("{} {}", labels(&[("severity", severity.as_str())]), open(severity).count()));
    family(text, "distribute_audit_findings", "Findings that nobody mended or accepted, by severity", &found);
    let accepted = [format!(" {}", report.accepted())];
    family(text, "distribute_audit_accepted_findings", "Findings that the ignore file accepts", &accepted);
    let line = |host: &HostReport| format!("{} {}", labels(&[("host", host.host.as_str())]), host.open().count());
    // Of a host that was not looked at there is no number: 0 would say that all is well.
    let is_known = |host: &&HostReport| matches!(host.outcome, Outcome::Ok | Outcome::Changed);
    let hosts: Vec<String> = report.hosts.iter().filter(is_known).map(line).collect();
    family(text, "distribute_audit_host_findings", "Findings of the host that nobody mended or accepted", &hosts);
}

/// Labels and value: now, or what was written after the last success.
fn last_success(report: &Report, now: DateTime<Utc>, before: Option<&str>, command: &str) -> Option<String> {
    if !report.interrupted && !report.hosts.iter().any(|host| host.outcome.is_failure()) {
        return Some(format!("{command} {}", now.timestamp()));
    }
    let start = format!("{LAST_SUCCESS}{command} ");
    let time: i64 = before?.lines().find_map(|line| line.strip_prefix(&start)?.parse().ok())?;
    Some(format!("{command} {time}"))
}

/// A metric with all its samples; nothing at all where it has none.
fn family(text: &mut String, name: &str, help: &str, samples: &[String]) {
    if samples.is_empty() {
        return;
    }
    writeln!(text, "# HELP {name} {help}\n# TYPE {name} gauge").expect("a string takes it");
    for sample in samples {
        writeln!(text, "{name}{sample}").expect("a string takes it");
    }
}

fn labels(pairs: &[(&str, &str)]) -> String {
    let escaped = |value: &str| value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    let pairs: Vec<String> = pairs.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
    format!("{{{}}}", pairs.join(","))
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{audit, finding, host};
    use super::*;
    use crate::plan::{Finding, Rule};
    use crate::words::{Failure, Phase};

    fn now() -> DateTime<Utc> {
        "2026-11-21T02:00:10Z".parse().unwrap()
    }

    fn failed(name: &str) -> HostReport {
        let mut host = host(name, []);
        host.fail(Failure::new(Phase::Connect, "no answer"));
        host
    }

    #[test]
    fn reads_as_the_collector_wants_it() {
        let mended = Finding { fixed: true, ..finding(Rule::Missing, "/x") };
        let mut web1 = host("web1", [finding(Rule::Drift, "/x"), finding(Rule::WrongMode, "/x"), mended]);
        (web1.accepted, web1.outcome) = (3, Outcome::Changed);
        let before = "distribute_last_success_timestamp_seconds{command=\"audit\"} 1763690400\n";
        let report = audit(vec![web1, host("web2", []), failed("db1")]);
        assert_eq!(
            metrics(&report, now(), 1.25, Some(before)),
            r#"# HELP distribute_last_run_timestamp_seconds When the command last ran
# TYPE distribute_last_run_timestamp_seconds gauge
distribute_last_run_timestamp_seconds{command="audit"} 1795226410
# HELP distribute_last_success_timestamp_seconds When it last ran and no host failed or was unreachable
# TYPE distribute_last_success_timestamp_seconds gauge
distribute_last_success_timestamp_seconds{command="audit"} 1763690400
# HELP distribute_run_duration_seconds How long the last run took
# TYPE distribute_run_duration_seconds gauge
distribute_run_duration_seconds{command="audit"} 1.250
# HELP distribute_hosts Hosts of the last run, by what they came to
# TYPE distribute_hosts gauge
distribute_hosts{command="audit",outcome="ok"} 1
distribute_hosts{command="audit",outcome="changed"} 1
distribute_hosts{command="audit",outcome="failed"} 0
distribute_hosts{command="audit",outcome="unreachable"} 1
distribute_hosts{command="audit",outcome="skipped"} 0
# HELP distribute_audit_findings Findings that nobody mended or accepted, by severity
# TYPE distribute_audit_findings gauge
distribute_audit_findings{severity="info"} 0
distribute_audit_findings{severity="low"} 1
distribute_audit_findings{severity="medium"} 0
distribute_audit_findings{severity="high"} 1
# HELP distribute_audit_accepted_findings Findings that the ignore file accepts
# TYPE distribute_audit_accepted_findings gauge
distribute_audit_accepted_findings 3
# HELP distribute_audit_host_findings Findings of the host that nobody mended or accepted
# TYPE distribute_audit_host_findings gauge
distribute_audit_host_findings{host="web1"} 2
distribute_audit_host_findings{host="web2"} 0
"#
        );
    }

    #[test]
    fn only_a_run_that_succeeds_is_the_last_success() {
        let good = audit(vec![host("web1", [finding(Rule::Drift, "/x")])]);
        let bad = audit(vec![host("web1", []), failed("db1")]);
        let interrupted = Report { interrupted: true, ..audit(vec![]) };
        let line = |command: &str, value: &str| format!("{LAST_SUCCESS}{{command=\"{command}\"}} {value}\n");
        let earlier = line("deploy", "5") + &line("audit", "7");
        let cases = [
            (&good, Some(earlier.as_str()), Some("1795226410")),
            (&good, None, Some("1795226410")),
            (&bad, Some(earlier.as_str()), Some("7")),
            (&interrupted, Some(earlier.as_str()), Some("7")),
            (&bad, None, None),
            (&bad, Some("not metrics"), None),
            (&bad, Some(&line("deploy", "5")), None),
            (&bad, Some(&line("audit", "soon")), None),
            (&bad, Some(&line("audit", "1 2")), None),
        ];
        for (report, before, expected) in cases {
            let text = metrics(report, now(), 0.0, before);
            let found =
                text.lines().find_map(|line| line.strip_prefix(LAST_SUCCESS)?.strip_prefix("{command=\"audit\"} "));
            assert_eq!(found, expected, "{before:?}");
            assert_eq!(text.contains(LAST_SUCCESS), expected.is_some());
        }
    }

    #[test]
    fn other_commands_have_no_findings_to_count() {
        let report = Report { command: "deploy", ..audit(vec![host("web1", [])]) };
        let text = metrics(&report, now(), 0.0, None);
        assert!(text.contains("distribute_hosts{command=\"deploy\",outcome=\"ok\"} 1\n") && !text.contains("audit"));
    }

    #[test]
    fn labels_are_escaped() {
        assert_eq!(labels(&[("a", "x\\y\"z\n"), ("b", "")]), "{a=\"x\\\\y\\\"z\\n\",b=\"\"}");
    }
}
