//! What the program tells an audit: all that is there, by its exact name, in a few processes however much it is, and without
//! a trace on the host.

use crate::remote_shell::*;
use crate::state::{env, snapshot};
use crate::strange::SHELLS;
use distribute::plan::{Kind, RootFacts, Stat};
use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::atomic::{AtomicBool, Ordering};

/// A host for every shell, and one that has nothing but busybox.
fn hosts() -> impl Iterator<Item = (&'static str, Host)> {
    let shells = SHELLS.into_iter().filter(|shell| installed(shell)).map(|shell| (shell, Host::new(shell)));
    shells.chain(Host::busybox_only().map(|host| ("only busybox", host)))
}

fn wanted(host: &Host) -> Want {
    Want::new(host, 1).file("aws.env", env("aws")).file("tls/key", env("key")).file("tls/cert", env("cert"))
}

/// A name as the facts have it: what is no UTF-8 in hexadecimal.
fn exact(name: &[u8]) -> String {
    let chunks = name.utf8_chunks();
    chunks
        .map(|c| c.valid().to_owned() + &c.invalid().iter().map(|b| format!("\\x{b:02x}")).collect::<String>())
        .collect()
}

fn kind(meta: &fs::Metadata) -> Kind {
    match () {
        () if meta.is_symlink() => Kind::Link,
        () if meta.is_dir() => Kind::Directory,
        () if meta.is_file() => Kind::File,
        () => Kind::Other,
    }
}

/// What is below our places, as a line for each path.
fn there(host: &Host) -> BTreeMap<String, String> {
    let root = host.root_at("");
    let places = ["secrets", "backups", ".distribute", "vault-password"].map(|name| root.join(name));
    let entries = places.iter().flat_map(walkdir::WalkDir::new).map(Result::unwrap);
    let line = |entry: walkdir::DirEntry| {
        let meta = entry.path().symlink_metadata().unwrap();
        let name = exact(entry.path().strip_prefix(&root).unwrap().as_os_str().as_bytes());
        let target = fs::read_link(entry.path()).ok().map(|target| exact(target.as_os_str().as_bytes()));
        let what = (kind(&meta), meta.mode() & 0o7777, meta.uid(), meta.gid(), meta.nlink(), meta.size(), meta.mtime());
        (name, format!("{what:?} {target:?}"))
    };
    entries.map(line).collect()
}

/// The same, as the host told it.
fn told(root: &RootFacts) -> BTreeMap<String, String> {
    let line = |(name, stat): (&String, &Stat)| {
        let what = (stat.kind, stat.mode.bits(), stat.uid, stat.gid, stat.links, stat.size, stat.modified);
        (name.clone(), format!("{what:?} {:?}", stat.target))
    };
    root.entries.iter().filter(|(name, _)| !name.starts_with('/')).map(line).collect()
}

#[test]
fn a_clean_host_is_told_as_it_is() {
    for (shell, host) in hosts() {
        let want = wanted(&host);
        host.deploy(&want);
        let facts = host.audit(&want);
        let root = &facts.roots[0];
        assert_eq!(told(root), there(&host), "{shell}");
        let live = root.live.clone().unwrap();
        for file in &want.set.files {
            assert_eq!(root.hashes[&format!("secrets/{live}/{}", file.path)], file.sha256, "{shell}");
        }
        assert_eq!(root.hashes.len(), 5, "{shell}: {:?}", root.hashes.keys());
        assert!(root.entries.contains_key("/") && root.entries.contains_key(want.set.root.as_str()), "{shell}");
        assert_eq!((facts.missing.len(), root.lock.as_ref(), root.shut.len()), (0, None, 0), "{shell}");
        let is_chroot = shell == "only busybox";
        assert_eq!(facts.mount_of(want.set.root.as_str()).is_some(), !is_chroot, "{shell}: {:?}", facts.mounts);
        assert_eq!(rules(&want, &facts), BTreeSet::new(), "{shell}");
    }
}

