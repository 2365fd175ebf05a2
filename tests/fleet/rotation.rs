//! Rotation as a user sees it: what is due, who has it, new values everywhere or the old ones again.

use crate::host::Spec;
use crate::rotator::{ONE, Rotator, TWO, date, entries_with, repack, steps, unpacked, value_in_bundle, value_on};
use crate::workspace::{ROOT, Workspace, changes, is_root, of, wait};
use chrono::{Duration, Utc};
use serde_json::Value;
use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::MetadataExt;

const TOKEN: &str =
    "[[rotate]]\nsecrets = ['cloudflare.CLOUDFLARE_API_TOKEN']\nevery = '90d'\ngenerate = 'password:40'\n";

/// An address where nobody answers.
pub const NOBODY: &str = "127.255.255.254";

/// Three hosts that were set up, and these lines behind the playbook.
fn fleet(policy: &str) -> Workspace {
    let ws = hosts(3);
    ws.rotate_by(policy);
    ws.setup();
    ws
}

/// So many hosts that are not set up yet.
pub fn hosts(number: usize) -> Workspace {
    let mut ws = Workspace::new();
    for number in 1..=number {
        ws.add(&format!("web{number}"), Spec::default(), "");
    }
    ws
}

/// The bundle, to the inode and the time, and the hosts.
pub fn everything(ws: &Workspace) -> (Vec<u8>, u64, i64, i64, Vec<BTreeMap<String, String>>) {
    let path = ws.path("project/secrets.age");
    let meta = fs::metadata(&path).unwrap();
    let hosts = ws.hosts.iter().map(|host| host.snapshot()).collect();
    (fs::read(path).unwrap(), meta.ino(), meta.mtime(), meta.mtime_nsec(), hosts)
}

pub fn names(report: &Value, list: &str) -> Vec<String> {
    let list = report["rotation"][list].as_array().unwrap();
    list.iter().map(|one| one["secret"].as_str().unwrap().to_owned()).collect()
}

pub fn message(report: &Value) -> &str {
    report["rotation"]["message"].as_str().unwrap()
}

/// What a report says will be done: secrets with their hosts and services, files and actions of each host.
fn intentions(report: &Value) -> Vec<String> {
    let secrets = report["rotation"]["secrets"].as_array().unwrap();
    let secret = |one: &Value| format!("{} on {} acts {}", one["secret"], one["hosts"], one["services"]);
    let hosts = report["hosts"].as_array().unwrap();
    let host = |one: &Value| {
        let name = one["host"].as_str().unwrap();
        format!("{name} {:?} {}", changes(report, name), one["actions"])
    };
    let batches = report["rotation"]["batches"].to_string();
    secrets.iter().map(secret).chain(hosts.iter().map(host)).chain([batches]).collect()
}

