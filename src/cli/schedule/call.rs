//! `Call`: how this program is called when nobody is there: from which place, on which project, and opened with what. Every path is
//! absolute, and one that would break out of its line is refused.

use super::job::Job;
use crate::cli::Shared;
use crate::cli::last_seen;
use crate::cli::unlock::unlock;
use crate::words::{Error, Result, printable};
use std::path::{Path, PathBuf};

/// The same for every job.
pub struct Call {
    pub program: String,
    pub project: String,
    state_directory: Option<String>,
    options: Vec<Word>,
}

/// A part of the command line.
pub enum Word {
    Plain(String),
    /// The path of a file that only its owner may read; systemd hands it over under this name.
    Private {
        name: String,
        path: String,
    },
}

impl Call {
    /// As the options and the environment say now. What opens the bundle is read, so that a mistake is told today and not at 02:00.
    pub fn of(shared: &Shared) -> Result<Self> {
        let project = shared.project()?;
        unlock(shared, &project.bundle)?;
        let mut options = Vec::new();
        for (option, path) in
            [("--inventory", &shared.inventory), ("--bundle", &shared.bundle), ("--playbook", &shared.playbook)]
        {
            if let Some(path) = path {
                options.extend([plain(option), Word::Plain(text(&absolute(path)?)?)]);
            }
        }
        options.extend(openers(shared, &project.bundle)?);
        if let Some(hosts) = &shared.hosts {
            options.extend([plain("--hosts"), Word::Plain(line(hosts)?)]);
        }
        if let Some(forks) = shared.forks {
            options.extend([plain("--forks"), plain(&forks.to_string())]);
        }
        Ok(Self { program: program()?, project: project_of(shared)?, state_directory: state_directory()?, options })
    }

    /// Of a schedule that goes: only the names of its units count, and what opened the bundle may be gone.
    pub fn to_remove(shared: &Shared) -> Result<Self> {
        Ok(Self { program: String::new(), project: project_of(shared)?, state_directory: None, options: Vec::new() })
    }

    /// What the environment has to say: a name and a value. No option stands for it.
    pub fn variable(&self) -> Option<(&'static str, &str)> {
        self.state_directory.as_deref().map(|path| (last_seen::STATE_DIRECTORY, path))
    }

    /// The words behind the program.
    pub fn words<'a>(&'a self, job: &'a Job) -> impl Iterator<Item = Word> + 'a {
        let head = [plain("-C"), Word::Plain(self.project.clone())];
        head.into_iter().chain(self.options.iter().map(Word::copy)).chain(job.words.iter().map(|word| plain(word)))
    }

    /// The files that only their owner may read: the name under which systemd hands each over, and its path.
    pub fn private(&self) -> impl Iterator<Item = (&str, &str)> {
        self.options.iter().filter_map(|word| match word {
            Word::Private { name, path } => Some((name.as_str(), path.as_str())),
            Word::Plain(_) => None,
        })
    }
}

impl Word {
    fn copy(&self) -> Self {
        match self {
            Self::Plain(text) => Self::Plain(text.clone()),
            Self::Private { name, path } => Self::Private { name: name.clone(), path: path.clone() },
        }
    }
}

/// The project's directory, as every mark of ours names it.
pub fn project_of(shared: &Shared) -> Result<String> {
    text(&real(&shared.project()?.root)?)
}

fn plain(text: &str) -> Word {
    Word::Plain(text.to_owned())
}

