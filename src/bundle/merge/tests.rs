//! Merges of small bundles.

use super::*;
use crate::bundle::fixture::{at, name, packed, secret};
use crate::bundle::{EnvFile, Recipient, Rotation, Turn};
use crate::words::HostName;
use std::collections::BTreeSet;

const HEAD: &str = "id = \"00\"\ngeneration = 5\nfingerprint-key = \"abababababababababababababababababababababababababababababababab\"\n";

fn base() -> Bundle {
    packed(&[
        ("services/a.env", "# head\nK=1\nL=2\n\n# tail\nM=3\n"),
        ("services/tls/key.pem", "old"),
        ("bundle.toml", HEAD),
    ])
}

/// As the base, with these changes, saved that many times.
fn side(saves: u64, change: impl FnOnce(&mut Bundle)) -> Bundle {
    let mut bundle = base();
    change(&mut bundle);
    bundle.saved(5 + saves);
    bundle
}

fn set(bundle: &mut Bundle, of: &str, value: &str) {
    bundle.set(&name(of), secret(value), at(10));
}

fn text(bundle: &mut Bundle, text: &str) {
    let service = "a".parse().unwrap();
    bundle.replace_env(&crate::bundle::Scope::Common, &service, EnvFile::parse(text.as_bytes()).unwrap(), at(11));
}

fn undecided(_: &str) -> Option<Side> {
    None
}

#[track_caller]
fn merged(ours: &Bundle, theirs: &Bundle) -> Bundle {
    let Merge { merged, conflicts } = merge(Some(&base()), ours, theirs, &undecided).unwrap();
    assert_eq!(conflicts, []);
    match merged {
        Merged::Both(bundle) => *bundle,
        Merged::Side(side) => panic!("only {side}"),
    }
}

#[track_caller]
fn conflicts(ours: &Bundle, theirs: &Bundle) -> Vec<String> {
    let found = merge(Some(&base()), ours, theirs, &undecided).unwrap().conflicts;
    found.into_iter().map(|conflict| conflict.name).collect()
}

fn env_text(bundle: &Bundle) -> String {
    let env = bundle.env(&crate::bundle::Scope::Common, &"a".parse().unwrap()).unwrap();
    String::from_utf8(env.to_secret().expose().to_vec()).unwrap()
}

#[test]
fn changes_of_both_sides_are_in_it() {
    let ours = side(1, |bundle| {
        set(bundle, "a.K", "ours");
        set(bundle, "b.NEW", "1");
        bundle.remove(&name("tls/key.pem"), at(10));
    });
    let theirs = side(3, |bundle| {
        set(bundle, "a.L", "theirs");
        set(bundle, "tls/cert.pem", "2");
        bundle.describe(&name("a.K"), |known| known.owner = Some("ops".to_owned()));
        bundle.remove(&name("a.M"), at(10));
    });
    let mut both = merged(&ours, &theirs);
    assert_eq!((both.generation(), both.next_generation()), (8, 9));
    assert_eq!(env_text(&both), "# head\nK=ours\nL=theirs\n\n# tail\n");
    assert_eq!(both.value(&name("b.NEW")), Some(&secret("1")));
    assert_eq!((both.value(&name("tls/key.pem")), both.value(&name("tls/cert.pem"))), (None, Some(&secret("2"))));
    let known = both.metadata(&name("a.K")).unwrap();
    assert_eq!((known.owner.as_deref(), known.rotated), (Some("ops"), Some(at(10))));
    assert_eq!(both.metadata(&name("a.M")), None);
    for (of, value) in [("a.K", "1"), ("a.L", "2"), ("a.M", "3"), ("tls/key.pem", "old")] {
        assert_eq!(both.earlier(&name(of)), [(5, secret(value))], "{of}");
    }
    set(&mut both, "a.K", "after");
    assert_eq!(both.earlier(&name("a.K"))[0], (8, secret("ours")));
}

