//! `Story`: says what comes, and runs the real program for it, until it fails or somebody interrupts.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use tokio::process::{Child, Command};
use tokio::signal::unix::{Signal as Listener, SignalKind, signal};
use walkdir::WalkDir;

/// Why the demo ends early, and what it exits with.
pub struct End {
    pub why: String,
    pub code: u8,
}

impl From<io::Error> for End {
    fn from(error: io::Error) -> Self {
        Self { why: error.to_string(), code: 1 }
    }
}

pub struct Story {
    program: PathBuf,
    project: PathBuf,
    home: PathBuf,
    interrupts: Interrupts,
}

/// Ctrl-C, TERM and HUP. From when they are listened to, none of them ends this process by itself.
pub struct Interrupts([Listener; 3]);

impl Interrupts {
    pub fn listen() -> io::Result<Self> {
        Ok(Self([signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?, signal(SignalKind::hangup())?]))
    }

    pub async fn next(&mut self) {
        let Self([interrupt, terminate, hang_up]) = self;
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
            _ = hang_up.recv() => {}
        }
    }
}

impl Story {
    pub fn new(project: &Path, home: &Path, interrupts: Interrupts) -> io::Result<Self> {
        Ok(Self { program: program()?, project: project.to_owned(), home: home.to_owned(), interrupts })
    }

    pub fn say(&self, text: &str) {
        println!("# {text}");
    }

    /// Runs `distribute` with these words as its arguments.
    pub async fn run(&mut self, why: &str, words: &str) -> Result<(), End> {
        self.run_to(why, words, 0).await
    }

    /// The same for one that is to end with another status.
    pub async fn run_to(&mut self, why: &str, words: &str, expected: i32) -> Result<(), End> {
        println!();
        self.say(why);
        println!("$ distribute {words}");
        let mut child = self.command(words).spawn()?;
        let status = self.wait(&mut child).await?;
        if status.code() == Some(expected) {
            return Ok(());
        }
        Err(End { why: format!("distribute {words}: {status}"), code: 1 })
    }

    /// The program sees nothing of this user: another home, no agent. It has a process group of its own, so that Ctrl-C
    /// reaches it once, through us.
    fn command(&self, words: &str) -> Command {
        let mut command = Command::new(&self.program);
        command.args(words.split(' ')).current_dir(&self.project).stdin(Stdio::null()).process_group(0);
        command.env_clear().env("HOME", &self.home).env("XDG_STATE_HOME", self.home.join("state"));
        command
    }

    /// Hands on each interruption: the first lets the program finish what it writes, the second stops it.
    async fn wait(&mut self, child: &mut Child) -> Result<ExitStatus, End> {
        let mut is_interrupted = false;
        let status = loop {
            tokio::select! {
                status = child.wait() => break status?,
                () = self.interrupts.next() => is_interrupted = true,
            }
            if let Some(id) = child.id() {
                let _ = kill(Pid::from_raw(id as i32), Signal::SIGTERM);
            }
        };
        match is_interrupted {
            false => Ok(status),
            true => Err(End {
                why: "interrupted; the hosts have stopped, and their directory is removed".to_owned(),
                code: 130,
            }),
        }
    }

    /// Names, modes and links below a directory; nothing is opened.
    pub fn tree(&self, directory: &Path) -> io::Result<()> {
        for entry in WalkDir::new(directory).sort_by_file_name() {
            let entry = entry?;
            let (path, kind) = (entry.path(), entry.file_type());
            let name = if entry.depth() == 0 { path.display().to_string() } else { shown(entry.file_name()) };
            let indent = "    ".repeat(entry.depth());
            if kind.is_symlink() {
                println!("     {indent}{name} -> {}", fs::read_link(path)?.display());
            } else {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                println!("{mode:4o} {indent}{name}{}", if kind.is_dir() { "/" } else { "" });
            }
        }
        Ok(())
    }
}

fn shown(name: &std::ffi::OsStr) -> String {
    name.to_string_lossy().into_owned()
}

/// Beside the directory of the examples, where cargo puts it.
pub fn program() -> io::Result<PathBuf> {
    let examples = std::env::current_exe()?;
    let program = examples.ancestors().nth(2).map(|directory| directory.join("distribute"));
    program.filter(|program| program.is_file()).ok_or_else(|| io::Error::other("build it first: make build"))
}
