//! Hosts put back as they were: by the rename of the set before, or from a sealed copy; all services or some.

use crate::backups::sealed;
use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, changes, error, is_root, of, wait};
use chrono::{NaiveDateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fs;

/// A host that was set up with port 8080 and then got these, a run each; gives the names of the runs.
pub fn with_ports(spec: Spec, ports: &[&str]) -> (Workspace, Vec<String>) {
    let ws = Workspace::with_host(spec);
    let mut runs = vec![run_of(&ws.setup())];
    runs.extend(ports.iter().map(|port| push_port(&ws, port)));
    (ws, runs)
}

pub fn push_port(ws: &Workspace, port: &str) -> String {
    ws.set("api.API_PORT", port);
    run_of(&ws.deploy())
}

pub fn run_of(report: &Value) -> String {
    report["run"].as_str().unwrap().to_owned()
}

/// The directory that is live.
pub fn live(host: &Host) -> String {
    fs::read_link(host.path(&format!("{ROOT}/secrets/..data"))).unwrap().display().to_string()
}

/// What an application reads in a file of a host.
pub fn value(host: &Host, file: &str, key: &str) -> Option<String> {
    let text = host.read(&format!("{ROOT}/secrets/{file}"));
    text.lines().find_map(|line| line.strip_prefix(&format!("{key}=")).map(str::to_owned))
}

/// Both files that hold the port have it.
#[track_caller]
pub fn assert_port(host: &Host, port: &str) {
    for file in ["api.env", "all-secrets.env"] {
        assert_eq!(value(host, file, "API_PORT").as_deref(), Some(port), "{file} on {}", host.name);
    }
}

/// One line of JSON notes.
pub fn notes(report: &Value, host: &str) -> String {
    of(report, host)["notes"].to_string()
}

/// Nothing of a run is left, and each backup has its receipt.
#[track_caller]
pub fn assert_tidy(host: &Host) {
    let records = host.names(&format!("{ROOT}/.distribute"));
    let left: Vec<_> = records
        .iter()
        .filter(|name| ["stage", "own", "heir", "lock"].iter().any(|start| name.starts_with(start)))
        .collect();
    assert!(left.is_empty(), "{left:?}");
    let names = host.names(&format!("{ROOT}/secrets")).into_iter();
    let sets: Vec<_> =
        names.filter(|name| name.starts_with("..") && name != "..data" && !name.starts_with("..kept")).collect();
    assert!(sets.len() <= 2 && sets.contains(&live(host)), "{sets:?}");
    for set in sets {
        assert!(records.contains(&format!("manifest.{set}")), "{set} has no manifest: {records:?}");
    }
    let receipts: Vec<_> = records.iter().filter_map(|name| name.strip_prefix("receipt.")).collect();
    let backups = sealed(host);
    let backups: Vec<_> = backups.iter().filter_map(|name| name.strip_suffix(".tar.gz.age")).collect();
    assert_eq!(receipts, backups, "a receipt for each backup");
    assert!(backups.contains(&live(host).trim_start_matches('.')), "what is live is not sealed: {backups:?}");
}

fn part_of(host: &Host, set: &str) -> BTreeMap<String, String> {
    host.snapshot().into_iter().filter(|(path, _)| path.contains(&format!("/secrets/..{set}"))).collect()
}

#[test]
fn to_what_was_before_by_one_rename() {
    if !is_root() {
        return;
    }
    for spec in [Spec::default(), Spec::busybox()] {
        let (ws, runs) = with_ports(spec, &["9090"]);
        let web1 = ws.web1();
        let (old, copies) = (part_of(web1, &runs[0]), sealed(web1));
        let whole = web1.snapshot();

        let check = ws.json(&["restore", "--previous", "--check", "--diff"], 0);
        assert_eq!(web1.snapshot(), whole, "--check writes nothing");
        assert_eq!((&check["check"], &of(&check, "web1")["outcome"]), (&json!(true), &json!("changed")));
        let files = of(&check, "web1")["files"].as_array().unwrap();
        let api = files.iter().find(|file| file["service"] == "api").unwrap();
        assert_eq!((&api["keys"][0]["key"], &api["keys"][0]["change"]), (&json!("API_PORT"), &json!("changed")));
        assert_eq!(api["keys"][0]["fingerprint"].as_str().unwrap().len(), 8);
        let shown = ws.run(&["restore", "--previous", "--check", "--diff"]).expect(0);
        assert!(!shown.stdout.contains("8080") && !shown.stdout.contains("9090"), "{}", shown.stdout);
        assert!(shown.stdout.contains("API_PORT") && shown.stdout.contains("the set of run"), "{}", shown.stdout);
        assert!(shown.stderr.contains("the bundle would have other values"), "{}", shown.stderr);

        let report = ws.json(&["restore", "--previous", "--yes"], 0);
        assert_eq!(changes(&check, "web1"), changes(&report, "web1"), "--check told the truth");
        assert_eq!(changes(&report, "web1"), ["all-secrets.env changed", "api.env changed"]);
        assert_eq!(report["schema"], "distribute.report/1");
        assert_eq!(of(&report, "web1")["restored"], json!(runs[0]));
        assert_eq!(of(&report, "web1")["other_than_bundle"], json!(["api.API_PORT"]));
        assert_eq!(live(web1), format!("..{}", runs[0]));
        assert_port(web1, "8080");
        assert_eq!(part_of(web1, &runs[0]), old, "directory and files are the old ones to the inode");
        let own = format!("{}.tar.gz.age", report["run"].as_str().unwrap());
        assert_eq!(
            sealed(web1),
            [copies, vec![own]].concat(),
            "the restore has a copy as every run that changes something"
        );
        assert_tidy(web1);

        let status = of(&ws.json(&["status"], 0), "web1").clone();
        assert_eq!(status["generation"].as_u64(), runs[0].split('-').next().unwrap().parse().ok());
        let audit = ws.json(&["audit"], 3);
        let rules: Vec<_> = of(&audit, "web1")["findings"].as_array().unwrap().iter().map(|one| &one["rule"]).collect();
        assert!(!rules.is_empty() && rules.iter().all(|rule| *rule == "undeployed"), "{rules:?}");

        let snapshot = web1.snapshot();
        let again = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
        assert_eq!((&of(&again, "web1")["outcome"], web1.snapshot()), (&json!("ok"), snapshot));

        let forward = ws.json(&["restore", "--previous", "--yes"], 0);
        assert_eq!((of(&forward, "web1")["restored"].clone(), live(web1)), (json!(runs[1]), format!("..{}", runs[1])));
        assert_eq!(of(&forward, "web1")["other_than_bundle"], json!([]));
        assert_port(web1, "9090");
        let back = ws.run(&["restore", "--previous", "--yes"]).expect(0);
        assert!(
            back.stderr.contains("distribute bundle revert --to ") && back.stderr.contains("api.API_PORT"),
            "{}",
            back.stderr
        );
        assert_port(web1, "8080");
        assert_eq!(of(&ws.deploy(), "web1")["outcome"], "changed", "the bundle's values come back");
        assert_port(web1, "9090");
        assert_tidy(web1);
        assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
        assert_eq!(ws.json(&["backup", "verify"], 0)["summary"]["failed"], 0);
        ws.assert_no_leak();
    }
}

#[test]
fn to_a_run_whose_set_is_gone() {
    if !is_root() {
        return;
    }
    for spec in [Spec::default(), Spec::busybox()] {
        let (ws, runs) = with_ports(spec, &["9090", "9191"]);
        let web1 = ws.web1();
        assert!(!web1.exists(&format!("{ROOT}/secrets/..{}", runs[0])), "it was pruned");
        let report = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
        assert!(notes(&report, "web1").contains("the sealed copy of run"), "{report:#}");
        assert_eq!(of(&report, "web1")["restored"], json!(runs[0]));
        assert_eq!(live(web1), format!("..{}", run_of(&report)), "a set of its own");
        assert_port(web1, "8080");
        assert_tidy(web1);
        assert_eq!(sealed(web1).len(), 4, "what is live now is sealed, too");

        // What was there before this is by one rename away.
        let back = ws.json(&["restore", "--previous", "--yes"], 0);
        assert_eq!((of(&back, "web1")["restored"].clone(), live(web1)), (json!(runs[2]), format!("..{}", runs[2])));
        assert_port(web1, "9191");

        let snapshot = web1.snapshot();
        let live_run = ws.json(&["restore", "--run", &runs[2], "--yes"], 0);
        assert_eq!(of(&live_run, "web1")["outcome"], "ok");
        let why = error(&ws.json(&["restore", "--run", "1-20200101T000000Z-0000", "--yes"], 2), "web1");
        assert!(why.starts_with("stage: there is no backup of run 1-20200101T000000Z-0000"), "{why}");
        assert!(runs.iter().all(|run| why.contains(run)), "it names what is there: {why}");
        assert_eq!(web1.snapshot(), snapshot);
        ws.assert_no_leak();
    }
}

#[test]
fn to_a_run_that_changed_nothing_on_some_hosts() {
    if !is_root() {
        return;
    }
    let (mut ws, _) = with_ports(Spec::default(), &[]);
    ws.add("web2", Spec::default(), "");
    ws.setup();
    ws.edit_playbook("name = \"cloudflare\"", "name = \"cloudflare\"\nhosts = \"web1\"");
    ws.deploy();
    let before = live(ws.host("web2"));
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    let run = run_of(&ws.deploy());
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "third");
    ws.deploy();
    assert_eq!(live(ws.host("web2")), before);
    let snapshot = ws.host("web2").snapshot();
    let report = ws.json(&["restore", "--run", &run, "--yes"], 0);
    assert_eq!(of(&report, "web1")["outcome"], "changed");
    assert_eq!(value(ws.host("web1"), "cloudflare.env", "CLOUDFLARE_API_TOKEN").as_deref(), Some("second"));
    assert_eq!((&of(&report, "web2")["outcome"], ws.host("web2").snapshot()), (&json!("ok"), snapshot));
    assert!(notes(&report, "web2").contains(&format!("run {run} changed nothing here")), "{report:#}");
    // A run that is yet to come is a typo, not one that changed nothing.
    let why = error(&ws.json(&["restore", "--run", "999-20261122T000000Z-0000", "--yes"], 2), "web2");
    assert!(why.contains("there is no backup of run 999-"), "{why}");
    ws.assert_no_leak();
}

