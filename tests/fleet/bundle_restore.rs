//! The bundle put back: one secret by `bundle revert`, all of them from a copy by `bundle restore`; and how hosts take it.

use crate::host::Spec;
use crate::restore::{assert_port, push_port, run_of, with_ports};
use crate::rotation::hosts;
use crate::rotation_trouble::ready;
use crate::rotator::{ONE, TWO};
use crate::workspace::{Workspace, changes, error, is_root, of};
use serde_json::json;
use std::fs;

const PORT: &str = "api.API_PORT";

fn generation(ws: &Workspace) -> u64 {
    ws.json(&["bundle", "list"], 0)["generation"].as_u64().unwrap()
}

fn bytes(ws: &Workspace) -> Vec<u8> {
    fs::read(ws.path("project/secrets.age")).unwrap()
}

/// The copies of the bundle, the oldest first.
fn copies(ws: &Workspace) -> Vec<String> {
    let entries = fs::read_dir(ws.path("project/backups/bundle")).into_iter().flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names.iter().map(|name| name.trim_end_matches(".age").trim_start_matches("secrets.age.").to_owned()).collect()
}

#[test]
fn an_earlier_value_is_the_value_again() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["6060", "7070", "9090", "9191"]);
    let at = generation(&ws);
    let check = ws.run(&["bundle", "revert", PORT, "--check"]).expect(0);
    assert!(check.stderr.contains("nothing was written"), "{}", check.stderr);
    assert_eq!((generation(&ws), ws.value(PORT)), (at, "9191".to_owned()));
    let said = ws.json(&["bundle", "revert", PORT], 0);
    assert_eq!(said["secrets"], json!([{ "secret": PORT, "change": "reverted" }]));
    assert_eq!((generation(&ws), ws.value(PORT)), (at + 1, "9090".to_owned()));
    ws.run(&["bundle", "revert", PORT]).expect(0);
    assert_eq!(ws.value(PORT), "9191", "the one before is the one that was there");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok", "hosts have it already");

    // By generation: the value that it had then. What was before the earliest that is kept is not known, and not guessed.
    let now = (generation(&ws), bytes(&ws));
    for (to, why) in [("1", "holds no value of api.API_PORT of generation 1"), ("99", "yet to come")] {
        let ran = ws.run(&["bundle", "revert", PORT, "--to", to]).expect(1);
        assert!(ran.stderr.contains(why) && bytes(&ws) == now.1, "{}", ran.stderr);
    }
    let same = ws.run(&["bundle", "revert", PORT, "--to", &now.0.to_string()]).expect(0);
    assert!(same.stderr.contains("unchanged"), "{}", same.stderr);
    assert_eq!((generation(&ws), bytes(&ws)), now, "a save that changes nothing is none");
    ws.run(&["bundle", "revert", PORT, "--to", &(at - 1).to_string()]).expect(0);
    assert_eq!(ws.value(PORT), "9090");
    ws.deploy();
    assert_port(ws.web1(), "9090");
    ws.assert_no_leak();
}

#[test]
fn the_first_value_of_a_short_history() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090", "9191"]);
    ws.run(&["bundle", "revert", PORT, "--to", "1"]).expect(0);
    assert_eq!(ws.value(PORT), "8080");
    ws.deploy();
    assert_port(ws.web1(), "8080");
    ws.assert_no_leak();
}

#[test]
fn all_of_them_or_none() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090"]);
    let before = bytes(&ws);
    for (names, why) in [
        (&[PORT, "api.API_POST"][..], "did you mean api.API_PORT?"),
        (&[PORT, "cloudflare.CLOUDFLARE_API_TOKEN"], "holds no earlier value of cloudflare.CLOUDFLARE_API_TOKEN"),
        (&[PORT, "no name"], "no name"),
        (&[], "required"),
    ] {
        let ran = ws.run(&[&["bundle", "revert"], names].concat()).expect(1);
        assert!(ran.stderr.contains(why), "{names:?}: {}", ran.stderr);
        assert!(bytes(&ws) == before, "{names:?}");
    }
    let at = generation(&ws);
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.run(&["bundle", "revert", PORT, "cloudflare.CLOUDFLARE_API_TOKEN"]).expect(0);
    assert_eq!(generation(&ws), at + 2, "one save");
    assert_eq!(
        (ws.value(PORT), ws.value("cloudflare.CLOUDFLARE_API_TOKEN")),
        ("8080".into(), "not-a-secret-token".into())
    );
    ws.assert_no_leak();
}

