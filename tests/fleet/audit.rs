//! Audit of real hosts: a clean fleet says nothing, and for every rule the fault is planted, seen as just that finding, mended,
//! and seen gone, on a host with OpenSSH and coreutils and on one with nothing but busybox. The faults are tables, in `audit_access`,
//! `audit_content` and `audit_surroundings`; here is what is done with each row.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, is_root, of};
use distribute::plan::Rule;
use serde_json::Value;
use std::collections::BTreeSet;

/// Something that goes wrong on a host.
pub struct Fault {
    /// `RULE SEVERITY PATH: EXPECTED -> FOUND`. Paths are relative to the root; RUN is the run of the live set, BEFORE that of the
    /// one before, HASH the beginning of a hash.
    pub says: &'static str,
    /// Run on the host in the root, as root; `$live` and `$before` are the sets, `$run` the run of the live one.
    pub plant: &'static str,
    pub mend: Mend,
}

/// What makes it right again. Where that is not `--fix`, `--fix` is seen to touch nothing.
pub enum Mend {
    Fix,
    /// A deploy, and what it kept is removed, as somebody would who has looked at it.
    Deploy,
    /// The command that the finding itself names.
    AsTold,
    By(&'static str),
}

const PRELUDE: &str = "umask 077; set -e; cd /opt/callableapis; before=secrets/$(sed 's/.* //' .distribute/previous || true); \
                       live=secrets/$(readlink secrets/..data); run=${live#secrets/..}\n";

/// A host as most people have it, and one with next to nothing; both with two sets.
pub fn fleet() -> Workspace {
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("tiny1", Spec::busybox(), "");
    ws.setup();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    ws
}

pub const BOTH: &[&str] = &["web1", "tiny1"];

/// Plants, sees and mends one fault after the other on these hosts.
#[track_caller]
pub fn tell(ws: &Workspace, hosts: &[&str], faults: &[Fault]) {
    let wrong: Vec<String> = faults.iter().flat_map(|fault| tell_one(ws, hosts, fault)).collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// What was not as the fault says.
fn tell_one(ws: &Workspace, hosts: &[&str], fault: &Fault) -> Vec<String> {
    let these = hosts.join(":");
    let hosts: Vec<&Host> = hosts.iter().map(|name| ws.host(name)).collect();
    let runs: Vec<_> = hosts.iter().map(|host| runs(host)).collect();
    hosts.iter().for_each(|host| drop(host.sh(&format!("{PRELUDE}{}", fault.plant))));
    let mut wrong = Vec::new();
    let mut compare = |step: &str, host: &Host, is: String, should: &str| {
        if is != should {
            wrong.push(format!("{}\n  {step} on {}: {is}", fault.says, host.name));
        }
    };
    let is_info = fault.says.split(' ').nth(1) == Some("info");
    let is_fix = matches!(fault.mend, Mend::Fix);
    let snapshots: Vec<_> = hosts.iter().map(|host| host.snapshot()).collect();
    let seeing: &[&str] = if is_fix { &["audit"] } else { &["audit", "--fix"] };
    let seen = ws.run(&[seeing, &["--hosts", &these, "-o", "json"]].concat());
    for ((host, runs), snapshot) in hosts.iter().zip(runs).zip(snapshots) {
        compare("seen", host, lines(&seen.report(), host, &runs).join("; "), fault.says);
        compare("exit", host, seen.status.to_string(), if is_info { "0" } else { "3" });
        compare("touched", host, (host.snapshot() != snapshot).to_string(), "false");
    }
    match fault.mend {
        Mend::Fix => drop(ws.json(&["audit", "--fix", "--hosts", &these], 0)),
        Mend::Deploy => deploy(ws, &hosts, &these),
        Mend::AsTold => hosts.iter().for_each(|host| drop(host.sh(&told(&seen.report(), host)))),
        Mend::By(script) => run(&hosts, script),
    }
    let after = ws.run(&["audit", "--hosts", &these, "-o", "json"]);
    for host in &hosts {
        compare("after", host, lines(&after.report(), host, &[]).join("; "), "");
    }
    wrong
}

/// What mends the first finding, as somebody would copy it.
fn told(report: &Value, host: &Host) -> String {
    let fix = of(report, &host.name)["findings"][0]["fix"].as_str().unwrap_or("echo nothing is told");
    fix.trim_start_matches("look at it, then: ").to_owned()
}

fn run(hosts: &[&Host], script: &str) {
    hosts.iter().for_each(|host| drop(host.sh(&format!("cd /opt/callableapis; {script}"))));
}

fn deploy(ws: &Workspace, hosts: &[&Host], these: &str) {
    let report = ws.json(&["deploy", "--hosts", these], 0);
    for host in hosts {
        for path in of(&report, &host.name)["kept"].as_array().unwrap() {
            let (directory, _) = path.as_str().unwrap().split_once("/..kept-").unwrap();
            host.sh(&format!("rm -rf {directory}/..kept-*"));
        }
    }
}

/// The names that differ from run to run, and what they go by here.
fn runs(host: &Host) -> Vec<(String, &'static str)> {
    let live = std::fs::read_link(host.path(&format!("{ROOT}/secrets/..data"))).unwrap();
    let previous = std::fs::read_to_string(host.path(&format!("{ROOT}/.distribute/previous"))).unwrap_or_default();
    let before = previous.split_whitespace().last().map(|before| (before[2..].to_owned(), "BEFORE"));
    [(live.to_str().unwrap()[2..].to_owned(), "RUN")].into_iter().chain(before).collect()
}

/// Every finding of a host, as a fault says it.
pub fn lines(report: &Value, host: &Host, runs: &[(String, &str)]) -> Vec<String> {
    let findings = of(report, &host.name)["findings"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    let error = &of(report, &host.name)["error"];
    let failures = error.is_object().then(|| format!("error: {error}"));
    findings.iter().map(line).chain(failures).map(|line| by_name(line, runs)).collect()
}

fn line(finding: &Value) -> String {
    let text = |key: &str| finding[key].as_str().unwrap();
    let is_hash = |text: &str| text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let short = |key: &str| if is_hash(text(key)) { "HASH" } else { text(key) };
    let path = text("path").strip_prefix(&format!("{ROOT}/")).unwrap_or(text("path"));
    format!("{} {} {path}: {} -> {}", text("rule"), text("severity"), short("expected"), short("found"))
}

fn by_name(line: String, runs: &[(String, &str)]) -> String {
    runs.iter().fold(line, |line, (run, name)| line.replace(run, name))
}

#[test]
fn a_clean_fleet_has_nothing_to_say() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    // What lies beside our directories in the root is nobody's business but its owner's.
    ws.hosts
        .iter()
        .for_each(|host| drop(host.sh("umask 022; mkdir /opt/callableapis/app; echo > /opt/callableapis/compose.yml")));
    let snapshots: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    let report = ws.json(&["audit"], 0);
    for (host, snapshot) in ws.hosts.iter().zip(snapshots) {
        assert_eq!(lines(&report, host, &[]), Vec::<String>::new(), "{report:#}");
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
    assert_eq!(lines(&ws.setup(), ws.web1(), &[]), Vec::<String>::new());
    ws.web1().sh(&format!("ln {ROOT}/vault-password /opt/second"));
    assert_eq!(lines(&ws.setup(), ws.web1(), &[]), ["hardlink medium vault-password: one name -> 2 names"]);
    ws.assert_no_leak();
}

/// No rule without a fault: a new one needs a row, or a story of its own here.
#[test]
fn every_rule_is_planted() {
    let tables = [crate::audit_access::FAULTS, crate::audit_content::FAULTS, crate::audit_surroundings::FAULTS];
    let mut told: BTreeSet<Rule> = tables
        .iter()
        .flat_map(|table| table.iter())
        .map(|fault| fault.says.split(' ').next().unwrap().parse().unwrap())
        .collect();
    // Told in `audit_surroundings` and `audit_consumers`: they need more than a script on the host.
    told.extend([Rule::OwedRestart, Rule::Undeployed, Rule::StaleConsumer]);
    assert_eq!(Rule::ALL.into_iter().filter(|rule| !told.contains(rule)).collect::<Vec<_>>(), []);
}
