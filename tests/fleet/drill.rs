//! Rehearsals of backups on real hosts: what they say, and that nothing of them stays.

use crate::backups::{backups, sealed};
use crate::host::{Host, Spec};
use crate::http_server::Server;
use crate::workspace::{ROOT, Workspace, error, is_root, of};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;

/// A busybox host has a /run only where somebody mounts one.
const RUN: &str = "mkdir run && mount -t tmpfs -o mode=755 tmpfs run";

/// What a drill says of the backups that it tried, the oldest first: what was done, what is wrong, and what there is to know.
fn told(report: &Value, host: &str) -> Vec<[String; 3]> {
    let is_told = |one: &&Value| one["deed"] != "none" || !one["problem"].is_null() || !one["note"].is_null();
    let text = |one: &Value, name: &str| one[name].as_str().unwrap_or_default().to_owned();
    backups(report, host)
        .iter()
        .filter(is_told)
        .map(|one| ["deed", "problem", "note"].map(|name| text(one, name)))
        .collect()
}

/// It brings back what is live.
fn equal() -> Vec<[String; 3]> {
    vec![["rehearsed".to_owned(), String::new(), String::new()]]
}

/// Everything that a drill could have left a trace of.
fn snapshots(ws: &Workspace) -> Vec<BTreeMap<String, String>> {
    ws.hosts.iter().map(Host::snapshot).collect()
}

fn assert_nothing_left(ws: &Workspace) {
    for host in &ws.hosts {
        for place in ["/run", "/tmp", "/dev/shm"].into_iter().filter(|place| host.exists(place)) {
            let left: Vec<String> =
                host.names(place).into_iter().filter(|name| name.starts_with("distribute.drill")).collect();
            assert_eq!(left, Vec::<String>::new(), "{place} on {}", host.name);
        }
    }
    ws.assert_no_leak();
}

/// A drill that changes nothing on any host and leaves nothing there.
#[track_caller]
fn drill(ws: &Workspace, words: &[&str], status: i32) -> Value {
    let before = snapshots(ws);
    let report = ws.json(&[&["backup", "drill"], words].concat(), status);
    assert_eq!(snapshots(ws), before, "something was written");
    assert_nothing_left(ws);
    report
}

#[test]
fn it_brings_back_what_is_live() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("tiny1", Spec::busybox().script(RUN), "");
    ws.setup();
    let check = drill(&ws, &["--check"], 0);
    let report = drill(&ws, &[], 0);
    for host in ["web1", "tiny1"] {
        assert_eq!((told(&check, host), told(&report, host)), (equal(), equal()), "{host}");
        assert_eq!(of(&report, host)["outcome"], "ok");
    }
    let human = ws.run(&["backup", "drill"]).expect(0).stdout;
    assert_eq!(human.matches("brings back what is live").count(), 2, "{human}");
    let human = ws.run(&["backup", "drill", "--check"]).expect(0).stdout;
    assert_eq!(human.matches("opens here: would be unpacked there, in memory").count(), 2, "{human}");
    // Another run, and the same is live.
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    assert_eq!(told(&drill(&ws, &[], 0), "tiny1"), equal());
    assert_eq!(ws.json(&["status", "--max-age", "drill=32d"], 0)["late"], serde_json::json!([]));
}

#[test]
fn what_was_changed_by_hand_since_is_noted() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("tiny1", Spec::busybox().script(RUN), "");
    ws.setup();
    for host in &ws.hosts {
        // As an editor does it: the link is replaced by a file.
        host.sh(&format!(
            "cd {ROOT}/secrets/..data/ && echo HAND=edited >> github-oidc.env && echo new > stray && chmod 640 aws.env && rm api.env && \
             cp cloudflare.env /tmp/x && echo HAND=edited >> /tmp/x && mv /tmp/x {ROOT}/secrets/cloudflare.env"
        ));
    }
    let report = drill(&ws, &[], 0);
    for host in ["web1", "tiny1"] {
        let [told] = &told(&report, host)[..] else { panic!("{report:#}") };
        let note = "cloudflare.env, github-oidc.env differ from what is live: changed by hand since; \
                    api.env is in it and not live: changed by hand since; \
                    stray is live and not in it: changed by hand since; \
                    aws.env has another mode or owner than what is live: changed by hand since";
        assert_eq!(told, &["rehearsed", "", note], "{host}");
    }
    // What is there now becomes a backup, and is itself live then.
    ws.json(&["backup"], 0);
    let report = drill(&ws, &[], 0);
    assert_eq!(told(&report, "web1"), equal());
}

#[test]
fn a_live_set_of_another_run_is_noted() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    let newest = sealed(ws.web1()).pop().unwrap();
    ws.web1().sh(&format!("rm {ROOT}/backups/{newest}"));
    let live = newest.strip_suffix(".tar.gz.age").unwrap();
    let report = drill(&ws, &[], 0);
    let note =
        format!("all-secrets.env, cloudflare.env differ from what is live: the live set is of another run, {live}");
    assert_eq!(told(&report, "web1"), [["rehearsed".to_owned(), String::new(), note]]);
}