#[test]
fn values_that_a_rotation_dropped_are_nobodys() {
    if !is_root() {
        return;
    }
    let (ws, _rotator) = ready(hosts(1), "", "", "1s");
    ws.web1().sh("touch /srv/bad");
    ws.json(&["rotate", "--all"], 2);
    ws.web1().sh("rm /srv/bad");
    let before = bytes(&ws);
    for name in [ONE, TWO] {
        let ran = ws.run(&["bundle", "revert", name]).expect(1);
        assert!(ran.stderr.contains("holds no earlier value"), "{}", ran.stderr);
    }
    assert!(bytes(&ws) == before);
    ws.assert_no_leak();
}

/// What `restore` offers is done word by word, and then the bundle says what the hosts have.
#[track_caller]
fn take_up(ws: &Workspace, said: &str) {
    let offers: Vec<_> = said.lines().filter_map(|line| line.strip_prefix("to keep these: distribute ")).collect();
    assert!(!offers.is_empty(), "{said}");
    for offer in offers {
        ws.run(&offer.split(' ').collect::<Vec<_>>()).expect(0);
    }
    let check = ws.json(&["deploy", "--check"], 0);
    assert_eq!(changes(&check, "web1"), Vec::<String>::new(), "after {said}");
}

#[test]
fn what_a_restore_offers_is_what_the_hosts_have() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090", "9191"]);
    // By a copy; and by a copy of what was a restore itself: its name says a generation that never had these values.
    let back = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
    push_port(&ws, "9292");
    let said = ws.run(&["restore", "--run", &run_of(&back), "--yes"]).expect(0).stderr;
    assert_port(ws.web1(), "8080");
    take_up(&ws, &said);
    assert_eq!(ws.value(PORT), "8080");
    // What somebody wrote by hand, no generation had.
    push_port(&ws, "9393");
    let path = ws.web1().path(&format!("{}/secrets/..data/api.env", crate::workspace::ROOT));
    fs::write(&path, fs::read_to_string(&path).unwrap().replace("9393", "7777")).unwrap();
    push_port(&ws, "9494");
    let said = ws.run(&["restore", "--previous", "--yes"]).expect(0).stderr;
    assert!(
        said.contains("bundle revert --to"),
        "the edit went with the deploy; its set is from the sealed copy: {said}"
    );
    take_up(&ws, &said);
    ws.assert_no_leak();
}

