//! Commands: their input, output and end, on a real sshd and on dropbear.

use super::sshd::{Dropbear, Sshd, directory, make_key};
use super::story;
use super::way::{self, Keys, Ran, open, run};
use distribute::transport::{Deadlines, HostKeys, Output, connect};
use distribute::words::Phase;

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
