//! An audit as JUnit XML, for CI: a host is a suite, and each rule is a test of it. The list of tests is the same in each run,
//! so that a CI server shows since when one fails.

use super::{HostReport, Report};
use crate::plan::{Finding, Rule};
use crate::words::{Failure, Outcome};
use std::fmt::Write;

/// Findings of one rule on one host that are listed before the rest is only counted: CI servers show it all on one page.
const LISTED: usize = 100;

/// What became of a test, in JUnit's words, as far as it was not good.
enum Verdict<'a> {
    Passed,
    Skipped,
    Error(&'a Failure),
    Failure(Vec<&'a Finding>),
}

struct Case<'a> {
    name: &'static str,
    seconds: f64,
    verdict: Verdict<'a>,
    /// Findings that do not make it fail.
    noted: Vec<&'a Finding>,
}

/// The document as text.
pub fn junit(report: &Report) -> String {
    let suites: Vec<Vec<Case>> = report.hosts.iter().map(|host| cases(report, host)).collect();
    let all: Vec<&Case> = suites.iter().flatten().collect();
    let seconds = report.hosts.iter().map(|host| host.seconds).sum();
    let name = escaped(&format!("distribute {}", report.command));
    let mut text = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n".to_owned();
    line(&mut text, &format!("<testsuites name=\"{name}\" {}>", counts(&all, seconds)));
    for (host, cases) in report.hosts.iter().zip(&suites) {
        suite(&mut text, report, host, cases);
    }
    line(&mut text, "</testsuites>");
    text
}

/// First whether the host was reached, then the rules.
fn cases<'a>(report: &Report, host: &'a HostReport) -> Vec<Case<'a>> {
    let verdict = match &host.error {
        Some(failure) => Verdict::Error(failure),
        None if host.outcome == Outcome::Skipped => Verdict::Skipped,
        None => Verdict::Passed,
    };
    let reached = Case { name: "reached", seconds: host.seconds, verdict, noted: Vec::new() };
    std::iter::once(reached).chain(Rule::ALL.into_iter().map(|rule| case(report, host, rule))).collect()
}

fn case<'a>(report: &Report, host: &'a HostReport, rule: Rule) -> Case<'a> {
    let own = host.findings.iter().filter(|finding| finding.rule == rule);
    let (failing, noted): (Vec<_>, Vec<_>) = own.partition(|finding| report.counts(finding));
    // Nobody looked, or not to the end: that no departure is known proves nothing.
    let is_unknown = host.error.is_some() || host.outcome == Outcome::Skipped;
    let verdict = match () {
        () if !failing.is_empty() => Verdict::Failure(failing),
        () if is_unknown && noted.is_empty() => Verdict::Skipped,
        () => Verdict::Passed,
    };
    Case { name: rule.as_str(), seconds: 0.0, verdict, noted }
}

fn counts(cases: &[&Case], seconds: f64) -> String {
    let count = |is: fn(&Verdict) -> bool| cases.iter().filter(|case| is(&case.verdict)).count();
    format!(
        "tests=\"{}\" failures=\"{}\" errors=\"{}\" skipped=\"{}\" time=\"{seconds:.3}\"",
        cases.len(),
        count(|verdict| matches!(verdict, Verdict::Failure(_))),
        count(|verdict| matches!(verdict, Verdict::Error(_))),
        count(|verdict| matches!(verdict, Verdict::Skipped)),
    )
}

fn suite(text: &mut String, report: &Report, host: &HostReport, cases: &[Case]) {
    let name = escaped(host.host.as_str());
    let counts = counts(&cases.iter().collect::<Vec<_>>(), host.seconds);
    // The schema wants no zone; run names are in UTC.
    let time = report.run.time().format("%Y-%m-%dT%H:%M:%S");
    line(text, &format!("  <testsuite name=\"{name}\" timestamp=\"{time}\" {counts}>"));
    for case in cases {
        case.write(text, &name);
    }
    line(text, "  </testsuite>");
}

impl Case<'_> {
    fn write(&self, text: &mut String, class: &str) {
        let Self { name, seconds, .. } = self;
        let head = format!("    <testcase classname=\"{class}\" name=\"{name}\" time=\"{seconds:.3}\"");
        let elements = self.verdict.element() + &self.output();
        if elements.is_empty() {
            line(text, &format!("{head}/>"));
        } else {
            line(text, &format!("{head}>\n{elements}    </testcase>"));
        }
    }

    fn output(&self) -> String {
        if self.noted.is_empty() {
            return String::new();
        }
        format!("      <system-out>{}</system-out>\n", list(&self.noted))
    }
}

