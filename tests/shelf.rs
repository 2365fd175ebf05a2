//! Where sealed backups are kept besides the hosts: in a directory, and in buckets of a real S3 server. The credentials are poison.

#[path = "support/http_server.rs"]
mod http_server;
#[path = "support/seaweedfs.rs"]
#[cfg(feature = "s3")]
mod seaweedfs;
#[path = "support/sshd.rs"]
mod sshd;

use distribute::shelf::{Put, Shelf};
use distribute::words::Error;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;
use std::sync::Barrier;

const ONE: &str = "web1/42-20261121T020000Z-7f3a.tar.gz.age";
const TWO: &str = "web2/42-20261121T020000Z-7f3a.tar.gz.age";

fn directory(path: &Path) -> Shelf {
    Shelf::open(path.to_str().unwrap(), &|_| None).unwrap()
}

/// All that is said of it, without poison.
#[track_caller]
fn said(error: &Error) -> String {
    let said = format!("{error}\n{}", error.hints().join("\n"));
    assert!(!said.contains("POISON") && !format!("{error:?}").contains("POISON"), "{said}");
    said
}

#[track_caller]
fn refused<T: std::fmt::Debug>(result: Result<T, Error>, words: &[&str]) {
    let said = said(&result.expect_err("it is refused"));
    assert!(words.iter().all(|word| said.contains(word)), "{words:?} in {said}");
}

/// What any shelf does, from empty.
fn keeps_what_is_new(shelf: &Shelf) {
    assert_eq!(shelf.list().unwrap(), Vec::<String>::new());
    assert_eq!(shelf.get(ONE).unwrap(), None);
    assert_eq!(shelf.put(TWO, b"second".to_vec()).unwrap(), Put::Stored);
    assert_eq!(shelf.put(ONE, b"first".to_vec()).unwrap(), Put::Stored);
    assert_eq!(shelf.put(ONE, b"first".to_vec()).unwrap(), Put::AlreadyThere);
    refused(shelf.put(ONE, b"other".to_vec()), &[&shelf.shown(), ONE, "something else lies there already", "stays"]);
    refused(shelf.put(ONE, Vec::new()), &["something else lies there already"]);
    refused(shelf.put("../web1/x", b"x".to_vec()), &["no path on a shelf"]);
    assert_eq!(shelf.get(ONE).unwrap().as_deref(), Some(&b"first"[..]));
    assert_eq!(shelf.put("top", Vec::new()).unwrap(), Put::Stored);
    assert_eq!(shelf.get("top").unwrap(), Some(Vec::new()));
    assert_eq!(shelf.list().unwrap(), ["top", ONE, TWO]);
}

/// Eight with other bytes each, and eight with the same.
fn lets_one_of_many_in(shelf: &Shelf) {
    let at_once = |path: &str, bytes: &(dyn Fn(u8) -> Vec<u8> + Sync)| -> Vec<Result<Put, Error>> {
        let barrier = Barrier::new(8);
        let put = |number| {
            barrier.wait();
            shelf.put(path, bytes(number))
        };
        std::thread::scope(|scope| {
            let running: Vec<_> = (0..8).map(|number| scope.spawn(move || put(number))).collect();
            running.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    };
    let ended = at_once(ONE, &|number| vec![number; 1000]);
    let stored: Vec<_> = (0..8).filter(|number| matches!(ended[usize::from(*number)], Ok(Put::Stored))).collect();
    let [winner] = stored[..] else { panic!("one is stored: {ended:?}") };
    assert_eq!(shelf.get(ONE).unwrap(), Some(vec![winner; 1000]));
    let lost = ended.into_iter().filter_map(Result::err).map(|error| said(&error)).collect::<Vec<_>>();
    assert!(lost.len() == 7 && lost.iter().all(|said| said.contains("something else lies there")), "{lost:?}");

    let ended = at_once(TWO, &|_| b"same".to_vec());
    let count = |put| ended.iter().filter(|ended| ended.as_ref().is_ok_and(|ended| *ended == put)).count();
    assert_eq!((count(Put::Stored), count(Put::AlreadyThere)), (1, 7), "{ended:?}");
}

#[test]
fn a_directory_keeps_what_is_new_for_its_owner() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("new/backups");
    let shelf = directory(&path);
    assert_eq!(shelf.shown(), path.display().to_string());
    keeps_what_is_new(&shelf);
    let mode = |path: &Path| path.metadata().unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&path), mode(&path.join("web1")), mode(&path.join(ONE))), (0o700, 0o700, 0o600));
    // What is not ours stays and is not listed: leftovers of a put that was killed, links, what lies too deep.
    fs::write(path.join("web1/.x.0123456789abcdef.tmp"), "x").unwrap();
    fs::create_dir_all(path.join("a/b/c/d")).unwrap();
    fs::write(path.join("a/b/c/d/e"), "x").unwrap();
    symlink(path.join(ONE), path.join("link")).unwrap();
    assert_eq!(shelf.list().unwrap(), ["top", ONE, TWO]);
}

