//! What a template sees, and what is said where it is wrong: never a value.

use super::*;
use crate::inventory::Inventory;
use crate::words::HostName;

const INVENTORY: &str =
    "[hosts]\nweb1 = { groups = ['web'], vars = { port = 8080, name = 'x \"y\"', on = true, all = ['a', 1] } }";

fn rendered(text: &str) -> Result<Rendering> {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("i.toml"), INVENTORY).unwrap();
    let inventory = Inventory::load(&dir.path().join("i.toml")).unwrap();
    let pair = |key: &str, value: &[u8]| (KeyName::new(key).unwrap(), Secret::new(value));
    let keys = vec![
        pair("PASSWORD", b"POISON p'w\"/1"),
        pair("EMPTY", b""),
        pair("BINARY", b"\xffPOISON"),
        pair("dash-ed", b"POISON2"),
    ];
    let files = [("cert.pem".parse().unwrap(), Secret::new(*b"POISON\nCERT\n"))].into();
    let given = [
        ("my-api".parse().unwrap(), Given { keys: keys.clone(), files }),
        ("api".parse().unwrap(), Given { keys, ..Given::default() }),
    ];
    let template =
        Template { path: "templates/app.conf.j2".to_owned(), file: "app.conf".parse().unwrap(), text: text.into() };
    Rendering::of(&template, &given.into(), inventory.host(&HostName::new("web1").unwrap()).unwrap())
}

#[track_caller]
fn makes(text: &str, expected: &str) {
    let made = rendered(text).unwrap_or_else(|error| panic!("{error} {:?}", error.hints()));
    assert_eq!(String::from_utf8_lossy(made.content.expose()), expected);
}

#[track_caller]
fn refused(text: &str, message: &str) -> Vec<String> {
    let error = rendered(text).expect_err(text);
    assert_eq!(error.to_string(), format!("templates/app.conf.j2{message}"));
    assert!(!format!("{error:?}").contains("POISON"), "{error:?}");
    error.hints().to_vec()
}

#[test]
fn secrets_and_vars_are_filled_in_as_they_are() {
    makes("p={{ secrets.api.PASSWORD }}\n\n", "p=POISON p'w\"/1\n\n");
    makes("{{ secrets[\"my-api\"][\"dash-ed\"] }}{{ files['my-api/cert.pem'] }}", "POISON2POISON\nCERT\n");
    makes(
        "{{ host }} {{ groups[0] }} {{ vars.port + 1 }} {{ vars.name }} {{ vars.on|json }}",
        "web1 web 8081 x \"y\" true",
    );
    makes("{% for key in secrets.api %}{{ key }} {% endfor %}", "BINARY EMPTY PASSWORD dash-ed ");
    makes("{% if secrets.api.EMPTY %}a{% else %}b{% endif %}{% if vars.port == 8080 %}c{% endif %}", "bc");
    makes("{% if secrets.api.NONE is defined %}a{% elif secrets.api.PASSWORD is defined %}b{% endif %}", "b");
    makes("{{ secrets.api.NONE|default('d') }}{{ '<&>' }}", "d<&>");
}

#[test]
fn filters_know_secrets() {
    makes("{{ secrets.api.PASSWORD|json }}", "\"POISON p'w\\\"/1\"");
    makes("{{ secrets.api.PASSWORD|shellquote }} {{ vars.name|shellquote }}", "'POISON p'\\''w\"/1' 'x \"y\"'");
    makes("{{ secrets.api.PASSWORD|urlencode }}", "POISON%20p%27w%22%2F1");
    makes("{{ secrets.api.BINARY|base64 }} {{ secrets.api.EMPTY|base64|json }}", "/1BPSVNPTg== \"\"");
    makes("{{ groups|tojson }} {{ vars.all|tojson }}", "[\"web\"] [\"a\", 1]");
}

#[test]
fn the_keys_that_are_used_are_told() {
    let made = rendered("{{ secrets.api.PASSWORD }}{{ secrets['my-api'].PASSWORD }}{{ secrets.api.EMPTY }}").unwrap();
    assert_eq!(made.used.iter().map(|(key, _)| key.as_str()).collect::<Vec<_>>(), ["PASSWORD", "EMPTY"]);
}

#[test]
fn what_is_missing_is_told_by_name_and_line() {
    let hints = refused("\n{{ secrets.api.PASWORD }}", ":2: `secrets.api.PASWORD` is not there");
    assert_eq!(hints, ["there are: BINARY, EMPTY, PASSWORD, dash-ed"]);
    refused("{{ secrets.db.PASSWORD }}", ":1: `secrets.db` is not there");
    refused("{{ secrets['no-db'].X }}", ":1: `secrets[\"no-db\"]` is not there");
    refused("a\nb\n{{ vars.nope }}", ":3: `vars.nope` is not there");
    refused("{{ nope }}", ":1: `nope` is not there");
    refused("{% if secrets.api.NONE %}{% endif %}", ":1: `secrets.api.NONE` is not there");
    refused("{{ files['api/x'] }}", ":1: `files[\"api/x\"]` is not there");
}

#[test]
fn what_would_go_wrong_in_silence_is_refused() {
    refused(
        "{% if secrets.api.PASSWORD == 'POISON' %}x{% endif %}",
        ": `secrets.api.PASSWORD` is looked up and not written",
    );
    refused("{{ 'a' if 'P' in [secrets.api.PASSWORD] }}", ": `secrets.api.PASSWORD` is looked up and not written");
    let hints = refused(
        "\n{{ secrets.api.BINARY }}",
        ":2: `secrets.api.BINARY` is not UTF-8, and cannot be in a template as it is",
    );
    assert!(hints[0].contains("{{ secrets.api.BINARY|base64 }}"), "{hints:?}");
    refused("{{ secrets.api.PASSWORD|length }}", ":1: invalid operation");
    refused("{{ secrets.api }}", ":1: what is written there is no value");
    refused("{% for a in range(5000) %}{{ 'x' * 5000 }}{% endfor %}", ": it makes more than 16 MiB");
    refused("{{ secrets.api.PASSWORD|nope }}", ":1: unknown filter");
    refused("{{ secrets.api.PASSWORD", ":1: syntax error");
    refused(
        "{% for a in range(9000) %}{% for b in range(9000) %}{{ b }}{% endfor %}{% endfor %}",
        ":1: it does not come to an end",
    );
    refused("{% include 'other' %}", ":1: syntax error");
}
