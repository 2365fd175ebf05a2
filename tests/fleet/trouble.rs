//! Trouble on the way to a host and on it: each is one clear error with its phase and what to do, the right exit code, and
//! a host that is as it was; the other hosts are done.

use crate::host::{Host, Spec, free_address};
use crate::workspace::{ROOT, Workspace, error, is_root, of};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;

/// The error of web1 after this command, and nothing changed on it, to the inode.
#[track_caller]
fn refused(ws: &Workspace, command: &[&str], status: i32) -> String {
    let before = ws.web1().snapshot();
    let why = error(&ws.json(command, status), "web1");
    assert_eq!(ws.web1().snapshot(), before, "{why}");
    assert!(!why.ends_with("()"), "no hint: {why}");
    why
}

#[test]
fn hosts_that_are_down_do_not_hold_up_the_others() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::default(), "");
    ws.add("web3", Spec::default(), "");
    ws.setup();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.hosts.truncate(1);
    let report = ws.json(&["deploy"], 4);
    assert_eq!(of(&report, "web1")["outcome"], "changed");
    for name in ["web2", "web3"] {
        assert_eq!(of(&report, name)["outcome"], "unreachable");
        assert!(error(&report, name).starts_with("connect: "), "{}", error(&report, name));
    }
    let human = ws.run(&["deploy"]).expect(4).stdout;
    assert_eq!(human.matches("connection refused").count(), 1, "folded by cause: {human}");
    assert!(human.contains("unreachable: web2, web3 (×2)"), "{human}");
    let recap: Vec<&str> = human.lines().skip_while(|line| !line.starts_with("RECAP")).skip(1).collect();
    assert_eq!(recap.len(), 3, "a line a host: {human}");
    assert!(recap[0].starts_with("web1 ") && recap[0].contains("ok=5") && recap[0].contains("changed=0"), "{human}");
    assert!(recap[2].starts_with("web3 ") && recap[2].contains("unreachable=1"), "{human}");

    fs::remove_file(ws.web1().path("/opt/callableapis/.distribute/generation")).unwrap();
    ws.web1().sh("chmod 777 /opt/callableapis");
    assert_eq!(ws.json(&["deploy"], 2)["summary"]["failed"], 1, "a failed host weighs more than an unreachable one");
    ws.assert_no_leak();
}

#[test]
fn a_host_that_hangs_is_cut_off_and_the_others_go_on() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::default(), "");
    ws.setup();
    ws.add("web3", Spec::default().sshd("ForceCommand exec sleep 1000"), "");
    let stopped = Pid::from_raw(ws.host("web2").pid());
    kill(stopped, Signal::SIGSTOP).unwrap();
    let report = ws.json(&["setup", "--timeout", "4s"], 2);
    kill(stopped, Signal::SIGCONT).unwrap();
    assert_eq!(of(&report, "web1")["outcome"], "ok");
    assert_eq!(of(&report, "web2")["outcome"], "unreachable");
    assert!(error(&report, "web2").starts_with("connect: "), "{}", error(&report, "web2"));
    assert_eq!(of(&report, "web3")["outcome"], "failed");
    let why = error(&report, "web3");
    assert!(why.starts_with("exec: ") && why.contains("no answer within 4 s"), "{why}");
    assert_eq!(ws.json(&["deploy", "--hosts", "web1,web2"], 0)["summary"]["ok"], 2);
    ws.assert_no_leak();
}

#[test]
fn a_key_that_is_not_let_in() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    fs::write(ws.web1().etc("ssh/authorized_keys"), "").unwrap();
    let why = refused(&ws, &["deploy"], 4);
    assert!(why.starts_with("auth: ") && why.contains("id_ed25519"), "{why}");
    ws.assert_no_leak();
}

/// A host where one logs in as `deploy`.
fn as_deploy(spec: Spec, means: &str) -> Workspace {
    let mut ws = Workspace::new();
    ws.add("web1", spec, &format!(", user = \"deploy\"{means}"));
    ws
}

