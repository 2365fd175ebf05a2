//! Audits of hosts in trouble, and of hosts that make it: crowded, changing while they are read, without tools, lying, gone. Each is
//! a clear line and the others are complete. And `--fix`: what it mends, what it leaves alone, and that nothing is changed by way of a link.

use crate::actions::GATE;
use crate::host::{Host, Spec, free_address};
use crate::workspace::{ROOT, Ran, Workspace, error, is_root, of, wait};
use nix::fcntl::{AT_FDCWD, RenameFlags, renameat2};
use nix::sys::signal::Signal;
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::atomic::{AtomicBool, Ordering};

/// `rule path` of each finding, paths relative to the root; those that were mended begin with `fixed`.
fn found(report: &Value, host: &str) -> Vec<String> {
    let line = |finding: &Value| {
        let path = finding["path"].as_str().unwrap();
        let fixed = if finding["fixed"] == true { "fixed " } else { "" };
        let path = path.strip_prefix(&format!("{ROOT}/")).unwrap_or(path);
        format!("{fixed}{} {path}", finding["rule"].as_str().unwrap())
    };
    let mut lines: Vec<String> = of(report, host)["findings"].as_array().unwrap().iter().map(line).collect();
    lines.sort();
    lines
}

fn two_hosts() -> Workspace {
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::default(), "");
    ws.setup();
    ws
}

/// On the host, below its root.
#[track_caller]
fn at_root(host: &Host, script: &str) -> String {
    host.sh(&format!("set -e; cd {ROOT}; {script}"))
}

/// The most memory that a process has had so far, in KiB.
fn peak_memory(pid: nix::unistd::Pid) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    line.and_then(|line| line.split_whitespace().next()?.parse().ok()).unwrap_or(0)
}

#[test]
fn fifty_thousand_strays_on_one_host() {
    if !is_root() {
        return;
    }
    let ws = two_hosts();
    at_root(ws.web1(), "cd secrets; seq -f 'stray %.0f' 50000 | tr '\\n' '\\0' | xargs -0 touch");
    let mut running = ws.spawn(&["audit", "-o", "json"]);
    let mut peak = 0;
    wait("the end of the audit", || {
        peak = peak.max(peak_memory(running.pid()));
        running.is_done()
    });
    assert!(peak > 0 && peak < 400 << 10, "{peak} KiB");
    let report = running.wait().expect(3).report();
    let lines = found(&report, "web1");
    assert_eq!(lines.len(), 50_000);
    assert!(lines.iter().all(|line| line.starts_with("unexpected-file secrets/stray ")));
    assert_eq!((of(&report, "web2")["outcome"].as_str(), found(&report, "web2").len()), (Some("ok"), 0));
    let human = ws.run(&["audit"]).expect(3).stdout;
    assert!(human.lines().count() < 30 && human.contains("50000"), "{human}");
    ws.assert_no_leak();
}

#[test]
fn five_thousand_files_in_one_exec() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    let seed = ws.path("seed");
    fs::create_dir_all(seed.join("tls")).unwrap();
    for name in ["aws", "github-oidc", "cloudflare", "api"] {
        fs::write(seed.join(format!("{name}.env")), format!("KEY_{}={}\n", name.len(), ws.poison)).unwrap();
    }
    for number in 0..5000 {
        fs::write(seed.join(format!("tls/{number}.pem")), format!("{number} {}\n", ws.poison)).unwrap();
    }
    ws.run(&["bundle", "create", "--recipient", &recipient(&ws), seed.to_str().unwrap()]).expect(0);
    fs::remove_dir_all(&seed).unwrap();
    let tls = "name = \"tls\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"";
    ws.edit_playbook("name    = \"all-secrets\"", tls);
    ws.setup();
    let execs = |host: &Host| host.log().matches("Starting session: command").count();
    let before = (execs(ws.web1()), ws.web1().snapshot());
    let report = ws.json(&["audit"], 0);
    assert_eq!(found(&report, "web1"), Vec::<String>::new());
    assert_eq!((execs(ws.web1()), ws.web1().snapshot()), (before.0 + 1, before.1));
    at_root(ws.web1(), "echo more >> secrets/tls/4711.pem");
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), ["drift secrets/tls/4711.pem"]);
    ws.assert_no_leak();
}

/// The public half of the bundle's identity, as its file says it.
fn recipient(ws: &Workspace) -> String {
    let text = fs::read_to_string(ws.identity()).unwrap();
    text.lines().find_map(|line| Some(line.split_once("public key: ")?.1.to_owned())).expect("a public key")
}

