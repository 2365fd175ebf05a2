//! An audit for a person: findings folded by cause, the worst first, and a recap that counts by severity.
//! Hosts with the same finding are one block; so are files of one directory. 50,000 strays are a few lines.

use super::{HostReport, Report};
use crate::plan::{Finding, Rule, Severity};
use crate::words::{HostName, Outcome, plural};
use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fmt::Write;

/// Hosts and files of a block that are named before the rest is only counted.
const HOSTS_NAMED: usize = 8;
const FILES_NAMED: usize = 5;

/// Up to here the recap has a line for each host; above, only for those that need attention.
const HOSTS_LISTED: usize = 20;

/// Below the rule, behind the longest severity.
const INDENT: &str = "        ";

/// What stands for the host and the path in a fix while folding; texts of findings hold no control characters.
const HOSTS: &str = "--hosts \u{1}";
const PATH: &str = "\u{2}";

/// Every finding, folded.
pub(super) fn findings(report: &Report) -> String {
    let mut text = String::new();
    for ((cause, hosts), files) in folded(report) {
        let hosts = hosts.iter().map(|at| &report.hosts[*at].host).collect();
        text.push_str(&Block { cause, hosts, files }.text(report.would_fix));
    }
    text
}

/// What findings have in common that are told as one, in the order in which they are told.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Cause<'a> {
    severity: Reverse<Severity>,
    rule: Rule,
    fixed: bool,
    directory: &'a str,
    expected: &'a str,
    found: &'a str,
    note: Option<&'a str>,
    fixable: bool,
    fix: Option<String>,
}

/// Sorted twice, and never searched: first hosts by file, then files by hosts.
fn folded(report: &Report) -> BTreeMap<(Cause<'_>, Vec<usize>), Vec<&str>> {
    let mut hosts: BTreeMap<(Cause, &str), Vec<usize>> = BTreeMap::new();
    for (at, host) in report.hosts.iter().enumerate() {
        for finding in &host.findings {
            let (directory, file) = split(&finding.path);
            let on = hosts.entry((cause(host, finding, directory), file)).or_default();
            if on.last() != Some(&at) {
                on.push(at);
            }
        }
    }
    let mut files: BTreeMap<(Cause, Vec<usize>), Vec<&str>> = BTreeMap::new();
    for ((cause, file), on) in hosts {
        files.entry((cause, on)).or_default().push(file);
    }
    files
}

fn cause<'a>(host: &HostReport, finding: &'a Finding, directory: &'a str) -> Cause<'a> {
    let own = format!("--hosts {}", host.host);
    let fix = finding.fix.as_ref().map(|fix| fix.replace(&own, HOSTS).replace(&finding.path, PATH));
    Cause {
        severity: Reverse(finding.severity),
        rule: finding.rule,
        fixed: finding.fixed,
        directory,
        expected: &finding.expected,
        found: &finding.found,
        note: finding.note.as_deref(),
        fixable: finding.fixable,
        fix,
    }
}

/// The directory with its slash, and the name in it; `/` is in no directory.
fn split(path: &str) -> (&str, &str) {
    path.split_at(path.trim_end_matches('/').rfind('/').map_or(0, |slash| slash + 1))
}

/// What is told as one: what is wrong, and where.
struct Block<'a> {
    cause: Cause<'a>,
    hosts: Vec<&'a HostName>,
    files: Vec<&'a str>,
}

