//! Backups as a user makes, lists, checks, fetches and prunes them.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, error, is_root, of, write_private};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

/// The backups of a host in a report.
pub fn backups<'a>(report: &'a Value, host: &str) -> &'a [Value] {
    of(report, host)["backups"].as_array().unwrap()
}

/// The names of the sealed copies on a host, the oldest first.
pub fn sealed(host: &Host) -> Vec<String> {
    let names = host.names(&format!("{ROOT}/backups")).into_iter();
    names.filter(|name| name != "key.age").collect()
}

fn place(run: &str) -> String {
    format!("{ROOT}/backups/{run}.tar.gz.age")
}

/// `deed why state` of each.
fn told(report: &Value, host: &str) -> Vec<String> {
    let word = |one: &Value, name: &str| one[name].as_str().unwrap_or("-").to_owned();
    let line = |one: &Value| format!("{} {} {}", word(one, "deed"), word(one, "why"), word(one, "state"));
    backups(report, host).iter().map(line).collect()
}

/// The run of the report's host's backup that was made in it.
fn made(report: &Value, host: &str) -> String {
    let made: Vec<&Value> = backups(report, host).iter().filter(|one| one["deed"] == "made").collect();
    assert_eq!(made.len(), 1, "{report:#}");
    made[0]["run"].as_str().unwrap().to_owned()
}

/// A fleet of three that was set up, and the run that did it.
fn three() -> (Workspace, String) {
    let mut ws = Workspace::new();
    ws.add("web1", Spec::default(), "");
    ws.add("web2", Spec::busybox(), "");
    ws.add("web3", Spec::default(), "");
    let run = ws.setup()["run"].as_str().unwrap().to_owned();
    (ws, run)
}

#[test]
fn what_is_really_there_is_sealed() {
    if !is_root() {
        return;
    }
    let (ws, setup) = three();
    let (web1, web2) = (ws.host("web1"), ws.host("web2"));
    // One edits in place, the other's editor writes beside and renames; the third puts a file of his own there.
    web1.sh(&format!("echo HAND=edited >> {ROOT}/secrets/api.env"));
    web2.sh(&format!("cd {ROOT}/secrets; cp api.env /tmp/x; echo HAND=replaced >> /tmp/x; mv /tmp/x api.env"));
    let live = web1.read(&format!("{ROOT}/secrets/api.env"));
    ws.host("web3").sh(&format!("printf '\\000\\377binary' > {ROOT}/secrets/..data/notes.bin"));
    let before: Vec<_> = ws.hosts.iter().map(secrets).collect();
    let check = ws.json(&["backup", "--check"], 0);
    assert_eq!(told(&check, "web1"), ["none setup intact", "made backup intact"], "{check:#}");
    assert_eq!((sealed(web1).len(), &check["copies"][0]["deed"]), (1, &"made".into()));
    assert!(!ws.path("project/backups").exists(), "--check");

    let report = ws.json(&["backup"], 0);
    assert_eq!((&report["command"], &report["summary"]["changed"]), (&"backup".into(), &3.into()));
    for host in &ws.hosts {
        assert_eq!(told(&report, &host.name), ["none setup intact", "made backup intact"]);
        assert_eq!(made(&report, &host.name), report["run"].as_str().unwrap(), "one reading of the clock, here");
        assert_eq!(sealed(host).len(), 2);
    }
    assert_eq!(ws.hosts.iter().map(secrets).collect::<Vec<_>>(), before, "nothing in secrets/ is touched");
    for (host, file) in [("web1", "api.env"), ("web2", "api.env"), ("web3", "notes.bin")] {
        let notes = of(&report, host)["notes"].to_string();
        assert!(notes.contains("changed by hand") && notes.contains(file), "{notes}");
    }
    assert_eq!(report["copies"][0]["run"], report["run"]);

    // Stock age and tar, with the identity, or with key.age that lies beside: nothing of ours is needed.
    let run = report["run"].as_str().unwrap();
    assert_eq!(unpacked(&ws, web1, run, "api.env"), live.as_bytes());
    assert!(String::from_utf8(unpacked(&ws, web2, run, "api.env")).unwrap().ends_with("HAND=replaced\n"));
    assert_eq!(unpacked(&ws, ws.host("web3"), run, "notes.bin"), b"\0\xffbinary");
    let label = String::from_utf8(unpacked(&ws, web1, run, ".distribute/backup.toml")).unwrap();
    assert!(label.contains("host = \"web1\"") && label.contains("why = \"backup\"") && label.contains("edited = true"));
    assert!(label.contains(&format!("of = \"{setup}\"")), "{label}");

    // A difference that the run itself explains is told, and is none of the backup's faults.
    let verified = ws.run(&["backup", "verify"]).expect(0);
    assert!(
        verified.stdout.contains("api.env is not what web3 has: it was changed by hand on the host"),
        "{}",
        verified.stdout
    );
    ws.assert_no_leak_but(|path| path == format!("{ROOT}/secrets/api.env"));
}