#[test]
fn a_directory_that_becomes_a_link_while_it_is_read() {
    if !is_root() {
        return;
    }
    let ws = two_hosts();
    let swap = "touch secrets/stays; mkdir secrets/d; touch secrets/d/mine /srv/go; (while [ -e /srv/go ]; do mv -T secrets/d secrets/e; \
                ln -s /etc secrets/d; rm secrets/d; mv -T secrets/e secrets/d; done; touch /srv/gone) >/dev/null 2>&1 &";
    at_root(ws.web1(), swap);
    for _ in 0..8 {
        let ran = ws.run(&["audit", "-o", "json"]).expect(3);
        assert!(!ran.stdout.contains("shadow") && !ran.stdout.contains("passwd") && !ran.stdout.contains("sudoers"));
        let strange = found(&ran.report(), "web1").into_iter().filter(|line| {
            ![
                "unexpected-file secrets/stays",
                "unexpected-file secrets/d",
                "unexpected-file secrets/e",
                "symlink secrets/d",
            ]
            .contains(&line.as_str())
        });
        assert_eq!(strange.filter(|line| !line.ends_with("/mine")).collect::<Vec<_>>(), Vec::<String>::new());
        assert_eq!(found(&ran.report(), "web2"), Vec::<String>::new());
    }
    ws.web1().sh("rm /srv/go");
    wait("the end of the swapping", || ws.web1().exists("/srv/gone"));
    ws.assert_no_leak();
}

#[test]
fn a_host_without_a_tool_that_it_takes() {
    if !is_root() {
        return;
    }
    let ws = two_hosts();
    for tool in ["stat", "find", "grep", "sha256sum"] {
        let at = format!("/usr/bin/{tool}");
        ws.web1().sh(&format!(": > /srv/nothing; chmod 644 /srv/nothing; mount --bind /srv/nothing {at}"));
        let report = ws.json(&["audit"], 2);
        let why = error(&report, "web1");
        assert!(why.contains(tool), "{tool}: {why}");
        assert_eq!((of(&report, "web2")["outcome"].as_str(), found(&report, "web2").len()), (Some("ok"), 0));
        ws.web1().sh(&format!("umount {at}"));
    }
    ws.json(&["audit"], 0);
    ws.assert_no_leak();
}

/// Runs what it is sent, until /etc/lie is there: then that.
const ANSWER: &str = "cat > /etc/answer <<'END'\n#!/bin/sh\n[ ! -e /etc/lie ] || exec /bin/bash /etc/lie\n\
    exec /bin/sh -c \"$SSH_ORIGINAL_COMMAND\"\nEND\nchmod 755 /etc/answer";

#[test]
fn hosts_that_lie_or_flood_or_are_not_there() {
    if !is_root() {
        return;
    }
    let lies = [
        r"yes",
        r"printf '\033]0;owned\007\033[2J\n'; printf '\033[2Jtrouble\n' >&2; exit 3",
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s uid 0\n%s end 1\n' "$nonce" "$nonce" "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s uid 0\n%s root 0\n%s stat\n%s end 3\n' "$nonce" "$nonce" "$nonce" "$nonce" "$nonce""#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n' "$nonce"; yes "$nonce uid 0" | head -c 70000000"#,
        r#"read -r a b nonce c; printf '\n%s begin 1\n%s uid 0\n%s root 0\n%s stat\n' "$nonce" "$nonce" "$nonce" "$nonce"; yes "$nonce. 8180 0 0 root root 1 4 1 'secrets/x'" | head -c 70000000"#,
    ];
    let mut ws = Workspace::with_host(Spec::default());
    for n in 0..lies.len() {
        ws.add(&format!("lie{n}"), Spec::default().sshd("ForceCommand /etc/answer").script(ANSWER), "");
    }
    ws.setup();
    for (n, lie) in lies.iter().enumerate() {
        fs::write(ws.host(&format!("lie{n}")).etc("lie"), lie).unwrap();
    }
    let report = ws.json(&["audit", "--timeout", "30s"], 2);
    assert_eq!((of(&report, "web1")["outcome"].as_str(), found(&report, "web1").len()), (Some("ok"), 0));
    for (n, lie) in lies.iter().enumerate() {
        let name = format!("lie{n}");
        let why = error(&report, &name);
        assert_eq!(of(&report, &name)["outcome"], "failed", "{lie}: {why}");
        assert!(why.len() < 2000 && !why.contains(['\u{1b}', '\u{7}']), "{lie}: {why:?}");
    }
    ws.hosts.truncate(1);
    let report = ws.json(&["audit"], 4);
    assert_eq!((of(&report, "web1")["outcome"].as_str(), found(&report, "web1").len()), (Some("ok"), 0));
    assert!((0..lies.len()).all(|n| of(&report, &format!("lie{n}"))["outcome"] == "unreachable"));
    at_root(ws.web1(), "chmod 644 secrets/..data/aws.env");
    let report = ws.json(&["audit", "--forks", "1"], 4);
    assert_eq!(found(&report, "web1"), ["world-readable secrets/aws.env"]);
    assert_eq!(ws.json(&["audit", "--hosts", "web1"], 3)["hosts"].as_array().unwrap().len(), 1);
    ws.assert_no_leak();
}

