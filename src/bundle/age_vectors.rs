//! The test vectors of age (C2SP's CCTV), as the `age` crate carries them in its sources, through the way on which a bundle is opened.

use super::sealed::{Lock, Refusal, Sealed, identities};
use super::unlock::Unlock;
use crate::words::Secret;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Two that open although they should not: a stanza without its short last line, as early versions of age wrote it. The crate still takes it,
/// and nothing follows from it: the header's authentication covers it.
const LENIENT: [&str; 2] = ["stanza_missing_body", "stanza_missing_final_line"];
/// What the crate carries. Fewer would mean that something was not looked at.
const LEAST: usize = 100;

struct Vector {
    name: String,
    fields: BTreeMap<String, Vec<String>>,
    file: Vec<u8>,
}

impl Vector {
    /// `name: value` lines, an empty line, and the file.
    fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap();
        let end = bytes.windows(2).position(|two| two == b"\n\n").expect("a head");
        let mut fields: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for line in std::str::from_utf8(&bytes[..end]).unwrap().lines() {
            let (name, value) = line.split_once(": ").unwrap();
            fields.entry(name.to_owned()).or_default().push(value.to_owned());
        }
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let mut file = bytes[end + 2..].to_vec();
        if fields.contains_key("compressed") {
            let mut whole = Vec::new();
            flate2::read::ZlibDecoder::new(&file[..]).read_to_end(&mut whole).unwrap();
            file = whole;
        }
        Self { name, fields, file }
    }

    fn all(&self, field: &str) -> &[String] {
        self.fields.get(field).map_or(&[], Vec::as_slice)
    }

    fn expected(&self) -> &str {
        &self.all("expect")[0]
    }

    /// Everything at hand at once, as a user has it.
    fn unlock(&self) -> Unlock {
        let unlock = self.all("identity").iter().fold(Unlock::new(), |unlock, key| {
            unlock.identity_given("the vector's identity", Secret::new(key.as_bytes()))
        });
        // Of several the last counts; a vector that has more than one opens with none of them.
        self.all("passphrase")
            .iter()
            .fold(unlock, |unlock, word| unlock.password_given("the vector's passphrase", Secret::new(word.as_bytes())))
    }

    /// The hash of what is in it, or why it does not open.
    fn opened(&self) -> Result<String, String> {
        let text = |error: crate::words::Error| format!("{error} {}", error.hints().join(" "));
        let sealed = Sealed::read(&self.file).map_err(text)?;
        let (clear, _) = self.unlock().open(&sealed).map_err(text)?;
        Ok(HEXLOWER.encode(&Sha256::digest(&*clear)))
    }
}

/// The vectors, wherever cargo keeps the sources of crates.
fn vectors() -> Option<Vec<Vector>> {
    let home = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let home = home.or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cargo")))?;
    let registries = std::fs::read_dir(home.join("registry/src")).ok()?.flatten();
    let crates = registries.filter_map(|one| std::fs::read_dir(one.path()).ok()).flatten().flatten();
    let is_age = |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("age-0."));
    let mut found: Vec<PathBuf> = crates.map(|one| one.path()).filter(is_age).collect();
    found.sort();
    let kits = found.into_iter().rev().map(|path| path.join("tests/testdata/testkit"));
    let entries = kits.filter_map(|kit| std::fs::read_dir(kit).ok()).next()?;
    let mut all: Vec<Vector> = entries.map(|entry| Vector::read(&entry.unwrap().path())).collect();
    all.sort_by(|one, other| one.name.cmp(&other.name));
    Some(all)
}

#[test]
fn the_vectors_open_or_are_refused_as_they_say() {
    let Some(all) = vectors() else {
        eprintln!("skipped: the sources of the age crate, with its test vectors, are not in CARGO_HOME");
        return;
    };
    assert!(all.len() >= LEAST, "only {}", all.len());
    let mut wrong = Vec::new();
    for vector in &all {
        let (expected, opened) = (vector.expected(), vector.opened());
        let is_right = match &opened {
            Ok(hash) if expected == "success" => *hash == vector.all("payload")[0],
            Ok(_) => LENIENT.contains(&&*vector.name),
            Err(_) => expected != "success",
        };
        if !is_right {
            wrong.push(format!("{}: {expected}, but {opened:?}", vector.name));
        }
        // No key that a vector is opened with is said.
        let said = opened.err().unwrap_or_default();
        for secret in vector.all("identity") {
            assert!(!said.contains(secret), "{}: {said}", vector.name);
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(all.iter().filter(|vector| vector.expected() == "success").count() >= 15);
}

/// What does not fit is told from what is damaged: the first is a matter of keys, the second one of the file.
#[test]
fn a_wrong_key_is_told_from_a_damaged_file() {
    let Some(all) = vectors() else {
        eprintln!("skipped: the sources of the age crate, with its test vectors, are not in CARGO_HOME");
        return;
    };
    let mut seen = [0, 0];
    for vector in all.iter().filter(|vector| matches!(vector.expected(), "no match" | "payload failure")) {
        let Ok(sealed) = Sealed::read(&vector.file) else { continue }; // bad armor
        let refusal = match sealed.lock() {
            Lock::Password => sealed.open_with_password(&Secret::new(vector.all("passphrase")[0].as_bytes())),
            Lock::Keys(_) => {
                sealed.open_with_keys(&identities(vector.all("identity").join("\n").as_bytes()).unwrap_or_default())
            }
        };
        let expected = if vector.expected() == "no match" { Refusal::Wrong } else { Refusal::Damaged };
        assert_eq!(refusal.unwrap_err(), expected, "{}", vector.name);
        seen[usize::from(expected == Refusal::Damaged)] += 1;
    }
    assert!(seen[0] >= 4 && seen[1] >= 15, "{seen:?}");
}
