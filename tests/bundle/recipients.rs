//! Who can open the bundle: keys of every kind come and go, and who goes leaves a list of what he could read.

use super::room::{POISON, Room, Said, names_in};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::MetadataExt;

/// What `recipients list` knows.
pub fn listed(room: &Room, with: &[&str]) -> Value {
    let said = room.run(&[&["bundle", "recipients", "list", "-o", "json"], with].concat()).ok();
    serde_json::from_str(&said.stdout).unwrap()
}

fn labels(list: &Value) -> Vec<&str> {
    list["recipients"].as_array().unwrap().iter().filter_map(|one| one["label"].as_str()).collect()
}

fn add(room: &Room, label: &str, recipient: &str) -> Said {
    room.run(&["bundle", "recipients", "add", label, recipient])
}

/// A room where bob has a key of his own, which opens the bundle.
fn with_bob() -> Room {
    let room = Room::furnished();
    let key = room.keygen("bob");
    add(&room, "bob", &key).ok();
    room
}

/// `ssh-keygen`, with the key in this file; false if it is not here.
fn ssh_key(room: &Room, file: &str, options: &[&str]) -> bool {
    let args = [&["-q", "-C", "someone@laptop", "-f", file][..], options].concat();
    let made = room.other("ssh-keygen", &args, b"");
    if made.is_none() {
        eprintln!("skipped: ssh-keygen is not here");
    }
    made.map(Said::ok).is_some()
}

/// Debian's age and tar, with this identity.
fn by_age(room: &Room, identity: &str) -> Said {
    let line = format!("age -d -i {identity} secrets.age | tar xzO services/aws.env");
    room.other("sh", &["-c", &line], b"").unwrap()
}

#[test]
fn each_kind_of_key_opens_it_here_and_with_age() {
    let room = Room::furnished();
    let kinds: [(&str, &[&str]); 3] = [
        ("ed", &["-t", "ed25519", "-N", ""]),
        ("rsa", &["-t", "rsa", "-b", "2048", "-N", ""]),
        ("pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", ""]),
    ];
    for (file, options) in kinds {
        if !ssh_key(&room, file, options) {
            return;
        }
    }
    let other = room.keygen("other");
    add(&room, "other", &other).ok();
    assert_eq!(
        add(&room, "ed", "ed.pub").ok().stderr.lines().next().unwrap(),
        format!("gains access: ed ({})", word(&room, "ed"))
    );
    // Pasted without quotes it comes as three words.
    let line = fs::read_to_string(room.path("rsa.pub")).unwrap();
    let words: Vec<&str> = line.split_whitespace().collect();
    room.run(&[&["bundle", "recipients", "add", "rsa"], &words[..]].concat()).ok();
    add(&room, "pem", "./pem.pub").ok();
    let list = listed(&room, &[]);
    assert_eq!(labels(&list), ["other", "ed", "rsa", "pem"]);
    let shown = room.run(&["bundle", "recipients", "list"]).ok().stdout;
    for file in ["ed", "rsa", "pem"] {
        assert!(shown.contains(&word(&room, file)) && !shown.contains("someone@laptop"), "{shown}");
    }
    for (number, file) in ["other", "ed", "rsa", "pem"].iter().enumerate() {
        let value = format!("ID={number}");
        assert_eq!(room.run(&["bundle", "get", "aws.SECRET", "--identity", file]).ok().stdout, format!("{POISON}\n"));
        room.feed(&["bundle", "set", "aws.ID", "--identity", file], number.to_string().as_bytes()).ok();
        assert!(by_age(&room, file).ok().stdout.contains(&value), "{file}");
    }
    // A key that is of no use for it says which one it is.
    room.run(&["bundle", "recipients", "remove", "ed", "--yes"]).ok();
    let said = room.run(&["bundle", "list", "--identity", "ed"]).fails("nothing at hand opens it");
    assert!(said.stderr.contains(&format!("ed: it is the key of {}", word(&room, "ed"))), "{}", said.stderr);
    assert!(said.stderr.contains("sealed to 4 keys: 2 X25519, ssh-rsa (tag "), "{}", said.stderr);
    assert_ne!(by_age(&room, "ed").code + i32::from(by_age(&room, "ed").stdout.is_empty()), 0);
}