/// Of what was to be mended nothing is said to be mended, unless the host said so.
#[test]
fn a_host_that_falls_silent_after_the_mending() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().sshd("ForceCommand /etc/answer").script(ANSWER));
    ws.setup();
    let cut = "sh -c \"$SSH_ORIGINAL_COMMAND\" | while IFS= read -r line; do case $line in *' begin 1') n=$((n + 1));; esac\n\
               [ \"$n\" -gt 1 ] || printf '%s\\n' \"$line\"; done";
    fs::write(ws.web1().etc("lie"), cut).unwrap();
    at_root(ws.web1(), "chmod 644 vault-password");
    let report = ws.json(&["audit", "--fix"], 2);
    assert_eq!(found(&report, "web1"), ["world-readable vault-password"], "{report:#}");
    assert!(error(&report, "web1").contains("status"), "{report:#}");
    fs::remove_file(ws.web1().etc("lie")).unwrap();
    ws.json(&["audit"], 0);
    ws.assert_no_leak();
}

#[test]
fn one_that_is_interrupted_says_what_it_has() {
    if !is_root() {
        return;
    }
    let ws = two_hosts();
    at_root(ws.host("web2"), "chmod 644 vault-password");
    let stopped = nix::unistd::Pid::from_raw(ws.web1().pid());
    nix::sys::signal::kill(stopped, Signal::SIGSTOP).unwrap();
    let running = ws.spawn(&["audit", "-v", "-o", "json"]);
    wait("the other host", || running.stderr().contains("web2: ok"));
    running.signal(Signal::SIGINT);
    let ran = running.wait().expect(130);
    nix::sys::signal::kill(stopped, Signal::SIGCONT).unwrap();
    let report = ran.report();
    assert_eq!(report["interrupted"], true);
    assert!(error(&report, "web1").contains("interrupted"), "{report:#}");
    assert_eq!(found(&report, "web2"), ["world-readable vault-password"]);
    ws.assert_no_leak();
}

#[test]
fn who_may_not_see_does_not_say_that_all_is_well() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    ws.add("web1", Spec::default().sudo("deploy ALL=(ALL) NOPASSWD: ALL"), ", user = \"deploy\", become = \"sudo\"");
    ws.setup();
    ws.json(&["audit"], 0);
    ws.web1().sh(&format!("chmod 700 {ROOT}; chmod 777 /opt; chmod 644 {ROOT}/vault-password"));
    let all = ["parent-writable /opt", "world-readable vault-password"];
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), all);
    ws.edit_inventory(", become = \"sudo\"", "");
    for mode in ["700", "755"] {
        ws.web1().sh(&format!("chmod {mode} {ROOT}"));
        let report = ws.json(&["audit"], 2);
        let why = error(&report, "web1");
        assert!(
            why.starts_with("become: ") && why.contains(ROOT) && why.contains("become = \"sudo\""),
            "{mode}: {why}"
        );
        assert!(found(&report, "web1").contains(&"parent-writable /opt".to_owned()), "{mode}: {report:#}");
        assert!(!found(&report, "web1").iter().any(|line| line.starts_with("missing ")), "{mode}: {report:#}");
        let human = ws.run(&["audit"]).expect(2);
        assert!(human.stdout.contains("/opt") && human.stdout.contains("parent-writable"), "{}", human.stdout);
    }
    ws.assert_no_leak();
}

fn access_times(host: &Host) -> BTreeMap<String, (i64, i64)> {
    let time = |path: String| {
        let meta = host.path(&path).symlink_metadata().unwrap();
        (path, (meta.atime(), meta.atime_nsec()))
    };
    host.snapshot().into_keys().map(time).collect()
}

#[test]
fn where_the_mount_allows_it_not_even_a_time_of_access_changes() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().opt("mode=755,noatime"));
    ws.setup();
    ws.web1().sh("find /opt -exec touch -h -a -d 2020-01-01 {} +");
    let before = access_times(ws.web1());
    ws.json(&["audit"], 0);
    assert_eq!(access_times(ws.web1()), before);
    ws.assert_no_leak();
}

const STALE: &str = "..1-20261101T020000Z-00aa";

