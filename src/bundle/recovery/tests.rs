//! A bundle is made, hosts get of it what plays would give them, and it is made again from that.

use super::*;
use crate::bundle::fixture::{at, name, packed};
use crate::bundle::{Origin, Scope};
use crate::words::GroupName;

const HOSTS: [(&str, &[&str]); 3] = [("web1", &["web"]), ("web2", &["web"]), ("db1", &["db"])];

fn host(name: &str) -> HostName {
    name.parse().unwrap()
}

fn groups(of: &str) -> Vec<GroupName> {
    let (_, groups) = HOSTS.iter().find(|(host, _)| *host == of).unwrap();
    groups.iter().map(|group| group.parse().unwrap()).collect()
}

fn run(generation: u64) -> RunId {
    RunId::new(generation, at(1_800_000_000 + generation as i64), 7)
}

fn file(path: &str, service: &str, origin: &Origin, content: Secret) -> RemainingFile {
    RemainingFile {
        written: Written::AsStored,
        path: path.to_owned(),
        service: Some(service.parse().unwrap()),
        from: origin.documents.iter().map(ToString::to_string).collect(),
        overrides: origin.overrides.iter().map(|(key, scope)| (key.to_string(), scope.to_string())).collect(),
        is_edited: false,
        content,
    }
}

/// A backup of everything that this host gets of these services.
fn pushed(bundle: &Bundle, of: &str, generation: u64, services: &[&str]) -> Remains {
    let (host, groups) = (host(of), groups(of));
    let mut files = Vec::new();
    for service in services {
        let name: ServiceName = service.parse().unwrap();
        let Some(content) = bundle.content(&name, &host, &groups) else { continue };
        if let Some(env) = content.env {
            let origin = bundle.origin_of_env(&name, &host, &groups);
            files.push(file(&format!("{service}.env"), service, &origin, env.to_secret()));
        }
        for (plain, content) in content.files {
            let origin = bundle.origin_of_file(&name, &plain, &host, &groups);
            files.push(file(&format!("{service}/{plain}"), service, &origin, content));
        }
    }
    Remains {
        made: run(generation),
        run: run(generation),
        is_pushed: true,
        keepsake: Keepsake::read(&bundle.keepsake(&host).unwrap()).unwrap(),
        vault_password: bundle.host_identity(&host).unwrap_or_else(super::super::new_identity),
        files,
        backup_key: None,
        host,
    }
}

fn everywhere(bundle: &Bundle, services: &[&str]) -> Vec<Remains> {
    HOSTS.iter().map(|(host, _)| pushed(bundle, host, 5, services)).collect()
}

fn known() -> Circumstances {
    let host_keys = HOSTS.iter().map(|(name, _)| (host(name), format!("ssh-ed25519 {name}"))).collect();
    Circumstances { now: at(9), host_keys, seen: Vec::new(), unread: Vec::new() }
}

fn recover(remains: &[Remains]) -> Recovery {
    Recovery::of(remains, &known(), &mut |bytes| bytes.fill(9)).unwrap()
}

fn bundle() -> Bundle {
    let id =
        "id = \"0011\"\ngeneration = 5\n[secrets.\"aws.KEY\"]\nnote = \"kept\"\nrotated = \"2026-11-21T02:00:00Z\"\n";
    packed(&[
        ("bundle.toml", id),
        ("services/aws.env", "# who\nID=common\n\n# what\nKEY=common\nZONE=z\n"),
        ("groups/web/aws.env", "# lost\nKEY=web\nWEB=1\nABOVE=2\n"),
        ("hosts/web2/aws.env", "ID=web2\nABOVE=3\n"),
        ("services/tls/cert.pem", "\0binary\n"),
        ("groups/db/tls/cert.pem", "db"),
        ("services/tls.env", "A=1\n#: escaped\nMULTI=a\\nb\n"),
        ("services/empty.env", "# nothing yet\n"),
        ("groups/web/only.env", "# for web\nX=1\n\nY=2\n"),
        ("hosts/web2/only.env", "Y=3\nZ=4\n"),
    ])
}

