//! What opens a bundle, and what is said when nothing does.

use super::room::{POISON, Room};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::time::{Duration, Instant};

#[test]
fn a_password_seals_and_opens_and_a_wrong_one_is_named() {
    let room = Room::empty();
    fs::remove_file(room.path("key")).unwrap();
    room.put("aws.env", &format!("A={POISON}\n"));
    room.run(&["bundle", "create", "aws.env"]).fails("no password to seal it with");
    room.put_private("vault-password", b"right\n");
    room.run(&["bundle", "create", "aws.env"]).ok();
    assert!(room.run(&["bundle", "check"]).ok().stdout.contains("sealed to a password"));
    assert_eq!(room.by_header(), "scrypt 18");
    room.put_private("wrong", b"not it\n");
    let said = room.run(&["bundle", "list", "--password-file", "wrong"]).fails("nothing at hand opens it");
    assert!(said.stderr.contains("wrong: wrong password"), "{}", said.stderr);
    fs::remove_file(room.path("vault-password")).unwrap();
    let said = room.run(&["bundle", "list"]).fails("nothing at hand opens it");
    assert!(said.stderr.contains("no --password-file") && said.stderr.contains("vault-password"), "{}", said.stderr);
}

#[test]
fn a_password_file_must_be_private_and_hold_something() {
    let room = Room::furnished();
    let list = |file: &str| room.run(&["bundle", "list", "--password-file", file]);
    list("missing").fails("--password-file or DISTRIBUTE_PASSWORD_FILE: there is no such file");
    list("./missing").fails("missing: it cannot be read");
    for (content, word) in
        [(&b""[..], "empty"), (b"\n", "empty"), (b"a\0b", "NUL"), (&[b'x'; 5000], "4 KiB"), (b"\xff\xfe", "UTF-8")]
    {
        room.put_private("password", content);
        list("password").fails(word);
    }
    room.put_private("password", POISON.as_bytes());
    for mode in [0o644, 0o640, 0o604, 0o700, 0o666] {
        room.chmod("password", mode);
        assert!(list("password").fails("mode").stderr.contains("chmod 600"));
    }
    room.chmod("password", 0o400);
    list("password").ok();
    std::os::unix::fs::symlink("password", room.path("link")).unwrap();
    list("link").fails("symbolic link");
    fs::create_dir(room.path("directory")).unwrap();
    list("directory").fails("not a regular file");
}

#[test]
fn an_identity_file_must_be_private_and_fit() {
    let room = Room::furnished();
    let list = |file: &str| room.run(&["bundle", "list", "--identity", file]);
    room.chmod("key", 0o644);
    list("key").fails("mode is 0644");
    room.chmod("key", 0o600);
    list("key").ok();
    list("./missing").fails("missing: it cannot be read");
    room.run(&["keygen", "-o", "other"]).ok();
    let other = list("other").fails("nothing at hand").stderr;
    assert!(
        other.contains("other: it is the key of age1") && other.contains("the file is not sealed to that"),
        "{other}"
    );
    list("other:key").ok();
    room.put_private("broken", POISON.as_bytes());
    assert!(list("broken").fails("nothing at hand").stderr.contains("line 1: it is not an age identity"));
    room.put_private("ssh", b"-----BEGIN OPENSSH PRIVATE KEY-----\n");
    assert!(list("ssh").fails("nothing at hand").stderr.contains("not an SSH key that age can use"));
}

#[test]
fn keygen_makes_a_key_that_age_takes_and_overwrites_nothing() {
    let room = Room::furnished();
    let before = fs::read(room.path("key")).unwrap();
    assert_eq!(fs::metadata(room.path("key")).unwrap().permissions().mode() & 0o777, 0o600);
    room.run(&["keygen", "-o", "key"]).fails("exists already");
    assert_eq!(fs::read(room.path("key")).unwrap(), before);
    let public = room.run(&["keygen", "--output", "second"]).ok().stdout;
    assert!(public.starts_with("age1") && public.lines().count() == 1);
    let age = std::process::Command::new("age-keygen").args(["-y"]).arg(room.path("second")).output().unwrap();
    assert_eq!(String::from_utf8(age.stdout).unwrap(), public);
}

#[test]
fn a_locked_key_opens_with_its_password_only() {
    let room = Room::empty();
    room.run(&["keygen", "-o", "locked", "--lock"]).fails("no password to lock it with");
    room.put_private("password", b"lock\n");
    let public = room.run(&["keygen", "-o", "locked", "--lock", "--password-file", "password"]).ok().stdout;
    assert!(fs::read(room.path("locked")).unwrap().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
    room.put("aws.env", "A=1\n");
    let created =
        room.run(&["bundle", "create", "aws.env", "--recipient", public.trim(), "--recipient", &room.public_key()]);
    created.ok();
    let locked = room.run(&["bundle", "list", "--identity", "locked"]).fails("nothing at hand");
    assert!(locked.stderr.contains("no password to unlock it"), "{}", locked.stderr);
    room.run(&["bundle", "list", "--identity", "locked", "--password-file", "password"]).ok();
}

#[test]
fn a_bundle_for_others_is_made_without_a_key() {
    let room = Room::empty();
    let key = room.public_key();
    fs::rename(room.path("key"), room.path("away")).unwrap();
    room.put("aws.env", "A=1\n");
    assert!(room.run(&["bundle", "create", "aws.env", "--recipient", &key]).ok().stderr.contains("not opened again"));
    fs::rename(room.path("away"), room.path("key")).unwrap();
    assert_eq!(room.generation(), 1);
}

#[test]
fn a_work_factor_of_thirty_is_refused_at_once() {
    let room = Room::empty();
    room.put_private("vault-password", b"x\n");
    for factor in ["21", "30", "64", "9999"] {
        room.put(
            "secrets.age",
            &format!("age-encryption.org/v1\n-> scrypt c2FsdHNhbHRzYWx0c2FsdA {factor}\nAAAA\n--- AAAA\n"),
        );
        let start = Instant::now();
        room.run(&["bundle", "list"]).fails(&format!("work factor is {factor}"));
        assert!(start.elapsed() < Duration::from_secs(3));
    }
}

impl Room {
    /// The kind of the first stanza, and its last argument.
    fn by_header(&self) -> String {
        let bytes = self.bundle();
        let text = String::from_utf8_lossy(&bytes);
        let words: Vec<&str> = text.lines().nth(1).unwrap().split(' ').collect();
        format!("{} {}", words[1], words.last().unwrap())
    }
}
