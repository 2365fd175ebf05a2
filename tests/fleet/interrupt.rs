//! Ctrl-C, kill -9 and two operators at once: at every instant a host has the old set or the new one, and the next run recovers.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, error, is_root, of, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

const GATE: &str =
    "on_change = { command = ['/bin/sh', '-c', 'read -r line < /srv/gate; echo \"$line\" >> /srv/acted'] }";

/// A host with an action that waits at a gate, set up before it had one.
fn gated() -> Workspace {
    let ws = Workspace::with_host(Spec::default().script("mkfifo /srv/gate"));
    ws.setup();
    ws.service("api", GATE);
    change(&ws, 1);
    ws
}

/// Changes a value of each of two services.
fn change(ws: &Workspace, number: usize) {
    ws.set("api.API_PORT", &number.to_string());
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", &number.to_string());
}

fn at_the_gate(host: &Host) -> bool {
    host.processes().iter().any(|(_, line)| line.contains("/srv/gate"))
}

fn open_gate(host: &Host) {
    host.sh("echo opened > /srv/gate");
}

/// The host has one set, whole: both values are of the same change.
#[track_caller]
fn assert_whole(host: &Host) {
    let read = |name: &str| host.read(&format!("{ROOT}/secrets/..data/{name}.env"));
    let api = read("api").lines().find_map(|line| line.strip_prefix("API_PORT=").map(str::to_owned)).unwrap();
    let cloudflare = read("cloudflare").trim().strip_prefix("CLOUDFLARE_API_TOKEN=").unwrap().to_owned();
    let is_first = api == "8080" && cloudflare == "not-a-secret-token";
    assert!(is_first || api == cloudflare, "a mix: {api} and {cloudflare}");
}

/// After whatever happened: one deploy makes it right, and nothing is left behind.
#[track_caller]
fn assert_recovers(ws: &Workspace) {
    ws.deploy();
    let snapshot = ws.web1().snapshot();
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    assert_eq!(ws.web1().snapshot(), snapshot);
    let sets = ws
        .web1()
        .names(&format!("{ROOT}/secrets"))
        .into_iter()
        .filter(|name| name.starts_with("..") && name != "..data");
    assert!(sets.count() <= 2);
    let left = ws.web1().names(&format!("{ROOT}/.distribute"));
    assert!(
        !left.iter().any(|name| name.starts_with("stage") || name.starts_with("own") || name == "lock"),
        "{left:?}"
    );
    ws.assert_arrived(ws.web1());
}

#[test]
fn two_operators_at_once() {
    if !is_root() {
        return;
    }
    let ws = gated();
    let first = ws.spawn(&["deploy", "-o", "json"]);
    wait("the action of the first", || at_the_gate(ws.web1()));
    let snapshot = ws.web1().snapshot();
    for command in [&["deploy"][..], &["deploy", "--check"], &["setup"]] {
        let why = error(&ws.json(command, 2), "web1");
        let pid = format!("pid {}", first.pid());
        assert!(
            why.starts_with("lock: ") && why.contains("root@") && why.contains(&pid) && why.contains("since 20"),
            "{why}"
        );
        assert_eq!(ws.web1().snapshot(), snapshot);
    }
    open_gate(ws.web1());
    first.wait().expect(0);
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}

#[test]
fn many_operators_race() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    for round in 0..3 {
        change(&ws, round);
        let running: Vec<_> = (0..4).map(|_| ws.spawn(&["deploy", "-o", "json"])).collect();
        let done: Vec<_> = running.into_iter().map(|run| run.wait()).collect();
        assert!(done.iter().any(|ran| ran.status == 0));
        for ran in done.iter().filter(|ran| ran.status != 0) {
            let why = error(&ran.report(), "web1");
            assert!(why.starts_with("lock: "), "{why}");
        }
        assert_whole(ws.web1());
        assert_recovers(&ws);
    }
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_before_anything_is_sent() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    change(&ws, 1);
    let before = ws.web1().snapshot();
    let server = Pid::from_raw(ws.web1().pid());
    kill(server, Signal::SIGSTOP).unwrap();
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let run = ws.spawn(&["deploy", "-v", "-o", "json"]);
        wait("the connection", || run.stderr().contains("connecting"));
        run.signal(signal);
        let report = run.wait().expect(130).report();
        assert!(error(&report, "web1").contains("interrupted"), "{report:#}");
    }
    kill(server, Signal::SIGCONT).unwrap();
    assert_eq!(ws.web1().snapshot(), before);
    assert_recovers(&ws);
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_while_a_host_is_written() {
    if !is_root() {
        return;
    }
    let ws = gated();
    let once = ws.spawn(&["deploy", "-o", "json"]);
    wait("the action", || at_the_gate(ws.web1()));
    once.signal(Signal::SIGINT);
    wait("the message", || once.stderr().contains("interrupted"));
    open_gate(ws.web1());
    let report = once.wait().expect(130).report();
    assert_eq!(of(&report, "web1")["outcome"], "changed", "what was begun is finished: {report:#}");
    assert_whole(ws.web1());

    change(&ws, 2);
    let twice = ws.spawn(&["deploy", "-o", "json"]);
    wait("the action", || at_the_gate(ws.web1()));
    twice.signal(Signal::SIGINT);
    wait("the message", || twice.stderr().contains("interrupted"));
    twice.signal(Signal::SIGINT);
    let report = twice.wait().expect(130).report();
    assert!(error(&report, "web1").starts_with("action: "), "{report:#}");
    assert_whole(ws.web1());
    open_gate(ws.web1());
    wait("the host to finish by itself", || !ws.web1().exists(&format!("{ROOT}/.distribute/lock")));
    assert_eq!(ws.web1().read("/srv/acted"), "opened\nopened\n");
    assert_recovers(&ws);
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_at_any_moment() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    // As many moments as there are things to see from outside, and one after each.
    for (number, moment) in ["connecting", "sending", "stage", "set", "switched"].into_iter().enumerate() {
        for signal in [Signal::SIGINT, Signal::SIGKILL] {
            change(&ws, number + 10);
            let live = || fs::read_link(ws.web1().path(&format!("{ROOT}/secrets/..data"))).unwrap();
            let (before, sets) = (live(), ws.web1().names(&format!("{ROOT}/secrets")).len());
            let mut run = ws.spawn(&["deploy", "-v", "-o", "json"]);
            wait(moment, || {
                let there = match moment {
                    "stage" => {
                        ws.web1().names(&format!("{ROOT}/.distribute")).iter().any(|name| name.starts_with("stage."))
                    }
                    "set" => ws.web1().names(&format!("{ROOT}/secrets")).len() > sets,
                    "switched" => live() != before,
                    said => run.stderr().contains(said),
                };
                there || run.is_done()
            });
            if !run.is_done() {
                let _ = kill(run.pid(), signal);
            }
            let ran = run.wait();
            assert!([0, 130, -1].contains(&ran.status), "{}: {}", ran.status, ran.stderr);
            assert_whole(ws.web1());
            wait("the host to finish by itself", || !ws.web1().exists(&format!("{ROOT}/.distribute/lock")));
            assert_whole(ws.web1());
            assert_recovers(&ws);
        }
    }
    ws.assert_no_leak();
}

