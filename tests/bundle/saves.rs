//! A save is whole or not at all: killed, on a full disk, through a link.

use super::room::{POISON, Room};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};
use std::time::Duration;

#[test]
fn a_save_that_is_killed_leaves_the_old_bundle_or_the_new_one() {
    let room = Room::furnished();
    let mut old = "1\n".to_owned();
    for step in 0..60u64 {
        let new = format!("{}\n", 100 + step);
        let mut child =
            room.command(&["bundle", "set", "aws.ID"]).stdin(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(new.as_bytes()).unwrap();
        std::thread::sleep(Duration::from_micros(step * 400));
        child.kill().unwrap();
        child.wait().unwrap();
        let found = room.run(&["bundle", "get", "aws.ID"]).ok().stdout;
        assert!(found == old || found == new, "{found}");
        old = found;
    }
    room.feed(&["bundle", "set", "aws.ID"], b"last").ok();
    assert_eq!(room.names(), ["key", "secrets.age"], "what killed saves left is swept");
}

#[test]
fn a_link_is_not_saved_through() {
    let room = Room::furnished();
    fs::rename(room.path("secrets.age"), room.path("real.age")).unwrap();
    std::os::unix::fs::symlink("real.age", room.path("secrets.age")).unwrap();
    let before = room.bundle();
    room.run(&["bundle", "list"]).ok();
    assert!(room.feed(&["bundle", "set", "aws.ID"], b"2").fails("symbolic link").stderr.contains("real.age"));
    assert!(room.bundle() == before && room.path("secrets.age").is_symlink());
    room.feed(&["bundle", "set", "aws.ID", "--bundle", "real.age"], b"2").ok();
}

#[test]
fn a_save_keeps_the_mode_of_the_file() {
    use std::os::unix::fs::PermissionsExt;
    let room = Room::furnished();
    let mode = |room: &Room| fs::metadata(room.path("secrets.age")).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&room), 0o600);
    room.chmod("secrets.age", 0o644);
    room.feed(&["bundle", "set", "aws.ID"], b"2").ok();
    assert_eq!(mode(&room), 0o644);
}

#[test]
fn a_full_disk_leaves_the_old_bundle() {
    let room = Room::furnished();
    fs::create_dir(room.path("small")).unwrap();
    let Some(_mounted) = Mounted::tmpfs(&room.path("small")) else {
        eprintln!("skipped: a small file system can only be mounted by root");
        return;
    };
    fs::copy(room.path("secrets.age"), room.path("small/secrets.age")).unwrap();
    let mut filler = fs::File::create(room.path("small/filler")).unwrap();
    while filler.write_all(&[b'x'; 512]).is_ok() {}
    let before = fs::read(room.path("small/secrets.age")).unwrap();
    let big = vec![b'x'; 64 * 1024];
    room.feed(&["bundle", "set", "aws.ID", "-C", "small"], &big).fails("the bundle is as it was");
    assert_eq!(fs::read(room.path("small/secrets.age")).unwrap(), before);
    assert_eq!(super::room::names_in(&room.path("small")), ["filler", "secrets.age"]);
    drop(filler);
    fs::remove_file(room.path("small/filler")).unwrap();
    room.feed(&["bundle", "set", "aws.ID", "-C", "small"], POISON.as_bytes()).ok();
}

struct Mounted(std::path::PathBuf);

impl Mounted {
    fn tmpfs(path: &std::path::Path) -> Option<Self> {
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=64k", "tmpfs"]).arg(path).stderr(Stdio::null());
        mount.status().is_ok_and(|status| status.success()).then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn an_older_bundle_is_refused_before_the_editor_and_by_readers() {
    let room = Room::furnished();
    let old = room.bundle();
    room.feed(&["bundle", "set", "aws.ID"], b"2").ok();
    fs::write(room.path("secrets.age"), old).unwrap();
    for args in
        [&["bundle", "check"][..], &["bundle", "list"], &["bundle", "get", "aws.ID"], &["bundle", "edit", "aws"]]
    {
        let said = room.edit(args, "touch ran").fails("generation 2 was seen");
        assert!(said.stderr.contains("rm ") && !room.path("ran").exists(), "{}", said.stderr);
    }
    room.feed(&["bundle", "set", "aws.ID"], b"3").fails("generation 2 was seen");
}

#[test]
fn somebody_else_who_saved_meanwhile_is_named_as_such() {
    let room = Room::furnished();
    let program = env!("CARGO_BIN_EXE_distribute");
    room.put(
        "editor",
        &format!("#!/bin/sh\necho 7 | {program} bundle set aws.ID 2>/dev/null\nsed -i s/ID=1/ID=8/ $1\n"),
    );
    room.chmod("editor", 0o755);
    room.edit(&["bundle", "edit", "aws"], "./editor").fails("changed on disk");
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "7\n");
}

#[test]
fn a_record_that_cannot_be_parsed_is_an_error() {
    let room = Room::furnished();
    let state = room.path("state");
    let vars = [("DISTRIBUTE_STATE_DIR", state.to_str().unwrap())];
    room.run_with(&["bundle", "set", "aws.ID"], b"2", &vars).ok();
    let record = state.join(&super::room::names_in(&state)[0]);
    fs::write(&record, "rubbish").unwrap();
    assert!(room.run_with(&["bundle", "list"], b"", &vars).fails("cannot be read").stderr.contains("rm "));
    fs::write(&record, "").unwrap();
    room.run_with(&["bundle", "list"], b"", &vars).ok();
}
