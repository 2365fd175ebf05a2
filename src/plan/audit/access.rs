//! Who may do what with a file or a directory of ours: mode, owner, second names, access lists, capabilities.

use super::mending::Mend;
use super::{Auditor, quoted};
use crate::plan::difference::can_travel;
use crate::plan::{Finding, Rule, Severity, Stat, policy};
use crate::words::{Mode, Principal};

/// What is to hold for one path.
#[derive(Clone)]
pub(super) struct Access {
    pub mode: Mode,
    /// Mode where the playbook says nothing.
    pub usual: Mode,
    /// `None`: ours, whoever we are.
    pub owner: Option<(Principal, Principal)>,
    pub is_directory: bool,
}

impl Access {
    /// Of what is ours and no part of a set.
    pub fn private(mode: Mode, is_directory: bool) -> Self {
        Self { mode, usual: mode, owner: None, is_directory }
    }
}

impl Auditor<'_> {
    /// Of a path in a set: as its file says, or as all of the play's.
    pub(super) fn set_access(&self, path: &str, is_directory: bool) -> Access {
        let play = &self.is.want.access;
        let of_play = (play.owner.clone(), play.group.clone());
        let file = self.known.wanted.get(path);
        let (mode, usual) = match (is_directory, file) {
            (true, _) => (play.directory_mode, policy::DIRECTORY),
            (false, Some(file)) => (file.mode, policy::FILE),
            (false, None) => (play.mode, policy::FILE),
        };
        let owner = file.filter(|_| !is_directory).map(|file| (file.owner.clone(), file.group.clone()));
        Access { mode, usual, owner: Some(owner.unwrap_or(of_play)), is_directory }
    }

    /// Something of ours as it should be now.
    pub(super) fn access(&mut self, path: &str, stat: &Stat, access: &Access) {
        if self.is_other_kind(path, stat, access) {
            return;
        }
        let rule = policy::mode_rule(stat.mode, access.mode);
        self.mode(path, stat, access, rule);
        self.owner(path, stat, access);
        if stat.is_file() && stat.links > 1 {
            let found = format!("{} names", stat.links);
            let itself = quoted(&self.is.want.root.join(path));
            let fix = format!("find {} -xdev -samefile {itself}", quoted(self.file_system()));
            self.find(Finding::new(Rule::Hardlink, self.path(path), "one name", found).mended_by(fix));
        }
    }

    /// Of the set before: who may read it now. It was right when it was made, so nothing is said of what is narrower, and a
    /// file that a run kept has two names. What is no file and no directory holds no secret, and was told when the set was live.
    pub(super) fn old_access(&mut self, path: &str, stat: &Stat, access: &Access) {
        let is_set = path.matches('/').count() == 1;
        if is_set && self.is_other_kind(path, stat, access) || !stat.is_file() && !stat.is_directory() {
            return;
        }
        // What the playbook opens is told of the live set; what it has closed since, to a group, was right then.
        let access = Access { usual: access.mode, ..access.clone() };
        let is_open = |rule: &Rule| !matches!(rule, Rule::WrongMode | Rule::GroupReadable);
        let rule = policy::mode_rule(stat.mode, access.mode).filter(is_open);
        self.mode(path, stat, &access, rule);
        if stat.uid != 0 {
            self.owner(path, stat, &access);
        }
    }

    fn is_other_kind(&mut self, path: &str, stat: &Stat, access: &Access) -> bool {
        let expected = if access.is_directory { "a directory" } else { "a file" };
        let finding = match &stat.target {
            Some(target) => Finding::new(Rule::Symlink, self.path(path), expected, format!("a link to {target}")),
            None if access.is_directory == stat.is_directory() && (stat.is_directory() || stat.is_file()) => {
                return false;
            }
            None => Finding::new(Rule::UnexpectedFile, self.path(path), expected, "something else in its place"),
        };
        let fix = format!("look at it and move it away; then: {}", self.deploy());
        self.find(finding.mended_by(fix));
        true
    }

    fn mode(&mut self, path: &str, stat: &Stat, access: &Access, rule: Option<Rule>) {
        // Where the mount shows modes of its own, they are no property of the file.
        if self.shows_made_up_modes() {
            return;
        }
        // Whatever else a chown does, it takes a file's capabilities.
        let owner = self.is.facts.capabilities.get(path).map(|_| owner_of(access).1);
        let beyond = self.is.facts.acls.get(path).map(|acl| format!("access list {acl}"));
        let capabilities = self.is.facts.capabilities.get(path).map(|found| format!("capabilities {found}"));
        let more: Vec<String> = [Some(stat.mode.to_string()), beyond, capabilities].into_iter().flatten().collect();
        let rule = rule.or((more.len() > 1).then_some(Rule::WrongMode));
        let Some(rule) = rule else { return self.wider_by_playbook(path, access) };
        let finding = Finding::new(rule, self.path(path), access.mode.to_string(), more.join(", "));
        let fix = match more.len() {
            // Five digits: with four coreutils leaves a directory its set-group-ID.
            1 if stat.is_directory() && stat.mode.bits() > 0o777 => {
                format!("chmod 0{} {}", access.mode, quoted(&self.path(path)))
            }
            1 => format!("chmod {} {}", access.mode, quoted(&self.path(path))),
            _ if self.is.facts.acls.contains_key(path) => format!("setfacl -b {}", quoted(&self.path(path))),
            _ => format!("setcap -r {}", quoted(&self.path(path))),
        };
        self.mend(finding.mended_by(fix), path, stat, Some(access.mode), owner);
    }

    /// Right, and wider than what we would make of our own: said, since somebody wrote it once and nobody looks again.
    fn wider_by_playbook(&mut self, path: &str, access: &Access) {
        // Once for the directories, by the first of them.
        if path.contains('/') && access.is_directory {
            return;
        }
        if let Some(rule) = policy::mode_rule(access.mode, access.usual).filter(|rule| *rule != Rule::WrongMode) {
            let expected = format!("{} unless the playbook says otherwise", access.usual);
            let found = format!("{}, as the playbook says", access.mode);
            let finding = Finding::new(rule, self.path(path), expected, found);
            self.find(Finding { severity: Severity::Info, ..finding });
        }
    }

    fn owner(&mut self, path: &str, stat: &Stat, access: &Access) {
        let uid = self.facts.uid;
        let is_right = match &access.owner {
            Some((owner, group)) => stat.belongs_to(owner, group),
            None => stat.uid == 0 && stat.gid == 0 || uid != 0 && stat.uid == uid,
        };
        if is_right {
            return;
        }
        let (name, wire) = owner_of(access);
        let fix = format!("chown {name} {}", quoted(&self.path(path)));
        let finding = Finding::new(Rule::WrongOwner, self.path(path), name, stat.owner());
        self.mend(finding.mended_by(fix), path, stat, None, Some(wire));
    }

    /// A file with a second name is another file as well: it is not ours to change.
    fn mend(&mut self, mut finding: Finding, path: &str, stat: &Stat, mode: Option<Mode>, owner: Option<String>) {
        let is_held = self.is_in_others_hands(path);
        finding.fixable = can_travel(path) && (stat.is_directory() || stat.links == 1) && !is_held;
        if finding.fixable {
            self.out.mends.push(Mend::access(&finding, path, mode, owner));
        } else if is_held && self.is.live().is_some_and(|live| path.starts_with(&format!("secrets/{live}/"))) {
            finding.fix = Some(self.deploy());
        }
        self.find(finding);
    }

    /// Does the playbook give the directory above to somebody else? Then a `chmod` there may end at the other end of a link that
    /// he puts there just in time; a deploy makes a new set instead.
    fn is_in_others_hands(&self, path: &str) -> bool {
        let play = &self.is.want.access;
        let is_us = |stat: &Stat| stat.uid == self.facts.uid && stat.belongs_to(&play.owner, &play.group);
        let is_ours = play.owner.as_str() == "root" || self.is.facts.entries.get("secrets").is_some_and(is_us);
        path.starts_with("secrets/") && (!is_ours || play.directory_mode.bits() & 0o022 != 0)
    }
}

/// `root:root`, and the same as it goes to the host.
fn owner_of(access: &Access) -> (String, String) {
    match &access.owner {
        Some((owner, group)) => {
            (format!("{owner}:{group}"), format!("{}:{}", policy::on_the_wire(owner), policy::on_the_wire(group)))
        }
        None => ("root:root".to_owned(), "0:0".to_owned()),
    }
}
