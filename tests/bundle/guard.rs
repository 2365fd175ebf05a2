//! The pre-commit hook, as the real git runs it.

use super::people::{People, Person};
use super::room::{POISON, Said};
use data_encoding::BASE64;
use std::fs;

fn commit(person: &Person) -> Said {
    person.git(&["commit", "--quiet", "-m", "try"])
}

/// What is staged is refused, and told by these words; then it is gone.
#[track_caller]
fn refused(alice: &Person, name: &str, content: &str, words: &str) {
    alice.put(name, content);
    alice.git(&["add", "--all"]).ok();
    let said = commit(alice);
    assert_eq!(said.code, 1, "{name}");
    assert!(said.stderr.contains("must not be committed") && said.stderr.contains(words), "{words}: {}", said.stderr);
    alice.git(&["rm", "--quiet", "-f", "--", name]).ok();
}

#[test]
fn secrets_in_clear_are_not_committed() {
    let people = People::with_bundle();
    let alice = people.alice();
    refused(&alice, "prod.env", "# x\nA=b\n", "prod.env:2: a clear env file: A has a value");
    refused(&alice, "deep/er/.env", "SECRET=b\n", "deep/er/.env:1: a clear env file: SECRET, a key of the bundle");
    refused(&alice, "src/main.py", &format!("a\nb = '{POISON}'\n"), "src/main.py:2: the value of aws.SECRET (");
    refused(
        &alice,
        "k8s.yml",
        &format!("data: {}\n", BASE64.encode(POISON.as_bytes())),
        "k8s.yml:1: the value of aws.SECRET (",
    );
    refused(&alice, "with blank.txt", POISON, "with blank.txt:1: ");
    refused(&alice, "new\nline\u{1b}.txt", POISON, "\"new\\nline\\u{1b}.txt\":1: ");
    refused(&alice, "-o", POISON, "-o:1: ");
    refused(&alice, "vault-password.txt/../id", &fs::read_to_string(people.path("key")).unwrap(), "an age secret key");
    refused(&alice, "other/secrets.age", "A=1\n", "its name ends in .age, but it is not an age file");
    alice.put("secrets.age", "<<<<<<< ours\nage-encryption.org/v1\n");
    alice.git(&["add", "secrets.age"]).ok();
    assert!(commit(&alice).stderr.contains("it holds the markers of a merge conflict"));
    alice.git(&["restore", "--staged", "--worktree", "secrets.age"]).ok();
    alice.set("aws.SECRET", "an0ther-Wert-1");
    alice.put("src/main.py", &format!("'{POISON}'"));
    alice.git(&["add", "--all"]).ok();
    assert!(commit(&alice).stderr.contains("the value of aws.SECRET"), "an earlier value is one, too");
}

#[test]
fn what_is_fine_passes() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.set("aws.SECRET", "an0ther-Wert-1");
    alice.put("README.md", "The REGION is eu, ID=1; keys look like AGE-SECRET-KEY-1...\n");
    alice.put(".env.example", "SECRET=\nREGION=eu\nOTHER=changeme\n");
    alice.put("sub dir/a\nb.txt", "fine\n");
    std::os::unix::fs::symlink("/nowhere", alice.work.join("link")).unwrap();
    alice.git(&["add", "--all"]).ok();
    let said = commit(&alice).ok().stderr;
    assert_eq!(said.lines().count(), 1, "{said}");
    assert!(said.contains("not looked for") && said.contains(": 2 secrets (-v names them)"), "{said}");
    alice.put("other.md", "x");
    alice.git(&["add", "other.md"]).ok();
    let said = alice.run(&["bundle", "guard", "-v"]).ok().stderr;
    assert!(said.contains("public: aws.ID, aws.REGION\n"), "{said}");
    commit(&alice).ok();
    assert!(alice.is_clean());
    alice.git(&["rm", "--quiet", "README.md"]).ok();
    commit(&alice).ok();
}