#[test]
fn hosts_get_from_the_new_bundle_what_they_had() {
    let before = bundle();
    let services = ["aws", "tls", "empty", "only"];
    let recovery = recover(&everywhere(&before, &services));
    let after = &recovery.bundle;
    assert_eq!(recovery.missing, []);
    assert_eq!(after.secrets(), before.secrets());
    for name in before.secrets() {
        assert_eq!(after.value(&name), before.value(&name), "{name}");
    }
    for (host, _) in HOSTS {
        for service in services.map(|service| service.parse().unwrap()) {
            let content = |bundle: &Bundle| {
                let content = bundle.content(&service, &host.parse().unwrap(), &groups(host))?;
                Some((content.env.map(|env| env.to_secret()), content.files))
            };
            assert!(content(after) == content(&before), "{service} of {host}, comments and order too");
        }
    }
    assert_eq!(after.fingerprint(b"x"), before.fingerprint(b"x"));
    assert_eq!((after.id(), after.generation()), ("0011", 5));
    let enrolment = after.enrolment(&host("web1")).unwrap();
    assert_eq!((&enrolment.host_keys[0][..], enrolment.enrolled), ("ssh-ed25519 web1", Some(at(9))));
    assert_eq!(after.metadata(&name("aws.KEY")).unwrap().note.as_deref(), Some("kept"));
    assert_eq!(
        (recovery.notes.len(), recovery.lagging.len()),
        (1, 0),
        "only the key of the backups: {:?}",
        recovery.notes
    );
}

#[test]
fn what_no_host_had_is_missing_and_why() {
    let mut before = bundle();
    before.set(&name("nowhere.KEY"), Secret::new("x"), at(1));
    before.set(&name("hosts/far/aws.KEY"), Secret::new("x"), at(1));
    let mut remains = everywhere(&before, &["aws"]);
    remains.pop();
    let unread = vec![(host("far"), "connect: no answer".to_owned())];
    let recovery = Recovery::of(&remains, &Circumstances { unread, ..known() }, &mut |_| ()).unwrap();
    let why = |name: &str| &*recovery.missing.iter().find(|missing| missing.secret == name).unwrap().why;
    assert_eq!(why("nowhere.KEY"), "on no host that was read; far could not be");
    assert_eq!(why("hosts/far/aws.KEY"), "its host was not read: connect: no answer");
    assert_eq!(why("aws.KEY"), "overridden on every host that was read; far could not be");
    assert!(recovery.missing.iter().all(|missing| missing.secret != "aws.ZONE"));
    assert_eq!(recovery.bundle.value(&name("groups/web/aws.KEY")), Some(&Secret::new("web")));
    let kept = recovery.bundle.metadata(&name("aws.KEY")).unwrap();
    assert_eq!((kept.note.as_deref(), kept.rotated), (Some("kept"), None), "a new value will be new");
}

#[test]
fn the_newest_push_wins_and_a_removed_key_stays_gone() {
    let before = bundle();
    let old = pushed(&before, "web1", 5, &["aws"]);
    let mut after = before.clone();
    after.set(&name("aws.ZONE"), Secret::new("new"), at(2));
    after.set(&name("aws.LAST"), Secret::new("l"), at(2));
    after.remove(&name("aws.ID"), at(2));
    let new = pushed(&after, "db1", 6, &["aws"]);
    // Read back later from a host that still had the old set.
    let read_back = Remains { made: run(7), is_pushed: false, ..pushed(&after, "db1", 5, &[]) };
    let mut stale = pushed(&before, "web2", 5, &["aws"]);
    (stale.made, stale.keepsake) = (run(7), read_back.keepsake.clone());
    for remains in [[old.clone(), new.clone(), stale.clone()], [stale, new, old]] {
        let recovery = recover(&remains);
        let value = |text: &str| recovery.bundle.value(&name(text)).map(|value| value.expose().to_vec());
        assert_eq!(value("aws.ZONE"), Some(b"new".to_vec()));
        assert_eq!((value("aws.LAST"), value("aws.ID")), (Some(b"l".to_vec()), None));
        assert_eq!(recovery.bundle.generation(), 7);
        let lagging: Vec<&str> = recovery.lagging.iter().map(HostName::as_str).collect();
        assert_eq!(lagging, ["web1", "web2"]);
    }
}

