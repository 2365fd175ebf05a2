//! The way to a host, tried against a real sshd, ssh-agent and dropbear, and against servers that misbehave. Nothing
//! here asserts on how long a thing took, only that it ended.

#[path = "transport/faults.rs"]
mod faults;
#[path = "transport/here.rs"]
mod here;
#[path = "support/sshd.rs"]
mod sshd;
#[path = "transport/strange.rs"]
mod strange;
#[path = "support/way.rs"]
mod way;

use distribute::transport::{Deadlines, HostKeys, KnownHosts, Output, connect};
use distribute::words::Phase;
use sshd::{Agent, Dropbear, Sshd, directory, make_key, without_comment};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::sync::Arc;
use std::time::Duration;
use way::{Keys, Ran, endpoint, known, open, run, within};

type Test = tokio::runtime::Runtime;

/// Runs a story to its end, within a minute.
fn story(story: impl Future<Output = ()>) {
    Test::new().unwrap().block_on(within(story));
}

#[test]
fn every_type_of_user_key_logs_in() {
    let sshd = Sshd::start(&[]);
    story(async {
        for (kind, name) in [("ed25519", "one"), ("ecdsa", "two"), ("rsa", "three")] {
            let key = sshd.path().join(name);
            sshd.authorize("", &make_key(&key, kind, ""));
            let mut connection = open(&sshd, Keys::file(&key)).await.unwrap();
            assert_eq!(connection.host_key(), Some(sshd.host_key().as_str()));
            assert_eq!(connection.peer(), format!("{}:{}", sshd.address, sshd.port));
            let ran = run(&mut connection, "echo hello; echo trouble >&2; exit 3", b"").await;
            assert_eq!((ran.out(), ran.err(), ran.exit), ("hello\n", "trouble\n", Some(3)), "{kind}");
            connection.close().await;
        }
    });
}

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
fn an_encrypted_key_needs_its_passphrase() {
    let sshd = Sshd::start(&[]);
    let key = sshd.path().join("locked");
    sshd.authorize("", &make_key(&key, "ed25519", "open sesame"));
    story(async {
        open(&sshd, Keys::file(&key).passphrases(&["wrong", "open sesame"])).await.unwrap();
        let none = open(&sshd, Keys::file(&key)).await.unwrap_err();
        assert_eq!(none.phase, Phase::Auth);
        assert!(none.message.contains("locked is encrypted, and no passphrase was given"), "{none:?}");
        assert!(none.hint.as_ref().unwrap().contains("ssh-add"), "{none:?}");
        let wrong = open(&sshd, Keys::file(&key).passphrases(&["wrong"])).await.unwrap_err();
        assert!(wrong.message.contains("the passphrase given does not open it"), "{wrong:?}");
        // The agent may hold what we cannot open; then the file's public half says which key it is.
        let plain = sshd.path().join("plain");
        fs::copy(&key, &plain).unwrap();
        sshd::unlock_key(&plain, "open sesame");
        let agent = Agent::start(&[&sshd.key(), &plain]);
        open(&sshd, Keys::file(&key).agent(&agent.socket())).await.unwrap();
        let empty = Agent::start(&[]);
        let failure = open(&sshd, Keys::file(&key).agent(&empty.socket())).await.unwrap_err();
        assert!(failure.message.ends_with("; ssh-agent does not hold it"), "{failure:?}");
    });
}

#[test]
fn a_key_file_in_a_bad_state_is_refused_before_anything_is_dialled() {
    let sshd = Sshd::start(&[]);
    story(async {
        fs::set_permissions(sshd.key(), fs::Permissions::from_mode(0o644)).unwrap();
        let open_to_others = open(&sshd, Keys::file(&sshd.key())).await.unwrap_err();
        assert_eq!(open_to_others.phase, Phase::Auth);
        assert!(open_to_others.message.contains("is open to others (mode 0644)"), "{open_to_others:?}");
        assert!(open_to_others.hint.unwrap().starts_with("chmod 600 "));
        let missing = open(&sshd, Keys::file(&sshd.path().join("missing"))).await.unwrap_err();
        assert!(missing.message.ends_with("missing does not exist"), "{missing:?}");
        let nonsense = sshd.path().join("nonsense");
        fs::write(&nonsense, "not a key\n").unwrap();
        fs::set_permissions(&nonsense, fs::Permissions::from_mode(0o600)).unwrap();
        let nonsense = open(&sshd, Keys::file(&nonsense)).await.unwrap_err();
        assert!(nonsense.message.contains("is not a private key"), "{nonsense:?}");
        let public = open(&sshd, Keys::file(&sshd.path().join("user_key.pub"))).await.unwrap_err();
        assert!(public.message.contains("is a public key"), "{public:?}");
    });
    let connections = sshd.log().matches("Connection from").count();
    assert!(connections <= 1, "only the fixture connected: {}", sshd.log());
}