/// The fingerprint as ssh-keygen has it.
fn word(room: &Room, file: &str) -> String {
    let shown = room.other("ssh-keygen", &["-l", "-f", &format!("{file}.pub")], b"").unwrap().ok().stdout;
    shown.split(' ').nth(1).unwrap().to_owned()
}

#[test]
fn a_locked_ssh_key_wants_its_passphrase() {
    let room = Room::furnished();
    if !ssh_key(&room, "ed", &["-t", "ed25519", "-N", "p4ss der Schale"])
        || !ssh_key(&room, "rsa", &["-t", "rsa", "-b", "2048", "-N", "p4ss der Schale"])
    {
        return;
    }
    room.put_private("passphrase", b"p4ss der Schale\n");
    room.put_private("wrong", b"not it\n");
    add(&room, "ed", "ed.pub").ok();
    add(&room, "rsa", "rsa.pub").ok();
    for file in ["ed", "rsa"] {
        let list = ["bundle", "list", "--identity", file];
        let with = |name: &str| room.run_with(&list, b"", &[("DISTRIBUTE_SSH_PASSPHRASE_FILE", name)]);
        room.run(&list).fails(&format!(
            "{file}: it is locked with a passphrase: name a file that holds it in DISTRIBUTE_SSH_PASSPHRASE_FILE"
        ));
        with("wrong").fails(&format!("{file}: it is locked, and no passphrase at hand unlocks it"));
        with("passphrase").ok();
        with("./missing").fails("missing: it cannot be read");
        room.chmod("passphrase", 0o644);
        assert!(with("passphrase").fails("mode").stderr.contains("chmod 600"));
        room.chmod("passphrase", 0o600);
        room.run(&["bundle", "list", "--identity", file, "--password-file", "passphrase"]).ok();
        let Some(asked) = room.on_terminal(&list, &[("passphrase of", "p4ss der Schale\r")]) else { return };
        assert!(
            asked.code == 0 && asked.stdout.contains("aws") && !asked.stdout.contains("Schale"),
            "{}",
            asked.stdout
        );
        let wrong = room.on_terminal(&list, &[("passphrase of", "no\r")]).unwrap();
        assert!(wrong.code == 1 && wrong.stdout.contains("not its passphrase"), "{}", wrong.stdout);
    }
    // A locked key in the old format is none that age takes, and no stranger's program is asked.
    assert!(ssh_key(&room, "pem", &["-t", "rsa", "-b", "2048", "-m", "PEM", "-N", "p4ss der Schale"]));
    room.run(&["bundle", "list", "--identity", "pem"]).fails("pem: it is not an SSH key that age can use");
}

