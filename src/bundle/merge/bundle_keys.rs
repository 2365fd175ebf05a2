//! The keys of the bundle itself after a merge. One that is there only because this run made it is none.

use super::sides::Sides;
use crate::bundle::opened::Bundle;
use crate::words::{HostName, Secret};
use std::collections::BTreeSet;

pub fn merge(sides: &mut Sides, bundle: &mut Bundle) {
    let later = sides.later();
    let fingerprint = |value: &Secret| later.fingerprint(value.expose());
    let three = sides.three(|one| one.record.fingerprint_key.as_ref().filter(|_| !one.id().is_empty()));
    let key = sides.pick(|| "fingerprint key".to_owned(), three, fingerprint).cloned();
    bundle.record.fingerprint_key = key.or(sides.ours.record.fingerprint_key.clone());
    let three = sides.three(|one| one.backup_key.as_ref());
    bundle.backup_key = sides.pick(|| "backup key".to_owned(), three, fingerprint).cloned();
    former(sides, bundle);
    bundle.locked_backup_key = locked(sides, bundle);
    former_files(sides, bundle);
}

/// Hosts may have what either side put on them.
fn former_files(sides: &Sides, bundle: &mut Bundle) {
    let both = [sides.ours, sides.theirs].into_iter().flat_map(|side| &side.record.former_files);
    bundle.record.former_files = both.cloned().collect::<BTreeSet<_>>().into_iter().collect();
    for side in [sides.ours, sides.theirs] {
        let is_gone = |host: &HostName, key: &Secret| bundle.host_keys.get(host) != Some(key);
        let hosts: Vec<Secret> =
            side.host_keys.iter().filter(|(host, key)| is_gone(host, key)).map(|(_, key)| key.clone()).collect();
        let locked = side.locked_backup_key.clone().filter(|key| bundle.locked_backup_key.as_ref() != Some(key));
        hosts.iter().chain(&locked).for_each(|file| bundle.note_former(file));
    }
    bundle.record.former_files.sort();
}

/// Backups are sealed to the keys of both sides: whichever is not the key now is a former one.
fn former(sides: &Sides, bundle: &mut Bundle) {
    for side in [sides.ours, sides.theirs] {
        let own = side.backup_key.iter().map(|key| (side.generation(), key));
        for (generation, key) in side.former_backup_keys.iter().map(|(at, key)| (*at, key)).chain(own) {
            let is_there =
                bundle.backup_key.as_ref() == Some(key) || bundle.former_backup_keys.values().any(|one| one == key);
            let free = (generation..).find(|at| !bundle.former_backup_keys.contains_key(at));
            if let Some(at) = free.filter(|_| !is_there) {
                bundle.former_backup_keys.insert(at, key.clone());
            }
        }
    }
}

/// It is locked for the recipients, or by the password: while neither side changed those, the one that was locked last. Else the next save
/// locks it anew, for exactly those who are recipients then.
fn locked(sides: &Sides, bundle: &Bundle) -> Option<Secret> {
    let recipients =
        |one: &Bundle| one.recipients().iter().map(|recipient| recipient.key.clone()).collect::<BTreeSet<_>>();
    let agrees =
        |one: &Bundle| one.all_backup_keys() == bundle.all_backup_keys() && recipients(one) == recipients(bundle);
    if !agrees(sides.ours) || !agrees(sides.theirs) {
        return None;
    }
    // A new password may have locked it on their side.
    let is_ours_old = sides.base.is_some_and(|base| base.locked_backup_key == sides.ours.locked_backup_key);
    let from = if is_ours_old { sides.theirs } else { sides.ours };
    from.locked_backup_key.clone()
}
