//! What git shows of a bundle, and how it is told to: `bundle diff`, `textconv`, `install-git`, with the real git.

use super::people::{People, is_nowhere_below};
use std::fs;

#[test]
fn a_diff_names_what_changed_and_shows_no_value() {
    let people = People::with_bundle();
    let alice = people.alice();
    assert_eq!(
        alice.run(&["bundle", "diff"]).ok().stdout,
        "secrets.age: generation 1 in HEAD, 1 on disk\nnothing differs\n"
    );
    alice.set("aws.OTHER", "n3w-Wert-4711");
    alice.set("aws.ADDED", "x");
    alice.run(&["bundle", "set", "aws.ID", "--generate", "alnum:40", "--rotate-every", "90d"]).ok();
    let text = alice.run(&["bundle", "diff"]).ok().stdout;
    for part in ["generation 1 in HEAD, 4 on disk", "aws.ADDED", "aws.OTHER", "rotate-every added", "alnum:40"] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(!text.contains("n3w-Wert") && !text.contains("aws.SECRET") && !text.contains("comments"), "{text}");
    let said = alice.run(&["bundle", "diff", "-o", "json"]).ok().stdout;
    let report: serde_json::Value = serde_json::from_str(&said).unwrap();
    assert_eq!((report["old"]["revision"].as_str(), report["new"]["generation"].as_u64()), (Some("HEAD"), Some(4)));
    let other = report["secrets"].as_array().unwrap().iter().find(|one| one["name"] == "aws.OTHER").unwrap().clone();
    assert_eq!(other["change"], "changed");
    assert!(other["old"].as_str().unwrap().len() == 8 && other["old"] != other["new"]);
    alice.commit("changed");
    let again = alice.run(&["bundle", "diff", "HEAD~1", "HEAD", "-o", "json"]).ok().stdout;
    let again: serde_json::Value = serde_json::from_str(&again).unwrap();
    assert_eq!(again["secrets"], report["secrets"], "the same value has the same fingerprint");
    let back = alice.run(&["bundle", "diff", "HEAD", "HEAD~1"]).ok().stdout;
    assert!(back.contains("aws.ADDED") && back.contains("removed"), "{back}");
    assert!(is_nowhere_below(&people.path("alice")) && is_nowhere_below(&people.path("home-alice")));
}

#[test]
fn comments_and_order_are_a_change_too() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.edit("aws", "# other p0ison\nREGION=eu\nID=1\nSECRET=p0ison-Wert-4711\nOTHER=other-Valu3-99\n");
    let text = alice.run(&["bundle", "diff"]).ok().stdout;
    assert!(text.ends_with("\nservices/aws.env  only comments or order changed\n"), "{text}");
    let git = alice.git(&["diff"]).ok().stdout;
    assert!(git.contains("+# text services/aws.env ") && !git.contains("p0ison"), "{git}");
}

#[test]
fn a_diff_says_why_it_cannot() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.run(&["bundle", "diff", "nowhere"]).fails("no revision `nowhere`");
    alice.run(&["bundle", "diff", "--", "--output=x"]).fails("no revision `--output=x`");
    alice.git(&["rm", "--quiet", "--cached", "secrets.age"]).ok();
    alice.git(&["commit", "--quiet", "-m", "without"]).ok();
    alice.run(&["bundle", "diff"]).fails("there is no secrets.age in HEAD");
    let outside = people.at("/");
    fs::copy(alice.work.join("secrets.age"), people.path("secrets.age")).unwrap();
    outside.run(&["bundle", "diff"]).fails("not in a git repository");
    outside.run(&["keygen", "-o", "other"]).ok();
    let other = people.path("other");
    let args = ["bundle", "diff", "HEAD~1", "HEAD~1"];
    let said = alice.run_with(&args, &[("DISTRIBUTE_IDENTITY", other.to_str().unwrap())]);
    said.fails("secrets.age in HEAD~1: nothing at hand opens it");
}

