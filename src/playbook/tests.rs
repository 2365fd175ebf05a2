//! The playbook as a user writes it: what comes out, and what is said about mistakes.

use super::*;
use crate::words::Period;
use std::fs;
use std::os::unix::fs::PermissionsExt;

fn load_files(files: &[(&str, &str)]) -> Result<Playbook> {
    let dir = tempfile::tempdir().unwrap();
    for (name, text) in files {
        fs::write(dir.path().join(name), text).unwrap();
    }
    Playbook::load(dir.path())
}

const SAMPLE: &str = r#"
[[play]]
name  = "callableapis"
hosts = "production"
root  = "/opt/callableapis"
owner = "app"
keep  = 7

[[play.service]]
name   = "aws"
format = "docker"
hosts  = "all:!staging"
on_change = { compose = "/srv/api/compose.yml", recreate = ["api"] }
health = { http = "http://localhost:8080/api/v1/health", within = "30s" }

[[play.service]]
name = "tls"
format = "raw"
group = "ssl-cert"
mode = "640"

[[play.service]]
name    = "all-secrets"
include = ["*", "aws"]

[[play]]
name = "bare"
hosts = "all"

[[rotate]]
secrets  = ["postgres.POSTGRES_PASSWORD", "api.SESSION_*"]
every    = "90d"
generate = "password:40"
scope    = "fleet"
steps    = { set = ["rotators/postgres", "set"], test = ["rotators/postgres", "test"], revoke = ["true"] }
overlap  = "24h"

[rollout]
serial   = ["1", "25%", "100%"]
max_fail = "10%"
pause    = "30s"
"#;

#[track_caller]
fn notifications(text: &str) -> Result<Vec<Notification>> {
    let play = "[[play]]\nname = 'p'\nhosts = 'all'\n";
    load_files(&[("a.toml", &format!("{play}{text}"))]).map(|playbook| playbook.notifications)
}

#[test]
fn who_is_told_is_read_in_order() {
    let text = "\
        [[notify]]\nwebhook = 'https://ops.example.com/hook'\nsign = 'ops.KEY'\non = ['rotate', 'audit']\nwhen = 'failure'\n\
        [[notify]]\nhealthchecks = { secret = 'ops.PING' }\n\
        [[notify]]\nsendmail = 'ops@example.com'\n";
    let [hook, ping, mail] = &notifications(text).unwrap()[..] else { panic!("three") };
    let url = Address::Plain("https://ops.example.com/hook".to_owned());
    assert_eq!(hook.channel, Channel::Webhook { url, sign: Some("ops.KEY".to_owned()) });
    assert_eq!((&hook.on[..], hook.when), (&["rotate", "audit"][..], When::Failure));
    assert_eq!(ping.channel, Channel::Healthchecks { url: Address::Secret("ops.PING".to_owned()) });
    assert_eq!((&ping.on[..], ping.when), (&["rotate"][..], When::Change));
    let (to, program) = ("ops@example.com".to_owned(), "/usr/sbin/sendmail".to_owned());
    assert_eq!(mail.channel, Channel::Sendmail { to, from: None, program });
    assert!(mail.place.ends_with("a.toml:11"), "{}", mail.place);
}

#[test]
fn a_notification_that_says_nothing_clear_is_refused() {
    for (text, expected) in [
        ("when = 'always'", "not exactly one way to tell somebody"),
        ("webhook = 'https://POISON'\nsendmail = 'a@b'", "not exactly one way to tell somebody"),
        ("webhok = 'https://POISON'", "did you mean \"webhook\"?"),
        ("webhook = 'https://POISON'\nsing = 'a.B'", "did you mean \"sign\"?"),
        ("webhook = 1", "must be a string"),
        ("webhook = { secert = 'a.B' }", "did you mean \"secret\"?"),
        ("webhook = {}", "\"secret\" is missing"),
        ("webhook = 'https://POISON'\non = []", "it is empty"),
        ("webhook = 'https://POISON'\non = ['rotat']", "did you mean `rotate`?"),
        ("webhook = 'https://POISON'\nwhen = 'allways'", "did you mean `always`?"),
        ("healthchecks = 'https://POISON'\nwhen = 'always'", "unknown key \"when\""),
        ("sendmail = '-t'", "is not a mail address"),
        ("sendmail = 'a@b, c@d'", "one address alone"),
        ("sendmail = \"a@b\\nBcc: c\"", "is not a mail address"),
        ("sendmail = 'a@b'\nfrom = \"a\\rb\"", "is not a mail address"),
        ("sendmail = 'a@b'\nprogram = 'sendmail'", "not an absolute path"),
    ] {
        let error = notifications(&format!("[[notify]]\n{text}\n")).unwrap_err();
        let whole = format!("{error} {}", error.hints().join(" "));
        assert!(whole.contains("a.toml:") && whole.contains(expected), "{text}: {whole}");
        assert!(!whole.contains("POISON"), "{whole}");
    }
    assert!(notifications("[notify]\nwebhook = 'https://x'\n").unwrap_err().message().contains("[[notify]]"));
}

