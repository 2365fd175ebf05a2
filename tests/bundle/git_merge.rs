//! Two people change the bundle at the same time, and the real git merges it.

use super::people::{People, Person, is_nowhere_below};
use super::room::Said;
use std::fs;

/// bob's changes are on the server, and alice has hers.
fn apart(people: &People, alice: impl FnOnce(&Person), bob: impl FnOnce(&Person)) {
    bob(&people.bob());
    people.bob().commit("bob");
    people.bob().push();
    alice(&people.alice());
    people.alice().commit("alice");
    people.alice().fetch();
}

fn merge(person: &Person) -> Said {
    person.git(&["merge", "--no-edit", "origin/main"])
}

#[test]
fn changes_of_two_people_merge() {
    let people = People::with_bundle();
    let (alice, bob) = (people.alice(), people.bob());
    apart(
        &people,
        |alice| {
            alice.set("aws.OTHER", "alices-Wert-1");
            alice.set("web.TOKEN", "alices-Wert-2");
            alice.set("tls/key.pem", "alices file\n");
        },
        |bob| {
            bob.edit("aws", "# the account of bob\nID=2\nSECRET=p0ison-Wert-4711\n\n# the rest\nOTHER=other-Valu3-99\nNEW=3\nREGION=eu\n");
            bob.run(&["bundle", "set", "aws.REGION", "--generate", "alnum:30", "--rotate-every", "90d"]).ok();
            bob.set("tls/cert.pem", "bobs file\n");
        },
    );
    let said = merge(&alice).ok();
    assert!(said.stderr.contains("secrets.age: merged as generation 5"), "{}", said.stderr);
    let region = bob.get("aws.REGION");
    let expected = format!(
        "# the account of bob\nID=2\nSECRET=p0ison-Wert-4711\n\n# the rest\nOTHER=alices-Wert-1\nNEW=3\nREGION={region}"
    );
    assert_eq!(alice.get("aws"), expected);
    assert_eq!((alice.get("web.TOKEN"), alice.get("tls/key.pem")), ("alices-Wert-2\n".into(), "alices file\n".into()));
    assert_eq!(alice.get("tls/cert.pem"), "bobs file\n");
    let list = alice.run(&["bundle", "list", "-o", "json"]).ok().stdout;
    assert!(list.contains("\"generation\":5") && list.contains("alnum:30") && list.contains("\"earlier\":1"), "{list}");
    assert!(alice.is_clean());
    alice.push();
    bob.git(&["pull", "--quiet"]).ok();
    assert_eq!(bob.get("aws.OTHER"), "alices-Wert-1\n", "bob's machine takes the merged bundle");
    bob.set("aws.ID", "9");
    assert!(is_nowhere_below(&people.path("alice")) && is_nowhere_below(&people.path("origin.git")));
}

#[test]
fn a_conflict_is_named_and_settled_by_a_choice() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(
        &people,
        |alice| {
            alice.set("aws.SECRET", "alices-Wert-1");
            alice.set("aws.ID", "alices-Wert-2");
        },
        |bob| {
            bob.set("aws.SECRET", "bobs-Wert-1");
            bob.set("aws.ID", "bobs-Wert-2");
            bob.set("aws.NEW", "bobs-Wert-3");
        },
    );
    let ours = alice.bytes("secrets.age");
    let said = merge(&alice);
    assert_eq!(said.code, 1);
    let told = said.stderr;
    assert!(
        told.contains("hint: aws.SECRET: base ") && told.contains("hint: aws.ID: ") && !told.contains("aws.NEW"),
        "{told}"
    );
    assert!(told.contains("2 conflicts") && !told.contains("-Wert-"), "{told}");
    assert!(alice.bytes("secrets.age") == ours, "ours is as it was");
    let said = alice.run(&["bundle", "merge", "--ours", "aws.SECRET"]).fails("secrets.age: 1 conflict");
    assert!(said.stderr.contains("distribute bundle merge --ours aws.ID"), "{}", said.stderr);
    alice.run(&["bundle", "merge", "--ours", "aws.TYPO", "--theirs", "*"]).fails("no such conflict");
    let said = alice.run(&["bundle", "merge", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, report["conflicts"][0]["name"].as_str()), (1, Some("aws.ID")));
    assert!(alice.bytes("secrets.age") == ours);
    alice.run(&["bundle", "merge", "--ours", "aws.SECRET", "--theirs", "*", "--check"]).ok();
    assert!(alice.bytes("secrets.age") == ours);
    let said = alice.run(&["bundle", "merge", "--ours", "aws.SECRET", "--theirs", "*"]).ok();
    assert!(said.stderr.ends_with("say so to git: git add secrets.age\n"), "{}", said.stderr);
    alice.run(&["bundle", "merge"]).fails("somebody settled it already");
    alice.git(&["add", "secrets.age"]).ok();
    alice.git(&["commit", "--quiet", "--no-edit"]).ok();
    assert_eq!(
        alice.get("aws.SECRET") + &alice.get("aws.ID") + &alice.get("aws.NEW"),
        "alices-Wert-1\nbobs-Wert-2\nbobs-Wert-3\n"
    );
    let earlier = alice.run(&["bundle", "revert", "aws.SECRET"]).ok();
    assert!(earlier.stderr.contains("reverted"), "the value chosen against is not lost");
    assert_eq!(alice.get("aws.SECRET"), "bobs-Wert-1\n");
    alice.run(&["bundle", "merge"]).fails("git knows of no conflict");
}

