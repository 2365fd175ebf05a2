//! Every process that the program starts costs a host about a millisecond.

use crate::remote_shell::*;
use crate::state::env;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// What is executed while `talk` goes on, sshd's `sh -c COMMAND` included.
fn executed(host: &Host, talk: impl FnOnce(&mut Session)) -> Vec<String> {
    let log = host.at("strace.log");
    let words = ["strace", "-f", "-qq", "-e", "trace=execve", "-e", "signal=none", "-o", log.to_str().unwrap()];
    let mut session = Session::start(host.command_through(&words.map(OsString::from)));
    talk(&mut session);
    session.end();
    programs(&log)
}

fn programs(log: &Path) -> Vec<String> {
    let log = fs::read_to_string(log).unwrap();
    assert!(!log.contains(POISON), "a value is an argument");
    let calls = log.lines().filter(|line| line.contains("execve(") && line.ends_with("= 0"));
    let name = |line: &str| line.split('"').nth(1).and_then(|path| path.rsplit('/').next()).unwrap_or("?").to_owned();
    calls.map(name).collect()
}

#[test]
fn an_unchanged_look_takes_five_processes() {
    if !installed("strace") {
        return;
    }
    let host = Host::new("dash");
    let names = ["a.env", "b.env", "c.env", "tls/cert", "tls/key"];
    let want = names.iter().fold(Want::new(&host, 1), |want, name| want.file(name, env(name)));
    host.deploy(&want);
    let programs = executed(&host, |session| {
        let facts = session.look(&[&want.set]).unwrap();
        assert!(want.plan(&facts).unwrap().is_empty());
        session.send(b"bye\n");
    });
    // `sh` twice: sshd's, and the one that our command becomes.
    assert_eq!(programs, ["sh", "sh", "id", "stat", "sha256sum", "cat"]);
}

#[test]
fn a_change_of_five_files_has_a_ceiling() {
    if !installed("strace") {
        return;
    }
    let host = Host::new("dash");
    let names = ["a.env", "b.env", "c.env", "tls/cert", "tls/key"];
    let set = |tag: &str| names.iter().fold(Want::new(&host, 1), |want, name| want.file(name, env(tag)));
    host.deploy(&set("one"));
    host.deploy(&set("two"));
    let want = set("three");
    let programs = executed(&host, |session| {
        let facts = session.look(&[&want.set]).unwrap();
        let pushed = session.push(&[want.plan(&facts).unwrap()]).unwrap();
        assert!(pushed.failures.is_empty(), "{:?}", pushed.failures);
    });
    println!("{}: {programs:?}", programs.len());
    assert!(programs.len() <= 37, "{}: {programs:?}", programs.len());
}
