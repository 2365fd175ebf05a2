//! `Opened`: a bundle that a command reads or changes: opened with what was seen of it before, saved, and told. What changes the bundle
//! goes through here, but for a merge and for a bundle that is new.

use crate::bundle::{Bundle, BundleFile};
use crate::cli::git::Git;
use crate::cli::last_seen::LastSeen;
use crate::cli::shared::{print_note, print_result};
use crate::cli::{Shared, under_way, unlock};
use crate::words::{Error, Result};
use serde_json::Value;

/// A bundle that was opened, and what this machine saw of it before.
pub struct Opened {
    pub file: BundleFile,
    pub bundle: Bundle,
    pub last_seen: LastSeen,
}

/// Opens the bundle. An older one, or another in its place, is refused before anybody types into it or reads from it.
pub fn open(shared: &Shared) -> Result<Opened> {
    let path = shared.project()?.bundle;
    // Looked at first: what somebody else saves while we open it is not older than what we open.
    let last_seen = LastSeen::of(&path);
    let (file, bundle) = BundleFile::open(&path, &unlock::unlock(shared, &path)?)?;
    let last_seen = last_seen?;
    if let Some(seen) = last_seen.check_branch(&bundle, &file, || is_committed(&file))? {
        let generation = bundle.generation();
        let note = format!(
            "note: generation {generation}, and {seen} was seen here: another branch? deploy takes it once it is the newer one, best by a merge"
        );
        print_note(shared, &note);
    }
    under_way::note(bundle.rotation(), &path);
    Ok(Opened { file, bundle, last_seen })
}

/// Is it exactly what this commit has? Then whoever put it there did it by git.
fn is_committed(file: &BundleFile) -> bool {
    let name = file.path().file_name().unwrap_or_default();
    let in_head = Git::around(file.path()).and_then(|git| git.in_revision("HEAD", name));
    in_head.is_ok_and(|bytes| file.is_sealed_as(&bytes))
}

/// Saves what changed; only then says what that was, and which generation it became. The fields are those of the JSON report.
pub fn save(opened: &mut Opened, what: &str, fields: Value, shared: &Shared) -> Result<()> {
    let is_saved = store(opened, (|_| Ok(()), |_| ()), shared)?;
    tell(opened, is_saved, what, fields, shared)
}

/// Saves what changed, unless with `--check`. Where something lies beside the bundle that has to fit it: what comes first, and what undoes that.
pub fn store(
    opened: &mut Opened,
    (first, undo): (impl FnOnce(&BundleFile) -> Result<()>, impl FnOnce(&BundleFile)),
    shared: &Shared,
) -> Result<bool> {
    let Opened { file, bundle, .. } = opened;
    if let Some(rotation) = bundle.rotation().filter(|_| bundle.is_changed()) {
        return Err(under_way::refusal(rotation, file.path()));
    }
    file.could_save(bundle)?;
    if bundle.is_changed() {
        refuse_conflict(file)?;
    }
    Ok(!shared.check && file.save_beside(bundle, first, undo)?)
}

pub fn tell(opened: &mut Opened, is_saved: bool, what: &str, fields: Value, shared: &Shared) -> Result<()> {
    let Opened { file, bundle, last_seen } = opened;
    if is_saved {
        last_seen.record_saved_on_branch(bundle, file)?;
    }
    print_note(shared, what);
    if shared.check {
        print_note(shared, "--check: nothing was written");
    } else if is_saved {
        print_note(shared, &generation(file, bundle));
    }
    report(bundle, fields, shared)
}

/// What git left in conflict is our side alone: what is saved upon it would lose theirs.
fn refuse_conflict(file: &BundleFile) -> Result<()> {
    let name = file.path().file_name().unwrap_or_default();
    if !Git::around(file.path()).is_ok_and(|git| git.is_in_conflict(name)) {
        return Ok(());
    }
    let name = file_name(file);
    Err(Error::new(format!("git has {name} in conflict, and their changes are not in it; nothing was changed"))
        .hint("merge them first: distribute bundle merge --ours NAME --theirs NAME, then git add")
        .hint(format!("or take this side as it is: git add {name}")))
}

/// The one JSON document of a command that changes the bundle, if JSON was asked for.
pub fn report(bundle: &Bundle, mut fields: Value, shared: &Shared) -> Result<()> {
    if !shared.is_json() {
        return Ok(());
    }
    fields["schema"] = "distribute.bundle/1".into();
    fields["check"] = shared.check.into();
    fields["generation"] = bundle.generation().into();
    print_result(&format!("{fields}\n"))
}

pub fn generation(file: &BundleFile, bundle: &Bundle) -> String {
    format!("{}: generation {}", file_name(file), bundle.generation())
}

fn file_name(file: &BundleFile) -> String {
    file.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}
