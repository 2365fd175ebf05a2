//! `bundle recipients list`: who can open it, and who could.

use crate::bundle::{Bundle, OpenedBy, Recipient};
use crate::cli::Shared;
use crate::cli::shared::print_result;
use crate::report::ExposureReport;
use crate::words::{Result, plural};
use chrono::SecondsFormat;
use serde_json::json;

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args, shared: &Shared) -> Result<()> {
    let super::super::Opened { file, bundle, .. } = super::super::open(shared)?;
    let exposures = ExposureReport::all(&bundle);
    if shared.is_json() {
        let recipients = bundle.recipients().iter().map(|one| {
            let added = one.added.map(|added| added.to_rfc3339_opts(SecondsFormat::Secs, true));
            json!({ "label": one.label, "recipient": one.key, "word": one.word(), "added": added })
        });
        let report = json!({
            "schema": "distribute.bundle/1", "command": "bundle recipients list", "id": bundle.id(),
            "generation": bundle.generation(), "sealed": super::super::list::sealed_with(&file),
            "recipients": recipients.collect::<Vec<_>>(), "exposures": exposures.iter().map(ExposureReport::json).collect::<Vec<_>>(),
        });
        return print_result(&format!("{report}\n"));
    }
    let sealed = match (file.opened_by(), bundle.recipients().len()) {
        (OpenedBy::Password, 0) => "sealed to a password alone".to_owned(),
        (_, count) => format!("sealed to {}", plural(count, "recipient")),
    };
    print_result(&format!(
        "{}, {sealed}\n{}{}",
        super::super::generation(&file, &bundle),
        lines(&bundle),
        former(&exposures)
    ))
}

fn lines(bundle: &Bundle) -> String {
    let label = |one: &Recipient| one.label.clone().unwrap_or_else(|| "-".to_owned());
    let width = bundle.recipients().iter().map(|one| label(one).len()).max().unwrap_or(0);
    let line = |one: &Recipient| {
        let since = one.added.map(|added| format!("  since {}", added.format("%Y-%m-%d"))).unwrap_or_default();
        format!("  {:width$}  {}{since}\n", label(one), one.word())
    };
    bundle.recipients().iter().map(line).collect()
}

fn former(exposures: &[ExposureReport]) -> String {
    let lines: String = exposures.iter().map(|one| format!("  {}\n{}", one.sentence(), one.names("    "))).collect();
    if lines.is_empty() { lines } else { format!("\nwho could open it before:\n{lines}") }
}
