//! What is there and should not be, what is not there and should be, and what is not what we put there: each fault, seen and mended.

use crate::audit::{BOTH, Fault, Mend, fleet, tell};
use crate::workspace::is_root;

const fn fix(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::Fix }
}

const fn by(says: &'static str, plant: &'static str, script: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::By(script) }
}

const fn told(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::AsTold }
}

const fn deploy(says: &'static str, plant: &'static str) -> Fault {
    Fault { says, plant, mend: Mend::Deploy }
}

pub const FAULTS: &[Fault] = &[
    // Something is gone.
    deploy("missing medium secrets/cloudflare.env: our file -> nothing", "rm $live/cloudflare.env"),
    deploy("missing medium secrets/cloudflare.env: our link -> nothing", "rm secrets/cloudflare.env"),
    deploy("missing medium secrets/..RUN: the live set -> nothing", "rm -r $live"),
    deploy("missing medium secrets/..data: the link to the live set -> nothing", "rm secrets/..data"),
    deploy("missing medium secrets: what every root has -> nothing", "rm -r secrets"),
    deploy("missing medium vault-password: what every root has -> nothing", "rm vault-password"),
    deploy("missing medium backups/key.age: what opens the backups -> nothing", "rm backups/key.age"),
    deploy(
        "missing medium backups/RUN.tar.gz.age: the live set's sealed copy -> nothing",
        "rm backups/$run.tar.gz.age",
    ),
    deploy("missing medium backups: what every root has -> nothing", "rm -r backups"),
    deploy(
        "missing medium .distribute/generation: the generation that this host has seen -> nothing",
        "rm .distribute/generation",
    ),
    deploy(
        "missing medium .distribute/manifest...RUN: what is known of the live set -> nothing",
        "rm .distribute/manifest...$run",
    ),
    deploy("missing medium .distribute: what every root has -> nothing", "rm -r .distribute"),
    deploy("missing medium /opt/callableapis: the root of the play -> nothing", "cd /; rm -r /opt/callableapis"),
    // Something is there that is not ours.
    told(
        "unexpected-file medium secrets/notes.txt: nothing -> a file that we did not put there",
        "echo > secrets/notes.txt",
    ),
    told(
        "unexpected-file medium secrets/tree: nothing -> a file that we did not put there",
        "mkdir -p secrets/tree/a/b; echo > secrets/tree/a/b/c; echo > secrets/tree/d~",
    ),
    told("unexpected-file medium secrets/pipe: nothing -> a file that we did not put there", "mkfifo secrets/pipe"),
    deploy(
        "unexpected-file medium secrets/..data/extra.env: nothing -> a file that we did not put there",
        "echo > $live/extra.env",
    ),
    deploy(
        "unexpected-file medium secrets/cloudflare.env: a file -> something else in its place",
        "rm $live/cloudflare.env; mkdir $live/cloudflare.env",
    ),
    deploy(
        "unexpected-file medium secrets/..data/tree: nothing -> a file that we did not put there",
        "mkdir -p $live/tree/a; echo > $live/tree/a/b",
    ),
    deploy(
        "unexpected-file medium secrets/..data/pipe: nothing -> a file that we did not put there",
        "mkfifo $live/pipe",
    ),
    told(
        "unexpected-file medium secrets/it's a \"name\": nothing -> a file that we did not put there",
        "echo > \"secrets/it's a \\\"name\\\"\"",
    ),
    told(
        "unexpected-file medium secrets/$(touch x); touch x: nothing -> a file that we did not put there",
        "echo > 'secrets/$(touch x); touch x'",
    ),
    by(
        "unexpected-file medium secrets/-rf two\\nlines: nothing -> a file that we did not put there",
        "echo > \"secrets/-rf two\nlines\"",
        "rm secrets/-rf*",
    ),
    told(
        "unexpected-file medium secrets/elsewhere: nothing -> a file that we did not put there",
        "ln -s /etc secrets/elsewhere",
    ),
    told("unexpected-file medium backups/old: nothing -> a file that we did not put there", "mkdir backups/old"),
    told(
        "unexpected-file medium .distribute/notes: nothing -> a file that we did not put there",
        "echo > .distribute/notes",
    ),
    // It is not what we put there.
    deploy("drift high secrets/cloudflare.env: HASH -> HASH", "echo MORE=1 >> secrets/cloudflare.env"),
    deploy(
        "drift high secrets/cloudflare.env: a link to ..data/cloudflare.env -> something else in its place",
        "sed -i s/second/third/ secrets/cloudflare.env",
    ),
    deploy(
        "drift high secrets/cloudflare.env: HASH -> HASH",
        "echo BY_HAND=1 > $live/new; mv $live/new $live/cloudflare.env",
    ),
    deploy("drift high vault-password: our file -> something else in its place", "echo by hand > vault-password"),
    deploy("drift high backups/key.age: our file -> something else in its place", "echo >> backups/key.age"),
    // Of ours, and of no use.
    fix(
        "stale-set low secrets/..1-20200101T000000Z-0000: nothing -> a set that is neither live nor the one before",
        "cp -R $live secrets/..1-20200101T000000Z-0000",
    ),
    fix(
        "leftover medium .distribute/stage.0123456789abcdef0123456789abcdef: nothing -> what a run that died left behind",
        "mkdir .distribute/stage.0123456789abcdef0123456789abcdef; \
         cp secrets/cloudflare.env .distribute/stage.0123456789abcdef0123456789abcdef/in",
    ),
    fix(
        "leftover medium .distribute/own.0123456789abcdef0123456789abcdef: nothing -> what a run that died left behind",
        "echo > .distribute/own.0123456789abcdef0123456789abcdef",
    ),
    fix(
        "leftover medium .distribute/lock: nothing -> the lock of a run that died",
        "echo '00000000-0000-0000-0000-000000000000 1 1 2020-01-01T00:00:00Z a@gone pid 1' > .distribute/lock",
    ),
    fix(
        "leftover medium .distribute/manifest...1-20200101T000000Z-0000: nothing -> what is known of a set that is gone",
        "echo > .distribute/manifest...1-20200101T000000Z-0000",
    ),
    fix(
        "leftover medium secrets/gone.env: nothing -> our link to a file that is not wanted any more",
        "ln -s ..data/gone.env secrets/gone.env",
    ),
    deploy(
        "leftover medium backups/0-20200101T000000Z-0001.tar.gz.age: nothing -> one backup more than is to be kept",
        "n=$(ls backups | wc -l); m=1; while [ $n -lt 7 ]; do \
         cp backups/$run.tar.gz.age backups/0-20200101T000000Z-000$m.tar.gz.age; n=$((n + 1)); m=$((m + 1)); done",
    ),
    // What an editor left.
    told(
        "leftover medium secrets.bak: nothing -> what an editor left: it may hold secrets",
        "cp -a secrets secrets.bak",
    ),
    by(
        "leftover medium secrets/..BEFORE/aws.env~: nothing -> what an editor left: it may hold secrets",
        "cp $before/aws.env $before/aws.env~",
        "rm secrets/..*/aws.env~",
    ),
    told(
        "leftover medium secrets/aws.env~: nothing -> what an editor left: it may hold secrets",
        "echo > secrets/aws.env~",
    ),
    told(
        "leftover medium secrets/..data/.aws.env.swp: nothing -> what an editor left: it may hold secrets",
        "echo > $live/.aws.env.swp",
    ),
    told(
        "leftover medium secrets/aws.env.bak: nothing -> what an editor left: it may hold secrets",
        "echo > secrets/aws.env.bak",
    ),
    told(
        "leftover medium vault-password.orig: nothing -> what an editor left: it may hold secrets",
        "echo > vault-password.orig",
    ),
    // The host can read it.
    told(
        "unsealed-backup high backups/1-20200101T000000Z-0000.tar.gz.age: nothing -> not an age file: the host reads what is in it",
        "tar -czf backups/1-20200101T000000Z-0000.tar.gz.age $live/cloudflare.env",
    ),
    told(
        "unsealed-backup high backups/cloudflare.env: nothing -> not an age file: the host reads what is in it",
        "cp secrets/cloudflare.env backups/cloudflare.env",
    ),
];

#[test]
fn what_is_there_and_what_is_in_it() {
    if !is_root() {
        return;
    }
    let ws = fleet();
    tell(&ws, BOTH, FAULTS);
    ws.assert_no_leak();
}
