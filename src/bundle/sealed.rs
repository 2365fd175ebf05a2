//! age, and only here: clear bytes to a sealed file and back. What somebody else wrote is looked at before any work is done,
//! and decrypted whole before a byte of it is used. age's own texts are never shown: they carry marks that reorder text.

use super::person::Person;
use super::recipient::Recipient;
use crate::words::{Error, Result, Secret, printable};
use age::armor::{ArmoredReader, ArmoredWriter, Format};
use age::secrecy::{ExposeSecret, SecretString};
use age::{DecryptError, EncryptError, plugin, scrypt, ssh, x25519};
use std::io::{Read, Write};
use zeroize::Zeroizing;

/// The largest bundle, in bytes.
pub const LARGEST: u64 = 64 << 20;
/// About a second and 256 MB. Written, never timed by the machine.
const WORK_FACTOR: u8 = 18;
const MOST_WORK: u8 = 20;
const ARMOR: &[u8] = b"-----BEGIN AGE ENCRYPTED FILE-----";
const MAGIC: &[u8] = b"age-encryption.org/";

/// Does it begin as an age file does, armored or not?
pub fn is_age_file(bytes: &[u8]) -> bool {
    bytes.starts_with(MAGIC) || bytes.trim_ascii_start().starts_with(ARMOR)
}

/// An age file whose header was read, and whose content nobody has opened yet.
pub struct Sealed {
    bytes: Vec<u8>,
    lock: Lock,
}

/// What a sealed file asks for.
pub enum Lock {
    Password,
    /// One of the keys that these are for.
    Keys(Vec<Stanza>),
}

/// What a header says of one recipient: its kind, and of an SSH key which one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stanza {
    pub kind: String,
    tag: String,
}

impl Stanza {
    /// Does it name this SSH key? Its tag is the beginning of the key's hash.
    pub fn is_for(&self, recipient: &Recipient) -> bool {
        let kind = recipient.key.split(' ').next().unwrap_or_default();
        kind == self.kind && recipient.tag().is_some_and(|tag| tag == self.tag)
    }

    /// Is it of no kind that age itself knows?
    pub fn is_of_plugin(&self) -> bool {
        !matches!(self.kind.as_str(), "X25519" | "ssh-ed25519" | "ssh-rsa" | "mlkem768x25519")
    }

    /// For people: `X25519`, or `ssh-ed25519 (tag Ab12Cd)`.
    pub fn shown(&self) -> String {
        if self.kind.starts_with("ssh-") { format!("{} (tag {})", self.kind, self.tag) } else { self.kind.clone() }
    }
}

/// Why a key did not open a file.
#[derive(Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is not the key.
    Wrong,
    /// The key is right, or cannot be judged, and the file is cut off or altered.
    Damaged,
    /// Whether it is the key could not be found out, and why.
    Trouble(String),
}

impl Sealed {
    /// Looks at the header only. Armor is taken off.
    pub fn read(bytes: &[u8]) -> Result<Self> {
        let bytes = if bytes.trim_ascii_start().starts_with(ARMOR) { without_armor(bytes)? } else { bytes.to_vec() };
        if !bytes.starts_with(MAGIC) {
            return Err(what_it_is_instead(&bytes));
        }
        let lock = lock(&bytes)?;
        Ok(Self { bytes, lock })
    }

    /// What the header says it is sealed with.
    pub fn lock(&self) -> &Lock {
        &self.lock
    }