/// One of each: what may be mended, and what may not.
fn plant(host: &Host) {
    let lock = "printf '00000000-0000 1 1 2026-11-01T02:00:00Z ann@desk\\n' > .distribute/lock";
    at_root(
        host,
        &format!(
            "chmod 640 secrets/..data/aws.env; chown 4711:4711 secrets/..data/api.env; chmod 400 vault-password; chmod 755 secrets; \
             cp -a secrets/..data/. secrets/{STALE}; mkdir .distribute/stage.0123; echo x > .distribute/stage.0123/in; {lock}; \
             echo drifted >> secrets/..data/cloudflare.env; echo theirs > secrets/stray.txt"
        ),
    );
}

const PLANTED: [&str; 9] = [
    "drift secrets/cloudflare.env",
    "group-readable secrets/aws.env",
    "leftover .distribute/lock",
    "leftover .distribute/stage.0123",
    "stale-set secrets/..1-20261101T020000Z-00aa",
    "unexpected-file secrets/stray.txt",
    "world-readable secrets",
    "wrong-mode vault-password",
    "wrong-owner secrets/api.env",
];

const LEFT: [&str; 2] = [PLANTED[0], PLANTED[5]];

#[test]
fn what_cannot_hurt_is_mended_and_the_rest_is_left() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("web2", Spec::busybox(), "");
    ws.setup();
    for host in &ws.hosts {
        plant(host);
        assert_eq!(found(&ws.json(&["audit"], 3), &host.name), PLANTED);
        let (before, drifted) = (host.snapshot(), host.read(&format!("{ROOT}/secrets/cloudflare.env")));
        let report = ws.json(&["audit", "--check", "--fix"], 3);
        assert_eq!(
            (found(&report, &host.name), &of(&report, &host.name)["outcome"]),
            (PLANTED.map(String::from).to_vec(), &Value::from("changed"))
        );
        let human = ws.run(&["audit", "--check", "--fix"]).expect(3).stdout;
        assert!(human.contains("would mend"), "{human}");
        assert_eq!(host.snapshot(), before, "it says what it would do");

        let report = ws.json(&["audit", "--fix"], 3);
        let fixed: Vec<String> =
            found(&report, &host.name).into_iter().filter(|line| !line.starts_with("fixed ")).collect();
        assert_eq!(
            (fixed, &of(&report, &host.name)["outcome"]),
            (LEFT.map(String::from).to_vec(), &Value::from("changed"))
        );
        assert_eq!(found(&report, &host.name).len(), PLANTED.len());
        assert_eq!(found(&ws.json(&["audit"], 3), &host.name), LEFT);
        assert_eq!(host.read(&format!("{ROOT}/secrets/cloudflare.env")), drifted);
        assert_eq!(host.read(&format!("{ROOT}/secrets/stray.txt")), "theirs\n");
        at_root(
            host,
            "rm secrets/stray.txt; sed -i '$d' secrets/..data/cloudflare.env; chmod 600 secrets/..data/cloudflare.env",
        );
        ws.json(&["audit"], 0);
    }
    ws.assert_no_leak();
}

#[test]
fn only_what_was_asked_for_and_nobody_accepted_is_mended() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    plant(ws.web1());
    let report = ws.json(&["audit", "--fix", "--rule", "wrong-mode"], 0);
    assert_eq!(found(&report, "web1"), ["fixed wrong-mode vault-password"]);
    let left = ws.json(&["audit"], 3);
    // The lock of the dead is dealt with by whoever takes the lock.
    let expected: Vec<&str> =
        PLANTED.into_iter().filter(|line| !line.contains("vault-password") && !line.contains("lock")).collect();
    assert_eq!(found(&left, "web1"), expected);
    let ignore = ws.path("project/ignore.toml");
    fs::write(
        &ignore,
        "[[ignore]]\nrule = 'group-readable'\nhost = 'web*'\nreason = 'the old agent'\nexpires = 2999-01-01\n\
         [[ignore]]\nrule = 'stale-set'\nreason = 'was kept too long'\nexpires = 2020-01-01\n",
    )
    .unwrap();
    let report = ws.json(&["audit", "--fix", "--ignore-file", "ignore.toml"], 3);
    assert_eq!(
        (ws.web1().access(&format!("{ROOT}/secrets/..data/aws.env")), &of(&report, "web1")["accepted"]),
        ("640 0:0".to_owned(), &Value::from(1))
    );
    assert!(!ws.web1().exists(&format!("{ROOT}/secrets/{STALE}")), "what has expired counts again");
    let json = report.to_string();
    assert!(json.contains("accepted until 2020-01-01: was kept too long") && !json.contains("the old agent"), "{json}");
    at_root(
        ws.web1(),
        "rm secrets/stray.txt; sed -i '$d' secrets/..data/cloudflare.env; chmod 600 secrets/..data/cloudflare.env",
    );
    ws.json(&["audit", "--ignore-file", "ignore.toml"], 0);
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), ["group-readable secrets/aws.env"]);
    for (text, why) in [
        ("[[ignore]]\nrule = 'drift'\nreason = 'x'\nexpires = 2999-01-01\nuntil = 1\n", "until"),
        ("[[ignore]]\nrule = 'drfit'\nreason = 'x'\nexpires = 2999-01-01\n", "did you mean `drift`?"),
        ("[[ignore]]\nrule = 'drift'\nexpires = 2999-01-01\n", "reason"),
        ("[[ignore]]\nrule = 'drift'\nreason = 'x'\n", "expires"),
        ("[[ignored]]\n", "ignored"),
    ] {
        fs::write(&ignore, text).unwrap();
        let ran = ws.run(&["audit", "--ignore-file", "ignore.toml"]).expect(1);
        assert!(ran.stderr.contains(why) && ran.stderr.contains("ignore.toml"), "{}", ran.stderr);
    }
    assert!(ws.run(&["audit", "--ignore-file", "nowhere.toml"]).expect(1).stderr.contains("nowhere.toml"));
    ws.assert_no_leak();
}

