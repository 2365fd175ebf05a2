//! What those could read who lost access, after a merge: those of both sides. The branch on which somebody was not taken out was sealed to him
//! as well, so what is new there he could read, too.

use super::sides::Sides;
use crate::bundle::exposure::Exposure;
use crate::bundle::opened::Bundle;

pub fn merge(sides: &Sides, bundle: &mut Bundle) {
    let (ours, theirs) = (&sides.ours.record.exposures, &sides.theirs.record.exposures);
    let is_same = |one: &Exposure, other: &Exposure| {
        (&one.name, &one.key, one.removed) == (&other.name, &other.key, other.removed)
    };
    let has = |list: &[Exposure], one: &Exposure| list.iter().any(|other| is_same(one, other));
    let mut merged: Vec<Exposure> = ours.iter().chain(theirs.iter().filter(|one| !has(ours, one))).cloned().collect();
    for exposure in &mut merged {
        for (side, list) in [(sides.ours, ours), (sides.theirs, theirs)] {
            if !has(list, exposure) {
                side.add_readable(exposure);
            }
        }
    }
    merged.sort_by_key(|exposure| (exposure.removed, exposure.name.clone()));
    bundle.record.exposures = merged;
}
