//! Three bundles come in, as git keeps them: what two people began with, and what each made of it. One bundle leaves, with the changes
//! of both, by key and by file; or the places where both changed the same thing, each by its name. Pure: no disk, no clock, no question.

mod bundle_keys;
mod conflict;
mod enrolments;
mod env_text;
mod exposures;
mod history;
mod metadata;
mod recipients;
mod renames;
mod rotation;
mod sides;
#[cfg(test)]
mod tests;
mod values;

use super::opened::Bundle;
use super::record::Record;
use crate::words::{Error, Result};
pub use conflict::{Conflict, Side};
pub(super) use enrolments::keys as host_keys;
pub(super) use sides::shown;
use sides::{Sides, merged_map};
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
    let renames::Followed { base, ours, theirs, mut conflicts } = renames::followed(base, ours, theirs, choose);
    let mut sides = Sides::new(base.as_ref(), &ours, &theirs, choose);
    let bundle = both(&mut sides);
    conflicts.extend(sides.into_conflicts());
    Ok(Merge { merged: Merged::Both(Box::new(bundle)), conflicts })
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
    bundle_keys::merge(sides, &mut bundle);
    exposures::merge(sides, &mut bundle);
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
    record.removed = metadata::of_removed(sides, &record.secrets);
    record
}
