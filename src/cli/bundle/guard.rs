//! `bundle guard`: looks at what is about to be committed and refuses secrets in clear text. git runs it as its pre-commit hook.

mod known;
mod unsettled;

use crate::bundle::{Finding, Guard};
use crate::cli::git::{Git, cannot_be_run, parts, path_of};
use crate::cli::shared::{print_error, print_result};
use crate::cli::{Shared, unlock};
use crate::words::{Error, Result, plural, printable};
use known::InGit;
use serde_json::json;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ExitCode, Stdio};

/// Of a submodule git has no content here.
const SUBMODULE: &[u8] = b"160000";
const LONGEST_PATH: usize = 1000;

#[derive(clap::Args)]
pub struct Args {
    /// Look at every file that git tracks, not only at what is about to be committed
    #[arg(long)]
    all: bool,
    /// Refuse when the bundle cannot be opened, for then its values are not looked for
    #[arg(long)]
    strict: bool,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let git = Git::at_work(shared.directory.as_deref())?;
    let files = if args.all { tracked(&git)? } else { staged(&git)? };
    let in_git = InGit::of(&git, &shared.project()?.bundle);
    let mut found = Vec::new();
    let mut hints = Vec::new();
    if let Some(InGit { path, .. }) = in_git.as_ref().filter(|_| !args.all) {
        let finding = unsettled::finding(&git, path, || unlock::unlock(shared, &shared.project()?.bundle))?;
        hints = finding.iter().flat_map(|_| unsettled::hints(&shown(&path.to_string_lossy()))).collect();
        found.extend(finding.map(|finding| (path.to_string_lossy().into_owned(), finding)));
    }
    if !files.is_empty() {
        let (guard, damaged) = known::guard(&args, in_git.as_ref(), shared)?;
        let name = in_git.map(|bundle| bundle.path.to_string_lossy().into_owned()).unwrap_or_default();
        found.extend(damaged.map(|finding| (name, finding)));
        found.extend(look(&git, &guard, &files)?);
    }
    if shared.is_json() {
        print_result(&format!("{}\n", as_json(&found, files.len())))?;
    }
    if found.is_empty() {
        shared.detail(format_args!("{} looked at: nothing to object to", plural(files.len(), "file")));
        return Ok(ExitCode::SUCCESS);
    }
    print_error(&hints.into_iter().fold(refusal(&found, args.all), Error::hint));
    Ok(ExitCode::from(1))
}

/// A file in git: its content by name, and where it lies.
struct Tracked {
    blob: String,
    path: PathBuf,
}

impl Tracked {
    fn of(mode: &[u8], blob: &[u8], path: &[u8]) -> Option<Self> {
        let is_there = blob.iter().any(|digit| *digit != b'0');
        let blob = String::from_utf8_lossy(blob).into_owned();
        (mode != SUBMODULE && is_there).then(|| Self { blob, path: path_of(path).to_owned() })
    }

    fn name(&self) -> String {
        self.path.to_string_lossy().into_owned()
    }
}

/// What the index has and HEAD has not; all of it in the first commit.
fn staged(git: &Git) -> Result<Vec<Tracked>> {
    let words = ["diff", "--cached", "--raw", "-z", "--no-abbrev", "--no-renames", "--no-relative", "--no-color"];
    let more = ["--no-ext-diff", "--no-textconv", "--ignore-submodules=none", "--diff-filter=ACMRT"];
    let bytes = git.bytes(&[&words[..], &more].concat())?;
    let list: Vec<&[u8]> = parts(&bytes).collect();
    // `:100644 100644 OLD NEW M`, then the path
    let one = |pair: &[&[u8]]| {
        let mut fields = pair[0].split(|byte| *byte == b' ');
        Tracked::of(fields.nth(1)?, fields.nth(1)?, pair.get(1)?)
    };
    Ok(list.chunks(2).filter_map(one).collect())
}

