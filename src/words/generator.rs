//! `Generator`: how a new value is made: `password:32`, `hex:16`, … Randomness comes in as an argument, so every test is exact.

use super::{Error, Result, Secret};
use data_encoding::{BASE64, HEXLOWER};
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Fills a buffer with random bytes.
pub type Random<'a> = &'a mut dyn FnMut(&mut [u8]);

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-";

/// What to make, and how long: `password:32`, `alnum:32`, `hex:32`, `base64:32`, `uuid`.
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
}

impl Generator {
    /// Makes a value: text, without a newline at its end.
    pub fn generate(self, random: Random) -> Secret {
        let text = match self {
            Self::Password(length) => bytes(length, random).iter().map(|b| ALPHABET[usize::from(b & 63)]).collect(),
            Self::Alnum(length) => alnum(length, random),
            Self::Hex(length) => HEXLOWER.encode(&bytes(length, random)).into_bytes(),
            Self::Base64(length) => BASE64.encode(&bytes(length, random)).into_bytes(),
            Self::Uuid => uuid(random),
        };
        Secret::new(text)
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
            drawn.iter().map(|b| usize::from(b & 63)).filter(|index| *index < 62).map(|index| ALPHABET[index]);
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
        let (kind, length) = text.split_once(':').map_or((text, None), |(kind, length)| (kind, Some(length)));
        let length = || match length.unwrap_or("32").parse() {
            Ok(length @ 8..=1024) => Ok(length),
            _ => Err(Error::new(format!("the length in `{}` is not between 8 and 1024", text.escape_debug()))),
        };
        match kind {
            "password" => Ok(Self::Password(length()?)),
            "alnum" => Ok(Self::Alnum(length()?)),
            "hex" => Ok(Self::Hex(length()?)),
            "base64" => Ok(Self::Base64(length()?)),
            "uuid" => Ok(Self::Uuid),
            "rsa" | "ed25519" | "command" => Err(Error::new(format!("the generator `{kind}` is not supported yet"))),
            _ => Err(Error::new(format!("`{}` is not a generator", text.escape_debug()))
                .hint("known are password:N, alnum:N (characters), hex:N, base64:N (random bytes) and uuid")),
        }
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
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(spec: &str, start: u8) -> String {
        let mut next = start;
        let mut count = |buffer: &mut [u8]| {
            for byte in buffer {
                *byte = next;
                next = next.wrapping_add(1);
            }
        };
        let generator: Generator = spec.parse().unwrap();
        assert_eq!(generator.to_string(), spec);
        String::from_utf8(generator.generate(&mut count).expose().to_vec()).unwrap()
    }

    #[test]
    fn values_follow_from_the_random_bytes() {
        assert_eq!(made("password:8", 60), "89_-ABCD");
        assert_eq!(made("alnum:8", 60), "89ABCDEF");
        assert_eq!(made("hex:8", 0), "0001020304050607");
        assert_eq!(made("base64:9", 0), "AAECAwQFBgcI");
        assert_eq!(made("uuid", 0), "00010203-0405-4607-8809-0a0b0c0d0e0f");
    }

    #[test]
    fn every_letter_is_as_likely() {
        let mut count = std::collections::BTreeMap::new();
        let mut byte = 0u8;
        let mut all = |buffer: &mut [u8]| buffer.iter_mut().for_each(|b| (*b, byte) = (byte, byte.wrapping_add(1)));
        for letter in Generator::Password(256).generate(&mut all).expose() {
            *count.entry(*letter).or_insert(0) += 1;
        }
        assert!(count.len() == 64 && count.values().all(|n| *n == 4));
    }

    #[test]
    fn other_specs_are_refused() {
        for bad in ["", "password:7", "password:1025", "hex:x", "hex:-1", "rsa", "ed25519", "command", "nice"] {
            assert!(bad.parse::<Generator>().is_err(), "{bad}");
        }
        assert_eq!("password".parse::<Generator>().unwrap(), Generator::Password(32));
    }
}
