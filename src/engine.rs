//! Every host once, at most `forks` at a time, each phase within a deadline. It sends events and never prints; a host's failure is a
//! value in its report.
//!
//! One connection and one exec a host. The program says what is there (first frame); the transaction is planned from that; either
//! `bye`, or the payload goes and the second frame comes back. `--check` is the same way up to the plan.

mod audit;
mod backups;
mod drill;
mod recovery;
mod restore;
mod talk;

use crate::inventory::Endpoint;
use crate::plan::backup::{Backup, Prunable, Why};
use crate::plan::{DesiredSet, Filter, HostFacts, Purpose, Rule, Step, Transaction};
use crate::remote::{self, Pushed};
use crate::report::{Event, FileReport, HostReport};
use crate::transport::{self, Connection, Deadlines, HostKeys, Login};
use crate::words::{Failure, HostName, Outcome, Phase, RunId, Secret, redact};
use std::sync::Arc;
use std::time::{Duration, Instant};
use talk::{Question, Talk};
use tokio::sync::{OnceCell, Semaphore, mpsc, watch};

pub use backups::{BackupOpener, BackupWork, Read, Reader};
pub use recovery::{Salvor, Taken};
pub use restore::RestoreWork;

/// What is to be done for one host, and whether it may be.
pub struct HostPlan {
    pub endpoint: Endpoint,
    pub host_keys: HostKeys,
    /// One for each play that means the host; none, and it is skipped.
    pub sets: Vec<DesiredSet>,
    /// Why nothing may be sent to it, known before any connection.
    pub refused: Option<Failure>,
}

/// How far a run goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Intent {
    /// Look and say what is there; somebody else may be at work.
    Look,
    /// Look, plan, say what would be done.
    Check,
    /// Look, plan, do it.
    Apply,
}

/// What a run is about.
pub enum Work {
    /// The sets that are wanted.
    Sets,
    /// The same on hosts that may be new: at the end everything that is there is judged.
    Enrolment,
    /// Everything that is there, judged.
    Audit(Filter),
    /// What was sealed, or is to be.
    Backups(BackupWork),
    /// What was, brought back.
    Restore(RestoreWork),
    /// What was sealed, while there is no bundle.
    Recovery(Arc<dyn Salvor>),
}

/// Keyed hash of a content's SHA-256, under the bundle's key.
type Mac = dyn Fn(&[u8]) -> String + Send + Sync;
/// The sealed copy of a set.
type Seal = dyn Fn(&Backup) -> crate::words::Result<Vec<u8>> + Send + Sync;

/// What all hosts of a run share.
pub struct Run {
    pub id: RunId,
    pub work: Work,
    pub intent: Intent,
    pub login: Login,
    pub deadlines: Deadlines,
    /// How long a host may take to say what is there.
    pub look: Duration,
    /// How long it may then work without a sign of life, besides what a payload takes on a slow link.
    pub patience: Duration,
    /// Hosts at one time.
    pub forks: usize,
    /// `user@host`, for the lock on each host.
    pub who: String,
    pub bundle_id: String,
    /// The generation that every host is brought to.
    pub generation: u64,
    /// Take over hosts that held another bundle's secrets.
    pub any_bundle: bool,
    /// Earlier values are brought back: a failed health check does not switch back again.
    pub is_way_back: bool,
    /// What makes the backups of this run.
    pub why: Why,
    /// The public keys that backups are sealed to, beside the bundle's own.
    pub recipients: Vec<String>,
    pub mac: Box<Mac>,
    /// Short keyed hash of a value, for reports.
    pub fingerprint: Box<Mac>,
    pub seal: Box<Seal>,
    /// Sixteen random bytes, in hexadecimal.
    pub nonce: Box<dyn Fn() -> String + Send + Sync>,
    /// What must be done before anything leaves this machine: saving the bundle. It may take seconds, and is done once.
    pub first: Box<dyn Fn() -> crate::words::Result<()> + Send + Sync>,
    /// How `first` ended; empty until a host needed it.
    pub ready: OnceCell<Result<(), Failure>>,
    /// Earlier values of the bundle: a host may still say one, such as an action that runs again after a switch back.
    pub earlier: Vec<Secret>,
}

/// A run that was just killed leaves a program behind that is still finishing: so long its lock is waited for, in seconds.
const LOCK_WAIT: u64 = 10;

impl Run {
    /// Who only looks does not wait.
    fn lock_wait(&self) -> u64 {
        if self.intent == Intent::Apply { LOCK_WAIT.min(self.look.as_secs() / 3) } else { 0 }
    }

