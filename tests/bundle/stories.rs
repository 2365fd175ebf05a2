//! Create, list, get, set, edit.

use super::room::{POISON, Room};
use std::fs;

#[test]
fn what_was_created_comes_back_and_age_and_tar_read_it() {
    let room = Room::furnished();
    let list = room.run(&["bundle", "list"]).ok().stdout;
    for part in ["generation 1, sealed to 1 recipient", "SECRET", "cert.pem (file)", "overridden for groups/web"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let whole = room.run(&["bundle", "get", "aws"]).ok().stdout;
    assert_eq!(whole, format!("# the account\nID=1\nSECRET={POISON}\n"));
    assert_eq!(room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout, format!("{POISON}\n"));
    assert_eq!(room.run(&["bundle", "get", "tls/cert.pem"]).ok().stdout, "certificate\n");
    assert_eq!(room.run(&["bundle", "get", "aws.ID", "--group", "web"]).ok().stdout, "2\n");
    assert_eq!(room.by_hand("tar xzO services/aws.env"), whole, "no lock-in");
    assert!(room.by_hand("tar tz").contains("keys/backup.age"));
}

#[test]
fn reading_writes_nothing() {
    let room = Room::furnished();
    let (before, names) = (room.bundle(), room.names());
    for args in
        [&["bundle", "list"][..], &["bundle", "list", "-o", "json"], &["bundle", "check"], &["bundle", "get", "aws"]]
    {
        room.run(args).ok();
    }
    assert!(room.bundle() == before && room.names() == names);
}

#[test]
fn the_format_is_taken_in_front_of_the_command_and_behind_it() {
    let room = Room::furnished();
    for args in [
        &["-o", "json", "bundle", "list"][..],
        &["bundle", "-o", "json", "list"],
        &["bundle", "list", "--output", "json"],
    ] {
        let report: serde_json::Value = serde_json::from_str(&room.run(args).ok().stdout).unwrap();
        assert_eq!(report["schema"], "distribute.bundle/1");
        assert_eq!(report["services"], serde_json::json!(["aws", "tls"]));
    }
}

#[test]
fn set_takes_stdin_and_keeps_what_was() {
    let room = Room::furnished();
    let said = room.feed(&["bundle", "set", "aws.SECRET"], b"new\n\n").ok();
    assert_eq!(said.stderr, "aws.SECRET: changed\nsecrets.age: generation 2\n");
    assert_eq!(room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout, "new\n\n", "one newline is not part of it");
    assert_eq!(room.by_hand("tar xzO history/1/services/aws.env"), format!("SECRET={POISON}\n"));
    let before = room.bundle();
    let same = room.feed(&["bundle", "set", "aws.SECRET"], b"new\n\n").ok();
    assert!(same.stderr.contains("unchanged") && room.bundle() == before);
    room.feed(&["bundle", "set", "tls/key.pem"], b"raw\n").ok();
    assert_eq!(room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout, "raw\n", "a file is its exact bytes");
    room.feed(&["bundle", "set", "aws.ID", "--host", "web1"], b"3").ok();
    assert!(room.run(&["bundle", "list"]).ok().stdout.contains("groups/web, hosts/web1"));
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "1\n");
}

#[test]
fn a_value_in_an_argument_is_refused_and_not_repeated() {
    let room = Room::furnished();
    let before = room.bundle();
    for args in [
        &["bundle", "set", "aws.SECRET", POISON][..],
        &["bundle", "set", "aws.SECRET", &format!("-{POISON}")],
        &["bundle", "set", &format!("aws.SECRET={POISON}")],
    ] {
        assert!(room.run(args).fails("argument").stderr.contains("history"));
    }
    assert_eq!(room.bundle(), before);
}