impl Verdict<'_> {
    fn element(&self) -> String {
        match self {
            Self::Passed => String::new(),
            Self::Skipped => "      <skipped/>\n".to_owned(),
            Self::Error(Failure { phase, message, hint }) => {
                let hint = hint.as_ref().map(|hint| format!("hint: {}", escaped(hint))).unwrap_or_default();
                format!("      <error type=\"{phase}\" message=\"{}\">{hint}</error>\n", escaped(message))
            }
            Self::Failure(findings) => failure(findings),
        }
    }
}

fn failure(findings: &[&Finding]) -> String {
    let worst = findings.iter().map(|finding| finding.severity).max().expect("a failure has findings");
    let more = if findings.len() > 1 { format!(" and {} more", findings.len() - 1) } else { String::new() };
    let message = escaped(&format!("{}{more}", sentence(findings[0])));
    format!("      <failure type=\"{worst}\" message=\"{message}\">{}</failure>\n", list(findings))
}

/// A line a finding, and one below it for what mends it.
fn list(findings: &[&Finding]) -> String {
    let mut text = String::new();
    for finding in findings.iter().take(LISTED) {
        let mended = if finding.fixed { " (mended)" } else { "" };
        line(&mut text, &escaped(&format!("{} {}{mended}", finding.severity, sentence(finding))));
        if let Some(fix) = finding.fix.as_ref().filter(|_| !finding.fixed) {
            line(&mut text, &escaped(&format!("  fix: {fix}")));
        }
    }
    if findings.len() > LISTED {
        line(&mut text, &format!("and {} more", findings.len() - LISTED));
    }
    text
}

fn sentence(finding: &Finding) -> String {
    let Finding { path, found, expected, .. } = finding;
    format!("{path}: found {found}, expected {expected}")
}

fn line(text: &mut String, line: &str) {
    writeln!(text, "{line}").expect("a string takes it");
}

/// Safe in an attribute and in text. What XML 1.0 forbids has no escape in it, and becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => safe.push_str("&amp;"),
            '<' => safe.push_str("&lt;"),
            '>' => safe.push_str("&gt;"),
            '"' => safe.push_str("&quot;"),
            // A parser makes blanks of them in an attribute.
            '\n' | '\r' | '\t' => safe.push_str(&format!("&#{};", u32::from(c))),
            ' '..='\u{fffd}' | '\u{10000}'.. => safe.push(c),
            _ => safe.push('\u{fffd}'),
        }
    }
    safe
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{audit, finding, host, stray};
    use super::*;
    use crate::plan::Severity;
    use crate::words::Phase;
    use std::io::Write;
    use std::process::{Command, Stdio};

    /// A parser that is not ours says what it read: each element with its attributes and its text, indented.
    const PARSER: &str = r#"
import sys, xml.etree.ElementTree as tree
def show(element, depth):
    attributes = "".join(" %s=%r" % pair for pair in sorted(element.attrib.items()))
    text = (element.text or "").strip()
    print("%s%s%s%s" % ("  " * depth, element.tag, attributes, " %r" % text if text else ""))
    for child in element: show(child, depth + 1)
