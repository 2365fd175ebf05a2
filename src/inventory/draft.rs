//! `Draft`: the inventory as written, all files joined, ranges expanded, nothing inherited yet.

use super::range;
use super::settings::{self, Settings};
use crate::words::{Error, GroupName, HostName, Result, TomlFiles, TomlTable};
use std::collections::{HashMap, HashSet};

#[derive(Default)]
pub(super) struct Draft {
    pub defaults: Settings,
    pub hosts: Vec<HostDraft>,
    pub groups: Vec<GroupDraft>,
    host_index: HashMap<HostName, usize>,
    group_index: HashMap<GroupName, usize>,
}

pub(super) struct HostDraft {
    pub name: HostName,
    pub place: String,
    pub groups: Vec<GroupName>,
    pub settings: Settings,
}

pub(super) struct GroupDraft {
    pub name: GroupName,
    pub place: String,
    pub children: Vec<GroupName>,
    pub settings: Settings,
}

impl Draft {
    pub fn read(files: &TomlFiles) -> Result<Self> {
        let mut draft = Self::default();
        for table in files.tables() {
            draft.add_file(&table)?;
        }
        draft.add_groups_named_by_hosts();
        draft.check()?;
        Ok(draft)
    }

    fn add_file(&mut self, table: &TomlTable<'_>) -> Result<()> {
        table.only(&["defaults", "hosts", "groups"])?;
        if let Some(defaults) = table.table("defaults")? {
            defaults.only(&settings::KEYS)?;
            self.defaults.join(Settings::read(&defaults)?).map_err(|e| e.at("defaults"))?;
        }
        if let Some(hosts) = table.table("hosts")? {
            let mut seen = HashSet::new();
            for (key, host) in hosts.named_tables()? {
                self.add_hosts(key, &host.called(format!("host \"{}\"", key.escape_debug())), &mut seen)?;
            }
        }
        if let Some(groups) = table.table("groups")? {
            for (key, group) in groups.named_tables()? {
                self.add_group(key, &group.called(format!("group \"{}\"", key.escape_debug())))?;
            }
        }
        Ok(())
    }

    /// One key of `[hosts]`: a host, or all hosts of a range with the same settings.
    fn add_hosts(&mut self, key: &str, table: &TomlTable<'_>, seen: &mut HashSet<HostName>) -> Result<()> {
        let known: Vec<&str> = settings::KEYS.into_iter().chain(["groups"]).collect();
        table.only(&known).map_err(|error| {
            match table.keys().find(|key| !known.contains(key) && table.is_table(key)) {
                Some(inner) => error.hint(format!("a host name with a dot is quoted: \"{key}.{inner}\"")),
                None => error,
            }
        })?;
        let settings = Settings::read(table)?;
        let groups = names(table, "groups")?;
        for name in range::expand(key).map_err(|e| e.at(table.place()))? {
            if !seen.insert(name.clone()) {
                let twice = Error::new(format!("host \"{name}\" is here a second time"));
                return Err(twice.at(table.place()).hint("a range and a name, or two ranges, overlap"));
            }
            self.add_host(HostDraft {
                name,
                place: table.place(),
                groups: groups.clone(),
                settings: settings.clone(),
            })?;
        }
        Ok(())
    }

    fn add_host(&mut self, host: HostDraft) -> Result<()> {
        match self.host_index.get(&host.name) {
            Some(at) => {
                let own = &mut self.hosts[*at];
                own.settings.join(host.settings).map_err(|e| e.at(format!("host \"{}\"", own.name)))?;
                add_new(&mut own.groups, host.groups);
            }
            None => {
                self.host_index.insert(host.name.clone(), self.hosts.len());
                self.hosts.push(host);
            }
        }
        Ok(())
    }

    fn add_group(&mut self, key: &str, table: &TomlTable<'_>) -> Result<()> {
        let known: Vec<&str> = ["children"].into_iter().chain(settings::KEYS).collect();
        table.only(&known)?;
        let name = GroupName::new(key).map_err(|e| e.at(table.place()))?;
        let children = names(table, "children")?;
        let settings = Settings::read(table)?;
        let own = self.group(&name, table.place());
        own.settings.join(settings).map_err(|e| e.at(format!("group \"{name}\"")))?;
        add_new(&mut own.children, children);
        Ok(())
    }

    /// The group of that name, made if it is new.
    fn group(&mut self, name: &GroupName, place: String) -> &mut GroupDraft {
        let at = *self.group_index.entry(name.clone()).or_insert_with(|| {
            let (name, children, settings) = (name.clone(), Vec::new(), Settings::default());
            self.groups.push(GroupDraft { name, place, children, settings });
            self.groups.len() - 1
        });
        &mut self.groups[at]
    }

    /// A group needs no table of its own: that a host is in it is enough.
    fn add_groups_named_by_hosts(&mut self) {
        let named: Vec<_> = self
            .hosts
            .iter()
            .flat_map(|host| host.groups.iter().map(|group| (group.clone(), host.place.clone())))
            .filter(|(group, _)| !self.group_index.contains_key(group))
            .collect();
        for (name, place) in named {
            self.group(&name, place);
        }
    }

    fn check(&self) -> Result<()> {
        for group in &self.groups {
            self.check_group(group)?;
        }
        for host in &self.hosts {
            if matches!(host.name.as_str(), "all" | "ungrouped") {
                return Err(Error::new(format!("a host cannot be called \"{}\"", host.name)).at(&host.place));
            }
        }
        Ok(())
    }

    fn check_group(&self, group: &GroupDraft) -> Result<()> {
        let name = &group.name;
        let wrong = |why: String| Error::new(why).at(&group.place);
        if name.as_str() == "all" {
            let hint = "`all` is every host by itself; what holds for all stands under [defaults]";
            return Err(wrong("a group cannot be called \"all\"".to_owned()).hint(hint));
        }
        if name.as_str() == "ungrouped" {
            let hint = "`ungrouped` is every host without a group by itself";
            return Err(wrong("a group cannot be called \"ungrouped\"".to_owned()).hint(hint));
        }
        if let Some(host) = HostName::new(name.as_str()).ok().and_then(|name| self.host_index.get(&name)) {
            let host = &self.hosts[*host];
            return Err(wrong(format!("\"{name}\" is a group here and a host in {}", host.place))
                .hint("give one of them another name, so that a pattern has one meaning"));
        }
        let Some(child) = group.children.iter().find(|child| !self.group_index.contains_key(child)) else {
            return Ok(());
        };
        let error = wrong(format!("group \"{name}\": child \"{child}\" is not a group"));
        let known = self.groups.iter().map(|group| group.name.as_str()).filter(|known| *known != name.as_str());
        Err(match crate::words::nearest(child.as_str(), known) {
            Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
            None => error.hint(format!("write [groups.{child}], or name it in the `groups` of a host")),
        })
    }
}

fn add_new<T: PartialEq>(own: &mut Vec<T>, others: Vec<T>) {
    for other in others {
        if !own.contains(&other) {
            own.push(other);
        }
    }
}

fn names(table: &TomlTable<'_>, key: &str) -> Result<Vec<GroupName>> {
    let mut names = Vec::new();
    for text in table.strings(key)?.unwrap_or_default() {
        let name = GroupName::new(text).map_err(|e| table.wrong_at(key, e))?;
        add_new(&mut names, vec![name]);
    }
    Ok(names)
}
