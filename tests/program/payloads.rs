//! What is sent arrives exactly, and a payload that does not changes nothing.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env, found_only_in_sets};
use distribute::plan::{Staged, Step, Transaction};
use distribute::remote::{self, Pushed};
use distribute::words::{Phase, Secret};
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Everything below the root with its content, without times.
fn contents(host: &Host) -> BTreeMap<String, Vec<u8>> {
    let entries = walkdir::WalkDir::new(host.root_at("")).into_iter().map(|entry| entry.unwrap());
    let read = |entry: walkdir::DirEntry| {
        let path = entry.path().to_owned();
        let content = match fs::read_link(&path) {
            Ok(target) => target.into_os_string().into_encoded_bytes(),
            Err(_) => fs::read(&path).unwrap_or_default(),
        };
        (path.display().to_string(), content)
    };
    entries.map(read).collect()
}

struct Scene {
    host: Host,
    want: Want,
    before: BTreeMap<String, Vec<u8>>,
}

impl Scene {
    fn new(shell: &str) -> Self {
        let host = Host::new(shell);
        host.deploy(&Want::new(&host, 1).file("aws.env", env("old")).file("tls/key", env("old")));
        let want = Want::new(&host, 2).file("aws.env", env("new")).file("tls/key", env("new"));
        let before = contents(&host);
        Self { host, want, before }
    }

