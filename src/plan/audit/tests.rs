//! Verdicts as a table: one thing is made wrong in facts that are right, and just that is found.

use super::*;
use crate::plan::tests::{LIVE, link, right, stat, want};
use crate::plan::{Instance, Kind, Mount, Severity, Step};
use crate::playbook::Consumer;
use crate::words::{Mode, RunId};

const OLD: &str = "..5-20261101T020000Z-0001";

fn wanted() -> DesiredSet {
    let mut want = want(&[("aws.env", "A=1"), ("tls/cert.pem", "C")]);
    let api = crate::plan::DesiredService {
        name: "aws".parse().unwrap(),
        sources: Vec::new(),
        consumers: vec![Consumer::Unit { name: "api.service".to_owned(), reloads: false }],
        action: Some(vec!["systemctl".to_owned(), "restart".to_owned()]),
        health: None,
    };
    want.services.push(api);
    want
}

/// A host where everything is right.
fn facts(want: &DesiredSet) -> HostFacts {
    let mut root = right(want);
    let directory = stat(Kind::Directory, 0o700);
    root.entries.insert(format!("secrets/{LIVE}/tls"), directory);
    for name in ["generation".to_owned(), format!("manifest.{LIVE}"), "previous".to_owned()] {
        root.entries.insert(format!(".distribute/{name}"), stat(Kind::File, 0o600));
    }
    HostFacts { uid: 0, roots: vec![root], ..HostFacts::default() }
}

fn audit(want: &DesiredSet, facts: &HostFacts) -> (Audit, Transaction) {
    let run: RunId = "7-20261121T020000Z-0001".parse().unwrap();
    let purpose = Purpose {
        run: &run,
        bundle_id: "bundle",
        generation: 7,
        any_bundle: false,
        is_way_back: false,
        heeds_lock: false,
        mac: &|bytes| format!("mac-{}", String::from_utf8_lossy(bytes)),
        why: crate::plan::backup::Why::Deploy,
        recipients: &[],
        seal: &|_| Ok(Vec::new()),
    };
    let host = "web1".parse().unwrap();
    let audit = Audit::new(&host, want, facts, &facts.roots[0], &purpose).unwrap();
    let mending = audit.mending(&facts.roots[0], &purpose, &audit.findings);
    (audit, mending)
}

/// `rule path found` of each finding, after one change of what is right.
fn found(change: impl FnOnce(&mut HostFacts)) -> Vec<String> {
    let want = wanted();
    let mut facts = facts(&want);
    change(&mut facts);
    let line = |finding: Finding| format!("{} {}: {}", finding.rule, finding.path, finding.found);
    let around = around(std::slice::from_ref(&want), &facts);
    audit(&want, &facts).0.findings.into_iter().chain(around).map(line).collect()
}

#[track_caller]
fn one(change: impl FnOnce(&mut RootFacts), expected: &str) {
    assert_eq!(found(|facts| change(&mut facts.roots[0])), [expected]);
}

fn entry<'a>(root: &'a mut RootFacts, path: &str) -> &'a mut Stat {
    root.entries.get_mut(path).unwrap_or_else(|| panic!("{path}"))
}

#[test]
fn what_is_right_is_not_spoken_of() {
    assert_eq!(found(|_| {}), Vec::<String>::new());
    let old = |facts: &mut HostFacts| {
        let root = &mut facts.roots[0];
        root.previous = Some(OLD.to_owned());
        root.entries.insert(format!("secrets/{OLD}"), stat(Kind::Directory, 0o700));
        root.entries.insert(format!("secrets/{OLD}/gone.env"), Stat { links: 2, ..stat(Kind::File, 0o400) });
        root.entries.insert(format!(".distribute/manifest.{OLD}"), stat(Kind::File, 0o600));
    };
    assert_eq!(found(old), Vec::<String>::new(), "the set before");
}

