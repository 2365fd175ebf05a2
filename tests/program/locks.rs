//! One writer at a time; a lock is taken over only on proof that its holder is dead.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env};
use distribute::words::{Failure, Phase};
use std::fs;
use std::process::Command;

fn boot_id() -> String {
    fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap().trim().to_owned()
}

fn start_time(pid: u32) -> String {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap();
    stat.rsplit_once(") ").unwrap().1.split(' ').nth(19).unwrap().to_owned()
}

/// A pushed host with this in its lock file, and what a next push comes to.
fn push_against(shell: &str, record: &str) -> (Host, Want, Result<Deployed, Failure>) {
    let host = Host::new(shell);
    host.deploy(&Want::new(&host, 1).file("aws.env", env("one")));
    fs::write(host.root_at(".distribute/lock"), record).unwrap();
    let want = Want::new(&host, 2).file("aws.env", env("two"));
    let result = host.try_deploy(&want);
    (host, want, result)
}

fn taken_over(shell: &str, record: &str) {
    let (host, want, result) = push_against(shell, record);
    result.unwrap_or_else(|failure| panic!("{shell}: {record:?}: {failure:?}"));
    assert_tidy(&host, &want);
}

fn refused(shell: &str, record: &str) {
    let (host, _, result) = push_against(shell, record);
    assert_eq!(result.expect_err(record).phase, Phase::Lock);
    assert_eq!(host.secret("aws.env").unwrap(), env("one").into_bytes());
    assert_eq!(fs::read_to_string(host.root_at(".distribute/lock")).unwrap(), record, "left as it was");
}

#[test]
fn the_dead_are_followed() {
    let mut gone = Command::new("true").spawn().unwrap();
    let dead = gone.id();
    gone.wait().unwrap();
    let (boot, own) = (boot_id(), std::process::id());
    for shell in ["dash", "bash", "busybox", "mksh"].into_iter().filter(|shell| installed(shell)) {
        taken_over(shell, &format!("{boot} {dead} 12345 2026-11-21T02:00:00Z ann@desk\n"));
        taken_over(shell, &format!("{boot} {own} 1 2026-11-21T02:00:00Z ann@desk\n"));
        taken_over(shell, &format!("00000000-other-boot {own} {} 2026-11-21T02:00:00Z ann@desk\n", start_time(own)));
        taken_over(shell, "");
    }
}

#[test]
fn a_zombie_is_dead() {
    let mut zombie = Command::new("true").spawn().unwrap();
    let id = zombie.id();
    let is_zombie = || fs::read_to_string(format!("/proc/{id}/stat")).unwrap().contains(") Z ");
    while !is_zombie() {
        std::thread::yield_now();
    }
    taken_over("dash", &format!("{} {id} {} 2026-11-21T02:00:00Z ann@desk\n", boot_id(), start_time(id)));
    zombie.wait().unwrap();
}

#[test]
fn the_living_are_waited_for() {
    let own = std::process::id();
    let (boot, start) = (boot_id(), start_time(own));
    for shell in ["dash", "bash", "busybox", "mksh"].into_iter().filter(|shell| installed(shell)) {
        refused(shell, &format!("{boot} {own} {start} 2026-11-21T02:00:00Z ann@desk\n"));
        refused(shell, "none 0 0 2026-11-21T02:00:00Z ann@desk\n");
        refused(shell, "garbage\n");
        refused(shell, "* ; $(id) \u{1b}[31m\n");
        refused(shell, "three words only\n");
        refused(shell, "four words of nonsense\n");
    }
    let (_, _, result) = push_against("dash", &format!("{boot} {own} {start} 2026-11-21T02:00:00Z ann@desk\n"));
    let failure = result.unwrap_err();
    assert_eq!(failure.message, "another run is at work here: ann@desk, since 2026-11-21T02:00:00Z");
}

