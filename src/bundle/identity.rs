//! `Identity`: one key of an identity file: age's own, an SSH key, or one that a plugin knows. Errors never show a line of it.

use super::person::Person;
use super::recipient::Recipient;
use super::sealed::{self, Refusal, Sealed, Stanza};
use crate::words::{Error, Result, Secret, printable};
use age::{plugin, ssh, x25519};
use std::fmt;
use zeroize::Zeroizing;

/// A key that may open a sealed file.
pub enum Identity {
    X25519(x25519::Identity),
    Ssh(Box<SshIdentity>),
    Plugin(plugin::Identity),
}

/// An SSH key, which may be locked, and its public half.
pub struct SshIdentity {
    key: ssh::Identity,
    public: Recipient,
}

/// What may unlock a locked key: passphrases at hand, and whoever sits at the terminal.
#[derive(Clone, Copy)]
pub struct Unlocking<'a> {
    pub passphrases: &'a [&'a Secret],
    pub person: Person,
    /// The file, for the question.
    pub place: &'a str,
}

impl Identity {
    /// The keys of a clear identity file.
    ///
    /// # Errors
    /// When it holds none, or one of a kind that is not known.
    pub fn all(text: &[u8]) -> Result<Vec<Self>> {
        let text = std::str::from_utf8(text).map_err(|_| Error::new("it is not text, so not an identity file"))?;
        if text.trim_start().starts_with("-----BEGIN") {
            return ssh_identity(text).map(|key| vec![Self::Ssh(Box::new(key))]);
        }
        let keys = sealed::identity_lines(text).map(|(number, line)| {
            let key = if line.starts_with("AGE-PLUGIN-") {
                line.parse().map(Self::Plugin).map_err(|_| Error::new("it is not a plugin's identity"))
            } else {
                sealed::identity(line).map(Self::X25519)
            };
            key.map_err(|error| error.at(format!("line {number}")))
        });
        let keys: Vec<Self> = keys.collect::<Result<_>>()?;
        if keys.is_empty() { Err(sealed::no_identity()) } else { Ok(keys) }
    }

    /// Could it open a file with this header? An age key leaves no name there, and what a plugin makes of it is the plugin's.
    pub(super) fn may_open(&self, stanzas: &[Stanza]) -> bool {
        match self {
            Self::X25519(_) => stanzas.iter().any(|stanza| stanza.kind == "X25519"),
            Self::Ssh(key) => stanzas.iter().any(|stanza| stanza.is_for(&key.public)),
            Self::Plugin(_) => stanzas.iter().any(Stanza::is_of_plugin),
        }
    }

    /// Opens what is sealed to it.
    pub(super) fn open(&self, sealed: &Sealed, unlocking: Unlocking) -> Result<Zeroizing<Vec<u8>>, Refusal> {
        match self {
            Self::X25519(key) => sealed.open(&[key]),
            Self::Ssh(key) => sealed.open(&[&key.unlocked(unlocking)?]),
            Self::Plugin(key) => {
                let plugin = plugin::IdentityPluginV1::new(key.plugin(), std::slice::from_ref(key), unlocking.person);
                sealed.open(&[&plugin.map_err(|_| no_plugin(key.plugin()))?])
            }
        }
    }

    /// The recipient that it is the key of, if that can be told.
    pub fn recipient(&self) -> Option<Recipient> {
        match self {
            Self::X25519(key) => Recipient::new(&key.to_public().to_string()).ok(),
            Self::Ssh(key) => Some(key.public.clone()),
            Self::Plugin(_) => None,
        }
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.recipient()) {
            (_, Some(recipient)) => f.write_str(&recipient.word()),
            (Self::Plugin(key), _) => write!(f, "a key of age-plugin-{}", key.plugin()),
            (_, None) => f.write_str("a key"),
        }
    }
}

impl SshIdentity {
    /// With the passphrases at hand first; each try takes a third of a second.
    fn unlocked(&self, unlocking: Unlocking) -> Result<ssh::Identity, Refusal> {
        let ssh::Identity::Encrypted(locked) = &self.key else { return Ok(self.key.clone()) };
        let open = |passphrase: &Secret| locked.decrypt(sealed::phrase(passphrase)?).ok().map(ssh::Identity::from);
        if let Some(key) = unlocking.passphrases.iter().find_map(|passphrase| open(passphrase)) {
            return Ok(key);
        }
        let question = format!("passphrase of {}", unlocking.place);
        match unlocking.person.hidden(&question) {
            Some(answer) => open(&answer).ok_or_else(|| Refusal::Trouble("that is not its passphrase".to_owned())),
            None if !unlocking.passphrases.is_empty() => Err(Refusal::Trouble(
                "it is locked, and no passphrase at hand unlocks it: DISTRIBUTE_SSH_PASSPHRASE_FILE, or the password".to_owned(),
            )),
            None => Err(Refusal::Trouble(
                "it is locked with a passphrase: name a file that holds it in DISTRIBUTE_SSH_PASSPHRASE_FILE, or be at a terminal".to_owned(),
            )),
        }
    }
}

fn ssh_identity(text: &str) -> Result<SshIdentity> {
    let not_ours = || {
        Error::new("it is not an SSH key that age can use")
            .hint("age uses ssh-ed25519 and ssh-rsa keys, in OpenSSH's or PEM format; `distribute keygen` makes an age identity")
    };
    let key = ssh::Identity::from_buffer(text.as_bytes(), None).map_err(|_| not_ours())?;
    let public = ssh::Recipient::try_from(key.clone()).map_err(|_| not_ours())?;
    Ok(SshIdentity { key, public: Recipient::new(&public.to_string())? })
}

/// The error of a plugin whose program is not there.
pub(super) fn no_plugin(name: &str) -> Refusal {
    Refusal::Trouble(format!("age-plugin-{} is not in PATH", printable(name.as_bytes(), 40)))
}
