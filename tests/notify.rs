//! How a run is told, over real connections: to a server of the test, to OpenSSL's, and to a stand-in for sendmail. What the program
//! itself sends is in tests/fleet.

#[path = "support/http_server.rs"]
mod http_server;

use chrono::{DateTime, Utc};
use distribute::notify::{Channel, Limits, Message, News, Url, send};
use distribute::words::Secret;
use http_server::Server;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn news(status: u8) -> News {
    News {
        command: "rotate".to_owned(),
        run: "42-20261121T020000Z-7f3a".to_owned(),
        project: Some("servers".to_owned()),
        status,
        summary: vec![("hosts", 1), ("changed", 1)],
        message: "rotate: 1 changed".to_owned(),
        hosts: vec![("web1".to_owned(), "changed")],
    }
}

fn now() -> DateTime<Utc> {
    "2026-11-21T02:00:00Z".parse().unwrap()
}

/// Tries at once, and long enough for a machine that is busy.
fn limits() -> Limits {
    Limits { one_try: Duration::from_secs(60), pauses: vec![Duration::ZERO; 2] }
}

fn hook(url: &str) -> Message {
    let url = Url::new(url.as_bytes()).unwrap();
    Channel::Webhook { url, key: Some(Secret::new(*b"test-key")) }.end(&news(0), now())
}

