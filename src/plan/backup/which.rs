//! `Which`: the backups that are meant, of those that a host has.

use super::HeldBackup;
use crate::words::RunId;
use chrono::{DateTime, Utc};

/// By run, by time, or by age.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Which {
    All,
    /// The newest that may be relied on; where there is none, the newest.
    Newest,
    Run(RunId),
    /// What was the newest then.
    At(DateTime<Utc>),
    /// The one before what is live.
    Previous,
}

impl Which {
    /// Those that are meant, the oldest first. `held` are sorted so, and `live` made the live set.
    pub fn of<'a>(&self, held: &'a [HeldBackup], live: Option<&RunId>) -> Vec<&'a HeldBackup> {
        let newest = |meant: &dyn Fn(&RunId) -> bool| held.iter().rfind(|one| meant(&one.run));
        let one = match self {
            Self::All => return held.iter().collect(),
            Self::Newest => held.iter().rfind(|one| one.standing.is_good()).or(held.last()),
            Self::Run(run) => newest(&|one| one == run),
            Self::At(time) => newest(&|one| one.time() <= *time),
            Self::Previous => newest(&|one| live.is_some_and(|live| one < live)),
        };
        one.into_iter().collect()
    }
}