/// What an audit finds below the root: the directories above it are those of this machine.
fn rules(want: &Want, facts: &distribute::plan::HostFacts) -> BTreeSet<String> {
    let audit = want.audit(facts).unwrap();
    let below = |path: &str| path.starts_with(&format!("{}/", want.set.root));
    let lines = audit.findings.iter().filter(|finding| below(&finding.path));
    lines.map(|finding| format!("{} {}: {}", finding.rule, finding.path, finding.found)).collect()
}

#[test]
fn odd_names_come_back_exactly() {
    for (shell, host) in hosts() {
        let want = wanted(&host);
        host.deploy(&want);
        let record = format!("x\n{:032x}. 8180 0 0 root root 1 4 1 secrets", 7);
        let odd: [&[u8]; 20] = [
            b"new\nline",
            b"\nfirst",
            b"last\n",
            b"two  spaces ",
            b" lead",
            b"it's",
            b"'both'",
            b"\"quoted\"",
            b"back\\slash",
            b"\\n",
            b"tab\t\x0b\r",
            b"esc\x1b[31m\x07\x7f",
            b"\xff\xfe\x80",
            b"\xc3\xa4 and \xc3",
            b"-n",
            b"a -> b",
            b"$'\\n'",
            b"$(id)`id`*?[a]",
            b"\xe2\x80\xae\xe2\x80\xa8",
            record.as_bytes(),
        ];
        let secrets = host.root_at("secrets");
        for place in [secrets.clone(), secrets.join("..data"), host.root_at("backups"), host.root_at(".distribute")] {
            for name in odd {
                fs::write(place.join(OsStr::from_bytes(name)), "odd\n").unwrap();
            }
            fs::create_dir(place.join("deep er")).unwrap();
            fs::write(place.join("deep er/\n"), "").unwrap();
        }
        for target in ["nowhere", "new\nline", "it's", "\u{1b}"] {
            symlink(target, secrets.join(format!("to {target:?}"))).unwrap();
        }
        let facts = host.audit(&want);
        let told = told(&facts.roots[0]);
        assert_eq!(told.keys().collect::<Vec<_>>(), there(&host).keys().collect::<Vec<_>>(), "{shell}");
        for (path, line) in there(&host).iter().filter(|(_, line)| line.ends_with("None")) {
            assert_eq!(&told[path], line, "{shell}: {path:?}");
        }
        let audit = want.audit(&facts).unwrap();
        let strays = audit.findings.iter().filter(|finding| finding.path.starts_with(want.set.root.as_str()));
        assert_eq!(strays.clone().count(), 4 * 21 + 4, "{shell}: {audit:#?}");
        let is_plain = |text: &str| !text.chars().any(|c| c.is_control() || "\u{202e}\u{2028}".contains(c));
        assert!(
            strays.clone().all(|finding| is_plain(&finding.path) && is_plain(&finding.found)),
            "{shell}: {audit:#?}"
        );
    }
}

#[test]
fn pipes_sockets_and_devices_do_not_hold_it() {
    for (shell, host) in hosts() {
        let want = wanted(&host);
        host.deploy(&want);
        for place in ["secrets", "secrets/..data", "secrets/..data/tls", "backups", ".distribute"] {
            let place = host.root_at(place);
            nix::unistd::mkfifo(&place.join("pipe.tar.gz.age"), Mode::S_IRWXU).unwrap();
            drop(UnixListener::bind(place.join("socket")).unwrap());
            if is_root() {
                mknod(&place.join("zero"), SFlag::S_IFCHR, Mode::S_IRWXU, makedev(1, 5)).unwrap();
            }
        }
        for ours in
            ["secrets/..data/aws.env", "backups/key.age", "vault-password", ".distribute/previous", ".distribute/lock"]
        {
            let _ = fs::remove_file(host.root_at(ours));
            nix::unistd::mkfifo(&host.root_at(ours), Mode::S_IRWXU).unwrap();
        }
        let facts = host.audit(&want);
        assert_eq!(told(&facts.roots[0]), there(&host), "{shell}");
        assert!(rules(&want, &facts).len() >= 13, "{shell}");
    }
}

