//! `Rehearsal`: a backup as it lay unpacked on its host, for a moment and in memory; compared with its label, and with what is live there.

use super::{Backup, Label, LabelledFile};
use crate::plan::difference::can_travel;
use crate::plan::policy::{self, on_the_wire};
use crate::plan::{RootFacts, Staged, Stat, Step, Transaction};
use crate::words::{Mode, Phase, Principal, RunId, listed, printable};
use std::collections::{BTreeMap, BTreeSet};

/// Where the files lie in what travels.
const PLACE: &str = "set/";

/// What a host says of a backup that it unpacked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rehearsal {
    /// By path in what travelled.
    pub entries: BTreeMap<String, Stat>,
    /// SHA-256 in hexadecimal, by the same path.
    pub hashes: BTreeMap<String, String>,
    /// `user:group` whom no file can be given to there.
    pub ownerless: BTreeSet<String>,
    /// The set that was live when it was over.
    pub live: Option<String>,
}

/// What a rehearsal comes to; nothing, if what came back is what is live.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verdict {
    /// It would not bring back what it should.
    pub problem: Option<String>,
    /// It differs from what is live, and there is a reason for that.
    pub note: Option<String>,
}

/// How a file of a backup and the live one differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Differs,
    NotLive,
    OnlyLive,
    Access,
    Unread,
}

/// What explains it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Reason {
    ByHand,
    OtherSet(RunId),
    EditedThen,
    NotRead,
}

impl Transaction {
    /// Unpacks a backup, as restoring it would, and nothing more.
    ///
    /// # Errors
    /// When a file in it cannot be said to a host; the message is for a line behind the backup's name.
    pub fn rehearsal(backup: &Backup) -> Result<Self, String> {
        let mut owned: BTreeMap<(Mode, String), Vec<String>> = BTreeMap::new();
        let mut staged = Vec::new();
        for (path, content) in &backup.files {
            let Some(file) = backup.label.file(path) else { continue };
            let path = format!("{PLACE}{path}");
            owned.entry((file.mode, owner(file)?)).or_default().push(path.clone());
            staged.push(Staged::File { path, content: content.clone() });
        }
        let own = owned.into_iter().map(|((mode, owner), paths)| Step::Own { paths, mode, owner });
        let steps = [Step::Phase(Phase::Stage)].into_iter().chain(own).collect();
        Ok(Self { steps, staged, ..Self::default() })
    }
}

/// `user:group` of a file that can be put on a host.
fn owner(file: &LabelledFile) -> Result<String, String> {
    let is_below = file.path.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if !is_below || !can_travel(&file.path) {
        return Err(format!("{} in it has a name that cannot be put on a host", shown(&file.path)));
    }
    match (Principal::new(&*file.owner), Principal::new(&*file.group)) {
        (Ok(owner), Ok(group)) => Ok(format!("{}:{}", on_the_wire(&owner), on_the_wire(&group))),
        _ => Err(format!(
            "{} in it is of {}:{}, who cannot be named to a host",
            shown(&file.path),
            shown(&file.owner),
            shown(&file.group)
        )),
    }
}

impl Rehearsal {
    /// `facts` are of the root before it began; `mac` is that of manifests.
    pub fn judge(&self, label: &Label, facts: &RootFacts, mac: &dyn Fn(&[u8]) -> String) -> Verdict {
        let mut problems: Vec<String> =
            self.ownerless.iter().map(|owner| format!("no file can be given to {} there", shown(owner))).collect();
        problems.extend(label.files.iter().filter_map(|file| self.mishap(file)));
        let mut notes = Vec::new();
        if self.live != facts.live {
            notes.push("another run switched meanwhile: compared with what was live before".to_owned());
        }
        match facts.live_run() {
            Some(run) => {
                let live = Live { run, facts, mac };
                for ((what, reason), paths) in live.differences(label) {
                    let told = told(what, &paths, reason.as_ref());
                    if reason.is_some() { notes.push(told) } else { problems.push(told) }
                }
            }
            None => notes.push("no set of ours is live there to compare it with".to_owned()),
        }
        let joined = |texts: Vec<String>| (!texts.is_empty()).then(|| texts.join("; "));
        Verdict { problem: joined(problems), note: joined(notes) }
    }

