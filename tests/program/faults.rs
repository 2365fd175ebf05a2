//! A disk that is full, closed or in the way: the failure is named, the old set stays live, nothing is left, and once it is
//! mended the next run succeeds.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env};
use distribute::words::Phase;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

fn run(words: &[&str]) -> bool {
    Command::new(words[0]).args(&words[1..]).status().is_ok_and(|status| status.success())
}

/// A file system of its own around the play's root; unmounted at the end.
struct Mounted(PathBuf);

impl Mounted {
    fn tmpfs(host: &Host, options: &str) -> Option<Self> {
        let at = host.root_at("");
        let at = PathBuf::from(at.to_str().unwrap().trim_end_matches('/'));
        fs::create_dir_all(&at).unwrap();
        let options = format!("mode=700,{options}");
        let done = is_root() && run(&["mount", "-t", "tmpfs", "-o", &options, "tmpfs", at.to_str().unwrap()]);
        if !done {
            println!("skipped: a mount takes root");
        }
        done.then_some(Self(at))
    }

    fn again(&self, options: &str) {
        assert!(run(&["mount", "-o", &format!("remount,{options}"), self.0.to_str().unwrap()]));
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        run(&["umount", "-l", self.0.to_str().unwrap()]);
    }
}

fn old(host: &Host) -> Want {
    Want::new(host, 1).file("aws.env", env("old")).file("tls/key", env("old"))
}

fn new(host: &Host) -> Want {
    let filler = "x".repeat(30_000);
    Want::new(host, 2).file("aws.env", env("new")).file("tls/key", env("new")).file("tls/big", filler)
}

/// The push failed while staging or switching, and all is as it was.
fn nothing_happened(host: &Host, what: &str) {
    assert_eq!(host.secret("aws.env").unwrap(), env("old").into_bytes(), "{what}");
    assert_eq!(host.secret("tls/key").unwrap(), env("old").into_bytes(), "{what}");
    assert_eq!(host.secret("tls/big"), None, "{what}");
    let left = crate::state::names(&host.root_at(".distribute"));
    let ours = left.iter().filter(|name| ["stage.", "lock", "own."].iter().any(|start| name.starts_with(start)));
    assert_eq!(ours.count(), 0, "{what}: {left:?}");
}

/// Sizes from too small for anything to large enough; at least one of each kind.
fn sweep(shell: &str, sizes: impl Iterator<Item = u32>, option: &str, enough: &str) {
    if !installed(shell) {
        return;
    }
    let (mut failed, mut done) = (0, 0);
    for size in sizes {
        let host = Host::new(shell);
        let Some(mounted) = Mounted::tmpfs(&host, enough) else { return };
        host.deploy(&old(&host));
        let used = match option {
            "size" => statvfs(&mounted.0).blocks() - statvfs(&mounted.0).blocks_free(),
            _ => statvfs(&mounted.0).files() - statvfs(&mounted.0).files_free(),
        };
        match option {
            "size" => mounted.again(&format!("size={}k", (used as u32 + size) * 4)),
            _ => mounted.again(&format!("nr_inodes={}", used as u32 + size)),
        }
        let want = new(&host);
        match host.try_deploy(&want) {
            Ok(_) => done += 1,
            Err(failure) => {
                failed += 1;
                assert!(matches!(failure.phase, Phase::Stage | Phase::Switch | Phase::Lock), "{failure:?}");
                assert!(
                    failure.message.contains("cannot")
                        || failure.message.contains("could not")
                        || failure.message.contains("disk"),
                    "{failure:?}"
                );
                nothing_happened(&host, &format!("{shell}: {option} {size}: {failure:?}"));
                mounted.again(enough);
                host.deploy(&want);
            }
        }
        assert_tidy(&host, &want);
    }
    assert!(failed > 2 && done > 0, "{shell}: {failed} failed, {done} done: the sweep misses the edge");
}

fn statvfs(path: &Path) -> nix::sys::statvfs::Statvfs {
    nix::sys::statvfs::statvfs(path).unwrap()
}

#[test]
fn no_space_left() {
    sweep("dash", (0..34).step_by(1), "size", "size=4m");
}

#[test]
fn no_space_left_under_busybox() {
    sweep("busybox", (0..34).step_by(6), "size", "size=4m");
}

#[test]
fn no_inodes_left() {
    sweep("dash", 0..24, "nr_inodes", "nr_inodes=1000");
}

#[test]
fn no_space_left_under_mksh() {
    sweep("mksh", (0..34).step_by(8), "size", "size=4m");
}

#[test]
fn a_read_only_file_system() {
    let host = Host::new("dash");
    let Some(mounted) = Mounted::tmpfs(&host, "size=4m") else { return };
    host.deploy(&old(&host));
    mounted.again("ro");
    assert!(!host.deploy(&old(&host)).changed(), "an unchanged host is not written");
    let want = new(&host);
    let failure = host.try_deploy(&want).unwrap_err();
    assert_eq!(failure.phase, Phase::Stage);
    assert!(failure.message.contains("cannot write in"), "{failure:?}");
    nothing_happened(&host, "read-only");
    mounted.again("rw");
    host.deploy(&want);
    assert_tidy(&host, &want);
}