    fn purpose(&self) -> Purpose<'_> {
        Purpose {
            run: &self.id,
            bundle_id: &self.bundle_id,
            generation: self.generation,
            any_bundle: self.any_bundle,
            is_way_back: self.is_way_back,
            heeds_lock: self.intent != Intent::Look,
            mac: &*self.mac,
            why: self.why,
            recipients: &self.recipients,
            seal: &*self.seal,
        }
    }

    /// Does what must be done first, or waits for whoever is doing it.
    async fn make_ready(self: &Arc<Self>) -> Result<(), Failure> {
        let run = self.clone();
        let first = || async {
            let done = tokio::task::spawn_blocking(move || (run.first)()).await;
            match done {
                Ok(Ok(())) => Ok(()),
                Ok(Err(error)) => {
                    let failure = Failure::new(Phase::Stage, format!("nothing was sent to any host: {error}"));
                    Err(Failure { hint: error.hints().first().cloned(), ..failure })
                }
                Err(_) => Err(Failure::new(Phase::Stage, "nothing was sent to any host: saving the bundle failed")),
            }
        };
        self.ready.get_or_init(first).await.clone()
    }
}

/// How far an interruption has gone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Stop {
    #[default]
    No,
    /// No new hosts; those that are being written are finished.
    Gently,
    /// Now. What was sent whole, a host finishes by itself.
    Now,
}

/// Runs all hosts; the reports come in the order of the plans.
pub async fn run(
    plans: Vec<HostPlan>,
    run: Arc<Run>,
    stop: watch::Receiver<Stop>,
    events: mpsc::UnboundedSender<Event>,
) -> Vec<HostReport> {
    let seats = Arc::new(Semaphore::new(run.forks.max(1)));
    let mut tasks = Vec::new();
    for plan in plans {
        let (run, stop, events, seats) = (run.clone(), stop.clone(), events.clone(), seats.clone());
        let report = HostReport::new(plan.endpoint.host.clone(), address(&plan.endpoint));
        let fallback = report.clone();
        // Seats are taken here, one after the other, so that hosts begin in the order of the inventory.
        let seat = tokio::select! {
            seat = seats.acquire_owned() => seat.ok(),
            () = stopped(stop.clone(), Stop::Gently) => None,
        };
        let task = tokio::spawn(async move {
            let report = Visit { plan, run, stop, events: events.clone(), report, prunable: Prunable::default() }
                .run(seat.is_some())
                .await;
            let _ = events.send(Event::Finished(Box::new(report.clone())));
            report
        });
        tasks.push((fallback, task));
    }
    let mut reports = Vec::new();
    for (mut fallback, task) in tasks {
        reports.push(task.await.unwrap_or_else(|_| {
            fallback.fail(Failure::new(
                Phase::Exec,
                "our own program failed for this host; its state is old or new, never a mix",
            ));
            fallback
        }));
    }
    reports
}

fn address(endpoint: &Endpoint) -> String {
    match endpoint.connection {
        crate::inventory::Connection::Local => "local".to_owned(),
        crate::inventory::Connection::Ssh => endpoint.socket(),
    }
}

async fn stopped(mut stop: watch::Receiver<Stop>, how: Stop) {
    if stop.wait_for(|now| *now >= how).await.is_err() {
        std::future::pending::<()>().await;
    }
}

/// One host's turn.
struct Visit {
    plan: HostPlan,
    run: Arc<Run>,
    stop: watch::Receiver<Stop>,
    events: mpsc::UnboundedSender<Event>,
    report: HostReport,
    /// What pruning would free here, for a host that is full.
    prunable: Prunable,
}

impl Visit {
    async fn run(mut self, seated: bool) -> HostReport {
        let started = Instant::now();
        if let Some(refused) = self.plan.refused.take() {
            self.report.fail(refused);
        } else if self.plan.sets.is_empty() || !seated {
            self.report.outcome = Outcome::Skipped;
        } else {
            let _ = self.events.send(Event::Started(self.host().clone()));
            if let Err(failure) = self.visit().await {
                self.report.fail(self.scrubbed(failure));
            }
        }
        self.report.seconds = started.elapsed().as_secs_f64();
        self.report
    }

    fn host(&self) -> &HostName {
        &self.plan.endpoint.host
    }

    async fn visit(&mut self) -> Result<(), Failure> {
        let (stop, run) = (self.stop.clone(), self.run.clone());
        let connect = transport::connect(&self.plan.endpoint, &self.plan.host_keys, &run.login, &run.deadlines);
        let mut connection = tokio::select! {
            connection = connect => connection?,
            () = stopped(stop, Stop::Gently) => return Err(interrupted(Phase::Connect)),
        };
        self.report.address = connection.peer();
        self.report.host_key = connection.host_key().map(str::to_owned);
        let result = match &run.work {
            Work::Sets => self.converse(&mut connection, Question::Look).await,
            Work::Enrolment => self.converse(&mut connection, Question::Audit(&[])).await,
            Work::Audit(filter) => self.audit(&mut connection, filter).await,
            Work::Backups(work) => self.backups(&mut connection, work).await,
            Work::Restore(work) => self.restore(&mut connection, work).await,
            Work::Recovery(salvor) => self.recover(&mut connection, salvor).await,
        };
        connection.close().await;
        result
    }

