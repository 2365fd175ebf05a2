//! What runs on a schedule: by a real systemd with our own units and credentials, and what is said of runs that were missed.

use crate::audit_consumers::{Cgroup, SYSTEMD};
use crate::host::{Host, Spec};
use crate::workspace::{Workspace, is_root, wait, write_private};
use std::fs;

/// Units of the system where `schedule install` puts them, and the targets that ours name. systemd mounts credentials in
/// a namespace of its own, and where mounts are not shared they would stay there.
const UNITS: &str = "mkdir -p /etc/systemd/system\n\
    mkdir -p /run/units\n\
    mount --make-rshared /\n\
    for t in timers network-online; do printf '[Unit]\\nDefaultDependencies=no\\n' > /run/units/$t.target; done\n";

/// On the host. It has a /tmp of its own, and this repository may lie in ours.
const PROGRAM: &str = "/srv/distribute";
const PROJECT: &str = "/srv/it's 50% $HOME \"fine\"";

fn sh(host: &Host, words: &str) -> String {
    let project = PROJECT.replace('\'', "'\\''");
    host.sh(&format!("cd '{project}' && HOME=/root DISTRIBUTE_STATE_DIR='{project}/state' {words}"))
}

/// The project on the host itself, which is its only host.
fn put_project(ws: &Workspace, host: &Host) {
    let place = host.path(PROJECT);
    for directory in ["inventory", "playbooks"] {
        fs::create_dir_all(place.join(directory)).unwrap();
    }
    for file in ["playbooks/callableapis.toml", "secrets.age"] {
        fs::copy(ws.path("project").join(file), place.join(file)).unwrap();
    }
    fs::write(
        place.join("inventory/hosts.toml"),
        "[hosts]\nhere = { connection = 'local', groups = ['production'] }\n",
    )
    .unwrap();
    write_private(&place.join("vault-password"), &fs::read_to_string(ws.identity()).unwrap());
}

#[test]
fn systemd_runs_what_was_installed() {
    if !is_root() {
        return;
    }
    let Some(cgroup) = Cgroup::new() else { return println!("skipped: needs systemd, and a cgroup of its own") };
    let systemd = SYSTEMD.replace("CGROUP", &cgroup.0).replace("UNIT_PATH=", "UNIT_PATH=/etc/systemd/system:");
    let ws = Workspace::with_host(Spec::default().script(UNITS).script(&systemd));
    let host = ws.web1();
    wait("systemd", || host.sh("systemctl is-system-running || true").trim() == "running");
    fs::copy(env!("CARGO_BIN_EXE_distribute"), host.path(PROGRAM)).unwrap();
    put_project(&ws, host);
    sh(host, &format!("{PROGRAM} setup"));
    let install = format!("{PROGRAM} schedule install --systemd");
    assert!(sh(host, &install).ends_with("the timers run\n"));
    let timers = "distribute-rotate.timer distribute-audit.timer distribute-backup.timer distribute-drill.timer";
    assert_eq!(host.sh(&format!("systemctl is-enabled {timers}")), "enabled\n".repeat(4));
    assert_eq!(host.sh(&format!("systemctl is-active {timers}")), "active\n".repeat(4));
    let again = sh(host, &install);
    assert!(again.lines().all(|line| line.ends_with(": unchanged")), "{again}");

    sh(host, &format!("{install} --rotate-at 'Mon 05:00'"));
    let next = host.sh("systemctl show -P NextElapseUSecRealtime distribute-rotate.timer");
    assert!(next.starts_with("Mon "), "{next}");
    // Nobody keeps a journal here.
    const DROP_IN: &str = "/etc/systemd/system/distribute-audit.service.d";
    host.sh(&format!("mkdir {DROP_IN}"));
    let keeping = "[Service]\nStandardOutput=append:/run/said\nStandardError=append:/run/said\n";
    fs::write(host.path(&format!("{DROP_IN}/said.conf")), keeping).unwrap();
    host.sh("systemctl daemon-reload");
    let start = |note: &str| {
        let status = "systemctl show -P ExecMainStatus distribute-audit.service";
        let ran = host.sh(&format!("systemctl start distribute-audit.service || {status}"));
        assert_eq!(ran, "", "{note}: {}", host.read("/run/said"));
    };
    start("as root");
    assert!(
        host.names(&format!("{PROJECT}/state")).iter().any(|name| name.ends_with(".runs")),
        "it is remembered there"
    );
    assert!(!host.exists("/root/.local/state/distribute"));
    let late = format!("{PROGRAM} status --max-age audit=1h");
    sh(host, &late);
    // Whose the files are is root's to say: as another user they are root's, and an access list opens them.
    let check = format!(
        "[Service]\nUser=deploy\nEnvironment=\nExecStart=\nExecStart={PROGRAM} --password-file %d/vault-password -b /srv/copy.age bundle list\nExecStart=/usr/bin/stat -c '%%a %%u:%%g' %d/vault-password\nStandardOutput=truncate:/run/said\n"
    );
    fs::write(host.path("/etc/systemd/system/distribute-audit.service.d/user.conf"), check).unwrap();
    sh(host, "install -m 644 secrets.age /srv/copy.age");
    host.sh("systemctl daemon-reload");
    start("as another user");
    let said = host.read("/run/said");
    assert!(said.contains("440 0:0") || said.contains("400 4711:"), "{said}");

    // Somebody began to remove it by hand.
    host.sh("systemctl disable --now distribute-backup.timer && rm /etc/systemd/system/distribute-backup.timer");
    assert!(sh(host, &format!("{install} --remove")).ends_with("the timers are stopped\n"));
    assert!(!host.exists("/etc/systemd/system/distribute-audit.timer"));
    assert!(host.names("/etc/systemd/system").iter().all(|name| !name.ends_with(".timer")));
    let absent = sh(host, &format!("{install} --remove"));
    assert!(absent.lines().all(|line| line.ends_with(": absent")), "{absent}");
}

