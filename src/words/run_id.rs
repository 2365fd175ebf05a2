//! `RunId`: one invocation, named once: `42-20261121T020000Z-7f3a`. Names begin with the generation, so no clock decides an order.

use super::{Error, Result};
use chrono::{DateTime, NaiveDateTime, SubsecRound, Utc};
use std::fmt;
use std::str::FromStr;

const TIME: &str = "%Y%m%dT%H%M%SZ";

/// Sorts by generation, then by time.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RunId {
    generation: u64,
    time: DateTime<Utc>,
    random: u16,
}

impl RunId {
    /// `random` is shown as four hexadecimal digits; seconds are the finest time kept.
    pub fn new(generation: u64, time: DateTime<Utc>, random: u16) -> Self {
        Self { generation, time: time.trunc_subsecs(0), random }
    }

    /// The generation of the bundle that the run brings.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// For what the run found before it changed anything: the name that sorts right before its own.
    pub fn just_before(&self) -> Self {
        match self.random.checked_sub(1) {
            Some(random) => Self { random, ..self.clone() },
            None => Self { time: self.time - chrono::TimeDelta::seconds(1), random: u16::MAX, ..self.clone() },
        }
    }

    /// When the run began, by the clock of the machine that ran it.
    pub fn time(&self) -> DateTime<Utc> {
        self.time
    }
}

impl fmt::Display for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{:04x}", self.generation, self.time.format(TIME), self.random)
    }
}

impl fmt::Debug for RunId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "RunId({self})")
    }
}

impl FromStr for RunId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = || Error::new(format!("`{}` is not a run", text.escape_debug()));
        let mut parts = text.splitn(3, '-');
        let mut part = || parts.next().ok_or_else(wrong);
        let (generation, time, random) = (part()?, part()?, part()?);
        let run = Self {
            generation: generation.parse().map_err(|_| wrong())?,
            time: NaiveDateTime::parse_from_str(time, TIME).map_err(|_| wrong())?.and_utc(),
            random: u16::from_str_radix(random, 16).map_err(|_| wrong())?,
        };
        // One spelling only: what is read is what would be printed.
        if run.to_string() == text { Ok(run) } else { Err(wrong()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_and_reads_the_same() {
        let text = "42-20261121T020000Z-7f3a";
        let run: RunId = text.parse().unwrap();
        assert_eq!(run.to_string(), text);
        assert_eq!(run.generation(), 42);
        assert_eq!(run.just_before().to_string(), "42-20261121T020000Z-7f39");
        let first: RunId = "42-20261121T020000Z-0000".parse().unwrap();
        assert!(first.just_before() < first && first.just_before().to_string().starts_with("42-20261121T015959Z"));
        for bad in
            ["", "42", "42-20261121T020000Z", "042-20261121T020000Z-7f3a", "42-20261121T020000Z-7f3", "42-2026-1"]
        {
            assert!(bad.parse::<RunId>().is_err(), "{bad}");
        }
    }
}
