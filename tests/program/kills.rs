//! kill -9 of the remote shell before and after each of its steps. Every external command is wrapped, by a bind mount over
//! /usr/local/sbin in a mount namespace of its own; for busybox, whose applets no PATH reaches, strace kills at each fork.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env, found_only_in_sets, watched};
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::Mutex;

const TOOLS: &str =
    "id stat sha256sum tar mv ln cp mkdir chown chmod sync rm cat tail head tr wc timeout date sleep sh";

/// Counts its calls by name, so that pipelines need no lock; at the chosen call it kills the shell and itself.
const WRAPPER: &str = r#"#!/bin/dash
tool=${0##*/}
n=0
if [ -e "$CTL/n.$tool" ]; then read -r n <"$CTL/n.$tool"; fi
n=$((n + 1))
echo "$n" >"$CTL/n.$tool"
echo "$tool $n" >>"$CTL/log"
read -r victim which when pid <"$CTL/point"
if [ "$victim $which $when" = "$tool $n before" ]; then kill -9 "$pid" $$; fi
/usr/bin/"$tool" "$@"
status=$?
if [ "$victim $which $when" = "$tool $n after" ]; then kill -9 "$pid" $$; fi
exit "$status"
"#;

/// A call of a tool, and before or after it.
pub type Point = (String, &'static str);

struct Scene {
    name: &'static str,
    /// What is there before: a set, plain files, or nothing.
    prepare: fn(&Host),
    old: &'static [(&'static str, &'static str)],
    new: &'static [(&'static str, &'static str)],
}

const CHANGE: Scene = Scene {
    name: "change",
    prepare: |host| _ = host.deploy(&wanted(host, 1, CHANGE.old)),
    old: &[("api.env", "old"), ("db.env", "same"), ("gone.env", "old"), ("tls/key", "old")],
    new: &[("api.env", "new"), ("db.env", "same"), ("fresh.env", "new"), ("tls/key", "new")],
};
const FIRST: Scene = Scene {
    name: "first push",
    prepare: |_| (),
    old: &[],
    new: &[("api.env", "new"), ("db.env", "new"), ("tls/key", "new")],
};
const ADOPT: Scene = Scene {
    name: "setup over plain files",
    prepare: |host| {
        fs::create_dir_all(host.root_at("secrets")).unwrap();
        for (name, tag) in ADOPT.old {
            fs::write(host.root_at("secrets").join(name), env(tag)).unwrap();
        }
    },
    old: &[("api.env", "old"), ("db.env", "old")],
    new: &[("api.env", "new"), ("db.env", "new"), ("fresh.env", "new")],
};

pub fn wanted(host: &Host, generation: u64, files: &[(&str, &str)]) -> Want {
    let told = host.at("told").display().to_string();
    let script = format!("echo told >>{told}");
    let want = files.iter().fold(Want::new(host, generation), |want, (name, tag)| want.file(name, env(tag)));
    want.action("api", &["dash", "-c", &script])
}

/// All of them as they should be, and of the others none.
pub fn holds(host: &Host, files: &[(&str, &str)], others: &[(&str, &str)]) -> bool {
    let right = files.iter().all(|(name, tag)| host.secret(name).as_deref() == Some(env(tag).as_bytes()));
    let names: BTreeSet<_> = files.iter().map(|(name, _)| name).collect();
    right && others.iter().filter(|(name, _)| !names.contains(name)).all(|(name, _)| host.secret(name).is_none())
}

/// Where wrappers and counters lie.
pub fn wrappers() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    for tool in TOOLS.split(' ') {
        fs::write(directory.path().join(tool), WRAPPER).unwrap();
        fs::set_permissions(directory.path().join(tool), fs::Permissions::from_mode(0o755)).unwrap();
    }
    directory
}

/// A push that is killed at this point; gives the calls that were made.
fn killed_push(host: &Host, want: &Want, wrappers: &Path, point: &Point) -> Vec<String> {
    killed_at(host, wrappers, point, |session| {
        if let Ok(facts) = session.look(&[&want.set]) {
            session.push(&[want.plan(&facts).unwrap()]);
        }
    })
}

/// The same of whatever is said in the session.
pub fn killed_at(host: &Host, wrappers: &Path, point: &Point, speak: impl FnOnce(&mut Session)) -> Vec<String> {
    let control = tempfile::tempdir().unwrap();
    let mount = r#"mount --bind "$0" /usr/local/sbin && exec "$@""#;
    let words = ["unshare", "--mount", "/bin/dash", "-c", mount, wrappers.to_str().unwrap()];
    let mut command = host.command_through(&words.map(OsString::from));
    command.env("CTL", control.path());
    let mut session = Session::start(command);
    let line = format!("{} {} {}\n", point.0, point.1, session.child.id());
    fs::write(control.path().join("point"), line).unwrap();
    speak(&mut session);
    session.end();
    let log = fs::read_to_string(control.path().join("log")).unwrap_or_default();
    log.lines().map(str::to_owned).collect()
}

/// After a kill: old or new, whole; and one clean run makes everything right.
fn judge(scene: &Scene, host: &Host, point: &str) {
    let at = format!("{}, killed {point}", scene.name);
    let new = holds(host, scene.new, scene.old);
    let old = holds(host, scene.old, scene.new);
    assert!(new || old, "{at}: neither the old set nor the new");
    let told = || fs::read_to_string(host.at("told")).unwrap_or_default().lines().count();
    let want = wanted(host, 2, scene.new);
    let recover = || {
        host.try_deploy(&want).unwrap_or_else(|failure| panic!("{at}: {failure:?}"));
    };
    // Adopting in two halves is where a recovery could mix.
    if scene.name == ADOPT.name {
        let files = |files: &[(&'static str, &str)]| files[..2].iter().map(|(n, t)| (*n, env(t))).collect::<Vec<_>>();
        watched(host, &files(scene.old), &files(scene.new), false, recover);
    } else {
        recover();
    }
    assert!(holds(host, scene.new, scene.old), "{at}: not recovered");
    assert_tidy(host, &want);
    let before = usize::from(scene.name == CHANGE.name);
    assert!(told() > before && told() <= before + 2, "{at}: told {} times", told());
    assert!(!host.deploy(&want).changed(), "{at}: not at rest");
    found_only_in_sets(host);
}

/// For all points, on two threads.
pub fn for_all(points: Vec<Point>, check: impl Fn(&Point) + Sync) {
    let points = Mutex::new(points);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(point) = points.lock().unwrap().pop() else { return };
                    check(&point);
                }
            });
        }
    });
}

