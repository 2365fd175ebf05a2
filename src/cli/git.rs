//! `Git`: the git program, run in one directory with arguments that no shell sees. What it says is data.

use crate::words::{Error, Result, printable};
use std::ffi::{OsStr, OsString};
use std::io::Read;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use zeroize::Zeroizing;

/// A bundle is no larger, and other answers are much smaller.
const LARGEST: u64 = 64 << 20;
/// What git tells its hooks of the repository at work. Elsewhere it would lead us to that one instead of ours.
const OF_A_REPOSITORY: [&str; 12] = [
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
    "GIT_COMMON_DIR",
    "GIT_OBJECT_DIRECTORY",
    "GIT_ALTERNATE_OBJECT_DIRECTORIES",
    "GIT_IMPLICIT_WORK_TREE",
    "GIT_NAMESPACE",
    "GIT_CONFIG",
    "GIT_GRAFT_FILE",
    "GIT_SHALLOW_FILE",
];
/// What changes answers anywhere.
const OF_A_USER: [&str; 7] = [
    "GIT_EXTERNAL_DIFF",
    "GIT_DIFF_OPTS",
    "GIT_LITERAL_PATHSPECS",
    "GIT_GLOB_PATHSPECS",
    "GIT_NOGLOB_PATHSPECS",
    "GIT_ICASE_PATHSPECS",
    "GIT_QUARANTINE_PATH",
];

/// git in a directory.
pub struct Git {
    directory: PathBuf,
    is_hook: bool,
}

impl Git {
    /// In the repository that this file lies in, whatever repository a hook is at work on.
    ///
    /// # Errors
    /// When it lies in none.
    pub fn around(file: &Path) -> Result<Self> {
        let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let git = Self { directory: directory.to_owned(), is_hook: false };
        git.in_work_tree().map(|()| git).map_err(|error| error.at(file.display()))
    }

    /// In the repository at work: the one of the hook that we are, with the index that is about to be committed; else the one around this
    /// directory.
    ///
    /// # Errors
    /// When there is none.
    pub fn at_work(directory: Option<&Path>) -> Result<Self> {
        let git = Self { directory: directory.unwrap_or(Path::new(".")).to_owned(), is_hook: directory.is_none() };
        git.in_work_tree().map(|()| git)
    }

    fn in_work_tree(&self) -> Result<()> {
        match self.line(&["rev-parse", "--is-inside-work-tree"])?.as_deref() {
            Some("true") => Ok(()),
            _ => Err(Error::new("it is not in a git repository, or not in its work tree")
                .hint("`git init` makes one; a repository of another user needs git's safe.directory")),
        }
    }

    /// A command in this repository.
    pub fn command<A: AsRef<OsStr>>(&self, args: &[A]) -> Command {
        let mut command = Command::new("git");
        command.arg("--no-pager").args(args).current_dir(&self.directory);
        for name in OF_A_USER.iter().chain(OF_A_REPOSITORY.iter().filter(|_| !self.is_hook)) {
            command.env_remove(name);
        }
        command.env("GIT_OPTIONAL_LOCKS", "0").stdin(Stdio::null());
        command
    }

    fn output<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Output> {
        let mut child =
            self.command(args).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(cannot_be_run)?;
        // Beside stdout: a git that warns a lot would wait for somebody who reads that.
        let mut errors = child.stderr.take().expect("it is piped");
        let said = std::thread::spawn(move || {
            let mut all = Vec::new();
            let _ = errors.read_to_end(&mut all);
            all
        });
        let mut stdout = Vec::new();
        let pipe = child.stdout.take().expect("it is piped");
        pipe.take(LARGEST + 1).read_to_end(&mut stdout).map_err(cannot_be_run)?;
        if stdout.len() as u64 > LARGEST {
            let _ = child.kill();
            let _ = child.wait();
            return Err(Error::new("git answers with more than 64 MiB"));
        }
        let status = child.wait().map_err(cannot_be_run)?;
        Ok(Output { status, stdout, stderr: said.join().unwrap_or_default() })
    }

    /// What it writes to stdout.
    ///
    /// # Errors
    /// When it fails, with what it said.
    pub fn bytes<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Vec<u8>> {
        let output = self.output(args)?;
        match output.status.success() {
            true => Ok(output.stdout),
            false => Err(refusal(args, &output)),
        }
    }

    /// The one line that it writes; `None` when it ends with a failure, as many questions are answered.
    ///
    /// # Errors
    /// When it cannot be run, or ends by a signal.
    pub fn line<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Option<String>> {
        Ok(self.path(args)?.map(|path| path.to_string_lossy().into_owned()))
    }

