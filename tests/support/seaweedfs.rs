//! A real S3 server, SeaweedFS, for the length of the tests that share it: on ports of its own, with a user for each right. It answers when
//! `shared` returns, and is gone with the last test that holds it, or when the tests are killed.
#![allow(dead_code, reason = "each test file uses a part")]

use super::sshd::{directory, free_port, wait_for};
use chrono::Utc;
use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};
use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex, Weak};
use tempfile::TempDir;
use ureq::http::Request;

/// Key id and secret key of each user; the latter must never be said by anybody.
pub const ADMIN: (&str, &str) = ("AKIDADMIN", "secretPOISONadmin");
/// May read and write, as whoever keeps backups.
pub const PLAIN: (&str, &str) = ("AKIDPLAIN", "secretPOISONplain");
/// May only read.
pub const READER: (&str, &str) = ("AKIDREADER", "secretPOISONreader");

pub struct Seaweedfs {
    dir: TempDir,
    ports: Vec<u16>,
    address: String,
    server: Mutex<Child>,
    /// Ends the thread that started the server: with that thread the server would die.
    _parent: Sender<()>,
}

impl Seaweedfs {
    /// The one that runs, or a new one; prints why there is none.
    pub fn shared() -> Option<Arc<Self>> {
        static SHARED: Mutex<Weak<Seaweedfs>> = Mutex::new(Weak::new());
        let Some(program) = program() else {
            println!("skipped: weed of SeaweedFS is not installed");
            return None;
        };
        let mut shared = SHARED.lock().unwrap();
        let server = shared.upgrade().unwrap_or_else(|| Arc::new(Self::start(&program)));
        *shared = Arc::downgrade(&server);
        Some(server)
    }

    fn start(program: &Path) -> Self {
        let dir = directory();
        let (address, first) = free_port();
        let ports = free_ports(&address, first);
        fs::create_dir(dir.path().join("data")).unwrap();
        fs::write(dir.path().join("users.json"), users()).unwrap();
        let has_tls = make_certificates(dir.path(), &address);
        let mut command = command(program, &dir, &address, &ports);
        if has_tls {
            command
                .args(["-s3.cert.file=leaf.pem", "-s3.key.file=leaf.key"])
                .arg(format!("-s3.port.https={}", ports[8]));
        }
        let (server, parent) = spawn(command);
        let server = Self { dir, ports, address, server: Mutex::new(server), _parent: parent };
        wait_for("a bucket in SeaweedFS", || {
            let ended = server.server.lock().unwrap().try_wait().unwrap();
            assert!(ended.is_none(), "SeaweedFS ended: {}", server.log());
            matches!(server.ask(ADMIN, "PUT", "/ready", "", &[], b""), Some((200 | 409, _)))
                && matches!(server.ask(ADMIN, "PUT", "/ready/object", "", &[], b"x"), Some((200, _)))
        });
        server
    }

    pub fn endpoint(&self) -> String {
        format!("http://{}:{}", self.address, self.ports[0])
    }

    /// The same over TLS, for whoever trusts `authority`; `None` without OpenSSL.
    pub fn endpoint_over_tls(&self) -> Option<String> {
        self.authority().is_file().then(|| format!("https://{}:{}", self.address, self.ports[8]))
    }

    pub fn authority(&self) -> PathBuf {
        self.dir.path().join("ca.pem")
    }

    pub fn make_bucket(&self, name: &str) {
        self.must(ADMIN, "PUT", &format!("/{name}"), "", &[], b"");
    }

    /// What is put there cannot be deleted for a day, by nobody.
    pub fn make_locked_bucket(&self, name: &str) {
        let path = format!("/{name}");
        self.must(ADMIN, "PUT", &path, "", &[("x-amz-bucket-object-lock-enabled", "true")], b"");
        let lock = "<ObjectLockConfiguration><ObjectLockEnabled>Enabled</ObjectLockEnabled><Rule><DefaultRetention>\
                    <Mode>COMPLIANCE</Mode><Days>1</Days></DefaultRetention></Rule></ObjectLockConfiguration>";
        self.must(ADMIN, "PUT", &path, "object-lock=", &[], lock.as_bytes());
    }