/// `strace` of one audit, with these calls.
fn traced(host: &Host, want: &Want, calls: &str) -> String {
    let log = host.at("strace.log");
    let trace = format!("trace={calls}");
    let words = ["strace", "-f", "-qq", "-e", &trace, "-e", "signal=none", "-o", log.to_str().unwrap()];
    let mut session = Session::start(host.command_through(&words.map(OsString::from)));
    session.audit(&[&want.set], 0).unwrap();
    session.send(b"bye\n");
    session.end();
    fs::read_to_string(log).unwrap()
}

fn programs(log: &str) -> Vec<String> {
    let calls = log.lines().filter(|line| line.contains("execve(") && line.ends_with("= 0"));
    calls.map(|line| line.split('"').nth(1).unwrap().rsplit('/').next().unwrap().to_owned()).collect()
}

#[test]
fn the_number_of_processes_does_not_depend_on_the_number_of_files() {
    if !installed("strace") {
        return;
    }
    let of = |count: usize| {
        let host = Host::new("dash");
        let want = (0..count).fold(wanted(&host), |want, n| want.file(&format!("tls/{n}.pem"), env("pem")));
        host.deploy(&want);
        programs(&traced(&host, &want, "execve"))
    };
    let (few, many) = (of(10), of(2000));
    let once = |programs: &[String]| programs.iter().cloned().collect::<BTreeSet<_>>();
    assert_eq!(once(&few), once(&many));
    assert!(few.len() <= 16, "{few:?}");
    assert!(many.len() <= few.len() + 6, "{} and {}: {many:?}", few.len(), many.len());
}

/// Not of /proc and not of a directory: calls by which a file or its times would be another.
const WRITES: &str = "openat,?open,?openat2,?creat,?chmod,fchmod,fchmodat,?fchmodat2,?chown,?lchown,fchown,fchownat,?rename,\
    ?renameat,renameat2,?link,linkat,?symlink,symlinkat,?unlink,unlinkat,?mkdir,mkdirat,?rmdir,?utime,?utimes,?futimesat,\
    utimensat,truncate,ftruncate,flock,fcntl,?mknod,mknodat,setxattr,lsetxattr,fsetxattr,removexattr,lremovexattr,mount,umount2";

fn touches(line: &str) -> bool {
    let call = line.split_whitespace().nth(1).unwrap_or_default();
    match call.split('(').next().unwrap_or_default() {
        "fcntl" => line.contains("SETLK"),
        "open" | "openat" | "openat2" => {
            let writes =
                ["O_WRONLY", "O_RDWR", "O_CREAT", "O_TRUNC", "O_TMPFILE"].iter().any(|flag| line.contains(flag));
            writes && !line.contains("\"/dev/null\"") && !line.contains("\"/dev/tty\"")
        }
        "<..." | "+++" | "---" => false,
        _ => true,
    }
}

#[test]
fn nothing_is_written_locked_or_given_another_time() {
    if !installed("strace") {
        return;
    }
    for (shell, host) in hosts().filter(|(shell, _)| *shell != "only busybox") {
        let want = wanted(&host);
        host.deploy(&want);
        let before = snapshot(&host.root_at(""));
        let log = traced(&host, &want, WRITES);
        let found: Vec<&str> = log.lines().filter(|line| touches(line)).collect();
        assert_eq!(found, Vec::<&str>::new(), "{shell}");
        assert!(log.lines().any(|line| line.contains("openat(")), "it sees nothing: {log}");
        assert_eq!(snapshot(&host.root_at("")), before, "{shell}");
    }
}

#[test]
fn a_root_that_cannot_be_written() {
    if !is_root() {
        return;
    }
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let mut host = Host::new(shell);
        let want = wanted(&host);
        host.deploy(&want);
        let enter = format!("mount --bind {0} {0} && mount -o remount,bind,ro {0} && exec \"$@\"", want.set.root);
        host = host.through(["unshare", "--mount", "/bin/sh", "-c", &enter, "sh"]);
        let facts = host.audit(&want);
        // To busybox's `[ -w . ]` root may write everywhere.
        assert!(facts.roots[0].read_only || shell == "busybox", "{shell}");
        assert_eq!(told(&facts.roots[0]), there(&host), "{shell}");
        assert_eq!(rules(&want, &facts), BTreeSet::new(), "{shell}");
    }
}

