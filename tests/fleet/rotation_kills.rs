//! The client is killed at every boundary of a rotation. Whoever comes then sees that it is under way, and both ways out of it lead to a
//! fleet, a provider and a bundle that agree. The boundaries are listed below; each is hit exactly: a step kills the client that called it,
//! a health check on a host waits until the client is dead, strace kills at the nth rename and the nth fsync.

use crate::host::Host;
use crate::rotation::{everything, hosts};
use crate::rotation_trouble::{assert_refused_while_under_way, assert_words, ready, state, values};
use crate::rotator::{ONE, Rotator, TWO, assert_consistent, assert_nothing_lost, unpacked, value_on};
use crate::workspace::{ROOT, Running, Workspace, is_root, wait};
use nix::sys::signal::Signal;
use std::fs;

/// What the kill leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Left {
    /// The bundle is as it was, or all is done.
    Nothing,
    UnderWay,
    /// Everybody has the new values, and an old one is still to be revoked.
    Committed,
}

/// Boundaries at a call of a step: the client dies when the step begins, or when it has done its work.
const STEPS: [(&str, &str, &str, &str, Left); 12] = [
    ("before generate", "generate", ONE, "begin", Left::UnderWay),
    ("generate was called, and its value is not saved", "generate", ONE, "end", Left::UnderWay),
    ("before set of the first secret", "set", TWO, "begin", Left::UnderWay),
    ("after set of the first secret", "set", TWO, "end", Left::UnderWay),
    ("before test of the first secret", "test", TWO, "begin", Left::UnderWay),
    ("after test of the first secret", "test", TWO, "end", Left::UnderWay),
    ("before set of the second secret", "set", ONE, "begin", Left::UnderWay),
    ("after set of the second secret", "set", ONE, "end", Left::UnderWay),
    ("before test of the second secret", "test", ONE, "begin", Left::UnderWay),
    ("after test, before the canary", "test", ONE, "end", Left::UnderWay),
    ("after the commit, before revoke", "revoke", TWO, "begin", Left::Committed),
    ("after revoke, before the save that notes it", "revoke", TWO, "end", Left::Committed),
];

/// The same on the way back; each after a batch in which a host fell ill.
const STEPS_BACK: [(&str, &str, &str, &str); 4] = [
    ("before undo of what knows one value", "undo", ONE, "begin"),
    ("after that undo, before hosts go back", "undo", ONE, "end"),
    ("hosts went back, before undo of what knows two", "undo", TWO, "begin"),
    ("after the last undo, before the save", "undo", TWO, "end"),
];

/// Boundaries while a host is at work: in its health check, which waits; `None` is the pause between two batches.
const HOSTS: [(&str, Option<&str>, bool); 4] = [
    ("while the canary acts", Some("web1"), false),
    ("between two batches", None, false),
    ("while the last batch acts", Some("web2"), false),
    ("while a host goes back", Some("web1"), true),
];

/// Boundaries at a save: what waits to take its place when the client dies, on the way there.
const RENAMES: [(&str, Left); 11] = [
    ("the copy of the bundle", Left::Nothing),
    ("the new values, sealed first", Left::Nothing),
    ("they are in place, and this machine has not noted it", Left::UnderWay),
    ("the copy that rescues them", Left::UnderWay),
    ("the value that a step made", Left::UnderWay),
    ("it is in place, not noted", Left::UnderWay),
    ("the copy with it", Left::UnderWay),
    ("the end: everybody has the new values", Left::UnderWay),
    ("it is in place, not noted", Left::Committed),
    ("what was revoked", Left::Committed),
    ("it is in place, not noted", Left::Nothing),
];

/// And on the way back, after a step that failed.
const RENAMES_BACK: [(&str, Left); 9] = [
    ("the copy of the bundle", Left::Nothing),
    ("the new values, sealed first", Left::Nothing),
    ("they are in place, and this machine has not noted it", Left::UnderWay),
    ("the copy that rescues them", Left::UnderWay),
    ("the value that a step made", Left::UnderWay),
    ("it is in place, not noted", Left::UnderWay),
    ("the copy with it", Left::UnderWay),
    ("the end: the new values are history", Left::UnderWay),
    ("it is in place, not noted", Left::Nothing),
];

#[derive(Clone, Copy, Debug)]
enum Way {
    Resume,
    Abort,
}

/// Two hosts, a batch each, and a service that can be ill for itself.
fn fleet() -> (Workspace, Rotator) {
    let ws = hosts(2);
    ws.service("cloudflare", "health = { command = ['test', '!', '-e', '/srv/ill'], within = '1s' }");
    ready(ws, "", "[rollout]\nserial = ['1']\npause = '0s'\n", "60s")
}

fn left(ws: &Workspace) -> Left {
    let record: toml::Table = unpacked(ws)["bundle.toml"].parse().unwrap();
    match (record.contains_key("rotation"), record.contains_key("revocations")) {
        (true, _) => Left::UnderWay,
        (false, true) => Left::Committed,
        (false, false) => Left::Nothing,
    }
}

