//! Strange surroundings: environment, closed channels, signals, and names and kinds of files that somebody else made.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env, names};
use distribute::plan::Kind;
use distribute::plan::Rule;
use distribute::remote;
use distribute::words::Phase;
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::atomic::{AtomicBool, Ordering};

pub const SHELLS: [&str; 4] = ["dash", "bash", "busybox", "mksh"];

#[test]
fn a_hostile_environment_changes_nothing() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        let rc = host.at("rc");
        fs::write(&rc, "echo noise; umask 000; cd /tmp; PATH=/nowhere; alias mv=false\n").unwrap();
        let rc = rc.to_str().unwrap().to_owned();
        let host = host
            .with_env("ENV", &rc)
            .with_env("BASH_ENV", &rc)
            .with_env("CDPATH", "/tmp:/etc")
            .with_env("IFS", "/0123456789abcdef")
            .with_env("LC_ALL", "tr_TR.UTF-8")
            .with_env("LANG", "de_DE.UTF-8")
            .with_env("TAR_OPTIONS", "--to-command=false")
            .with_env("POSIXLY_CORRECT", "1")
            .with_env("QUOTING_STYLE", "c")
            .with_env("TMPDIR", "/nowhere")
            .with_env("TMOUT", "1")
            .with_env("GREP_OPTIONS", "-v")
            .with_env("BLOCK_SIZE", "1M")
            .with_env("roots", "/etc\n")
            .with_env("fresh", "x")
            .with_env("held", "7")
            .with_env("who", "nobody")
            .with_env("live", "x");
        let want = Want::new(&host, 1).file("aws.env", env("aws")).file("tls/key", env("tls"));
        host.deploy(&want);
        assert!(!host.deploy(&want).changed(), "{shell}");
        let want = Want::new(&host, 2).file("aws.env", env("two"));
        host.deploy(&want);
        assert_tidy(&host, &want);
    }
}

#[test]
fn any_umask() {
    for mask in ["000", "777", "022"] {
        let host = Host::new("dash").through(["/bin/sh", "-c", "umask \"$0\"; exec \"$@\"", mask]);
        let want = Want::new(&host, 1).file("aws.env", env("aws"));
        host.deploy(&want);
        assert_tidy(&host, &want);
    }
}

/// While the payload comes in, nothing of it can be read by others, not even by a directory's fault.
#[test]
fn what_is_staged_is_private_from_the_start() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell).through(["/bin/sh", "-c", "umask 000; exec \"$@\"", "sh"]);
        let want = Want::new(&host, 1).file("aws.env", env("aws"));
        let mut session = host.start();
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        session.announce();
        let payload = remote::payload(&[plan]).unwrap();
        session.send(&payload[..payload.len() / 2]);
        let stage = host.root_at(&format!(".distribute/stage.{}", session.nonce));
        while !stage.join("in").exists() {
            std::thread::yield_now();
        }
        let mode = |path: &std::path::Path| fs::symlink_metadata(path).unwrap().mode() & 0o777;
        assert_eq!((mode(&host.root_at(".distribute")), mode(&stage), mode(&stage.join("in"))), (0o700, 0o700, 0o600));
        assert_eq!(mode(&host.root_at(".distribute/lock")), 0o600);
        session.send(&payload[payload.len() / 2..]);
        session.stdin = None;
        assert!(session.frame().is_some());
        session.end();
        assert_tidy(&host, &want);
    }
}

/// Without a stderr, no complaint may end in a file that is being written.
#[test]
fn a_closed_stderr() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell).through(["/bin/sh", "-c", "exec \"$@\" 2>&-", "sh"]);
        let complain = ["sh", "-c", "echo complaint >&2; cat /nowhere"];
        let want = Want::new(&host, 1).file("aws.env", env("aws")).action("aws", &complain);
        assert_eq!(host.try_deploy(&want).unwrap_err().phase, Phase::Action);
        let want = Want { run: run(2), ..want.action("aws", &["true"]) };
        host.deploy(&want);
        assert_tidy(&host, &want);
    }
}

