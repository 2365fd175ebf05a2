//! `Saga`: a rotation on its way: sealed, accepted, rolled out, committed; or everything put back. Every step of it may be repeated, so
//! that whoever finds it half-way can finish it or undo it without knowing how far it came.

use super::halt::Halt;
use super::lock::RotationLock;
use super::programs::Programs;
use super::telling;
use crate::bundle::{Bundle, OldValues, Rotation, SecretName, system_random};
use crate::cli::fleet::{self, Moment};
use crate::cli::last_runs;
use crate::cli::notifications::Notifications;
use crate::cli::{Shared, sources::Sources};
use crate::engine::Intent;
use crate::plan::rotation::{Ground, PlannedTurn, RotationPlan, Selection};
use crate::playbook::{Maker, Playbook};
use crate::report::{HostReport, Provider, Report, RotatedSecret, RotationReport, RotationState, Values};
use crate::words::{Error, HostName, Outcome, Period, Result, RunId, listed};
use chrono::Utc;
use std::collections::BTreeSet;
use std::process::ExitCode;
use std::time::Duration;

/// Sources, plan, and what has come of it so far.
pub struct Saga<'p> {
    pub(super) shared: &'p Shared,
    pub(super) sources: Sources,
    pub(super) playbook: &'p Playbook,
    pub(super) moment: Moment,
    pub(super) timeout: Option<Duration>,
    pub(super) turns: Vec<PlannedTurn<'p>>,
    pub(super) programs: Programs,
    /// Of the rotation: every step of it hears this name, also when it is resumed.
    pub(super) run: RunId,
    /// All that hold one of the secrets, in inventory order.
    pub(super) hosts: Vec<HostName>,
    /// One each of those that were visited.
    pub(super) reports: Vec<HostReport>,
    pub(super) told: RotationReport,
    /// Ours from the moment when it sets off.
    pub(super) lock: Option<RotationLock>,
    /// What is due next, and in how long.
    next: Option<(SecretName, Period)>,
    /// Is it about what is due, and not about what somebody named?
    is_for_due: bool,
    /// What is to be said besides, however it ends.
    warnings: Vec<String>,
    notifications: &'p Notifications,
}

impl<'p> Saga<'p> {
    pub fn new(
        shared: &'p Shared,
        sources: Sources,
        playbook: &'p Playbook,
        moment: Moment,
        timeout: Option<Duration>,
        notifications: &'p Notifications,
    ) -> Self {
        let run = RunId::new(sources.bundle.generation() + 1, moment.now, moment.random);
        Self {
            shared,
            sources,
            playbook,
            moment,
            timeout,
            turns: Vec::new(),
            programs: Programs::default(),
            run,
            hosts: Vec::new(),
            reports: Vec::new(),
            told: RotationReport::new(RotationState::Nothing),
            lock: None,
            next: None,
            is_for_due: false,
            warnings: Vec::new(),
            notifications,
        }
    }

    /// A new rotation of what is due, or was named.
    pub fn begin(mut self, selection: &Selection) -> Result<ExitCode> {
        self.sources.refuse_under_way()?;
        self.is_for_due = selection.is_due();
        self.warnings = telling::leaks(&selection.leaks, &self.sources.inventory);
        if selection.is_due() || self.shared.check {
            // A policy that cannot work is told today, not on the Sunday on which it is due.
            self.plan(&Selection { all: true, ..Selection::default() }, true)?;
        }
        self.plan(selection, true)?;
        if self.shared.check {
            return self.check(selection);
        }
        self.set_off()?;
        self.revoke_due(self.moment.now, selection.is_urgent())?;
        if !self.sources.bundle.revocations().is_empty() {
            // What could not be revoked has no room for another value.
            self.plan(selection, false)?;
        }
        if self.turns.is_empty() {
            self.told.message = self.nothing(selection);
            return self.conclude();
        }
        if self.sources.interrupt.has_come() {
            self.told.message = "interrupted before anything was generated; nothing is under way".to_owned();
            return self.conclude();
        }
        self.seal(selection.is_urgent())?;
        self.forward()
    }

