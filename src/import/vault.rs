//! One vault of Ansible: a header, and in hex a salt, an HMAC and what was sealed. PBKDF2-HMAC-SHA256 makes the keys, AES-256-CTR sealed it;
//! the HMAC is checked before anything is opened. Format 1.1 has no label, 1.2 has one.

use crate::words::{Error, Result, Secret, printable};
use aes::Aes256;
use ctr::Ctr128BE;
use ctr::cipher::{KeyIvInit, StreamCipher};
use data_encoding::HEXLOWER_PERMISSIVE;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

const MAGIC: &[u8] = b"$ANSIBLE_VAULT";
const ROUNDS: u32 = 10_000;
const BLOCK: usize = 16;

/// A password, and the label of the vaults it is meant for.
pub struct VaultPassword {
    /// `None` for any.
    pub label: Option<String>,
    /// Where it is from, for messages.
    pub place: String,
    pub password: Secret,
}

/// What is at hand to open vaults.
#[derive(Default)]
pub struct VaultPasswords(pub Vec<VaultPassword>);

/// A vault that nobody has opened yet.
struct Vault {
    label: Option<String>,
    salt: Vec<u8>,
    mac: Vec<u8>,
    sealed: Vec<u8>,
}

/// Does it begin as a vault does?
pub fn is_vault(bytes: &[u8]) -> bool {
    bytes.trim_ascii_start().starts_with(MAGIC)
}

/// Opens a vault with whatever password fits: those with its label first, as Ansible does.
pub fn open(bytes: &[u8], passwords: &VaultPasswords) -> Result<Secret> {
    let vault = Vault::read(bytes)?;
    if passwords.0.is_empty() {
        return Err(Error::new(format!("it is a vault{}, and there is no password for it", vault.labelled()))
            .hint("name the file that holds it: --vault-password-file PATH, or LABEL@PATH"));
    }
    let (fitting, others): (Vec<_>, Vec<_>) = passwords.0.iter().partition(|known| known.label == vault.label);
    let opened = fitting.into_iter().chain(others).find_map(|known| vault.open(&known.password));
    opened.ok_or_else(|| vault.nothing_opens(passwords))?
}

impl Vault {
    fn read(bytes: &[u8]) -> Result<Self> {
        let broken = || Error::new("it begins as a vault and is not a whole one: cut off or altered");
        let mut lines = bytes.trim_ascii().split(|b| *b == b'\n').map(<[u8]>::trim_ascii);
        let header: Vec<&[u8]> = lines.next().unwrap_or_default().split(|b| *b == b';').collect();
        let label = match header.as_slice() {
            [MAGIC, b"1.1", b"AES256"] => None,
            [MAGIC, b"1.2", b"AES256", label] => Some(printable(label, 80)),
            _ => {
                return Err(Error::new("it is a vault of a format that is not known")
                    .hint("known are 1.1 and 1.2 with AES256; `ansible-vault rekey` writes such a one"));
            }
        };
        let inner = hex(&lines.collect::<Vec<_>>().concat()).ok_or_else(broken)?;
        let parts: Vec<Vec<u8>> = inner.split(|b| *b == b'\n').map(hex).collect::<Option<_>>().ok_or_else(broken)?;
        let [salt, mac, sealed] = <[Vec<u8>; 3]>::try_from(parts).map_err(|_| broken())?;
        if sealed.is_empty() || sealed.len() % BLOCK != 0 {
            return Err(broken());
        }
        Ok(Self { label, salt, mac, sealed })
    }

    fn labelled(&self) -> String {
        self.label.as_ref().map(|label| format!(" with the label {label}")).unwrap_or_default()
    }