/// What opens the bundle, in the order in which it is looked for by hand.
fn openers(shared: &Shared, bundle: &Path) -> Result<Vec<Word>> {
    let beside = bundle.with_file_name("vault-password");
    let password = shared.password_file.clone().or_else(|| beside.symlink_metadata().is_ok().then_some(beside));
    let mut words = Vec::new();
    if let Some(path) = password {
        words.extend([plain("--password-file"), private("vault-password".to_owned(), &path)?]);
    }
    let identities = shared.identity.iter().filter(|path| !path.as_os_str().is_empty());
    for (number, path) in identities.enumerate() {
        let name = if number == 0 { "identity".to_owned() } else { format!("identity-{}", number + 1) };
        words.extend([plain("--identity"), private(name, path)?]);
    }
    if words.is_empty() {
        return Err(Error::new("there is nothing that would open the bundle when nobody is there")
            .hint("name it: --password-file or --identity; or put vault-password beside the bundle"));
    }
    Ok(words)
}

fn private(name: String, path: &Path) -> Result<Word> {
    Ok(Word::Private { name, path: text(&in_real_directory(path)?)? })
}

/// Where the jobs remember what ran, and where `status --max-age` and the next rotation look for it.
fn state_directory() -> Result<Option<String>> {
    last_seen::state_directory_given().map(|path| text(&absolute(&path)?)).transpose()
}

fn program() -> Result<String> {
    let path = std::env::current_exe().map_err(|e| Error::new("finding this program").because(e))?;
    if !path.exists() {
        return Err(Error::new(format!("{} is no longer there: it was replaced while it ran", path.display()))
            .hint("run it again from where it is now"));
    }
    text(&path)
}

fn real(path: &Path) -> Result<PathBuf> {
    path.canonicalize().map_err(|e| Error::new(path.display().to_string()).because(e))
}

fn absolute(path: &Path) -> Result<PathBuf> {
    std::path::absolute(path).map_err(|e| Error::new(path.display().to_string()).because(e))
}

/// The file keeps its name: what it is a link to may change.
fn in_real_directory(path: &Path) -> Result<PathBuf> {
    let absolute = absolute(path)?;
    match (absolute.parent(), absolute.file_name()) {
        (Some(parent), Some(name)) => Ok(real(parent)?.join(name)),
        _ => Err(Error::new(format!("{} names no file", path.display()))),
    }
}

fn text(path: &Path) -> Result<String> {
    let shown = || printable(path.as_os_str().as_encoded_bytes(), 400);
    let text = path.to_str().ok_or_else(|| Error::new(format!("{}: the path is not UTF-8 text", shown())))?;
    line(text)
}

/// Text that stays within its line, also where a line that ends in a backslash would go on in the next.
fn line(text: &str) -> Result<String> {
    let breaks = |why: &str| {
        let message = format!("`{}` cannot be written into a schedule: {why}", printable(text.as_bytes(), 400));
        Err(Error::new(message).hint("move it to a path without such characters"))
    };
    match () {
        () if text.chars().any(char::is_control) => breaks("it holds a line break or another control character"),
        () if text.ends_with('\\') => breaks("it ends in a backslash"),
        () if text.trim_end() != text => breaks("it ends in a space"),
        () => Ok(text.to_owned()),
    }
}

#[cfg(test)]
impl Call {
    /// With a password file, as if the options had said so.
    pub fn fixture(program: &str, project: &str, password: &str) -> Self {
        let private = Word::Private { name: "vault-password".to_owned(), path: password.to_owned() };
        Self {
            program: program.to_owned(),
            project: project.to_owned(),
            state_directory: None,
            options: vec![plain("--password-file"), private],
        }
    }

    /// As if DISTRIBUTE_STATE_DIR had been set.
    pub fn with_state_directory(self, path: &str) -> Self {
        Self { state_directory: Some(path.to_owned()), ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_would_leave_its_line_is_refused() {
        for bad in ["/srv/a\nb", "/srv/a\rb", "/srv/a\u{85}b", "/srv/a\\", "/srv/a ", "/srv/a\tb"] {
            let error = line(bad).unwrap_err();
            assert!(!error.message().chars().any(char::is_control), "{error}");
        }
        for good in ["/srv/a b", "/srv/%h$x", "/srv/a\\b", "/srv/\"'", "/srv/ä"] {
            assert_eq!(line(good).unwrap(), good);
        }
    }
}