    async fn converse(&mut self, connection: &mut Connection, question: Question<'_>) -> Result<(), Failure> {
        let nonce = (self.run.nonce)();
        let mut talk = Talk::begin(connection, &nonce, &self.plan, self.run.lock_wait(), question).await?;
        let frame = talk.frame(self.stop.clone(), Stop::Gently, self.run.look).await?;
        let facts = remote::look(&nonce, &frame)?;
        let transactions = self.plan_for(&facts)?;
        self.describe(&facts, &transactions);
        if self.run.intent != Intent::Apply || transactions.iter().all(Transaction::is_empty) {
            talk.bye().await;
            self.judge_enrolled(&facts);
            return Ok(());
        }
        if *self.stop.borrow() > Stop::No {
            return Err(interrupted(Phase::Stage));
        }
        self.run.make_ready().await?;
        let mut pushed = self.push(&mut talk, &nonce, &transactions).await?;
        pushed.facts.uid = facts.uid;
        self.conclude(&pushed)?;
        self.judge_enrolled(&HostFacts { roots: pushed.facts.roots, ..facts });
        Ok(())
    }

    fn plan_for(&self, facts: &HostFacts) -> Result<Vec<Transaction>, Failure> {
        self.refuse_incomplete(facts)?;
        self.refuse_unprivileged(facts.uid)?;
        let purpose = self.run.purpose();
        let pairs = self.plan.sets.iter().zip(&facts.roots);
        pairs.map(|(set, root)| Transaction::new(set, root, facts.uid, &purpose)).collect()
    }

    fn refuse_incomplete(&self, facts: &HostFacts) -> Result<(), Failure> {
        if !facts.missing.is_empty() {
            return Err(Failure::new(Phase::Exec, format!("the host has no {}", facts.missing.join(", ")))
                .hint("install coreutils (or busybox) and tar"));
        }
        if facts.roots.len() != self.plan.sets.len() {
            return Err(Failure::new(Phase::Exec, "the host's answer has gaps")
                .hint("run this again; if it stays, log in and run `sh` by hand"));
        }
        Ok(())
    }

    /// Only root gives files to root. A user may have plays whose owner he is himself; that the host decides.
    fn refuse_unprivileged(&self, uid: u32) -> Result<(), Failure> {
        let needs_root = self.plan.sets.iter().find(|set| set.access.owner.as_str() == "root");
        match needs_root {
            Some(set) if uid != 0 => Err(Failure::new(
                Phase::Become,
                format!(
                    "play `{}` gives its files to root, and user `{}` is not root here",
                    set.play, self.plan.endpoint.user
                ),
            )
            .hint("set become = \"sudo\" (or \"doas\") for this host in the inventory, or an owner in the playbook")),
            _ => Ok(()),
        }
    }

    fn describe(&mut self, facts: &HostFacts, transactions: &[Transaction]) {
        self.prunable = facts.roots.iter().map(Prunable::of).sum();
        for (set, transaction) in self.plan.sets.iter().zip(transactions) {
            let files = transaction.files.iter().map(|file| FileReport {
                path: set.root.join(&format!("secrets/{}", file.path)),
                service: file.service.clone(),
                change: file.change,
                keys: file.keys.clone(),
            });
            self.report.files.extend(files);
            self.report.findings.extend(transaction.findings.iter().cloned());
            self.report.kept.extend(transaction.kept.iter().cloned());
            self.report.actions.extend(transaction.actions.iter().cloned());
        }
        facts.roots.iter().for_each(|root| self.see(root));
        if transactions.iter().any(|transaction| !transaction.is_empty()) {
            self.report.outcome = Outcome::Changed;
        }
    }

    /// Takes from the facts of a root what a report says of it.
    fn see(&mut self, root: &crate::plan::RootFacts) {
        self.report.owed.extend(root.owed.iter().cloned());
        self.report.lock = self.report.lock.take().or_else(|| root.lock.clone());
        self.report.dead_lock = self.report.dead_lock.take().or_else(|| root.stale_lock.clone());
        self.report.last_backup = root.newest_backup().into_iter().chain(self.report.last_backup.take()).max();
        self.report.live = root.live_run().into_iter().chain(self.report.live.take()).max();
        self.report.generation = self.report.live.as_ref().map(RunId::generation);
    }