/// Every command sees it and says so; those that would come in between refuse, and change nothing.
#[track_caller]
fn assert_seen(ws: &Workspace) {
    let before = everything(ws);
    let status = ws.json(&["status"], 0);
    assert_eq!(state(&status), "under-way");
    for args in [&["status"][..], &["audit"], &["bundle", "list"]] {
        let ran = ws.run(args);
        assert_words(
            &ran.stderr,
            &["is under way since", "`distribute rotate --resume` finishes it", "`--abort` undoes it"],
        );
    }
    assert_refused_while_under_way(ws);
    assert!(everything(ws) == before);
}

/// After a kill: one of the two ways, and everything agrees.
#[track_caller]
fn assert_ends(ws: &Workspace, rotator: &Rotator, old: &[String; 2], way: Way) -> Left {
    rotator.mend();
    let found = left(ws);
    assert_nothing_lost(ws, rotator);
    let (option, expected) = match way {
        Way::Resume => ("--resume", "done"),
        Way::Abort => ("--abort", "aborted"),
    };
    if found == Left::UnderWay {
        assert_eq!(&values(ws), old, "what deploy would send");
        assert_eq!(state(&ws.json(&["status"], 0)), "under-way");
        assert_eq!(state(&ws.json(&["rotate", option], 0)), expected);
    } else {
        let said = ws.run(&["rotate", option]).expect(1).stderr;
        assert_words(&said, &["no rotation is under way"]);
        assert!(ws.json(&["status"], 0)["rotation"].as_object().is_none_or(|told| told["state"] != "under-way"));
        ws.json(&["rotate", "--revoke"], 0);
    }
    assert_consistent(ws, rotator);
    let now = values(ws);
    match (found, way) {
        (Left::UnderWay, Way::Abort) => assert_eq!(&now, old),
        (Left::UnderWay, Way::Resume) | (Left::Committed, _) => assert!(now[0] != old[0] && now[1] != old[1]),
        (Left::Nothing, _) => assert_eq!(now[0] == old[0], now[1] == old[1]),
    }
    rotator.forget_calls();
    found
}

fn killed(run: Running) {
    assert_eq!(run.wait().status, -1, "it should have been killed");
}

fn both_ways(mut row: impl FnMut(Way)) {
    [Way::Resume, Way::Abort].into_iter().for_each(&mut row);
}

#[test]
fn at_every_step() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet();
    for (what, step, secret, moment, expected) in STEPS {
        both_ways(|way| {
            println!("{what}, {way:?}");
            let old = values(&ws);
            rotator.trap(step, secret, moment, "kill");
            killed(ws.spawn(&["rotate", "--all"]));
            if matches!(way, Way::Resume) && expected == Left::UnderWay {
                assert_seen(&ws);
            }
            assert_eq!(assert_ends(&ws, &rotator, &old, way), expected, "{what}");
        });
    }
    ws.assert_no_leak();
}

#[test]
fn at_every_step_back() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet();
    for (what, step, secret, moment) in STEPS_BACK {
        both_ways(|way| {
            println!("{what}, {way:?}");
            let old = values(&ws);
            ws.host("web2").sh("touch /srv/ill");
            rotator.trap(step, secret, moment, "kill");
            killed(ws.spawn(&["rotate", "--all"]));
            ws.host("web2").sh("rm /srv/ill");
            assert_eq!(assert_ends(&ws, &rotator, &old, way), Left::UnderWay, "{what}");
        });
    }
    ws.assert_no_leak();
}

/// The ways out of it are killed in their turn: the first word is what was killed at first, then the way, and where that was killed.
const WAYS_OUT: [(&str, &str, &str, &str, &str); 6] = [
    ("test", "--resume", "set", ONE, "end"),
    ("test", "--resume", "test", ONE, "end"),
    ("test", "--resume", "revoke", TWO, "begin"),
    ("test", "--abort", "undo", ONE, "begin"),
    ("test", "--abort", "undo", ONE, "end"),
    ("test", "--abort", "undo", TWO, "end"),
];

#[test]
fn at_a_step_of_a_way_out() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet();
    for (first, option, step, secret, moment) in WAYS_OUT {
        both_ways(|way| {
            println!("{option} killed at {step} {secret} {moment}, then {way:?}");
            let old = values(&ws);
            rotator.trap(first, TWO, "end", "kill");
            killed(ws.spawn(&["rotate", "--all"]));
            rotator.trap(step, secret, moment, "kill");
            killed(ws.spawn(&["rotate", option]));
            let expected = if step == "revoke" { Left::Committed } else { Left::UnderWay };
            assert_eq!(assert_ends(&ws, &rotator, &old, way), expected);
        });
    }
    ws.assert_no_leak();
}

