//! `bundle diff`: what differs between the bundle in a revision of git and the one on the disk, or in two revisions. Names and keyed
//! fingerprints; never values.

use crate::bundle::{Bundle, Changed, Difference};
use crate::cli::git::Git;
use crate::cli::shared::print_result;
use crate::cli::{Shared, unlock};
use crate::words::{Error, Result};
use serde_json::{Value, json};
use std::ffi::OsStr;
use std::path::Path;

#[derive(clap::Args)]
pub struct Args {
    /// From this revision [default: HEAD] to the file on the disk, or to a second revision
    #[arg(value_name = "REV", num_args = 0..=2)]
    revisions: Vec<String>,
}

pub fn run(args: Args, shared: &Shared) -> Result<()> {
    let path = shared.project()?.bundle;
    let old = args.revisions.first().map_or("HEAD", String::as_str);
    let before = in_revision(old, &path, shared)?;
    let new = args.revisions.get(1);
    let after = match new {
        Some(revision) => in_revision(revision, &path, shared)?,
        None => super::open(shared)?.bundle,
    };
    let difference = Difference::between(&before, &after);
    if shared.is_json() {
        let report = as_json(&difference, (old, &before), (new.map(String::as_str), &after));
        return print_result(&format!("{report}\n"));
    }
    let (from, to) = (before.generation(), after.generation());
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let place = new.map_or("on disk".to_owned(), |revision| format!("in {revision}"));
    print_result(&format!("{name}: generation {from} in {old}, {to} {place}\n{}", as_text(&difference)))
}

/// What was seen of the bundle before is not asked: an earlier revision is older, and is meant to be.
fn in_revision(revision: &str, path: &Path, shared: &Shared) -> Result<Bundle> {
    let git = Git::around(path)?;
    let name = path.file_name().unwrap_or(OsStr::new("secrets.age"));
    let bytes = git.in_revision(revision, name)?;
    let place = || format!("{} in {revision}", name.to_string_lossy());
    Bundle::from_sealed(&bytes, &unlock::unlock(shared, path)?).map_err(|error: Error| error.at(place()))
}

pub(super) fn as_text(difference: &Difference) -> String {
    let rows: Vec<[String; 3]> = difference
        .all()
        .map(row)
        .chain(
            difference
                .texts
                .iter()
                .map(|document| [document.to_string(), "only comments or order changed".to_owned(), String::new()]),
        )
        .collect();
    if rows.is_empty() {
        return "nothing differs\n".to_owned();
    }
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (names, changes) =
        (width(0), rows.iter().filter(|row| !row[2].is_empty()).map(|row| row[1].len()).max().unwrap_or(0));
    let line = |[name, change, values]: &[String; 3]| {
        format!("{name:names$}  {change:changes$}  {values}").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

fn row(changed: &Changed) -> [String; 3] {
    let Changed { name, field, change, old, new } = changed;
    let what = match *field {
        "value" => change.word().to_owned(),
        field => format!("{field} {}", change.word()),
    };
    let values = match (old, new) {
        (Some(old), Some(new)) => format!("{} -> {}", word(old), word(new)),
        (one, other) => one.as_ref().or(other.as_ref()).map(|value| word(value).to_owned()).unwrap_or_default(),
    };
    [name.clone(), what, values]
}

fn word(value: &str) -> &str {
    if value.is_empty() { "-" } else { value }
}

fn as_json(difference: &Difference, (old, before): (&str, &Bundle), (new, after): (Option<&str>, &Bundle)) -> Value {
    let list = |changed: &[Changed]| changed.iter().map(one).collect::<Vec<_>>();
    json!({
        "schema": "distribute.bundle/1", "command": "bundle diff",
        "old": { "revision": old, "generation": before.generation() },
        "new": { "revision": new, "generation": after.generation() },
        "secrets": list(&difference.secrets), "metadata": list(&difference.metadata),
        "recipients": list(&difference.recipients), "enrolments": list(&difference.enrolments),
        "texts": difference.texts.iter().map(ToString::to_string).collect::<Vec<_>>(), "bundle": list(&difference.bundle),
    })
}

fn one(changed: &Changed) -> Value {
    let Changed { name, field, change, old, new } = changed;
    json!({ "name": name, "field": field, "change": change.word(), "old": old, "new": new })
}
