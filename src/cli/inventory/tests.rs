//! What `distribute inventory` answers, on this repository's own example and on small ones.

use super::*;
use std::path::Path;

/// The example of this repository, which the README shows too.
fn example() -> (Inventory, Playbook) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    (Inventory::load(&root.join("inventory")).unwrap(), Playbook::load(&root.join("playbooks")).unwrap())
}

fn loaded(inventory: &str, playbook: &str) -> (Inventory, Playbook) {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    (Inventory::load(&file("i.toml", inventory)).unwrap(), Playbook::load(&file("p.toml", playbook)).unwrap())
}

#[test]
fn hosts_are_listed_in_columns() {
    let (inventory, _) = example();
    let answer = list(&inventory.select(&Pattern::parse("!onode2").unwrap()).unwrap());
    let expected = "\
HOST    ADDRESS            USER    GROUPS
onode1  203.0.113.10:22    root    production oracle
gnode1  203.0.113.20:2222  deploy  production google
";
    assert_eq!(answer.text, expected);
    assert_eq!(answer.json["hosts"][1]["become"], "sudo");
}

#[test]
fn the_tree_is_ansibles() {
    let text = "[hosts]\nz={}\nw.groups=['web']\nd.groups=['db']\n[groups.live]\nchildren=['web','db']\n[groups.no]";
    let (inventory, _) = loaded(text, "[[play]]\nname='p'\nhosts='all'");
    let expected = "\
@all:
  |--@ungrouped:
  |  |--z
  |--@live:
  |  |--@web:
  |  |  |--w
  |  |--@db:
  |  |  |--d
  |--@no:
";
    let all: Vec<_> = inventory.hosts().iter().collect();
    assert_eq!(graph(&inventory, &all).text, expected);
    assert!(!graph(&inventory, &all[..2]).text.contains("--d\n"));
}

#[test]
fn a_host_gets_its_files() {
    let (inventory, playbook) = example();
    let answer = gets(&inventory, &playbook, known_host(&inventory, "onode1").unwrap()).unwrap();
    assert!(answer.text.starts_with("onode1 (root@203.0.113.10:22)\n\nplay callableapis, root /opt/callableapis\n"));
    let line =
        "  /opt/callableapis/secrets/all-secrets.env  0600  root:root  all-secrets: github-oidc aws cloudflare api\n";
    assert!(answer.text.ends_with(line), "{}", answer.text);
    assert_eq!(answer.json["plays"][0]["files"][1]["path"], "/opt/callableapis/secrets/aws.env");
    assert_eq!(known_host(&inventory, "onode3").unwrap_err().hints(), ["did you mean \"onode1\"?"]);
}

const SPLIT: &str = "[[play]]\nname='p'\nhosts='all'\nroot='/o'\nservice=[{name='aws', hosts='w'}, \
                     {name='tls.v2', format='raw'}, {name='every', include=['*', 'extra']}]";

#[track_caller]
fn case(secret: &str, expected: &str) {
    let (inventory, playbook) = loaded("[hosts]\nw={}\nd={}", SPLIT);
    let answer = who(&inventory, &playbook, &Pattern::all(), secret).unwrap();
    let paths: Vec<_> = answer.json["hosts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|told| format!("{}:{}", told["host"], told["path"]))
        .collect();
    assert_eq!(paths.join(" ").replace('"', ""), expected, "{secret}");
}

#[test]
fn who_gets_a_secret_counts_includes() {
    case("aws", "w:/o/secrets/aws.env w:/o/secrets/every.env");
    case("aws.SECRET_KEY", "w:/o/secrets/aws.env w:/o/secrets/every.env");
    case("tls.v2/key.pem", "w:/o/secrets/tls.v2 w:/o/secrets/every.env d:/o/secrets/tls.v2 d:/o/secrets/every.env");
    case("tls.v2", "w:/o/secrets/tls.v2 w:/o/secrets/every.env d:/o/secrets/tls.v2 d:/o/secrets/every.env");
    case("extra", "w:/o/secrets/every.env d:/o/secrets/every.env");
    let (inventory, playbook) = loaded("[hosts]\nw={}\nd={}", SPLIT);
    let error = who(&inventory, &playbook, &Pattern::all(), "awss.KEY").err().unwrap();
    assert_eq!(error.to_string(), "service `awss` is in no playbook");
    assert_eq!(error.hints(), ["did you mean \"aws\"?"]);
    let nobody = who(&inventory, &playbook, &Pattern::parse("d").unwrap(), "aws").unwrap();
    assert_eq!(nobody.text, "no host gets aws\n");
}

#[test]
fn check_tells_every_problem() {
    let (inventory, playbook) = example();
    assert!(problems(&inventory, &playbook).is_empty());
    let bad = "[[play]]\nname='p'\nhosts='w'\nroot='/o'\nservice=[{name='a', hosts='x'}, {name='b', hosts='d'}]\n\
               [[play]]\nname='q'\nhosts='y'";
    let (inventory, playbook) = loaded("[hosts]\nw={}\nd={}", bad);
    let told: Vec<_> = problems(&inventory, &playbook).iter().map(Error::to_string).collect();
    let expected = [
        "play \"p\": service \"a\": hosts: host pattern `x`: no host or group matches",
        "play \"p\": service \"b\": hosts: `d` and the play's `w` have no host in common",
        "play \"q\": hosts: host pattern `y`: no host or group matches",
    ];
    assert_eq!(told, expected);
    let (inventory, playbook) = loaded("[hosts]\nw={}\nd={}", "[[play]]\nname='p'\nhosts='all'");
    assert_eq!(problems(&inventory, &playbook).len(), 1);
}