/// Somebody else's file, which root would change if it followed.
#[test]
fn nothing_is_mended_by_way_of_a_link() {
    if !is_root() {
        return;
    }
    for (script, also) in [
        ("ln -f /opt/precious secrets/..data/aws.env", "hardlink secrets/aws.env"),
        ("ln -sf /opt/precious secrets/..data/aws.env", "symlink secrets/aws.env"),
        ("chmod 777 secrets; rm secrets/aws.env; ln -s /opt/precious secrets/aws.env", "symlink secrets/aws.env"),
        ("chmod 777 secrets/..data/.; ln -sf /opt/precious secrets/..data/aws.env", "symlink secrets/aws.env"),
        ("rm vault-password; ln -s /opt/precious vault-password", "symlink vault-password"),
        ("rm -r backups; ln -s /opt/theirs backups", "symlink backups"),
        ("mv .distribute /opt/moved; ln -s /opt/moved .distribute; chmod 755 secrets", "symlink .distribute"),
    ] {
        let ws = Workspace::with_host(Spec::default());
        ws.setup();
        let host = ws.web1();
        host.sh("echo theirs > /opt/precious; mkdir /opt/theirs; chmod 666 /opt/precious; chown 4711:4711 /opt/precious /opt/theirs");
        at_root(host, script);
        let ran = ws.run(&["audit", "--fix", "-o", "json"]);
        assert!([2, 3].contains(&ran.status), "{script}: {}", ran.stderr);
        let report = ran.report();
        assert!(found(&report, "web1").iter().any(|line| line == also), "{script}: {report:#}");
        assert_eq!(
            (host.access("/opt/precious"), host.read("/opt/precious")),
            ("666 4711:4711".to_owned(), "theirs\n".to_owned()),
            "{script}"
        );
        assert_eq!(
            (host.access("/opt/theirs"), host.names("/opt/theirs").len()),
            ("755 4711:4711".to_owned(), 0),
            "{script}"
        );
        ws.assert_no_leak();
    }
}

/// Somebody who may change our directory puts a link in place of a file, over and over, while root is to give the file a mode.
fn fix_while_links_come_and_go(ws: &Workspace, fix: &[&str]) {
    let host = ws.web1();
    host.sh("echo theirs > /opt/precious; chmod 666 /opt/precious");
    at_root(host, "ln -s /opt/precious secrets/..data/link");
    let [file, link] = ["aws.env", "link"].map(|name| host.path(&format!("{ROOT}/secrets/..data/{name}")));
    let open = fs::File::open(&file).unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                open.set_permissions(fs::Permissions::from_mode(0o644)).unwrap();
                renameat2(AT_FDCWD, &file, AT_FDCWD, &link, RenameFlags::RENAME_EXCHANGE).unwrap();
            }
        });
        let is_as_it_was = || host.access("/opt/precious") == "666 0:0";
        for _ in 0..12 {
            ws.run(&[fix, &["-o", "json"]].concat());
            if !is_as_it_was() {
                break;
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    assert_eq!(host.access("/opt/precious"), "666 0:0");
    at_root(host, "cd secrets/..data; [ ! -L aws.env ] || mv -fT link aws.env; rm -f link; chmod 644 aws.env");
}

#[test]
fn where_others_may_write_nothing_is_mended() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    at_root(ws.web1(), "chmod 777 secrets/..data/.");
    fix_while_links_come_and_go(&ws, &["audit", "--fix", "--rule", "world-readable"]);
    let report = ws.json(&["audit", "--fix", "--rule", "world-readable"], 3);
    assert_eq!(found(&report, "web1"), ["world-readable secrets/aws.env"], "its directory is everybody's");
    ws.json(&["audit", "--fix"], 0);
    ws.json(&["audit"], 0);

    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook("keep  = 5", "owner = \"deploy\"\ngroup = \"deploy\"\nkeep  = 5");
    ws.setup();
    fix_while_links_come_and_go(&ws, &["audit", "--fix"]);
    let report = ws.json(&["audit", "--fix"], 3);
    assert_eq!(found(&report, "web1"), ["world-readable secrets/aws.env"], "its directory is the user's");
    assert_eq!(of(&report, "web1")["findings"][0]["fix"], "distribute deploy --hosts web1");
    ws.deploy();
    at_root(ws.web1(), "chmod 600 secrets/..[0-9]*/aws.env; chmod 755 secrets; chmod 644 vault-password");
    assert_eq!(
        found(&ws.json(&["audit", "--fix"], 0), "web1"),
        ["fixed world-readable secrets", "fixed world-readable vault-password"]
    );
    assert_eq!(ws.web1().access(&format!("{ROOT}/secrets")), "700 4711:4711");
    ws.json(&["audit"], 0);
    ws.assert_no_leak();
}

