//! `bundle check`: opens the bundle and says what it found. That it opened is the check.

use crate::bundle::OpenedBy;
use crate::cli::Shared;
use crate::cli::shared::print_result;
use crate::words::{Result, plural};

#[derive(clap::Args)]
pub struct Args {}

pub fn run(_args: Args, shared: &Shared) -> Result<()> {
    let super::Opened { file, bundle, .. } = super::open(shared)?;
    let sealed = match file.opened_by() {
        OpenedBy::Password => "a password".to_owned(),
        OpenedBy::Identity => plural(bundle.recipients().len(), "recipient"),
    };
    let (services, secrets) = (bundle.services().len(), bundle.secrets().len());
    let enrolled = bundle.enrolments().filter(|(_, enrolment)| enrolment.enrolled.is_some()).count();
    if shared.is_json() {
        let report = serde_json::json!({
            "schema": "distribute.bundle/1", "command": "bundle check", "id": bundle.id(),
            "generation": bundle.generation(), "sealed": super::list::sealed_with(&file),
            "services": services, "secrets": secrets, "recipients": bundle.recipients().len(), "enrolled": enrolled,
        });
        return print_result(&format!("{report}\n"));
    }
    print_result(&format!(
        "{}, sealed to {sealed}: {}, {}, {} enrolled\n",
        super::generation(&file, &bundle),
        plural(services, "service"),
        plural(secrets, "secret"),
        plural(enrolled, "host"),
    ))
}
