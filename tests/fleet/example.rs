//! The repository's own example on three hosts: set up, unchanged, changed, sealed, opened without us.

use crate::workspace::{ROOT, Workspace, changes, is_root, of};
use std::fs;
use std::io::Write;
use std::process::{Command, Stdio};

const SERVICES: [&str; 5] = ["all-secrets", "api", "aws", "cloudflare", "github-oidc"];

#[test]
fn setup_makes_every_host_as_the_design_says() {
    if !is_root() {
        return;
    }
    let ws = Workspace::example();
    let report = ws.setup();
    for host in &ws.hosts {
        let run = of(&report, &host.name)["live"].as_str().unwrap().to_owned();
        assert_eq!(run, report["run"].as_str().unwrap());
        assert_eq!(host.names(ROOT), [".distribute", "backups", "secrets", "vault-password"]);
        assert_eq!(host.access(ROOT), "700 0:0");
        assert_eq!(host.access(&format!("{ROOT}/vault-password")), "600 0:0");
        for directory in ["secrets", "backups", ".distribute", &format!("secrets/..{run}")] {
            assert_eq!(host.access(&format!("{ROOT}/{directory}")), "700 0:0", "{directory}");
        }
        let link = |name: &str| fs::read_link(host.path(&format!("{ROOT}/secrets/{name}"))).unwrap();
        assert_eq!(link("..data").to_str(), Some(format!("..{run}").as_str()));
        let mut names = vec![format!("..{run}"), "..data".to_owned()];
        for service in SERVICES {
            assert_eq!(link(&format!("{service}.env")).to_str(), Some(format!("..data/{service}.env").as_str()));
            assert_eq!(host.access(&format!("{ROOT}/secrets/..{run}/{service}.env")), "600 0:0");
            names.push(format!("{service}.env"));
        }
        names.sort();
        assert_eq!(host.names(&format!("{ROOT}/secrets")), names);
        assert_eq!(host.names(&format!("{ROOT}/backups")), [format!("{run}.tar.gz.age"), "key.age".to_owned()]);
        for file in host.names(&format!("{ROOT}/backups")) {
            assert_eq!(host.access(&format!("{ROOT}/backups/{file}")), "600 0:0");
        }
        assert!(
            host.names(&format!("{ROOT}/.distribute"))
                .iter()
                .all(|name| name == "generation" || name.starts_with("manifest.") || name.starts_with("receipt."))
        );
        let aws = host.read(&format!("{ROOT}/secrets/aws.env"));
        assert_eq!(
            aws,
            format!("# for the uploads\nAWS_ACCESS_KEY_ID=AKIAEXAMPLE\nAWS_SECRET_ACCESS_KEY={}\n", ws.poison)
        );
        let all = host.read(&format!("{ROOT}/secrets/all-secrets.env"));
        for line in ["AWS_ACCESS_KEY_ID=AKIAEXAMPLE", "CLOUDFLARE_API_TOKEN=not-a-secret-token", "API_PORT=8080"] {
            assert!(all.lines().any(|have| have == line), "{line} is not in all-secrets.env");
        }
        ws.assert_arrived(host);
        assert!(host.read(&format!("{ROOT}/vault-password")).lines().any(|line| line.starts_with("AGE-SECRET-KEY-1")));
    }
    let passwords: std::collections::BTreeSet<String> =
        ws.hosts.iter().map(|host| host.read(&format!("{ROOT}/vault-password"))).collect();
    assert_eq!(passwords.len(), 3, "each host has a password of its own");
    ws.assert_no_leak();
}

#[test]
fn a_second_setup_and_a_deploy_change_nothing_to_the_inode() {
    if !is_root() {
        return;
    }
    let ws = Workspace::example();
    let would = ws.json(&["setup", "--check"], 0);
    for host in &ws.hosts {
        assert_eq!(host.names("/opt"), Vec::<String>::new(), "--check wrote on {}", host.name);
    }
    let did = ws.setup();
    for host in &ws.hosts {
        assert_eq!(of(&would, &host.name)["files"], of(&did, &host.name)["files"]);
        assert_eq!(of(&would, &host.name)["outcome"], of(&did, &host.name)["outcome"]);
    }
    let before: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    let bundle = fs::read(ws.path("project/secrets.age")).unwrap();
    for command in [&["setup"][..], &["deploy"], &["setup", "--check"], &["deploy", "--check", "--diff"], &["status"]] {
        let report = ws.json(command, 0);
        assert_eq!(report["summary"]["ok"], 3, "{command:?}: {report:#}");
        assert_eq!(report["summary"]["findings"], 0, "{command:?}: {report:#}");
        for (host, before) in ws.hosts.iter().zip(&before) {
            assert_eq!(&host.snapshot(), before, "{command:?} touched {}", host.name);
        }
        assert_eq!(fs::read(ws.path("project/secrets.age")).unwrap(), bundle, "{command:?} touched the bundle");
    }
    ws.assert_no_leak();
}

