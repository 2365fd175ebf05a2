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
