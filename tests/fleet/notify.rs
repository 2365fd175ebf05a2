//! Who hears of a run of the real program, and what of it.

use crate::host::Spec;
use crate::http_server::Server;
use crate::workspace::{Workspace, is_root};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::PermissionsExt;

/// Everybody hears of deploys, whatever came of them; the hook's address and key are secrets of the bundle.
fn told(ws: &Workspace, server: &Server) {
    ws.set("ops.HOOK_URL", &server.url(&format!("/hook/{}", ws.poison)));
    ws.set("ops.HOOK_KEY", &format!("{}-key", ws.poison));
    let text = format!(
        "[[notify]]\nwebhook = {{ secret = 'ops.HOOK_URL' }}\nsign = 'ops.HOOK_KEY'\non = ['deploy', 'audit']\nwhen = 'always'\n\
         [[notify]]\nhealthchecks = '{}'\non = ['deploy']\n\
         [[notify]]\nsendmail = 'ops@example.com'\nprogram = '{}'\non = ['deploy']\n",
        server.url("/ping"),
        ws.path("tmp/stand-in").display()
    );
    fs::write(ws.path("project/playbooks/notify.toml"), text).unwrap();
    let script = "#!/bin/sh\ncat >>\"$0.text\"\n";
    fs::write(ws.path("tmp/stand-in"), script).unwrap();
    fs::set_permissions(ws.path("tmp/stand-in"), fs::Permissions::from_mode(0o755)).unwrap();
}

fn documents(server: &Server) -> Vec<Value> {
    let hooks = server.requests().into_iter().filter(|request| request.line.starts_with("POST /hook/"));
    hooks.map(|request| serde_json::from_str(&request.body).unwrap()).collect()
}

#[test]
fn a_run_is_told_without_a_value() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let server = Server::start(&["200 OK"]);
    ws.setup();
    told(&ws, &server);
    ws.run(&["deploy", "--check"]).expect(0);
    assert_eq!(server.lines(), Vec::<String>::new(), "--check is no run");
    // Nothing changes: mails are for changes.
    let report = ws.deploy();
    let hook = format!("POST /hook/{}", ws.poison);
    assert_eq!(server.lines().iter().filter(|line| **line == hook).count(), 1);
    let pings: Vec<String> = server.lines().into_iter().filter(|line| line.starts_with("POST /ping")).collect();
    assert_eq!(pings, ["POST /ping/start", "POST /ping"]);
    let first = &documents(&server)[0];
    assert_eq!((&first["run"], &first["outcome"], &first["status"]), (&report["run"], &"ok".into(), &0.into()));
    assert_eq!((&first["project"], &first["summary"]["ok"]), (&"project".into(), &1.into()));
    assert!(!ws.path("tmp/stand-in.text").exists());

    // A restart that fails and says what it should not.
    ws.service("aws", "on_change = { command = ['sh', '-c', 'cat /opt/callableapis/secrets/aws.env >&2; exit 1'] }");
    ws.set("aws.AWS_ACCESS_KEY_ID", "another");
    ws.json(&["deploy"], 2);
    let failed = &documents(&server)[1];
    assert_eq!((&failed["outcome"], &failed["hosts"][0]["outcome"]), (&"failed".into(), &"failed".into()));
    assert!(failed["message"].as_str().unwrap().contains("web1: action: "), "{failed}");
    assert_eq!(server.lines().iter().filter(|line| *line == "POST /ping/fail").count(), 1);
    let mail = fs::read_to_string(ws.path("tmp/stand-in.text")).unwrap();
    assert!(mail.contains("\nSubject: distribute deploy: failed\n"), "{mail}");
    for request in server.requests() {
        let headers = format!("{:?}", request.headers);
        assert!(!request.body.contains(&ws.poison) && !headers.contains(&ws.poison), "{request:?}");
    }
    ws.json(&["audit"], 3);
    assert_eq!(documents(&server)[2]["outcome"], "findings");
    ws.assert_no_leak();
}

#[test]
fn that_nobody_can_be_told_changes_nothing() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let server = Server::start(&["403 No"]);
    ws.setup();
    told(&ws, &server);
    fs::remove_file(ws.path("tmp/stand-in")).unwrap();
    ws.set("aws.AWS_ACCESS_KEY_ID", "another");
    let ran = ws.run(&["deploy", "-o", "json"]).expect(0);
    assert_eq!(ran.report()["summary"]["changed"], 1);
    let said: Vec<&str> = ran.stderr.lines().filter(|line| line.starts_with("notify: ")).collect();
    let refused = "notify: http://127.0.0.1: the server answered 403";
    assert_eq!(said[..3], [refused, refused, refused], "start, hook and ping: {}", ran.stderr);
    assert!(said.len() == 4 && said[3].contains("stand-in: No such file"), "{}", ran.stderr);
    assert!(!ran.stderr.contains(&ws.poison), "{}", ran.stderr);
    ws.assert_no_leak();
}

#[test]
fn what_a_notification_lacks_is_told_before_the_run() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let server = Server::start(&["200 OK"]);
    ws.setup();
    told(&ws, &server);
    ws.set("aws.AWS_ACCESS_KEY_ID", "another");
    let file = ws.path("project/playbooks/notify.toml");
    let good = fs::read_to_string(&file).unwrap();
    let before = ws.web1().snapshot();
    for (wrong, expected) in [
        (
            good.replace("sign = 'ops.HOOK_KEY'", "sign = 'ops.HOOK_KYE'"),
            "notify.toml:1: sign: the bundle has no ops.HOOK_KYE\nhint: did you mean ops.HOOK_KEY?",
        ),
        (good.replace("ops.HOOK_URL", "ops.HOOK_KEY"), "webhook: ops.HOOK_KEY: it is not an address of a server"),
        (good.replace("'http://", "'POISON://"), "healthchecks: it is not an address of a server"),
    ] {
        fs::write(&file, wrong).unwrap();
        for words in [&["deploy"][..], &["deploy", "--check"]] {
            let stderr = ws.run(words).expect(1).stderr;
            assert!(
                stderr.contains(expected) && !stderr.contains("POISON") && !stderr.contains(&ws.poison),
                "{stderr}"
            );
        }
    }
    assert_eq!(server.lines(), Vec::<String>::new());
    assert_eq!(ws.web1().snapshot(), before);
    ws.assert_no_leak();
}