#[test]
fn an_edited_file_is_taken_only_where_there_is_no_other() {
    let before = bundle();
    let mut edited = Remains { is_pushed: false, made: run(8), ..pushed(&before, "db1", 7, &["aws"]) };
    edited.files[0].is_edited = true;
    edited.files[0].content = Secret::new("ID=hand\nKEY=hand\nZONE=hand\nHAND=1\n");
    let good = pushed(&before, "web1", 5, &["aws"]);
    let recovery = recover(&[edited.clone(), good]);
    let value = |recovery: &Recovery, text: &str| recovery.bundle.value(&name(text)).map(|v| v.expose().to_vec());
    assert_eq!(value(&recovery, "aws.ID"), Some(b"common".to_vec()));
    assert_eq!(value(&recovery, "aws.HAND"), None);
    assert_eq!(value(&recovery, "aws.KEY"), Some(b"hand".to_vec()), "the others have their own");
    let recovery = recover(&[edited]);
    assert_eq!(value(&recovery, "aws.HAND"), Some(b"1".to_vec()));
    let told = "aws.env of db1 was changed by hand: its values are as found there";
    assert_eq!(recovery.notes.iter().filter(|note| *note == told).count(), 1, "{:?}", recovery.notes);
}

#[test]
fn values_that_are_only_in_a_file_made_of_others_come_back_too() {
    let before = bundle();
    let mut union = pushed(&before, "db1", 5, &[]);
    let aws = before.origin_of_env(&"aws".parse().unwrap(), &host("db1"), &groups("db1"));
    let tls = before.origin_of_env(&"tls".parse().unwrap(), &host("db1"), &groups("db1"));
    let origin = Origin { documents: [aws.documents, tls.documents].concat(), ..Origin::default() };
    union.files.push(file("all.env", "all", &origin, Secret::new("ID=common\nKEY=common\nZONE=z\nA=1\n")));
    let recovery = recover(&[union.clone(), pushed(&before, "web1", 5, &["tls"])]);
    assert_eq!(recovery.bundle.value(&name("aws.ID")), Some(&Secret::new("common")));
    assert!(recovery.notes.iter().any(|note| note.contains("all.env of db1") && note.contains("aws.KEY")));
    assert!(!recovery.notes.iter().any(|note| note.contains("tls.A")), "{:?}", recovery.notes);
    // Two layers of a service: nobody can tell which of them gave a value.
    union.files[0].from.push("groups/db/aws.env".to_owned());
    assert!(recover(&[union]).bundle.value(&name("aws.ID")).is_none());
}

