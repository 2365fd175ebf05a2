//! `StepGroup`: the processes of a step, so written down that whoever comes after us can find them when we were killed and could not end them.

use super::process_stat::ProcessStat;
use crate::words::{Error, Result};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::{Pid, getpgrp};
use std::fmt;
use std::fs;
use std::str::FromStr;
use std::time::{Duration, Instant};

/// How long killed processes may take to go.
const PATIENCE: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_millis(5);

/// A process group that begins with the step. What went to a group of its own is not found this way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepGroup {
    /// Of the step, and so of the group.
    pid: i32,
    start: u64,
    session: i32,
    world: String,
}

impl StepGroup {
    /// Of a step that has just been started; `None` where the system does not tell about processes.
    pub(super) fn of(pid: u32) -> Option<Self> {
        let ProcessStat { pid, start, session, .. } = ProcessStat::of(i32::try_from(pid).ok()?)?;
        Some(Self { pid, start, session, world: world() })
    }

    /// Kills what is left of it, and waits until it is gone. Gives how many processes that were.
    ///
    /// # Errors
    /// Some cannot be stopped: they are another user's, or the kernel holds them.
    pub fn stop(&self) -> Result<usize> {
        let (end, count) = (Instant::now() + PATIENCE, self.living().len());
        loop {
            let living = self.living();
            if living.is_empty() {
                return Ok(count);
            }
            if Instant::now() > end {
                return Err(unstoppable(&living));
            }
            self.kill(&living);
            std::thread::sleep(TICK);
        }
    }

    /// The whole group at once, so that none starts another meanwhile; one by one, because it is enough that one is another user's.
    fn kill(&self, living: &[i32]) {
        let _ = killpg(Pid::from_raw(self.pid), Signal::SIGKILL);
        for pid in living {
            let _ = kill(Pid::from_raw(*pid), Signal::SIGKILL);
        }
    }

    /// While one of a group lives, nobody else gets its number; when none does, another group may have it now.
    fn living(&self) -> Vec<i32> {
        let all: Vec<ProcessStat> = ProcessStat::all().collect();
        let is_others = all.iter().any(|process| process.pid == self.pid && process.start != self.start);
        if is_others || self.world != world() || self.pid == getpgrp().as_raw() {
            return Vec::new();
        }
        let is_ours = |process: &&ProcessStat| {
            process.is_alive
                && process.group == self.pid
                && process.session == self.session
                && process.start >= self.start
        };
        all.iter().filter(is_ours).map(|process| process.pid).collect()
    }
}

/// Where numbers of processes mean what they mean: since this start of the machine, in this container.
fn world() -> String {
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
    let container = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
    format!("{}/{}", boot.trim(), container.display())
}

fn unstoppable(pids: &[i32]) -> Error {
    let names: Vec<String> = pids.iter().map(i32::to_string).collect();
    let what = if pids.len() == 1 { "pid" } else { "pids" };
    Error::new(format!(
        "a step of the run that was killed is still at work and cannot be stopped ({what} {}); nothing was done",
        names.join(", ")
    ))
    .hint(format!("end it, then do the same again: kill -9 {}", names.join(" ")))
}

/// `4711 123456 4000 BOOT/pid:[NUMBER]`
impl fmt::Display for StepGroup {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        write!(f, "{} {} {} {}", self.pid, self.start, self.session, self.world)
    }
}

/// What was written down; whatever is not that is no group.
impl FromStr for StepGroup {
    type Err = ();

    fn from_str(text: &str) -> std::result::Result<Self, ()> {
        let mut words = text.splitn(4, ' ');
        let mut word = || words.next().ok_or(());
        let (pid, start, session) = (word()?, word()?, word()?);
        let pid = pid.parse().ok().filter(|pid| *pid > 1).ok_or(())?;
        let (start, session) = (start.parse().map_err(drop)?, session.parse().map_err(drop)?);
        Ok(Self { pid, start, session, world: word()?.to_owned() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::CommandExt;
    use std::process::{Child, Command, Stdio};

    /// A group of two, of which the first has ended.
    fn orphaned() -> (Child, StepGroup) {
        let mut command = Command::new("sh");
        command.args(["-c", "sleep 600 & read go"]).process_group(0).stdin(Stdio::piped());
        let child = command.spawn().unwrap();
        let group = StepGroup::of(child.id()).unwrap();
        while group.living().len() < 2 {
            std::thread::yield_now();
        }
        (child, group)
    }

    #[test]
    fn what_is_written_down_is_found_and_stopped() {
        let (mut child, group) = orphaned();
        drop(child.stdin.take());
        child.wait().unwrap();
        let noted: StepGroup = group.to_string().parse().unwrap();
        assert_eq!(noted, group);
        assert_eq!(noted.stop().unwrap(), 1);
        assert_eq!(noted.stop().unwrap(), 0);
    }

    #[test]
    fn who_has_the_same_number_is_let_alone() {
        let (mut child, group) = orphaned();
        let others = [
            StepGroup { start: group.start - 1, ..group.clone() },
            StepGroup { world: "another".to_owned(), ..group.clone() },
            StepGroup { session: group.session + 1, ..group.clone() },
        ];
        for other in others {
            assert_eq!(other.stop().unwrap(), 0, "{other}");
        }
        assert!(child.try_wait().unwrap().is_none());
        // The first is a child of ours: as long as it is not collected it is there, but not alive.
        assert_eq!(group.stop().unwrap(), 2);
        child.wait().unwrap();
    }

    #[test]
    fn what_nobody_wrote_is_no_group() {
        for text in ["", "1 2 3 here", "0 2 3 here", "-5 2 3 here", "10 2 3", "10 two 3 here", "pid 4711"] {
            assert_eq!(text.parse::<StepGroup>(), Err(()), "{text:?}");
        }
    }
}
