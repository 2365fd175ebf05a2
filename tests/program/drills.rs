//! A backup that is unpacked in memory for a moment: told, removed, and nothing of it on a disk.

use crate::remote_shell::*;
use crate::state::{env, names, snapshot};
use distribute::plan::Transaction;
use distribute::plan::backup::{Backup, Label, Rehearsal, Verdict, Why};
use distribute::remote;
use distribute::words::{Failure, Phase, RemotePath};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

const SHELLS: [&str; 4] = ["dash", "bash", "busybox", "mksh"];

/// A host with a set, and a directory in memory that is its /run.
struct Scene {
    host: Host,
    memory: tempfile::TempDir,
    want: Want,
}

/// A directory here that takes this place there.
fn mounted(host: Host, directory: &Path, place: &str) -> Host {
    let mount = r#"mount --bind "$1" "$2" && shift 2 && exec "$@""#;
    host.through(["unshare", "--mount", "/bin/sh", "-c", mount, "sh", directory.to_str().unwrap(), place])
}

impl Scene {
    fn new(shell: &str) -> Option<Self> {
        if !is_root() || !installed(shell) {
            println!("skipped: a mount namespace takes root");
            return None;
        }
        Some(Self::on(Host::new(shell), "/run"))
    }

    fn on(host: Host, run: &str) -> Self {
        let memory = tempfile::Builder::new().prefix("distribute-test-").tempdir_in("/dev/shm").unwrap();
        let host = mounted(host, memory.path(), run);
        let want = Want::new(&host, 1).file("aws.env", env("one")).file("tls/key", env("two"));
        host.deploy(&want);
        Self { host, memory, want }
    }

    fn backup(&self) -> Backup {
        Backup::of_set(&self.want.set, &self.want.run, Why::Deploy, BUNDLE)
    }

    fn drill(&self) -> Result<Vec<Rehearsal>, Failure> {
        self.drill_of(&self.backup(), |payload| payload)
    }

    fn drill_of(&self, backup: &Backup, bend: impl FnOnce(Vec<u8>) -> Vec<u8>) -> Result<Vec<Rehearsal>, Failure> {
        let before = snapshot(&self.host.root_at(""));
        let mut session = self.host.start();
        session.look(&[&self.want.set]).unwrap();
        session.send(&remote::drill_line("2026-11-21T02:00:00Z", "tester@desk"));
        let payload = remote::payload(&[Transaction::rehearsal(backup).unwrap()]).unwrap().to_vec();
        session.send(&bend(payload));
        session.stdin = None;
        let frame = session.frame().expect("a second frame");
        session.end();
        assert_eq!(snapshot(&self.host.root_at("")), before, "something was written");
        remote::drill(&session.nonce, &frame)
    }

    fn judge(&self, rehearsal: &Rehearsal, label: &Label) -> Verdict {
        let mac = |bytes: &[u8]| sha256(bytes)[..16].to_owned();
        let mut session = self.host.start();
        let facts = session.look(&[&self.want.set]).unwrap();
        session.bye();
        rehearsal.judge(label, &facts.roots[0], &mac)
    }

    fn left(&self) -> Vec<String> {
        left_in(self.memory.path())
    }

    /// A drill that has begun to receive and got half of it.
    fn half(&self) -> Session {
        let mut command = self.host.command();
        // A group of its own, for signals.
        command.process_group(0);
        let mut session = Session::start(command);
        session.look(&[&self.want.set]).unwrap();
        session.send(&remote::drill_line("2026-11-21T02:00:00Z", "tester@desk"));
        let payload = remote::payload(&[Transaction::rehearsal(&self.backup()).unwrap()]).unwrap();
        session.send(&payload[..payload.len() / 2]);
        let end = Instant::now() + Duration::from_secs(60);
        while !self.left().iter().any(|name| self.memory.path().join(name).join("in").exists()) {
            assert!(Instant::now() < end, "it receives elsewhere: {:?}", self.left());
            std::thread::yield_now();
        }
        session
    }
}

/// mount(8) has a directory of its own in a /run.
fn left_in(directory: &Path) -> Vec<String> {
    names(directory).into_iter().filter(|name| name != "mount").collect()
}

