//! `bundle edit`: an env file or a plain file in your editor. The clear text lies only in a private directory on a file system in memory, and
//! is wiped however the editor ends.

use super::Override;
use crate::bundle::{Bundle, EnvFile, Item, Scope, SecretName};
use crate::cli::Shared;
use crate::cli::editor::Sitting;
use crate::cli::shared::print_note;
use crate::words::{Error, Result, Secret, ServiceName};
use chrono::Utc;
use serde_json::{Value, json};
use std::io::IsTerminal;

const REMARK: &[u8] = b"#! distribute: ";

#[derive(clap::Args)]
pub struct Args {
    /// SERVICE for its env file, SERVICE/FILE for a file; may be left out when there is only one service
    #[arg(value_name = "SERVICE")]
    what: Option<String>,
    /// Where no file system is in memory: put the clear text on a disk while it is edited
    #[arg(long)]
    allow_disk: bool,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    match args.what.as_deref().filter(|what| what.contains('/')) {
        Some(file) => edit_file(&args.whose.name(file)?, &args, shared),
        None => edit_env(&args, shared),
    }
}

/// A plain file: what the editor leaves is what it holds, byte for byte.
fn edit_file(name: &SecretName, args: &Args, shared: &Shared) -> Result<()> {
    let Item::File(file) = &name.item else { return Err(only_whole_files(name)) };
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    let before = match (bundle.value(name), bundle.value(&name.clone().within(Scope::Common))) {
        (Some(value), _) => value.clone(),
        (None, Some(_)) => Secret::new(*b""), // a new override starts empty
        (None, None) => return Err(super::unknown_secret(name, bundle)),
    };
    let after = Sitting::new(file.as_str(), args.allow_disk, shared)?.turn(&before)?;
    let change = if after == before { "unchanged" } else { "changed" };
    let fields = json!({ "command": "bundle edit", "secret": name.to_string(), "change": change });
    if after == before {
        print_note(shared, "nothing changed");
        return super::report(bundle, fields, shared);
    }
    bundle.set(name, after, Utc::now());
    super::save(&mut opened, &format!("{name}: {change}"), fields, shared)
}

fn only_whole_files(name: &SecretName) -> Error {
    Error::new(format!("{name} is one value; an editor opens a whole env file or a plain file"))
        .hint(format!("distribute bundle edit {}; or without an editor: distribute bundle set {name}", name.service))
}

fn edit_env(args: &Args, shared: &Shared) -> Result<()> {
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    let (service, scope) = (wanted(args.what.as_deref(), bundle)?, args.whose.scope());
    let before = match (bundle.env(&scope, &service), &scope) {
        (Some(env), _) => env.clone(),
        (None, Scope::Common) => return Err(no_env_file(&service, bundle)),
        (None, _) => EnvFile::default(), // a new override starts empty
    };
    let after = edited(&before, &service, args.allow_disk, shared)?;
    if !bundle.replace_env(&scope, &service, after.clone(), Utc::now()) {
        print_note(shared, "nothing changed");
        return super::report(bundle, fields(&service, &scope, "unchanged"), shared);
    }
    let what = format!("{service}: {}", difference(&before, &after));
    super::save(&mut opened, &what, fields(&service, &scope, "changed"), shared)
}

fn fields(service: &ServiceName, scope: &Scope, change: &str) -> Value {
    json!({ "command": "bundle edit", "service": service, "scope": scope.to_string(), "change": change })
}

fn wanted(given: Option<&str>, bundle: &Bundle) -> Result<ServiceName> {
    let service = given.map(str::parse::<ServiceName>).transpose()?;
    let name = given.and_then(|text| text.parse::<SecretName>().ok());
    match (service, bundle.services().as_slice()) {
        (Some(service), services) if services.contains(&service) => Ok(service),
        (Some(service), services) => Err(match name {
            Some(name) if services.contains(&name.service) => only_whole_files(&name),
            _ => super::unknown_service(&service, bundle),
        }),
        (None, [only]) => Ok(only.clone()),
        (None, services) => {
            let names: Vec<&str> = services.iter().map(ServiceName::as_str).collect();
            Err(Error::new("name the service to edit").hint(format!("there are: {}", names.join(", "))))
        }
    }
}

fn no_env_file(service: &ServiceName, bundle: &Bundle) -> Error {
    match bundle.services().contains(service) {
        true => Error::new(format!("{service} has no env file, only files or overrides"))
            .hint(format!("`distribute bundle set {service}.KEY` makes one; `set {service}/FILE` replaces a file")),
        false => super::unknown_service(service, bundle),
    }
}

/// Opens the editor until what it leaves can be read. The same broken text twice means that somebody gave up.
fn edited(before: &EnvFile, service: &ServiceName, may_be_on_disk: bool, shared: &Shared) -> Result<EnvFile> {
    let mut sitting = Sitting::new(&format!("{service}.env"), may_be_on_disk, shared)?;
    let mut text = before.to_secret();
    loop {
        let left = without_remarks(&sitting.turn(&text)?);
        let error = match EnvFile::parse(left.expose()) {
            Ok(env) => return Ok(env),
            Err(error) => error,
        };
        if !std::io::stdin().is_terminal() || left == without_remarks(&text) {
            return Err(error.at(format!("{service}.env")).hint("nothing was changed"));
        }
        text = with_remark(&left, &error);
    }
}

fn with_remark(text: &Secret, error: &Error) -> Secret {
    let remark = format!("{error} (counted without this line); save it unchanged to give up\n");
    Secret::new([REMARK, remark.as_bytes(), text.expose()].concat())
}

fn without_remarks(text: &Secret) -> Secret {
    let mut bytes = text.expose();
    while bytes.starts_with(REMARK) {
        let end = bytes.iter().position(|b| *b == b'\n').map_or(bytes.len(), |newline| newline + 1);
        bytes = &bytes[end..];
    }
    Secret::new(bytes)
}

/// `A changed, B new, C removed`; keys only.
fn difference(before: &EnvFile, after: &EnvFile) -> String {
    let mut parts = Vec::new();
    for key in after.keys() {
        match before.get(key) {
            None => parts.push(format!("{key} new")),
            old if old != after.get(key) => parts.push(format!("{key} changed")),
            _ => {}
        }
    }
    parts.extend(before.keys().filter(|key| after.get(key).is_none()).map(|key| format!("{key} removed")));
    if parts.is_empty() { "only comments or order changed".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_remark_comes_off_again() {
        let text = Secret::new(*b"# mine\nA\n");
        let remarked = with_remark(&text, &EnvFile::parse(text.expose()).unwrap_err());
        assert!(remarked.expose().starts_with(b"#! distribute: line 2"));
        assert_eq!(without_remarks(&remarked), text);
        assert_eq!(without_remarks(&Secret::new(*b"#! distribute: x")), Secret::new(*b""));
    }

    #[test]
    fn the_difference_names_keys_only() {
        let parse = |text: &str| EnvFile::parse(text.as_bytes()).unwrap();
        let shown = difference(&parse("A=POISON\nB=1\nC=1\n"), &parse("B=1\nA=POISON2\nD=1\n"));
        assert_eq!(shown, "A changed, D new, C removed");
    }
}
