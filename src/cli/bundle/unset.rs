//! `bundle unset`: secrets are taken out. Their values stay among the earlier ones, from where `bundle revert` brings them back.

use super::Override;
use crate::bundle::{Bundle, Scope, SecretName};
use crate::cli::Shared;
use crate::words::{Result, listed};
use chrono::Utc;
use serde_json::{Value, json};
use std::collections::BTreeSet;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY or SERVICE/FILE
    #[arg(required = true, value_name = "SECRET")]
    names: Vec<String>,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let names = args.names.iter().map(|name| args.whose.name(name)).collect::<Result<BTreeSet<SecretName>>>()?;
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    // All are looked up before one is changed.
    if let Some(name) = names.iter().find(|name| bundle.value(name).is_none()) {
        return Err(super::unknown_secret(name, bundle));
    }
    let now = Utc::now();
    for name in &names {
        bundle.remove(name, now);
    }
    let told: Vec<String> = names.iter().map(|name| told(name, bundle)).collect();
    let changes: Vec<Value> =
        names.iter().map(|name| json!({ "secret": name.to_string(), "change": "removed" })).collect();
    super::save(&mut opened, &told.join("\n"), json!({ "command": "bundle unset", "secrets": changes }), shared)
}

fn told(name: &SecretName, bundle: &Bundle) -> String {
    let is_override = |other: &SecretName| other.clone().within(Scope::Common) == *name;
    let left: Vec<String> =
        bundle.secrets().iter().filter(|other| is_override(other)).map(|other| other.scope.to_string()).collect();
    match left.is_empty() {
        true => format!("{name}: removed; to bring it back: distribute bundle revert {name}"),
        false => format!("{name}: removed, but not for {}", listed(&left)),
    }
}
