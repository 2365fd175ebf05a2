//! Restores to hosts whose inventory or playbook changed since, and from backups that are not what they should be: nothing is
//! brought back that does not belong there, and the message names what is wrong and what is there.

use crate::backups::sealed;
use crate::host::{Host, Spec};
use crate::restore::{assert_port, assert_tidy, live, notes, run_of, value, with_ports};
use crate::workspace::{ROOT, Workspace, error, is_root, of};
use serde_json::json;
use std::fs;

fn backup(run: &str) -> String {
    format!("{ROOT}/backups/{run}.tar.gz.age")
}

fn receipt(run: &str) -> String {
    format!("{ROOT}/.distribute/receipt.{run}")
}

/// It fails with all of these words, says that nothing was changed, and nothing is.
#[track_caller]
fn refused(ws: &Workspace, host: &Host, run: &str, words: &[&str]) {
    let snapshot = host.snapshot();
    for also in ["--check", "--yes"] {
        let why = error(&ws.json(&["restore", "--run", run, "--hosts", &host.name, also], 2), &host.name);
        assert!(words.iter().all(|word| why.contains(word)), "{words:?}: {why}");
        assert!(why.contains("nothing was changed"), "{why}");
    }
    assert_eq!(host.snapshot(), snapshot);
}

#[test]
fn a_service_that_is_no_longer_given() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    ws.edit_playbook("name = \"cloudflare\"", "name = \"cloudflare\"\nhosts = \"all:!web1\"");
    let run = &runs[0];
    let report = ws.json(&["restore", "--run", run, "--yes"], 0);
    let notes = notes(&report, "web1");
    assert!(notes.contains("the sealed copy") && notes.contains("no such service any more: cloudflare.env"), "{notes}");
    assert!(!web1.exists(&format!("{ROOT}/secrets/cloudflare.env")));
    assert_port(web1, "8080");
    assert_tidy(web1);
    // What it does not get any more, it cannot be asked for either.
    ws.run(&["restore", "--run", run, "--service", "cloudflare", "--yes"]).expect(1);
    ws.assert_no_leak();
}

#[test]
fn nothing_of_it_is_given_any_more() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    let whole = fs::read_to_string(ws.path("project/playbooks/callableapis.toml")).unwrap();
    let head = whole.split("[[play.service]]").next().unwrap();
    let only = |service: &str| {
        fs::write(
            ws.path("project/playbooks/callableapis.toml"),
            format!("{head}[[play.service]]\nname = \"{service}\"\n"),
        )
        .unwrap()
    };
    only("api");
    let first = run_of(&ws.setup());
    only("aws");
    ws.setup();
    refused(&ws, ws.web1(), &first, &["holds nothing that this host gets"]);
    ws.assert_no_leak();
}

#[test]
fn modes_and_owners_as_the_playbook_has_them_now() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let web1 = ws.web1();
    ws.edit_playbook("keep  = 5", "keep  = 5\ngroup = \"deploy\"\nmode = \"0640\"\ndirectory_mode = \"0750\"");
    let report = ws.json(&["restore", "--previous", "--yes"], 0);
    assert!(notes(&report, "web1").contains("the sealed copy"), "its files are not as they should be now: {report:#}");
    assert_eq!(of(&report, "web1")["restored"], json!(runs[0]));
    assert_port(web1, "8080");
    assert_eq!(web1.access(&format!("{ROOT}/secrets/..data/api.env")), "640 0:4711");
    assert_eq!(web1.access(&format!("{ROOT}/secrets/{}", live(web1))), "750 0:4711");
    assert_tidy(web1);
    ws.assert_no_leak();
}

