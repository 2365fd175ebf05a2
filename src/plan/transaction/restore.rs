//! A transaction that brings back what was: the set before by one rename, or a new set of old contents. What goes out of sight is sealed first.

use super::{Builder, Put, Transaction};
use crate::plan::backup::Backup;
use crate::plan::{DesiredSet, Purpose, RootFacts, Staged, Step, policy};
use crate::words::{Failure, RunId};

impl Transaction {
    /// `want` is what is brought back, from the set `before` if that is still there; `replaced` is what is live now, where nothing sealed says it yet.
    ///
    /// # Errors
    /// Where nothing may be written, as for a push.
    pub fn restore(
        want: &DesiredSet,
        facts: &RootFacts,
        uid: u32,
        purpose: &Purpose,
        before: Option<&str>,
        replaced: Option<&Backup>,
    ) -> Result<Self, Failure> {
        let mut builder = Builder::of(want, facts, uid, purpose)?;
        builder.before = before.map(str::to_owned);
        builder.replaced = replaced;
        builder.compare()?;
        Ok(builder.out)
    }
}

impl Builder<'_> {
    /// The set before as it is: it lies there, with its manifest. This run has a sealed copy of it as of any other set, so that it can be told
    /// and found by this run; its own is made again if it is gone.
    pub(super) fn stage_set_before(&mut self, puts: &mut Vec<Put>, set: String) -> Result<(), Failure> {
        let copy = self.is.purpose.run.clone();
        self.stage_previous(puts);
        self.stage_copy(puts, "sealed", &copy)?;
        if let Some(run) = self.lost_copy(&set) {
            self.stage_copy(puts, "again", &run)?;
        }
        puts.push(Put { staged: String::new(), step: Step::Return { set: set.clone(), copy } });
        self.out.staged.push(Staged::Link { path: "data".to_owned(), target: set });
        Ok(())
    }

    /// The run of a set whose sealed copy, or what was recorded of it, is gone.
    pub(super) fn lost_copy(&self, set: &str) -> Option<RunId> {
        policy::run_of_set(set).filter(|run| self.is.paths_of_backup(run).len() < 2)
    }
}