#[test]
fn a_changed_value_changes_one_file_and_the_old_set_stays() {
    if !is_root() {
        return;
    }
    let ws = Workspace::example();
    let first = ws.setup()["run"].as_str().unwrap().to_owned();
    let second_value = format!("{}-second", ws.poison);
    ws.set("cloudflare.CLOUDFLARE_API_TOKEN", &second_value);
    let before: Vec<_> = ws.hosts.iter().map(|host| host.snapshot()).collect();
    let would = ws.json(&["deploy", "--check", "--diff"], 0);
    for (host, before) in ws.hosts.iter().zip(&before) {
        assert_eq!(&host.snapshot(), before);
        assert_eq!(changes(&would, &host.name), ["cloudflare.env changed", "all-secrets.env changed"]);
        let file =
            &of(&would, &host.name)["files"].as_array().unwrap().iter().find(|f| f["service"] == "cloudflare").unwrap();
        let key = &file["keys"][0];
        assert_eq!((key["key"].as_str(), key["change"].as_str()), (Some("CLOUDFLARE_API_TOKEN"), Some("changed")));
        let print = key["fingerprint"].as_str().unwrap();
        assert!(print.len() == 8 && print.bytes().all(|b| b.is_ascii_hexdigit()), "{print}");
    }
    let human = ws.run(&["deploy", "--check", "--diff"]).expect(0).stdout;
    assert!(human.contains("~ CLOUDFLARE_API_TOKEN"), "{human}");
    let did = ws.json(&["deploy", "--diff"], 0);
    let run = did["run"].as_str().unwrap().to_owned();
    for host in &ws.hosts {
        assert_eq!(of(&would, &host.name)["files"], of(&did, &host.name)["files"]);
        let secrets = format!("{ROOT}/secrets");
        assert_eq!(host.read(&format!("{secrets}/cloudflare.env")), format!("CLOUDFLARE_API_TOKEN={second_value}\n"));
        assert_eq!(
            host.read(&format!("{secrets}/..{first}/cloudflare.env")),
            "CLOUDFLARE_API_TOKEN=not-a-secret-token\n"
        );
        let sets = |host: &crate::host::Host| {
            host.names(&secrets).into_iter().filter(|n| n.starts_with("..")).collect::<Vec<_>>()
        };
        let mut expected = vec![format!("..{first}"), format!("..{run}"), "..data".to_owned()];
        expected.sort();
        assert_eq!(sets(host), expected);
    }
    let mut last = run;
    for round in 0..6 {
        let before = last.clone();
        ws.set("cloudflare.CLOUDFLARE_API_TOKEN", &format!("round {round}"));
        last = ws.deploy()["run"].as_str().unwrap().to_owned();
        for host in &ws.hosts {
            let names = host.names(&format!("{ROOT}/secrets"));
            let sets: Vec<_> = names.iter().filter(|name| name.starts_with("..") && *name != "..data").collect();
            assert_eq!(sets.len(), 2, "{names:?}");
            assert!(names.contains(&format!("..{last}")) && names.contains(&format!("..{before}")), "{names:?}");
        }
    }
    for host in &ws.hosts {
        let backups = host.names(&format!("{ROOT}/backups"));
        assert_eq!(backups.len(), 5 + 1, "five backups and their key: {backups:?}");
        assert!(backups.contains(&format!("{last}.tar.gz.age")));
        let manifests =
            host.names(&format!("{ROOT}/.distribute")).into_iter().filter(|n| n.starts_with("manifest.")).count();
        assert_eq!(manifests, 2);
    }
    ws.assert_no_leak();
}

