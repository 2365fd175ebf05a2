//! A save in trouble at each of its system calls: strace kills the program there, or lets the call fail. Afterwards the old bundle opens or the
//! new one, what lies beside it fits, nothing is there in clear text, and the next save is as any other.

use super::room::{POISON, Room, Said, names_in};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

/// Calls that a save makes of files. Some machines do not have all of them.
const CALLS: [&str; 20] = [
    "openat",
    "read",
    "write",
    "fsync",
    "fdatasync",
    "fchmod",
    "fchown",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "unlink",
    "unlinkat",
    "mkdir",
    "mkdirat",
    "flock",
    "close",
    "statx",
    "getdents64",
];
/// Those that fail on a disk that is full or broken, and how.
const FAILING: [&str; 10] =
    ["openat", "write", "fsync", "fdatasync", "fchmod", "rename", "renameat2", "linkat", "mkdir", "flock"];
const NEW: &str = "p0ison-neu-0815";

/// The files of a room, and what the program remembers, so that each trouble meets the same.
struct Snapshot(Vec<(PathBuf, Vec<u8>, u32)>);

impl Snapshot {
    fn of(room: &Room) -> Self {
        let mut found = Vec::new();
        for place in [&room.path(""), room.state()] {
            for path in files_in(place) {
                let mode = fs::metadata(&path).unwrap().permissions().mode();
                found.push((path.clone(), fs::read(&path).unwrap(), mode));
            }
        }
        Self(found)
    }

    fn restore(&self, room: &Room) {
        for path in [&room.path(""), room.state()].into_iter().flat_map(files_in) {
            fs::remove_file(path).unwrap();
        }
        for (path, bytes, mode) in &self.0 {
            fs::write(path, bytes).unwrap();
            fs::set_permissions(path, fs::Permissions::from_mode(*mode)).unwrap();
        }
    }

    fn is_as_it_was(&self, room: &Room) -> bool {
        let state = room.state();
        let is_ours = |path: &Path| !path.starts_with(state);
        let now = Self::of(room);
        let of = |one: &Self| {
            let mut files: Vec<_> = one.0.iter().filter(|(path, ..)| is_ours(path)).cloned().collect();
            files.sort();
            files
        };
        of(&now) == of(self)
    }
}

fn files_in(directory: &Path) -> Vec<PathBuf> {
    let entries = walkdir::WalkDir::new(directory).into_iter().map(Result::unwrap);
    entries.filter(|entry| entry.file_type().is_file()).map(walkdir::DirEntry::into_path).collect()
}

/// Nothing of what is in the bundle, and no identity, is in any file but those that hold keys.
#[track_caller]
fn assert_sealed(room: &Room, keys: &[&str]) {
    for path in [&room.path(""), room.state()].into_iter().flat_map(files_in) {
        if keys.iter().any(|key| path == room.path(key)) {
            continue;
        }
        let bytes = fs::read(&path).unwrap();
        for word in [POISON, NEW, "AGE-SECRET-KEY-"] {
            let is_there = bytes.windows(word.len()).any(|window| window == word.as_bytes());
            assert!(!is_there, "{word} is in {}", path.display());
        }
    }
}

/// May strace trace here?
fn can_trace() -> bool {
    let traced = std::process::Command::new("strace").args(["-qq", "-o", "/dev/null", "true"]).status();
    let can = traced.is_ok_and(|status| status.success());
    if !can {
        println!("skipped: strace is not here, or may not trace");
    }
    can
}

/// A command whose calls are known.
struct Traced<'a> {
    room: &'a Room,
    args: &'a [&'a str],
    stdin: &'a [u8],
    before: Snapshot,
    /// The calls in their order from where it locks or first writes, each with its number among those of its name.
    calls: Vec<(String, usize)>,
}

