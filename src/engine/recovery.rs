//! A visit to a host while there is no bundle: what is sealed there is read back, the newest first, until somebody has enough of it.

use super::Visit;
use super::talk::{Question, Talk};
use crate::plan::backup::{self, HeldBackup, Standing};
use crate::plan::{DesiredSet, HostFacts, RootFacts};
use crate::report::{BackupReport, Deed};
use crate::transport::Connection;
use crate::words::{Failure, Phase, Secret};
use std::sync::Arc;

const KEY_AGE: &str = "backups/key.age";
/// It holds one identity.
const LONGEST_KEY_AGE: u64 = 64 * 1024;

/// Makes something of what hosts give back.
pub trait Salvor: Send + Sync {
    /// What a root says of itself, before anything is read back.
    fn look(&self, set: &DesiredSet, facts: &RootFacts);

    /// Takes a sealed backup, and what lies beside it as `key.age`. It may take its time, and is called on a thread of its own.
    fn take(&self, set: &DesiredSet, held: &HeldBackup, key_age: Option<&Secret>, sealed: Vec<u8>) -> Taken;
}

/// What came of a backup.
pub struct Taken {
    /// Why it is of no use.
    pub problem: Option<String>,
    /// Is there nothing that an older one of the same root could add?
    pub is_enough: bool,
}

impl Visit {
    pub(super) async fn recover(
        &mut self,
        connection: &mut Connection,
        salvor: &Arc<dyn Salvor>,
    ) -> Result<(), Failure> {
        let nonce = (self.run.nonce)();
        let mut talk = Talk::begin(connection, &nonce, &self.plan, self.run.lock_wait(), Question::Backups).await?;
        let facts = self.look_at_backups(&mut talk, &nonce).await?;
        let salvaged = self.salvage(&mut talk, &facts, salvor).await;
        talk.bye().await;
        salvaged
    }

    async fn salvage(&mut self, talk: &mut Talk, facts: &HostFacts, salvor: &Arc<dyn Salvor>) -> Result<(), Failure> {
        for index in 0..self.plan.sets.len() {
            let (set, root) = (Arc::new(self.plan.sets[index].clone()), &facts.roots[index]);
            salvor.look(&set, root);
            let key_age = self.key_age(talk, index, root).await?.map(Arc::new);
            let held = backup::held(&set, root, &self.run.purpose());
            for held in held.into_iter().rev() {
                let taken = match root.entries.get(&held.path).is_some_and(crate::plan::Stat::is_file) {
                    false => Taken { problem: Some("it is not a plain file".to_owned()), is_enough: false },
                    true => {
                        let sealed = self.sealed(talk, index, &held).await?.expose().to_vec();
                        let (salvor, set, held, key) = (salvor.clone(), set.clone(), held.clone(), key_age.clone());
                        let take = move || salvor.take(&set, &held, key.as_deref(), sealed);
                        let taken = tokio::task::spawn_blocking(take).await;
                        taken.map_err(|_| Failure::new(Phase::Exec, "our own program failed while it read a backup"))?
                    }
                };
                self.report.backups.push(told(&set, held, &taken));
                if taken.is_enough {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn key_age(&self, talk: &mut Talk, root: usize, facts: &RootFacts) -> Result<Option<Secret>, Failure> {
        let is_there = facts.entries.get(KEY_AGE).is_some_and(|stat| stat.is_file() && stat.size <= LONGEST_KEY_AGE);
        if !is_there {
            return Ok(None);
        }
        let mut read =
            talk.read(self.stop.clone(), self.run.look, root, &[KEY_AGE.to_owned()], 2 * LONGEST_KEY_AGE).await?;
        Ok(read.remove(KEY_AGE))
    }
}

/// Its receipt proves nothing as long as nobody has the key that signed it; opening it does.
fn told(set: &DesiredSet, mut held: HeldBackup, taken: &Taken) -> BackupReport {
    held.standing = if taken.problem.is_some() { Standing::Damaged } else { Standing::Intact };
    let deed = if taken.problem.is_some() { Deed::None } else { Deed::Opened };
    BackupReport {
        deed,
        problem: taken.problem.clone(),
        ..BackupReport::new(&set.play, set.root.join(&held.path), &held)
    }
}