#[test]
fn git_shows_changes_by_key() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.set("aws.OTHER", "n3w-Wert-4711");
    for shown in [alice.git(&["diff"]).ok().stdout, {
        alice.commit("other");
        alice.git(&["log", "-p", "-1"]).ok().stdout
    }] {
        assert!(shown.contains("-# generation 1\n") && shown.contains("+# generation 2\n"), "{shown}");
        assert!(
            shown.contains("\n-aws.OTHER ") && shown.contains("\n+aws.OTHER ") && !shown.contains("n3w"),
            "{shown}"
        );
        assert!(shown.contains("\n aws.SECRET ") && !shown.contains("\n+aws.SECRET"), "{shown}");
    }
    // Who cannot open it sees that it changed.
    let shown = alice.git_with(&["log", "-p", "-1"], &[("DISTRIBUTE_IDENTITY", "")]).ok().stdout;
    assert!(shown.contains("# sealed with keys, and nothing at hand opens it\n-# sha256 "), "{shown}");
    alice.put("secrets.age", "<<<<<<< ours\n");
    let shown = alice.git(&["diff"]).ok().stdout;
    assert!(shown.contains("+# no bundle: it holds the markers of a merge conflict"), "{shown}");
}

#[test]
fn git_is_told_once() {
    let people = People::new();
    let alice = people.alice();
    people.make_bundle(&alice, &["--recipient", &people.public_key()]);
    alice.put(".gitattributes", "*.png binary");
    let config = alice.bytes(".git/config");
    let said = alice.run(&["bundle", "install-git", "--check"]).ok().stderr;
    assert!(said.contains("nothing was written") && said.contains("secrets.age into .gitattributes"), "{said}");
    assert!(alice.bytes(".git/config") == config && alice.bytes(".gitattributes") == b"*.png binary");
    alice.run(&["bundle", "install-git"]).ok();
    assert_eq!(alice.bytes(".gitattributes"), b"*.png binary\nsecrets.age diff=distribute merge=distribute -text\n");
    assert_eq!(alice.bytes(".gitignore"), b"/vault-password\n");
    let before = [".git/config", ".git/hooks/pre-commit", ".gitignore", ".gitattributes"].map(|name| alice.bytes(name));
    assert_eq!(alice.run(&["bundle", "install-git"]).ok().stderr, "nothing to do\n");
    let after = [".git/config", ".git/hooks/pre-commit", ".gitignore", ".gitattributes"].map(|name| alice.bytes(name));
    assert_eq!(before, after);
    alice.run(&["bundle", "install-git", "--remove"]).ok();
    assert_eq!(alice.bytes(".gitattributes"), b"*.png binary\n");
    assert!(!String::from_utf8(alice.bytes(".git/config")).unwrap().contains("textconv"));
    assert!(!alice.work.join(".git/hooks/pre-commit").exists());
    assert_eq!(alice.bytes(".gitignore"), b"/vault-password\n", "a password stays out");
    people.at("/").run(&["bundle", "install-git"]).fails("not in a git repository");
}

#[test]
fn a_hook_of_somebody_else_stays() {
    let people = People::new();
    let alice = people.alice();
    people.make_bundle(&alice, &["--recipient", &people.public_key()]);
    alice.put(".git/hooks/pre-commit", "#!/bin/sh\nmake lint\n");
    let said = alice.run(&["bundle", "install-git"]).ok().stderr;
    assert!(said.contains("is not ours and stays; add to it: '") && said.contains("bundle guard"), "{said}");
    assert_eq!(alice.bytes(".git/hooks/pre-commit"), b"#!/bin/sh\nmake lint\n");
    alice.git(&["config", "core.hooksPath", "hooks of ours"]).ok();
    alice.run(&["bundle", "install-git"]).ok();
    assert!(alice.bytes("hooks of ours/pre-commit").starts_with(b"#!/bin/sh\n"));
    let shared = people.path("shared");
    alice.git(&["config", "core.hooksPath", shared.to_str().unwrap()]).ok();
    let said = alice.run(&["bundle", "install-git"]).ok().stderr;
    assert!(said.contains("for other repositories too") && !shared.exists(), "{said}");
}

