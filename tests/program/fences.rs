//! An older generation, another bundle and a set that somebody changed meanwhile are refused: by the plan, and by the program itself.

use crate::remote_shell::*;
use crate::state::{assert_tidy, env};
use crate::strange::SHELLS;
use distribute::words::Phase;
use std::fs;

#[test]
fn an_older_generation_or_another_bundle_is_refused() {
    let host = Host::new("dash");
    let five = Want::new(&host, 5).file("aws.env", env("five"));
    host.deploy(&five);
    let four = Want::new(&host, 4).file("aws.env", env("four"));
    let failure = host.try_deploy(&four).unwrap_err();
    assert_eq!(failure.phase, Phase::Enrolment);
    assert!(failure.message.contains("has seen generation 5, and this bundle is only at 4"));
    let mut other = Want::new(&host, 6).file("aws.env", env("six"));
    other.bundle = "0ther".to_owned();
    assert!(host.try_deploy(&other).unwrap_err().message.contains("another bundle"));
    assert_tidy(&host, &five);
    other.any_bundle = true;
    host.deploy(&other);
    assert_tidy(&host, &other);
}

/// The program looks again under its lock, and refuses by itself.
#[test]
fn the_fence_stands_on_the_host_too() {
    for shell in SHELLS.into_iter().filter(|shell| installed(shell)) {
        let host = Host::new(shell);
        let plan_late = |late: &Want, between: &dyn Fn()| {
            let mut session = host.start();
            let plan = late.plan(&session.look(&[&late.set]).unwrap()).unwrap();
            between();
            let pushed = session.push(&[plan]).unwrap();
            session.end();
            pushed.failures.first().cloned().expect("a refusal")
        };
        host.deploy(&Want::new(&host, 1).file("aws.env", env("one")));
        let (two, three) =
            (Want::new(&host, 2).file("aws.env", env("2")), Want::new(&host, 3).file("aws.env", env("3")));
        let failure = plan_late(&two, &|| _ = host.deploy(&three));
        assert_eq!(failure.phase, Phase::Enrolment, "{shell}");
        assert!(failure.message.contains("this host has seen generation 3, and this bundle is at 2"), "{failure:?}");
        let (a, b) = (Want::new(&host, 3).file("aws.env", env("a")), Want::new(&host, 3).file("aws.env", env("b")));
        let failure = plan_late(&a, &|| _ = host.deploy(&b));
        assert_eq!(failure.phase, Phase::Lock, "{shell}");
        assert!(failure.message.contains("another run changed"), "{failure:?}");
        assert_tidy(&host, &b);
        let late = Want::new(&host, 9).file("aws.env", env("late"));
        let failure = plan_late(&late, &|| {
            fs::write(host.root_at(".distribute/generation"), "generation 0ther 1\n").unwrap();
        });
        assert!(failure.message.contains("another bundle"), "{failure:?}");
        fs::write(host.root_at(".distribute/generation"), format!("generation {BUNDLE} 3\n")).unwrap();
        for garbage in ["$(id)", "x * y", "", "99999999999999999999999999"] {
            let failure = plan_late(&late, &|| {
                fs::write(host.root_at(".distribute/generation"), format!("generation {BUNDLE} {garbage}\n")).unwrap();
            });
            assert_eq!(failure.phase, Phase::Enrolment, "{shell}: {garbage}: {failure:?}");
            fs::write(host.root_at(".distribute/generation"), format!("generation {BUNDLE} 3\n")).unwrap();
        }
        assert!(!host.root_at(".distribute/lock").exists());
    }
}