#[test]
fn one_side_alone_is_the_result_as_it_is() {
    let changed = side(2, |bundle| set(bundle, "a.K", "x"));
    let of = |ours: &Bundle, theirs: &Bundle| match merge(Some(&base()), ours, theirs, &undecided).unwrap().merged {
        Merged::Side(side) => side,
        Merged::Both(_) => panic!("sealed again for nothing"),
    };
    assert_eq!(of(&base(), &changed), Side::Theirs);
    assert_eq!(of(&changed, &base()), Side::Ours);
    assert_eq!(of(&changed, &changed), Side::Ours, "a merge with itself is itself");
    let later = side(4, |bundle| set(bundle, "a.K", "x"));
    assert_eq!(of(&changed, &later), Side::Theirs, "the same change, and the later generation");
}

#[test]
fn comments_order_and_new_keys_of_both_stand() {
    let ours = side(1, |bundle| text(bundle, "# head\n# ours\nK=1\nL=2\n\n# tail\nM=3\nO=ours\n"));
    let theirs = side(1, |bundle| text(bundle, "# head\nT=theirs\nL=2\nK=9\n\n# end\nM=3\n"));
    assert_eq!(env_text(&merged(&ours, &theirs)), "# head\n# ours\nK=9\nT=theirs\nL=2\n\n# end\nM=3\nO=ours\n");
    let values = side(1, |bundle| set(bundle, "a.K", "7"));
    let comments = side(1, |bundle| text(bundle, "# other\nM=3\nK=1\nL=2\n"));
    for (ours, theirs) in [(&values, &comments), (&comments, &values)] {
        assert_eq!(env_text(&merged(ours, theirs)), "# other\nM=3\nK=7\nL=2\n");
    }
}

#[test]
fn what_both_changed_is_named_and_a_choice_settles_it() {
    let ours = side(1, |bundle| {
        set(bundle, "a.K", "ours-POISON");
        set(bundle, "tls/key.pem", "mine");
        bundle.describe(&name("a.L"), |known| known.note = Some("n1".to_owned()));
    });
    let theirs = side(2, |bundle| {
        set(bundle, "a.K", "theirs-POISON");
        bundle.remove(&name("tls/key.pem"), at(10));
        bundle.describe(&name("a.L"), |known| known.note = Some("n2".to_owned()));
    });
    let found = merge(Some(&base()), &ours, &theirs, &undecided).unwrap();
    assert!(!format!("{found:?}").contains("POISON"));
    assert_eq!(conflicts(&ours, &theirs), ["a.K", "tls/key.pem", "note a.L"]);
    assert_eq!(found.conflicts[0].theirs, Some(theirs.fingerprint(b"theirs-POISON")));
    assert_eq!(found.conflicts[1].theirs, None, "it is gone there");
    let choose = |name: &str| Some(if name == "a.K" { Side::Ours } else { Side::Theirs });
    let Merged::Both(both) = merge(Some(&base()), &ours, &theirs, &choose).unwrap().merged else { panic!() };
    assert_eq!(both.value(&name("a.K")), Some(&secret("ours-POISON")));
    assert_eq!(both.value(&name("tls/key.pem")), None);
    assert_eq!(both.metadata(&name("a.L")).unwrap().note.as_deref(), Some("n2"));
    assert_eq!(both.earlier(&name("a.K")), [(7, secret("theirs-POISON")), (5, secret("1"))], "nothing is lost");
    assert_eq!(both.earlier(&name("tls/key.pem")), [(6, secret("mine")), (5, secret("old"))]);
}

#[test]
fn the_same_change_on_both_sides_is_no_conflict() {
    let change = |bundle: &mut Bundle| {
        set(bundle, "a.K", "x");
        bundle.remove(&name("a.L"), at(10));
    };
    let ours = side(1, |bundle| {
        change(bundle);
        set(bundle, "c.ONE", "1");
    });
    let theirs = side(2, |bundle| {
        change(bundle);
        set(bundle, "c.TWO", "2");
    });
    let both = merged(&ours, &theirs);
    assert_eq!(both.earlier(&name("a.K")), [(5, secret("1"))]);
    assert_eq!(both.value(&name("c.TWO")), Some(&secret("2")));
}

