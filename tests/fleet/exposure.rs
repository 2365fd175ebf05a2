//! Somebody leaves: hosts get their keys anew and nothing else, old backups still open, and what he could read is rotated until nothing is left.

use crate::host::Spec;
use crate::workspace::{ROOT, Workspace, changes, is_root, of};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fs;

const POLICY: &str =
    "[[rotate]]\nsecrets = ['api.*', 'aws.*', 'cloudflare.*', 'github-oidc.*']\ngenerate = 'alnum:24'\n";

/// A host that was set up, and bob, who can open the bundle.
fn with_bob() -> Workspace {
    let ws = Workspace::with_host(Spec::default());
    ws.rotate_by(POLICY);
    ws.setup();
    let bob = ws.run(&["keygen", "-o", ws.path("home/bob").to_str().unwrap()]).expect(0).stdout;
    ws.run(&["bundle", "recipients", "add", "bob", bob.trim()]).expect(0);
    ws.deploy();
    ws
}

/// The first exposure's secrets that are left, as `status` has them.
fn left(ws: &Workspace) -> Vec<String> {
    let report = ws.json(&["status"], 0);
    let left = report["exposures"][0]["left"].as_array().unwrap_or_else(|| panic!("{report:#}"));
    left.iter().map(|name| name.as_str().unwrap().to_owned()).collect()
}

/// The paths of the host that are not as they were, or new.
fn touched(ws: &Workspace, before: &std::collections::BTreeMap<String, String>) -> BTreeSet<String> {
    let now = ws.web1().snapshot();
    let paths = now.keys().chain(before.keys()).filter(|path| now.get(*path) != before.get(*path));
    paths.map(|path| path.strip_prefix(ROOT).unwrap_or(path).to_owned()).collect()
}

#[test]
fn who_leaves_is_worked_off() {
    if !is_root() {
        return;
    }
    let ws = with_bob();
    ws.json(&["backup"], 0);
    let (password, key) = (format!("{ROOT}/vault-password"), format!("{ROOT}/backups/key.age"));
    let (old_password, old_key) = (ws.web1().read(&password), fs::read(ws.web1().path(&key)).unwrap());
    ws.run(&["bundle", "recipients", "remove", "bob", "--yes"]).expect(0);

    let all = ws.json(&["bundle", "recipients", "list"], 0)["exposures"][0]["secrets"].as_u64().unwrap();
    assert_eq!(left(&ws).len() as u64, all);
    let status = ws.run(&["status"]).expect(0).stdout;
    let line = format!("{all} of {all} secrets not rotated since: ");
    assert!(status.contains("exposed: bob (age1") && status.contains(&line), "{status}");
    assert!(status.contains("rotate them: distribute rotate --compromised bob"), "{status}");

    let audited = |word: &str| ws.run(&["audit"]).stdout.contains(word);
    assert!(audited("the one from before keys were made anew"));
    // The next deploy brings what he could read of the host's own keys, and touches nothing else.
    let before = ws.web1().snapshot();
    assert!(!before.keys().any(|path| path.contains("..kept-")), "what was ours is not kept as a stranger's");
    let report = ws.deploy();
    assert_eq!(changes(&report, "web1"), Vec::<String>::new(), "{report:#}");
    let allowed = ["", "/.distribute", "/vault-password", "/backups", "/backups/key.age"];
    let touched = touched(&ws, &before);
    assert!(touched.iter().all(|path| allowed.contains(&&**path)), "{touched:?}");
    let (new_password, new_key) = (ws.web1().read(&password), fs::read(ws.web1().path(&key)).unwrap());
    assert!(new_password != old_password && new_key != old_key, "{touched:?}");
    assert!(!audited("from before keys were made anew"));
    let snapshot = ws.web1().snapshot();
    ws.deploy();
    assert!(ws.web1().snapshot() == snapshot, "once is enough");

    // A backup of before and one of after: both open, here and with stock age and what key.age holds.
    ws.set("api.API_PORT", "9090");
    ws.deploy();
    ws.json(&["backup"], 0);
    let verified = ws.json(&["backup", "verify"], 0);
    assert_eq!(verified["summary"]["failed"], 0, "{verified:#}");
    let keys = ws.age(ws.identity().as_ref(), &new_key);
    crate::workspace::write_private(&ws.path("home/keys"), std::str::from_utf8(&keys).unwrap());
    let sealed = crate::backups::sealed(ws.web1());
    assert!(sealed.len() >= 3, "{sealed:?}");
    for name in &sealed {
        let bytes = fs::read(ws.web1().path(&format!("{ROOT}/backups/{name}"))).unwrap();
        assert!(!ws.age(&ws.path("home/keys"), &bytes).is_empty(), "{name}");
    }
    // Not what bob has: key.age of now is none of his.
    let mut bob = std::process::Command::new("age");
    let opened = bob.args(["-d", "-i"]).arg(ws.path("home/bob")).arg(ws.web1().path(&key)).output().unwrap();
    assert!(!opened.status.success());

    // What he could read is rotated until nothing is left.
    assert_eq!(left(&ws).len() as u64, all - 1);
    let report = ws.json(&["rotate", "--compromised", "bob"], 0);
    let rotated: Vec<String> = crate::rotation::names(&report, "secrets");
    assert_eq!(rotated.len() as u64, all - 1, "{report:#}");
    assert!(
        report["rotation"]["secrets"][0]["why"].as_str().is_none_or(|why| why.contains("bob could read it")),
        "{report:#}"
    );
    assert_eq!(left(&ws), Vec::<String>::new());
    let status = ws.run(&["status"]).expect(0).stdout;
    assert!(!status.contains("exposed:"), "{status}");
    let again: Value = ws.json(&["rotate", "--compromised", "bob"], 0);
    assert_eq!(again["rotation"]["state"], "nothing", "{again:#}");
    assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok");
    ws.assert_no_leak();
}