#[test]
fn a_generated_value_is_never_shown() {
    let room = Room::furnished();
    let said = room.run(&["bundle", "set", "aws.SECRET", "--generate", "alnum:40", "--rotate-every", "90d"]).ok();
    let value = room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout;
    assert!(value.len() == 41 && value.trim().bytes().all(|b| b.is_ascii_alphanumeric()));
    assert!(!said.stderr.contains(value.trim()) && !said.stdout.contains(value.trim()));
    assert!(room.by_hand("tar xzO bundle.toml").contains("rotate-every = \"90d\"\ngenerator = \"alnum:40\""));
    room.run(&["bundle", "set", "aws.SECRET", "--generate", "command"]).fails("[[rotate]] policy");
}

#[test]
fn any_value_round_trips() {
    let room = Room::furnished();
    for value in [&b"two\nlines"[..], b"nul\0 and cr\r", b"\\n", b" spaced \"quoted\" $HOME ", b""] {
        room.feed(&["bundle", "set", "aws.ODD"], &[value, b"\n"].concat()).ok();
        assert_eq!(room.run(&["bundle", "get", "aws.ODD"]).ok().stdout.as_bytes(), [value, b"\n"].concat());
    }
    room.feed(&["bundle", "set", "aws.ODD"], b"").fails("nothing came on stdin");
}

#[test]
fn names_that_are_not_there_get_a_suggestion() {
    let room = Room::furnished();
    assert!(room.run(&["bundle", "get", "aws.SECRTE"]).fails("no aws.SECRTE").stderr.contains("aws.SECRET?"));
    assert!(room.run(&["bundle", "get", "awss"]).fails("no service").stderr.contains("aws?"));
    assert!(room.edit(&["bundle", "edit", "awss"], "true").fails("no service").stderr.contains("aws?"));
    room.run(&["bundle", "get", "../x"]).fails("name");
}

#[test]
fn check_writes_nothing() {
    let room = Room::furnished();
    let (before, names) = (room.bundle(), room.names());
    assert!(room.feed(&["bundle", "set", "aws.ID", "--check"], b"9").ok().stderr.contains("nothing was written"));
    room.edit(&["bundle", "edit", "aws", "--check"], "sed -i s/ID=1/ID=9/").ok();
    assert!(room.bundle() == before && room.names() == names);
    let room = Room::empty();
    room.put("aws.env", "A=1\n");
    room.run(&["bundle", "create", "aws.env", "--check"]).fails("no password to seal it with");
    room.run(&["bundle", "create", "aws.env", "--check", "--recipient", &room.public_key()]).ok();
    room.run(&["keygen", "-o", "other", "--check"]).ok();
    assert_eq!(room.names(), ["aws.env", "key"]);
}

#[test]
fn the_editor_gets_a_private_file_in_memory_that_is_gone_afterwards() {
    let room = Room::furnished();
    let script = "stat -c '%a %n' \"$1\" \"${1%/*}\" > seen; stat -f -c %T \"$1\" >> seen; cp \"$1\" \"$1~\"; sed -i s/ID=1/ID=7/ \"$1\"";
    room.put("editor", &format!("#!/bin/sh\n{script}\n"));
    room.chmod("editor", 0o755);
    let said = room.edit(&["bundle", "edit", "aws"], "./editor").ok();
    assert!(said.stderr.ends_with("aws: ID changed\nsecrets.age: generation 2\n"), "{}", said.stderr);
    let seen = fs::read_to_string(room.path("seen")).unwrap();
    let lines: Vec<&str> = seen.lines().collect();
    assert!(lines[0].starts_with("600 ") && lines[1].starts_with("700 ") && lines[2] == "tmpfs", "{seen}");
    assert!(!fs::exists(lines[1].split(' ').nth(1).unwrap()).unwrap(), "wiped and unlinked");
    let whole = room.run(&["bundle", "get", "aws"]).ok().stdout;
    assert_eq!(whole, format!("# the account\nID=7\nSECRET={POISON}\n"));
}