    /// Opens what a password sealed; takes about a second.
    pub fn open_with_password(&self, password: &Secret) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let mut identity = scrypt::Identity::new(phrase(password).ok_or(Refusal::Wrong)?);
        identity.set_max_work_factor(MOST_WORK);
        self.open(&[&identity])
    }

    /// Opens what is sealed to one of these keys.
    pub fn open_with_keys(&self, keys: &[x25519::Identity]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let keys: Vec<&dyn age::Identity> = keys.iter().map(|key| key as _).collect();
        self.open(&keys)
    }

    /// Opens it with whatever kinds of keys.
    pub fn open(&self, keys: &[&dyn age::Identity]) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        let refusal = |error| match error {
            DecryptError::DecryptionFailed | DecryptError::NoMatchingKeys => Refusal::Wrong,
            DecryptError::Plugin(errors) => Refusal::Trouble(plugin_trouble(&errors)),
            _ => Refusal::Damaged,
        };
        let decryptor = age::Decryptor::new_buffered(&self.bytes[..]).map_err(refusal)?;
        let mut reader = decryptor.decrypt(keys.iter().copied()).map_err(refusal)?;
        // Chunks are released one by one; a file that was cut fails only at the end.
        let mut clear = Zeroizing::new(Vec::with_capacity(self.bytes.len()));
        reader.read_to_end(&mut clear).map_err(|_| Refusal::Damaged)?;
        Ok(clear)
    }
}

/// Seals to a password, with a work factor that every machine can bear.
pub fn seal_to_password(clear: &[u8], password: &Secret) -> Result<Vec<u8>> {
    let phrase = phrase(password).ok_or_else(|| Error::new("the password is not UTF-8 text, which age wants"))?;
    let mut recipient = scrypt::Recipient::new(phrase);
    recipient.set_work_factor(WORK_FACTOR);
    seal(clear, &[&recipient])
}

/// Seals to public keys; each opens it alone.
pub fn seal_to_recipients(clear: &[u8], recipients: &[SealTo]) -> Result<Vec<u8>> {
    let recipients: Vec<&dyn age::Recipient> = recipients.iter().map(|recipient| &**recipient as _).collect();
    seal(clear, &recipients)
}

/// What age seals to, of whatever kind.
pub type SealTo = Box<dyn age::Recipient + Send>;

/// The same file as text.
pub fn armored(sealed: &[u8]) -> Result<Vec<u8>> {
    let failed = |e| Error::new("writing armor").because(e);
    let mut writer = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor).map_err(failed)?;
    writer.write_all(sealed).map_err(failed)?;
    writer.finish().map_err(failed)
}

fn seal(clear: &[u8], recipients: &[&dyn age::Recipient]) -> Result<Vec<u8>> {
    let failed = || Error::new("sealing failed");
    let encryptor = age::Encryptor::with_recipients(recipients.iter().copied()).map_err(|error| match error {
        EncryptError::Plugin(errors) => failed().at(plugin_trouble(&errors)),
        _ => failed(),
    })?;
    let mut sealed = Vec::with_capacity(clear.len() + 4096);
    let mut writer = encryptor.wrap_output(&mut sealed).map_err(|e| failed().because(e))?;
    writer.write_all(clear).and_then(|()| writer.finish().map(drop)).map_err(|e| failed().because(e))?;
    Ok(sealed)
}

/// What to seal to for a recipient's public key: `age1...`, `ssh-ed25519 AAAA...`, `ssh-rsa AAAA...`, or a plugin's `age1name1...`.
///
/// # Errors
/// When it is none of them.
pub fn recipient(text: &str, person: Person) -> Result<SealTo> {
    match Kind::of(text)? {
        Kind::X25519(key) => Ok(Box::new(key)),
        Kind::Ssh(key) => Ok(Box::new(key)),
        Kind::Plugin(key) => {
            let name = key.plugin().to_owned();
            let plugin = plugin::RecipientPluginV1::new(&name, &[key], &[], person);
            plugin.map(|plugin| Box::new(plugin) as SealTo).map_err(|_| {
                Error::new(format!("age-plugin-{name} is not in PATH, and a recipient of the bundle needs it"))
                    .hint("install the plugin, or take that recipient out: distribute bundle recipients remove LABEL")
            })
        }
    }
}

/// A recipient's public key, checked; nothing was looked for in PATH.
pub enum Kind {
    X25519(x25519::Recipient),
    Ssh(ssh::Recipient),
    Plugin(plugin::Recipient),
}

