//! `bundle import` of what the real ansible-vault sealed.

use super::room::{POISON, Room};
use super::sealers::{ansible_vault, output};
use std::fs;

/// A room with two passwords, if ansible-vault is installed.
fn room() -> Option<Room> {
    let room = Room::furnished();
    ansible_vault(&room.path("."))?;
    room.put_private("pw", b"right password\n");
    room.put_private("other", b" other\n\n");
    Some(room)
}

fn ansible(room: &Room, args: &[&str]) -> String {
    let mut command = ansible_vault(&room.path(".")).unwrap();
    String::from_utf8(output(command.args(args))).unwrap()
}

fn import(room: &Room, args: &[&str]) -> super::room::Said {
    room.run(&[&["bundle", "import"][..], args].concat())
}

#[test]
fn a_whole_file_of_variables_becomes_keys() {
    let Some(room) = room() else { return };
    let text = format!(
        "---\n# c\ndb_password: {POISON}\nport: 0123\nflag: yes\nkey: |\n  line 1\n  line 2\nuni: 'ä ☃'\nempty: ''\nnone: ~\n"
    );
    for (name, id) in [("old.yml", "pw"), ("new.yml", "prod@pw")] {
        room.put(name, &text);
        ansible(
            &room,
            &["encrypt", "--vault-id", id, "--encrypt-vault-id", if id == "pw" { "default" } else { "prod" }, name],
        );
        let sealed = fs::read_to_string(room.path(name)).unwrap();
        assert_eq!(sealed.starts_with("$ANSIBLE_VAULT;1.2;AES256;prod\n"), id != "pw", "{sealed}");
        assert!(id != "pw" || sealed.starts_with("$ANSIBLE_VAULT;1.1;AES256\n"));
        let said = import(&room, &[name, "--vault-password-file", "pw"]).ok();
        for part in
            ["Ansible vault", "6 new, 1 left out", "line 11, none: left out, it is null", "2 values are no texts"]
        {
            assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
        }
    }
    let get = |name: &str| room.run(&["bundle", "get", name]).ok().stdout;
    assert_eq!(get("old"), get("new"));
    assert_eq!(get("new.db_password"), format!("{POISON}\n"));
    assert_eq!((get("new.port"), get("new.flag"), get("new.empty")), ("0123\n".into(), "yes\n".into(), "\n".into()));
    assert_eq!((get("new.key"), get("new.uni")), ("line 1\nline 2\n\n".into(), "ä ☃\n".into()));
}

#[test]
fn inline_values_are_taken_and_clear_ones_left_out() {
    let Some(room) = room() else { return };
    let seal = |id: &str, name: &str, value: &str| {
        ansible(&room, &["encrypt_string", "--vault-id", id, value, "--name", name])
    };
    let text = [
        "app: shop\n".to_owned(),
        seal("prod@pw", "db_password", POISON),
        "\n".to_owned(),
        seal("dev@other", "api_key", "with {{ braces }}"),
        "\nlimits:\n  cpu: 2\n".to_owned(),
    ];
    room.put("vars.yml", &text.concat());
    let line = |key: &str| 1 + text.concat().lines().position(|line| line.trim_start().starts_with(key)).unwrap();
    let both = ["--vault-password-file", "prod@pw", "--vault-password-file", "dev@other"];
    let said = import(&room, &[&["vars.yml", "--service", "shop"][..], &both].concat()).ok();
    for part in [
        "2 new, 2 left out",
        "line 1, app: left out, it is in clear text",
        "2 clear values left out",
        "api_key (line 10)",
    ] {
        assert!(said.stderr.contains(part), "{part}: {}", said.stderr);
    }
    assert_eq!(
        room.run(&["bundle", "get", "shop"]).ok().stdout,
        format!("db_password={POISON}\napi_key=with {{{{ braces }}}}\n")
    );
    let wanted = [&["vars.yml", "--service", "shop", "--clear"][..], &both].concat();
    import(&room, &wanted).fails(&format!("vars.yml:{}: limits.cpu: it lies in a mapping or a list", line("cpu:")));
    import(&room, &[&wanted[..], &["--flatten"]].concat()).ok();
    assert_eq!(room.run(&["bundle", "get", "shop.limits_cpu"]).ok().stdout, "2\n");
    // With one password only, the other value is told with its line and its label.
    let said = import(&room, &["vars.yml", "--service", "shop", "--vault-password-file", "pw"])
        .fails(&format!("vars.yml:{}: api_key: no password at hand", line("api_key:")));
    assert!(said.stderr.contains("label dev") && said.stderr.contains("tried: pw"), "{}", said.stderr);
}

