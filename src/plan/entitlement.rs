//! Which services of which plays a host gets, from names alone: no bundle is opened for it. What a host is entitled to is
//! decided here once, for the planner and for whoever asks beforehand.

use crate::bundle::{Bundle, EnvFile};
use crate::inventory::{Host, Inventory};
use crate::playbook::{Play, Playbook, Service};
use crate::words::{Error, KeyName, RemotePath, Result, ServiceName};

/// What one host gets from one play.
#[derive(Clone, Debug)]
pub struct Entitlement<'a> {
    pub play: &'a Play,
    pub root: RemotePath,
    pub services: Vec<Entitled<'a>>,
}

/// A service that a host gets.
#[derive(Clone, Debug)]
pub struct Entitled<'a> {
    pub service: &'a Service,
    /// The services of the bundle that its content is made of: itself, or those it includes.
    pub sources: Vec<ServiceName>,
}

/// The plays that mean this host, in playbook order, each with the services that do.
pub fn entitlements<'a>(inventory: &Inventory, playbook: &'a Playbook, host: &Host) -> Result<Vec<Entitlement<'a>>> {
    let mut found: Vec<Entitlement<'a>> = Vec::new();
    for play in &playbook.plays {
        let means = inventory.matches(&play.hosts, &host.name);
        if !means.map_err(|e| e.at(format!("play \"{}\": hosts", play.name)))? {
            continue;
        }
        let root = root(play, host)?;
        if let Some(other) = found.iter().find(|other| other.root == root) {
            let why = format!(
                "plays \"{}\" and \"{}\" have the same root {root} on host \"{}\"",
                other.play.name, play.name, host.name
            );
            return Err(Error::new(why).hint("a set belongs to one play; give each play a root of its own"));
        }
        found.push(Entitlement { play, root, services: services(inventory, play, host)? });
    }
    Ok(found)
}

/// Host or group, then play, then the inventory's defaults.
fn root(play: &Play, host: &Host) -> Result<RemotePath> {
    let root = host.root.as_ref().or(play.root.as_ref()).or(host.default_root.as_ref());
    root.cloned().ok_or_else(|| {
        Error::new(format!("play \"{}\" names no root for host \"{}\"", play.name, host.name))
            .hint("write root = \"/opt/NAME\" in the play, or under [defaults] of the inventory")
    })
}

fn services<'a>(inventory: &Inventory, play: &'a Play, host: &Host) -> Result<Vec<Entitled<'a>>> {
    let mut own = Vec::new();
    for service in &play.services {
        let means = service.hosts.as_ref().map_or(Ok(true), |hosts| inventory.matches(hosts, &host.name));
        if means.map_err(|e| e.at(format!("play \"{}\": service \"{}\": hosts", play.name, service.name)))? {
            own.push(service);
        }
    }
    Ok(own.iter().map(|service| Entitled { service, sources: sources(service, &own, play) }).collect())
}

/// An include is made of the plain services that this host gets, so it never holds what the host may not have; and of
/// services that the play does not know, named one by one. A template that names none may use all plain ones.
fn sources(service: &Service, own: &[&Service], play: &Play) -> Vec<ServiceName> {
    if service.is_plain() {
        return vec![service.name.clone()];
    }
    let is_any = service.include.is_empty();
    let included = |other: &&&Service| {
        other.is_plain() && (is_any || service.include.iter().any(|glob| glob.matches(&other.name)))
    };
    let mut sources: Vec<_> = own.iter().filter(included).map(|other| other.name.clone()).collect();
    // A template has a name of its own, which may be that of a service too.
    let is_known = |name: &ServiceName| {
        let others = play.services.iter().filter(|other| service.template.is_none() || other.name != service.name);
        others.into_iter().any(|other| other.name == *name)
    };
    for name in service.include.iter().filter_map(|glob| glob.exact()) {
        if !sources.contains(&name) && !is_known(&name) {
            sources.push(name);
        }
    }
    sources
}