    /// What is not as the label says of a file that was unpacked.
    fn mishap(&self, file: &LabelledFile) -> Option<String> {
        let place = format!("{PLACE}{}", file.path);
        let path = shown(&file.path);
        let Some(stat) = self.entries.get(&place) else { return Some(format!("{path} did not come back")) };
        match () {
            () if self.hashes.get(&place) != Some(&file.sha256) => {
                Some(format!("{path} came back with another content"))
            }
            () if stat.mode != file.mode => {
                Some(format!("{path} came back with mode {}, not {}", stat.mode, file.mode))
            }
            () if owner(file).is_ok_and(|owner| self.ownerless.contains(&owner)) => None,
            () if !is_of(stat, file) => Some(format!("{path} came back as a file of {}", shown(&stat.owner()))),
            () => None,
        }
    }
}

/// The live set, for comparing.
struct Live<'a> {
    run: RunId,
    facts: &'a RootFacts,
    mac: &'a dyn Fn(&[u8]) -> String,
}

impl Live<'_> {
    /// What differs, by what it is and why.
    fn differences(&self, label: &Label) -> BTreeMap<(What, Option<Reason>), Vec<String>> {
        let mut found: BTreeMap<(What, Option<Reason>), Vec<String>> = BTreeMap::new();
        for path in self.paths().chain(label.files.iter().map(|file| file.path.clone())).collect::<BTreeSet<_>>() {
            let sealed = label.file(&path);
            if let Some(what) = self.difference(&path, sealed) {
                let reason = self.reason(what, &path, label, sealed);
                found.entry((what, reason)).or_default().push(shown(&path));
            }
        }
        found
    }

    fn directory(&self) -> String {
        format!("secrets/{}/", policy::set_name(&self.run))
    }

    /// Where the file is that is read there: an editor puts its own in the place of our link.
    fn place(&self, path: &str) -> String {
        if self.is_replaced(path) { format!("secrets/{path}") } else { format!("{}{path}", self.directory()) }
    }

    fn is_replaced(&self, path: &str) -> bool {
        let name = path.split('/').next().unwrap_or(path);
        let stat = self.facts.entries.get(&format!("secrets/{name}"));
        stat.is_some_and(|stat| stat.is_file() || stat.is_directory())
    }

    fn paths(&self) -> impl Iterator<Item = String> {
        let directory = self.directory();
        let files = self.facts.entries.iter().filter(|(_, stat)| !stat.is_directory());
        files.filter_map(move |(path, _)| path.strip_prefix(&directory).map(str::to_owned))
    }

    fn difference(&self, path: &str, sealed: Option<&LabelledFile>) -> Option<What> {
        let place = self.place(path);
        match (sealed, self.facts.entries.get(&place)) {
            (None, None) => None,
            (None, Some(_)) => Some(What::OnlyLive),
            (Some(_), None) if self.is_replaced(path) => Some(What::Unread),
            (Some(_), None) => Some(What::NotLive),
            (Some(sealed), Some(stat)) => match self.facts.hashes.get(&place) {
                None if stat.is_file() => Some(What::Unread),
                Some(hash) if *hash == sealed.sha256 => {
                    (stat.mode != sealed.mode || !is_of(stat, sealed)).then_some(What::Access)
                }
                _ => Some(What::Differs),
            },
        }
    }

    fn reason(&self, what: What, path: &str, label: &Label, sealed: Option<&LabelledFile>) -> Option<Reason> {
        let sealed_run = label.of.as_ref().unwrap_or(&label.run);
        match () {
            () if what == What::Unread => Some(Reason::NotRead),
            () if what != What::Access && self.is_by_hand(path) => Some(Reason::ByHand),
            () if self.run != *sealed_run => Some(Reason::OtherSet(self.run.clone())),
            () if sealed.is_some_and(|file| file.edited) => Some(Reason::EditedThen),
            // A set is made with its modes and owners, and no run of ours changes what is live.
            () if what == What::Access => Some(Reason::ByHand),
            () => None,
        }
    }

    /// Is it not what the run that made the set live had put there? Only what its manifest vouches for is known.
    fn is_by_hand(&self, path: &str) -> bool {
        let place = self.place(path);
        let mac = self.facts.hashes.get(&place).map(|hash| (self.mac)(hash.as_bytes()));
        let manifest = &self.facts.manifest.files;
        match manifest.get(path) {
            Some(known) => mac.as_ref() != Some(known),
            None => !manifest.is_empty() && self.facts.entries.contains_key(&place),
        }
    }
}