#[test]
fn a_file_system_that_cannot_be_mended() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    at_root(ws.web1(), "chmod 755 secrets");
    ws.web1().sh("mount -o remount,ro /opt");
    ws.json(&["audit"], 3);
    let report = ws.json(&["audit", "--fix"], 2);
    let why = error(&report, "web1");
    assert!(why.contains(ROOT) || why.contains("read-only"), "{why}");
    assert_eq!(found(&report, "web1"), ["world-readable secrets"]);
    ws.web1().sh("mount -o remount,rw /opt");
    assert_eq!(found(&ws.json(&["audit", "--fix"], 0), "web1"), ["fixed world-readable secrets"]);
    ws.json(&["audit"], 0);
    ws.assert_no_leak();
}

#[test]
fn a_deploy_at_work_is_not_disturbed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().script("mkfifo /srv/gate"));
    ws.setup();
    ws.service("api", GATE);
    ws.set("api.API_PORT", "81");
    let deploy = ws.spawn(&["deploy", "-o", "json"]);
    wait("the action", || ws.web1().processes().iter().any(|(_, line)| line.contains("/srv/gate")));
    let before = ws.web1().snapshot();
    for command in [&["audit", "--timeout", "6s"][..], &["audit", "--fix", "--timeout", "6s"]] {
        let why = error(&ws.json(command, 2), "web1");
        assert!(why.starts_with("lock: ") && why.contains(&format!("pid {}", deploy.pid())), "{why}");
    }
    assert_eq!(ws.web1().snapshot(), before);
    ws.web1().sh("echo go > /srv/gate");
    deploy.wait().expect(0);
    at_root(ws.web1(), "chmod 644 vault-password");
    assert_eq!(found(&ws.json(&["audit", "--fix"], 0), "web1"), ["fixed world-readable vault-password"]);
    ws.assert_no_leak();
}

#[test]
fn two_at_once_and_one_that_is_killed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let host = ws.web1();
    let spoil = || {
        at_root(host, &format!("chmod 644 vault-password; chmod 777 secrets; cp -a secrets/..data/. secrets/{STALE}"));
    };
    for _ in 0..3 {
        spoil();
        let both = [ws.spawn(&["audit", "--fix", "-o", "json"]), ws.spawn(&["audit", "--fix", "-o", "json"])];
        let ran: Vec<Ran> = both.into_iter().map(|one| one.wait()).collect();
        for one in &ran {
            assert!(
                one.status == 0 || error(&one.report(), "web1").starts_with("lock: "),
                "{} {}",
                one.status,
                one.stdout
            );
        }
        assert!(ran.iter().any(|one| one.status == 0), "{}", ran[0].stdout);
        ws.json(&["audit"], 0);
    }
    for _ in 0..3 {
        spoil();
        let mut fix = ws.spawn(&["audit", "--fix", "-o", "json"]);
        let is_at_work = || host.exists(&format!("{ROOT}/.distribute/lock"));
        wait("the lock", || is_at_work() || fix.is_done());
        let _ = nix::sys::signal::kill(fix.pid(), Signal::SIGKILL);
        fix.wait();
        wait("its end on the host", || !host.processes().iter().any(|(_, line)| line.contains("distribute")));
        ws.json(&["audit", "--fix"], 0);
        ws.json(&["audit"], 0);
        assert_eq!(host.access(&format!("{ROOT}/secrets")), "700 0:0");
    }
    ws.assert_no_leak();
}