#[test]
fn a_host_with_another_name() {
    if !is_root() {
        return;
    }
    let (mut ws, runs) = with_ports(Spec::default(), &["9090"]);
    ws.edit_inventory("web1 = ", "front = ");
    let why = error(&ws.json(&["restore", "--previous", "--yes"], 2), "front");
    assert!(why.starts_with("enrolment: "), "it was never set up: {why}");
    ws.rename_host(0, "front");
    ws.setup();
    let snapshot = ws.web1().snapshot();
    let why = error(&ws.json(&["restore", "--run", &runs[0], "--yes"], 2), "front");
    assert!(why.contains("swapped") && why.contains("nothing was changed"), "{why}");
    // Without the receipt only opening it tells.
    ws.web1().sh(&format!("rm {}", receipt(&runs[0])));
    let why = error(&ws.json(&["restore", "--run", &runs[0], "--yes"], 2), "front");
    assert!(why.contains("the backup of another host, web1"), "{why}");
    assert_eq!(snapshot.len() - 1, ws.web1().snapshot().len(), "only what the story removed");
    ws.assert_no_leak();
}

#[test]
fn a_root_that_moved() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    ws.edit_playbook("\"/opt/callableapis\"", "\"/opt/moved\"");
    let why = error(&ws.json(&["restore", "--run", &runs[0], "--yes"], 2), "web1");
    assert!(why.starts_with("enrolment: ") && why.contains("/opt/moved"), "{why}");
    ws.setup();
    refused(&ws, ws.web1(), &runs[0], &["there is no backup of run"]);
    // And one that was taken along is told by its label.
    ws.web1().sh(&format!("cp -p {} /opt/moved/backups/", backup(&runs[0])));
    let why = error(&ws.json(&["restore", "--run", &runs[0], "--yes"], 2), "web1");
    assert!(why.contains("the backup of another place, /opt/callableapis"), "{why}");
    assert_eq!(ws.web1().read("/opt/moved/secrets/api.env").lines().last(), Some("API_PORT=9090"));
    ws.assert_no_leak();
}

#[test]
fn a_host_that_was_never_set_up() {
    if !is_root() {
        return;
    }
    let (mut ws, _) = with_ports(Spec::default(), &["9090"]);
    ws.add("web2", Spec::default(), "");
    let report = ws.json(&["restore", "--previous", "--yes"], 2);
    assert!(error(&report, "web2").starts_with("enrolment: "), "{report:#}");
    assert_eq!(of(&report, "web1")["outcome"], "changed", "the others go on");
    assert_eq!(ws.host("web2").names("/opt"), Vec::<String>::new());
    ws.assert_no_leak();
}

#[test]
fn another_bundle() {
    if !is_root() {
        return;
    }
    let (ws, runs) = with_ports(Spec::default(), &["9090"]);
    let other = Workspace::with_host(Spec::default());
    other.setup();
    let old = ws.path("project/secrets.age");
    let kept = fs::read(&old).unwrap();
    fs::write(&old, fs::read(other.path("project/secrets.age")).unwrap()).unwrap();
    fs::remove_dir_all(ws.path("state")).unwrap();
    fs::copy(other.identity(), ws.identity()).unwrap();
    let snapshot = ws.web1().snapshot();
    let why = error(&ws.json(&["restore", "--run", &runs[0], "--yes"], 4), "web1");
    assert!(why.starts_with("hostkey: "), "that bundle knows another web1: {why}");
    assert_eq!(ws.web1().snapshot(), snapshot);
    fs::write(&old, kept).unwrap();
    ws.assert_no_leak();
}

#[test]
fn a_group_that_the_host_left() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    ws.add("web1", Spec::default(), "");
    ws.edit_inventory("groups = [\"production\"]", "groups = [\"production\", \"edge\"]");
    ws.set_with(&["api.API_PORT", "--group", "edge"], "4444");
    let first = run_of(&ws.setup());
    ws.edit_inventory(", \"edge\"", "");
    ws.deploy();
    assert_port(ws.web1(), "8080");
    let report = ws.json(&["restore", "--run", &first, "--yes"], 0);
    assert_port(ws.web1(), "4444");
    assert_eq!(of(&report, "web1")["other_than_bundle"], json!(["api.API_PORT"]), "its value now is the common one");
    ws.deploy();
    assert_port(ws.web1(), "8080");
    ws.assert_no_leak();
}

