//! Only enrolled hosts get secrets, and only theirs: whatever the inventory, the playbook, known_hosts or an old
//! bundle say, nothing is sent that was not set up, and the error names the command that would.

use crate::host::{Host, Spec};
use crate::workspace::{Workspace, changes, error, is_root, of};
use std::fs;

#[track_caller]
fn assert_untouched(host: &Host) {
    assert_eq!(host.names("/opt"), Vec::<String>::new());
}

#[test]
fn a_host_that_was_never_set_up_gets_nothing() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.setup();
    ws.add("web2", Spec::default(), "");
    let report = ws.json(&["deploy"], 2);
    let why = error(&report, "web2");
    assert!(
        why.starts_with("enrolment: ") && why.contains("never set up") && why.contains("distribute setup --hosts web2"),
        "{why}"
    );
    assert_eq!(of(&report, "web1")["outcome"], "ok");
    assert!(
        !ws.host("web2").log().contains("Connection from 127.0.0.1 port")
            || !ws.host("web2").log().contains("Accepted")
    );
    assert_untouched(ws.host("web2"));
    ws.json(&["setup", "--hosts", "web2"], 0);
    ws.assert_arrived(ws.host("web2"));
    assert_eq!(ws.deploy()["summary"]["ok"], 2);
    ws.assert_no_leak();
}

#[test]
fn a_service_that_a_host_was_never_set_up_for_is_not_sent() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.set("payroll.DB_PASSWORD", &ws.poison);
    ws.setup();
    let before = ws.web1().snapshot();
    ws.edit_playbook("name = \"cloudflare\"", "name = \"cloudflare\"\n\n[[play.service]]\nname = \"payroll\"");
    for command in [&["deploy"][..], &["deploy", "--check"]] {
        let why = error(&ws.json(command, 2), "web1");
        assert!(
            why.starts_with("enrolment: ") && why.contains("payroll") && why.contains("distribute setup --hosts web1"),
            "{why}"
        );
        assert_eq!(ws.web1().snapshot(), before);
    }
    assert_eq!(changes(&ws.setup(), "web1"), ["payroll.env added", "all-secrets.env changed"]);
    assert_eq!(ws.deploy()["summary"]["ok"], 1);
    ws.assert_no_leak();
}

#[test]
fn a_service_can_be_had_through_an_include_only_if_set_up_for_it() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.set("payroll.DB_PASSWORD", &ws.poison);
    ws.setup();
    let before = ws.web1().snapshot();
    ws.edit_playbook("include = [\"*\"]", "include = [\"*\", \"payroll\"]");
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(why.starts_with("enrolment: ") && why.contains("payroll"), "{why}");
    assert_eq!(ws.web1().snapshot(), before);
    ws.assert_no_leak();
}

#[test]
fn values_of_a_group_that_a_host_was_never_set_up_with_are_not_sent() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.set_with(&["aws.AWS_SECRET_ACCESS_KEY", "--group", "finance"], &format!("{}-finance", ws.poison));
    ws.setup();
    let before = ws.web1().snapshot();
    ws.edit_inventory("\"production\"]", "\"production\", \"finance\"]");
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(
        why.starts_with("enrolment: ")
            && why.contains("group finance")
            && why.contains("distribute setup --hosts web1"),
        "{why}"
    );
    assert_eq!(ws.web1().snapshot(), before);
    ws.setup();
    assert!(ws.web1().read("/opt/callableapis/secrets/aws.env").contains("-finance"));
    ws.assert_no_leak();
}

#[test]
fn an_inventory_that_points_a_host_elsewhere_draws_no_secret() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    ws.setup();
    let (mut thief, address) = (Workspace::new(), ws.web1().address.clone());
    thief.add("web1", Spec::default(), "");
    let elsewhere = thief.web1().address.clone();
    ws.edit_inventory(&format!("\"{address}\""), &format!("\"{elsewhere}\""));
    let report = ws.json(&["deploy"], 4);
    let why = error(&report, "web1");
    assert!(
        why.starts_with("hostkey: ")
            && why.contains("SHA256:")
            && why.contains("distribute setup --hosts web1 --accept-new"),
        "{why}"
    );
    assert_untouched(thief.web1());
    assert!(!thief.web1().log().contains("Accepted"), "it logged in: {}", thief.web1().log());

    ws.edit_inventory(&format!("\"{elsewhere}\""), &format!("\"{address}\", connection = \"local\""));
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(
        why.starts_with("enrolment: ") && why.contains("connection") && why.contains("distribute setup --hosts web1"),
        "{why}"
    );
    ws.edit_inventory(", connection = \"local\"", "");

    ws.reinstall(0, Spec::default());
    let why = error(&ws.json(&["deploy"], 4), "web1");
    assert!(why.starts_with("hostkey: ") && why.matches("SHA256:").count() >= 2, "both fingerprints: {why}");
    assert_untouched(ws.web1());
    ws.assert_no_leak();
}