#[test]
fn a_run_that_was_missed_is_noticed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let late = |words: &[&str], status: i32| ws.json(&[&["status"], words].concat(), status)["late"].clone();
    assert_eq!(late(&[], 0), serde_json::json!([]));
    let never = serde_json::json!([{ "command": "deploy", "last": null, "max_age_seconds": 691_200 }]);
    assert_eq!(late(&["--max-age", "deploy=8d"], 3), never);
    // What changes nothing is no run, and neither is one that failed.
    ws.json(&["deploy", "--check"], 0);
    ws.json(&["deploy", "--timeout", "0s"], 4);
    assert_eq!(late(&["--max-age", "deploy=8d"], 3), never);
    ws.deploy();
    assert_eq!(late(&["--max-age", "deploy=8d"], 0), serde_json::json!([]));
    fs::write(ws.web1().path("/opt/callableapis/secrets/aws.env.bak"), "").unwrap();
    ws.json(&["audit"], 3);
    assert_eq!(late(&["--max-age", "audit=8d", "--max-age", "deploy=1w"], 0), serde_json::json!([]));

    let state = ws.path("state/distribute");
    let record = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().path());
    let record = record.into_iter().find(|path| path.extension().is_some_and(|end| end == "runs")).unwrap();
    fs::write(&record, "deploy 2020-01-01T02:00:00Z\nrotate 2999-01-01T02:00:00Z\n").unwrap();
    let told = ws.run(&["status", "--max-age", "8d", "--max-age", "deploy=1h"]).expect(3).stdout;
    let future = "rotate: last good run in the future, 2999-01-01T02:00:00Z: the clock jumped back, --max-age 8d\n";
    assert!(told.contains(future), "{told}");
    let line = told.lines().find(|line| line.starts_with("deploy: last good run ")).unwrap();
    assert!(line.ends_with(" ago, --max-age 1h") && told.find(line) < told.find("RECAP"), "{told}");
    // Nothing worse is hidden by it.
    ws.run(&["status", "--max-age", "8d", "--timeout", "0s"]).expect(4);

    fs::write(&record, "deploy yesterday\n").unwrap();
    let error = ws.run(&["status", "--max-age", "8d"]).expect(1).stderr;
    assert!(error.contains("what ran here before cannot be read\nhint: forget it"), "{error}");
    let deployed = ws.run(&["deploy"]).expect(0);
    assert!(deployed.stderr.contains("what ran here before cannot be read"), "{}", deployed.stderr);
    let typo = ws.run(&["status", "--max-age", "audti=8d"]).expect(1).stderr;
    assert!(typo.contains("hint: did you mean `audit`?"), "{typo}");
    ws.assert_no_leak();
}
