//! `bundle list`: names and ages; never values, nor their lengths.

use crate::bundle::{Bundle, BundleFile, Item, Metadata, OpenedBy, Scope, SecretName};
use crate::cli::Shared;
use crate::cli::shared::print_result;
use crate::words::{Period, Result, ServiceName, plural, printable};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args, shared: &Shared) -> Result<()> {
    let super::Opened { file, bundle, .. } = super::open(shared)?;
    match shared.is_json() {
        true => print_result(&format!("{}\n", as_json(&file, &bundle))),
        false => print_result(&as_text(&file, &bundle, Utc::now())),
    }
}

fn as_text(file: &BundleFile, bundle: &Bundle, now: DateTime<Utc>) -> String {
    let sealed = match bundle.recipients().len() {
        0 => format!("sealed to a {}", sealed_with(file)),
        n => format!("sealed to {}", plural(n, "recipient")),
    };
    let mut text =
        format!("{}, {sealed}, {} enrolled\n", super::generation(file, bundle), plural(enrolled(bundle), "host"));
    for (service, items) in by_service(bundle) {
        text.push_str(&format!("\n{service}\n"));
        let width = items.keys().map(|item| shown(item).len()).max().unwrap_or(0);
        for (item, names) in items {
            let line = format!("  {:width$}  {:>8}  {}", shown(&item), age(bundle, &names, now), whose(&names));
            text.push_str(line.trim_end());
            text.push('\n');
            names.iter().for_each(|name| text.push_str(&remarks(bundle, name)));
        }
    }
    text
}

/// A line of its own for what people noted of it.
fn remarks(bundle: &Bundle, name: &SecretName) -> String {
    let known = bundle.metadata(name).cloned().unwrap_or_default();
    let parts = [
        known.owner.map(|owner| format!("owner {owner}")),
        known.rotate_every.map(|period| format!("every {period}")),
        known.note.map(|note| printable(note.as_bytes(), 500)),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    match (parts.is_empty(), &name.scope) {
        (true, _) => String::new(),
        (false, Scope::Common) => format!("      {}\n", parts.join("; ")),
        (false, scope) => format!("      {scope}: {}\n", parts.join("; ")),
    }
}

/// Each key and file of each service, with every scope that has it.
fn by_service(bundle: &Bundle) -> BTreeMap<ServiceName, BTreeMap<Item, Vec<SecretName>>> {
    let mut services: BTreeMap<_, BTreeMap<_, Vec<_>>> = BTreeMap::new();
    for name in bundle.secrets() {
        let items = services.entry(name.service.clone()).or_default();
        items.entry(name.item.clone()).or_default().push(name);
    }
    services
}

fn shown(item: &Item) -> String {
    match item {
        Item::Key(key) => key.to_string(),
        Item::File(file) => format!("{file} (file)"),
    }
}

/// Since when the youngest of them is what it is.
fn age(bundle: &Bundle, names: &[SecretName], now: DateTime<Utc>) -> String {
    let since = names.iter().filter_map(|name| bundle.metadata(name)?.since()).max();
    let seconds = |since: DateTime<Utc>| (now - since).num_seconds().max(0) as u64;
    since.map_or_else(|| "-".to_owned(), |since| Period::from_secs(seconds(since)).to_string())
}

fn whose(names: &[SecretName]) -> String {
    let overrides = names.iter().filter(|name| name.scope != Scope::Common);
    let shown: Vec<String> = overrides.map(|name| name.scope.to_string()).collect();
    match (shown.len(), names.len()) {
        (0, _) => String::new(),
        (some, all) if some < all => format!("overridden for {}", shown.join(", ")),
        _ => format!("only for {}", shown.join(", ")),
    }
}

fn enrolled(bundle: &Bundle) -> usize {
    bundle.enrolments().filter(|(_, enrolment)| enrolment.enrolled.is_some()).count()
}

pub(super) fn sealed_with(file: &BundleFile) -> &'static str {
    match file.opened_by() {
        OpenedBy::Password => "password",
        OpenedBy::Identity => "recipients",
    }
}

fn as_json(file: &BundleFile, bundle: &Bundle) -> Value {
    let secrets: Vec<Value> = bundle.secrets().iter().map(|name| secret_json(bundle, name)).collect();
    json!({
        "schema": "distribute.bundle/1", "command": "bundle list", "id": bundle.id(), "generation": bundle.generation(),
        "sealed": sealed_with(file), "recipients": bundle.recipients().iter().map(|one| &one.key).collect::<Vec<_>>(), "enrolled": enrolled(bundle),
        "services": bundle.services(), "secrets": secrets,
    })
}

pub(super) fn secret_json(bundle: &Bundle, name: &SecretName) -> Value {
    let (key, plain) = match &name.item {
        Item::Key(key) => (Some(key.as_str()), None),
        Item::File(file) => (None, Some(file.as_str())),
    };
    let known = bundle.metadata(name).cloned().unwrap_or_default();
    let Metadata { created, rotated, rotate_every, generator, public, note, owner, .. } = known;
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    json!({
        "name": name.to_string(), "scope": name.scope.to_string(), "service": name.service, "key": key, "file": plain,
        "created": time(created), "rotated": time(rotated), "rotate_every_seconds": rotate_every.map(Period::as_secs),
        "generator": generator, "public": public.map(|public| public.to_string()), "note": note, "owner": owner, "earlier": bundle.held(name).iter().filter(|one| one.last.is_some()).count(),
    })
}