#[test]
fn what_is_no_recipient_is_refused_and_no_key_is_shown() {
    let room = Room::furnished();
    let keys: [(&str, &[&str]); 3] = [
        ("ecdsa", &["-t", "ecdsa", "-N", ""]),
        ("short", &["-t", "rsa", "-b", "1024", "-N", ""]),
        ("ed", &["-t", "ed25519", "-N", ""]),
    ];
    for (file, options) in keys {
        if !ssh_key(&room, file, options) {
            return;
        }
    }
    let secret = fs::read_to_string(room.path("key")).unwrap().lines().last().unwrap().to_owned();
    room.put("two.pub", &format!("{0}\n{0}\n", room.public_key()));
    room.put("none.pub", "# nothing\n");
    let line = fs::read_to_string(room.path("ed.pub")).unwrap();
    let (before, cut) = (room.bundle(), line.split(' ').nth(1).unwrap()[..40].to_owned());
    let mut mistyped = room.public_key();
    let last = mistyped.pop().unwrap();
    mistyped.push(if last == 'q' { 'p' } else { 'q' });
    for (label, recipient, word) in [
        ("alice", "ecdsa.pub", "age seals to ssh-ed25519 and ssh-rsa keys only"),
        ("alice", "short.pub", "less than 2048 bits"),
        ("alice", &format!("ssh-ed25519 {cut}"), "cut off or altered"),
        ("alice", "ed", "ed: it is a private key"),
        ("alice", "key", "key: it is an identity, which stays with its owner"),
        ("alice", &secret, "a secret key was given as a recipient"),
        ("alice", &secret.to_lowercase(), "a secret key was given as a recipient"),
        ("alice", "two.pub", "two.pub: it holds 2 recipients, not one"),
        ("alice", "none.pub", "none.pub: it holds 0 recipients, not one"),
        ("alice", "age1pq1qqqq", "post-quantum recipients are not supported yet"),
        ("alice", &mistyped, "is not a recipient"),
        ("alice", "age1test1qqqq", "is not the recipient of a plugin"),
        ("alice", "missing.pub", "is not a recipient"),
        ("password", &room.public_key(), "whoever knows the password"),
    ] {
        let said = add(&room, label, recipient).fails(word);
        let half = &secret[15..40];
        assert!(!said.stderr.contains(half) && !said.stderr.contains(&half.to_lowercase()), "{}", said.stderr);
        assert!(!said.stderr.contains("OPENSSH PRIVATE KEY"), "{}", said.stderr);
        assert!(room.bundle() == before, "{label} {recipient}");
    }
    // An option behind a key is an option, and not a part of it.
    let pasted =
        [&["bundle", "recipients", "add", "alice"], &line.split_whitespace().collect::<Vec<_>>()[..], &["--check"]]
            .concat();
    assert!(room.run(&pasted).ok().stderr.contains("nothing was written") && room.bundle() == before);
    // A label that would be an option, or text that paints a terminal.
    let key = room.public_key();
    for label in ["", "ä", &"x".repeat(65), "a b", "a=b", "a/b", "\u{1b}[31m", "a\nb"] {
        let said = add(&room, label, &key).fails("is not a label");
        assert!(!said.stderr.contains('\u{1b}'), "{}", said.stderr);
    }
    assert!(room.bundle() == before);
}

#[test]
fn a_name_has_one_key_and_a_key_has_one_name() {
    let room = with_bob();
    let (bob, other) = (fs::read_to_string(room.path("bob")).unwrap(), room.keygen("other"));
    let bob = bob.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let before = room.bundle();
    let same = add(&room, "bob", bob).ok();
    assert!(same.stderr.contains("nothing changed") && room.bundle() == before, "{}", same.stderr);
    let taken = add(&room, "bob", &other).fails("bob has a key already");
    assert!(
        taken.stderr.contains("such as bob-laptop") && taken.stderr.contains("recipients remove bob"),
        "{}",
        taken.stderr
    );
    add(&room, "robert", bob).fails("is there already, as bob");
    assert!(room.bundle() == before);
    // The key that the bundle was made with has no name yet; it gets one, and keeps its place.
    add(&room, "me", &room.public_key()).ok();
    assert_eq!(labels(&listed(&room, &[])), ["me", "bob"]);
    room.run(&["bundle", "recipients", "remove", "bbo", "--yes"]).fails("did you mean bob?");
}

