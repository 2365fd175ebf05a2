//! Backups as a user makes, lists, checks and prunes them.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, is_root};
use serde_json::Value;

/// The backups of a host in a report.
pub fn backups<'a>(report: &'a Value, host: &str) -> &'a [Value] {
    let hosts = report["hosts"].as_array().unwrap();
    hosts.iter().find(|one| one["host"] == host).unwrap()["backups"].as_array().unwrap()
}

/// The names of the sealed copies on a host, the oldest first.
pub fn sealed(host: &Host) -> Vec<String> {
    let names = host.names(&format!("{ROOT}/backups")).into_iter();
    names.filter(|name| name != "key.age").collect()
}

#[test]
fn what_is_really_there_is_sealed() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let web1 = ws.web1();
    // As an editor does it: the link is replaced by a file.
    web1.sh(&format!(
        "cp {ROOT}/secrets/api.env /tmp/x && echo HAND=edited >> /tmp/x && mv /tmp/x {ROOT}/secrets/api.env"
    ));
    let report = ws.json(&["backup"], 0);
    println!("{report:#}");
    let made: Vec<&Value> = backups(&report, "web1").iter().filter(|one| one["deed"] == "made").collect();
    assert_eq!(made.len(), 1);
    let listed = ws.run(&["backup", "list"]).expect(0);
    println!("{}", listed.stdout);
    let verified = ws.run(&["backup", "verify"]).expect(0);
    println!("{}{}", verified.stdout, verified.stderr);
    assert_eq!(sealed(web1).len(), 2);
    println!("{}", ws.run(&["backup", "prune", "--keep", "1"]).expect(1).stderr);
    let pruned = ws.run(&["backup", "prune", "--keep", "1", "--yes"]).expect(0);
    println!("{}{}", pruned.stdout, pruned.stderr);
    panic!("see");
}
