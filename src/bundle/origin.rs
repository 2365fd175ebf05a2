//! `Origin`: which documents of the bundle a host's values of a service come from, so that a backup tells what belongs where.

use super::layout::{Document, Scope, SecretName};
use super::opened::Bundle;
use crate::words::{FileName, GroupName, HostName, KeyName, ServiceName};
use std::collections::BTreeMap;

/// Where a file of a host comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The documents it is made of, the weakest layer first.
    pub documents: Vec<Document>,
    /// Keys whose value another layer gives than the one common to all hosts.
    pub overrides: BTreeMap<KeyName, Scope>,
}

impl Bundle {
    /// Of a service's env file as this host gets it.
    pub fn origin_of_env(&self, service: &ServiceName, host: &HostName, groups: &[GroupName]) -> Origin {
        let mut origin = Origin::default();
        for scope in super::opened::scopes(host, groups) {
            let Some(env) = self.env(&scope, service) else { continue };
            if scope != Scope::Common {
                origin.overrides.extend(env.keys().map(|key| (key.clone(), scope.clone())));
            }
            origin.documents.push(Document { scope, service: service.clone(), file: None });
        }
        origin
    }

    /// Of a plain file as this host gets it.
    pub fn origin_of_file(
        &self,
        service: &ServiceName,
        file: &FileName,
        host: &HostName,
        groups: &[GroupName],
    ) -> Origin {
        let effective = self.effective(&SecretName::file(service, file), host, groups);
        Origin { documents: effective.iter().map(SecretName::document).collect(), overrides: BTreeMap::new() }
    }
}
