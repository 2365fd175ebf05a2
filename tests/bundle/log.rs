//! `bundle log`: what changed when, and what can be brought back.

use super::room::{POISON, Room, Said};
use serde_json::Value;

fn json(said: Said) -> Value {
    serde_json::from_str(&said.ok().stdout).unwrap()
}

/// Generation, word and name of each change.
fn told(room: &Room, args: &[&str]) -> Vec<String> {
    let report = json(room.run(&[&["bundle", "log", "-o", "json"], args].concat()));
    let text = |change: &Value| {
        format!(
            "{} {} {}",
            change["generation"],
            change["change"].as_str().unwrap(),
            change["secret"].as_str().unwrap()
        )
    };
    report["changes"].as_array().unwrap().iter().map(text).collect()
}

#[test]
fn the_whole_bundles_changes_come_newest_first() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.SECRET"], b"second p0ison").ok();
    room.run(&["bundle", "unset", "tls/cert.pem"]).ok();
    room.run(&["bundle", "rename", "aws.SECRET", "aws.TOKEN"]).ok();
    let first =
        ["4 renamed aws.TOKEN", "3 removed tls/cert.pem", "2 changed aws.TOKEN", "1 new aws.ID", "1 new aws.TOKEN"];
    assert_eq!(told(&room, &["-n", "5"]), first);
    assert_eq!(told(&room, &[]).len(), 7);
    let shown = room.run(&["bundle", "log"]).ok().stdout;
    let lines: Vec<&str> = shown.lines().collect();
    assert!(lines[0].starts_with("    4  20") && lines[0].ends_with("aws.TOKEN, before: aws.SECRET"), "{shown}");
    assert!(lines[1].contains("removed   -         tls/cert.pem"), "{shown}");
    assert!(!shown.contains("p0ison"));
    let times: Vec<Value> = json(room.run(&["bundle", "log", "-o", "json"]))["changes"].as_array().unwrap().clone();
    assert!(times.iter().all(|change| change["time"].is_string()));
}

#[test]
fn a_secrets_log_gives_the_command_for_each_value() {
    let room = Room::furnished();
    for value in ["two p0ison", "three p0ison"] {
        room.feed(&["bundle", "set", "aws.SECRET"], value.as_bytes()).ok();
        room.feed(&["bundle", "set", "aws.ID"], value.as_bytes()).ok();
    }
    let report = json(room.run(&["bundle", "log", "aws.SECRET", "-o", "json"]));
    let values = report["values"].as_array().unwrap();
    let ranges: Vec<_> = values.iter().map(|one| (one["first"].as_u64(), one["last"].as_u64())).collect();
    assert_eq!(ranges, [(Some(4), None), (Some(2), Some(3)), (Some(1), Some(1))]);
    assert!(values.iter().all(|one| one["since"].is_string() && one["fingerprint"].as_str().unwrap().len() == 8));
    let shown = room.run(&["bundle", "log", "aws.SECRET"]).ok().stdout;
    assert!(
        shown.contains("generation 2-3") && shown.contains("generation 4-") && !shown.contains("p0ison"),
        "{shown}"
    );
    // Each command does what it says.
    for (number, expected) in [(1, "two p0ison\n".to_owned()), (2, format!("{POISON}\n"))] {
        let command = values[number]["revert"].as_str().unwrap();
        let words: Vec<&str> = command.split(' ').skip(1).collect();
        room.run(&words).ok();
        assert_eq!(room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout, expected);
    }
    // Values that came back stand there once; the changes tell of each time.
    let report = json(room.run(&["bundle", "log", "aws.SECRET", "-o", "json"]));
    assert_eq!((report["values"].as_array().unwrap().len(), report["changes"].as_array().unwrap().len()), (3, 5));
    let prints: Vec<_> = report["changes"].as_array().unwrap().iter().map(|one| &one["fingerprint"]).collect();
    assert!(prints[0] == prints[4] && prints[1] == prints[3] && prints.iter().all(|print| print.is_string()));
}

#[test]
fn what_was_unset_still_has_its_log() {
    let room = Room::furnished();
    room.run(&["bundle", "unset", "aws.SECRET"]).ok();
    let shown = room.run(&["bundle", "log", "aws.SECRET"]).ok().stdout;
    assert!(shown.contains("it was unset") && shown.contains("distribute bundle revert aws.SECRET --to 1"), "{shown}");
    room.run(&["bundle", "revert", "aws.SECRET", "--to", "2"]).fails("no value of aws.SECRET of generation 2");
    room.run(&["bundle", "revert", "aws.SECRET", "--to", "1"]).ok();
    assert_eq!(told(&room, &["aws.SECRET"]), ["3 new aws.SECRET", "2 removed aws.SECRET", "1 new aws.SECRET"]);
    assert!(room.run(&["bundle", "log", "aws.SECRTE"]).fails("no aws.SECRTE").stderr.contains("aws.SECRET?"));
}

#[test]
fn reading_the_log_writes_nothing_and_a_hand_packed_bundle_has_one() {
    let room = Room::furnished();
    let before = room.bundle();
    room.run(&["bundle", "log"]).ok();
    room.run(&["bundle", "log", "aws.SECRET"]).ok();
    assert!(room.bundle() == before);
    let room = Room::empty();
    room.put("services/a.env", &format!("K={POISON}\n"));
    room.pack_by_hand();
    assert_eq!(room.run(&["bundle", "log"]).ok().stdout, "no change is noted\n");
    assert!(room.run(&["bundle", "log", "a.K"]).ok().stdout.contains("now"));
    room.feed(&["bundle", "set", "a.K"], b"2").ok();
    assert_eq!(told(&room, &[]), ["1 changed a.K"]);
}

#[test]
fn no_change_at_all_is_not_to_be_asked_for() {
    let room = Room::furnished();
    let said = room.run(&["bundle", "log", "-n", "0"]);
    assert!(said.code == 1 && said.stdout.is_empty() && said.stderr.contains("--last"), "{}", said.stderr);
    assert_eq!(told(&room, &["-n", "1"]).len(), 1);
}
