//! unset, rename, generate, describe, and what people note of a secret.

use super::room::{POISON, Room, Said};
use serde_json::Value;

fn json(said: Said) -> Value {
    serde_json::from_str(&said.ok().stdout).unwrap()
}

fn get(room: &Room, name: &str) -> String {
    room.run(&["bundle", "get", name]).ok().stdout
}

/// What `list` knows of a secret.
fn known(room: &Room, name: &str) -> Value {
    let list = json(room.run(&["bundle", "list", "-o", "json"]));
    list["secrets"].as_array().unwrap().iter().find(|one| one["name"] == name).unwrap().clone()
}

#[test]
fn what_is_unset_is_gone_and_comes_back_with_what_was_known() {
    let room = Room::furnished();
    room.run(&[
        "bundle",
        "describe",
        "aws.SECRET",
        "--note",
        "from the portal",
        "--owner",
        "ops",
        "--rotate-every",
        "90d",
    ])
    .ok();
    let created = known(&room, "aws.SECRET")["created"].clone();
    let said = room.run(&["bundle", "unset", "aws.SECRET", "aws.ID"]).ok().stderr;
    assert!(said.contains("aws.SECRET: removed") && said.contains("aws.ID: removed, but not for groups/web"), "{said}");
    assert!(said.ends_with("generation 3\n"), "{said}");
    assert_eq!(get(&room, "aws"), "# the account\n");
    let said = room.run(&["bundle", "get", "aws.SECRET"]).fails("it was unset").stderr;
    assert!(said.contains("distribute bundle revert aws.SECRET"), "{said}");
    room.run(&["bundle", "unset", "aws.SECRET"]).fails("it was unset");
    assert!(room.by_hand("tar xzO bundle.toml").contains("[removed.\"aws.SECRET\"]"));
    room.run(&["bundle", "revert", "aws.SECRET"]).ok();
    assert_eq!(get(&room, "aws.SECRET"), format!("{POISON}\n"));
    let back = known(&room, "aws.SECRET");
    assert_eq!((&back["note"], &back["owner"]), (&"from the portal".into(), &"ops".into()));
    assert_eq!((&back["rotate_every_seconds"], &back["created"]), (&7_776_000.into(), &created));
    assert!(!room.by_hand("tar xzO bundle.toml").contains("[removed.\"aws.SECRET\"]"));
}

#[test]
fn the_last_value_of_an_override_takes_it_along_and_files_go_too() {
    let room = Room::furnished();
    room.run(&["bundle", "unset", "aws.ID", "--group", "web"]).ok();
    room.run(&["bundle", "unset", "tls/cert.pem"]).ok();
    let names = room.by_hand("tar tz");
    assert!(!names.lines().any(|name| name.starts_with("groups/") || name.starts_with("services/tls")), "{names}");
    room.run(&["bundle", "revert", "groups/web/aws.ID", "tls/cert.pem"]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID", "--group", "web"]).ok().stdout, "2\n");
    assert_eq!(get(&room, "tls/cert.pem"), "certificate\n");
}

#[test]
fn nothing_is_unset_when_one_name_is_wrong_and_check_only_tells() {
    let room = Room::furnished();
    let before = room.bundle();
    let said = room.run(&["bundle", "unset", "aws.ID", "aws.SECRTE"]).fails("no aws.SECRTE").stderr;
    assert!(said.contains("did you mean aws.SECRET?"), "{said}");
    for args in [
        &["bundle", "unset", "aws.ID", "--check"][..],
        &["bundle", "rename", "aws.ID", "aws.KEY_ID", "--check"],
        &["bundle", "rename", "--service", "aws", "amazon", "--check"],
        &["bundle", "generate", "aws.NEW", "--check"],
        &["bundle", "describe", "aws.ID", "--note", "x", "--check"],
    ] {
        let said = room.run(args).ok().stderr;
        assert!(said.contains("nothing was written"), "{said}");
    }
    assert!(room.bundle() == before);
}

#[test]
fn a_rename_keeps_place_past_and_overrides() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.ID", "--note", "the account's"], b"5").ok();
    let said = room.run(&["bundle", "rename", "aws.ID", "aws.ACCOUNT"]).ok().stderr;
    assert!(said.contains("aws.ID: is aws.ACCOUNT now\ngroups/web/aws.ID: is groups/web/aws.ACCOUNT now\n"), "{said}");
    assert!(said.contains("a playbook may name aws.ID"), "{said}");
    assert_eq!(get(&room, "aws"), format!("# the account\nACCOUNT=5\nSECRET={POISON}\n"));
    assert_eq!(known(&room, "aws.ACCOUNT")["note"], "the account's");
    room.run(&["bundle", "get", "aws.ID"]).fails("no aws.ID");
    room.run(&["bundle", "revert", "aws.ACCOUNT"]).ok();
    assert_eq!(get(&room, "aws.ACCOUNT"), "1\n");
    // To another service, and a file.
    room.run(&["bundle", "rename", "aws.SECRET", "tls.SECRET"]).ok();
    room.run(&["bundle", "rename", "tls/cert.pem", "tls/chain.pem"]).ok();
    assert_eq!(
        (get(&room, "tls.SECRET"), get(&room, "tls/chain.pem")),
        (format!("{POISON}\n"), "certificate\n".into())
    );
    let report = json(room.run(&["bundle", "rename", "tls.SECRET", "tls.TOKEN", "-o", "json"]));
    assert_eq!(report["secrets"], serde_json::json!([{ "secret": "tls.TOKEN", "from": "tls.SECRET" }]));
}