#[test]
fn a_removal_wants_a_yes() {
    let room = with_bob();
    let remove = ["bundle", "recipients", "remove", "bob"];
    let before = room.bundle();
    assert!(room.run(&remove).fails("there is nobody to ask").stderr.contains("--yes"));
    let question = "bob will not open the bundle any more: go on? [y/N]";
    for (key, word) in [("n", "not confirmed; nothing was changed"), ("\r", "not confirmed"), ("\u{3}", "interrupted")]
    {
        let Some(said) = room.on_terminal(&remove, &[(question, key)]) else { return };
        assert!(said.code == 1 && said.stdout.contains(word) && room.bundle() == before, "{}", said.stdout);
    }
    let said = room.on_terminal(&remove, &[(question, "y")]).unwrap();
    assert!(said.code == 0 && said.stdout.contains("loses access: bob"), "{}", said.stdout);
    room.run(&["bundle", "list", "--identity", "bob"]).fails("nothing at hand opens it");
}

/// Names, bytes and times of everything in the room.
fn everything(room: &Room) -> Vec<(String, Vec<u8>, i64, i64)> {
    let entries = walkdir::WalkDir::new(room.path("")).sort_by_file_name().into_iter().map(Result::unwrap);
    let one = |entry: walkdir::DirEntry| {
        let found = entry.metadata().unwrap();
        let bytes = if found.is_file() { fs::read(entry.path()).unwrap() } else { Vec::new() };
        (entry.path().display().to_string(), bytes, found.mtime(), found.mtime_nsec())
    };
    entries.map(one).collect()
}

#[test]
fn check_changes_nothing_and_says_what_the_run_does() {
    let room = with_bob();
    let carol = room.keygen("carol");
    let before = everything(&room);
    for args in [
        &["bundle", "recipients", "remove", "bob"][..],
        &["bundle", "recipients", "add", "carol", &carol],
        &["bundle", "rekey"],
        &["bundle", "rekey", "--add", &format!("carol={carol}"), "--remove", "bob"],
    ] {
        let check = room.run(&[args, &["--check"]].concat()).ok();
        assert!(check.stderr.contains("--check: nothing was written"), "{}", check.stderr);
        assert!(everything(&room) == before, "{args:?}");
        let report = |check: &[&str]| -> Value {
            let said = room.run(&[args, &["-o", "json"], check].concat()).ok();
            serde_json::from_str(&said.stdout).unwrap()
        };
        let mut would = report(&["--check"]);
        assert!(everything(&room) == before, "{args:?}");
        let saved = room.bundle();
        let does = report(&["--yes"]);
        assert_eq!(
            (&would["check"], would["generation"].as_u64()),
            (&json!(true), does["generation"].as_u64().map(|n| n - 1))
        );
        (would["check"], would["generation"]) = (does["check"].clone(), does["generation"].clone());
        // When it was removed is a reading of the clock.
        for report in [&mut would] {
            if let Some(list) = report["exposures"].as_array_mut() {
                list.iter_mut()
                    .zip(does["exposures"].as_array().unwrap())
                    .for_each(|(one, other)| one["removed"] = other["removed"].clone());
            }
        }
        assert_eq!(would, does, "{args:?}");
        // Back to where it began, for the next one.
        fs::write(room.path("secrets.age"), saved).unwrap();
        let _ = fs::remove_dir_all(room.path("backups"));
        for entry in fs::read_dir(room.state()).unwrap() {
            fs::remove_file(entry.unwrap().path()).unwrap();
        }
        room.run(&["bundle", "check"]).ok();
        let names = |all: &[(String, Vec<u8>, i64, i64)]| {
            all.iter().map(|one| (one.0.clone(), one.1.clone())).collect::<Vec<_>>()
        };
        assert!(names(&everything(&room)) == names(&before));
        filetime_of(&room, &before);
    }
}

/// The times of then, where the bytes are those of then.
fn filetime_of(room: &Room, before: &[(String, Vec<u8>, i64, i64)]) {
    for (path, _, seconds, nanos) in before {
        let time = std::time::UNIX_EPOCH + std::time::Duration::new(*seconds as u64, *nanos as u32);
        fs::File::open(path).unwrap().set_modified(time).unwrap();
    }
    assert!(everything(room) == before);
}