show(tree.fromstring(sys.stdin.buffer.read()), 0)
"#;

    /// `None` where there is no python3.
    fn parsed(text: &str) -> Option<String> {
        let command = Command::new("python3")
            .args(["-c", PARSER])
            .env("PYTHONIOENCODING", "utf-8")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        let Ok(mut python) = command else {
            eprintln!("skipped: there is no python3 to read the XML with");
            return None;
        };
        python.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
        let output = python.wait_with_output().unwrap();
        assert!(output.status.success(), "{}\n{text}", String::from_utf8_lossy(&output.stderr));
        Some(String::from_utf8(output.stdout).unwrap())
    }

    /// Without the tests that passed, which are most.
    fn notable(text: &str) -> String {
        let mut lines = text.lines().peekable();
        let mut kept = String::new();
        while let Some(this) = lines.next() {
            let has_more = lines.peek().is_some_and(|next| next.starts_with("      <"));
            if !this.starts_with("    <testcase") || has_more {
                line(&mut kept, this);
            }
        }
        kept
    }

    fn world() -> Report {
        let fix = Some("chmod 600 /s/aws.env".to_owned());
        let leak = Finding { fix, ..finding(Rule::WorldReadable, "/s/aws.env") };
        let mended = Finding { fixed: true, ..finding(Rule::Drift, "/s/api.env") };
        let low = finding(Rule::WrongMode, "/s");
        let findings = [leak, finding(Rule::WorldReadable, "/s/b.env"), mended, low];
        Report { fail_on: Some(Severity::Medium), ..audit(vec![host("web1", findings), host("web2", [])]) }
    }

    #[test]
    fn a_host_is_a_suite_and_a_rule_a_test() {
        let text = junit(&world());
        assert_eq!(
            notable(&text),
            r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="distribute audit" tests="40" failures="1" errors="0" skipped="0" time="0.500">
  <testsuite name="web1" timestamp="2026-11-21T02:00:00" tests="20" failures="1" errors="0" skipped="0" time="0.250">
    <testcase classname="web1" name="wrong-mode" time="0.000">
      <system-out>low /s: found 0644, expected 0600
</system-out>
    </testcase>
    <testcase classname="web1" name="world-readable" time="0.000">
      <failure type="high" message="/s/aws.env: found 0644, expected 0600 and 1 more">high /s/aws.env: found 0644, expected 0600
  fix: chmod 600 /s/aws.env
high /s/b.env: found 0644, expected 0600
</failure>
    </testcase>
    <testcase classname="web1" name="drift" time="0.000">
      <system-out>high /s/api.env: found 0644, expected 0600 (mended)
</system-out>
    </testcase>
  </testsuite>
  <testsuite name="web2" timestamp="2026-11-21T02:00:00" tests="20" failures="0" errors="0" skipped="0" time="0.250">
  </testsuite>
</testsuites>
"#
        );
        assert_eq!(text.matches("<testcase").count(), 40);
        assert!(text.contains("    <testcase classname=\"web1\" name=\"reached\" time=\"0.250\"/>\n"));
    }

    #[test]
    fn a_host_that_was_not_looked_at_passes_nothing() {
        let mut failed = host("web1", [stray("/s/x")]);
        failed.fail(Failure::new(Phase::Exec, "no <answer>").hint("try \"again\""));
        let skipped = HostReport { outcome: Outcome::Skipped, ..host("web2", []) };
        let text = junit(&audit(vec![failed, skipped]));
        let Some(parsed) = parsed(&text) else { return };
        assert!(
            parsed.starts_with(
                "\
testsuites errors='1' failures='1' name='distribute audit' skipped='38' tests='40' time='0.500'
  testsuite errors='1' failures='1' name='web1' skipped='18' tests='20' time='0.250' timestamp='2026-11-21T02:00:00'
    testcase classname='web1' name='reached' time='0.250'
      error message='no <answer>' type='exec' 'hint: try \"again\"'
    testcase classname='web1' name='missing' time='0.000'
      skipped
"
            ),
            "{parsed}"
        );
        assert!(parsed.contains("  testsuite errors='0' failures='0' name='web2' skipped='20' tests='20'"), "{parsed}");
    }

    #[test]
    fn whatever_a_host_says_it_is_xml() {
        let ugly = "/s/<a>&'\"]]>\u{1}\u{b}\u{fffe}\u{ffff}\n\t\r\u{1f600}ä";
        let report = audit(vec![host("web1", [stray(ugly), Finding { fixed: true, ..stray(ugly) }])]);
        let Some(parsed) = parsed(&junit(&report)) else { return };
        let shown = "/s/<a>&\\'\"]]>\u{fffd}\u{fffd}\u{fffd}\u{fffd}\\n\\t\\r\u{1f600}ä: found a file that is not ours";
        assert!(parsed.contains(&format!("failure message='{shown}, expected nothing' type='medium'")), "{parsed}");
        assert_eq!(parsed.matches(shown).count(), 3, "{parsed}");
    }

    #[test]
    fn a_flood_is_counted() {
        let text = junit(&audit(vec![host("web1", (0..50_000).map(|n| stray(&format!("/s/{n}"))))]));
        assert!(text.contains(", expected nothing and 49999 more\">"), "{}", &text[..4000]);
        assert!(text.contains("medium /s/99: ") && !text.contains("medium /s/100: "));
        assert!(text.contains("\nand 49900 more\n</failure>"));
    }
}