impl Kind {
    /// # Errors
    /// When it is no recipient, or of a kind that cannot be used.
    pub fn of(text: &str) -> Result<Self> {
        let shown = printable(text.as_bytes(), 80);
        // In any case: Bech32 allows both.
        let upper = text.to_ascii_uppercase();
        if ["AGE-SECRET-KEY-", "PRIVATE KEY", "AGE-PLUGIN-"].iter().any(|mark| upper.contains(mark)) {
            return Err(secret_as_recipient());
        }
        // The second `1` matters: an ordinary key may go on with `pq` by chance, but holds no other 1.
        if text.starts_with("age1pq1") {
            return Err(Error::new(format!("recipient {shown}: post-quantum recipients are not supported yet")));
        }
        if text.starts_with("ssh-") || text.starts_with("ecdsa-") || text.starts_with("sk-") {
            return text.parse().map(Self::Ssh).map_err(|error| not_an_ssh_recipient(&shown, &error));
        }
        if text.strip_prefix("age1").is_some_and(|data| data.contains('1')) {
            return text
                .parse()
                .map(Self::Plugin)
                .map_err(|_| Error::new(format!("`{shown}` is not the recipient of a plugin")));
        }
        text.parse().map(Self::X25519).map_err(|_| {
            Error::new(format!("`{shown}` is not a recipient"))
                .hint("a recipient looks like age1..., 62 characters, or is the line of an SSH public key")
        })
    }
}

fn secret_as_recipient() -> Error {
    Error::new("a secret key was given as a recipient")
        .hint("a recipient is the public key, age1...; `age-keygen -y FILE` shows it, and so does the identity file")
        .hint("it was an argument: if others can read this machine's shell history, make a new key")
}

fn not_an_ssh_recipient(shown: &str, error: &ssh::ParseRecipientKeyError) -> Error {
    let why = match error {
        ssh::ParseRecipientKeyError::RsaModulusTooSmall => "its modulus has less than 2048 bits",
        ssh::ParseRecipientKeyError::RsaModulusTooLarge => "its modulus is larger than 4096 bits",
        ssh::ParseRecipientKeyError::Unsupported(_) => "age seals to ssh-ed25519 and ssh-rsa keys only",
        _ => "it is cut off or altered",
    };
    Error::new(format!("`{shown}` is no SSH key to seal to: {why}")).hint("`ssh-keygen -y -f KEY` shows the whole line")
}

/// What plugins said; it is foreign text. age puts marks around words of it that order text; they are left out.
fn plugin_trouble(errors: &[impl ToString]) -> String {
    let text = errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let text: String = text.chars().filter(|char| !matches!(char, '\u{2066}'..='\u{2069}')).collect();
    format!("the plugin says: {}", printable(text.as_bytes(), 300))
}

/// The keys of an identity file that holds none but age's own: `AGE-SECRET-KEY-1...` lines among comments. Errors never show a line.
pub fn identities(text: &[u8]) -> Result<Vec<x25519::Identity>> {
    let text = std::str::from_utf8(text).map_err(|_| Error::new("it is not text, so not an identity file"))?;
    let keys: Vec<_> = identity_lines(text)
        .map(|(number, line)| identity(line).map_err(|e| e.at(format!("line {number}"))))
        .collect::<Result<_>>()?;
    if keys.is_empty() { Err(no_identity()) } else { Ok(keys) }
}

/// The lines of an identity file that are neither blank nor comments, with their numbers.
pub(super) fn identity_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let lines = text.lines().map(str::trim).enumerate();
    lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#')).map(|(index, line)| (index + 1, line))
}

pub(super) fn no_identity() -> Error {
    Error::new("it holds no identity")
}

pub(super) fn identity(line: &str) -> Result<x25519::Identity> {
    if line.starts_with("AGE-SECRET-KEY-PQ-") {
        return Err(Error::new("post-quantum identities are not supported yet"));
    }
    line.parse().map_err(|_| Error::new("it is not an age identity").hint("an identity looks like AGE-SECRET-KEY-1..."))
}