#[test]
fn nobody_locks_himself_out() {
    let room = with_bob();
    let me = room.public_key();
    let before = everything(&room);
    for check in [&["--yes"][..], &["--check"]] {
        let run = |args: &[&str]| room.run(&[args, check].concat());
        run(&["bundle", "recipients", "remove", &me]).fails("nothing at hand would open the bundle then, only bob");
        run(&["bundle", "rekey", "--remove", &me]).fails("nothing at hand would open the bundle then");
        run(&["bundle", "recipients", "remove", &me, "bob"]).fails("then nobody could open the bundle any more");
        let only = run(&["bundle", "recipients", "remove", "bob", "--identity", "bob"]);
        only.fails(&format!("only {me}"));
        assert!(everything(&room) == before);
    }
    // With bob's identity at hand, it can be handed over to him.
    room.run(&["bundle", "recipients", "remove", &me, "--yes", "--identity", "key", "--identity", "bob"]).ok();
    assert_eq!(labels(&listed(&room, &["--identity", "bob"])), ["bob"]);
    room.run(&["bundle", "list"]).fails("nothing at hand opens it");
}

/// What of this one's list is left.
fn left(list: &Value, index: usize) -> Vec<&str> {
    list["exposures"][index]["left"].as_array().unwrap().iter().map(|name| name.as_str().unwrap()).collect()
}

#[test]
fn who_is_removed_opens_nothing_and_his_list_shrinks() {
    let room = with_bob();
    let carol = room.keygen("carol");
    add(&room, "carol", &carol).ok();
    let all = ["aws.ID", "aws.SECRET", "groups/web/aws.ID", "tls/cert.pem"];
    let said = room.run(&["bundle", "recipients", "remove", "bob", "--yes"]).ok();
    assert!(said.stdout.starts_with("bob could read 4 secrets:\n"), "{}", said.stdout);
    assert!(said.stdout.contains("distribute rotate --compromised bob"), "{}", said.stdout);
    assert!(
        said.stderr.contains("loses access: bob (age1") && said.stderr.contains("1 copy of the bundle"),
        "{}",
        said.stderr
    );
    // Not the bundle, not its copies, not what is sealed in it.
    room.run(&["bundle", "list", "--identity", "bob"]).fails("nothing at hand opens it");
    assert_ne!(room.other("age", &["-d", "-i", "bob", "secrets.age"], b"").unwrap().code, 0);
    for copy in names_in(&room.path("backups/bundle")) {
        let open = |key: &str| {
            room.other("age", &["-d", "-i", key, "-o", "/dev/null", &format!("backups/bundle/{copy}")], b"")
                .unwrap()
                .code
        };
        assert_eq!((open("key"), open("carol"), open("bob") == 0), (0, 0, false), "{copy}");
    }
    room.by_hand("tar xzO keys/backup.age > key.age");
    for (key, is_for) in [("key", true), ("carol", true), ("bob", false)] {
        assert_eq!(
            room.other("age", &["-d", "-i", key, "-o", "/dev/null", "key.age"], b"").unwrap().code == 0,
            is_for,
            "{key}"
        );
    }
    fs::remove_file(room.path("key.age")).unwrap();

    assert_eq!(left(&listed(&room, &[]), 0), all);
    room.feed(&["bundle", "set", "aws.ID"], b"9").ok();
    assert_eq!(left(&listed(&room, &[]), 0), all[1..]);
    room.run(&["bundle", "set", "aws.SECRET", "--generate", "alnum:20"]).ok();
    room.feed(&["bundle", "set", "aws.ID", "--group", "web"], b"8").ok();
    assert_eq!(left(&listed(&room, &[]), 0), ["tls/cert.pem"]);
    // A new secret is not on it, unless it gets a value that he could read of another.
    room.feed(&["bundle", "set", "aws.OWN"], b"nobody had this").ok();
    room.feed(&["bundle", "set", "aws.NEW"], POISON.as_bytes()).ok();
    assert_eq!(left(&listed(&room, &[]), 0), ["aws.NEW", "tls/cert.pem"]);
    room.feed(&["bundle", "set", "aws.NEW"], b"nor this one").ok();
    // Carol goes too: her list is of now, his goes on.
    room.run(&["bundle", "recipients", "remove", "carol", "--yes"]).ok();
    let list = listed(&room, &[]);
    assert_eq!((left(&list, 0), left(&list, 1).len()), (vec!["tls/cert.pem"], 6));
    assert_eq!((&list["exposures"][0]["label"], &list["exposures"][1]["label"]), (&json!("bob"), &json!("carol")));
    room.feed(&["bundle", "set", "tls/cert.pem"], b"another").ok();
    assert_eq!((left(&listed(&room, &[]), 0).len(), left(&listed(&room, &[]), 1).len()), (0, 5));
    let shown = room.run(&["bundle", "recipients", "list"]).ok().stdout;
    assert!(
        shown.contains("all of 4 secrets rotated or removed since")
            && shown.contains("5 of 6 secrets not rotated since"),
        "{shown}"
    );
    // The old value again is known to him again.
    room.run(&["bundle", "revert", "aws.SECRET"]).ok();
    assert_eq!(left(&listed(&room, &[]), 0), ["aws.SECRET"]);
    // A line that is taken out is not there to be known.
    room.edit(&["bundle", "edit", "aws"], "sed -i /SECRET/d").ok();
    assert_eq!(left(&listed(&room, &[]), 0), Vec::<&str>::new());
    // Added again, bob may read all of it, and his list of then stays.
    let bob = room.other("age-keygen", &["-y", "bob"], b"").unwrap().ok().stdout;
    add(&room, "bob", bob.trim()).ok();
    assert_eq!(listed(&room, &["--identity", "bob"])["exposures"].as_array().unwrap().len(), 2);
}

