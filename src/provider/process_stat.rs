//! `ProcessStat`: what the kernel tells of a process in `/proc/PID/stat`.

use std::fs;

/// The words of it that somebody here asks for. A number can be given again, together with the time of its start it cannot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ProcessStat {
    pub pid: i32,
    pub parent: i32,
    pub group: i32,
    pub session: i32,
    /// In ticks since this machine was started.
    pub start: u64,
    /// It has not ended; who has, waits to be collected.
    pub is_alive: bool,
}

impl ProcessStat {
    /// Of this process; `None` where there is none, or where the kernel does not tell.
    pub fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The name stands in parentheses and may hold anything; behind it come state, parent, group, session, and as the 20th word the start.
        let words: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let number = |at: usize| words.get(at)?.parse().ok();
        Some(Self {
            pid,
            parent: number(1)?,
            group: number(2)?,
            session: number(3)?,
            start: words.get(19)?.parse().ok()?,
            is_alive: !matches!(*words.first()?, "Z" | "X" | "x"),
        })
    }

    /// Of every process; none where the kernel does not tell.
    pub fn all() -> impl Iterator<Item = Self> {
        let entries = fs::read_dir("/proc").into_iter().flatten();
        let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        pids.filter_map(Self::of)
    }
}
