//! `KnownHosts`: whose key is whose, read from files in the format of sshd(8), matched as OpenSSH's hostfile.c does.
//! russh has a reader too; it ignores `@revoked`, knows no wildcards, and takes an unreadable file for an empty one.
//! All files are read before the run and answer from memory, since keys are checked on the task of a session.

use crate::words::{Error, Result, printable};
use data_encoding::BASE64;
use hmac::{Hmac, KeyInit, Mac};
use russh::keys::{Algorithm, HashAlg, PublicKey};
use sha1::Sha1;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// The lines of all files, and what could not be read in them.
#[derive(Debug, Default)]
pub struct KnownHosts {
    lines: Vec<Line>,
    warnings: Vec<String>,
}

/// What the files say of a host and the key it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    Known,
    Unknown,
    /// Other keys are known for this host: their fingerprints, and where the first of them stands.
    Changed {
        expected: Vec<String>,
        at: String,
    },
    /// The key was revoked, at this `file:line`.
    Revoked {
        at: String,
    },
}

#[derive(Debug)]
struct Line {
    at: String,
    marker: Marker,
    hosts: Hosts,
    key: PublicKey,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Marker {
    None,
    Revoked,
    Authority,
}

#[derive(Debug)]
enum Hosts {
    Patterns(String),
    Hashed { salt: Vec<u8>, hash: Vec<u8> },
}

impl KnownHosts {
    /// Reads the files in this order. One that is missing is empty; one that cannot be read is an error, since the
    /// revocations in it would be lost.
    pub fn load(files: &[PathBuf]) -> Result<Self> {
        let mut known = Self::default();
        for file in files {
            match std::fs::read(file) {
                Ok(content) => known.read(file, &content)?,
                Err(e) if e.kind() == ErrorKind::NotFound => {}
                Err(e) => {
                    return Err(Error::new(format!("cannot read the known hosts in {}", file.display()))
                        .because(e)
                        .hint("a host key may be revoked in it, so it is not passed over"));
                }
            }
        }
        Ok(known)
    }

    fn read(&mut self, file: &Path, content: &[u8]) -> Result<()> {
        for (number, line) in content.split(|byte| *byte == b'\n').enumerate() {
            let at = format!("{}:{}", file.display(), number + 1);
            match parse(line) {
                Ok(Some((marker, hosts, key))) => self.lines.push(Line { at, marker, hosts, key }),
                Ok(None) => {}
                Err(why) if line.trim_ascii_start().starts_with(b"@revoked") => return Err(lost_revocation(&at, &why)),
                Err(why) => self.warnings.push(format!("{at}: {why}; this line is ignored")),
            }
        }
        Ok(())
    }

    /// Lines that could not be understood, each with its place.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Judges the key that a host showed, by the name that one would type after `ssh`.
    pub fn check(&self, name: &str, port: u16, key: &PublicKey) -> Verdict {
        if let Some(at) = self.revoked(name, port, key) {
            return Verdict::Revoked { at };
        }
        match self.judge(&lookup_name(name, port), key) {
            // A line without a port vouches for every port; that its key differs says nothing of this one.
            Verdict::Unknown if port != 22 && self.judge(&lookup_name(name, 22), key) == Verdict::Known => {
                Verdict::Known
            }
            verdict => verdict,
        }
    }

    /// Where a key, as OpenSSH writes it, is marked as revoked for this host: `file:line`.
    pub fn revokes(&self, name: &str, port: u16, key: &str) -> Option<String> {
        self.revoked(name, port, &PublicKey::from_openssh(key).ok()?)
    }

    /// The types of the keys that are known for a host, to be asked for first: a server with a key that we know and
    /// another that we don't would else look changed.
    pub fn key_types(&self, name: &str, port: u16) -> Vec<Algorithm> {
        let mut types = Vec::new();
        for name in names(name, port) {
            for line in self.matching(&name).filter(|line| line.marker == Marker::None) {
                let algorithm = line.key.algorithm();
                if !types.contains(&algorithm) {
                    types.push(algorithm);
                }
            }
        }
        types
    }

    /// Is there a certificate authority for this host? Its certificates are not read yet.
    pub fn has_authority(&self, name: &str, port: u16) -> bool {
        names(name, port).iter().any(|name| self.matching(name).any(|line| line.marker == Marker::Authority))
    }

    fn revoked(&self, name: &str, port: u16, key: &PublicKey) -> Option<String> {
        let names = names(name, port);
        self.lines
            .iter()
            .filter(|line| line.marker == Marker::Revoked && line.key.key_data() == key.key_data())
            .find(|line| names.iter().any(|name| line.hosts.matches(name)))
            .map(|line| line.at.clone())
    }