#[test]
fn to_a_time() {
    if !is_root() {
        return;
    }
    // A host that thinks it is 1999: its clock names nothing.
    let clock = "mkdir -p /usr/local/sbin && mount -t tmpfs tmpfs /usr/local/sbin && \
                 printf '#!/bin/sh\\nexec /usr/bin/date -d 1999-01-01 \"$@\"\\n' > /usr/local/sbin/date && chmod 755 /usr/local/sbin/date";
    let (ws, mut runs) = with_ports(Spec::default().script(clock), &[]);
    let web1 = ws.web1();
    assert!(web1.sh("PATH=/usr/local/sbin:$PATH date").contains("1999"));
    // As its name says, to the second: each in one of its own.
    let time = |run: &str| {
        let digits = run.split('-').nth(1).unwrap();
        NaiveDateTime::parse_from_str(digits, "%Y%m%dT%H%M%SZ").unwrap().and_utc()
    };
    for port in ["9090", "9191"] {
        let last = time(runs.last().unwrap());
        wait("the next second", || Utc::now().timestamp() > last.timestamp());
        runs.push(push_port(&ws, port));
    }
    assert!(runs.iter().all(|run| (Utc::now() - time(run)).num_hours() < 1), "by our clock: {runs:?}");
    let names: Vec<_> = runs.iter().map(|run| format!("{run}.tar.gz.age")).collect();
    assert_eq!(sealed(web1), names);
    let second = TimeDelta::seconds(1);
    for (at, expected) in [
        (time(&runs[0]), &runs[0]),
        (time(&runs[1]) - second, &runs[0]),
        (time(&runs[1]), &runs[1]),
        (time(&runs[2]) - second, &runs[1]),
    ] {
        let ahead = at.with_timezone(&chrono::FixedOffset::east_opt(7200).unwrap());
        let forms =
            ["%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"].map(|form| at.format(form).to_string());
        for form in forms.into_iter().chain([ahead.to_rfc3339()]) {
            let report = ws.json(&["restore", "--at", &form, "--check"], 0);
            assert_eq!(of(&report, "web1")["restored"], json!(expected), "{form}");
        }
    }
    let snapshot = web1.snapshot();
    for form in ["2020-01-01T00:00:00Z", "2020-01-01", "3650d"] {
        let why = error(&ws.json(&["restore", "--at", form, "--yes"], 2), "web1");
        assert!(why.contains("nothing here is as old as that") && why.contains(&runs[0]), "{form}: {why}");
    }
    let report = ws.json(&["restore", "--at", "0s", "--yes"], 0);
    assert_eq!((&of(&report, "web1")["outcome"], web1.snapshot()), (&json!("ok"), snapshot), "now is what is live");
    ws.run(&["restore", "--at", "yesterday", "--yes"]).expect(1);
    ws.run(&["restore", "--yes"]).expect(1);
    ws.run(&["restore", "--previous", "--at", "3h", "--yes"]).expect(1);
    ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
    assert_port(web1, "8080");
    ws.assert_no_leak();
}

