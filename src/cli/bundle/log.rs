//! `bundle log`: when which secret changed, and which values of one are kept; fingerprints, never values.

use super::Override;
use crate::bundle::{Bundle, Change, Held, SecretName, What};
use crate::cli::Shared;
use crate::cli::shared::print_result;
use crate::words::Result;
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::num::NonZeroUsize;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY or SERVICE/FILE, also one that was unset; without it the last changes of the whole bundle
    #[arg(value_name = "SECRET")]
    name: Option<String>,
    /// So many changes, the newest first
    #[arg(short = 'n', long, value_name = "N", default_value = "20")]
    last: NonZeroUsize,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let name = args.name.as_deref().map(|name| args.whose.name(name)).transpose()?;
    let super::Opened { bundle, .. } = super::open(shared)?;
    match name {
        Some(name) => of_secret(&name, args.last.get(), &bundle, shared),
        None => of_bundle(args.last.get(), &bundle, shared),
    }
}

fn of_bundle(last: usize, bundle: &Bundle, shared: &Shared) -> Result<()> {
    let mut changes: Vec<(SecretName, Change)> = Vec::new();
    for name in bundle.names_ever() {
        changes.extend(bundle.changes(&name).into_iter().map(|change| (name.clone(), change)));
    }
    changes.sort_by_key(|(_, change)| std::cmp::Reverse(change.generation)); // stable: names stay sorted
    changes.truncate(last);
    if shared.is_json() {
        let changes: Vec<Value> = changes.iter().map(|(name, change)| change_json(name, change, bundle)).collect();
        return super::report(bundle, json!({ "command": "bundle log", "changes": changes }), shared);
    }
    let lines: String = changes.iter().map(|(name, change)| change_line(name, change, bundle)).collect();
    print_result(if lines.is_empty() { "no change is noted\n" } else { &lines })
}

fn change_line(name: &SecretName, change: &Change, bundle: &Bundle) -> String {
    let from = match &change.what {
        What::Renamed(from) => format!(", before: {from}"),
        _ => String::new(),
    };
    let print = fingerprint(name, change, bundle).unwrap_or_else(|| "-".to_owned());
    let Change { generation, what, .. } = change;
    format!("{generation:>5}  {:20}  {:8}  {print:8}  {name}{from}\n", shown(change.time), what.word())
}

fn change_json(name: &SecretName, change: &Change, bundle: &Bundle) -> Value {
    let from = match &change.what {
        What::Renamed(from) => Some(from.to_string()),
        _ => None,
    };
    json!({ "generation": change.generation, "time": time(change.time), "secret": name.to_string(),
        "change": change.what.word(), "from": from, "fingerprint": fingerprint(name, change, bundle) })
}

/// Of the value that it had from then on, if that is still kept.
fn fingerprint(name: &SecretName, change: &Change, bundle: &Bundle) -> Option<String> {
    bundle.value_in(name, change.generation).map(|value| bundle.fingerprint(value.expose()))
}

fn of_secret(name: &SecretName, last: usize, bundle: &Bundle, shared: &Shared) -> Result<()> {
    let held = bundle.held(name);
    if held.is_empty() {
        return Err(super::unknown_secret(name, bundle));
    }
    let changes: Vec<Change> = bundle.changes(name).into_iter().take(last).collect();
    if shared.is_json() {
        let values: Vec<Value> = held.iter().map(|one| held_json(name, one, bundle)).collect();
        let changes: Vec<Value> = changes.iter().map(|change| change_json(name, change, bundle)).collect();
        let fields =
            json!({ "command": "bundle log", "secret": name.to_string(), "values": values, "changes": changes });
        return super::report(bundle, fields, shared);
    }
    let mut text = format!("{name}\n");
    if bundle.value(name).is_none() {
        text.push_str("  it was unset; a value below can be brought back\n");
    }
    held.iter().for_each(|one| text.push_str(&held_line(name, one, bundle)));
    text.push_str("\nchanges\n");
    changes.iter().for_each(|change| text.push_str(&change_line(name, change, bundle)));
    print_result(&text)
}

fn held_line(name: &SecretName, held: &Held, bundle: &Bundle) -> String {
    let is = match (held.last, held.is_dropped) {
        (None, _) => "now".to_owned(),
        (_, true) => "made by a rotation that was undone".to_owned(),
        (Some(last), false) => revert(name, last),
    };
    let print = bundle.fingerprint(held.value.expose());
    format!("  generation {:9}  since {:20}  {print}  {is}\n", generations(held), shown(held.since))
}

fn held_json(name: &SecretName, held: &Held, bundle: &Bundle) -> Value {
    json!({ "first": held.first, "last": held.last, "since": time(held.since), "is_dropped": held.is_dropped,
        "fingerprint": bundle.fingerprint(held.value.expose()),
        "revert": held.last.filter(|_| !held.is_dropped).map(|last| revert(name, last)) })
}

fn generations(held: &Held) -> String {
    match (held.first, held.last) {
        (Some(first), None) => format!("{first}-"),
        (None, None) => "-".to_owned(),
        (Some(first), Some(last)) if first == last => last.to_string(),
        (Some(first), Some(last)) => format!("{first}-{last}"),
        (None, Some(last)) => format!("-{last}"),
    }
}

fn revert(name: &SecretName, generation: u64) -> String {
    format!("distribute bundle revert {name} --to {generation}")
}

fn shown(moment: Option<DateTime<Utc>>) -> String {
    time(moment).unwrap_or_else(|| "-".to_owned())
}

fn time(time: Option<DateTime<Utc>>) -> Option<String> {
    time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true))
}
