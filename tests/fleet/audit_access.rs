//! Who may do what with a file or a directory of ours, and links: each fault, seen and mended.

use crate::audit::{BOTH, Fault, Mend, fleet, lines, tell};
use crate::workspace::is_root;

const fn fix(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::Fix }
}

const fn by(says: &'static str, plant: &'static str, script: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::By(script) }
}

const fn deploy(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::Deploy }
}

pub const FAULTS: &[Fault] = &[
    fix("wrong-mode low secrets/aws.env: 0600 -> 0400", "chmod 400 secrets/aws.env"),
    fix("wrong-mode low secrets/aws.env: 0600 -> 4600", "chmod 4600 secrets/aws.env"),
    fix("wrong-mode low backups: 0700 -> 0500", "chmod 500 backups"),
    fix("wrong-mode low secrets: 0700 -> 2700", "chmod g+s secrets"),
    fix("wrong-mode low secrets/..RUN: 0700 -> 2700", "chmod g+s $live"),
    fix("wrong-mode low .distribute/generation: 0600 -> 0700", "chmod 700 .distribute/generation"),
    fix("world-readable high secrets/aws.env: 0600 -> 0644", "chmod 644 secrets/aws.env"),
    fix("world-readable high secrets: 0700 -> 0755", "chmod 755 secrets"),
    fix("world-readable high secrets/..RUN: 0700 -> 0711", "chmod 711 $live"),
    fix("world-readable high secrets/..BEFORE/aws.env: 0600 -> 0644", "chmod 644 $before/aws.env"),
    fix("world-readable high vault-password: 0600 -> 0644", "chmod 644 vault-password"),
    fix("world-readable high backups/RUN.tar.gz.age: 0600 -> 0604", "chmod 604 backups/$run.tar.gz.age"),
    fix("world-readable high .distribute: 0700 -> 0755", "chmod 755 .distribute"),
    fix("world-writable high secrets/aws.env: 0600 -> 0666", "chmod 666 secrets/aws.env"),
    fix("world-writable high secrets: 0700 -> 0777", "chmod 777 secrets"),
    fix("world-writable high backups/key.age: 0600 -> 0602", "chmod 602 backups/key.age"),
    fix("group-readable medium secrets/aws.env: 0600 -> 0640", "chmod 640 secrets/aws.env"),
    fix("group-readable medium secrets: 0700 -> 0750", "chmod 750 secrets"),
    fix("group-readable medium backups/key.age: 0600 -> 0640", "chmod 640 backups/key.age"),
    fix("group-writable high secrets/aws.env: 0600 -> 0620", "chmod 620 secrets/aws.env"),
    fix("group-writable high .distribute: 0700 -> 0770", "chmod 770 .distribute"),
    fix("wrong-owner high secrets/aws.env: root:root -> 4712:root", "chown 4712 secrets/aws.env"),
    fix("wrong-owner high secrets/aws.env: root:root -> root:4712", "chgrp 4712 secrets/aws.env"),
    fix("wrong-owner high secrets: root:root -> 4712:4712", "chown 4712:4712 secrets"),
    fix("wrong-owner high vault-password: root:root -> 4712:root", "chown 4712 vault-password"),
    fix("wrong-owner high secrets/..BEFORE/aws.env: root:root -> 4712:root", "chown 4712 $before/aws.env"),
    by(
        "hardlink medium secrets/cloudflare.env: one name -> 2 names",
        "ln $live/cloudflare.env /opt/second",
        "rm /opt/second",
    ),
    by("hardlink medium vault-password: one name -> 2 names", "ln vault-password /opt/second", "rm /opt/second"),
    by(
        "symlink high secrets: a directory -> a link to ../elsewhere",
        "mv secrets /opt/elsewhere; ln -s ../elsewhere secrets",
        "rm secrets; mv /opt/elsewhere secrets",
    ),
    by(
        "symlink high backups: a directory -> a link to ../elsewhere",
        "mv backups /opt/elsewhere; ln -s ../elsewhere backups",
        "rm backups; mv /opt/elsewhere backups",
    ),
    by(
        "symlink high secrets/..BEFORE: a directory -> a link to ../../elsewhere",
        "mv $before /opt/elsewhere; ln -s ../../elsewhere $before",
        "before=secrets/$(sed 's/.* //' .distribute/previous); rm $before; mv /opt/elsewhere $before",
    ),
    deploy(
        "symlink high secrets/..data: a link to a set -> a link to /etc",
        "rm secrets/..data; ln -s /etc secrets/..data",
    ),
    deploy(
        "symlink high secrets/cloudflare.env: a file -> a link to /etc/passwd",
        "rm $live/cloudflare.env; ln -s /etc/passwd $live/cloudflare.env",
    ),
    deploy(
        "symlink high secrets/cloudflare.env: a link to ..data/cloudflare.env -> a link to /etc/passwd",
        "rm secrets/cloudflare.env; ln -s /etc/passwd secrets/cloudflare.env",
    ),
    by(
        "symlink high vault-password: a file -> a link to ../elsewhere",
        "mv vault-password ../elsewhere; ln -s ../elsewhere vault-password",
        "mv -f ../elsewhere vault-password",
    ),
    by(
        "symlink high /opt/callableapis: a path without links -> it is really /opt/elsewhere",
        "mv /opt/callableapis /opt/elsewhere; ln -s elsewhere /opt/callableapis",
        "rm /opt/callableapis; mv /opt/elsewhere /opt/callableapis",
    ),
];