/// The text of an identity file for this key, as `age-keygen` would write it without comments.
pub fn identity_text(key: &x25519::Identity) -> Secret {
    let text = key.to_string();
    Secret::new([text.expose_secret().as_bytes(), b"\n"].concat())
}

/// An identity file locked with a password: an armored age file, which stock age takes as an identity too.
pub fn seal_identity(text: &Secret, password: &Secret) -> Result<Secret> {
    armored(&seal_to_password(text.expose(), password)?).map(Secret::new)
}

pub(super) fn phrase(password: &Secret) -> Option<SecretString> {
    std::str::from_utf8(password.expose()).ok().map(|text| SecretString::from(text.to_owned()))
}

fn without_armor(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut inner = Vec::with_capacity(bytes.len());
    match ArmoredReader::new(bytes.trim_ascii_start()).read_to_end(&mut inner) {
        Ok(_) => Ok(inner),
        Err(_) if has_conflict(bytes) => Err(what_it_is_instead(bytes)),
        Err(_) => {
            Err(Error::new("its armor is damaged: cut off, altered, or followed by something else").hint(RESTORE))
        }
    }
}

/// The hint for a file that is damaged.
pub const RESTORE: &str = "get it back from version control, for example with `git checkout`";

/// Reads the stanzas of the header: `-> scrypt SALT FACTOR`, `-> X25519 SHARE`, `-> ssh-rsa TAG`, …
fn lock(bytes: &[u8]) -> Result<Lock> {
    let cut = || Error::new("its header is cut off or altered").hint(RESTORE);
    let mut stanzas = Vec::new();
    for line in bytes.split(|b| *b == b'\n').skip(1) {
        if line.starts_with(b"---") {
            return Ok(Lock::Keys(stanzas));
        }
        let Some(stanza) = line.strip_prefix(b"-> ") else { continue };
        let mut words = stanza.split(|b| *b == b' ');
        match words.next().unwrap_or_default() {
            b"scrypt" => return bearable(words.nth(1).ok_or_else(cut)?).map(|()| Lock::Password),
            kind if kind.ends_with(b"-grease") => {}
            kind => {
                let tag = printable(words.next().unwrap_or_default(), 80);
                stanzas.push(Stanza { kind: printable(kind, 40), tag });
            }
        }
    }
    Err(cut())
}

/// Refuses a work factor that would take minutes and gigabytes, before any work.
fn bearable(factor: &[u8]) -> Result<()> {
    let number = std::str::from_utf8(factor).ok().and_then(|text| text.parse::<u8>().ok());
    match number {
        Some(number) if number <= MOST_WORK => Ok(()),
        _ => Err(Error::new(format!(
            "its scrypt work factor is {}, and above {MOST_WORK} is refused",
            printable(factor, 20)
        ))
        .hint("a file that asks for so much work was made by mistake, or to stop this machine")
        .hint("seal it again with a lower factor: 18 is about a second")),
    }
}

fn has_conflict(bytes: &[u8]) -> bool {
    bytes.starts_with(b"<<<<<<< ") || bytes.windows(9).any(|window| window == b"\n<<<<<<< ")
}

