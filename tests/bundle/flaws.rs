//! `bundle check`: each kind of flaw is told by name, and never a value.

use super::room::Room;

/// What `bundle check` finds, `rule secret` each.
fn findings(room: &Room) -> (Vec<String>, i32) {
    let said = room.run(&["bundle", "check", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((&report["schema"], &report["command"]), (&"distribute.bundle/1".into(), &"bundle check".into()));
    let shown = |finding: &serde_json::Value| {
        format!("{} {}", finding["rule"].as_str().unwrap(), finding["secret"].as_str().unwrap())
    };
    (report["findings"].as_array().unwrap().iter().map(shown).collect(), said.code)
}

fn project(room: &Room) {
    room.put("inventory/hosts.toml", "[hosts]\nweb1 = { groups = ['web'] }\nweb2 = {}\n");
    let play = "[[play]]\nname = 'p'\nhosts = 'all'\nroot = '/opt/p'\n[[play.service]]\nname = 'aws'\nrequire = ['ID', 'EXTRA', 'REGION']\n";
    room.put("playbooks/p.toml", play);
}

#[test]
fn each_flaw_is_found_and_gone_when_it_is_mended() {
    let room = Room::furnished();
    assert_eq!(findings(&room), (vec![], 0), "the furnished room is in order");
    project(&room);
    room.feed(&["bundle", "set", "aws.EXTRA", "--group", "web"], b"only for web").ok();
    for (key, value) in [
        ("aws.EMPTY", &b"\n"[..]),
        ("aws.PLACE", b"changeme"),
        ("aws.BLANK", b" x "),
        ("aws.CR", b"x\r"),
        ("aws.DB_PASSWORD", b"hunter2"),
        ("aws.A_TOKEN", b"the-same-value-twice"),
        ("aws.B_TOKEN", b"the-same-value-twice"),
        ("aws.URL", b"postgres://u:Zr8kd03kdLs9@h/db"),
        ("other.URL", b"postgres://u:Zr8kd03kdLs9@h/db"),
    ] {
        room.feed(&["bundle", "set", key], value).ok();
    }
    let (found, code) = findings(&room);
    let expected = [
        "duplicate aws.A_TOKEN",
        "whitespace aws.BLANK",
        "crlf aws.CR",
        "weak aws.DB_PASSWORD",
        "empty aws.EMPTY",
        "missing aws.EXTRA",
        "placeholder aws.PLACE",
        "missing aws.REGION",
        "duplicate aws.URL",
    ];
    assert_eq!((found.iter().map(String::as_str).collect::<Vec<_>>(), code), (expected.to_vec(), 3));
    let text = room.run(&["bundle", "check"]);
    assert!(text.code == 3 && text.stdout.contains("9 findings"), "{}", text.stdout);
    for value in ["hunter2", "the-same-value-twice"] {
        assert!(!text.stdout.contains(value) && !text.stderr.contains(value));
    }
    assert!(text.stdout.contains("(web2)"), "web1 has an override: {}", text.stdout);
    let only = room.run(&["bundle", "check", "--rule", "weak,empty"]);
    assert!(only.stdout.contains("2 findings") && !only.stdout.contains("placeholder"), "{}", only.stdout);
    room.run(&["bundle", "check", "--rule", "weka"]).fails("weka");
    for (key, value) in [
        ("aws.EMPTY", &b"x"[..]),
        ("aws.PLACE", b"x"),
        ("aws.BLANK", b"x"),
        ("aws.CR", b"x"),
        ("aws.DB_PASSWORD", b"kX8#vPq2!mZr"),
        ("aws.B_TOKEN", b"another-value-now"),
        ("aws.EXTRA", b"for all"),
        ("aws.REGION", b"eu"),
        ("other.URL", b"postgres://v:Zr8kd03kdLs9@h/db"),
    ] {
        room.feed(&["bundle", "set", key], value).ok();
    }
    assert_eq!(findings(&room), (vec![], 0));
}

#[test]
fn checking_writes_nothing() {
    let room = Room::furnished();
    room.feed(&["bundle", "set", "aws.EMPTY"], b"\n").ok();
    let (before, names) = (room.bundle(), room.names());
    assert_eq!(room.run(&["bundle", "check"]).code, 3);
    assert!(room.bundle() == before && room.names() == names);
}
