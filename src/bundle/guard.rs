//! `Guard`: looks through a file that is about to be seen by others, and says what must not be in it: a value of the bundle, also in
//! base64 and hex, a private key, an env file or a bundle in clear text. It reads a stream once, in bounded memory, and never repeats
//! what it read.

mod env_lines;
mod needles;
mod scanner;
mod worth;

use super::layout::{Item, Place, SecretName};
use super::opened::Bundle;
use super::sealed::is_age_file;
use super::sealed_content::sealed_with;
use crate::words::{KeyName, Result, Secret};
use flate2::read::GzDecoder;
use needles::Needles;
use scanner::Scanner;
use std::collections::{BTreeSet, HashSet};
use std::io::Read;
use worth::Sought;
use zeroize::Zeroizing;

pub use worth::is_plain;

/// Files up to this size are read as env files and looked into as archives; of larger ones, their beginning.
const HEAD: usize = 1 << 20;
/// Most files are smaller, and what is wiped costs by its size.
const SMALL: usize = 8 << 10;

/// Something that must not be in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where it begins; `None` if it is the file as a whole.
    pub line: Option<u64>,
    /// What it is, without a byte of it.
    pub what: String,
}

/// What is looked for.
#[derive(Default)]
pub struct Guard {
    needles: Needles,
    keys: BTreeSet<KeyName>,
    passed_over: BTreeSet<String>,
}

impl Guard {
    /// Looks for what needs no bundle: private keys, env files, password files, bundles in clear text.
    pub fn new() -> Self {
        let mut guard = Self::default();
        guard.needles.add_markers();
        guard
    }

    /// Looks for the values of this bundle, too: those of now, those to come, and earlier ones.
    pub fn know(&mut self, bundle: &Bundle) {
        let names = bundle.secrets().iter().map(|name| name.to_string().to_lowercase()).collect::<Vec<_>>().join("\n");
        for (name, value) in bundle.values_by_name() {
            self.know_value(bundle, &name, value, &names);
        }
        let keys = bundle.now.envs.values().flat_map(|env| env.keys().cloned());
        self.keys.extend(keys);
    }

    fn know_value(&mut self, bundle: &Bundle, name: &SecretName, value: &Secret, names: &str) {
        let is_generated = bundle.metadata(name).is_some_and(|known| known.generator.is_some());
        let told = || format!("the value of {name} ({})", bundle.fingerprint(value.expose()));
        let is_known = match (worth::sought(value.expose(), is_generated, |text| names.contains(text)), &name.item) {
            (Sought::Everywhere, _) => {
                self.needles.add(value, &told());
                true
            }
            (Sought::BesideKey, Item::Key(key)) => self.needles.add_beside(key.as_str(), value, &told()),
            _ => false,
        };
        if !is_known {
            self.passed_over.insert(name.to_string());
        }
    }

    /// Looks for this one, too.
    pub fn know_password(&mut self, password: &Secret) {
        if worth::sought(password.expose(), false, |_| false) == Sought::Everywhere {
            self.needles.add(password, "the bundle's password");
        }
    }

    /// Secrets with a value that is not looked for, since it is too short, a word of configurations, a number, an address, or public.
    pub fn passed_over(&self) -> &BTreeSet<String> {
        &self.passed_over
    }

    /// Is something that is looked for in this name of a file?
    pub fn is_in_name(&self, name: &[u8]) -> Option<Finding> {
        let mut scanner = Scanner::new(&self.needles, name.len());
        scanner.feed(name);
        let what = scanner.end().into_iter().next()?.what;
        Some(Finding { line: None, what: format!("its name holds {what}") })
    }

    /// Looks through the content of a file of this name.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn look(&self, name: &str, mut content: impl Read) -> std::io::Result<Vec<Finding>> {
        let head = beginning(&mut content)?;
        let mut found = self.whole(name, &head);
        let mut scanner = Scanner::new(&self.needles, head.len());
        scanner.feed(&head);
        if head.len() == HEAD {
            let mut piece = Zeroizing::new(vec![0; scanner::PIECE]);
            loop {
                match content.read(&mut piece)? {
                    0 => break,
                    read => scanner.feed(&piece[..read]),
                }
            }
        }
        found.extend(scanner.end());
        Ok(found)
    }

    /// What a file is by its name and its beginning.
    fn whole(&self, name: &str, head: &[u8]) -> Vec<Finding> {
        let base = name.rsplit('/').next().unwrap_or(name);
        let whole = |what: String| vec![Finding { line: None, what }];
        if base.ends_with(".age") {
            return not_sealed(head).map(whole).unwrap_or_default();
        }
        if base == "vault-password" && !head.is_empty() && !is_age_file(head) {
            return whole("a password file".to_owned());
        }
        if let Some(what) = unsealed_bundle(head) {
            return whole(what.to_owned());
        }
        env_lines::finding(base, head, &self.keys).into_iter().collect()
    }
}

