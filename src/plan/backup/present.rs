//! What is really in a live set, hand edits included, as a backup: which names to read back, and what they make.

use super::{Backup, Label, LabelledFile, Why};
use crate::plan::desired::sha256;
use crate::plan::{DesiredSet, Kind, Purpose, RootFacts, policy};
use crate::words::{Failure, Phase, RunId, Secret};
use std::collections::BTreeMap;

/// The names below the root to read back, and about how many bytes they are.
///
/// # Errors
/// When no set of ours is live there.
pub fn names_of_present(set: &DesiredSet, facts: &RootFacts) -> Result<(Vec<String>, u64), Failure> {
    let live = facts.live.as_deref().filter(|live| policy::run_of_set(live).is_some());
    let Some(live) = live else {
        return Err(Failure::new(
            Phase::Exec,
            format!("{}/secrets holds no set of ours: there is nothing to back up", set.root),
        )
        .hint(format!("put its secrets there first: distribute setup --hosts {}", set.host)));
    };
    let mut names = vec![format!("secrets/{live}")];
    names.extend(replaced(set, facts).map(|name| format!("secrets/{name}")));
    let is_below = |path: &str| {
        names.iter().any(|name| path.strip_prefix(&**name).is_some_and(|rest| rest.is_empty() || rest.starts_with('/')))
    };
    let sizes = facts.entries.iter().filter(|(path, stat)| stat.kind == Kind::File && is_below(path));
    // A header, and the rest of a block, for each.
    let bytes = sizes.map(|(_, stat)| stat.size + 1536).sum::<u64>() + 64 * 1024;
    Ok((names, bytes))
}

/// Names in `secrets/` where something else stands than our link: what applications read there is not what is in the set.
fn replaced<'a>(set: &'a DesiredSet, facts: &'a RootFacts) -> impl Iterator<Item = String> + 'a {
    let known = facts.manifest.files.keys().filter_map(|path| path.split('/').next()).map(str::to_owned);
    let names: std::collections::BTreeSet<String> = set.link_names().into_iter().chain(known).collect();
    names.into_iter().filter(|name| {
        let stat = facts.entries.get(&format!("secrets/{name}"));
        stat.is_some_and(|stat| matches!(stat.kind, Kind::File | Kind::Directory))
    })
}

/// Is our link gone that leads to this file of the set?
fn is_unlinked(facts: &RootFacts, path: &str) -> bool {
    let name = path.split('/').next().unwrap_or(path);
    facts.manifest.files.contains_key(path) && !facts.entries.contains_key(&format!("secrets/{name}"))
}

/// Makes a backup of what was read back.
pub fn present(
    set: &DesiredSet,
    facts: &RootFacts,
    run: &RunId,
    why: Why,
    read: BTreeMap<String, Secret>,
    purpose: &Purpose,
) -> Backup {
    let live = facts.live.as_deref().unwrap_or_default();
    let in_set = format!("secrets/{live}/");
    let replaced: Vec<String> = replaced(set, facts).collect();
    let mut files = BTreeMap::new();
    let mut places = BTreeMap::new();
    for (place, content) in read {
        let path = match place.strip_prefix(&in_set) {
            // What stands in the place of a link hides what is in the set.
            Some(path) if replaced.iter().any(|name| path.split('/').next() == Some(name)) => continue,
            Some(path) => path.to_owned(),
            None => place.strip_prefix("secrets/").unwrap_or(&place).to_owned(),
        };
        files.insert(path.clone(), content);
        places.insert(path, place);
    }
    let mut label = Label::empty(set, run, why, purpose.bundle_id);
    label.of = policy::run_of_set(live);
    label.removed = facts.manifest.files.keys().filter(|path| !files.contains_key(*path)).cloned().collect();
    label.files =
        files.iter().map(|(path, content)| labelled(set, facts, path, &places[path], content, purpose)).collect();
    let vault_password = set.vault_password.clone();
    Backup { label, files, vault_password, keepsake: Secret::new(Vec::new()) }
}

fn labelled(
    set: &DesiredSet,
    facts: &RootFacts,
    path: &str,
    place: &str,
    content: &Secret,
    purpose: &Purpose,
) -> LabelledFile {
    let sha256 = sha256(content.expose());
    let stat = facts.entries.get(place);
    let wanted = set.files.iter().find(|file| file.path == path);
    let is_ours = facts.manifest.files.get(path).is_some_and(|mac| *mac == (purpose.mac)(sha256.as_bytes()));
    LabelledFile {
        service: wanted.map(|file| file.service.clone()),
        mode: stat.map_or(policy::FILE, |stat| stat.mode),
        owner: stat.map_or_else(|| "root".to_owned(), |stat| stat.user.clone()),
        group: stat.map_or_else(|| "root".to_owned(), |stat| stat.group.clone()),
        edited: !is_ours || is_unlinked(facts, path),
        ..LabelledFile::of(path, sha256, wanted)
    }
}