#[test]
fn the_agent_and_then_the_default_files_are_tried() {
    let sshd = Sshd::start(&[]);
    let other = sshd.path().join("other");
    make_key(&other, "ecdsa", "");
    let locked = sshd.path().join("locked");
    make_key(&locked, "ed25519", "secret");
    let rsa = sshd.path().join("rsa");
    sshd.authorize("", &make_key(&rsa, "rsa", ""));
    story(async {
        let agent = Agent::start(&[&other, &sshd.key()]);
        open(&sshd, Keys::none().agent(&agent.socket())).await.unwrap();
        let rsa_agent = Agent::start(&[&rsa]);
        open(&sshd, Keys::none().agent(&rsa_agent.socket())).await.unwrap();
        let wrong = Agent::start(&[&other]);
        open(&sshd, Keys::none().agent(&wrong.socket()).default(&sshd.key())).await.unwrap();
        let failure = open(&sshd, Keys::none().agent(&wrong.socket()).default(&locked)).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Auth);
        for part in [
            "tried ecdsa-sha2-nistp256 SHA256:",
            "(a test, from ssh-agent)",
            "locked is encrypted",
            "the server takes publickey",
        ] {
            assert!(failure.message.contains(part), "{part}: {failure:?}");
        }
        let nothing = open(&sshd, Keys::none()).await.unwrap_err();
        assert!(nothing.message.starts_with("there is no key to log in to "), "{nothing:?}");
    });
}