impl Block<'_> {
    fn text(&self, would_fix: bool) -> String {
        let Cause { severity: Reverse(severity), rule, directory, .. } = &self.cause;
        let shown = severity.as_str().to_uppercase();
        let mut text = match self.files.as_slice() {
            [file] => format!("{shown:<6}  {rule}  {directory}{file}\n"),
            files => {
                let names = listed(files, FILES_NAMED);
                format!("{shown:<6}  {rule}  {directory} (×{})\n{INDENT}{names}\n", files.len())
            }
        };
        let note = self.cause.note.map(str::to_owned);
        let lines = [Some(self.state()), note, Some(self.place()), self.remedy(would_fix)];
        for line in lines.into_iter().flatten() {
            writeln!(text, "{INDENT}{line}").expect("a string takes it");
        }
        text.push('\n');
        text
    }

    fn state(&self) -> String {
        let Cause { expected, found, fixed, .. } = self.cause;
        let expected = if expected == "nothing" { String::new() } else { format!(", should be {expected}") };
        let mended = if fixed { " (mended)" } else { "" };
        format!("{found}{expected}{mended}")
    }

    fn place(&self) -> String {
        let names: Vec<&str> = self.hosts.iter().map(|host| host.as_str()).collect();
        let count = if names.len() > 1 { format!(" (×{})", names.len()) } else { String::new() };
        format!("on {}{count}", listed(&names, HOSTS_NAMED))
    }

    /// How it is mended, or would be.
    fn remedy(&self, would_fix: bool) -> Option<String> {
        match (&self.cause.fix, self.cause.fixable) {
            _ if self.cause.fixed => None,
            (Some(fix), true) if would_fix => Some(format!("would mend: {}", self.filled(fix))),
            (None, true) if would_fix => Some("would be mended".to_owned()),
            (_, true) => Some(format!("fix: {}", self.filled(&format!("distribute audit --fix {HOSTS}")))),
            (fix, false) => fix.as_ref().map(|fix| format!("fix: {}", self.filled(fix))),
        }
    }

    /// The fix for all of the block. Where that is too much for a line, a word in capitals stands for it, which runs nowhere
    /// by mistake; a wildcard could.
    fn filled(&self, fix: &str) -> String {
        let names: Vec<&str> = self.hosts.iter().map(|host| host.as_str()).collect();
        let hosts = if names.len() > HOSTS_NAMED { "HOSTS".to_owned() } else { names.join(",") };
        let file = if let [file] = self.files.as_slice() { file } else { "FILE" };
        fix.replace(HOSTS, &format!("--hosts {hosts}")).replace(PATH, &format!("{}{file}", self.cause.directory))
    }
}

/// So many names, and how many more there are.
fn listed(names: &[&str], most: usize) -> String {
    match names.len().checked_sub(most) {
        None | Some(0) => names.join(", "),
        Some(more) => format!("{} and {more} more", names[..most].join(", ")),
    }
}

/// A line a host, as far as they are few or need attention, and the totals.
pub(super) fn recap(report: &Report) -> String {
    let check = if report.check { " (check: nothing was changed)" } else { "" };
    let mut text = format!("RECAP {} {}{check}\n", report.command, report.run);
    let is_listed = |host: &&HostReport| {
        report.hosts.len() <= HOSTS_LISTED || host.outcome.is_failure() || !host.findings.is_empty()
    };
    let hosts: Vec<&HostReport> = report.hosts.iter().filter(is_listed).collect();
    let width = hosts.iter().map(|host| host.host.as_str().len()).max().unwrap_or(0);
    for host in hosts {
        writeln!(text, "{:<width$} : {}", host.host, counts(host)).expect("a string takes it");
    }
    text + &totals(report)
}

fn counts(host: &HostReport) -> String {
    if host.outcome.is_failure() || host.outcome == Outcome::Skipped {
        return host.outcome.to_string();
    }
    let by_severity = Severity::ALL.into_iter().rev().map(|severity| {
        let open = host.open().filter(|finding| finding.severity == severity);
        format!("{severity}={} ", open.count())
    });
    let mended = match host.findings.len() - host.open().count() {
        0 => String::new(),
        mended => format!(" mended={mended}"),
    };
    format!("{}accepted={}{mended}", by_severity.collect::<String>(), host.accepted)
}

