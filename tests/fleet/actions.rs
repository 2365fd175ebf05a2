//! What happens when secrets change: actions run once, stay owed until they are paid, and health decides which set stays.

use crate::host::{Host, Spec, free_address};
use crate::workspace::{ROOT, Workspace, error, is_root, of, wait};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// An action that leaves a line in /srv/acted for each time it ran.
const ACT: &str = "on_change = { command = ['/bin/sh', '-c', 'echo ran >> /srv/acted; test ! -e /srv/broken'] }";
/// One that does not end before somebody writes into the pipe.
pub const GATE: &str =
    "on_change = { command = ['/bin/sh', '-c', 'read -r line < /srv/gate; echo \"$line\" >> /srv/acted'] }";

fn acted(host: &Host) -> usize {
    fs::read_to_string(host.path("/srv/acted")).map_or(0, |text| text.lines().count())
}

fn owed(report: &serde_json::Value) -> Vec<&str> {
    of(report, "web1")["owed"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn an_action_runs_once_after_a_change() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.service("api", ACT);
    ws.setup();
    let first = acted(ws.web1());
    assert!(first <= 1);
    ws.deploy();
    ws.set("aws.AWS_ACCESS_KEY_ID", "another service's");
    ws.deploy();
    assert_eq!(acted(ws.web1()), first, "nothing of api changed");
    ws.set("api.API_PORT", "81");
    assert_eq!(of(&ws.json(&["deploy", "--check"], 0), "web1")["actions"], serde_json::json!(["api"]));
    assert_eq!(acted(ws.web1()), first);
    assert_eq!(of(&ws.deploy(), "web1")["actions"], serde_json::json!(["api"]));
    assert_eq!(acted(ws.web1()), first + 1);
    assert_eq!(of(&ws.deploy(), "web1")["actions"], serde_json::json!([]));
    assert_eq!(acted(ws.web1()), first + 1);
    ws.assert_no_leak();
}

#[test]
fn what_an_action_fails_to_do_stays_owed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    // A program that prints what it should not.
    ws.service("api", "on_change = { command = ['/bin/sh', '-c', 'echo ran >> /srv/acted; cat /opt/callableapis/secrets/api.env; test ! -e /srv/broken'] }");
    ws.setup();
    let first = acted(ws.web1());
    ws.web1().sh("touch /srv/broken");
    ws.set("api.API_PORT", "81");
    let report = ws.json(&["deploy"], 2);
    let why = error(&report, "web1");
    assert!(
        why.starts_with("action: ") && why.contains("`api`") && why.contains("status 1") && why.contains("owed"),
        "{why}"
    );
    assert_eq!(owed(&report), ["api"]);
    assert!(ws.web1().read(&format!("{ROOT}/secrets/api.env")).contains("API_PORT=81"), "the new set is live");
    assert_eq!(owed(&ws.json(&["status"], 0)), ["api"]);
    assert!(ws.run(&["status"]).expect(0).stdout.contains("owed: the actions of api"));
    assert_eq!(owed(&ws.json(&["deploy"], 2)), ["api"], "still broken, still owed");
    assert_eq!(acted(ws.web1()), first + 2);
    ws.web1().sh("rm /srv/broken");
    let report = ws.deploy();
    assert_eq!((owed(&report), acted(ws.web1())), (vec![], first + 3));
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    assert_eq!(acted(ws.web1()), first + 3);
    ws.assert_no_leak();
}

