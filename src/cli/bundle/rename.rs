//! `bundle rename`: another name for a secret, with its overrides, or for a whole service.

use super::Override;
use crate::bundle::{Bundle, Scope, SecretName};
use crate::cli::Shared;
use crate::cli::shared::print_note;
use crate::words::{Error, Result, ServiceName, plural};
use chrono::Utc;
use serde_json::{Value, json};

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE.KEY or SERVICE/FILE; overrides of it get the new name too
    old: String,
    /// What it is to be called, in the same service or another
    new: String,
    /// Rename a service: OLD and NEW are services. Enrolled hosts may hold it under the new name
    #[arg(long, conflicts_with_all = ["group", "host"])]
    service: bool,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    match args.service {
        true => rename_service(&args.old.parse()?, &args.new.parse()?, shared),
        false => rename(&args.whose.name(&args.old)?, &args.whose.name(&args.new)?, shared),
    }
}

fn rename(old: &SecretName, new: &SecretName, shared: &Shared) -> Result<()> {
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    let names = pairs(old, new, bundle);
    if names.is_empty() {
        return Err(super::unknown_secret(old, bundle));
    }
    if old == new {
        print_note(shared, &format!("{old}: unchanged"));
        return super::report(bundle, fields(&[]), shared);
    }
    let now = Utc::now();
    // Nothing of it is saved when one of them cannot be.
    names.iter().try_for_each(|(old, new)| bundle.rename(old, new, now))?;
    let told: Vec<String> = names.iter().map(|(old, new)| format!("{old}: is {new} now")).collect();
    super::save(&mut opened, &told.join("\n"), fields(&names), shared)?;
    print_note(shared, &format!("a playbook may name {old}: look at its require, [[rotate]] and templates"));
    Ok(())
}

/// A name for everybody means its overrides too; any other only itself.
fn pairs(old: &SecretName, new: &SecretName, bundle: &Bundle) -> Vec<(SecretName, SecretName)> {
    let is_for_all = old.scope == Scope::Common && new.scope == Scope::Common;
    let is_meant = |name: &SecretName| match is_for_all {
        true => name.clone().within(Scope::Common) == *old,
        false => name == old,
    };
    let meant = bundle.secrets().into_iter().filter(is_meant);
    meant
        .map(|name| {
            let scope = if is_for_all { name.scope.clone() } else { new.scope.clone() };
            (name, new.clone().within(scope))
        })
        .collect()
}

fn fields(names: &[(SecretName, SecretName)]) -> Value {
    let secrets: Vec<Value> =
        names.iter().map(|(old, new)| json!({ "secret": new.to_string(), "from": old.to_string() })).collect();
    let change = if names.is_empty() { "unchanged" } else { "renamed" };
    json!({ "command": "bundle rename", "change": change, "secrets": secrets })
}

fn rename_service(old: &ServiceName, new: &ServiceName, shared: &Shared) -> Result<()> {
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    if !bundle.services().contains(old) {
        return Err(super::unknown_service(old, bundle));
    }
    if old == new {
        return Err(Error::new(format!("{old} is its name already; nothing was changed")));
    }
    let hosts = bundle.enrolments().filter(|(_, enrolment)| enrolment.services.contains(old)).count();
    let count = bundle.rename_service(old, new, Utc::now())?;
    let fields = json!({ "command": "bundle rename", "change": "renamed", "service": new, "from": old, "count": count, "hosts": hosts });
    let what = format!("{old}: is {new} now, {}; {} may hold it", plural(count, "secret"), plural(hosts, "host"));
    super::save(&mut opened, &what, fields, shared)?;
    print_note(shared, &format!("playbooks still name {old}: rename it there before the next deploy"));
    Ok(())
}
