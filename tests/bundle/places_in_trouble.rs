//! A place that cannot be written to, that others write to as well, and a clock that went back.

use super::recipients::listed;
use super::room::{Room, Said, names_in};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// What each of them says that changes the bundle, and that it is as it was.
#[track_caller]
fn assert_refused(room: &Room, word: &str, run: impl Fn(&[&str], &[u8]) -> Said) {
    let look = || (fs::read(room.path("secrets.age")).unwrap(), room.names(), room.path("backups").exists());
    let before = look();
    for args in
        [&["bundle", "set", "aws.ID"][..], &["bundle", "recipients", "remove", "bob", "--yes"], &["bundle", "rekey"]]
    {
        let said = run(args, b"9").fails(word);
        assert!(said.stderr.contains("the bundle is as it was"), "{args:?}: {}", said.stderr);
        assert!(look() == before, "{args:?}");
    }
    run(&["bundle", "get", "aws.ID"], b"").ok();
}

fn with_bob() -> Room {
    let room = Room::furnished();
    let bob = room.keygen("bob");
    room.run(&["bundle", "recipients", "add", "bob", &bob]).ok();
    room
}

/// A mount that goes away again.
struct Mounted(PathBuf);

impl Mounted {
    fn new(line: &str, path: &Path) -> Option<Self> {
        let done = Command::new("sh").args(["-c", line, "sh"]).arg(path).stderr(std::process::Stdio::null()).status();
        let is_there = done.is_ok_and(|status| status.success());
        if !is_there {
            eprintln!("skipped: only root can mount here");
        }
        is_there.then(|| Self(path.to_owned()))
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[test]
fn a_place_that_is_mounted_read_only_stays_as_it_is() {
    let room = with_bob();
    let line = "mount --bind \"$1\" \"$1\" && mount -o remount,bind,ro \"$1\"";
    let Some(_mounted) = Mounted::new(line, &fs::canonicalize(room.path("")).unwrap()) else { return };
    assert_refused(&room, "Read-only file system", |args, stdin| room.feed(args, stdin));
}

#[test]
fn a_full_disk_keeps_nobody_who_was_removed_and_loses_nobody() {
    let room = with_bob();
    fs::create_dir(room.path("small")).unwrap();
    let Some(_mounted) = Mounted::new("mount -t tmpfs -o size=64k tmpfs \"$1\"", &room.path("small")) else { return };
    fs::copy(room.path("secrets.age"), room.path("small/secrets.age")).unwrap();
    let mut filler = fs::File::create(room.path("small/filler")).unwrap();
    while std::io::Write::write_all(&mut filler, &[b'x'; 512]).is_ok() {}
    let before = fs::read(room.path("small/secrets.age")).unwrap();
    let remove = ["bundle", "recipients", "remove", "bob", "--yes", "-C", "small"];
    room.run(&remove).fails("No space left on device");
    assert_eq!(fs::read(room.path("small/secrets.age")).unwrap(), before);
    let files = walkdir::WalkDir::new(room.path("small")).into_iter().map(Result::unwrap);
    assert_eq!(files.filter(|entry| entry.file_type().is_file()).count(), 2, "the filler and the bundle");
    fs::remove_file(room.path("small/filler")).unwrap();
    drop(filler);
    room.run(&remove).ok();
    room.run(&["bundle", "list", "--identity", "bob", "-C", "small"]).fails("nothing at hand opens it");
}

#[test]
fn who_may_not_write_there_any_more_changes_nothing() {
    let room = with_bob();
    let program = ["setpriv", "--reuid", "65534", "--clear-groups"];
    let owned = |path: &Path| {
        let files = walkdir::WalkDir::new(path).into_iter().map(Result::unwrap);
        files.into_iter().all(|entry| std::os::unix::fs::chown(entry.path(), Some(65534), None).is_ok())
    };
    if !owned(&room.path("")) || !owned(room.state()) || room.run_under(&program, &["--version"], b"").code != 0 {
        eprintln!("skipped: this is not root, or nobody may not run the program");
        return;
    }
    room.chmod("", 0o500);
    assert_refused(&room, "Permission denied", |args, stdin| room.run_under(&program, args, stdin));
    // A bundle that is read-only in a place that is not: a save replaces it, and the mode stays.
    room.chmod("", 0o700);
    room.chmod("secrets.age", 0o400);
    room.run_under(&program, &["bundle", "set", "aws.ID"], b"9").ok();
    let mode = std::os::unix::fs::PermissionsExt::mode(&fs::metadata(room.path("secrets.age")).unwrap().permissions());
    assert_eq!(mode & 0o777, 0o400);
}

#[test]
fn of_two_who_save_at_once_each_is_saved_or_refused() {
    let room = Room::furnished();
    let writer = |who: &str| -> Vec<String> {
        let names = (0..12).map(|number| format!("aws.{who}{number}"));
        let is_saved = |name: &String| {
            let said = room.feed(&["bundle", "set", name], name.as_bytes());
            let is_refused =
                ["somebody else is saving it", "changed on disk"].iter().any(|word| said.stderr.contains(word));
            assert!(said.code == 0 || is_refused, "{}", said.stderr);
            said.code == 0
        };
        names.filter(is_saved).collect()
    };
    let saved: Vec<String> = std::thread::scope(|scope| {
        let writers = ["A", "B"].map(|who| scope.spawn(move || writer(who)));
        writers.into_iter().flat_map(|one| one.join().unwrap()).collect()
    });
    assert!(!saved.is_empty());
    for name in &saved {
        assert_eq!(room.run(&["bundle", "get", name]).ok().stdout, format!("{name}\n"));
    }
    assert_eq!(room.generation(), 1 + saved.len() as u64, "one generation a save, and none besides");
    assert_eq!(room.names(), ["key", "secrets.age"]);
}

/// Ten years ago, to a program that is loaded with this.
const CLOCK: &str = "#define _GNU_SOURCE\n#include <dlfcn.h>\n#include <time.h>\n\
    int clock_gettime(clockid_t id, struct timespec *at) {\n\
    int (*real)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, \"clock_gettime\");\n\
    int done = real(id, at);\n\
    if (id == CLOCK_REALTIME) at->tv_sec -= 315360000;\n\
    return done;\n}\n";

#[test]
fn a_clock_that_went_back_confuses_nothing() {
    let room = with_bob();
    fs::write(room.path("clock.c"), CLOCK).unwrap();
    let built = room.other("cc", &["-shared", "-fPIC", "-o", "clock.so", "clock.c", "-ldl"], b"");
    if built.is_none_or(|said| said.code != 0) {
        eprintln!("skipped: there is no cc to build a clock that is wrong");
        return;
    }
    let clock = room.path("clock.so");
    let back = |args: &[&str], stdin: &[u8]| room.run_with(args, stdin, &[("LD_PRELOAD", clock.to_str().unwrap())]);
    let year = |list: &serde_json::Value, index: usize| {
        list["exposures"][index]["removed"].as_str().unwrap()[..4].parse::<u32>().unwrap()
    };
    back(&["bundle", "set", "aws.ID"], b"9").ok();
    assert_eq!(room.generation(), 3);
    assert_eq!(room.by_hand("tar xzO history/2/services/aws.env"), "ID=1\n");
    back(&["bundle", "recipients", "remove", "bob", "--yes"], b"").ok();
    let carol = room.keygen("carol");
    room.run(&["bundle", "recipients", "add", "carol", &carol]).ok();
    room.run(&["bundle", "recipients", "remove", "carol", "--yes"]).ok();
    let list = listed(&room, &[]);
    assert!(year(&list, 0) + 9 <= year(&list, 1), "the clock was wrong: {list}");
    assert_eq!(
        (&list["exposures"][0]["label"], list["exposures"][0]["left"].as_array().unwrap().len()),
        (&"bob".into(), 4)
    );
    for args in [&["bundle", "list"][..], &["bundle", "recipients", "list"], &["bundle", "check"]] {
        back(args, b"").ok();
        room.run(args).ok();
    }
    back(&["bundle", "revert", "aws.ID"], b"").ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "1\n");
    assert_eq!(names_in(&room.path("backups/bundle")).len(), 2, "copies go by generations");
}

#[test]
fn recipients_that_somebody_wrote_by_hand() {
    let room = Room::empty();
    let (me, bob) = (room.public_key(), room.keygen("bob"));
    room.put("d/bundle.toml", &format!("recipients = [\"{me}\", {{ label = \"bob\", recipient = \"{bob}\" }}]\n"));
    room.put("d/services/aws.env", "A=1\n");
    let seal = format!("tar czf - -C d bundle.toml services | age -r {me} -r {bob} -o secrets.age");
    room.other("sh", &["-c", &seal], b"").unwrap().ok();
    let list = listed(&room, &["--identity", "bob"]);
    assert_eq!(list["recipients"][1]["label"], "bob");
    assert_eq!(list["recipients"][0]["label"], serde_json::Value::Null);
    room.run(&["bundle", "recipients", "remove", "bob", "--yes"]).ok();
    assert_eq!((room.generation(), listed(&room, &[])["exposures"][0]["left"][0].as_str()), (1, Some("aws.A")));
    room.run(&["bundle", "list", "--identity", "bob"]).fails("nothing at hand opens it");
    // A recipient that nobody can seal to: it can be read, and the save says which one it is.
    room.put("d/bundle.toml", &format!("recipients = [\"{me}\", \"age1rubbish\"]\n"));
    let other = Room::empty();
    fs::copy(room.path("key"), other.path("key")).unwrap();
    room.other("sh", &["-c", &seal], b"").unwrap().ok();
    fs::copy(room.path("secrets.age"), other.path("secrets.age")).unwrap();
    other.run(&["bundle", "list"]).ok();
    other.feed(&["bundle", "set", "aws.A"], b"2").fails("`age1rubbish` is not a recipient");
    other.run(&["bundle", "recipients", "remove", "age1rubbish", "--yes"]).ok();
    other.feed(&["bundle", "set", "aws.A"], b"2").ok();
}