/// Each host once: one that failed is not counted among those with findings.
fn totals(report: &Report) -> String {
    let looked_at = report.hosts.iter().filter(|host| matches!(host.outcome, Outcome::Ok | Outcome::Changed));
    let (clean, departed): (Vec<_>, Vec<_>) = looked_at.partition(|host| host.open().next().is_none());
    let skipped = match report.count(Outcome::Skipped) {
        0 => String::new(),
        skipped => format!(", {skipped} skipped"),
    };
    format!(
        "{}: {} clean, {} with findings, {} failed, {} unreachable{skipped}\n",
        plural(report.hosts.len(), "host"),
        clean.len(),
        departed.len(),
        report.count(Outcome::Failed),
        report.count(Outcome::Unreachable),
    )
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{audit, finding, host, stray};
    use super::super::human;
    use super::*;
    use crate::words::{Failure, Phase};

    #[track_caller]
    fn reads(report: &Report, expected: &str) {
        assert_eq!(human(report, report.run.time()), expected);
    }

    /// The blocks alone.
    #[track_caller]
    fn blocks(hosts: Vec<HostReport>, expected: &str) {
        assert_eq!(findings(&audit(hosts)), expected);
    }

    fn fixable(rule: Rule, path: &str) -> Finding {
        Finding { fixable: true, fix: Some(format!("chmod 600 {path}")), ..finding(rule, path) }
    }

    const ENV: &str = "/opt/app/secrets/aws.env";

    #[test]
    fn the_worst_comes_first_and_hosts_are_folded() {
        let leak = || fixable(Rule::WorldReadable, ENV);
        let swap = Finding::new(Rule::ClearSwap, "/swapfile".to_owned(), "nothing", "swap that is not encrypted");
        let drift = |host: &str| Finding {
            fix: Some(format!("distribute deploy --hosts {host}")),
            ..Finding::new(Rule::Drift, ENV.to_owned(), "the live set's content", "other content")
        };
        let mended = Finding { fixed: true, ..fixable(Rule::WrongMode, "/opt/app/secrets") };
        let mut failed = host("db1", []);
        failed.fail(Failure::new(Phase::Connect, "db1.example:22: no answer").hint("is it up?"));
        let mut web1 = host("web1", [swap, drift("web1"), mended, leak()]);
        web1.accepted = 2;
        let report = audit(vec![web1, host("web2", [leak(), drift("web2")]), host("web10", []), failed]);
        reads(
            &report,
            "\
HIGH    world-readable  /opt/app/secrets/aws.env
        0644, should be 0600
        on web1, web2 (×2)
        fix: distribute audit --fix --hosts web1,web2

HIGH    drift  /opt/app/secrets/aws.env
        other content, should be the live set's content
        on web1, web2 (×2)
        fix: distribute deploy --hosts web1,web2

LOW     wrong-mode  /opt/app/secrets
        0644, should be 0600 (mended)
        on web1

INFO    clear-swap  /swapfile
        swap that is not encrypted
        on web1

unreachable: db1
  connect: db1.example:22: no answer
  hint: is it up?

RECAP audit 3-20261121T020000Z-7f3a
web1  : high=2 medium=0 low=0 info=1 accepted=2 mended=1
web2  : high=2 medium=0 low=0 info=0 accepted=0
web10 : high=0 medium=0 low=0 info=0 accepted=0
db1   : unreachable
4 hosts: 1 clean, 2 with findings, 0 failed, 1 unreachable
",
        );
    }

    #[test]
    fn nothing_found_is_a_recap() {
        let skipped = HostReport { outcome: Outcome::Skipped, ..host("web2", []) };
        reads(
            &audit(vec![host("web1", []), skipped]),
            "\
RECAP audit 3-20261121T020000Z-7f3a
web1 : high=0 medium=0 low=0 info=0 accepted=0
web2 : skipped
2 hosts: 1 clean, 0 with findings, 0 failed, 0 unreachable, 1 skipped
",
        );
    }

    #[test]
    fn check_and_fix_say_what_would_be_mended() {
        let silent = Finding { fix: None, ..fixable(Rule::WrongOwner, ENV) };
        let hosts = vec![host("web1", [fixable(Rule::WorldReadable, ENV), silent, finding(Rule::Drift, ENV)])];
        reads(
            &Report { check: true, would_fix: true, ..audit(hosts) },
            "\
HIGH    world-readable  /opt/app/secrets/aws.env
        0644, should be 0600
        on web1
        would mend: chmod 600 /opt/app/secrets/aws.env

HIGH    wrong-owner  /opt/app/secrets/aws.env
        0644, should be 0600
        on web1
        would be mended

HIGH    drift  /opt/app/secrets/aws.env
        0644, should be 0600
        on web1

RECAP audit 3-20261121T020000Z-7f3a (check: nothing was changed)
web1 : high=3 medium=0 low=0 info=0 accepted=0
1 host: 0 clean, 1 with findings, 0 failed, 0 unreachable
",
        );
    }

    #[test]
    fn files_of_a_directory_are_folded_where_the_hosts_are_the_same() {
        let with_fix = |path: &str| Finding { fix: Some(format!("rm {path}")), ..stray(path) };
        blocks(
            vec![
                host("web1", [with_fix("/s/b"), with_fix("/s/a"), with_fix("/s/c"), with_fix("/t/a")]),
                host("web2", [with_fix("/s/a"), with_fix("/s/b")]),
            ],
            "\
MEDIUM  unexpected-file  /s/c
        a file that is not ours
        on web1
        fix: rm /s/c

MEDIUM  unexpected-file  /s/ (×2)
        a, b
        a file that is not ours
        on web1, web2 (×2)
        fix: rm /s/FILE

MEDIUM  unexpected-file  /t/a
        a file that is not ours
        on web1
        fix: rm /t/a

",
        );
        blocks(
            vec![host("web1", ["/", "/opt", "/srv"].map(|path| finding(Rule::ParentWritable, path)))],
            "\
HIGH    parent-writable  /
        0644, should be 0600
        on web1

HIGH    parent-writable  / (×2)
        opt, srv
        0644, should be 0600
        on web1

",
        );
    }

    #[test]
    fn many_hosts_are_counted() {
        let hosts = (1..=30).map(|n| host(&format!("h{n}"), (n > 20).then(|| fixable(Rule::WrongMode, "/opt/x"))));
        reads(
            &audit(hosts.collect()),
            "\
LOW     wrong-mode  /opt/x
        0644, should be 0600
        on h21, h22, h23, h24, h25, h26, h27, h28 and 2 more (×10)
        fix: distribute audit --fix --hosts HOSTS

RECAP audit 3-20261121T020000Z-7f3a
h21 : high=0 medium=0 low=1 info=0 accepted=0
h22 : high=0 medium=0 low=1 info=0 accepted=0
h23 : high=0 medium=0 low=1 info=0 accepted=0
h24 : high=0 medium=0 low=1 info=0 accepted=0
h25 : high=0 medium=0 low=1 info=0 accepted=0
h26 : high=0 medium=0 low=1 info=0 accepted=0
h27 : high=0 medium=0 low=1 info=0 accepted=0
h28 : high=0 medium=0 low=1 info=0 accepted=0
h29 : high=0 medium=0 low=1 info=0 accepted=0
h30 : high=0 medium=0 low=1 info=0 accepted=0
30 hosts: 20 clean, 10 with findings, 0 failed, 0 unreachable
",
        );
    }

    #[test]
    fn fifty_thousand_strays_are_a_few_lines() {
        let strays = (0..50_000).rev().map(|n| stray(&format!("/opt/app/secrets/f{n:05}")));
        blocks(
            vec![host("web1", strays)],
            "\
MEDIUM  unexpected-file  /opt/app/secrets/ (×50000)
        f00000, f00001, f00002, f00003, f00004 and 49995 more
        a file that is not ours
        on web1

",
        );
    }

    #[test]
    fn rules_are_told_in_the_order_of_the_list() {
        assert!(Rule::ALL.is_sorted());
    }
}
