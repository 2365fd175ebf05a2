//! Whose host keys are accepted, and what is said when one is not. A refusal comes before anything was sent: it is
//! made in the key exchange, ahead of user names, keys and commands.

use super::known_hosts::{KnownHosts, Verdict, fingerprint, lookup_name};
use super::shell_word;
use crate::inventory::Endpoint;
use crate::words::{Failure, Phase, printable};
use russh::keys::{Algorithm, EcdsaCurve, HashAlg, PublicKey};
use std::sync::Arc;

/// Which keys a host may show.
#[derive(Clone)]
pub enum HostKeys {
    /// The keys that the bundle remembers for this host, as OpenSSH writes them: `ssh-ed25519 AAAA…`.
    Pinned(Vec<String>),
    /// What the known_hosts files say.
    Known {
        known: Arc<KnownHosts>,
        /// Take a host that nobody knows yet; never one that is known by another key.
        accept_new: bool,
    },
}

/// Every type that we take, the best first. `ssh-rsa` stands for a signature with SHA-1 and is not among them.
const TYPES: [Algorithm; 6] = [
    Algorithm::Ed25519,
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP256 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP384 },
    Algorithm::Ecdsa { curve: EcdsaCurve::NistP521 },
    Algorithm::Rsa { hash: Some(HashAlg::Sha512) },
    Algorithm::Rsa { hash: Some(HashAlg::Sha256) },
];

/// Decides for one host.
pub(super) struct Judge {
    host: String,
    address: String,
    port: u16,
    rule: Rule,
}

enum Rule {
    Pinned(Vec<PublicKey>),
    Known { known: Arc<KnownHosts>, accept_new: bool },
}

impl Judge {
    /// Makes the rule for one host; a pinned key that cannot be read is a failure.
    pub fn new(endpoint: &Endpoint, host_keys: &HostKeys) -> Result<Self, Failure> {
        let rule = match host_keys {
            HostKeys::Known { known, accept_new } => Rule::Known { known: known.clone(), accept_new: *accept_new },
            HostKeys::Pinned(texts) => Rule::Pinned(pinned(endpoint, texts)?),
        };
        Ok(Self { host: endpoint.host.to_string(), address: bare(&endpoint.address), port: endpoint.port, rule })
    }

    /// The types to ask the server for, known ones first.
    pub fn preferred(&self) -> Vec<Algorithm> {
        let known = match &self.rule {
            Rule::Pinned(keys) => keys.iter().map(PublicKey::algorithm).collect(),
            Rule::Known { known, .. } => match known.key_types(&self.address, self.port) {
                types if types.is_empty() => known.key_types(&self.host, self.port),
                types => types,
            },
        };
        let mut types = TYPES.to_vec();
        types.sort_by_key(|kind| !known.iter().any(|known| is_same_type(known, kind)));
        types
    }

    /// Accepts the key or says why not; nothing was sent by then.
    pub fn check(&self, key: &PublicKey) -> Result<(), Failure> {
        match &self.rule {
            Rule::Pinned(keys) if keys.iter().any(|pinned| pinned.key_data() == key.key_data()) => Ok(()),
            Rule::Pinned(keys) if keys.is_empty() => Err(self
                .failure(format!("is not pinned in the bundle; it showed {}, and nothing was sent", fingerprint(key)))
                .hint(format!("enrol it: distribute setup --hosts {}", self.host))),
            Rule::Pinned(keys) => {
                let expected: Vec<String> = keys.iter().map(fingerprint).collect();
                Err(self.changed(key, &expected, "the bundle").hint(format!(
                    "if {0} was reinstalled, enrol it again: distribute setup --hosts {0} --accept-new; if not, find out \
                     who answers in its place",
                    self.host
                )))
            }
            Rule::Known { known, accept_new } => match self.verdict(known, key) {
                (_, Verdict::Known) => Ok(()),
                (_, Verdict::Unknown) if *accept_new => Ok(()),
                (_, Verdict::Unknown) => Err(self.unknown(key, known)),
                (name, Verdict::Changed { expected, at }) => {
                    let file = at.rsplit_once(':').map_or(at.as_str(), |(file, _)| file);
                    Err(self.changed(key, &expected, &at).hint(format!(
                        "if {host} was reinstalled: ssh-keygen -f {file} -R {name}, then distribute setup --hosts {host} \
                         --accept-new; if not, find out who answers in its place",
                        host = self.host,
                        file = shell_word(file),
                        name = shell_word(&lookup_name(name, self.port)),
                    )))
                }
                (_, Verdict::Revoked { at }) => Err(self
                    .failure(format!("is revoked by {at}: {}; refused before anything was sent", fingerprint(key)))
                    .hint("give the host a new key (ssh-keygen -A after removing the old one), then enrol it again")),
            },
        }
    }