#[test]
fn root_by_sudo_and_by_doas() {
    if !is_root() {
        return;
    }
    let doas = Spec::default().script("echo 'permit nopass deploy' > /etc/doas.conf; chmod 600 /etc/doas.conf");
    let tagged = Spec::default().sudo("deploy ALL=(ALL:ALL) NOPASSWD: NOLOG_INPUT: ALL");
    for (spec, means) in [(doas, ", become = \"doas\""), (tagged, ", become = \"sudo\"")] {
        let ws = as_deploy(spec, means);
        ws.setup();
        ws.assert_arrived(ws.web1());
        assert_eq!(ws.web1().access(&format!("{ROOT}/secrets")), "700 0:0");
        ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
        assert_eq!(ws.deploy()["summary"]["changed"], 1);
        assert_eq!(ws.deploy()["summary"]["ok"], 1);
        ws.assert_no_leak();
    }
}

#[test]
fn becoming_root_is_refused() {
    if !is_root() {
        return;
    }
    let sudo = ", become = \"sudo\"";
    let ws = as_deploy(Spec::default().sudo("deploy ALL=(ALL) ALL"), sudo);
    let why = refused(&ws, &["setup"], 2);
    assert!(why.starts_with("become: ") && why.contains("password"), "{why}");
    let ws = as_deploy(Spec::default(), ", become = \"doas\"");
    let why = refused(&ws, &["setup"], 2);
    assert!(why.starts_with("become: ") && why.contains("doas"), "{why}");
    let ws = as_deploy(Spec::default(), "");
    let why = refused(&ws, &["setup"], 2);
    assert!(why.starts_with("become: ") && why.contains("become = \"sudo\""), "{why}");
    ws.assert_no_leak();
}

#[test]
fn a_sudoers_file_that_logs_standard_input_is_noticed_before_anything_is_sent() {
    if !is_root() {
        return;
    }
    for rule in [
        "Defaults log_input, iolog_dir=/var/log/sudo-io\ndeploy ALL=(ALL) NOPASSWD: ALL",
        "Defaults:deploy log_input, iolog_dir=/var/log/sudo-io\ndeploy ALL=(ALL) NOPASSWD: ALL",
        "Defaults iolog_dir=/var/log/sudo-io\ndeploy ALL=(ALL) NOPASSWD: LOG_INPUT: ALL",
        "Defaults iolog_dir=/var/log/sudo-io\ndeploy ALL=(ALL) NOPASSWD: LOG_INPUT: /bin/sh, NOLOG_INPUT: /bin/ls",
    ] {
        let ws = as_deploy(Spec::default().sudo(rule), ", become = \"sudo\"");
        let why = refused(&ws, &["setup"], 2);
        assert!(why.starts_with("become: ") && why.contains("log"), "{rule}: {why}");
        assert!(!ws.web1().exists("/var/log/sudo-io/00"), "something was logged: {rule}");
        assert_eq!(ws.holders_on(ws.web1()), Vec::<String>::new());
        ws.assert_no_leak();
    }
}

#[test]
fn a_host_that_does_not_run_our_program() {
    if !is_root() {
        return;
    }
    let nologin = Spec::default().script("sed -i 's,^\\(root:.*:\\)[^:]*$,\\1/usr/sbin/nologin,' /etc/passwd");
    let csh = Spec::default().script("sed -i 's,^\\(root:.*:\\)[^:]*$,\\1/bin/false,' /etc/passwd");
    let forced = Spec::default().sshd("ForceCommand echo welcome");
    for spec in [nologin, csh, forced] {
        let ws = Workspace::with_host(spec);
        let why = refused(&ws, &["setup"], 2);
        assert!(why.starts_with("exec: "), "{why}");
        ws.assert_no_leak();
    }
}

