//! Three bundles come in, as git keeps them: what two people began with, and what each made of it. One bundle leaves, with the changes
//! of both, by key and by file; or the places where both changed the same thing, each by its name. Pure: no disk, no clock, no question.

mod conflict;
mod enrolments;
mod env_text;
mod history;
mod metadata;
mod recipients;
mod rotation;
mod sides;
#[cfg(test)]
mod tests;
mod values;

use super::opened::Bundle;
use super::record::Record;
use crate::words::{Error, Result, Secret};
pub use conflict::{Conflict, Side};
pub(super) use enrolments::keys as host_keys;
pub(super) use sides::shown;
use sides::{Sides, merged_map};
use std::collections::BTreeSet;
pub(super) use values::flat;

/// What became of a merge.
#[derive(Debug)]
pub enum Merged {
    /// All that differs is on one side: its file is the result as it is, and nothing is sealed again.
    Side(Side),
    /// Changes of both. Its generation is the higher of the two, so the next save makes the one after.
    Both(Box<Bundle>),
}

/// A merge, and every conflict in it. It is good only when each conflict has its side.
#[derive(Debug)]
pub struct Merge {
    pub merged: Merged,
    pub conflicts: Vec<Conflict>,
}

/// Says which side to take where both changed the same thing, by the name of the conflict; `None` if nobody said.
pub type Choose<'a> = &'a dyn Fn(&str) -> Option<Side>;

/// Merges `theirs` into `ours`. Without a base nobody knows who changed what: then all that differs is a conflict.
///
/// # Errors
/// When they are not the same bundle.
pub fn merge(base: Option<&Bundle>, ours: &Bundle, theirs: &Bundle, choose: Choose) -> Result<Merge> {
    refuse_others(base, ours, theirs)?;
    if let Some(side) = only_side(base, ours, theirs)? {
        return Ok(Merge { merged: Merged::Side(side), conflicts: Vec::new() });
    }
    let mut sides = Sides::new(base, ours, theirs, choose);
    let bundle = both(&mut sides);
    Ok(Merge { merged: Merged::Both(Box::new(bundle)), conflicts: sides.into_conflicts() })
}

fn refuse_others(base: Option<&Bundle>, ours: &Bundle, theirs: &Bundle) -> Result<()> {
    let differs = |other: &&Bundle| !other.id().is_empty() && !ours.id().is_empty() && other.id() != ours.id();
    match [Some(theirs), base].into_iter().flatten().find(differs) {
        None => Ok(()),
        Some(other) => Err(Error::new(format!("these are two bundles, {} and {}", ours.id(), other.id()))
            .hint("each was made by `bundle create`, so nothing says what belongs to what")
            .hint("take one, and set in it what is only in the other")),
    }
}

/// The side that has all there is: the other one changed nothing. Generations never go back, so it must be the later one, too.
fn only_side(base: Option<&Bundle>, ours: &Bundle, theirs: &Bundle) -> Result<Option<Side>> {
    let is_same = |one: &Bundle, other: &Bundle| Ok::<_, Error>(one.entries(0)? == other.entries(0)?);
    let (older, later, side) = match theirs.generation() > ours.generation() {
        true => (ours, theirs, Side::Theirs),
        false => (theirs, ours, Side::Ours),
    };
    let is_untouched = base.map_or(Ok(false), |base| is_same(base, older))?;
    Ok((is_untouched || is_same(older, later)?).then_some(side))
}

fn both(sides: &mut Sides) -> Bundle {
    let values = values::merged(sides);
    let mut bundle = sides.ours.clone();
    bundle.now = values.documents;
    bundle.record = record(sides, &values.sides);
    bundle.host_keys.clear();
    enrolments::merge(sides, &mut bundle);
    rotation::merge(sides, &mut bundle);
    history::merge(sides, &values.lost, &mut bundle);
    keys(sides, &mut bundle);
    (bundle.is_stored, bundle.is_changed) = (true, true);
    bundle
}

fn record(sides: &mut Sides, values: &values::SidesOfValues) -> Record {
    let (ours, theirs) = (sides.ours, sides.theirs);
    let mut record = ours.record.clone();
    record.generation = ours.generation().max(theirs.generation());
    record.id = [ours.id(), theirs.id()].into_iter().find(|id| !id.is_empty()).unwrap_or_default().to_owned();
    record.created = [ours.record.created, theirs.record.created].into_iter().flatten().min();
    record.recipients = recipients::merged(sides);
    record.secrets = metadata::merged(sides, values);
    record.other = merged_map(sides, |field| format!("bundle.toml {field}"), |bundle| Some(&bundle.record.other));
    // What else a record lists, and nobody takes back (exposures), is the union of both sides: here.
    record
}

/// The keys of the bundle itself. One that is there only because this run made it is none.
fn keys(sides: &mut Sides, bundle: &mut Bundle) {
    let later = sides.later();
    let fingerprint = |value: &Secret| later.fingerprint(value.expose());
    let three = sides.three(|one| one.record.fingerprint_key.as_ref().filter(|_| !one.id().is_empty()));
    let key = sides.pick(|| "fingerprint key".to_owned(), three, fingerprint).cloned();
    bundle.record.fingerprint_key = key.or(sides.ours.record.fingerprint_key.clone());
    let three = sides.three(|one| one.backup_key.as_ref());
    bundle.backup_key = sides.pick(|| "backup key".to_owned(), three, fingerprint).cloned();
    bundle.locked_backup_key = locked_backup_key(sides, bundle);
}

/// It is locked for the recipients, or by the password: while neither side changed those, the one that was locked last. Else the next save
/// locks it anew, for exactly those who are recipients then.
fn locked_backup_key(sides: &Sides, bundle: &Bundle) -> Option<Secret> {
    let keys = |one: &Bundle| one.recipients().iter().map(|recipient| recipient.key.clone()).collect::<BTreeSet<_>>();
    let agrees = |one: &Bundle| one.backup_key == bundle.backup_key && keys(one) == keys(bundle);
    if !agrees(sides.ours) || !agrees(sides.theirs) {
        return None;
    }
    // A new password may have locked it on their side.
    let is_ours_old = sides.base.is_some_and(|base| base.locked_backup_key == sides.ours.locked_backup_key);
    let from = if is_ours_old { sides.theirs } else { sides.ours };
    from.locked_backup_key.clone()
}