fn is_told_and_gone(scene: &Scene, who: &str) {
    let backup = scene.backup();
    let rehearsals = scene.drill().unwrap_or_else(|failure| panic!("{who}: {failure:?}"));
    let [rehearsal] = &rehearsals[..] else { panic!("{who}: {rehearsals:?}") };
    let files: Vec<&String> = rehearsal.entries.keys().collect();
    assert_eq!(files, ["set/aws.env", "set/tls/key"], "{who}");
    assert_eq!(rehearsal.hashes["set/aws.env"], sha256(env("one").as_bytes()), "{who}");
    assert_eq!(rehearsal.live, Some(format!("..{}", scene.want.run)), "{who}");
    assert_eq!(scene.judge(rehearsal, &backup.label), Verdict::default(), "{who}");
    assert_eq!(scene.left(), Vec::<String>::new(), "{who}");
}

#[test]
fn what_was_unpacked_is_told_and_gone() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        is_told_and_gone(&scene, shell);
    }
}

#[test]
fn with_nothing_but_busybox() {
    let Some(host) = Host::busybox_only() else { return };
    fs::create_dir(host.at("run")).unwrap();
    let run = host.at("run").display().to_string();
    is_told_and_gone(&Scene::on(host, &run), "busybox only");
}

#[test]
fn without_memory_nothing_is_received() {
    if fs::read_to_string("/proc/self/mounts").unwrap().contains(" /tmp tmpfs ") {
        return println!("skipped: needs a /tmp on a disk");
    }
    for shell in SHELLS {
        if !is_root() || !installed(shell) {
            continue;
        }
        let disk = tempfile::tempdir().unwrap();
        // What is mounted last at a place is what is there.
        let host = mounted(mounted(Host::new(shell), disk.path(), "/dev/shm"), disk.path(), "/run");
        let scene = Scene::on(host, "/run");
        let failure = scene.drill().unwrap_err();
        assert_eq!(failure.phase, Phase::Stage, "{shell}");
        assert_eq!(failure.message, "no memory-backed directory here: /run or /dev/shm as tmpfs", "{shell}");
        assert_eq!((left_in(disk.path()), scene.left()), (Vec::new(), Vec::new()), "{shell}");
    }
}

#[test]
fn the_first_place_in_memory_is_taken() {
    if !is_root() {
        return println!("skipped: a mount namespace takes root");
    }
    let (disk, shared) = (tempfile::tempdir().unwrap(), tempfile::tempdir_in("/dev/shm").unwrap());
    let scene = Scene::on(mounted(Host::new("dash"), disk.path(), "/run"), "/dev/shm");
    is_told_and_gone(&scene, "where /run is on a disk");
    // Anybody could put a directory of his in the place of ours.
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let Scene { host, memory, want } = Scene::on(Host::new("dash"), "/dev/shm");
    let scene = Scene { host: mounted(host, shared.path(), "/run"), memory, want };
    let mut session = scene.half();
    assert_eq!((left_in(shared.path()), scene.left().len()), (Vec::new(), 1));
    session.end();
}

#[test]
fn what_the_dead_left_is_removed_and_what_the_living_have_is_not() {
    let mut gone = Command::new("true").spawn().unwrap();
    let dead = gone.id();
    gone.wait().unwrap();
    let own = std::process::id();
    let stat = fs::read_to_string("/proc/self/stat").unwrap();
    let start = stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned();
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let at = |name: &str| scene.memory.path().join(name);
        let elsewhere = at("elsewhere");
        let removed = [format!("distribute.drill.{dead}.12345.a"), format!("distribute.drill.{own}.1.b")];
        let kept = [
            format!("distribute.drill.{own}.{start}.c"),
            format!("distribute.drill.{dead}.12345.others"),
            "distribute.drill.x.y.z".to_owned(),
            "elsewhere".to_owned(),
        ];
        for name in removed.iter().chain(&kept) {
            fs::create_dir(at(name)).unwrap();
            fs::write(at(name).join("file"), "").unwrap();
        }
        std::os::unix::fs::chown(at(&kept[1]), Some(65534), None).unwrap();
        let link = format!("distribute.drill.{dead}.12345.link");
        symlink(&elsewhere, at(&link)).unwrap();
        scene.drill().unwrap();
        let mut wanted = [&kept[..], &[link]].concat();
        wanted.sort();
        assert_eq!(scene.left(), wanted, "{shell}");
        assert!(kept.iter().all(|name| at(name).join("file").exists()), "{shell}");
    }
}