#[test]
fn rules_and_severities_are_chosen() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let quiet = |args: &[&str], status: i32| ws.run(&[&["audit", "-q"], args].concat()).expect(status);
    ws.set("api.API_PORT", "81");
    assert_eq!(
        found(&ws.json(&["audit"], 3), "web1"),
        ["undeployed secrets/all-secrets.env", "undeployed secrets/api.env"]
    );
    let ran = quiet(&["--fail-on", "medium"], 0);
    assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "nothing that counts");
    ws.deploy();
    at_root(ws.web1(), "chmod 400 vault-password; chmod 644 secrets/..data/aws.env");
    let (low, high) = ("wrong-mode vault-password", "world-readable secrets/aws.env");
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), [high, low]);
    assert_eq!(found(&ws.json(&["audit", "--severity", "medium"], 3), "web1"), [high]);
    assert_eq!(found(&ws.json(&["audit", "--rule", "wrong-mode,drift"], 3), "web1"), [low]);
    assert_eq!(found(&ws.json(&["audit", "--rule", "drift", "--rule", "missing"], 0), "web1"), Vec::<String>::new());
    assert_eq!(found(&ws.json(&["audit", "--rule", "wrong-mode", "--fail-on", "high"], 0), "web1"), [low]);
    assert!(
        ws.run(&["audit", "--rule", "wrong-mode", "--fail-on", "high"]).expect(0).stdout.contains("vault-password")
    );
    assert_eq!(quiet(&["--rule", "wrong-mode", "--fail-on", "high"], 0).stdout, "");
    assert!(quiet(&[], 3).stdout.contains("secrets/aws.env"));
    for (args, hint) in [
        (["--rule", "world-readble"], "did you mean `world-readable`?"),
        (["--severity", "hihg"], "did you mean `high`?"),
        (["--fail-on", "x"], "info, low, medium and high"),
        (["--report", "junti=x"], "did you mean `junit`?"),
    ] {
        let ran = ws.run(&[&["audit"], &args[..]].concat()).expect(1);
        assert!(ran.stderr.contains(hint) && ran.stdout.is_empty(), "{args:?}: {}", ran.stderr);
    }
    ws.assert_no_leak();
}

/// Names and numbers of suites, tests and failures, if there is a python3 to read it.
fn junit(ws: &Workspace, name: &str) -> Option<String> {
    let script = "import sys,xml.etree.ElementTree as e\nr=e.parse(sys.argv[1]).getroot()\n\
        print([(s.get('name'),len(s.findall('testcase')),len(s.findall('.//failure')),len(s.findall('.//error'))) for s in r.iter('testsuite')])";
    let python = std::process::Command::new("python3").arg("-c").arg(script).arg(ws.path(name)).output().ok()?;
    assert!(python.status.success(), "{}", String::from_utf8_lossy(&python.stderr));
    Some(String::from_utf8(python.stdout).unwrap().trim().to_owned())
}

fn metric(ws: &Workspace, name: &str) -> String {
    let text = fs::read_to_string(ws.path("project/audit.prom")).unwrap();
    let line = text.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name} in {text}"));
    line.rsplit_once(' ').unwrap().1.to_owned()
}

#[test]
fn reports_go_to_files_whole() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let odd = "echo x > \"$(printf 'secrets/a<b>&\"\\033[31m\\001\\nline')\"; chmod 644 secrets/..data/aws.env";
    at_root(ws.web1(), odd);
    let files = ["audit", "--report", "junit=out.xml", "--report", "json=out.json", "--metrics-textfile", "audit.prom"];
    let human = ws.run(&files).expect(3).stdout;
    assert!(human.contains("secrets/aws.env"), "{human}");
    if let Some(suites) = junit(&ws, "project/out.xml") {
        assert!(suites.starts_with("[('web1', ") && suites.contains(", 2, 0)"), "{suites}");
    }
    let json: Value = serde_json::from_str(&fs::read_to_string(ws.path("project/out.json")).unwrap()).unwrap();
    assert_eq!((found(&json, "web1").len(), &json["summary"]["findings"]), (2, &Value::from(2)));
    let success = "distribute_last_success_timestamp_seconds{command=\"audit\"}";
    let (first, inode) = (metric(&ws, success), fs::metadata(ws.path("project/audit.prom")).unwrap().ino());
    assert_eq!(metric(&ws, "distribute_audit_findings{severity=\"high\"}"), "1");

    ws.add_line(&format!("web2 = {{ address = \"{}\", groups = [\"production\"] }}\n", free_address(22)));
    let report = ws.run(&[&files[..], &["-o", "json"]].concat());
    assert!([2, 4].contains(&report.status), "{}", report.stderr);
    assert_eq!(found(&report.report(), "web1").len(), 2, "one document, also with errors");
    assert_eq!(metric(&ws, success), first, "the last success stays");
    assert_ne!(fs::metadata(ws.path("project/audit.prom")).unwrap().ino(), inode, "at once, in its place");
    if let Some(suites) = junit(&ws, "project/out.xml") {
        assert!(suites.contains("'web2'"), "{suites}");
    }
    let beside: Vec<_> = fs::read_dir(ws.path("project")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(!beside.iter().any(|name| name.to_string_lossy().contains(".tmp")), "{beside:?}");

    at_root(ws.web1(), "rm secrets/a*b*; chmod 600 secrets/..data/aws.env");
    for file in [
        ["--report", "junit=/nowhere/x.xml"],
        ["--metrics-textfile", "/nowhere/x.prom"],
        ["--report", "json=/dev/null"],
    ] {
        let ran = ws.run(&[&["audit", "--hosts", "web1"], &file[..]].concat()).expect(1);
        assert!(
            ran.stderr.contains(file[1].trim_start_matches("junit=").trim_start_matches("json=")),
            "{}",
            ran.stderr
        );
        assert!(ran.stdout.contains("web1"), "the report is said all the same: {}", ran.stdout);
    }
    ws.assert_no_leak();
}

