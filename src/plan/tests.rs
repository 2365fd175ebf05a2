//! Plans compared as text: what a play wants, what a host says is there, and the steps between.

use super::*;
use crate::dialect::Dialect;
use crate::playbook::{Access, Format};
use crate::words::{Failure, Mode, Phase, RemotePath, RunId, Secret, ServiceName};

const RUN: &str = "7-20261121T020000Z-7f3a";
pub(super) const LIVE: &str = "..6-20261114T020000Z-19c0";

pub(super) fn want(files: &[(&str, &str)]) -> DesiredSet {
    let access = Access::default();
    let file = |(path, content): &(&str, &str)| DesiredFile {
        path: (*path).to_owned(),
        service: service(path),
        format: if path.contains('/') { Format::Raw } else { Format::In(Dialect::Docker) },
        manifest: None,
        origin: Default::default(),
        content: Secret::new(content.as_bytes()),
        sha256: desired::sha256(content.as_bytes()),
        keys: Vec::new(),
        values: Vec::new(),
        mode: access.mode,
        owner: access.owner.clone(),
        group: access.group.clone(),
    };
    DesiredSet {
        host: "web1".parse().unwrap(),
        play: "app".parse().unwrap(),
        root: RemotePath::new("/opt/app").unwrap(),
        keep: 2,
        services: Vec::new(),
        files: files.iter().map(file).collect(),
        access,
        vault_password: Secret::new(*b"host"),
        key_age: Secret::new(*b"key"),
        former: ["former-key-hash".to_owned()].into(),
    }
}

/// Of a backup as that run sealed it.
fn receipt(run: &str) -> backup::Receipt {
    let (run, bundle) = (run.parse().unwrap(), "bundle".to_owned());
    let (why, sha256, mac) = (backup::Why::Deploy, desired::sha256(b"sealed"), String::new());
    backup::Receipt { run, why, size: 6, sha256, bundle, recipients: Vec::new(), mac }
}

fn service(path: &str) -> ServiceName {
    path.split(['.', '/']).next().unwrap().parse().unwrap()
}

pub(super) fn stat(kind: Kind, mode: u32) -> Stat {
    let root = || "root".to_owned();
    let mode = Mode::new(mode);
    Stat { kind, mode, uid: 0, gid: 0, user: root(), group: root(), links: 1, size: 1, modified: 0, target: None }
}

pub(super) fn link(target: &str) -> Stat {
    Stat { target: Some(target.to_owned()), ..stat(Kind::Link, 0o777) }
}

/// A root where nothing is yet.
fn bare() -> RootFacts {
    let mut facts = RootFacts::default();
    facts.entries.insert("/".to_owned(), stat(Kind::Directory, 0o755));
    facts.entries.insert("/opt".to_owned(), stat(Kind::Directory, 0o755));
    facts
}

/// A root that holds just what is wanted, as generation 6.
pub(super) fn right(want: &DesiredSet) -> RootFacts {
    let mut facts = bare();
    for directory in ["/opt/app", "secrets", "backups", ".distribute"] {
        facts.entries.insert(directory.to_owned(), stat(Kind::Directory, 0o700));
    }
    facts.entries.insert("secrets/..data".to_owned(), link(LIVE));
    facts.entries.insert(format!("secrets/{LIVE}"), stat(Kind::Directory, 0o700));
    for file in &want.files {
        facts.entries.insert(format!("secrets/{LIVE}/{}", file.path), stat(Kind::File, 0o600));
        facts.entries.insert(format!("secrets/{}", file.link_name()), link(&format!("..data/{}", file.link_name())));
        facts.hashes.insert(format!("secrets/{LIVE}/{}", file.path), file.sha256.clone());
        facts.manifest.files.insert(file.path.clone(), format!("mac-{}", file.sha256));
    }
    for (path, content) in [("vault-password", "host"), ("backups/key.age", "key")] {
        facts.entries.insert(path.to_owned(), stat(Kind::File, 0o600));
        facts.hashes.insert(path.to_owned(), desired::sha256(content.as_bytes()));
    }
    facts.entries.insert(format!("backups/{}.tar.gz.age", &LIVE[2..]), stat(Kind::File, 0o600));
    let receipt = receipt(&LIVE[2..]);
    facts.entries.insert(format!(".distribute/receipt.{}", receipt.run), stat(Kind::File, 0o600));
    facts.receipts.insert(receipt.run.clone(), receipt);
    facts.live = Some(LIVE.to_owned());
    facts.generation = Some(("bundle".to_owned(), 6));
    facts
}