    /// Goes on with the rotation that is under way.
    pub fn resume(mut self) -> Result<ExitCode> {
        self.plan_again()?;
        if self.shared.check {
            return self.check(&Selection::default());
        }
        self.set_off()?;
        self.forward()
    }

    /// Gives everybody the old values again.
    pub fn abort(mut self) -> Result<ExitCode> {
        self.plan_again()?;
        self.told.is_way_back = true;
        if self.shared.check {
            let report = self.visit(&self.hosts.clone(), Intent::Check, true)?;
            self.told.message = "every host would get the old values, and the steps `undo` would run".to_owned();
            return self.show_check(report.hosts);
        }
        self.set_off()?;
        self.put_back(None)
    }

    /// Only what is still to be revoked.
    pub fn revoke(mut self) -> Result<ExitCode> {
        self.sources.refuse_under_way()?;
        if self.shared.check {
            self.told.message = telling::would_revoke(&self.due_revocations(self.moment.now, false));
            self.tell_young_revocations(false);
            return self.conclude();
        }
        self.set_off()?;
        self.revoke_due(self.moment.now, false)?;
        if self.told.revoked.is_empty() && self.told.revoke_later.is_empty() {
            self.told.message = "there is no old value to revoke".to_owned();
        }
        self.conclude()
    }

    /// From here on a signal no longer ends the program at once: it ends between two steps.
    fn set_off(&mut self) -> Result<()> {
        self.lock = Some(RotationLock::take(self.sources.store().path())?);
        self.sources.store().refuse_changed()?;
        self.sources.interrupt.set_off();
        Ok(())
    }

    /// `presumes` that what is due to be revoked will be: that comes first.
    fn plan(&mut self, selection: &Selection, presumes: bool) -> Result<()> {
        let mut bundle = self.sources.bundle.clone();
        if presumes {
            let outstanding = bundle.revocations().iter();
            let due = outstanding.filter(|revocation| selection.is_urgent() || revocation.after <= self.moment.now);
            let due: Vec<SecretName> = due.map(|revocation| revocation.secret.clone()).collect();
            due.iter().for_each(|secret| bundle.revoked(secret));
        }
        let limit = self.limit();
        let ground = Ground { bundle: &bundle, ..self.ground() };
        let plan = RotationPlan::new(ground, selection, limit.as_ref())?;
        let preview = plan.preview(ground);
        self.take(plan, preview)
    }

    /// The hosts that were named; `None` means all.
    pub(super) fn limit(&self) -> Option<BTreeSet<HostName>> {
        self.shared.hosts.is_some().then(|| self.sources.hosts.iter().cloned().collect())
    }

    /// That of the rotation under way. What the providers accept and the hosts have is not known.
    fn plan_again(&mut self) -> Result<()> {
        let Some(rotation) = self.sources.bundle.rotation() else {
            return Err(Error::new("no rotation is under way").hint("`distribute status` says how the hosts are"));
        };
        self.run = rotation.run.clone();
        self.told.rescue = self.sources.store().copy_of(&self.run).map(|path| path.display().to_string());
        let plan = RotationPlan::resumed(self.ground())?;
        let preview = plan.preview(self.ground());
        self.take(plan, preview)?;
        for secret in self.told.secrets.iter_mut().filter(|secret| secret.provider == Provider::Old) {
            secret.provider = Provider::Unknown;
        }
        self.told.hosts.iter_mut().for_each(|(_, values)| *values = Values::Unknown);
        Ok(())
    }

    /// Everything that can be refused is refused here, before anything is generated: a step that is not there, a value that a format
    /// cannot hold.
    fn take(&mut self, plan: RotationPlan<'p>, preview: Bundle) -> Result<()> {
        self.hosts = plan.hosts(&self.sources.inventory);
        self.told.secrets = plan.turns.iter().map(RotatedSecret::new).collect();
        self.told.skipped = plan.skipped;
        self.told.hosts = self.hosts.iter().map(|host| (host.clone(), Values::Old)).collect();
        self.told.batches = self.batches();
        (self.turns, self.next) = (plan.turns, plan.next);
        self.programs = Programs::find(&self.turns, &self.playbook.directory)?;
        self.with_bundle(preview, Self::refuse_unholdable).map_err(|error| self.blamed(error))
    }

