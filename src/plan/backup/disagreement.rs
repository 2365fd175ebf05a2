//! `Disagreement`: a file that should be the same on several hosts of a run, and in one backup is not.

use super::{Label, LabelledFile};
use crate::playbook::Format;
use crate::words::{HostName, PlayName, RunId};
use std::collections::BTreeMap;
use std::fmt;

/// One host's odd file, and what explains it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Disagreement {
    pub host: HostName,
    pub play: PlayName,
    pub run: RunId,
    pub path: String,
    /// One of those it differs from, and how many more there are.
    pub from: HostName,
    pub others: usize,
    pub why: Option<Reason>,
}

/// What explains that a file differs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Somebody changed it on the host.
    Edited,
    /// Another set was live there when it was read.
    OtherSet,
}

impl Disagreement {
    /// Is there a reason for it that the run itself recorded?
    pub fn is_explained(&self) -> bool {
        self.why.is_some()
    }
}

impl fmt::Display for Disagreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} is not what {} has", self.path, self.from)?;
        if self.others > 0 {
            write!(f, " (and {} more)", self.others)?;
        }
        match self.why {
            Some(Reason::Edited) => f.write_str(": it was changed by hand on the host"),
            Some(Reason::OtherSet) => f.write_str(": the set of another run was live there"),
            None => Ok(()),
        }
    }
}

/// Every file of a run that was made of the same documents for several hosts, and is not the same on all. What most of them have is taken
/// for right; the others are told.
pub fn disagreements(labels: &[Label]) -> Vec<Disagreement> {
    let mut same: BTreeMap<_, Vec<(&Label, &LabelledFile)>> = BTreeMap::new();
    for label in labels {
        // What a template makes may differ from host to host.
        let is_alike = |file: &&LabelledFile| !file.from.is_empty() && file.format != Format::Template;
        for file in label.files.iter().filter(is_alike) {
            same.entry((&label.run, &label.play, &file.path, &file.from)).or_default().push((label, file));
        }
    }
    same.into_values().flat_map(|of_hosts| odd_ones(&of_hosts)).collect()
}

fn odd_ones(of_hosts: &[(&Label, &LabelledFile)]) -> Vec<Disagreement> {
    let mut of_hosts = of_hosts.to_vec();
    of_hosts.sort_by(|(one, _), (other, _)| one.host.cmp(&other.host));
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for (_, file) in &of_hosts {
        *counts.entry(&file.sha256).or_default() += 1;
    }
    // Where as many have the one as the other, those that nobody edited are right.
    let is_right = |(_, file): &&(&Label, &LabelledFile)| (counts[&*file.sha256], !file.edited);
    let Some((right_label, right)) = of_hosts.iter().rev().max_by_key(is_right) else { return Vec::new() };
    let odd = of_hosts.iter().filter(|(_, file)| file.sha256 != right.sha256);
    let told = odd.map(|(label, file)| Disagreement {
        host: label.host.clone(),
        play: label.play.clone(),
        run: label.run.clone(),
        path: file.path.clone(),
        from: right_label.host.clone(),
        others: counts[&*right.sha256] - 1,
        why: match () {
            () if file.edited || right.edited => Some(Reason::Edited),
            () if label.of != right_label.of => Some(Reason::OtherSet),
            () => None,
        },
    });
    told.collect()
}