/// Everything below `secrets/`, with inodes.
fn secrets(host: &Host) -> Vec<(String, String)> {
    let prefix = format!("{ROOT}/secrets");
    host.snapshot().into_iter().filter(|(path, _)| path.starts_with(&prefix)).collect()
}

/// A file out of a backup of a host, with what Debian has: key.age is opened by the identity, the backup by what was in it.
fn unpacked(ws: &Workspace, host: &Host, run: &str, file: &str) -> Vec<u8> {
    let key = ws.age(Path::new(&ws.identity()), &fs::read(host.path(&format!("{ROOT}/backups/key.age"))).unwrap());
    let key_file = ws.path("tmp/key");
    write_private(&key_file, std::str::from_utf8(&key).unwrap());
    let sealed = fs::read(host.path(&place(run))).unwrap();
    let with_key = ws.age(&key_file, &sealed);
    fs::remove_file(&key_file).unwrap();
    assert_eq!(ws.age(Path::new(&ws.identity()), &sealed), with_key, "each recipient opens it alone");
    let mut tar = Command::new("tar");
    let mut child = tar
        .args(["xzOi", file])
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    std::io::Write::write_all(&mut child.stdin.take().unwrap(), &with_key).unwrap();
    let out = child.wait_with_output().unwrap();
    assert!(out.status.success());
    out.stdout
}

#[test]
fn a_list_says_what_there_is() {
    if !is_root() {
        return;
    }
    let (ws, setup) = three();
    ws.set("api.API_PORT", "9090");
    let deploy = ws.deploy()["run"].as_str().unwrap().to_owned();
    let report = ws.json(&["backup", "list"], 0);
    assert_eq!((&report["command"], &report["subcommand"]), (&"backup".into(), &"list".into()));
    for host in &ws.hosts {
        let listed = backups(&report, &host.name);
        assert_eq!(listed.iter().map(|one| one["run"].as_str().unwrap()).collect::<Vec<_>>(), [&setup, &deploy]);
        assert_eq!(listed.iter().map(|one| one["why"].as_str().unwrap()).collect::<Vec<_>>(), ["setup", "deploy"]);
        for one in listed {
            let path = one["path"].as_str().unwrap();
            assert_eq!(one["size"].as_u64().unwrap(), fs::metadata(host.path(path)).unwrap().size());
            let recipient = one["sealed_to"][0].as_str().unwrap();
            assert!(recipient.starts_with("age1") && one["intact"] == true, "{one}");
            let time: chrono::DateTime<chrono::Utc> = one["made"].as_str().unwrap().parse().unwrap();
            assert!(one["run"].as_str().unwrap().contains(&time.format("%Y%m%dT%H%M%SZ").to_string()));
        }
    }
    let text = ws.run(&["backup", "list", "--hosts", "web2"]).expect(0).stdout;
    assert!(text.contains(&deploy) && text.contains("intact") && !text.contains("web1"), "{text}");
    let hosts: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    ws.json(&["backup", "list"], 0);
    ws.json(&["backup", "verify"], 0);
    assert_eq!(ws.hosts.iter().map(|host| host.snapshot()).collect::<Vec<_>>(), hosts, "looking changes nothing");
    // From cron: silence means that all is well.
    for quiet in [&["-q", "backup"][..], &["-q", "backup", "verify"], &["-q", "backup", "fetch"]] {
        let ran = ws.run(quiet).expect(0);
        assert_eq!((ran.stdout.as_str(), ran.stderr.as_str()), ("", ""), "{quiet:?}");
    }
    ws.assert_no_leak();
}