#[test]
fn host_keys_are_strict_at_setup() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::with_host(Spec::default());
    let known = fs::read_to_string(ws.path("home/.ssh/known_hosts")).unwrap();
    ws.forget_known_hosts();
    let why = error(&ws.json(&["setup"], 4), "web1");
    assert!(
        why.starts_with("hostkey: ")
            && why.contains("unknown")
            && why.contains("SHA256:")
            && why.contains("--accept-new"),
        "{why}"
    );
    assert_untouched(ws.web1());

    fs::write(ws.path("home/.ssh/known_hosts"), format!("@revoked {known}")).unwrap();
    for command in [&["setup"][..], &["setup", "--accept-new"]] {
        let why = error(&ws.json(command, 4), "web1");
        assert!(why.starts_with("hostkey: ") && why.contains("revoked"), "{why}");
    }

    fs::write(ws.path("home/.ssh/known_hosts"), &known).unwrap();
    ws.reinstall(0, Spec::default());
    for command in [&["setup"][..], &["setup", "--accept-new"], &["setup", "--accept-new", "--hosts", "web1"]] {
        let why = error(&ws.json(command, 4), "web1");
        assert!(why.starts_with("hostkey: ") && why.matches("SHA256:").count() >= 2, "{command:?}: {why}");
        assert_untouched(ws.web1());
    }

    ws.forget_known_hosts();
    ws.json(&["setup", "--accept-new"], 0);
    ws.assert_arrived(ws.web1());
    assert!(!ws.path("home/.ssh/known_hosts").exists(), "the pin is in the bundle, and nothing else is written");
    assert_eq!(ws.deploy()["summary"]["ok"], 1, "pinned from now on");

    ws.reinstall(0, Spec::default());
    let why = error(&ws.json(&["setup"], 4), "web1");
    assert!(why.starts_with("hostkey: ") && why.contains("distribute setup --hosts web1 --accept-new"), "{why}");
    ws.json(&["setup", "--hosts", "web1", "--accept-new"], 0);
    ws.assert_arrived(ws.web1());
    ws.assert_no_leak();
}

#[test]
fn last_weeks_bundle_put_back_is_refused_here_and_there() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let bundle = ws.path("project/secrets.age");
    let old = fs::read(&bundle).unwrap();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "newer");
    ws.deploy();
    let before = ws.web1().snapshot();
    let new = fs::read(&bundle).unwrap();
    fs::write(&bundle, &old).unwrap();
    for command in [["deploy"], ["setup"], ["status"]] {
        let refused = ws.run(&command).expect(1);
        assert!(refused.stderr.contains("generation") && refused.stderr.contains("hint: "), "{}", refused.stderr);
    }
    assert_eq!(ws.web1().snapshot(), before);

    fs::remove_dir_all(ws.path("state")).unwrap();
    for command in [&["deploy", "--check"][..], &["deploy"], &["setup"]] {
        let why = error(&ws.json(command, 2), "web1");
        assert!(why.starts_with("enrolment: ") && why.contains("has seen generation"), "{why}");
        assert_eq!(ws.web1().snapshot(), before);
    }
    fs::write(&bundle, &new).unwrap();
    assert_eq!(ws.deploy()["summary"]["ok"], 1);
    ws.assert_no_leak();
}

#[test]
fn another_bundle_does_not_take_a_host_over_by_itself() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let before = ws.web1().snapshot();
    let other = Workspace::new();
    fs::copy(other.path("project/secrets.age"), ws.path("project/secrets.age")).unwrap();
    fs::copy(other.identity(), ws.identity()).unwrap();
    assert!(ws.run(&["setup"]).expect(1).stderr.contains("another bundle"));
    fs::remove_dir_all(ws.path("state")).unwrap();
    let why = error(&ws.json(&["setup"], 2), "web1");
    assert!(why.starts_with("enrolment: ") && why.contains("another bundle") && why.contains("--accept-new"), "{why}");
    assert_eq!(ws.web1().snapshot(), before);
    ws.json(&["setup", "--accept-new", "--hosts", "web1"], 0);
    assert!(ws.web1().read("/opt/callableapis/secrets/aws.env").contains(&other.poison));
    ws.assert_no_leak();
}

#[test]
fn a_changed_root_alone_moves_nothing() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let before = ws.web1().snapshot();
    ws.edit_playbook("\"/opt/callableapis\"", "\"/opt/elsewhere\"");
    let why = error(&ws.json(&["deploy"], 2), "web1");
    assert!(why.starts_with("enrolment: ") && why.contains("/opt/elsewhere") && why.contains("setup"), "{why}");
    assert_eq!(ws.web1().snapshot(), before);
    assert!(!ws.web1().path("/opt/elsewhere").exists());
    ws.assert_no_leak();
}

#[test]
fn a_pin_does_not_outlive_a_revocation() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Spec::default());
    ws.setup();
    let file = ws.path("home/.ssh/known_hosts");
    let known = fs::read_to_string(&file).unwrap();
    let key = known.lines().next().unwrap().split_once(' ').unwrap().1;
    fs::write(&file, format!("@revoked * {key}\n")).unwrap();
    for command in ["deploy", "setup", "status"] {
        let why = error(&ws.json(&[command], 4), "web1");
        assert!(why.starts_with("hostkey: ") && why.contains("revoked by") && why.contains("known_hosts:1"), "{why}");
    }
    ws.assert_no_leak();
}
