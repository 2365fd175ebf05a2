//! What other tools rely on: the JSON document, its order and its sums; and one connection and one exec a host.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, is_root, of, wait};
use serde_json::Value;

const OUTCOMES: [&str; 5] = ["ok", "changed", "failed", "unreachable", "skipped"];
const PHASES: &str = "resolve connect hostkey enrolment auth become exec lock stage switch action health rollback";

#[track_caller]
fn assert_contract(report: &Value, command: &str, check: bool) {
    assert_eq!(report["schema"], "distribute.report/1");
    assert_eq!(report["command"], command);
    assert_eq!(report["check"], check);
    let run: Vec<&str> = report["run"].as_str().unwrap().split('-').collect();
    assert!(run.len() == 3 && run[0].parse::<u64>().is_ok() && run[1].len() == 16 && run[2].len() == 4, "{run:?}");
    let hosts = report["hosts"].as_array().unwrap();
    let summary = |name: &str| report["summary"][name].as_u64().unwrap_or_else(|| panic!("summary.{name}")) as usize;
    assert_eq!(summary("hosts"), hosts.len());
    assert_eq!(OUTCOMES.map(summary).iter().sum::<usize>(), hosts.len());
    for outcome in OUTCOMES {
        assert_eq!(hosts.iter().filter(|host| host["outcome"] == outcome).count(), summary(outcome), "{outcome}");
    }
    let findings: usize = hosts.iter().map(|host| host["findings"].as_array().unwrap().len()).sum();
    assert_eq!(findings, summary("findings"));
    hosts.iter().for_each(assert_host);
}

fn assert_host(host: &Value) {
    assert!(host["address"].as_str().unwrap().contains(':'), "{host}");
    assert!(
        host["seconds"].as_f64().is_some() && (host["generation"].is_u64() || host["generation"].is_null()),
        "{host}"
    );
    for file in host["files"].as_array().unwrap() {
        assert!(file["path"].as_str().unwrap().starts_with(&format!("{ROOT}/secrets/")), "{file}");
        assert!(file["service"].is_string() && OUTCOMES.contains(&file["outcome"].as_str().unwrap()), "{file}");
        for key in file["keys"].as_array().unwrap() {
            assert!(key["key"].is_string() && key["change"].is_string() && key["fingerprint"].is_string(), "{key}");
        }
    }
    for finding in host["findings"].as_array().unwrap() {
        for name in ["rule", "path", "severity", "expected", "found"] {
            assert!(finding[name].is_string(), "{name} of {finding}");
        }
        assert!(finding["fixed"].is_boolean(), "{finding}");
    }
    let has_failed = host["outcome"] == "failed" || host["outcome"] == "unreachable";
    assert_eq!(host["error"].is_object(), has_failed, "{host}");
    if has_failed {
        assert!(PHASES.split(' ').any(|phase| phase == host["error"]["phase"]), "{host}");
        assert!(host["error"]["message"].is_string() && host["error"]["hint"].is_string(), "{host}");
    }
}

#[test]
fn the_json_document() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    for name in ["zebra", "alpha", "middle"] {
        ws.add(name, Spec::default(), "");
    }
    ws.add_line("idle = { address = \"127.0.0.1\" }\n");
    let names = |report: &Value| -> Vec<String> {
        report["hosts"].as_array().unwrap().iter().map(|host| host["host"].as_str().unwrap().to_owned()).collect()
    };
    let setup = ws.setup();
    assert_contract(&setup, "setup", false);
    assert_eq!(names(&setup), ["zebra", "alpha", "middle", "idle"], "in inventory order");
    assert_eq!(of(&setup, "idle")["outcome"], "skipped");
    assert_eq!(of(&setup, "alpha")["address"], format!("{}:22", ws.host("alpha").address));
    ws.set("api.API_PORT", "81");
    ws.hosts.pop();
    ws.host("alpha").sh("chmod 777 /opt");
    ws.host("zebra").sh("echo x > /opt/callableapis/secrets/stray");
    for (command, check) in [(&["deploy", "--check"][..], true), (&["deploy", "--diff"], false), (&["status"], false)] {
        let report = ws.json(command, 2);
        assert_contract(&report, command[0], check);
        assert_eq!(report["summary"]["findings"], 1);
        assert_eq!(of(&report, "alpha")["error"]["phase"], "stage");
        assert_eq!(of(&report, "middle")["error"]["phase"], "connect");
    }
    let some = ws.json(&["deploy", "--hosts", "middle,zebra"], 4);
    assert_eq!(names(&some), ["zebra", "middle"]);
    ws.assert_no_leak();
}

fn count(host: &Host, what: &str) -> usize {
    host.log().matches(what).count()
}

#[test]
fn one_connection_and_one_exec_a_host() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::default().sudo("deploy ALL=(ALL) NOPASSWD: ALL"), ", user = \"deploy\", become = \"sudo\"");
    let mut runs = 0;
    let mut once_more = |command: &[&str]| {
        ws.json(command, 0);
        runs += 1;
        for host in &ws.hosts {
            // sshd writes what ended after we have gone.
            wait("the log of sshd", || {
                count(host, "Disconnected from user") + count(host, "Connection closed by user") >= runs
            });
            assert_eq!(count(host, "Accepted publickey"), runs, "{command:?}");
            assert_eq!(count(host, "Starting session"), runs, "{command:?}: {}", host.log());
        }
    };
    once_more(&["setup"]);
    once_more(&["deploy"]);
    once_more(&["deploy", "--check"]);
    ws.set("api.API_PORT", "81");
    once_more(&["deploy"]);
    once_more(&["status"]);
    ws.assert_no_leak();
}