/// How a backup goes bad on web1, what a list says of it, and what verify says.
const BAD: [(&str, &str, &str); 9] = [
    ("truncate -s -1 B", "damaged", "it is cut off: "),
    ("truncate -s 0 B", "damaged", "it is cut off: 0 of "),
    ("printf x | dd of=B bs=1 seek=900 conv=notrunc 2>/dev/null", "damaged", "it is not what its run sealed"),
    ("cp O B; head -c 200 /dev/zero >> B", "damaged", "not what its run sealed"),
    ("head -c 3000 /dev/urandom > B", "damaged", "it is not an age file"),
    ("rm B; mkdir B", "damaged", ""),
    ("rm B; ln -s /etc/passwd B", "damaged", ""),
    ("rm R; cp O B", "unrecorded", "it is the backup of another run"),
    ("cp O B; sed 's/OTHER/RUN/' P > R", "swapped", "another run"),
];

#[test]
fn a_backup_that_is_not_what_it_was_is_told() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let other = ws.setup()["run"].as_str().unwrap().to_owned();
    ws.set("api.API_PORT", "9090");
    let run = ws.deploy()["run"].as_str().unwrap().to_owned();
    let web1 = ws.web1();
    let receipt = |run: &str| format!("{ROOT}/.distribute/receipt.{run}");
    web1.sh(&format!("mkdir /root/good && cp -a {} {} /root/good/", place(&run), receipt(&run)));
    for (harm, state, problem) in BAD {
        let names = [("B", place(&run)), ("O", place(&other)), ("R", receipt(&run)), ("P", receipt(&other))];
        let mut script = String::new();
        for (name, path) in names {
            script += &format!("{name}={path}\n");
        }
        let mut harm = harm.replace("OTHER", &other).replace("RUN", &run);
        for name in ["B", "O", "R", "P"] {
            let words = harm.split(' ').map(|word| match word.split_once(';') {
                Some((before, "")) if before == name => format!("\"${name}\";"),
                _ if word == name => format!("\"${name}\""),
                _ if word == format!("of={name}") => format!("of=\"${name}\""),
                _ => word.to_owned(),
            });
            harm = words.collect::<Vec<_>>().join(" ");
        }
        web1.sh(&(script + &harm));
        let listed = ws.json(&["backup", "list"], 0);
        let one = &backups(&listed, "web1")[1];
        assert_eq!((&one["state"], &one["intact"]), (&state.into(), &false.into()), "{harm}: {one}");
        let verified = ws.json(&["backup", "verify"], 3);
        let one = &backups(&verified, "web1")[1];
        let said = one["problem"].as_str().unwrap_or_else(|| panic!("{harm}: {one}"));
        assert!(said.contains(problem), "{harm}: {said}");
        assert_eq!(backups(&verified, "web1")[0]["problem"], Value::Null, "the other one is good");
        // What cannot be relied on is not brought anywhere.
        let status = if state == "unrecorded" { 0 } else { 3 };
        let fetched = ws.json(&["backup", "fetch", "--to", ws.path("fetched").to_str().unwrap()], status);
        assert_eq!(backups(&fetched, "web1")[1]["deed"] == "fetched", state == "unrecorded", "{harm}");
        fs::remove_dir_all(ws.path("fetched")).unwrap();
        web1.sh(&format!(
            "rm -rf {} && cp -a /root/good/*.age {ROOT}/backups/ && cp -a /root/good/receipt.* {ROOT}/.distribute/",
            place(&run)
        ));
        assert_eq!(told(&ws.json(&["backup", "verify"], 0), "web1"), ["opened setup intact", "opened deploy intact"]);
    }
    ws.assert_no_leak();
}