#[test]
fn several_bundles_are_refused_with_the_names_of_the_hosts() {
    let (one, other) = (bundle(), packed(&[("bundle.toml", "id = \"ffff\"\n"), ("services/aws.env", "ID=1\n")]));
    let remains = [pushed(&one, "web1", 5, &["aws"]), pushed(&other, "db1", 5, &["aws"])];
    let error = Recovery::of(&remains, &known(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("different bundles"), "{error}");
    let hints = error.hints().join("\n");
    assert!(hints.contains("0011: web1") && hints.contains("ffff: db1") && hints.contains("--hosts"), "{hints}");
    // The id is no secret; the key of the fingerprints is.
    let text = format!("id = \"0011\"\ngeneration = 99\nfingerprint-key = \"{}\"\n", "ab".repeat(32));
    let forged = packed(&[("bundle.toml", &text), ("services/aws.env", "ID=mine\n")]);
    let remains = [pushed(&one, "web1", 5, &["aws"]), pushed(&forged, "db1", 99, &["aws"])];
    let error = Recovery::of(&remains, &known(), &mut |_| ()).unwrap_err();
    assert!(error.to_string().contains("forged"), "{error}");
    assert!(Recovery::of(&[], &known(), &mut |_| ()).is_err());
}

#[test]
fn the_same_run_with_two_values_is_told() {
    let before = bundle();
    let mut other = before.clone();
    other.set(&name("aws.ZONE"), Secret::new("POISON"), at(2));
    let recovery = recover(&[pushed(&before, "web1", 5, &["aws"]), pushed(&other, "db1", 5, &["aws"])]);
    let told: Vec<&String> = recovery.notes.iter().filter(|note| note.contains("aws.ZONE")).collect();
    assert!(told.len() == 1 && told[0].contains("web1 and db1") && !told[0].contains("POISON"), "{told:?}");
    assert_eq!(recovery.bundle.value(&name("aws.ZONE")), Some(&Secret::new("z")));
}

#[test]
fn a_generation_is_believed_as_far_as_it_is_near() {
    let remains = everywhere(&bundle(), &["aws"]);
    let of = |seen: &[(&str, u64)]| {
        let id = |id: &str| (id != "?").then(|| id.to_owned());
        let seen = seen.iter().map(|(of, seen)| (id(of), *seen)).collect();
        let recovery = Recovery::of(&remains, &Circumstances { seen, ..known() }, &mut |_| ()).unwrap();
        (recovery.bundle.generation(), recovery.notes.iter().any(|note| note.contains("not believed")))
    };
    assert_eq!(of(&[("0011", 8), ("ffff", 30), ("?", 7)]), (8, false));
    assert_eq!(of(&[("?", 9)]), (9, false), "the record on the host was lost");
    assert_eq!(of(&[("0011", u64::MAX), ("0011", 6)]), (6, true));
}

#[test]
fn keys_come_back_with_what_they_open() {
    let before = bundle();
    let mut with_key = before.clone();
    with_key.complete(&mut |bytes| bytes.fill(3));
    let sealed = with_key.seal_backup(b"POISON").unwrap();
    let key = BackupKey { identity: with_key.backup_key.clone().unwrap(), locked: Secret::new("locked") };
    let mut remains = everywhere(&before, &["aws"]);
    remains[1].backup_key = Some(key);
    remains[0].vault_password = Secret::new("no identity");
    let recovery = recover(&remains);
    assert_eq!(*recovery.bundle.open_backup(&sealed, &super::super::Unlock::new()).unwrap(), b"POISON");
    assert_eq!(recovery.bundle.key_age().unwrap(), b"locked");
    assert_eq!(recovery.bundle.host_identity(&host("web2")), Some(remains[1].vault_password.clone()));
    assert_eq!(recovery.bundle.host_identity(&host("web1")), None, "the next setup makes one");
    assert_eq!(recovery.notes, Vec::<String>::new());
}

#[test]
fn labels_that_name_nothing_are_passed_over() {
    let mut remains = everywhere(&bundle(), &["aws"]);
    remains[0].files[0].from = vec!["../../etc/passwd".to_owned()];
    remains[0].files[0].path = "\u{1b}[31maws.env".to_owned();
    remains[1].files[0].content = Secret::new("POISON without a key");
    let nobodys = RemainingFile { service: None, ..remains[2].files[0].clone() };
    remains[2].files.push(nobodys);
    let recovery = recover(&remains);
    assert_eq!(recovery.bundle.value(&name("aws.ID")), Some(&Secret::new("common")));
    assert_eq!(recovery.notes.iter().filter(|note| note.contains("passed over")).count(), 2, "{:?}", recovery.notes);
    assert!(!recovery.notes.iter().any(|note| note.contains("POISON") || note.contains('\u{1b}')));
    assert!(recovery.bundle.env(&Scope::Common, &"aws".parse().unwrap()).is_some());
}

#[test]
fn a_keepsake_says_of_which_bundle_it_is() {
    let key = "ab".repeat(32);
    let read = |text: String| Keepsake::read(&Secret::new(text)).map(|keepsake| keepsake.bundle_id().to_owned());
    assert_eq!(read(format!("id = \"0a\"\nfingerprint-key = \"{key}\"\n")).unwrap(), "0a");
    for text in ["", "id = \"0a\"\n", &format!("id = \"0 a\\n\"\nfingerprint-key = \"{key}\"\n"), "POISON"] {
        let error = read(text.to_owned()).unwrap_err().to_string();
        assert!(error.contains("what it kept of the bundle") && !error.contains("POISON"), "{error}");
    }
}
