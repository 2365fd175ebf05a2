//! `bundle set --generate` of key pairs: what OpenSSL makes of both halves.

use super::room::Room;
use std::io::Write;
use std::process::{Command, Stdio};

/// What openssl answers to this on its stdin.
fn openssl(args: &[&str], stdin: &str) -> String {
    let mut command = Command::new("openssl");
    let mut child =
        command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(stdin.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success(), "openssl {args:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Of the outermost SEQUENCE the version, and how many parts lie in it.
fn version_and_parts(key: &str) -> (String, usize) {
    let parsed = openssl(&["asn1parse"], key);
    let parts: Vec<&str> = parsed.lines().filter(|line| line.contains(":d=1 ")).collect();
    (parts[0].rsplit_once(':').unwrap().1.to_owned(), parts.len())
}

#[test]
fn openssl_reads_both_halves() {
    let room = Room::furnished();
    for spec in ["rsa:2048", "ed25519"] {
        let set = ["bundle", "set", "tls/key.pem", "--generate", spec, "--public", "tls/key.pub", "-o", "json"];
        let said = room.run(&set).ok();
        let report: serde_json::Value = serde_json::from_str(&said.stdout).unwrap();
        assert_eq!(report["public"]["secret"], "tls/key.pub");
        let private = room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout;
        let public = room.run(&["bundle", "get", "tls/key.pub"]).ok().stdout;
        assert!(private.starts_with("-----BEGIN PRIVATE KEY-----\n") && !private.contains('\r'));
        openssl(&["pkey", "-check", "-noout"], &private);
        assert_eq!(openssl(&["pkey", "-pubout"], &private), public, "{spec}");
        assert_eq!(
            version_and_parts(&private),
            ("00".to_owned(), 3),
            "{spec}: PKCS#8 version 1, no public half inside"
        );
        let body = private.lines().nth(1).unwrap();
        assert!(!said.stderr.contains(body) && !said.stdout.contains(body), "never shown");
    }
    let list = room.by_hand("tar xzO bundle.toml");
    assert!(list.contains("generator = \"ed25519\"") && !list.contains("rsa"), "{list}");
}

#[test]
fn an_rsa_key_has_the_bits_asked_for() {
    let room = Room::furnished();
    room.run(&["bundle", "set", "tls/key.pem", "--generate", "rsa:3072"]).ok();
    let text = openssl(&["pkey", "-text", "-noout"], &room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout);
    assert!(text.contains("(3072 bit, 2 primes)") && text.contains("publicExponent: 65537"));
    room.run(&["bundle", "get", "tls/key.pub"]).fails("no tls/key.pub");
}

/// Both are seen at once, in one generation: no reader meets a private half with another's public half.
#[test]
fn both_halves_are_one_generation() {
    let room = Room::furnished();
    let set = ["bundle", "set", "tls/key.pem", "--generate", "ed25519", "--public", "tls/key.pub", "--host", "web1"];
    let said = room.run(&set).ok().stderr;
    let [private, public, generation] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert!(private.contains("key.pem") && private.contains("web1") && private.ends_with(": new"), "{said}");
    assert!(public.contains("key.pub") && public.contains("web1") && public.ends_with(": new"), "{said}");
    assert_eq!(generation, "secrets.age: generation 2");
}

#[test]
fn what_cannot_hold_a_key_pair_is_refused() {
    let room = Room::furnished();
    let before = room.bundle();
    let set = |args: &[&str]| room.run(&[&["bundle", "set"], args].concat());
    for args in [
        &["aws.KEY", "--generate", "rsa:2048"][..],
        &["aws.KEY", "--generate", "ed25519", "--public", "aws/key.pub"],
        &["aws/key.pem", "--generate", "ed25519", "--public", "aws.PUBLIC"],
    ] {
        assert!(set(args).fails("docker format").stderr.contains("SERVICE/FILE, such as aws/key.pem"));
    }
    set(&["aws/key", "--generate", "ed25519", "--public", "aws/key"]).fails("both halves");
    set(&["aws/key", "--generate", "hex:16", "--public", "aws/key.pub"]).fails("makes no key pair");
    set(&["aws/key", "--public", "aws/key.pub"]).fails("--generate");
    set(&["aws/key", "--generate", "rsa:1024"]).fails("2048, 3072 or 4096");
    set(&["aws/key", "--generate", "ed25519", "--public", "aws/key=1"]).fails("argument");
    assert_eq!(room.bundle(), before);
}

/// Does the public half in the bundle belong to the private one?
#[track_caller]
fn assert_fit(room: &Room, private: &str, public: &str) {
    let get = |name: &str| room.run(&["bundle", "get", name]).ok().stdout;
    assert_eq!(openssl(&["pkey", "-pubout"], &get(private)), get(public));
}

#[test]
fn both_halves_change_together_from_then_on() {
    let room = Room::furnished();
    let public = || room.run(&["bundle", "get", "tls/key.pub"]).ok().stdout;
    room.run(&["bundle", "set", "tls/key.pem", "--generate", "ed25519", "--public", "tls/key.pub"]).ok();
    let first = public();
    room.run(&["bundle", "generate", "tls/key.pem"]).ok();
    assert!(public() != first);
    assert_fit(&room, "tls/key.pem", "tls/key.pub");
    let second = public();
    room.run(&["bundle", "set", "tls/key.pem", "--generate", "ed25519"]).ok();
    assert!(public() != second);
    assert_fit(&room, "tls/key.pem", "tls/key.pub");
    assert!(room.run(&["bundle", "describe", "tls/key.pem"]).ok().stdout.contains("public half     tls/key.pub"));
    assert!(room.run(&["bundle", "textconv", "secrets.age"]).ok().stdout.contains(" public=tls/key.pub"));
    // Under other names, too.
    room.run(&["bundle", "rename", "tls/key.pub", "tls/public.pem"]).ok();
    room.run(&["bundle", "rename", "--service", "tls", "https"]).ok();
    let said = room.run(&["bundle", "generate", "https/key.pem"]).ok().stderr;
    assert!(said.contains("https/public.pem: changed"), "{said}");
    assert_fit(&room, "https/key.pem", "https/public.pem");
    // A second pair beside it is another.
    room.run(&["bundle", "generate", "https/two", "--generate", "ed25519", "--public", "https/two.pub"]).ok();
    room.run(&["bundle", "generate", "https/two"]).ok();
    assert_fit(&room, "https/two", "https/two.pub");
    assert_fit(&room, "https/key.pem", "https/public.pem");
}

#[test]
fn a_public_half_that_nobody_noted_is_asked_for() {
    let room = Room::furnished();
    room.run(&["bundle", "set", "tls/key.pem", "--generate", "ed25519"]).ok();
    let private = room.run(&["bundle", "get", "tls/key.pem"]).ok().stdout;
    room.feed(&["bundle", "set", "tls/key.pub"], openssl(&["pkey", "-pubout"], &private).as_bytes()).ok();
    let before = room.bundle();
    for args in [&["generate", "tls/key.pem"][..], &["set", "tls/key.pem", "--generate", "rsa:2048"]] {
        let said = room.run(&[&["bundle"], args].concat()).fails("tls/key.pub looks like the public half").stderr;
        assert!(said.contains("--public tls/key.pub"), "{said}");
    }
    assert!(room.bundle() == before);
    room.run(&["bundle", "generate", "tls/key.pem", "--public", "tls/key.pub"]).ok();
    assert_fit(&room, "tls/key.pem", "tls/key.pub");
    room.run(&["bundle", "generate", "tls/key.pem"]).ok();
    assert_fit(&room, "tls/key.pem", "tls/key.pub");
}
