//! `Draft`: what the sources would make of the bundle, name by name, and all that stands in the way. `--check` shows the same.

use super::Args;
use super::source::{Format, Source};
use crate::bundle::{Bundle, Item, SecretName};
use crate::import::{Contents, Entry, Reading};
use crate::words::{Error, Result, Secret, ServiceName, plural};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// How many lines of trouble, and of what is left out, are shown.
const SHOWN: usize = 20;

/// Sources with their secrets, not judged yet.
#[derive(Default)]
pub struct Draft {
    sources: Vec<Imported>,
    places: BTreeMap<SecretName, String>,
    troubles: Vec<String>,
    hints: Vec<String>,
}

/// What one source gives.
struct Imported {
    path: String,
    kind: &'static str,
    format: Format,
    service: Option<ServiceName>,
    is_open: Option<String>,
    secrets: Vec<Planned>,
    left_out: Vec<(usize, String, &'static str)>,
    notes: Vec<String>,
}

struct Planned {
    name: SecretName,
    value: Secret,
    line: usize,
    change: Change,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Change {
    New,
    Changed,
    Unchanged,
}

impl Change {
    const ALL: [Self; 3] = [Self::New, Self::Changed, Self::Unchanged];

    fn of(name: &SecretName, value: &Secret, bundle: &Bundle) -> Self {
        match bundle.value(name) {
            None => Self::New,
            Some(known) if known == value => Self::Unchanged,
            Some(_) => Self::Changed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
        }
    }
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
        for planned in self.sources.into_iter().flat_map(|source| source.secrets) {
            bundle.set(&planned.name, planned.value, now);
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

impl Imported {
    fn of(source: &Source, service: Option<ServiceName>) -> Self {
        Self {
            path: source.path.display().to_string(),
            kind: source.kind(),
            format: source.format,
            service,
            is_open: source.open_mode.map(|mode| mode.to_string()),
            secrets: Vec::new(),
            left_out: Vec::new(),
            notes: Vec::new(),
        }
    }

    fn replacing(&self) -> impl Iterator<Item = String> {
        let changed = self.secrets.iter().filter(|planned| planned.change == Change::Changed);
        changed.map(|planned| {
            format!("{}: the bundle has another value of {}", at(&self.path, planned.line), planned.name)
        })
    }

    fn count(&self, change: Change) -> usize {
        self.secrets.iter().filter(|planned| planned.change == change).count()
    }

    fn told(&self) -> String {
        let counts = Change::ALL
            .iter()
            .map(|change| (self.count(*change), change.word()))
            .chain([(self.left_out.len(), "left out")]);
        let counts: Vec<String> =
            counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let counts = if counts.is_empty() { "nothing in it".to_owned() } else { counts.join(", ") };
        let service = self.service.as_ref().map(|service| format!(", service {service}")).unwrap_or_default();
        let mut lines = vec![format!("{} ({}{service}): {counts}", self.path, self.kind)];
        lines.extend(self.secrets.iter().map(|planned| format!("  {}: {}", planned.name, planned.change.word())));
        let left =
            self.left_out.iter().take(SHOWN).map(|(line, path, why)| format!("  line {line}, {path}: left out, {why}"));
        lines.extend(left);
        if let Some(more) = self.left_out.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more left out"));
        }
        lines.join("\n")
    }

    fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> = self.notes.iter().map(|note| format!("{}: {note}", self.path)).collect();
        let clear = self.left_out.iter().filter(|(_, _, why)| why.contains("clear")).count();
        if clear > 0 {
            warnings.push(format!(
                "{}: {} left out: no secrets? --clear takes them",
                self.path,
                plural(clear, "clear value")
            ));
        }
        if let Some(mode) = self.is_open.as_ref().filter(|_| self.format == Format::Env || clear > 0) {
            warnings.push(format!("{}: its mode is {mode}: others can read it", self.path));
        }
        warnings
    }

    fn document(&self) -> Value {
        let secret = |planned: &Planned| json!({ "secret": planned.name.to_string(), "line": planned.line, "change": planned.change.word() });
        let left = |(line, path, why): &(usize, String, &str)| json!({ "line": line, "path": path, "reason": why });
        json!({
            "source": self.path,
            "format": self.format.word(),
            "service": self.service,
            "secrets": self.secrets.iter().map(secret).collect::<Vec<_>>(),
            "left_out": self.left_out.iter().map(left).collect::<Vec<_>>(),
        })
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
        Error::new(format!("{}: its name names no service", source.path.display()))
            .hint("name the service that gets the values: --service NAME")
    };
    ServiceName::new(source.stem()).map_err(unnamed)
}

fn at(path: &str, line: usize) -> String {
    if line == 0 { path.to_owned() } else { format!("{path}:{line}") }
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