#[test]
fn a_host_that_answers_garbage() {
    if !is_root() {
        return;
    }
    // What a hostile host may do with our request: it can read the nonce.
    let scripts = [
        r"printf '\033]0;owned\007\033[2J\033[31mred\n'; printf '\033[2Jtrouble\n' >&2; exit 3",
        r"yes 'megabytes of nothing' | head -c 9000000",
        r"head -c 9000000 /dev/zero; cat /dev/zero | head -c 3000000 >&2",
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s uid 0\n%s end 1\n' "$nonce" "$nonce" "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s end 0\n' "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s fail stage \033[2J\033]0;owned\007 forged\n%s end 1\n' "$nonce" "$nonce" "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s uid 0\n%s root 0\n%s live ../../../etc\n%s stat\n%s. 41c0 0 0 root root 2 0 0 /\n%s end 99\n' "$nonce" "$nonce" "$nonce" "$nonce" "$nonce" "$nonce" "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n' "$nonce"; yes "$nonce uid 0" | head -c 30000000"#,
    ];
    let mut ws = Workspace::new();
    for (n, script) in scripts.iter().enumerate() {
        let file = format!("cat > /etc/answer <<'END'\n#!/bin/bash\n{script}\nEND\nchmod 755 /etc/answer");
        ws.add(&format!("web{n}"), Spec::default().sshd("ForceCommand /etc/answer").script(&file), "");
    }
    let report = ws.json(&["setup", "--timeout", "20s"], 2);
    for (n, script) in scripts.iter().enumerate() {
        let name = format!("web{n}");
        let why = error(&report, &name);
        assert_eq!(of(&report, &name)["outcome"], "failed", "{script}: {why}");
        assert!(why.len() < 2000, "{script}: {why}");
        assert!(!why.contains('\u{1b}') && !why.contains('\u{7}'), "{script}: {why:?}");
        assert_eq!(ws.host(&name).names("/opt"), Vec::<String>::new());
    }
    let ran = ws.run(&["setup", "-vv", "--timeout", "20s"]).expect(2);
    for text in [ran.stdout, ran.stderr] {
        assert!(!text.contains('\u{1b}') && !text.contains('\u{7}'), "{text:?}");
    }
    ws.assert_no_leak();
}

#[test]
fn noise_around_the_answer_does_not_matter() {
    if !is_root() {
        return;
    }
    let noisy =
        r#"printf 'Welcome!\n\033[1mmotd\033[0m\n'; echo trouble >&2; sh -c "$SSH_ORIGINAL_COMMAND"; echo goodbye"#;
    let file = format!("cat > /etc/answer <<'END'\n#!/bin/sh\n{noisy}\nEND\nchmod 755 /etc/answer");
    let ws = Workspace::with_host(Spec::default().sshd("ForceCommand /etc/answer").script(&file));
    ws.setup();
    ws.assert_arrived(ws.web1());
    assert_eq!(ws.deploy()["summary"]["ok"], 1);
    ws.assert_no_leak();
}

/// What a consumer of the secrets sees.
fn live(host: &Host) -> (String, String, Vec<String>) {
    let run = fs::read_link(host.path(&format!("{ROOT}/secrets/..data"))).unwrap().display().to_string();
    (run, host.read(&format!("{ROOT}/secrets/aws.env")), host.names(&format!("{ROOT}/secrets")))
}