fn kill_everywhere(scene: &Scene) {
    if !is_root() {
        println!("skipped: a mount namespace takes root");
        return;
    }
    let wrappers = wrappers();
    let host = Host::new("dash");
    (scene.prepare)(&host);
    let calls = killed_push(&host, &wanted(&host, 2, scene.new), wrappers.path(), &("none 0".to_owned(), "never"));
    assert!(calls.len() > 30, "{calls:?}");
    assert_tidy(&host, &wanted(&host, 2, scene.new));
    let points = calls.into_iter().flat_map(|call| [(call.clone(), "before"), (call, "after")]).collect();
    for_all(points, |point| {
        let host = Host::new("dash");
        (scene.prepare)(&host);
        killed_push(&host, &wanted(&host, 2, scene.new), wrappers.path(), point);
        judge(scene, &host, &format!("{} {}", point.1, point.0));
    });
}

#[test]
fn at_every_step_of_a_change() {
    kill_everywhere(&CHANGE);
}

#[test]
fn at_every_step_of_a_first_push() {
    kill_everywhere(&FIRST);
}

#[test]
fn at_every_step_of_a_setup_over_plain_files() {
    kill_everywhere(&ADOPT);
}

/// A run that recovers is killed as well, here and there; the third makes it right.
#[test]
fn twice() {
    if !is_root() {
        println!("skipped: a mount namespace takes root");
        return;
    }
    let wrappers = wrappers();
    for (first, second) in [
        ("mv 1", "rm 1"),
        ("mv 5", "mv 3"),
        ("sync 2", "ln 1"),
        ("tar 1", "rm 1"),
        ("mv 8", "mv 2"),
        ("rm 1", "rm 2"),
        ("ln 1", "ln 1"),
        ("ln 1", "ln 2"),
        ("ln 1", "mv 1"),
    ] {
        for (one, two) in [("before", "after"), ("after", "before"), ("after", "after")] {
            let host = Host::new("dash");
            (CHANGE.prepare)(&host);
            killed_push(&host, &wanted(&host, 2, CHANGE.new), wrappers.path(), &(first.to_owned(), one));
            killed_push(&host, &wanted(&host, 2, CHANGE.new), wrappers.path(), &(second.to_owned(), two));
            judge(&CHANGE, &host, &format!("{one} {first}, then {two} {second}"));
        }
    }
}

/// What stands before the shell so that it is killed at its k-th call.
pub fn killing_at_fork(k: usize) -> Vec<OsString> {
    let calls = "fork,vfork,clone,clone3,rename,renameat,renameat2,link,linkat,unlink,unlinkat,rmdir,mkdir";
    let inject = format!("inject={calls}:signal=SIGKILL:when={k}");
    ["strace", "-qq", "-o", "/dev/null", "-e", &inject].map(OsString::from).to_vec()
}

/// The shell itself is traced, not its children, so this kills between steps under any shell.
fn kill_at_forks(shell: &str, stride: usize) {
    if !installed(shell) || !installed("strace") {
        return;
    }
    let mut killed = 0;
    for k in (1..400).step_by(stride) {
        let host = Host::new(shell);
        (CHANGE.prepare)(&host);
        let mut session = Session::start(host.command_through(&killing_at_fork(k)));
        let want = wanted(&host, 2, CHANGE.new);
        let facts = session.look(&[&want.set]);
        let pushed = facts.ok().and_then(|facts| session.push(&[want.plan(&facts).unwrap()]));
        session.end();
        judge(&CHANGE, &host, &format!("at fork {k} under {shell}"));
        if pushed.is_some() {
            break;
        }
        killed += 1;
    }
    assert!(killed * stride > 20, "{shell}: only {killed} points");
}

#[test]
fn between_steps_under_busybox() {
    kill_at_forks("busybox", 3);
}

#[test]
fn between_steps_under_mksh() {
    kill_at_forks("mksh", 7);
}

#[test]
fn between_steps_under_bash() {
    kill_at_forks("bash", 7);
}
