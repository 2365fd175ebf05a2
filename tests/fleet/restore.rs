//! Hosts put back as they were.

use crate::backups::sealed;
use crate::host::Spec;
use crate::workspace::{ROOT, Workspace, is_root, of};

#[test]
fn first_try() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let first = ws.setup()["run"].as_str().unwrap().to_owned();
    ws.set("api.API_PORT", "9090");
    ws.deploy();
    let web1 = ws.web1();
    let check = ws.run(&["restore", "--previous", "--check", "--diff"]).expect(0);
    println!("{}{}", check.stdout, check.stderr);
    let done = ws.run(&["restore", "--previous", "--yes"]).expect(0);
    println!("{}{}", done.stdout, done.stderr);
    assert!(web1.read(&format!("{ROOT}/secrets/api.env")).contains("8080"));
    println!("{}", web1.sh(&format!("ls -la {ROOT}/secrets {ROOT}/.distribute {ROOT}/backups")));
    println!("{}", ws.run(&["status"]).expect(0).stdout);
    println!("{}", ws.run(&["audit"]).stdout);
    println!("{:?}", sealed(web1));
    ws.set("api.API_PORT", "9191");
    ws.deploy();
    ws.set("api.API_PORT", "9292");
    ws.deploy();
    web1.sh(&format!("echo HAND=1 >> {ROOT}/secrets/aws.env"));
    let done = ws.run(&["restore", "--run", &first, "--yes", "--service", "api"]).expect(0);
    println!("{}{}", done.stdout, done.stderr);
    println!("{}", web1.sh(&format!("cat {ROOT}/secrets/api.env {ROOT}/secrets/all-secrets.env | grep PORT; cat {ROOT}/secrets/aws.env | grep HAND; ls -l {ROOT}/backups {ROOT}/secrets")));
    println!("{}", ws.run(&["backup", "list"]).expect(0).stdout);
    println!("{}", ws.run(&["backup", "verify"]).expect(0).stdout);
    println!("{}", ws.run(&["bundle", "revert", "api.API_PORT", "--to", "2"]).expect(0).stderr);
    let report = ws.json(&["deploy", "--check"], 0);
    println!("{:#}", of(&report, "web1")["files"]);
    panic!("see");
}