fn has_lock(host: &Host) -> bool {
    host.exists(&format!("{ROOT}/.distribute/lock"))
}

#[test]
fn while_hosts_are_at_work() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = fleet();
    for (what, at, is_way_back) in HOSTS {
        both_ways(|way| {
            println!("{what}, {way:?}");
            let old = values(&ws);
            match at {
                Some(host) if is_way_back => {
                    ws.host(host).sh("touch /srv/later");
                    ws.host("web2").sh("touch /srv/ill");
                }
                Some(host) => drop(ws.host(host).sh("touch /srv/gate")),
                None => ws.edit_playbook("pause = '0s'", "pause = '1h'"),
            }
            let run = ws.spawn(&["rotate", "--all", "-v"]);
            match at {
                Some(host) => wait("the health check", || ws.host(host).exists("/srv/waiting")),
                None => wait("the first batch", || run.stderr().contains("web1: changed")),
            }
            assert_eq!(value_on(ws.web1(), TWO) == old[0], is_way_back, "{what}");
            run.signal(Signal::SIGKILL);
            killed(run);
            // An audit would wait a while for the host.
            assert_eq!(state(&ws.json(&["status"], 0)), "under-way");
            assert_refused_while_under_way(&ws);
            match at {
                Some(host) => ws.host(host).sh("rm /srv/gate"),
                None => String::new(),
            };
            if at.is_none() {
                ws.edit_playbook("pause = '1h'", "pause = '0s'");
            }
            ws.host("web2").sh("rm -f /srv/ill");
            wait("hosts to finish by themselves", || !ws.hosts.iter().any(has_lock));
            assert_seen(&ws);
            assert_eq!(assert_ends(&ws, &rotator, &old, way), Left::UnderWay, "{what}");
        });
    }
    ws.assert_no_leak();
}

/// strace ends the client at the nth of these calls of its main thread, which is the one that saves. False if there are not so many.
fn kill_at(ws: &Workspace, call: &str, number: usize) -> bool {
    let inject = format!("inject={call}:signal=SIGKILL:when={number}");
    let log = ws.path("out/strace");
    let strace = ["strace", "-qq", "-o", log.to_str().unwrap(), "-e", &format!("trace={call}"), "-e", &inject];
    let ran = ws.spawn_under(&strace, &["rotate", "--all"]).wait();
    assert!(ran.status != 1, "{}", ran.stderr);
    fs::read_to_string(log).unwrap().contains("killed by SIGKILL")
}

/// May strace trace here?
fn can_trace() -> bool {
    let traced = std::process::Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: strace is not here, or may not trace");
    }
    can
}

/// One rotation that is killed at the nth call, and its way out. Nothing if there are not so many.
fn row(ws: &Workspace, rotator: &Rotator, call: &str, number: usize, is_ill: bool, way: Way) -> Option<Left> {
    println!("{call} {number}, {way:?}");
    let old = values(ws);
    if is_ill {
        rotator.trap("test", ONE, "end", "fail");
    }
    let is_killed = kill_at(ws, call, number);
    let found = assert_ends(ws, rotator, &old, way);
    is_killed.then_some(found)
}

fn in_turn(number: usize) -> Way {
    if number.is_multiple_of(2) { Way::Resume } else { Way::Abort }
}

#[test]
fn before_every_rename() {
    if !is_root() || !can_trace() {
        return;
    }
    let (ws, rotator) = fleet();
    for (number, (what, expected)) in (1..).zip(RENAMES) {
        both_ways(|way| assert_eq!(row(&ws, &rotator, "rename", number, false, way), Some(expected), "{what}"));
    }
    assert_eq!(row(&ws, &rotator, "rename", RENAMES.len() + 1, false, Way::Resume), None, "a save that is not listed");
    ws.assert_no_leak();
}

#[test]
fn before_every_rename_on_the_way_back() {
    if !is_root() || !can_trace() {
        return;
    }
    let (ws, rotator) = fleet();
    for (number, (what, expected)) in (1..).zip(RENAMES_BACK) {
        assert_eq!(row(&ws, &rotator, "rename", number, true, in_turn(number)), Some(expected), "{what}");
    }
    let number = RENAMES_BACK.len() + 1;
    assert_eq!(row(&ws, &rotator, "rename", number, true, Way::Resume), None, "a save that is not listed");
    ws.assert_no_leak();
}

/// Before a new file is on the disk, and just after it took its place: its directory is not synced yet.
#[test]
fn before_every_fsync() {
    if !is_root() || !can_trace() {
        return;
    }
    let (ws, rotator) = fleet();
    let mut found: Vec<Left> =
        (1..).map_while(|number| row(&ws, &rotator, "fsync", number, false, in_turn(number))).collect();
    assert!(found.len() > RENAMES.len(), "{found:?}");
    found.dedup();
    assert_eq!(found, [Left::Nothing, Left::UnderWay, Left::Committed, Left::Nothing]);
    ws.assert_no_leak();
}
