//! `nearest`: what somebody probably meant. `named`: what he named, or an error that says so.

use super::{Error, Result};

/// The value of this name. The error names the nearest, or all that there are; `kind` is what they are: `a rule`.
pub fn named<T: Copy>(typed: &str, kind: &str, all: &[(&'static str, T)]) -> Result<T> {
    all.iter().find(|(name, _)| *name == typed).map(|(_, value)| *value).ok_or_else(|| {
        let error = Error::new(format!("`{}` is not {kind}", typed.escape_debug()));
        let names: Vec<&str> = all.iter().map(|(name, _)| *name).collect();
        match (nearest(typed, names.iter().copied()), names.split_last()) {
            (Some(near), _) => error.hint(format!("did you mean `{near}`?")),
            (None, Some((last, others))) => error.hint(format!("there are {} and {last}", others.join(", "))),
            (None, None) => error,
        }
    })
}

/// The candidate that is closest by edit distance, if it is close enough to be meant.
pub fn nearest<'a>(typed: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let far = typed.len().max(3) / 3 + 1;
    candidates
        .into_iter()
        .map(|candidate| (distance(typed, candidate), candidate))
        .filter(|(distance, _)| *distance <= far)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// Levenshtein's distance over bytes, one row at a time.
fn distance(a: &str, b: &str) -> usize {
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.bytes().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.bytes().enumerate() {
            let next = (diagonal + usize::from(x != y)).min(row[j] + 1).min(row[j + 1] + 1);
            diagonal = row[j + 1];
            row[j + 1] = next;
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_the_slip_of_the_finger() {
        assert_eq!(nearest("adress", ["port", "address", "user"]), Some("address"));
        assert_eq!(nearest("onode3", ["onode1", "gnode1"]), Some("onode1"));
        assert_eq!(nearest("zebra", ["port", "address"]), None);
    }
}