fn plan(want: &DesiredSet, facts: &RootFacts) -> Result<Transaction, Failure> {
    let run: RunId = RUN.parse().unwrap();
    let purpose = Purpose {
        run: &run,
        bundle_id: "bundle",
        generation: 7,
        any_bundle: false,
        is_way_back: false,
        heeds_lock: true,
        mac: &|bytes| format!("mac-{}", String::from_utf8_lossy(bytes)),
        why: backup::Why::Deploy,
        recipients: &[],
        seal: &|_| Ok(b"sealed".to_vec()),
    };
    Transaction::new(want, facts, 0, &purpose)
}

/// The verbs of the steps, and what they are about in short.
fn verbs(transaction: &Transaction) -> Vec<String> {
    let verb = |step: &Step| match step {
        Step::Phase(phase) => format!("phase {phase}"),
        Step::Fence { generation, .. } => format!("fence {generation}"),
        Step::Expect(live) => format!("expect {}", live.as_deref().unwrap_or("-")),
        Step::Directory { path, mode, .. } => format!("dir {path} {mode}"),
        Step::Mend { directory, names, mode, owner } => {
            let mode = mode.map(|mode| mode.to_string()).unwrap_or_default();
            format!("mend {directory} {mode} {} {}", owner.as_deref().unwrap_or_default(), names.join(" "))
        }
        Step::Age { like, paths } => format!("age {like} {}", paths.join(" ")),
        Step::Own { paths, mode, .. } => format!("own {mode} {}", paths.join(" ")),
        Step::Sync(_) => "sync".to_owned(),
        Step::Flush(_) => "flush".to_owned(),
        Step::Put { path, .. } => format!("put {path}"),
        Step::Set(name) => format!("set {name}"),
        Step::Return { set, .. } => format!("return {set}"),
        Step::Keep { path, kept } => format!("keep {path} {kept}"),
        Step::Move { path, kept } => format!("move {path} {kept}"),
        Step::Link(names) => format!("link {}", names.join(" ")),
        Step::Switch => "switch".to_owned(),
        Step::Act => "act".to_owned(),
        Step::CheckHealth { switches_back } => if *switches_back { "health" } else { "probe" }.to_owned(),
        Step::Remove(paths) => format!("remove {}", paths.join(" ")),
        Step::Action { services, .. } => format!("action {services:?}"),
        Step::Health { service, .. } => format!("check {service}"),
    };
    transaction.steps.iter().map(verb).collect()
}

#[test]
fn a_host_that_is_right_is_left_alone() {
    let want = want(&[("aws.env", "A=1"), ("tls/cert.pem", "C")]);
    let mut facts = right(&want);
    facts.entries.insert(format!("secrets/{LIVE}/tls"), stat(Kind::Directory, 0o700));
    let transaction = plan(&want, &facts).unwrap();
    assert_eq!(verbs(&transaction), Vec::<String>::new());
    assert!(transaction.files.iter().all(|file| file.change == Change::None) && transaction.findings.is_empty());
}

#[test]
fn a_first_push_makes_everything_and_switches_last() {
    let transaction = plan(&want(&[("aws.env", "A=1")]), &bare()).unwrap();
    let expected = [
        "phase stage",
        "fence 7",
        "expect -",
        "dir secrets 0700",
        "dir backups 0700",
        "dir .distribute 0700",
        "own 0600 set/aws.env",
        "own 0700 set",
        "sync",
        "phase switch",
        "put vault-password",
        "put backups/key.age",
        "put .distribute/manifest...7-20261121T020000Z-7f3a",
        "put .distribute/receipt.7-20261121T020000Z-7f3a",
        "put backups/7-20261121T020000Z-7f3a.tar.gz.age",
        "put .distribute/generation",
        "set ..7-20261121T020000Z-7f3a",
        "link aws.env",
        "flush",
        "switch",
    ];
    assert_eq!(verbs(&transaction), expected);
}