#[test]
fn a_hanging_agent_is_cut_off() {
    let sshd = Sshd::start(&[]);
    let socket = sshd.path().join("agent");
    let _never_answers = UnixListener::bind(&socket).unwrap();
    story(async {
        let deadlines = Deadlines { auth: Duration::from_secs(3), ..Deadlines::default() };
        let login = Keys::none().agent(&socket).default(&sshd.key()).login();
        let pinned = HostKeys::Pinned(vec![sshd.host_key()]);
        let endpoint = way::endpoint_at(&sshd.address, sshd.port, &sshd.user, None);
        connect(&endpoint, &pinned, &login, &deadlines).await.expect("the default key logs in");
        let login = Keys::none().agent(&socket).login();
        let failure = connect(&endpoint, &pinned, &login, &deadlines).await.unwrap_err();
        assert!(failure.message.contains("did not answer within 1 s"), "{failure:?}");
        let gone = Keys::none().agent(&sshd.path().join("gone")).default(&sshd.key());
        open(&sshd, gone).await.unwrap();
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
        assert!(hint.contains("distribute setup --hosts web1 --accept-new") && hint.contains("ssh-keyscan -p "), "{hint}");
        assert!(!sshd.log().contains("userauth-request"), "nothing was sent");
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
                (HostKeys::Pinned(vec![]), "has changed: expected none"),
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

#[test]
fn the_servers_last_words_are_told() {
    let sshd = Sshd::start(&["MaxAuthTries 1"]);
    let (one, two) = (sshd.path().join("one"), sshd.path().join("two"));
    make_key(&one, "ed25519", "");
    make_key(&two, "ed25519", "");
    story(async {
        let failure = open(&sshd, Keys::none().default(&one).default(&two)).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Auth);
        assert!(failure.message.contains("the server said: Too many authentication failures"), "{failure:?}");
        assert!(failure.message.contains("one)"), "{failure:?}");
    });
}

#[test]
fn at_most_five_keys_are_offered() {
    let sshd = Sshd::start(&[]);
    story(async {
        let mut keys = Keys::none();
        for number in 0..7 {
            let key = sshd.path().join(format!("wrong{number}"));
            make_key(&key, "ed25519", "");
            keys = keys.default(&key);
        }
        let failure = open(&sshd, keys).await.unwrap_err();
        assert!(failure.message.contains("and not 2 more"), "{failure:?}");
        assert!(failure.hint.unwrap().starts_with("set identity_file"));
    });
}

#[test]
fn a_second_factor_is_named() {
    let sshd = Sshd::start(&["PasswordAuthentication yes", "AuthenticationMethods publickey,password"]);
    story(async {
        let failure = open(&sshd, Keys::file(&sshd.key())).await.unwrap_err();
        assert_eq!(failure.phase, Phase::Auth);
        assert!(failure.message.contains("the server wants a second factor: password"), "{failure:?}");
    });
}

#[test]
fn exit_statuses_and_signals_arrive() {
    let sshd = Sshd::start(&[]);
    story(async {
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        for code in [0, 1, 255] {
            assert_eq!(run(&mut connection, &format!("exit {code}"), b"").await.exit, Some(code));
        }
        let killed = run(&mut connection, "kill -9 $$", b"").await;
        assert_eq!((killed.exit, killed.signal.as_deref()), (None, Some("KILL")));
        // sshd may send the status before the last output; all of it arrives.
        for _ in 0..20 {
            let ran = run(&mut connection, "echo a; exec 1>&-; exit 4", b"").await;
            assert_eq!((ran.out(), ran.exit), ("a\n", Some(4)));
        }
        let background = run(&mut connection, "sleep 60 & echo $!; exit 5", b"").await;
        assert_eq!(background.exit, Some(5), "a child that keeps stdout does not hold us");
        run(&mut connection, &format!("kill {}", background.out()), b"").await;
    });
}

#[test]
fn forced_commands_and_closed_accounts_answer() {
    let sshd = Sshd::start(&[]);
    let (forced, closed) = (sshd.path().join("forced"), sshd.path().join("closed"));
    sshd.authorize("command=\"echo forced\"", &make_key(&forced, "ed25519", ""));
    sshd.authorize("command=\"/usr/sbin/nologin\"", &make_key(&closed, "ed25519", ""));
    story(async {
        let mut connection = open(&sshd, Keys::file(&forced)).await.unwrap();
        assert_eq!(run(&mut connection, "echo ours", b"payload").await.out(), "forced\n");
        let mut connection = open(&sshd, Keys::file(&closed)).await.unwrap();
        let ran = run(&mut connection, "echo ours", b"payload").await;
        assert_eq!(ran.exit, Some(1), "{ran:?}");
        assert!(ran.out().contains("not available"), "{ran:?}");
    });
    let sshd = Sshd::start(&["MaxSessions 0"]);
    story(async {
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        let failure = connection.exec("true").await.unwrap_err();
        assert_eq!(failure.phase, Phase::Exec);
    });
}

#[test]
fn large_inputs_and_outputs_pass() {
    let sshd = Sshd::start(&[]);
    let payload: Vec<u8> = (0..32 << 20).map(|n: u32| n.wrapping_mul(2_654_435_761).to_le_bytes()[3]).collect();
    story(async {
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        let echo = run(&mut connection, "cat", &payload).await;
        assert!(echo.out == payload, "{} bytes came back", echo.out.len());
        assert_eq!(echo.exit, Some(0));
        let early = run(&mut connection, "echo enough; exit 7", &payload[..8 << 20]).await;
        assert_eq!((early.out(), early.exit), ("enough\n", Some(7)), "nobody waits for a reader that has gone");
        let flood = run(&mut connection, "head -c 8388608 /dev/zero >&2; echo done", b"").await;
        assert_eq!((flood.err.len(), flood.out()), (8 << 20, "done\n"));
    });
}

#[test]
fn keys_are_renewed_in_the_middle() {
    let sshd = Sshd::start(&["RekeyLimit 1M", "LogLevel DEBUG1"]);
    let payload = vec![b'x'; 8 << 20];
    story(async {
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        let echo = run(&mut connection, "cat", &payload).await;
        assert!(echo.out == payload && echo.exit == Some(0), "{} bytes came back", echo.out.len());
    });
    assert!(sshd.log().matches("rekey").count() > 1, "it was renewed: {}", sshd.log());
}

#[test]
fn abandoned_and_dropped_channels_end() {
    let sshd = Sshd::start(&[]);
    story(async {
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        let mut abandoned = connection.exec("head -c 16777216 /dev/zero; echo end > \"$0\"").await.unwrap();
        abandoned.abandon();
        while abandoned.next().await.is_some() {}
        for stream in ["", ">&2"] {
            let mut flooding = connection.exec(&format!("yes {stream}")).await.unwrap();
            assert!(matches!(flooding.next().await, Some(Output::Stdout(_) | Output::Stderr(_))));
            drop(flooding);
            assert_eq!(run(&mut connection, "echo still there", b"").await.out(), "still there\n");
        }
        // What waits on a dropped connection ends too.
        let mut waiting = connection.exec("cat").await.unwrap();
        drop(connection);
        assert_eq!(waiting.next().await, None);
    });
}

#[test]
fn dropbear_is_spoken_with() {
    let dir = directory();
    let key = dir.path().join("key");
    let public = make_key(&key, "ed25519", "");
    let Some(dropbear) = Dropbear::start(&public) else {
        return println!("skipped: dropbear needs root and a mount namespace here");
    };
    story(async {
        let endpoint = way::endpoint_at(&dropbear.address, dropbear.port, "root", Some(&key));
        let pinned = HostKeys::Pinned(vec![dropbear.host_key.clone()]);
        let login = Keys::file(&key).login();
        let connected = connect(&endpoint, &pinned, &login, &Deadlines::default()).await;
        let mut connection = connected.unwrap_or_else(|failure| panic!("{failure:?}: {}", dropbear.log()));
        let payload = vec![b'x'; 4 << 20];
        let Ran { out, exit, .. } = run(&mut connection, "cat; exit 6", &payload).await;
        assert!(out == payload && exit == Some(6), "{} bytes, {exit:?}", out.len());
        connection.close().await;
    });
}