    /// Where the policy stands that makes what cannot be held.
    fn blamed(&mut self, error: Error) -> Error {
        for planned in self.turns.clone() {
            let policy = planned.policy;
            let alone = RotationPlan::of(vec![planned]).preview(self.ground());
            if self.with_bundle(alone, Self::refuse_unholdable).is_err() {
                return error.at(format!("generate = \"{}\"", policy.maker())).at(&policy.place);
            }
        }
        error
    }

    pub(super) fn ground(&self) -> Ground<'_, 'p> {
        let Sources { inventory, bundle, .. } = &self.sources;
        Ground { inventory, playbook: self.playbook, bundle, now: self.moment.now }
    }

    /// Does this with another bundle in the place of ours.
    pub(super) fn with_bundle<T>(&mut self, other: Bundle, then: impl FnOnce(&mut Self) -> T) -> T {
        let own = std::mem::replace(&mut self.sources.bundle, other);
        let result = then(self);
        self.sources.bundle = own;
        result
    }

    fn nothing(&self, selection: &Selection) -> String {
        telling::nothing(self.playbook, selection, self.next.as_ref())
    }

    /// Can every host's files be made?
    fn refuse_unholdable(&mut self) -> Result<()> {
        self.hosts.iter().try_for_each(|host| self.sources.sets(host).map(drop))
    }

    /// Connects and compares, with values that stand for those to come.
    fn check(mut self, selection: &Selection) -> Result<ExitCode> {
        let due = self.due_revocations(self.moment.now, selection.is_urgent());
        let revoking = if due.is_empty() { String::new() } else { telling::would_revoke(&due) + "; " };
        self.tell_young_revocations(selection.is_urgent());
        if self.turns.is_empty() {
            self.told.message = revoking + &self.nothing(selection);
            return self.look_around();
        }
        self.told.state = RotationState::Planned;
        let plan = RotationPlan::of(self.turns.clone());
        let preview = plan.preview(self.ground());
        let hosts = self.hosts.clone();
        let report = self.with_bundle(preview, |saga| saga.visit(&hosts, Intent::Check, false))?;
        self.told.message = revoking + &telling::planned(&self.turns, &self.playbook.rollout);
        self.show_check(report.hosts)
    }

    /// Nothing would be rotated; that the hosts can be reached, and have what they should, is worth knowing all the same.
    fn look_around(mut self) -> Result<ExitCode> {
        let is_enrolled = |host: &&HostName| self.sources.bundle.enrolment(host).is_some();
        let hosts: Vec<HostName> = self.sources.hosts.iter().filter(is_enrolled).cloned().collect();
        let mut reports = self.visit(&hosts, Intent::Look, false)?.hosts;
        let differs = |host: &&HostReport| host.outcome == Outcome::Changed;
        let differing: Vec<HostName> = reports.iter().filter(differs).map(|host| host.host.clone()).collect();
        for host in reports.iter_mut().filter(|host| host.outcome == Outcome::Changed) {
            // A run would not touch it either.
            host.outcome = Outcome::Ok;
            host.files.clear();
            host.actions.clear();
            host.kept.clear();
        }
        if !differing.is_empty() {
            self.told.message += &format!("; {} differ from the bundle: distribute deploy --check", listed(&differing));
        }
        self.reports = reports;
        self.conclude()
    }

    /// The fingerprint of what stands for a value would be a lie.
    fn show_check(mut self, mut reports: Vec<HostReport>) -> Result<ExitCode> {
        self.told.state = RotationState::Planned;
        let keys = reports.iter_mut().flat_map(|host| &mut host.files).flat_map(|file| &mut file.keys);
        keys.for_each(|key| key.fingerprint = "new".to_owned());
        self.reports = reports;
        self.conclude()
    }

