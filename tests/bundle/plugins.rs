//! A recipient that a plugin knows: here a stand-in, `age-plugin-test.py`, which Debian's age takes for one too.

use super::room::{POISON, Room, Said};
use std::fs;

/// As age writes them for a plugin called `test`.
const RECIPIENT: &str = "age1test1wd6xzmny945ku3cra9m";
const IDENTITY: &str = "AGE-PLUGIN-TEST-1WD6XZMNY945KU20Z80V";
/// The recipient of a plugin that is nowhere.
const GONE: &str = "age1gone1wd6xzmny945ku6rmngw";

/// A room with the plugin in a directory of its own, and its identity; `None` without python3.
fn room() -> Option<Room> {
    if !std::path::Path::new("/usr/bin/python3").exists() {
        eprintln!("skipped: there is no python3 for the stand-in of a plugin");
        return None;
    }
    let room = Room::furnished();
    fs::create_dir(room.path("bin")).unwrap();
    let plugin = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/bundle/age-plugin-test.py");
    fs::copy(plugin, room.path("bin/age-plugin-test")).unwrap();
    room.chmod("bin/age-plugin-test", 0o755);
    room.put_private("token", format!("{IDENTITY}\n").as_bytes());
    Some(room)
}

fn path(room: &Room) -> String {
    format!("{}:{}", room.path("bin").display(), std::env::var("PATH").unwrap())
}

fn run(room: &Room, args: &[&str], stdin: &[u8]) -> Said {
    room.run_with(args, stdin, &[("PATH", &path(room))])
}

/// Debian's age with the plugin in PATH.
fn age(room: &Room, line: &str) -> Said {
    room.other("sh", &["-c", &format!("PATH={}; {line}", path(room))], b"").unwrap()
}

#[test]
fn a_plugins_recipient_opens_it_here_and_with_age() {
    let Some(room) = room() else { return };
    run(&room, &["bundle", "recipients", "add", "token", RECIPIENT], b"").ok();
    run(&room, &["bundle", "set", "aws.ID", "--identity", "token"], b"7").ok();
    assert_eq!(
        run(&room, &["bundle", "get", "aws.SECRET", "--identity", "token"], b"").ok().stdout,
        format!("{POISON}\n")
    );
    assert_eq!(run(&room, &["bundle", "get", "aws.ID"], b"").ok().stdout, "7\n", "the other key opens it as before");
    assert!(age(&room, "age -d -i token secrets.age | tar xzO services/aws.env").ok().stdout.contains("ID=7"));
    // And the other way round: what age seals by the plugin.
    age(&room, &format!("age -d -i key secrets.age | age -r {RECIPIENT} -o by-age && mv by-age secrets.age")).ok();
    assert_eq!(run(&room, &["bundle", "get", "aws.ID", "--identity", "token"], b"").ok().stdout, "7\n");
    // It counts as one who can open it: whoever holds it may take out the rest.
    let me = room.public_key();
    run(&room, &["bundle", "recipients", "remove", &me, "--yes", "--identity", "token"], b"").ok();
    assert_eq!(run(&room, &["bundle", "get", "aws.ID", "--identity", "token"], b"").ok().stdout, "7\n");
    run(&room, &["bundle", "list"], b"").fails("nothing at hand opens it");
}

#[test]
fn a_plugin_that_is_not_there_is_named() {
    let Some(room) = room() else { return };
    let before = room.bundle();
    let said = run(&room, &["bundle", "recipients", "add", "gone", GONE], b"").fails("age-plugin-gone is not in PATH");
    assert!(said.stderr.contains("install the plugin") && room.bundle() == before, "{}", said.stderr);
    run(&room, &["bundle", "recipients", "add", "token", RECIPIENT], b"").ok();
    let before = room.bundle();
    // Reading needs no plugin, a save does: its key is wrapped anew.
    room.run(&["bundle", "list"]).ok();
    room.feed(&["bundle", "set", "aws.ID"], b"8")
        .fails("age-plugin-test is not in PATH, and a recipient of the bundle needs it");
    room.feed(&["bundle", "set", "aws.ID", "--check"], b"8").fails("age-plugin-test is not in PATH");
    room.run(&["bundle", "list", "--identity", "token"]).fails("token: age-plugin-test is not in PATH");
    assert!(room.bundle() == before);
    // Its recipient can be taken out without it.
    room.run(&["bundle", "recipients", "remove", "token", "--yes"]).ok();
    room.feed(&["bundle", "set", "aws.ID"], b"8").ok();
}

#[test]
fn what_a_plugin_says_is_escaped() {
    let Some(room) = room() else { return };
    run(&room, &["bundle", "recipients", "add", "token", RECIPIENT], b"").ok();
    let before = room.bundle();
    fs::write(room.path("bin/error"), "no \u{1b}[31mtoken\u{202e} here\nerror: all is fine").unwrap();
    for args in [&["bundle", "set", "aws.ID"][..], &["bundle", "list", "--identity", "token"]] {
        let said = run(&room, args, b"9").fails("the plugin says: ");
        assert!(said.stderr.contains("no ") && said.stderr.contains("token"), "{}", said.stderr);
        let is_foreign =
            |char: char| char == '\u{1b}' || matches!(char, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        assert!(!said.stderr.contains(is_foreign), "{:?}", said.stderr);
        assert!(!said.stderr.lines().any(|line| line == "error: all is fine"), "{}", said.stderr);
    }
    assert!(room.bundle() == before);
    // One that is no plugin at all, and one that ends at once.
    fs::remove_file(room.path("bin/error")).unwrap();
    for script in ["#!/bin/sh\necho '-> rubbish'\n", "#!/bin/sh\nexit 3\n"] {
        fs::write(room.path("bin/age-plugin-test"), script).unwrap();
        for args in [&["bundle", "set", "aws.ID"][..], &["bundle", "list", "--identity", "token"]] {
            let said = run(&room, args, b"9");
            assert!(said.code == 1 && !said.stderr.contains("panicked") && room.bundle() == before, "{}", said.stderr);
        }
    }
}

#[test]
fn a_plugin_may_ask_whoever_is_there() {
    let Some(room) = room() else { return };
    run(&room, &["bundle", "recipients", "add", "token", RECIPIENT], b"").ok();
    fs::write(room.path("bin/pin"), "4711").unwrap();
    let list = ["bundle", "list", "--identity", "token"];
    run(&room, &list, b"").fails("token: the plugin says: ");
    // On a terminal, where PATH is what it is.
    let Some(said) = room.on_terminal_with(&list, &[("PIN of the stand-in", "4711\r")], &[("PATH", &path(&room))])
    else {
        return;
    };
    assert!(said.code == 0 && said.stdout.contains("aws") && !said.stdout.contains("4711"), "{}", said.stdout);
    let wrong = room.on_terminal_with(&list, &[("PIN of the stand-in", "1\r")], &[("PATH", &path(&room))]).unwrap();
    assert!(wrong.code == 1 && wrong.stdout.contains("not the PIN"), "{}", wrong.stdout);
}