#[test]
fn a_rename_loses_nothing_and_changes_no_kind() {
    let room = Room::furnished();
    let before = room.bundle();
    let said = room.run(&["bundle", "rename", "aws.ID", "aws.SECRET"]).fails("there is a aws.SECRET already").stderr;
    assert!(said.contains("unset aws.SECRET"), "{said}");
    room.run(&["bundle", "rename", "aws.ID", "aws/id"]).fails("would be a file");
    room.run(&["bundle", "rename", "tls/cert.pem", "tls.CERT"]).fails("would be a key");
    let said = room.run(&["bundle", "rename", "aws.DI", "aws.X"]).fails("no aws.DI").stderr;
    assert!(said.contains("did you mean aws.ID?"), "{said}");
    room.run(&["bundle", "rename", "--service", "aws", "tls"]).fails("a service tls already");
    assert!(room.run(&["bundle", "rename", "--service", "asw", "x"]).fails("no service asw").stderr.contains("aws?"));
    room.run(&["bundle", "rename", "aws.ID", "aws.ID"]).ok();
    assert!(room.bundle() == before);
}

#[test]
fn a_whole_service_is_renamed_with_its_overrides() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.ID"], b"5").ok();
    let said = room.run(&["bundle", "rename", "--service", "aws", "amazon"]).ok().stderr;
    assert!(said.contains("aws: is amazon now, 3 secrets") && said.contains("playbooks still name aws"), "{said}");
    assert_eq!(get(&room, "amazon"), format!("# the account\nID=5\nSECRET={POISON}\n"));
    assert_eq!(room.run(&["bundle", "get", "amazon.ID", "--group", "web"]).ok().stdout, "2\n");
    let names = room.by_hand("tar tz");
    assert!(names.contains("history/1/services/amazon.env") && !names.contains("aws"), "{names}");
}