/// The second comes while the first receives: it is told by whom and since when, and the first goes on.
#[test]
fn the_second_of_two_pushes_is_told_of_the_first() {
    for shell in ["dash", "bash", "busybox", "mksh"].into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        let (first, second) =
            (Want::new(&host, 1).file("a.env", env("1")), Want::new(&host, 1).file("a.env", env("2")));
        let (mut one, mut two) = (host.start(), host.start());
        let plan = first.plan(&one.look(&[&first.set]).unwrap()).unwrap();
        let other = second.plan(&two.look(&[&second.set]).unwrap()).unwrap();
        one.announce();
        while !host.root_at(".distribute/lock").exists() {
            std::thread::yield_now();
        }
        let pushed = two.push(&[other]).unwrap();
        assert_eq!(pushed.failures[0].phase, Phase::Lock);
        assert_eq!(pushed.failures[0].message, "another run is at work here: tester@desk, since 2026-11-21T02:00:00Z");
        two.end();
        let failure = host.try_deploy(&second).unwrap_err();
        assert_eq!(failure.phase, Phase::Lock, "seen in the first frame");
        one.send(&distribute::remote::payload(&[plan]).unwrap());
        one.stdin = None;
        let pushed = distribute::remote::push(&one.nonce.clone(), &one.frame().unwrap());
        assert!(pushed.failures.is_empty(), "{:?}", pushed.failures);
        one.end();
        assert_tidy(&host, &first);
    }
}

/// Several that see the same dead holder at once, over and over: never two at work. Each that goes on says so in its action.
#[test]
fn of_many_that_follow_one_dead_holder_one_goes_on() {
    let host = Host::new("dash");
    host.deploy(&Want::new(&host, 1).file("api.env", env("start")));
    for round in 0..25_u64 {
        let record = format!("{} 4194305 {round} 2026-11-21T02:00:00Z dead@desk\n", boot_id());
        fs::write(host.root_at(".distribute/lock"), record).unwrap();
        let inside = host.at("inside");
        let script =
            format!("mkdir {0} || echo both >>{1}; sleep 0.01; rmdir {0}", inside.display(), host.at("both").display());
        let wants: Vec<_> = (0..4)
            .map(|n| {
                Want::new(&host, round + 2)
                    .file("api.env", env(&format!("{round} {n}")))
                    .action("api", &["dash", "-c", &script])
            })
            .collect();
        let mut sessions: Vec<_> = wants.iter().map(|_| host.start()).collect();
        let plans: Vec<_> = sessions
            .iter_mut()
            .zip(&wants)
            .map(|(session, want)| want.plan(&session.look(&[&want.set]).unwrap()).unwrap())
            .collect();
        // All are announced before any payload goes: whoever has the lock keeps it until its payload comes.
        sessions.iter_mut().for_each(Session::announce);
        let mut won = 0;
        let pushed: Vec<_> = std::thread::scope(|scope| {
            let tasks: Vec<_> = sessions
                .iter_mut()
                .zip(plans)
                .map(|(session, plan)| {
                    scope.spawn(move || {
                        session.send(&distribute::remote::payload(&[plan]).unwrap());
                        session.stdin = None;
                        let pushed = distribute::remote::push(&session.nonce.clone(), &session.frame().unwrap());
                        session.end();
                        pushed
                    })
                })
                .collect();
            tasks.into_iter().map(|task| task.join().unwrap()).collect()
        });
        for pushed in &pushed {
            match pushed.failures.first() {
                None => won += 1,
                Some(failure) => assert_eq!(failure.phase, Phase::Lock, "{failure:?}"),
            }
        }
        assert!(won <= 1, "{won} pushes against the same live set");
        assert!(!host.at("both").exists(), "two were at work at once");
        assert!(!host.root_at(".distribute/lock").exists(), "a lock is left");
        let last = Want { run: run(round + 2), ..wants[0].clone() };
        host.deploy(&last);
        assert_tidy(&host, &last);
    }
}
