//! Logging in: key files, ssh-agent, certificates, and what is told when none of them is taken.

use super::sshd::{self, Agent, Sshd, directory, make_key};
use super::story;
use super::way::{self, Keys, open, run};
use distribute::transport::{Deadlines, HostKeys, connect};
use distribute::words::Phase;
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;
use tempfile::TempDir;

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
fn certificates_log_in_from_files_and_from_the_agent() {
    let dir = directory();
    let authority = dir.path().join("authority");
    make_key(&authority, "ed25519", "");
    let sshd = Sshd::start(&[&format!("TrustedUserCAKeys {}.pub", authority.display())]);
    for kind in ["ed25519", "ecdsa", "rsa"] {
        let key = dir.path().join(kind);
        make_key(&key, kind, "");
        sshd::certify(&key, &authority, &sshd.user);
        let agent = Agent::start(&[&key]);
        story(async {
            open(&sshd, Keys::file(&key)).await.unwrap();
            open(&sshd, Keys::none().agent(&agent.socket())).await.unwrap();
        });
    }
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

/// An agent that shows one key and answers a request to sign with these bytes, or not at all.
fn agent_that_does_not_sign(public: &str, answer: Option<&'static [u8]>) -> (TempDir, PathBuf) {
    let dir = directory();
    let socket = dir.path().join("agent");
    let listener = UnixListener::bind(&socket).unwrap();
    let blob = data_encoding::BASE64.decode(public.split_whitespace().nth(1).unwrap().as_bytes()).unwrap();
    let string = |bytes: &[u8]| [&u32::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat();
    let identities = string(&[&[12, 0, 0, 0, 1], string(&blob).as_slice(), &string(b"held")].concat());
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let (mut stream, identities) = (stream.unwrap(), identities.clone());
            std::thread::spawn(move || {
                let mut head = [0; 5];
                while stream.read_exact(&mut head).is_ok() {
                    let length = u32::from_be_bytes(head[..4].try_into().unwrap()) as usize;
                    stream.read_exact(&mut vec![0; length - 1]).unwrap();
                    match (head[4], answer) {
                        (11, _) => stream.write_all(&identities).unwrap(),
                        (13, Some(answer)) => stream.write_all(answer).unwrap(),
                        (13, None) => {}
                        _ => stream.write_all(&[0, 0, 0, 1, 5]).unwrap(), // session-bind is not known here
                    }
                }
            });
        }
    });
    (dir, socket)
}

#[test]
fn an_agent_that_does_not_sign_is_told_or_passed_over() {
    let sshd = Sshd::start(&[]);
    let public = fs::read_to_string(sshd.key().with_extension("pub")).unwrap();
    story(async {
        let pinned = HostKeys::Pinned(vec![sshd.host_key()]);
        let endpoint = way::endpoint_at(&sshd.address, sshd.port, &sshd.user, None);
        let (_dir, silent) = agent_that_does_not_sign(&public, None);
        let deadlines = Deadlines { auth: Duration::from_secs(2), ..Deadlines::default() };
        let login = Keys::none().agent(&silent).login();
        let failure = connect(&endpoint, &pinned, &login, &deadlines).await.unwrap_err();
        assert!(failure.message.starts_with("login did not finish within 2 s (auth)"), "{failure:?}");
        assert!(failure.message.contains("waiting for ssh-agent to sign") && failure.message.contains("held"));
        // The same key from its file logs in after the agent has declined.
        let (_dir, declines) = agent_that_does_not_sign(&public, Some(&[0, 0, 0, 1, 5]));
        let login = Keys::none().agent(&declines).default(&sshd.key()).login();
        connect(&endpoint, &pinned, &login, &deadlines).await.unwrap();
        let login = Keys::none().agent(&declines).login();
        let failure = connect(&endpoint, &pinned, &login, &deadlines).await.unwrap_err();
        assert!(failure.message.contains("there is no signature with held"), "{failure:?}");
    });
}