#[test]
fn no_space_left() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().opt("mode=755,size=1m"));
    ws.setup();
    let before = live(ws.web1());
    ws.set("aws.AWS_SECRET_ACCESS_KEY", &format!("{}-second", ws.poison));
    // Full to the last page, and then with room for ever more of what is sent: it fails at another place each time.
    ws.web1().sh("head -c 2m /dev/zero > /opt/full || true");
    for room in 0..12 {
        let why = error(&ws.json(&["deploy"], 2), "web1");
        assert!(why.starts_with("stage: ") || why.starts_with("switch: "), "with room for {room}: {why}");
        assert_eq!(live(ws.web1()), before, "with room for {room}: {why}");
        assert!(!ws.web1().exists(&format!("{ROOT}/.distribute/lock")), "{why}");
        ws.web1().sh("size=$(stat -c %s /opt/full); truncate -s $((size - 4096)) /opt/full");
        if room > 4 && ws.run(&["deploy"]).status == 0 {
            break;
        }
    }
    ws.web1().sh("rm /opt/full");
    ws.deploy();
    assert_ne!(live(ws.web1()).0, before.0);
    assert_eq!(ws.deploy()["summary"]["ok"], 1);

    let ws = Workspace::with_host(Spec::default().opt("mode=755,size=8k"));
    let why = error(&ws.json(&["setup"], 2), "web1");
    assert!(why.starts_with("stage: "), "{why}");
    assert_eq!(ws.holders_on(ws.web1()), Vec::<String>::new(), "nothing half is left behind");
    ws.assert_no_leak();
}

#[test]
fn a_file_system_that_is_read_only() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.web1().sh("mount -o remount,ro /opt");
    assert_eq!(ws.deploy()["summary"]["ok"], 1, "nothing to write");
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    let why = refused(&ws, &["deploy"], 2);
    assert!(why.starts_with("stage: ") || why.starts_with("lock: "), "{why}");
    ws.web1().sh("mount -o remount,rw /opt");
    assert_eq!(ws.deploy()["summary"]["changed"], 1);
    let ws = Workspace::with_host(Spec::default().opt("mode=755,ro"));
    let why = refused(&ws, &["setup"], 2);
    assert!(why.starts_with("stage: "), "{why}");
    ws.assert_no_leak();
}

#[test]
fn a_place_that_others_could_change() {
    if !is_root() {
        return;
    }
    for (lines, what) in [
        (
            "mkdir -p /opt/callableapis /srv/elsewhere; ln -s /srv/elsewhere /opt/callableapis/secrets",
            "is a link to /srv/elsewhere",
        ),
        ("mkdir -p /opt/callableapis/secrets; chown 4711 /opt/callableapis/secrets", "belongs to deploy"),
        ("mkdir -p /opt/callableapis; chmod 777 /opt/callableapis", "others can write there"),
        (
            "mkdir -p /opt/callableapis; chmod 770 /opt/callableapis; chgrp 4711 /opt/callableapis",
            "others can write there",
        ),
        ("chmod 777 /opt", "others can write there"),
        ("mkdir -p /opt/callableapis; chown 4711 /opt/callableapis", "belongs to deploy"),
        ("mkdir -p /srv/real; ln -s /srv/real /opt/callableapis", "link"),
        ("echo x > /opt/callableapis", "is not a directory"),
        ("mkdir -p /opt/callableapis; echo x > /opt/callableapis/secrets", "is not a directory"),
        ("mkdir -p /opt/callableapis; ln -s /srv /opt/callableapis/.distribute", "is a link"),
        ("mkdir -p /opt/callableapis; ln -s /srv /opt/callableapis/backups", "is a link"),
    ] {
        let ws = Workspace::with_host(Spec::default().script(lines));
        let why = refused(&ws, &["setup"], 2);
        assert!(why.starts_with("stage: ") && why.contains(what), "{lines}: {why}");
        assert_eq!(ws.holders_on(ws.web1()), Vec::<String>::new());
        ws.assert_no_leak();
    }
}

#[test]
fn a_name_that_nobody_resolves() {
    if !is_root() {
        return;
    }
    let ws = Workspace::new();
    ws.add_line("web1 = { address = \"web1.invalid\", groups = [\"production\"] }\n");
    ws.add_line(&format!("web2 = {{ address = \"{}\", groups = [\"production\"] }}\n", free_address(22)));
    let report = ws.json(&["setup"], 4);
    assert!(error(&report, "web1").starts_with("resolve: "), "{}", error(&report, "web1"));
    assert!(error(&report, "web2").starts_with("connect: "), "{}", error(&report, "web2"));
    ws.assert_no_leak();
}
