//! The control machine is lost: with an identity (or the password) and a way to log in, `recover` makes the bundle again from what lies
//! sealed on the hosts, and says what it could not find.

use crate::backups::{backups, sealed};
use crate::host::{Host, Spec};
use crate::workspace::{ROOT, Ran, Workspace, error, is_root, of, write_private};
use serde_json::Value;
use std::fs;
use std::path::Path;

const KEYSTORE: &[u8] = b"\x00\xfe\xed\r\n\xffnot text\x00";

/// What git brings back is all that is left, beside the home with its keys.
fn lose(ws: &Workspace) {
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    for name in ["project/backups", "state"] {
        if ws.path(name).exists() {
            fs::remove_dir_all(ws.path(name)).unwrap();
        }
    }
}

/// Every document and key of the bundle that is text, through stock age and tar.
fn archived(ws: &Workspace) -> Vec<String> {
    let names = [
        "services/aws.env",
        "services/github-oidc.env",
        "services/cloudflare.env",
        "services/api.env",
        "services/mail.env",
    ];
    let layers = ["groups/*.env", "hosts/*.env", "keys/hosts/*", "keys/backup"];
    names.iter().chain(&layers).map(|entry| ws.archived(entry)).collect()
}

fn id(ws: &Workspace) -> String {
    let record = ws.archived("bundle.toml");
    record.lines().find(|line| line.starts_with("id = ")).unwrap().to_owned()
}

#[track_caller]
fn assert_nothing_would_change(ws: &Workspace) {
    let report = ws.json(&["deploy", "--check"], 0);
    assert_eq!(report["summary"]["ok"], report["summary"]["hosts"], "{report:#}");
}

fn missing(report: &Value) -> Vec<String> {
    let missing = report["recovery"]["missing"].as_array().unwrap();
    missing.iter().map(|one| format!("{}: {}", one["secret"].as_str().unwrap(), one["why"].as_str().unwrap())).collect()
}

fn notes(report: &Value) -> String {
    let notes = report["recovery"]["notes"].as_array().unwrap();
    notes.iter().map(|note| note.as_str().unwrap()).collect::<Vec<_>>().join("\n")
}

fn newest(host: &Host) -> String {
    format!("{ROOT}/backups/{}", sealed(host).pop().unwrap())
}

/// Hosts `web1` and so on, set up.
fn fleet(number: usize) -> Workspace {
    let mut ws = Workspace::new();
    for number in 1..=number {
        ws.add(&format!("web{number}"), Spec::default(), "");
    }
    ws.setup();
    ws
}