/// The set that failed goes, and the one before the one that is live again is still the one before.
#[test]
fn after_a_switch_back_there_is_nothing_to_say() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.add("tiny1", Spec::busybox(), "");
    ws.setup();
    ws.set("api.API_PORT", "81");
    ws.deploy();
    let sets = |ws: &Workspace| -> Vec<Vec<String>> {
        ws.hosts
            .iter()
            .map(|host| [host.names(&format!("{ROOT}/secrets")), host.names(&format!("{ROOT}/.distribute"))].concat())
            .collect()
    };
    let before = sets(&ws);
    ws.service("api", "health = { command = ['false'], within = '1s' }");
    ws.set("api.API_PORT", "82");
    ws.json(&["deploy"], 2);
    assert_eq!(sets(&ws), before);
    let report = ws.json(&["audit", "--severity", "medium"], 0);
    ws.hosts.iter().for_each(|host| assert_eq!(found(&report, &host.name), Vec::<String>::new()));
    ws.assert_no_leak();
}

/// What could not be read is not well because a filter leaves out why.
#[test]
fn a_root_that_is_none() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.web1().sh("mv /opt/callableapis /srv/away && echo > /opt/callableapis");
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), [format!("unexpected-file {ROOT}")]);
    let report = ws.json(&["audit", "--rule", "drift"], 2);
    assert!(error(&report, "web1").contains("could not see /opt/callableapis"), "{report:#}");
    ws.web1().sh("rm /opt/callableapis && ln -s /srv/away /opt/callableapis");
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), [format!("symlink {ROOT}")]);
    ws.json(&["audit", "--rule", "drift"], 2);
    ws.assert_no_leak_but(|path| path.starts_with("/srv/away/"));
}

/// Where others can write on the way, root does not work.
#[test]
fn nothing_is_mended_where_others_can_write() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    at_root(ws.web1(), "chmod 644 vault-password; chmod 777 .");
    let snapshot = ws.web1().snapshot();
    let report = ws.json(&["audit", "--fix"], 3);
    let findings = of(&report, "web1")["findings"].as_array().unwrap();
    assert!(findings.iter().all(|finding| finding["fixed"] == false && finding["fixable"] == false), "{report:#}");
    assert_eq!(ws.web1().snapshot(), snapshot);
    at_root(ws.web1(), "chmod 700 .");
    ws.json(&["audit", "--fix"], 0);
    ws.json(&["audit"], 0);
    ws.assert_no_leak();
}

/// Reading sends nothing: what is there is judged, also where a playbook has grown since the host was set up.
#[test]
fn a_playbook_that_has_grown_hides_nothing() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.edit_playbook(
        "[[play]]",
        "[[play]]\nname = 'second'\nhosts = 'all'\nroot = '/opt/second'\nservice = [{ name = 'aws' }]\n\n[[play]]",
    );
    at_root(ws.web1(), "chmod 644 vault-password");
    assert_eq!(found(&ws.json(&["audit"], 3), "web1"), ["missing /opt/second", "world-readable vault-password"]);
    ws.json(&["audit", "--fix"], 3);
    assert!(!ws.web1().exists("/opt/second"));
    assert!(error(&ws.json(&["deploy"], 2), "web1").starts_with("enrolment: "), "which sends, and is refused");
    ws.assert_no_leak();
}
