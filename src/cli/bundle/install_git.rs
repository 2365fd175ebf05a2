//! `bundle install-git`: tells this repository and this clone of it to diff, merge and guard the bundle. What is there already stays;
//! a second run changes nothing.

mod attributes;
mod hook;

use super::merge::quoted;
use crate::cli::Shared;
use crate::cli::git::Git;
use crate::cli::shared::{print_note, print_result};
use crate::words::{Error, Result, Temporary, sync_directory};
use attributes::Attributes;
use serde_json::json;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::path::{Path, PathBuf};

#[derive(clap::Args)]
pub struct Args {
    /// Take out what it wrote; lines of .gitignore stay
    #[arg(long)]
    remove: bool,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let bundle = shared.project()?.bundle;
    let place = Place::of(&bundle)?;
    let mut attributes = Attributes::read(&place.top.join(".gitattributes"))?;
    let is_new = attributes.set(&place.name, !args.remove);
    let bundles = attributes.bundles();
    let mut work = Work { shared, done: Vec::new(), left: Vec::new() };
    if is_new {
        let what = if args.remove { "out of" } else { "into" };
        work.write(&attributes.path, attributes.text(), &format!("{} {what} .gitattributes", place.name))?;
    }
    place.configure(&bundles, &mut work)?;
    hook::install(&place, &bundles, &mut work)?;
    if !args.remove {
        place.ignore_password(&mut work)?;
    }
    work.report(&args)
}

/// Where the bundle lies in its repository.
struct Place {
    git: Git,
    top: PathBuf,
    /// From the top of the work tree, as git says it.
    name: String,
    /// How to call this program, for a shell.
    program: String,
}

impl Place {
    fn of(bundle: &Path) -> Result<Self> {
        let git = Git::around(bundle)?;
        let top = git.top()?;
        let prefix = git.line(&["rev-parse", "--show-prefix"])?.unwrap_or_default();
        let name = bundle.file_name().unwrap_or(OsStr::new("secrets.age")).to_string_lossy();
        let name = format!("{prefix}{name}");
        let is_fine = |c: char| c.is_alphanumeric() || "-_./@+ ,=".contains(c);
        if !name.chars().all(is_fine) {
            return Err(Error::new("the bundle's path has characters that .gitattributes gives a meaning to")
                .hint("letters, digits, blanks and - _ . / @ + , = are fine"));
        }
        let program = std::env::current_exe().map_err(|e| Error::new("finding this program").because(e))?;
        let program = program.to_str().ok_or_else(|| Error::new("the path of this program is not text"))?;
        let program = format!("'{}'", program.replace('\'', r"'\''"));
        Ok(Self { git, top, name, program })
    }

    /// Driver and textconv are of this clone: git takes no commands from a repository.
    fn configure(&self, bundles: &[String], work: &mut Work) -> Result<()> {
        let beside: String = bundles.iter().map(|name| format!(" --beside {}", quoted(name))).collect();
        // git puts its own words where there is a percent sign.
        let program = self.program.replace('%', "%%");
        let wanted = [
            ("diff.distribute.textconv", format!("{} bundle textconv{beside}", self.program)),
            ("diff.distribute.cachetextconv", "false".to_owned()),
            ("merge.distribute.name", "distribute: by key and by file".to_owned()),
            ("merge.distribute.driver", format!("{program} bundle merge %O %A %B --path %P")),
            // Of several common ancestors, git makes one: nobody is asked about that.
            ("merge.distribute.recursive", "binary".to_owned()),
        ];
        for (key, value) in wanted {
            let value = Some(value).filter(|_| !bundles.is_empty());
            let there = self.git.line(&["config", "--local", "--get", key])?;
            if there == value {
                continue;
            }
            let words = match &value {
                Some(value) => vec!["config", "--local", "--replace-all", key, value],
                None => vec!["config", "--local", "--unset-all", key],
            };
            if !work.shared.check {
                self.git.bytes(&words)?;
            }
            let what = if value.is_some() { "set" } else { "taken out" };
            work.done.push(format!("git config {key}: {what}"));
        }
        Ok(())
    }

    /// The password beside the bundle must not be committed.
    fn ignore_password(&self, work: &mut Work) -> Result<()> {
        let password = Path::new(&self.name).with_file_name("vault-password");
        let password = password.to_string_lossy();
        let top = Git::at_work(Some(&self.top))?;
        if top.is_so(&["ls-files", "--error-unmatch", "--", &password])? {
            work.left.push(format!(
                "{password} is tracked by git: git rm --cached {}, and give the bundle a new password",
                quoted(&password)
            ));
        }
        if top.is_so(&["check-ignore", "--quiet", "--no-index", "--", &password])? {
            return Ok(());
        }
        let path = self.top.join(".gitignore");
        let text = with_line(&text_of(&path)?, &format!("/{password}"));
        work.write(&path, text, &format!("{password} into .gitignore"))
    }
}

/// What was done, or would be, and what is left to somebody.
struct Work<'a> {
    shared: &'a Shared,
    done: Vec<String>,
    left: Vec<String>,
}

impl Work<'_> {
    /// The text takes the file's place; a file without text goes.
    fn write(&mut self, path: &Path, text: String, what: &str) -> Result<()> {
        self.done.push(what.to_owned());
        if self.shared.check {
            return Ok(());
        }
        if text.is_empty() {
            return fs::remove_file(path).map_err(|e| Error::new(path.display().to_string()).because(e));
        }
        refuse_link(path)?;
        let old = File::open(path).ok();
        let temporary = Temporary::write(path, text.as_bytes(), old.as_ref())?;
        if old.is_none() {
            set_mode(&temporary.path, 0o644)?;
        }
        temporary.rename().and_then(|()| sync_directory(path))
    }

    fn report(&self, args: &Args) -> Result<()> {
        let (shared, check) = (self.shared, self.shared.check);
        if shared.is_json() {
            let report = json!({
                "schema": "distribute.bundle/1", "command": "bundle install-git", "check": check, "remove": args.remove,
                "done": self.done, "left": self.left,
            });
            print_result(&format!("{report}\n"))?;
        }
        for line in &self.done {
            print_note(shared, line);
        }
        match (self.done.is_empty(), check) {
            (true, _) => print_note(shared, "nothing to do"),
            (false, true) => print_note(shared, "--check: nothing was written"),
            (false, false) => {}
        }
        self.left.iter().for_each(|line| print_note(shared, &format!("left to you: {line}")));
        if !check && self.done.iter().any(|line| line.contains(".git")) {
            print_note(shared, "commit what changed in .gitattributes and .gitignore; in each clone, run this once");
        }
        Ok(())
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<()> {
    use std::os::unix::fs::PermissionsExt;
    let set = fs::set_permissions(path, fs::Permissions::from_mode(mode));
    set.map_err(|e| Error::new(path.display().to_string()).because(e))
}

fn refuse_link(path: &Path) -> Result<()> {
    match path.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
        true => Err(Error::new(format!("{} is a symbolic link; it was not written", path.display()))),
        false => Ok(()),
    }
}

/// Empty if there is no such file.
fn text_of(path: &Path) -> Result<String> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(Error::new(path.display().to_string()).because(error)),
    }
}

fn with_line(text: &str, line: &str) -> String {
    let newline = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    format!("{text}{newline}{line}\n")
}