    fn judge(&self, name: &str, key: &PublicKey) -> Verdict {
        let lines: Vec<&Line> = self.matching(name).filter(|line| line.marker == Marker::None).collect();
        match lines.first() {
            None => Verdict::Unknown,
            Some(_) if lines.iter().any(|line| line.key.key_data() == key.key_data()) => Verdict::Known,
            Some(first) => Verdict::Changed {
                expected: lines.iter().map(|line| fingerprint(&line.key)).collect(),
                at: first.at.clone(),
            },
        }
    }

    fn matching<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Line> {
        self.lines.iter().filter(move |line| line.hosts.matches(name))
    }
}

fn lost_revocation(at: &str, why: &str) -> Error {
    Error::new(format!("{at}: {why}")).hint("a host key is revoked in this line, so it is not passed over: correct it")
}

/// A key's type and fingerprint, as `ssh-keygen -l` shows it.
pub(super) fn fingerprint(key: &PublicKey) -> String {
    format!("{} {}", key.algorithm(), key.fingerprint(HashAlg::Sha256))
}

/// The name that lines are searched by: lower case, with the port unless it is the usual one.
pub(super) fn lookup_name(name: &str, port: u16) -> String {
    let name = name.to_lowercase();
    if port == 22 { name } else { format!("[{name}]:{port}") }
}

fn names(name: &str, port: u16) -> Vec<String> {
    let mut names = vec![lookup_name(name, port)];
    if port != 22 {
        names.push(lookup_name(name, 22));
    }
    names
}

type Parsed = (Marker, Hosts, PublicKey);

fn parse(line: &[u8]) -> Result<Option<Parsed>, String> {
    let text = std::str::from_utf8(line).map_err(|_| "not UTF-8")?.trim();
    if text.is_empty() || text.starts_with('#') {
        return Ok(None);
    }
    let mut fields = text.split_ascii_whitespace();
    let mut next = |what: &str| fields.next().ok_or_else(|| format!("the {what} is missing"));
    let first = next("host")?;
    let marker = match first {
        "@revoked" => Marker::Revoked,
        "@cert-authority" => Marker::Authority,
        other if other.starts_with('@') => return Err(format!("unknown marker `{}`", printable(other.as_bytes(), 40))),
        _ => Marker::None,
    };
    let hosts = Hosts::parse(if marker == Marker::None { first } else { next("host")? })?;
    let (kind, key) = (next("key type")?, next("key")?);
    let key = russh::keys::parse_public_key_base64(key).map_err(|_| "the key cannot be read")?;
    if key.algorithm().as_str() != kind {
        return Err(format!("the key is not of the type `{}`", printable(kind.as_bytes(), 40)));
    }
    Ok(Some((marker, hosts, key)))
}

impl Hosts {
    fn parse(field: &str) -> Result<Self, String> {
        let Some(hashed) = field.strip_prefix("|1|") else {
            return Ok(Self::Patterns(field.to_lowercase()));
        };
        let decode = |part: &str| BASE64.decode(part.as_bytes()).map_err(|_| "the hashed name is broken".to_owned());
        let (salt, hash) = hashed.split_once('|').ok_or("the hashed name is broken")?;
        Ok(Self::Hashed { salt: decode(salt)?, hash: decode(hash)? })
    }

    /// Does this field mean the host? `name` is in lower case.
    fn matches(&self, name: &str) -> bool {
        match self {
            Self::Hashed { salt, hash } => {
                let mut mac = Hmac::<Sha1>::new_from_slice(salt).expect("HMAC takes a key of any length");
                mac.update(name.as_bytes());
                mac.verify_slice(hash).is_ok()
            }
            Self::Patterns(list) => {
                let mut found = false;
                for pattern in list.split(',').filter(|pattern| !pattern.is_empty()) {
                    match pattern.strip_prefix('!') {
                        Some(negated) if glob(negated.as_bytes(), name.as_bytes()) => return false,
                        Some(_) => {}
                        None => found |= glob(pattern.as_bytes(), name.as_bytes()),
                    }
                }
                found
            }
        }
    }
}

/// `*` and `?`, nothing else; a star that fails is tried one byte further on, so the work is bounded by both lengths.
fn glob(pattern: &[u8], text: &[u8]) -> bool {
    let (mut p, mut t) = (0, 0);
    let mut star: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                star = Some((p, t));
                p += 1;
            }
            Some(byte) if *byte == b'?' || *byte == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match star {
                Some((at, from)) => {
                    star = Some((at, from + 1));
                    p = at + 1;
                    t = from + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|byte| *byte == b'*')
}

#[cfg(test)]
mod tests;
