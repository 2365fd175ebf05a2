//! A restore that is killed before and after each of its steps, under every shell: the host has what was live or what is brought back,
//! whole; the same restore goes through then, and so does a deploy.

use crate::kills::{self, Point, for_all, holds, killed_at, killing_at_fork, wrappers};
use crate::remote_shell::*;
use crate::state::{assert_tidy, env, found_only_in_sets};
use distribute::plan::backup::{Backup, Which, Why};
use distribute::plan::restore::{Restore, Source, is_sealed_as_it_is};
use distribute::plan::{HostFacts, Transaction};
use distribute::words::Failure;
use std::fs;

type Files = &'static [(&'static str, &'static str)];

const OLD: Files = &[("api.env", "old"), ("db.env", "same"), ("tls/key", "old")];
const NEW: Files =
    &[("api.env", "new"), ("db.env", "same"), ("fresh.env", "new"), ("tls/key", "new"), ("tls/more", "new")];
const HAND: &str = "HAND=1\n";

/// The same host goes through many restores, and each leaves a sealed copy: none of them pushes out the first.
fn wanted(host: &Host, generation: u64, files: Files) -> Want {
    let mut want = kills::wanted(host, generation, files);
    want.set.keep = 100;
    want
}

/// How the old set is there, and what is live.
#[derive(Clone, Copy, PartialEq)]
enum Scene {
    /// It lies beside the live one.
    Set,
    /// Only as a sealed copy.
    Copy,
    /// It lies there, and somebody edited what is live.
    Edited,
}

impl Scene {
    fn prepare(self, host: &Host) {
        host.deploy(&wanted(host, 1, OLD));
        if self == Self::Copy {
            host.deploy(&wanted(host, 2, &[("api.env", "between")]));
        }
        host.deploy(&wanted(host, 3, NEW));
        if self == Self::Edited {
            let path = host.root_at("secrets/..data/api.env");
            fs::write(path, env("new") + HAND).unwrap();
        }
    }

    fn is_new(self, host: &Host) -> bool {
        match self {
            Self::Edited => {
                host.secret("api.env") == Some((env("new") + HAND).into_bytes()) && holds(host, &NEW[1..], &[])
            }
            Self::Set | Self::Copy => holds(host, NEW, OLD),
        }
    }
}

/// The plan that brings the first generation back.
fn plan_back(host: &Host, want: &Want, facts: &HostFacts) -> Result<Transaction, Failure> {
    let root = &facts.roots[0];
    let first = root.receipts.keys().find(|run| run.generation() == 1).expect("its receipt").clone();
    let restore = Restore { which: Which::Run(first), services: Vec::new() };
    want.with_purpose(|purpose| {
        let present = Backup::of_set(&want.set, &want.run.just_before(), Why::Replaced, BUNDLE);
        let replaced = (!is_sealed_as_it_is(&want.set, root, purpose)).then_some(&present);
        match restore.choose(&want.set, root, purpose)? {
            Source::Live(_) => Ok(Transaction::default()),
            Source::Nothing(failure) => Err(failure),
            Source::Set(name) => {
                let back = Restore::of_set(&want.set, root, &name);
                Transaction::restore(&back, root, facts.uid, purpose, Some(&name), replaced)
            }
            Source::Copy(_) => {
                let back = wanted(host, 3, OLD).set;
                Transaction::restore(&back, root, facts.uid, purpose, None, replaced)
            }
        }
    })
}

/// A restore; `None` if it did not come to an end, and `false` if there was nothing to do.
fn put_back(host: &Host, session: &mut Session) -> Option<bool> {
    let want = wanted(host, 3, NEW);
    let facts = session.look_at_backups(&[&want.set]).ok()?;
    let transaction = plan_back(host, &want, &facts).unwrap_or_else(|failure| panic!("{failure:?}"));
    if transaction.is_empty() {
        return Some(false);
    }
    let pushed = session.push(&[transaction])?;
    assert_eq!(pushed.failures.first(), None);
    Some(true)
}

fn put_back_whole(host: &Host) -> bool {
    let mut session = host.start();
    let done = put_back(host, &mut session).expect("an answer");
    session.end();
    done
}

/// After a kill: new or old, whole; the restore made again, and a deploy, make everything right.
fn judge(scene: Scene, host: &Host, point: &str) {
    let (new, old) = (scene.is_new(host), holds(host, OLD, NEW));
    assert!(new || old, "{point}: neither what was live nor what is brought back");
    let is_kept = || {
        let edit = env("new") + HAND;
        let all = walkdir::WalkDir::new(host.root_at("secrets")).into_iter().map(Result::unwrap);
        all.filter(|entry| entry.file_type().is_file()).any(|entry| fs::read(entry.path()).unwrap() == edit.as_bytes())
    };
    assert!(scene != Scene::Edited || is_kept(), "{point}: the edit is lost");
    put_back_whole(host);
    assert!(holds(host, OLD, NEW), "{point}: not brought back");
    assert!(scene != Scene::Edited || is_kept(), "{point}: the edit is lost by the second");
    assert!(!put_back_whole(host), "{point}: not at rest");
    found_only_in_sets(host);
    let want = wanted(host, 3, NEW);
    host.try_deploy(&want).unwrap_or_else(|failure| panic!("{point}: {failure:?}"));
    assert_tidy(host, &want);
    assert!(!host.deploy(&want).changed(), "{point}: not at rest");
}

fn kill_everywhere(scene: Scene) {
    if !is_root() {
        println!("skipped: a mount namespace takes root");
        return;
    }
    let wrappers = wrappers();
    let killed =
        |host: &Host, point: &Point| killed_at(host, wrappers.path(), point, |session| _ = put_back(host, session));
    let host = Host::new("dash");
    scene.prepare(&host);
    let calls = killed(&host, &("none 0".to_owned(), "never"));
    assert!(calls.len() > 25 && holds(&host, OLD, NEW), "{calls:?}");
    // A copy is pushed like any set, which has its own story.
    let stride = if scene == Scene::Copy { 3 } else { 1 };
    let points =
        calls.into_iter().step_by(stride).flat_map(|call| [(call.clone(), "before"), (call, "after")]).collect();
    for_all(points, |point| {
        let host = Host::new("dash");
        scene.prepare(&host);
        killed(&host, point);
        judge(scene, &host, &format!("killed {} {}", point.1, point.0));
    });
}

#[test]
fn at_every_step_of_a_rename() {
    kill_everywhere(Scene::Set);
}

#[test]
fn at_every_step_of_a_copy() {
    kill_everywhere(Scene::Copy);
}

#[test]
fn at_every_step_over_an_edit() {
    kill_everywhere(Scene::Edited);
}

fn kill_at_forks(shell: &str, stride: usize) {
    if !installed(shell) || !installed("strace") {
        return;
    }
    for scene in [Scene::Set, Scene::Copy, Scene::Edited] {
        let mut killed = 0;
        for k in (1..400).step_by(stride) {
            let host = Host::new(shell);
            scene.prepare(&host);
            let mut session = Session::start(host.command_through(&killing_at_fork(k)));
            let done = put_back(&host, &mut session);
            session.end();
            judge(scene, &host, &format!("at fork {k} under {shell}"));
            if done.is_some() {
                break;
            }
            killed += 1;
        }
        assert!(killed * stride > 15, "{shell}: only {killed} points");
    }
}

#[test]
fn between_steps_under_busybox() {
    kill_at_forks("busybox", 5);
}

#[test]
fn between_steps_under_mksh() {
    kill_at_forks("mksh", 11);
}

#[test]
fn between_steps_under_bash() {
    kill_at_forks("bash", 11);
}
