//! What somebody else put on a host is kept and reported, never overwritten; what we left half done is swept.

use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Workspace, is_root, of};
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn rules(report: &serde_json::Value) -> Vec<String> {
    let findings = of(report, "web1")["findings"].as_array().unwrap();
    let text = |finding: &serde_json::Value, key: &str| finding[key].as_str().unwrap().to_owned();
    findings
        .iter()
        .map(|finding| {
            let path = text(finding, "path");
            format!("{} {}", text(finding, "rule"), path.strip_prefix(&format!("{ROOT}/secrets/")).unwrap_or(&path))
        })
        .collect()
}

/// What the host says it kept, and that it did.
fn kept(ws: &Workspace, report: &serde_json::Value) -> Vec<(String, String)> {
    let paths = of(report, "web1")["kept"].as_array().unwrap().iter().map(|path| path.as_str().unwrap());
    paths.map(|path| (path.rsplit('/').next().unwrap().to_owned(), ws.web1().read(path))).collect()
}

fn write(host: &Host, path: &str, text: &str) {
    let path = host.path(&format!("{ROOT}/secrets/{path}"));
    fs::write(&path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn plain_files_of_the_time_before_are_kept_at_the_first_setup() {
    if !is_root() {
        return;
    }
    let before = "mkdir -p -m 700 /opt/callableapis/secrets; cd /opt/callableapis/secrets; echo AWS=by-hand > aws.env; echo hello > notes.txt; cd /";
    let ws = Workspace::with_host(Spec::default().script(before));
    let would = ws.json(&["setup", "--check"], 0);
    assert_eq!(ws.web1().names(&format!("{ROOT}/secrets")), ["aws.env", "notes.txt"]);
    let report = ws.setup();
    assert_eq!(
        of(&would, "web1")["kept"].as_array().unwrap().len(),
        of(&report, "web1")["kept"].as_array().unwrap().len()
    );
    assert_eq!(kept(&ws, &report), [("aws.env".to_owned(), "AWS=by-hand\n".to_owned())]);
    assert_eq!(ws.web1().read(&format!("{ROOT}/secrets/notes.txt")), "hello\n");
    assert!(rules(&report).contains(&"unexpected-file notes.txt".to_owned()), "{:?}", rules(&report));
    ws.assert_arrived(ws.web1());
    let snapshot = ws.web1().snapshot();
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok", "said, and not touched again");
    assert_eq!(ws.web1().snapshot(), snapshot);
    ws.assert_no_leak();
}

#[test]
fn a_hand_edit_is_kept_and_reported() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    write(ws.web1(), "aws.env", "AWS_SECRET_ACCESS_KEY=by-hand\n");
    write(ws.web1(), "..data/extra.txt", "put into the set\n");
    let status = ws.json(&["status"], 0);
    assert!(rules(&status).contains(&"drift aws.env".to_owned()), "{:?}", rules(&status));
    assert_eq!(ws.web1().read(&format!("{ROOT}/secrets/aws.env")), "AWS_SECRET_ACCESS_KEY=by-hand\n");
    let report = ws.deploy();
    assert!(rules(&report).contains(&"drift aws.env".to_owned()), "{:?}", rules(&report));
    let mut kept = kept(&ws, &report);
    kept.sort();
    let expected = [("set-aws.env", "AWS_SECRET_ACCESS_KEY=by-hand\n"), ("set-extra.txt", "put into the set\n")];
    assert_eq!(kept, expected.map(|(name, text)| (name.to_owned(), text.to_owned())));
    ws.assert_arrived(ws.web1());
    assert!(!ws.web1().exists(&format!("{ROOT}/secrets/..data/extra.txt")));
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}

#[test]
fn an_editor_that_replaced_the_link() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    for name in ["aws.env", "api.env", "cloudflare.env"] {
        fs::remove_file(ws.web1().path(&format!("{ROOT}/secrets/{name}"))).unwrap();
    }
    write(ws.web1(), "aws.env", "by an editor\n");
    ws.web1().sh("mkdir /opt/callableapis/secrets/api.env; echo inside > /opt/callableapis/secrets/api.env/file");
    ws.web1().sh("ln -s /etc/passwd /opt/callableapis/secrets/cloudflare.env");
    let passwd = ws.web1().read("/etc/passwd");
    let report = ws.deploy();
    assert_eq!(of(&report, "web1")["kept"].as_array().unwrap().len(), 3);
    for name in ["aws.env", "api.env", "cloudflare.env"] {
        let target = fs::read_link(ws.web1().path(&format!("{ROOT}/secrets/{name}"))).unwrap();
        assert_eq!(target.to_str(), Some(format!("..data/{name}").as_str()));
    }
    let run = report["run"].as_str().unwrap();
    assert_eq!(ws.web1().read(&format!("{ROOT}/secrets/..kept-{run}/aws.env")), "by an editor\n");
    assert_eq!(ws.web1().read(&format!("{ROOT}/secrets/..kept-{run}/api.env/file")), "inside\n");
    assert_eq!(ws.web1().read("/etc/passwd"), passwd);
    ws.assert_arrived(ws.web1());
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}

#[test]
fn wrong_modes_and_owners_are_mended() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.web1().sh("cd /opt/callableapis; chmod 755 secrets backups .distribute; chmod 644 vault-password backups/key.age secrets/..data/aws.env; chown 4711 secrets/..data/api.env");
    ws.deploy();
    for path in ["secrets", "backups", ".distribute", "secrets/..data/."] {
        assert_eq!(ws.web1().access(&format!("{ROOT}/{path}")), "700 0:0", "{path}");
    }
    for path in ["vault-password", "backups/key.age", "secrets/..data/aws.env", "secrets/..data/api.env"] {
        assert_eq!(ws.web1().access(&format!("{ROOT}/{path}")), "600 0:0", "{path}");
    }
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}

#[test]
fn what_an_interrupted_run_left_is_swept() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.web1().sh(
        "cd /opt/callableapis; cp -r secrets/..data/. secrets/..1-20200101T000000Z-0000; \
         mkdir .distribute/stage.0123456789abcdef0123456789abcdef; cp secrets/aws.env .distribute/stage.0123456789abcdef0123456789abcdef/in; \
         echo x > .distribute/own.0123456789abcdef0123456789abcdef; echo x > .distribute/manifest...1-20200101T000000Z-0000; \
         echo '00000000-0000-0000-0000-000000000000 1 1 2020-01-01T00:00:00Z somebody@gone pid 1' > .distribute/lock",
    );
    ws.deploy();
    let left: Vec<_> = ws.web1().names(&format!("{ROOT}/.distribute"));
    assert!(
        left.iter().all(|name| {
            ["generation", "previous"].contains(&name.as_str())
                || ["manifest.", "receipt."].iter().any(|start| name.starts_with(start))
        }),
        "{left:?}"
    );
    assert!(!left.iter().any(|name| name.contains("20200101")), "{left:?}");
    assert!(!ws.web1().exists(&format!("{ROOT}/secrets/..1-20200101T000000Z-0000")));
    let snapshot = ws.web1().snapshot();
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    assert_eq!(ws.web1().snapshot(), snapshot);
    ws.assert_no_leak();
}