#[test]
fn without_a_base_all_that_differs_is_a_conflict() {
    let (ours, theirs) = (side(1, |bundle| set(bundle, "a.K", "x")), side(1, |bundle| set(bundle, "b.NEW", "1")));
    let found = merge(None, &ours, &theirs, &undecided).unwrap().conflicts;
    assert_eq!(found.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), ["a.K", "b.NEW"]);
    assert_eq!(merge(None, &ours, &ours, &undecided).unwrap().conflicts, []);
    let Merged::Both(both) = merge(None, &ours, &theirs, &|_| Some(Side::Theirs)).unwrap().merged else { panic!() };
    assert_eq!(both.secrets(), theirs.secrets());
    assert!(both.earlier(&name("a.K")).contains(&(6, secret("x"))));
}

#[test]
fn a_change_follows_a_rename() {
    let renamed = |to: &str, more: &str| {
        side(1, |bundle| {
            bundle.rename(&name("a.K"), &name(to), at(10)).unwrap();
            set(bundle, more, "1");
        })
    };
    let (ours, theirs) = (renamed("a.K2", "b.X"), side(2, |bundle| set(bundle, "a.K", "new")));
    for (ours, theirs) in [(&ours, &theirs), (&theirs, &ours)] {
        let both = merged(ours, theirs);
        assert_eq!((both.value(&name("a.K")), both.value(&name("a.K2"))), (None, Some(&secret("new"))));
        assert_eq!(both.earlier(&name("a.K2")), [(5, secret("1"))]);
        assert_eq!(env_text(&both), "# head\nK2=new\nL=2\n\n# tail\nM=3\n");
    }
    let both_changed = side(2, |bundle| {
        bundle.rename(&name("a.K"), &name("c.OTHER"), at(10)).unwrap();
        bundle.saved(6);
        set(bundle, "c.OTHER", "ours");
    });
    assert_eq!(conflicts(&both_changed, &theirs), ["c.OTHER"]);
    // Who took it out did not know of the new name.
    let gone = side(1, |bundle| {
        bundle.remove(&name("a.K"), at(10));
    });
    assert_eq!(merged(&ours, &gone).value(&name("a.K2")), Some(&secret("1")));
    let same = merged(&ours, &renamed("a.K2", "b.Y"));
    assert_eq!(same.value(&name("a.K2")), Some(&secret("1")));
}

#[test]
fn two_new_names_are_a_conflict() {
    let renamed = |to: &str| side(1, |bundle| bundle.rename(&name("a.K"), &name(to), at(10)).unwrap());
    let (ours, theirs) = (renamed("a.K2"), renamed("b.K3"));
    let found = merge(Some(&base()), &ours, &theirs, &undecided).unwrap().conflicts;
    let told = (found[0].name.as_str(), found[0].ours.as_deref(), found[0].theirs.as_deref());
    assert_eq!((found.len(), told), (1, ("a.K", Some("renamed a.K2"), Some("renamed b.K3"))));
    for (side, there, gone) in [(Side::Ours, "a.K2", "b.K3"), (Side::Theirs, "b.K3", "a.K2")] {
        let found = merge(Some(&base()), &ours, &theirs, &|_| Some(side)).unwrap();
        let Merged::Both(both) = found.merged else { panic!() };
        assert_eq!((both.value(&name(there)), both.value(&name(gone))), (Some(&secret("1")), None));
        assert_eq!((found.conflicts.len(), both.value(&name("a.K"))), (1, None));
    }
}

#[test]
fn another_bundle_is_refused() {
    let other = packed(&[("bundle.toml", "id = \"11\"\n")]);
    assert!(merge(Some(&base()), &base(), &other, &undecided).unwrap_err().to_string().contains("two bundles"));
    assert!(merge(Some(&other), &base(), &base(), &undecided).is_err());
}

fn recipient(key: &str, label: Option<&str>) -> Recipient {
    Recipient { label: label.map(str::to_owned), key: key.to_owned(), added: None }
}

fn with_recipients(keys: &[&str]) -> Bundle {
    let mut bundle = base();
    bundle.record.recipients = keys.iter().map(|key| recipient(key, None)).collect();
    set(&mut bundle, &format!("r.R_{}", keys.join("_")), "so that it differs");
    bundle
}