#[test]
fn openssl_agrees_with_the_signature() {
    let server = Server::start(&["204 No Content"]);
    assert_eq!(send(&[hook(&server.url("/hook?a=b"))], &limits()), Vec::<String>::new());
    let [request] = &server.requests()[..] else { panic!("one request") };
    assert_eq!(request.line, "POST /hook?a=b");
    assert_eq!(request.header("content-type"), Some("application/json"));
    let document: Value = serde_json::from_str(&request.body).unwrap();
    assert_eq!((&document["schema"], &document["outcome"]), (&"distribute.notify/1".into(), &"changed".into()));
    let time = request.header("x-distribute-timestamp").unwrap();
    assert_eq!(time, now().timestamp().to_string());
    let mut openssl = Command::new("openssl");
    openssl.args(["dgst", "-sha256", "-hmac", "test-key", "-r"]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let Ok(mut child) = openssl.spawn() else { return println!("skipped: openssl is not installed") };
    write!(child.stdin.take().unwrap(), "{time}.{}", request.body).unwrap();
    let said = String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap();
    let signature = format!("sha256={}", said.split(' ').next().unwrap());
    assert_eq!(request.header("x-distribute-signature"), Some(signature.as_str()));
}

#[test]
fn a_server_in_trouble_is_asked_again_and_one_that_says_no_is_not() {
    for (answers, tries, expected) in [
        (&["503 Busy", "500 Oh", "200 OK"][..], 3, None),
        (&["503 Busy"], 3, Some("the server answered 503")),
        (&["404 Not Found"], 1, Some("the server answered 404")),
        (&["429 Slow down"], 1, Some("the server answered 429")),
    ] {
        let server = Server::start(answers);
        let failed = send(&[hook(&server.url("/POISON"))], &limits());
        let expected: Vec<String> = expected.iter().map(|why| format!("http://127.0.0.1: {why}")).collect();
        assert_eq!(failed, expected, "{answers:?}");
        assert_eq!(server.lines(), vec!["POST /POISON"; tries], "{answers:?}");
    }
}

#[test]
fn a_redirect_is_not_followed() {
    let elsewhere = Server::start(&["200 OK"]);
    for status in ["301 Moved", "302 Found", "307 Temporary", "308 Permanent"] {
        let server = Server::start(&[&format!("{status}\r\nLocation: {}", elsewhere.url("/stolen"))]);
        let failed = send(&[hook(&server.url("/hook"))], &limits());
        assert!(failed.len() == 1 && failed[0].ends_with("a redirect, which is not followed"), "{failed:?}");
        assert_eq!(server.requests().len(), 1);
    }
    assert_eq!(elsewhere.requests().len(), 0);
}

#[test]
fn a_server_that_hangs_holds_up_nobody() {
    let (hanging, well) = (Server::start(&[""]), Server::start(&["200 OK"]));
    let limits = Limits { one_try: Duration::from_secs(2), pauses: vec![Duration::ZERO] };
    let failed = send(&[hook(&hanging.url("/POISON")), hook(&well.url("/hook"))], &limits);
    assert_eq!(failed, ["http://127.0.0.1: no answer within 2s"]);
    assert_eq!((hanging.requests().len(), well.requests().len()), (2, 1));
}

#[test]
fn nobody_there_is_told_without_the_address() {
    for url in ["http://127.0.0.1:1/POISON".to_owned(), "http://nobody.invalid/POISON".to_owned()] {
        let failed = send(&[hook(&url)], &limits());
        assert!(failed.len() == 1 && failed[0].starts_with("http://") && !failed[0].contains("POISON"), "{failed:?}");
    }
    // What answers is no server of the web.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/POISON", listener.local_addr().unwrap());
    let thread = std::thread::spawn(move || {
        for stream in listener.incoming().take(3) {
            let _ = stream.unwrap().write_all(b"SSH-2.0-POISON\r\n");
        }
    });
    let failed = send(&[hook(&url)], &limits());
    assert!(failed.len() == 1 && !failed[0].contains("POISON"), "{failed:?}");
    drop(thread);
}

#[test]
fn healthchecks_hears_of_begin_and_end() {
    let server = Server::start(&["200 OK"]);
    let channel = Channel::Healthchecks { url: Url::new(server.url("/ping/uuid").as_bytes()).unwrap() };
    for message in [channel.begin().unwrap(), channel.end(&news(0), now()), channel.end(&news(2), now())] {
        assert_eq!(send(&[message], &limits()), Vec::<String>::new());
    }
    assert_eq!(server.lines(), ["POST /ping/uuid/start", "POST /ping/uuid", "POST /ping/uuid/fail"]);
    assert_eq!(server.requests()[2].body, "rotate: 1 changed");
}

/// Not a sendmail: it writes down how it was called and what it read, and ends as its name says.
const STAND_IN: &str = "#!/bin/sh\nprintf '%s\\n' \"$@\" >\"$0.words\"\ncat >\"$0.text\"\ncase $0 in *fails) exit 75;; *hangs) exec sleep 1000;; esac\n";

fn stand_in(directory: &Path, name: &str) -> String {
    let path = directory.join(name);
    fs::write(&path, STAND_IN).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.to_str().unwrap().to_owned()
}

fn mail(program: &str) -> Message {
    let (program, to) = (program.to_owned(), "ops@example.com".to_owned());
    Channel::Sendmail { program, to, from: Some("distribute@example.com".to_owned()) }.end(&news(2), now())
}

#[test]
fn sendmail_gets_a_mail_on_stdin() {
    let directory = tempfile::tempdir().unwrap();
    let program = stand_in(directory.path(), "sendmail");
    assert_eq!(send(&[mail(&program)], &limits()), Vec::<String>::new());
    assert_eq!(fs::read_to_string(format!("{program}.words")).unwrap(), "-i\n--\nops@example.com\n");
    let text = fs::read_to_string(format!("{program}.text")).unwrap();
    let (head, body) = text.split_once("\n\n").unwrap();
    for line in [
        "To: ops@example.com",
        "From: distribute@example.com",
        "Subject: distribute rotate: failed",
        "Date: Sat, 21 Nov 2026 02:00:00 +0000",
        "Message-ID: <42-20261121T020000Z-7f3a.rotate@example.com>",
    ] {
        assert!(head.lines().any(|own| own == line), "{line} is not in {head}");
    }
    assert!(body.starts_with("rotate: 1 changed\n\n") && body.contains("\nrun: 42-20261121T020000Z-7f3a\n"), "{body}");
}

#[test]
fn a_sendmail_that_fails_or_hangs_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let fails = stand_in(directory.path(), "fails");
    assert_eq!(send(&[mail(&fails)], &limits()), [format!("{fails}: it ended with exit status: 75")]);
    let hangs = stand_in(directory.path(), "hangs");
    let short = Limits { one_try: Duration::from_secs(2), ..limits() };
    let failed = send(&[mail(&hangs)], &short);
    assert_eq!(failed, [format!("{hangs}: it did not end within 2s, and was stopped")]);
    let failed = send(&[mail("/nonexistent/sendmail")], &limits());
    assert!(failed[0].starts_with("/nonexistent/sendmail: No such file"), "{failed:?}");
}

fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

