//! The inventory: which hosts there are, where and how to log in, which groups they are in, and who is meant by a pattern.
//! TOML files come in, a checked [`Inventory`] leaves; defaults, groups from the outside in, and the host itself were laid
//! over one another by then.

mod ancestry;
mod draft;
mod endpoint;
mod range;
mod selection;
mod settings;
#[cfg(test)]
mod tests;

use crate::words::{Error, GroupName, HostName, RemotePath, Result, TomlFiles};
use ancestry::Ancestry;
use draft::{Draft, HostDraft};
use settings::Settings;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

pub use endpoint::{Connection, Endpoint, Escalation};

/// All hosts and groups, checked and resolved.
#[derive(Clone, Debug)]
pub struct Inventory {
    hosts: Vec<Host>,
    groups: Vec<Group>,
    index: HashMap<HostName, usize>,
}

/// A host with its settings resolved: defaults, then groups, then its own.
#[derive(Clone, Debug)]
pub struct Host {
    pub name: HostName,
    pub endpoint: Endpoint,
    /// Given by the host or a group: stronger than the play's.
    pub root: Option<RemotePath>,
    /// Given by `[defaults]`: weaker than the play's.
    pub default_root: Option<RemotePath>,
    /// All groups the host is in, outer before inner: each speaks over those before it.
    pub groups: Vec<GroupName>,
    /// The inventory's free values, the nearest layer's for each key.
    pub vars: BTreeMap<String, toml::Value>,
}

/// A group as written, or one that only hosts name.
#[derive(Clone, Debug)]
pub struct Group {
    pub name: GroupName,
    pub children: Vec<GroupName>,
    /// The hosts that name the group themselves, in inventory order.
    pub hosts: Vec<HostName>,
    /// Its own only; those of outer groups are not among them.
    pub vars: BTreeMap<String, toml::Value>,
}

impl Inventory {
    /// Reads a .toml file, or a directory of them, joined.
    pub fn load(path: &Path) -> Result<Self> {
        let files = TomlFiles::read(path, "inventory")?;
        let draft = Draft::read(&files)?;
        if draft.hosts.is_empty() {
            return Err(Error::new(format!("{}: the inventory has no hosts", path.display()))
                .hint("write [hosts] and below it: web1 = { address = \"203.0.113.10\" }"));
        }
        let base = holder(path);
        let login = nix::unistd::User::from_uid(nix::unistd::getuid()).ok().flatten().map(|user| user.name);
        let mut inventory = Self::resolve(&draft, login.as_deref())?;
        for file in inventory.hosts.iter_mut().filter_map(|host| host.endpoint.identity_file.as_mut()) {
            *file = base.join(&file); // an absolute path stays
        }
        Ok(inventory)
    }

    fn resolve(draft: &Draft, login: Option<&str>) -> Result<Self> {
        let ancestry = Ancestry::of(&draft.groups)?;
        let settings: HashMap<_, _> = draft.groups.iter().map(|group| (&group.name, &group.settings)).collect();
        let host = |host: &HostDraft| {
            let groups = ancestry.around(&host.groups);
            let layers: Vec<_> = groups.iter().map(|group| settings[group]).chain([&host.settings]).collect();
            resolved(host, groups, &draft.defaults, &layers, login)
        };
        let hosts = draft.hosts.iter().map(host).collect::<Result<Vec<_>>>()?;
        let mut members: HashMap<_, Vec<_>> = HashMap::new();
        for host in &draft.hosts {
            for group in &host.groups {
                members.entry(group).or_default().push(host.name.clone());
            }
        }
        let group = |group: &draft::GroupDraft| Group {
            name: group.name.clone(),
            children: group.children.clone(),
            hosts: members.remove(&group.name).unwrap_or_default(),
            vars: values(&group.settings),
        };
        let groups = draft.groups.iter().map(group).collect();
        let index = hosts.iter().enumerate().map(|(at, host)| (host.name.clone(), at)).collect();
        Ok(Self { hosts, groups, index })
    }

    /// In inventory order.
    pub fn hosts(&self) -> &[Host] {
        &self.hosts
    }

    /// The host of this name.
    pub fn host(&self, name: &HostName) -> Option<&Host> {
        self.index.get(name).map(|at| &self.hosts[*at])
    }

    /// In the order they were written, then those that only hosts name.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// Every name of a host or a group.
    fn names(&self) -> impl Iterator<Item = &str> {
        let hosts = self.hosts.iter().map(|host| host.name.as_str());
        hosts.chain(self.groups.iter().map(|group| group.name.as_str()))
    }
}

/// The directory that holds the inventory, against which a relative `identity_file` is resolved, wherever the program is
/// started: the project, for `inventory/` and for a file in it; else the directory of the file.
fn holder(path: &Path) -> PathBuf {
    // `.` and `..` have no parent that could be read off.
    let path = match path.file_name() {
        Some(_) => path.to_owned(),
        None => path.canonicalize().unwrap_or_else(|_| path.to_owned()),
    };
    let parent = path.parent().unwrap_or(&path);
    let is_within = path.is_file() && parent.file_name().is_some_and(|name| name == "inventory");
    parent.parent().filter(|_| is_within).unwrap_or(parent).to_owned()
}

fn values(settings: &Settings) -> BTreeMap<String, toml::Value> {
    settings.vars.iter().map(|(key, written)| (key.clone(), written.value.clone())).collect()
}

fn resolved(
    host: &HostDraft,
    groups: Vec<GroupName>,
    defaults: &Settings,
    layers: &[&Settings],
    login: Option<&str>,
) -> Result<Host> {
    let mut all = defaults.clone();
    for layer in layers {
        all.override_with(layer);
    }
    let vars = values(&all);
    let user = match all.user {
        Some(user) => user.value,
        None => login.and_then(|login| settings::user(login).ok()).ok_or_else(|| no_user(host))?,
    };
    let endpoint = Endpoint {
        host: host.name.clone(),
        address: all.address.map_or_else(|| host.name.to_string(), |address| address.value),
        port: all.port.map_or(22, |port| port.value),
        user,
        identity_file: all.identity_file.map(|path| path.value),
        jump: all.jump.and_then(|jump| jump.value),
        escalation: all.escalation.map_or(Escalation::None, |escalation| escalation.value),
        connection: all.connection.map_or(Connection::Ssh, |connection| connection.value),
    };
    let root = layers.iter().rev().find_map(|layer| layer.own_root()).cloned();
    Ok(Host { name: host.name.clone(), endpoint, root, default_root: defaults.own_root().cloned(), groups, vars })
}

fn no_user(host: &HostDraft) -> Error {
    Error::new(format!(
        "host \"{}\": no user is given, and the name you are logged in by here cannot stand for it",
        host.name
    ))
    .at(&host.place)
    .hint("write user = \"root\" under [defaults]")
}