#[track_caller]
fn recipients(base: &[&str], ours: &[&str], theirs: &[&str]) -> Result<Vec<String>, Vec<String>> {
    let (base, ours, theirs) = (with_recipients(base), with_recipients(ours), with_recipients(theirs));
    let found = merge(Some(&base), &ours, &theirs, &undecided).unwrap();
    let names: Vec<String> = found.conflicts.into_iter().map(|one| one.name).collect();
    match found.merged {
        Merged::Both(bundle) if names.is_empty() => Ok(bundle.recipients().iter().map(|one| one.key.clone()).collect()),
        Merged::Both(_) => Err(names),
        Merged::Side(_) => panic!("they differ"),
    }
}

#[test]
fn recipients_are_a_set_and_a_password_is_no_key() {
    let fine = |keys: &[&str]| Ok(keys.iter().map(ToString::to_string).collect());
    let conflict = || Err(vec!["recipients".to_owned()]);
    assert_eq!(recipients(&["x", "y"], &["x", "y", "o"], &["x", "y", "t"]), fine(&["x", "y", "o", "t"]));
    assert_eq!(recipients(&["x", "y"], &["x"], &["x", "y", "t"]), fine(&["x", "t"]), "who was taken out stays out");
    assert_eq!(recipients(&["x", "y"], &["x"], &["y"]), conflict(), "nobody is left, which would mean a password");
    assert_eq!(recipients(&["x"], &[], &["x", "t"]), conflict(), "t alone would open it");
    assert_eq!(recipients(&[], &["o"], &["t"]), conflict());
}

#[test]
fn who_changed_values_only_asked_for_no_other_lock() {
    let fine = |keys: &[&str]| Ok(keys.iter().map(ToString::to_string).collect());
    let conflict = || Err(vec!["recipients".to_owned()]);
    let values_only = |keys: &[&str], tag: &str| {
        let mut bundle = with_recipients(keys);
        set(&mut bundle, "a.L", tag);
        bundle
    };
    for (before, after) in [(&["x"][..], &[][..]), (&[], &["x"])] {
        let (base, same, other) = (with_recipients(before), values_only(before, "o"), values_only(after, "2"));
        for (ours, theirs) in [(&same, &other), (&other, &same)] {
            let found = merge(Some(&base), ours, theirs, &undecided).unwrap().conflicts;
            let names: Vec<_> =
                found.iter().map(|one| one.name.as_str()).filter(|name| name.starts_with('r')).collect();
            assert_eq!(names, ["recipients"]);
        }
        assert_eq!(recipients(before, before, after), conflict());
    }
    assert_eq!(recipients(&["x"], &["x"], &["x", "y"]), fine(&["x", "y"]));
}

#[test]
fn a_label_stands_for_one_key() {
    let with = |list: &[(&str, Option<&str>)], other: &str| {
        let mut bundle = base();
        bundle.record.recipients = list.iter().map(|(key, label)| recipient(key, *label)).collect();
        set(&mut bundle, other, "1");
        bundle
    };
    let before = with(&[("x", Some("alice"))], "b.X");
    let ours = with(&[("x", Some("alice")), ("o", Some("bob"))], "b.Y");
    let theirs = with(&[("x", Some("alice")), ("t", Some("bob"))], "b.Z");
    let found = merge(Some(&before), &ours, &theirs, &undecided).unwrap().conflicts;
    let told = (found[0].name.as_str(), found[0].base.clone(), found[0].ours.as_deref(), found[0].theirs.as_deref());
    assert_eq!((found.len(), told), (1, ("recipient bob", None, Some("o"), Some("t"))));
    for (side, key) in [(Side::Ours, "o"), (Side::Theirs, "t")] {
        let Merged::Both(both) = merge(Some(&before), &ours, &theirs, &|_| Some(side)).unwrap().merged else {
            panic!()
        };
        let keys: Vec<&str> = both.recipients().iter().map(|one| one.key.as_str()).collect();
        assert_eq!(keys, ["x", key]);
    }
    let mut seed = 0x2545_f491_4f6c_dd1d;
    let mut next = random(&mut seed);
    let mut list = || {
        let (mut keys, mut labels) = (vec!["x", "y", "z"], vec![Some("a"), Some("b"), Some("c"), None]);
        let mut some =
            || (keys.remove(next(keys.len() as u64) as usize), labels.remove(next(labels.len() as u64) as usize));
        [some(), some()]
    };
    let mut met = 0;
    for round in 0..300 {
        let (base, ours, theirs) = (with(&list(), "b.X"), with(&list(), "b.Y"), with(&list(), "b.Z"));
        for side in [Side::Ours, Side::Theirs] {
            let found = merge(Some(&base), &ours, &theirs, &|_| Some(side)).unwrap();
            let Merged::Both(both) = found.merged else { panic!() };
            let labels: Vec<_> = both.recipients().iter().filter_map(|one| one.label.as_ref()).collect();
            assert_eq!(labels.iter().collect::<BTreeSet<_>>().len(), labels.len(), "round {round}");
            assert!(!both.recipients().is_empty(), "round {round}");
            met += usize::from(
                found.conflicts.iter().any(|one| ["a", "b", "c"].iter().any(|l| one.name == format!("recipient {l}"))),
            );
        }
    }
    assert!(met > 20, "{met}");
}

