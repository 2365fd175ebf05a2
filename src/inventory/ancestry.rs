//! `Ancestry`: which groups lie in which, and the order in which they speak: outer before inner, as Ansible's depth says,
//! and by name within a depth.

use super::draft::GroupDraft;
use crate::words::{Error, GroupName, Result};
use std::collections::{BTreeSet, HashMap};

pub(super) struct Ancestry<'a> {
    /// The longest way down from `all`.
    depth: HashMap<&'a GroupName, usize>,
    /// Every group that the group lies in, at any depth.
    above: HashMap<&'a GroupName, BTreeSet<&'a GroupName>>,
}

impl<'a> Ancestry<'a> {
    /// Takes groups from the top down, each once all its parents were taken; what is left over lies in a circle.
    pub fn of(groups: &'a [GroupDraft]) -> Result<Self> {
        let children: HashMap<_, _> = groups.iter().map(|group| (&group.name, &group.children)).collect();
        let mut parents_left: HashMap<&GroupName, usize> = groups.iter().map(|group| (&group.name, 0)).collect();
        for child in groups.iter().flat_map(|group| &group.children) {
            *parents_left.entry(child).or_default() += 1;
        }
        let mut depth: HashMap<_, usize> = groups.iter().map(|group| (&group.name, 1)).collect();
        let mut above: HashMap<&GroupName, BTreeSet<&GroupName>> = HashMap::new();
        let mut ready: Vec<_> = groups.iter().map(|group| &group.name).filter(|name| parents_left[name] == 0).collect();
        while let Some(name) = ready.pop() {
            parents_left.remove(name);
            let mut outer = above.get(name).cloned().unwrap_or_default();
            outer.insert(name);
            for child in children[name] {
                above.entry(child).or_default().extend(&outer);
                depth.insert(child, depth[child].max(depth[name] + 1));
                let left = parents_left.get_mut(child).expect("a child is taken after its parents");
                *left -= 1;
                if *left == 0 {
                    ready.push(child);
                }
            }
        }
        match groups.iter().find(|group| parents_left.contains_key(&group.name)) {
            None => Ok(Self { depth, above }),
            Some(stuck) => Err(circle(groups, stuck, |name| parents_left.contains_key(name))),
        }
    }

    /// These groups and all around them, in the order in which they speak.
    pub fn around(&self, direct: &[GroupName]) -> Vec<GroupName> {
        let mut all: BTreeSet<&GroupName> = direct.iter().collect();
        all.extend(direct.iter().filter_map(|group| self.above.get(group)).flatten());
        let mut all: Vec<_> = all.into_iter().collect();
        all.sort_by_key(|group| (self.depth[group], *group));
        all.into_iter().cloned().collect()
    }
}

/// Goes from parent to parent among the groups that are stuck, until one comes again.
fn circle(groups: &[GroupDraft], from: &GroupDraft, stuck: impl Fn(&GroupName) -> bool) -> Error {
    let mut way = vec![&from.name];
    let start = loop {
        let here = way[way.len() - 1];
        let parent = groups.iter().find(|group| stuck(&group.name) && group.children.contains(here));
        let parent = &parent.expect("what is stuck has a parent that is stuck").name;
        way.push(parent);
        if let Some(start) = way[..way.len() - 1].iter().position(|seen| *seen == parent) {
            break start;
        }
    };
    let names: Vec<_> = way[start..].iter().rev().map(|name| name.as_str()).collect();
    let place = &groups.iter().find(|group| group.name == *way[start]).expect("it is on the way").place;
    Error::new(format!("groups lie in a circle: {}", names.join(" -> "))).at(place)
}