#[test]
fn a_payload_that_is_not_whole_leaves_nothing() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let cut = |length: usize| scene.drill_of(&scene.backup(), |payload| payload[..length].to_vec()).unwrap_err();
        for length in [0, 86, 4096] {
            assert!(cut(length).message.contains("cut short"), "{shell}: {length}");
            assert_eq!(scene.left(), Vec::<String>::new(), "{shell}: {length}");
        }
        let bent = scene.drill_of(&scene.backup(), |mut payload| {
            payload[700] ^= 1;
            payload
        });
        assert!(bent.unwrap_err().message.contains("damaged"), "{shell}");
        assert_eq!(scene.left(), Vec::<String>::new(), "{shell}");
    }
}

#[test]
fn who_hangs_up_leaves_nothing_behind() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let mut session = scene.half();
        session.hang_up();
        session.end();
        assert_eq!(scene.left(), Vec::<String>::new(), "{shell}");
    }
}

/// At the shell alone a signal waits, at all of its group it ends what receives: either way nothing stays.
#[test]
fn a_signal_leaves_nothing_behind() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        for signal in [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM, Signal::SIGPIPE] {
            for whom in [|pid: i32| pid, |pid: i32| -pid] {
                let mut session = scene.half();
                kill(Pid::from_raw(whom(session.child.id() as i32)), signal).unwrap();
                session.end();
                assert_eq!(scene.left(), Vec::<String>::new(), "{shell}: {signal}");
            }
        }
    }
}

#[test]
fn what_a_killed_one_left_the_next_removes() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let mut session = scene.half();
        session.child.kill().unwrap();
        session.end();
        assert_eq!(scene.left().len(), 1, "{shell}");
        scene.drill().unwrap();
        assert_eq!(scene.left(), Vec::<String>::new(), "{shell}");
    }
}

#[test]
fn an_owner_who_is_not_there_is_told() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let mut backup = scene.backup();
        backup.label.files[1].owner = "nobody-of-that-name".to_owned();
        backup.label.files[1].group = "root".to_owned();
        let rehearsals = scene.drill_of(&backup, |payload| payload).unwrap();
        let verdict = scene.judge(&rehearsals[0], &backup.label);
        let problem = "no file can be given to nobody-of-that-name:0 there";
        assert_eq!(verdict.problem.as_deref(), Some(problem), "{shell}");
        assert_eq!(scene.left(), Vec::<String>::new(), "{shell}");
    }
}

#[test]
fn of_several_roots_some_are_rehearsed() {
    for shell in SHELLS {
        let Some(scene) = Scene::new(shell) else { continue };
        let mut second = Want::new(&scene.host, 3).file("db.env", env("three"));
        second.set.root = RemotePath::new(scene.host.at("second").to_str().unwrap()).unwrap();
        scene.host.deploy(&second);
        let backup = Backup::of_set(&second.set, &second.run, Why::Deploy, BUNDLE);
        let transactions = [Transaction::default(), Transaction::rehearsal(&backup).unwrap()];
        let mut session = scene.host.start();
        session.look(&[&scene.want.set, &second.set]).unwrap();
        session.send(&remote::part_lines(&transactions));
        session.send(&remote::drill_line("2026-11-21T02:00:00Z", "tester@desk"));
        session.send(&remote::payload(&transactions).unwrap());
        session.stdin = None;
        let frame = session.frame().expect("a second frame");
        session.end();
        let rehearsals = remote::drill(&session.nonce, &frame).unwrap();
        let [rehearsal] = &rehearsals[..] else { panic!("{shell}: {rehearsals:?}") };
        assert_eq!(rehearsal.live, Some(format!("..{}", second.run)), "{shell}");
        assert_eq!(rehearsal.hashes["set/db.env"], sha256(env("three").as_bytes()), "{shell}");
        assert_eq!(scene.left(), Vec::<String>::new(), "{shell}");
    }
}