#[test]
fn losing_the_control_machine_and_recovering() {
    if !is_root() {
        return;
    }
    let ws = Workspace::example();
    ws.edit_playbook(
        "[[play.service]]\nname    = \"all-secrets\"",
        "[[play.service]]\nname = \"tls\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    ws.feed(&["bundle", "set", "tls/keystore"], KEYSTORE).expect(0);
    ws.set("tls/cert.pem", "the common one");
    ws.set_with(&["tls/cert.pem", "--group", "google"], "google's own");
    ws.set_with(&["aws.AWS_SECRET_ACCESS_KEY", "--group", "oracle"], &format!("{}-oracle", ws.poison));
    ws.set_with(&["aws.ONLY_ORACLE", "--group", "oracle"], "1");
    ws.set_with(&["aws.AWS_ACCESS_KEY_ID", "--host", "onode2"], "AKIAONODE2");
    ws.set("nowhere.TOKEN", &format!("{}-nowhere", ws.poison));
    ws.rotate_by("[[rotate]]\nsecrets = ['api.API_PORT']\ngenerate = 'alnum:24'\n");
    ws.rotate_by(
        "[[play]]\nname = 'second'\nhosts = 'google'\nroot = '/opt/second'\n[[play.service]]\nname = 'mail'\n",
    );
    ws.set("mail.PASSWORD", &format!("{}-mail", ws.poison));
    ws.setup();
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", "second");
    ws.json(&["deploy", "--hosts", "onode1,gnode1"], 0);
    ws.deploy();
    ws.json(&["rotate", "--all"], 0);
    let (before, bundle) = (archived(&ws), id(&ws));
    assert!(before.iter().all(|text| !text.is_empty()));
    let list = ws.run(&["bundle", "list"]).expect(0).stdout;
    assert!(list.contains("overridden for groups/google"), "{list}");
    let hosts: Vec<_> = ws.hosts.iter().map(Host::snapshot).collect();

    lose(&ws);
    let report = ws.json(&["recover"], 3);
    assert_eq!(missing(&report), ["nowhere.TOKEN: on no host"]);
    assert!(notes(&report).contains("earlier values"), "{report:#}");
    assert_eq!(report["recovery"]["recovered"], 13, "{report:#}");
    assert_eq!(format!("id = {}", report["recovery"]["bundle"]), bundle);
    assert_eq!(ws.hosts.iter().map(Host::snapshot).collect::<Vec<_>>(), hosts, "hosts were only read");

    assert_eq!(id(&ws), bundle);
    assert!(archived(&ws) == before, "every value, comment and key is as it was");
    assert_nothing_would_change(&ws);
    ws.run(&["audit", "-q"]).expect(0);
    ws.run(&["backup", "verify"]).expect(0);

    ws.set("nowhere.TOKEN", "a new one");
    ws.set("aws.AWS_SECRET_ACCESS_KEY", &format!("{}-new", ws.poison));
    let report = ws.deploy();
    let gnode1 = ws.host("gnode1");
    assert_eq!(of(&report, "gnode1")["outcome"], "changed");
    assert!(gnode1.read(&format!("{ROOT}/secrets/aws.env")).contains("-new"));
    assert_eq!(gnode1.read(&format!("{ROOT}/secrets/tls/cert.pem")).trim_end(), "google's own");
    assert_eq!(fs::read(gnode1.path(&format!("{ROOT}/secrets/tls/keystore"))).unwrap(), KEYSTORE);
    ws.assert_no_leak();
}

/// The same services in a bundle that only a password opens.
fn seal_with_password(ws: &Workspace) {
    lose(ws);
    write_private(&ws.path("project/vault-password"), "correct horse\n");
    fs::create_dir(ws.path("seed")).unwrap();
    for (name, text) in [
        ("aws", format!("# for the uploads\nAWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY={}\n", ws.poison)),
        ("github-oidc", format!("GITHUB_CLIENT_SECRET={}-oidc\n", ws.poison)),
        ("cloudflare", "CLOUDFLARE_API_TOKEN=not-a-secret-token\n".to_owned()),
        ("api", format!("API_PASSWORD=x{}\nAPI_PORT=8080\n", ws.poison)),
    ] {
        fs::write(ws.path(&format!("seed/{name}.env")), text).unwrap();
    }
    ws.run(&["bundle", "create", ws.path("seed").to_str().unwrap()]).expect(0);
    fs::remove_dir_all(ws.path("seed")).unwrap();
}

#[test]
fn a_password_is_enough_even_where_the_key_beside_the_backups_is_gone() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    seal_with_password(&ws);
    ws.add("web1", Spec::default(), "");
    ws.add("tiny1", Spec::busybox(), "");
    ws.setup();
    lose(&ws);
    ws.web1().sh(&format!("rm {ROOT}/backups/key.age"));
    let report = ws.json(&["recover", "--accept-new"], 0);
    assert_eq!(backups(&report, "web1")[0]["deed"], "opened", "with the key of tiny1: {report:#}");
    assert_eq!((&report["recovery"]["recovered"], missing(&report).len()), (&6.into(), 0));
    let report = ws.json(&["deploy", "--check"], 0);
    assert_eq!(of(&report, "tiny1")["outcome"], "ok");
    assert_eq!(of(&report, "web1")["outcome"], "changed", "its key.age comes back");
    ws.deploy();
    assert_nothing_would_change(&ws);
    ws.run(&["backup", "verify"]).expect(0);

    lose(&ws);
    write_private(&ws.path("project/vault-password"), "another one\n");
    let ran = ws.run(&["recover"]).expect(1);
    assert!(ran.stderr.contains("wrong password") && ran.stderr.contains("nothing was written"), "{}", ran.stderr);
    assert!(!ws.path("project/secrets.age").exists());
    ws.assert_no_leak();
}