/// Every file in the index, the sides of a conflict too.
fn tracked(git: &Git) -> Result<Vec<Tracked>> {
    let top = git.top()?;
    let bytes = Git::at_work(Some(&top))?.bytes(&["ls-files", "-z", "--stage"])?;
    // `100644 BLOB 0`, a tab, the path
    let one = |part: &[u8]| {
        let tab = part.iter().position(|byte| *byte == b'\t')?;
        let mut fields = part[..tab].split(|byte| *byte == b' ');
        Tracked::of(fields.next()?, fields.next()?, &part[tab + 1..])
    };
    Ok(parts(&bytes).filter_map(one).collect())
}

/// Each file, as git has it: what is committed is the index, not what lies in the work tree.
fn look(git: &Git, guard: &Guard, files: &[Tracked]) -> Result<Vec<(String, Finding)>> {
    let mut blobs = Blobs::start(git)?;
    let mut found = Vec::new();
    for file in files {
        let failed = |error| Error::new(format!("blob {}", file.blob)).because(error);
        let in_name = guard.is_in_name(file.path.as_os_str().as_encoded_bytes());
        let findings = blobs.read(&file.blob, |content| guard.look(&file.name(), content)).map_err(failed)?;
        // A name that is a secret is not shown; git knows the content by this one.
        let name = if in_name.is_some() { format!("blob {:.12}", file.blob) } else { file.name() };
        found.extend(in_name.into_iter().chain(findings).map(|finding| (name.clone(), finding)));
    }
    Ok(found)
}

/// `git cat-file --batch`: asked for one content after another.
struct Blobs {
    child: Child,
    answers: BufReader<std::process::ChildStdout>,
}

impl Blobs {
    fn start(git: &Git) -> Result<Self> {
        let mut command = git.command(&["cat-file", "--batch"]);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(cannot_be_run)?;
        let answers = BufReader::new(child.stdout.take().expect("it is piped"));
        Ok(Self { child, answers })
    }

    /// Hands the content to the reader, which reads it to its end.
    fn read<T>(&mut self, blob: &str, read: impl FnOnce(&mut dyn Read) -> std::io::Result<T>) -> std::io::Result<T> {
        let questions = self.child.stdin.as_mut().expect("it is piped");
        writeln!(questions, "{blob}")?;
        questions.flush()?;
        // `BLOB blob SIZE`, the content, a newline
        let mut head = String::new();
        self.answers.read_line(&mut head)?;
        let size = head.trim_end().rsplit(' ').next().and_then(|size| size.parse::<u64>().ok());
        let missing =
            || std::io::Error::other(format!("git has no content for it: {}", printable(head.as_bytes(), 100)));
        let mut content = self.answers.by_ref().take(size.ok_or_else(missing)?);
        let result = read(&mut content)?;
        std::io::copy(&mut content, &mut std::io::sink())?;
        self.answers.read_exact(&mut [0])?;
        Ok(result)
    }
}

impl Drop for Blobs {
    fn drop(&mut self) {
        drop(self.child.stdin.take()); // it ends when nobody asks any more
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A name may hold anything but NUL, also newlines and what moves a terminal's cursor.
fn shown(path: &str) -> String {
    match path.chars().any(char::is_control) {
        true => format!("\"{}\"", printable(path.escape_debug().to_string().as_bytes(), LONGEST_PATH)),
        false => printable(path.as_bytes(), LONGEST_PATH),
    }
}

fn refusal(found: &[(String, Finding)], is_all: bool) -> Error {
    let count = plural(found.len(), "thing");
    let mut error = Error::new(match is_all {
        true => format!("git tracks {count} that others must not see"),
        false => format!("{count} that must not be committed"),
    });
    for (path, finding) in found {
        let line = finding.line.map_or(String::new(), |line| format!(":{line}"));
        error = error.hint(format!("{}{line}: {}", shown(path), finding.what));
    }
    match is_all {
        true => error.hint(
            "what was committed is known to whoever has the repository: give it a new value (`distribute rotate`)",
        ),
        false => {
            error.hint("take it out: git restore --staged FILE; what is meant all the same: git commit --no-verify")
        }
    }
}

fn as_json(found: &[(String, Finding)], files: usize) -> serde_json::Value {
    let one = |(path, finding): &(String, Finding)| json!({ "path": path, "line": finding.line, "what": finding.what });
    json!({
        "schema": "distribute.bundle/1", "command": "bundle guard", "files": files,
        "findings": found.iter().map(one).collect::<Vec<_>>(),
    })
}