#[test]
fn a_new_value_is_everywhere() {
    if !is_root() {
        return;
    }
    let ws = fleet(TOKEN);
    let old = value_on(ws.web1(), ONE);
    let sealed = fs::read(ws.path("project/secrets.age")).unwrap();
    assert_eq!(ws.json(&["rotate"], 0)["rotation"]["state"], "nothing");
    let report = ws.json(&["rotate", "--all"], 0);
    assert_eq!(report["rotation"]["state"], "done");
    let new = value_on(ws.web1(), ONE);
    assert!(new != old && new.len() == 40, "of the form that the policy says");
    for host in &ws.hosts {
        assert_eq!(value_on(host, ONE), new);
        assert_eq!(changes(&report, &host.name), ["cloudflare.env changed", "all-secrets.env changed"]);
        assert_eq!(of(&report, &host.name)["outcome"], "changed");
    }
    assert_eq!(value_in_bundle(&ws, ONE), new);
    assert_eq!(ws.deploy()["summary"]["ok"], 3, "nothing is left for deploy to do");
    let copies: Vec<_> =
        fs::read_dir(ws.path("project/backups/bundle")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(copies.len(), 1);
    assert_eq!(fs::read(&copies[0]).unwrap(), sealed, "the bundle as it was");
    assert_eq!(
        report["rotation"]["copy"].as_str().map(std::path::PathBuf::from),
        Some(copies[0].canonicalize().unwrap())
    );
    assert_eq!(entries_with(&ws, "history/", &old).len(), 1, "the old value is kept");
    assert!(!report.to_string().contains(&new) && !report.to_string().contains(&old));
    ws.assert_no_leak();
}

#[test]
fn a_check_changes_nothing_and_says_what_the_run_then_does() {
    if !is_root() {
        return;
    }
    let ws = hosts(3);
    ws.rotate_by(&format!("{TOKEN}[[rotate]]\nsecrets = ['api.API_PORT']\ngenerate = 'uuid'\n"));
    ws.service("api", "on_change = { command = ['/bin/sh', '-c', 'echo acted >> /srv/acted'] }");
    ws.setup();
    let before = everything(&ws);
    let mut said = Vec::new();
    for args in [&["rotate", "--all", "--check"][..], &["rotate", "--all", "--check", "--diff"], &["rotate", "--check"]]
    {
        said.push(ws.json(args, 0));
        assert!(everything(&ws) == before, "{args:?} changed something");
        assert!(!ws.path("project/backups").exists());
    }
    assert_eq!(said[0]["rotation"]["state"], "planned");
    assert_eq!(said[2]["rotation"]["state"], "nothing", "nothing is due");
    let report = ws.json(&["rotate", "--all"], 0);
    assert_eq!(report["rotation"]["state"], "done");
    assert_eq!(intentions(&said[0]), intentions(&report));
    assert_eq!(said[0]["rotation"]["secrets"][1]["services"], serde_json::json!(["api"]));
    for host in &ws.hosts {
        assert_eq!(of(&report, &host.name)["actions"], serde_json::json!(["api"]));
        assert_eq!(host.read("/srv/acted"), "acted\nacted\n", "once when it was set up, and once now");
    }
    let after = everything(&ws);
    let human = ws.run(&["rotate", "--all", "--check"]).expect(0).stdout;
    assert!(human.contains("would rotate 2 secrets") && human.contains("in 2 batches: web1 | web2, web3"), "{human}");
    assert!(everything(&ws) == after);
    ws.assert_no_leak();
}

#[test]
fn what_is_older_than_its_policy_lets_it_become() {
    if !is_root() {
        return;
    }
    let ws = fleet(TOKEN);
    let overdue = || ws.run(&["status", "--overdue", "-o", "json"]);
    assert_eq!(overdue().expect(0).report()["hosts"][0]["overdue"], serde_json::json!([]));
    date(&ws, ONE, Utc::now() - Duration::days(91));
    assert_eq!(overdue().expect(3).report()["hosts"][2]["overdue"], serde_json::json!([ONE]));
    let human = ws.run(&["status", "--overdue"]).expect(3).stdout;
    assert!(human.contains(ONE), "{human}");
    let report = ws.json(&["rotate"], 0);
    assert_eq!((names(&report, "secrets"), names(&report, "skipped").len()), (vec![ONE.to_owned()], 0));
    let why = report["rotation"]["secrets"][0]["why"].as_str().unwrap();
    assert!(why.starts_with("91d") && why.ends_with("old, every 90d"), "{why}");
    let record: toml::Table = unpacked(&ws)["bundle.toml"].parse().unwrap();
    let rotated = record["secrets"][ONE]["rotated"].as_str().unwrap();
    let age = Utc::now() - chrono::DateTime::parse_from_rfc3339(rotated).unwrap().to_utc();
    assert!(age < Duration::hours(1) && age > Duration::seconds(-1), "{rotated}");
    assert_eq!(overdue().expect(0).report()["hosts"][2]["overdue"], serde_json::json!([]));
    assert_eq!(ws.json(&["rotate"], 0)["rotation"]["state"], "nothing");
    ws.assert_no_leak();
}

#[test]
fn what_is_named_is_rotated_due_or_not() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    ws.rotate_by(&format!("{TOKEN}[[rotate]]\nsecrets = ['api.API_P*']\ngenerate = 'alnum:20'\n"));
    ws.set("api.API_PEER", "another");
    ws.setup();
    let planned = |args: &[&str]| {
        let report = ws.json(&[&["rotate", "--check"], args].concat(), 0);
        assert_eq!(report["rotation"]["state"], "planned");
        names(&report, "secrets")
    };
    assert_eq!(planned(&["--secret", "api.API_PO*"]), ["api.API_PORT"]);
    assert_eq!(planned(&["--secret", "api.API_PORT", "--secret", ONE]), [ONE, "api.API_PORT"]);
    assert_eq!(planned(&["--service", "cloudflare"]), [ONE]);
    assert_eq!(planned(&["--all"]), [ONE, "api.API_PASSWORD", "api.API_PORT", "api.API_PEER"]);
    let key = fs::read_to_string(ws.identity()).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    for (args, unknown, hint) in [
        (["--secret", "api.API_PROT"], "`api.API_PROT`", "did you mean `api.API_PORT`?"),
        (["--secret", "aws.AWS_ACCESS_KEY_ID"], "no policy rotates `aws.AWS_ACCESS_KEY_ID`", "[[rotate]]"),
        (["--service", "cloudflair"], "`cloudflair`", "did you mean `cloudflare`?"),
        (["--compromised", "web2"], "`web2`", "did you mean `web1`?"),
        (["--compromised", "age1nobody"], "`age1nobody`", &recipient),
        (["--hosts", "web2"], "web2", "did you mean \"web1\"?"),
    ] {
        let before = everything(&ws);
        let said = ws.run(&[&["rotate"], &args[..]].concat()).expect(1);
        assert!(said.stderr.contains(unknown) && said.stderr.contains(hint), "{args:?}: {}", said.stderr);
        assert!(said.stdout.is_empty() && everything(&ws) == before);
    }
    ws.assert_no_leak();
}

