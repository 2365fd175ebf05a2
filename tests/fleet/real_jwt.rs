//! A key pair that signs JSON Web Tokens on every host, and the key set that verifies them wherever they were signed.

use crate::fleet_in_use::{FleetInUse, live, uses};
use crate::workspace::is_root;
use serde_json::Value;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

const POLICY: &str = r#"
[[play.service]]
name   = "jwt"
format = "raw"

[[rotate]]
secrets  = ["jwt/private.pem"]
public   = "jwt/public.pem"
every    = "180d"
generate = "SPEC"
overlap  = "2s"
[rotate.steps]
set    = ["rotators/jwks", "set", "--file", "FILE"]
test   = ["rotators/jwks", "test", "--file", "FILE"]
undo   = ["rotators/jwks", "undo", "--file", "FILE"]
revoke = ["rotators/jwks", "revoke", "--file", "FILE"]
"#;

/// On a host: `use` signs a token and verifies it, and the one before, with what is published; `verify TOKEN` does one. It shares no line
/// with the rotator.
const SIGNER: &str = r#"
import base64, hashlib, json, os, subprocess, sys, tempfile

def text(value):
    return base64.urlsafe_b64encode(value).rstrip(b"=").decode()

def raw(encoded):
    return base64.urlsafe_b64decode(encoded + "==")

def openssl(*words, given=b""):
    done = subprocess.run(["openssl", *words], input=given, capture_output=True)
    if done.returncode:
        sys.exit("openssl: " + (done.stderr + done.stdout).decode(errors="replace"))
    return done.stdout

def in_file(content):
    file = tempfile.NamedTemporaryFile()
    file.write(content)
    file.flush()
    return file

def public_key(private):
    der = openssl("pkey", "-pubout", "-outform", "DER", given=private)
    if len(der) == 44:
        return {"crv": "Ed25519", "kty": "OKP", "x": text(der[12:])}
    modulus = openssl("rsa", "-noout", "-modulus", given=private).split(b"=")[1].strip().decode()
    return {"e": "AQAB", "kty": "RSA", "n": text(bytes.fromhex(modulus))}

def thumbprint(key):
    return text(hashlib.sha256(json.dumps(key, sort_keys=True, separators=(",", ":")).encode()).digest())

def sign(private):
    key = public_key(private)
    kid = thumbprint(key)
    digest, alg = ([], "EdDSA") if key["kty"] == "OKP" else (["-digest", "sha256"], "RS256")
    claims = text(json.dumps({"alg": alg, "kid": kid}).encode()) + "." + text(os.urandom(8))
    with in_file(claims.encode()) as message:
        words = ["pkeyutl", "-sign", "-inkey", "/dev/stdin", "-rawin", *digest, "-in", message.name]
        return claims + "." + text(openssl(*words, given=private)), kid

def verify(token):
    claims, signature = token.rsplit(".", 1)
    kid = json.loads(raw(claims.split(".")[0]))["kid"]
    with open(sys.argv[2]) as file:
        key = next((key for key in json.load(file)["keys"] if key["kid"] == kid), None)
    if key is None:
        sys.exit(f"no key {kid} is published")
    message, signature = claims.encode(), raw(signature)
    if key["kty"] == "RSA":
        n, e = (int.from_bytes(raw(key[name]), "big") for name in "ne")
        size = (n.bit_length() + 7) // 8
        end = bytes.fromhex("003031300d060960864801650304020105000420") + hashlib.sha256(message).digest()
        if pow(int.from_bytes(signature, "big"), e, n).to_bytes(size, "big") != b"\0\1".ljust(size - len(end), b"\xff") + end:
            sys.exit("the signature is wrong")
        return
    der = bytes.fromhex("302a300506032b6570032100") + raw(key["x"])
    with in_file(message) as m, in_file(signature) as s, in_file(der) as k:
        openssl("pkeyutl", "-verify", "-pubin", "-keyform", "DER", "-inkey", k.name, "-rawin", "-in", m.name, "-sigfile", s.name)

def use():
    live = os.path.realpath("LIVE") + "/"
    with open(live + "private.pem", "rb") as private, open(live + "public.pem", "rb") as public:
        private, public = private.read(), public.read()
    if openssl("pkey", "-pubout", given=private) != public:
        sys.exit("the public half is of another key")
    token, kid = sign(private)
    verify(token)
    if os.path.exists("/srv/token"):
        with open("/srv/token") as before:
            verify(before.read())
    with open("/srv/token.new", "w") as now:
        now.write(token)
    os.rename("/srv/token.new", "/srv/token")
    print("ok", kid)