#[test]
fn labels_are_merged_too() {
    let with = |label: Option<&str>, other: &str| {
        let mut bundle = base();
        bundle.record.recipients = vec![recipient("x", label)];
        set(&mut bundle, other, "1");
        bundle
    };
    let before = with(None, "b.X");
    let found = merge(Some(&before), &with(Some("alice"), "b.Y"), &with(None, "b.Z"), &undecided).unwrap();
    let Merged::Both(both) = found.merged else { panic!() };
    assert_eq!(both.recipients(), [recipient("x", Some("alice"))]);
    let found = merge(Some(&before), &with(Some("alice"), "b.Y"), &with(Some("al"), "b.Z"), &undecided).unwrap();
    assert_eq!(found.conflicts[0].name, "recipient x");
}

#[test]
fn hosts_enrolled_on_both_sides_are_enrolled() {
    let enrol = |bundle: &mut Bundle, host: &str, service: &str, key: &str| {
        let host: HostName = host.parse().unwrap();
        let services = [service.parse().unwrap()].into();
        bundle.enrol_services(&host, &services, || secret(key));
        bundle.pin(&host, vec![format!("ssh-ed25519 {key}")], at(1));
    };
    let ours = side(1, |bundle| enrol(bundle, "web1", "a", "AAAA"));
    let theirs = side(1, |bundle| enrol(bundle, "web2", "a", "BBBB"));
    let both = merged(&ours, &theirs);
    assert_eq!(both.enrolments().count(), 2);
    assert_eq!(both.host_identity(&"web2".parse().unwrap()), Some(secret("BBBB")));
    let same = side(2, |bundle| enrol(bundle, "web1", "b", "AAAA"));
    let both = merge(
        Some(&both),
        &{
            let mut one = both.clone();
            enrol(&mut one, "web1", "b", "AAAA");
            one
        },
        &{
            let mut one = both.clone();
            enrol(&mut one, "web1", "c", "AAAA");
            one
        },
        &undecided,
    )
    .unwrap();
    let Merged::Both(both) = both.merged else { panic!() };
    assert_eq!(both.enrolment(&"web1".parse().unwrap()).unwrap().services.len(), 3);
    let other = side(1, |bundle| enrol(bundle, "web1", "a", "CCCC"));
    assert_eq!(conflicts(&same, &other), ["enrolment web1"]);
}

