//! The steps of a rotation: programs of the user's that make a value, and make providers accept it or forget it.

use super::halt::Halt;
use super::lock::RotationLock;
use super::programs::Programs;
use super::saga::Saga;
use crate::bundle::Scope;
use crate::plan::rotation::PlannedTurn;
use crate::playbook::Maker;
use crate::provider::{self, Answer, Call, StepGroup, Trouble};
use crate::report::Provider;
use crate::words::{RunId, Secret};

impl<'p> Saga<'p> {
    /// Calls a step of the rotation; `None` if the policy has no such step.
    fn call(&self, planned: &PlannedTurn, step: &'static str) -> Option<Result<Answer, Trouble>> {
        let bundle = &self.sources.bundle;
        let (name, public) = (&planned.turn.name, &planned.turn.public);
        let new = bundle.pending(name);
        let new_public = public.as_ref().and_then(|public| bundle.pending(public));
        self.call_with(
            &self.programs,
            planned,
            step,
            &self.run,
            (planned.old.as_ref(), planned.old_public.as_ref()),
            (new, new_public),
        )
    }

    pub(super) fn call_with(
        &self,
        programs: &Programs,
        planned: &PlannedTurn,
        step: &'static str,
        run: &RunId,
        (old, old_public): (Option<&Secret>, Option<&Secret>),
        (new, new_public): (Option<&Secret>, Option<&Secret>),
    ) -> Option<Result<Answer, Trouble>> {
        let program = programs.of(planned, step)?;
        let (secret, host) = match &planned.turn.name.scope {
            Scope::Host(host) => (planned.turn.name.without_scope(), Some(host.as_str())),
            _ => (planned.turn.name.to_string(), None),
        };
        let run = run.to_string();
        let call = Call { step, secret: &secret, host, run: &run, old, new, old_public, new_public };
        self.shared.say(format_args!("{step} {}", planned.turn.name));
        let also = self.sources.bundle.known_values();
        let also: Vec<&Secret> = also.iter().collect();
        let is_stopped = || self.sources.interrupt.is_urgent();
        let answer = provider::call(program, &call, &also, &|step| self.note_step(step), &is_stopped);
        self.lock.iter().for_each(RotationLock::forget_step);
        if let Ok(answer) = &answer
            && !answer.said.is_empty()
        {
            self.shared.detail(format_args!("{step} {}: {}", planned.turn.name, answer.said));
        }
        Some(answer)
    }

    /// Values that a step makes: each is sealed as soon as it exists.
    pub(super) fn generate_by_command(&mut self) -> Result<(), Halt> {
        for index in 0..self.turns.len() {
            let planned = &self.turns[index];
            if planned.policy.generate != Maker::Command || self.sources.bundle.pending(&planned.turn.name).is_some() {
                continue;
            }
            self.refuse_to_go_on()?;
            let Some(answer) = self.call(planned, "generate") else { continue };
            let value = answer.map_err(|trouble| self.halted(trouble))?.value;
            if planned.old.as_ref() == Some(&value) {
                return Err(Halt::failed(format!(
                    "generate of {}: it printed the value that there is",
                    planned.turn.name
                )));
            }
            if self.told.secrets[index].provider == Provider::Old {
                // It may have told the provider already.
                self.told.secrets[index].provider = Provider::Unknown;
            }
            let name = planned.turn.name.clone();
            let mut bundle = self.sources.bundle.clone();
            bundle.set_pending(&name, value);
            self.save_pending(bundle)?;
        }
        Ok(())
    }

    /// The provider accepts the new value, and it is proved.
    pub(super) fn make_accepted(&mut self, index: usize) -> Result<(), Halt> {
        for step in ["set", "test"] {
            self.refuse_to_go_on()?;
            let planned = &self.turns[index];
            let Some(answer) = self.call(planned, step) else { continue };
            let accepts = if planned.policy.accepts_both() { Provider::Both } else { Provider::New };
            if step == "set" {
                self.told.secrets[index].provider = if answer.is_ok() { accepts } else { Provider::Unknown };
            }
            answer.map_err(|trouble| self.halted(trouble))?;
        }
        Ok(())
    }

    /// The old values again, the last first. Gives what could not be undone, and why.
    pub(super) fn undo(&mut self, is_meant: impl Fn(&PlannedTurn) -> bool) -> Vec<String> {
        let mut stuck = Vec::new();
        for index in (0..self.turns.len()).rev() {
            let planned = &self.turns[index];
            // Where no step was called, there is nothing to undo; nor without a new value.
            let is_touched = self.told.secrets[index].provider != Provider::Old;
            let has_value = self.sources.bundle.pending(&planned.turn.name).is_some();
            if !is_meant(planned) || !is_touched || !has_value {
                continue;
            }
            match self.call(planned, "undo") {
                Some(Ok(_)) => self.told.secrets[index].provider = Provider::Old,
                Some(Err(trouble)) => {
                    self.told.secrets[index].provider = Provider::Unknown;
                    stuck.push(trouble.message);
                }
                None => {}
            }
        }
        stuck
    }

    fn note_step(&self, step: &StepGroup) {
        if let Some(Err(error)) = self.lock.as_ref().map(|lock| lock.note_step(step)) {
            self.shared.say(format_args!("note: noting the step in the state directory: {error}"));
        }
    }

    /// Asked before each step and each batch: did somebody say so, or is the bundle no longer the one that we saved?
    pub(super) fn refuse_to_go_on(&self) -> Result<(), Halt> {
        if self.sources.interrupt.has_come() {
            return Err(Halt::Interrupted);
        }
        let same = self.sources.store().refuse_changed();
        same.map_err(|_| Halt::failed("secrets.age changed on disk while this rotation was at work"))
    }

    /// A step that was stopped because somebody said so twice has not failed.
    fn halted(&self, trouble: Trouble) -> Halt {
        match self.sources.interrupt.is_urgent() {
            true => Halt::Interrupted,
            false => Halt::Failed { why: trouble.message, hint: trouble.hint },
        }
    }
}
