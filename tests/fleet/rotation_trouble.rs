//! Whatever goes wrong with a rotation: what the report says, and where every value really is.

use crate::host::{Host, Spec};
use crate::rotation::{NOBODY, everything, hosts, message};
use crate::rotator::{
    ONE, Rotator, TWO, assert_consistent, assert_nothing_lost, assert_unsaid, date, entries_with, unpacked, value_on,
};
use crate::workspace::{Ran, Running, Workspace, changes, error, is_root, of, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Unhealthy while `/srv/bad` is there; after one good answer if `/srv/once` is; waits while `/srv/gate` is, which `/srv/later` becomes.
const HEALTH: &str = "health = { command = ['/bin/sh', '-c', 'test ! -e /srv/bad || exit 1; \
     test ! -e /srv/once || mv /srv/once /srv/bad; \
     test ! -e /srv/gate || { : > /srv/waiting; while test -e /srv/gate; do sleep 0.02; done; rm -f /srv/waiting; }; \
     test ! -e /srv/later || mv /srv/later /srv/gate'], ";
const SERIAL: &str = "[rollout]\nserial = ['1']\n";

/// Three hosts, a provider for two secrets, and a service whose health can be disturbed.
fn fleet(more: &str, rollout: &str, within: &str) -> (Workspace, Rotator) {
    let ws = hosts(3);
    ready(ws, more, rollout, within)
}

pub fn ready(ws: Workspace, more: &str, rollout: &str, within: &str) -> (Workspace, Rotator) {
    let rotator = Rotator::install(&ws, more);
    ws.rotate_by(rollout);
    ws.service("api", &format!("{HEALTH}within = '{within}' }}"));
    ws.setup();
    (ws, rotator)
}

pub fn values(ws: &Workspace) -> [String; 2] {
    let entries = unpacked(ws);
    [TWO, ONE].map(|secret| {
        let (service, key) = secret.split_once('.').unwrap();
        let mut lines = entries[&format!("services/{service}.env")].lines();
        lines.find_map(|line| line.strip_prefix(&format!("{key}="))).unwrap().to_owned()
    })
}

/// `web1 old web2 new`
pub fn whereabouts(report: &Value) -> String {
    let hosts = report["rotation"]["hosts"].as_array().unwrap();
    let host = |one: &Value| format!("{} {}", one["host"].as_str().unwrap(), one["values"].as_str().unwrap());
    hosts.iter().map(host).collect::<Vec<_>>().join(" ")
}

/// `bundle provider` of both secrets.
pub fn of_secrets(report: &Value) -> String {
    let secrets = report["rotation"]["secrets"].as_array().unwrap();
    let text = |one: &Value| format!("{} {}", one["bundle"].as_str().unwrap(), one["provider"].as_str().unwrap());
    secrets.iter().map(text).collect::<Vec<_>>().join(", ")
}

#[track_caller]
pub fn assert_words(text: &str, words: &[&str]) {
    for word in words {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

/// Everybody has these values, as nothing had been begun; and they are what the provider accepts.
#[track_caller]
fn assert_put_back(ws: &Workspace, rotator: &Rotator, old: &[String; 2]) {
    assert_consistent(ws, rotator);
    assert_eq!(&values(ws), old);
}

pub fn state(report: &Value) -> &str {
    report["rotation"]["state"].as_str().unwrap()
}

/// Commands that would come in between refuse, name both ways out, and change nothing.
#[track_caller]
pub fn assert_refused_while_under_way(ws: &Workspace) {
    let before = everything(ws);
    for args in [&["deploy"][..], &["setup"], &["bundle", "set", "api.API_PORT"], &["rotate"], &["rotate", "--all"]] {
        let said = ws.feed(args, b"0").expect(1).stderr;
        assert_words(&said, &["is under way", "distribute rotate --resume", "distribute rotate --abort"]);
        assert!(everything(ws) == before, "{args:?} changed something");
    }
}

#[test]
fn a_step_that_does_not_go_well() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("timeout = '3s'", "", "60s");
    let old = values(&ws);
    let set = ["set api.SESSION_KEY", "test api.SESSION_KEY"];
    let both = ["undo cloudflare.CLOUDFLARE_API_TOKEN", "undo api.SESSION_KEY"];
    let rows: [(&str, &str, &str, &str, &[&str]); 9] = [
        (
            "generate",
            ONE,
            "begin",
            "fail",
            &["`generate` of cloudflare.CLOUDFLARE_API_TOKEN ended with status 1: this provider wants no more of it"],
        ),
        (
            "generate",
            ONE,
            "end",
            "chatter",
            &["service `cloudflare`, key `CLOUDFLARE_API_TOKEN`: the value holds a newline", "docker format"],
        ),
        (
            "generate",
            ONE,
            "begin",
            "repeat",
            &["generate of cloudflare.CLOUDFLARE_API_TOKEN: it printed the value that there is"],
        ),
        ("set", TWO, "begin", "fail", &["`set` of api.SESSION_KEY ended with status 1"]),
        ("test", TWO, "end", "fail", &["`test` of api.SESSION_KEY ended with status 1"]),
        ("set", ONE, "end", "fail", &["`set` of cloudflare.CLOUDFLARE_API_TOKEN"]),
        (
            "set",
            TWO,
            "begin",
            "hang",
            &["`set` of api.SESSION_KEY did not end within 3s", "whether it took effect is not known"],
        ),
        ("set", TWO, "end", "fork", &["`set` of api.SESSION_KEY left 1 process running, which was stopped"]),
        ("set", TWO, "end", "tell", &["`set` of api.SESSION_KEY ended with status 1: ", "[secret]"]),
    ];
    for (step, secret, moment, how, words) in rows {
        rotator.forget_calls();
        rotator.trap(step, secret, moment, how);
        let hosts: Vec<_> = ws.hosts.iter().map(Host::snapshot).collect();
        let ran = ws.run(&["rotate", "--all", "-v", "-o", "json"]).expect(2);
        let report = ran.report();
        assert_eq!(state(&report), "put-back", "{step} {how}");
        assert_words(message(&report), words);
        assert_words(
            message(&report),
            &["ROTATION FAILED and was put back", "the new values were dropped", "run the same command again"],
        );
        assert_eq!(
            (whereabouts(&report), of_secrets(&report)),
            ("web1 old web2 old web3 old".into(), "old old, old old".into()),
            "{how}"
        );
        assert!(ws.hosts.iter().map(Host::snapshot).eq(hosts), "{step} {how}: no host was touched");
        let undo: Vec<String> = rotator.calls().into_iter().filter(|call| call.starts_with("undo")).collect();
        // Who makes a value may have told the provider already.
        let expected = match (step, how) {
            ("generate", "chatter") => &both[..1],
            ("generate", _) => &[],
            _ => &both[..],
        };
        assert_eq!(undo, expected, "{step} {how}: what was called is undone, the last first");
        assert_unsaid(&ws, &format!("{}{}", ran.stdout, ran.stderr));
        assert_put_back(&ws, &rotator, &old);
    }
    rotator.forget_calls();
    rotator.trap("test", TWO, "end", "tell");
    let ran = ws.run(&["rotate", "--all", "-v", "-o", "json"]).expect(0);
    assert_words(&ran.stderr, &["test api.SESSION_KEY: [secret]"]);
    assert_unsaid(&ws, &format!("{}{}", ran.stdout, ran.stderr));
    assert_eq!(rotator.calls()[1..3], set);
    assert_consistent(&ws, &rotator);
    assert_ne!(values(&ws), old);
    ws.assert_no_leak();
}

#[test]
fn a_step_that_is_no_program() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "", "", "60s");
    let program = ws.path("project/playbooks/rotators/stand-in");
    let aside = program.with_file_name("aside");
    let refused = |words: &[&str]| {
        let before = everything(&ws);
        for args in [&["rotate", "--all"][..], &["rotate", "--all", "--check"]] {
            let ran = ws.run(args).expect(1);
            assert_words(&ran.stderr, words);
            assert_words(&ran.stderr, &["callableapis.toml:", "step "]);
            assert!(everything(&ws) == before && !ws.path("project/backups").exists());
        }
    };
    fs::rename(&program, &aside).unwrap();
    refused(&["stand-in: this program cannot be run", "relative to the playbook's directory"]);
    fs::copy(&aside, &program).unwrap();
    chmod(&program, 0o644);
    refused(&["stand-in: this program is not executable", "chmod +x"]);
    chmod(&program, 0o757);
    refused(&["anybody on this machine may write to this", "chmod o-w"]);
    assert!(rotator.calls().is_empty());
    ws.assert_no_leak();
}

