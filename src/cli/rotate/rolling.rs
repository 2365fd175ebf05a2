//! The hosts of a rotation: in batches on the way there, all at once on the way back.

use super::halt::Halt;
use super::saga::Saga;
use crate::cli::fleet::{self, Errand, Moment};
use crate::engine::Intent;
use crate::report::{HostReport, Report, Values};
use crate::words::{Failure, HostName, Outcome, Phase, Result, listed};

impl<'p> Saga<'p> {
    /// The hosts in the batches in which they go.
    pub(super) fn batches(&self) -> Vec<Vec<HostName>> {
        let mut hosts = self.hosts.iter().cloned();
        let sizes = self.playbook.rollout.batches(self.hosts.len());
        sizes.into_iter().map(|size| hosts.by_ref().take(size).collect()).collect()
    }

    /// Each batch with each host's own transaction; stops when too many have failed.
    pub(super) fn roll_out(&mut self) -> Result<(), Halt> {
        let batches = self.batches();
        for (index, batch) in batches.iter().enumerate() {
            if index > 0 {
                self.sources.interrupt.wait(self.playbook.rollout.pause.duration());
            }
            self.refuse_to_go_on()?;
            self.shared.say(format_args!("batch {} of {}: {}", index + 1, batches.len(), listed(batch)));
            let incoming = self.sources.bundle.rotated(self.moment.now);
            let report = self.with_bundle(incoming, |saga| saga.visit(batch, Intent::Apply, false))?;
            let failed = report.hosts.iter().filter(|host| host.outcome.is_failure()).count();
            report.hosts.into_iter().for_each(|host| self.came(host));
            self.refuse_to_go_on()?;
            self.refuse_past(failed, batch.len())?;
        }
        Ok(())
    }

    fn refuse_past(&self, failed_in_batch: usize, batch: usize) -> Result<(), Halt> {
        let failed: Vec<&HostReport> = self.reports.iter().filter(|host| host.outcome.is_failure()).collect();
        let rollout = &self.playbook.rollout;
        if !rollout.is_past(failed_in_batch, batch, failed.len(), self.hosts.len()) {
            return Ok(());
        }
        let of = |host: &&HostReport| {
            host.error.as_ref().map(|failure| format!("{}: {}: {}", host.host, failure.phase, failure.message))
        };
        let first = failed.last().and_then(of).unwrap_or_default();
        let others = match failed.len() {
            0 | 1 => String::new(),
            many => format!(" (and {} more hosts)", many - 1),
        };
        Err(Halt::failed(format!("{first}{others}")))
    }

    /// What a host came to on the way there.
    fn came(&mut self, host: HostReport) {
        let values = match &host.error {
            None if host.outcome == Outcome::Skipped => self.values(&host.host),
            None => Values::New,
            Some(failure) => values_after(failure, host.switched, Values::New, self.values(&host.host)),
        };
        self.note(&host.host, values);
        self.reports.push(host);
    }

    /// The old values to these. What was live before is not asked: it may be either. True if somebody interrupted it.
    pub(super) fn bring_back(&mut self, hosts: &[HostName]) -> Result<bool> {
        if hosts.is_empty() {
            return Ok(false);
        }
        self.shared.say(format_args!("back to the old values: {}", listed(hosts)));
        // A set has one name for ever: the way back is another run.
        let moment = std::mem::replace(&mut self.moment, Moment::now());
        let report = self.visit(hosts, Intent::Apply, true);
        self.moment = moment;
        let report = report?;
        let interrupted = report.interrupted;
        report.hosts.into_iter().for_each(|host| self.went_back(host));
        Ok(interrupted)
    }

    fn went_back(&mut self, host: HostReport) {
        let before = self.values(&host.host);
        let values = match &host.error {
            None if host.outcome == Outcome::Skipped => before,
            None => Values::Old,
            Some(failure) => values_after(failure, host.switched, Values::Old, before),
        };
        self.note(&host.host, values);
        let Some(there) = self.reports.iter_mut().find(|report| report.host == host.host) else {
            self.reports.push(host);
            return;
        };
        there.is_put_back = values == Values::Old && there.switched;
        there.live = host.live.or(there.live.take());
        there.generation = host.generation.or(there.generation);
        there.owed = host.owed;
        if let Some(failure) = host.error {
            let message = format!("on the way back: {}", failure.message);
            there.outcome = failure.phase.outcome();
            there.error = Some(Failure { message, ..failure });
        }
    }

    fn values(&self, host: &HostName) -> Values {
        self.told.hosts.iter().find(|(name, _)| name == host).map_or(Values::Unknown, |(_, values)| *values)
    }

    fn note(&mut self, host: &HostName, values: Values) {
        if let Some((_, known)) = self.told.hosts.iter_mut().find(|(name, _)| name == host) {
            *known = values;
        }
    }

    /// One errand to these hosts, with the bundle as it is in our hands now.
    pub(super) fn visit(&self, hosts: &[HostName], intent: Intent, is_way_back: bool) -> Result<Report> {
        let plans = fleet::enrolled_among(self.shared, &self.sources, hosts)?;
        let errand = Errand { is_way_back, ..Errand::new("rotate", intent, self.timeout) };
        fleet::go(self.shared, &self.sources, errand, self.moment, plans)
    }
}

/// What a host has that failed: what it was brought if that is live, what it had if nothing was switched.
fn values_after(failure: &Failure, switched: bool, brought: Values, before: Values) -> Values {
    match failure.phase {
        _ if switched => brought,
        Phase::Switch => Values::Unknown,
        _ => before,
    }
}