    // The way there.

    /// New values into the bundle, beside those that everybody has; a copy of the bundle as it was first.
    fn seal(&mut self, is_urgent: bool) -> Result<()> {
        let name = RunId::new(self.sources.bundle.generation(), self.moment.now, self.moment.random);
        let copy = self.sources.store().keep_copy(&name)?;
        self.told.copy = Some(copy.display().to_string());
        let secrets = self.turns.iter().map(|planned| planned.turn.clone()).collect();
        // What was revoked before has been saved meanwhile.
        self.run = RunId::new(self.sources.bundle.generation() + 1, self.moment.now, self.moment.random);
        let mut bundle = self.sources.bundle.clone();
        let (run, started) = (self.run.clone(), self.moment.now);
        bundle.begin_rotation(Rotation { run, started, is_urgent, secrets });
        for planned in &self.turns {
            let Maker::Generator(generator) = planned.policy.generate else { continue };
            let made = generator.generate(&mut system_random)?;
            bundle.set_pending(&planned.turn.name, made.secret);
            if let (Some(name), Some(value)) = (&planned.turn.public, made.public) {
                bundle.set_pending(name, value);
            }
        }
        self.save_pending(bundle)?;
        self.shared.say(format_args!("{}: sealed; nothing has left this machine yet", self.run));
        Ok(())
    }

    /// Saves new values, and keeps a copy besides: a `git checkout` while hosts are at work would put another bundle in the place of the
    /// only one that knows them.
    pub(super) fn save_pending(&mut self, bundle: Bundle) -> Result<()> {
        self.save(bundle)?;
        let copy = self.sources.store().keep_copy(&self.run);
        match copy {
            Ok(path) => self.told.rescue = Some(path.display().to_string()),
            Err(error) => self.shared.say(format_args!("note: {error}")),
        }
        Ok(())
    }

    /// The last save of a rotation, which takes its new values or drops them.
    fn save_end(&mut self, bundle: Bundle) -> Result<()> {
        self.save(bundle)?;
        self.sources.store().forget_copy(&self.run);
        self.told.rescue = None;
        Ok(())
    }

    pub(super) fn save(&mut self, mut bundle: Bundle) -> Result<()> {
        self.sources.store().save(&mut bundle)?;
        self.sources.bundle = bundle;
        Ok(())
    }

    fn forward(mut self) -> Result<ExitCode> {
        self.told.state = RotationState::UnderWay;
        self.told.run = Some(self.run.clone());
        match self.advance() {
            Ok(()) => self.commit(),
            Err(Halt::Interrupted) => self.stay(),
            Err(halt) => self.put_back(Some(halt)),
        }
    }

    fn advance(&mut self) -> Result<(), Halt> {
        self.generate_by_command()?;
        let incoming = self.sources.bundle.rotated(self.moment.now);
        self.with_bundle(incoming, Self::refuse_unholdable)?;
        for index in 0..self.turns.len() {
            self.make_accepted(index)?;
        }
        self.roll_out()
    }

    /// Everybody has the new values: from here on they are the values.
    fn commit(mut self) -> Result<ExitCode> {
        // Hours may have gone since it began, and the overlap begins now.
        let now = Utc::now();
        let is_urgent = self.sources.bundle.rotation().is_some_and(|rotation| rotation.is_urgent);
        let revocations = self.turns.iter().filter_map(|planned| {
            let revocation = planned.revocation(&self.run, now, is_urgent)?;
            Some((revocation, OldValues { secret: planned.old.clone()?, public: planned.old_public.clone() }))
        });
        let revocations = revocations.collect();
        let mut bundle = self.sources.bundle.clone();
        bundle.commit_rotation(self.moment.now, revocations);
        for planned in &self.turns {
            bundle.describe(&planned.turn.name, |known| known.generator = Some(planned.policy.maker()));
        }
        if let Err(error) = self.save_end(bundle) {
            self.told.message = telling::not_committed(&self.told, &error);
            return self.conclude();
        }
        self.told.state = RotationState::Done;
        self.told.secrets.iter_mut().for_each(|secret| secret.bundle = Values::New);
        if let Err(error) = self.revoke_due(now, false) {
            self.told.is_stuck = true;
            self.told.message = telling::could_not_revoke(&error);
            return self.conclude();
        }
        self.told.message = telling::done(&self.told, &self.reports);
        self.conclude()
    }

