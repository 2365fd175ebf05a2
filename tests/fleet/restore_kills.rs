//! A restore that is cut off: Ctrl-C, kill -9 of either end, a full disk; and whether it may begin at all. At every instant a host has
//! what was live or what is brought back, and the same command made again goes through.

use crate::host::{Host, Spec};
use crate::restore::{assert_port, assert_tidy, live, push_port, with_ports};
use crate::workspace::{ROOT, Workspace, error, is_root, of, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

/// Both files of the set that is live say the same port.
fn port(host: &Host) -> String {
    let set = live(host);
    let of = |file: &str| {
        let text = host.read(&format!("{ROOT}/secrets/{set}/{file}"));
        text.lines().find_map(|line| line.strip_prefix("API_PORT=").map(str::to_owned)).unwrap()
    };
    let (one, other) = (of("api.env"), of("all-secrets.env"));
    assert_eq!(one, other, "a mix in {set}");
    one
}

/// Three runs more; the set of the first is gone then.
fn three_runs(ws: &Workspace, number: usize) -> (Vec<String>, Vec<String>) {
    let ports: Vec<_> = (1..=3).map(|step| format!("{number}{step}")).collect();
    let runs = ports.iter().map(|port| push_port(ws, port)).collect();
    (ports, runs)
}

/// After whatever happened: the restore goes through, and then a deploy, and nothing is left.
#[track_caller]
fn assert_recovers(ws: &Workspace, run: &str, expected: &str, bundle: &str) {
    ws.json(&["restore", "--run", run, "--yes"], 0);
    assert_port(ws.web1(), expected);
    assert_eq!(of(&ws.json(&["restore", "--run", run, "--yes"], 0), "web1")["outcome"], "ok");
    ws.deploy();
    assert_port(ws.web1(), bundle);
    assert_tidy(ws.web1());
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    assert_eq!(ws.json(&["backup", "verify"], 0)["summary"]["failed"], 0);
}

#[test]
fn at_any_moment() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let web1 = ws.web1();
    let mut number = 10;
    for (back, moments) in [
        (1, &["connecting", "sending", "stage", "switched"][..]),
        (0, &["connecting", "sending", "stage", "set", "switched"]),
    ] {
        for moment in moments {
            for signal in [Signal::SIGINT, Signal::SIGKILL] {
                number += 1;
                let (ports, runs) = three_runs(&ws, number);
                let (before, sets) = (live(web1), web1.names(&format!("{ROOT}/secrets")).len());
                let mut run = ws.spawn(&["restore", "--run", &runs[back], "--yes", "-v", "-o", "json"]);
                wait(moment, || {
                    let there = match *moment {
                        "stage" => {
                            web1.names(&format!("{ROOT}/.distribute")).iter().any(|name| name.starts_with("stage."))
                        }
                        "set" => web1.names(&format!("{ROOT}/secrets")).len() > sets,
                        "switched" => live(web1) != before,
                        said => run.stderr().contains(said),
                    };
                    there || run.is_done()
                });
                if !run.is_done() {
                    let _ = kill(run.pid(), signal);
                }
                let ran = run.wait();
                assert!([0, 130, -1].contains(&ran.status), "{}: {}", ran.status, ran.stderr);
                let found = port(web1);
                assert!(found == ports[2] || found == ports[back], "{moment} {signal}: {found}");
                wait("the host to finish by itself", || !web1.exists(&format!("{ROOT}/.distribute/lock")));
                let found = port(web1);
                assert!(found == ports[2] || found == ports[back], "{moment} {signal}: {found}");
                assert_recovers(&ws, &runs[back], &ports[back], &ports[2]);
            }
        }
    }
    ws.assert_no_leak();
}

#[test]
fn the_far_end_dies_in_an_action() {
    if !is_root() {
        return;
    }
    for back in [1, 0] {
        let ws = Workspace::with_host(Spec::default().script("mkfifo /srv/gate"));
        ws.setup();
        let (ports, runs) = three_runs(&ws, 1);
        let web1 = ws.web1();
        ws.service("api", crate::actions::GATE);
        let run = ws.spawn(&["restore", "--run", &runs[back], "--yes", "-o", "json"]);
        wait("the action", || web1.processes().iter().any(|(_, line)| line.contains("/srv/gate")));
        for (pid, line) in web1.processes() {
            if !line.starts_with("sshd") {
                let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
            }
        }
        let why = error(&run.wait().expect(2).report(), "web1");
        assert!(why.starts_with("action: ") && why.contains("run this again"), "{why}");
        assert_eq!(port(web1), ports[back], "it was switched already");
        assert_eq!(of(&ws.json(&["status"], 0), "web1")["owed"], json!(["api"]));
        web1.sh("rm /srv/gate; echo opened > /srv/gate");
        let again = ws.json(&["restore", "--run", &runs[back], "--yes"], 0);
        assert_eq!((&of(&again, "web1")["owed"], &of(&again, "web1")["actions"]), (&json!([]), &json!(["api"])));
        assert_eq!(web1.read("/srv/acted"), "opened\n", "what was owed is paid");
        web1.sh("rm /srv/gate; echo opened > /srv/gate");
        assert_recovers(&ws, &runs[back], &ports[back], &ports[2]);
        ws.assert_no_leak();
    }
}