fn wait(mut is_true: impl FnMut() -> bool) {
    let end = Instant::now() + Duration::from_secs(60);
    while !is_true() && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// OpenSSL's own server, ended when it is dropped. It sends what is on its stdin, and writes down what it gets.
struct Tls {
    child: Child,
    port: u16,
}

impl Tls {
    fn start(directory: &Path) -> Self {
        let port = free_port();
        let child = Command::new("openssl")
            .args([
                "s_server",
                "-quiet",
                "-accept",
                &format!("127.0.0.1:{port}"),
                "-cert",
                "leaf.pem",
                "-key",
                "leaf.key",
            ])
            .current_dir(directory)
            .stdin(Stdio::piped())
            .stdout(fs::File::create(directory.join("got")).unwrap())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        wait(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Self { child, port }
    }

    fn answer(&mut self) {
        self.child.stdin.as_mut().unwrap().write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").unwrap();
    }
}

impl Drop for Tls {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An authority of the test, and a certificate for 127.0.0.1 that it signed.
fn certificates(directory: &Path) -> bool {
    let script = "set -e
        new='req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
        openssl $new -keyout ca.key -out ca.pem -subj /CN=authority-of-the-test
        openssl $new -keyout leaf.key -out leaf.pem -subj /CN=leaf -CA ca.pem -CAkey ca.key \
            -addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:FALSE";
    let mut shell = Command::new("sh");
    shell.args(["-c", script]).current_dir(directory).stderr(Stdio::null());
    shell.status().is_ok_and(|status| status.success())
}

/// Run by the test below as a process of its own: which roots are trusted is in the environment.
#[test]
fn one_message_as_a_process() {
    let Some(url) = std::env::var_os("NOTIFY_TEST_URL") else { return };
    let failed = send(&[hook(url.to_str().unwrap())], &limits());
    assert!(failed.is_empty(), "not sent: {failed:?}");
}

fn sent_by_a_process(url: &str, roots: &Path) -> Result<(), String> {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_message_as_a_process"]).env("NOTIFY_TEST_URL", url).env("SSL_CERT_FILE", roots);
    let done = command.env_remove("SSL_CERT_DIR").output().unwrap();
    match done.status.success() {
        true => Ok(()),
        false => Err(String::from_utf8_lossy(&done.stdout).into_owned()),
    }
}

#[test]
fn a_proxy_in_the_environment_is_not_asked() {
    let (server, proxy) = (Server::start(&["200 OK"]), Server::start(&["200 OK"]));
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", "one_message_as_a_process"]).env("NOTIFY_TEST_URL", server.url("/hook"));
    for name in ["http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"] {
        command.env(name, proxy.url(""));
    }
    let done = command.env_remove("no_proxy").env_remove("NO_PROXY").output().unwrap();
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stdout));
    assert_eq!((server.requests().len(), proxy.requests().len()), (1, 0));
}

#[test]
fn a_certificate_counts_if_the_system_trusts_its_authority() {
    let directory = tempfile::tempdir().unwrap();
    if !certificates(directory.path()) {
        return println!("skipped: openssl 3 is not installed");
    }
    let trusted = directory.path().join("ca.pem");
    let mut tls = Tls::start(directory.path());
    let url = format!("https://127.0.0.1:{}/hook", tls.port);
    let other = tempfile::tempdir().unwrap();
    assert!(certificates(other.path()));
    let refused = sent_by_a_process(&url, &other.path().join("ca.pem")).unwrap_err();
    assert!(refused.contains("not sent: [\"https://127.0.0.1: invalid peer certificate: "), "{refused}");
    let none = sent_by_a_process(&url, Path::new("/dev/null")).unwrap_err();
    assert!(none.contains("this system has no root certificates"), "{none}");
    // Trusted, but it is not the certificate of that host.
    let name = url.replace("127.0.0.1", "localhost");
    let wrong = sent_by_a_process(&name, &trusted).unwrap_err();
    assert!(wrong.contains("invalid peer certificate"), "{wrong}");
    let got = || fs::read_to_string(directory.path().join("got")).unwrap();
    assert_eq!(got(), "", "nothing goes to a stranger");
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| sent_by_a_process(&url, &trusted));
        wait(|| got().contains("distribute.notify/1"));
        tls.answer();
        sending.join().unwrap().unwrap();
    });
    let got = got();
    assert!(got.starts_with("POST /hook HTTP/1.1\r\n") && got.contains("distribute.notify/1"), "{got}");
}