#[test]
fn a_change_keeps_the_set_before_and_removes_the_one_before_that() {
    let old = want(&[("aws.env", "A=1"), ("gone.env", "G=1")]);
    let mut facts = right(&old);
    facts.previous = Some("..5-20261107T020000Z-0001".to_owned());
    for name in ["..5-20261107T020000Z-0001", "..6-20261114T030000Z-dead"] {
        facts.entries.insert(format!("secrets/{name}"), stat(Kind::Directory, 0o700));
    }
    for run in ["4-20261101T020000Z-0001", "5-20261107T020000Z-0001"] {
        facts.entries.insert(format!("backups/{run}.tar.gz.age"), stat(Kind::File, 0o600));
    }
    let transaction = plan(&want(&[("aws.env", "A=2")]), &facts).unwrap();
    let verbs = verbs(&transaction);
    assert!(verbs.contains(&"remove secrets/..6-20261114T030000Z-dead".to_owned()), "{verbs:?}");
    let last = "remove secrets/gone.env secrets/..5-20261107T020000Z-0001 \
        .distribute/manifest...5-20261107T020000Z-0001 backups/4-20261101T020000Z-0001.tar.gz.age \
        backups/5-20261107T020000Z-0001.tar.gz.age";
    assert_eq!(verbs.last().unwrap(), last);
    let changes: Vec<_> = transaction.files.iter().map(|file| (file.path.as_str(), file.change)).collect();
    assert_eq!(changes, [("aws.env", Change::Changed), ("gone.env", Change::Removed)]);
}

#[test]
fn a_hand_edit_is_kept_and_said() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.hashes.insert(format!("secrets/{LIVE}/aws.env"), desired::sha256(b"A=mine"));
    let transaction = plan(&want, &facts).unwrap();
    assert_eq!(transaction.findings.iter().map(|finding| finding.rule).collect::<Vec<_>>(), [Rule::Drift]);
    let keep = format!("keep secrets/{LIVE}/aws.env secrets/..kept-{RUN}/set-aws.env");
    let verbs = verbs(&transaction);
    let at = |verb: &str| verbs.iter().position(|other| other == verb).unwrap_or_else(|| panic!("{verb}: {verbs:?}"));
    assert!(at(&keep) < at("switch"));
}

#[test]
fn plain_files_of_a_first_setup_are_adopted_before_the_one_switch() {
    let want = want(&[("aws.env", "A=1"), ("api.env", "B=1")]);
    let mut facts = bare();
    for path in ["/opt/app", "secrets"] {
        facts.entries.insert(path.to_owned(), stat(Kind::Directory, 0o700));
    }
    facts.entries.insert("secrets/aws.env".to_owned(), stat(Kind::File, 0o644));
    let verbs = verbs(&plan(&want, &facts).unwrap());
    let from = verbs.iter().position(|verb| verb.starts_with("set ")).unwrap();
    let expected = [
        format!("set ..{RUN}"),
        format!("dir secrets/..kept-{RUN} 0700"),
        format!("keep secrets/aws.env secrets/..kept-{RUN}/aws.env"),
        "flush".to_owned(),
        "put secrets/..data".to_owned(),
        "link api.env aws.env".to_owned(),
        "flush".to_owned(),
        "switch".to_owned(),
    ];
    assert_eq!(verbs[from..], expected);
}

#[test]
fn actions_are_owed_before_the_switch_and_said_once() {
    let mut want = want(&[("aws.env", "A=2"), ("api.env", "B=2")]);
    for name in ["aws", "api", "idle"] {
        want.services.push(DesiredService {
            name: name.parse().unwrap(),
            sources: Vec::new(),
            consumers: Vec::new(),
            action: Some(vec!["systemctl".to_owned(), "restart".to_owned(), "api".to_owned()]),
            health: (name == "api").then(|| (vec!["http".to_owned(), "http://localhost/".to_owned()], 60)),
        });
    }
    let mut facts = right(&want);
    facts.hashes.insert(format!("secrets/{LIVE}/aws.env"), desired::sha256(b"A=1"));
    facts.manifest.files.insert("aws.env".to_owned(), format!("mac-{}", desired::sha256(b"A=1")));
    facts.owed.insert("api".parse().unwrap());
    let transaction = plan(&want, &facts).unwrap();
    let verbs = verbs(&transaction);
    let at = |verb: &str| verbs.iter().position(|other| other == verb).unwrap_or_else(|| panic!("{verb}: {verbs:?}"));
    assert!(at("put .distribute/owed") < at("switch") && at("switch") < at("act") && at("act") < at("health"));
    assert_eq!(verbs.iter().filter(|verb| verb.starts_with("action ")).count(), 1, "one restart for both: {verbs:?}");
    assert_eq!(transaction.actions.iter().map(ToString::to_string).collect::<Vec<_>>(), ["aws", "api"]);
}