#[test]
fn without_playbooks_the_place_is_named() {
    if !is_root() {
        return;
    }
    let ws = fleet(2);
    let before = archived(&ws);
    lose(&ws);
    let playbooks = ws.path("playbooks");
    fs::rename(ws.path("project/playbooks"), &playbooks).unwrap();
    fs::rename(ws.path("project/inventory/hosts.toml"), ws.path("project/few.toml")).unwrap();
    ws.forget_known_hosts();
    let ran = ws.run(&["recover", "-i", "few.toml"]).expect(1);
    assert!(ran.stderr.contains("--root /opt/NAME"), "{}", ran.stderr);
    let ran = ws.run(&["recover", "-i", "few.toml", "--root", "opt"]).expect(1);
    assert!(ran.stderr.contains("not absolute"), "{}", ran.stderr);
    let ran = ws.run(&["recover", "-i", "few.toml", "--root", ROOT]).expect(1);
    assert!(ran.stderr.contains("hostkey: ") && ran.stderr.contains("SHA256:"), "{}", ran.stderr);
    let report = ws.json(&["recover", "-i", "few.toml", "--root", ROOT, "--root", "/opt/other", "--accept-new"], 0);
    assert_eq!(missing(&report), Vec::<String>::new());
    assert!(archived(&ws) == before);
    fs::rename(playbooks, ws.path("project/playbooks")).unwrap();
    let report = ws.json(&["-i", "few.toml", "deploy", "--check"], 0);
    assert_eq!(report["summary"]["ok"], 2, "the proved keys are pinned: {report:#}");
    ws.assert_no_leak();
}

#[test]
fn what_only_an_unreachable_host_had_is_told() {
    if !is_root() {
        return;
    }
    let mut ws = fleet(2);
    ws.set_with(&["aws.AWS_ACCESS_KEY_ID", "--host", "web2"], "AKIAWEB2");
    ws.set("api.API_PORT", "8081");
    ws.deploy();
    // Not deployed any more: this machine has seen a higher generation than any host.
    ws.set("api.API_PORT", "8082");
    ws.set("api.API_PORT", "8083");
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    drop(ws.hosts.remove(1));
    let ran: Ran = ws.run(&["recover", "-o", "json"]).expect(4);
    let report = ran.report();
    assert!(error(&report, "web2").starts_with("connect: "), "{report:#}");
    let missing = missing(&report);
    assert!(
        missing.len() == 1
            && missing[0].starts_with("hosts/web2/aws.AWS_ACCESS_KEY_ID: its host was not read: connect: "),
        "{missing:?}"
    );
    assert!(notes(&report).contains("distribute setup --hosts web2"), "{report:#}");
    assert_eq!(ws.value("aws.AWS_ACCESS_KEY_ID"), "AKIAEXAMPLE", "no older than what was seen here");
    let report = ws.json(&["deploy", "--check", "--hosts", "web1"], 0);
    assert_eq!(report["summary"]["ok"], 1);
    ws.assert_no_leak();
}

#[test]
fn a_damaged_backup_is_told_and_the_one_before_serves() {
    if !is_root() {
        return;
    }
    let ws = fleet(2);
    ws.set("aws.AWS_ACCESS_KEY_ID", "AKIASECOND");
    ws.deploy();
    lose(&ws);
    for host in &ws.hosts {
        host.sh(&format!("truncate -s -1 {}", newest(host)));
    }
    ws.hosts[1].sh(&format!("rm {}", newest(&ws.hosts[1])));
    let report = ws.json(&["recover"], 3);
    let web1 = backups(&report, "web1");
    assert!(web1[0]["problem"].as_str().unwrap().contains("cut off or altered"), "{report:#}");
    assert_eq!((&web1[1]["deed"], web1.len()), (&"opened".into(), 2));
    assert_eq!(ws.value("aws.AWS_ACCESS_KEY_ID"), "AKIAEXAMPLE", "as of the backup before");
    // Nobody takes it for newer than what the hosts have seen.
    let report = ws.json(&["deploy", "--check", "--diff"], 0);
    assert_eq!(report["summary"]["changed"], 2);
    ws.assert_no_leak();
}