    /// Sends everything that there is to send, announced by this line. Gives its size in bytes.
    fn send(
        &self,
        talk: &mut Talk,
        transactions: &[Transaction],
        line: fn(&str, &str) -> Vec<u8>,
    ) -> Result<usize, Failure> {
        let payload = remote::payload(transactions).map_err(|error| Failure::new(Phase::Stage, error.to_string()))?;
        let _ = self.events.send(Event::Pushing(self.host().clone()));
        let (size, since) = (payload.len(), self.run.id.time().format("%Y-%m-%dT%H:%M:%SZ").to_string());
        talk.channel.send(remote::part_lines(transactions).into());
        talk.channel.send(line(&since, &self.run.who).into());
        talk.channel.send(bytes::Bytes::from_owner(payload));
        talk.channel.finish();
        talk.has_sent = true;
        Ok(size)
    }

    async fn push(&mut self, talk: &mut Talk, nonce: &str, transactions: &[Transaction]) -> Result<Pushed, Failure> {
        let size = self.send(talk, transactions, remote::push_line)?;
        let patience = patience(self.run.patience, size, transactions);
        let frame = talk.frame(self.stop.clone(), Stop::Now, patience).await;
        // Without an answer only the last sign of life tells how far it came.
        let frame = frame.inspect_err(|failure| self.report.switched = failure.phase >= Phase::Action)?;
        let mut pushed = remote::push(nonce, &frame);
        if let Some(failure) =
            pushed.failures.first_mut().filter(|failure| matches!(failure.phase, Phase::Stage | Phase::Switch))
        {
            talk.listen().await;
            failure.message.push_str(&talk.said());
            if is_full(&failure.message) {
                let before = failure.hint.take().map(|hint| format!("{hint}; ")).unwrap_or_default();
                failure.hint = Some(format!("{before}{}", self.prunable.hint(self.host())));
            }
        }
        Ok(pushed)
    }

    /// What the host says it has become, checked by the plan itself: made again from the new facts, it must be empty.
    fn conclude(&mut self, pushed: &Pushed) -> Result<(), Failure> {
        self.report.owed.clear();
        (self.report.dead_lock, self.report.live, self.report.last_backup) = (None, None, None);
        self.report.switched = !pushed.switched.is_empty() && !pushed.is_back;
        for root in &pushed.facts.roots {
            self.see(root);
        }
        if let Some(failure) = pushed.failure() {
            return Err(failure);
        }
        // Another run began as soon as this one ended: what it does is not ours to judge.
        if pushed.facts.roots.iter().any(|root| root.lock.is_some()) {
            return Ok(());
        }
        let left = self.plan_for(&pushed.facts)?;
        match left.iter().any(|transaction| !transaction.is_empty()) {
            true => Err(Failure::new(Phase::Switch, "the host took everything and is still not as it should be")
                .hint("somebody else may be at work there: run distribute status")),
            false => {
                self.report
                    .findings
                    .iter_mut()
                    .for_each(|finding| finding.fixed = finding.rule != Rule::UnexpectedFile);
                Ok(())
            }
        }
    }

    /// No value that was meant for the host comes back to us in a message: programs print what they should not.
    fn scrubbed(&self, mut failure: Failure) -> Failure {
        let files = self.plan.sets.iter().flat_map(|set| &set.files);
        // A file as it is has no values that we know of: all of it is secret.
        let secrets = files.flat_map(|file| match &file.values[..] {
            [] => std::slice::from_ref(&file.content),
            values => values,
        });
        let own = self.plan.sets.iter().map(|set| &set.vault_password);
        failure.message = redact(&failure.message, secrets.chain(own).chain(&self.run.earlier));
        failure
    }
}

/// Does a tool complain that there is no room? dash says only that it could not write.
fn is_full(message: &str) -> bool {
    ["No space left", "quota exceeded", "I/O error"].iter().any(|words| message.contains(words))
}

fn interrupted(phase: Phase) -> Failure {
    Failure::new(phase, "interrupted before anything was sent: the host is as it was")
}

/// A link that carries less than this is down.
const SLOWEST_BYTES_A_SECOND: usize = 4096;

/// The longest that a host may be silent: actions and health checks have times of their own.
fn patience(base: Duration, payload: usize, transactions: &[Transaction]) -> Duration {
    let seconds = transactions.iter().flat_map(|transaction| &transaction.steps).map(|step| match step {
        // Twice: a failed health check runs the actions again, with the old set.
        Step::Action { seconds, .. } => 2 * (seconds + 10),
        // A probe that begins just before the time is over has all of it again.
        Step::Health { seconds, .. } => 2 * seconds + 15,
        _ => 0,
    });
    let transfer = (payload / SLOWEST_BYTES_A_SECOND) as u64;
    base + Duration::from_secs(transfer + seconds.sum::<u64>())
}
