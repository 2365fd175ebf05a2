//! `WatchedEdit`: `bundle edit` on a terminal of its own under strace: which files were opened to be written, and where the poison went.

use super::room::{POISON, Room, holders};
use std::collections::{BTreeSet, HashMap};
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const CALLS: &str = "trace=open,openat,openat2,creat,write,pwrite64,writev,pwritev,pwritev2,sendto,sendmsg";
const WRITES: [&str; 7] = ["write", "pwrite64", "writev", "pwritev", "pwritev2", "sendto", "sendmsg"];

/// What it saw.
pub struct WatchedEdit {
    /// Files that were opened to be written, without terminals and /dev/null.
    pub opened: BTreeSet<PathBuf>,
    /// Files that a write put the poison into.
    pub poisoned: BTreeSet<PathBuf>,
    /// Files of the user's home that hold the poison afterwards.
    pub left: Vec<PathBuf>,
    /// What stood on the terminal.
    pub screen: String,
}

impl WatchedEdit {
    /// Edits `aws` with this editor; once the screen shows this text, these keys are pressed. `None` where there is no strace or script.
    pub fn run(room: &Room, editor: &str, shows: &str, keys: &[u8]) -> Option<Self> {
        Self::of(room, &["bundle", "edit", "aws"], editor, shows, keys)
    }

    pub fn of(room: &Room, args: &[&str], editor: &str, shows: &str, keys: &[u8]) -> Option<Self> {
        // The trace shows what was written; so it lies elsewhere.
        let aside = tempfile::tempdir().unwrap();
        let trace = aside.path().join("trace");
        let inner = room.command(args);
        let words: Vec<&str> =
            [inner.get_program()].into_iter().chain(inner.get_args()).map(|w| w.to_str().unwrap()).collect();
        let line = format!("strace -f -qq -y -s 65536 -e {CALLS} -o {} {}", trace.display(), words.join(" "));
        // An editor that waits for a key that nobody presses fails its test, and does not hang it.
        let mut command = Command::new("timeout");
        command.args(["-k", "5", "20", "script", "-qefc", &line, "/dev/null"]).current_dir(room.path(".")).env_clear();
        for (name, value) in inner.get_envs().filter_map(|(name, value)| Some((name, value?))) {
            command.env(name, value);
        }
        command.env("EDITOR", editor).env("TERM", "vt100").env("SHELL", "/bin/sh");
        let screen = pressed(command, shows, keys)?;
        let text = fs::read(&trace).ok()?;
        let calls = whole_calls(&String::from_utf8_lossy(&text));
        Some(Self {
            opened: calls.iter().filter_map(|call| opened(call)).filter(|path| !is_terminal(path)).collect(),
            poisoned: calls.iter().filter_map(|call| poisoned(call)).filter(|path| !is_terminal(path)).collect(),
            left: holders(&room.path("."), POISON),
            screen,
        })
    }

    /// Everything that was written in clear lies in memory, and of the rest only the bundle and our own state was opened at all.
    #[track_caller]
    pub fn assert_only_memory(&self, room: &Room, also: &[&str]) {
        let place = fs::canonicalize(room.path(".")).unwrap();
        let is_ours = |path: &PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            is_memory(path)
                || path.starts_with(std::fs::canonicalize(room.state()).unwrap())
                || (path.parent() == Some(&place) && name.trim_start_matches('.').starts_with("secrets.age"))
                || also.iter().any(|also| path.starts_with(place.join(also)))
        };
        let strays: Vec<_> = self.opened.iter().filter(|path| !is_ours(path)).collect();
        assert!(strays.is_empty(), "opened to be written: {strays:?}\n{}", self.screen);
        assert!(!self.poisoned.is_empty() && self.poisoned.iter().all(|path| is_memory(path)), "{:?}", self.poisoned);
        assert!(self.left.is_empty(), "{:?}", self.left);
        let gone = self.poisoned.iter().all(|path| !path.exists());
        assert!(gone, "wiped: {:?}", self.poisoned);
    }

    /// Did some of it come to lie outside? So that a test can show that it would see that.
    pub fn has_leaked(&self) -> bool {
        !self.left.is_empty()
            && self
                .opened
                .iter()
                .any(|path| !is_memory(path) && self.left.iter().any(|left| fs::canonicalize(left).unwrap() == *path))
    }
}

/// Runs it; presses keys when the screen shows the text, at once if that is empty.
fn pressed(mut command: Command, shows: &str, keys: &[u8]) -> Option<String> {
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::inherit()).spawn().ok()?;
    // Open to the end: the end of input would end the terminal.
    let mut terminal = child.stdin.take().unwrap();
    let mut output = child.stdout.take().unwrap();
    let (mut screen, mut buffer, mut keys) = (Vec::new(), [0; 4096], Some(keys));
    loop {
        if String::from_utf8_lossy(&screen).contains(shows) {
            terminal.write_all(keys.take().unwrap_or_default()).unwrap();
        }
        match output.read(&mut buffer) {
            Ok(0) | Err(_) => break,
            Ok(read) => screen.extend_from_slice(&buffer[..read]),
        }
    }
    child.wait().unwrap();
    Some(String::from_utf8_lossy(&screen).into_owned())
}

/// Calls of which strace wrote two halves, since another process was heard in between, as one.
fn whole_calls(trace: &str) -> Vec<String> {
    let mut begun: HashMap<&str, String> = HashMap::new();
    let mut calls = Vec::new();
    for line in trace.lines() {
        let Some((pid, call)) = line.split_once(' ') else { continue };
        let call = call.trim_start();
        if let Some(half) = call.strip_suffix("<unfinished ...>") {
            begun.insert(pid, half.to_owned());
        } else if let Some((_, rest)) = call.split_once(" resumed>").filter(|_| call.starts_with("<... ")) {
            calls.push(begun.remove(pid).unwrap_or_default() + rest);
        } else {
            calls.push(call.to_owned());
        }
    }
    calls
}

fn opened(call: &str) -> Option<PathBuf> {
    let (name, arguments) = call.split_once('(')?;
    let is_to_write = name == "creat"
        || (name.starts_with("open") && (arguments.contains("O_WRONLY") || arguments.contains("O_RDWR")));
    let (_, result) = arguments.rsplit_once(" = ")?;
    let path = result.split_once('<')?.1.rsplit_once('>')?.0;
    is_to_write.then(|| path.trim_end_matches("(deleted)").into())
}

fn poisoned(call: &str) -> Option<PathBuf> {
    let (name, arguments) = call.split_once('(')?;
    let path = arguments.split_once('<')?.1.split_once('>')?.0;
    (WRITES.contains(&name) && call.contains(POISON)).then(|| path.into())
}

fn is_terminal(path: &Path) -> bool {
    ["/dev/pts", "/dev/tty", "/dev/null", "/dev/ptmx"].iter().any(|terminal| path.starts_with(terminal))
}

fn is_memory(path: &Path) -> bool {
    path.starts_with("/dev/shm")
}