#[test]
fn what_a_killed_run_owes_is_paid_by_the_next() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().script("mkfifo /srv/gate"));
    ws.setup();
    ws.service("api", GATE);
    ws.set("api.API_PORT", "81");
    let deploy = ws.spawn(&["deploy", "-o", "json"]);
    let live = || fs::read_to_string(ws.web1().path(&format!("{ROOT}/secrets/api.env"))).unwrap();
    wait("the switch", || live().contains("API_PORT=81"));
    wait("the action", || ws.web1().processes().iter().any(|(_, line)| line.contains("/srv/gate")));
    for (pid, line) in ws.web1().processes() {
        if !line.starts_with("sshd") {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
    let why = error(&deploy.wait().expect(2).report(), "web1");
    assert!(why.starts_with("action: ") && why.contains("run this again"), "{why}");
    assert_eq!(owed(&ws.json(&["status"], 0)), ["api"]);
    ws.web1().sh("rm /srv/gate; echo opened > /srv/gate");
    let report = ws.deploy();
    assert_eq!(owed(&report), Vec::<&str>::new());
    assert_eq!(ws.web1().read("/srv/acted"), "opened\n");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    assert_eq!(ws.web1().read("/srv/acted"), "opened\n");
    ws.assert_no_leak();
}

#[test]
fn a_set_that_makes_a_service_ill_is_switched_back() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.service("api", &format!("{ACT}\nhealth = {{ command = ['/bin/sh', '-c', '! grep API_PORT=666 /opt/callableapis/secrets/api.env'], within = '1s' }}"));
    ws.setup();
    let link = || fs::read_link(ws.web1().path(&format!("{ROOT}/secrets/..data"))).unwrap();
    let (before, first) = (link(), acted(ws.web1()));
    ws.set("api.API_PORT", "666");
    ws.set("aws.AWS_ACCESS_KEY_ID", "goes with it");
    let report = ws.json(&["deploy"], 2);
    let why = error(&report, "web1");
    assert!(why.starts_with("health: ") && why.contains("`api`") && why.contains("switched back"), "{why}");
    assert_eq!(of(&report, "web1")["files"], serde_json::json!([]), "nothing is changed");
    assert_eq!(link(), before);
    assert!(ws.web1().read(&format!("{ROOT}/secrets/api.env")).contains("API_PORT=8080"));
    assert!(ws.web1().read(&format!("{ROOT}/secrets/aws.env")).contains("AKIAEXAMPLE"), "all of the old set");
    assert_eq!(acted(ws.web1()), first + 2, "told of the new set, and of the old one again");
    ws.set("api.API_PORT", "80");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "changed");
    assert!(ws.web1().read(&format!("{ROOT}/secrets/api.env")).contains("API_PORT=80\n"));
    let sets = ws
        .web1()
        .names(&format!("{ROOT}/secrets"))
        .into_iter()
        .filter(|name| name.starts_with("..") && name != "..data");
    assert_eq!(sets.count(), 2, "the set that failed is gone");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}

#[test]
fn health_over_http() {
    if !is_root() {
        return;
    }
    let address = free_address(8080);
    let serve = format!(
        "mkdir /srv/www; busybox httpd -p {address}:8080 -h /srv/www; command -v wget curl >/dev/null || ln -s /bin/busybox /run/wget"
    );
    let ws = Workspace::with_host(Spec::default().script(&serve));
    if ws.web1().sh("command -v curl || command -v wget || true").is_empty() {
        println!("skipped: neither curl nor wget is installed");
        return;
    }
    ws.setup();
    ws.service("api", &format!("health = {{ http = 'http://{address}:8080/health', within = '1s' }}"));
    ws.set("api.API_PORT", "81");
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(why.starts_with("health: ") && why.contains("switched back"), "{why}");
    ws.web1().sh("echo ok > /srv/www/health");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "changed");
    ws.assert_no_leak();
}

#[test]
fn what_an_action_prints_is_shown_without_the_secrets_in_it() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook(
        "name    = \"all-secrets\"",
        "name = \"tls\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    ws.set("tls/key.pem", &format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", ws.poison));
    // Whatever is printed is cut somewhere: the last 2000 bytes by the host, the first 400 characters by us.
    ws.service("api", "on_change = { command = ['/bin/sh', '/srv/print'] }");
    let prints = |script: &str| {
        fs::write(ws.web1().path("/srv/print"), format!("cd {ROOT}/secrets\n{script}\nexit 3\n")).unwrap()
    };
    prints("exit 0");
    ws.setup();
    ws.set("api.API_PORT", "81");
    for script in [
        "cat api.env tls/key.pem",
        "printf '%0370d' 0; cat tls/key.pem",
        "printf '%0384d' 0; cat tls/key.pem",
        "printf '%0398d' 0; grep PASSWORD api.env",
        "grep PASSWORD api.env; printf '%01990d' 0",
        "grep PASSWORD api.env; printf '%01980d' 0",
        "grep PASSWORD api.env >&2; printf '%01970d' 0",
    ] {
        prints(script);
        let why = error(&ws.json(&["deploy"], 2), "web1");
        assert!(why.starts_with("action: ") && why.contains("status 3"), "{why}");
        // No part of the random half of the poison, however it was cut.
        let random: Vec<char> = ws.poison.chars().skip(15).collect();
        let found = random.windows(6).map(|part| part.iter().collect::<String>()).find(|part| why.contains(part));
        assert_eq!(found, None, "{script}: {why}");
    }
    prints("exit 0");
    ws.deploy();
    ws.assert_no_leak();
}

#[test]
fn an_action_that_says_the_old_value_after_a_switch_back_is_not_quoted() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.set("api.TURN", &format!("{}-old", ws.poison));
    let script = "if grep -q old secrets/api.env; then grep TURN secrets/api.env; exit 3; fi";
    ws.service(
        "api",
        &format!(
            "on_change = {{ command = ['/bin/sh', '-c', 'cd {ROOT}; {script}'] }}\nhealth = {{ command = ['false'], within = '1s' }}"
        ),
    );
    ws.run(&["setup"]).expect(2);
    ws.set("api.TURN", &format!("{}-new", ws.poison));
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(why.contains("switched back") && why.contains("the action of `api`") && why.contains("[secret]"), "{why}");
    ws.assert_no_leak();
}