#[test]
fn a_playbook_is_read_in_order() {
    let playbook = load_files(&[("a.toml", SAMPLE)]).unwrap();
    let [play, bare] = &playbook.plays[..] else { panic!("two plays") };
    assert_eq!((play.name.as_str(), play.hosts.to_string().as_str(), play.keep), ("callableapis", "production", 7));
    let names: Vec<_> = play.services.iter().map(Service::entry).collect();
    assert_eq!(names, ["aws.env", "tls", "all-secrets.env"]);
    let [aws, tls, all] = &play.services[..] else { panic!("three services") };
    assert_eq!(aws.hosts.as_ref().unwrap().to_string(), "all:!staging");
    let recreate = vec!["api".to_owned()];
    assert_eq!(aws.on_change, Some(Action::Compose { file: "/srv/api/compose.yml".to_owned(), recreate }));
    assert_eq!(aws.health.as_ref().unwrap().within, Period::from_secs(30));
    assert_eq!(aws.access, play.access);
    assert_eq!((tls.format, tls.access.owner.as_str(), tls.access.group.as_str()), (Format::Raw, "app", "ssl-cert"));
    assert_eq!((tls.access.mode, tls.access.directory_mode), (Mode::new(0o640), Mode::new(0o700)));
    assert_eq!(all.include.len(), 2);
    assert_eq!((bare.keep, &bare.access, bare.root.is_none()), (5, &Access::default(), true));
    assert_eq!(bare.access.mode, Mode::new(0o600));
}

#[test]
fn files_are_read_together_and_names_are_unique() {
    let play = |name: &str| format!("[[play]]\nname='{name}'\nhosts='all'\n");
    let both =
        load_files(&[("b.toml", &play("b")), ("a.toml", &play("a")), ("later.toml", "[rollout]\nserial = ['2']")])
            .unwrap();
    let names: Vec<_> = both.plays.iter().map(|play| play.name.as_str()).collect();
    assert_eq!((names, &both.rollout.serial[..]), (vec!["a", "b"], &[Share::Hosts(2)][..]));
    let twice = [("a.toml", &*play("a")), ("b.toml", "[rollout]"), ("c.toml", "[rollout]")];
    let error = load_files(&twice).unwrap_err().to_string();
    assert!(error.contains("c.toml:1: [rollout] is already in") && error.contains("b.toml:1"), "{error}");
    let error = load_files(&[("a.toml", &play("a")), ("b.toml", &play("a"))]).unwrap_err().to_string();
    assert!(error.contains("b.toml:1: play \"a\" is already in") && error.contains("a.toml:1"), "{error}");
    assert!(load_files(&[("a.toml", "")]).unwrap_err().to_string().contains("there is no play"));
    assert!(load_files(&[("a.yml", "")]).unwrap_err().to_string().contains("only .toml files are read"));
}

#[test]
fn what_anybody_may_write_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("a.toml");
    fs::write(&file, SAMPLE).unwrap();
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    assert!(Playbook::load(&file).unwrap_err().hints()[0].starts_with("chmod o-w "));
}

#[track_caller]
fn refused(text: &str, message: &str, hint: &str) {
    let error = load_files(&[("a.toml", text)]).expect_err("it was read");
    assert!(error.to_string().contains(message), "{error} lacks {message:?}");
    assert!(error.hints().join(" ").contains(hint), "{:?} lacks {hint:?}", error.hints());
}

