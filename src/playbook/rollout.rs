//! `Rollout`: over how many hosts at a time a rotation goes, and how many may fail before everything is put back. Ansible's words:
//! `serial`, and `max_fail` for its max_fail_percentage.

use crate::words::{Error, Period, Result, TomlTable};
use std::fmt;
use std::str::FromStr;

/// The `[rollout]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rollout {
    /// The size of each batch; the last repeats.
    pub serial: Vec<Share>,
    /// So many hosts may fail, in each batch and in all.
    pub max_fail: Share,
    /// Between two batches.
    pub pause: Period,
}

/// A number of hosts, or a part of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Share {
    Hosts(usize),
    Percent(usize),
}

impl Default for Rollout {
    /// One host first, then all others; nobody may fail.
    fn default() -> Self {
        let serial = vec![Share::Hosts(1), Share::Percent(100)];
        Self { serial, max_fail: Share::Hosts(0), pause: Period::from_secs(0) }
    }
}

impl Rollout {
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self> {
        table.only(&["serial", "max_fail", "pause"])?;
        let usual = Self::default();
        let serial = table.strings("serial")?.map(|list| serial(table, &list)).transpose()?.unwrap_or(usual.serial);
        Ok(Self {
            serial,
            max_fail: table.parsed("max_fail")?.unwrap_or(usual.max_fail),
            pause: table.parsed("pause")?.unwrap_or(usual.pause),
        })
    }

    /// How many hosts go at a time, when there are so many: sizes that add up to all.
    pub fn batches(&self, hosts: usize) -> Vec<usize> {
        let mut batches = Vec::new();
        let mut left = hosts;
        let last = self.serial.last().copied().unwrap_or(Share::Percent(100));
        for share in self.serial.iter().copied().chain(std::iter::repeat(last)) {
            if left == 0 {
                break;
            }
            // A part too small to be a host is one.
            let size = share.of(hosts).clamp(1, left);
            batches.push(size);
            left -= size;
        }
        batches
    }

    /// When it is too many, for messages.
    pub fn max_fail_text(&self) -> String {
        match self.max_fail {
            Share::Hosts(0) | Share::Percent(0) => "if a host fails".to_owned(),
            Share::Hosts(1) => "if more than 1 host fails".to_owned(),
            Share::Hosts(number) => format!("if more than {number} hosts fail"),
            Share::Percent(percent) => format!("if more than {percent}% of a batch, or of all hosts, fail"),
        }
    }

    /// Have too many failed, of this batch or of all hosts?
    pub fn is_past(&self, failed_in_batch: usize, batch: usize, failed: usize, hosts: usize) -> bool {
        failed_in_batch > self.max_fail.of(batch) || failed > self.max_fail.of(hosts)
    }
}

impl Share {
    /// Of so many, rounded down.
    pub const fn of(self, hosts: usize) -> usize {
        match self {
            Self::Hosts(number) => number,
            Self::Percent(percent) => hosts * percent / 100,
        }
    }
}

impl FromStr for Share {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || {
            Error::new(format!("`{}` is neither a number of hosts nor a percentage", text.escape_debug()))
                .hint("write \"1\" or \"25%\"")
        };
        let is_number = |text: &str| text.len() < 7 && text.bytes().all(|b| b.is_ascii_digit());
        match text.strip_suffix('%') {
            Some(percent) if is_number(percent) => match percent.parse() {
                Ok(percent @ 0..=100) => Ok(Self::Percent(percent)),
                _ => Err(wrong()),
            },
            None if is_number(text) => text.parse().map(Self::Hosts).map_err(|_| wrong()),
            _ => Err(wrong()),
        }
    }
}

impl fmt::Display for Share {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Hosts(number) => write!(f, "{number}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
        }
    }
}

fn serial(table: &TomlTable<'_>, list: &[&str]) -> Result<Vec<Share>> {
    let wrong = |error: Error| table.wrong_at("serial", error.at("serial"));
    let shares: Vec<Share> = list.iter().map(|text| text.parse()).collect::<Result<_>>().map_err(wrong)?;
    match shares.iter().find(|share| matches!(share, Share::Hosts(0) | Share::Percent(0))) {
        Some(_) => Err(wrong(Error::new("a batch of no hosts would never end"))),
        None if shares.is_empty() => Err(wrong(Error::new("it is empty").hint("serial = [\"1\", \"25%\", \"100%\"]"))),
        None => Ok(shares),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rollout(serial: &[&str], max_fail: &str) -> Rollout {
        let serial = serial.iter().map(|text| text.parse().unwrap()).collect();
        Rollout { serial, max_fail: max_fail.parse().unwrap(), pause: Period::from_secs(0) }
    }

    #[test]
    fn a_canary_goes_first_and_the_last_size_repeats() {
        let usual = rollout(&["1", "25%", "100%"], "10%");
        for (hosts, batches) in [
            (0, vec![]),
            (1, vec![1]),
            (2, vec![1, 1]),
            (3, vec![1, 1, 1]),
            (20, vec![1, 5, 14]),
            (100, vec![1, 25, 74]),
        ] {
            assert_eq!(usual.batches(hosts), batches, "{hosts}");
        }
        assert_eq!(rollout(&["2"], "0").batches(5), [2, 2, 1]);
        assert_eq!(rollout(&["1%"], "0").batches(3), [1, 1, 1]);
        assert_eq!(rollout(&["50"], "0").batches(3), [3]);
    }

    #[test]
    fn the_canary_counts_by_itself() {
        let usual = rollout(&["1", "25%", "100%"], "10%");
        assert!(usual.is_past(1, 1, 1, 100));
        assert!(!usual.is_past(0, 1, 0, 100));
        assert!(!usual.is_past(2, 20, 10, 100));
        assert!(usual.is_past(3, 20, 3, 100), "more than a tenth of the batch");
        assert!(usual.is_past(1, 20, 11, 100), "more than a tenth of all");
        assert!(Rollout::default().is_past(1, 50, 1, 50));
        assert!(!rollout(&["1"], "1").is_past(1, 1, 1, 3));
    }

    #[test]
    fn shares_are_numbers_or_percentages() {
        for bad in ["", "%", "-1", "101%", "1.5", "a", "+1", "99999999", "10 %"] {
            assert!(bad.parse::<Share>().is_err(), "{bad}");
        }
        assert_eq!("25%".parse::<Share>().unwrap().to_string(), "25%");
    }
}