#[test]
fn one_service_of_several() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    ws.set("api.ADDED", "later");
    ws.set("aws.AWS_ACCESS_KEY_ID", "AKIASECOND");
    ws.deploy();
    let report = ws.json(&["restore", "--run", &runs[0], "--service", "api", "--yes"], 0);
    assert_eq!(changes(&report, "web1"), ["all-secrets.env changed", "api.env changed"]);
    assert_port(web1, "8080");
    for file in ["api.env", "all-secrets.env"] {
        assert_eq!(value(web1, file, "ADDED"), None, "{file}");
        assert_eq!(value(web1, file, "API_PASSWORD"), Some(format!("x{}", ws.poison)), "{file}");
    }
    for file in ["aws.env", "all-secrets.env"] {
        assert_eq!(value(web1, file, "AWS_ACCESS_KEY_ID").as_deref(), Some("AKIASECOND"), "{file}");
    }
    assert_eq!(of(&report, "web1")["other_than_bundle"], json!(["api.ADDED", "api.API_PORT"]));
    assert_tidy(web1);

    let report = ws.json(&["restore", "--run", &runs[0], "--service", "api,aws", "--yes"], 0);
    assert_eq!(changes(&report, "web1"), ["all-secrets.env changed", "aws.env changed"]);
    let whole = ws.json(&["restore", "--run", &runs[0], "--yes", "--check"], 0);
    assert_eq!(changes(&whole, "web1"), Vec::<String>::new(), "piece by piece it is the whole");

    // What somebody did to another service stays as it is.
    let path = web1.path(&format!("{ROOT}/secrets/{}/cloudflare.env", live(web1)));
    fs::write(&path, "CLOUDFLARE_API_TOKEN=by-hand\n").unwrap();
    ws.json(&["restore", "--run", &runs[1], "--service", "api", "--yes"], 0);
    assert_port(web1, "9090");
    assert_eq!(web1.read(&format!("{ROOT}/secrets/cloudflare.env")), "CLOUDFLARE_API_TOKEN=by-hand\n");

    let snapshot = web1.snapshot();
    for (typo, near) in [("apii", "did you mean `api`?"), ("zzzzzzzz", "says what a host gets")] {
        let ran = ws.run(&["restore", "--previous", "--service", typo, "--yes"]).expect(1);
        assert!(ran.stderr.contains(&format!("`{typo}`")) && ran.stderr.contains(near), "{}", ran.stderr);
    }
    assert_eq!(web1.snapshot(), snapshot);
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "changed");
    assert_eq!(value(web1, "all-secrets.env", "ADDED").as_deref(), Some("later"));
    ws.assert_no_leak();
}