#[test]
fn no_space_left() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default().opt("mode=755,size=1m"), &["9090", "9191"]);
    let web1 = ws.web1();
    let seen = || (live(web1), web1.names(&format!("{ROOT}/secrets")), crate::backups::sealed(web1));
    let before = seen();
    web1.sh("head -c 2m /dev/zero > /opt/full || true");
    for run in [&runs[1], &runs[0]] {
        let why = error(&ws.json(&["restore", "--run", run, "--yes"], 2), "web1");
        assert!(why.starts_with("stage: "), "{why}");
        assert_eq!(seen(), before);
        assert_port(web1, "9191");
        assert_tidy(web1);
    }
    web1.sh("rm /opt/full");
    assert_recovers(&ws, &runs[0], "8080", "9191");
    ws.assert_no_leak();
}

#[test]
fn with_room_for_ever_more_of_it() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default().opt("mode=755,size=1m"), &["9090", "9191"]);
    let web1 = ws.web1();
    let (before, copies) = (live(web1), crate::backups::sealed(web1));
    web1.sh("head -c 2m /dev/zero > /opt/full || true");
    let mut failed = 0;
    while ws.run(&["restore", "--run", &runs[0], "--yes"]).status != 0 {
        failed += 1;
        assert!(failed < 60);
        assert_eq!((live(web1), port(web1)), (before.clone(), "9191".to_owned()), "with room for {failed}");
        assert!(copies.iter().all(|copy| crate::backups::sealed(web1).contains(copy)));
        web1.sh("size=$(stat -c %s /opt/full); truncate -s $((size - 4096)) /opt/full");
    }
    assert!(failed > 3, "{failed}");
    web1.sh("rm /opt/full");
    assert_recovers(&ws, &runs[0], "8080", "9191");
    ws.assert_no_leak();
}

#[test]
fn nobody_is_there_to_say_yes() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    let (snapshot, log) = (web1.snapshot(), web1.log());
    for which in [&["--previous"][..], &["--run", &runs[0]], &["--at", "1h"]] {
        for more in [&[][..], &["-o", "json"]] {
            let ran = ws.run(&[&["restore"], which, more].concat()).expect(1);
            assert!(
                ran.stderr.contains("nobody to ask; nothing was done") && ran.stderr.contains("--yes"),
                "{}",
                ran.stderr
            );
        }
    }
    assert_eq!((web1.snapshot(), web1.log()), (snapshot, log), "nobody was connected to");
    ws.assert_no_leak();
}

#[test]
fn somebody_is_asked() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    let snapshot = web1.snapshot();
    for answer in ["n", "\r", "\u{3}"] {
        let ran = ws.answer(&["restore", "--previous"], "put these back? [y/N]", answer).expect(1);
        let (plan, asked) =
            (ran.stdout.find("api.env").expect("the plan"), ran.stdout.find("put these back?").unwrap());
        assert!(plan < asked && ran.stdout.contains("nothing was changed"), "{}", ran.stdout);
        assert_eq!(web1.snapshot(), snapshot);
    }
    let ran = ws.answer(&["restore", "--previous"], "put these back? [y/N]", "y").expect(0);
    assert!(ran.stdout.contains("distribute bundle revert --to"), "{}", ran.stdout);
    assert_eq!(live(web1), format!("..{}", runs[0]));
    assert_port(web1, "8080");
    ws.assert_no_leak();
}

#[test]
fn while_somebody_else_is_at_work() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().script("mkfifo /srv/gate"));
    ws.setup();
    let (ports, runs) = three_runs(&ws, 1);
    let web1 = ws.web1();
    ws.service("api", crate::actions::GATE);
    let first = ws.spawn(&["restore", "--run", &runs[1], "--yes", "-o", "json"]);
    wait("the action", || web1.processes().iter().any(|(_, line)| line.contains("/srv/gate")));
    let snapshot = web1.snapshot();
    for args in [&["restore", "--run", &runs[0], "--yes"][..], &["restore", "--previous", "--yes"], &["deploy"]] {
        let why = error(&ws.json(args, 2), "web1");
        assert!(why.starts_with("lock: ") && why.contains(&format!("pid {}", first.pid())), "{why}");
        assert_eq!(web1.snapshot(), snapshot);
    }
    web1.sh("echo opened > /srv/gate");
    first.wait().expect(0);
    assert_port(web1, &ports[1]);
    assert_tidy(web1);
    ws.assert_no_leak();
}