#[test]
fn what_was_changed_by_hand_is_taken_only_where_nothing_else_is() {
    if !is_root() {
        return;
    }
    let ws = fleet(1);
    let web1 = ws.web1();
    web1.sh(&format!("echo HAND=edited >> {ROOT}/secrets/cloudflare.env"));
    ws.json(&["backup"], 0);
    lose(&ws);
    ws.json(&["recover"], 0);
    assert!(!ws.archived("services/cloudflare.env").contains("HAND"), "the run's own backup is there");
    lose(&ws);
    web1.sh(&format!("rm {ROOT}/backups/{}", sealed(web1)[0]));
    let report = ws.json(&["recover"], 0);
    let told = "cloudflare.env of web1 was changed by hand: its values are as found there";
    assert!(notes(&report).contains(told), "{report:#}");
    assert!(ws.archived("services/cloudflare.env").contains("HAND=edited"));
    assert_eq!(ws.archived("services/aws.env").lines().next(), Some("# for the uploads"));
    ws.assert_no_leak();
}

#[test]
fn a_backup_of_another_host_is_told_and_not_used() {
    if !is_root() {
        return;
    }
    let ws = fleet(2);
    ws.set_with(&["aws.AWS_ACCESS_KEY_ID", "--host", "web2"], "AKIAWEB2");
    ws.deploy();
    let stolen = fs::read(ws.hosts[1].path(&newest(&ws.hosts[1]))).unwrap();
    let run = sealed(&ws.hosts[1]).pop().unwrap();
    fs::write(ws.web1().path(&format!("{ROOT}/backups/{run}")), stolen).unwrap();
    lose(&ws);
    let report = ws.json(&["recover"], 3);
    let web1 = backups(&report, "web1");
    assert!(web1[0]["problem"].as_str().unwrap().contains("another host, web2"), "{report:#}");
    assert_eq!(ws.value("aws.AWS_ACCESS_KEY_ID"), "AKIAEXAMPLE");
    assert!(ws.archived("hosts/*.env").contains("AKIAWEB2"));
    ws.assert_no_leak();
}

#[test]
fn nothing_is_written_that_was_not_meant() {
    if !is_root() {
        return;
    }
    let ws = fleet(1);
    let ran = ws.run(&["recover"]).expect(1);
    assert!(
        ran.stderr.contains("there is a bundle already") && ran.stderr.contains("-b recovered.age"),
        "{}",
        ran.stderr
    );
    let before = archived(&ws);
    ws.json(&["recover", "-b", "recovered.age"], 0);
    assert!(archived(&ws) == before);
    fs::remove_file(ws.path("project/recovered.age")).unwrap();

    lose(&ws);
    let files = |ws: &Workspace| -> Vec<_> {
        let entries = walkdir::WalkDir::new(ws.path("")).sort_by_file_name().into_iter().map(Result::unwrap);
        entries.map(|entry| entry.path().to_owned()).filter(|path| !path.starts_with(ws.path("out"))).collect()
    };
    let (host, here) = (ws.web1().snapshot(), files(&ws));
    let report = ws.json(&["recover", "--check"], 0);
    assert_eq!((&report["check"], &report["recovery"]["recovered"]), (&true.into(), &6.into()));
    assert_eq!((ws.web1().snapshot(), files(&ws)), (host, here));

    let other = ws.path("other.key");
    ws.run(&["keygen", "-o", other.to_str().unwrap()]).expect(0);
    let mut ws = ws;
    ws.exports.push(("DISTRIBUTE_IDENTITY".to_owned(), other.to_str().unwrap().to_owned()));
    let ran = ws.run(&["recover"]).expect(1);
    assert!(
        ran.stderr.contains("the file is not sealed to that") && ran.stderr.contains("nothing was written"),
        "{}",
        ran.stderr
    );
    ws.exports.push(("DISTRIBUTE_IDENTITY".to_owned(), String::new()));
    let logins = |ws: &Workspace| ws.web1().log().matches("Accepted").count();
    let before = logins(&ws);
    let ran = ws.run(&["recover"]).expect(1);
    assert!(ran.stderr.contains("nobody was asked") && ran.stderr.contains("--identity"), "{}", ran.stderr);
    assert_eq!(logins(&ws), before);
    assert!(!Path::new(&ws.path("project/secrets.age")).exists());
    ws.assert_no_leak();
}

