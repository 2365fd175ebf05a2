//! `bundle describe`: what is known of a secret besides its value, shown or changed. The value stays what it is.

use super::Override;
use super::list::secret_json;
use super::remarks::{Remarks, refuse_values};
use super::set::could_hold;
use crate::bundle::{Bundle, SecretName};
use crate::cli::Shared;
use crate::cli::shared::print_result;
use crate::words::{Generator, Period, Result};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY or SERVICE/FILE; without an option what is known of it is shown
    #[arg(value_name = "SECRET")]
    name: String,
    #[command(flatten)]
    remarks: Remarks,
    /// How often it is to be rotated, such as 90d; or never
    #[arg(long, value_name = "PERIOD")]
    rotate_every: Option<String>,
    /// How a new value is made, such as password:32; or none
    #[arg(long, value_name = "SPEC")]
    generator: Option<String>,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let name = args.whose.name(&args.name)?;
    let rotate_every = unless(args.rotate_every.as_deref(), "never", str::parse::<Period>)?;
    let generator = unless(args.generator.as_deref(), "none", |text| generator_of(&name, text))?;
    let is_change = args.remarks.are_given()? || rotate_every.is_some() || generator.is_some();
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    if bundle.value(&name).is_none() {
        return Err(super::unknown_secret(&name, bundle));
    }
    if !is_change {
        return show(&name, bundle, shared);
    }
    args.remarks.put(&name, bundle);
    bundle.describe(&name, |known| {
        known.rotate_every = rotate_every.unwrap_or(known.rotate_every);
        known.generator = generator.map_or(known.generator.take(), |generator| generator.map(|one| one.to_string()));
    });
    refuse_values(&name, bundle)?;
    let change = if bundle.is_changed() { "described" } else { "unchanged" };
    let fields = json!({ "command": "bundle describe", "secret": name.to_string(), "change": change });
    super::save(&mut opened, &format!("{name}: {change}"), fields, shared)
}

/// What an option says, if it is given: a value, or the word for none.
fn unless<T>(text: Option<&str>, none: &str, read: impl Fn(&str) -> Result<T>) -> Result<Option<Option<T>>> {
    match text {
        None => Ok(None),
        Some(text) if text == none => Ok(Some(None)),
        Some(text) => read(text).map(|value| Some(Some(value))),
    }
}

fn generator_of(name: &SecretName, text: &str) -> Result<Generator> {
    let generator = text.parse()?;
    could_hold(name, None, generator).map(|()| generator)
}

fn show(name: &SecretName, bundle: &Bundle, shared: &Shared) -> Result<()> {
    if shared.is_json() {
        let known = secret_json(bundle, name);
        return super::report(
            bundle,
            json!({ "command": "bundle describe", "secret": name.to_string(), "known": known }),
            shared,
        );
    }
    let known = bundle.metadata(name).cloned().unwrap_or_default();
    let time = |time: Option<DateTime<Utc>>| time.map(|time| time.to_rfc3339_opts(SecondsFormat::Secs, true));
    let earlier = bundle.held(name).iter().filter(|one| one.last.is_some() && !one.is_dropped).count();
    let lines = [
        ("created", time(known.created)),
        ("rotated", time(known.rotated)),
        ("rotate every", known.rotate_every.map(|period| period.to_string())),
        ("generator", known.generator),
        ("public half", known.public.map(|public| public.to_string())),
        ("owner", known.owner),
        ("note", known.note),
        ("earlier values", Some(earlier.to_string()).filter(|_| earlier > 0)),
    ];
    let lines = lines.into_iter().filter_map(|(what, text)| text.map(|text| format!("  {what:14}  {text}\n")));
    print_result(&format!("{name}\n{}", lines.collect::<String>()))
}