fn what_it_is_instead(bytes: &[u8]) -> Error {
    let text = bytes.trim_ascii_start();
    if text.is_empty() {
        Error::new("it is empty").hint(RESTORE)
    } else if has_conflict(bytes) {
        Error::new("it holds the markers of a merge conflict").hint(
            "`distribute bundle merge` merges both sides by key; `distribute bundle install-git` has git do so from then on",
        )
    } else if text.starts_with(b"version https://git-lfs") {
        Error::new("it is a Git LFS pointer, not the file itself").hint("fetch the file with `git lfs pull`")
    } else if text.starts_with(b"$ANSIBLE_VAULT") {
        Error::new("it is an Ansible vault, not an age file")
            .hint("`ansible-vault view` shows it; `distribute bundle import` takes its values into a bundle")
    } else if text.starts_with(b"\x1f\x8b") {
        Error::new("it is a gzip file that nobody sealed")
            .hint("it may hold secrets in clear text: seal it with `age -e`, and remove it from version control")
    } else {
        Error::new("it is not an age file").hint(RESTORE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(bytes: &[u8]) -> String {
        Sealed::read(bytes).err().expect("refused").to_string()
    }

    #[test]
    fn opens_what_it_sealed_and_nothing_altered() {
        let (mine, other) = (x25519::Identity::generate(), x25519::Identity::generate());
        let sealed = seal_to_recipients(b"POISON", &[Box::new(mine.to_public())]).unwrap();
        let open = |bytes: &[u8], key: &x25519::Identity| {
            Sealed::read(bytes).map_err(|_| Refusal::Damaged).and_then(|s| s.open_with_keys(std::slice::from_ref(key)))
        };
        assert_eq!(*open(&sealed, &mine).unwrap(), b"POISON");
        assert_eq!(open(&sealed, &other).unwrap_err(), Refusal::Wrong);
        for length in 0..sealed.len() {
            assert!(open(&sealed[..length], &mine).is_err(), "cut at {length}");
        }
        for index in 0..sealed.len() {
            let mut altered = sealed.clone();
            altered[index] ^= 1;
            assert!(open(&altered, &mine).is_err(), "flipped at {index}");
        }
        assert!(open(&[&sealed[..], b"x"].concat(), &mine).is_err(), "trailing byte");
    }

    #[test]
    fn excessive_work_is_refused_before_any_work() {
        for factor in ["21", "30", "63", "64", "255", "256", "+18x", "-1"] {
            let text = format!("age-encryption.org/v1\n-> scrypt c2FsdHNhbHRzYWx0c2FsdA {factor}\nAAAA\n--- mac\n");
            assert!(refused(text.as_bytes()).contains("work factor"), "{factor}");
        }
    }

    #[test]
    fn says_what_it_is_instead() {
        for (bytes, word) in [
            (&b""[..], "empty"),
            (b"<<<<<<< HEAD\nage-encryption.org/v1\n", "merge conflict"),
            (b"-----BEGIN AGE ENCRYPTED FILE-----\n<<<<<<< HEAD\nYWdl\n=======\n", "merge conflict"),
            (b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n", "armor"),
            (b"version https://git-lfs.github.com/spec/v1\n", "LFS"),
            (b"$ANSIBLE_VAULT;1.1;AES256\n", "Ansible"),
            (b"\x1f\x8b\x08", "gzip"),
            (b"A=1\n", "not an age file"),
            (b"age-encryption.org/v1\n-> X25519 abc\n", "header"),
        ] {
            assert!(refused(bytes).contains(word), "{word}: {}", refused(bytes));
        }
    }

    #[test]
    fn other_kinds_of_keys_are_named() {
        let fails = |text: &str| Kind::of(text).err().expect("refused").to_string();
        assert!(fails("age1pq1abc").contains("post-quantum"));
        assert!(fails("ssh-ed25519 AAAA").contains("cut off"));
        assert!(fails("ecdsa-sha2-nistp256 AAAA").contains("no SSH key to seal to"));
        assert!(fails("age1yubikey1qabc").contains("plugin"));
        assert!(fails("age1zzz").contains("not a recipient"));
        let secret = identity_text(&x25519::Identity::generate());
        let secret = std::str::from_utf8(secret.expose()).unwrap().trim();
        assert!(!fails(secret).contains(secret));
        let error = |text: &str| identities(text.as_bytes()).err().expect("refused").to_string();
        assert!(error("# c\nPOISON\n").contains("line 2") && !error("POISON").contains("POISON"));
        assert!(error("# only\n").contains("no identity"));
        assert!(error("AGE-SECRET-KEY-PQ-1ABC").contains("post-quantum"));
    }
}
