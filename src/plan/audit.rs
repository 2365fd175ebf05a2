//! `Audit`: what a host says is there, judged. Every departure from what we put there, and from who may read it, is a finding; what
//! could not be seen is said, not taken for right. It only reads; `mending` makes steps of what is safe to mend.

mod access;
mod content;
mod mending;
mod place;
mod surroundings;
#[cfg(test)]
mod tests;

use super::difference::Difference;
use super::refusal::{exposure, lock_failure, refuse_gaps, refuse_older};
use super::{DesiredSet, Finding, HostFacts, Mount, Purpose, RootFacts, Rule, Stat, Transaction};
use crate::words::{Failure, HostName, printable};
pub use surroundings::{around, consumers};

use mending::Mend;
use place::{Known, Place};
use std::collections::BTreeSet;

/// The verdict on one root of a host.
#[derive(Debug, Default)]
pub struct Audit {
    pub findings: Vec<Finding>,
    /// Paths that were to be looked at and could not be.
    pub unseen: Vec<String>,
    mends: Vec<Mend>,
}

impl Audit {
    /// Judges one root. Fails where nothing can be said: somebody is at work there, or the bundle is not the one to compare with.
    pub fn new(
        host: &HostName,
        want: &DesiredSet,
        facts: &HostFacts,
        root: &RootFacts,
        purpose: &Purpose,
    ) -> Result<Self, Failure> {
        refuse_gaps(root)?;
        if let Some(holder) = &root.lock {
            return Err(lock_failure(holder));
        }
        refuse_older(root, purpose)?;
        let is = Difference { want, facts: root, purpose };
        let known = Known::new(&is);
        let mount = facts.mount_of(&want.root.join("secrets"));
        let mut auditor = Auditor { host, facts, is, known, mount, out: Self::default() };
        auditor.judge();
        if !auditor.is_safe_to_write() {
            auditor.out.leave_alone();
        }
        Ok(auditor.out)
    }

    fn leave_alone(&mut self) {
        self.mends.clear();
        for finding in self.findings.iter_mut().filter(|finding| finding.fixable) {
            finding.fixable = false;
            finding.note = Some("--fix does nothing here as long as others can write on the way to it".to_owned());
        }
    }

    /// The steps that mend those findings of it that are safe to mend and that are chosen; empty if there are none.
    pub fn mending(&self, root: &RootFacts, purpose: &Purpose, chosen: &[Finding]) -> Transaction {
        mending::transaction(&self.mends, root, purpose, chosen)
    }
}

struct Auditor<'a> {
    host: &'a HostName,
    facts: &'a HostFacts,
    is: Difference<'a>,
    known: Known<'a>,
    /// What the secrets lie on.
    mount: Option<&'a Mount>,
    out: Audit,
}

impl Auditor<'_> {
    fn judge(&mut self) {
        self.surroundings();
        let root = self.is.want.root.as_str();
        let is_read = |stat: &Stat| stat.is_directory() && self.is.facts.elsewhere.is_none();
        match self.is.facts.entries.get(root) {
            None => return self.missing_root(),
            Some(stat) if !is_read(stat) => return self.out.unseen.push(root.to_owned()),
            Some(_) => {}
        }
        if self.is.facts.closed && !self.is.facts.entries.contains_key("secrets") {
            return self.out.unseen.push(root.to_owned());
        }
        self.out.unseen.extend(self.is.facts.shut.iter().map(|path| self.is.want.root.join(&shown(path))));
        self.entries();
        self.content();
        self.restarts();
    }

    /// Is nobody else able to put something else in the place of what we work on? Where a deploy would refuse, nothing is mended.
    fn is_safe_to_write(&self) -> bool {
        let (entries, uid) = (&self.is.facts.entries, self.facts.uid);
        let is_ours = |stat: &Stat| stat.is_directory() && (stat.uid == 0 || stat.uid == uid);
        let is_safe = |path| entries.get(path).is_none_or(|stat| is_ours(stat) && exposure(path, stat, uid).is_none());
        self.is.want.root.way().all(is_safe) && entries.get(".distribute").is_none_or(is_ours)
    }

    /// Below a directory that we cannot walk through, nobody knows.
    fn missing_root(&mut self) {
        let path = self.is.want.root.as_str().to_owned();
        let above = self.is.facts.entries.iter().rfind(|(above, _)| path.starts_with(above.as_str()));
        let is_hidden = self.facts.uid != 0 && above.is_some_and(|(_, stat)| stat.mode.bits() & 0o001 == 0);
        if is_hidden || self.is.facts.closed {
            return self.out.unseen.push(path);
        }
        let finding = Finding::new(Rule::Missing, path, "the root of the play", "nothing");
        self.find(finding.mended_by(self.deploy()));
    }

    /// Everything that is there, one after the other; what lies below a stranger is the stranger's.
    fn entries(&mut self) {
        let mut strangers: BTreeSet<&str> = BTreeSet::new();
        let entries = &self.is.facts.entries;
        for (path, stat) in entries.iter().filter(|(path, _)| !path.starts_with('/')) {
            if ancestors(path).any(|above| strangers.contains(above)) {
                continue;
            }
            let place = self.place(path, stat);
            if place.is_opaque() {
                strangers.insert(path);
            }
            self.entry(path, stat, place);
        }
    }

    fn entry(&mut self, path: &str, stat: &Stat, place: Place) {
        match place {
            Place::Ours(access) => self.access(path, stat, &access),
            Place::Old(access) => self.old_access(path, stat, &access),
            Place::Switch => self.switch(path, stat),
            Place::Link(name) => self.link(path, stat, &name),
            Place::Stranger(rule, found) => self.stranger(path, rule, found),
            Place::OwnLeftover(rule, found) => self.leftover(path, rule, found),
            Place::Beside => {}
        }
    }

    fn find(&mut self, finding: Finding) {
        self.out.findings.push(finding);
    }

    /// The path as it is shown: what is in the live set goes by a name that stays when the set changes.
    fn path(&self, path: &str) -> String {
        let known =
            self.is.live().and_then(|live| path.strip_prefix("secrets/")?.strip_prefix(live)?.strip_prefix('/'));
        match known {
            Some(name) => {
                let top = name.split('/').next().unwrap_or(name);
                // What we did not put there has no link, so it is not to be found by that name.
                let by = if self.known.links.contains(top) { "" } else { "..data/" };
                self.is.want.root.join(&format!("secrets/{by}{}", shown(name)))
            }
            None => self.is.want.root.join(&shown(path)),
        }
    }

    fn deploy(&self) -> String {
        format!("distribute deploy --hosts {}", self.host)
    }
}

/// A path as a word of a command that somebody may copy: whoever can name a file on the host must not put a command there.
fn quoted(path: &str) -> String {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"/._-~+@:,=%".contains(&byte);
    if path.bytes().all(is_plain) { path.to_owned() } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// No two names look the same.
fn shown(path: &str) -> String {
    printable(path.replace('\n', "\\n").replace('\t', "\\t").as_bytes(), 1000)
}

/// The directories above, nearest last.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(at, _)| &path[..at])
}
