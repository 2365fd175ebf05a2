//! What each format puts on a host, and what is refused before anything is connected.

use super::*;
use crate::bundle::SecretName;
use crate::inventory::Inventory;
use crate::plan::entitlement::entitlements;
use crate::playbook::Playbook;
use chrono::DateTime;

const INVENTORY: &str = "[hosts]\nweb1.groups=['web']\n";
const SECRETS: [(&str, &[u8]); 7] = [
    ("api.PLAIN", b"abc"),
    ("api.PASSWORD", b"POISON it's \"x\""),
    ("api/notes.txt", b"plain file\n"),
    ("db.PASSWORD_DB", b"POISON two\nlines"),
    ("odd.UID", b"1"),
    ("bytes.RAW", b"\xffPOISON"),
    ("tls/key.pem", b"POISON key\n"),
];

fn files(services: &str) -> Result<Vec<DesiredFile>> {
    let dir = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        std::fs::write(dir.path().join(name), text).unwrap();
        dir.path().join(name)
    };
    file("app.conf.j2", "p={{ secrets.api.PASSWORD|json }} {{ host }}\n");
    file("wrong.j2", "a\n{{ secrets.tls.KEY }}\n");
    let play = format!("[[play]]\nname='p'\nhosts='all'\nroot='/o'\nservice=[{services}]");
    let playbook = Playbook::load(&file("p.toml", &play))?;
    let inventory = Inventory::load(&file("i.toml", INVENTORY)).unwrap();
    let time = DateTime::from_timestamp(0, 0).unwrap();
    let mut bundle = Bundle::create(Vec::new(), time, &mut |bytes| bytes.fill(1)).unwrap();
    for (secret, value) in SECRETS {
        bundle.set(&secret.parse().unwrap(), Secret::new(value), time);
    }
    let own: SecretName = "api.PLAIN".parse().unwrap();
    bundle.set(&own.within(crate::bundle::Scope::Host("web1".parse().unwrap())), Secret::new(*b"own"), time);
    let host = &inventory.hosts()[0];
    let contents = Contents { bundle: &bundle, host };
    let mut all = Vec::new();
    for entitled in &entitlements(&inventory, &playbook, host)?[0].services {
        all.extend(contents.files(entitled)?);
    }
    Ok(all)
}

#[track_caller]
fn puts(services: &str, expected: &[(&str, &str)]) -> Vec<DesiredFile> {
    let files = files(services).unwrap_or_else(|error| panic!("{error} {:?}", error.hints()));
    let shown: Vec<_> =
        files.iter().map(|file| (&*file.path, String::from_utf8_lossy(file.content.expose()).into_owned())).collect();
    let expected: Vec<_> = expected.iter().map(|(path, content)| (*path, (*content).to_owned())).collect();
    assert_eq!(shown, expected);
    files
}

#[track_caller]
fn refused(services: &str, message: &str, hint: &str) {
    let error = files(services).unwrap_err();
    assert!(error.to_string().ends_with(message), "{error}");
    assert!(hint.is_empty() || error.hints().iter().any(|told| told.contains(hint)), "{:?}", error.hints());
    assert!(!format!("{error:?}").contains("POISON"), "{error:?}");
}

#[test]
fn each_format_has_its_file() {
    puts("{name='api'}", &[("api.env", "PLAIN=own\nPASSWORD=POISON it's \"x\"\n")]);
    puts(
        "{name='api', format='compose'}",
        &[("api.env", "# distribute: compose\nPLAIN=own\nPASSWORD=\"POISON it's \\\"x\\\"\"\n")],
    );
    puts("{name='db', format='systemd'}", &[("db.env", "# distribute: systemd\nPASSWORD_DB=\"POISON two\nlines\"\n")]);
    puts("{name='db', format='shell'}", &[("db.env", "# distribute: shell\nPASSWORD_DB='POISON two\nlines'\n")]);
    puts("{name='db', format='json'}", &[("db.json", "{\n  \"PASSWORD_DB\": \"POISON two\\nlines\"\n}\n")]);
    let secret = "apiVersion: v1\nkind: Secret\nmetadata:\n  name: \"bytes\"\n  namespace: \"live\"\ntype: Opaque\ndata:\n  \
                  \"RAW\": \"/1BPSVNPTg==\"\n";
    puts("{name='bytes', format='kubernetes', namespace='live'}", &[("bytes.yaml", secret)]);
    puts("{name='tls', format='files'}", &[("tls/key.pem", "POISON key\n")]);
    puts(
        "{name='api', format='raw'}",
        &[("api/api.env", "PLAIN=own\nPASSWORD=POISON it's \"x\"\n"), ("api/notes.txt", "plain file\n")],
    );
}