/// The client goes when everything was sent: the host finishes by itself, and is unlocked.
#[test]
fn the_client_is_gone_after_the_payload() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        host.deploy(&Want::new(&host, 1).file("aws.env", env("one")));
        let want = Want::new(&host, 2).file("aws.env", env("two"));
        let mut session = host.start();
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        session.announce();
        session.send(&remote::payload(&[plan]).unwrap());
        session.hang_up();
        session.end();
        assert_tidy(&host, &want);
        assert!(!host.deploy(&want).changed(), "{shell}");
    }
}

#[test]
fn the_client_is_gone_within_the_payload() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        let old = Want::new(&host, 1).file("aws.env", env("one"));
        host.deploy(&old);
        let want = Want::new(&host, 2).file("aws.env", env("two"));
        let mut session = host.start();
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        session.announce();
        let payload = remote::payload(&[plan]).unwrap();
        session.send(&payload[..payload.len() / 2]);
        session.hang_up();
        session.end();
        assert_tidy(&host, &old);
        host.deploy(&want);
        assert_tidy(&host, &want);
    }
}

/// Before the push is announced nothing was written, whatever is said.
#[test]
fn the_client_says_nothing_or_nonsense() {
    for words in [&b""[..], b"\n", b"x\n", b"distribute 2 abc none\n", b"distribute 1 abc none\nrm -rf /\n", b"\0\0\0"]
    {
        let host = Host::new("dash");
        let mut session = host.start();
        session.send(words);
        session.end();
        assert!(!host.at("opt").exists());
    }
    let host = Host::new("dash");
    let want = Want::new(&host, 1).file("aws.env", env("aws"));
    for words in [&b"nonsense\n"[..], b"", b"pus"] {
        let mut session = host.start();
        session.look(&[&want.set]).unwrap();
        session.send(words);
        assert!(session.end().0.success());
        assert!(!host.at("opt").exists());
    }
}

/// HUP, INT, TERM and PIPE to the shell, over and over while it works.
#[test]
fn signals_to_the_shell_wait_until_it_is_done() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        host.deploy(&Want::new(&host, 1).file("aws.env", env("one")).file("b.env", env("one")));
        let want = Want::new(&host, 2).file("aws.env", env("two")).file("b.env", env("two"));
        let mut session = host.start();
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        session.announce();
        // Its lock is there: it has come past the trap.
        while !host.root_at(".distribute/lock").exists() {
            std::thread::yield_now();
        }
        let pid = Pid::from_raw(session.child.id() as i32);
        session.send(&remote::payload(&[plan]).unwrap());
        session.stdin = None;
        let over = AtomicBool::new(false);
        let pushed = std::thread::scope(|scope| {
            scope.spawn(|| {
                while !over.load(Ordering::Relaxed) {
                    for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE] {
                        let _ = kill(pid, signal);
                        // Without a pause a shell does nothing but take signals, for ever: bash on an idle second core did.
                        std::thread::sleep(std::time::Duration::from_micros(300));
                    }
                }
            });
            let frame = session.frame();
            over.store(true, Ordering::Relaxed);
            frame
        });
        let pushed = remote::push(&session.nonce.clone(), &pushed.unwrap_or_else(|| panic!("{shell}: no answer")));
        assert!(pushed.failures.is_empty(), "{shell}: {:?}", pushed.failures);
        session.end();
        assert_tidy(&host, &want);
    }
}

/// A signal to all of its process group ends a step: then everything is as before, or done.
#[test]
fn signals_to_the_group_are_whole_or_not_at_all() {
    for round in 0..12 {
        let host = Host::new("dash");
        host.deploy(&Want::new(&host, 1).file("aws.env", env("one")));
        let want = Want::new(&host, 2).file("aws.env", env("two"));
        let mut command = host.command();
        command.process_group(0);
        let mut session = Session::start(command);
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        session.announce();
        while !host.root_at(".distribute/lock").exists() {
            std::thread::yield_now();
        }
        let group = Pid::from_raw(session.child.id() as i32);
        session.send(&remote::payload(&[plan]).unwrap());
        session.stdin = None;
        for _ in 0..round * 200 {
            std::thread::yield_now();
        }
        let _ = killpg(group, Signal::SIGTERM);
        session.end();
        let live = host.secret("aws.env").unwrap();
        assert!(live == env("one").into_bytes() || live == env("two").into_bytes());
        host.deploy(&want);
        assert_tidy(&host, &want);
    }
}