#[test]
fn the_index_is_looked_at_and_not_the_work_tree() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.put("a.txt", POISON);
    alice.git(&["add", "a.txt"]).ok();
    alice.put("a.txt", "clean now, but not in the index\n");
    assert_eq!(commit(&alice).code, 1);
    // `commit -a` and `commit FILE` have an index of their own.
    alice.git(&["commit", "--quiet", "--all", "-m", "clean"]).ok();
    alice.put("a.txt", POISON);
    alice.put("b.txt", "b\n");
    assert_eq!(alice.git(&["commit", "--quiet", "--all", "-m", "not"]).code, 1);
    alice.git(&["add", "b.txt"]).ok();
    alice.git(&["commit", "--quiet", "-m", "b alone", "b.txt"]).ok();
    assert_eq!(alice.git(&["commit", "--quiet", "-m", "not", "a.txt"]).code, 1);
    alice.git(&["worktree", "add", "--quiet", "../tree", "-b", "tree"]).ok();
    let tree = people.at("tree");
    tree.put("deep/c.txt", POISON);
    tree.git(&["add", "--all"]).ok();
    let said = tree.within("deep").git(&["commit", "--quiet", "-m", "not"]);
    assert!(said.code == 1 && said.stderr.contains("deep/c.txt:1"), "{}", said.stderr);
}

#[test]
fn the_first_commit_of_a_repository_is_looked_at() {
    let people = People::new();
    let alice = people.alice();
    alice.put("in/x.env", "A=1\n");
    people.make_bundle(&alice, &["--recipient", &people.public_key()]);
    alice.run(&["bundle", "install-git"]).ok();
    alice.git(&["add", "--all"]).ok();
    assert!(commit(&alice).stderr.contains("in/x.env:1"));
    alice.git(&["rm", "--quiet", "-r", "--cached", "in"]).ok();
    commit(&alice).ok();
}

#[test]
fn without_a_key_clear_files_are_still_refused() {
    let people = People::with_bundle();
    let alice = people.alice();
    let nobody = [("DISTRIBUTE_IDENTITY", "")];
    alice.put("a.txt", POISON);
    alice.git(&["add", "a.txt"]).ok();
    alice.run_with(&["bundle", "guard", "--strict"], &nobody).fails("nothing at hand opens it");
    let said = alice.git_with(&["commit", "--quiet", "-m", "passes"], &nobody).ok();
    assert!(said.stderr.contains("its values were not looked for"), "{}", said.stderr);
    alice.put("b.env", "A=1\n");
    alice.git(&["add", "b.env"]).ok();
    assert_eq!(alice.git_with(&["commit", "--quiet", "-m", "not"], &nobody).code, 1);
}

#[test]
fn any_value_of_the_bundle_is_refused_also_in_names_and_links() {
    let people = People::with_bundle();
    let alice = people.alice();
    for (at, value) in ["prod_password_2024", "ACME-Corp-2023", "1234567890123456", "letmeinplease"].iter().enumerate()
    {
        alice.set(&format!("web.V{at}"), value);
        refused(&alice, "notes.md", &format!("it is {value}\n"), &format!("the value of web.V{at} ("));
    }
    alice.set("web.PIN_PASS", "tiger7");
    refused(&alice, "run.sh", "PIN_PASS='tiger7' ./run\n", "run.sh:1: the value of web.PIN_PASS (");
    refused(&alice, "env", "A=1\nAPI_SECRET = hunter2\n", "env:2: a clear env file: API_SECRET has a value");
    refused(&alice, &format!("backup/{POISON}.txt"), "x\n", ": its name holds the value of aws.SECRET (");
    std::os::unix::fs::symlink(format!("/srv/{POISON}"), alice.work.join("link")).unwrap();
    alice.git(&["add", "--all"]).ok();
    assert!(commit(&alice).stderr.contains("link:1: the value of aws.SECRET ("));
}