fn chmod(path: &Path, mode: u32) {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn an_undo_that_fails_leaves_it_under_way() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "", "60s");
    let old = values(&ws);
    rotator.trap("test", ONE, "begin", "fail");
    rotator.trap("undo", ONE, "begin", "always fail");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!(state(&report), "under-way");
    assert_eq!(
        (whereabouts(&report), of_secrets(&report)),
        ("web1 old web2 old web3 old".into(), "old old, old unknown".into())
    );
    assert_words(
        message(&report),
        &[
            "ROTATION FAILED and is under way",
            "`test` of cloudflare",
            "`undo` of cloudflare",
            "distribute rotate --abort",
            "--resume",
        ],
    );
    assert_eq!(rotator.accepted(TWO), [old[0].clone()]);
    assert_ne!(rotator.accepted(ONE), [old[1].clone()], "the report does not know it, and says so");
    assert_eq!(entries_with(&ws, "pending/", &rotator.accepted(ONE)[0]), ["pending/services/cloudflare.env"]);
    assert_nothing_lost(&ws, &rotator);
    assert_refused_while_under_way(&ws);
    let again = ws.json(&["rotate", "--abort"], 2);
    assert_eq!(state(&again), "under-way");
    rotator.mend();
    assert_eq!(state(&ws.json(&["rotate", "--abort"], 0)), "aborted");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn a_canary_that_falls_ill_warns_all_others() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "", "1s");
    let old = values(&ws);
    let others: Vec<_> = ws.hosts[1..].iter().map(Host::snapshot).collect();
    ws.web1().sh("touch /srv/bad");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("put-back", "web1 old web2 old web3 old".into()));
    assert_eq!(of_secrets(&report), "old old, old old");
    assert_words(message(&report), &["web1: health: ", "3 hosts have the old values"]);
    let outcomes: Vec<_> = report["hosts"].as_array().unwrap().iter().map(|host| &host["outcome"]).collect();
    assert_eq!(outcomes, ["failed", "skipped", "skipped"], "nobody else was visited");
    assert!(ws.hosts[1..].iter().map(Host::snapshot).eq(others), "nobody else was touched");
    ws.web1().sh("rm /srv/bad");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn who_falls_ill_in_the_middle_brings_all_back() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", SERIAL, "1s");
    let old = values(&ws);
    let last = ws.host("web3").snapshot();
    ws.host("web2").sh("touch /srv/bad");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("put-back", "web1 old web2 old web3 old".into()));
    assert_eq!(of_secrets(&report), "old old, old old");
    assert_words(message(&report), &["web2: health: "]);
    assert!(error(&report, "web2").starts_with("health: "), "{report:#}");
    assert_eq!(ws.host("web3").snapshot(), last);
    ws.host("web2").sh("rm /srv/bad");
    assert_put_back(&ws, &rotator, &old);
    let run = report["rotation"]["run"].as_str().unwrap();
    assert!(rotator.log().iter().all(|line| line.ends_with(run)));
    ws.assert_no_leak();
}