#[test]
fn an_editor_that_changes_nothing_or_fails_leaves_the_bundle_alone() {
    let room = Room::furnished();
    let before = room.bundle();
    assert!(room.edit(&["bundle", "edit", "aws"], "true").ok().stderr.ends_with("nothing changed\n"));
    room.edit(&["bundle", "edit", "aws"], "false").fails("editor ended");
    room.edit(&["bundle", "edit", "aws"], "no-such-editor").fails("cannot be run");
    room.edit(&["bundle", "edit", "aws"], "sed -i s/SECRET=//").fails("aws.env: line 3");
    // Ctrl-C and Ctrl-\ are the editor's: we go on and wipe.
    room.put("editor", "#!/bin/sh\nkill -INT $PPID; kill -QUIT $PPID; echo \"$1\" > seen\n");
    room.chmod("editor", 0o755);
    assert!(room.edit(&["bundle", "edit", "aws"], "./editor").ok().stderr.ends_with("nothing changed\n"));
    assert!(!fs::exists(fs::read_to_string(room.path("seen")).unwrap().trim()).unwrap());
    assert_eq!(room.bundle(), before);
}

#[test]
fn create_refuses_what_it_cannot_keep() {
    let room = Room::empty();
    let key = room.public_key();
    let create = |source: &str| room.run(&["bundle", "create", source, "--recipient", &key]);
    room.put("bad/aws.env", &format!("A=1\n{POISON}\n"));
    create("bad").fails("bad/aws.env: line 2");
    room.put("keyed/aws.env", &format!("{POISON} {POISON}==\n"));
    create("keyed").fails("line 1");
    room.put("plain", "x");
    create("plain").fails("neither a directory nor an env file");
    room.put("top/README", "x");
    create("top").fails("no place");
    fs::create_dir(room.path("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/passwd", room.path("linked/aws.env")).unwrap();
    create("linked").fails("link");
    create("nowhere").fails("nowhere");
    room.put("good/aws.env", "A=1\n");
    room.put("good/.git/config", "x");
    room.run(&["bundle", "create", "good", "--recipient", "age1pq1xyz"]).fails("post-quantum");
    room.run(&["bundle", "create", "good", "good", "--recipient", &key]).fails("already");
    assert!(!room.names().contains(&"secrets.age".to_owned()));
    assert!(create("good").ok().stderr.contains(".git: skipped"));
    create("good").fails("there is a bundle already");
    assert_eq!(room.generation(), 1);
}

#[test]
fn windows_files_are_taken_without_their_marks() {
    let room = Room::empty();
    fs::write(room.path("aws.env"), b"\xef\xbb\xbfA=1\r\nB='2'\r\n").unwrap();
    room.run(&["bundle", "create", "aws.env", "--recipient", &room.public_key()]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws"]).ok().stdout, "A=1\nB='2'\n");
}

#[test]
fn the_example_in_the_repository_opens_with_its_published_password() {
    let room = Room::empty();
    let repository = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
    fs::copy(repository.join("secrets.age"), room.path("secrets.age")).unwrap();
    // git keeps no mode 600.
    room.put_private("vault-password", &fs::read(repository.join("tests/example-password")).unwrap());
    let list = room.run(&["bundle", "list", "-o", "json"]).ok().stdout;
    let report: serde_json::Value = serde_json::from_str(&list).unwrap();
    assert_eq!(report["services"], serde_json::json!(["api", "aws", "cloudflare", "github-oidc"]));
    assert_eq!(room.run(&["bundle", "get", "aws.AWS_ACCESS_KEY_ID"]).ok().stdout, "AKIAIOSFODNN7EXAMPLE\n");
}

#[test]
fn a_terminal_is_shown_no_secret_unless_asked() {
    let room = Room::furnished();
    let program = env!("CARGO_BIN_EXE_distribute");
    let on_a_terminal = |line: &str| {
        let mut script = std::process::Command::new("script");
        script.args(["-qec", &format!("{program} {line}"), "/dev/null"]).current_dir(room.path("."));
        let output = script.env("DISTRIBUTE_IDENTITY", "key").stdin(std::process::Stdio::null()).output();
        output.ok().map(|output| String::from_utf8_lossy(&output.stdout).into_owned())
    };
    let Some(shown) = on_a_terminal("bundle get aws.SECRET") else {
        eprintln!("skipped: there is no script(1) to make a terminal");
        return;
    };
    assert!(shown.contains("stdout is a terminal") && !shown.contains(POISON), "{shown}");
    assert!(on_a_terminal("bundle get aws.SECRET --reveal").unwrap().contains(POISON));
}

#[test]
fn an_empty_variable_counts_as_unset() {
    let room = Room::furnished();
    let names = ["DIR", "INVENTORY", "BUNDLE", "PLAYBOOK", "FORKS", "PASSWORD_FILE", "OUTPUT", "SSH_PASSPHRASE_FILE"];
    let names = names.map(|name| format!("DISTRIBUTE_{name}"));
    let vars: Vec<(&str, &str)> = names.iter().map(|name| (name.as_str(), "")).collect();
    room.run_with(&["bundle", "check"], b"", &vars).ok();
    let said = room.run_with(&["bundle", "check"], b"", &[("DISTRIBUTE_IDENTITY", "")]);
    assert!(!said.fails("nothing at hand").stderr.contains("DISTRIBUTE_IDENTITY:"));
}

#[test]
fn check_refuses_what_the_run_refuses() {
    let room = Room::furnished();
    room.put("aws.env", "A=1\n");
    let key = room.public_key();
    let taken = room.run(&["bundle", "create", "aws.env", "--recipient", &key, "--check"]);
    assert!(!taken.fails("there is a bundle already").stderr.contains("would make"));
    room.run(&["keygen", "-o", "locked", "--lock", "--check"]).fails("no password to lock it with");
    fs::rename(room.path("secrets.age"), room.path("real.age")).unwrap();
    std::os::unix::fs::symlink("real.age", room.path("secrets.age")).unwrap();
    room.feed(&["bundle", "set", "aws.ID", "--check"], b"9").fails("symbolic link");
}

#[test]
fn a_change_is_reported_as_one_json_document() {
    let room = Room::furnished();
    let report = |said: super::room::Said| serde_json::from_str::<serde_json::Value>(&said.ok().stdout).unwrap();
    let set = |args: &[&str]| {
        let args = [&["bundle", "set", "aws.NEW", "-o", "json"], args].concat();
        report(room.feed(&args, b"9"))
    };
    let expected = |check: bool, change: &str, generation: u64| {
        serde_json::json!({ "schema": "distribute.bundle/1", "command": "bundle set", "check": check,
            "secret": "aws.NEW", "change": change, "generation": generation })
    };
    assert_eq!(set(&["--check"]), expected(true, "new", 1));
    assert_eq!(set(&[]), expected(false, "new", 2));
    assert_eq!(set(&["-q"]), expected(false, "unchanged", 2));
    let edit = |editor: &str| report(room.edit(&["bundle", "edit", "aws", "-o", "json"], editor));
    assert_eq!(edit("true")["change"], "unchanged");
    assert_eq!((edit("sed -i s/NEW=9/NEW=8/")["change"].clone(), room.generation()), ("changed".into(), 3));
    let room = Room::empty();
    room.put("aws.env", "A=1\n");
    let key = room.public_key();
    let made = report(room.run(&["bundle", "create", "aws.env", "--recipient", &key, "-o", "json"]));
    assert_eq!((&made["services"], &made["secrets"], &made["generation"]), (&1.into(), &1.into(), &1.into()));
}

#[test]
fn a_long_value_comes_whole_and_a_longer_one_is_refused() {
    let room = Room::furnished();
    let long: String = ('a'..='z').cycle().take(300_000).collect();
    room.feed(&["bundle", "set", "tls/long"], long.as_bytes()).ok();
    assert!(room.run(&["bundle", "get", "tls/long"]).ok().stdout == long);
    room.feed(&["bundle", "set", "tls/long"], &vec![b'x'; (16 << 20) + 1]).fails("larger than 16 MiB");
}
