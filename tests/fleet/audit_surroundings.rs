//! What lies around the secrets: directories on the way, mounts, swap, and what bundle and playbook have that the host has not yet.

use crate::audit::{BOTH, Fault, Mend, fleet, lines, tell};
use crate::host::Spec;
use crate::workspace::{Workspace, is_root};

const fn by(says: &'static str, plant: &'static str, script: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::By(script) }
}

const fn told(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::AsTold }
}

pub const FAULTS: &[Fault] = &[
    told("parent-writable high /opt: 0755 -> 0777", "chmod 777 /opt"),
    told("parent-writable high /opt/callableapis: 0755 -> 0775", "chmod 775 ."),
    told("parent-writable high /opt: root -> 4712", "chown 4712 /opt"),
    told("parent-writable high /opt/callableapis: root -> 4712", "chown 4712 ."),
    by(
        "clear-swap info /swapfile: encrypted swap, or none -> swap in clear, as far as is known",
        "printf 'Filename\\tType\\tSize\\tUsed\\tPriority\\n/swapfile\\tfile\\t4\\t0\\t-2\\n' > /tmp/swaps; \
         mount -o bind /tmp/swaps /proc/swaps",
        "umount /proc/swaps",
    ),
];

#[test]
fn what_lies_around() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    tell(&ws, BOTH, FAULTS);
    ws.assert_no_leak();
}

/// What each host has to say, which is the same.
#[track_caller]
fn both_say(ws: &Workspace, status: i32, expected: &[&str]) {
    let report = ws.json(&["audit"], status);
    ws.hosts.iter().for_each(|host| assert_eq!(lines(&report, host, &[]), expected, "on {}", host.name));
}

#[test]
fn what_is_in_the_bundle_and_not_on_the_host() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "third");
    let older = "as in the bundle -> older than the bundle";
    let (all, one) = ("undeployed low secrets/all-secrets.env: ", "undeployed low secrets/cloudflare.env: ");
    both_say(&ws, 3, &[&format!("{one}{older}"), &format!("{all}{older}")]);
    ws.deploy();
    both_say(&ws, 0, &[]);
    ws.assert_no_leak();
}

/// Somebody wrote it once, and nobody looks again.
#[test]
fn what_the_playbook_opens() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    ws.service("cloudflare", "mode = \"640\"");
    ws.deploy();
    let told = "secrets/cloudflare.env: 0600 unless the playbook says otherwise -> 0640, as the playbook says";
    both_say(&ws, 0, &[&format!("group-readable info {told}")]);
    ws.hosts.iter().for_each(|host| drop(host.sh("chmod 644 /opt/callableapis/secrets/cloudflare.env")));
    both_say(&ws, 3, &["world-readable high secrets/cloudflare.env: 0640 -> 0644"]);
    ws.json(&["audit", "--fix"], 0);
    both_say(&ws, 0, &[&format!("group-readable info {told}")]);
    ws.assert_no_leak();
}

#[test]
fn a_restart_that_is_owed() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    ws.service("cloudflare", "on_change = { command = ['test', '-e', '/tmp/may'] }");
    both_say(&ws, 0, &[]);
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "third");
    ws.json(&["deploy"], 2);
    both_say(
        &ws,
        3,
        &["owed-restart medium secrets/cloudflare.env: done after the switch -> the action is still owed"],
    );
    ws.hosts.iter().for_each(|host| drop(host.sh("touch /tmp/may")));
    ws.deploy();
    both_say(&ws, 0, &[]);
    ws.assert_no_leak();
}

/// Such a mount gives everybody every file, whatever its mode says.
#[test]
fn a_mount_that_opens_everything_to_everybody() {
    if !is_root() {
        return;
    }
    let has_sshfs = std::process::Command::new("sshfs").arg("--version").output().is_ok();
    if !has_sshfs || !std::path::Path::new("/dev/fuse").exists() {
        return println!("skipped: needs sshfs and /dev/fuse");
    }
    let mount = "mkdir /srv/back; printf '#!/bin/sh\\nexec /usr/lib/openssh/sftp-server\\n' > /run/sftp; chmod 755 /run/sftp; \
                 sshfs -o allow_other,ssh_command=/run/sftp x:/srv/back /opt </dev/null";
    let ws = Workspace::with_host(Spec::default().script(mount));
    ws.setup();
    let report = ws.json(&["audit"], 3);
    let expected = "world-readable high /opt/callableapis: a mount that keeps modes -> fuse.sshfs mounted at /opt with allow_other: \
                    every user reads what lies there";
    assert_eq!(lines(&report, ws.web1(), &[]), [expected]);
    ws.assert_no_leak_but(|path| path.starts_with("/srv/back/callableapis/secrets/.."));
}