#[test]
fn who_falls_ill_on_the_way_back_keeps_the_old_values() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", SERIAL, "1s");
    let old = values(&ws);
    ws.web1().sh("touch /srv/once");
    ws.host("web2").sh("touch /srv/bad");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("put-back", "web1 old web2 old web3 old".into()));
    let why = error(&report, "web1");
    assert!(why.starts_with("health: on the way back: "), "{why}");
    assert_eq!(value_on(ws.web1(), TWO), old[0]);
    for host in &ws.hosts[..2] {
        host.sh("rm -f /srv/bad");
    }
    let deployed = ws.deploy();
    assert_eq!(changes(&deployed, "web1"), Vec::<String>::new(), "it is only tidied up");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

/// A host that has its disk and its keys still when it is started again.
fn durable(disk: &Path) -> Spec {
    fs::create_dir_all(disk).unwrap();
    Spec::default().script(&format!(
        "mount --bind {0} /opt\nchmod 755 /opt\n\
         if test -e /opt/.key; then cp -p /opt/.key /etc/ssh/test_host_key; else cp -p /etc/ssh/test_host_key /opt/.key; fi",
        disk.display()
    ))
}

/// A directory that hosts can see, gone with the test. They have a /tmp of their own, and this repository may lie in ours.
fn disk() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("distribute-test-").tempdir_in("/dev/shm").unwrap()
}

/// web3 dies while its health check waits, after its switch.
fn dies_after_the_switch(max_fail: &str) -> (tempfile::TempDir, Workspace, Rotator, [String; 2], Ran) {
    let disk = disk();
    let mut ws = hosts(2);
    ws.add("web3", durable(disk.path()), "");
    let rollout = format!("{SERIAL}max_fail = '{max_fail}'\n");
    let (ws, rotator) = ready(ws, "", &rollout, "60s");
    let old = values(&ws);
    ws.host("web3").sh("touch /srv/gate");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the health check of web3", || ws.host("web3").exists("/srv/waiting"));
    assert_ne!(value_on(ws.host("web3"), TWO), old[0], "it has switched");
    kill(Pid::from_raw(ws.host("web3").pid()), Signal::SIGKILL).unwrap();
    let ran = run.wait();
    (disk, ws, rotator, old, ran)
}

