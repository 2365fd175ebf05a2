//! What a restore replaces is kept: hand edits, files in the place of links, secrets that were removed by accident; and what
//! actions and health checks make of a restore.

use crate::backups::sealed;
use crate::host::{Host, Spec};
use crate::restore::{assert_port, assert_tidy, live, notes, push_port, run_of, value, with_ports};
use crate::workspace::{ROOT, Workspace, changes, error, is_root, of};
use serde_json::{Value, json};
use std::fs;
use std::io::Write;

/// The run under which what was replaced is sealed.
fn replaced(ws: &Workspace) -> String {
    let report = ws.json(&["backup", "list"], 0);
    let backups = of(&report, "web1")["backups"].as_array().unwrap().clone();
    let replaced = backups.iter().rfind(|one| one["why"] == "replaced").unwrap_or_else(|| panic!("{report:#}"));
    replaced["run"].as_str().unwrap().to_owned()
}

/// As an editor that keeps the inode.
fn append(host: &Host, line: &str) {
    let path = host.path(&format!("{ROOT}/secrets/{}/api.env", live(host)));
    fs::OpenOptions::new().append(true).open(path).unwrap().write_all(line.as_bytes()).unwrap();
}

#[test]
fn a_hand_edit_is_sealed_before_it_goes_and_comes_back() {
    if !is_root() {
        return;
    }
    for spec in [Spec::default(), Spec::busybox()] {
        let (ws, runs) = with_ports(spec, &["9090", "9191"]);
        ws.edit_playbook("keep  = 5", "keep  = 20");
        let web1 = ws.web1();
        for (way, run) in
            [(&["restore", "--previous", "--yes"][..], &runs[1]), (&["restore", "--run", &runs[0], "--yes"], &runs[0])]
        {
            append(web1, &format!("HAND_{}={}-{run}\n", &run[..1], ws.poison));
            let edited = web1.read(&format!("{ROOT}/secrets/api.env"));
            let check = ws.json(&[way, &["--check"]].concat(), 0);
            let report = ws.json(way, 0);
            assert_eq!(
                (&of(&report, "web1")["restored"], notes(&check, "web1").contains("is sealed as")),
                (&json!(run), true)
            );
            let kept = format!("{ROOT}/secrets/..kept-{}/set-api.env", run_of(&report));
            assert_eq!(of(&report, "web1")["kept"], json!([kept]));
            assert_eq!(web1.read(&kept), edited);
            assert_eq!(value(web1, "api.env", &format!("HAND_{}", &run[..1])), None);
            assert_tidy(web1);
            let sealed_as = replaced(&ws);
            assert!(notes(&report, "web1").contains(&sealed_as), "{report:#}");

            let report = ws.json(&["restore", "--run", &sealed_as, "--yes"], 0);
            assert_eq!(web1.read(&format!("{ROOT}/secrets/api.env")), edited, "{report:#}");
            assert!(of(&report, "web1")["other_than_bundle"].to_string().contains("api.HAND"), "{report:#}");
            assert_tidy(web1);
        }
        let said = ws.run(&["restore", "--previous", "--yes"]).expect(0).stdout
            + &ws.run(&["restore", "--previous", "--yes"]).expect(0).stderr;
        assert!(said.contains("api.HAND"), "{said}");
        ws.assert_no_leak();
    }
}

