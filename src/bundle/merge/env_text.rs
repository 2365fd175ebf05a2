//! The lines of an env file, merged as text without regard to values: a line is its comment or its key. Where only one side changed
//! something, its lines stand; where both did, ours and then what is new in theirs. So no comment is lost, and none is a conflict.

use crate::bundle::env_file::Line;

/// A comparison of more than this is not made; the lines then count as changed all together.
const MOST: usize = 4_000_000;

pub fn merged<'a>(base: &'a [Line], ours: &'a [Line], theirs: &'a [Line]) -> Vec<&'a Line> {
    let (in_ours, in_theirs) = (matches(base, ours), matches(base, theirs));
    let mut merged = Vec::with_capacity(ours.len() + theirs.len());
    let (mut from_base, mut from_ours, mut from_theirs) = (0, 0, 0);
    let anchors = (0..base.len()).filter_map(|at| Some((at, in_ours[at]?, in_theirs[at]?)));
    for (at, our, their) in anchors.chain([(base.len(), ours.len(), theirs.len())]) {
        gap(&base[from_base..at], &ours[from_ours..our], &theirs[from_theirs..their], &mut merged);
        merged.extend(ours.get(our));
        (from_base, from_ours, from_theirs) = (at + 1, our + 1, their + 1);
    }
    merged
}

/// What stands between two lines that all three have.
fn gap<'a>(base: &[Line], ours: &'a [Line], theirs: &'a [Line], to: &mut Vec<&'a Line>) {
    let is_same = |one: &[Line], other: &[Line]| one.len() == other.len() && one.iter().zip(other).all(same);
    if is_same(ours, base) {
        to.extend(theirs);
    } else {
        to.extend(ours);
        if !is_same(theirs, base) {
            let is_new = |line: &&Line| !base.iter().chain(ours).any(|other| same((line, other)));
            to.extend(theirs.iter().filter(is_new));
        }
    }
}

fn same((one, other): (&Line, &Line)) -> bool {
    match (one, other) {
        (Line::Text(one), Line::Text(other)) => one == other,
        (Line::Pair(one, _), Line::Pair(other, _)) => one == other,
        _ => false,
    }
}

/// For each line of the base where it stands in the side: the longest common sequence.
fn matches(base: &[Line], side: &[Line]) -> Vec<Option<usize>> {
    let head = base.iter().zip(side).take_while(|pair| same(*pair)).count();
    let rest = base[head..].iter().rev().zip(side[head..].iter().rev());
    let tail = rest.take_while(|pair| same(*pair)).count();
    let mut found: Vec<Option<usize>> = (0..head).map(Some).collect();
    found.extend(
        longest(&base[head..base.len() - tail], &side[head..side.len() - tail]).into_iter().map(|at| Some(at? + head)),
    );
    found.extend((side.len() - tail..side.len()).map(Some));
    found
}

fn longest(base: &[Line], side: &[Line]) -> Vec<Option<usize>> {
    let width = side.len() + 1;
    if (base.len() + 1).saturating_mul(width) > MOST {
        return vec![None; base.len()];
    }
    // lengths[i * width + j]: of the longest common sequence of base[i..] and side[j..].
    let mut lengths = vec![0u32; (base.len() + 1) * width];
    for i in (0..base.len()).rev() {
        for j in (0..side.len()).rev() {
            lengths[i * width + j] = match same((&base[i], &side[j])) {
                true => lengths[(i + 1) * width + j + 1] + 1,
                false => lengths[(i + 1) * width + j].max(lengths[i * width + j + 1]),
            };
        }
    }
    let (mut found, mut i, mut j) = (vec![None; base.len()], 0, 0);
    while i < base.len() && j < side.len() {
        if same((&base[i], &side[j])) {
            found[i] = Some(j);
            (i, j) = (i + 1, j + 1);
        } else if lengths[(i + 1) * width + j] >= lengths[i * width + j + 1] {
            i += 1;
        } else {
            j += 1;
        }
    }
    found
}
