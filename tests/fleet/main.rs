//! Stories a user would tell, through the real command line, over real SSH, to hosts of their own. Each carries a poison
//! value and ends by finding it in its files and nowhere else. Nothing here sleeps or asserts on how long a thing took.

#[path = "../support/host.rs"]
mod host;
#[path = "../support/http_server.rs"]
mod http_server;
#[path = "../support/postgres.rs"]
mod postgres;
#[path = "../support/process_watch.rs"]
mod process_watch;
#[path = "../support/redis.rs"]
mod redis;
#[path = "../support/rotator.rs"]
mod rotator;
#[path = "../support/seaweedfs.rs"]
#[cfg(feature = "s3")]
mod seaweedfs;
#[path = "../support/sshd.rs"]
mod sshd;
#[path = "../support/workspace.rs"]
mod workspace;

mod actions;
mod audit;
mod audit_access;
mod audit_consumers;
mod audit_content;
mod audit_surroundings;
mod audit_trouble;
mod backups;
mod bundle_restore;
mod contract;
mod drill;
mod enrolment;
mod example;
mod exposure;
mod fleet_in_use;
mod formats;
mod interrupt;
mod notify;
#[cfg(feature = "s3")]
mod off_host;
mod real_jwt;
mod real_postgres;
mod real_redis;
mod recover;
mod restore;
mod restore_edits;
mod restore_kills;
mod restore_refusals;
mod rotation;
mod rotation_kills;
mod rotation_orphans;
mod rotation_rivals;
mod rotation_trouble;
mod schedule;
mod small;
mod strangers;
mod trouble;

/// A watcher that sees nothing proves nothing.
#[test]
fn a_leak_would_be_found() {
    if !workspace::is_root() {
        return;
    }
    let ws = workspace::Workspace::with_host(host::Spec::default());
    assert_eq!(ws.holders_on(ws.web1()), Vec::<String>::new());
    let base64 = |text: String| data_encoding::BASE64.encode(text.as_bytes());
    let disguises = [
        ws.poison.clone(),
        base64(ws.poison.clone()),
        base64(format!("KEY={}\n", ws.poison)),
        base64(format!("a{}", ws.poison)),
    ];
    for (number, text) in disguises.iter().enumerate() {
        std::fs::write(ws.web1().path(&format!("/var/log/{number}")), format!("found: {text}.")).unwrap();
    }
    assert_eq!(ws.holders_on(ws.web1()), ["/var/log/0", "/var/log/1", "/var/log/2", "/var/log/3"]);
    assert!(std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| ws.assert_no_leak())).is_err());
}
