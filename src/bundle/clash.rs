//! `Clash`: two documents whose names differ in upper and lower case only. On some file systems they are one file, so a bundle has never both.

use super::layout::{Document, Item, SecretName};
use super::opened::Bundle;
use crate::words::{Error, Result};
use std::collections::BTreeMap;

/// The document that was there, and the one that came.
struct Clash {
    there: Document,
    came: Document,
}

impl Bundle {
    /// # Errors
    /// When two documents could not lie in one directory everywhere.
    pub(super) fn refuse_clash(&self) -> Result<()> {
        let mut seen: BTreeMap<String, &Document> = BTreeMap::new();
        for document in self.now.all() {
            if let Some(other) = seen.insert(document.to_string().to_ascii_lowercase(), document) {
                let (there, came) = if self.came(other) { (document, other) } else { (other, document) };
                return Err(Clash { there: there.clone(), came: came.clone() }.error());
            }
        }
        Ok(())
    }

    /// Is none of it older than the next save?
    fn came(&self, document: &Document) -> bool {
        let next = self.generation() + 1;
        let names = self.secrets().into_iter().filter(|name| name.document() == *document);
        names.into_iter().all(|name| self.changes(&name).last().is_some_and(|first| first.generation == next))
    }
}

impl Clash {
    fn error(&self) -> Error {
        let (there, came) = (called(&self.there), called(&self.came));
        let differ = "names that differ in upper and lower case only are one file on some file systems";
        Error::new(format!(
            "there is {there} already, and {came} would be the same name: {differ}; nothing was changed"
        ))
        .hint(format!("use the name that is there, or rename it first: {}", self.rename()))
    }

    fn rename(&self) -> String {
        let Self { there, came } = self;
        match (&there.file, &came.file) {
            (Some(old), Some(new)) if there.service == came.service && there.scope == came.scope => {
                let name = |document: &Document, file: &crate::words::FileName| SecretName {
                    scope: document.scope.clone(),
                    service: document.service.clone(),
                    item: Item::File(file.clone()),
                };
                format!("distribute bundle rename {} {}", name(there, old), name(came, new))
            }
            _ if there.service != came.service => {
                format!("distribute bundle rename --service {} {}", there.service, came.service)
            }
            _ => "distribute bundle rename".to_owned(),
        }
    }
}

/// `the service api`, `tls/cert.pem`, with whose it is.
fn called(document: &Document) -> String {
    let Document { scope, service, file } = document;
    let whose = if *scope == super::Scope::Common { String::new() } else { format!(" of {scope}") };
    match file {
        None => format!("the service {service}{whose}"),
        Some(file) => format!("{service}/{file}{whose}"),
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{at, name, packed, secret};

    #[test]
    fn what_is_there_is_told_from_what_came() {
        for (there, came, told) in [
            ("api.K", "API.DB", ["there is the service api already, and the service API would", "--service api API"]),
            ("API.K", "api.DB", ["there is the service API already, and the service api would", "--service API api"]),
            (
                "tls/a.pem",
                "tls/A.pem",
                ["there is tls/a.pem already, and tls/A.pem would", "rename tls/a.pem tls/A.pem"],
            ),
            ("hosts/web/a.K", "hosts/WEB/a.K", ["the service a of hosts/web already", "bundle rename"]),
        ] {
            let mut bundle = packed(&[("bundle.toml", "generation = 1")]);
            bundle.set(&name(there), secret("1"), at(1));
            bundle.saved(2);
            assert!(bundle.refuse_clash().is_ok());
            bundle.set(&name(came), secret("2"), at(2));
            let error = bundle.refuse_clash().unwrap_err();
            assert!(
                error.message().contains(told[0]) && error.hints()[0].contains(told[1]),
                "{error} {:?}",
                error.hints()
            );
        }
    }
}