#[test]
fn the_server_is_killed_under_a_run() {
    if !is_root() {
        return;
    }
    let ws = gated();
    let run = ws.spawn(&["deploy", "-o", "json"]);
    wait("the action", || at_the_gate(ws.web1()));
    let sessions: Vec<_> = ws.web1().processes().into_iter().filter(|(_, line)| line.starts_with("sshd: ")).collect();
    assert!(!sessions.is_empty());
    for (pid, _) in sessions {
        let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
    }
    let why = error(&run.wait().expect(2).report(), "web1");
    assert!(why.starts_with("action: ") && why.contains("connection was lost"), "{why}");
    assert_whole(ws.web1());
    open_gate(ws.web1());
    wait("the host to finish by itself", || !ws.web1().exists(&format!("{ROOT}/.distribute/lock")));
    assert_recovers(&ws);
    ws.assert_no_leak();
}

#[test]
fn a_payload_that_is_cut() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook(
        "name    = \"all-secrets\"",
        "name = \"big\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    ws.set("big/file", "small at first");
    ws.setup();
    let staged = || -> u64 {
        let names = ws.web1().names(&format!("{ROOT}/.distribute"));
        let stage = names.into_iter().find(|name| name.starts_with("stage.")).unwrap_or_default();
        fs::metadata(ws.web1().path(&format!("{ROOT}/.distribute/{stage}/in"))).map_or(0, |meta| meta.len())
    };
    for (number, from) in [1, 200_000, 600_000].into_iter().enumerate() {
        for kills_client in [true, false] {
            change(&ws, number + 10);
            ws.set("big/file", &format!("{number}{kills_client}").repeat(200_000));
            let before = ws.web1().read(&format!("{ROOT}/secrets/cloudflare.env"));
            let mut run = ws.spawn(&["deploy", "-o", "json"]);
            wait("the payload", || staged() >= from || run.is_done());
            if !run.is_done() && kills_client {
                run.signal(Signal::SIGKILL);
            } else {
                let sessions = ws.web1().processes().into_iter().filter(|(_, line)| line.starts_with("sshd: "));
                sessions.for_each(|(pid, _)| kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap_or(()));
            }
            let status = run.wait().status;
            wait("the host to end by itself", || !ws.web1().exists(&format!("{ROOT}/.distribute/lock")));
            assert_whole(ws.web1());
            if status != 0 && staged() == 0 {
                let after = ws.web1().read(&format!("{ROOT}/secrets/cloudflare.env"));
                assert!(after == before || after.contains(&(number + 10).to_string()));
            }
            assert_recovers(&ws);
        }
    }
    ws.assert_no_leak();
}

#[test]
fn ctrl_c_starts_no_new_hosts() {
    if !is_root() {
        return;
    }
    let mut ws = gated();
    ws.add("web2", Spec::default(), "");
    ws.json(&["setup", "--hosts", "web2"], 0);
    change(&ws, 3);
    let before = ws.host("web2").snapshot();
    let run = ws.spawn(&["deploy", "--forks", "1", "-o", "json"]);
    wait("the action", || at_the_gate(ws.web1()));
    run.signal(Signal::SIGTERM);
    wait("the message", || run.stderr().contains("interrupted"));
    open_gate(ws.web1());
    let report = run.wait().expect(130).report();
    assert_eq!(report["interrupted"], true);
    assert_eq!(
        (&of(&report, "web1")["outcome"], &of(&report, "web2")["outcome"]),
        (&"changed".into(), &"skipped".into())
    );
    assert_eq!(ws.host("web2").snapshot(), before);
    ws.deploy();
    ws.assert_no_leak();
}
