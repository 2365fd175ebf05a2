//! `Draft`: what the sources would make of the bundle, name by name, and all that stands in the way. `--check` shows the same.

use super::Args;
use super::imported::{Change, Imported, Planned, at};
use super::source::{Format, Source, shown};
use crate::bundle::{Bundle, Item, MOST_KEYS, Scope, SecretName};
use crate::import::{Contents, Entry, Reading};
use crate::words::{Error, KeyName, Result, Secret, ServiceName};
use chrono::{DateTime, Utc};
use serde_json::Value;
use std::collections::BTreeMap;

/// How many lines of trouble are shown.
const SHOWN: usize = 20;

/// Sources with their secrets, not judged yet.
#[derive(Default)]
pub struct Draft {
    sources: Vec<Imported>,
    places: BTreeMap<SecretName, String>,
    troubles: Vec<String>,
    hints: Vec<String>,
}

impl Draft {
    /// A source that is one secret.
    pub fn add_whole(&mut self, source: Source, name: &SecretName, bundle: &Bundle) {
        let mut imported = Imported::of(&source, Some(name.service.clone()));
        match source.contents {
            Contents::Whole(value) => self.plan(&mut imported, name.clone(), value, 0, bundle),
            Contents::Values(reading) => self.take_troubles(&mut imported, reading),
        }
        self.sources.push(imported);
    }

    /// A source whose values become keys of a service.
    pub fn add(&mut self, mut source: Source, args: &Args, bundle: &Bundle) -> Result<()> {
        let service = service(&source, args.service.as_ref())?;
        let mut imported = Imported::of(&source, Some(service.clone()));
        let Contents::Values(reading) = &mut source.contents else { return Ok(()) };
        let entries = std::mem::take(&mut reading.entries);
        if entries.len() > MOST_KEYS {
            let message = format!("{}: there are more than {MOST_KEYS} keys in it", shown(&source.path));
            return Err(Error::new(message).hint("no service of a bundle can have more"));
        }
        self.take_troubles(&mut imported, std::mem::take(reading));
        for entry in entries {
            match name(&entry, &service, args) {
                Ok(name) => self.plan(&mut imported, name, entry.value, entry.line, bundle),
                Err(why) => {
                    self.trouble(&imported, entry.line, &format!("{}: {}", entry.shown(), why.message()), why.hints())
                }
            }
        }
        self.sources.push(imported);
        Ok(())
    }

    fn take_troubles(&mut self, imported: &mut Imported, reading: Reading) {
        for trouble in &reading.troubles {
            self.trouble(imported, trouble.line, &trouble.message, &[]);
        }
        reading.hints.iter().for_each(|hint| self.hint(hint));
        imported.left_out = reading.left_out.into_iter().map(|left| (left.line, left.path, left.why)).collect();
        imported.notes = reading.notes;
    }

    fn plan(&mut self, imported: &mut Imported, name: SecretName, value: Secret, line: usize, bundle: &Bundle) {
        let place = at(&imported.path, line);
        if let Some(first) = self.places.get(&name) {
            let message = format!("{name} comes from {first} already");
            return self.trouble(
                imported,
                line,
                &message,
                &["leave one of the two out, or name another --service".to_owned()],
            );
        }
        if matches!(name.item, Item::Key(_)) && value.expose().contains(&0) {
            return self.trouble(
                imported,
                line,
                &format!("{name}: its value holds a NUL byte, which no variable can"),
                &[],
            );
        }
        let change = Change::of(&name, &value, bundle);
        self.places.insert(name.clone(), place);
        imported.secrets.push(Planned { name, value, line, change });
    }

    fn trouble(&mut self, imported: &Imported, line: usize, message: &str, hints: &[String]) {
        self.troubles.push(format!("{}: {message}", at(&imported.path, line)));
        hints.iter().for_each(|hint| self.hint(hint));
    }

    fn hint(&mut self, hint: &str) {
        if !self.hints.iter().any(|known| known == hint) {
            self.hints.push(hint.to_owned());
        }
    }

