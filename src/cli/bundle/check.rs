//! `bundle check`: opens the bundle, and says what is wrong with what is in it: missing, empty, placeholders, blanks, weak, used twice.

use crate::bundle::OpenedBy;
use crate::cli::Shared;
use crate::cli::option_value::option_value;
use crate::cli::shared::{print_note, print_result};
use crate::inventory::Inventory;
use crate::plan::{Flaw, FlawRule};
use crate::playbook::Playbook;
use crate::words::{Result, listed, plural};
use serde_json::{Value, json};
use std::process::ExitCode;

const AFTER: &str = "\
Rules: missing (against `require` of the playbook's services), empty, placeholder, whitespace, crlf, weak, duplicate. Exits 3 if there is a finding.";

#[derive(clap::Args)]
#[command(after_help = AFTER)]
pub struct Args {
    /// Only these rules; may be given several times, or with commas
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = option_value::<FlawRule>)]
    rule: Vec<FlawRule>,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let opened = super::open(shared)?;
    let project = project(shared)?;
    let mut flaws = Flaw::all(&opened.bundle, project.as_ref().map(|(inventory, playbook)| (inventory, playbook)))?;
    flaws.retain(|flaw| args.rule.is_empty() || args.rule.contains(&flaw.rule));
    if project.is_none() {
        print_note(shared, "no inventory and playbooks here: what services require was not looked at");
    }
    match shared.is_json() {
        true => print_result(&format!("{}\n", as_json(&opened, &flaws)))?,
        false => print_result(&as_text(&opened, &flaws))?,
    }
    Ok(if flaws.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(3) })
}

/// What says which services require what, if both are there.
fn project(shared: &Shared) -> Result<Option<(Inventory, Playbook)>> {
    let project = shared.project()?;
    if !project.inventory.exists() || !project.playbooks.exists() {
        return Ok(None);
    }
    Ok(Some((Inventory::load(&project.inventory)?, Playbook::load(&project.playbooks)?)))
}

fn enrolled(opened: &super::Opened) -> usize {
    opened.bundle.enrolments().filter(|(_, enrolment)| enrolment.enrolled.is_some()).count()
}

fn as_text(opened: &super::Opened, flaws: &[Flaw]) -> String {
    let super::Opened { file, bundle, .. } = opened;
    let sealed = match file.opened_by() {
        OpenedBy::Password => "a password".to_owned(),
        OpenedBy::Identity => plural(bundle.recipients().len(), "recipient"),
    };
    let width = flaws.iter().map(|flaw| flaw.rule.as_str().len()).max().unwrap_or(0);
    let line = |flaw: &Flaw| {
        let hosts = if flaw.hosts.is_empty() { String::new() } else { format!(" ({})", listed(&flaw.hosts)) };
        format!("{:width$}  {}: {}{hosts}\n", flaw.rule.as_str(), flaw.secret, flaw.message)
    };
    let findings = if flaws.is_empty() { String::new() } else { format!(", {}", plural(flaws.len(), "finding")) };
    format!(
        "{}{}, sealed to {sealed}: {}, {}, {} enrolled{findings}\n",
        flaws.iter().map(line).collect::<String>(),
        super::generation(file, bundle),
        plural(bundle.services().len(), "service"),
        plural(bundle.secrets().len(), "secret"),
        plural(enrolled(opened), "host"),
    )
}

fn as_json(opened: &super::Opened, flaws: &[Flaw]) -> Value {
    let super::Opened { file, bundle, .. } = opened;
    let finding = |flaw: &Flaw| {
        json!({
            "rule": flaw.rule.as_str(), "secret": flaw.secret.to_string(), "service": flaw.secret.service,
            "message": flaw.message, "hosts": flaw.hosts,
        })
    };
    json!({
        "schema": "distribute.bundle/1", "command": "bundle check", "id": bundle.id(), "generation": bundle.generation(),
        "sealed": super::list::sealed_with(file), "services": bundle.services().len(), "secrets": bundle.secrets().len(),
        "recipients": bundle.recipients().len(), "enrolled": enrolled(opened),
        "findings": flaws.iter().map(finding).collect::<Vec<_>>(),
    })
}