use() if sys.argv[1] == "use" else verify(sys.argv[3])
"#;

/// A key set in a place that hosts see, too.
struct KeySet(TempDir);

impl KeySet {
    fn new() -> Self {
        Self(tempfile::Builder::new().prefix("distribute-test-").tempdir_in("/dev/shm").unwrap())
    }

    fn file(&self) -> String {
        self.0.path().join("jwks.json").to_str().unwrap().to_owned()
    }

    fn kids(&self) -> Vec<String> {
        let set: Value = serde_json::from_slice(&fs::read(self.file()).unwrap()).unwrap();
        set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
    }
}

/// A fleet whose first key is published.
fn started(spec: &str, published: &KeySet) -> FleetInUse {
    let fleet = FleetInUse::new(Vec::new(), &POLICY.replace("SPEC", spec).replace("FILE", &published.file()));
    fleet.ws.set_with(&["jwt/private.pem", "--generate", spec, "--public", "jwt/public.pem"], "");
    fleet.ws.setup();
    fleet.rotation(&["rotate", "--all"], 0);
    fleet.revoke("jwt/private.pem");
    fleet.write("/srv/signer", &SIGNER.replace("LIVE", &live("..data/jwt")));
    fleet
}

/// What a verifier on this host says to a token.
fn verdict(fleet: &FleetInUse, host: &str, published: &KeySet, token: &str) -> String {
    let verify = format!("python3 /srv/signer verify {} {token} 2>&1 && echo accepted || true", published.file());
    fleet.ws.host(host).sh(&verify)
}

/// A line of the private key, for looking for it.
fn line(private: &str) -> String {
    let lines: Vec<&str> = private.lines().collect();
    lines[lines.len() / 2].to_owned()
}

/// The kid of the last token that each host signed.
fn signing(fleet: &FleetInUse) -> Vec<String> {
    fleet.ws.hosts.iter().map(|host| uses(host).last().unwrap().trim_start_matches("ok ").to_owned()).collect()
}

fn tokens_are_accepted_at_any_time(spec: &str) {
    if !is_root() {
        return;
    }
    let published = KeySet::new();
    let fleet = started(spec, &published);
    fleet.consume(&format!("python3 /srv/signer use {}", published.file()));
    let mut keys = vec![line(&fleet.ws.value("jwt/private.pem"))];
    for _ in 0..2 {
        let [old] = &published.kids()[..] else { panic!("{:?}", published.kids()) };
        let token = fleet.ws.web1().read("/srv/token");
        let told = fleet.rotation(&["rotate", "--all"], 0);
        assert_eq!((&told["state"], &told["secrets"][0]["provider"]), (&"done".into(), &"both".into()), "{told:#}");
        let private = fleet.ws.value("jwt/private.pem");
        fleet.assert_live("jwt/private.pem", &private);
        fleet.assert_live("jwt/public.pem", &fleet.ws.value("jwt/public.pem"));
        fleet.used_again();
        let [first, new] = &published.kids()[..] else { panic!("{:?}", published.kids()) };
        assert_eq!((first, signing(&fleet)), (old, vec![new.clone(); 3]), "both keys, and all sign with the new one");
        assert_eq!(verdict(&fleet, "web3", &published, &token), "accepted\n");
        fleet.revoke("jwt/private.pem");
        assert_eq!(published.kids(), std::slice::from_ref(new), "only the new one");
        assert_eq!(verdict(&fleet, "web3", &published, &token), format!("no key {old} is published\n"));
        fleet.used_again();
        keys.push(line(&private));
    }
    fleet.assert_never_failed();
    // A verifier that accepts everything would prove nothing.
    let token = fleet.ws.web1().read("/srv/token");
    let (claims, signature) = token.rsplit_once('.').unwrap();
    let forged = verdict(&fleet, "web2", &published, &format!("{claims}AAAA.{signature}"));
    assert!(forged.to_lowercase().contains("signature"), "{forged}");
    fleet.assert_silent(&keys, &[PathBuf::from(published.0.path())]);
}

#[test]
fn ed25519_tokens_are_accepted_at_any_time() {
    tokens_are_accepted_at_any_time("ed25519");
}

#[test]
fn rsa_tokens_are_accepted_at_any_time() {
    tokens_are_accepted_at_any_time("rsa:2048");
}