/// What a busybox has no word for.
const BY_ANOTHER_NAME: &[Fault] = &[
    fix(
        "group-readable medium secrets/aws.env: 0600 -> 0640, access list user:4712:r--, mask::r--",
        "setfacl -m u:4712:r secrets/aws.env",
    ),
    fix(
        "wrong-mode low secrets: 0700 -> 0700, access list default:user::rwx, default:user:4712:rwx, default:group::---, default:mask::rwx, default:other::---",
        "setfacl -d -m u:4712:rwx secrets",
    ),
    fix(
        "wrong-mode low secrets/aws.env: 0600 -> 0600, capabilities cap_net_raw=ep",
        "setcap cap_net_raw=ep $live/aws.env",
    ),
];

#[test]
fn who_may_do_what() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    tell(&ws, BOTH, FAULTS);
    ws.assert_no_leak();
}

/// Directories first: what lies in them is out of everybody's reach before it is looked at again.
#[test]
fn many_faults_are_mended_at_once() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    for host in &ws.hosts {
        host.sh("cd /opt/callableapis; chmod -R 777 secrets backups .distribute; chmod 666 vault-password; \
             chown -R 4712:4712 secrets; mkdir .distribute/stage.0123456789abcdef0123456789abcdef; \
             ln -s ..data/gone.env secrets/gone.env");
    }
    let snapshots: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    let would = ws.json(&["audit", "--check", "--fix"], 3);
    assert!(ws.hosts.iter().zip(snapshots).all(|(host, snapshot)| host.snapshot() == snapshot), "--check");
    let mended = ws.json(&["audit", "--fix"], 0);
    let after = ws.json(&["audit"], 0);
    for host in &ws.hosts {
        assert_eq!(lines(&would, host, &[]), lines(&mended, host, &[]));
        assert!(lines(&mended, host, &[]).len() > 30);
        assert_eq!(lines(&after, host, &[]), Vec::<String>::new());
        ws.assert_arrived(host);
    }
    ws.assert_no_leak();
}

#[test]
fn modes_by_another_name() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    if ws.web1().sh("command -v setfacl && command -v setcap || true").lines().count() < 2 {
        return println!("skipped: needs setfacl and setcap");
    }
    tell(&ws, &["web1"], BY_ANOTHER_NAME);
    ws.assert_no_leak();
}