/// `commit -a` takes our side of a conflict that nobody settled.
#[test]
fn an_unsettled_conflict_is_not_committed() {
    let people = People::with_bundle();
    let (alice, bob) = (people.alice(), people.bob());
    bob.set("aws.SECRET", "bobs-Wert-1");
    bob.set("aws.NEW", "bobs-Wert-2");
    bob.commit("bob");
    bob.push();
    alice.set("aws.SECRET", "alices-Wert-1");
    alice.commit("alice");
    alice.fetch();
    assert_eq!(alice.git(&["merge", "--no-edit", "origin/main"]).code, 1);
    let said = alice.git(&["commit", "--quiet", "--all", "-m", "merged"]);
    assert!(said.code == 1 && said.stderr.contains("would be lost: aws.NEW, aws.SECRET"), "{}", said.stderr);
    assert!(said.stderr.contains("distribute bundle merge --ours NAME --theirs NAME"), "{}", said.stderr);
    let nobody = [("DISTRIBUTE_IDENTITY", "")];
    let said = alice.git_with(&["commit", "--quiet", "--all", "-m", "merged"], &nobody);
    assert!(said.code == 1 && said.stderr.contains("what they changed would be lost"), "{}", said.stderr);
    alice.git(&["add", "secrets.age"]).ok();
    assert_eq!(commit(&alice).code, 1);
    alice.git(&["checkout", "--quiet", "--merge", "secrets.age"]).ok();
    alice.feed(&["bundle", "set", "aws.ID"], b"2").fails("git has secrets.age in conflict");
    alice.run(&["bundle", "merge", "--ours", "*"]).ok();
    alice.git(&["commit", "--quiet", "--all", "-m", "merged"]).ok();
    assert_eq!(alice.get("aws.SECRET") + &alice.get("aws.NEW"), "alices-Wert-1\nbobs-Wert-2\n");
    alice.git(&["reset", "--quiet", "--hard", "HEAD~1"]).ok();
    assert_eq!(alice.git(&["cherry-pick", "origin/main"]).code, 1);
    assert!(alice.git(&["commit", "--quiet", "--all", "-m", "x", "--allow-empty"]).stderr.contains("aws.SECRET"));
}

#[test]
fn a_bundle_that_is_cut_off_is_refused_and_the_values_of_the_last_commit_are_looked_for() {
    let people = People::with_bundle();
    let alice = people.alice();
    let whole = alice.bytes("secrets.age");
    fs::write(alice.work.join("secrets.age"), &whole[..whole.len() - 40]).unwrap();
    alice.put("a.txt", POISON);
    alice.git(&["add", "--all"]).ok();
    let said = commit(&alice);
    let told = said.stderr;
    assert!(said.code == 1 && told.contains("secrets.age: it does not open: it is cut off or altered"), "{told}");
    assert!(told.contains("a.txt:1: the value of aws.SECRET") && told.contains("the values of HEAD's are looked for"));
    alice.git(&["rm", "--quiet", "-f", "secrets.age"]).ok();
    assert!(commit(&alice).stderr.contains("a.txt:1: the value of aws.SECRET"));
    fs::write(alice.work.join("secrets.age"), &whole).unwrap();
    alice.git(&["rm", "--quiet", "-f", "a.txt"]).ok();
    // Sealed to somebody else it may be whole.
    let other = people.at("/").run(&["keygen", "-o", "other"]).ok().stdout;
    let sealed = "age -d -i $KEY secrets.age | age -r $OTHER -o new; mv new secrets.age";
    alice.sh(sealed, &[("OTHER", other.trim())]).ok();
    alice.git(&["add", "--all"]).ok();
    commit(&alice).ok();
}

#[test]
fn all_that_is_tracked_can_be_looked_at() {
    let people = People::with_bundle();
    let alice = people.alice();
    alice.run(&["bundle", "guard", "--all"]).ok();
    alice.put("deep/a.txt", &format!("\n\n{POISON}\n"));
    alice.git(&["add", "--all"]).ok();
    alice.git(&["commit", "--quiet", "--no-verify", "-m", "slipped in"]).ok();
    assert_eq!(alice.run(&["bundle", "guard", "-v"]).ok().stdout, "");
    let said = alice.within("deep").run(&["bundle", "guard", "--all", "-o", "json"]);
    let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!((said.code, report["findings"][0]["line"].as_u64()), (1, Some(3)));
    assert_eq!(report["findings"][0]["path"], "deep/a.txt");
}
