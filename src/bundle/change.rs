//! `Change`: that a secret became another, and in which generation; never what it was. A line of `bundle.toml`:
//! `7 2026-11-21T02:00:00Z changed`.

use super::layout::SecretName;
use super::record::Metadata;
use crate::words::Error;
use chrono::{DateTime, SecondsFormat, Utc};
use std::fmt;
use std::str::FromStr;

/// Changes kept of each secret.
pub(super) const KEPT: usize = 10;

/// One change of one secret. Bundles of earlier versions did not note the time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// The first generation in which it was so.
    pub generation: u64,
    pub time: Option<DateTime<Utc>>,
    pub what: What,
}

/// What happened to a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    New,
    Changed,
    Removed,
    /// It had this name before.
    Renamed(SecretName),
    /// Noted by a later version; kept as it is.
    Other(String),
}

impl What {
    /// One word for a report.
    pub fn word(&self) -> &str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Removed => "removed",
            Self::Renamed(_) => "renamed",
            Self::Other(text) => text.split(' ').next().unwrap_or_default(),
        }
    }

    /// Has it a value since then that it had not before?
    pub fn gives_value(&self) -> bool {
        matches!(self, Self::New | Self::Changed)
    }

    /// Both in one generation; `None` when nothing is left of them.
    fn and_then(self, later: Self) -> Option<Self> {
        match (self, later) {
            (Self::New, Self::Changed) => Some(Self::New),
            (Self::New, Self::Removed) => None,
            (Self::Removed, Self::New) => Some(Self::Changed),
            (_, later) => Some(later),
        }
    }
}

impl Metadata {
    /// Notes a change, the latest last; the oldest are forgotten.
    pub(super) fn note(&mut self, change: Change) {
        let merged = match self.changes.pop_if(|last| last.generation == change.generation) {
            Some(last) => last.what.and_then(change.what).map(|what| Change { what, ..change }),
            None => Some(change),
        };
        self.changes.extend(merged);
        let forgotten = self.changes.len().saturating_sub(KEPT);
        self.changes.drain(..forgotten);
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let time = self.time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
        write!(f, "{} {} ", self.generation, time.as_deref().unwrap_or("-"))?;
        match &self.what {
            What::Renamed(from) => write!(f, "renamed {from}"),
            What::Other(text) => f.write_str(text),
            what => f.write_str(what.word()),
        }
    }
}

impl FromStr for Change {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        let wrong = || Error::new("not a change");
        let mut words = text.splitn(3, ' ');
        let mut word = || words.next().ok_or_else(wrong);
        let (generation, time, what) = (word()?, word()?, word()?);
        let time = match time {
            "-" => None,
            time => Some(DateTime::parse_from_rfc3339(time).map_err(|_| wrong())?.to_utc()),
        };
        let renamed = what.strip_prefix("renamed ").and_then(|from| from.parse().ok()).map(What::Renamed);
        let what = match what {
            "new" => What::New,
            "changed" => What::Changed,
            "removed" => What::Removed,
            other => renamed.unwrap_or_else(|| What::Other(other.to_owned())),
        };
        Ok(Self { generation: generation.parse().map_err(|_| wrong())?, time, what })
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::at;
    use super::*;

    fn change(generation: u64, what: What) -> Change {
        Change { generation, time: Some(at(5)), what }
    }

    #[test]
    fn what_is_read_is_what_is_written() {
        for text in
            ["7 2026-11-21T02:00:00Z changed", "1 - new", "3 - renamed groups/web/a.K", "4 - sealed by a later one"]
        {
            assert_eq!(text.parse::<Change>().unwrap().to_string(), text);
        }
        for text in ["", "7", "7 -", "x - new", "7 yesterday new"] {
            assert!(text.parse::<Change>().is_err(), "{text}");
        }
    }

    #[test]
    fn one_generation_has_one_change_and_ten_are_kept() {
        let mut known = Metadata::default();
        for (generation, what) in
            [(1, What::New), (1, What::Changed), (2, What::Removed), (2, What::New), (3, What::Changed)]
        {
            known.note(change(generation, what));
        }
        assert_eq!(known.changes, [change(1, What::New), change(2, What::Changed), change(3, What::Changed)]);
        let mut passing = Metadata::default();
        passing.note(change(4, What::New));
        passing.note(change(4, What::Removed));
        assert!(passing.changes.is_empty());
        (4..20).for_each(|generation| known.note(change(generation, What::Changed)));
        assert_eq!((known.changes.len(), known.changes[0].generation), (10, 10));
    }
}