#[test]
fn a_bad_play_is_refused() {
    let play = |line: &str, message: &str, hint: &str| {
        refused(&format!("[[play]]\nname = 'p'\nhosts = 'all'\n{line}"), message, hint);
    };
    refused("[[plays]]", "a.toml:1: unknown key \"plays\"", "did you mean \"play\"?");
    refused("rotate = 1", "\"rotate\" must be an array", "");
    refused("[play]\nname='p'", "\"play\" must be an array of tables, written [[play]], not a table", "");
    refused("[[play]]\nhosts='all'", "a.toml:1: play: \"name\" is missing", "");
    refused("[[play]]\nname='p'", "a.toml:1: play \"p\": \"hosts\" is missing", "");
    refused("[[play]]\nname='a b'\nhosts='all'", "is not a play name", "");
    refused("[[play]]\nname='p'\nhosts='a b'", "a.toml:3: play \"p\": hosts: host pattern `a b`", "");
    refused("[[play]]\nname='p'\nhosts=['a']", "\"hosts\" must be a string", "");
    play("ownr = 'x'", "a.toml:4: play \"p\": unknown key \"ownr\"", "did you mean \"owner\"?");
    play("root = 'opt'", "play \"p\": root: `opt` is not a path", "");
    play("owner = 'a b'", "owner: ", "");
    play("keep = 0", "keep: 0 does not lie between 1 and 1000", "");
    play("keep = 1001", "keep: 1001", "");
    play("keep = '5'", "\"keep\" must be an integer", "");
    play("mode = 600", "\"mode\" must be a string, so that it is read as octal", "\"640\"");
    play("mode = '666'", "mode: 0666 lets everybody on the host write", "");
    play("mode = 'rw'", "mode: `rw` is not a mode", "octal");
    play("directory_mode = '777'", "directory_mode: 0777 lets everybody", "");
    play("service = []\nformat = 'raw'", "unknown key \"format\"", "");
}

#[test]
fn a_bad_service_is_refused() {
    let service = |lines: &str, message: &str, hint: &str| {
        let text = format!("[[play]]\nname='p'\nhosts='all'\n[[play.service]]\nname='s'\n{lines}");
        refused(&text, message, hint);
    };
    refused("[[play]]\nname='p'\nhosts='a'\n[[play.service]]", "play \"p\": service: \"name\" is missing", "");
    service("hots = 'a'", "a.toml:6: play \"p\": service \"s\": unknown key \"hots\"", "\"hosts\"?");
    service("directory_mode = '700'", "unknown key \"directory_mode\"", "");
    service("hosts = '!'", "service \"s\": hosts: host pattern `!`", "");
    service("mode = '602'", "lets everybody on the host write", "");
    service("namespace = 'live'", "\"namespace\" belongs to format `kubernetes`", "");
    service("template = 'x.j2'", "\"template\" belongs to format `template`", "");
    service("format = 'template'", "\"template\" is missing", "");
    service("format = 'template'\ntemplate = 'none.j2'", "template: reading the template none.j2: No such file", "");
    service(
        "format = 'kubernetes'\nnamespace = 'Live'",
        "`Live` cannot be the name of a Kubernetes namespace",
        "small letters",
    );
    service(
        "format = 'kubernetes'\n[[play.service]]\nname = 'a_b'\nformat = 'kubernetes'",
        "`a_b` cannot be the name",
        "letters, digits",
    );
    service("require = ['A.B']", "require: `A.B` is not a key name", "a key starts with");
    service(
        "[[play.service]]\nname = 's.json'\nformat = 'files'\n[[play.service]]\nname = 's'\nformat = 'json'",
        "a second time",
        "",
    );
    service(
        "[[play.service]]\nname = 't.json'\nformat = 'files'\n[[play.service]]\nname = 't'\nformat = 'json'",
        "it would be secrets/t.json on a host",
        "",
    );
    service("format = 'dokcer'", "format `dokcer` is not known", "did you mean \"docker\"?");
    service("format = 'raw'\ninclude = ['*']", "format `raw` cannot include", "");
    service("include = []", "\"include\" is empty", "");
    service("include = ['a/b']", "include: `a/b` is not", "");
    service("include = '*'", "\"include\" must be an array of strings", "");
    service("on_change = { systmd = ['a'] }", "service \"s\": on_change: unknown key \"systmd\"", "\"systemd\"?");
    service("on_change = ['a']", "\"on_change\" must be a table", "");
    service("health = {}", "service \"s\": health: one of http, command is needed", "");
    service("[[play.service]]\nname = 's'", "service \"s\": this service is in the play a second time", "");
    service("[[play.service]]\nname = 's.env'\nformat = 'raw'", "it would be secrets/s.env on a host", "");
}