#[test]
fn files_and_overrides_reach_whom_they_are_for() {
    if !is_root() {
        return;
    }
    let ws = Workspace::example();
    ws.edit_playbook(
        "name    = \"all-secrets\"",
        "name = \"tls\"\nformat = \"raw\"\n\n[[play.service]]\nname    = \"all-secrets\"",
    );
    let pem = format!("-----BEGIN\n{}\n-----END\n", ws.poison);
    ws.set("tls/key.pem", &pem);
    ws.set("tls/cert.pem", "a certificate\n");
    ws.set("api.API_PORT", "1");
    ws.set_with(&["api.API_PORT", "--group", "oracle"], "2");
    ws.set_with(&["api.API_PORT", "--host", "onode2"], "3");
    ws.setup();
    for (name, port) in [("onode1", 2), ("onode2", 3), ("gnode1", 1)] {
        let host = ws.host(name);
        assert_eq!(host.read(&format!("{ROOT}/secrets/tls/key.pem")), pem);
        assert_eq!(host.read(&format!("{ROOT}/secrets/tls/cert.pem")), "a certificate\n");
        assert_eq!(fs::read_link(host.path(&format!("{ROOT}/secrets/tls"))).unwrap().to_str(), Some("..data/tls"));
        assert_eq!(host.access(&format!("{ROOT}/secrets/..data/tls/.")), "700 0:0");
        for file in ["api.env", "all-secrets.env"] {
            let text = host.read(&format!("{ROOT}/secrets/{file}"));
            assert!(text.lines().any(|line| line == format!("API_PORT={port}")), "{file} of {name}");
        }
    }
    let before = ws.host("onode1").snapshot();
    ws.set("tls/cert.pem", "a new certificate\n");
    let report = ws.deploy();
    assert_eq!(changes(&report, "onode1"), ["tls/cert.pem changed"]);
    assert_ne!(ws.host("onode1").snapshot(), before);
    assert_eq!(ws.host("onode1").read(&format!("{ROOT}/secrets/tls/cert.pem")), "a new certificate\n");
    assert_eq!(ws.deploy()["summary"]["ok"], 3);
    ws.assert_no_leak();
}

#[test]
fn stock_age_opens_the_sealed_copies() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(Default::default());
    ws.setup();
    let host = ws.web1();
    let backups = format!("{ROOT}/backups");
    let name = host.names(&backups).into_iter().find(|name| name.ends_with(".tar.gz.age")).unwrap();
    let sealed = fs::read(host.path(&format!("{backups}/{name}"))).unwrap();
    let mut expected: Vec<String> =
        ["all-secrets", "api", "aws", "cloudflare", "github-oidc"].map(|s| format!("{s}.env")).to_vec();
    let listed = |sealed: &[u8], identity: &std::path::Path| {
        let mut names: Vec<String> = tar(&["tz"], &ws.age(identity, sealed)).lines().map(str::to_owned).collect();
        names.sort();
        names
    };
    expected.sort();
    assert_eq!(listed(&sealed, ws.identity().as_ref()), expected, "with the identity of the bundle");
    let key = ws.age(ws.identity().as_ref(), &fs::read(host.path(&format!("{backups}/key.age"))).unwrap());
    let key_file = ws.path("home/backup-key");
    crate::workspace::write_private(&key_file, std::str::from_utf8(&key).unwrap());
    assert_eq!(listed(&sealed, &key_file), expected, "with key.age");
    assert_eq!(tar(&["xzO", "aws.env"], &ws.age(&key_file, &sealed)), host.read(&format!("{ROOT}/secrets/aws.env")));
    let own = ws.path("home/host-key");
    crate::workspace::write_private(&own, &host.read(&format!("{ROOT}/vault-password")));
    let shown = Command::new("age-keygen").arg("-y").arg(&own).output().unwrap();
    let public = String::from_utf8(shown.stdout).unwrap();
    assert!(public.starts_with("age1"), "vault-password is an age identity");
    let bundle = ws.age(ws.identity().as_ref(), &fs::read(ws.path("project/secrets.age")).unwrap());
    assert!(tar(&["tz"], &bundle).lines().any(|name| name == "services/aws.env"));
    ws.assert_no_leak();
}

fn tar(args: &[&str], archive: &[u8]) -> String {
    let mut child = Command::new("tar").args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(archive).unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
}
