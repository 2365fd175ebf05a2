//! `Node`: what a template finds under a name: more names, a secret, or what is no secret.

use super::Given;
use super::looked_up::{LookUps, LookedUp};
use crate::inventory::Host;
use crate::words::{KeyName, Secret, ServiceName};
use minijinja::Value;
use minijinja::value::{Enumerator, Object};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

/// What a branch is.
pub const NO_VALUE: &str = "what is written there is no value";

/// Names, each with what it leads to; `path` is how a template writes it.
pub struct Node {
    path: String,
    below: BTreeMap<String, Below>,
    looks: Arc<LookUps>,
}

enum Below {
    Node(Arc<Node>),
    /// A key's value, or a file.
    Secret(Option<KeyName>, Secret),
    Plain(Value),
}

impl Node {
    /// All that a template sees.
    pub fn context(given: &BTreeMap<ServiceName, Given>, host: &Host, looks: &Arc<LookUps>) -> Value {
        let node = |path: &str, below: BTreeMap<String, Below>| {
            Arc::new(Self { path: path.to_owned(), below, looks: looks.clone() })
        };
        let service = |(name, given): (&ServiceName, &Given)| {
            let keys = given.keys.iter();
            let keys = keys.map(|(key, value)| (key.to_string(), Below::Secret(Some(key.clone()), value.clone())));
            (name.to_string(), Below::Node(node(&format!("secrets.{name}"), keys.collect())))
        };
        let files = given.iter().flat_map(|(name, given)| {
            given
                .files
                .iter()
                .map(move |(file, content)| (format!("{name}/{file}"), Below::Secret(None, content.clone())))
        });
        let vars = host.vars.iter().map(|(name, value)| (name.clone(), Below::Plain(plain(value))));
        let groups: Vec<Value> = host.groups.iter().map(|group| Value::from(group.as_str())).collect();
        let all = [
            ("secrets", Below::Node(node("secrets", given.iter().map(service).collect()))),
            ("files", Below::Node(node("files", files.collect()))),
            ("vars", Below::Node(node("vars", vars.collect()))),
            ("host", Below::Plain(Value::from(host.name.as_str()))),
            ("groups", Below::Plain(Value::from(groups))),
        ];
        let all = all.into_iter().map(|(name, below)| (name.to_owned(), below)).collect();
        Value::from_dyn_object(node("", all))
    }

    /// It was to be written, or made a part of a text.
    pub fn refuse(&self) {
        self.looks.refuse(|| NO_VALUE.to_owned());
    }

    /// As a template writes it: `secrets.api.KEY`, or `files["tls/key.pem"]`.
    fn name_of(&self, name: &str) -> String {
        let is_word = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_');
        match (self.path.is_empty(), is_word) {
            (true, _) => name.to_owned(),
            (false, true) => format!("{}.{name}", self.path),
            (false, false) => format!("{}[\"{}\"]", self.path, name.escape_debug()),
        }
    }
}

/// What is no secret, as it is in the inventory.
fn plain(value: &toml::Value) -> Value {
    match value {
        toml::Value::String(text) => Value::from(text.as_str()),
        toml::Value::Integer(number) => Value::from(*number),
        toml::Value::Float(number) => Value::from(*number),
        toml::Value::Boolean(is) => Value::from(*is),
        toml::Value::Datetime(time) => Value::from(time.to_string()),
        toml::Value::Array(values) => Value::from(values.iter().map(plain).collect::<Vec<_>>()),
        toml::Value::Table(table) => table.iter().map(|(key, value)| (key.clone(), plain(value))).collect(),
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.path)
    }
}

impl Object for Node {
    fn get_value(self: &Arc<Self>, key: &Value) -> Option<Value> {
        let name = key.as_str()?;
        match self.below.get(name) {
            Some(Below::Node(node)) => Some(Value::from_dyn_object(node.clone())),
            Some(Below::Plain(value)) => Some(value.clone()),
            Some(Below::Secret(key, value)) => {
                if let Some(key) = key {
                    self.looks.uses(key, value);
                }
                Some(Value::from_object(LookedUp::new(self.name_of(name), value.clone(), self.looks.clone())))
            }
            None => {
                let there: Vec<&str> = self.below.keys().map(String::as_str).take(30).collect();
                self.looks.misses(self.name_of(name), there.join(", "));
                None
            }
        }
    }

    fn enumerate(self: &Arc<Self>) -> Enumerator {
        Enumerator::Values(self.below.keys().map(|name| Value::from(name.as_str())).collect())
    }

    /// Of a branch there is nothing to write; an error would make the engine panic.
    fn render(self: &Arc<Self>, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.refuse();
        Ok(())
    }
}
