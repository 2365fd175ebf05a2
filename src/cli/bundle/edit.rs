//! `bundle edit`: an env file in your editor. The clear text lies only in a private directory on a file system in memory, and
//! is wiped however the editor ends.

use super::Override;
use crate::bundle::{Bundle, EnvFile, Scope};
use crate::cli::memory_file::MemoryFile;
use crate::cli::shared::print_note;
use crate::cli::{Shared, editor};
use crate::words::{Error, Result, Secret, ServiceName};
use chrono::Utc;
use serde_json::{Value, json};
use std::io::IsTerminal;

const REMARK: &[u8] = b"#! distribute: ";

#[derive(clap::Args)]
pub struct Args {
    /// The service whose env file is opened; may be left out when there is only one
    service: Option<ServiceName>,
    #[command(flatten)]
    whose: Override,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let mut opened = super::open(shared)?;
    let bundle = &mut opened.bundle;
    let (service, scope) = (wanted(args.service, bundle)?, args.whose.scope());
    let before = match (bundle.env(&scope, &service), &scope) {
        (Some(env), _) => env.clone(),
        (None, Scope::Common) => return Err(no_env_file(&service, bundle)),
        (None, _) => EnvFile::default(), // a new override starts empty
    };
    let after = edited(&before, &service)?;
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

fn wanted(given: Option<ServiceName>, bundle: &Bundle) -> Result<ServiceName> {
    match (given, bundle.services().as_slice()) {
        (Some(service), services) if services.contains(&service) => Ok(service),
        (Some(service), _) => Err(super::unknown_service(&service, bundle)),
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
fn edited(before: &EnvFile, service: &ServiceName) -> Result<EnvFile> {
    let signals = editor::IgnoredSignals::new()?;
    let file = MemoryFile::create(&format!("{service}.env"))?;
    let mut text = before.to_secret();
    loop {
        file.write(&text)?;
        editor::run(file.path(), &signals)?;
        let left = without_remarks(&file.read()?);
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