#[test]
fn a_host_that_dies_after_the_switch_brings_all_back_and_is_named() {
    if !is_root() {
        return;
    }
    let (disk, mut ws, rotator, old, ran) = dies_after_the_switch("0");
    let report = ran.expect(2).report();
    assert_eq!(state(&report), "put-back");
    assert_eq!(whereabouts(&report), "web1 old web2 old web3 new", "{report:#}");
    assert_words(
        message(&report),
        &["web3", "2 hosts have the old values", "web3 could not be put back", "distribute deploy"],
    );
    assert_eq!(of_secrets(&report), "old old, old old");
    assert_eq!(values(&ws), old);
    for host in &ws.hosts[..2] {
        assert_eq!([value_on(host, TWO), value_on(host, ONE)], old);
    }
    ws.reinstall(2, durable(disk.path()));
    assert_ne!(value_on(ws.host("web3"), TWO), old[0], "it comes back with the value that was dropped");
    let deployed = ws.json(&["deploy"], 0);
    assert_eq!(of(&deployed, "web3")["outcome"], "changed");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn a_host_that_dies_after_the_switch_and_may() {
    if !is_root() {
        return;
    }
    let (disk, mut ws, rotator, old, ran) = dies_after_the_switch("1");
    let report = ran.expect(2).report();
    assert_eq!(state(&report), "done", "{report:#}");
    assert_words(message(&report), &["web3", "distribute deploy"]);
    assert!(error(&report, "web3").contains("connection"), "{report:#}");
    let new = values(&ws);
    assert!(new[0] != old[0] && new[1] != old[1]);
    for host in &ws.hosts[..2] {
        assert_eq!([value_on(host, TWO), value_on(host, ONE)], new);
    }
    let later = &report["rotation"]["revoke_later"][0];
    assert_words(later["why"].as_str().unwrap(), &["web3", "distribute deploy"]);
    assert_eq!(rotator.accepted(TWO), [old[0].clone(), new[0].clone()], "revoke waits for it");
    ws.reinstall(2, durable(disk.path()));
    ws.json(&["deploy"], 0);
    let report = ws.json(&["rotate", "--revoke"], 0);
    assert_eq!(report["rotation"]["revoked"], json!([TWO]));
    assert_eq!(rotator.accepted(TWO), [new[0].clone()]);
    assert_consistent(&ws, &rotator);
    ws.assert_no_leak();
}

#[test]
fn a_host_that_is_away() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "[rollout]\nmax_fail = '0'\n", "60s");
    let old = values(&ws);
    let address = ws.host("web3").address.clone();
    ws.edit_inventory(&address, NOBODY);
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("put-back", "web1 old web2 old web3 old".into()), "{report:#}");
    assert_words(message(&report), &["web3: connect: "]);
    assert_eq!([value_on(ws.web1(), TWO), value_on(ws.web1(), ONE)], old);

    ws.edit_playbook("max_fail = '0'", "max_fail = '34%'");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!(state(&report), "put-back", "of the second batch it is one half: {report:#}");
    ws.edit_playbook("max_fail = '34%'", "max_fail = '1'");
    let report = ws.json(&["rotate", "--all"], 4);
    ws.edit_inventory(NOBODY, &address);
    assert_eq!((state(&report), whereabouts(&report)), ("done", "web1 new web2 new web3 old".into()), "{report:#}");
    assert_words(
        message(&report),
        &["2 hosts have the new values", "web3", "distribute deploy", "no old value is revoked"],
    );
    assert_eq!(rotator.accepted(TWO).len(), 2, "web3 still logs in with the old one");
    assert_eq!(value_on(ws.host("web3"), TWO), old[0]);
    assert_eq!(of(&ws.json(&["deploy"], 0), "web3")["outcome"], "changed");
    ws.json(&["rotate", "--revoke"], 0);
    assert_consistent(&ws, &rotator);
    ws.assert_no_leak();
}

/// After an interruption: it is under way, nothing comes in between, and it can be finished.
#[track_caller]
fn assert_resumes(ws: &Workspace, rotator: &Rotator, old: &[String; 2], ran: Ran, expected: (&str, &str)) {
    let report = ran.expect(130).report();
    assert_eq!(state(&report), "under-way", "{report:#}");
    assert_eq!((whereabouts(&report).as_str(), of_secrets(&report).as_str()), expected);
    assert_words(
        message(&report),
        &["was interrupted and is under way", "distribute rotate --resume", "distribute rotate --abort"],
    );
    assert_eq!(&values(ws), old, "what deploy would send");
    assert_nothing_lost(ws, rotator);
    assert_refused_while_under_way(ws);
    assert_eq!(state(&ws.json(&["rotate", "--resume"], 0)), "done");
    assert_consistent(ws, rotator);
    let new = values(ws);
    assert!(new[0] != old[0] && new[1] != old[1]);
}

#[test]
fn who_falls_ill_and_may_is_left_behind() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", &format!("{SERIAL}max_fail = '1'\n"), "1s");
    let old = values(&ws);
    ws.host("web2").sh("touch /srv/bad");
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("done", "web1 new web2 old web3 new".into()), "{report:#}");
    assert_words(message(&report), &["2 hosts have the new values, and web2 failed", "distribute deploy"]);
    assert_eq!(value_on(ws.host("web2"), TWO), old[0], "its own transaction went back");
    assert_eq!(rotator.accepted(TWO).len(), 2, "so the old value stays valid");
    ws.json(&["rotate", "--revoke"], 3);
    assert_eq!(rotator.accepted(TWO).len(), 2);
    ws.host("web2").sh("rm /srv/bad");
    ws.deploy();
    ws.json(&["rotate", "--revoke"], 0);
    assert_consistent(&ws, &rotator);
    assert_ne!(values(&ws)[0], old[0]);
    ws.assert_no_leak();
}

