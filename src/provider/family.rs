//! `Family`: whatever a step starts, also in the background and in a session of its own. While it runs, its orphans become our children, so they can be
//! told from everybody else's processes, and their numbers stay theirs until we have collected them.

use super::process_stat::ProcessStat;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::time::{Duration, Instant};

/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(5);

/// Lives as long as the step. Children that we have when it begins are none of the step's; nobody starts others meanwhile.
pub(super) struct Family {
    /// Numbers, and when those processes were started.
    before: Vec<(i32, u64)>,
    was_reaper: bool,
}

/// What the step left.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Left {
    /// Processes that were killed.
    pub stopped: usize,
    /// Processes that are another user's, or that the kernel holds.
    pub running: usize,
}

impl Family {
    /// From here on orphans come to us.
    pub(super) fn begin() -> Self {
        let before = children();
        Self { before, was_reaper: adopt(true) }
    }

    /// Those that live, after the step itself was collected. Those that have ended are collected.
    pub(super) fn living(&self) -> Vec<Pid> {
        let ours = children().into_iter().filter(|child| !self.before.contains(child));
        let pids = ours.map(|(pid, _)| Pid::from_raw(pid));
        pids.filter(|pid| !matches!(waitpid(*pid, Some(WaitPidFlag::WNOHANG)), Ok(status) if status.pid().is_some()))
            .collect()
    }

    /// Kills what is left. Only children are killed: what they leave comes to us, and is next.
    pub(super) fn end(&self) -> Left {
        let (end, mut killed) = (Instant::now() + PATIENCE, Vec::new());
        loop {
            let living = self.living();
            if living.is_empty() || Instant::now() > end {
                killed.retain(|pid| !living.contains(pid));
                return Left { stopped: killed.len(), running: living.len() };
            }
            for pid in living.into_iter().filter(|pid| kill(*pid, Signal::SIGKILL).is_ok()) {
                if !killed.contains(&pid) {
                    killed.push(pid);
                }
            }
            std::thread::sleep(TICK);
        }
    }
}

impl Drop for Family {
    fn drop(&mut self) {
        adopt(self.was_reaper);
    }
}

/// Gives what was so before.
#[cfg(target_os = "linux")]
fn adopt(orphans: bool) -> bool {
    let before = nix::sys::prctl::get_child_subreaper().unwrap_or(false);
    let _ = nix::sys::prctl::set_child_subreaper(orphans);
    before
}

#[cfg(not(target_os = "linux"))]
fn adopt(_orphans: bool) -> bool {
    false
}

/// Our children, as the kernel tells; none where it does not.
fn children() -> Vec<(i32, u64)> {
    let us = Pid::this().as_raw();
    let ours = ProcessStat::all().filter(|process| process.parent == us);
    ours.map(|process| (process.pid, process.start)).collect()
}