#[test]
fn a_copy_that_takes_the_bundles_place_lets_nobody_in_again() {
    let room = with_bob();
    let carol = room.keygen("carol");
    add(&room, "carol", &carol).ok();
    add(&room, "me", &room.public_key()).ok();
    room.run(&["bundle", "recipients", "remove", "bob", "--yes"]).ok();
    fs::remove_file(room.path("secrets.age")).unwrap();
    let check = room.run(&["bundle", "restore", "--previous", "--check"]).ok();
    assert!(check.stderr.contains("bob (age1") && !room.path("secrets.age").exists(), "{}", check.stderr);
    let said = room.run(&["bundle", "restore", "--previous", "--yes"]).ok();
    assert!(said.stderr.contains("was taken out since, and gets no access by the copy"), "{}", said.stderr);
    room.run(&["bundle", "list", "--identity", "bob"]).fails("nothing at hand opens it");
    room.run(&["bundle", "list", "--identity", "carol"]).ok();
    let list = listed(&room, &[]);
    assert_eq!((labels(&list), left(&list, 0).len()), (vec!["me", "carol"], 4));
}

#[test]
fn an_identity_for_somebody_else_says_for_whom() {
    let room = with_bob();
    let stranger = room.keygen("stranger");
    let me = room.public_key();
    let said = room.run(&["bundle", "list", "--identity", "stranger"]).fails("nothing at hand opens it");
    for part in [
        format!("stranger: it is the key of {stranger}, and the file is not sealed to that"),
        "it is sealed to 2 keys: 2 X25519".to_owned(),
        "opened here last, it was sealed to ".to_owned(),
        format!("{me}, bob (age1"),
    ] {
        assert!(said.stderr.contains(&part), "{part}: {}", said.stderr);
    }
    // Elsewhere nobody knows their names.
    let fresh = [("DISTRIBUTE_STATE_DIR", "elsewhere")];
    let said = room.run_with(&["bundle", "list", "--identity", "stranger"], b"", &fresh).fails("2 X25519");
    assert!(!said.stderr.contains("bob"), "{}", said.stderr);
}
