//! What is in our files, and what of ours is not there at all.

use super::mending::Mend;
use super::{Auditor, quoted, shown};
use crate::plan::difference::{can_travel, short};
use crate::plan::{Finding, Rule, Stat, policy};
use std::collections::BTreeMap;

impl Auditor<'_> {
    /// A file that somebody else put there. It is never removed for him.
    pub(super) fn stranger(&mut self, path: &str, rule: Rule, found: &str) {
        let fix = match rule {
            Rule::Leftover if path.starts_with("backups/") && policy::run_of_backup(&path[8..]).is_some() => {
                self.deploy()
            }
            // A command that names another file would be worse than none.
            _ if shown(path) != path => "look at it, and remove it: its name cannot be shown as it is".to_owned(),
            _ => format!("look at it, then: rm -r {}", quoted(&self.path(path))),
        };
        self.find(Finding::new(rule, self.path(path), "nothing", found).mended_by(fix));
    }

    /// Something of ours that nobody uses any more.
    pub(super) fn leftover(&mut self, path: &str, rule: Rule, found: &str) {
        let fix = format!("rm -r {}", quoted(&self.path(path)));
        let mut finding = Finding::new(rule, self.path(path), "nothing", found).mended_by(fix);
        finding.fixable = can_travel(path);
        if finding.fixable {
            self.out.mends.push(Mend::removal(&finding, path));
        }
        self.find(finding);
    }

    pub(super) fn switch(&mut self, path: &str, stat: &Stat) {
        let is_set = |target: &str| policy::run_of_set(target.trim_end_matches('/')).is_some();
        let finding = match &stat.target {
            _ if self.is.live_set().is_some() => return,
            Some(target) if is_set(target) => {
                let set = format!("secrets/{}", shown(target.trim_end_matches('/')));
                Finding::new(Rule::Missing, self.path(&set), "the live set", "nothing")
            }
            Some(target) => {
                Finding::new(Rule::Symlink, self.path(path), "a link to a set", format!("a link to {target}"))
            }
            None => {
                Finding::new(Rule::UnexpectedFile, self.path(path), "a link to a set", "something else in its place")
            }
        };
        self.find(finding.mended_by(self.deploy()));
    }

    pub(super) fn link(&mut self, path: &str, stat: &Stat, name: &str) {
        let expected = format!("..data/{name}");
        let finding = match &stat.target {
            Some(target) if *target == expected => return,
            Some(target) => Finding::new(
                Rule::Symlink,
                self.path(path),
                format!("a link to {expected}"),
                format!("a link to {target}"),
            ),
            // An editor that writes beside and renames: whoever reads the secret reads this.
            None => Finding::new(
                Rule::Drift,
                self.path(path),
                format!("a link to {expected}"),
                "something else in its place",
            ),
        };
        self.find(finding.mended_by(self.keeping_deploy()));
    }

    fn keeping_deploy(&self) -> String {
        format!("{} (what it replaces is kept); or put the edit into the bundle first", self.deploy())
    }

    pub(super) fn content(&mut self) {
        self.own_files();
        self.missing();
        if self.is.live_set().is_some() {
            self.drift();
            self.undeployed();
        }
    }

    /// The host's own password, and what opens the backups.
    fn own_files(&mut self) {
        for (path, content) in self.is.want.admin_files() {
            if self.hash_of(path).is_some() && !self.is.is_same(path, content) {
                let (found, fix) = match self.is.is_former(path) {
                    true => ("the one from before keys were made anew", self.deploy()),
                    false => ("something else in its place", format!("{} (what it replaces is kept)", self.deploy())),
                };
                self.find(Finding::new(Rule::Drift, self.path(path), "our file", found).mended_by(fix));
            }
        }
    }

    /// Of a file that is there. Where the host did not give it, the file could not be read, which is said.
    fn hash_of(&mut self, path: &str) -> Option<&str> {
        self.is.facts.entries.get(path).filter(|stat| stat.is_file())?;
        let hash = self.is.facts.hashes.get(path);
        if hash.is_none() {
            let path = self.path(path);
            self.out.unseen.push(path);
        }
        hash.map(String::as_str)
    }

    fn drift(&mut self) {
        for path in self.known.files.clone() {
            let at = self.is.in_live(path);
            let mac = self.is.purpose.mac;
            let Some(found) = self.hash_of(&at).map(|hash| mac(hash.as_bytes())) else { continue };
            let Some(expected) = self.put_there(path) else { continue };
            if found != expected {
                let finding = Finding::new(Rule::Drift, self.path(&at), short(&expected), short(&found));
                self.find(finding.mended_by(self.keeping_deploy()));
            }
        }
    }

    /// The keyed hash of what we put there. Without a manifest it is taken for what the bundle has.
    fn put_there(&self, path: &str) -> Option<String> {
        let wanted = || Some((self.is.purpose.mac)(self.known.wanted.get(path)?.sha256.as_bytes()));
        self.is.facts.manifest.files.get(path).cloned().or_else(wanted)
    }

    fn undeployed(&mut self) {
        let mut late: Vec<(String, &str)> = Vec::new();
        let manifest = &self.is.facts.manifest.files;
        for file in self.is.want.files.iter().filter(|_| !manifest.is_empty()) {
            match manifest.get(&file.path) {
                None => late.push((file.path.clone(), "not deployed yet")),
                Some(mac) if *mac != (self.is.purpose.mac)(file.sha256.as_bytes()) => {
                    late.push((file.path.clone(), "older than the bundle"));
                }
                Some(_) => {}
            }
        }
        let gone = manifest.keys().filter(|path| !self.known.wanted.contains_key(path.as_str()));
        late.extend(gone.map(|path| (path.clone(), "no longer in the playbook or the bundle")));
        for (path, found) in late {
            let path = self.is.want.root.join(&format!("secrets/{path}"));
            self.find(Finding::new(Rule::Undeployed, path, "as in the bundle", found).mended_by(self.deploy()));
        }
    }

    /// What we put there and is gone. Where a whole directory is gone, that says it all.
    fn missing(&mut self) {
        for (path, what) in self.expected() {
            if !self.is.facts.entries.contains_key(&path) && self.is_above_open(&path) {
                let finding = Finding::new(Rule::Missing, self.path(&path), what, "nothing");
                self.find(finding.mended_by(self.deploy()));
            }
        }
    }

    /// By path, each once.
    fn expected(&self) -> BTreeMap<String, &'static str> {
        let top = ["secrets", "backups", ".distribute", "vault-password"];
        let mut expected: BTreeMap<_, _> = top.map(|name| (name.to_owned(), "what every root has")).into();
        expected.insert("secrets/..data".to_owned(), "the link to the live set");
        expected.insert("backups/key.age".to_owned(), "what opens the backups");
        let Some(live) = self.is.live_set() else { return expected };
        expected.insert(".distribute/generation".to_owned(), "the generation that this host has seen");
        expected.insert(format!(".distribute/{}", policy::manifest_name(live)), "what is known of the live set");
        for path in &self.known.files {
            expected.insert(format!("secrets/{}", path.split('/').next().unwrap_or(path)), "our link");
            expected.insert(self.is.in_live(path), "our file");
        }
        expected.extend(self.known.directories.iter().map(|path| (self.is.in_live(path), "our directory")));
        if let Some(run) = self.is.unsealed_run() {
            expected.insert(format!("backups/{}", policy::backup_name(&run)), "the live set's sealed copy");
        }
        expected
    }

    /// Is the directory above there, and could it be read?
    fn is_above_open(&self, path: &str) -> bool {
        path.rsplit_once('/').is_none_or(|(above, _)| {
            self.is.facts.entries.get(above).is_some_and(Stat::is_directory) && !self.is.facts.shut.contains(above)
        })
    }
}
