//! `Step`: one thing the remote program does. A transaction is a list of them; the program carries them out in order.

use crate::words::{Mode, Phase, RunId, Secret, ServiceName};

/// A step and what it works on. Paths are relative to the root, staged ones to the staging directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// What comes next belongs to this phase.
    Phase(Phase),
    /// Refuses a generation below the highest seen here, and another bundle unless told to take it.
    Fence { bundle: String, generation: u64, any_bundle: bool },
    /// The live set must still be the one this plan was made against.
    Expect(Option<String>),
    /// A directory below the root exists with this mode and owner (`user:group`).
    Directory { path: String, mode: Mode, owner: String },
    /// What lies in a directory below the root (`.` is the root) gets this mode and owner, where given: never through a link, and never a
    /// file that has a second name. What cannot be mended stays as it is.
    Mend { directory: String, names: Vec<String>, mode: Option<Mode>, owner: Option<String> },
    /// Staged files get this mode and owner.
    Own { paths: Vec<String>, mode: Mode, owner: String },
    /// Staged files get the time of the file below the root that they are a copy of: it tells since when they say what they say.
    Age { like: String, paths: Vec<String> },
    /// Staged files and directories are on the disk.
    Sync(Vec<String>),
    /// Directories below the root are on the disk.
    Flush(Vec<String>),
    /// A staged file takes its place below the root, by one rename.
    Put { staged: String, path: String },
    /// The staged set lies beside the live one.
    Set(String),
    /// This set, which lies there from an earlier run, is to be the live one again. If it does not stay so, the sealed copy of this run goes.
    Return { set: String, copy: RunId },
    /// A file that somebody else wrote is kept under another name as well.
    Keep { path: String, kept: String },
    /// Something that is no file is moved out of the way.
    Move { path: String, kept: String },
    /// Staged links `NAME -> ..data/NAME` take their places in `secrets/`.
    Link(Vec<String>),
    /// The one switch.
    Switch,
    /// Runs the actions that follow as `Action` steps; what fails stays owed.
    Act,
    /// Asks the health checks that follow; switches back if one fails, unless this run is the way back.
    CheckHealth { switches_back: bool },
    /// Removes what is below the root and ours.
    Remove(Vec<String>),
    /// For `Act`: a command line, and after how many seconds it is stopped.
    Action { services: Vec<ServiceName>, seconds: u64, argv: Vec<String> },
    /// For `CheckHealth`: `["http", url]` or `["command", program, ...]`, and within how many seconds it must succeed.
    Health { service: ServiceName, seconds: u64, probe: Vec<String> },
}

/// What travels with the steps into the staging directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Staged {
    File { path: String, content: Secret },
    Link { path: String, target: String },
}