fn is_of(stat: &Stat, file: &LabelledFile) -> bool {
    match (Principal::new(&*file.owner), Principal::new(&*file.group)) {
        (Ok(owner), Ok(group)) => stat.belongs_to(&owner, &group),
        _ => (&stat.user, &stat.group) == (&file.owner, &file.group),
    }
}

fn told(what: What, paths: &[String], reason: Option<&Reason>) -> String {
    let is_one = paths.len() == 1;
    let what = match (what, is_one) {
        (What::Differs, true) => "differs from what is live",
        (What::Differs, false) => "differ from what is live",
        (What::NotLive, true) => "is in it and not live",
        (What::NotLive, false) => "are in it and not live",
        (What::OnlyLive, true) => "is live and not in it",
        (What::OnlyLive, false) => "are live and not in it",
        (What::Access, true) => "has another mode or owner than what is live",
        (What::Access, false) => "have another mode or owner than what is live",
        (What::Unread, _) => "could not be compared",
    };
    let reason = match reason {
        Some(Reason::ByHand) => "changed by hand since".to_owned(),
        Some(Reason::OtherSet(run)) => format!("the live set is of another run, {run}"),
        Some(Reason::EditedThen) => "it holds what had been changed by hand then".to_owned(),
        Some(Reason::NotRead) => "what is live could not be read".to_owned(),
        None => "nothing that is recorded explains it".to_owned(),
    };
    format!("{} {what}: {reason}", listed(paths))
}