#[test]
fn a_copy_gives_its_values_back() {
    if !is_root() {
        return;
    }
    let (mut ws, _) = with_ports(Spec::default(), &["9090"]);
    let copy = run_of(&ws.json(&["backup"], 0));
    assert_eq!(copies(&ws), std::slice::from_ref(&copy));
    ws.set(PORT, "9191");
    ws.set("api.ADDED", "later");
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.add("web2", Spec::default(), "");
    ws.setup();
    let (at, before) = (generation(&ws), bytes(&ws));

    ws.run(&["bundle", "restore", "--run", &copy]).expect(1);
    let check = ws.run(&["bundle", "restore", "--run", &copy, "--check"]).expect(0);
    assert!(
        check.stderr.contains("3 secrets would be") && check.stderr.contains("nothing was written"),
        "{}",
        check.stderr
    );
    assert!(bytes(&ws) == before && copies(&ws).len() == 1);

    let said = ws.json(&["bundle", "restore", "--run", &copy, "--yes"], 0);
    assert_eq!((&said["changed"], &said["run"]), (&json!(3), &json!(copy)));
    assert_eq!((generation(&ws), copies(&ws).len()), (at + 1, 2), "a new generation; what was replaced is a copy now");
    assert_eq!(
        (ws.value(PORT), ws.value("cloudflare.CLOUDFLARE_API_TOKEN")),
        ("9090".into(), "not-a-secret-token".into())
    );
    ws.run(&["bundle", "get", "api.ADDED"]).expect(1);
    let report = ws.deploy();
    assert_eq!(of(&report, "web2")["outcome"], "changed", "a host set up since is enrolled still: {report:#}");
    assert_port(ws.host("web1"), "9090");
    assert_port(ws.host("web2"), "9090");
    let again = ws.json(&["bundle", "restore", "--run", &copy, "--yes"], 0);
    assert_eq!((again["changed"].clone(), generation(&ws)), (json!(0), at + 1));

    // The one before is what was just replaced; one by time is the newest then.
    ws.json(&["bundle", "restore", "--previous", "--yes"], 0);
    assert_eq!((ws.value(PORT), ws.value("api.ADDED")), ("9191".into(), "later".into()));
    ws.json(&["bundle", "restore", "--at", "0s", "--yes"], 0);
    ws.deploy();
    let why = ws.run(&["bundle", "restore", "--at", "2020-01-01", "--yes"]).expect(1).stderr;
    assert!(why.contains("no such copy") && why.contains(&copy), "{why}");
    ws.run(&["bundle", "restore", "--run", "1-20200101T000000Z-0000", "--yes"]).expect(1);
    ws.assert_no_leak();
}

#[test]
fn a_bundle_that_is_gone_or_damaged() {
    if !is_root() {
        return;
    }
    for damage in ["deleted", "cut", "garbage"] {
        let (ws, _) = with_ports(Spec::default(), &["9090"]);
        let copy = run_of(&ws.json(&["backup"], 0));
        push_port(&ws, "9191");
        let (path, seen) = (ws.path("project/secrets.age"), generation(&ws));
        let whole = bytes(&ws);
        match damage {
            "deleted" => fs::remove_file(&path).unwrap(),
            "cut" => fs::write(&path, &whole[..whole.len() / 2]).unwrap(),
            _ => fs::write(&path, "not a bundle").unwrap(),
        }
        let there = fs::read(&path).ok();
        ws.run(&["bundle", "restore", "--previous"]).expect(1);
        ws.run(&["bundle", "restore", "--previous", "--check"]).expect(0);
        assert!(fs::read(&path).ok() == there, "{damage}: --check wrote");
        let said = ws.run(&["bundle", "restore", "--previous", "--yes"]).expect(0).stderr;
        assert!(said.contains("the copy takes its place") && said.contains(&copy), "{damage}: {said}");
        assert!(generation(&ws) > seen, "hosts have seen {seen}");
        assert_eq!(ws.value(PORT), "9090");
        assert_eq!(said.contains("what was there is"), damage != "deleted", "{said}");
        assert_eq!(of(&ws.deploy(), "web1")["outcome"], "changed", "{damage}");
        assert_port(ws.web1(), "9090");
        assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
        push_port(&ws, "9292");
        assert_port(ws.web1(), "9292");
        ws.assert_no_leak();
    }
}