#[test]
fn the_same_change_on_both_sides_is_told_as_that() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(&people, |alice| alice.set("aws.ID", "2"), |bob| bob.set("aws.ID", "2"));
    let said = merge(&alice).ok().stderr;
    assert!(said.contains("both sides made the same change"), "{said}");
    alice.run(&["bundle", "merge", "--ours", "aws.ID", "--theirs", "aws.ID"]).fails("cannot be taken from both sides");
}

#[test]
fn on_a_terminal_somebody_is_asked() {
    if std::process::Command::new("script").arg("--version").output().is_err() {
        println!("skipped: there is no script");
        return;
    }
    let people = People::with_bundle();
    let alice = people.alice();
    apart(&people, |alice| alice.set("aws.ID", "alices-Wert-2"), |bob| bob.set("aws.ID", "bobs-Wert-2"));
    let said = alice.press("git merge --no-edit origin/main", "[o]urs or [t]heirs?", "xt");
    assert!(said.code == 0 && said.stdout.contains("[o]urs or [t]heirs? theirs"), "{}", said.stdout);
    assert_eq!(alice.get("aws.ID"), "bobs-Wert-2\n");
}

#[test]
fn removed_here_and_changed_there_is_a_conflict() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(
        &people,
        |alice| alice.edit("aws", "ID=1\nOTHER=other-Valu3-99\nREGION=eu\n"),
        |bob| bob.set("aws.SECRET", "bobs-Wert-1"),
    );
    let said = merge(&alice);
    assert!(said.code == 1 && said.stderr.contains("ours removed, theirs "), "{}", said.stderr);
    alice.run(&["bundle", "merge", "--theirs", "aws.SECRET"]).ok();
    assert_eq!(alice.get("aws"), "ID=1\nOTHER=other-Valu3-99\nREGION=eu\nSECRET=bobs-Wert-1\n");
}

#[test]
fn rebase_and_cherry_pick_merge_as_well() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(
        &people,
        |alice| {
            alice.set("aws.ID", "2");
            alice.commit("first");
            alice.set("aws.REGION", "us");
        },
        |bob| bob.set("aws.OTHER", "bobs-Wert-1"),
    );
    alice.git(&["rebase", "--quiet", "origin/main"]).ok();
    assert_eq!(alice.get("aws.ID") + &alice.get("aws.REGION") + &alice.get("aws.OTHER"), "2\nus\nbobs-Wert-1\n");
    let bob = people.bob();
    bob.set("web.TOKEN", "1");
    bob.commit("picked");
    bob.git(&["push", "--quiet", "origin", "main:side"]).ok();
    alice.fetch();
    alice.git(&["cherry-pick", "origin/side"]).ok();
    assert_eq!(alice.get("web.TOKEN") + &alice.get("aws.ID"), "1\n2\n");
    assert!(alice.is_clean());
}

#[test]
fn a_bundle_with_a_password_merges() {
    let people = People::new();
    let alice = people.alice();
    alice.put("ops/vault-password", "correct-horse\n");
    fs::set_permissions(alice.work.join("ops/vault-password"), std::os::unix::fs::PermissionsExt::from_mode(0o600))
        .unwrap();
    let inside = alice.within("ops");
    people.make_bundle(&inside, &[]);
    inside.run(&["bundle", "install-git"]).ok();
    alice.git(&["add", "--all"]).ok();
    alice.git(&["commit", "--quiet", "-m", "the bundle"]).ok();
    assert!(!alice.git(&["ls-files"]).ok().stdout.contains("vault-password"));
    alice.git(&["branch", "other"]).ok();
    inside.set("aws.ID", "2");
    alice.commit("id");
    alice.git(&["checkout", "--quiet", "other"]).ok();
    fs::remove_dir_all(people.path("home-alice/state")).unwrap(); // another machine has not seen generation 2
    inside.set("aws.OTHER", "3");
    alice.commit("other");
    let shown = alice.git(&["show"]).ok().stdout;
    assert!(shown.contains("+aws.OTHER "), "the password beside the bundle opens it: {shown}");
    alice.git(&["merge", "--no-edit", "main"]).ok();
    assert_eq!(inside.get("aws.ID") + &inside.get("aws.OTHER"), "2\n3\n");
}