    /// What the server answers, which must be that it did it.
    pub fn must(
        &self,
        user: (&str, &str),
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> String {
        let (status, answer) = self.ask(user, method, path, query, headers, body).expect("it answers");
        assert!((200..300).contains(&status), "{method} {path}?{query}: {status} {answer}");
        answer
    }

    /// A request signed here (AWS Signature Version 4), not by the library that is tested.
    pub fn ask(
        &self,
        (key_id, secret_key): (&str, &str),
        method: &str,
        path: &str,
        query: &str,
        headers: &[(&str, &str)],
        body: &[u8],
    ) -> Option<(u16, String)> {
        let time = Utc::now().format("%Y%m%dT%H%M%SZ").to_string();
        let (host, hash) = (format!("{}:{}", self.address, self.ports[0]), hex(body));
        let mut signed = vec![("host", host.as_str()), ("x-amz-content-sha256", &hash), ("x-amz-date", &time)];
        signed.extend(headers);
        signed.sort_unstable();
        let names = signed.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(";");
        let lines: String = signed.iter().map(|(name, value)| format!("{name}:{value}\n")).collect();
        let canonical = format!("{method}\n{path}\n{query}\n{lines}\n{names}\n{hash}");
        let scope = format!("{}/us-east-1/s3/aws4_request", &time[..8]);
        let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", hex(canonical.as_bytes()));
        let key = scope.split('/').fold(format!("AWS4{secret_key}").into_bytes(), |key, part| mac(&key, part));
        let signature = HEXLOWER.encode(&mac(&key, &to_sign));
        let authorization =
            format!("AWS4-HMAC-SHA256 Credential={key_id}/{scope}, SignedHeaders={names}, Signature={signature}");
        let mut request = Request::builder().method(method).uri(format!("http://{host}{path}?{query}"));
        for (name, value) in signed.iter().filter(|(name, _)| *name != "host") {
            request = request.header(*name, *value);
        }
        let request = request.header("authorization", authorization).body(body).unwrap();
        let agent = ureq::Agent::config_builder().http_status_as_error(false).proxy(None).build().new_agent();
        let mut answer = agent.run(request).ok()?;
        Some((answer.status().as_u16(), answer.body_mut().read_to_string().ok()?))
    }

    pub fn log(&self) -> String {
        fs::read_to_string(self.dir.path().join("log")).unwrap()
    }
}

impl Drop for Seaweedfs {
    fn drop(&mut self) {
        let server = self.server.get_mut().unwrap();
        let _ = server.kill();
        let _ = server.wait();
        // It makes these wherever it is told to keep its files.
        for port in &self.ports {
            for part in ["master", "volume", "filer", "s3"] {
                let _ = fs::remove_file(format!("/tmp/seaweedfs-{part}-grpc-{port}.sock"));
            }
        }
    }
}

/// In PATH, or where tests/install.sh puts it.
fn program() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let cache = std::env::var_os("XDG_CACHE_HOME").filter(|cache| !cache.is_empty()).map(PathBuf::from);
    let cache = cache.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")));
    let installed = cache.map(|cache| cache.join("distribute-tests/seaweedfs/bin"));
    std::env::split_paths(&path).chain(installed).map(|place| place.join("weed")).find(|program| program.is_file())
}

/// It listens on localhost too, so a port must be free on both; the numbers after this one are other tests'.
fn free_ports(address: &str, first: u16) -> Vec<u16> {
    let offset = u16::try_from(std::process::id() % 1000).unwrap() * 9;
    let is_free = |port: &u16| [address, "127.0.0.1"].iter().all(|host| TcpListener::bind((*host, *port)).is_ok());
    let ports: Vec<u16> = (first + offset..32_000).filter(is_free).take(9).collect();
    assert_eq!(ports.len(), 9, "there are free ports");
    ports
}

fn command(program: &Path, dir: &TempDir, address: &str, ports: &[u16]) -> Command {
    let path = |name: &str| dir.path().join(name).display().to_string();
    let log = fs::File::create(dir.path().join("log")).unwrap();
    let mut server = Command::new("setpriv");
    server.args(["--pdeathsig", "KILL"]).arg(program);
    server.args([format!("-logdir={}", dir.path().display()), "server".to_owned(), format!("-dir={}", path("data"))]);
    server.args([format!("-ip={address}"), "-volume.max=100".to_owned(), "-master.volumeSizeLimitMB=64".to_owned()]);
    // Tests tell nobody anything.
    server.args(["-master.telemetry=false", "-s3", "-s3.autoCreateBucket=false"]);
    server.args(["-s3.port.iceberg=0", "-s3.port.lance=0"]).arg(format!("-s3.config={}", path("users.json")));
    let names =
        ["s3", "s3.port.grpc", "master", "master.port.grpc", "volume", "volume.port.grpc", "filer", "filer.port.grpc"];
    for (name, port) in names.into_iter().zip(ports) {
        let name = if name.contains('.') { name.to_owned() } else { format!("{name}.port") };
        server.arg(format!("-{name}={port}"));
    }
    server
        .arg(format!("-filer.localSocket={}", path("filer.sock")))
        .arg(format!("-s3.localSocket={}", path("s3.sock")));
    // A bucket begins with one volume, not seven.
    server.env("WEED_MASTER_VOLUME_GROWTH_COPY_1", "1");
    server.env("HOME", dir.path()).current_dir(dir.path());
    server.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
    server
}

/// The server dies with the thread that starts it, and the thread of a test may end before other tests do.
fn spawn(mut command: Command) -> (Child, Sender<()>) {
    let (parent, held) = channel::<()>();
    let (started, server) = channel();
    std::thread::spawn(move || {
        started.send(command.spawn().unwrap()).unwrap();
        let _ = held.recv();
    });
    (server.recv().unwrap(), parent)
}

/// An authority, and a certificate for the address that it signed.
pub fn make_certificates(dir: &Path, address: &str) -> bool {
    let script = "set -e
        new='req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2'
        openssl $new -keyout ca.key -out new.pem -subj /CN=authority-of-the-test
        openssl $new -keyout leaf.key -out leaf.pem -subj /CN=leaf -CA new.pem -CAkey ca.key \
            -addext subjectAltName=IP:$1 -addext basicConstraints=critical,CA:FALSE
        mv new.pem ca.pem";
    let mut shell = Command::new("sh");
    shell.args(["-c", script, "sh", address]).current_dir(dir).stderr(Stdio::null());
    shell.status().unwrap().success()
}

fn users() -> String {
    let user = |(key_id, secret_key): (&str, &str), actions: &[&str]| {
        serde_json::json!({
            "name": key_id,
            "credentials": [{"accessKey": key_id, "secretKey": secret_key}],
            "actions": actions,
        })
    };
    let users = [
        user(ADMIN, &["Admin", "Read", "List", "Write"]),
        user(PLAIN, &["Read", "List", "Write"]),
        user(READER, &["Read", "List"]),
    ];
    serde_json::json!({ "identities": users }).to_string()
}

fn hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn mac(key: &[u8], text: &str) -> Vec<u8> {
    let mut mac = Hmac::<Sha256>::new_from_slice(key).unwrap();
    mac.update(text.as_bytes());
    mac.finalize().into_bytes().to_vec()
}