#[test]
fn a_wrong_key_and_a_foreign_copy() {
    if !is_root() {
        return;
    }
    let (mut ws, _) = with_ports(Spec::default(), &["9090"]);
    let copy = run_of(&ws.json(&["backup"], 0));
    let before = bytes(&ws);
    let (other, _) = with_ports(Spec::default(), &["9191"]);
    let theirs = run_of(&other.json(&["backup"], 0));
    // Their bundle is sealed to our key, too: anybody can do that.
    let own = fs::read_dir(ws.path("project/backups/bundle")).unwrap().next().unwrap().unwrap().path();
    let name = own.file_name().unwrap().to_str().unwrap().replace(&copy, &theirs);
    let foreign = ws.path("project/backups/bundle").join(name);

    // With another key neither the bundle nor a copy opens.
    let key = ws.path("home/wrong").to_str().unwrap().to_owned();
    ws.run(&["keygen", "-o", &key]).expect(0);
    ws.exports.push(("DISTRIBUTE_IDENTITY".to_owned(), key));
    let why = ws.run(&["bundle", "restore", "--run", &copy, "--yes"]).expect(1).stderr;
    assert!(bytes(&ws) == before, "{why}");
    ws.exports.pop();

    let sealed = fs::read_dir(other.path("project/backups/bundle")).unwrap().next().unwrap().unwrap().path();
    let clear = ws.age(std::path::Path::new(&other.identity()), &fs::read(sealed).unwrap());
    fs::write(&foreign, ws.seal(&clear)).unwrap();
    let why = ws.run(&["bundle", "restore", "--run", &theirs, "--yes"]).expect(1).stderr;
    assert!(why.contains("of another bundle") && bytes(&ws) == before, "{why}");
    // Nor in the place of one that is gone.
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    let why = ws.run(&["bundle", "restore", "--run", &theirs, "--yes"]).expect(1).stderr;
    assert!(why.contains("of another bundle") && !ws.path("project/secrets.age").exists(), "{why}");
    ws.run(&["bundle", "restore", "--run", &copy, "--yes"]).expect(0);
    assert_eq!(ws.value(PORT), "9090");
    ws.assert_no_leak();
}

#[test]
fn while_a_rotation_is_under_way() {
    if !is_root() {
        return;
    }
    let (ws, rotator) = ready(hosts(1), "", "", "60s");
    let copy = run_of(&ws.json(&["backup"], 0));
    ws.set(PORT, "9090");
    ws.set("aws.AWS_ACCESS_KEY_ID", "second");
    ws.deploy();
    rotator.trap("set", TWO, "begin", "kill");
    ws.run(&["rotate", "--all"]);
    let (before, snapshot) = (bytes(&ws), ws.web1().snapshot());
    for args in [
        &["bundle", "restore", "--run", &copy, "--yes"][..],
        &["bundle", "revert", PORT],
        &["restore", "--previous", "--yes"],
    ] {
        let said = ws.run(args).expect(1).stderr;
        assert!(said.contains("rotate --resume") && said.contains("--abort"), "{args:?}: {said}");
        assert!(bytes(&ws) == before && ws.web1().snapshot() == snapshot, "{args:?}");
    }
    ws.run(&["rotate", "--abort"]).expect(0);
    ws.json(&["bundle", "restore", "--run", &copy, "--yes"], 0);
    assert_eq!(ws.value(PORT), "8080");
    ws.deploy();
    assert_port(ws.web1(), "8080");
    ws.assert_no_leak();
}

#[test]
fn a_machine_that_never_saw_the_bundle() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090"]);
    ws.json(&["backup"], 0);
    push_port(&ws, "9191");
    push_port(&ws, "9292");
    // A machine that never saw this bundle has nothing but the copy.
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    fs::remove_dir_all(ws.path("state")).unwrap();
    ws.run(&["bundle", "restore", "--previous", "--yes"]).expect(0);
    let report = ws.json(&["deploy"], 2);
    let why = error(&report, "web1");
    assert!(why.contains("has seen generation"), "only this machine's memory tells how far it had come: {why}");
    ws.assert_no_leak();
}

#[test]
fn somebody_is_asked() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090"]);
    ws.json(&["backup"], 0);
    ws.set(PORT, "9191");
    let before = bytes(&ws);
    let ran = ws.run(&["bundle", "restore", "--previous"]).expect(1);
    assert!(ran.stderr.contains("nobody to ask; nothing was done"), "{}", ran.stderr);
    let ran = ws.answer(&["bundle", "restore", "--previous"], "go on? [y/N]", "n").expect(1);
    assert!(ran.stdout.contains("1 secret will be as in copy") && bytes(&ws) == before, "{}", ran.stdout);
    ws.answer(&["bundle", "restore", "--previous"], "go on? [y/N]", "y").expect(0);
    assert_eq!(ws.value(PORT), "9090");
    ws.assert_no_leak();
}
