//! `Period`: a length of time as people write it: `30s`, `15m`, `24h`, `90d`, `2w`.

use super::{Error, Result};
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// Whole seconds.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period(u64);

impl Period {
    /// So many seconds.
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds)
    }

    /// The length in seconds.
    pub const fn as_secs(self) -> u64 {
        self.0
    }

    /// The length as std knows it, for a timeout.
    pub const fn duration(self) -> Duration {
        Duration::from_secs(self.0)
    }
}

const UNITS: [(char, u64); 5] = [('w', 604_800), ('d', 86_400), ('h', 3600), ('m', 60), ('s', 1)];

impl FromStr for Period {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(format!("`{}` is not a period", text.escape_debug()))
                .hint("write a number and a unit: 30s, 15m, 24h, 90d or 2w")
        };
        let unit = text.chars().last().ok_or_else(wrong)?;
        let seconds = UNITS.iter().find(|(letter, _)| *letter == unit).ok_or_else(wrong)?.1;
        let number: u64 = text[..text.len() - unit.len_utf8()].parse().map_err(|_| wrong())?;
        number.checked_mul(seconds).map(Self).ok_or_else(wrong)
    }
}

impl fmt::Display for Period {
    /// The two largest units that are not zero: `3d 4h`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut left = self.0;
        let mut parts = Vec::new();
        for (letter, seconds) in &UNITS[1..] {
            if left >= *seconds {
                parts.push(format!("{}{letter}", left / seconds));
                left %= seconds;
            }
        }
        parts.truncate(2);
        f.pad(&if parts.is_empty() { "0s".to_owned() } else { parts.join(" ") })
    }
}

impl fmt::Debug for Period {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Period({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_one_unit_and_shows_two() {
        assert_eq!("90d".parse::<Period>().unwrap().as_secs(), 7_776_000);
        assert_eq!(Period::from_secs(3 * 86_400 + 4 * 3600 + 5).to_string(), "3d 4h");
        assert_eq!(Period::from_secs(0).to_string(), "0s");
        for bad in ["", "s", "1", "1x", "-1s", "1 s", "99999999999999999999s", "9999999999999999999w"] {
            assert!(bad.parse::<Period>().is_err(), "{bad}");
        }
    }
}