#[test]
fn whoever_reads_along_is_shut_out_of_everything_that_he_could_read() {
    if !is_root() {
        return;
    }
    let ws = hosts(2);
    ws.edit_playbook("name = \"api\"", "name = \"api\"\nhosts = \"web2\"");
    let steps = steps(&["set", "revoke"], " 'two'");
    ws.rotate_by(&format!(
        "{TOKEN}overlap = '30d'\n{steps}[[rotate]]\nsecrets = ['api.API_PORT', 'api.API_PASSWORD']\ngenerate = 'alnum:20'\n"
    ));
    let rotator = Rotator::alone(&ws, &[(ONE, "not-a-secret-token")]);
    ws.setup();
    let check = ws.json(&["rotate", "--check", "--compromised", "web1"], 3);
    assert_eq!(names(&check, "secrets"), [ONE], "web1 has no api");
    let report = ws.json(&["rotate", "--compromised", "web1"], 3);
    assert_eq!((names(&report, "secrets"), &report["rotation"]["state"]), (vec![ONE.to_owned()], &"done".into()));
    assert_eq!(
        names(&report, "skipped"),
        ["aws.AWS_ACCESS_KEY_ID", "aws.AWS_SECRET_ACCESS_KEY", "github-oidc.GITHUB_CLIENT_SECRET"]
    );
    assert!(report["rotation"]["skipped"][0]["why"].as_str().unwrap().contains("distribute bundle set"));
    let new = value_in_bundle(&ws, ONE);
    assert_eq!(rotator.accepted(ONE), std::slice::from_ref(&new), "without the overlap of thirty days");
    assert_eq!(report["rotation"]["revoked"], serde_json::json!([ONE]));
    assert_eq!((value_on(&ws.hosts[0], ONE), value_on(&ws.hosts[1], ONE)), (new.clone(), new.clone()));

    let key = fs::read_to_string(ws.identity()).unwrap();
    let recipient = key.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap().to_owned();
    let report = ws.json(&["rotate", "--compromised", &recipient], 3);
    assert_eq!(names(&report, "secrets"), [ONE, "api.API_PORT", "api.API_PASSWORD"].map(str::to_owned));
    assert_eq!(names(&report, "skipped").len(), 3);
    assert_ne!(value_in_bundle(&ws, ONE), new);
    assert_eq!(rotator.accepted(ONE), [value_in_bundle(&ws, ONE)]);
    ws.assert_no_leak();
}

