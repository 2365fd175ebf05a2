//! `Family`: whatever a step starts, also in the background and in a session of its own. While it runs, its orphans become our children, so they can be
//! told from everybody else's processes, and their numbers stay theirs until we have collected them.

use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, waitpid};
use nix::unistd::Pid;
use std::fs;
use std::time::{Duration, Instant};

/// How long a killed process may take to go.
const PATIENCE: Duration = Duration::from_secs(5);
const TICK: Duration = Duration::from_millis(5);

/// Lives as long as the step. Children that we have when it begins are none of the step's; nobody starts others meanwhile.
pub(super) struct Family {
    before: Vec<Process>,
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

/// A number can be given again, together with the time of its start it cannot.
#[derive(Clone, PartialEq, Eq)]
struct Process {
    pid: i32,
    start: String,
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
        let pids = ours.map(|child| Pid::from_raw(child.pid));
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
fn children() -> Vec<Process> {
    let us = std::process::id().to_string();
    let entries = fs::read_dir("/proc").into_iter().flatten();
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    pids.filter_map(|pid| child(pid, &us)).collect()
}

fn child(pid: i32, parent: &str) -> Option<Process> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name stands in parentheses and may hold anything; behind it come state, parent, and as the 20th word the start.
    let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
    (words.get(1) == Some(&parent))
        .then(|| Process { pid, start: words.get(19).copied().unwrap_or_default().to_owned() })
}