#[test]
fn what_is_owed_is_paid_without_a_new_set() {
    let mut want = want(&[("aws.env", "A=1")]);
    let action = Some(vec!["true".to_owned()]);
    want.services.push(DesiredService {
        name: "aws".parse().unwrap(),
        sources: Vec::new(),
        consumers: Vec::new(),
        action,
        health: None,
    });
    let mut facts = right(&want);
    facts.owed.insert("aws".parse().unwrap());
    let verbs = verbs(&plan(&want, &facts).unwrap());
    assert!(verbs.contains(&"act".to_owned()) && !verbs.contains(&"switch".to_owned()), "{verbs:?}");
}

#[test]
fn wrong_modes_and_owners_are_mended() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.entries.get_mut(&format!("secrets/{LIVE}/aws.env")).unwrap().mode = Mode::new(0o644);
    let transaction = plan(&want, &facts).unwrap();
    assert_eq!(transaction.files[0].change, Change::Access);
    assert!(verbs(&transaction).contains(&"switch".to_owned()));

    let mut facts = right(&want);
    facts.entries.insert("backups".to_owned(), stat(Kind::Directory, 0o755));
    let verbs = verbs(&plan(&want, &facts).unwrap());
    assert!(verbs.contains(&"dir backups 0700".to_owned()) && !verbs.contains(&"switch".to_owned()), "{verbs:?}");
}

#[test]
fn nothing_is_written_where_others_can_write() {
    let want = want(&[("aws.env", "A=1")]);
    #[track_caller]
    fn case(want: &DesiredSet, change: impl FnOnce(&mut RootFacts), phase: Phase, words: &str) {
        let mut facts = right(want);
        change(&mut facts);
        let failure = plan(want, &facts).expect_err(words);
        assert_eq!(failure.phase, phase, "{failure:?}");
        assert!(failure.message.contains(words) && failure.hint.is_some(), "{failure:?}");
    }
    let entry =
        |path: &'static str, stat: Stat| move |facts: &mut RootFacts| _ = facts.entries.insert(path.to_owned(), stat);
    let foreign = Stat { uid: 1000, user: "eve".to_owned(), ..stat(Kind::Directory, 0o700) };
    case(&want, entry("/opt", stat(Kind::Directory, 0o777)), Phase::Stage, "others can write there");
    case(&want, entry("/opt", stat(Kind::Directory, 0o775)), Phase::Stage, "others can write there");
    case(&want, entry("/opt", link("/srv")), Phase::Stage, "link to /srv");
    case(&want, entry("/opt", foreign.clone()), Phase::Stage, "belongs to eve");
    case(&want, entry("secrets", link("/etc")), Phase::Stage, "link to /etc");
    case(&want, entry("secrets", foreign), Phase::Stage, "belongs to eve");
    case(&want, |facts| facts.elsewhere = Some("/srv/app".to_owned()), Phase::Stage, "really /srv/app");
    case(&want, |facts| facts.closed = true, Phase::Become, "cannot be entered");
    let lock = |facts: &mut RootFacts| facts.lock = Some("2026-11-21T02:00:00Z ann@laptop pid 7".to_owned());
    case(&want, lock, Phase::Lock, "ann@laptop pid 7, since 2026-11-21T02:00:00Z");
    case(&want, |facts| facts.generation = Some(("bundle".to_owned(), 8)), Phase::Enrolment, "generation 8");
    case(&want, |facts| facts.generation = Some(("other".to_owned(), 1)), Phase::Enrolment, "another bundle");
    let sticky = entry("/opt", stat(Kind::Directory, 0o1777));
    let mut facts = right(&want);
    sticky(&mut facts);
    assert!(plan(&want, &facts).unwrap().is_empty(), "a sticky directory is safe");
}

#[test]
fn names_from_a_host_go_back_to_it_only_if_they_are_plain() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.hashes.insert(format!("secrets/{LIVE}/aws.env"), String::new());
    for name in ["stage.x\ny", "own.$(reboot)", "-rf"] {
        facts.entries.insert(format!(".distribute/{name}"), stat(Kind::File, 0o600));
    }
    facts.entries.insert(format!("secrets/{LIVE}/a b\n"), stat(Kind::File, 0o600));
    let transaction = plan(&want, &facts).unwrap();
    let text = verbs(&transaction).join("\n");
    assert!(!text.contains("reboot") && !text.contains("-rf") && !text.contains("a b"), "{text}");
}