    /// By the address, as ssh would; by the inventory's name if nobody knows the address. Revoked under one is revoked.
    fn verdict(&self, known: &KnownHosts, key: &PublicKey) -> (&str, Verdict) {
        let by_name = known.check(&self.host, self.port, key);
        match known.check(&self.address, self.port, key) {
            Verdict::Unknown => (&self.host, by_name),
            _ if matches!(by_name, Verdict::Revoked { .. }) => (&self.host, by_name),
            verdict => (&self.address, verdict),
        }
    }

    fn unknown(&self, key: &PublicKey, known: &KnownHosts) -> Failure {
        let note = if known.has_authority(&self.address, self.port) || known.has_authority(&self.host, self.port) {
            "a @cert-authority line names this host, but host certificates are not supported yet; "
        } else {
            ""
        };
        self.failure(format!("is unknown: {}; refused before anything was sent", fingerprint(key))).hint(format!(
            "{note}compare the fingerprint with the one on the host (ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub), then: \
             distribute setup --hosts {host} --accept-new; or: ssh-keyscan -p {port} -t {kind} {address} >> ~/.ssh/known_hosts",
            kind = short_type(key),
            host = self.host,
            port = self.port,
            address = shell_word(&self.address),
        ))
    }

    fn changed(&self, key: &PublicKey, expected: &[String], at: &str) -> Failure {
        self.failure(format!(
            "has changed: expected {} (from {at}), but it showed {}; refused before anything was sent",
            expected.join(" or "),
            fingerprint(key)
        ))
    }

    fn failure(&self, what: String) -> Failure {
        let name = printable(lookup_name(&self.address, self.port).as_bytes(), 255);
        Failure::new(Phase::Hostkey, format!("the host key of {name} {what}"))
    }
}

/// `::1` for `[::1]`, as ssh takes it.
fn bare(address: &str) -> String {
    address.strip_prefix('[').and_then(|inner| inner.strip_suffix(']')).unwrap_or(address).to_owned()
}

fn pinned(endpoint: &Endpoint, texts: &[String]) -> Result<Vec<PublicKey>, Failure> {
    texts
        .iter()
        .map(|text| {
            PublicKey::from_openssh(text).map_err(|_| {
                let text = printable(text.as_bytes(), 60);
                Failure::new(Phase::Hostkey, format!("the host key pinned in the bundle cannot be read: `{text}`"))
                    .hint(format!("enrol it again: distribute setup --hosts {} --accept-new", endpoint.host))
            })
        })
        .collect()
}

/// An RSA key is one type, whatever hash it signs with.
fn is_same_type(one: &Algorithm, other: &Algorithm) -> bool {
    one == other || matches!((one, other), (Algorithm::Rsa { .. }, Algorithm::Rsa { .. }))
}

fn short_type(key: &PublicKey) -> &'static str {
    match key.algorithm() {
        Algorithm::Ecdsa { .. } => "ecdsa",
        Algorithm::Rsa { .. } => "rsa",
        _ => "ed25519",
    }
}
