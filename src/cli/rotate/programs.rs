//! `Programs`: the steps of the policies of a rotation, all found before the first is called.

use crate::plan::rotation::PlannedTurn;
use crate::provider::Program;
use crate::words::Result;
use std::collections::BTreeMap;
use std::path::Path;

/// By the place of the policy and the name of the step.
#[derive(Default)]
pub struct Programs(BTreeMap<(String, &'static str), Program>);

impl Programs {
    /// Looks for every step of these; a relative path begins where the playbook lies.
    ///
    /// # Errors
    /// A program that is not there, cannot be run, or that anybody may change.
    pub fn find<'a>(turns: impl IntoIterator<Item = &'a PlannedTurn<'a>>, directory: &Path) -> Result<Self> {
        let mut programs = BTreeMap::new();
        for planned in turns {
            let policy = planned.policy;
            for (step, argv) in policy.steps.all() {
                let found = Program::find(argv, directory, policy.timeout.duration());
                let found = found.map_err(|error| error.at(format!("step {step}")).at(&policy.place))?;
                programs.insert((policy.place.clone(), step), found);
            }
        }
        Ok(Self(programs))
    }

    /// `None` where the policy has no such step.
    pub fn of(&self, planned: &PlannedTurn, step: &'static str) -> Option<&Program> {
        self.0.get(&(planned.policy.place.clone(), step))
    }
}