#[test]
fn what_must_not_be_changed() {
    if !is_root() || !installed("chattr") {
        return;
    }
    for (target, flag) in
        [("secrets", "i"), ("secrets/..data/aws.env", "i"), ("backups", "i"), (".distribute", "i"), ("secrets", "a")]
    {
        let host = Host::new("dash");
        host.deploy(&old(&host));
        let path = fs::canonicalize(host.root_at(target)).unwrap();
        if !run(&["chattr", &format!("+{flag}"), path.to_str().unwrap()]) {
            println!("skipped: this file system knows no chattr");
            return;
        }
        let want = new(&host);
        let result = host.try_deploy(&want);
        assert!(run(&["chattr", &format!("-{flag}"), path.to_str().unwrap()]));
        match target {
            // The old set's files are not touched by a new one; only pruning, two sets later, would meet it.
            "secrets/..data/aws.env" => assert!(result.is_ok(), "{result:?}"),
            _ => {
                let failure = result.expect_err(target);
                assert!(failure.message.contains("cannot") || failure.message.contains("could not"), "{failure:?}");
                nothing_happened(&host, target);
                host.deploy(&want);
            }
        }
        assert_tidy(&host, &want);
    }
}

#[test]
fn an_old_set_that_cannot_be_removed_is_told() {
    if !is_root() || !installed("chattr") {
        return;
    }
    let host = Host::new("dash");
    host.deploy(&old(&host));
    let stuck = fs::canonicalize(host.root_at("secrets/..data/aws.env")).unwrap();
    if !run(&["chattr", "+i", stuck.to_str().unwrap()]) {
        return;
    }
    host.deploy(&new(&host));
    let want = Want::new(&host, 3).file("aws.env", env("three"));
    let failure = host.try_deploy(&want);
    let live = host.secret("aws.env");
    assert!(run(&["chattr", "-i", stuck.to_str().unwrap()]));
    assert!(failure.unwrap_err().message.contains("cannot remove what is left over"));
    assert_eq!(live.unwrap(), env("three").into_bytes(), "the new set is live");
    host.deploy(&want);
    assert_tidy(&host, &want);
}

#[test]
fn something_else_in_the_way() {
    type Prepare = fn(&Host);
    let cases: [(&str, Prepare, &str); 7] = [
        ("secrets is a link", |host| symlink(host.at("bin"), host.root_at("secrets")).unwrap(), "is a link to"),
        ("secrets is a file", |host| fs::write(host.root_at("secrets"), "x").unwrap(), "is not a directory"),
        ("backups is a file", |host| fs::write(host.root_at("backups"), "x").unwrap(), "is not a directory"),
        (".distribute is a link", |host| symlink("/tmp", host.root_at(".distribute")).unwrap(), "is a link to /tmp"),
        (".distribute is a file", |host| fs::write(host.root_at(".distribute"), "x").unwrap(), "is not a directory"),
        (
            "the root is a file",
            |host| {
                fs::remove_dir(host.root_at("")).unwrap();
                fs::write(host.at("opt"), "x").unwrap()
            },
            "is not a directory",
        ),
        (
            "the root is a link",
            |host| {
                fs::remove_dir(host.at("opt")).unwrap();
                symlink(host.at("bin"), host.at("opt")).unwrap()
            },
            "a parent is a link",
        ),
    ];
    for (what, prepare, why) in cases {
        let host = Host::new("dash");
        fs::create_dir(host.at("opt")).unwrap();
        prepare(&host);
        let failure = host.try_deploy(&old(&host)).expect_err(what);
        assert_eq!(failure.phase, Phase::Stage, "{what}");
        assert!(failure.message.contains(why), "{what}: {failure:?}");
        assert!(failure.hint.is_some() || why == "is not a directory", "{what}");
        assert_eq!(crate::state::names(&host.at("bin")), ["sh"], "{what}: written through a link");
    }
}

/// The same, when it comes between the look and the push: the program itself looks again.
#[test]
fn something_else_in_the_way_at_the_last_moment() {
    for what in [".distribute", "secrets", "backups", "root"] {
        let host = Host::new("dash");
        let want = old(&host);
        let mut session = host.start();
        let plan = want.plan(&session.look(&[&want.set]).unwrap()).unwrap();
        let elsewhere = host.at("elsewhere");
        fs::create_dir(&elsewhere).unwrap();
        if what == "root" {
            symlink(&elsewhere, host.at("opt")).unwrap();
        } else {
            fs::create_dir(host.at("opt")).unwrap();
            symlink(&elsewhere, host.root_at(what)).unwrap();
        }
        let pushed = session.push(&[plan]).unwrap();
        session.end();
        let failure = pushed.failures.first().expect(what);
        assert!(failure.message.contains("is a link") || failure.message.contains("is really"), "{what}: {failure:?}");
        assert_eq!(crate::state::names(&elsewhere), Vec::<String>::new(), "{what}: written through a link");
    }
}

#[test]
fn a_parent_that_others_can_write() {
    use std::os::unix::fs::PermissionsExt;
    let host = Host::new("dash");
    host.deploy(&old(&host));
    fs::set_permissions(host.at(""), fs::Permissions::from_mode(0o777)).unwrap();
    let failure = host.try_deploy(&new(&host)).unwrap_err();
    assert!(failure.message.contains("others can write there"), "{failure:?}");
    assert!(failure.hint.unwrap().starts_with("chmod go-w"));
    nothing_happened(&host, "writable parent");
}