/// Up to `HEAD` bytes, in memory that grows with what is there; what was there before is wiped.
fn beginning(content: &mut impl Read) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let mut head = Zeroizing::new(vec![0; SMALL]);
    let mut length = 0;
    loop {
        match content.read(&mut head[length..])? {
            0 => break,
            read => length += read,
        }
        if length == head.len() && length < HEAD {
            let mut larger = Zeroizing::new(vec![0; (4 * length).min(HEAD)]);
            larger[..length].copy_from_slice(&head);
            head = larger;
        }
    }
    head.truncate(length);
    Ok(head)
}

/// A file that says by its name that it is sealed, and is not. What lies elsewhere, as Git LFS has it, is nobody's secret.
fn not_sealed(head: &[u8]) -> Option<String> {
    if head.starts_with(b"version https://git-lfs") || (is_age_file(head) && head.len() == HEAD) {
        return None;
    }
    let refused: Result<_> = sealed_with(head);
    refused.err().map(|error| format!("its name ends in .age, but {}", error.message()))
}

/// A gzipped tar, or a tar, with what only a bundle has in it.
fn unsealed_bundle(head: &[u8]) -> Option<&'static str> {
    let is_ours = match head.starts_with(b"\x1f\x8b") {
        true => {
            let mut unpacked = Zeroizing::new(vec![0; 64 * 1024]);
            let (mut reader, mut length) = (GzDecoder::new(head), 0);
            while let Ok(read @ 1..) = reader.read(&mut unpacked[length..]) {
                length += read;
            }
            is_bundle(&unpacked[..length])
        }
        false => is_bundle(head),
    };
    is_ours.then_some("an unsealed bundle")
}

/// What is cut off ends it.
fn is_bundle(tar: &[u8]) -> bool {
    let mut archive = tar::Archive::new(tar);
    let Ok(entries) = archive.entries() else { return false };
    entries.map_while(std::result::Result::ok).any(|entry| {
        let name = entry.path_bytes();
        let name = String::from_utf8_lossy(&name);
        match name.strip_prefix("./").unwrap_or(&name).parse::<Place>() {
            Ok(Place::Now(document)) => document.file.is_none(),
            other => other.is_ok(),
        }
    })
}