#[test]
fn for_a_few_hosts_only_what_no_other_host_has() {
    if !is_root() {
        return;
    }
    let ws = hosts(3);
    ws.edit_inventory("web3 = { ", "web3 = { vars = {}, ");
    ws.set_with(&["cloudflare.CLOUDFLARE_API_TOKEN", "--host", "web3"], "of web3");
    ws.rotate_by("[[rotate]]\nsecrets = ['api.API_PORT']\ngenerate = 'hex:8'\nscope = 'host'\n");
    ws.rotate_by(TOKEN);
    ws.setup();
    let (old, before) = (value_on(ws.web1(), ONE), ws.host("web2").snapshot());
    let report = ws.json(&["rotate", "--all", "--hosts", "web1"], 0);
    assert_eq!(names(&report, "secrets"), ["hosts/web1/api.API_PORT"]);
    assert_eq!(names(&report, "skipped"), [ONE], "it is shared, and left as it is");
    let skipped = &report["rotation"]["skipped"][0];
    assert!(skipped["why"].as_str().unwrap().contains("web2 would keep the old value"), "{skipped}");
    assert_eq!(skipped["command"], format!("distribute rotate --secret {ONE}"));
    assert_eq!((value_on(ws.web1(), ONE), ws.host("web2").snapshot()), (old.clone(), before));

    ws.json(&["rotate", "--secret", "api.API_PORT"], 0);
    let ports: Vec<String> = ws.hosts.iter().map(|host| value_on(host, "api.API_PORT")).collect();
    assert!(ports[0] != ports[1] && ports[1] != ports[2] && ports[0] != ports[2], "a value for each host");
    for (host, port) in ws.hosts.iter().zip(&ports) {
        let name = format!("hosts/{}/api.API_PORT", host.name);
        assert_eq!(&value_in_bundle(&ws, &name), port);
        assert_eq!(entries_with(&ws, "hosts/", port), [format!("hosts/{}/api.env", host.name)]);
    }
    assert_eq!(value_in_bundle(&ws, "api.API_PORT"), "8080", "what a new host begins with");

    let report = ws.json(&["rotate", "--all", "--hosts", "web3"], 0);
    assert_eq!(
        names(&report, "secrets"),
        ["hosts/web3/api.API_PORT", &format!("hosts/web3/{ONE}")],
        "web3 has its own"
    );
    assert_eq!((value_on(ws.web1(), ONE), value_on(ws.host("web2"), ONE)), (old.clone(), old));
    assert_ne!(value_on(ws.host("web3"), ONE), "of web3");
    let report = ws.json(&["rotate", "--secret", ONE, "--hosts", "web1,web2"], 0);
    assert_eq!(names(&report, "secrets"), [ONE], "both that have it were named");
    assert_eq!(value_on(ws.web1(), ONE), value_on(ws.host("web2"), ONE));
    assert_eq!(ws.deploy()["summary"]["ok"], 3);
    ws.assert_no_leak();
}

#[test]
fn a_group_has_its_own_value() {
    if !is_root() {
        return;
    }
    let ws = hosts(2);
    ws.edit_inventory("web2 = { ", "web2 = { vars = {}, ");
    let inventory = fs::read_to_string(ws.path("project/inventory/hosts.toml")).unwrap();
    let (first, second) = inventory.split_once("web2").unwrap();
    let text = format!("{first}web2{}", second.replace("[\"production\"]", "[\"production\", \"eu\"]"));
    fs::write(ws.path("project/inventory/hosts.toml"), text).unwrap();
    ws.set_with(&[ONE, "--group", "eu"], "of eu");
    ws.rotate_by(TOKEN);
    ws.setup();
    let report = ws.json(&["rotate", "--hosts", "web2", "--all"], 0);
    assert_eq!(names(&report, "secrets"), [format!("groups/eu/{ONE}")]);
    assert_eq!(value_on(ws.web1(), ONE), "not-a-secret-token");
    assert_eq!(value_on(ws.host("web2"), ONE), value_in_bundle(&ws, &format!("groups/eu/{ONE}")));
    assert_ne!(value_on(ws.host("web2"), ONE), "of eu");
    assert_eq!(ws.deploy()["summary"]["ok"], 2);
    ws.assert_no_leak();
}

