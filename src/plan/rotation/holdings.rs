//! `Holdings`: which enrolled host gets which services, and with that which value of a secret.

use super::Ground;
use crate::bundle::{Bundle, SecretName};
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
        let holding = |host: &crate::inventory::Host| {
            let entitlements = entitlements(ground.inventory, ground.playbook, host)?;
            Ok(Holding::new(host.name.clone(), host.groups.clone(), &entitlements))
        };
        hosts.map(holding).collect::<Result<_>>().map(Self)
    }

    /// The hosts that get this service.
    pub fn getting<'a>(&'a self, service: &'a ServiceName) -> impl Iterator<Item = &'a HostName> {
        self.0.iter().filter(|holding| holding.services.contains(service)).map(|holding| &holding.host)
    }

    /// The hosts whose value of it is this one, and no override of it.
    pub fn holders(&self, name: &SecretName, bundle: &Bundle) -> Vec<HostName> {
        self.holding(name, bundle).map(|holding| holding.host.clone()).collect()
    }

    fn holding<'a>(&'a self, name: &'a SecretName, bundle: &'a Bundle) -> impl Iterator<Item = &'a Holding> {
        self.0.iter().filter(move |holding| holding.effective(name, bundle).as_ref() == Some(name))
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

    /// Services that act on the hosts which have it.
    pub fn acting(&self, name: &SecretName, host: Option<&HostName>, bundle: &Bundle) -> Vec<ServiceName> {
        let on = |holding: &&Holding| match host {
            Some(host) => holding.host == *host,
            None => holding.effective(name, bundle).as_ref() == Some(name),
        };
        let plays = self.0.iter().filter(on).flat_map(|holding| &holding.plays);
        let acting = plays.filter(|(_, sources, acts)| *acts && sources.contains(&name.service));
        let acting: BTreeSet<&ServiceName> = acting.map(|(service, ..)| service).collect();
        acting.into_iter().cloned().collect()
    }

    /// Services of the playbook whose files are made of this service of the bundle.
    pub fn made_of(&self, service: &ServiceName) -> BTreeSet<ServiceName> {
        let plays = self.0.iter().flat_map(|holding| &holding.plays);
        plays.filter(|(_, sources, _)| sources.contains(service)).map(|(name, ..)| name.clone()).collect()
    }

    /// Every secret of which a host has the value.
    pub fn of_host(&self, host: &HostName, bundle: &Bundle) -> Vec<SecretName> {
        let Some(holding) = self.0.iter().find(|holding| holding.host == *host) else { return Vec::new() };
        bundle.secrets().into_iter().filter(|name| holding.effective(name, bundle).as_ref() == Some(name)).collect()
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

    fn effective(&self, name: &SecretName, bundle: &Bundle) -> Option<SecretName> {
        self.services.contains(&name.service).then(|| bundle.effective(name, &self.host, &self.groups)).flatten()
    }
}