    /// The draft, if nothing stands in its way: all of it is told at once.
    pub fn checked(mut self, may_replace: bool) -> Result<Self> {
        let mut troubles = std::mem::take(&mut self.troubles);
        if !may_replace {
            let before = troubles.len();
            troubles.extend(self.sources.iter().flat_map(Imported::replacing));
            if troubles.len() > before {
                self.hint("--replace takes the new values; the old ones stay among the earlier");
            }
        }
        match troubles.is_empty() {
            true => Ok(self),
            false => Err(refusal(&troubles, &self.hints)),
        }
    }

    /// Sets everything.
    pub fn apply(self, bundle: &mut Bundle, now: DateTime<Utc>) {
        let mut keys: BTreeMap<(Scope, ServiceName), Vec<(KeyName, Secret)>> = BTreeMap::new();
        for planned in self.sources.into_iter().flat_map(|source| source.secrets) {
            let SecretName { scope, service, item } = planned.name.clone();
            match item {
                Item::Key(key) => keys.entry((scope, service)).or_default().push((key, planned.value)),
                _ => _ = bundle.set(&planned.name, planned.value, now),
            }
        }
        // All of a service at once: a single one goes through all lines of its env file.
        for ((scope, service), keys) in keys {
            let mut env = bundle.env(&scope, &service).cloned().unwrap_or_default();
            env.set_all(keys);
            bundle.replace_env(&scope, &service, env, now);
        }
    }

    /// For people: each source, what becomes of each secret, and what is left out.
    pub fn told(&self) -> String {
        self.sources.iter().map(Imported::told).collect::<Vec<_>>().join("\n")
    }

    /// For machines.
    pub fn documents(&self) -> Vec<Value> {
        self.sources.iter().map(Imported::document).collect()
    }

    /// What is to be known when it is done.
    pub fn notes(&self) -> Vec<String> {
        let mut notes: Vec<String> = self.sources.iter().flat_map(Imported::warnings).collect();
        let clear = self.sources.iter().any(|source| source.format == Format::Env);
        notes.push(match clear {
            true => "the sources still hold the secrets in clear text: remove them, and from the history of git, too"
                .to_owned(),
            false => {
                "the sources still hold the secrets, and so does the history of git: who could open them still can"
                    .to_owned()
            }
        });
        notes
    }
}

fn name(entry: &Entry, service: &ServiceName, args: &Args) -> Result<SecretName> {
    if entry.is_nested() && !args.flatten {
        return Err(Error::new("it lies in a mapping or a list, and a bundle has neither")
            .hint("--flatten joins the keys with `_`: db.password becomes db_password"));
    }
    let key = entry.key().ok_or_else(|| {
        Error::new("it is not a key name")
            .hint("a key starts with a letter or `_` and holds letters, digits, `_` and `-`")
    })?;
    Ok(SecretName::key(service, &key).within(args.whose.scope()))
}

/// As asked for, or the name of the source up to its first dot.
fn service(source: &Source, given: Option<&ServiceName>) -> Result<ServiceName> {
    if let Some(given) = given {
        return Ok(given.clone());
    }
    let unnamed = |_| {
        Error::new(format!("{}: its name names no service", shown(&source.path)))
            .hint("name the service that gets the values: --service NAME")
    };
    ServiceName::new(source.stem()).map_err(unnamed)
}

fn refusal(troubles: &[String], hints: &[String]) -> Error {
    let error = match troubles {
        [one] => Error::new(format!("{one}; nothing was imported")),
        several => {
            let error = Error::new(format!("{} lines stand in the way; nothing was imported", several.len()));
            let error = several.iter().take(SHOWN).fold(error, |error, line| error.hint(line));
            match several.len().checked_sub(SHOWN).filter(|more| *more > 0) {
                Some(more) => error.hint(format!("and {more} more")),
                None => error,
            }
        }
    };
    hints.iter().fold(error, |error, hint| error.hint(hint))
}
