//! `Mend`: what would mend a finding, and the steps for those that were chosen: modes and owners of what is ours, and the removal of
//! what we left over. Never a content.

use crate::plan::{Finding, Purpose, RootFacts, Rule, Step, Transaction, policy};
use crate::words::{Mode, Phase};
use std::collections::{BTreeMap, BTreeSet};

/// How one finding is mended.
#[derive(Clone, Debug)]
pub(super) struct Mend {
    rule: Rule,
    /// As the finding shows it.
    shown: String,
    /// Relative to the root.
    path: String,
    how: How,
}

#[derive(Clone, Debug)]
enum How {
    Access { mode: Option<Mode>, owner: Option<String> },
    Remove,
}

impl Mend {
    pub fn access(finding: &Finding, path: &str, mode: Option<Mode>, owner: Option<String>) -> Self {
        Self::new(finding, path, How::Access { mode, owner })
    }

    pub fn removal(finding: &Finding, path: &str) -> Self {
        Self::new(finding, path, How::Remove)
    }

    fn new(finding: &Finding, path: &str, how: How) -> Self {
        Self { rule: finding.rule, shown: finding.path.clone(), path: path.to_owned(), how }
    }
}

/// Directories before what lies in them: once they are right, nobody else can put another in its place.
pub(super) fn transaction(mends: &[Mend], root: &RootFacts, purpose: &Purpose, chosen: &[Finding]) -> Transaction {
    let chosen: BTreeSet<(Rule, &str)> = chosen.iter().map(|finding| (finding.rule, finding.path.as_str())).collect();
    let mends: Vec<&Mend> = mends.iter().filter(|mend| chosen.contains(&(mend.rule, &mend.shown))).collect();
    let mut out = Transaction::default();
    if mends.is_empty() {
        return out;
    }
    out.steps.push(Step::Phase(Phase::Stage));
    out.steps.push(Step::Fence {
        bundle: purpose.bundle_id.to_owned(),
        generation: purpose.generation,
        any_bundle: false,
    });
    out.steps.push(Step::Expect(root.live.clone()));
    out.steps.push(Step::Phase(Phase::Switch));
    out.steps.extend(access(&mends));
    let gone: Vec<String> =
        mends.iter().filter(|mend| matches!(mend.how, How::Remove)).flat_map(|mend| paths(mend)).collect();
    // The lock is dealt with when the lock is taken.
    let gone: Vec<String> = gone.into_iter().filter(|path| path != ".distribute/lock").collect();
    if !gone.is_empty() {
        out.steps.push(Step::Remove(gone));
    }
    out
}

/// With a set goes what is known of it.
fn paths(mend: &Mend) -> Vec<String> {
    match (mend.rule, mend.path.strip_prefix("secrets/")) {
        (Rule::StaleSet, Some(set)) => {
            vec![mend.path.clone(), format!(".distribute/{}", policy::manifest_name(set))]
        }
        _ => vec![mend.path.clone()],
    }
}

fn access(mends: &[&Mend]) -> Vec<Step> {
    // By path first: what is wrong with mode and with owner is one act.
    let mut wanted: BTreeMap<&str, (Option<Mode>, Option<String>)> = BTreeMap::new();
    for mend in mends {
        if let How::Access { mode, owner } = &mend.how {
            let both = wanted.entry(&mend.path).or_default();
            both.0 = both.0.or(*mode);
            both.1 = both.1.take().or_else(|| owner.clone());
        }
    }
    let mut groups: BTreeMap<Group, Vec<String>> = BTreeMap::new();
    for (path, (mode, owner)) in wanted {
        let (directory, name) = path.rsplit_once('/').unwrap_or((".", path));
        let group = Group { depth: path.matches('/').count(), directory: directory.to_owned(), mode, owner };
        groups.entry(group).or_default().push(format!("./{name}"));
    }
    let step = |(group, names)| {
        let Group { directory, mode, owner, .. } = group;
        Step::Mend { directory, names, mode, owner }
    };
    groups.into_iter().map(step).collect()
}

/// What one step mends; in the order of the steps.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Group {
    depth: usize,
    directory: String,
    mode: Option<Mode>,
    owner: Option<String>,
}