#[test]
fn a_raw_service_that_lost_a_file_since() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook(
        "name    = \"all-secrets\"",
        "name = \"tls\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    ws.set("tls/cert.pem", "another\n");
    ws.setup();
    ws.json(&["backup"], 0);
    ws.set("tls/cert.pem", "certificate\n");
    ws.set("tls/key.pem", &format!("{}-key\n", ws.poison));
    let first = run_of(&ws.deploy());
    // As it was before there was a key.
    ws.run(&["bundle", "restore", "--previous", "--yes"]).expect(0);
    ws.deploy();
    assert!(!ws.web1().exists(&format!("{ROOT}/secrets/..data/tls/key.pem")));
    push_port(&ws, "9090");
    let report = ws.json(&["restore", "--run", &first, "--service", "tls", "--yes"], 0);
    let web1 = ws.web1();
    assert_eq!(web1.read(&format!("{ROOT}/secrets/tls/cert.pem")), "certificate\n");
    assert_eq!(web1.read(&format!("{ROOT}/secrets/tls/key.pem")), format!("{}-key\n", ws.poison));
    assert_port(web1, "9090");
    assert!(of(&report, "web1")["other_than_bundle"].to_string().contains("tls/cert.pem"), "{report:#}");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn other_hosts_are_left_alone() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::busybox(), "");
    ws.setup();
    push_port(&ws, "9090");
    let (snapshot, log) = (ws.host("web2").snapshot(), ws.host("web2").log());
    let report = ws.json(&["restore", "--previous", "--hosts", "web1", "--yes"], 0);
    assert_eq!(report["summary"]["hosts"], 1);
    assert_port(ws.host("web1"), "8080");
    assert_port(ws.host("web2"), "9090");
    assert_eq!((ws.host("web2").snapshot(), ws.host("web2").log()), (snapshot, log));
    ws.json(&["restore", "--previous", "--hosts", "all:!web1", "--yes"], 0);
    assert_port(ws.host("web2"), "8080");
    ws.assert_no_leak();
}

