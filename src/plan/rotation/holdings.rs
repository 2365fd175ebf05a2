//! `Holdings`: which enrolled host gets which services, and with that which value of a secret.

use super::Ground;
use crate::bundle::{Bundle, SecretName};
use crate::inventory::Host;
use crate::plan::entitlement::{Entitlement, entitlements};
use crate::words::{GroupName, HostName, Result, Secret, ServiceName};
use std::collections::BTreeSet;

/// Of every enrolled host of the inventory, in its order.
pub(super) struct Holdings(Vec<Holding>);

struct Holding {
    host: HostName,
    groups: Vec<GroupName>,
    services: BTreeSet<ServiceName>,
    /// Services of the playbook, what their files are made of, and whether they act when those change.
    plays: Vec<(ServiceName, Vec<ServiceName>, bool)>,
}

impl Holdings {
    pub fn of(ground: Ground) -> Result<Self> {
        let is_enrolled =
            |host: &HostName| ground.bundle.enrolment(host).is_some_and(|enrolment| !enrolment.host_keys.is_empty());
        let hosts = ground.inventory.hosts().iter().filter(|host| is_enrolled(&host.name));
        let holding = |host: &Host| {
            let entitlements = entitlements(ground.inventory, ground.playbook, host)?;
            Ok(Holding::new(host.name.clone(), host.groups.clone(), &entitlements))
        };
        hosts.map(holding).collect::<Result<_>>().map(Self)
    }

    /// The hosts that get this service.
    pub fn getting<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = &'a HostName> {
        self.0.iter().filter(|holding| holding.services.contains(service)).map(|holding| &holding.host)
    }

    /// The hosts whose value is one of these, and no override of it; also of one that has no value yet.
    pub fn holders(&self, names: &[&SecretName], bundle: &Bundle) -> Vec<HostName> {
        let holds = |holding: &&Holding| names.iter().any(|name| holding.holds(name, bundle));
        self.0.iter().filter(holds).map(|holding| holding.host.clone()).collect()
    }

    /// The value that a host has of it, in whatever layer.
    pub fn value(&self, host: &HostName, name: &SecretName, bundle: &Bundle) -> Option<Secret> {
        let holding = self.0.iter().find(|holding| holding.host == *host)?;
        bundle.value(&bundle.effective(name, host, &holding.groups)?).cloned()
    }

    /// The hosts to which the bundle gives this value of it, in whatever layer.
    pub fn users(&self, name: &SecretName, value: Option<&Secret>, bundle: &Bundle) -> Vec<HostName> {
        let has = |holding: &&Holding| {
            let now = holding.effective(name, bundle);
            value.is_some() && now.and_then(|name| bundle.value(&name)) == value
        };
        self.0.iter().filter(has).map(|holding| holding.host.clone()).collect()
    }

    /// Services that act on the hosts which have one of them.
    pub fn acting(&self, names: &[&SecretName], bundle: &Bundle) -> Vec<ServiceName> {
        let of = |name: &SecretName| {
            let plays = self.0.iter().filter(|holding| holding.holds(name, bundle)).flat_map(|holding| &holding.plays);
            let acting = plays.filter(|(_, sources, acts)| *acts && sources.contains(&name.service));
            acting.map(|(service, ..)| service.clone()).collect::<Vec<_>>()
        };
        let acting: BTreeSet<ServiceName> = names.iter().flat_map(|name| of(name)).collect();
        acting.into_iter().collect()
    }

    /// Services of the playbook whose files are made of one of these.
    pub fn made_of(&self, names: &[&SecretName]) -> BTreeSet<ServiceName> {
        let plays = self.0.iter().flat_map(|holding| &holding.plays);
        let made = plays.filter(|(_, sources, _)| names.iter().any(|name| sources.contains(&name.service)));
        made.map(|(service, ..)| service.clone()).collect()
    }

    /// Every secret of which a host has the value.
    pub fn of_host(&self, host: &HostName, bundle: &Bundle) -> Vec<SecretName> {
        let Some(holding) = self.0.iter().find(|holding| holding.host == *host) else { return Vec::new() };
        bundle.secrets().into_iter().filter(|name| holding.holds(name, bundle)).collect()
    }
}

impl Holding {
    fn new(host: HostName, groups: Vec<GroupName>, entitlements: &[Entitlement]) -> Self {
        let entitled = || entitlements.iter().flat_map(|entitlement| &entitlement.services);
        let plays = entitled().map(|entitled| {
            (entitled.service.name.clone(), entitled.sources.clone(), entitled.service.on_change.is_some())
        });
        Self {
            host,
            groups,
            services: entitled().flat_map(|entitled| entitled.sources.iter().cloned()).collect(),
            plays: plays.collect(),
        }
    }

    /// Is this the value that the host gets, or would get if there were one?
    fn holds(&self, name: &SecretName, bundle: &Bundle) -> bool {
        let layers = bundle.layers(name, &self.host, &self.groups);
        let strongest = layers.filter(|layer| layer == name || bundle.value(layer).is_some()).last();
        self.services.contains(&name.service) && strongest.as_ref() == Some(name)
    }

    fn effective(&self, name: &SecretName, bundle: &Bundle) -> Option<SecretName> {
        self.services.contains(&name.service).then(|| bundle.effective(name, &self.host, &self.groups)).flatten()
    }
}