/// What others made in `secrets/` and in the live set is looked at, never followed, opened or believed.
#[test]
fn odd_names_and_kinds_do_not_break_the_look() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        let want = Want::new(&host, 1).file("aws.env", env("aws")).file("tls/key", env("tls"));
        host.deploy(&want);
        let nonce_like = format!("{:032x}. 8180 0 0 root root 1 4 1 secrets", 7);
        let odd: [&[u8]; 17] = [
            b"new\nline",
            b"two  spaces ",
            b" lead",
            b"it's",
            b"\"quoted\"",
            b"esc\x1b[31m\x07",
            b"\xff\xfe\x80",
            b"-n",
            b"*",
            b"?",
            b"[a]",
            b"a -> b",
            b"$(id)",
            b"back\\slash",
            b".hidden",
            b"...dots",
            nonce_like.as_bytes(),
        ];
        let secrets = host.root_at("secrets");
        for name in odd {
            fs::write(secrets.join(OsStr::from_bytes(name)), "odd\n").unwrap();
        }
        mkfifo(&secrets.join("pipe"));
        let facts = host.facts(&want);
        let root = &facts.roots[0];
        assert_eq!(root.live.as_deref(), Some(format!("..{}", want.run).as_str()));
        assert!(root.entries["secrets/aws.env"].target.is_some() && root.entries["secrets/pipe"].kind == Kind::Other);
        assert_eq!(root.hashes.len(), 4, "{shell}: {:?}", root.hashes);
        assert!(host.plan(&want).unwrap().is_empty(), "{shell}: strangers beside our links are no reason to write");
        let findings = host.plan(&want).unwrap().findings;
        assert!(findings.len() >= odd.len(), "{shell}: {} of {}", findings.len(), odd.len());
        assert!(findings.iter().all(|finding| finding.rule == Rule::UnexpectedFile));
        // In the live set: a pipe and a device are never opened, and the next set is without them.
        mkfifo(&secrets.join("..data/pipe"));
        if is_root() {
            let device = nix::sys::stat::SFlag::S_IFCHR;
            let mode = nix::sys::stat::Mode::S_IRWXU;
            let zero = nix::sys::stat::makedev(1, 5);
            nix::sys::stat::mknod(&secrets.join("..data/zero"), device, mode, zero).unwrap();
        }
        fs::remove_file(secrets.join("..data/tls/key")).unwrap();
        mkfifo(&secrets.join("..data/tls/key"));
        let want = Want { run: run(2), ..want };
        assert!(host.deploy(&want).changed());
        assert_eq!(names(&secrets.join("..data")), ["aws.env", "tls"], "{shell}");
        assert_eq!(fs::read(secrets.join("tls/key")).unwrap(), env("tls").into_bytes());
        for name in odd {
            assert_eq!(fs::read_to_string(secrets.join(OsStr::from_bytes(name))).unwrap(), "odd\n");
        }
    }
}

fn mkfifo(path: &std::path::Path) {
    nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRWXU).unwrap();
}

/// More names than one command line takes: said, not taken for an empty host.
#[test]
fn a_flood_of_names_is_refused() {
    let host = Host::new("dash");
    let want = Want::new(&host, 1).file("aws.env", env("aws"));
    host.deploy(&want);
    let secrets = host.root_at("secrets");
    let long = "x".repeat(200);
    for n in 0..11_000 {
        std::os::unix::fs::symlink("nowhere", secrets.join(format!("{long}{n}"))).unwrap();
    }
    let failure = host.plan(&want).expect_err("a host that cannot be seen");
    assert!(failure.message.contains("could not say what is there"), "{failure:?}");
}

/// Nobody reads stderr, and it is full of noise: no deadlock, and no value in it.
#[test]
fn stderr_that_nobody_reads() {
    let host = Host::new("dash");
    let want = Want::new(&host, 1).file("aws.env", env("aws"));
    let mut command = host.command();
    command.stderr(Stdio::null());
    let mut session = Session::start(command);
    let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
    assert!(session.push(&[plan]).unwrap().failures.is_empty());
    session.end();
    assert_tidy(&host, &want);
}
