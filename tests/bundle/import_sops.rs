//! `bundle import` of what the real SOPS sealed to an age recipient.

use super::room::{POISON, Room};
use super::sealers::{output, sops};
use std::fs;

fn room() -> Option<Room> {
    let room = Room::furnished();
    sops(&room.path("."))?;
    Some(room)
}

/// Seals it in place.
fn seal(room: &Room, name: &str, text: &[u8], args: &[&str]) -> String {
    fs::write(room.path(name), text).unwrap();
    let mut command = sops(&room.path(".")).unwrap();
    output(command.args(["--encrypt", "--in-place", "--age", &room.public_key()]).args(args).arg(name));
    fs::read_to_string(room.path(name)).unwrap()
}

fn import(room: &Room, args: &[&str]) -> super::room::Said {
    room.run(&[&["bundle", "import"][..], args].concat())
}

fn get(room: &Room, name: &str) -> String {
    room.run(&["bundle", "get", name]).ok().stdout
}

const YAML: &str = "# a comment
password: p0ison-Wert-4711
db:
    user: root
    ports:
        - 1
        - 2
    on: true
    ratio: 1.50
key: |
    line 1
    line 2
uni: 'ä ☃ \"x\"'
empty: ''
none: null
region_unencrypted: eu-1
count_unencrypted: 007
flag_unencrypted: true
float_unencrypted: 1.0
";