fn shown(text: &str) -> String {
    printable(text.as_bytes(), 200)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::Kind;
    use crate::plan::desired::sha256;
    use crate::words::{HostName, PlayName, Secret};

    const RUN: &str = "42-20261121T020000Z-7f3a";

    fn mac(bytes: &[u8]) -> String {
        sha256(&[b"key", bytes].concat())
    }

    fn stat(mode: u32) -> Stat {
        Stat {
            kind: Kind::File,
            mode: Mode::new(mode),
            uid: 0,
            gid: 0,
            user: "root".to_owned(),
            group: "root".to_owned(),
            links: 1,
            size: 1,
            modified: 0,
            target: None,
        }
    }

    /// A set of one file, live since a run put it there.
    fn live(path: &str, content: &str) -> RootFacts {
        let mut facts = RootFacts { live: Some(format!("..{RUN}")), ..RootFacts::default() };
        let place = format!("secrets/..{RUN}/{path}");
        facts.entries.insert(place.clone(), stat(0o600));
        facts.hashes.insert(place, sha256(content.as_bytes()));
        facts.manifest.files.insert(path.to_owned(), mac(sha256(content.as_bytes()).as_bytes()));
        facts
    }

    fn backup(path: &str, content: &str) -> Backup {
        let label = toml::from_str::<Label>(&format!(
            "version = 1\nbundle = 'b'\nhost = '{}'\nplay = '{}'\nroot = '/opt/x'\nrun = '{RUN}'\nwhy = 'deploy'",
            HostName::new("web1").unwrap(),
            PlayName::new("play").unwrap()
        ));
        let mut label = label.unwrap();
        let sha256 = sha256(content.as_bytes());
        let file =
            LabelledFile { owner: "root".to_owned(), group: "root".to_owned(), ..LabelledFile::of(path, sha256, None) };
        label.files.push(file);
        let files = [(path.to_owned(), Secret::new(content.as_bytes()))].into_iter().collect();
        let (vault_password, keepsake) = (Secret::new(Vec::new()), Secret::new(Vec::new()));
        Backup { label, files, vault_password, keepsake }
    }

    /// What a host says that unpacked it faithfully.
    fn faithful(backup: &Backup) -> Rehearsal {
        let mut rehearsal = Rehearsal { live: Some(format!("..{RUN}")), ..Rehearsal::default() };
        for file in &backup.label.files {
            rehearsal.entries.insert(format!("set/{}", file.path), stat(file.mode.bits()));
            rehearsal.hashes.insert(format!("set/{}", file.path), file.sha256.clone());
        }
        rehearsal
    }

    fn problem(text: &str) -> Verdict {
        Verdict { problem: Some(text.to_owned()), note: None }
    }

    fn note(text: &str) -> Verdict {
        Verdict { problem: None, note: Some(text.to_owned()) }
    }

    #[test]
    fn what_is_live_came_back() {
        let backup = backup("a.env", "A=1");
        assert_eq!(faithful(&backup).judge(&backup.label, &live("a.env", "A=1"), &mac), Verdict::default());
    }

    #[test]
    fn what_nothing_explains_is_a_problem() {
        let backup = backup("a.env", "A=1");
        let judge = |facts: &RootFacts| faithful(&backup).judge(&backup.label, facts, &mac);
        let unexplained = "a.env differs from what is live: nothing that is recorded explains it";
        assert_eq!(judge(&live("a.env", "A=2")), problem(unexplained));
        // What no manifest vouches for explains nothing.
        let mut facts = live("a.env", "A=2");
        facts.manifest.files.clear();
        assert_eq!(judge(&facts), problem(unexplained));
    }

    #[test]
    fn what_is_recorded_explains_a_difference() {
        let mut backup = backup("a.env", "A=1");
        let mut facts = live("a.env", "A=2");
        facts.manifest = live("a.env", "A=1").manifest;
        let judge = |backup: &Backup, facts: &RootFacts| faithful(backup).judge(&backup.label, facts, &mac);
        assert_eq!(judge(&backup, &facts), note("a.env differs from what is live: changed by hand since"));
        backup.label.files[0].edited = true;
        let then = "a.env differs from what is live: it holds what had been changed by hand then";
        assert_eq!(judge(&backup, &live("a.env", "A=2")), note(then));
        backup.label.of = Some("41-20261120T020000Z-0001".parse().unwrap());
        let other = format!("a.env differs from what is live: the live set is of another run, {RUN}");
        assert_eq!(judge(&backup, &live("a.env", "A=2")), note(&other));
        let nothing = RootFacts::default();
        let rehearsal = Rehearsal { live: None, ..faithful(&backup) };
        assert_eq!(
            rehearsal.judge(&backup.label, &nothing, &mac),
            note("no set of ours is live there to compare it with")
        );
    }

    #[test]
    fn what_did_not_come_back_is_a_problem() {
        let backup = backup("a.env", "A=1");
        let judge = |bend: &dyn Fn(&mut Rehearsal)| {
            let mut rehearsal = faithful(&backup);
            bend(&mut rehearsal);
            rehearsal.judge(&backup.label, &live("a.env", "A=1"), &mac)
        };
        assert_eq!(judge(&|one| one.entries.clear()), problem("a.env did not come back"));
        assert_eq!(judge(&|one| one.hashes.clear()), problem("a.env came back with another content"));
        let wider = judge(&|one| _ = one.entries.insert("set/a.env".to_owned(), stat(0o644)));
        assert_eq!(wider, problem("a.env came back with mode 0644, not 0600"));
        let other = judge(&|one| one.entries.get_mut("set/a.env").unwrap().uid = 7);
        assert_eq!(other, problem("a.env came back as a file of root:root"));
        let moved = judge(&|one| one.live = Some("..43-20261122T020000Z-0001".to_owned()));
        assert_eq!(moved, note("another run switched meanwhile: compared with what was live before"));
    }

    #[test]
    fn a_path_that_leads_elsewhere_never_travels() {
        for path in ["../a", "/etc/passwd", "a//b", "./a", "a\nb", ""] {
            assert!(Transaction::rehearsal(&backup(path, "A=1")).is_err(), "{path:?}");
        }
        let mut of_a_stranger = backup("a.env", "A=1");
        of_a_stranger.label.files[0].owner = "-R root".to_owned();
        assert!(Transaction::rehearsal(&of_a_stranger).is_err());
    }
}