#[test]
fn a_backup_of_another_host_or_bundle() {
    if !is_root() {
        return;
    }
    let (ws, run) = three();
    let (web1, web3) = (ws.host("web1"), ws.host("web3"));
    // With its receipt, from a host that holds the same.
    fs::copy(web3.path(&place(&run)), web1.path(&place(&run))).unwrap();
    let receipt = format!("{ROOT}/.distribute/receipt.{run}");
    fs::copy(web3.path(&receipt), web1.path(&receipt)).unwrap();
    let verified = ws.json(&["backup", "verify"], 3);
    let one = &backups(&verified, "web1")[0];
    assert_eq!(one["state"], "swapped");
    assert!(one["problem"].as_str().unwrap().contains("it is the backup of another host, web3"), "{one}");

    // Another bundle's, sealed to somebody else: whose identity opens it is said.
    let stranger = ws.path("stranger");
    fs::create_dir_all(stranger.join("env")).unwrap();
    fs::write(stranger.join("env/aws.env"), "A=1\n").unwrap();
    let key = stranger.join("key");
    let public = ws.run(&["keygen", "-o", key.to_str().unwrap()]).expect(0).stdout.trim().to_owned();
    let theirs = stranger.join("secrets.age");
    let (theirs, env) = (theirs.to_str().unwrap(), stranger.join("env"));
    let create = ["bundle", "create", "-b", theirs, "--recipient", &public, "--identity", key.to_str().unwrap()];
    ws.run(&[&create[..], &[env.to_str().unwrap()]].concat()).expect(0);
    let sealed = fs::read(theirs).unwrap();
    let hash = data_encoding::HEXLOWER.encode(&<sha2::Sha256 as sha2::Digest>::digest(&sealed));
    fs::write(web1.path(&place(&run)), &sealed).unwrap();
    let line = format!("receipt {run} deploy {} {hash} 0123 {public} {hash}\n", sealed.len());
    fs::write(web1.path(&receipt), line).unwrap();
    let verified = ws.json(&["backup", "verify"], 3);
    let one = &backups(&verified, "web1")[0];
    assert_eq!(one["state"], "foreign");
    let problem = one["problem"].as_str().unwrap();
    assert!(problem.contains("no key at hand opens it") && problem.contains(&public), "{problem}");
    // With that identity it opens, and is still not one of ours.
    let verified = ws.json(&["backup", "verify", "--identity", &ws.identity(), "--identity", key.to_str().unwrap()], 3);
    let problem = backups(&verified, "web1")[0]["problem"].as_str().unwrap().to_owned();
    assert!(!problem.contains("no key at hand"), "{problem}");
    ws.assert_no_leak();
}

#[test]
fn every_host_of_a_run_has_the_same() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    for name in ["web1", "web2", "web3"] {
        ws.add(name, Spec::default(), "");
    }
    // What differs on purpose is no disagreement.
    ws.set_with(&["api.API_PORT", "--host", "web2"], "7777");
    ws.setup();
    ws.json(&["backup", "verify"], 0);
    // A host that was away is at an earlier set, and the backup of a later run says so.
    ws.set("aws.AWS_ACCESS_KEY_ID", "AKIASECOND");
    ws.json(&["deploy", "--hosts", "web1:web2"], 0);
    ws.json(&["backup"], 0);
    let verified = ws.run(&["backup", "verify"]).expect(0);
    assert!(
        verified.stdout.contains("aws.env is not what web1 has (and 1 more): the set of another run was live there"),
        "{}",
        verified.stdout
    );
    ws.assert_no_leak();
}

#[test]
fn sealed_copies_are_fetched_and_nothing_is_replaced() {
    if !is_root() {
        return;
    }
    let (ws, run) = three();
    let check = ws.json(&["backup", "fetch", "--check"], 0);
    assert_eq!(told(&check, "web2"), ["fetched setup intact"]);
    assert!(!ws.path("project/backups/web2").exists(), "--check");
    let report = ws.json(&["backup", "fetch"], 0);
    for host in &ws.hosts {
        assert_eq!(told(&report, &host.name), ["fetched setup intact"]);
        let here = ws.path(&format!("project/backups/{}/{run}.tar.gz.age", host.name));
        assert_eq!(fs::read(&here).unwrap(), fs::read(host.path(&place(&run))).unwrap());
        assert_eq!(fs::metadata(&here).unwrap().mode() & 0o7777, 0o600);
        assert!(ws.path(&format!("project/backups/{}/key.age", host.name)).is_file());
    }
    assert_eq!(told(&ws.json(&["backup", "fetch"], 0), "web1"), ["fetched-before setup intact"]);
    // Somebody's file in its place stays, and is told.
    let here = ws.path(&format!("project/backups/web3/{run}.tar.gz.age"));
    fs::write(&here, "something else").unwrap();
    let report = ws.json(&["backup", "fetch"], 2);
    assert!(error(&report, "web3").contains(&run), "{}", error(&report, "web3"));
    assert_eq!(fs::read(&here).unwrap(), b"something else");
    assert_eq!(told(&report, "web1"), ["fetched-before setup intact"]);
    ws.run(&["backup", "fetch", "--to", "s3://bucket/x"]).expect(1);
    ws.assert_no_leak();
}

