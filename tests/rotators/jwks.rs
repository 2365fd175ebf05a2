//! A JSON Web Key Set with keys of both kinds.

use super::policy::{Policy, Values, alone, turn};
use super::sshd::directory;
use serde_json::Value;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use tempfile::TempDir;

fn openssl(words: &[&str], input: &str) -> String {
    let mut openssl = Command::new("openssl");
    let openssl = openssl.args(words).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut child = openssl.spawn().unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let done = child.wait_with_output().unwrap();
    assert!(done.status.success(), "openssl {words:?}");
    String::from_utf8(done.stdout).unwrap()
}

fn rsa() -> String {
    openssl(&["genpkey", "-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"], "")
}

fn ed25519() -> String {
    openssl(&["genpkey", "-algorithm", "ED25519"], "")
}

struct Published {
    dir: TempDir,
    policy: Policy,
}

impl Published {
    fn new() -> Option<Self> {
        let alone = alone();
        if Command::new("openssl").arg("version").stdout(Stdio::null()).status().is_err() {
            println!("skipped: openssl is not installed");
            return None;
        }
        let dir = directory();
        let mut policy = Policy::new(alone, "jwks", &[]);
        policy.with(&["--file", dir.path().join("jwks.json").to_str().unwrap()]);
        Some(Self { dir, policy })
    }

    fn file(&self) -> PathBuf {
        self.dir.path().join("jwks.json")
    }

    /// `kty` of each key.
    fn keys(&self) -> Vec<String> {
        let set: Value = serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kty"].as_str().unwrap().to_owned()).collect()
    }

    fn inode(&self) -> u64 {
        fs::metadata(self.file()).unwrap().ino()
    }
}

#[test]
fn both_kinds_with_overlap() {
    let Some(published) = Published::new() else { return };
    let (policy, old, new) = (&published.policy, rsa(), ed25519());
    let first = Values { old: None, ..turn("", &old) };
    policy.twice("undo", first);
    assert!(!published.file().exists(), "undo without set makes nothing");
    policy.refused("test", first, "is not published");
    policy.twice("set", first);
    policy.twice("test", first);
    assert_eq!(fs::metadata(published.file()).unwrap().permissions().mode() & 0o777, 0o644);
    fs::set_permissions(published.file(), fs::Permissions::from_mode(0o640)).unwrap();
    let values = turn(&old, &new);
    policy.twice("undo", values);
    policy.refused("test", values, "is not published");
    policy.twice("set", values);
    policy.twice("test", values);
    policy.twice("test", turn(&new, &old));
    assert_eq!(published.keys(), ["RSA", "OKP"]);
    let before = published.inode();
    policy.twice("set", values);
    assert_eq!(published.inode(), before, "nothing new, nothing written");
    policy.twice("undo", values);
    assert_eq!(published.keys(), ["RSA"]);
    policy.twice("set", values);
    policy.twice("revoke", values);
    assert_eq!(published.keys(), ["OKP"]);
    policy.twice("revoke", turn(&new, &new));
    policy.twice("undo", turn(&new, &new));
    policy.twice("test", values);
    assert_eq!(fs::metadata(published.file()).unwrap().permissions().mode() & 0o777, 0o640, "its mode is kept");
    assert_eq!(fs::read_dir(published.dir.path()).unwrap().count(), 1, "nothing is left beside it");
}

#[test]
fn the_public_half_may_be_given() {
    let Some(published) = Published::new() else { return };
    let (new, other) = (ed25519(), ed25519());
    let public = openssl(&["pkey", "-pubout"], &new);
    let values = Values { new_public: Some(&public), old: None, new: Some(&new) };
    published.policy.twice("set", values);
    published.policy.twice("test", values);
    published.policy.twice("test", Values { new_public: None, ..values });
    // A public half of another key: what is published does not verify what the key signs.
    let wrong = openssl(&["pkey", "-pubout"], &other);
    let values = Values { new_public: Some(&wrong), ..values };
    published.policy.twice("set", values);
    published.policy.refused("test", values, "is not verified by the published one");
}

#[test]
fn the_name_of_a_key_is_its_thumbprint() {
    let Some(published) = Published::new() else { return };
    // The key of RFC 8037, appendix A, and the thumbprint that stands there.
    let seed = data_encoding::BASE64URL_NOPAD.decode(b"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A").unwrap();
    let der = [&data_encoding::HEXLOWER.decode(b"302e020100300506032b657004220420").unwrap()[..], &seed].concat();
    let key =
        format!("-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n", data_encoding::BASE64.encode(&der));
    published.policy.twice("set", Values { old: None, ..turn("", &key) });
    let set: Value = serde_json::from_slice(&fs::read(published.file()).unwrap()).unwrap();
    let expected = serde_json::json!({"crv": "Ed25519", "kty": "OKP", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo",
        "use": "sig", "alg": "EdDSA", "kid": "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"});
    assert_eq!(set["keys"][0], expected);
}

#[test]
fn what_is_refused() {
    let Some(mut published) = Published::new() else { return };
    let (old, new) = (ed25519(), rsa());
    let values = turn(&old, &new);
    published.policy.refused("set", turn(&old, "no key at all"), "reading the new private key");
    published.policy.refused("set", Values { new: None, ..values }, "there is no new value");
    let curve = openssl(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"], "");
    published.policy.refused("set", turn(&old, &curve), "only RSA and Ed25519");
    for text in ["not JSON", "[]", "{\"keys\": 1}"] {
        fs::write(published.file(), text).unwrap();
        for step in ["set", "test", "undo", "revoke"] {
            published.policy.refused(step, values, "left as it is");
        }
        assert_eq!(fs::read_to_string(published.file()).unwrap(), text);
    }
    fs::write(published.file(), "{\"keys\": [{\"kid\": \"of another\"}], \"note\": 1}").unwrap();
    published.policy.twice("set", values);
    published.policy.twice("undo", values);
    let set: Value = serde_json::from_slice(&fs::read(published.file()).unwrap()).unwrap();
    assert_eq!((&set["keys"][0], &set["note"]), (&serde_json::json!({"kid": "of another"}), &1.into()), "not ours");
    assert_eq!(set["keys"].as_array().unwrap().len(), 2, "the key that was in use is published, too");
    published.policy.with(&["--file", "/no/such/directory/jwks.json"]);
    published.policy.refused("set", values, "No such file or directory");
}