    /// Interrupted: left as it is, for whoever resumes or aborts it.
    fn stay(mut self) -> Result<ExitCode> {
        self.told.message = telling::interrupted(&self.told);
        self.conclude()
    }

    // The way back.

    /// Everybody gets the old values; `None` where that was asked for.
    fn put_back(mut self, halt: Option<Halt>) -> Result<ExitCode> {
        self.told.state = RotationState::UnderWay;
        self.told.run = Some(self.run.clone());
        let touched =
            self.told.hosts.iter().filter(|(host, values)| {
                *values != Values::Old || self.reports.iter().any(|report| report.host == *host)
            });
        let touched: Vec<HostName> = touched.map(|(host, _)| host.clone()).collect();
        if let Some(Halt::Failed { why, .. }) = &halt {
            self.shared.say(format_args!("putting everything back: {why}"));
        }
        let mut stuck = self.undo(|planned| !planned.policy.accepts_both());
        let interrupted = self.bring_back(&touched).unwrap_or_else(|error| {
            stuck.push(error.to_string());
            false
        });
        // Where both values are accepted, nobody is left without one while hosts go back.
        stuck.extend(self.undo(|planned| planned.policy.accepts_both()));
        if interrupted || !stuck.is_empty() {
            self.told.message = telling::not_undone(&self.told, halt.as_ref(), &stuck);
            return self.conclude();
        }
        let mut bundle = self.sources.bundle.clone();
        bundle.drop_rotation();
        if let Err(error) = self.save_end(bundle) {
            self.told.message = telling::not_dropped(&self.told, halt.as_ref(), &error);
            return self.conclude();
        }
        self.told.state = if halt.is_some() { RotationState::PutBack } else { RotationState::Aborted };
        self.told.message = telling::put_back(&self.told, halt.as_ref());
        self.conclude()
    }

    // The end.

    /// Hosts that are concerned and were never come to.
    fn tell_unvisited(&mut self) {
        for host in self.hosts.iter().filter(|_| self.told.state != RotationState::Nothing) {
            if !self.reports.iter().any(|report| report.host == *host) {
                let mut report = HostReport::new(host.clone(), self.sources.host(host).endpoint.socket());
                report.outcome = Outcome::Skipped;
                self.reports.push(report);
            }
        }
        let place = |host: &HostName| self.hosts.iter().position(|other| other == host);
        self.reports.sort_by_key(|report| place(&report.host));
    }

    fn conclude(mut self) -> Result<ExitCode> {
        self.tell_unvisited();
        let more = telling::not_revoked(&self.told).into_iter().chain(self.warnings.drain(..));
        for text in more {
            let separator = if self.told.message.is_empty() { "" } else { "; " };
            self.told.message = format!("{}{separator}{text}", self.told.message);
        }
        let report = Report {
            check: self.shared.check,
            diff: self.shared.diff,
            interrupted: self.sources.interrupt.has_come(),
            rotation: Some(self.told),
            ..Report::new("rotate", self.run.clone(), self.reports)
        };
        // Only what cron would have done counts as a run of it.
        if self.is_for_due {
            last_runs::note(self.shared, &report, self.moment.now);
        }
        // From cron, silence means that all is well.
        let code = match self.shared.quiet && !self.shared.is_json() && report.says_nothing() {
            true => Ok(ExitCode::SUCCESS),
            false => fleet::conclude(self.shared, &report, self.moment.now),
        };
        self.notifications.end_of(&report);
        code
    }
}