    /// The same for a path, which need not be text.
    ///
    /// # Errors
    /// When it cannot be run, or ends by a signal.
    pub fn path<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<Option<PathBuf>> {
        let output = self.output(args)?;
        match output.status.code() {
            Some(0) => {
                let bytes = output.stdout.strip_suffix(b"\n").unwrap_or(&output.stdout);
                Ok(Some(OsString::from_vec(bytes.to_vec()).into()))
            }
            Some(_) => Ok(None),
            None => Err(refusal(args, &output)),
        }
    }

    /// Does it end well? For questions that are answered by the exit code.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn is_so<A: AsRef<OsStr>>(&self, args: &[A]) -> Result<bool> {
        Ok(self.output(args)?.status.success())
    }

    /// The top of the work tree.
    ///
    /// # Errors
    /// When git does not say.
    pub fn top(&self) -> Result<PathBuf> {
        self.path(&["rev-parse", "--show-toplevel"])?
            .ok_or_else(|| Error::new("git does not say where its work tree is"))
    }

    /// A file beside the working directory of these commands, as it is in a revision.
    ///
    /// # Errors
    /// When there is no such revision, or the file is not in it.
    pub fn in_revision(&self, revision: &str, name: &OsStr) -> Result<Vec<u8>> {
        let shown = printable(revision.as_bytes(), 80);
        let tree = format!("{revision}^{{tree}}");
        let tree = self.line(&["rev-parse", "--verify", "--quiet", "--end-of-options", &tree])?;
        let tree = tree.filter(|_| !revision.is_empty() && !revision.starts_with('-')).ok_or_else(|| {
            Error::new(format!("git knows no revision `{shown}`"))
                .hint("a revision is a commit, a branch, a tag, HEAD~3, ... with a bundle in it")
        })?;
        let blob = self.object(&tree, name)?;
        let missing = || Error::new(format!("there is no {} in {shown}", name.to_string_lossy()));
        self.blob(&blob.ok_or_else(missing)?)
    }

    /// The same as it is in a stage of the index, where two branches meet: 1 is the base, 2 ours, 3 theirs.
    ///
    /// # Errors
    /// When git fails.
    pub fn in_stage(&self, stage: u8, name: &OsStr) -> Result<Option<Vec<u8>>> {
        self.object(&format!(":{stage}"), name)?.map(|blob| self.blob(&blob)).transpose()
    }

    fn object(&self, place: &str, name: &OsStr) -> Result<Option<String>> {
        let mut at = OsString::from(format!("{place}:./"));
        at.push(name);
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options"].map(OsStr::new);
        self.line(&[&words[..], &[&at]].concat())
    }

    /// Did a merge leave it in conflict?
    pub fn is_in_conflict(&self, name: &OsStr) -> bool {
        [2, 3].iter().any(|stage| self.object(&format!(":{stage}"), name).is_ok_and(|object| object.is_some()))
    }

    /// What lies at a path from the top: in a commit, or in a stage of the index, as `:0`.
    ///
    /// # Errors
    /// When git fails.
    pub fn object_at(&self, place: &str, path: &Path) -> Result<Option<String>> {
        let mut at = OsString::from(format!("{place}:"));
        at.push(path);
        let words = ["rev-parse", "--verify", "--quiet", "--end-of-options"].map(OsStr::new);
        self.line(&[&words[..], &[&at]].concat())
    }

    /// The content of one.
    ///
    /// # Errors
    /// When there is none, or git fails.
    pub fn blob(&self, object: &str) -> Result<Vec<u8>> {
        self.bytes(&["cat-file", "blob", object])
    }
}

/// The parts between NUL bytes.
pub fn parts(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|byte| *byte == 0).filter(|part| !part.is_empty())
}

/// A path as git writes it with -z.
pub fn path_of(bytes: &[u8]) -> &Path {
    Path::new(OsStr::from_bytes(bytes))
}

pub fn cannot_be_run(error: std::io::Error) -> Error {
    Error::new("git cannot be run").because(error)
}

fn refusal<A: AsRef<OsStr>>(args: &[A], output: &Output) -> Error {
    let said = Zeroizing::new(String::from_utf8_lossy(&output.stderr).into_owned());
    let first = said.lines().next().unwrap_or_default();
    let command: Vec<_> = args.iter().map(|arg| arg.as_ref().to_string_lossy()).take(2).collect();
    Error::new(format!("git {}: {}, {}", command.join(" "), output.status, printable(first.as_bytes(), 200)))
}