#[test]
fn a_file_in_the_place_of_a_link() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    let at = format!("{ROOT}/secrets/api.env");
    // As sed -i and many editors do it.
    web1.sh(&format!("umask 077; sed 's/9090/7777/' {at} > {ROOT}/secrets/new && mv {ROOT}/secrets/new {at}"));
    assert!(!web1.path(&at).symlink_metadata().unwrap().is_symlink());
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert_eq!(of(&report, "web1")["restored"], json!(runs[0]));
    assert!(web1.path(&at).symlink_metadata().unwrap().is_symlink());
    assert_port(web1, "8080");
    let kept = format!("{ROOT}/secrets/..kept-{}/api.env", run_of(&report));
    assert!(web1.read(&kept).contains("7777"), "{report:#}");
    assert_tidy(web1);
    ws.json(&["restore", "--run", &replaced(&ws), "--yes"], 0);
    assert_eq!(value(web1, "api.env", "API_PORT").as_deref(), Some("7777"), "what applications read then");
    assert_eq!(value(web1, "all-secrets.env", "API_PORT").as_deref(), Some("9090"), "nobody had edited this one");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn an_edit_of_the_set_before_is_not_brought_back_as_if_it_were_right() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    web1.sh(&format!("sed -i s/8080/6666/ {ROOT}/secrets/..{}/api.env", runs[0]));
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert!(notes(&report, "web1").contains("the sealed copy of run"), "{report:#}");
    assert_port(web1, "8080");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn secrets_that_were_removed_by_accident() {
    if !is_root() {
        return;
    }
    for way in ["--previous", "--run"] {
        let (ws, runs) = with_ports(Spec::default(), &["9090"]);
        let web1 = ws.web1();
        web1.sh(&format!("rm -rf {ROOT}/secrets"));
        let mut args = vec!["restore", way];
        args.extend((way == "--run").then_some(&*runs[1]));
        let report = ws.json(&[&args[..], &["--yes"]].concat(), 0);
        assert_eq!(
            of(&report, "web1")["restored"],
            json!(runs[1]),
            "where nothing is live, the newest is what was before"
        );
        assert_port(web1, "9090");
        ws.assert_arrived(web1);
        assert_tidy(web1);
        assert_eq!(of(&ws.deploy(), "web1")["outcome"], "ok", "the bundle says the same");
        ws.assert_no_leak();
    }
    // Nor does it take more than the sealed copies.
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    ws.web1().sh(&format!("rm -rf {ROOT}/secrets {ROOT}/.distribute"));
    let report = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
    assert_eq!(of(&report, "web1")["restored"], json!(runs[0]));
    assert_port(ws.web1(), "8080");
    ws.assert_no_leak();
}

/// A line in /srv/acted for each action, and health that port 666 harms and /srv/ill, too.
fn watched(ws: &Workspace) {
    let act = |name: &str| {
        format!("on_change = {{ command = ['/bin/sh', '-c', 'echo {name} >> /srv/acted; test ! -e /srv/broken'] }}")
    };
    let health = format!(
        "health = {{ command = ['/bin/sh', '-c', 'test ! -e /srv/ill && ! grep -q API_PORT=666 {ROOT}/secrets/api.env'], within = '1s' }}"
    );
    ws.service("api", &format!("{}\n{health}", act("api")));
    ws.service("aws", &act("aws"));
}

fn acted(host: &Host) -> Vec<String> {
    let text = fs::read_to_string(host.path("/srv/acted")).unwrap_or_default();
    _ = fs::remove_file(host.path("/srv/acted"));
    text.lines().map(str::to_owned).collect()
}

fn owed(report: &Value) -> &Value {
    &of(report, "web1")["owed"]
}