#[test]
fn in_a_worktree_and_from_a_hook_of_another_repository() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(&people, |alice| alice.set("aws.ID", "2"), |bob| bob.set("aws.ID", "3"));
    alice.git(&["worktree", "add", "--quiet", "../tree", "HEAD"]).ok();
    let tree = people.at("tree");
    assert_eq!(merge(&tree).code, 1);
    // As a hook of another repository would have it.
    let vars = [("GIT_DIR", people.path("bob/.git")), ("GIT_INDEX_FILE", people.path("bob/.git/index"))];
    let vars = vars.each_ref().map(|(name, path)| (*name, path.to_str().unwrap()));
    tree.run_with(&["bundle", "merge", "--theirs", "aws.ID"], &vars).ok();
    assert_eq!(tree.get("aws.ID"), "3\n");
}

#[test]
fn two_bundles_are_not_merged() {
    let people = People::with_bundle();
    let alice = people.alice();
    apart(
        &people,
        |alice| alice.set("aws.ID", "2"),
        |bob| {
            fs::remove_file(bob.work.join("secrets.age")).unwrap();
            let _ = fs::remove_dir_all(people.path("home-bob/state"));
            people.make_bundle(bob, &["--recipient", &people.public_key()]);
        },
    );
    let said = merge(&alice);
    assert!(said.code == 1 && said.stderr.contains("these are two bundles"), "{}", said.stderr);
}

#[test]
fn marks_that_git_put_into_armor_are_settled() {
    let people = People::with_bundle();
    let (alice, bob) = (people.alice(), people.bob());
    let public = people.public_key();
    alice
        .sh("age -d -i $KEY secrets.age | age -a -r $PUBLIC -o new && mv new secrets.age", &[("PUBLIC", &public)])
        .ok();
    alice.commit("armored");
    alice.push();
    bob.git(&["pull", "--quiet"]).ok();
    alice.git(&["config", "--remove-section", "merge.distribute"]).ok();
    apart(&people, |alice| alice.set("aws.ID", "2"), |bob| bob.set("aws.OTHER", "3"));
    assert_eq!(merge(&alice).code, 1);
    let marked = alice.run(&["bundle", "list"]).fails("merge conflict").stderr;
    assert!(marked.contains("`distribute bundle merge`"), "{marked}");
    alice.run(&["bundle", "merge"]).ok();
    assert!(alice.bytes("secrets.age").starts_with(b"-----BEGIN AGE"), "armored as it was");
    assert_eq!(alice.get("aws.ID") + &alice.get("aws.OTHER"), "2\n3\n");
}

#[test]
fn a_recipient_who_was_added_meanwhile_opens_the_merged_bundle() {
    let people = People::with_bundle();
    let alice = people.alice();
    let other = people.at("/").run(&["keygen", "-o", "other"]).ok().stdout;
    let add = "mkdir ../open; age -d -i $KEY secrets.age | tar xz -C ../open; rm secrets.age; \
        sed -i \"s/^recipients = \\[/&\\\"$OTHER\\\", /; s/^generation = 1$/generation = 2/\" ../open/bundle.toml; \
        tar cz -C ../open $(ls ../open) | age -r $PUBLIC -r $OTHER -o secrets.age; rm -r ../open";
    let vars = [("OTHER", other.trim()), ("PUBLIC", &people.public_key())];
    apart(&people, |alice| alice.set("aws.ID", "2"), |bob| _ = bob.sh(add, &vars).ok());
    let diff = alice.run(&["bundle", "diff", "HEAD", "origin/main"]).ok().stdout;
    assert!(diff.contains(&format!("{}  recipient added", other.trim())), "{diff}");
    merge(&alice).ok();
    let stock = people.path("other");
    let id = alice.sh(
        "age -d -i $OTHER secrets.age | tar xzO services/aws.env | grep ^ID",
        &[("OTHER", stock.to_str().unwrap())],
    );
    assert_eq!(id.ok().stdout, "ID=2\n");
    let key = alice.sh(
        "age -d -i $KEY secrets.age | tar xzO keys/backup.age | age -d -i $OTHER",
        &[("OTHER", stock.to_str().unwrap())],
    );
    assert!(key.ok().stdout.contains("AGE-SECRET-KEY-"), "what opens backups is sealed to both again");
}