#[test]
fn a_key_pair_goes_into_two_files() {
    if !is_root() {
        return;
    }
    let ws = hosts(2);
    ws.edit_playbook(
        "name    = \"all-secrets\"",
        "name = \"jwt\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    for name in ["jwt/key.pem", "jwt/public.pem"] {
        ws.set(name, "at first");
    }
    for (generate, kind) in [("ed25519", "ED25519"), ("rsa:2048", "RSA")] {
        let path = ws.path("project/playbooks/policies.toml");
        let policy =
            format!("[[rotate]]\nsecrets = ['jwt/key.pem']\npublic = 'jwt/public.pem'\ngenerate = '{generate}'\n");
        fs::write(&path, policy).unwrap();
        ws.setup();
        let report = ws.json(&["rotate", "--all"], 0);
        assert_eq!(report["rotation"]["secrets"][0]["public"], "jwt/public.pem");
        for host in &ws.hosts {
            assert_eq!(changes(&report, &host.name), ["jwt/key.pem changed", "jwt/public.pem changed"]);
            let private = host.path(&format!("{ROOT}/secrets/..data/jwt/key.pem"));
            let openssl = |args: &[&str]| {
                let output =
                    std::process::Command::new("openssl").args(args).arg("-in").arg(&private).output().unwrap();
                assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            };
            assert_eq!(openssl(&["pkey", "-pubout"]), host.read(&format!("{ROOT}/secrets/jwt/public.pem")));
            assert!(openssl(&["pkey", "-text", "-noout"]).to_uppercase().contains(if kind == "RSA" {
                "2048 BIT"
            } else {
                kind
            }));
        }
        let names = ["key.pem", "public.pem"].map(|name| format!("{ROOT}/secrets/jwt/{name}"));
        for name in &names {
            assert_eq!(ws.web1().read(name), ws.host("web2").read(name));
        }
    }
    assert_eq!(ws.deploy()["summary"]["ok"], 2);
    ws.assert_no_leak();
}

#[test]
fn batches_go_one_after_the_other_with_a_pause() {
    if !is_root() {
        return;
    }
    let ws = hosts(3);
    ws.service("cloudflare", "on_change = { command = ['/bin/sh', '-c', 'date +%s%N >> /srv/acted'] }");
    ws.rotate_by(&format!("{TOKEN}[rollout]\nserial = ['1']\npause = '1s'\n"));
    ws.setup();
    let report = ws.json(&["rotate", "--all"], 0);
    assert_eq!(report["rotation"]["batches"], serde_json::json!([["web1"], ["web2"], ["web3"]]));
    let acted = |host: &str| {
        let text = ws.host(host).read("/srv/acted");
        let times: Vec<i64> = text.lines().map(|line| line.parse().unwrap()).collect();
        assert_eq!(times.len(), 2, "at the setup, and now");
        times[1]
    };
    let times = [acted("web1"), acted("web2"), acted("web3")];
    assert!(times.windows(2).all(|pair| pair[1] >= pair[0] + 1_000_000_000), "{times:?}");
    ws.assert_no_leak();
}