    /// `None` when it is another password, or the vault was altered: nobody can tell which.
    fn open(&self, password: &Secret) -> Option<Result<Secret>> {
        let mut keys = Zeroizing::new([0; 80]);
        pbkdf2::pbkdf2::<Hmac<Sha256>>(password.expose(), &self.salt, ROUNDS, &mut keys[..]).ok()?;
        let mut mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&keys[32..64]).ok()?;
        mac.update(&self.sealed);
        mac.verify_slice(&self.mac).ok()?;
        let mut cipher = Ctr128BE::<Aes256>::new_from_slices(&keys[..32], &keys[64..]).ok()?;
        let mut clear = Zeroizing::new(self.sealed.clone());
        cipher.apply_keystream(&mut clear);
        Some(without_padding(&clear).ok_or_else(|| Error::new("its padding is not that of a vault")))
    }

    fn nothing_opens(&self, passwords: &VaultPasswords) -> Error {
        let tried: Vec<&str> = passwords.0.iter().map(|known| known.place.as_str()).collect();
        let message = format!("no password at hand opens the vault{}, or it was altered", self.labelled());
        Error::new(message).hint(format!("tried: {}", tried.join(", ")))
    }
}

/// PKCS#7.
fn without_padding(clear: &[u8]) -> Option<Secret> {
    let length = usize::from(*clear.last()?);
    let (text, padding) = clear.split_at_checked(clear.len().checked_sub(length)?)?;
    let is_padding = (1..=BLOCK).contains(&length) && padding.iter().all(|b| usize::from(*b) == length);
    is_padding.then(|| Secret::new(text))
}

fn hex(text: &[u8]) -> Option<Vec<u8>> {
    HEXLOWER_PERMISSIVE.decode(text).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Made by ansible-vault of ansible-core 2.18.19.
    const PROD: &str = "$ANSIBLE_VAULT;1.2;AES256;prod
          37623565653739366665393439393264303762353237663666383366653238303934366637326232
          3262313266363932303161343635386132306333336238620a333235303532346433323338353933
          36333963393665306162333565396632313838653632333736363665333430356534633031613863
          3931383932313830640a613362633935653337326235333238653638623562346561303137626138
          6435";

    fn passwords(all: &[(Option<&str>, &str)]) -> VaultPasswords {
        let known = |(label, password): &(Option<&str>, &str)| VaultPassword {
            label: label.map(str::to_owned),
            place: format!("file of {label:?}"),
            password: Secret::new(password.as_bytes()),
        };
        VaultPasswords(all.iter().map(known).collect())
    }

    #[test]
    fn opens_with_the_password_under_any_label() {
        for all in [&[(Some("prod"), "pw")][..], &[(None, "pw")], &[(Some("dev"), "x"), (Some("dev"), "pw")]] {
            assert_eq!(open(PROD.as_bytes(), &passwords(all)).unwrap().expose(), b"hello");
        }
    }

    #[test]
    fn a_wrong_password_and_every_altered_byte_are_refused() {
        let error = open(PROD.as_bytes(), &passwords(&[(None, "POISON")])).unwrap_err();
        assert!(error.to_string().contains("label prod") && error.hints()[0].contains("file of None"));
        assert!(!format!("{error:?}").contains("POISON"));
        assert!(open(PROD.as_bytes(), &passwords(&[])).unwrap_err().hints()[0].contains("--vault-password-file"));
        let (header, body) = PROD.split_once('\n').unwrap();
        let body: Vec<u8> = body.bytes().filter(|b| !b.is_ascii_whitespace()).collect();
        let vault = |body: &[u8]| [header.as_bytes(), b"\n", body].concat();
        let right = passwords(&[(None, "pw")]);
        open(&vault(&body), &right).unwrap();
        for index in (0..body.len()).step_by(7) {
            let mut altered = body.clone();
            altered[index] = if altered[index] == b'3' { b'4' } else { b'3' };
            if altered != body {
                assert!(open(&vault(&altered), &right).is_err(), "{index}");
            }
        }
        for length in (0..body.len()).step_by(11) {
            assert!(open(&vault(&body[..length]), &right).is_err(), "cut at {length}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for header in
            ["$ANSIBLE_VAULT;1.0;AES", "$ANSIBLE_VAULT;1.2;AES256", "$ANSIBLE_VAULT;2.0;AES256;x", "$ANSIBLE_VAULT"]
        {
            let error = open(format!("{header}\n3031\n").as_bytes(), &passwords(&[(None, "pw")])).unwrap_err();
            assert!(error.to_string().contains("not known"), "{error}");
        }
    }
}
