//! `Job`: a command that is run at its time with nobody watching. This is the one table of them.

use super::schedule_time::ScheduleTime;

/// A command and when it runs.
#[derive(Clone, Copy, Debug)]
pub struct Job {
    /// The command, and the end of its unit's name.
    pub name: &'static str,
    /// What it is for, in a unit's description.
    pub about: &'static str,
    /// Behind the shared options: `-q` is silent when all is well.
    pub words: &'static [&'static str],
    pub at: ScheduleTime,
}

/// All of them, at these times. Rotate and backup are weekly, whatever day is given; audit is daily and drill monthly unless one is.
pub fn jobs(rotate: ScheduleTime, audit: ScheduleTime, backup: ScheduleTime, drill: ScheduleTime) -> [Job; 4] {
    [
        Job {
            name: "rotate",
            about: "new values for secrets that are due",
            words: &["-q", "rotate"],
            at: rotate.weekly(),
        },
        Job { name: "audit", about: "what is really on the hosts", words: &["-q", "audit"], at: audit },
        Job { name: "backup", about: "a sealed copy of the bundle", words: &["-q", "backup"], at: backup.weekly() },
        Job {
            name: "drill",
            about: "would backups bring back what is live",
            words: &["-q", "backup", "drill"],
            at: drill.monthly(),
        },
    ]
}