#[test]
fn a_template_is_read_beside_its_playbook() {
    let dir = tempfile::tempdir().unwrap();
    let playbooks = dir.path().join("playbooks");
    fs::create_dir_all(playbooks.join("templates")).unwrap();
    fs::write(dir.path().join("outside.j2"), "out").unwrap();
    fs::write(playbooks.join("templates/app.conf.j2"), "x = {{ host }}\n").unwrap();
    std::os::unix::fs::symlink("../../outside.j2", playbooks.join("templates/link.j2")).unwrap();
    fs::write(playbooks.join("templates/large.j2"), vec![b'x'; 1024 * 1024 + 1]).unwrap();
    fs::write(playbooks.join("templates/latin.j2"), b"\xff").unwrap();
    let load = |path: &str| {
        let play =
            "[[play]]\nname='p'\nhosts='all'\n[[play.service]]\nname='conf'\nformat='template'\nrequire=['A','B']";
        fs::write(playbooks.join("a.toml"), format!("{play}\ntemplate='{path}'")).unwrap();
        Playbook::load(&playbooks).map(|playbook| playbook.plays[0].services[0].clone())
    };
    let service = load("templates/app.conf.j2").unwrap();
    let template = service.template.as_ref().unwrap();
    assert_eq!((template.file.as_str(), &*template.text), ("app.conf", "x = {{ host }}\n"));
    assert_eq!((service.entry().as_str(), service.require.len()), ("conf", 2));
    let outside = dir.path().join("outside.j2");
    std::os::unix::fs::symlink(".", playbooks.join("templates/linked")).unwrap();
    for name in ["vault-password", "vault-password.j2", "vault-identity.age", "secrets.age", "a.AGE.j2"] {
        fs::write(playbooks.join("templates").join(name), "POISON").unwrap();
    }
    fs::write(playbooks.join("templates/age.j2"), "a\nAGE-SECRET-KEY-1POISON\n").unwrap();
    fs::write(playbooks.join("templates/pem.j2"), "-----BEGIN RSA PRIVATE KEY-----\nPOISON\n").unwrap();
    nix::unistd::mkfifo(&playbooks.join("templates/fifo.j2"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    for (path, why) in [
        ("../outside.j2", "does not lie below the playbook's directory"),
        ("templates/../templates/app.conf.j2", "does not lie below the playbook's directory"),
        (outside.to_str().unwrap(), "does not lie below the playbook's directory"),
        ("/etc/hostname", "does not lie below the playbook's directory"),
        ("templates/link.j2", "symbolic link on the way"),
        ("templates/linked/app.conf.j2", "symbolic link on the way"),
        ("templates/vault-password", "is no template by its name"),
        ("templates/vault-password.j2", "is no template by its name"),
        ("templates/vault-identity.age", "is no template by its name"),
        ("templates/secrets.age", "is no template by its name"),
        ("./templates/a.AGE.j2", "is no template by its name"),
        ("templates/age.j2", "it holds a private key"),
        ("templates/pem.j2", "it holds a private key"),
        ("templates/fifo.j2", "not a plain file"),
        ("templates/large.j2", "larger than 1 MiB"),
        ("templates/latin.j2", "not UTF-8"),
        ("templates/none.j2", "No such file"),
        ("templates", "not a plain file"),
        ("templates/.j2", "is not a file name"),
    ] {
        let error = load(path).unwrap_err().to_string();
        assert!(error.contains("a.toml:8: ") && error.contains(why), "{path}: {error}");
        assert!(!error.contains("POISON"), "{path}: {error}");
    }
    fs::set_permissions(playbooks.join("templates/app.conf.j2"), fs::Permissions::from_mode(0o666)).unwrap();
    assert!(load("templates/app.conf.j2").unwrap_err().to_string().contains("anybody on this machine"));
}

#[test]
fn wider_than_600_is_fine_when_written_out() {
    let text = "[[play]]\nname='p'\nhosts='all'\nmode='0644'\ndirectory_mode='755'";
    let playbook = load_files(&[("a.toml", text)]).unwrap();
    assert_eq!(playbook.plays[0].access.mode, Mode::new(0o644));
    assert_eq!(playbook.plays[0].access.directory_mode, Mode::new(0o755));
}

#[test]
fn a_policy_says_how_secrets_are_rotated() {
    let playbook = load_files(&[("a.toml", SAMPLE)]).unwrap();
    let [policy] = &playbook.rotations[..] else { panic!("one policy") };
    let secrets: Vec<String> = policy.secrets.iter().map(ToString::to_string).collect();
    assert_eq!(secrets, ["postgres.POSTGRES_PASSWORD", "api.SESSION_*"]);
    assert_eq!((policy.maker().as_str(), policy.scope), ("password:40", ValueScope::Fleet));
    assert_eq!((policy.every, policy.overlap), ("90d".parse().ok(), Period::from_secs(86_400)));
    assert_eq!(policy.timeout, Period::from_secs(60));
    let steps: Vec<&str> = policy.steps.all().map(|(name, _)| name).collect();
    assert_eq!((steps, policy.accepts_both()), (vec!["set", "test", "revoke"], true));
    let share = |text: &str| text.parse::<Share>().unwrap();
    let serial = vec![share("1"), share("25%"), share("100%")];
    assert_eq!(playbook.rollout, Rollout { serial, max_fail: share("10%"), pause: Period::from_secs(30) });
}

#[test]
fn a_bad_policy_is_refused() {
    let policy = |lines: &str, message: &str, hint: &str| {
        refused(&format!("[[rotate]]\nsecrets = ['a.K']\ngenerate = 'hex:16'\n{lines}"), message, hint);
    };
    refused("[rotate]\nsecrets = ['a.K']", "\"rotate\" must be an array of tables", "");
    refused("[[rotate]]\ngenerate = 'uuid'", "a.toml:1: rotate: \"secrets\" is missing", "");
    refused("[[rotate]]\nsecrets = []\ngenerate = 'uuid'", "\"secrets\" is empty", "");
    refused("[[rotate]]\nsecrets = ['a']\ngenerate = 'uuid'", "`a` does not name secrets", "SERVICE.KEY");
    refused("[[rotate]]\nsecrets = ['a.K']", "\"generate\" is missing", "");
    refused("[[rotate]]\nsecrets = ['a.K']\ngenerate = 'passwrd:9'", "`passwrd:9` is not a generator", "password:N");
    refused("[[rotate]]\nsecrets = ['a.K']\ngenerate = 'command'", "belong together", "generate = [");
    policy("evry = '90d'", "unknown key \"evry\"", "did you mean \"every\"?");
    policy("every = '90'", "every: `90` is not a period", "90d");
    policy("every = '0d'", "due at once", "by name only");
    policy("scope = 'hosts'", "scope: `hosts` is not a scope", "did you mean `host`?");
    policy("steps = { generate = ['x'] }", "belong together", "");
    policy("steps = { rewoke = ['x'] }", "unknown key \"rewoke\"", "did you mean \"revoke\"?");
    policy("steps = { set = [] }", "\"set\" names no program", "");
    policy("steps = { set = 'x' }", "\"set\" must be an array of strings", "");
    policy("overlap = '1h'", "there is no step `revoke`", "");
    policy("public = 'a.P'", "only key pairs have a public half", "ed25519");
    policy("timeout = '0s'", "timeout does not lie between 1s and 1h", "");
    policy("timeout = '2h'", "timeout does not lie between 1s and 1h", "");
    for (lines, message) in [
        ("seral = ['1']", "unknown key \"seral\""),
        ("serial = ['0']", "a batch of no hosts"),
        ("serial = []", "serial: it is empty"),
        ("serial = ['x']", "`x` is neither a number of hosts nor a percentage"),
        ("serial = [1]", "\"serial\" must be an array of strings"),
        ("max_fail = '101%'", "max_fail: `101%` is neither"),
        ("pause = '1'", "pause: `1` is not a period"),
    ] {
        refused(&format!("[rollout]\n{lines}"), message, "");
    }
}