/// A host with the backups of these times, newest last: copies of its own, which a clock that was turned would have made.
fn aged(ws: &Workspace, days: &[&str]) -> Vec<String> {
    let mut runs = Vec::new();
    for day in days {
        ws.set("api.API_PORT", &day.replace('-', ""));
        runs.push(ws.deploy()["run"].as_str().unwrap().to_owned());
    }
    runs
}

#[test]
fn what_no_rule_keeps_is_pruned() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.edit_playbook("keep  = 5", "keep  = 20");
    ws.setup();
    let runs = aged(&ws, &["1", "2", "3", "4", "5"]);
    let web1 = ws.web1();
    let before = web1.snapshot();
    assert_eq!(sealed(web1).len(), 6);
    let refused = ws.run(&["backup", "prune", "--keep", "2"]).expect(1);
    assert!(refused.stderr.contains("--yes"), "{}", refused.stderr);
    let check = ws.json(&["backup", "prune", "--keep", "2", "--check"], 0);
    let gone = backups(&check, "web1").iter().filter(|one| one["deed"] == "removed").count();
    assert_eq!((gone, web1.snapshot()), (4, before), "--check changes nothing");
    let pruned = ws.json(&["backup", "prune", "--keep", "2", "--yes"], 0);
    assert_eq!(sealed(web1), [format!("{}.tar.gz.age", runs[3]), format!("{}.tar.gz.age", runs[4])]);
    assert_eq!(backups(&pruned, "web1").iter().filter(|one| one["deed"] == "removed").count(), 4);
    let receipts: Vec<String> =
        web1.names(&format!("{ROOT}/.distribute")).into_iter().filter(|name| name.starts_with("receipt.")).collect();
    assert_eq!(receipts.len(), 2, "{receipts:?}");
    assert_eq!(ws.json(&["backup", "prune", "--keep", "2", "--yes"], 0)["summary"]["ok"], 1);
    // All on one day: the newest of it.
    ws.json(&["backup", "prune", "--keep-daily", "7", "--keep-weekly", "4", "--yes"], 0);
    assert_eq!(sealed(web1), [format!("{}.tar.gz.age", runs[4])]);
    assert_eq!(ws.json(&["audit"], 0)["summary"]["findings"], 0);
    ws.assert_no_leak();
}

#[test]
fn the_newest_good_one_is_never_pruned() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let runs = aged(&ws, &["1", "2", "3"]);
    let web1 = ws.web1();
    for damaged in &runs[1..] {
        web1.sh(&format!("truncate -s -1 {}", place(damaged)));
    }
    let verified = ws.json(&["backup", "verify", "--newest"], 3);
    assert_eq!(
        told(&verified, "web1"),
        ["none setup intact", "opened deploy intact", "none deploy damaged", "none deploy damaged"]
    );
    assert!(backups(&verified, "web1")[3]["problem"].as_str().unwrap().contains("passed over"), "{verified:#}");
    ws.json(&["backup", "prune", "--keep", "1", "--yes"], 0);
    // The newest, which is bad and of the live set; and the newest that is good.
    assert_eq!(sealed(web1), [format!("{}.tar.gz.age", runs[0]), format!("{}.tar.gz.age", runs[2])]);
    ws.assert_no_leak();
}

