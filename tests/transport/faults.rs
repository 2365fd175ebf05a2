//! Servers that are not there, say nothing, or say nonsense: each ends in a failure that names the phase, and leaves
//! neither a socket nor a task behind.

use super::sshd::{Sshd, directory, free_port, make_key};
use super::story;
use super::way::{Keys, endpoint, endpoint_at, open, run};
use distribute::inventory::Endpoint;
use distribute::transport::{Deadlines, HostKeys, Login, connect};
use distribute::words::{Failure, Phase};
use std::process::Command;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

fn nobody() -> (HostKeys, Login) {
    let dir = directory();
    let key = dir.path().join("key");
    make_key(&key, "ed25519", "");
    (HostKeys::Pinned(Vec::new()), Keys::none().default(&key).login())
}

async fn failure_at(endpoint: &Endpoint) -> Failure {
    let (host_keys, login) = nobody();
    let deadlines = Deadlines::with_limit(Duration::from_secs(1));
    connect(endpoint, &host_keys, &login, &deadlines).await.unwrap_err()
}

#[test]
fn a_refused_connection_says_so() {
    let (address, port) = free_port();
    story(async {
        let failure = failure_at(&endpoint_at(&address, port, "root", None)).await;
        assert_eq!(failure.phase, Phase::Connect);
        assert_eq!(failure.message, format!("cannot connect to {address}:{port}: connection refused"));
        assert!(failure.hint.unwrap().ends_with(&format!("try: ssh -v -p {port} root@{address} true")));
    });
}

#[test]
fn a_name_without_an_address_says_so() {
    story(async {
        let failure = failure_at(&endpoint_at("no-such-host.invalid", 22, "root", None)).await;
        assert_eq!(failure.phase, Phase::Resolve);
        assert!(failure.message.starts_with("cannot resolve `no-such-host.invalid`: "), "{failure:?}");
        let failure = failure_at(&endpoint_at("\u{1b}[31m", 22, "root", None)).await;
        assert!(!failure.message.contains('\u{1b}') && !failure.hint.unwrap().contains('\u{1b}'));
    });
}

#[test]
fn a_jump_host_is_refused_not_ignored() {
    story(async {
        let mut endpoint = endpoint_at("127.0.0.1", 22, "root", None);
        endpoint.jump = Some("bastion".into());
        let failure = failure_at(&endpoint).await;
        assert_eq!(failure.phase, Phase::Connect);
        assert!(failure.message.contains("jump hosts are not supported yet (jump = \"bastion\")"), "{failure:?}");
    });
}

/// Listens, and answers each connection with these bytes; then it hangs up or stays silent.
async fn server(words: &'static [u8], stays: bool) -> Endpoint {
    let (address, port) = free_port();
    let listener = TcpListener::bind((address.as_str(), port)).await.unwrap();
    tokio::spawn(async move {
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            tokio::spawn(async move {
                let _ = stream.write_all(words).await;
                let mut rest = Vec::new();
                if stays {
                    let _ = stream.read_to_end(&mut rest).await; // ends when the client hangs up
                } else {
                    let mut hello = [0; 8];
                    let _ = stream.read_exact(&mut hello).await;
                }
            });
        }
    });
    endpoint_at(&address, port, "root", None)
}

#[test]
fn what_is_said_instead_of_ssh_is_told() {
    story(async {
        for (words, stays, told) in [
            (&b""[..], false, "hung up before saying anything"),
            (b"Not allowed at this time\r\n", false, "it said: Not allowed at this time"),
            (b"HTTP/1.1 400 Bad Request\r\n\r\n", false, "is not speaking SSH, it said: HTTP/1.1 400 Bad Request"),
            (b"", true, "took the connection and said nothing within 1 s (handshake)"),
            (b"SSH-2.0-tarpit\r\n", true, "said hello and then nothing more within 1 s (handshake)"),
            (b"\x1b[2Jgarbage", true, "it said: \\u{1b}[2Jgarbage; nothing else came within 1 s"),
            (b"SSH-2.0-x\r\n\x00\x00\x00\x0c\x0a\x14garbage and more garbage", false, "broke off the handshake"),
        ] {
            let failure = failure_at(&server(words, stays).await).await;
            assert_eq!(failure.phase, Phase::Connect);
            assert!(failure.message.contains(told), "{told}: {failure:?}");
            assert!(failure.hint.is_some());
        }
        let penalised = failure_at(&server(b"", false).await).await;
        assert!(penalised.hint.unwrap().contains("PerSourcePenalties"));
    });
}