#[test]
fn nested_values_that_are_sealed_are_joined_when_asked() {
    let Some(room) = room() else { return };
    room.put("vars.yml", &format!("db:\n  users:\n    - name: a\n      pw: {POISON}\n"));
    ansible(&room, &["encrypt", "--vault-password-file", "pw", "vars.yml"]);
    let args = ["vars.yml", "--vault-password-file", "pw"];
    import(&room, &args).fails("2 lines stand in the way");
    import(&room, &[&args[..], &["--flatten"]].concat()).ok();
    assert_eq!(room.run(&["bundle", "get", "vars.db_users_0_pw"]).ok().stdout, format!("{POISON}\n"));
}

#[test]
fn a_file_of_another_kind_is_taken_as_it_is_when_asked() {
    let Some(room) = room() else { return };
    let bytes = [&b"-----BEGIN X-----\n"[..], POISON.as_bytes(), b"\n\0\xff\n"].concat();
    fs::write(room.path("tls.key"), &bytes).unwrap();
    ansible(&room, &["encrypt", "--vault-password-file", "pw", "tls.key"]);
    let args = ["tls.key", "--vault-password-file", "pw"];
    assert!(import(&room, &args).fails("tls.key: in the vault").stderr.contains("--as SERVICE/FILE"));
    import(&room, &[&args[..], &["--as", "tls/server.key"]].concat()).ok();
    assert_eq!(room.command(&["bundle", "get", "tls/server.key"]).output().unwrap().stdout, bytes);
    import(&room, &[&args[..], &["--as", "tls.KEY"]].concat()).fails("NUL byte");
    room.put("x.env", &format!("A='{POISON}'\n"));
    ansible(&room, &["encrypt", "--vault-password-file", "pw", "x.env"]);
    import(&room, &["x.env", "--vault-password-file", "pw", "--dialect", "compose"]).ok();
    assert_eq!(room.run(&["bundle", "get", "x.A"]).ok().stdout, format!("{POISON}\n"));
}

#[test]
fn a_wrong_password_and_an_altered_vault_change_nothing() {
    let Some(room) = room() else { return };
    room.put("vars.yml", &format!("a: {POISON}\n"));
    ansible(&room, &["encrypt", "--vault-password-file", "pw", "vars.yml"]);
    let before = room.bundle();
    import(&room, &["vars.yml"]).fails("there is no password for it");
    import(&room, &["vars.yml", "--vault-password-file", "other"])
        .fails("vars.yml: no password at hand opens the vault, or it was altered");
    import(&room, &["vars.yml", "--vault-password-file", POISON]).fails("what was given is not shown");
    room.chmod("other", 0o644);
    import(&room, &["vars.yml", "--vault-password-file", "other"]).fails("others can get at it");
    let sealed = fs::read_to_string(room.path("vars.yml")).unwrap();
    let last = sealed.trim_end().len() - 1;
    let digit = if sealed.as_bytes()[last] == b'3' { "4" } else { "3" };
    room.put("vars.yml", &format!("{}{digit}\n", &sealed[..last]));
    import(&room, &["vars.yml", "--vault-password-file", "pw"]).fails("altered");
    room.put("vars.yml", &sealed[..sealed.len() - 40]);
    import(&room, &["vars.yml", "--vault-password-file", "pw"]).fails("vars.yml: ");
    assert_eq!(room.bundle(), before);
}
