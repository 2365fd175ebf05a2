//! `bundle import --dialect` against those who read such files: sh, Compose, docker, Node and systemd, as far as they are here.

use super::room::Room;
use std::fs;
use std::process::Command;

/// Lines whose reading the dialects differ about.
const LINES: [&str; 18] = [
    "K=plain",
    "K='a $b'",
    "K=\"a b\"",
    "K=\"a\\\"b\"",
    "K=\"a\\\\b\"",
    "K=\"a\\nb\"",
    "K='a\\nb'",
    "K=a\\b",
    "K=a#c",
    "K=a #c",
    "K=\"a#c\" # d",
    "K=a  ",
    "export K=a",
    "K='a\nb'",
    "K=a\\\nb",
    "K='a'b",
    "K=a:b=c",
    "K=a\\ b",
];

/// What we make of it; `None` when it is refused.
fn ours(room: &Room, dialect: &str, line: &str) -> Option<Vec<u8>> {
    fs::write(room.path("x.env"), format!("{line}\n")).unwrap();
    let args = ["bundle", "import", "x.env", "--dialect", dialect, "--replace"];
    if room.run(&args).code != 0 {
        return None;
    }
    let value = room.command(&["bundle", "get", "x.K"]).output().unwrap().stdout;
    value.strip_suffix(b"\n").map(<[u8]>::to_vec)
}

/// Whatever we take, the reader takes it to be the same.
fn agrees(dialect: &str, at_least: usize, theirs: &dyn Fn(&Room) -> Option<Vec<u8>>) {
    let room = Room::furnished();
    let mut taken = 0;
    for line in LINES {
        if let Some(value) = ours(&room, dialect, line) {
            let theirs = theirs(&room).unwrap_or_else(|| panic!("{dialect} refuses {line}"));
            assert_eq!(String::from_utf8_lossy(&value), String::from_utf8_lossy(&theirs), "{dialect}: {line}");
            taken += 1;
        }
    }
    assert!(taken >= at_least, "{dialect}: {taken}");
}

#[test]
fn shells() {
    for shell in [&["sh"][..], &["bash", "--posix"], &["busybox", "sh"], &["mksh"]] {
        if Command::new(shell[0]).args(&shell[1..]).args(["-c", "true"]).output().is_err() {
            println!("skipped: {} is not installed", shell[0]);
            continue;
        }
        agrees("shell", 15, &|room| {
            let script = "set -a; . ./x.env; printf '%s' \"$K\"";
            let said =
                Command::new(shell[0]).args(&shell[1..]).args(["-c", script]).current_dir(room.path(".")).output();
            said.ok().filter(|said| said.status.success()).map(|said| said.stdout)
        });
    }
}
