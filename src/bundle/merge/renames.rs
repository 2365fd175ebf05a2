//! Renames since both began: what the other side did with a secret under its old name, it did with the one of the new name. Two new names
//! for one secret are a conflict.

use super::{Choose, Conflict, Side};
use crate::bundle::change::What;
use crate::bundle::layout::SecretName;
use crate::bundle::opened::Bundle;
use chrono::DateTime;
use std::collections::BTreeMap;

/// The new name of each secret, by the old one.
type Renames = BTreeMap<SecretName, SecretName>;

/// The three bundles, with the same names in all of them.
pub struct Followed {
    pub base: Option<Bundle>,
    pub ours: Bundle,
    pub theirs: Bundle,
    pub conflicts: Vec<Conflict>,
}

pub fn followed(base: Option<&Bundle>, ours: &Bundle, theirs: &Bundle, choose: Choose) -> Followed {
    let mut followed =
        Followed { base: base.cloned(), ours: ours.clone(), theirs: theirs.clone(), conflicts: Vec::new() };
    let Some(base) = base else { return followed };
    let (in_ours, in_theirs) = (renames(base, ours), renames(base, theirs));
    for (old, new) in &in_ours {
        match in_theirs.get(old) {
            None => followed.follow(Side::Theirs, (old, old, new)),
            Some(other) if other == new => followed.follow_in_base(old, new),
            Some(other) => followed.settle(old, new, other, choose),
        }
    }
    for (old, new) in in_theirs.iter().filter(|(old, _)| !in_ours.contains_key(*old)) {
        followed.follow(Side::Ours, (old, old, new));
    }
    followed
}

impl Followed {
    /// Calls a secret otherwise on one side, and in the base. If either cannot be, all stays as it is.
    fn follow(&mut self, on: Side, (old, there, new): (&SecretName, &SecretName, &SecretName)) {
        let (side, base) = (self.side(on).clone(), self.base.clone());
        let is_done = rename(self.side(on), there, new) && self.base.as_mut().is_none_or(|base| rename(base, old, new));
        if !is_done {
            *self.side(on) = side;
            self.base = base;
        }
    }

    fn follow_in_base(&mut self, old: &SecretName, new: &SecretName) {
        self.base.as_mut().map(|base| rename(base, old, new));
    }

    fn settle(&mut self, old: &SecretName, ours: &SecretName, theirs: &SecretName, choose: Choose) {
        let name = old.to_string();
        let side = choose(&name);
        let renamed = |new: &SecretName| Some(format!("renamed {new}"));
        let base = self.base.as_ref().and_then(|base| Some(base.fingerprint(base.value(old)?.expose())));
        self.conflicts.push(Conflict { name, base, ours: renamed(ours), theirs: renamed(theirs), side });
        match side.unwrap_or(Side::Ours) {
            Side::Ours => self.follow(Side::Theirs, (old, theirs, ours)),
            Side::Theirs => self.follow(Side::Ours, (old, ours, theirs)),
        }
    }

    fn side(&mut self, side: Side) -> &mut Bundle {
        match side {
            Side::Ours => &mut self.ours,
            Side::Theirs => &mut self.theirs,
        }
    }
}

/// What the side noted since the base. Whoever has a value under the old name again has another secret.
fn renames(base: &Bundle, side: &Bundle) -> Renames {
    let mut renames = Renames::new();
    for new in side.secrets().into_iter().filter(|new| base.value(new).is_none()) {
        let changes = side.metadata(&new).map(|known| known.changes.as_slice()).unwrap_or_default();
        let mut old = changes.iter().filter(|change| change.generation > base.generation()).filter_map(|change| {
            match &change.what {
                What::Renamed(old) => Some(old),
                _ => None,
            }
        });
        let was = |old: &&SecretName| base.value(old).is_some() && side.value(old).is_none();
        if let Some(old) = old.find(was).cloned() {
            renames.insert(old, new);
        }
    }
    renames
}

/// As if it had that name from the beginning: nothing is noted. False if it cannot be.
fn rename(bundle: &mut Bundle, old: &SecretName, new: &SecretName) -> bool {
    let changes = bundle.metadata(old).map(|known| known.changes.clone()).unwrap_or_default();
    let is_done = bundle.value(old).is_some() && bundle.rename(old, new, DateTime::UNIX_EPOCH).is_ok();
    if is_done && let Some(known) = bundle.record.secrets.get_mut(&new.to_string()) {
        known.changes = changes;
    }
    is_done
}
