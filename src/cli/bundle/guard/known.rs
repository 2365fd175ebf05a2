//! What the guard knows: the values of the project's bundle on the disk, or of the one in HEAD when that is gone or damaged; and of the
//! one that is staged, which has to open.

use super::Args;
use crate::bundle::{Bundle, BundleFile, Finding, Guard, Unlock, is_age_file};
use crate::cli::git::Git;
use crate::cli::shared::print_note;
use crate::cli::{Shared, unlock};
use crate::words::{Result, plural};
use std::path::{Path, PathBuf};

/// The bundle in the repository at work.
pub struct InGit<'a> {
    pub git: &'a Git,
    /// From the top of the work tree.
    pub path: PathBuf,
}

impl<'a> InGit<'a> {
    /// Nothing if the bundle lies elsewhere.
    pub fn of(git: &'a Git, bundle: &Path) -> Option<Self> {
        let directory = bundle.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
        let (top, directory) = (git.top().ok()?.canonicalize().ok()?, directory.canonicalize().ok()?);
        let path = directory.strip_prefix(top).ok()?.join(bundle.file_name()?);
        Some(Self { git, path })
    }

    fn bytes(&self, place: &str) -> Option<Vec<u8>> {
        self.git.blob(&self.git.object_at(place, &self.path).ok()??).ok()
    }
}

/// What was seen of the bundle before is not asked: nothing is taken from it.
pub fn guard(args: &Args, in_git: Option<&InGit>, shared: &Shared) -> Result<(Guard, Option<Finding>)> {
    let mut guard = Guard::new();
    let path = shared.project()?.bundle;
    let (unlock, opened) = match unlock::unlock(shared, &path) {
        Ok(unlock) => {
            unlock.password().into_iter().for_each(|password| guard.know_password(password));
            let opened = BundleFile::open(&path, &unlock);
            (Some(unlock), opened)
        }
        Err(error) => (None, Err(error)),
    };
    let staged = unlock.as_ref().and_then(|unlock| {
        let is_new = |bytes: &Vec<u8>| !opened.as_ref().is_ok_and(|(file, _)| file.is_sealed_as(bytes));
        let bytes = in_git?.bytes(":0").filter(is_new).filter(|bytes| is_age_file(bytes))?;
        Some(Bundle::from_sealed(&bytes, unlock))
    });
    let mut damaged = None;
    match staged {
        Some(Ok(bundle)) => guard.know(&bundle),
        Some(Err(error)) if !Unlock::has_nothing_for(&error) => {
            damaged = Some(Finding { line: None, what: format!("it does not open: {}", error.message()) });
        }
        _ => {}
    }
    match opened {
        Ok((_, bundle)) => guard.know(&bundle),
        Err(error) => match unlock.and_then(|unlock| in_head(in_git?, &unlock)) {
            Some(bundle) => {
                print_note(shared, &format!("note: {error}: the values of HEAD's are looked for"));
                guard.know(&bundle);
            }
            None if args.strict => return Err(error.hint("--strict: without its values nothing is let through")),
            None => {
                let note = format!("note: {error}: its values were not looked for, only keys and clear files");
                print_note(shared, &note);
            }
        },
    }
    tell_passed_over(&guard, shared);
    Ok((guard, damaged))
}

fn in_head(in_git: &InGit, unlock: &Unlock) -> Option<Bundle> {
    Bundle::from_sealed(&in_git.bytes("HEAD")?, unlock).ok()
}

fn tell_passed_over(guard: &Guard, shared: &Shared) {
    let names: Vec<&str> = guard.passed_over().iter().map(String::as_str).collect();
    if !names.is_empty() {
        let which = if shared.verbose > 0 {
            names.join(", ")
        } else {
            format!("{} (-v names them)", plural(names.len(), "secret"))
        };
        print_note(
            shared,
            &format!("note: not looked for, as too short, a plain word, number or address, or public: {which}"),
        );
    }
}