#[test]
fn without_key_age_the_recipients_go_on() {
    if !is_root() {
        return;
    }
    let ws = fleet(1);
    lose(&ws);
    ws.web1().sh(&format!("rm {ROOT}/backups/key.age"));
    let report = ws.json(&["recover"], 0);
    assert!(notes(&report).contains("the bundle has a new one"), "{report:#}");
    ws.deploy();
    assert_nothing_would_change(&ws);
    ws.json(&["backup"], 0);
    ws.run(&["backup", "verify"]).expect(0);
    ws.assert_no_leak();
}

#[test]
fn hosts_of_another_bundle_are_never_mixed_in() {
    if !is_root() {
        return;
    }
    let (mut ws, mut other) = (fleet(1), Workspace::new());
    let before = archived(&ws);
    other.add("web9", Spec::default(), "");
    other.setup();
    let web9 = other.web1();
    web9.sh(&format!("echo '{}' >> /etc/ssh/authorized_keys", ws.public_key().trim()));
    ws.add_line(&format!("web9 = {{ address = \"{}\", groups = [\"production\"] }}\n", web9.address));
    lose(&ws);
    // With the one identity the other's backups stay shut.
    let report = ws.json(&["recover", "--accept-new"], 2);
    assert!(error(&report, "web9").contains("the file is not sealed to that"), "{report:#}");
    assert!(archived(&ws) == before);
    assert_eq!(ws.json(&["deploy", "--check", "--hosts", "web1"], 0)["summary"]["ok"], 1);

    lose(&ws);
    let both = format!("{}:{}", ws.identity(), other.identity());
    ws.exports.push(("DISTRIBUTE_IDENTITY".to_owned(), both));
    let ran = ws.run(&["recover", "--accept-new"]).expect(1);
    for part in ["different bundles", ": web1", ": web9", "--hosts"] {
        assert!(ran.stderr.contains(part), "{part}: {}", ran.stderr);
    }
    assert!(!ws.path("project/secrets.age").exists());
    let report = ws.json(&["recover", "--hosts", "web1"], 0);
    assert!(notes(&report).contains("web9 was not read (left out by --hosts)"), "{report:#}");
    assert!(archived(&ws) == before);
    ws.assert_no_leak();
    other.assert_no_leak();
}

#[test]
fn a_host_without_backups_is_told() {
    if !is_root() {
        return;
    }
    let mut ws = fleet(1);
    ws.add("new1", Spec::default(), "");
    lose(&ws);
    let ran = ws.run(&["recover"]).expect(3);
    for part in [
        "6 secrets recovered",
        "* it is sealed to age1",
        "! no backup in /opt/callableapis of new1",
        "* new1 was not read",
    ] {
        assert!(ran.stdout.contains(part), "{part}: {}", ran.stdout);
    }
    ws.json(&["setup", "--hosts", "new1"], 0);
    assert_nothing_would_change(&ws);
    ws.assert_no_leak();
}

#[test]
fn a_user_recovers_what_is_his_own() {
    if !is_root() {
        return;
    }
    let mut ws = Workspace::new();
    let script = format!("mkdir {ROOT}; chown deploy:deploy {ROOT}");
    ws.add("web1", Spec::default().script(&script), ", user = \"deploy\"");
    ws.edit_playbook("keep  = 5", "keep  = 5\nowner = \"deploy\"\ngroup = \"deploy\"");
    ws.setup();
    lose(&ws);
    ws.json(&["recover"], 0);
    assert_nothing_would_change(&ws);
    lose(&ws);
    let playbooks = ws.path("playbooks");
    fs::rename(ws.path("project/playbooks"), &playbooks).unwrap();
    ws.json(&["-C", ".", "recover", "--root", ROOT], 0);
    fs::rename(playbooks, ws.path("project/playbooks")).unwrap();
    assert_nothing_would_change(&ws);
    // Who may not look does not take it for empty.
    ws.web1().sh(&format!("chown -R root:root {ROOT}"));
    lose(&ws);
    let ran = ws.run(&["recover", "--root", ROOT]).expect(1);
    assert!(ran.stderr.contains("become: ") && ran.stderr.contains("nothing was written"), "{}", ran.stderr);
    ws.assert_no_leak();
}