impl Entitled<'_> {
    /// The env file or directory as others on the host see it.
    pub fn path(&self, root: &RemotePath) -> String {
        root.join(&format!("secrets/{}", self.service.entry()))
    }

    /// Keys that the playbook requires and this host would not get; an empty value is there.
    pub fn lacking(&self, bundle: &Bundle, host: &Host) -> Vec<&KeyName> {
        if self.service.require.is_empty() {
            return Vec::new();
        }
        let contents = self.sources.iter().filter_map(|source| bundle.content(source, &host.name, &host.groups));
        let envs: Vec<EnvFile> = contents.filter_map(|content| content.env).collect();
        self.service.require.iter().filter(|key| !envs.iter().any(|env| env.get(key).is_some())).collect()
    }

    /// Where a key that it lacks is to be set.
    pub fn first_source(&self) -> &ServiceName {
        self.sources.first().unwrap_or(&self.service.name)
    }

    /// Is it, or is it made of, this service?
    pub fn holds(&self, service: &ServiceName) -> bool {
        self.service.name == *service || self.sources.contains(service)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::HostName;

    const INVENTORY: &str =
        "[hosts]\nweb1.groups=['web']\nweb2 = { groups=['web','staging'], root='/srv/host' }\ndb1={}";

    fn load(inventory: &str, playbook: &str) -> Result<(Inventory, Playbook)> {
        let dir = tempfile::tempdir().unwrap();
        let file = |name: &str, text: &str| {
            std::fs::write(dir.path().join(name), text).unwrap();
            dir.path().join(name)
        };
        Ok((Inventory::load(&file("i.toml", inventory))?, Playbook::load(&file("p.toml", playbook))?))
    }

    /// What the host gets: `play root: service=source+source ...`, a play a line.
    fn got(inventory: &str, playbook: &str, host: &str) -> Result<String> {
        let (inventory, playbook) = load(inventory, playbook)?;
        let host = inventory.host(&HostName::new(host)?).expect("a host of the test");
        let service = |entitled: &Entitled<'_>| {
            let sources: Vec<_> = entitled.sources.iter().map(ServiceName::as_str).collect();
            format!(" {}={}", entitled.service.name, sources.join("+"))
        };
        let line = |entitlement: &Entitlement<'_>| {
            let services: String = entitlement.services.iter().map(service).collect();
            format!("{} {}:{services}", entitlement.play.name, entitlement.root)
        };
        Ok(entitlements(&inventory, &playbook, host)?.iter().map(line).collect::<Vec<_>>().join("\n"))
    }

    const PLAYBOOK: &str = "
        [[play]]
        name = 'main'
        hosts = 'web'
        root = '/opt/main'
        service = [
            { name = 'all', include = ['*'] },
            { name = 'some', include = ['a*', 'live', 'extra', 'all'] },
            { name = 'aws' },
            { name = 'live', hosts = 'all:!staging' },
            { name = 'db', hosts = 'db1' },
        ]
        [[play]]
        name = 'base'
        hosts = 'all'
        root = '/opt/base'
        service = [{ name = 'ntp' }]
    ";

    #[track_caller]
    fn case(host: &str, expected: &str) {
        let inventory = INVENTORY.replace(", root='/srv/host'", "");
        assert_eq!(got(&inventory, PLAYBOOK, host).unwrap(), expected);
    }

    #[test]
    fn a_service_narrows_its_play() {
        case("web1", "main /opt/main: all=aws+live some=aws+live+extra aws=aws live=live\nbase /opt/base: ntp=ntp");
        case("web2", "main /opt/main: all=aws some=aws+extra aws=aws\nbase /opt/base: ntp=ntp");
        case("db1", "base /opt/base: ntp=ntp");
    }

    #[test]
    fn the_root_of_the_host_is_strongest_and_that_of_defaults_weakest() {
        let play = |line: &str| format!("[[play]]\nname='p'\nhosts='all'\n{line}");
        let defaults = format!("[defaults]\nroot='/srv/default'\n{INVENTORY}");
        let root = |inventory: &str, line: &str, host: &str| got(inventory, &play(line), host).unwrap();
        assert_eq!(root(INVENTORY, "root='/opt/p'", "web2"), "p /srv/host:");
        assert_eq!(root(INVENTORY, "root='/opt/p'", "web1"), "p /opt/p:");
        assert_eq!(root(&defaults, "root='/opt/p'", "web1"), "p /opt/p:");
        assert_eq!(root(&defaults, "", "web1"), "p /srv/default:");
        let error = got(INVENTORY, &play(""), "web1").unwrap_err();
        assert_eq!(error.to_string(), "play \"p\" names no root for host \"web1\"");
        assert!(error.hints()[0].contains("root = "));
    }

    #[test]
    fn two_plays_cannot_share_a_root() {
        let error = got(INVENTORY, PLAYBOOK, "web2").unwrap_err().to_string();
        assert_eq!(error, "plays \"main\" and \"base\" have the same root /srv/host on host \"web2\"");
    }

    #[test]
    fn a_pattern_that_matches_nothing_names_its_place() {
        let bad = PLAYBOOK.replace("all:!staging", "all:!stagin");
        let error = got(INVENTORY, &bad, "web1").unwrap_err();
        assert!(
            error.to_string().starts_with("play \"main\": service \"live\": hosts: host pattern `!stagin`"),
            "{error}"
        );
        assert_eq!(error.hints(), ["did you mean \"staging\"?"]);
    }

    #[test]
    fn paths_are_those_of_the_host() {
        let raw = "[[play]]\nname='p'\nhosts='all'\nroot='/o'\nservice=[{name='a'},{name='tls',format='raw'}]";
        let (inventory, playbook) = load(INVENTORY, raw).unwrap();
        let found = entitlements(&inventory, &playbook, &inventory.hosts()[0]).unwrap();
        let paths: Vec<_> = found[0].services.iter().map(|entitled| entitled.path(&found[0].root)).collect();
        assert_eq!(paths, ["/o/secrets/a.env", "/o/secrets/tls"]);
    }
}