#[test]
fn who_may_read() {
    let file = format!("secrets/{LIVE}/aws.env");
    let mode = |path: &'static str, bits: u32| move |root: &mut RootFacts| entry(root, path).mode = Mode::new(bits);
    one(|root| entry(root, &file).mode = Mode::new(0o644), "world-readable /opt/app/secrets/aws.env: 0644");
    one(mode("secrets", 0o1777), "world-writable /opt/app/secrets: 1777");
    one(mode("vault-password", 0o640), "group-readable /opt/app/vault-password: 0640");
    one(mode("backups/key.age", 0o620), "group-writable /opt/app/backups/key.age: 0620");
    one(mode(".distribute", 0o500), "wrong-mode /opt/app/.distribute: 0500");
    one(|root| entry(root, &file).links = 2, "hardlink /opt/app/secrets/aws.env: 2 names");
    let acl = |root: &mut RootFacts| _ = root.acls.insert(file.clone(), "user:1000:r--".to_owned());
    one(acl, "wrong-mode /opt/app/secrets/aws.env: 0600, access list user:1000:r--");
    let group = |root: &mut RootFacts| (entry(root, &file).gid, entry(root, &file).group) = (7, "lp".to_owned());
    one(group, "wrong-owner /opt/app/secrets/aws.env: root:lp");
    one(mode("/opt", 0o775), "parent-writable /opt: 0775");
    one(|root| entry(root, "/").uid = 7, "parent-writable /: root");
}

#[test]
fn what_is_there() {
    let put =
        |path: &'static str, stat: Stat| move |root: &mut RootFacts| _ = root.entries.insert(path.to_owned(), stat);
    let file = || stat(Kind::File, 0o644);
    let strange = "a file that we did not put there";
    one(put("secrets/notes.txt", file()), &format!("unexpected-file /opt/app/secrets/notes.txt: {strange}"));
    one(
        put("secrets/aws.env~", file()),
        "leftover /opt/app/secrets/aws.env~: what an editor left: it may hold secrets",
    );
    one(put("secrets/new\nline", file()), &format!("unexpected-file /opt/app/secrets/new\\nline: {strange}"));
    one(put("secrets/aws.env", link("/etc/passwd")), "symlink /opt/app/secrets/aws.env: a link to /etc/passwd");
    one(put("secrets/aws.env", file()), "drift /opt/app/secrets/aws.env: something else in its place");
    let nested = |root: &mut RootFacts| {
        for (path, kind) in
            [("secrets/x", Kind::Directory), ("secrets/x/y", Kind::Directory), ("secrets/x/y/z", Kind::File)]
        {
            root.entries.insert(path.to_owned(), stat(kind, 0o777));
        }
    };
    one(nested, &format!("unexpected-file /opt/app/secrets/x: {strange}"));
    let old = "stale-set /opt/app/secrets/..1-20200101T000000Z-0000: a set that is neither live nor the one before";
    one(put("secrets/..1-20200101T000000Z-0000", stat(Kind::Directory, 0o700)), old);
    let clear = |root: &mut RootFacts| {
        root.entries.insert("backups/old.tar.gz".to_owned(), file());
        root.unsealed.insert("backups/old.tar.gz".to_owned());
    };
    one(clear, "unsealed-backup /opt/app/backups/old.tar.gz: not an age file: the host reads what is in it");
    one(|root| _ = root.entries.remove("vault-password"), "missing /opt/app/vault-password: nothing");
    let no_set = |root: &mut RootFacts| {
        root.entries.retain(|path, _| !path.starts_with(&format!("secrets/{LIVE}")));
        root.live = None;
    };
    one(no_set, &format!("missing /opt/app/secrets/{LIVE}: nothing"));
    one(|root| root.entries.retain(|path, _| !path.starts_with("backups")), "missing /opt/app/backups: nothing");
    one(|root| root.entries.retain(|path, _| path == "/" || path == "/opt"), "missing /opt/app: nothing");
}

#[test]
fn what_is_in_it() {
    let edited = |root: &mut RootFacts| _ = root.hashes.insert(format!("secrets/{LIVE}/aws.env"), "other".to_owned());
    one(edited, "drift /opt/app/secrets/aws.env: mac-othe");
    let older = |root: &mut RootFacts| {
        root.hashes.insert(format!("secrets/{LIVE}/aws.env"), "older".to_owned());
        root.manifest.files.insert("aws.env".to_owned(), "mac-older".to_owned());
    };
    one(older, "undeployed /opt/app/secrets/aws.env: older than the bundle");
    one(
        |root| _ = root.owed.insert("aws".parse().unwrap()),
        "owed-restart /opt/app/secrets/aws.env: the action is still owed",
    );
}

