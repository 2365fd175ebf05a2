//! A visit that puts a host back as it was: by the rename of a set that is still there, or from a sealed copy that is read back, opened
//! here and pushed like any set. What goes out of sight is sealed first.

use super::backups::{BackupOpener, named};
use super::talk::{Question, Talk};
use super::{Intent, Stop, Visit, interrupted};
use crate::plan::backup::{self, Backup, HeldBackup, Why};
use crate::plan::restore::{Restore, Source, as_found, is_sealed_as_it_is};
use crate::plan::{Change, DesiredSet, HostFacts, RootFacts, Transaction};
use crate::transport::Connection;
use crate::words::{Failure, Phase, RunId, Secret};
use std::collections::BTreeMap;
use std::sync::Arc;

/// What is to be brought back, and how a copy is opened.
pub struct RestoreWork {
    pub restore: Restore,
    pub open: Arc<BackupOpener>,
}

/// What a root is put back to.
struct Return {
    want: DesiredSet,
    /// The set that is still there, if it is.
    before: Option<String>,
    /// What is live, where nothing sealed says it yet.
    replaced: Option<Backup>,
    /// The run whose secrets these are; `None` if they are live already, and only actions are owed.
    run: Option<RunId>,
}

impl Visit {
    pub(super) async fn restore(&mut self, connection: &mut Connection, work: &RestoreWork) -> Result<(), Failure> {
        let nonce = (self.run.nonce)();
        let mut talk = Talk::begin(connection, &nonce, &self.plan, self.run.lock_wait(), Question::Backups).await?;
        let facts = self.look_at_backups(&mut talk, &nonce).await?;
        let returns = self.returns(&mut talk, &facts, work).await?;
        let transactions = self.plan_returns(&facts, &returns)?;
        self.tell_returns(&returns, &transactions, &work.restore);
        // From here on the sets are those that are brought back: what they hold is struck out of messages, too.
        for (set, back) in self.plan.sets.iter_mut().zip(&returns) {
            if let Some(back) = back {
                *set = back.want.clone();
            }
        }
        // It sees them once more.
        self.report.owed.clear();
        self.describe(&facts, &transactions);
        if self.run.intent != Intent::Apply || transactions.iter().all(Transaction::is_empty) {
            talk.bye().await;
            return Ok(());
        }
        if *self.stop.borrow() > Stop::No {
            return Err(interrupted(Phase::Stage));
        }
        self.run.make_ready().await?;
        let pushed = self.push(&mut talk, &nonce, &transactions).await?;
        self.report.owed.clear();
        self.report.switched = !pushed.switched.is_empty() && !pushed.is_back;
        self.report.is_put_back = pushed.is_back;
        (self.report.live, self.report.last_backup) = (None, None);
        pushed.facts.roots.iter().for_each(|root| self.see(root));
        if let Some(failure) = pushed.failure() {
            return Err(failure);
        }
        self.refuse_unreturned(&HostFacts { roots: pushed.facts.roots, ..facts }, &returns)
    }

    /// What each root is put back to; `None` where that is live already.
    async fn returns(
        &mut self,
        talk: &mut Talk,
        facts: &HostFacts,
        work: &RestoreWork,
    ) -> Result<Vec<Option<Return>>, Failure> {
        let (mut returns, mut nothing) = (Vec::new(), Vec::new());
        for (index, root) in facts.roots.iter().enumerate() {
            let set = self.plan.sets[index].clone();
            let source = work.restore.choose(&set, root, &self.run.purpose())?;
            let back = match source {
                Source::Live(why) => {
                    self.report.notes.extend(why);
                    let want = Restore::of_owed(&set, root);
                    want.map(|want| Return { want, before: None, replaced: None, run: None })
                }
                Source::Nothing(failure) => {
                    self.report.notes.push(format!("{}: {}", set.root, failure.message));
                    nothing.push(failure);
                    None
                }
                Source::Set(name) => Some(self.return_set(talk, index, &set, root, name, &work.restore).await?),
                Source::Copy(held) => Some(self.return_copy(talk, index, &set, root, held, work).await?),
            };
            returns.push(back);
        }
        match nothing.into_iter().next() {
            Some(failure) if returns.iter().all(Option::is_none) => {
                self.report.notes.clear();
                Err(failure)
            }
            _ => Ok(returns),
        }
    }

    async fn return_set(
        &mut self,
        talk: &mut Talk,
        index: usize,
        set: &DesiredSet,
        root: &RootFacts,
        name: String,
        restore: &Restore,
    ) -> Result<Return, Failure> {
        let want = Restore::of_set(set, root, &name);
        let sizes = want.files.iter().filter_map(|file| root.entries.get(&format!("secrets/{name}/{}", file.path)));
        let bytes = sizes.map(|stat| stat.size + 1536).sum::<u64>() + 64 * 1024;
        let is_kept = is_sealed_as_it_is(set, root, &self.run.purpose());
        let needs_present = !is_kept || !restore.services.is_empty();
        let (live, more) = if needs_present { backup::names_of_present(set, root)? } else { (Vec::new(), 0) };
        let names = [vec![format!("secrets/{name}")], live].concat();
        let mut read = talk.read(self.stop.clone(), self.run.look, index, &names, bytes + more).await?;
        let want = Restore::with_contents(want, &name, &mut read, &*self.run.fingerprint)?;
        let present = needs_present.then(|| self.replaced(set, root, read));
        let run: RunId =
            name.trim_start_matches('.').parse().map_err(|_| Failure::new(Phase::Exec, "a set without a run"))?;
        if restore.services.is_empty() {
            return Ok(Return { want, before: Some(name), replaced: present, run: Some(run) });
        }
        let backup = Backup::of_set(&want, &run, Why::Replaced, &self.run.bundle_id);
        self.return_some(set, &backup, present, is_kept, restore)
    }

