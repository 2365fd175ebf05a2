//! Whoever knows the password: alone, or beside recipients through `vault-identity.age`. Each password costs a second, so each story is one.

use super::recipients::listed;
use super::room::{Room, names_in};
use std::fs;

/// A bundle with the password in `old`, and alice's key beside it; no identity is at hand unless it is named.
fn with_alice() -> (Room, String) {
    let room = Room::empty();
    fs::rename(room.path("key"), room.path("alice")).unwrap();
    room.put_private("old", b"das alte Wort\n");
    room.put_private("new", b"das neue Wort\n");
    room.put("aws.env", "ID=1\n");
    room.run(&["bundle", "create", "aws.env", "--password-file", "old"]).ok();
    let text = fs::read_to_string(room.path("alice")).unwrap();
    let alice = text.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    (room, alice)
}

fn labels(room: &Room, with: &[&str]) -> Vec<String> {
    let list = listed(room, with);
    list["recipients"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap().to_owned()).collect()
}

/// Does this password open this age file, with what it unlocks?
fn opens(room: &Room, password: &str, file: &str) -> bool {
    let args = ["bundle", "check", "--bundle", file, "--password-file", password];
    // A copy lies elsewhere than the identity that the password locks.
    let identity = ["--identity", "vault-identity.age"];
    let is_copy = file.starts_with("backups/") && room.path("vault-identity.age").exists();
    let said = room.run(&[&args[..], if is_copy { &identity } else { &[] }].concat());
    assert!(said.code == 0 || said.stderr.contains("nothing at hand opens it"), "{}", said.stderr);
    said.code == 0
}

#[test]
fn a_password_goes_on_to_open_it_beside_recipients() {
    let (room, alice) = with_alice();
    let said = room.run(&["bundle", "recipients", "add", "alice", &alice, "--password-file", "old"]).ok();
    assert!(
        said.stderr.contains("gains access: alice") && said.stderr.contains("the password opens it as before"),
        "{}",
        said.stderr
    );
    assert_eq!(labels(&room, &["--password-file", "old"]), ["password", "alice"]);
    assert!(fs::read(room.path("vault-identity.age")).unwrap().starts_with(b"-----BEGIN AGE ENCRYPTED FILE-----"));
    room.run(&["bundle", "get", "aws.ID", "--identity", "alice"]).ok();
    // git keeps no mode 600, and it is locked.
    room.chmod("vault-identity.age", 0o644);
    assert!(opens(&room, "old", "secrets.age") && !opens(&room, "new", "secrets.age"));
    // Altered, cut off, another's, not locked, gone: each is told.
    let whole = fs::read(room.path("vault-identity.age")).unwrap();
    let text = String::from_utf8(whole.clone()).unwrap();
    let list = ["bundle", "list", "--password-file", "old"];
    let letter = text.len() - 60;
    let mut altered = whole.clone();
    altered[letter] = if altered[letter] == b'A' { b'B' } else { b'A' };
    room.run(&["keygen", "-o", "foreign", "--lock", "--password-file", "new"]).ok();
    let foreign = fs::read(room.path("foreign")).unwrap();
    room.run(&["keygen", "-o", "clear"]).ok();
    let clear = fs::read(room.path("clear")).unwrap();
    for (bytes, word) in [
        (&altered[..], "vault-identity.age: it is cut off or altered"),
        (&whole[..whole.len() / 2], "vault-identity.age: it is no identity that a password locks"),
        (&foreign, "vault-identity.age: it is locked, and the password does not unlock it"),
        (&clear, "vault-identity.age: it is no identity that a password locks"),
        (b"", "vault-identity.age: it is no identity that a password locks"),
    ] {
        fs::write(room.path("vault-identity.age"), bytes).unwrap();
        let said = room.run(&list).fails(word);
        assert!(!said.stderr.contains("AGE-SECRET-KEY"), "{}", said.stderr);
        // Alice does not need it, as long as nobody names a password.
        room.run(&["bundle", "get", "aws.ID", "--identity", "alice"]).ok();
    }
    fs::remove_file(room.path("vault-identity.age")).unwrap();
    room.run(&list).fails("a password does not open it, it is sealed to keys");
    fs::write(room.path("vault-identity.age"), whole).unwrap();
    room.run(&list).ok();
}

