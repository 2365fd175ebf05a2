//! Redis: one user with two passwords.

use super::policy::{Policy, Values, alone, turn};
use super::process_watch::{Watch, prefix, seen};
use super::redis_server::Redis;
use super::sshd::directory;
use std::fs;
use std::os::unix::fs::PermissionsExt;

const OLD: &str = "old-0123456789abcdefghij";
const NEW: &str = "new-9876543210zyxwvutsrq";

fn started() -> Option<(Redis, Policy)> {
    let alone = alone();
    if !Redis::is_possible() {
        return None;
    }
    let redis = Redis::start();
    Some((redis, Policy::new(alone, "redis", &[])))
}

#[test]
fn two_passwords() {
    let Some((mut redis, mut policy)) = started() else { return };
    let port = redis.port.to_string();
    policy.with(&["--user", "app", "--host", &redis.address, "--port", &port]);
    let values = turn(OLD, NEW);
    policy.refused("set", values, "Redis has no user app");
    redis.ask(&format!("ACL SETUSER app on >{OLD} ~* +@read"));
    policy.twice("undo", values);
    assert!(redis.lets_in("app", OLD), "undo without set");
    policy.refused("test", values, "WRONGPASS");
    policy.twice("set", values);
    policy.twice("test", values);
    assert!(redis.lets_in("app", OLD) && redis.lets_in("app", NEW), "both at once");
    policy.twice("undo", values);
    assert!(redis.lets_in("app", OLD) && !redis.lets_in("app", NEW));
    policy.twice("set", values);
    policy.twice("revoke", values);
    policy.twice("revoke", turn(NEW, NEW));
    policy.twice("undo", turn(NEW, NEW));
    policy.twice("revoke", Values { old: None, ..values });
    assert!(!redis.lets_in("app", OLD) && redis.lets_in("app", NEW));
    redis.stop();
    for step in ["set", "test", "undo", "revoke"] {
        policy.refused(step, values, "connecting to Redis at 127.");
    }
    redis.restart();
    assert!(redis.lets_in("app", NEW), "it was saved");
    for value in [OLD, NEW] {
        assert!(!redis.log().contains(value) && !redis.users().contains(value));
    }
}

#[test]
fn what_is_refused() {
    let Some((redis, mut policy)) = started() else { return };
    let dir = directory();
    let file = dir.path().join("admin");
    let (port, path) = (redis.port.to_string(), file.to_str().unwrap().to_owned());
    let place = ["--host", &redis.address, "--port", &port];
    let values = turn(OLD, NEW);
    redis.ask("ACL SETUSER open on nopass");
    policy.with(&[&place[..], &["--user", "open"]].concat());
    policy.refused("test", values, "with any password");
    policy.refused("set", values, "with any password");
    policy.refused("set", Values { new: None, ..values }, "there is no new value");
    redis.ask("ACL SETUSER boss on >of-all-of-them +@all\r\nACL SETUSER app on\r\nACL SETUSER default -@all");
    policy.with(&[&place[..], &["--user", "app"]].concat());
    policy.refused("set", values, "NOPERM");
    policy.with(&[&place[..], &["--user", "app", "--admin-file", &path]].concat());
    policy.refused("set", values, "No such file");
    let admin = |text: &str, mode: u32| {
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    };
    admin("boss\nof-all-of-them\n", 0o644);
    policy.refused("set", values, "chmod 600");
    admin("boss\n", 0o600);
    policy.refused("set", values, "on two lines");
    admin("boss\nwrong\n", 0o600);
    policy.refused("set", values, "WRONGPASS");
    admin("boss\nof-all-of-them\n", 0o600);
    policy.twice("set", values);
    policy.twice("test", values);
}

#[test]
fn no_process_shows_a_value() {
    let Some((redis, mut policy)) = started() else { return };
    let _watch = Watch::start();
    redis.ask("ACL SETUSER app on");
    policy.with(&["--user", "app", "--host", &redis.address, "--port", &redis.port.to_string()]);
    let (old, new) = (format!("{}-old", prefix()), format!("{}-new", prefix()));
    for step in ["set", "test", "undo", "set", "revoke"] {
        policy.twice(step, turn(&old, &new));
    }
    assert_eq!(seen(), Vec::<String>::new());
}