#[test]
fn generate_makes_a_value_as_it_was_made() {
    let room = Room::furnished();
    let said = room.run(&["bundle", "generate", "aws.NEW"]).ok().stderr;
    assert!(said.contains("aws.NEW: new, password:32 (default)"), "{said}");
    let first = get(&room, "aws.NEW");
    assert_eq!(first.len(), 33);
    let said = room.run(&["bundle", "generate", "aws.NEW", "--generate", "hex:16"]).ok().stderr;
    assert!(said.contains("aws.NEW: changed, hex:16 (given)"), "{said}");
    let report = json(room.run(&["bundle", "generate", "aws.NEW", "-o", "json"]));
    assert_eq!((&report["generator"], &report["generator_is"]), (&"hex:16".into(), &"noted".into()));
    let value = get(&room, "aws.NEW");
    assert!(value.len() == 33 && value.trim().bytes().all(|b| b.is_ascii_hexdigit()) && !said.contains(value.trim()));
    let before = room.bundle();
    let said = room.run(&["bundle", "generate", "aws.SECRET"]).fails("how aws.SECRET is made is not noted").stderr;
    assert!(said.contains("bundle generate aws.SECRET --generate password:32"), "{said}");
    room.run(&["bundle", "generate", "aws.NEW", "--generate", "ed25519"]).fails("newlines");
    room.run(&["bundle", "generate", "aws.NEW", "--generate", "pasword"]).fails("is not a generator");
    room.run(&["bundle", "generate", &format!("aws.NEW={POISON}")]).fails("argument");
    assert!(room.bundle() == before);
    let said =
        room.run(&["bundle", "generate", "tls/key.pem", "--generate", "ed25519", "--public", "tls/key.pub"]).ok();
    assert!(said.stderr.contains("tls/key.pub: new") && get(&room, "tls/key.pub").contains("PUBLIC KEY"));
    let said = room.run(&["bundle", "generate", "tls/key.pem"]).ok().stderr;
    assert!(said.contains("tls/key.pem: changed") && said.contains("tls/key.pub: changed"), "{said}");
    let said = room.run(&["bundle", "generate", "tls/alone.pem", "--generate", "ed25519"]).ok().stderr;
    assert!(said.contains("its public half is not set: --public"), "{said}");
}

#[test]
fn what_is_known_is_shown_and_changed_without_the_value() {
    let room = Room::furnished();
    let describe = |args: &[&str]| room.run(&[&["bundle", "describe", "aws.SECRET"], args].concat());
    describe(&["--note", " for the uploads ", "--owner", "Ops", "--rotate-every", "90d", "--generator", "alnum:40"])
        .ok();
    let shown = describe(&[]).ok().stdout;
    for part in
        ["rotate every    90d", "generator       alnum:40", "owner           Ops", "note            for the uploads"]
    {
        assert!(shown.contains(part), "{part}: {shown}");
    }
    assert!(room.run(&["bundle", "list"]).ok().stdout.contains("      owner Ops; every 90d; for the uploads\n"));
    let before = room.bundle();
    assert!(describe(&["--note", "for the uploads"]).ok().stderr.contains("aws.SECRET: unchanged"));
    assert!(room.bundle() == before);
    describe(&["--note", "", "--rotate-every", "never", "--generator", "none"]).ok();
    let left = json(describe(&["-o", "json"]));
    let known = &left["known"];
    assert_eq!(
        (&known["note"], &known["generator"], &known["rotate_every_seconds"]),
        (&Value::Null, &Value::Null, &Value::Null)
    );
    assert_eq!(known["owner"], "Ops");
    assert_eq!(get(&room, "aws.SECRET"), format!("{POISON}\n"));
    describe(&["--rotate-every", "sometimes"]).fails("is not a period");
    describe(&["--generator", "rsa:2048"]).fails("newlines");
    assert!(room.run(&["bundle", "describe", "aws.SECRTE"]).fails("no aws.SECRTE").stderr.contains("aws.SECRET?"));
}

#[test]
fn a_note_never_holds_the_value() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.SECRET", "--host", "web1"], b"host-p0ison-0815").ok();
    let before = room.bundle();
    for args in [
        &["--note", &format!("it is {POISON}!")][..],
        &["--owner", POISON],
        &["--note", "host-p0ison-0815"],
        &["--note", &format!("two\nlines {POISON}")],
        &["--note", &format!("{POISON}\u{1b}[2J")],
        &["--note", &POISON.repeat(40)],
    ] {
        let said = room.run(&[&["bundle", "describe", "aws.SECRET"], args].concat()).fails("nothing was changed");
        assert!(!said.stderr.contains("0815"), "{}", said.stderr);
    }
    // Nor does a new value come under a note that holds it.
    room.feed(&["bundle", "set", "aws.NEW", "--note", POISON], POISON.as_bytes()).fails("holds its value");
    assert!(room.bundle() == before);
    room.feed(&["bundle", "set", "aws.NEW", "--note", "a token", "--owner", "Anna"], POISON.as_bytes()).ok();
    assert_eq!(known(&room, "aws.NEW")["owner"], "Anna");
    let held = room.bundle();
    room.feed(&["bundle", "set", "aws.NEW"], b"a token").fails("holds its value");
    assert!(room.bundle() == held);
}

