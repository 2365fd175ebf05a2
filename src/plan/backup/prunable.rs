//! `Prunable`: how much room old backups take on a host, for a message about a full disk.

use crate::plan::{RootFacts, policy};
use crate::words::{HostName, bytes, plural};
use std::iter::Sum;

/// Backups that `backup prune --keep 1` would remove.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Prunable {
    pub count: usize,
    /// In bytes.
    pub size: u64,
}

impl Prunable {
    /// Of a root: all but the newest and that of the live set.
    pub fn of(facts: &RootFacts) -> Self {
        let spared = [facts.newest_backup(), facts.live_run()];
        let backups =
            facts.inside("backups").filter_map(|(name, stat)| Some((policy::run_of_backup(name)?, stat.size)));
        let old = backups.filter(|(run, _)| !spared.iter().flatten().any(|spared| spared == run));
        old.map(|(_, size)| Self { count: 1, size }).sum()
    }

    /// What to do about it.
    pub fn hint(&self, host: &HostName) -> String {
        match self.count {
            0 => "if the disk is full: there are no old backups to prune".to_owned(),
            count => format!(
                "if the disk is full: `distribute backup prune --keep 1 --hosts {host}` would free {} there ({})",
                bytes(self.size),
                plural(count, "backup")
            ),
        }
    }
}

impl Sum for Prunable {
    fn sum<I: Iterator<Item = Self>>(all: I) -> Self {
        all.fold(Self::default(), |sum, one| Self { count: sum.count + one.count, size: sum.size + one.size })
    }
}
