//! `Login`: what we can prove ourselves with. It is gathered once, before the fan-out: key files are read, checked
//! and decrypted (bcrypt takes 0.3 s a key), and all hosts share the result. Trouble with a key file that an
//! inventory names is the trouble of the hosts that name it.

use super::shell_word;
use crate::words::{Error, Failure, Mode, Phase, Result, Secret};
use nix::unistd::Uid;
use russh::AgentAuthError;
use russh::keys::agent::AgentIdentity;
use russh::keys::signature::Signer as _;
use russh::keys::ssh_encoding::Encode;
use russh::keys::ssh_key::{Signature, private::KeypairData};
use russh::keys::{Certificate, HashAlg, PrivateKey, PublicKey, decode_secret_key};
use std::collections::HashMap;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{ErrorKind, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use tokio::sync::Semaphore;
use zeroize::Zeroizing;

/// Where to look for means to log in.
pub struct LoginFiles {
    /// The value of `SSH_AUTH_SOCK`.
    pub agent: Option<PathBuf>,
    /// Every `identity_file` of the selected hosts, once.
    pub identity_files: Vec<PathBuf>,
    /// Tried for hosts that name none; those that are missing are skipped.
    pub default_files: Vec<PathBuf>,
    /// Tried on encrypted keys.
    pub passphrases: Vec<Secret>,
}

/// Means to log in, read and unlocked; cheap to clone.
#[derive(Clone)]
pub struct Login(Arc<Means>);

struct Means {
    agent: Option<AgentSocket>,
    named: HashMap<PathBuf, KeyFile>,
    defaults: Vec<KeyFile>,
    skipped: Vec<String>,
}

/// Where ssh-agent listens. It is a single thread with a short queue, so only so many hosts talk to it at a time.
pub(super) struct AgentSocket {
    pub path: PathBuf,
    pub turns: Semaphore,
    /// Why nobody should ask it again in this run.
    pub given_up: OnceLock<String>,
}

const AGENT_TURNS: usize = 16;
/// A key file is a few kilobytes.
const LONGEST: u64 = 256 * 1024;

pub(super) struct KeyFile {
    pub path: PathBuf,
    /// Known even when the private key is locked: then ssh-agent may hold it.
    pub public: Option<PublicKey>,
    pub private: Result<Arc<PrivateKey>, Failure>,
    /// What an authority signed for this key: `<file>-cert.pub`.
    pub certificate: Option<Certificate>,
}

impl Login {
    /// Reads and decrypts the keys. It blocks for a third of a second per encrypted key and passphrase.
    pub fn gather(files: LoginFiles) -> Result<Self> {
        let passphrases = files
            .passphrases
            .iter()
            .map(|secret| std::str::from_utf8(secret.expose()))
            .collect::<Result<Vec<&str>, _>>()
            .map_err(|_| Error::new("a passphrase for a key file is not UTF-8"))?;
        let named = files.identity_files.into_iter().map(|path| (path.clone(), KeyFile::read(path, &passphrases)));
        let mut defaults = Vec::new();
        let mut skipped = Vec::new();
        for path in files.default_files.into_iter().filter(|path| path.exists()) {
            let file = KeyFile::read(path, &passphrases);
            match &file.private {
                Ok(_) => defaults.push(file),
                Err(failure) => skipped.push(failure.message.clone()),
            }
        }
        let agent =
            files.agent.map(|path| AgentSocket { path, turns: Semaphore::new(AGENT_TURNS), given_up: OnceLock::new() });
        Ok(Self(Arc::new(Means { agent, named: named.collect(), defaults, skipped })))
    }

    /// Where ssh-agent listens, if there is one.
    pub(super) fn agent(&self) -> Option<&AgentSocket> {
        self.0.agent.as_ref()
    }

    /// The key file that a host names.
    pub(super) fn named(&self, path: &Path) -> Result<&KeyFile, Failure> {
        self.0.named.get(path).ok_or_else(|| trouble(path, "was not read before the run"))
    }

    /// The default key files that could be read.
    pub(super) fn defaults(&self) -> &[KeyFile] {
        &self.0.defaults
    }

    /// Why default files are not among [`Self::defaults`], for the hosts that could have used them.
    pub(super) fn skipped(&self) -> &[String] {
        &self.0.skipped
    }
}

fn trouble(path: &Path, what: &str) -> Failure {
    Failure::new(Phase::Auth, format!("the key file {} {what}", path.display()))
}

impl KeyFile {
    fn read(path: PathBuf, passphrases: &[&str]) -> Self {
        let (public, private) = match read_text(&path) {
            Ok((text, _)) if PublicKey::from_openssh(&text).is_ok() => (
                PublicKey::from_openssh(&text).ok(),
                Err(trouble(&path, "is a public key").hint("name the private key, or load it into ssh-agent")),
            ),
            Ok((text, meta)) => match check_access(&path, &meta) {
                Ok(()) => (public_of(&path, &text), open(&path, &text, passphrases)),
                Err(failure) => (None, Err(failure)),
            },
            Err(failure) => (public_beside(&path), Err(failure)),
        };
        let certificate = Certificate::read_file(&beside(&path, "-cert.pub")).ok();
        Self { path, public, private, certificate }
    }
}

fn read_text(path: &Path) -> Result<(Zeroizing<String>, Metadata), Failure> {
    let cannot = |e: std::io::Error| match e.kind() {
        ErrorKind::NotFound => trouble(path, "does not exist").hint("correct identity_file in the inventory"),
        _ => trouble(path, &format!("cannot be read: {}", super::dial::told(&e))),
    };
    // A pipe under this name must not make us wait.
    let file = OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(path).map_err(cannot)?;
    let meta = file.metadata().map_err(cannot)?;
    if !meta.is_file() || meta.len() > LONGEST {
        return Err(trouble(path, "is not a key: it is not a regular file of a few kilobytes"));
    }
    Ok((text(file, &meta).map_err(|_| not_a_key(path))?, meta))
}

fn text(file: File, meta: &Metadata) -> std::io::Result<Zeroizing<String>> {
    let size = usize::try_from(meta.len().min(LONGEST)).unwrap_or_default();
    let mut text = Zeroizing::new(String::with_capacity(size + 1)); // growing would leave copies behind
    file.take(LONGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// A private key that others can read is no longer private.
fn check_access(path: &Path, meta: &Metadata) -> Result<(), Failure> {
    let word = shell_word(&path.display().to_string());
    let mode = Mode::new(meta.mode());
    if mode.is_open_to_others() {
        return Err(trouble(path, &format!("is open to others (mode {mode})")).hint(format!("chmod 600 {word}")));
    }
    if meta.uid() != Uid::current().as_raw() && meta.uid() != 0 {
        return Err(trouble(path, &format!("belongs to another user (uid {})", meta.uid()))
            .hint(format!("chown \"$(id -u)\" {word}")));
    }
    Ok(())
}

fn open(path: &Path, text: &str, passphrases: &[&str]) -> Result<Arc<PrivateKey>, Failure> {
    match decode_secret_key(text, None) {
        Ok(key) => return Ok(Arc::new(key)),
        Err(russh::keys::Error::KeyIsEncrypted) => {}
        Err(_) if is_locked_ppk(text) => {}
        Err(_) => return Err(not_a_key(path)),
    }
    let opened = passphrases.iter().find_map(|passphrase| decode_secret_key(text, Some(passphrase)).ok());
    opened.map(Arc::new).ok_or_else(|| {
        let why = match passphrases.len() {
            0 => "is encrypted, and no passphrase was given".to_owned(),
            1 => "is encrypted, and the passphrase given does not open it".to_owned(),
            many => format!("is encrypted, and none of the {many} passphrases given opens it"),
        };
        let word = shell_word(&path.display().to_string());
        trouble(path, &why).hint(format!("load it into ssh-agent (ssh-add {word}), or name a file that holds its passphrase in DISTRIBUTE_SSH_PASSPHRASE_FILE"))
    })
}

fn is_locked_ppk(text: &str) -> bool {
    text.starts_with("PuTTY-User-Key-File-")
        && text.lines().any(|line| line.starts_with("Encryption:") && !line.ends_with(" none"))
}

fn not_a_key(path: &Path) -> Failure {
    trouble(path, "is not a private key that can be read (OpenSSH, PEM, PKCS#8 or PuTTY)")
}

/// OpenSSH leaves the public half in the clear; other formats have it in a file beside.
fn public_of(path: &Path, text: &str) -> Option<PublicKey> {
    let inside = PrivateKey::from_openssh(text).ok().map(|key| key.public_key().clone());
    inside.or_else(|| public_beside(path))
}

fn public_beside(path: &Path) -> Option<PublicKey> {
    russh::keys::load_public_key(beside(path, ".pub")).ok()
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Signs for a certificate with the key beside it. russh does this too, but calls an RSA certificate by its SHA-1
/// name, which sshd refuses since 8.8 (russh #678).
pub(super) struct FileSigner(pub Arc<PrivateKey>);

impl russh::Signer for FileSigner {
    type Error = AgentAuthError;

    async fn auth_sign(
        &mut self,
        _: &AgentIdentity,
        hash: Option<HashAlg>,
        mut to_sign: Vec<u8>,
    ) -> Result<Vec<u8>, AgentAuthError> {
        let signature: Signature = match self.0.key_data() {
            KeypairData::Rsa(pair) => (pair, hash).try_sign(&to_sign),
            pair => pair.try_sign(&to_sign),
        }
        .map_err(|_| russh::keys::Error::InvalidSignature)?;
        let signature = signature.encode_vec().map_err(russh::keys::Error::from)?;
        signature.encode(&mut to_sign).map_err(russh::keys::Error::from)?;
        Ok(to_sign)
    }
}