#[test]
fn a_name_in_other_letters_is_told_with_the_way_out() {
    let room = Room::furnished();
    let before = room.bundle();
    let said = room.feed(&["bundle", "set", "AWS.DB"], b"1").fails("there is the service aws already").stderr;
    assert!(said.contains("distribute bundle rename --service aws AWS") && !said.contains("twice"), "{said}");
    let said = room.feed(&["bundle", "set", "tls/Cert.pem"], b"1").fails("there is tls/cert.pem already").stderr;
    assert!(said.contains("distribute bundle rename tls/cert.pem tls/Cert.pem"), "{said}");
    room.run(&["bundle", "generate", "AWS.DB", "--check"]).fails("there is the service aws already");
    assert!(room.bundle() == before);
    room.run(&["bundle", "rename", "--service", "aws", "AWS"]).ok();
    room.feed(&["bundle", "set", "AWS.DB"], b"1").ok();
}

#[test]
fn an_override_is_reverted_as_it_is_set() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.ID", "--group", "web"], b"3").ok();
    room.run(&["bundle", "revert", "aws.ID", "--group", "web"]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID", "--group", "web"]).ok().stdout, "2\n");
    assert_eq!(get(&room, "aws.ID"), "1\n");
    room.run(&["bundle", "revert", "groups/web/aws.ID", "--host", "web1"]).fails("whose it is");
    // What never changed has no history to begin anywhere.
    let before = room.bundle();
    let said = room.run(&["bundle", "revert", "aws.SECRET"]).fails("no earlier value of aws.SECRET").stderr;
    assert!(said.contains("it never changed since it was new, in generation 1") && !said.contains("begins"), "{said}");
    assert!(room.bundle() == before);
}

#[test]
fn get_writes_one_document() {
    let room = Room::furnished();
    let get = |args: &[&str]| json(room.run(&[&["bundle", "get", "-o", "json"], args].concat()));
    let document = get(&["aws.SECRET"]);
    assert_eq!((&document["schema"], &document["command"]), (&"distribute.bundle/1".into(), &"bundle get".into()));
    assert_eq!((&document["secret"], &document["value"]), (&"aws.SECRET".into(), &POISON.into()));
    assert_eq!(get(&["aws"])["env"], format!("# the account\nID=1\nSECRET={POISON}\n"));
    assert_eq!(get(&["aws.ID", "--group", "web"])["secret"], "groups/web/aws.ID");
    let text = "\u{1}\"\\\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}\u{1}ü\n";
    room.feed(&["bundle", "set", "tls/text"], text.as_bytes()).ok();
    assert_eq!(get(&["tls/text"])["value"], text);
    room.feed(&["bundle", "set", "tls/store"], b"\xff\x00p").ok();
    let document = get(&["tls/store"]);
    assert_eq!((&document["value"], &document["value_base64"]), (&Value::Null, &"/wBw".into()));
    let said = room.run(&["bundle", "get", "aws.SECRTE", "-o", "json"]).fails("no aws.SECRTE");
    assert!(serde_json::from_str::<Value>(&said.stdout).unwrap()["error"].is_object(), "{}", said.stdout);
    // Git's text has no such form.
    let said = room.run(&["bundle", "textconv", "secrets.age", "-o", "json"]).fails("text for git");
    assert!(serde_json::from_str::<Value>(&said.stdout).is_ok(), "{}", said.stdout);
    room.run_with(&["bundle", "textconv", "secrets.age"], b"", &[("DISTRIBUTE_OUTPUT", "json")]).ok();
}

#[test]
fn a_save_sweeps_what_a_killed_rekey_left() {
    let room = Room::furnished();
    let left = ".vault-identity.age.0123456789abcdef.tmp";
    room.put(left, "x");
    room.feed(&["bundle", "set", "aws.ID"], b"2").ok();
    assert!(!room.path(left).exists());
}