#[test]
fn what_is_mended_beside_the_files_is_said() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.entries.get_mut("secrets").unwrap().mode = Mode::new(0o777);
    facts.entries.get_mut("vault-password").unwrap().mode = Mode::new(0o644);
    facts.entries.remove("backups/key.age");
    facts.entries.remove(&format!("backups/{}.tar.gz.age", &LIVE[2..]));
    let transaction = plan(&want, &facts).unwrap();
    let found: Vec<_> = transaction.findings.iter().map(|finding| (finding.rule, finding.path.as_str())).collect();
    let sealed = format!("/opt/app/backups/{}.tar.gz.age", &LIVE[2..]);
    let expected = [
        (Rule::WorldWritable, "/opt/app/secrets"),
        (Rule::WorldReadable, "/opt/app/vault-password"),
        (Rule::Missing, "/opt/app/backups/key.age"),
        (Rule::Missing, sealed.as_str()),
    ];
    assert_eq!(found, expected);
    let verbs = verbs(&transaction);
    for step in ["dir secrets 0700", "put vault-password", "put backups/key.age"] {
        assert!(verbs.contains(&step.to_owned()), "{step}: {verbs:?}");
    }
    assert!(verbs.contains(&format!("put backups/{}.tar.gz.age", &LIVE[2..])) && !verbs.contains(&"switch".to_owned()));
}

#[test]
fn a_foreign_password_file_is_kept_before_ours_takes_its_place() {
    let want = want(&[("aws.env", "A=1")]);
    for kind in [Kind::File, Kind::Link] {
        let mut facts = right(&want);
        facts.entries.insert("vault-password".to_owned(), stat(kind, 0o600));
        facts.hashes.insert("vault-password".to_owned(), desired::sha256(b"ansible"));
        let transaction = plan(&want, &facts).unwrap();
        let verbs = verbs(&transaction);
        let at =
            |verb: &str| verbs.iter().position(|other| other == verb).unwrap_or_else(|| panic!("{verb}: {verbs:?}"));
        let how = if kind == Kind::File { "keep" } else { "move" };
        assert!(at(&format!("{how} vault-password secrets/..kept-{RUN}/vault-password")) < at("put vault-password"));
        assert_eq!(transaction.findings[0].rule, Rule::Drift);
    }
}

#[test]
fn a_lost_record_of_generations_is_no_way_back() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.generation = None;
    assert!(verbs(&plan(&want, &facts).unwrap()).contains(&"put .distribute/generation".to_owned()));
    facts.entries.insert("secrets/..8-20261128T020000Z-0001".to_owned(), stat(Kind::Directory, 0o700));
    let failure = plan(&want, &facts).unwrap_err();
    assert_eq!(failure.phase, Phase::Enrolment);
    assert!(failure.message.contains("generation 8"), "{failure:?}");
}

#[test]
fn another_bundles_copies_are_kept_apart_and_its_hashes_not_judged() {
    let want = want(&[("aws.env", "A=2")]);
    let mut facts = right(&want);
    facts.generation = Some(("other".to_owned(), 9));
    facts.manifest.files.insert("aws.env".to_owned(), "under-another-key".to_owned());
    let run: RunId = RUN.parse().unwrap();
    let purpose = Purpose {
        run: &run,
        bundle_id: "bundle",
        generation: 7,
        any_bundle: true,
        is_way_back: false,
        heeds_lock: true,
        mac: &|bytes| format!("mac-{}", String::from_utf8_lossy(bytes)),
        why: backup::Why::Deploy,
        recipients: &[],
        seal: &|_| Ok(b"sealed".to_vec()),
    };
    facts.hashes.insert(format!("secrets/{LIVE}/aws.env"), desired::sha256(b"A=1"));
    let transaction = Transaction::new(&want, &facts, 0, &purpose).unwrap();
    assert!(transaction.findings.iter().all(|finding| finding.rule != Rule::Drift), "{:?}", transaction.findings);
    let copy = format!("{}.tar.gz.age", &LIVE[2..]);
    assert!(verbs(&transaction).contains(&format!("move backups/{copy} secrets/..kept-{RUN}/{copy}")));
}

#[test]
fn a_strange_directory_in_the_live_set_is_kept_with_the_set() {
    let want = want(&[("aws.env", "A=1")]);
    let mut facts = right(&want);
    facts.entries.insert(format!("secrets/{LIVE}/x"), stat(Kind::Directory, 0o700));
    let transaction = plan(&want, &facts).unwrap();
    assert!(verbs(&transaction).contains(&format!("move secrets/{LIVE} secrets/..kept-{RUN}/set")), "{transaction:?}");
}