#[test]
fn damaged_backups() {
    if !is_root() {
        return;
    }
    for spec in [Spec::default(), Spec::busybox()] {
        let (ws, runs) = with_ports(spec, &["9090", "9191"]);
        let web1 = ws.web1();
        let (at, sealed) = (backup(&runs[0]), web1.path(&backup(&runs[0])));
        let good = fs::read(&sealed).unwrap();
        let mut altered = good.clone();
        altered[good.len() / 2] ^= 1;
        for bytes in [&good[..good.len() - 100], b"", &altered, b"garbage"] {
            fs::write(&sealed, bytes).unwrap();
            refused(&ws, web1, &runs[0], &["is damaged", &runs[1], &runs[2]]);
            // Without its receipt it is opened, and tells itself.
            let line = web1.read(&receipt(&runs[0]));
            web1.sh(&format!("rm {}", receipt(&runs[0])));
            refused(&ws, web1, &runs[0], &[&format!("the backup of run {}: ", runs[0]), "backup verify"]);
            fs::write(web1.path(&receipt(&runs[0])), line).unwrap();
        }
        for make in [
            format!("rm {at}; mkdir {at}"),
            format!("rmdir {at}; mkfifo {at}"),
            format!("rm {at}; ln -s /etc/passwd {at}"),
            format!("rm {at}; ln -s {} {at}", backup(&runs[1])),
        ] {
            web1.sh(&make);
            refused(&ws, web1, &runs[0], &["is damaged", &runs[1]]);
        }
        web1.sh(&format!("rm {at}"));
        fs::write(&sealed, &good).unwrap();
        web1.sh(&format!("rm {}", receipt(&runs[0])));
        let report = ws.json(&["restore", "--run", &runs[0], "--yes"], 0);
        assert_eq!(of(&report, "web1")["restored"], json!(runs[0]), "without a receipt, and good");
        assert_port(web1, "8080");
        ws.assert_no_leak();
    }
}

#[test]
fn swapped_backups() {
    if !is_root() {
        return;
    }
    let (mut ws, runs) = with_ports(Spec::default(), &["9090", "9191"]);
    ws.set_with(&["api.API_PORT", "--host", "web2"], "2222");
    ws.add("web2", Spec::default(), "");
    ws.setup();
    let (web1, web2) = (ws.host("web1"), ws.host("web2"));
    let theirs = sealed(web2)[0].trim_end_matches(".tar.gz.age").to_owned();
    let copy = |path: String| fs::write(web1.path(&path), fs::read(web2.path(&path)).unwrap()).unwrap();
    copy(backup(&theirs));
    refused(&ws, web1, &theirs, &["the backup of another host, web2"]);
    copy(receipt(&theirs));
    refused(&ws, web1, &theirs, &["is swapped", &runs[0]]);
    // Another run's under this name, with its receipt and without.
    let (one, other) = (backup(&runs[0]), backup(&runs[1]));
    fs::copy(web1.path(&other), web1.path(&one)).unwrap();
    refused(&ws, web1, &runs[0], &["is damaged"]);
    fs::remove_file(web1.path(&receipt(&runs[0]))).unwrap();
    refused(&ws, web1, &runs[0], &[&format!("the backup of another run, {}", runs[1])]);
    assert_eq!(value(web1, "api.env", "API_PORT").as_deref(), Some("9191"));
    ws.assert_no_leak();
}

#[test]
fn a_backup_of_another_bundle() {
    if !is_root() {
        return;
    }
    let (ws, _) = with_ports(Spec::default(), &["9090"]);
    let (other, foreign) = with_ports(Spec::default(), &["9191"]);
    for path in [backup(&foreign[0]), receipt(&foreign[0])] {
        fs::write(ws.web1().path(&path), fs::read(other.web1().path(&path)).unwrap()).unwrap();
    }
    refused(&ws, ws.web1(), &foreign[0], &["is foreign"]);
    ws.web1().sh(&format!("rm {}", receipt(&foreign[0])));
    refused(&ws, ws.web1(), &foreign[0], &["it was sealed for others"]);
    ws.assert_no_leak();
}
