//! PostgreSQL: one role, and two in turn.

use super::policy::{Policy, Values, alone, turn};
use super::postgres_server::Postgres;
use super::process_watch::{Watch, prefix, seen};

const OLD: &str = "old-0123456789abcdefghij";
const NEW: &str = "new'\\\" $%/{}0123456789";

fn started(roles: &str) -> Option<(Postgres, Policy)> {
    let alone = alone();
    if !Postgres::is_possible() {
        return None;
    }
    let postgres = Postgres::start();
    postgres.sql(roles);
    let policy = Policy::new(alone, "postgres", &postgres.admin_env());
    Some((postgres, policy))
}

#[track_caller]
fn assert_log_without(postgres: &Postgres, values: &[&str]) {
    let log = postgres.log();
    assert!(log.contains("SCRAM-SHA-256$4096:"), "statements are in the log: {log}");
    for value in values {
        assert!(!log.contains(value), "the server's log holds a password");
    }
}

#[test]
fn one_role() {
    let Some((postgres, mut policy)) = started("CREATE ROLE app LOGIN") else { return };
    let port = postgres.port.to_string();
    policy.with(&["--role", "app", "--host", &postgres.address, "--port", &port]);
    let first = Values { old: None, ..turn("", OLD) };
    policy.refused("test", first, "password authentication failed");
    policy.twice("set", first);
    policy.twice("test", first);
    let values = turn(OLD, NEW);
    policy.twice("undo", values);
    assert!(postgres.lets_in("app", OLD), "undo without set");
    policy.refused("test", values, "password authentication failed");
    policy.twice("set", values);
    policy.twice("test", values);
    policy.twice("revoke", values);
    assert!(postgres.lets_in("app", NEW) && !postgres.lets_in("app", OLD));
    policy.twice("undo", values);
    assert!(postgres.lets_in("app", OLD) && !postgres.lets_in("app", NEW));
    policy.twice("undo", first);
    assert!(!postgres.lets_in("app", OLD), "there was none before");
    assert_log_without(&postgres, &[OLD, NEW]);
}

#[test]
fn what_one_role_refuses() {
    let Some((mut postgres, mut policy)) = started("CREATE ROLE app LOGIN; CREATE ROLE \"odd\"\"; --\" LOGIN") else {
        return;
    };
    let values = turn(OLD, NEW);
    let port = postgres.port.to_string();
    policy.with(&["--role", "odd\"; --", "--host", &postgres.address, "--port", &port]);
    policy.twice("set", values);
    policy.twice("test", values);
    policy.with(&["--role", "app"]);
    policy.twice("set", values);
    policy.refused("test", values, "lets this role in with any password");
    policy.refused("generate", values, "password:40");
    policy.refused("set", turn(OLD, "a passwörd that is none"), "printable ASCII");
    policy.refused("set", Values { new: None, ..values }, "there is no new value");
    policy.with(&["--role", "nobody-here"]);
    policy.refused("set", values, "role \\\\\\\"nobody-here\\\\\\\" does not exist".replace("\\\\\\", "\\").as_str());
    postgres.stop();
    for step in ["set", "test", "undo"] {
        policy.refused(step, values, "connection to server");
    }
    postgres.restart();
    assert_log_without(&postgres, &[OLD, NEW]);
}

#[test]
fn two_roles_in_turn() {
    let Some((mut postgres, policy)) = started("CREATE ROLE app_a LOGIN; CREATE ROLE app_b NOLOGIN") else { return };
    let url = |role: &str, password: &str| {
        format!("postgresql://{role}:{password}@{}:{}/postgres", postgres.address, postgres.port)
    };
    let a = url("app_a", OLD);
    policy.twice("set", Values { old: None, ..turn("", &a) });
    policy.twice("test", turn(&a, &a));
    let made = |old: &str| {
        let answer = policy.call("generate", Values { new: None, ..turn(old, "") }).unwrap();
        String::from_utf8(answer.value.expose().to_vec()).unwrap()
    };
    let b = made(&a);
    assert!(b.starts_with("postgresql://app_b:") && b.split(['@', ':']).nth(2).unwrap().len() == 40, "{}", b.len());
    assert_ne!(made(&a), b);
    let password = b.split(['@', ':']).nth(2).unwrap();
    let values = turn(&a, &b);
    policy.twice("undo", values);
    policy.refused("test", values, "connection to server");
    policy.twice("set", values);
    policy.twice("test", values);
    assert!(postgres.lets_in("app_a", OLD) && postgres.lets_in("app_b", password), "both at once");
    policy.twice("undo", values);
    assert!(postgres.lets_in("app_a", OLD) && !postgres.lets_in("app_b", password));
    policy.twice("set", values);
    policy.twice("revoke", values);
    assert!(!postgres.lets_in("app_a", OLD) && postgres.lets_in("app_b", password));
    policy.twice("revoke", turn(&b, &b));
    policy.twice("undo", turn(&b, &b));
    assert!(postgres.lets_in("app_b", password), "nothing takes away the role that stays");
    assert!(made(&b).starts_with("postgresql://app_a:"));
    assert_eq!(postgres.sql("SELECT rolcanlogin, rolpassword IS NULL FROM pg_authid WHERE rolname = 'app_a'"), "f|t");
    assert_log_without(&postgres, &[OLD, password]);
    postgres.stop();
    for step in ["set", "test", "undo", "revoke"] {
        policy.refused(step, values, "connection to server");
    }
}

#[test]
fn what_two_roles_refuse() {
    let Some((postgres, mut policy)) = started("CREATE ROLE app_a LOGIN") else { return };
    let url = |role: &str| {
        format!("postgresql://{role}:{OLD}@{}:{}/postgres?sslmode=prefer", postgres.address, postgres.port)
    };
    policy.refused("set", turn(&url("app_a"), &url("app_a")), "has the role of the old one");
    policy.refused("set", turn(OLD, NEW), "is no URL with a role");
    policy.refused("generate", Values { old: None, ..turn("", NEW) }, "URL with a role");
    policy.refused("generate", Values { old: None, new: None, new_public: None }, "there is no old value");
    policy.refused("generate", turn(&url("app"), &url("app")), "none of two roles");
    policy.with(&["--roles", "one", "t@wo"]);
    let answer = policy.call("generate", Values { new: None, ..turn(&url("one"), "") }).unwrap();
    assert!(
        answer.value.expose().starts_with(b"postgresql://t%40wo:")
            && answer.value.expose().ends_with(b"?sslmode=prefer")
    );
}

#[test]
fn no_process_shows_a_value() {
    let Some((postgres, mut policy)) = started("CREATE ROLE app LOGIN; CREATE ROLE app_a LOGIN; CREATE ROLE app_b")
    else {
        return;
    };
    let _watch = Watch::start();
    let (place, port) = (format!("{}:{}", postgres.address, postgres.port), postgres.port.to_string());
    let url = |role: &str| format!("postgresql://{role}:{}-of-{role}@{place}/postgres", prefix());
    let (a, b) = (url("app_a"), url("app_b"));
    for step in ["set", "test", "undo", "revoke"] {
        policy.twice(step, turn(&a, &b));
    }
    policy.call("generate", turn(&b, &b)).unwrap();
    policy.with(&["--role", "app", "--host", &postgres.address, "--port", &port]);
    let (old, new) = (format!("{}-old", prefix()), format!("{}-new", prefix()));
    for step in ["set", "test", "undo", "revoke"] {
        policy.twice(step, turn(&old, &new));
    }
    assert_eq!(seen(), Vec::<String>::new());
    assert_log_without(&postgres, &[prefix()]);
}