#[test]
fn nothing_is_earlier() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &[]);
    let snapshot = ws.web1().snapshot();
    let why = error(&ws.json(&["restore", "--previous", "--yes"], 2), "web1");
    assert!(
        why.starts_with("stage: there is no earlier backup here; nothing was changed") && why.contains(&runs[0]),
        "{why}"
    );
    assert_eq!(ws.web1().snapshot(), snapshot);
    ws.assert_no_leak();
}

#[test]
fn a_run_that_died_before_its_rename_leaves_no_word_of_the_set_before() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    // As a run leaves it that wrote down what is live, and died before it switched.
    let die =
        || fs::write(web1.path(&format!("{ROOT}/.distribute/previous")), format!("previous {}\n", live(web1))).unwrap();
    die();
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert_eq!(of(&report, "web1")["restored"], json!(runs[0]), "the sealed copy before what is live");
    assert_port(web1, "8080");
    assert_tidy(web1);
    // Was it the newer one, or one that never was live? Nobody knows.
    let (ws, runs) = with_ports(Spec::default(), &["9090", "9191"]);
    ws.json(&["restore", "--previous", "--yes"], 0);
    let web1 = ws.web1();
    fs::write(web1.path(&format!("{ROOT}/.distribute/previous")), format!("previous {}\n", live(web1))).unwrap();
    let snapshot = web1.snapshot();
    let why = error(&ws.json(&["restore", "--previous", "--yes"], 2), "web1");
    assert!(
        why.contains("which set was the one before is not known") && runs.iter().all(|run| why.contains(run)),
        "{why}"
    );
    assert_eq!(web1.snapshot(), snapshot);
    ws.json(&["restore", "--run", &runs[2], "--yes"], 0);
    assert_port(web1, "9191");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn two_plays_on_a_host() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.rotate_by(
        "[[play]]\nname = \"other\"\nhosts = \"all\"\nroot = \"/opt/other\"\n[[play.service]]\nname = \"cloudflare\"\n",
    );
    ws.setup();
    let web1 = ws.web1();
    let other = || web1.read("/opt/other/secrets/cloudflare.env");
    push_port(&ws, "9090");
    // Only one of the two has something earlier.
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert!(notes(&report, "web1").contains("/opt/other: there is no earlier backup here"), "{report:#}");
    assert_port(web1, "8080");
    ws.deploy();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    push_port(&ws, "9191");
    assert!(other().contains("second"));
    // A root that has none of the services is left alone.
    ws.json(&["restore", "--previous", "--service", "api", "--yes"], 0);
    assert_port(web1, "9090");
    assert!(other().contains("second"));
    // Both at once.
    ws.deploy();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "third");
    let report = ws.json(&["deploy"], 0);
    assert_eq!(of(&report, "web1")["outcome"], "changed");
    ws.json(&["restore", "--previous", "--yes"], 0);
    assert!(other().contains("second"));
    assert_eq!(value(web1, "cloudflare.env", "CLOUDFLARE_API_TOKEN").as_deref(), Some("second"));
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn as_another_user_with_sudo() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    ws.add("web1", Spec::default().sudo("deploy ALL=(ALL) NOPASSWD: ALL"), ", user = \"deploy\", become = \"sudo\"");
    let runs = [run_of(&ws.setup()), push_port(&ws, "9090"), push_port(&ws, "9191")];
    for (run, port) in [(&runs[1], "9090"), (&runs[0], "8080")] {
        ws.json(&["restore", "--run", run, "--yes"], 0);
        assert_port(ws.web1(), port);
        assert_eq!(ws.web1().access(&format!("{ROOT}/secrets/..data/api.env")), "600 0:0");
        assert_tidy(ws.web1());
    }
    // Without it, nobody can look; and nothing is tried.
    ws.edit_inventory(", become = \"sudo\"", "");
    let snapshot = ws.web1().snapshot();
    let why = error(&ws.json(&["restore", "--previous", "--yes"], 2), "web1");
    assert!(why.starts_with("become: ") && why.contains("become = \"sudo\""), "{why}");
    assert_eq!(ws.web1().snapshot(), snapshot);
    ws.assert_no_leak();
}

