//! `Generator`: how a new value is made: `password:32`, `rsa:2048`, … Randomness comes in as an argument, so every test is exact.

use super::key_pair::{KeyPair, pem_like};
use super::{Error, Result, Secret};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

/// All 64 mean the same unquoted in docker, compose, systemd and shell env files.
const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";
/// The letters and digits at its start.
const ALNUM: usize = 62;

/// What to make, and how long: `password:32`, `alnum:32`, `hex:32`, `base64:32`, `uuid`, `rsa:2048`, `ed25519`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generator {
    /// That many characters of `[A-Za-z0-9_-]`, six bits each.
    Password(usize),
    /// That many letters and digits.
    Alnum(usize),
    /// That many random bytes, two hex digits each.
    Hex(usize),
    /// That many random bytes in base64.
    Base64(usize),
    /// A random UUID, version 4.
    Uuid,
    /// An RSA key pair with a modulus of that many bits: 2048, 3072 or 4096.
    Rsa(usize),
    /// An Ed25519 key pair.
    Ed25519,
}

/// What a generator made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Generated {
    /// The value: text without a newline at its end; of a key pair the private half, PKCS#8 version 1 as PEM.
    pub secret: Secret,
    /// The public half as PEM, only of key pairs.
    pub public: Option<Secret>,
}

impl Generator {
    /// Makes a value. Only key pairs can fail, and those only when their crates refuse: an RSA size they do not make.
    pub fn generate(self, random: Random) -> Result<Generated> {
        match self {
            Self::Rsa(bits) => KeyPair::rsa(bits, random)?.pem(),
            Self::Ed25519 => KeyPair::ed25519(random)?.pem(),
            _ => Ok(Generated { secret: Secret::new(self.text(random)), public: None }),
        }
    }

    /// Does it make a private and a public half? Their PEM has several lines, which only a file can hold.
    pub fn is_key_pair(self) -> bool {
        matches!(self, Self::Rsa(_) | Self::Ed25519)
    }

    /// Stands in a plan for a value that does not exist yet: as long as one, without randomness, another for each tag below
    /// 62 to the power of 6. Of key pairs it stands for the private half, and is no key.
    pub fn placeholder(self, tag: usize) -> Secret {
        let mut left = tag;
        // Digits below 62, so that no character is drawn again; the lowest first, where a UUID takes whole bytes.
        let mut digit = |byte: &mut u8| (*byte, left) = ((left % ALNUM) as u8, left / ALNUM);
        Secret::new(self.text(&mut |buffer| buffer.iter_mut().for_each(&mut digit)))
    }

    /// The text that the random bytes spell; for key pairs, which bytes alone do not make, one of that shape.
    fn text(self, random: Random) -> Vec<u8> {
        match self {
            Self::Password(length) => bytes(length, random).iter().map(|b| ALPHABET[usize::from(b & 63)]).collect(),
            Self::Alnum(length) => alnum(length, random),
            Self::Hex(length) => HEXLOWER.encode(&bytes(length, random)).into_bytes(),
            Self::Base64(length) => BASE64.encode(&bytes(length, random)).into_bytes(),
            Self::Uuid => uuid(random),
            // DER: n, d, and five numbers of half their length, and the frames around them.
            Self::Rsa(bits) => pem_like(&bytes(bits * 9 / 16 + 66, random)),
            Self::Ed25519 => pem_like(&bytes(48, random)),
        }
    }
}

fn bytes(length: usize, random: Random) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(vec![0; length]);
    random(&mut bytes);
    bytes
}

/// Draws again what is outside the 62, so that no letter is likelier than another.
fn alnum(length: usize, random: Random) -> Vec<u8> {
    let mut text = Vec::with_capacity(length);
    while text.len() < length {
        let drawn = bytes(length, random);
        let letters =
            drawn.iter().map(|b| usize::from(b & 63)).filter(|index| *index < ALNUM).map(|index| ALPHABET[index]);
        text.extend(letters.take(length - text.len()));
    }
    text
}

fn uuid(random: Random) -> Vec<u8> {
    let mut b = bytes(16, random);
    b[6] = b[6] & 0x0f | 0x40;
    b[8] = b[8] & 0x3f | 0x80;
    let mut text = String::with_capacity(36); // growing would leave a copy behind
    HEXLOWER.encode_append(&b, &mut text);
    [20, 16, 12, 8].into_iter().for_each(|index| text.insert(index, '-'));
    text.into_bytes()
}

impl FromStr for Generator {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (kind, number) = text.split_once(':').map_or((text, None), |(kind, number)| (kind, Some(number)));
        match (kind, number) {
            ("password", _) => Ok(Self::Password(length(text, number)?)),
            ("alnum", _) => Ok(Self::Alnum(length(text, number)?)),
            ("hex", _) => Ok(Self::Hex(length(text, number)?)),
            ("base64", _) => Ok(Self::Base64(length(text, number)?)),
            ("uuid", None) => Ok(Self::Uuid),
            ("ed25519", None) => Ok(Self::Ed25519),
            ("rsa", _) => Ok(Self::Rsa(bits(text, number)?)),
            _ => Err(unknown(text, kind)),
        }
    }
}

fn length(text: &str, number: Option<&str>) -> Result<usize> {
    match number.unwrap_or("32").parse() {
        Ok(length @ 8..=1024) => Ok(length),
        _ => Err(Error::new(format!("the length in `{}` is not between 8 and 1024", text.escape_debug()))),
    }
}

fn bits(text: &str, number: Option<&str>) -> Result<usize> {
    match number.unwrap_or("2048").parse() {
        Ok(bits @ (2048 | 3072 | 4096)) => Ok(bits),
        _ => Err(Error::new(format!("the bits in `{}` are not 2048, 3072 or 4096", text.escape_debug()))),
    }
}

fn unknown(text: &str, kind: &str) -> Error {
    match kind {
        "uuid" | "ed25519" => Error::new(format!("`{}`: {kind} takes no length", text.escape_debug())),
        "command" => Error::new("the generator `command` can only stand in a playbook's [[rotate]] policy"),
        _ => Error::new(format!("`{}` is not a generator", text.escape_debug())).hint(
            "known are password:N, alnum:N (characters), hex:N, base64:N (random bytes), uuid, rsa:BITS and ed25519",
        ),
    }
}

impl fmt::Display for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Password(length) => write!(f, "password:{length}"),
            Self::Alnum(length) => write!(f, "alnum:{length}"),
            Self::Hex(length) => write!(f, "hex:{length}"),
            Self::Base64(length) => write!(f, "base64:{length}"),
            Self::Uuid => f.write_str("uuid"),
            Self::Rsa(bits) => write!(f, "rsa:{bits}"),
            Self::Ed25519 => f.write_str("ed25519"),
        }
    }
}

#[cfg(test)]
mod tests;
