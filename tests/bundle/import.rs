//! `bundle import` of env files, and what all imports share.

use super::room::{POISON, Room};
use serde_json::{Value, json};
use std::fs;
use std::os::unix::fs::symlink;

fn import(room: &Room, args: &[&str]) -> super::room::Said {
    room.run(&[&["bundle", "import"][..], args].concat())
}

#[test]
fn plain_lines_become_keys_of_the_service_that_the_file_names() {
    let room = Room::furnished();
    room.put("api.env", &format!("# {POISON}\nTOKEN={POISON}\nURL=https://x.example/a?b=1\n"));
    let said = import(&room, &["api.env"]).ok();
    assert!(
        said.stderr.starts_with("api.env (env file, service api): 2 new\n  api.TOKEN: new\n  api.URL: new\n"),
        "{}",
        said.stderr
    );
    for part in
        ["secrets.age: generation 2", "1 comment left out", "0644: others can read it", "clear text: remove them"]
    {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert_eq!(
        room.run(&["bundle", "get", "api"]).ok().stdout,
        format!("TOKEN={POISON}\nURL=https://x.example/a?b=1\n")
    );
    let before = room.bundle();
    assert!(import(&room, &["api.env"]).ok().stderr.contains("2 unchanged"));
    assert_eq!(room.bundle(), before, "nothing is rewritten when nothing changed");
}

#[test]
fn what_is_not_plain_wants_a_dialect_and_is_told_line_by_line() {
    let room = Room::furnished();
    let (before, text) = (room.bundle(), format!("A=1\nB=\"{POISON}\"\nexport C={POISON}\n{POISON}\n"));
    room.put(".env", &text);
    import(&room, &[".env"]).fails("names no service");
    let said = import(&room, &[".env", "--service", "web"]).fails("3 lines stand in the way; nothing was imported");
    for line in [
        "hint: .env:2: B: a quote is not read alike by all; one value to docker; another to compose, systemd, shell, dotenv",
        "hint: .env:3: C: `export` is not read alike by all",
        "hint: .env:4: there is no `=`",
        "hint: say for whom it was written, with --dialect and one of docker,",
    ] {
        assert!(said.stderr.contains(line), "{line}: {}", said.stderr);
    }
    import(&room, &[".env", "--service", "web", "--dialect", "bash"]).fails("it is not a dialect");
    import(&room, &[".env", "--service", "web", "--dialect", "shell"]).fails(".env:4: there is no `=`");
    assert_eq!(room.bundle(), before);
    room.put(".env", &text.replace(&format!("\n{POISON}\n"), "\n"));
    import(&room, &[".env", "--service", "web", "--dialect", "shell"]).ok();
    assert_eq!(room.run(&["bundle", "get", "web"]).ok().stdout, format!("A=1\nB={POISON}\nC={POISON}\n"));
    let said = import(&room, &[".env", "--service", "web", "--dialect", "docker"]).fails("what stands before `=`");
    assert!(!said.stderr.contains("export C"));
}

#[test]
fn another_value_is_replaced_only_when_asked_and_kept_in_the_history() {
    let room = Room::furnished();
    room.put("aws.env", "ID=9\nSECRET=new\nREGION=x\n");
    let before = room.bundle();
    let said = import(&room, &["aws.env"]).fails("2 lines stand in the way");
    assert!(
        said.stderr.contains("aws.env:2: the bundle has another value of aws.SECRET")
            && said.stderr.contains("--replace")
    );
    assert_eq!(room.bundle(), before);
    let said = import(&room, &["aws.env", "--replace", "-o", "json"]).ok();
    let report: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(report["sources"][0]["secrets"][1], json!({"secret": "aws.SECRET", "line": 2, "change": "changed"}));
    assert_eq!(
        (&report["schema"], &report["generation"], &report["check"]),
        (&json!("distribute.bundle/1"), &json!(2), &json!(false))
    );
    assert!(room.by_hand("tar xzO history/1/services/aws.env").contains(POISON));
    room.run(&["bundle", "revert", "aws.SECRET"]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws.SECRET"]).ok().stdout, format!("{POISON}\n"));
}

#[test]
fn check_says_the_same_and_writes_nothing() {
    let room = Room::furnished();
    room.put("aws.env", &format!("ID=1\nSECRET=new\nREGION={POISON}\n"));
    let (before, names) = (room.bundle(), room.names());
    let said = import(&room, &["aws.env", "--replace", "--check"]).ok().stderr;
    assert!(
        said.starts_with("aws.env (env file, service aws): 1 new, 1 changed, 1 unchanged\n")
            && said.contains("nothing was written")
    );
    assert!(room.bundle() == before && room.names() == names);
    let really = import(&room, &["aws.env", "--replace"]).ok().stderr;
    let lines = |said: &str| said.lines().filter(|line| line.starts_with("  ")).map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(lines(&said), lines(&really));
}

#[test]
fn an_override_is_imported_as_one() {
    let room = Room::furnished();
    room.put("aws.env", "ID=77\n");
    import(&room, &["aws.env", "--host", "web1"]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID", "--host", "web1"]).ok().stdout, "77\n");
    assert_eq!(room.run(&["bundle", "get", "aws.ID"]).ok().stdout, "1\n");
    import(&room, &["aws.env", "--group", "db"]).ok();
    assert_eq!(room.run(&["bundle", "get", "aws.ID", "--group", "db"]).ok().stdout, "77\n");
}

#[test]
fn a_key_comes_from_one_line_of_one_source() {
    let room = Room::furnished();
    room.put("x.env", &format!("A={POISON}\nB=1\nA={POISON}\n"));
    import(&room, &["x.env"]).fails("x.env:3: x.A comes from x.env:1 already; nothing was imported");
    room.put("x.env", "A=1\n");
    room.put("y.env", "A=1\n");
    import(&room, &["x.env", "y.env", "--service", "z"]).fails("y.env:1: z.A comes from x.env:1 already");
    import(&room, &["x.env", "y.env"]).ok();
    assert_eq!(room.generation(), 2, "both at once");
}

#[test]
fn only_regular_files_of_bounded_size_are_read() {
    let room = Room::furnished();
    let before = room.bundle();
    room.put("real.env", "A=1\n");
    symlink(room.path("real.env"), room.path("link.env")).unwrap();
    import(&room, &["link.env"]).fails("link.env: it is a symbolic link");
    fs::create_dir(room.path("dir.env")).unwrap();
    import(&room, &["dir.env"]).fails("not a regular file");
    nix::unistd::mkfifo(&room.path("fifo.env"), nix::sys::stat::Mode::S_IRUSR).unwrap();
    import(&room, &["fifo.env"]).fails("not a regular file");
    fs::File::create(room.path("large.env")).unwrap().set_len((16 << 20) + 1).unwrap();
    import(&room, &["large.env"]).fails("larger than 16 MiB");
    import(&room, &["none.env"]).fails("none.env: it cannot be read");
    room.put("what", "A=1\n");
    import(&room, &["what"]).fails("--format env, ansible or sops");
    import(&room, &["what", "--format", "sops"]).fails("no marks of SOPS");
    import(&room, &["what", "--format", "env", "--check"]).ok();
    import(&room, &["real.env", "--as", "x/file"]).fails("it is not sealed");
    fs::write(room.path("nul.env"), b"A=1\0\n").unwrap();
    import(&room, &["nul.env"]).fails("NUL");
    assert_eq!(room.bundle(), before);
}

#[test]
fn at_most_twenty_lines_are_told() {
    let room = Room::furnished();
    room.put("x.env", &format!("A=\"{POISON}\"\n").repeat(50));
    let said = import(&room, &["x.env"]).fails("50 lines stand in the way");
    assert_eq!(said.stderr.matches("hint: x.env:").count(), 20);
    assert!(said.stderr.contains("hint: and 30 more"));
}

#[test]
fn without_a_bundle_it_says_how_to_make_one() {
    let room = Room::empty();
    room.put("x.env", "A=1\n");
    assert!(import(&room, &["x.env"]).fails("no bundle").stderr.contains("bundle create"));
}
