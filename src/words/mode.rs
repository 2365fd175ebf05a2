//! `Mode`: permission bits, read and printed in octal.

use super::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// The twelve permission bits, those for set-uid, set-gid and sticky included.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mode(u16);

impl Mode {
    /// Keeps the twelve permission bits of a `st_mode`.
    pub const fn new(bits: u32) -> Self {
        Self((bits & 0o7777) as u16)
    }

    /// The bits as a number, for a tar header or a comparison.
    pub const fn bits(self) -> u32 {
        self.0 as u32
    }

    /// May somebody write who is neither the owner nor in the group?
    pub const fn is_world_writable(self) -> bool {
        self.0 & 0o002 != 0
    }

    /// May the group write?
    pub const fn is_group_writable(self) -> bool {
        self.0 & 0o020 != 0
    }

    /// May anybody but the owner do anything?
    pub const fn is_open_to_others(self) -> bool {
        self.0 & 0o077 != 0
    }

    /// May only owners remove what lies in the directory, as in `/tmp`?
    pub const fn is_sticky(self) -> bool {
        self.0 & 0o1000 != 0
    }
}

impl FromStr for Mode {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let digits = text.strip_prefix("0o").unwrap_or(text);
        match u16::from_str_radix(digits, 8) {
            Ok(bits) if bits <= 0o777 && (3..=4).contains(&digits.len()) => Ok(Self(bits)),
            _ => Err(Error::new(format!("`{text}` is not a mode")).hint("write it in octal, as \"600\" or \"0640\"")),
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl fmt::Debug for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Mode({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_and_prints_octal() {
        assert_eq!("600".parse::<Mode>().unwrap().to_string(), "0600");
        assert_eq!("0640".parse::<Mode>().unwrap(), Mode::new(0o640));
        for bad in ["", "6", "0x600", "648", "77777", "rw-------"] {
            assert!(bad.parse::<Mode>().is_err(), "{bad}");
        }
    }
}
