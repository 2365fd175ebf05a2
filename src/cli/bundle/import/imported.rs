//! `Imported`: what one source gives, and how it is told.

use super::source::{Format, Source};
use crate::bundle::{Bundle, SecretName};
use crate::words::{Secret, ServiceName, plural, printable};
use serde_json::{Value, json};

/// How many lines of what is left out are shown.
const SHOWN: usize = 20;

/// What one source gives.
pub struct Imported {
    pub path: String,
    pub kind: &'static str,
    pub format: Format,
    pub service: Option<ServiceName>,
    pub is_open: Option<String>,
    pub secrets: Vec<Planned>,
    pub left_out: Vec<(usize, String, &'static str)>,
    pub notes: Vec<String>,
}

/// One secret that a source gives.
pub struct Planned {
    pub name: SecretName,
    pub value: Secret,
    pub line: usize,
    pub change: Change,
}

/// What becomes of a secret.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Change {
    New,
    Changed,
    Unchanged,
}

impl Change {
    const ALL: [Self; 3] = [Self::New, Self::Changed, Self::Unchanged];

    pub fn of(name: &SecretName, value: &Secret, bundle: &Bundle) -> Self {
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

impl Imported {
    pub fn of(source: &Source, service: Option<ServiceName>) -> Self {
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

    /// What of it would take the place of another value.
    pub fn replacing(&self) -> impl Iterator<Item = String> {
        let changed = self.secrets.iter().filter(|planned| planned.change == Change::Changed);
        changed.map(|planned| {
            format!("{}: the bundle has another value of {}", at(&self.path, planned.line), planned.name)
        })
    }

    fn count(&self, change: Change) -> usize {
        self.secrets.iter().filter(|planned| planned.change == change).count()
    }

    /// For people.
    pub fn told(&self) -> String {
        let counts = Change::ALL
            .iter()
            .map(|change| (self.count(*change), change.word()))
            .chain([(self.left_out.len(), "left out")]);
        let counts: Vec<String> =
            counts.filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        let counts = if counts.is_empty() { "nothing in it".to_owned() } else { counts.join(", ") };
        let service = self.service.as_ref().map(|service| format!(", service {service}")).unwrap_or_default();
        let mut lines = vec![format!("{} ({}{service}): {counts}", at(&self.path, 0), self.kind)];
        lines.extend(self.secrets.iter().map(|planned| format!("  {}: {}", planned.name, planned.change.word())));
        let left =
            self.left_out.iter().take(SHOWN).map(|(line, path, why)| format!("  line {line}, {path}: left out, {why}"));
        lines.extend(left);
        if let Some(more) = self.left_out.len().checked_sub(SHOWN).filter(|more| *more > 0) {
            lines.push(format!("  and {more} more left out"));
        }
        lines.join("\n")
    }

    /// What is to be known of it.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<String> =
            self.notes.iter().map(|note| format!("{}: {note}", at(&self.path, 0))).collect();
        let clear = self.left_out.iter().filter(|(_, _, why)| why.contains("clear")).count();
        if clear > 0 {
            warnings.push(format!(
                "{}: {} left out: no secrets? --clear takes them",
                at(&self.path, 0),
                plural(clear, "clear value")
            ));
        }
        if let Some(mode) = self.is_open.as_ref().filter(|_| self.format == Format::Env || clear > 0) {
            warnings.push(format!("{}: its mode is {mode}: others can read it", at(&self.path, 0)));
        }
        warnings
    }

    /// For machines.
    pub fn document(&self) -> Value {
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

/// `path:line`; no line for the whole file.
pub fn at(path: &str, line: usize) -> String {
    let path = printable(path.as_bytes(), 400);
    if line == 0 { path } else { format!("{path}:{line}") }
}