#[test]
fn actions_run_for_what_changed_and_stay_owed() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    watched(&ws);
    assert_eq!(of(&ws.json(&["restore", "--previous", "--check"], 0), "web1")["actions"], json!(["api"]));
    assert_eq!(acted(web1), Vec::<String>::new());
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert_eq!((&of(&report, "web1")["actions"], acted(web1)), (&json!(["api"]), vec!["api".to_owned()]));
    ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
    assert_eq!(acted(web1), Vec::<String>::new(), "it is live already");

    web1.sh("touch /srv/broken");
    let report = ws.json(&["restore", "--previous", "--yes"], 2);
    let why = error(&report, "web1");
    assert!(why.starts_with("action: ") && why.contains("`api`") && why.contains("owed"), "{why}");
    assert_eq!((owed(&report), acted(web1)), (&json!(["api"]), vec!["api".to_owned()]));
    assert_port(web1, "9090");
    assert_eq!(live(web1), format!("..{}", runs[1]));
    assert_eq!(owed(&ws.json(&["status"], 0)), &json!(["api"]));
    web1.sh("rm /srv/broken");
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert_eq!((owed(&report), acted(web1)), (&json!([]), vec!["api".to_owned()]));
    assert_port(web1, "8080");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn a_restore_of_what_is_live_pays_what_is_owed() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    watched(&ws);
    web1.sh("touch /srv/broken");
    ws.json(&["restore", "--previous", "--yes"], 2);
    web1.sh("rm /srv/broken");
    acted(web1);
    let report = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
    assert_eq!((owed(&report), acted(web1)), (&json!([]), vec!["api".to_owned()]));
    assert_eq!(of(&report, "web1")["restored"], json!(null), "nothing else was done");
    assert_eq!(live(web1), format!("..{}", runs[0]));
    let snapshot = web1.snapshot();
    assert_eq!(of(&ws.json(&["restore", "--run", &runs[0], "--yes"], 0), "web1")["outcome"], "ok");
    assert_eq!(web1.snapshot(), snapshot);
    // With modes that the playbook has anew there is more to do, which is a deploy's.
    web1.sh("touch /srv/broken");
    ws.json(&["restore", "--previous", "--yes"], 2);
    ws.edit_playbook("keep  = 5", "keep  = 5\nmode = \"0640\"");
    web1.sh("rm /srv/broken");
    acted(web1);
    let report = ws.json(&["restore", "--run", &runs[1], "--yes"], 0);
    assert_eq!((owed(&report), acted(web1)), (&json!(["api"]), vec![]));
    assert_eq!(owed(&ws.deploy()), &json!([]));
    assert!(acted(web1).contains(&"api".to_owned()));
    ws.assert_no_leak();
}

#[test]
fn a_set_that_makes_a_service_ill_is_not_brought_back() {
    if !is_root() {
        return;
    }
    for spec in [Spec::default(), Spec::busybox()] {
        let (ws, runs) = with_ports(spec, &["9090", "9191"]);
        let web1 = ws.web1();
        watched(&ws);
        web1.sh("mkdir -p /srv && touch /srv/ill");
        // By the rename, and from the sealed copy.
        for run in [&runs[1], &runs[0]] {
            let (copies, sets) = (sealed(web1), web1.names(&format!("{ROOT}/secrets")));
            let previous = web1.read(&format!("{ROOT}/.distribute/previous"));
            let report = ws.json(&["restore", "--run", run, "--yes"], 2);
            let why = error(&report, "web1");
            assert!(why.starts_with("health: ") && why.contains("`api`") && why.contains("switched back"), "{why}");
            assert_eq!(of(&report, "web1")["outcome"], "failed");
            assert_eq!(changes(&report, "web1"), Vec::<String>::new());
            assert_eq!((live(web1), acted(web1).len()), (format!("..{}", runs[2]), 2), "told there and back");
            assert_port(web1, "9191");
            assert_eq!(web1.read(&format!("{ROOT}/.distribute/previous")), previous);
            assert_eq!((sealed(web1), web1.names(&format!("{ROOT}/secrets"))), (copies, sets), "{run}");
            assert_tidy(web1);
        }
        assert_eq!(ws.json(&["backup", "verify"], 0)["summary"]["failed"], 0);
        web1.sh("rm /srv/ill");
        let report = ws.json(&["restore", "--previous", "--yes"], 0);
        assert_eq!((&of(&report, "web1")["restored"], live(web1)), (&json!(runs[1]), format!("..{}", runs[1])));
        assert_port(web1, "9090");
        ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
        assert_port(web1, "8080");
        assert_tidy(web1);
        ws.assert_no_leak();
    }
}

#[test]
fn ill_after_an_edit() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    watched(&ws);
    web1.sh(&format!("touch /srv/ill; sed -i s/9090/7777/ {ROOT}/secrets/..data/api.env"));
    ws.json(&["restore", "--previous", "--yes"], 2);
    assert_eq!(live(web1), format!("..{}", runs[1]));
    assert_eq!(value(web1, "api.env", "API_PORT").as_deref(), Some("7777"), "the edit is live again");
    // It lies sealed besides; a second try seals it once more, since nothing vouches for it as the live run's.
    assert!(replaced(&ws).len() > 10);
    web1.sh("rm /srv/ill");
    ws.json(&["restore", "--previous", "--yes"], 0);
    assert_port(web1, "8080");
    assert_tidy(web1);
    push_port(&ws, "9292");
    assert_port(web1, "9292");
    ws.assert_no_leak();
}
