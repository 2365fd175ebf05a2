//! What lies around the secrets: the directories on the way, the mount, swap, and the processes that read them.

use super::Auditor;
use crate::plan::refusal::exposure;
use crate::plan::{DesiredService, DesiredSet, Finding, HostFacts, Instance, Mount, RootFacts, Rule};
use crate::playbook::Consumer;
use chrono::{DateTime, SecondsFormat};

/// File systems whose modes are a mount option and no property of a file.
const MADE_UP: [&str; 10] = ["vfat", "msdos", "exfat", "ntfs", "ntfs3", "cifs", "smb3", "hfs", "hfsplus", "iso9660"];

impl Auditor<'_> {
    pub(super) fn surroundings(&mut self) {
        if let Some(real) = &self.is.facts.elsewhere {
            let path = self.is.want.root.as_str().to_owned();
            let fix = format!("set root = \"{real}\" in the inventory or the playbook");
            self.find(
                Finding::new(Rule::Symlink, path, "a path without links", format!("it is really {real}"))
                    .mended_by(fix),
            );
        }
        self.parents();
        self.opened_mount();
    }

    /// As sshd looks at a key file.
    fn parents(&mut self) {
        let (want, facts) = (self.is.want, self.is.facts);
        for path in want.root.way() {
            let Some(stat) = facts.entries.get(path) else { continue };
            let at = |rule, expected: &str, found: String| Finding::new(rule, path.to_owned(), expected, found);
            match &stat.target {
                Some(_) if facts.elsewhere.is_some() => {}
                Some(target) => self.find(
                    at(Rule::Symlink, "a directory", format!("a link to {target}"))
                        .mended_by("name the real path as the root"),
                ),
                None if !stat.is_directory() => self.find(
                    at(Rule::UnexpectedFile, "a directory", "something else in its place".to_owned())
                        .mended_by("look at it and move it away"),
                ),
                None => {
                    if let Some(seen) = exposure(path, stat, self.facts.uid) {
                        self.find(at(Rule::ParentWritable, &seen.expected, seen.found).mended_by(seen.fix));
                    }
                }
            }
        }
    }

    fn opened_mount(&mut self) {
        let Some(mount) = self.mount else { return };
        let Some(option) = opens_to_all(mount) else { return };
        let found =
            format!("{} mounted at {} with {option}: every user reads what lies there", mount.kind, mount.point);
        let fix = format!("mount {} without {option}", mount.point);
        let path = self.is.want.root.as_str().to_owned();
        self.find(Finding::new(Rule::WorldReadable, path, "a mount that keeps modes", found).mended_by(fix));
    }

    /// Where another name of a file can be: no further.
    pub(super) fn file_system(&self) -> &str {
        self.mount.map_or("/", |mount| &mount.point)
    }

    /// Does the mount, and no `chmod`, say what the modes are?
    pub(super) fn shows_made_up_modes(&self) -> bool {
        self.mount.is_some_and(|mount| MADE_UP.contains(&mount.kind.as_str()) && opens_to_all(mount).is_some())
    }

    /// Actions that were recorded before a switch and not done since.
    pub(super) fn restarts(&mut self) {
        for service in self.is.facts.owed.clone() {
            let path = self.file_of(&service);
            let finding = Finding::new(Rule::OwedRestart, path, "done after the switch", "the action is still owed");
            self.find(finding.mended_by(self.deploy()));
        }
    }

    fn file_of(&self, service: &crate::words::ServiceName) -> String {
        let file = self.is.want.files.iter().find(|file| file.service == *service);
        self.is.want.root.join(&format!("secrets/{}", file.map_or(service.as_str(), |file| file.link_name())))
    }
}

