//! Rotation as a user sees it: what is due, who has it, new values everywhere or the old ones again.

use crate::host::Spec;
use crate::workspace::{ROOT, Workspace, changes, is_root, of};
use std::fs;

/// Three hosts that were set up, and these lines behind the playbook.
fn fleet(policy: &str) -> Workspace {
    let mut ws = Workspace::new();
    for name in ["web1", "web2", "web3"] {
        ws.add(name, Spec::default(), "");
    }
    ws.rotate_by(policy);
    ws.setup();
    ws
}

#[test]
fn a_new_value_is_everywhere() {
    if !is_root() {
        return;
    }
    let ws =
        fleet("[[rotate]]\nsecrets = ['cloudflare.CLOUDFLARE_API_TOKEN']\nevery = '90d'\ngenerate = 'password:40'\n");
    let old = ws.web1().read(&format!("{ROOT}/secrets/cloudflare.env"));
    let check = ws.json(&["rotate", "--all", "--check"], 0);
    assert_eq!(check["rotation"]["state"], "planned");
    assert_eq!(ws.json(&["rotate"], 0)["rotation"]["state"], "nothing");
    let report = ws.json(&["rotate", "--all"], 0);
    eprintln!("{report:#}");
    assert_eq!(report["rotation"]["state"], "done");
    let new = ws.web1().read(&format!("{ROOT}/secrets/cloudflare.env"));
    assert_ne!(old, new);
    for host in &ws.hosts {
        assert_eq!(host.read(&format!("{ROOT}/secrets/cloudflare.env")), new);
        assert_eq!(changes(&report, &host.name), ["cloudflare.env changed", "all-secrets.env changed"]);
        assert_eq!(of(&report, &host.name)["outcome"], "changed");
    }
    assert_eq!(ws.deploy()["summary"]["ok"], 3, "nothing is left for deploy to do");
    assert_eq!(fs::read_dir(ws.path("project/backups/bundle")).unwrap().count(), 1);
    let human = ws.run(&["rotate", "--secret", "cloudflare.*"]).expect(0);
    println!("{}\n{}", human.stdout, human.stderr);
    let human = ws.run(&["rotate", "--secret", "cloudflare.*", "--check", "--diff"]).expect(0);
    println!("{}\n{}", human.stdout, human.stderr);
    let human = ws.run(&["rotate", "--all", "--hosts", "web1", "--check"]).expect(0);
    println!("{}\n{}", human.stdout, human.stderr);
    ws.assert_no_leak();
}