#[test]
fn copies_of_the_bundle_are_pruned_by_the_same_rules() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    for port in ["1", "2", "3"] {
        ws.set("api.API_PORT", port);
        ws.json(&["backup"], 0);
    }
    let copies = || {
        let names = fs::read_dir(ws.path("project/backups/bundle")).unwrap();
        let mut names: Vec<String> = names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    };
    let all = copies();
    assert_eq!(all.len(), 3);
    // Of some hosts: then the bundle's are not meant.
    ws.json(&["backup", "prune", "--keep", "1", "--yes", "--hosts", "web1"], 0);
    assert_eq!(copies(), all);
    let newest = ws.path(&format!("project/backups/bundle/{}", all[2]));
    let good = fs::read(&newest).unwrap();
    fs::write(&newest, &good[..good.len() - 1]).unwrap();
    let verified = ws.json(&["backup", "verify"], 3);
    assert!(verified["copies"][2]["problem"].is_string() && verified["copies"][1]["problem"].is_null(), "{verified:#}");
    let pruned = ws.json(&["backup", "prune", "--keep", "1", "--yes"], 0);
    assert_eq!(pruned["copies"][0]["deed"], "removed");
    assert_eq!(copies(), all[1..], "the newest that opens stays as well");
    ws.assert_no_leak();
}

#[test]
fn no_room_for_one_more() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default().opt("mode=755,size=1m"));
    ws.setup();
    for port in ["1", "2", "3"] {
        ws.set("api.API_PORT", port);
        ws.deploy();
    }
    ws.set("api.API_PORT", "4");
    let web1 = ws.web1();
    let live = || fs::read_link(web1.path(&format!("{ROOT}/secrets/..data"))).unwrap();
    let before = (live(), sealed(web1));
    // Room for so many pages: what a set needs does not fit, and without any not even the record of a lock.
    for (pages, command) in [(8, "deploy"), (0, "backup")] {
        web1.sh("head -c 2m /dev/zero > /opt/full || true");
        web1.sh(&format!("size=$(stat -c %s /opt/full); truncate -s $((size - 4096 * {pages})) /opt/full"));
        let why = error(&ws.json(&[command], 2), "web1");
        assert!(why.starts_with("stage: "), "{why}");
        assert!(why.contains("No space left") || (pages == 0 && why.contains("I/O error")), "{why}");
        assert!(
            why.contains("if the disk is full: `distribute backup prune --keep 1 --hosts web1` would free"),
            "{why}"
        );
        assert!(why.contains("(3 backups)"), "{why}");
        assert_eq!((live(), sealed(web1)), before);
    }
    web1.sh("size=$(stat -c %s /opt/full); truncate -s $((size - 32768)) /opt/full");
    // What it says is true: that makes room.
    ws.json(&["backup", "prune", "--keep", "1", "--yes"], 0);
    assert_eq!(sealed(web1).len(), 1);
    web1.sh("rm /opt/full");
    ws.deploy();
    ws.assert_no_leak();
}

#[test]
fn a_backup_comes_between_runs_or_not_at_all() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    // Nothing of ours is there yet.
    let why = error(&ws.json(&["backup"], 2), "web1");
    assert!(why.contains("never set up"), "{why}");
    ws.setup();
    ws.web1().sh(&format!("mv {ROOT}/secrets /root/gone"));
    let why = error(&ws.json(&["backup"], 2), "web1");
    assert!(why.contains("no set of ours") || why.contains("not"), "{why}");
    ws.web1().sh(&format!("mv /root/gone {ROOT}/secrets"));
    // Twice in a row: two, and old ones go by the play's `keep`, though never that of the live set.
    for _ in 0..7 {
        ws.json(&["backup"], 0);
    }
    let kept = sealed(ws.web1());
    assert_eq!(kept.len(), 5, "{kept:?}");
    assert_eq!(ws.json(&["deploy"], 0)["summary"]["ok"], 1, "an unchanged host is not written");
    assert_eq!(ws.json(&["audit"], 0)["summary"]["findings"], 0);
    ws.assert_no_leak();
}

#[test]
fn what_was_removed_by_hand_is_told() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.web1().sh(&format!("rm {ROOT}/secrets/..data/aws.env {ROOT}/secrets/api.env"));
    let report = ws.json(&["backup"], 0);
    let notes = of(&report, "web1")["notes"].to_string();
    assert!(notes.contains("removed by hand, and not in the backup: aws.env"), "{notes}");
    // Its link is gone; what it led to is kept.
    assert!(notes.contains("changed by hand, and backed up as it is: api.env"), "{notes}");
    let verified = ws.run(&["backup", "verify"]).expect(0).stdout;
    assert!(verified.contains("removed by hand on the host, and not in it: aws.env"), "{verified}");
    ws.assert_no_leak();
}
