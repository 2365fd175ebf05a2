//! A drill: the newest backup of each root is opened here, unpacked on its host in memory, and compared with what is live there.

use super::backups::BackupOpener;
use super::talk::Talk;
use super::{Intent, Stop, Visit, interrupted, patience};
use crate::plan::backup::{self, Backup};
use crate::plan::{DesiredSet, HostFacts, Transaction};
use crate::remote;
use crate::report::Deed;
use crate::words::{Failure, Phase};
use std::sync::Arc;

/// A backup that is rehearsed, with the root that it is of.
struct Chosen {
    root: usize,
    path: String,
    backup: Backup,
}

fn without_backup(set: &DesiredSet) -> Failure {
    Failure::new(Phase::Exec, format!("{}/backups holds no backup to rehearse", set.root))
        .hint(format!("make one: distribute backup --hosts {}", set.host))
}

impl Visit {
    pub(super) async fn drill(
        &mut self,
        talk: &mut Talk,
        nonce: &str,
        facts: &HostFacts,
        opener: &Arc<BackupOpener>,
    ) -> Result<(), Failure> {
        self.list(facts);
        let without = self.pairs(facts).find(|(_, root)| root.newest_backup().is_none());
        let nothing = without.map(|(set, _)| without_backup(set));
        let (mut chosen, mut transactions) = (Vec::new(), Vec::new());
        for root in 0..self.plan.sets.len() {
            let (one, transaction) = self.newest(talk, facts, root, opener).await?.unzip();
            chosen.extend(one);
            transactions.push(transaction.unwrap_or_default());
        }
        if chosen.is_empty() || self.run.intent != Intent::Apply {
            talk.bye().await;
            chosen.iter().for_each(|one| self.reported(&one.path).deed = Deed::Rehearsed);
        } else {
            self.rehearse(talk, nonce, facts, &chosen, &transactions).await?;
        }
        // The other roots have one.
        nothing.map_or(Ok(()), Err)
    }

    /// The newest backup of a root that opens here, and how it is unpacked there. What is newer and cannot be relied on is told.
    async fn newest(
        &mut self,
        talk: &mut Talk,
        facts: &HostFacts,
        root: usize,
        opener: &Arc<BackupOpener>,
    ) -> Result<Option<(Chosen, Transaction)>, Failure> {
        let set = Arc::new(self.plan.sets[root].clone());
        let held = backup::held(&set, &facts.roots[root], &self.run.purpose());
        let has_good = held.iter().any(|one| one.standing.is_good());
        for one in held.iter().rev() {
            let path = set.root.join(&one.path);
            if has_good && !one.standing.is_good() {
                self.pass_over(&path, one.standing);
                continue;
            }
            let opened = self.open(talk, root, one, &set, opener).await?;
            match opened.and_then(|backup| Ok((Transaction::rehearsal(&backup)?, backup))) {
                Ok((transaction, backup)) => return Ok(Some((Chosen { root, path, backup }, transaction))),
                Err(problem) => self.reported(&path).problem = Some(problem),
            }
        }
        Ok(None)
    }

    /// Sends what was opened, and compares what came of it.
    async fn rehearse(
        &mut self,
        talk: &mut Talk,
        nonce: &str,
        facts: &HostFacts,
        chosen: &[Chosen],
        transactions: &[Transaction],
    ) -> Result<(), Failure> {
        if *self.stop.borrow() > Stop::No {
            return Err(interrupted(Phase::Stage));
        }
        let frame = self.send_for_drill(talk, transactions).await?;
        let rehearsals = match remote::drill(nonce, &frame) {
            Ok(rehearsals) if rehearsals.len() == chosen.len() => rehearsals,
            Ok(_) => return Err(Failure::new(Phase::Exec, "the host's answer has gaps")),
            Err(failure) => {
                talk.listen().await;
                return Err(Failure { message: format!("{}{}", failure.message, talk.said()), ..failure });
            }
        };
        let run = self.run.clone();
        for (one, rehearsal) in chosen.iter().zip(rehearsals) {
            let verdict = rehearsal.judge(&one.backup.label, &facts.roots[one.root], &*run.mac);
            let report = self.reported(&one.path);
            (report.deed, report.problem, report.note) = (Deed::Rehearsed, verdict.problem, verdict.note);
        }
        Ok(())
    }

    async fn send_for_drill(
        &mut self,
        talk: &mut Talk,
        transactions: &[Transaction],
    ) -> Result<remote::Frame, Failure> {
        let size = self.send(talk, transactions, remote::drill_line)?;
        let patience = patience(self.run.patience, size, &[]);
        let frame = talk.frame(self.stop.clone(), Stop::Gently, patience).await;
        frame.map_err(|failure| match *self.stop.borrow() > Stop::No {
            true => Failure::new(
                Phase::Stage,
                "interrupted: what was unpacked in memory is removed, and nothing else was touched",
            ),
            false => failure,
        })
    }
}