    /// Pushes what `bend` makes of the payload.
    fn push(&self, bend: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Pushed {
        let mut session = self.host.start();
        let facts = session.look(&[&self.want.set]).unwrap();
        let payload = remote::payload(&[self.want.plan(&facts).unwrap()]).unwrap().to_vec();
        let pushed = session.push_bytes(&bend(payload)).expect("a second frame");
        assert!(!session.end().0.success());
        pushed
    }

    fn refused(&self, what: &str, why: &str, bend: impl FnOnce(Vec<u8>) -> Vec<u8>) {
        let pushed = self.push(bend);
        let failure = pushed.failures.first().unwrap_or_else(|| panic!("{what} was taken"));
        assert_eq!(failure.phase, Phase::Stage, "{what}");
        assert!(failure.message.contains(why), "{what}: {failure:?}");
        assert!(contents(&self.host) == self.before, "{what} changed something");
    }

    fn still_works(self) {
        self.host.deploy(&self.want);
        assert_tidy(&self.host, &self.want);
    }
}

#[test]
fn cut_at_every_kilobyte_and_at_each_of_the_last_bytes() {
    let scene = Scene::new("dash");
    let length = scene.push(|payload| payload[..0].to_vec());
    assert!(length.failures[0].message.contains("cut short"));
    let mut session = scene.host.start();
    let facts = session.look(&[&scene.want.set]).unwrap();
    let length = remote::payload(&[scene.want.plan(&facts).unwrap()]).unwrap().len();
    session.bye();
    for cut in (0..length).step_by(1024).chain(length - 100..length) {
        scene.refused(&format!("cut at {cut} of {length}"), "cut short", |payload| payload[..cut].to_vec());
    }
    scene.still_works();
}

#[test]
fn cut_under_other_shells() {
    for shell in ["bash", "busybox", "mksh"].into_iter().filter(|shell| installed(shell)) {
        let scene = Scene::new(shell);
        for cut in [0, 1, 85, 86, 87, 4096] {
            scene.refused(&format!("{shell}: cut at {cut}"), "cut short", |payload| payload[..cut].to_vec());
        }
        scene.refused(shell, "cut short", |payload| payload[..payload.len() - 1].to_vec());
        scene.refused(shell, "damaged", |mut payload| {
            payload[700] ^= 1;
            payload
        });
        scene.still_works();
    }
}

#[test]
fn bent() {
    let scene = Scene::new("dash");
    let trailer = |length: &str, hash: &str| format!("END {length} {hash}\n").into_bytes();
    let body = |payload: &[u8]| payload[..payload.len() - 86].to_vec();
    for at in [0, 300, 512, 2000, 5000] {
        scene.refused(&format!("a flipped byte at {at}"), "damaged", |mut payload| {
            payload[at] ^= 0x20;
            payload
        });
    }
    scene.refused("a flipped digit of the hash", "damaged", |mut payload| {
        let at = payload.len() - 2;
        payload[at] = if payload[at] == b'0' { b'1' } else { b'0' };
        payload
    });
    scene.refused("two trailers", "cut short", |payload| {
        let end = payload[payload.len() - 86..].to_vec();
        [payload, end].concat()
    });
    scene.refused("a byte behind the trailer", "cut short", |payload| [payload, b"x".to_vec()].concat());
    for length in ["0000000000000001", "9999999999999999", "0000000000000000", "-000000000000001", "0x00000000000010"] {
        scene.refused(&format!("length {length}"), "cut short", |payload| {
            let hash = sha256(&body(&payload));
            [body(&payload), trailer(length, &hash)].concat()
        });
    }
    scene.refused("a length of 60 digits", "cut short", |payload| {
        [body(&payload), trailer(&"9".repeat(60), "0123456789abcdef0123")].concat()
    });
    for line in ["* * *", "END * *", "END", "END 1", "$(id) `id`", "END 0000000000000010", "END a b"] {
        scene.refused(line, "cut short", |payload| [body(&payload), format!("{line:>85}\n").into_bytes()].concat());
    }
    scene.refused("the hash of another payload", "damaged", |payload| {
        let length = format!("{:016}", payload.len() - 86);
        [body(&payload), trailer(&length, &sha256(b"another"))].concat()
    });
    scene.refused("a true trailer around something that is no tar", "could not be unpacked", |_| {
        let junk = vec![b'j'; 3000];
        let end = trailer(&format!("{:016}", junk.len()), &sha256(&junk));
        [junk, end].concat()
    });
    scene.still_works();
}

/// A hash in the payload that does not fit its file, and a plan that does not fit the program.
#[test]
fn made_wrong() {
    let scene = Scene::new("dash");
    let mut session = scene.host.start();
    let facts = session.look(&[&scene.want.set]).unwrap();
    let mut transaction = scene.want.plan(&facts).unwrap();
    session.bye();
    for staged in &mut transaction.staged {
        if let Staged::File { path, content } = staged
            && path == "set/aws.env"
        {
            *content = Secret::new("SWAPPED=1\n");
        }
    }
    let swapped = remote::payload(&[transaction]).unwrap();
    let position = |bytes: &[u8], what: &[u8]| bytes.windows(what.len()).position(|window| window == what).unwrap();
    scene.refused("a file that is not what its hash says", "is not what was sent", |_| {
        let mut body = swapped[..swapped.len() - 86].to_vec();
        let at = position(&body, b"SWAPPED=1");
        body[at] = b'X';
        let end = format!("END {:016} {}\n", body.len(), sha256(&body));
        [body, end.into_bytes()].concat()
    });
    let odd = Transaction { steps: vec![Step::Link(vec!["nothing".to_owned()])], ..Transaction::default() };
    let odd = remote::payload(&[odd]).unwrap();
    scene.refused("links that were not sent", "cannot put the links", |_| odd.to_vec());
    let unknown = remote::payload(&[Transaction::default()]).unwrap();
    scene.refused("a tar without a plan's directory", "could not be unpacked", |_| {
        let mut body = unknown[..unknown.len() - 86].to_vec();
        body[0] = b'7';
        let end = format!("END {:016} {}\n", body.len(), sha256(&body));
        [body, end.into_bytes()].concat()
    });
    scene.still_works();
}

/// Names cannot hold a space: what would travel in a plan is checked where it is read.
#[test]
fn names_are_checked_at_the_door() {
    use distribute::words::{FileName, Principal, RemotePath, ServiceName};
    for name in ["a b", "a\nb", "../a", "-a", "a/b", "$(a)", ""] {
        assert!(ServiceName::new(name).is_err() && FileName::new(name).is_err() && Principal::new(name).is_err());
    }
    assert!(RemotePath::new("/opt/a\nb").is_err());
}

/// A root may hold spaces, quotes and globs.
#[test]
fn a_root_with_an_odd_name() {
    for name in [
        "with space",
        " lead",
        "trail ",
        "quote'd \"twice\"",
        "*[a]?",
        "$(id)`id`$HOME",
        "-rf",
        "back\\slash",
        "ümlaut",
        "a -> b",
    ] {
        let host = Host::new("dash");
        let mut want = Want::new(&host, 1).file("aws.env", env("aws")).file("tls/key", env("tls"));
        let root = host.at(&format!("odd/{name}"));
        want.set.root = distribute::words::RemotePath::new(root.to_str().unwrap()).unwrap();
        host.deploy(&want);
        assert_eq!(fs::read(root.join("secrets/aws.env")).unwrap(), env("aws").into_bytes(), "{name}");
        assert!(!host.deploy(&want).changed(), "{name}");
    }
}

/// Two plays on one host: both in one payload.
#[test]
fn two_roots_at_once() {
    let host = Host::new("dash");
    let one = Want::new(&host, 1).file("aws.env", env("one"));
    let mut two = Want::new(&host, 1).file("api.env", env("two"));
    two.set.root = distribute::words::RemotePath::new(host.at("second").to_str().unwrap()).unwrap();
    let push = |one: &Want, two: &Want| {
        let mut session = host.start();
        let facts = session.look(&[&one.set, &two.set]).unwrap();
        let mut second = facts.clone();
        second.roots.remove(0);
        let pushed = session.push(&[one.plan(&facts).unwrap(), two.plan(&second).unwrap()]).unwrap();
        session.end();
        pushed
    };
    let pushed = push(&one, &two);
    assert!(pushed.failures.is_empty(), "{:?}", pushed.failures);
    assert_eq!((pushed.switched.len(), pushed.facts.roots.len()), (2, 2));
    assert_eq!(host.secret("aws.env").unwrap(), env("one").into_bytes());
    assert_eq!(fs::read(host.at("second/secrets/api.env")).unwrap(), env("two").into_bytes());
    // The second cannot be staged: neither is switched, and both are unlocked.
    let more = Want::new(&host, 2).file("aws.env", env("one more"));
    let mut next = Want::new(&host, 2).file("api.env", env("two more"));
    next.set.root = two.set.root.clone();
    fs::write(host.at("second/.distribute/generation"), format!("generation {BUNDLE} 99\n")).unwrap();
    let mut session = host.start();
    let facts = session.look(&[&more.set, &next.set]).unwrap();
    let mut second = facts.clone();
    second.roots.remove(0);
    second.roots[0].generation = None;
    let pushed = session.push(&[more.plan(&facts).unwrap(), next.plan(&second).unwrap()]).unwrap();
    session.end();
    assert_eq!(pushed.failures[0].phase, Phase::Enrolment);
    assert_eq!(host.secret("aws.env").unwrap(), env("one").into_bytes());
    assert_eq!(fs::read(host.at("second/secrets/api.env")).unwrap(), env("two").into_bytes());
    for lock in [host.root_at(".distribute/lock"), host.at("second/.distribute/lock")] {
        assert!(!lock.exists());
    }
    assert_tidy(&host, &one);
    found_only_in_sets(&host);
}

/// An action's arguments are data: they arrive exactly.
#[test]
fn arguments_arrive_exactly() {
    for shell in ["dash", "bash", "busybox", "mksh"] {
        if !installed(shell) {
            continue;
        }
        let host = Host::new(shell);
        let out = host.at("argv");
        let script = host.at("record");
        fs::write(&script, format!("#!/bin/sh\nprintf '%s\\0' \"$@\" >'{}'\n", out.display())).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let long = "x".repeat(4096);
        let arguments = [
            "plain",
            "",
            " ",
            "  two  spaces  ",
            "'",
            "\"",
            "'\\''",
            "$(touch /tmp/pwned)",
            "`id`",
            "${HOME}",
            "$$",
            "\\",
            "\\n\\0101\\",
            "*",
            "/*",
            "[a-z]?",
            "~",
            "-n",
            "--",
            "-rf",
            "!event",
            "#not a comment",
            "a;b&c|d>e<f",
            "arg x",
            "act api 1",
            "100%s%n",
            "ümlaut",
            "end\\",
            &long,
        ];
        let argv: Vec<&str> = [script.to_str().unwrap()].into_iter().chain(arguments).collect();
        let want = Want::new(&host, 1).file("api.env", env("api")).action("api", &argv);
        host.deploy(&want);
        let found = fs::read(&out).unwrap();
        let found: Vec<&str> = std::str::from_utf8(&found).unwrap().split_terminator('\0').collect();
        assert_eq!(found, arguments, "{shell}");
    }
}
