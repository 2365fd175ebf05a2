//! A merge or a cherry-pick that left the bundle in conflict, and is about to be committed with our side as it was: what they changed
//! would be lost without a word.

use crate::bundle::{Bundle, Difference, Finding, Merged, Side, Unlock, merge};
use crate::cli::git::Git;
use crate::words::{Result, listed};
use std::path::Path;

/// The bundle as git has it, as both began and on each side.
struct Blobs {
    base: Option<String>,
    ours: String,
    theirs: String,
}

/// What is wrong with the bundle at this path from the top, if a merge is going on.
pub fn finding(git: &Git, path: &Path, unlock: impl FnOnce() -> Result<Unlock>) -> Result<Option<Finding>> {
    let Some(blobs) = blobs(git, path)? else { return Ok(None) };
    let lost = unlock().ok().and_then(|unlock| lost(git, &blobs, &unlock));
    let what = match lost.as_deref() {
        Some([]) => return Ok(None),
        Some(names) => format!("this is our side as it was, and their changes would be lost: {}", listed(names)),
        None => "this is our side as it was, and what they changed would be lost".to_owned(),
    };
    Ok(Some(Finding { line: None, what }))
}

pub fn hints(path: &str) -> [String; 2] {
    [
        "settle it: distribute bundle merge --ours NAME --theirs NAME ('*' is the rest), then git add".to_owned(),
        format!("after a `git add` of one side, first: git checkout --merge -- {path}"),
    ]
}

/// Nothing unless what is staged is our side, and theirs is another than that and than what both began with.
fn blobs(git: &Git, path: &Path) -> Result<Option<Blobs>> {
    let Some((theirs, base)) = heads(git)? else { return Ok(None) };
    let at = |place: &str| git.object_at(place, path);
    let (staged, ours, theirs) = (at(":0")?, at("HEAD")?, at(&theirs)?);
    let base = base.map_or(Ok(None), |base| at(&base))?;
    Ok(match (ours, theirs) {
        (Some(ours), Some(theirs))
            if staged.as_ref() == Some(&ours) && theirs != ours && base.as_ref() != Some(&theirs) =>
        {
            Some(Blobs { base, ours, theirs })
        }
        _ => None,
    })
}

/// The commit that comes in, and the one that its changes begin with.
fn heads(git: &Git) -> Result<Option<(String, Option<String>)>> {
    let commit = |name: &str| git.line(&["rev-parse", "--verify", "--quiet", &format!("{name}^{{commit}}")]);
    if let Some(theirs) = commit("MERGE_HEAD")? {
        let base = git.line(&["merge-base", "HEAD", &theirs])?;
        return Ok(Some((theirs, base)));
    }
    let Some(picked) = commit("CHERRY_PICK_HEAD")? else { return Ok(None) };
    let base = commit("CHERRY_PICK_HEAD^")?;
    Ok(Some((picked, base)))
}

/// The names of what they changed; none if our side has it all, `None` if that cannot be told.
fn lost(git: &Git, blobs: &Blobs, unlock: &Unlock) -> Option<Vec<String>> {
    let open = |blob: &str| Bundle::from_sealed(&git.blob(blob).ok()?, unlock).ok();
    let (base, ours, theirs) = (blobs.base.as_deref().and_then(open), open(&blobs.ours)?, open(&blobs.theirs)?);
    let merged = merge(base.as_ref(), &ours, &theirs, &|_| None).ok()?;
    if matches!(merged.merged, Merged::Side(Side::Ours)) {
        return Some(Vec::new());
    }
    let changes = Difference::between(base.as_ref().unwrap_or(&ours), &theirs);
    let names = changes.all().map(|one| match one.field {
        "value" => one.name.clone(),
        field => format!("{field} {}", one.name),
    });
    let names: Vec<String> = names.chain(changes.texts.iter().map(ToString::to_string)).collect();
    Some(names).filter(|names| !names.is_empty())
}