#[test]
fn a_directory_lets_one_of_many_in() {
    let place = tempfile::tempdir().unwrap();
    lets_one_of_many_in(&directory(place.path()));
    let left = fs::read_dir(place.path().join("web1")).unwrap().count();
    assert_eq!(left, 1, "nothing is left beside it");
}

#[test]
fn what_is_no_place_is_refused() {
    let place = tempfile::tempdir().unwrap();
    let path = |name: &str| place.path().join(name);
    fs::write(path("file"), "mine").unwrap();
    let open = |to: &str| Shelf::open(to, &|_| None);
    refused(open(path("file").to_str().unwrap()), &["file", "it is not a directory"]);
    refused(open(""), &["no name"]);
    refused(open("https://POISON@example.com/"), &["no place", "s3://BUCKET/PREFIX"]);

    let shelf = directory(&path("shelf"));
    fs::create_dir(path("shelf")).unwrap();
    fs::write(path("shelf/web1"), "mine").unwrap();
    refused(shelf.put(ONE, b"x".to_vec()), &["web1: it is not a directory"]);
    fs::create_dir(path("elsewhere")).unwrap();
    symlink(path("elsewhere"), path("shelf/web2")).unwrap();
    refused(shelf.put(TWO, b"x".to_vec()), &["web2: it is not a directory"]);
    symlink(path("file"), path("shelf/link")).unwrap();
    refused(shelf.put("link", b"x".to_vec()), &["link", "symbolic link"]);
    refused(shelf.get("link"), &["symbolic link"]);
    symlink(path("nowhere"), path("shelf/dangling")).unwrap();
    refused(shelf.put("dangling", b"x".to_vec()), &["symbolic link"]);
    nix::unistd::mkfifo(&path("shelf/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    refused(shelf.put("fifo", b"x".to_vec()), &["not a regular file"]);
    assert_eq!(fs::read(path("file")).unwrap(), b"mine");
    assert!(!path("nowhere").exists() && fs::read_dir(path("elsewhere")).unwrap().next().is_none());
}

#[test]
fn a_directory_that_may_not_be_written_still_shows_what_it_has() {
    let place = tempfile::tempdir().unwrap();
    let path = place.path().join("shelf");
    let shelf = directory(&path);
    shelf.put("old", b"x".to_vec()).unwrap();
    let mode = |mode| fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
    let nobody = nix::unistd::Uid::from_raw(65534);
    if nix::unistd::Uid::effective().is_root() {
        // Root writes anywhere; a thread that opens files as somebody else does not.
        fs::set_permissions(place.path(), fs::Permissions::from_mode(0o755)).unwrap();
        std::os::unix::fs::chown(&path, Some(65534), None).unwrap();
        std::os::unix::fs::chown(path.join("old"), Some(65534), None).unwrap();
        nix::unistd::setfsuid(nobody);
    }
    mode(0o500);
    let (new, same) = (shelf.put("new", b"x".to_vec()), shelf.put("old", b"x".to_vec()));
    let below = shelf.put(ONE, b"x".to_vec());
    mode(0o700);
    nix::unistd::setfsuid(nix::unistd::Uid::effective());
    refused(new, &["shelf", "Permission denied", "may you write there"]);
    refused(below, &["web1", "Permission denied", "may you write there"]);
    assert_eq!(same.unwrap(), Put::AlreadyThere);
    assert_eq!(shelf.list().unwrap(), ["old"]);
}

#[cfg(not(feature = "s3"))]
#[test]
fn a_bucket_wants_a_build_with_it() {
    refused(Shelf::open("s3://backups/POISON", &|_| None), &["built without s3", "--features s3"]);
}

#[cfg(feature = "s3")]
mod buckets {
    use super::http_server::Server;
    use super::seaweedfs::{ADMIN, PLAIN, READER, Seaweedfs};
    use super::*;
    use std::io::{BufRead, BufReader, Write};
    use std::net::{TcpListener, TcpStream};
    use std::process::Command;

    fn open(to: &str, endpoint: &str, (key_id, secret_key): (&str, &str)) -> Shelf {
        let variables =
            [("AWS_ENDPOINT_URL", endpoint), ("AWS_ACCESS_KEY_ID", key_id), ("AWS_SECRET_ACCESS_KEY", secret_key)];
        Shelf::open(to, &|name| {
            variables.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        })
        .unwrap()
    }

    #[test]
    fn a_bucket_keeps_what_is_new_below_its_prefix() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_bucket("backups");
        let endpoint = server.endpoint();
        let shelf = open("s3://backups/fleet/a", &endpoint, PLAIN);
        assert_eq!(
            (shelf.shown(), format!("{shelf:?}")),
            ("s3://backups/fleet/a".into(), "Shelf(s3://backups/fleet/a)".into())
        );
        keeps_what_is_new(&shelf);
        // A name that begins alike, and names that nobody of us gives.
        server.must(PLAIN, "PUT", "/backups/fleet/ab", "", &[], b"x");
        server.must(PLAIN, "PUT", "/backups/fleet/a/.hidden", "", &[], b"x");
        assert_eq!(shelf.list().unwrap(), ["top", ONE, TWO]);
        let all = open("s3://backups", &endpoint, READER);
        let below = |path: &str| format!("fleet/a/{path}");
        assert_eq!(all.list().unwrap(), [below("top"), below(ONE), below(TWO), "fleet/ab".to_owned()]);
        assert_eq!(all.get(&below(ONE)).unwrap().as_deref(), Some(&b"first"[..]));
        let large = vec![7; 5 << 20];
        assert_eq!(shelf.put("large", large.clone()).unwrap(), Put::Stored);
        assert!(shelf.get("large").unwrap().unwrap() == large);
    }

    #[test]
    fn a_bucket_is_listed_beyond_one_answer() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_bucket("many");
        let shelf = open("s3://many/fleet", &server.endpoint(), PLAIN);
        let paths: Vec<String> = (0..1003).map(|number| format!("web{}/{number:04}", number % 7)).collect();
        std::thread::scope(|scope| {
            let put = |path: &String| assert_eq!(shelf.put(path, Vec::new()).unwrap(), Put::Stored);
            paths.chunks(251).for_each(|part| drop(scope.spawn(move || part.iter().for_each(put))));
        });
        let mut sorted = paths.clone();
        sorted.sort();
        assert!(shelf.list().unwrap() == sorted);
    }

    #[test]
    fn a_bucket_lets_one_of_many_in() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_bucket("race");
        lets_one_of_many_in(&open("s3://race", &server.endpoint(), PLAIN));
    }

    #[test]
    fn a_bucket_is_used_from_threads_of_a_runtime_that_may_block() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_bucket("threads");
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let shelf = std::sync::Arc::new(open("s3://threads", &server.endpoint(), PLAIN));
            for name in ["a", "b"] {
                let shelf = shelf.clone();
                let put = tokio::task::spawn_blocking(move || shelf.put(name, name.into())).await.unwrap();
                assert_eq!(put.unwrap(), Put::Stored);
            }
            let held = shelf.clone();
            assert_eq!(tokio::task::spawn_blocking(move || held.list()).await.unwrap().unwrap(), ["a", "b"]);
            drop(shelf); // here, where nothing may block
        });
    }

    /// Run by the tests below as a process of its own: trust and proxies are in the environment.
    #[test]
    fn one_put_as_a_process() {
        let Ok(endpoint) = std::env::var("SHELF_TEST_ENDPOINT") else { return };
        match open("s3://over-tls", &endpoint, PLAIN).put(ONE, b"x".to_vec()) {
            Ok(put) => println!("{put:?}"),
            Err(error) => println!("{}", said(&error)),
        }
    }

    fn put_by_a_process(endpoint: &str, variables: &[(&str, &str)]) -> String {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--exact", "buckets::one_put_as_a_process", "--nocapture"]).env("SHELF_TEST_ENDPOINT", endpoint);
        command.env_remove("SSL_CERT_DIR").env_remove("no_proxy").env_remove("NO_PROXY");
        let done = command.envs(variables.iter().copied()).output().unwrap();
        let text = String::from_utf8(done.stdout).unwrap();
        assert!(done.status.success(), "{text}");
        text
    }

    #[test]
    fn a_server_is_who_its_certificate_says_and_no_proxy_is_asked() {
        let Some(server) = Seaweedfs::shared() else { return };
        let Some(endpoint) = server.endpoint_over_tls() else { return println!("skipped: openssl is not installed") };
        server.make_bucket("over-tls");
        let other = tempfile::tempdir().unwrap();
        assert!(super::seaweedfs::make_certificates(other.path(), "127.0.0.1"));
        let other = other.path().join("ca.pem");
        let put = put_by_a_process(&endpoint, &[("SSL_CERT_FILE", other.to_str().unwrap())]);
        assert!(put.contains(&endpoint) && put.contains("certificate") && !put.contains("Stored"), "{put}");

        let proxy = Server::start(&["200 OK"]);
        let (roots, address) = (server.authority(), proxy.url(""));
        let mut variables = vec![("SSL_CERT_FILE", roots.to_str().unwrap())];
        variables
            .extend(["http_proxy", "https_proxy", "HTTPS_PROXY", "ALL_PROXY"].map(|name| (name, address.as_str())));
        assert!(put_by_a_process(&endpoint, &variables).contains("Stored"));
        assert!(put_by_a_process(&server.endpoint(), &variables).contains("AlreadyThere"));
        assert_eq!(proxy.requests().len(), 0);
    }

    #[test]
    fn what_a_lock_retains_cannot_be_deleted_or_replaced() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_locked_bucket("locked");
        let shelf = open("s3://locked/fleet", &server.endpoint(), PLAIN);
        assert_eq!(shelf.put(ONE, b"first".to_vec()).unwrap(), Put::Stored);
        assert_eq!(shelf.put(ONE, b"first".to_vec()).unwrap(), Put::AlreadyThere);
        refused(shelf.put(ONE, b"other".to_vec()), &["something else lies there already"]);
        let object = format!("/locked/fleet/{ONE}");
        let versions = server.must(PLAIN, "GET", "/locked", "versions=", &[], b"");
        assert_eq!(versions.matches("<VersionId>").count(), 1, "one version, by one put: {versions}");
        let version = versions.split_once("<VersionId>").unwrap().1.split_once('<').unwrap().0;
        for user in [PLAIN, ADMIN] {
            let (status, answer) =
                server.ask(user, "DELETE", &object, &format!("versionId={version}"), &[], b"").unwrap();
            assert!(status == 403 && answer.contains("AccessDenied"), "{status} {answer}");
        }
        assert_eq!(shelf.get(ONE).unwrap().as_deref(), Some(&b"first"[..]));
    }

    #[test]
    fn who_may_not_is_told_what_to_do() {
        let Some(server) = Seaweedfs::shared() else { return };
        server.make_bucket("guarded");
        let endpoint = server.endpoint();
        let shelf = |to, user| open(to, &endpoint, user);
        let wrong_key = shelf("s3://guarded/x", (PLAIN.0, "wrongPOISON"));
        let words = [
            "s3://guarded/x",
            &endpoint,
            "the credentials are refused",
            "SignatureDoesNotMatch",
            "AWS_SECRET_ACCESS_KEY",
        ];
        refused(wrong_key.put(ONE, b"x".to_vec()), &words);
        refused(wrong_key.get(ONE), &words);
        refused(wrong_key.list(), &words);
        let unknown = shelf("s3://guarded", ("AKIDPOISON", "wrongPOISON"));
        refused(unknown.put(ONE, b"x".to_vec()), &["the credentials are refused", "InvalidAccessKeyId"]);
        let reader = shelf("s3://guarded", READER);
        refused(reader.put(ONE, b"x".to_vec()), &["it may not be done", "403 AccessDenied", "s3:PutObject"]);
        assert_eq!(reader.get(ONE).unwrap(), None);
        let nowhere = shelf("s3://no-such-bucket", PLAIN);
        let words = ["s3://no-such-bucket", "there is no such bucket", "make it first"];
        refused(nowhere.put(ONE, b"x".to_vec()), &words);
        refused(nowhere.list(), &words);
        refused(nowhere.get(ONE), &words);
    }

    #[test]
    fn a_server_that_is_not_there_is_named() {
        let (address, port) = super::sshd::free_port();
        let endpoint = format!("http://{address}:{port}");
        refused(
            open("s3://backups", &endpoint, PLAIN).put(ONE, b"x".to_vec()),
            &["s3://backups", &endpoint, "refused"],
        );
        let silent = TcpListener::bind((address.as_str(), port)).unwrap();
        refused(open("s3://backups", &endpoint, PLAIN).list(), &[&endpoint, "does not answer in time"]);
        drop(silent);
    }

    /// Answers each request with these bytes, and then either hangs up or just hangs.
    fn answering(answer: &'static str, hangs_up: bool) -> (String, std::thread::JoinHandle<()>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let answer = move || {
            let mut held = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut lines = BufReader::new(&stream).lines().map_while(Result::ok);
                if !lines.any(|line| line.is_empty()) {
                    break;
                }
                write!(&stream, "{answer}").unwrap();
                held.extend((!hangs_up).then_some(stream));
            }
        };
        (endpoint, std::thread::spawn(answer))
    }

    #[test]
    fn half_an_answer_is_none() {
        let half = "HTTP/1.1 200 OK\r\nETag: \"x\"\r\nLast-Modified: Sat, 21 Nov 2026 02:00:00 GMT\r\nContent-Length: 10\r\n\r\nhalf";
        for (hangs_up, words) in [(true, "disconnected"), (false, "does not answer in time")] {
            let (endpoint, server) = answering(half, hangs_up);
            refused(open("s3://backups", &endpoint, PLAIN).get(ONE), &["s3://backups", &endpoint, words]);
            drop(TcpStream::connect(endpoint.trim_start_matches("http://")).unwrap()); // which ends it
            server.join().unwrap();
        }
    }

    #[test]
    fn a_redirect_is_not_followed_and_trouble_that_passes_is_waited_for() {
        let put = |answers: &[&str]| {
            let server = Server::start(answers);
            let endpoint = server.url("").trim_end_matches('/').to_owned();
            let put = open("s3://backups", &endpoint, PLAIN).put("a", b"x".to_vec());
            (put, server.requests())
        };
        let (moved, requests) = put(&["301 Moved\r\nLocation: http://127.0.0.1:1/POISON"]);
        refused(moved, &["the server answered 301", "AWS_REGION"]);
        assert_eq!(requests.len(), 1);
        let (stored, requests) = put(&["503 Slow Down", "500 Oh", "200 OK\r\nETag: \"x\""]);
        assert_eq!((stored.unwrap(), requests.len()), (Put::Stored, 3));
        for request in requests {
            assert_eq!((request.line.as_str(), request.body.as_str()), ("PUT /backups/a", "x"));
            assert_eq!(request.header("if-none-match"), Some("*"));
            assert_eq!(request.header("x-amz-checksum-sha256"), Some("LXEWQrcmsEQBYnyp+6wy9chTD7GQPMTbAiWHF5IaSIE="));
        }
        let (busy, requests) = put(&["503 Slow Down"; 9]);
        refused(busy, &["the server answered 503"]);
        assert_eq!(requests.len(), 5);
        let (strange, _) = put(&["200 OK"]);
        refused(strange, &["the answer makes no sense", "speak S3"]);
    }
}