    async fn return_copy(
        &mut self,
        talk: &mut Talk,
        index: usize,
        set: &DesiredSet,
        root: &RootFacts,
        held: HeldBackup,
        work: &RestoreWork,
    ) -> Result<Return, Failure> {
        let run = held.run.clone();
        let opened = self.open(talk, index, &held, set, &work.open).await?;
        let backup = opened.map_err(|why| {
            Failure::new(Phase::Stage, format!("the backup of run {run}: {why}; nothing was changed"))
                .hint(format!("see which are good: distribute backup verify --hosts {}", set.host))
        })?;
        let is_kept = is_sealed_as_it_is(set, root, &self.run.purpose());
        let needs_present = root.live.is_some() && (!work.restore.services.is_empty() || !is_kept);
        let present = match needs_present {
            true => Some(self.present(talk, index, set, root).await?),
            false => None,
        };
        self.return_some(set, &backup, present, is_kept, &work.restore)
    }

    /// What of a backup the host may have, and what of its services is asked for.
    fn return_some(
        &mut self,
        set: &DesiredSet,
        backup: &Backup,
        present: Option<Backup>,
        is_kept: bool,
        restore: &Restore,
    ) -> Result<Return, Failure> {
        let run = backup.label.run.clone();
        let (want, left) = restore.of_backup(set, backup, present.as_ref(), &*self.run.fingerprint);
        if !left.is_empty() {
            let text = format!(
                "{}: not brought back, since the playbook gives this host no such service any more: {}",
                set.root,
                named(&left)
            );
            self.report.notes.push(text);
        }
        if want.files.is_empty() {
            return Err(Failure::new(
                Phase::Stage,
                format!("the backup of run {run} holds nothing that this host gets; nothing was changed"),
            )
            .hint("`distribute inventory host` says what it gets"));
        }
        Ok(Return { want, before: None, replaced: present.filter(|_| !is_kept), run: Some(run) })
    }

    /// What is live, read back.
    async fn present(
        &self,
        talk: &mut Talk,
        index: usize,
        set: &DesiredSet,
        root: &RootFacts,
    ) -> Result<Backup, Failure> {
        let (names, bytes) = backup::names_of_present(set, root)?;
        let read = talk.read(self.stop.clone(), self.run.look, index, &names, bytes).await?;
        Ok(self.replaced(set, root, read))
    }

    /// What was read back, as a backup of what goes out of sight.
    fn replaced(&self, set: &DesiredSet, root: &RootFacts, read: BTreeMap<String, Secret>) -> Backup {
        backup::present(set, root, &self.run.id.just_before(), Why::Replaced, read, &self.run.purpose())
    }

    fn plan_returns(&self, facts: &HostFacts, returns: &[Option<Return>]) -> Result<Vec<Transaction>, Failure> {
        let purpose = self.run.purpose();
        let pairs = returns.iter().zip(&facts.roots);
        let plan = |(back, root): (&Option<Return>, &RootFacts)| match back {
            None => Ok(Transaction::default()),
            Some(Return { want, before, replaced, run }) => {
                // What somebody changed by hand is compared as it is.
                let found = replaced.as_ref().map(|present| as_found(root, present, &*self.run.fingerprint));
                let root = found.as_ref().unwrap_or(root);
                let plan = Transaction::restore(want, root, facts.uid, &purpose, before.as_deref(), replaced.as_ref())?;
                // What is live stays as it is.
                let is_meant = run.is_some() || plan.files.iter().all(|file| file.change == Change::None);
                Ok(if is_meant { plan } else { Transaction::default() })
            }
        };
        pairs.map(plan).collect()
    }

    /// Where it comes from, what keeps what it replaces, and what the bundle says otherwise.
    fn tell_returns(&mut self, returns: &[Option<Return>], transactions: &[Transaction], restore: &Restore) {
        let sets = self.plan.sets.clone();
        for ((set, back), transaction) in sets.iter().zip(returns).zip(transactions) {
            let Some(Return { want, before, replaced, run: Some(run) }) = back else { continue };
            let how = if before.is_some() { "the set of run" } else { "the sealed copy of run" };
            let kept = replaced
                .as_ref()
                .filter(|_| !transaction.is_empty())
                .map(|backup| format!("; what it replaces is sealed as {}", backup.label.run));
            self.report.notes.push(format!("{}: from {how} {run}{}", set.root, kept.unwrap_or_default()));
            self.report.restored = Some(run.clone()).max(self.report.restored.take());
            self.report.other_than_bundle.extend(restore.other_than_bundle(set, want));
        }
    }

    /// Is what is live now what was to be brought back? The plan made again must be empty.
    fn refuse_unreturned(&self, after: &HostFacts, returns: &[Option<Return>]) -> Result<(), Failure> {
        if after.roots.iter().any(|root| root.lock.is_some()) {
            return Ok(());
        }
        let purpose = self.run.purpose();
        for (back, root) in returns.iter().zip(&after.roots) {
            let Some(back) = back.as_ref().filter(|back| back.run.is_some()) else { continue };
            if !Transaction::restore(&back.want, root, after.uid, &purpose, None, None)?.is_empty() {
                return Err(Failure::new(Phase::Switch, "the host took everything and is still not as it should be")
                    .hint("somebody else may be at work there: run distribute status"));
            }
        }
        Ok(())
    }
}