/// Somebody began to deploy the bundle as it was, and comes to a host when that has been rotated.
#[test]
fn an_older_deploy_does_not_bring_old_values_back() {
    if !is_root() {
        return;
    }
    let ws = hosts(2);
    ws.set_with(&[ONE, "--host", "web2"], "of web2");
    ws.rotate_by(&format!("[[rotate]]\nsecrets = ['hosts/web2/{ONE}']\ngenerate = 'hex:16'\n"));
    ws.service("api", &format!("{HEALTH}within = '60s' }}"));
    ws.setup();
    ws.set("api.API_PORT", "1");
    ws.web1().sh("touch /srv/gate");
    let deploy = ws.spawn(&["deploy", "--forks", "1", "-o", "json"]);
    wait("the health check of web1", || ws.web1().exists("/srv/waiting"));
    assert_eq!(state(&ws.json(&["rotate", "--all"], 0)), "done");
    let new = value_on(ws.host("web2"), ONE);
    ws.web1().sh("rm /srv/gate");
    let report = deploy.wait().expect(2).report();
    let why = error(&report, "web2");
    assert_words(&why, &["generation"]);
    assert_eq!(value_on(ws.host("web2"), ONE), new);
    assert_ne!(new, "of web2");
    ws.deploy();
    assert_eq!(value_on(ws.host("web2"), ONE), new);
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_between_batches() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "[rollout]\npause = '1h'\n", "60s");
    let old = values(&ws);
    let run = ws.spawn(&["rotate", "--all", "-v", "-o", "json"]);
    wait("the canary", || run.stderr().contains("web1: changed"));
    let others: Vec<_> = ws.hosts[1..].iter().map(Host::snapshot).collect();
    run.signal(Signal::SIGINT);
    let ran = run.wait();
    assert!(ws.hosts[1..].iter().map(Host::snapshot).eq(others));
    assert_ne!(value_on(ws.web1(), TWO), old[0]);
    let before = everything(&ws);
    for way in ["--resume", "--abort"] {
        let check = ws.json(&["rotate", way, "--check"], 0);
        assert_eq!(state(&check), "planned");
        assert!(everything(&ws) == before, "a check of {way} changes nothing");
    }
    ws.edit_playbook("pause = '1h'", "pause = '0s'");
    assert_resumes(&ws, &rotator, &old, ran, ("web1 new web2 old web3 old", "old both, old new"));
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_during_a_step() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "", "60s");
    let before: Vec<_> = ws.hosts.iter().map(Host::snapshot).collect();
    let old = values(&ws);
    rotator.trap("set", TWO, "begin", "wait");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    run.signal(Signal::SIGINT);
    wait("the message", || run.stderr().contains("interrupted"));
    rotator.go_on();
    let ran = run.wait();
    assert!(ws.hosts.iter().map(Host::snapshot).eq(before));
    assert_eq!(rotator.accepted(TWO).len(), 2, "the step was not torn");
    assert_resumes(&ws, &rotator, &old, ran, ("web1 old web2 old web3 old", "old both, old unknown"));

    rotator.forget_calls();
    let old = values(&ws);
    rotator.trap("set", TWO, "begin", "wait");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    run.signal(Signal::SIGINT);
    wait("the message", || run.stderr().contains("interrupted"));
    run.signal(Signal::SIGINT);
    let ran = run.wait();
    rotator.mend();
    assert_resumes(&ws, &rotator, &old, ran, ("web1 old web2 old web3 old", "old unknown, old unknown"));
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_on_the_way_back() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "", "60s");
    let old = values(&ws);
    rotator.trap("test", ONE, "end", "fail");
    rotator.trap("undo", ONE, "begin", "wait");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    run.signal(Signal::SIGINT);
    wait("the message", || run.stderr().contains("interrupted"));
    run.signal(Signal::SIGINT);
    let report = run.wait().expect(130).report();
    rotator.mend();
    assert_eq!(state(&report), "under-way");
    assert_words(message(&report), &["`test` of cloudflare", "was interrupted", "distribute rotate --abort"]);
    assert_refused_while_under_way(&ws);
    assert_eq!(state(&ws.json(&["rotate", "--abort"], 0)), "aborted");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn a_resumed_rotation_that_fails_brings_back_those_that_went_first() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet("", "[rollout]\npause = '1h'\n", "60s");
    let old = values(&ws);
    let run = ws.spawn(&["rotate", "--all", "-v", "-o", "json"]);
    wait("the canary", || run.stderr().contains("web1: changed"));
    run.signal(Signal::SIGKILL);
    run.wait();
    assert_ne!(value_on(ws.web1(), TWO), old[0]);
    rotator.trap("test", ONE, "end", "fail");
    let report = ws.json(&["rotate", "--resume"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("put-back", "web1 old web2 old web3 old".into()), "{report:#}");
    assert_eq!(of_secrets(&report), "old old, old old");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn a_policy_that_is_gone_when_it_is_needed() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", "", "60s");
    let old = values(&ws);
    rotator.trap("test", ONE, "end", "kill");
    ws.spawn(&["rotate", "--all"]).wait();
    let playbook = ws.path("project/playbooks/callableapis.toml");
    let text = fs::read_to_string(&playbook).unwrap();
    fs::write(&playbook, text.split("[[rotate]]").next().unwrap()).unwrap();
    let before = everything(&ws);
    for way in ["--resume", "--abort"] {
        let said = ws.run(&["rotate", way]).expect(1).stderr;
        assert_words(&said, &["is being rotated, but no policy", "put the [[rotate]] table back"]);
        assert!(everything(&ws) == before);
    }
    assert_refused_while_under_way(&ws);
    fs::write(&playbook, text).unwrap();
    assert_eq!(state(&ws.json(&["rotate", "--abort"], 0)), "aborted");
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn a_way_out_while_a_host_is_still_at_work() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", SERIAL, "60s");
    let old = values(&ws);
    ws.web1().sh("touch /srv/gate");
    let run = ws.spawn(&["rotate", "--all"]);
    wait("the canary", || ws.web1().exists("/srv/waiting"));
    run.signal(Signal::SIGKILL);
    run.wait();
    let report = ws.json(&["rotate", "--abort"], 2);
    assert_words(&error(&report, "web1"), &["lock: "]);
    assert_words(message(&report), &["web1", "distribute deploy"]);
    assert_eq!(whereabouts(&report), "web1 unknown web2 old");
    ws.web1().sh("rm /srv/gate");
    wait("the host to finish", || !ws.web1().exists("/opt/callableapis/.distribute/lock"));
    assert_ne!(value_on(ws.web1(), TWO), old[0]);
    ws.deploy();
    assert_put_back(&ws, &rotator, &old);
    ws.assert_no_leak();
}

