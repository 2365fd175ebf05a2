//! What a user would tell of a push, under every shell.

use crate::remote_shell::*;
use crate::state::*;
use distribute::words::{Mode, Phase};
use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

/// The same story for each shell.
macro_rules! under_every_shell {
    ($($story:ident),* $(,)?) => {
        mod dash { $(#[test] fn $story() { super::tell("dash", super::$story) })* }
        mod bash_posix { $(#[test] fn $story() { super::tell("bash", super::$story) })* }
        mod busybox { $(#[test] fn $story() { super::tell("busybox", super::$story) })* }
        mod mksh { $(#[test] fn $story() { super::tell("mksh", super::$story) })* }
        mod busybox_only { $(#[test] fn $story() { super::tell_in_chroot(super::$story) })* }
    };
}

under_every_shell!(
    first_push,
    unchanged_is_not_written,
    change_and_removal,
    raw_files_in_a_directory,
    setup_over_plain_files,
    setup_over_a_directory_and_a_foreign_link,
    hand_edits_are_kept,
    strangers_of_any_name_are_kept,
    owed_actions_are_paid,
    an_action_hangs,
    health_fails_and_the_old_set_is_back,
    health_fails_where_nothing_was_switched,
    old_sets_and_backups_go,
    hard_values,
);

fn tell(shell: &str, story: fn(&Host)) {
    if installed(shell) {
        story(&Host::new(shell));
    }
}

/// A host whose only userland is busybox.
fn tell_in_chroot(story: fn(&Host)) {
    match Host::busybox_only() {
        Some(host) => story(&host),
        None => println!("skipped: a chroot takes root and busybox"),
    }
}

fn first_push(host: &Host) {
    let want = Want::new(host, 1).file("aws.env", env("aws")).file("empty.env", "");
    let deployed = host.deploy(&want);
    assert_eq!(deployed.pushed.unwrap().switched, [format!("..{}", want.run)]);
    assert_tidy(host, &want);
    for (path, expected) in [
        ("", 0o700),
        ("secrets", 0o700),
        ("backups", 0o700),
        (".distribute", 0o700),
        ("vault-password", 0o600),
        ("backups/key.age", 0o600),
        ("secrets/..data/aws.env", 0o600),
    ] {
        let found = fs::metadata(host.root_at(path)).unwrap().mode() & 0o7777;
        assert_eq!(found, expected, "{path}: {found:o}");
    }
    assert_eq!(fs::read_link(host.root_at("secrets/aws.env")).unwrap(), Path::new("..data/aws.env"));
    assert_eq!(names(&host.root_at("backups")), [format!("{}.tar.gz.age", want.run), "key.age".to_owned()]);
    assert_eq!(fs::read_to_string(host.root_at(".distribute/generation")).unwrap(), format!("generation {BUNDLE} 1\n"));
}

fn unchanged_is_not_written(host: &Host) {
    let want = Want::new(host, 1).file("aws.env", env("aws")).file("tls/key.pem", env("tls"));
    host.deploy(&want);
    let before = snapshot(&host.root_at(""));
    let again = Want { run: run(2), ..want };
    assert!(!host.deploy(&again).changed());
    assert_eq!(snapshot(&host.root_at("")), before);
}

fn change_and_removal(host: &Host) {
    host.deploy(&Want::new(host, 1).file("aws.env", env("one")).file("gone.env", env("gone")));
    let second = Want::new(host, 2).file("aws.env", env("two")).file("new.env", env("new"));
    host.deploy(&second);
    assert_tidy(host, &second);
    let previous = fs::read_to_string(host.root_at(".distribute/previous")).unwrap();
    let previous = host.root_at("secrets").join(previous.trim().strip_prefix("previous ").unwrap());
    assert_eq!(fs::read(previous.join("aws.env")).unwrap(), env("one").into_bytes());
    assert_eq!(fs::read(previous.join("gone.env")).unwrap(), env("gone").into_bytes());
}

fn raw_files_in_a_directory(host: &Host) {
    let told = ["touch", &seen(host, "told")].map(str::to_owned);
    let told: Vec<&str> = told.iter().map(String::as_str).collect();
    let first = Want::new(host, 1).file("tls/cert.pem", env("cert")).file("tls/key.pem", env("key"));
    host.deploy(&first.action("tls", &told));
    assert_eq!(fs::read_link(host.root_at("secrets/tls")).unwrap(), Path::new("..data/tls"));
    assert_eq!(mode(&host.root_at("secrets/..data/tls")), 0o700);
    fs::remove_file(host.at("told")).unwrap();
    let second = Want::new(host, 2).file("tls/key.pem", env("key")).action("tls", &told);
    host.deploy(&second);
    assert_tidy(host, &second);
    assert!(host.secret("tls/cert.pem").is_none());
    assert!(host.at("told").exists(), "a service that lost a file is told");
}

/// A path of the test's directory as the host calls it.
fn seen(host: &Host, name: &str) -> String {
    host.root().as_str().strip_suffix("opt").unwrap().to_owned() + name
}

fn setup_over_plain_files(host: &Host) {
    let secrets = host.root_at("secrets");
    fs::create_dir_all(&secrets).unwrap();
    fs::set_permissions(host.root_at(""), fs::Permissions::from_mode(0o700)).unwrap();
    let old = [("aws.env", env("old aws")), ("api.env", env("old api"))];
    for (name, content) in &old {
        fs::write(secrets.join(name), content).unwrap();
    }
    fs::write(secrets.join("stray.txt"), "not ours\n").unwrap();
    let new = [("aws.env", env("new aws")), ("api.env", env("new api"))];
    let want = new.iter().fold(Want::new(host, 1), |want, (name, content)| want.file(name, content));
    watched(host, &old, &new, false, || {
        let deployed = host.deploy(&want);
        assert_eq!(deployed.transaction.kept.len(), 2);
    });
    let kept = secrets.join(format!("..kept-{}", want.run));
    for (name, content) in &old {
        assert_eq!(&fs::read_to_string(kept.join(name)).unwrap(), content);
    }
    assert_eq!(fs::read_to_string(secrets.join("stray.txt")).unwrap(), "not ours\n");
    assert!(!host.deploy(&want).changed());
}

fn setup_over_a_directory_and_a_foreign_link(host: &Host) {
    let secrets = host.root_at("secrets");
    fs::create_dir_all(secrets.join("tls")).unwrap();
    fs::write(secrets.join("tls/key.pem"), env("old key")).unwrap();
    fs::write(host.at("elsewhere"), "elsewhere\n").unwrap();
    symlink("../../elsewhere", secrets.join("aws.env")).unwrap();
    let want = Want::new(host, 1).file("aws.env", env("aws")).file("tls/key.pem", env("new key"));
    host.deploy(&want);
    let kept = secrets.join(format!("..kept-{}", want.run));
    assert_eq!(fs::read_to_string(kept.join("tls/key.pem")).unwrap(), env("old key"));
    assert_eq!(fs::read_link(kept.join("aws.env")).unwrap(), Path::new("../../elsewhere"));
    assert_eq!(fs::read_to_string(host.at("elsewhere")).unwrap(), "elsewhere\n", "nothing is written through a link");
    assert_tidy(host, &want);
}

fn hand_edits_are_kept(host: &Host) {
    let first = Want::new(host, 1).file("aws.env", env("aws")).file("api.env", env("api")).file("db.env", env("db"));
    host.deploy(&first);
    let secrets = host.root_at("secrets");
    fs::write(secrets.join("aws.env"), env("by hand")).unwrap();
    fs::remove_file(secrets.join("api.env")).unwrap();
    fs::write(secrets.join("api.env"), env("instead of the link")).unwrap();
    fs::write(secrets.join("..data/note"), "a stranger in the set\n").unwrap();
    let second = Want { run: run(2), ..first };
    let deployed = host.deploy(&second);
    assert_eq!(deployed.transaction.kept.len(), 3, "{:?}", deployed.transaction.kept);
    let kept = secrets.join(format!("..kept-{}", second.run));
    assert_eq!(fs::read_to_string(kept.join("set-aws.env")).unwrap(), env("by hand"));
    assert_eq!(fs::read_to_string(kept.join("api.env")).unwrap(), env("instead of the link"));
    assert_eq!(fs::read_to_string(kept.join("set-note")).unwrap(), "a stranger in the set\n");
    assert_tidy(host, &second);
    // What was kept stays kept when the set that it was in goes.
    host.deploy(&Want::new(host, 3).file("aws.env", env("three")));
    host.deploy(&Want::new(host, 4).file("aws.env", env("four")));
    assert_eq!(fs::read_to_string(kept.join("set-aws.env")).unwrap(), env("by hand"));
}

fn strangers_of_any_name_are_kept(host: &Host) {
    let secrets = host.root_at("secrets");
    host.deploy(&Want::new(host, 1).file("aws.env", env("one")));
    fs::write(secrets.join("..data/my notes"), "notes\n").unwrap();
    let second = Want::new(host, 2).file("aws.env", env("two"));
    host.deploy(&second);
    assert_eq!(fs::read_to_string(secrets.join(format!("..kept-{}/set-my notes", second.run))).unwrap(), "notes\n");
    fs::write(secrets.join("..data/it's a\nname"), "odd\n").unwrap();
    let third = Want::new(host, 3).file("aws.env", env("three"));
    host.deploy(&third);
    let kept = secrets.join(format!("..kept-{}/set", third.run));
    assert_eq!(fs::read_to_string(kept.join("it's a\nname")).unwrap(), "odd\n");
    assert_eq!(fs::read_to_string(kept.join("aws.env")).unwrap(), env("two"));
    for generation in 4..7 {
        let want = Want::new(host, generation).file("aws.env", env(&generation.to_string()));
        host.deploy(&want);
        assert_tidy(host, &want);
    }
    assert!(kept.join("it's a\nname").exists());
}

fn owed_actions_are_paid(host: &Host) {
    let (gate, told) = (seen(host, "gate"), seen(host, "told"));
    let script = format!("test -e {gate} || {{ echo 'no gate here'; exit 3; }}; echo x >>{told}");
    let want = Want::new(host, 1).file("api.env", env("api")).action("api", &["sh", "-c", &script]);
    let failure = host.try_deploy(&want).unwrap_err();
    assert_eq!(failure.phase, Phase::Action);
    assert!(failure.message.contains("`api` failed with status 3: no gate here"), "{failure:?}");
    assert_eq!(host.secret("api.env").unwrap(), env("api").into_bytes(), "the new set is live");
    assert_eq!(fs::read_to_string(host.root_at(".distribute/owed")).unwrap(), "owed api\n");
    fs::write(host.at("gate"), "").unwrap();
    let again = Want { run: run(2), ..want };
    let live = fs::read_link(host.root_at("secrets/..data")).unwrap();
    assert!(host.deploy(&again).changed());
    assert_eq!(fs::read_to_string(host.at("told")).unwrap(), "x\n");
    assert_eq!(fs::read_link(host.root_at("secrets/..data")).unwrap(), live, "no new set for an owed action");
    assert!(!host.deploy(&again).changed());
    assert_tidy(host, &again);
}

fn an_action_hangs(host: &Host) {
    let want = Want::new(host, 1).file("api.env", env("api")).action("api", &["sleep", "86400"]);
    let mut session = host.start();
    let facts = session.look(&[&want.set]).unwrap();
    let mut transaction = want.plan(&facts).unwrap();
    for step in &mut transaction.steps {
        if let distribute::plan::Step::Action { seconds, .. } = step {
            *seconds = 1;
        }
    }
    let pushed = session.push(&[transaction]).unwrap();
    session.end();
    assert!(pushed.failures[0].message.contains("was stopped at its deadline"), "{:?}", pushed.failures);
    assert!(host.root_at(".distribute/owed").exists() && !host.root_at(".distribute/lock").exists());
}

fn health_fails_and_the_old_set_is_back(host: &Host) {
    let (sick, told) = (seen(host, "sick"), seen(host, "told"));
    let action = format!("cat {0}/secrets/api.env >/dev/null && echo x >>{told}", host.root());
    let probe = format!("test ! -e {sick} || {{ echo very sick; exit 7; }}");
    let service = |want: Want| want.action("api", &["sh", "-c", &action]).health("api", &["sh", "-c", &probe], 1);
    let first = service(Want::new(host, 1).file("api.env", env("one")).file("db.env", env("one")));
    host.deploy(&first);
    fs::write(host.at("sick"), "").unwrap();
    let second = service(Want::new(host, 2).file("api.env", env("two")).file("db.env", env("two")));
    let failure = host.try_deploy(&second).unwrap_err();
    assert_eq!(failure.phase, Phase::Health);
    assert!(failure.message.contains("very sick"), "{failure:?}");
    assert!(failure.message.contains("switched back: the old set is live again"), "{failure:?}");
    assert_eq!(fs::read_to_string(host.at("told")).unwrap(), "x\nx\nx\n", "told of the new set and of the old one");
    for name in ["api.env", "db.env"] {
        assert_eq!(host.secret(name).unwrap(), env("one").into_bytes());
    }
    assert!(!host.root_at("secrets").join(format!("..{}", second.run)).exists());
    assert!(!host.root_at(".distribute/lock").exists());
    fs::remove_file(host.at("sick")).unwrap();
    let third = Want { run: run(2), ..second };
    host.deploy(&third);
    assert_tidy(host, &third);
}

fn health_fails_where_nothing_was_switched(host: &Host) {
    let gate = seen(host, "gate");
    let want = Want::new(host, 1).file("api.env", env("api")).action("api", &["test", "-e", &gate]);
    host.try_deploy(&want).unwrap_err();
    fs::write(host.at("gate"), "").unwrap();
    let again = want.health("api", &["false"], 1);
    let failure = host.try_deploy(&again).unwrap_err();
    assert_eq!(failure.phase, Phase::Health);
    assert!(failure.message.contains("this run switched nothing"), "{failure:?}");
    assert_eq!(host.secret("api.env").unwrap(), env("api").into_bytes());
    assert!(!host.root_at(".distribute/lock").exists());
}

fn old_sets_and_backups_go(host: &Host) {
    let mut last = None;
    for generation in 1..=5 {
        let mut want = Want::new(host, generation).file("aws.env", env(&generation.to_string()));
        want.set.keep = 2;
        host.deploy(&want);
        last = Some(want);
    }
    let mut last = last.unwrap();
    assert_tidy(host, &last);
    assert_eq!(names(&host.root_at("backups")).len(), 3, "two and the key");
    assert!(names(&host.root_at("backups")).contains(&format!("{}.tar.gz.age", last.run)));
    // Fewer are wanted: that is done without a new set.
    last.set.keep = 1;
    assert!(host.deploy(&last).changed());
    assert_eq!(names(&host.root_at("backups")), [format!("{}.tar.gz.age", last.run), "key.age".to_owned()]);
}

fn hard_values(host: &Host) {
    let every: Vec<u8> = (1..=255).cycle().take(255 * 3).collect();
    let large: Vec<u8> = (0..1 << 20).map(|i: u32| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
    let trailer = format!("x\nEND 0000000000000042 {}\n", "a".repeat(64));
    let mut want = Want::new(host, 1)
        .file("every.env", &every)
        .file("large/blob", &large)
        .file("trailer.env", &trailer)
        .file("empty.env", "")
        .file("no-newline.env", "x")
        .file("tar.env", "0/plan\0sums");
    for file in &mut want.set.files {
        if file.path == "every.env" {
            file.mode = Mode::new(0o640);
        }
    }
    host.deploy(&want);
    assert_tidy(host, &want);
    assert_eq!(mode(&host.root_at("secrets/..data/every.env")), 0o640);
    assert!(!host.deploy(&want).changed());
}

/// Shells that a login might have; they only hand our command to `sh`.
#[test]
fn any_login_shell_runs_it() {
    let dash = ["/usr/bin/dash", "-c"];
    let logins: [&[&str]; 8] = [
        &dash,
        &["bash", "-c"],
        &["bash", "--restricted", "-c"],
        &["mksh", "-c"],
        &["csh", "-c"],
        &["tcsh", "-c"],
        &["fish", "-c"],
        &["zsh", "-c"],
    ];
    for login in logins {
        if !installed(login[0].rsplit('/').next().unwrap()) {
            continue;
        }
        let host = Host::new("dash").with_login(login);
        if login.contains(&"--restricted") {
            // `exec` is not for restricted shells: that is told, not silence.
            let want = Want::new(&host, 1).file("aws.env", env("aws"));
            let failure = host.try_deploy(&want).unwrap_err();
            assert!(failure.message.contains("restricted"), "{failure:?}");
            continue;
        }
        first_push(&host);
    }
}

#[test]
fn five_hundred_files() {
    let host = Host::new("dash");
    let want = (0..500).fold(Want::new(&host, 1), |want, n| want.file(&format!("s{n}.env"), env(&n.to_string())));
    host.deploy(&want);
    assert_tidy(&host, &want);
    assert!(!host.deploy(&want).changed());
}

/// Readers see the old set or the new one through many changes, also over hand edits.
#[test]
fn readers_never_see_a_mix() {
    let host = Host::new("dash");
    let set = |tag: usize| ["a.env", "b.env", "c/d"].map(|name| (name, env(&format!("{name} {tag}"))));
    let want = |tag: usize| {
        let files = set(tag);
        files.iter().fold(Want::new(&host, tag as u64 + 1), |want, (name, content)| want.file(name, content))
    };
    host.deploy(&want(0));
    for tag in 1..15 {
        watched(&host, &set(tag - 1), &set(tag), false, || _ = host.deploy(&want(tag)));
    }
}