#[test]
fn rotations_of_different_secrets_merge_and_two_under_way_do_not() {
    let rotated = |saves, of: &str, run: &str| {
        side(saves, |bundle| {
            let run: crate::words::RunId = run.parse().unwrap();
            let revocation =
                crate::bundle::Revocation { secret: name(of), public: None, run: run.clone(), after: at(99) };
            let turn = Turn { name: name(of), public: None };
            bundle.begin_rotation(Rotation { run, started: at(9), is_urgent: false, secrets: vec![turn] });
            bundle.set_pending(&name(of), secret("new"));
            let old = crate::bundle::OldValues { secret: secret("1"), public: None };
            bundle.commit_rotation(at(12), vec![(revocation, old)]);
        })
    };
    let (ours, theirs) = (rotated(1, "a.K", "6-20261122T020000Z-7f3a"), rotated(2, "a.L", "6-20261122T030000Z-7f3a"));
    let both = merged(&ours, &theirs);
    assert_eq!(both.revocations().len(), 2);
    assert_eq!((both.revoking(&name("a.K")), both.value(&name("a.L"))), (Some(&secret("1")), Some(&secret("new"))));
    let begun = |of: &str, run: &str| {
        side(1, |bundle| {
            let turn = Turn { name: name(of), public: None };
            let run = run.parse().unwrap();
            bundle.begin_rotation(Rotation { run, started: at(9), is_urgent: false, secrets: vec![turn] });
            bundle.set_pending(&name(of), secret("waits"));
        })
    };
    let under_way = begun("a.K", "6-20261122T020000Z-7f3a");
    let both = merged(&under_way, &theirs);
    assert_eq!((both.rotation(), both.pending(&name("a.K"))), (under_way.rotation(), Some(&secret("waits"))));
    assert_eq!(conflicts(&under_way, &begun("a.L", "6-20261122T030000Z-7f3a")), ["rotation"]);
}

#[test]
fn history_keeps_what_both_replaced_within_bounds() {
    let twice = |tag: &str| {
        let mut bundle = base();
        for round in 1..4u64 {
            set(&mut bundle, "a.K", &format!("{tag}{round}"));
            bundle.saved(5 + round);
        }
        bundle
    };
    let found = merge(Some(&base()), &twice("o"), &twice("t"), &|_| Some(Side::Theirs)).unwrap();
    let Merged::Both(both) = found.merged else { panic!() };
    let earlier = both.earlier(&name("a.K"));
    assert_eq!(earlier.len(), 3);
    assert_eq!(earlier[0], (8, secret("o3")), "the value that was chosen against");
    assert_eq!(earlier[1], (7, secret("t2")));
}

/// Small random bundles from a seed.
fn random(seed: &mut u64) -> impl FnMut(u64) -> u64 {
    move |below| {
        *seed ^= *seed << 13;
        *seed ^= *seed >> 7;
        *seed ^= *seed << 17;
        *seed % below
    }
}

fn shuffled(bundle: &mut Bundle, next: &mut impl FnMut(u64) -> u64) {
    for _ in 0..next(6) {
        let of = ["a.K", "a.L", "a.M", "a.N", "b.K", "tls/key.pem", "hosts/h/a.K"][next(7) as usize];
        match next(5) {
            0 => _ = bundle.remove(&name(of), at(20)),
            1 => bundle.describe(&name(of), |known| known.note = Some(next(3).to_string())),
            2 => text(bundle, ["# c\nK=1\nM=3\n", "L=2\n# d\nK=1\n", "# head\nK=5\n\nL=2\n"][next(3) as usize]),
            _ => set(bundle, of, &next(4).to_string()),
        }
    }
    let saves = 1 + next(3);
    bundle.saved(5 + saves);
}

fn earlier(bundle: &Bundle) -> Vec<Vec<(u64, crate::words::Secret)>> {
    let names: BTreeSet<_> = bundle.history.values().flat_map(|documents| documents.names()).collect();
    names.iter().map(|name| bundle.earlier(name)).collect()
}

#[test]
fn a_merge_does_not_depend_on_who_merges() {
    let mut seed = 0x9e37_79b9_7f4a_7c15;
    let mut next = random(&mut seed);
    let mut met = 0;
    for round in 0..400 {
        let (mut ours, mut theirs) = (base(), base());
        shuffled(&mut ours, &mut next);
        shuffled(&mut theirs, &mut next);
        let one = merge(Some(&base()), &ours, &theirs, &|_| Some(Side::Ours)).unwrap();
        let other = merge(Some(&base()), &theirs, &ours, &|_| Some(Side::Theirs)).unwrap();
        let names = |merge: &Merge| merge.conflicts.iter().map(|one| one.name.clone()).collect::<Vec<_>>();
        assert_eq!(names(&one), names(&other), "round {round}");
        let result = |merge: Merge, ours: &Bundle, theirs: &Bundle| match merge.merged {
            Merged::Both(bundle) => *bundle,
            Merged::Side(Side::Ours) => ours.clone(),
            Merged::Side(Side::Theirs) => theirs.clone(),
        };
        met += usize::from(matches!(one.merged, Merged::Both(_)));
        let (one, other) = (result(one, &ours, &theirs), result(other, &theirs, &ours));
        assert_eq!(flat(&one), flat(&other), "round {round}");
        assert!(earlier(&one) == earlier(&other), "round {round}");
        assert_eq!(one.record.secrets, other.record.secrets, "round {round}");
        assert!(one.entries(9).and_then(|entries| Bundle::from_entries(entries, &mut |_| ())).is_ok(), "round {round}");
        // What one side has and the other had from the beginning is what comes out.
        let again = merge(Some(&base()), &ours, &ours, &undecided).unwrap();
        assert!(again.conflicts.is_empty() && matches!(again.merged, Merged::Side(Side::Ours)), "round {round}");
        for (of, value) in flat(&one) {
            assert!(ours.value(&of) == Some(value) || theirs.value(&of) == Some(value), "round {round}: {of}");
        }
    }
    assert!(met > 200, "{met}");
}