/// The option by which everybody reads every file, whatever its mode.
fn opens_to_all(mount: &Mount) -> Option<&str> {
    let value =
        |key: &str| mount.options.iter().find(|option| option.strip_prefix(key).is_some_and(|v| v.starts_with('=')));
    let bits = |option: &str| u32::from_str_radix(option.split_once('=')?.1, 8).ok();
    let has = |name: &str| mount.options.iter().any(|option| option == name);
    if mount.kind.starts_with("fuse") && has("allow_other") && !has("default_permissions") {
        return Some("allow_other");
    }
    if !MADE_UP.contains(&mount.kind.as_str()) {
        return None;
    }
    let masked = ["fmask", "umask"].iter().filter_map(|key| value(key));
    let mut open = masked.filter(|option| bits(option).is_some_and(|bits| bits & 0o004 == 0));
    let mut given = value("file_mode").into_iter().filter(|option| bits(option).is_some_and(|bits| bits & 0o004 != 0));
    open.next().or_else(|| given.next()).map(String::as_str)
}

/// Who reads the secrets of these sets, in the order in which they are asked about: each once.
pub fn consumers(sets: &[DesiredSet]) -> Vec<Consumer> {
    let mut all: Vec<Consumer> =
        sets.iter().flat_map(|set| &set.services).flat_map(|service| service.consumers.iter().cloned()).collect();
    all.sort();
    all.dedup();
    all
}

/// What concerns the host and none of its roots: memory that ends on a disk, and consumers that were started too early.
pub fn around(sets: &[DesiredSet], facts: &HostFacts) -> Vec<Finding> {
    let swap = |device: &String| {
        let finding = Finding::new(
            Rule::ClearSwap,
            device.clone(),
            "encrypted swap, or none",
            "swap in clear, as far as is known",
        );
        finding.mended_by("encrypt it, for example with a random key in /etc/crypttab")
    };
    let mut findings: Vec<Finding> = facts.clear_swaps.iter().map(swap).collect();
    let asked = consumers(sets);
    for (set, root) in sets.iter().zip(&facts.roots) {
        for service in set.services.iter().filter(|service| !root.owed.contains(&service.name)) {
            let Some(since) = since(set, service, root) else { continue };
            for consumer in &service.consumers {
                let at = asked.iter().position(|other| other == consumer);
                let instances = at.and_then(|at| facts.consumers.get(at)).into_iter().flatten();
                findings.extend(instances.filter_map(|instance| stale(set, service, consumer, instance, since)));
            }
        }
    }
    findings
}

/// When the newest of a service's files came to say what it says, by the host's clock.
fn since(set: &DesiredSet, service: &DesiredService, root: &RootFacts) -> Option<i64> {
    let live = root.live.as_deref()?;
    let files = set.files.iter().filter(|file| file.service == service.name);
    files.filter_map(|file| Some(root.entries.get(&format!("secrets/{live}/{}", file.path))?.modified)).max()
}

fn stale(
    set: &DesiredSet,
    service: &DesiredService,
    consumer: &Consumer,
    instance: &Instance,
    since: i64,
) -> Option<Finding> {
    let (name, read, verb) = match consumer {
        Consumer::Unit { name, reloads: true } => (name, instance.changed, "last reloaded or started"),
        Consumer::Unit { name, .. } => (name, instance.started, "started"),
        Consumer::Container { name } => (name, instance.started, "started"),
        // A restart gives it the environment that it was made with.
        Consumer::Compose { .. } => (&instance.name, instance.made, "made"),
    };
    if read >= since {
        return None;
    }
    let file = set.files.iter().find(|file| file.service == service.name)?;
    let path = set.root.join(&format!("secrets/{}", file.link_name()));
    let expected = format!("{name} {verb} after its secrets changed, {}", time(since));
    let found = format!("{name} {verb} {}", time(read));
    let fix = format!("on the host: {}", service.action.as_deref().unwrap_or_default().join(" "));
    Some(Finding::new(Rule::StaleConsumer, path, expected, found).mended_by(fix))
}

fn time(seconds: i64) -> String {
    DateTime::from_timestamp(seconds, 0)
        .map_or_else(|| seconds.to_string(), |time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