#[test]
fn a_new_password_and_the_old_one_opens_nothing() {
    let (room, alice) = with_alice();
    room.run(&["bundle", "recipients", "add", "alice", &alice, "--password-file", "old"]).ok();
    let rekey = ["bundle", "rekey", "--password-file", "old", "--new-password-file", "new"];
    let before = (room.bundle(), room.names(), fs::read(room.path("vault-identity.age")).unwrap());
    let check = room.run(&[&rekey[..], &["--check"]].concat()).ok();
    assert!(
        check.stderr.contains("gains access: password") && check.stderr.contains("loses access: password"),
        "{}",
        check.stderr
    );
    assert!((room.bundle(), room.names(), fs::read(room.path("vault-identity.age")).unwrap()) == before);
    let same = ["bundle", "rekey", "--password-file", "old", "--new-password-file", "old"];
    room.run(&same).fails("the password that it has already");
    // While somebody else saves it, nothing that lies beside it changes.
    let held = fs::File::open(room.path("secrets.age")).unwrap();
    held.lock().unwrap();
    room.run(&rekey).fails("somebody else is saving it right now");
    assert!((room.bundle(), room.names(), fs::read(room.path("vault-identity.age")).unwrap()) == before);
    drop(held);

    room.run(&rekey).ok();
    assert_eq!(labels(&room, &["--password-file", "new"]), ["alice", "password"]);
    let copies = names_in(&room.path("backups/bundle"));
    assert_eq!(copies.len(), 1);
    let copy = format!("backups/bundle/{}", copies[0]);
    for file in ["secrets.age", &copy] {
        assert!(opens(&room, "new", file) && !opens(&room, "old", file), "{file}");
        room.run(&["bundle", "check", "--bundle", file, "--identity", "alice"]).ok();
    }
    let said = room.run(&["bundle", "list", "--password-file", "old"]).fails("nothing at hand opens it");
    assert!(
        said.stderr.contains("vault-identity.age: it is locked, and the password does not unlock it"),
        "{}",
        said.stderr
    );
    // The former identity went with the former password.
    let list = listed(&room, &["--password-file", "new"]);
    assert_eq!(list["exposures"].as_array().unwrap().len(), 1, "{list}");
    assert_eq!(list["exposures"][0]["left"], serde_json::json!(["aws.ID"]));
}

#[test]
fn a_password_alone() {
    let (room, alice) = with_alice();
    room.run(&["bundle", "recipients", "add", "alice", &alice, "--password-file", "old"]).ok();
    let only = ["bundle", "rekey", "--password-only", "--new-password-file", "new", "--password-file", "old"];
    assert!(room.run(&only).fails("there is nobody to ask").stderr.contains("--yes"));
    let said = room.run(&[&only[..], &["--yes"]].concat()).ok();
    assert!(
        said.stderr.contains("loses access: alice")
            && said.stderr.contains("gains access: whoever knows the new password"),
        "{}",
        said.stderr
    );
    assert!(said.stderr.contains("vault-identity.age opens nothing any more: remove it"), "{}", said.stderr);
    assert!(labels(&room, &["--password-file", "new"]).is_empty());
    room.run(&["bundle", "list", "--identity", "alice"]).fails("a key does not open it, it is sealed with a password");
    assert!(!opens(&room, "old", "secrets.age"));
    fs::remove_file(room.path("vault-identity.age")).unwrap();
    // One password after the other; what is kept of the bundle opens with the last one.
    room.run(&["bundle", "rekey", "--password-file", "new"]).fails("--new-password-file PATH");
    room.put_private("third", b"das dritte Wort");
    room.put_private("empty", b"\n");
    room.run(&["bundle", "rekey", "--password-file", "new", "--new-password-file", "empty"])
        .fails("the password file is empty");
    room.run(&["bundle", "rekey", "--password-file", "new", "--new-password-file", "alice"])
        .fails("it holds an identity, not a password");
    room.run(&["bundle", "rekey", "--password-file", "new", "--new-password-file", "new"]).fails("has already");
    room.run(&["bundle", "rekey", "--password-file", "new", "--new-password-file", "third"]).ok();
    let copies = names_in(&room.path("backups/bundle"));
    assert_eq!(copies.len(), 2);
    for file in copies.iter().map(|name| format!("backups/bundle/{name}")).chain(["secrets.age".to_owned()]) {
        assert!(opens(&room, "third", &file) && !opens(&room, "new", &file), "{file}");
    }
    let list = listed(&room, &["--password-file", "third"]);
    let names: Vec<_> =
        list["exposures"].as_array().unwrap().iter().map(|one| one["label"].as_str().unwrap()).collect();
    assert_eq!(names, ["password", "alice", "the password until generation 3"]);
}

#[test]
fn a_new_password_is_typed_twice() {
    let (room, _) = with_alice();
    let rekey = ["bundle", "rekey", "--password-file", "old"];
    let before = room.bundle();
    let (first, again) = ("new password of the bundle:", "the same again:");
    for (answers, word) in [
        (&[(first, "Eins und\r"), (again, "Zwei\r")][..], "the two are not the same; nothing was changed"),
        (&[(first, "\r")], "the password is empty; nothing was changed"),
        (&[(first, "Eins\u{3}")], "interrupted; nothing was changed"),
    ] {
        let Some(said) = room.on_terminal(&rekey, answers) else { return };
        assert!(said.code == 1 && said.stdout.contains(word) && room.bundle() == before, "{}", said.stdout);
        assert!(!said.stdout.contains("Eins") && !said.stdout.contains("Zwei"), "{}", said.stdout);
    }
    let said = room.on_terminal(&rekey, &[(first, "das neue Wort\r"), (again, "das neue Wort\r")]).unwrap();
    assert!(
        said.code == 0 && said.stdout.contains("loses access: whoever knows only the password until now"),
        "{}",
        said.stdout
    );
    assert!(!said.stdout.contains("das neue"), "{}", said.stdout);
    assert!(opens(&room, "new", "secrets.age") && !opens(&room, "old", "secrets.age"));
}