impl<'a> Traced<'a> {
    fn new(room: &'a Room, args: &'a [&'a str], stdin: &'a [u8]) -> Self {
        let before = Snapshot::of(room);
        let log = room.state().join("trace");
        let names = CALLS.map(|name| format!("?{name}")).join(",");
        let options = ["strace", "-qq", "-o", log.to_str().unwrap(), "-e", &format!("trace={names}")];
        room.run_under(&options, args, stdin).ok();
        let (mut counts, mut calls, mut has_begun) = (BTreeMap::new(), Vec::new(), false);
        for line in fs::read_to_string(&log).unwrap().lines() {
            let Some((name, rest)) = line.split_once('(') else { continue };
            let count = counts.entry(name.to_owned()).or_insert(0);
            *count += 1;
            has_begun |= name == "flock" || rest.contains(".tmp\"");
            if has_begun {
                calls.push((name.to_owned(), *count));
            }
        }
        assert!(calls.iter().any(|(name, _)| name.starts_with("rename") || name.starts_with("link")), "{calls:?}");
        before.restore(room);
        Self { room, args, stdin, before, calls }
    }

    /// Kills it at each of these calls: by their names, and their numbers among those of the name.
    fn kill_at(&self, is_meant: impl Fn(&str, usize) -> bool, check: impl Fn(&str, Option<&Said>)) -> usize {
        let points: Vec<_> = self.calls.iter().filter(|(name, count)| is_meant(name, *count)).collect();
        for (name, count) in &points {
            let at = format!("killed at {name} {count}");
            let said = self.inject(name, &format!("signal=SIGKILL:when={count}"));
            assert_eq!(said.code, -1, "{at}: {}", said.stderr);
            check(&at, None);
            self.before.restore(self.room);
        }
        points.len()
    }

    /// Lets each of these calls fail.
    fn fail_at(&self, names: &[&str], errors: &[&str], check: impl Fn(&str, Option<&Said>)) {
        for (name, count) in self.calls.iter().filter(|(name, _)| names.contains(&&**name)) {
            for error in errors {
                let at = format!("{error} at {name} {count}");
                let said = self.inject(name, &format!("error={error}:when={count}"));
                assert!(matches!(said.code, 0 | 1) && !said.stderr.contains("panicked"), "{at}: {}", said.stderr);
                check(&at, Some(&said));
                self.before.restore(self.room);
            }
        }
    }

    fn inject(&self, name: &str, what: &str) -> Said {
        let inject = format!("inject={name}:{what}");
        let options = ["strace", "-qq", "-o", "/dev/null", "-e", &format!("trace={name}"), "-e", &inject];
        self.room.run_under(&options, self.args, self.stdin)
    }
}

/// What it says must be so: 0 and saved, or 1 and as it was, or 1 and it says that it was saved all the same.
#[track_caller]
fn assert_honest(at: &str, said: Option<&Said>, is_new: bool) {
    if let Some(said) = said {
        let is_saved =
            said.code == 0 || ["it was saved", "writing to stdout"].iter().any(|word| said.stderr.contains(word));
        assert_eq!(is_saved, is_new, "{at}: {} {}", said.code, said.stderr);
    }
}

#[test]
fn a_set_is_whole_or_not_at_all_at_every_call() {
    if !can_trace() {
        return;
    }
    let room = Room::furnished();
    let traced = Traced::new(&room, &["bundle", "set", "aws.ID"], NEW.as_bytes());
    let check = |at: &str, said: Option<&Said>| {
        assert_sealed(&room, &["key"]);
        let is_beside = |name: &String| name.starts_with(".secrets.age.") && name.ends_with(".tmp");
        let names = room.names().into_iter().filter(|name| said.is_some() || !is_beside(name));
        assert_eq!(names.collect::<Vec<_>>(), ["key", "secrets.age"], "{at}");
        let (value, generation) = (room.run(&["bundle", "get", "aws.ID"]).ok().stdout, room.generation());
        let is_new = generation == 2;
        assert_eq!((&*value, generation), if is_new { ("p0ison-neu-0815\n", 2) } else { ("1\n", 1) }, "{at}");
        assert_honest(at, said, is_new);
        room.feed(&["bundle", "set", "aws.ID"], b"after").ok();
        assert_eq!(
            (room.generation(), room.names()),
            (generation + 1, vec!["key".into(), "secrets.age".into()]),
            "{at}"
        );
    };
    assert!(traced.kill_at(|_, _| true, check) >= 30);
    traced.fail_at(&FAILING, &["ENOSPC", "EIO", "EDQUOT"], check);
}

#[test]
fn a_new_bundle_is_there_whole_or_not_at_all() {
    if !can_trace() {
        return;
    }
    let room = Room::empty();
    let key = room.public_key();
    room.put("aws.env", "ID=1\n");
    let args = ["bundle", "create", "aws.env", "--recipient", &key];
    let traced = Traced::new(&room, &args, b"");
    let check = |at: &str, said: Option<&Said>| {
        assert_sealed(&room, &["key"]);
        let is_new = room.path("secrets.age").exists();
        assert_honest(at, said, is_new);
        if !is_new {
            room.run(&args).ok();
        }
        assert_eq!(
            (room.generation(), room.run(&["bundle", "get", "aws.ID"]).ok().stdout),
            (1, "1\n".to_owned()),
            "{at}"
        );
        room.run(&args).fails("there is a bundle already");
        room.feed(&["bundle", "set", "aws.ID"], b"2").ok();
        assert_eq!(room.names(), ["aws.env", "key", "secrets.age"], "{at}");
    };
    assert!(traced.kill_at(|_, _| true, check) >= 10);
    traced.fail_at(&FAILING, &["ENOSPC", "EIO"], check);
}

/// A key for us, one for bob, and a copy of the bundle of when carol could open it too.
fn with_bob() -> Room {
    let room = Room::furnished();
    for name in ["bob", "carol"] {
        let key = room.keygen(name);
        room.run(&["bundle", "recipients", "add", name, &key]).ok();
    }
    room.run(&["bundle", "recipients", "remove", "carol", "--yes"]).ok();
    assert_eq!(copies(&room).len(), 1);
    room
}

/// The copies of the bundle, as paths in the room.
fn copies(room: &Room) -> Vec<String> {
    let names = names_in(&room.path("backups/bundle"));
    names.into_iter().filter(|name| !name.starts_with('.')).map(|name| format!("backups/bundle/{name}")).collect()
}

/// Does this identity open this age file, as age itself sees it?
fn opens(room: &Room, key: &str, file: &str) -> bool {
    room.other("age", &["-d", "-i", key, "-o", "/dev/null", file], b"").expect("age is here").code == 0
}

#[test]
fn a_removal_is_whole_or_not_at_all_at_every_call() {
    if !can_trace() {
        return;
    }
    let room = with_bob();
    let remove = ["bundle", "recipients", "remove", "bob", "--yes"];
    let traced = Traced::new(&room, &remove, b"");
    let generation = room.generation();
    let check = |at: &str, said: Option<&Said>| {
        let keys = ["key", "bob", "carol"];
        assert_sealed(&room, &keys);
        let list = room.run(&["bundle", "recipients", "list", "-o", "json"]).ok().stdout;
        let list: serde_json::Value = serde_json::from_str(&list).unwrap();
        let is_new = list["generation"] == generation + 1;
        assert!(is_new || list["generation"] == generation, "{at}");
        assert_eq!(list["exposures"].as_array().unwrap().len(), 1 + usize::from(is_new), "{at}: {list}");
        assert_eq!(opens(&room, "bob", "secrets.age"), !is_new, "{at}");
        assert!(copies(&room).iter().all(|copy| opens(&room, "key", copy)), "{at}");
        assert_honest(at, said, is_new);
        if said.is_some_and(|said| said.stderr.contains("writing to stdout")) {
            assert!(
                copies(&room).iter().all(|copy| !opens(&room, "bob", copy)),
                "{at}: nobody reads, and it is done all the same"
            );
        }
        if said.is_some() && !is_new {
            assert!(traced.before.is_as_it_was(&room), "{at}: {:?}", copies(&room));
        }
        // Once more, or with the copies that were not reached.
        room.run(if is_new { &["bundle", "rekey"] } else { &remove }).ok();
        let files = [copies(&room), vec!["secrets.age".to_owned()]].concat();
        assert!(files.iter().all(|file| opens(&room, "key", file) && !opens(&room, "bob", file)), "{at}: {files:?}");
        assert_eq!(room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout, format!("{POISON}\n"));
        let names = [room.names(), names_in(&room.path("backups/bundle"))].concat();
        assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{at}: {names:?}");
    };
    assert!(traced.kill_at(|_, _| true, check) >= 60);
    traced.fail_at(&FAILING, &["ENOSPC"], check);
    traced.fail_at(&["write", "fsync", "rename"], &["EIO", "EDQUOT"], check);
}

/// A bundle that a password opens through `vault-identity.age`, and a key that is not at hand.
fn with_password() -> Room {
    let room = Room::empty();
    fs::rename(room.path("key"), room.path("alice")).unwrap();
    room.put_private("old", b"das alte Wort\n");
    room.put_private("new", b"das neue Wort\n");
    room.put("in/aws.env", &format!("SECRET={POISON}\n"));
    let text = fs::read_to_string(room.path("alice")).unwrap();
    let alice = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    room.run(&["bundle", "create", "in", "--password-file", "old"]).ok();
    fs::remove_dir_all(room.path("in")).unwrap();
    room.run(&["bundle", "recipients", "add", "alice", alice, "--password-file", "old"]).ok();
    room
}

/// Each run of these takes seconds, so it is killed only where a file takes another's place, and failed only before the bundle does.
#[test]
fn a_new_password_leaves_one_of_the_two_that_opens() {
    if !can_trace() {
        return;
    }
    let room = with_password();
    let rekey = ["bundle", "rekey", "--password-file", "old", "--new-password-file", "new"];
    let mut traced = Traced::new(&room, &rekey, b"");
    let is_rename = |(name, _): &&(String, usize)| name.starts_with("rename");
    let renames = traced.calls.iter().filter(is_rename).count();
    assert_eq!(renames, 7, "a copy, the identity, the bundle, the identity, the copy, and two of what is remembered");
    let opens = |word: &str| room.run(&["bundle", "check", "--password-file", word]).code == 0;
    let check = |at: &str, _: Option<&Said>| {
        assert_sealed(&room, &["alice", "old", "new"]);
        let (new, old) = (opens("new"), opens("old"));
        assert_eq!((new, old), if at.ends_with(" 2") { (false, true) } else { (true, false) }, "{at}");
        assert!(copies(&room).iter().all(|copy| super::save_faults::opens(&room, "alice", copy)), "{at}");
        if at.ends_with(" 3") {
            // Killed when only the identity was there: with the new password it goes on.
            room.run(&["bundle", "rekey", "--password-file", "new", "--new-password-file", "new"]).ok();
            assert!(opens("new") && !opens("old"), "{at}");
            let names = [room.names(), names_in(&room.path("backups/bundle"))].concat();
            assert!(!names.iter().any(|name| name.ends_with(".tmp")), "{at}: {names:?}");
        }
    };
    traced.kill_at(|name, count| name.starts_with("rename") && (2..=5).contains(&count), check);
    // The bundle takes its place at the third rename; where one fails until then, all of it is as it was.
    let third = traced.calls.iter().enumerate().filter(|(_, (name, _))| name.starts_with("rename")).nth(2).unwrap().0;
    traced.calls.truncate(third + 1);
    traced.fail_at(&["rename"], &["ENOSPC"], |at, said| {
        assert_eq!(said.unwrap().code, 1, "{at}");
        assert!(traced.before.is_as_it_was(&room), "{at}: {:?}", room.names());
    });
}