#[test]
fn two_bundles_in_one_repository() {
    let people = People::with_bundle_at("my ops");
    let alice = people.alice();
    people.make_bundle(&alice, &["--recipient", &people.public_key()]);
    alice.run(&["bundle", "install-git"]).ok();
    let hook = String::from_utf8(alice.bytes(".git/hooks/pre-commit")).unwrap();
    assert!(
        hook.contains("--bundle 'my ops/secrets.age' bundle guard") && hook.contains("--bundle secrets.age"),
        "{hook}"
    );
    alice.git(&["add", "--all"]).ok();
    alice.commit("a second");
    alice.within("my ops").set("aws.OTHER", "n3w-Wert-4711");
    assert!(alice.git(&["diff"]).ok().stdout.contains("\n+aws.OTHER "));
    alice.run(&["bundle", "install-git", "--remove"]).ok();
    let hook = String::from_utf8(alice.bytes(".git/hooks/pre-commit")).unwrap();
    assert!(hook.contains("my ops") && !hook.contains("--bundle secrets.age"), "{hook}");
}

/// One person works on two branches; what somebody puts back without git is still refused.
#[test]
fn an_older_generation_of_another_branch_passes_and_an_old_file_does_not() {
    let people = People::with_bundle();
    let alice = people.alice();
    let old = alice.bytes("secrets.age");
    alice.git(&["checkout", "--quiet", "-b", "topic"]).ok();
    alice.set("aws.ID", "2");
    alice.set("aws.ID", "3");
    alice.commit("topic");
    let newer = alice.bytes("secrets.age");
    fs::write(alice.work.join("secrets.age"), &old).unwrap();
    alice.run(&["bundle", "list"]).fails("generation 1, but generation 3 was seen here");
    alice.git(&["checkout", "--quiet", "--force", "main"]).ok();
    let said = alice.run(&["bundle", "get", "aws.ID"]).ok();
    assert!(said.stdout == "1\n" && said.stderr.contains("note: generation 1, and 3 was seen here: another branch?"));
    alice.set("aws.OTHER", "of-main-1");
    alice.set("aws.REGION", "us");
    alice.run(&["bundle", "list"]).ok();
    fs::write(alice.work.join("secrets.age"), &old).unwrap();
    alice.run(&["bundle", "list"]).ok(); // it is what HEAD has
    alice.set("aws.REGION", "us");
    alice.commit("of main");
    fs::write(alice.work.join("secrets.age"), &old).unwrap();
    alice.run(&["bundle", "list"]).fails("generation 1, but generation 3 was seen here");
    alice.git(&["checkout", "--quiet", "secrets.age"]).ok();
    alice.git(&["merge", "--quiet", "--no-edit", "topic"]).ok();
    let said = alice.run(&["bundle", "get", "aws.ID"]).ok();
    assert!(said.stdout == "3\n" && said.stderr.is_empty(), "{}", said.stderr);
    alice.set("aws.ID", "4");
    alice.commit("after");
    alice.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    assert!(alice.run(&["bundle", "list"]).ok().stderr.contains("generation 4, and 5 was seen here"));
    fs::write(alice.work.join("secrets.age"), newer).unwrap();
    alice.run(&["bundle", "set", "aws.ID", "--generate", "alnum:9"]).fails("generation 3, but generation 5 was seen");
}

#[test]
fn nothing_is_written_when_nothing_changed() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.feed(&["bundle", "set", "aws.ID"], b"1").ok();
    for args in
        [&["bundle", "diff"][..], &["bundle", "guard", "--all"], &["bundle", "list"], &["bundle", "install-git"]]
    {
        alice.run(args).ok();
    }
    assert!(alice.is_clean());
}
