//! Every format on a real host: deployed, left alone when nothing changed, backed up, and read back when the bundle is lost.

use crate::workspace::{ROOT, Workspace, is_root, of};
use std::fs;

const VALUE: &str = " it's \"$HOME\" \\n `id` #1 ";
const PLAYS: &str = r#"
[[play]]
name = "callableapis"
hosts = "production"
root = "/opt/callableapis"
service = [
    { name = "api", format = "systemd", require = ["API_PASSWORD"] },
    { name = "aws", format = "json" },
    { name = "cloudflare", format = "files" },
    { name = "github-oidc", format = "kubernetes", namespace = "live" },
    { name = "shell", format = "shell" },
    { name = "composed", format = "compose" },
    { name = "only-in-a-template", format = "template", template = "templates/only.conf.j2", include = ["hidden"] },
    { name = "conf", format = "template", template = "templates/app.conf.j2" },
    { name = "all-secrets", format = "json", include = ["*"] },
]
"#;

#[test]
fn every_format_arrives_and_comes_back() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(crate::host::Spec::default());
    fs::write(ws.path("project/playbooks/callableapis.toml"), PLAYS).unwrap();
    fs::create_dir(ws.path("project/playbooks/templates")).unwrap();
    let template =
        "password = {{ secrets.api.API_PASSWORD|json }}\non {{ host }}, {{ secrets.shell.ODD|shellquote }}\n";
    fs::write(ws.path("project/playbooks/templates/app.conf.j2"), template).unwrap();
    fs::write(ws.path("project/playbooks/templates/only.conf.j2"), "{{ secrets.hidden.KEY }}").unwrap();
    let odd = format!("{}{VALUE}", ws.poison);
    for name in ["api.ODD", "shell.ODD", "shell.TWO_LINES", "composed.PLAIN"] {
        ws.feed(&["bundle", "set", name], if name.ends_with("LINES") { b"one\ntwo\n\n" } else { odd.as_bytes() })
            .expect(0);
    }
    ws.set("api.API_PORT", "8080");
    ws.set_with(&["cloudflare.CLOUDFLARE_API_TOKEN", "--host", "web1"], "web1's own");
    ws.feed(&["bundle", "set", "cloudflare/plain.txt"], b"\xff\n").expect(0);
    ws.set("hidden.KEY", &format!("{}-hidden", ws.poison));

    ws.setup();
    let report = ws.json(&["deploy"], 0);
    assert_eq!(of(&report, "web1")["outcome"], "ok", "nothing is written twice: {report:#}");

    let host = ws.web1();
    let read = |name: &str| fs::read(host.path(&format!("{ROOT}/secrets/{name}"))).unwrap();
    let sourced = host.sh(&format!("set -a; . {ROOT}/secrets/shell.env; printf '%s|%s' \"$ODD\" \"$TWO_LINES\""));
    assert_eq!(sourced.trim_end_matches('\n'), format!("{odd}|one\ntwo"));
    let aws: serde_json::Value = serde_json::from_slice(&read("aws.json")).unwrap();
    assert_eq!(aws["AWS_SECRET_ACCESS_KEY"], ws.poison.as_str());
    assert_eq!(read("cloudflare/CLOUDFLARE_API_TOKEN"), b"web1's own");
    assert_eq!(read("cloudflare/plain.txt"), b"\xff\n");
    assert!(String::from_utf8(read("conf/app.conf")).unwrap().contains("\non web1, "));
    assert!(String::from_utf8(read("github-oidc.yaml")).unwrap().contains("namespace: \"live\""));

    let values = |ws: &Workspace| {
        let names =
            ["api.ODD", "api.API_PORT", "shell.TWO_LINES", "composed.PLAIN", "github-oidc.GITHUB_CLIENT_SECRET"];
        let mut values: Vec<_> = names.iter().map(|name| ws.value(name)).collect();
        values.push(ws.archived("hosts/web1/cloudflare.env"));
        values.push(ws.archived("services/aws.env").lines().filter(|line| !line.starts_with('#')).collect());
        values
    };
    let before = values(&ws);
    fs::remove_file(ws.path("project/secrets.age")).unwrap();
    fs::remove_dir_all(ws.path("state")).unwrap();
    let report = ws.json(&["recover"], 3);
    let missing = report["recovery"]["missing"].as_array().unwrap();
    let told =
        |one: &serde_json::Value| format!("{}: {}", one["secret"].as_str().unwrap(), one["why"].as_str().unwrap());
    let told: Vec<_> = missing.iter().map(told).collect();
    assert!(told[0].starts_with("cloudflare.CLOUDFLARE_API_TOKEN: overridden"), "{told:?}");
    assert!(
        told[1].starts_with("hidden.KEY: at most in only-in-a-template/only.conf of web1, which a template made"),
        "{told:?}"
    );
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(values(&ws), before);
}

