//! What SOPS writes beside the values: for whom the data key is sealed, and the MAC over everything.

use super::node::{Kind, Node};
use crate::words::{Error, Result, Secret, listed, printable};
use std::collections::BTreeMap;

/// The metadata by their path, named as in env files: `age__list_0__map_enc`.
#[derive(Default)]
pub struct Metadata(BTreeMap<String, String>);

/// Opens one age file with what is at hand.
pub type Open<'a> = &'a dyn Fn(&[u8]) -> Result<Secret>;

const OTHERS: [(&str, &str); 7] = [
    ("kms__", "AWS KMS"),
    ("gcp_kms__", "GCP KMS"),
    ("azure_kv__", "Azure Key Vault"),
    ("hc_vault__", "HashiCorp Vault"),
    ("hckms__", "Huawei Cloud KMS"),
    ("vault__", "HashiCorp Vault"),
    ("pgp__", "PGP"),
];

impl Metadata {
    /// Of the `sops` key of a YAML or JSON file.
    pub fn of(node: &Node) -> Self {
        let mut metadata = Self::default();
        metadata.flatten(node, String::new());
        metadata
    }

    /// Takes one of them from an env file.
    pub fn insert(&mut self, name: &str, value: &[u8]) {
        self.0.insert(name.to_owned(), String::from_utf8_lossy(value).into_owned());
    }

    fn flatten(&mut self, node: &Node, path: String) {
        let below = |kind: &str, name: &dyn std::fmt::Display| match path.as_str() {
            "" => name.to_string(),
            path => format!("{path}__{kind}_{name}"),
        };
        match &node.kind {
            Kind::Scalar(scalar) => self.insert(&path, scalar.text.expose()),
            Kind::Map(map) => map.iter().for_each(|(key, node)| self.flatten(node, below("map", key))),
            Kind::List(items) => {
                items.iter().enumerate().for_each(|(index, node)| self.flatten(node, below("list", &index)));
            }
        }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// The MAC, still sealed, and what it is sealed with.
    pub fn mac(&self) -> Option<(&str, &str)> {
        Some((self.get("mac")?, self.get("lastmodified")?))
    }

    /// Does the MAC leave out what is in clear text?
    pub fn is_mac_of_sealed_only(&self) -> bool {
        self.get("mac_only_encrypted").is_some_and(|text| text.eq_ignore_ascii_case("true"))
    }

    /// Opens the data key: it is sealed to each recipient on its own.
    pub fn data_key(&self, open: Open) -> Result<Secret> {
        let prefix = self.group()?;
        let sealed: Vec<(String, &str)> = (0..)
            .map_while(|index| {
                let of = |field: &str| self.get(&format!("{prefix}age__list_{index}__map_{field}"));
                Some((printable(of("recipient").unwrap_or("?").as_bytes(), 120), of("enc")?))
            })
            .collect();
        let mut last = None;
        for (_, text) in &sealed {
            match open(text.as_bytes()) {
                Ok(key) => return Ok(key),
                Err(error) => last = Some(error),
            }
        }
        Err(match last {
            Some(error) => refused(&sealed, &error),
            None => self.nobody_of_ours(prefix),
        })
    }

    /// Several groups each hold a part of the key.
    fn group(&self) -> Result<&'static str> {
        let is_shared = self.0.keys().any(|name| name.starts_with("key_groups__list_1__"));
        match is_shared {
            true => Err(Error::new("its data key is shared among several key groups, which is not supported")),
            false if self.0.keys().any(|name| name.starts_with("key_groups__list_0__")) => {
                Ok("key_groups__list_0__map_")
            }
            false => Ok(""),
        }
    }

    fn nobody_of_ours(&self, prefix: &str) -> Error {
        let has = |start: &str| self.0.keys().any(|name| name.strip_prefix(prefix).unwrap_or(name).starts_with(start));
        let mut others: Vec<&str> = OTHERS.iter().filter(|(start, _)| has(start)).map(|(_, name)| *name).collect();
        others.dedup();
        let only = match others.is_empty() {
            true => Error::new("it is sealed to nobody"),
            false => {
                Error::new(format!("it is sealed to {} only; here only age recipients are opened", listed(&others)))
            }
        };
        only.hint("where it can be opened, add an age recipient: `sops rotate -i --add-age RECIPIENT FILE`")
    }
}

fn refused(sealed: &[(String, &str)], error: &Error) -> Error {
    let recipients: Vec<&str> = sealed.iter().map(|(recipient, _)| recipient.as_str()).collect();
    let refused = Error::new(format!("nothing at hand opens it; it is sealed to {}", listed(&recipients)));
    error.hints().iter().fold(refused, |refused, hint| refused.hint(hint))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fails(names: &[(&str, &str)]) -> String {
        let mut metadata = Metadata::default();
        names.iter().for_each(|(name, value)| metadata.insert(name, value.as_bytes()));
        metadata.data_key(&|_| Err(Error::new("POISON").hint("key: no"))).unwrap_err().to_string()
    }

    #[test]
    fn what_cannot_be_opened_says_who_could() {
        assert!(fails(&[("pgp__list_0__map_fp", "x"), ("kms__list_0__map_arn", "x")]).contains("AWS KMS, PGP only"));
        assert!(fails(&[("key_groups__list_0__map_pgp__list_0__map_fp", "x")]).contains("PGP only"));
        assert!(fails(&[("key_groups__list_1__map_age__list_0__map_enc", "x")]).contains("several key groups"));
        let said = fails(&[("age__list_0__map_enc", "x"), ("age__list_0__map_recipient", "age1x")]);
        assert!(said.contains("sealed to age1x") && !said.contains("POISON"));
        assert!(fails(&[]).contains("nobody"));
    }
}