#[test]
fn the_old_value_stays_valid_for_its_overlap_and_the_next_run_ends_it() {
    if !is_root() {
        return;
    }
    let ws = hosts(2);
    let rotator = Rotator::install(&ws, "overlap = '1s'\nevery = '90d'");
    ws.setup();
    let first = value_in_bundle(&ws, TWO);
    let report = ws.json(&["rotate", "--secret", TWO], 0);
    let second = value_in_bundle(&ws, TWO);
    assert_eq!(rotator.calls(), ["set", "test"].map(|step| format!("{step} {TWO}")));
    assert_eq!(rotator.accepted(TWO), [first.clone(), second.clone()]);
    let later = &report["rotation"]["revoke_later"][0];
    assert_eq!((&later["secret"], &later["why"]), (&TWO.into(), &Value::Null));
    assert_eq!(entries_with(&ws, "revoking/", &first), ["revoking/services/api.env"]);
    let after = chrono::DateTime::parse_from_rfc3339(later["after"].as_str().unwrap()).unwrap();
    wait("the end of the overlap", || Utc::now() > after + Duration::seconds(1));

    // A host that is away may still use it.
    let address = ws.host("web2").address.clone();
    ws.edit_inventory(&address, NOBODY);
    let report = ws.json(&["rotate", "--revoke"], 3);
    ws.edit_inventory(NOBODY, &address);
    let why = report["rotation"]["revoke_later"][0]["why"].as_str().unwrap();
    assert!(why.contains("web2") && why.contains("distribute deploy"), "{why}");
    assert_eq!(rotator.accepted(TWO), [first.clone(), second.clone()]);

    let before = everything(&ws);
    let check = ws.json(&["rotate", "--revoke", "--check"], 0);
    assert!(message(&check).contains(&format!("would revoke the old value of {TWO}")), "{}", message(&check));
    assert!(everything(&ws) == before);
    let report = ws.json(&["rotate"], 0);
    assert_eq!(
        (&report["rotation"]["state"], &report["rotation"]["revoked"]),
        (&"nothing".into(), &serde_json::json!([TWO]))
    );
    assert_eq!(rotator.accepted(TWO), std::slice::from_ref(&second));
    assert!(entries_with(&ws, "revoking/", "").is_empty());
    assert_eq!(entries_with(&ws, "history/", &first).len(), 1);
    let runs: Vec<String> = rotator.log().iter().map(|line| line.rsplit_once(' ').unwrap().1.to_owned()).collect();
    assert!(runs.iter().all(|run| *run == runs[0]), "revoke hears the run that it belongs to: {runs:?}");
    assert_eq!(message(&ws.json(&["rotate", "--revoke"], 0)), "there is no old value to revoke");
    ws.assert_no_leak();
}

#[test]
fn while_an_overlap_lasts_there_is_no_next_value() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    let rotator = Rotator::install(&ws, "overlap = '30d'");
    ws.setup();
    ws.json(&["rotate", "--secret", TWO], 0);
    let (both, before) = (rotator.accepted(TWO), everything(&ws));
    let report = ws.json(&["rotate", "--secret", TWO], 3);
    assert_eq!((&report["rotation"]["state"], names(&report, "skipped")), (&"nothing".into(), vec![TWO.to_owned()]));
    assert!(report["rotation"]["skipped"][0]["why"].as_str().unwrap().contains("is accepted until"), "{report:#}");
    assert_eq!(rotator.accepted(TWO), both);
    assert!(everything(&ws) == before);
    repack(&ws, |record| {
        let revocation = record["revocations"].as_array_mut().unwrap()[0].as_table_mut().unwrap();
        revocation.insert("after".to_owned(), "2020-01-01T00:00:00Z".into());
    });
    let report = ws.json(&["rotate", "--secret", TWO], 0);
    assert_eq!(
        (&report["rotation"]["state"], &report["rotation"]["revoked"]),
        (&"done".into(), &serde_json::json!([TWO]))
    );
    assert_eq!(rotator.accepted(TWO), [both[1].clone(), value_in_bundle(&ws, TWO)]);
    ws.assert_no_leak();
}

#[test]
fn the_line_that_is_typed_every_week_connects() {
    if !is_root() {
        return;
    }
    let mut ws = hosts(2);
    let _rotator = Rotator::install(&ws, "");
    ws.setup();
    let before = everything(&ws);
    let report = ws.json(&["rotate", "--hosts", "web1", "--check"], 0);
    assert_eq!((message(&report), &report["hosts"][0]["outcome"]), ("nothing is due", &"ok".into()));
    assert_eq!(report["summary"]["hosts"], 1);
    assert!(everything(&ws) == before);
    ws.web1().sh(&format!("echo strange >> {ROOT}/secrets/..data/api.env"));
    let report = ws.json(&["rotate", "--hosts", "web1", "--check"], 0);
    assert!(message(&report).contains("web1 differ from the bundle"), "{report:#}");
    ws.hosts.remove(0);
    assert_eq!(ws.json(&["rotate", "--hosts", "web1", "--check"], 4)["summary"]["unreachable"], 1);
    ws.assert_no_leak();
}