#[test]
fn somebody_at_work_is_waited_for_and_then_told() {
    for (shell, host) in hosts().filter(|(shell, _)| *shell != "only busybox") {
        let want = wanted(&host);
        host.deploy(&want);
        let own = std::process::id();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
        let stat = fs::read_to_string("/proc/self/stat").unwrap();
        let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap();
        let record = format!("{} {own} {start} 2026-11-21T02:00:00Z ann@desk\n", boot.trim());
        let lock = host.root_at(".distribute/lock");
        fs::write(&lock, &record).unwrap();
        let slept = |seconds| {
            let log = host.at("strace.log");
            let words = ["strace", "-f", "-qq", "-e", "trace=clock_nanosleep,?nanosleep", "-o", log.to_str().unwrap()];
            let mut session = Session::start(host.command_through(&words.map(OsString::from)));
            let facts = session.audit(&[&want.set], seconds).unwrap();
            session.bye();
            assert_eq!(facts.roots[0].lock.as_deref(), Some("2026-11-21T02:00:00Z ann@desk"), "{shell}");
            let failure = want.audit(&facts).expect_err("somebody is at work");
            assert_eq!(failure.phase, distribute::words::Phase::Lock);
            fs::read_to_string(log).unwrap().matches("nanosleep(").count()
        };
        if installed("strace") {
            assert_eq!([slept(0), slept(2)], [0, 2], "{shell}");
        }
        assert_eq!(fs::read_to_string(&lock).unwrap(), record, "left as it was");
    }
}

/// Runs that switch while it reads: what it tells is the set of before or the set of after, and nothing of a run's own.
#[test]
fn an_audit_among_deploys_tells_one_of_the_sets() {
    let host = Host::new("dash");
    let set = |generation: u64| {
        let tag = format!("{generation}");
        Want::new(&host, 1).file("aws.env", env(&tag)).file("tls/key", env(&tag))
    };
    host.deploy(&set(0));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for generation in 1..25 {
                host.deploy(&set(generation));
            }
            over.store(true, Ordering::Relaxed);
        });
        let mut seen = BTreeSet::new();
        while !over.load(Ordering::Relaxed) {
            let mut session = host.start();
            let facts = session.audit(&[&set(0).set], 20).unwrap();
            session.bye();
            let root = &facts.roots[0];
            if root.lock.is_none() && !facts.is_restless {
                let strange: Vec<_> =
                    rules(&set(0), &facts).into_iter().filter(|line| !line.starts_with("undeployed ")).collect();
                assert_eq!(strange, Vec::<String>::new(), "{root:#?}");
                seen.extend(root.live.clone());
            }
        }
        // And when it is quiet again, for a machine so slow that no audit was.
        seen.extend(host.audit(&set(0)).roots[0].live.clone());
        assert!(!seen.is_empty());
    });
}

/// Somebody swaps a directory for a link to elsewhere and back: nothing of elsewhere is told.
#[test]
fn a_directory_that_becomes_a_link_is_not_followed() {
    let host = Host::new("dash");
    let want = wanted(&host);
    host.deploy(&want);
    let elsewhere = host.at("elsewhere");
    fs::create_dir(&elsewhere).unwrap();
    fs::write(elsewhere.join("theirs"), "x").unwrap();
    let at = host.root_at("secrets/swapped");
    let aside = host.root_at("secrets/aside");
    fs::create_dir(&at).unwrap();
    fs::write(at.join("ours"), "x").unwrap();
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                fs::rename(&at, &aside).unwrap();
                symlink(&elsewhere, &at).unwrap();
                fs::remove_file(&at).unwrap();
                fs::rename(&aside, &at).unwrap();
            }
        });
        for _ in 0..30 {
            let facts = host.audit(&want);
            let theirs: Vec<_> = facts.roots[0].entries.keys().filter(|path| path.contains("theirs")).collect();
            assert_eq!(theirs, Vec::<&String>::new());
        }
        over.store(true, Ordering::Relaxed);
    });
}
