//! Hosts with next to nothing on them, and consumers of the secrets in containers.

use crate::host::Spec;
use crate::workspace::{ROOT, Workspace, changes, is_root, of, wait};
use std::path::Path;
use std::process::{Command, Output, Stdio};

#[test]
fn a_host_with_nothing_but_busybox_and_dropbear() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::busybox());
    assert_eq!(ws.web1().names("/bin").iter().filter(|name| *name == "bash").count(), 0);
    let would = ws.json(&["setup", "--check"], 0);
    let report = ws.setup();
    assert_eq!(of(&would, "web1")["files"], of(&report, "web1")["files"]);
    ws.assert_arrived(ws.web1());
    let snapshot = ws.web1().snapshot();
    for command in [["setup"], ["deploy"], ["status"]] {
        assert_eq!(ws.json(&command, 0)["summary"]["ok"], 1);
        assert_eq!(ws.web1().snapshot(), snapshot, "{command:?}");
    }
    ws.service("cloudflare", "on_change = { command = ['touch', '/tmp/acted'] }");
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    assert_eq!(changes(&ws.deploy(), "web1"), ["cloudflare.env changed", "all-secrets.env changed"]);
    assert!(ws.web1().exists("/tmp/acted"));
    assert_eq!(ws.web1().read(&format!("{ROOT}/secrets/cloudflare.env")), "CLOUDFLARE_API_TOKEN=second\n");
    assert_eq!(ws.deploy()["summary"]["ok"], 1);
    ws.assert_no_leak();
}

fn podman(args: &[&str]) -> Output {
    Command::new("podman").args(args).stdin(Stdio::null()).output().unwrap()
}

const LIMITS: [&str; 4] = ["--ulimit", "nofile=1024:1024", "--ulimit", "nproc=2048:2048"];

/// An image of a busybox, imported from a tar.
fn import(ws: &Workspace, image: &str) -> bool {
    if Command::new("podman").arg("--version").output().is_err() {
        return false;
    }
    let root = ws.path("tmp/image");
    let script = "set -e; mkdir -p \"$1/bin\" \"$1/etc\" \"$1/secrets\"; cp /bin/busybox \"$1/bin/\"; ln -s busybox \"$1/bin/sh\"; \
                  ln -s busybox \"$1/bin/cat\"; ln -s busybox \"$1/bin/env\"; ln -s busybox \"$1/bin/sleep\"; tar -C \"$1\" -cf \"$1.tar\" .";
    assert!(Command::new("sh").args(["-c", script, "sh"]).arg(&root).status().unwrap().success());
    let imported = podman(&["import", "-q", root.with_extension("tar").to_str().unwrap(), image]);
    if !imported.status.success() {
        println!("podman: {}", String::from_utf8_lossy(&imported.stderr));
    }
    imported.status.success()
}

struct Removed<'a>(Vec<Vec<&'a str>>);

impl Drop for Removed<'_> {
    fn drop(&mut self) {
        self.0.iter().for_each(|args| drop(podman(args)));
    }
}

#[test]
fn a_container_sees_the_new_values_right_after_the_switch() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let tag = crate::process_watch::random_hex(4);
    let (image, name) = (format!("localhost/distribute-{tag}"), format!("distribute-{tag}"));
    let _removed = Removed(vec![vec!["rm", "-f", "-t", "0", &name], vec!["rmi", "-f", &image]]);
    // What podman mounts and reads is what the host has at this place.
    let secrets = ws.web1().path(&format!("{ROOT}/secrets"));
    let volume = format!("{}:/secrets:ro", secrets.display());
    let start = [
        &["run", "-d", "--name", &name, "--runtime", "runc", "--network=host"][..],
        &LIMITS,
        &["-v", &volume, &image, "sleep", "1000"],
    ]
    .concat();
    let started = import(&ws, &image) && {
        let ran = podman(&start);
        if !ran.status.success() {
            println!("podman: {}", String::from_utf8_lossy(&ran.stderr));
        }
        ran.status.success()
    };
    if !started {
        println!("podman cannot run here: a bind mount in a mount namespace stands for it");
        return bind_mount(&ws, &secrets);
    }
    let inside = |file: &str| {
        let ran = podman(&["exec", &name, "cat", &format!("/secrets/{file}")]);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).unwrap()
    };
    assert_eq!(inside("cloudflare.env"), "CLOUDFLARE_API_TOKEN=not-a-secret-token\n");
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    assert_eq!(inside("cloudflare.env"), "CLOUDFLARE_API_TOKEN=second\n", "without a restart");
    let env_file = secrets.join("cloudflare.env");
    let env = [
        &["run", "--rm", "--runtime", "runc", "--network=host"][..],
        &LIMITS,
        &["--env-file", env_file.to_str().unwrap(), &image, "env"],
    ]
    .concat();
    let shown = String::from_utf8(podman(&env).stdout).unwrap();
    assert!(shown.lines().any(|line| line == "CLOUDFLARE_API_TOKEN=second"), "{shown}");
    ws.assert_no_leak();
}

fn bind_mount(ws: &Workspace, secrets: &Path) {
    let script = "mkdir -p \"$2\" && mount --bind \"$1\" \"$2\" && cat \"$2/cloudflare.env\" && read -r line && cat \"$2/cloudflare.env\"";
    let out = ws.path("tmp/consumer");
    let mut consumer = Command::new("unshare")
        .args(["--mount", "sh", "-c", script, "sh"])
        .arg(secrets)
        .arg(ws.path("tmp/mounted"))
        .stdin(Stdio::piped())
        .stdout(std::fs::File::create(&out).unwrap())
        .spawn()
        .unwrap();
    let seen = || std::fs::read_to_string(&out).unwrap();
    wait("the consumer", || !seen().is_empty());
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.deploy();
    std::io::Write::write_all(&mut consumer.stdin.take().unwrap(), b"go on\n").unwrap();
    assert!(consumer.wait().unwrap().success());
    assert_eq!(seen(), "CLOUDFLARE_API_TOKEN=not-a-secret-token\nCLOUDFLARE_API_TOKEN=second\n");
    ws.assert_no_leak();
}