impl Bundle {
    /// Every value that this bundle knows, each with the name that it has or had.
    fn values_by_name(&self) -> Vec<(SecretName, &Secret)> {
        let mut seen = HashSet::new();
        self.readable().filter(|(name, value)| seen.insert((name.to_string(), self.mac(value.expose())))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::packed;
    use super::*;
    use data_encoding::{BASE64, BASE64URL, HEXLOWER, HEXUPPER};

    const POISON: &str = "p0ison-Wert-4711";

    fn guard() -> Guard {
        let env = format!("K={POISON}\nPORT=8080\nSTAGE=production\nCODE=12345678\nPW=tiger77\n");
        let bundle = packed(&[
            ("services/a.env", &env),
            ("services/tls/public.pem", "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEA\n-----END PUBLIC KEY-----\n"),
            ("history/1/services/a.env", "K=the-Earlier-0ne\n"),
        ]);
        let mut guard = Guard::new();
        guard.know(&bundle);
        guard
    }

    fn look(name: &str, content: &[u8]) -> Vec<(Option<u64>, String)> {
        let found = guard().look(name, content).unwrap();
        let shown = found.into_iter().map(|finding| (finding.line, finding.what)).collect();
        assert!(!format!("{shown:?}").contains(POISON));
        shown
    }

    #[test]
    fn values_are_found_in_every_form() {
        let base64 = |before: &str| BASE64.encode(format!("{before}{POISON}!").as_bytes());
        for text in [
            POISON.to_owned(),
            format!("x{POISON}y"),
            base64(""),
            base64("u"),
            base64("u:"),
            base64("use"),
            BASE64URL.encode(POISON.as_bytes()),
            HEXLOWER.encode(POISON.as_bytes()),
            HEXUPPER.encode(POISON.as_bytes()),
            "the-Earlier-0ne".to_owned(),
        ] {
            let found = look("src/main.rs", format!("one\ntwo {text} three\n").as_bytes());
            assert_eq!(found.len(), 1, "{text}: {found:?}");
            assert!(found[0].0 == Some(2) && found[0].1.contains("the value of a.K ("), "{found:?}");
        }
        assert_eq!(look("x", b"production 12345678 8080 p0ison-Wert MCowBQYDK2VwAyEA\n"), []);
        assert_eq!(look("x", b"PW=tiger77\nPW: 'tiger77'\n").len(), 1, "beside its key");
        assert_eq!(look("x", b"a tiger77, PWX=tiger77 and PW=tiger778\n"), []);
        let left_out: Vec<_> = guard().passed_over().iter().cloned().collect();
        assert_eq!(left_out, ["a.CODE", "a.PORT", "a.STAGE", "tls/public.pem"]);
    }

    #[test]
    fn a_value_is_found_wherever_a_piece_ends() {
        let guard = guard();
        for at in (HEAD - 40..HEAD + 4).chain([HEAD + scanner::PIECE - 7, 3 * HEAD]) {
            let text = [&vec![b'\n'; at][..], POISON.as_bytes()].concat();
            let found = guard.look("x", &text[..]).unwrap();
            assert_eq!(found.iter().map(|one| one.line).collect::<Vec<_>>(), [Some(at as u64 + 1)]);
        }
    }

    #[test]
    fn memory_grows_with_what_is_there() {
        for (size, most) in [(0, SMALL), (SMALL - 1, SMALL), (SMALL, 4 * SMALL), (HEAD - 1, HEAD), (HEAD + 9, HEAD)] {
            let head = beginning(&mut &vec![b'x'; size][..]).unwrap();
            assert_eq!(head.len(), size.min(HEAD));
            assert!(head.capacity() <= most, "{size}: {}", head.capacity());
        }
    }

    #[test]
    fn keys_are_found_and_talk_about_keys_is_not() {
        let key = super::super::opened::new_identity();
        let found = look("notes.txt", &[b"# created\n", key.expose()].concat());
        assert_eq!(found, [(Some(2), "an age secret key".to_owned())]);
        let pem = format!("\n-----BEGIN OPENSSH PRIVATE KEY-----\n{}\n", "b3BlbnNzaC1rZXktdjEA".repeat(4));
        assert_eq!(look("id", pem.as_bytes()), [(Some(2), "a private key".to_owned())]);
        assert_eq!(look("doc.md", b"it begins with -----BEGIN OPENSSH PRIVATE KEY----- or AGE-SECRET-KEY-1...\n"), []);
        assert_eq!(look("pub", &pem.replace("PRIVATE", "PUBLIC").into_bytes()), []);
    }

    #[test]
    fn env_files_are_known_by_name_and_by_keys() {
        let what = |name: &str, text: &str| look(name, text.as_bytes()).first().cloned();
        assert_eq!(
            what("conf/prod.env", "# c\nA=\nB=x1\n"),
            Some((Some(3), "a clear env file: B has a value".to_owned()))
        );
        for name in [".env", ".env.local", "x/.env-prod", ".envrc"] {
            assert!(what(name, "export A=b3\n").is_some(), "{name}");
            assert!(what(name, "A=\nB=changeme\nC=\"<secret>\"\nD=${OTHER}\n# E=1\n").is_none(), "{name}");
        }
        assert!(what(".env.example", "PORT=8080\nSTAGE=dev\nK=\n").is_none());
        assert!(what(".env.example", "K=xk29sKa02Klq\n").is_some());
        assert_eq!(
            what("settings", "K=short1\nO=1\n").unwrap().1,
            "a clear env file: K, a key of the bundle, has a value"
        );
        assert!(what("settings", "K=\nO=1\n").is_none());
        assert!(what("Makefile", "K=short1\nall:\n\ttrue\n").is_none());
    }

    #[test]
    fn bundles_and_passwords_in_clear_are_found() {
        let entries = packed(&[("services/a.env", "A=1\n")]).entries(1).unwrap();
        let clear = super::super::archive::pack(&entries).unwrap();
        assert_eq!(look("old/b.tar.gz", &clear), [(None, "an unsealed bundle".to_owned())]);
        assert!(look("secrets.age", &clear)[0].1.contains("gzip file that nobody sealed"));
        assert!(look("secrets.age", b"<<<<<<< ours\nage-encryption.org/v1\n=======\n")[0].1.contains("merge conflict"));
        assert!(look("secrets.age", b"A=1\n")[0].1.contains("not an age file"));
        assert_eq!(look("secrets.age", b"version https://git-lfs.github.com/spec/v1\n"), []);
        assert_eq!(look("a/vault-password", b"x\n"), [(None, "a password file".to_owned())]);
        let mut other = tar::Builder::new(Vec::new());
        let mut header = tar::Header::new_ustar();
        header.set_size(1);
        other.append_data(&mut header, "src/main.rs", &b"x"[..]).unwrap();
        assert_eq!(look("src.tar", &other.into_inner().unwrap()), []);
    }
}
