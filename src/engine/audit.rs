//! A visit that reads everything and judges it; with `--fix` it mends what is safe to mend, in the same session, and looks again.

use super::talk::{Question, Talk};
use super::{Intent, LOCK_WAIT, Stop, Visit, Work, interrupted};
use crate::plan::{self, Audit, Filter, Finding, HostFacts, Rule, Transaction};
use crate::remote;
use crate::transport::Connection;
use crate::words::{Failure, Outcome, Phase};
use std::collections::BTreeSet;

impl Visit {
    pub(super) async fn audit(&mut self, connection: &mut Connection, filter: &Filter) -> Result<(), Failure> {
        let nonce = (self.run.nonce)();
        let consumers = plan::consumers(&self.plan.sets);
        let wait = LOCK_WAIT.min(self.run.look.as_secs() / 3);
        let mut talk = Talk::begin(connection, &nonce, &self.plan, wait, Question::Audit(&consumers)).await?;
        let frame = talk.frame(self.stop.clone(), Stop::Gently, self.run.look).await?;
        let facts = remote::look(&nonce, &frame)?;
        drop(frame);
        self.refuse_incomplete(&facts)?;
        if facts.is_restless {
            return Err(Failure::new(Phase::Lock, "other runs changed the secrets each time that they were read")
                .hint("run this again when nobody deploys"));
        }
        facts.roots.iter().for_each(|root| self.see(root));
        let (uid, has_asked) = (facts.uid, facts.has_asked);
        let audits = self.audits(&facts)?;
        let found = audits.iter().flat_map(|audit| audit.findings.iter().cloned());
        let sieved = filter.sieve(self.host(), found.chain(plan::around(&self.plan.sets, &facts)).collect());
        (self.report.findings, self.report.accepted) = (sieved.counted, sieved.accepted);
        let mending = self.mending(&audits, &facts);
        if mending.iter().all(Transaction::is_empty) {
            talk.bye().await;
        } else {
            self.report.outcome = Outcome::Changed;
            if self.run.intent == Intent::Apply {
                self.mend(&mut talk, &nonce, &mending, facts).await?;
            }
        }
        self.refuse_unseen(&audits, uid)?;
        self.refuse_unasked(has_asked)
    }

    /// The audit at the end of an enrolment: what it finds beside what is said already.
    pub(super) fn judge_enrolled(&mut self, facts: &HostFacts) {
        if self.run.intent != Intent::Apply || !matches!(self.run.work, Work::Enrolment) {
            return;
        }
        // Another run that began as soon as this one ended is judged by nobody.
        let found = self.audits(facts).unwrap_or_default().into_iter().flat_map(|audit| audit.findings);
        let known: BTreeSet<(Rule, String)> =
            self.report.findings.iter().map(|finding| (finding.rule, finding.path.clone())).collect();
        for finding in found.chain(plan::around(&self.plan.sets, facts)) {
            if !known.contains(&(finding.rule, finding.path.clone())) {
                self.report.findings.push(finding);
            }
        }
    }

    fn audits(&self, facts: &HostFacts) -> Result<Vec<Audit>, Failure> {
        let purpose = self.run.purpose();
        let pairs = self.plan.sets.iter().zip(&facts.roots);
        pairs.map(|(set, root)| Audit::new(self.host(), set, facts, root, &purpose)).collect()
    }

    /// Nothing, unless it was asked for.
    fn mending(&self, audits: &[Audit], facts: &HostFacts) -> Vec<Transaction> {
        let purpose = self.run.purpose();
        let chosen: &[Finding] = if self.run.intent == Intent::Look { &[] } else { &self.report.findings };
        audits.iter().zip(&facts.roots).map(|(audit, root)| audit.mending(root, &purpose, chosen)).collect()
    }

    /// What is not there at the second look was mended.
    async fn mend(
        &mut self,
        talk: &mut Talk,
        nonce: &str,
        mending: &[Transaction],
        before: HostFacts,
    ) -> Result<(), Failure> {
        if *self.stop.borrow() > Stop::No {
            return Err(interrupted(Phase::Stage));
        }
        let pushed = self.push(talk, nonce, mending).await?;
        if let Some(failure) = pushed.failure() {
            return Err(failure);
        }
        let after = HostFacts { roots: pushed.facts.roots, ..before };
        let left = self.audits(&after)?.into_iter().flat_map(|audit| audit.findings);
        let left: BTreeSet<(Rule, String)> = left.map(|finding| (finding.rule, finding.path)).collect();
        for finding in self.report.findings.iter_mut().filter(|finding| finding.fixable) {
            finding.fixed = !left.contains(&(finding.rule, finding.path.clone()));
        }
        let is_mended = self.report.findings.iter().any(|finding| finding.fixed);
        self.report.outcome = if is_mended { Outcome::Changed } else { Outcome::Ok };
        Ok(())
    }

    /// Whether a consumer is stale nobody knows, where systemd or docker does not answer.
    fn refuse_unasked(&self, has_asked: bool) -> Result<(), Failure> {
        match has_asked {
            true => Ok(()),
            false => Err(Failure::new(
                Phase::Exec,
                "systemd or docker did not say in time when the readers of secrets were started",
            )
            .hint("look on the host whether systemctl and docker (or podman) answer; everything else was read")),
        }
    }

    /// What could not be seen is not right for all we know.
    fn refuse_unseen(&self, audits: &[Audit], uid: u32) -> Result<(), Failure> {
        // A link in place of the root, say, is told already, unless a filter left that out.
        let is_told = |path: &&str| self.report.findings.iter().any(|finding| finding.path == *path);
        let unseen = audits.iter().flat_map(|audit| audit.unseen.iter().map(String::as_str));
        let unseen: Vec<&str> = unseen.filter(|path| !is_told(path)).collect();
        let Some(more) = unseen.len().checked_sub(1) else { return Ok(()) };
        let shown = &unseen[..unseen.len().min(3)];
        let others = if more > 2 { format!(" and {} more", more - 2) } else { String::new() };
        let (user, hint) = match uid {
            0 => ("root", "look at it on the host: a network or FUSE file system may hide it from root"),
            _ => (
                self.plan.endpoint.user.as_str(),
                "set become = \"sudo\" (or \"doas\") for this host in the inventory: what was not seen may be wrong",
            ),
        };
        let message = format!("user `{user}` could not see {}{others}", shown.join(", "));
        Err(Failure::new(Phase::Become, message).hint(hint))
    }
}