#[test]
fn yaml_comes_back_as_sops_shows_it() {
    let Some(room) = room() else { return };
    let sealed = seal(&room, "prod.enc.yaml", YAML.as_bytes(), &[]);
    assert!(!sealed.contains(POISON) && sealed.contains("type:comment"));
    import(&room, &["prod.enc.yaml"]).fails("prod.enc.yaml:4: db.user: it lies in a mapping");
    let said = import(&room, &["prod.enc.yaml", "--flatten"]).ok();
    for part in [
        "sealed by SOPS, service prod): 9 new, 5 left out",
        "region_unencrypted: left out, it is in clear text",
        "none: left out, it is null",
        "4 clear values left out",
        "4 values are no texts",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    for (key, path) in [
        ("password", "[\"password\"]"),
        ("db_user", "[\"db\"][\"user\"]"),
        ("db_ports_1", "[\"db\"][\"ports\"][1]"),
        ("db_on", "[\"db\"][\"on\"]"),
        ("db_ratio", "[\"db\"][\"ratio\"]"),
        ("key", "[\"key\"]"),
        ("uni", "[\"uni\"]"),
        ("empty", "[\"empty\"]"),
    ] {
        let mut command = sops(&room.path(".")).unwrap();
        let theirs = output(command.args(["--decrypt", "--extract", path, "prod.enc.yaml"]));
        // It writes a line end behind what is no text.
        let is_text = !["db_ports_1", "db_on", "db_ratio"].contains(&key);
        let theirs = String::from_utf8(theirs).unwrap();
        let theirs = if is_text { &theirs[..] } else { theirs.trim_end() };
        assert_eq!(get(&room, &format!("prod.{key}")).strip_suffix('\n').unwrap(), theirs, "{key}");
    }
    import(&room, &["prod.enc.yaml", "--flatten", "--clear"]).ok();
    assert_eq!(get(&room, "prod.region_unencrypted"), "eu-1\n");
}

#[test]
fn json_env_files_and_files_of_any_kind_too() {
    let Some(room) = room() else { return };
    let json = format!(
        "{{\"a\": \"{POISON}\", \"n\": 12, \"f\": 1.5, \"t\": true, \"l\": [\"x\", null], \"u\": \"\\u00e4\\n\", \"e_unencrypted\": 1e3}}"
    );
    seal(&room, "api.sops.json", json.as_bytes(), &[]);
    import(&room, &["api.sops.json", "--flatten"]).ok();
    assert_eq!(get(&room, "api"), format!("a={POISON}\nn=12\nf=1.5\nt=true\nl_0=x\n#: escaped\nu=ä\\n\n"));
    seal(&room, "web.env", format!("# c\nA={POISON}\nB_unencrypted=1\nC=\n").as_bytes(), &[]);
    let said = import(&room, &["web.env"]).ok();
    assert!(said.stderr.contains("2 new, 1 left out") && said.stderr.contains("1 comment left out"), "{}", said.stderr);
    assert_eq!(get(&room, "web"), format!("A={POISON}\nC=\n"));
    let bytes = [POISON.as_bytes(), b"\n\0\xff\xfe{}\r\n"].concat();
    seal(&room, "keystore.bin", &bytes, &[]);
    assert!(import(&room, &["keystore.bin"]).fails("one key is `data`").stderr.contains("--as"));
    import(&room, &["keystore.bin", "--as", "tls/keystore.bin"]).ok();
    assert_eq!(room.command(&["bundle", "get", "tls/keystore.bin"]).output().unwrap().stdout, bytes);
}

#[test]
fn values_in_a_sealed_env_file_are_not_guessed_either() {
    let Some(room) = room() else { return };
    seal(&room, "x.env", format!("A=\"{POISON}\"\nB=1\\n2\n").as_bytes(), &[]);
    let said = import(&room, &["x.env"]).fails("2 lines stand in the way");
    assert!(
        said.stderr.contains("x.env:1: A: a quote") && said.stderr.contains("x.env:2: B: a backslash"),
        "{}",
        said.stderr
    );
    import(&room, &["x.env", "--dialect", "sops"]).ok();
    let theirs = output(sops(&room.path(".")).unwrap().args(["exec-env", "x.env", "printf '%s|%s' \"$A\" \"$B\""]));
    let ours = [get(&room, "x.A"), get(&room, "x.B")].map(|value| value.strip_suffix('\n').unwrap().to_owned());
    assert_eq!(ours.join("|").as_bytes(), theirs);
}

#[test]
fn what_was_changed_without_sops_is_refused() {
    let Some(room) = room() else { return };
    let sealed = seal(&room, "x.yaml", b"a: one\nb: two\nl: [x, y]\nc_unencrypted: open\n", &[]);
    import(&room, &["x.yaml", "--flatten", "--check"]).ok();
    let before = room.bundle();
    let lines: Vec<&str> = sealed.lines().collect();
    let value = |index: usize| lines[index].split_once(": ").unwrap().1;
    let altered = |from: &str, to: &str| {
        room.put("x.yaml", &sealed.replacen(from, to, 1));
        assert_ne!(fs::read_to_string(room.path("x.yaml")).unwrap(), sealed);
        import(&room, &["x.yaml", "--flatten"])
    };
    altered(value(0), value(1)).fails("x.yaml:1: a: it was altered, or moved");
    altered("data:", "data:AAAA").fails("x.yaml:1: a: it was altered");
    altered("c_unencrypted: open", "c_unencrypted: other").fails("its MAC is not that of its values");
    altered(&format!("{}\n", lines[1]), "").fails("its MAC is not that of its values");
    altered(lines[3], "").fails("its MAC is not that"); // one of a list
    altered("lastmodified: \"2", "lastmodified: \"3").fails("its MAC is altered");
    altered("    mac: ", "    macx: ").fails("it has no MAC");
    altered("type:str", "type:int").ok(); // nothing proves the type, and it changes nothing
    import(&room, &["x.yaml", "--flatten", "--check"]).ok();
    room.put("x.yaml", &sealed);
    assert_eq!(room.generation(), 2, "only the one that is taken");
    assert_ne!(room.bundle(), before);
}

#[test]
fn a_mac_of_what_is_sealed_only_is_honoured() {
    let Some(room) = room() else { return };
    room.put("config", "mac_only_encrypted: x\n");
    let config = format!(
        "creation_rules:\n  - age: {}\n    mac_only_encrypted: true\n    encrypted_regex: ^pw\n",
        room.public_key()
    );
    room.put(".sops.yaml", &config);
    fs::write(room.path("x.yaml"), format!("pw: {POISON}\nopen: 1\npw2: b\n")).unwrap();
    output(sops(&room.path(".")).unwrap().args(["--encrypt", "--in-place", "x.yaml"]));
    let sealed = fs::read_to_string(room.path("x.yaml")).unwrap();
    assert!(sealed.contains("mac_only_encrypted: true"), "{sealed}");
    room.put("x.yaml", &sealed.replace("open: 1", "open: 2"));
    let said = import(&room, &["x.yaml"]).ok();
    assert!(said.stderr.contains("2 new, 1 left out"), "{}", said.stderr);
    room.put("x.yaml", &sealed.replace("mac_only_encrypted: true", "mac_only_encrypted: false"));
    import(&room, &["x.yaml"]).fails("its MAC is not that");
    let second = sealed.lines().find(|line| line.starts_with("pw2")).unwrap();
    room.put("x.yaml", &sealed.replace(second, "pw2: clear"));
    import(&room, &["x.yaml"]).fails("its MAC is not that");
}

#[test]
fn an_identity_for_somebody_else_says_who_could_open_it() {
    let Some(room) = room() else { return };
    seal(&room, "x.yaml", format!("a: {POISON}\n").as_bytes(), &[]);
    let mine = room.public_key();
    let other = Room::furnished();
    fs::copy(room.path("x.yaml"), other.path("x.yaml")).unwrap();
    let said = import(&other, &["x.yaml"]).fails("nothing at hand opens it");
    for part in [&mine[..], "and the file is not sealed to that", "no SOPS_AGE_KEY_FILE, and no", "sops/age/keys.txt"] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    fs::copy(room.path("key"), other.path("sops.key")).unwrap();
    let args = ["bundle", "import", "x.yaml"];
    let said = other.run_with(&args, b"", &[("SOPS_AGE_KEY", "AGE-SECRET-KEY-1X")]).fails("nothing at hand");
    assert!(said.stderr.contains("SOPS_AGE_KEY is not read") && !said.stderr.contains("KEY-1X"));
    other.run_with(&[&args[..], &["--check"]].concat(), b"", &[("SOPS_AGE_KEY_FILE", "sops.key")]).ok();
    fs::create_dir_all(other.path(".config/sops/age")).unwrap();
    fs::rename(other.path("sops.key"), other.path(".config/sops/age/keys.txt")).unwrap();
    import(&other, &["x.yaml"]).ok();
    assert_eq!(get(&other, "x.a"), format!("{POISON}\n"));
}
