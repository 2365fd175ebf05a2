//! A visit for what is sealed on a host: says what is there, makes one more of what is live, reads some back, removes some.

use super::talk::{Question, Talk};
use super::{Intent, Stop, Visit, interrupted};
use crate::plan::backup::{self, Backup, HeldBackup, Prunable, Retention, Standing, Which};
use crate::plan::{DesiredSet, HostFacts, RootFacts, Step, Transaction};
use crate::report::{BackupReport, Deed};
use crate::transport::Connection;
use crate::words::{Failure, Outcome, Phase, Secret, listed, printable};
use std::sync::Arc;

/// What is to be done with backups.
pub enum BackupWork {
    /// Say what there is.
    List,
    /// Seal what is live now, whoever made it so, and put it beside the others.
    Make,
    /// Read some back, still sealed; somebody says what comes of each.
    Read { which: Which, reader: Arc<Reader> },
    /// Remove what these rules do not keep; without a rule, what is more than the play keeps.
    Prune(Retention),
    /// Unpack the newest of each root there, in memory, and compare it with what is live.
    Drill(Arc<BackupOpener>),
}

/// Opens a sealed backup of a host, or says what is wrong with it. It may take its time, and is called on a thread of its own.
pub type BackupOpener = dyn Fn(&DesiredSet, &HeldBackup, &[u8]) -> Result<Backup, String> + Send + Sync;

/// Takes a sealed backup of a host. It may take its time, and is called on a thread of its own.
pub type Reader = dyn Fn(&DesiredSet, &HeldBackup, Vec<u8>) -> Read + Send + Sync;

/// What came of a backup that was read back.
pub struct Read {
    pub deed: Deed,
    /// What is wrong with it.
    pub problem: Option<String>,
    /// What there is to know about it, and is not wrong.
    pub note: Option<String>,
    /// What could not be done with it here: the run fails for this host.
    pub failure: Option<String>,
}

impl Visit {
    pub(super) async fn backups(&mut self, connection: &mut Connection, work: &BackupWork) -> Result<(), Failure> {
        let nonce = (self.run.nonce)();
        let mut talk = Talk::begin(connection, &nonce, &self.plan, self.run.lock_wait(), Question::Backups).await?;
        let facts = self.look_at_backups(&mut talk, &nonce).await?;
        match work {
            BackupWork::List => {
                talk.bye().await;
                self.list(&facts);
            }
            BackupWork::Make => {
                let transactions = self.make(&mut talk, &facts).await?;
                self.change(&mut talk, &nonce, &facts, &transactions).await?;
            }
            BackupWork::Read { which, reader } => {
                self.list(&facts);
                let read = self.read_back(&mut talk, &facts, which, reader).await;
                talk.bye().await;
                read?;
            }
            BackupWork::Prune(retention) => {
                let transactions = self.prune(&facts, *retention)?;
                self.change(&mut talk, &nonce, &facts, &transactions).await?;
            }
            BackupWork::Drill(opener) => self.drill(&mut talk, &nonce, &facts, opener).await?,
        }
        Ok(())
    }

    /// The first frame, and what stands in the way of everything.
    pub(super) async fn look_at_backups(&mut self, talk: &mut Talk, nonce: &str) -> Result<HostFacts, Failure> {
        let frame = talk.frame(self.stop.clone(), Stop::Gently, self.run.look).await?;
        let facts = crate::remote::look(nonce, &frame)?;
        self.refuse_incomplete(&facts)?;
        self.refuse_unprivileged(facts.uid)?;
        for (set, root) in self.plan.sets.iter().zip(&facts.roots) {
            if root.closed {
                return Err(Failure::new(
                    Phase::Become,
                    format!("user `{}` cannot look into {}", self.plan.endpoint.user, set.root),
                )
                .hint("set become = \"sudo\" (or \"doas\") for this host in the inventory"));
            }
        }
        facts.roots.iter().for_each(|root| self.see(root));
        self.prunable = facts.roots.iter().map(Prunable::of).sum();
        Ok(facts)
    }