#[test]
fn a_damaged_newest_one_is_told_and_the_one_before_is_taken() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.json(&["backup"], 0);
    let newest = sealed(ws.web1()).pop().unwrap();
    ws.web1().sh(&format!("printf x >> {ROOT}/backups/{newest}"));
    let report = drill(&ws, &[], 3);
    let damaged = ["none", "damaged: passed over, and an earlier one was taken", ""];
    assert_eq!(told(&report, "web1"), [["rehearsed", "", ""], damaged]);
    assert_eq!(ws.json(&["status", "--max-age", "drill=32d"], 3)["late"][0]["command"], "drill");
    // And where none is good, that is what is wrong.
    ws.web1().sh(&format!("cd {ROOT}/backups && for one in *.tar.gz.age; do : > \"$one\"; done"));
    let report = drill(&ws, &[], 3);
    let cut = |one: &[String; 3]| one[0] == "none" && one[1].starts_with("it is cut off: 0 of ");
    assert!(told(&report, "web1").len() == 2 && told(&report, "web1").iter().all(cut), "{report:#}");
    ws.web1().sh(&format!("rm {ROOT}/backups/*.tar.gz.age"));
    let report = drill(&ws, &[], 2);
    let failure =
        format!("exec: {ROOT}/backups holds no backup to rehearse (make one: distribute backup --hosts web1)");
    assert_eq!(error(&report, "web1"), failure);
}

#[test]
fn a_host_without_memory_is_told() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    ws.add("tiny1", Spec::busybox(), "");
    ws.add("web1", Spec::default(), "");
    ws.setup();
    let report = drill(&ws, &[], 2);
    let failure = "stage: no memory-backed directory here: /run or /dev/shm as tmpfs (nothing was changed; mend this and run it again)";
    assert_eq!(error(&report, "tiny1"), failure);
    assert_eq!(told(&report, "web1"), equal());
}

#[test]
fn every_root_is_rehearsed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook(
        "[[play]]",
        "[[play]]\nname = 'second'\nhosts = 'all'\nroot = '/opt/second'\nowner = 'deploy'\ngroup = 'deploy'\nservice = [{ name = 'aws' }]\n\n[[play]]",
    );
    ws.setup();
    let report = drill(&ws, &[], 0);
    assert_eq!(told(&report, "web1"), [equal(), equal()].concat());
    // One has none: the other is rehearsed, and the host is not well.
    ws.web1().sh("rm /opt/second/backups/*.tar.gz.age");
    let report = drill(&ws, &[], 2);
    assert_eq!(told(&report, "web1"), equal());
    assert!(error(&report, "web1").contains("/opt/second/backups holds no backup"), "{report:#}");
}

#[test]
fn an_owner_who_is_gone_is_told() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook("[[play]]", "[[play]]\nowner = 'deploy'\ngroup = 'deploy'");
    ws.setup();
    let passwd = fs::read_to_string(ws.web1().etc("passwd")).unwrap();
    fs::write(ws.web1().etc("passwd"), passwd.replace("deploy:x:4711", "renamed:x:4711")).unwrap();
    let report = drill(&ws, &[], 3);
    let [told] = &told(&report, "web1")[..] else { panic!("{report:#}") };
    assert_eq!((&*told[0], &*told[1]), ("rehearsed", "no file can be given to deploy:deploy there"));
}

#[test]
fn who_hears_of_backups_hears_of_drills() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let server = Server::start(&["200 OK"]);
    let text = format!("[[notify]]\nwebhook = '{}'\non = ['backup']\nwhen = 'failure'\n", server.url("/hook"));
    fs::write(ws.path("project/playbooks/notify.toml"), text).unwrap();
    drill(&ws, &[], 0);
    assert_eq!(server.requests().len(), 0);
    ws.web1().sh(&format!("cd {ROOT}/backups && for one in *.tar.gz.age; do : > \"$one\"; done"));
    drill(&ws, &["--check"], 3);
    assert_eq!(server.requests().len(), 0, "--check is no run");
    drill(&ws, &[], 3);
    let [request] = &server.requests()[..] else { panic!("one request") };
    let told: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&told["command"], &told["status"]), (&"backup".into(), &3.into()));
    assert!(told["message"].as_str().unwrap().contains("; web1: it is cut off: 0 of "), "{told}");
}

#[test]
fn cron_hears_nothing_while_all_is_well() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let quiet = ws.run(&["-q", "backup", "drill"]).expect(0);
    assert_eq!((&*quiet.stdout, &*quiet.stderr), ("", ""));
    ws.web1().sh(&format!("cd {ROOT}/secrets/..data/ && echo HAND=edited >> cloudflare.env"));
    let told = ws.run(&["-q", "backup", "drill"]).expect(0).stdout;
    assert!(told.contains("cloudflare.env differs from what is live: changed by hand since"), "{told}");
}
