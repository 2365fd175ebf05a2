//! Transactions that touch nothing but backups: one more, or some fewer.

use super::{Builder, Put, Transaction, text};
use crate::plan::backup::{Backup, HeldBackup, Receipt, Standing};
use crate::plan::{DesiredSet, Purpose, RootFacts, Staged, Step, policy};
use crate::words::{Failure, Phase, RunId, Secret};

impl Transaction {
    /// Puts a backup beside the others, and removes what is one too many then.
    ///
    /// # Errors
    /// Where nothing may be written, as for a push.
    pub fn keep(
        want: &DesiredSet,
        facts: &RootFacts,
        uid: u32,
        purpose: &Purpose,
        backup: &Backup,
    ) -> Result<Self, Failure> {
        let mut builder = Builder::of(want, facts, uid, purpose)?;
        builder.refuse_read_only()?;
        builder.fence();
        let directories = builder.is.directories();
        builder.out.steps.extend(directories);
        let mut puts = Vec::new();
        builder.stage_backup(&mut puts, "sealed", backup)?;
        builder.sync(&puts, false);
        builder.out.steps.push(Step::Phase(Phase::Switch));
        builder.out.steps.extend(puts.into_iter().map(|put| put.step));
        builder.flush();
        let surplus = builder.is.surplus_with_more(1, facts.live_run());
        builder.remove(surplus);
        Ok(builder.out)
    }

    /// Removes these backups, with their receipts.
    ///
    /// # Errors
    /// As `keep`.
    pub fn prune(
        want: &DesiredSet,
        facts: &RootFacts,
        uid: u32,
        purpose: &Purpose,
        runs: &[RunId],
    ) -> Result<Self, Failure> {
        let mut builder = Builder::of(want, facts, uid, purpose)?;
        if runs.is_empty() {
            return Ok(builder.out);
        }
        builder.refuse_read_only()?;
        builder.fence();
        builder.out.steps.push(Step::Phase(Phase::Switch));
        let paths = runs.iter().flat_map(|run| builder.is.paths_of_backup(run)).collect();
        builder.remove(paths);
        builder.flush();
        Ok(builder.out)
    }
}

impl Transaction {
    /// The backups that it brings, as they will lie there.
    pub fn sealed(&self) -> Vec<HeldBackup> {
        let receipts = self.staged.iter().filter_map(|staged| match staged {
            Staged::File { path, content } if path.starts_with("receipt-") => {
                Receipt::read(std::str::from_utf8(content.expose()).ok()?.trim_end())
            }
            _ => None,
        });
        let held = |receipt: Receipt| HeldBackup {
            run: receipt.run.clone(),
            path: format!("backups/{}", policy::backup_name(&receipt.run)),
            size: receipt.size,
            standing: Standing::Intact,
            receipt: Some(receipt),
        };
        receipts.map(held).collect()
    }
}

impl Builder<'_> {
    /// The sealed copy of what is wanted, as that run's; `staged` is what it is called on its way.
    pub(super) fn stage_copy(&mut self, puts: &mut Vec<Put>, staged: &str, run: &RunId) -> Result<(), Failure> {
        let purpose = self.is.purpose;
        let backup = Backup::of_set(self.is.want, run, purpose.why, purpose.bundle_id);
        self.stage_backup(puts, staged, &backup)
    }

    /// The receipt first: a copy without one is a copy that nobody vouches for.
    pub(super) fn stage_backup(&mut self, puts: &mut Vec<Put>, staged: &str, backup: &Backup) -> Result<(), Failure> {
        let failed = |error: crate::words::Error| Failure::new(Phase::Stage, error.to_string());
        let sealed = (self.is.purpose.seal)(backup).map_err(failed)?;
        let receipt = Receipt::of(backup, &sealed, self.is.purpose);
        let run = &backup.label.run;
        let place = format!(".distribute/{}", policy::receipt_name(run));
        self.stage(puts, &format!("receipt-{staged}"), place, text(format!("{receipt}\n")), true);
        self.stage(puts, staged, format!("backups/{}", policy::backup_name(run)), Secret::new(sealed), true);
        Ok(())
    }
}