const ALONE: &str = "DISTRIBUTE_TEST_ALONE";

/// Counting sockets needs a process in which nothing else runs, so the test starts itself again.
#[test]
fn nothing_leaks() {
    if std::env::var_os(ALONE).is_some() {
        return nothing_leaks_in_here();
    }
    let this = std::env::current_exe().unwrap();
    let ran =
        Command::new(this).args(["--exact", "faults::nothing_leaks", "--nocapture"]).env(ALONE, "1").output().unwrap();
    let text = String::from_utf8_lossy(&ran.stdout).into_owned() + &String::from_utf8_lossy(&ran.stderr);
    assert!(ran.status.success() && text.contains("1 passed"), "{text}");
}

fn sockets() -> usize {
    let fds = std::fs::read_dir("/proc/self/fd").unwrap();
    fds.filter(|fd| {
        std::fs::read_link(fd.as_ref().unwrap().path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"))
    })
    .count()
}

fn tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

async fn wait_until(what: &str, mut is_true: impl FnMut() -> bool) {
    for _ in 0..3000 {
        if is_true() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    panic!("{what}: {} sockets, {} tasks", sockets(), tasks());
}

fn nothing_leaks_in_here() {
    let sshd = Sshd::start(&[]);
    story(async {
        let silent = [server(b"", true).await, server(b"SSH-2.0-tarpit\r\n", true).await, server(b"noise", true).await];
        let deadlines = Deadlines::with_limit(Duration::from_millis(300));
        let (host_keys, login) = nobody();
        // A listener is a socket and a task; an accepted connection is one of each as long as ours is open.
        wait_until("the servers", || tasks() == silent.len()).await;
        let before = sockets();
        for endpoint in &silent {
            let mut calls = tokio::task::JoinSet::new();
            for _ in 0..10 {
                let (endpoint, host_keys, login) = (endpoint.clone(), host_keys.clone(), login.clone());
                calls.spawn(async move { connect(&endpoint, &host_keys, &login, &deadlines).await.unwrap_err() });
            }
            let failures = calls.join_all().await;
            assert!(failures.iter().all(|failure| failure.message.contains("handshake")), "{failures:?}");
        }
        wait_until("after silent servers", || sockets() == before && tasks() == silent.len()).await;

        let refused =
            connect(&endpoint(&sshd), &host_keys, &Keys::file(&sshd.key()).login(), &Deadlines::default()).await;
        assert_eq!(refused.unwrap_err().phase, Phase::Hostkey);
        wait_until("after a refused host key", || sockets() == before && tasks() == silent.len()).await;

        for command in ["cat", "yes", "yes >&2", "sleep 5"] {
            let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
            let channel = connection.exec(command).await.unwrap();
            channel.send(vec![0; 8 << 20].into());
            // Either may go first, whatever is still under way.
            if command == "yes" {
                drop(connection);
                drop(channel);
            } else {
                drop(channel);
                drop(connection);
            }
            wait_until(command, || sockets() == before && tasks() == silent.len()).await;
        }
        let mut connection = open(&sshd, Keys::file(&sshd.key())).await.unwrap();
        run(&mut connection, "true", b"").await;
        connection.close().await;
        wait_until("after a polite end", || sockets() == before && tasks() == silent.len()).await;
    });
}
