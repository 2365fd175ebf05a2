//! A step outlives the client that was killed: whoever comes next stops it before anything else, so that it cannot take effect afterwards.

use crate::rotation::{everything, hosts};
use crate::rotation_trouble::{assert_words, ready, state, values};
use crate::rotator::{ONE, Rotator, TWO, assert_consistent};
use crate::workspace::{Running, Workspace, is_root, wait};
use nix::sys::signal::Signal;

/// The step and the secret in which the client is killed; then the way out, and what that comes to.
const ROWS: [(&str, &str, &str, &str); 4] = [
    ("set", ONE, "--abort", "aborted"),
    ("set", ONE, "--resume", "done"),
    ("test", TWO, "--abort", "aborted"),
    ("revoke", TWO, "--revoke", "nothing"),
];
const NOTE: &str = "note: a step of the run that was killed was still at work, and was stopped";

/// Nobody may collect it when it has ended.
fn is_alive(pid: i32) -> bool {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    text.rsplit_once(") ").is_some_and(|(_, words)| !words.starts_with('Z'))
}

/// Of what the step started, one is left that will do the step's work later.
fn killed_in(ws: &Workspace, rotator: &Rotator, step: &str, secret: &str) -> i32 {
    rotator.forget_orphan();
    rotator.trap(step, secret, "begin", "orphan");
    let run: Running = ws.spawn(&["rotate", "--all"]);
    wait("the step", || rotator.orphan().is_some());
    run.signal(Signal::SIGKILL);
    assert_eq!(run.wait().status, -1);
    rotator.orphan().unwrap()
}

#[test]
fn what_a_killed_client_left_at_work_is_stopped_first() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "", "", "60s");
    for (step, secret, way, end) in ROWS {
        println!("{step} {secret}, {way}");
        let old = values(&ws);
        let orphan = killed_in(&ws, &rotator, step, secret);
        assert!(is_alive(orphan), "it is none of the client's children, and lives on");
        // Who only looks leaves it alone.
        ws.run(&["status"]).expect(0);
        let before = everything(&ws);
        ws.run(&["rotate", "--check"]);
        assert!(is_alive(orphan) && everything(&ws) == before);
        let ran = ws.run(&["rotate", way, "-o", "json"]).expect(0);
        assert_words(&ran.stderr, &[NOTE]);
        assert_eq!(state(&ran.report()), end);
        assert!(!is_alive(orphan));
        rotator.release_orphan();
        assert_consistent(&ws, &rotator);
        assert_eq!(values(&ws)[1] == old[1], end == "aborted");
        let again = ws.run(&["rotate", "--all"]).expect(0);
        assert!(!again.stderr.contains(NOTE), "it is said once: {}", again.stderr);
        assert_consistent(&ws, &rotator);
        rotator.forget_calls();
    }
    ws.assert_no_leak();
}