#[test]
fn two_rotations_at_once() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", "", "60s");
    let old = values(&ws);
    rotator.trap("set", TWO, "begin", "wait");
    let first: Running = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    let pid = format!("pid {}", first.pid());
    let before = everything(&ws);
    for args in [&["rotate"][..], &["deploy"], &["bundle", "set", "api.API_PORT"]] {
        let said = ws.feed(args, b"0").expect(1).stderr;
        assert_words(&said, &["is under way", "at work right now", &pid, "wait for it to end"]);
        assert!(everything(&ws) == before);
    }
    assert_words(&ws.run(&["status"]).expect(0).stderr, &["is under way", &pid]);
    for way in ["--resume", "--abort"] {
        let said = ws.run(&["rotate", way]).expect(1).stderr;
        assert_words(&said, &["another rotation of this bundle is at work on this machine", &pid]);
        assert!(everything(&ws) == before);
    }
    rotator.go_on();
    assert_eq!(state(&first.wait().expect(0).report()), "done");
    assert_eq!(rotator.calls().iter().filter(|call| call.starts_with("set")).count(), 2, "a call each");
    assert_consistent(&ws, &rotator);
    assert_ne!(values(&ws)[0], old[0]);

    // All at the same moment: one does it, whoever that is, and the others say why they do not.
    rotator.forget_calls();
    let running: Vec<_> = (0..4).map(|_| ws.spawn(&["rotate", "--all", "-o", "json"])).collect();
    let ended: Vec<Ran> = running.into_iter().map(Running::wait).collect();
    let done = ended.iter().filter(|ran| ran.status == 0).count();
    assert!(
        done >= 1 && ended.iter().all(|ran| ran.status < 2),
        "{:?}",
        ended.iter().map(|ran| &ran.stderr).collect::<Vec<_>>()
    );
    assert_eq!(rotator.calls().iter().filter(|call| call.starts_with("set")).count(), 2 * done);
    assert_consistent(&ws, &rotator);
    ws.assert_no_leak();
}

/// The project on a disk of its own, small.
struct SmallDisk {
    project: PathBuf,
}

impl SmallDisk {
    fn under(ws: &Workspace) -> Self {
        let (project, aside) = (ws.path("project"), ws.path("aside"));
        let run = |program: &str, args: &[&str], paths: &[&Path]| {
            assert!(Command::new(program).args(args).args(paths).status().unwrap().success(), "{program}");
        };
        run("cp", &["-a"], &[&project, &aside]);
        run("mount", &["-t", "tmpfs", "-o", "size=256k", "tmpfs"], &[&project]);
        run("cp", &["-a"], &[&aside.join("."), &project]);
        Self { project }
    }

