//! Host keys: pinned, known, unknown, changed, revoked. A refusal comes before anything is sent.

use super::sshd::{Sshd, make_key, without_comment};
use super::story;
use super::way::{Keys, endpoint, known};
use distribute::transport::{Deadlines, HostKeys, KnownHosts, connect};
use distribute::words::Phase;
use std::fs;
use std::sync::Arc;

#[test]
fn every_type_of_host_key_is_taken() {
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let sshd = Sshd::start_with_host_keys(&[kind], &[]);
        story(async {
            let pinned = HostKeys::Pinned(vec![sshd.host_key_of(kind)]);
            let login = Keys::file(&sshd.key()).login();
            let connection = connect(&endpoint(&sshd), &pinned, &login, &Deadlines::default()).await.unwrap();
            assert_eq!(connection.host_key(), Some(sshd.host_key_of(kind).as_str()));
        });
    }
}

#[test]
fn a_known_type_of_host_key_is_asked_for_first() {
    let sshd = Sshd::start_with_host_keys(&["ed25519", "ecdsa"], &[]);
    story(async {
        let login = Keys::file(&sshd.key()).login();
        for host_keys in [
            HostKeys::Pinned(vec![sshd.host_key_of("ecdsa")]),
            known(&format!("[{}]:{} {}\n", sshd.address, sshd.port, sshd.host_key_of("ecdsa")), false),
            known(&format!("[web1]:{} {}\n", sshd.port, sshd.host_key_of("ecdsa")), false),
        ] {
            let connection = connect(&endpoint(&sshd), &host_keys, &login, &Deadlines::default()).await.unwrap();
            assert_eq!(connection.host_key(), Some(sshd.host_key_of("ecdsa").as_str()));
        }
    });
}

#[test]
fn an_unknown_host_key_is_refused_and_accepted_only_on_demand() {
    let sshd = Sshd::start(&["LogLevel DEBUG1"]);
    story(async {
        let login = Keys::file(&sshd.key()).login();
        let endpoint = endpoint(&sshd);
        let failure = connect(&endpoint, &known("", false), &login, &Deadlines::default()).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Hostkey);
        assert!(failure.message.contains("is unknown: ssh-ed25519 SHA256:"), "{failure:?}");
        let hint = failure.hint.unwrap();
        assert!(
            hint.contains("distribute setup --hosts web1 --accept-new") && hint.contains("ssh-keyscan -p "),
            "{hint}"
        );
        assert!(!sshd.log().contains("userauth-request"), "nothing was sent");
        let authority = known(&format!("@cert-authority * {}\n", sshd.host_key()), false);
        let failure = connect(&endpoint, &authority, &login, &Deadlines::default()).await.unwrap_err();
        assert!(failure.hint.unwrap().contains("host certificates are not supported yet"));
        let connection = connect(&endpoint, &known("", true), &login, &Deadlines::default()).await.unwrap();
        assert_eq!(connection.host_key(), Some(sshd.host_key().as_str()));
    });
}

#[test]
fn a_changed_or_revoked_host_key_is_refused_even_with_accept_new() {
    let sshd = Sshd::start(&["LogLevel DEBUG1"]);
    let other = without_comment(&make_key(&sshd.path().join("other"), "ed25519", ""));
    let name = format!("[{}]:{}", sshd.address, sshd.port);
    story(async {
        let login = Keys::file(&sshd.key()).login();
        for accept_new in [false, true] {
            for (host_keys, words) in [
                (known(&format!("{name} {other}\n"), accept_new), "has changed: expected ssh-ed25519 SHA256:"),
                (known(&format!("{name} {0}\n@revoked * {0}\n", sshd.host_key()), accept_new), "is revoked by "),
                (known(&format!("[web1]:{} {other}\n", sshd.port), accept_new), "has changed: expected "),
                (HostKeys::Pinned(vec![other.clone()]), "(from the bundle), but it showed ssh-ed25519 SHA256:"),
                (HostKeys::Pinned(vec![]), "is not pinned in the bundle"),
                (HostKeys::Pinned(vec!["rubbish".into()]), "cannot be read: `rubbish`"),
            ] {
                let failure = connect(&endpoint(&sshd), &host_keys, &login, &Deadlines::default()).await.unwrap_err();
                assert_eq!(failure.phase, Phase::Hostkey);
                assert!(failure.message.contains(words), "{words}: {failure:?}");
                assert!(failure.hint.is_some());
            }
        }
    });
    assert!(!sshd.log().contains("userauth-request"), "nothing was sent");
}

#[test]
fn known_hosts_are_read_from_files() {
    let sshd = Sshd::start(&[]);
    let file = sshd.path().join("known_hosts");
    fs::write(&file, format!("[{}]:{} {}\n", sshd.address, sshd.port, sshd.host_key())).unwrap();
    story(async {
        let known = Arc::new(KnownHosts::load(&[file]).unwrap());
        let login = Keys::file(&sshd.key()).login();
        let host_keys = HostKeys::Known { known, accept_new: false };
        connect(&endpoint(&sshd), &host_keys, &login, &Deadlines::default()).await.unwrap();
    });
}