#[test]
fn only_what_cron_would_do_counts_as_its_run() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    let _rotator = Rotator::install(&ws, "");
    ws.setup();
    for args in [&["rotate", "--revoke"][..], &["rotate", "--secret", ONE], &["rotate", "--check"]] {
        ws.run(args).expect(0);
        assert_eq!(ws.json(&["status", "--max-age", "8d"], 3)["late"][0]["last"], Value::Null, "{args:?}");
    }
    ws.run(&["rotate"]).expect(0);
    assert_eq!(ws.json(&["status", "--max-age", "8d"], 0)["late"], serde_json::json!([]));
    ws.assert_no_leak();
}

#[test]
fn what_no_host_has_can_be_late_too() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    ws.setup();
    ws.set("ops.KEY", "first");
    ws.rotate_by("[[rotate]]\nsecrets = ['ops.KEY']\nevery = '1s'\ngenerate = 'hex:16'\n");
    wait("a second to go by", || ws.run(&["status", "--overdue"]).status == 3);
    let status = ws.run(&["status", "--overdue"]).expect(3).stdout;
    assert!(status.contains("ops.KEY: it is overdue, and on no host"), "{status}");
    assert!(message(&ws.json(&["rotate"], 0)).contains("1 secret rotated; no host holds it"));
    assert_eq!(ws.json(&["rotate", "--all", "--check"], 0)["rotation"]["secrets"][0]["secret"], "ops.KEY");
    let own = ws.path("project/playbooks/callableapis.toml");
    let text = fs::read_to_string(&own).unwrap().replace("every = '1s'", "scope = 'host'");
    fs::write(&own, text).unwrap();
    let skipped = ws.json(&["rotate", "--all"], 0)["rotation"]["skipped"][0]["why"].as_str().unwrap().to_owned();
    assert!(skipped.contains("no enrolled host gets it"), "{skipped}");
    ws.assert_no_leak();
}

#[test]
fn who_can_still_read_along_is_named() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    let _rotator = Rotator::install(&ws, "");
    ws.setup();
    let identity = fs::read_to_string(ws.identity()).unwrap();
    let recipient = identity.lines().find_map(|line| line.strip_prefix("# public key: ")).unwrap();
    let report = ws.json(&["rotate", "--compromised", recipient, "--check"], 3);
    assert!(message(&report).contains(&format!("secrets.age is still sealed to {recipient}")), "{report:#}");
    let report = ws.json(&["rotate", "--compromised", "web1", "--check"], 3);
    assert!(message(&report).contains("web1 is in the inventory and gets the new values as well"), "{report:#}");
    ws.assert_no_leak();
}

#[test]
fn an_old_value_that_no_policy_can_revoke_is_forgotten_when_somebody_says_so() {
    if !is_root() {
        return;
    }
    let ws = hosts(1);
    let rotator = Rotator::install(&ws, "overlap = '1s'");
    ws.setup();
    ws.json(&["rotate", "--secret", TWO], 0);
    let playbook = ws.path("project/playbooks/callableapis.toml");
    let text = fs::read_to_string(&playbook).unwrap();
    fs::write(&playbook, text.split("[[rotate]]").next().unwrap()).unwrap();
    wait("the overlap to end", || ws.run(&["rotate", "--revoke"]).status == 3);
    let report = ws.json(&["rotate", "--revoke"], 3);
    let why = report["rotation"]["revoke_later"][0]["why"].as_str().unwrap();
    assert!(why.ends_with("distribute rotate --revoke --yes"), "{why}");
    assert!(ws.run(&["status"]).expect(0).stdout.contains("and still is: `distribute rotate --revoke` ends that"));
    rotator.forget_calls();
    ws.json(&["rotate", "--revoke", "--yes"], 0);
    assert!(entries_with(&ws, "revoking/", "").is_empty() && rotator.calls().is_empty());
    ws.assert_no_leak();
}