#[test]
fn what_lies_around() {
    let mounted = |kind: &str, options: &str| {
        let options = options.split(',').map(str::to_owned).collect();
        let mount = Mount { point: "/opt".to_owned(), kind: kind.to_owned(), options };
        found(|facts| facts.mounts = vec![mount])
    };
    for (kind, options, count) in [
        ("ext4", "rw", 0),
        ("fuse.sshfs", "rw,allow_other", 1),
        ("fuse.sshfs", "rw,allow_other,default_permissions", 0),
        ("fuse.sshfs", "rw", 0),
        ("vfat", "rw,fmask=0022,dmask=0022", 1),
        ("vfat", "rw,fmask=0077,dmask=0077", 0),
        ("cifs", "rw,file_mode=0755", 1),
        ("cifs", "rw,file_mode=0700", 0),
    ] {
        assert_eq!(mounted(kind, options).len(), count, "{kind} {options}");
    }
    assert_eq!(found(|facts| facts.clear_swaps = vec!["/dev/sda2".to_owned()]).len(), 1);
    let runs = |started: i64| {
        found(|facts| {
            facts.consumers = vec![vec![Instance { name: String::new(), made: started, started, changed: started }]];
            entry(&mut facts.roots[0], &format!("secrets/{LIVE}/aws.env")).modified = 1_795_320_000;
        })
    };
    assert_eq!(runs(1_795_320_000), Vec::<String>::new());
    assert_eq!(
        runs(1_795_319_999),
        ["stale-consumer /opt/app/secrets/aws.env: api.service started 2026-11-22T03:59:59Z"]
    );
}

#[test]
fn directories_are_mended_before_what_lies_in_them() {
    let want = wanted();
    let mut facts = facts(&want);
    let root = &mut facts.roots[0];
    let file = format!("secrets/{LIVE}/aws.env");
    (entry(root, &file).mode, entry(root, &file).uid, entry(root, &file).user) = (Mode::new(0o644), 7, "lp".to_owned());
    entry(root, "secrets").mode = Mode::new(0o777);
    entry(root, "vault-password").mode = Mode::new(0o666);
    entry(root, "vault-password").links = 2;
    root.entries.insert(format!("secrets/{OLD}"), stat(Kind::Directory, 0o700));
    let (audit, mending) = audit(&want, &facts);
    let steps: Vec<String> = mending.steps.iter().filter_map(told).collect();
    let expected = [
        ". ./secrets 0700 ".to_owned(),
        format!("secrets/{LIVE} ./aws.env 0600 0:0"),
        format!("remove secrets/{OLD} .distribute/manifest.{OLD}"),
    ];
    assert_eq!(steps, expected, "and the file with a second name is left alone");
    assert_eq!(audit.findings.iter().filter(|finding| finding.fixable).count(), 4);
}

fn told(step: &Step) -> Option<String> {
    match step {
        Step::Mend { directory, names, mode, owner } => {
            let mode = mode.map(|mode| mode.to_string()).unwrap_or_default();
            Some(format!("{directory} {} {mode} {}", names.join(" "), owner.as_deref().unwrap_or_default()))
        }
        Step::Remove(paths) => Some(format!("remove {}", paths.join(" "))),
        _ => None,
    }
}

#[test]
fn what_cannot_be_seen_is_not_right() {
    let want = wanted();
    let mut facts = facts(&want);
    facts.uid = 1000;
    facts.roots[0].shut.insert("backups".to_owned());
    facts.roots[0].entries.retain(|path, _| !path.starts_with("backups/"));
    let (audit, _) = audit(&want, &facts);
    assert_eq!(audit.unseen, ["/opt/app/backups"]);
    assert_eq!(audit.findings, [], "nor is it missing");
}

#[test]
fn what_the_playbook_opens_is_said_and_no_fault() {
    let mut want = wanted();
    want.files[0].mode = Mode::new(0o640);
    let mut facts = facts(&want);
    entry(&mut facts.roots[0], &format!("secrets/{LIVE}/aws.env")).mode = Mode::new(0o640);
    let (audit, mending) = audit(&want, &facts);
    let told: Vec<_> =
        audit.findings.iter().map(|finding| (finding.rule, finding.severity, finding.found.as_str())).collect();
    assert_eq!(told, [(Rule::GroupReadable, Severity::Info, "0640, as the playbook says")]);
    assert!(mending.is_empty());
}