#[test]
fn a_file_a_key_knows_where_its_value_is_from() {
    let files = puts(
        "{name='api', format='files'}",
        &[("api/PLAIN", "own"), ("api/PASSWORD", "POISON it's \"x\""), ("api/notes.txt", "plain file\n")],
    );
    let told = |file: &DesiredFile| (file.keys.len(), file.values.len(), file.origin.overrides.len(), file.format);
    assert_eq!(
        files.iter().map(told).collect::<Vec<_>>(),
        [(1, 1, 1, Format::Files), (1, 1, 0, Format::Files), (0, 0, 0, Format::Files)]
    );
}

#[test]
fn every_format_but_raw_includes() {
    let all = |format: &str| format!("{{name='all', format='{format}', include=['api', 'odd']}}");
    puts(&all("docker"), &[("all.env", "PLAIN=own\nPASSWORD=POISON it's \"x\"\nUID=1\n")]);
    puts(&all("files"), &[("all/PLAIN", "own"), ("all/PASSWORD", "POISON it's \"x\""), ("all/UID", "1")]);
    assert!(files(&all("json")).is_ok() && files(&all("kubernetes")).is_ok() && files(&all("systemd")).is_ok());
    refused(&all("raw"), "format `raw` cannot include other services", "");
    refused(
        &all("shell"),
        "service `odd`, key `UID`: its name is one that shells keep for themselves, which the shell format cannot hold",
        "",
    );
}

#[test]
fn what_a_format_cannot_hold_names_service_key_and_way_out() {
    let newline = "service `db`, key `PASSWORD_DB`: the value holds a newline, which the docker format cannot hold";
    refused("{name='db'}", newline, "compose, systemd, shell, json, kubernetes, files");
    refused("{name='db'}", newline, "distribute bundle set db/FILE");
    let bytes =
        "service `bytes`, key `RAW`: the value holds bytes that are not UTF-8, which the json format cannot hold";
    refused("{name='bytes', format='json'}", bytes, "shell, kubernetes, files");
    refused("{name='tls', format='json'}", "so the json format cannot hold it", "format = \"raw\"");
}

#[test]
fn a_host_that_lacks_a_required_key_is_refused() {
    assert!(files("{name='api', require=['PLAIN', 'PASSWORD']}").is_ok());
    let lacks = "service `api` requires the key `NONE`, which host \"web1\" lacks";
    refused("{name='api', require=['PLAIN', 'NONE']}", lacks, "distribute bundle set api.NONE");
    refused("{name='tls', format='raw', require=['K']}", "requires the key `K`, which host \"web1\" lacks", "tls.K");
    assert!(files("{name='all', include=['api', 'odd'], require=['UID']}").is_ok());
}

#[test]
fn a_template_uses_the_services_of_the_host() {
    let made = "p=\"POISON it's \\\"x\\\"\" web1\n";
    let template = "{name='conf', format='template', template='app.conf.j2'}";
    let files = puts(
        &format!("{{name='api', format='json'}}, {template}"),
        &[
            ("api.json", "{\n  \"PLAIN\": \"own\",\n  \"PASSWORD\": \"POISON it's \\\"x\\\"\"\n}\n"),
            ("conf/app.conf", made),
        ],
    );
    let keys: Vec<_> = files[1].keys.iter().map(|(key, _)| key.as_str()).collect();
    assert_eq!(
        (keys, files[1].values.len()),
        (vec!["PASSWORD"], 4),
        "the key it used; all that it was given, and the JSON of it"
    );
    // Of its own name, or of a service that the play does not have.
    let own = template.replace("'conf'", "'api'").replace("j2'", "j2', include=['api']");
    puts(&own, &[("api/app.conf", made)]);
    puts(&template.replace("j2'", "j2', include=['api']"), &[("conf/app.conf", made)]);
    refused(
        &format!("{{name='odd'}}, {template}"),
        "service `conf`: app.conf.j2:1: `secrets.api` is not there",
        "there are: odd",
    );
    let wrong = "{name='conf', format='template', template='wrong.j2', include=['tls']}";
    refused(wrong, "service `conf`: wrong.j2:2: `secrets.tls.KEY` is not there", "");
}
