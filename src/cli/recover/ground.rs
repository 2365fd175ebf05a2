//! `Ground`: what a recovery starts from where there is no bundle: who there is, and where secrets may lie there.

use crate::cli::Shared;
use crate::engine::HostPlan;
use crate::inventory::{Endpoint, Host, Inventory};
use crate::plan::DesiredSet;
use crate::plan::entitlement::entitlements;
use crate::playbook::{Access, Playbook};
use crate::transport::{HostKeys, KnownHosts};
use crate::words::{Error, HostName, PlayName, Principal, RemotePath, Result};
use std::sync::Arc;

/// Inventory, playbooks if there are any, and the roots that were named.
pub struct Ground {
    inventory: Inventory,
    playbook: Option<Playbook>,
    selected: Vec<HostName>,
    roots: Vec<RemotePath>,
}

impl Ground {
    /// Playbooks may be lost too; one that was named must be there.
    pub fn load(shared: &Shared, roots: Vec<RemotePath>) -> Result<Self> {
        let project = shared.project()?;
        let inventory = Inventory::load(&project.inventory)?;
        let is_lost = shared.playbook.is_none() && !project.playbooks.exists();
        let playbook = if is_lost { None } else { Some(Playbook::load(&project.playbooks)?) };
        let selected = inventory.select(&shared.pattern()?)?.into_iter().map(|host| host.name.clone()).collect();
        Ok(Self { inventory, playbook, selected, roots })
    }

    /// The hosts that are meant.
    pub fn hosts(&self) -> impl Iterator<Item = &Host> {
        self.selected.iter().filter_map(|name| self.inventory.host(name))
    }

    /// Hosts of the inventory that were not selected.
    pub fn left_out(&self) -> impl Iterator<Item = HostName> {
        let others = self.inventory.hosts().iter().filter(|host| !self.selected.contains(&host.name));
        others.map(|host| host.name.clone())
    }

    /// Where a host is.
    pub fn endpoint(&self, host: &HostName) -> &Endpoint {
        &self.inventory.host(host).expect("the name came from this inventory").endpoint
    }

    /// One for each host that is meant. Nothing is pinned: known_hosts decide.
    ///
    /// # Errors
    /// When nothing says where secrets lie on any of them.
    pub fn plans(&self, accept_new: bool, known: &Arc<KnownHosts>) -> Result<Vec<HostPlan>> {
        let plan = |host: &Host| {
            let host_keys = HostKeys::Known { known: known.clone(), accept_new };
            Ok(HostPlan { endpoint: host.endpoint.clone(), host_keys, sets: self.sets(host)?, refused: None })
        };
        let plans: Vec<HostPlan> = self.hosts().map(plan).collect::<Result<_>>()?;
        match plans.iter().all(|plan| plan.sets.is_empty()) {
            false => Ok(plans),
            true => Err(Error::new("nothing says where secrets lie on these hosts; nobody was asked")
                .hint("get the playbooks back, or name the place: --root /opt/NAME")),
        }
    }

    fn sets(&self, host: &Host) -> Result<Vec<DesiredSet>> {
        let mut sets = Vec::new();
        match &self.playbook {
            Some(playbook) => {
                for entitlement in entitlements(&self.inventory, playbook, host)? {
                    let (play, access) = (entitlement.play.name.clone(), entitlement.play.access.clone());
                    sets.push(DesiredSet::unknown(&host.name, play, entitlement.root, access));
                }
            }
            None => {
                let root = host.root.iter().chain(&host.default_root).next();
                sets.extend(root.map(|root| unknown(host, root)));
            }
        }
        for root in &self.roots {
            if sets.iter().all(|set| set.root != *root) {
                sets.push(unknown(host, root));
            }
        }
        Ok(sets)
    }
}

/// Of which no play says whose it is: whoever logs in may have to be enough.
fn unknown(host: &Host, root: &RemotePath) -> DesiredSet {
    let root_owned = Access::default();
    let owner = Principal::new(&*host.endpoint.user).unwrap_or_else(|_| root_owned.owner.clone());
    let play = PlayName::new("unknown").expect("it is a name");
    DesiredSet::unknown(&host.name, play, root.clone(), Access { owner, ..root_owned })
}