    /// Leaves room for so many bytes, in whole pages.
    fn fill(&self, room: usize) {
        let mut filler = Vec::new();
        loop {
            filler.extend([b'x'; 4096]);
            if fs::write(self.project.join("filler"), &filler).is_err() {
                break;
            }
        }
        filler.truncate(filler.len().saturating_sub(4096 + room));
        fs::write(self.project.join("filler"), &filler).unwrap();
    }

    fn free(&self) {
        fs::remove_file(self.project.join("filler")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.project).status();
    }
}

#[test]
fn a_full_disk() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", "", "60s");
    let disk = SmallDisk::under(&ws);
    let old = values(&ws);
    let size = fs::metadata(ws.path("project/secrets.age")).unwrap().len() as usize;
    // For nothing, and for the copy of the bundle but not for the new one.
    for room in [0, size.next_multiple_of(4096)] {
        disk.fill(room);
        let before = everything(&ws);
        let said = ws.run(&["rotate", "--all"]).expect(1);
        assert_words(&said.stderr, &["No space left on device"]);
        assert!(everything(&ws) == before, "nothing left this machine, and the bundle is as it was");
        assert!(rotator.calls().is_empty());
        disk.free();
        assert_put_back(&ws, &rotator, &old);
    }

    // Full when everybody has the new values.
    rotator.trap("test", ONE, "end", &format!("fill {}", disk.project.join("filler").display()));
    let report = ws.json(&["rotate", "--all"], 2);
    assert_eq!((state(&report), whereabouts(&report)), ("under-way", "web1 new web2 new".into()), "{report:#}");
    assert_eq!(of_secrets(&report), "old both, old new");
    assert_words(message(&report), &["No space left on device", "distribute rotate --resume"]);
    assert_eq!(values(&ws), old);
    assert_nothing_lost(&ws, &rotator);
    assert_refused_while_under_way(&ws);
    let again = ws.json(&["rotate", "--resume"], 2);
    assert_eq!(state(&again), "under-way", "as long as it is full");
    disk.free();
    assert_eq!(state(&ws.json(&["rotate", "--resume"], 0)), "done");
    assert_consistent(&ws, &rotator);
    assert_ne!(values(&ws)[0], old[0]);
    ws.assert_no_leak();
}

#[test]
fn a_clock_that_jumped_back() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "every = '90d'", "", "60s");
    let old = values(&ws);
    date(&ws, TWO, chrono::Utc::now() + chrono::Duration::days(400));
    let before = everything(&ws);
    let report = ws.json(&["rotate"], 3);
    assert_eq!(state(&report), "nothing");
    let skipped = &report["rotation"]["skipped"][0];
    assert_words(skipped["why"].as_str().unwrap(), &["lies in the future", "is the clock right?"]);
    assert_eq!(
        (&skipped["secret"], &skipped["command"]),
        (&TWO.into(), &format!("distribute rotate --secret {TWO}").into())
    );
    assert_words(&ws.run(&["rotate"]).expect(3).stdout, &[TWO, "lies in the future"]);
    assert_eq!(ws.json(&["status", "--overdue"], 3)["hosts"][0]["overdue"], json!([TWO]));
    assert!(everything(&ws) == before && rotator.calls().is_empty());
    assert_eq!(values(&ws), old);
    assert_eq!(state(&ws.json(&["rotate", "--secret", TWO], 0)), "done", "who knows better names it");
    assert_eq!(ws.json(&["status", "--overdue"], 0)["hosts"][0]["overdue"], json!([]));
    assert_consistent(&ws, &rotator);
    assert_eq!(entries_with(&ws, "history/", &old[0]).len(), 1);
    ws.assert_no_leak();
}

