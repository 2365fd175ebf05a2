//! `bundle revert`: an earlier value of a secret is its value again. That is a new generation with an old value.

use super::Override;
use crate::bundle::{Bundle, SecretName, What};
use crate::cli::Shared;
use crate::words::{Error, Result, Secret};
use chrono::Utc;
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY or SERVICE/FILE, as `bundle list` shows it
    #[arg(required = true, value_name = "SECRET")]
    names: Vec<String>,
    /// The value that it had in this generation [default: the one before]
    #[arg(long, value_name = "GENERATION")]
    to: Option<u64>,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let names = args.names.iter().map(|name| args.whose.name(name)).collect::<Result<Vec<SecretName>>>()?;
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    // All are looked up before one is changed.
    let values = names.iter().map(|name| earlier(bundle, name, args.to)).collect::<Result<Vec<Secret>>>()?;
    let now = Utc::now();
    let mut told = Vec::new();
    let mut changes = Vec::new();
    for (name, value) in names.iter().zip(values) {
        let change = if bundle.bring_back(name, value, now) { "reverted" } else { "unchanged" };
        told.push(format!("{name}: {change}"));
        changes.push(json!({ "secret": name.to_string(), "change": change }));
    }
    let fields = json!({ "command": "bundle revert", "secrets": changes });
    super::save(&mut opened, &told.join("\n"), fields, shared)
}

fn earlier(bundle: &Bundle, name: &SecretName, to: Option<u64>) -> Result<Secret> {
    let earlier = bundle.earlier_in_use(name);
    if bundle.value(name).is_none() && earlier.is_empty() {
        return Err(super::unknown_secret(name, bundle));
    }
    if let Some(to) = to.filter(|to| *to > bundle.generation()) {
        let message =
            format!("the bundle is at generation {}: {to} is yet to come; nothing was changed", bundle.generation());
        return Err(Error::new(message));
    }
    let found = match to {
        None => earlier.iter().map(|(_, value)| value).find(|value| bundle.value(name) != Some(*value)).cloned(),
        Some(to) => bundle.value_in(name, to),
    };
    match found {
        Some(value) => Ok(value),
        None => {
            let (value, of) = match to {
                None => ("earlier value", String::new()),
                Some(to) => ("value", format!(" of generation {to}")),
            };
            Err(Error::new(format!("the bundle holds no {value} of {name}{of}; nothing was changed"))
                .hint(format!("{}; copies of older bundles: distribute backup list", past(bundle, name))))
        }
    }
}

/// What there is instead.
fn past(bundle: &Bundle, name: &SecretName) -> String {
    let changes = bundle.changes(name);
    match (bundle.earlier_in_use(name).last(), changes.last()) {
        (Some((oldest, _)), _) => format!("its history begins with generation {oldest}"),
        (None, Some(first)) if first.what == What::New => {
            format!("it never changed since it was new, in generation {}", first.generation)
        }
        (None, _) => "no change of its value is noted".to_owned(),
    }
}