/// A second of our clock has gone by since this run: then a time in between can be named.
fn after(ws: &Workspace, run: &str) -> String {
    let time = |run: &str| run.split('-').nth(1).unwrap().to_owned();
    let mut now = time(run);
    crate::workspace::wait("the next second", || {
        now = time(&run_of(&ws.json(&["status"], 0)));
        now > time(run)
    });
    chrono::NaiveDateTime::parse_from_str(&time(run), "%Y%m%dT%H%M%SZ").unwrap().and_utc().to_rfc3339()
}

#[test]
fn what_a_rename_brought_back_is_in_the_history() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    let back = run_of(&ws.json(&["restore", "--previous", "--yes"], 0));
    assert_port(web1, "8080");
    let then = after(&ws, &back);
    ws.deploy();
    assert_port(web1, "9090");
    let report = ws.json(&["restore", "--at", &then, "--yes"], 0);
    assert_eq!(of(&report, "web1")["restored"], json!(back));
    assert_port(web1, "8080");
    ws.deploy();
    ws.json(&["restore", "--run", &back, "--yes"], 0);
    assert_port(web1, "8080");
    ws.assert_no_leak();
}

#[test]
fn the_set_before_is_there_though_its_copy_was_pruned() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    ws.json(&["backup", "prune", "--keep", "1", "--yes"], 0);
    assert!(!sealed(web1).iter().any(|name| name.starts_with(&runs[0])));
    ws.json(&["restore", "--previous", "--service", "api", "--yes"], 0);
    assert_port(web1, "8080");
    ws.deploy();
    ws.json(&["backup", "prune", "--keep", "1", "--yes"], 0);
    let before = web1.read(&format!("{ROOT}/.distribute/previous")).trim_start_matches("previous ..").trim().to_owned();
    ws.json(&["restore", "--previous", "--yes"], 0);
    assert_eq!(live(web1), format!("..{before}"));
    assert_port(web1, "8080");
    assert!(sealed(web1).iter().any(|name| name.starts_with(&before)), "sealed again, as the live set is");
    ws.json(&["backup", "verify"], 0);
    assert_tidy(web1);
    ws.assert_no_leak();
}