    pub(super) fn pairs<'a>(&'a self, facts: &'a HostFacts) -> impl Iterator<Item = (&'a DesiredSet, &'a RootFacts)> {
        self.plan.sets.iter().zip(&facts.roots)
    }

    pub(super) fn list(&mut self, facts: &HostFacts) {
        let purpose = self.run.purpose();
        let reports = self.pairs(facts).flat_map(|(set, root)| {
            let held = backup::held(set, root, &purpose);
            held.into_iter()
                .map(|held| BackupReport::new(&set.play, set.root.join(&held.path), &held))
                .collect::<Vec<_>>()
        });
        self.report.backups = reports.collect();
    }

    /// Reads what is live in each root, and plans to put it beside the others.
    async fn make(&mut self, talk: &mut Talk, facts: &HostFacts) -> Result<Vec<Transaction>, Failure> {
        let mut transactions = Vec::new();
        for (index, (set, root)) in self.plan.sets.iter().zip(&facts.roots).enumerate() {
            let (names, bytes) = backup::names_of_present(set, root)?;
            let read = talk.read(self.stop.clone(), self.run.look, index, &names, bytes).await?;
            let purpose = self.run.purpose();
            let present = backup::present(set, root, &self.run.id, self.run.why, read, &purpose);
            let edited: Vec<&str> =
                present.label.files.iter().filter(|file| file.edited).map(|file| &*file.path).collect();
            if !present.label.removed.is_empty() {
                let note =
                    format!("{}: removed by hand, and not in the backup: {}", set.root, named(&present.label.removed));
                self.report.notes.push(note);
            }
            if !edited.is_empty() {
                let note = format!("{}: changed by hand, and backed up as it is: {}", set.root, named(&edited));
                self.report.notes.push(note);
            }
            transactions.push(Transaction::keep(set, root, facts.uid, &purpose, &present)?);
        }
        Ok(transactions)
    }

    fn prune(&self, facts: &HostFacts, retention: Retention) -> Result<Vec<Transaction>, Failure> {
        let purpose = self.run.purpose();
        let transactions = self.pairs(facts).map(|(set, root)| {
            let runs = backup::to_prune(set, root, &purpose, retention);
            Transaction::prune(set, root, facts.uid, &purpose, &runs)
        });
        transactions.collect()
    }

    /// Sends what is to be done, unless it is only to be said; and looks whether it was done.
    async fn change(
        &mut self,
        talk: &mut Talk,
        nonce: &str,
        facts: &HostFacts,
        transactions: &[Transaction],
    ) -> Result<(), Failure> {
        self.list(facts);
        self.tell(transactions);
        let is_empty = transactions.iter().all(Transaction::is_empty);
        if !is_empty {
            self.report.outcome = Outcome::Changed;
        }
        if is_empty || self.run.intent != Intent::Apply {
            talk.bye().await;
            return Ok(());
        }
        if *self.stop.borrow() > Stop::No {
            return Err(interrupted(Phase::Stage));
        }
        self.run.make_ready().await?;
        let pushed = self.push(talk, nonce, transactions).await?;
        if let Some(failure) = pushed.failure() {
            return Err(failure);
        }
        pushed.facts.roots.iter().for_each(|root| self.see(root));
        self.refuse_undone(&pushed.facts)
    }

    /// Notes in the report what transactions make and remove.
    fn tell(&mut self, transactions: &[Transaction]) {
        for (set, transaction) in self.plan.sets.iter().zip(transactions) {
            for step in &transaction.steps {
                if let Step::Remove(paths) = step {
                    let gone: Vec<String> = paths.iter().map(|path| set.root.join(path)).collect();
                    let gone = self.report.backups.iter_mut().filter(|backup| gone.contains(&backup.path));
                    gone.for_each(|backup| backup.deed = Deed::Removed);
                }
            }
            for held in transaction.sealed() {
                let mut report = BackupReport::new(&set.play, set.root.join(&held.path), &held);
                report.deed = Deed::Made;
                self.report.backups.push(report);
            }
        }
    }

    /// Is what was made to the byte what was sent, and what was removed gone?
    fn refuse_undone(&self, after: &HostFacts) -> Result<(), Failure> {
        let purpose = self.run.purpose();
        let held: Vec<(String, HeldBackup)> = self
            .pairs(after)
            .flat_map(|(set, root)| {
                backup::held(set, root, &purpose).into_iter().map(|one| (set.root.join(&one.path), one))
            })
            .collect();
        let is_done = |report: &BackupReport| {
            let there = held.iter().find(|(path, _)| *path == report.path);
            match report.deed {
                Deed::Made => there.is_some_and(|(_, held)| held.standing.is_good()),
                Deed::Removed => there.is_none(),
                _ => true,
            }
        };
        match self.report.backups.iter().find(|report| !is_done(report)) {
            None => Ok(()),
            Some(report) => {
                let message = format!("the host took everything, and {} is still not as it should be", report.path);
                Err(Failure::new(Phase::Switch, message)
                    .hint("somebody else may be at work there: run distribute backup list"))
            }
        }
    }

    async fn read_back(
        &mut self,
        talk: &mut Talk,
        facts: &HostFacts,
        which: &Which,
        reader: &Arc<Reader>,
    ) -> Result<(), Failure> {
        let mut first_failure = None;
        for index in 0..self.plan.sets.len() {
            let set = Arc::new(self.plan.sets[index].clone());
            let root = &facts.roots[index];
            let held = backup::held(&set, root, &self.run.purpose());
            let chosen = which.of(&held, root.live_run().as_ref());
            let newest = chosen.last().map(|one| one.run.clone()).filter(|_| *which == Which::Newest);
            for one in held.iter().filter(|one| newest.as_ref().is_some_and(|newest| one.run > *newest)) {
                self.pass_over(&set.root.join(&one.path), one.standing);
            }
            for one in chosen {
                let bytes = self.sealed(talk, index, one).await;
                let read = match bytes {
                    Ok(sealed) => {
                        let (set, reader, held) = (set.clone(), reader.clone(), one.clone());
                        let bytes = sealed.expose().to_vec();
                        let read = tokio::task::spawn_blocking(move || reader(&set, &held, bytes)).await;
                        read.map_err(|_| Failure::new(Phase::Exec, "our own program failed while it read a backup"))?
                    }
                    Err(failure) if one.standing == Standing::Damaged => Read::bad(failure.message),
                    Err(failure) => return Err(failure),
                };
                let report = self.reported(&set.root.join(&one.path));
                (report.deed, report.problem, report.note) = (read.deed, read.problem, read.note);
                first_failure = first_failure.or(read.failure);
            }
        }
        first_failure.map_or(Ok(()), |message| Err(Failure::new(Phase::Exec, message)))
    }

    /// Tells of one that is newer than the one that is taken.
    pub(super) fn pass_over(&mut self, path: &str, standing: Standing) {
        let report = self.reported(path);
        match standing {
            // Left of the bundle that was here before.
            Standing::Foreign => report.note = Some("another bundle's: passed over".to_owned()),
            _ => report.problem = Some(format!("{standing}: passed over, and an earlier one was taken")),
        }
    }

    /// What is said of a backup.
    pub(super) fn reported(&mut self, path: &str) -> &mut BackupReport {
        let report = self.report.backups.iter_mut().find(|report| report.path == path);
        report.expect("what is held was listed")
    }

    /// Reads one back and opens it here. Within: what is wrong with it.
    pub(super) async fn open(
        &self,
        talk: &mut Talk,
        root: usize,
        held: &HeldBackup,
        set: &DesiredSet,
        opener: &Arc<BackupOpener>,
    ) -> Result<Result<Backup, String>, Failure> {
        let sealed = match self.sealed(talk, root, held).await {
            Ok(sealed) => sealed,
            Err(failure) if held.standing == Standing::Damaged => return Ok(Err(failure.message)),
            Err(failure) => return Err(failure),
        };
        let (set, opener, held) = (set.clone(), opener.clone(), held.clone());
        let opened = tokio::task::spawn_blocking(move || opener(&set, &held, sealed.expose())).await;
        opened.map_err(|_| Failure::new(Phase::Exec, "our own program failed while it opened a backup"))
    }

    /// The sealed bytes of one.
    pub(super) async fn sealed(&self, talk: &mut Talk, root: usize, held: &HeldBackup) -> Result<Secret, Failure> {
        let names = std::slice::from_ref(&held.path);
        let mut read = talk.read(self.stop.clone(), self.run.look, root, names, held.size + 64 * 1024).await?;
        read.remove(&held.path).ok_or_else(|| Failure::new(Phase::Exec, format!("{} is not a plain file", held.path)))
    }
}

/// What a host calls its files, safe for a terminal.
pub(super) fn named<T: AsRef<str>>(paths: &[T]) -> String {
    let shown: Vec<String> = paths.iter().map(|path| printable(path.as_ref().as_bytes(), 200)).collect();
    listed(&shown)
}

impl Read {
    /// Of one that cannot be relied on.
    pub fn bad(problem: String) -> Self {
        Self { deed: Deed::None, problem: Some(problem), note: None, failure: None }
    }

    /// Of one with which all went well.
    pub fn good(deed: Deed) -> Self {
        Self { deed, problem: None, note: None, failure: None }
    }
}