/// Whoever was taken out on one branch could read what came on the other one, which was still sealed to him.
#[test]
fn who_left_on_one_side_could_read_what_came_on_the_other() {
    let head = format!(
        "{HEAD}recipients = [{{ label = \"alice\", recipient = \"age1alice\" }}, {{ label = \"bob\", recipient = \"age1bob\" }}]\n"
    );
    let base = packed(&[("services/a.env", "K=1\nL=2\nM=3\n"), ("bundle.toml", &head)]);
    let (mut without_bob, mut with_bob) = (base.clone(), base.clone());
    without_bob.remove_recipient("bob", at(9)).unwrap();
    set(&mut without_bob, "a.L", "after he left");
    set(&mut with_bob, "a.M", "he saw this one, too");
    set(&mut with_bob, "b.NEW", "and this one");
    without_bob.saved(6);
    with_bob.saved(7);
    for (ours, theirs) in [(&without_bob, &with_bob), (&with_bob, &without_bob)] {
        let Merge { merged: Merged::Both(both), conflicts } = merge(Some(&base), ours, theirs, &undecided).unwrap()
        else {
            panic!("both changed something");
        };
        assert_eq!(conflicts, []);
        assert_eq!(both.recipients().iter().map(Recipient::name).collect::<Vec<_>>(), ["alice"]);
        let [exposure] = both.exposures() else { panic!("one left") };
        let left: Vec<String> = both.still_exposed(exposure).iter().map(ToString::to_string).collect();
        assert_eq!(left, ["a.K", "a.M", "b.NEW"]);
        assert!(both.former_files().next().is_none() && both.host_identity(&"h".parse().unwrap()).is_none());
    }
}

/// Two keys under one name are a conflict; the key that is not taken could read its branch.
#[test]
fn whose_key_is_not_taken_could_read_his_side() {
    let with = |key: &str, of: &str| {
        side(1, |bundle| {
            let new = Recipient { label: Some("dave".to_owned()), key: key.to_owned(), added: Some(at(20)) };
            bundle.record.recipients.extend([Recipient { label: None, key: "age1alice".to_owned(), added: None }, new]);
            set(bundle, of, &format!("only here: {of}"));
        })
    };
    let (ours, theirs) = (with("age1ours", "a.OURS"), with("age1theirs", "a.THEIRS"));
    let mut base = base();
    base.record.recipients = vec![Recipient { label: None, key: "age1alice".to_owned(), added: None }];
    let choose = |_: &str| Some(Side::Ours);
    let Merge { merged: Merged::Both(both), conflicts } = merge(Some(&base), &ours, &theirs, &choose).unwrap() else {
        panic!("both changed something");
    };
    assert_eq!(conflicts.iter().map(|conflict| conflict.name.as_str()).collect::<Vec<_>>(), ["recipient dave"]);
    let [exposure] = both.exposures() else { panic!("{:?}", both.exposures()) };
    assert_eq!((exposure.key.as_deref(), exposure.removed), (Some("age1theirs"), at(20)));
    let left: Vec<String> = both.still_exposed(exposure).iter().map(ToString::to_string).collect();
    assert!(left.contains(&"a.THEIRS".to_owned()) && !left.contains(&"a.OURS".to_owned()), "{left:?}");
}
