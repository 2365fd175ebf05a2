//! A server made of russh, for what a real sshd does not do on demand.

use super::sshd::{directory, make_key};
use super::story;
use super::way::{Keys, endpoint_at, run};
use distribute::transport::{Connection, Deadlines, HostKeys, connect};
use russh::keys::PrivateKey;
use russh::server::{Auth, ChannelOpenHandle, Config, Handler, Msg, Session};
use russh::{Channel, ChannelId};
use std::sync::{Arc, Mutex};

/// Lets everybody in. `refuse` is refused; any other command opens channels to the client and says how that went.
struct Strange;

impl Handler for Strange {
    type Error = russh::Error;

    async fn auth_publickey(&mut self, _: &str, _: russh::server::VerifiedPublicKey<'_>) -> Result<Auth, Self::Error> {
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        _: Channel<Msg>,
        reply: ChannelOpenHandle,
        _: &mut Session,
    ) -> Result<(), Self::Error> {
        reply.accept().await;
        Ok(())
    }

    async fn exec_request(&mut self, id: ChannelId, command: &[u8], session: &mut Session) -> Result<(), Self::Error> {
        if command == b"refuse" {
            return session.channel_failure(id);
        }
        session.channel_success(id)?;
        let server = session.handle();
        tokio::spawn(async move {
            let opened = [
                server.channel_open_session().await.is_ok(),
                server.channel_open_agent().await.is_ok(),
                server.channel_open_x11("a", 1).await.is_ok(),
                server.channel_open_forwarded_tcpip("a", 1, "b", 2).await.is_ok(),
                server.channel_open_forwarded_streamlocal("/a").await.is_ok(),
                server.channel_open_direct_tcpip("a", 1, "b", 2).await.is_ok(),
                server.channel_open_direct_streamlocal("/a").await.is_ok(),
            ];
            let _ = server.data(id, format!("{opened:?}")).await;
            let _ = server.exit_status_request(id, 0).await;
            let _ = server.close(id).await;
        });
        Ok(())
    }
}

async fn strange() -> Connection {
    let dir = directory();
    let (host, user) = (dir.path().join("host"), dir.path().join("user"));
    let public = make_key(&host, "ed25519", "");
    make_key(&user, "ed25519", "");
    let key: PrivateKey = russh::keys::load_secret_key(&host, None).unwrap();
    let config = Arc::new(Config { keys: vec![key], ..Config::default() });
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        russh::server::run_stream(config, stream, Strange).await.unwrap().await
    });
    let endpoint = endpoint_at("127.0.0.1", port, "anyone", Some(&user));
    connect(&endpoint, &HostKeys::Pinned(vec![public]), &Keys::file(&user).login(), &Deadlines::default())
        .await
        .unwrap()
}

#[test]
fn a_refused_command_is_told() {
    story(async {
        let ran = run(&mut strange().await, "refuse", b"payload").await;
        assert!(ran.is_refused && ran.exit.is_none(), "{ran:?}");
    });
}

#[test]
fn a_server_opens_no_channel_to_us() {
    story(async {
        let ran = run(&mut strange().await, "open", b"").await;
        assert_eq!((ran.out(), ran.exit), ("[false, false, false, false, false, false, false]", Some(0)));
    });
}

/// Hears everything that is logged in this process, at the finest level.
struct Ear(Mutex<Vec<String>>);

static EAR: Ear = Ear(Mutex::new(Vec::new()));
const MARKER: &str = "poison-7c1d2f";

impl log::Log for Ear {
    fn enabled(&self, _: &log::Metadata<'_>) -> bool {
        true
    }

    fn log(&self, record: &log::Record<'_>) {
        let text = record.args().to_string();
        let bytes = format!("{:?}", MARKER.as_bytes());
        let is_marked = text.contains(MARKER) || text.contains(bytes.trim_matches(['[', ']']));
        // One line proves that the ear works.
        let mut heard = self.0.lock().unwrap();
        if is_marked || heard.is_empty() {
            heard.push(format!("{} {} {text}", record.level(), record.target()));
        }
    }

    fn flush(&self) {}
}

/// russh up to 0.62.5 logged what it sent, in the clear (russh #762).
#[test]
fn what_is_sent_is_in_no_log() {
    log::set_logger(&EAR).unwrap();
    log::set_max_level(log::LevelFilter::Trace);
    story(async {
        let ran = run(&mut strange().await, "open", MARKER.as_bytes()).await;
        assert_eq!(ran.exit, Some(0));
    });
    let heard = EAR.0.lock().unwrap();
    assert_eq!(heard.len(), 1, "{heard:?}");
    assert!(!heard[0].contains(MARKER), "{heard:?}");
}