/// One service comes back in its own format, and its part of the file of all.
#[test]
fn one_service_is_restored_in_its_own_format() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(crate::host::Spec::default());
    let play = "[[play]]\nname = 'callableapis'\nhosts = 'all'\nroot = '/opt/callableapis'\nservice = [\
        { name = 'api', format = 'json' }, { name = 'aws', format = 'files' }, { name = 'github-oidc', format = 'shell' }, \
        { name = 'cloudflare', format = 'kubernetes' }, { name = 'all', format = 'systemd', include = ['*'] }]\n";
    fs::write(ws.path("project/playbooks/callableapis.toml"), play).unwrap();
    ws.setup();
    let files = ["api.json", "aws/AWS_ACCESS_KEY_ID", "github-oidc.env", "cloudflare.yaml", "all.env"];
    let read = |name: &str| ws.web1().read(&format!("{ROOT}/secrets/{name}"));
    let first: Vec<String> = files.iter().map(|file| read(file)).collect();
    let run = crate::backups::sealed(ws.web1()).pop().unwrap();
    let run = run.strip_suffix(".tar.gz.age").unwrap();
    for (name, value) in [
        ("api.API_PORT", "9 0 9"),
        ("aws.AWS_ACCESS_KEY_ID", "AKIA SECOND"),
        ("github-oidc.GITHUB_CLIENT_SECRET", "second"),
        ("cloudflare.CLOUDFLARE_API_TOKEN", "second token"),
    ] {
        ws.set(name, value);
    }
    ws.deploy();
    assert!(read("all.env").contains("API_PORT=\"9 0 9\"\n"));

    let report = ws.json(&["restore", "--run", run, "--service", "api", "--yes"], 0);
    assert_eq!(of(&report, "web1")["other_than_bundle"], serde_json::json!(["api.API_PORT"]));
    assert_eq!(read("api.json"), first[0]);
    let merged = read("all.env");
    assert!(merged.contains("API_PORT=8080\n") && merged.contains("AWS_ACCESS_KEY_ID=\"AKIA SECOND\"\n"), "only api's");

    ws.json(&["restore", "--run", run, "--service", "api,aws,github-oidc,cloudflare", "--yes"], 0);
    assert_eq!(files.map(read).to_vec(), first, "piece by piece it is the whole");
    ws.assert_no_leak();
}

#[test]
fn what_a_template_lacks_stops_before_any_connection() {
    if !is_root() {
        return;
    }
    let ws = Workspace::with_host(crate::host::Spec::default());
    ws.setup();
    fs::create_dir(ws.path("project/playbooks/templates")).unwrap();
    fs::write(ws.path("project/playbooks/templates/app.conf.j2"), "\n{{ secrets.api.NONE }}").unwrap();
    let service = "{ name = 'conf', format = 'template', template = 'templates/app.conf.j2', include = ['api'] }";
    ws.rotate_by(&format!("[[play]]\nname = 'second'\nhosts = 'all'\nroot = '/opt/second'\nservice = [{service}]\n"));
    let before = ws.web1().snapshot();
    let told = ws.run(&["deploy"]).expect(1).stderr;
    assert!(told.contains("service `conf`: templates/app.conf.j2:2: `secrets.api.NONE` is not there"), "{told}");
    assert!(told.contains("there are: API_PASSWORD, API_PORT"), "{told}");
    assert_eq!(ws.web1().snapshot(), before);
    ws.assert_no_leak();
}