#[test]
fn policies_that_contradict_themselves_or_the_bundle() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    ws.set("tls/key.pem", "a key");
    ws.setup();
    let path = ws.path("project/playbooks/policies.toml");
    let key = "secrets = ['api.API_PORT']";
    let hex = "generate = 'hex:16'";
    let rows: Vec<(String, Vec<&str>)> = vec![
        (
            format!("[[rotate]]\nsecrets = ['api.API_PROT']\n{hex}"),
            vec!["policies.toml:1", "`api.API_PROT`", "did you mean `api.API_PORT`?"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[[rotate]]\nsecrets = ['api.API_*']\n{hex}"),
            vec!["policies.toml:4", "policies.toml:1", "api.API_PORT is already rotated", "one policy"],
        ),
        (
            format!("[[rotate]]\n{key}\ngenerate = 'rsa:2048'"),
            vec!["policies.toml:1: generate = \"rsa:2048\": ", "api.API_PORT", "the docker format cannot hold"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\npublic = 'api.PUBLIC'"),
            vec!["policies.toml:4", "only key pairs have a public half"],
        ),
        (format!("[[rotate]]\n{key}\n{hex}\noverlap = '1d'"), vec!["policies.toml:4", "revoke"]),
        (
            format!("[[rotate]]\n{key}\n{hex}\nevrey = '1d'"),
            vec!["policies.toml:4", "\"evrey\"", "did you mean \"every\"?"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\nsteps = {{ sett = ['x'] }}"),
            vec!["policies.toml:4", "\"sett\"", "did you mean \"set\"?"],
        ),
        (format!("[[rotate]]\n{key}\n{hex}\nevery = '0d'"), vec!["policies.toml:4", "every"]),
        (format!("[[rotate]]\n{key}\n{hex}\nevery = 'often'"), vec!["policies.toml:4", "every", "often"]),
        (format!("[[rotate]]\n{key}\n{hex}\nevery = 90"), vec!["policies.toml:4", "every"]),
        (format!("[[rotate]]\n{key}\ngenerate = 'hexx:16'"), vec!["policies.toml:3", "hexx"]),
        (format!("[[rotate]]\n{key}"), vec!["policies.toml:", "generate"]),
        (format!("[[rotate]]\n{key}\ngenerate = 'command'"), vec!["policies.toml:3", "generate"]),
        (format!("[[rotate]]\n{key}\n{hex}\nscope = 'hosts'"), vec!["policies.toml:4", "hosts"]),
        (
            format!("[[rotate]]\n{key}\n{hex}\nsteps = {{ set = [] }}"),
            vec!["policies.toml:4", "\"set\" names no program"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[rollout]\nserial = ['0']"),
            vec!["policies.toml:5", "serial", "a batch of no hosts"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[rollout]\nserial = ['10%', 'x']"),
            vec!["policies.toml:5", "serial", "`x`"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[rollout]\nmax_fail = '101%'"),
            vec!["policies.toml:5", "max_fail", "`101%`"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[rollout]\nmax_fial = '1'"),
            vec!["policies.toml:5", "did you mean \"max_fail\"?"],
        ),
        (
            format!("[[rotate]]\n{key}\n{hex}\n[rollout]\n[[rotate]]\nsecrets = []\n{hex}"),
            vec!["policies.toml:6", "\"secrets\" is empty"],
        ),
    ];
    let (log, before) = (ws.web1().log(), everything(&ws));
    for (text, words) in rows {
        fs::write(&path, &text).unwrap();
        for args in [&["rotate", "--all"][..], &["rotate", "--all", "--check"]] {
            let ran = ws.run(args).expect(1);
            assert_words(&ran.stderr, &words);
            assert!(ran.stdout.is_empty(), "{text}");
            assert!(!ran.stderr.lines().next().unwrap().ends_with('.'), "{}", ran.stderr);
        }
        assert!(everything(&ws) == before, "{text}");
    }
    assert_eq!(ws.web1().log(), log, "nobody was connected to");
    fs::remove_file(path).unwrap();
    for args in [&["rotate"][..], &["rotate", "--all"], &["rotate", "--check"]] {
        let said = ws.run(args).expect(0).stdout;
        assert!(said.contains("there is no [[rotate]] policy") || args.contains(&"--all"), "{said}");
    }
    assert!(everything(&ws) == before);
    ws.assert_no_leak();
}

/// As `git checkout` does it: the bundle that is put there knows nothing of the new values. Everything is put back, and none of them is lost.
#[test]
fn another_bundle_is_put_there_while_hosts_are_at_work() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", "", "60s");
    another_bundle(&ws, &rotator, "--resume", "done");
    another_bundle(&ws, &rotator, "--abort", "aborted");
    ws.assert_no_leak();
}

fn another_bundle(ws: &Workspace, rotator: &Rotator, way: &str, end: &str) {
    rotator.forget_calls();
    let (bundle, before) = (ws.path("project/secrets.age"), fs::read(ws.path("project/secrets.age")).unwrap());
    rotator.trap("test", ONE, "end", "wait");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    fs::write(&bundle, before).unwrap();
    rotator.go_on();
    let report = run.wait().expect(2).report();
    assert_eq!((state(&report), whereabouts(&report)), ("under-way", "web1 old web2 old".into()), "{report:#}");
    assert_eq!(of_secrets(&report), "old old, old old");
    let rescue = report["rotation"]["rescue"].as_str().unwrap();
    assert_words(message(&report), &["changed on disk", &format!("cp {rescue} secrets.age"), "--abort"]);
    let refused = ws.run(&["rotate", way]).expect(1).stderr;
    assert!(refused.contains("an older file was put back"), "{refused}");
    fs::copy(rescue, &bundle).unwrap();
    assert_nothing_lost(ws, rotator);
    assert_eq!(state(&ws.json(&["rotate", way], 0)), end);
    assert!(!Path::new(rescue).exists(), "what is over needs no rescue");
    assert_consistent(ws, rotator);
}
