//! Somebody comes in between while a rotation is at work: another rotation that has its state elsewhere, or another bundle.

use crate::rotation::{everything, hosts, message};
use crate::rotation_trouble::{assert_words, of_secrets, ready, state, values, whereabouts};
use crate::rotator::{ONE, Rotator, TWO, assert_consistent, assert_nothing_lost, value_on};
use crate::workspace::{Ran, Workspace, is_root, wait};
use std::fs;
use std::path::Path;

const SERIAL: &str = "[rollout]\nserial = ['1']\npause = '0s'\n";

/// As another user, or with another HOME: what this machine remembers of the bundle is not known there.
fn elsewhere(ws: &Workspace, args: &[&str]) -> Ran {
    let state = ws.path("another-state");
    ws.spawn_under(&["env", &format!("DISTRIBUTE_STATE_DIR={}", state.display())], args).wait()
}

#[test]
fn a_rotation_with_another_state_directory() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "", "", "60s");
    let old = values(&ws);
    rotator.trap("set", TWO, "begin", "wait");
    let first = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    let before = everything(&ws);
    for way in ["--resume", "--abort"] {
        let said = elsewhere(&ws, &["rotate", way]).expect(1).stderr;
        assert_words(
            &said,
            &["another rotation of this bundle", "is at work, with another state directory; nothing was done"],
        );
    }
    for args in [&["rotate"][..], &["rotate", "--all"], &["deploy"]] {
        let said = elsewhere(&ws, args).expect(1).stderr;
        assert_words(
            &said,
            &["is under way", "at work right now (with another state directory)", "wait for it to end"],
        );
    }
    assert_words(&elsewhere(&ws, &["status"]).expect(0).stderr, &["at work right now (with another state directory)"]);
    assert!(everything(&ws) == before);
    assert_eq!(rotator.calls().last().unwrap(), "set api.SESSION_KEY", "nobody else called a step");
    rotator.go_on();
    assert_eq!(state(&first.wait().expect(0).report()), "done");
    assert_consistent(&ws, &rotator);
    assert_ne!(values(&ws), old);
    elsewhere(&ws, &["rotate", "--all"]).expect(0);
    ws.assert_no_leak();
}

/// Who keeps the state beside the bundle is not in the way of himself.
#[test]
fn the_state_directory_is_that_of_the_bundle() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "", "", "60s");
    let state = format!("DISTRIBUTE_STATE_DIR={}", ws.path("project").display());
    ws.spawn_under(&["env", &state], &["rotate", "--all"]).wait().expect(0);
    assert_consistent(&ws, &rotator);
    ws.assert_no_leak();
}

/// After another bundle was put there: everything is put back; what the bundle does not know, the copy does.
#[track_caller]
fn assert_ends(ws: &Workspace, rotator: &Rotator, old: &[String; 2], ran: Ran) {
    let report = ran.expect(2).report();
    assert_eq!((state(&report), whereabouts(&report)), ("under-way", "web1 old web2 old".into()), "{report:#}");
    assert_eq!(of_secrets(&report), "old old, old old");
    let rescue = report["rotation"]["rescue"].as_str().unwrap();
    let cause = "secrets.age changed on disk while this rotation was at work";
    assert_words(message(&report), &[cause, &format!("cp {rescue} secrets.age"), "--abort"]);
    for host in &ws.hosts {
        assert_eq!([value_on(host, TWO), value_on(host, ONE)], *old);
    }
    assert_eq!([rotator.accepted(TWO), rotator.accepted(ONE)], old.clone().map(|value| vec![value]));
    fs::copy(Path::new(rescue), ws.path("project/secrets.age")).unwrap();
    assert_nothing_lost(ws, rotator);
    assert_eq!(state(&ws.json(&["rotate", "--abort"], 0)), "aborted");
    assert_consistent(ws, rotator);
    assert_eq!(&values(ws), old);
    rotator.forget_calls();
}

#[test]
fn another_bundle_is_put_there_in_the_middle() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(2), "", SERIAL, "60s");
    let (bundle, old) = (ws.path("project/secrets.age"), values(&ws));
    let before = fs::read(&bundle).unwrap();
    let snapshots = || ws.hosts.iter().map(|host| host.snapshot()).collect::<Vec<_>>();

    let hosts = snapshots();
    rotator.trap("set", TWO, "begin", "wait");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the step", || rotator.is_waiting());
    fs::write(&bundle, &before).unwrap();
    rotator.go_on();
    let ran = run.wait();
    assert!(snapshots() == hosts, "no host was touched");
    assert!(!rotator.calls().iter().any(|call| call.starts_with("test")), "no step but undo: {:?}", rotator.calls());
    assert_ends(&ws, &rotator, &old, ran);

    let (before, last) = (fs::read(&bundle).unwrap(), ws.host("web2").snapshot());
    ws.web1().sh("touch /srv/gate");
    let run = ws.spawn(&["rotate", "--all", "-o", "json"]);
    wait("the health check", || ws.web1().exists("/srv/waiting"));
    assert_ne!(value_on(ws.web1(), TWO), old[0]);
    fs::write(&bundle, &before).unwrap();
    ws.web1().sh("rm /srv/gate");
    let ran = run.wait();
    assert!(ws.host("web2").snapshot() == last, "no further host was touched");
    assert_ends(&ws, &rotator, &old, ran);
    ws.assert_no_leak();
}
