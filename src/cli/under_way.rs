//! A rotation that was begun and has not come to its end: every command says so, and some refuse to go on.

use super::rotate::RotationLock;
use crate::bundle::{Bundle, Rotation, SecretName};
use crate::plan::rotation::{SkippedSecret, shown};
use crate::report::{LaterRevocation, RotationReport, RotationState};
use crate::words::{Error, plural};
use std::path::Path;

/// What is under way since when, for a line.
pub fn text(rotation: &Rotation) -> String {
    let secrets = match &rotation.secrets[..] {
        [one] => one.name.to_string(),
        many => plural(many.len(), "secret"),
    };
    format!("a rotation of {secrets} is under way since {} ({})", shown(rotation.started), rotation.run)
}

/// For a report on the hosts: what is under way, which old values are still accepted, and what is overdue and on no host.
pub fn report(bundle: &Bundle, overdue: Vec<SecretName>) -> Option<RotationReport> {
    let later = bundle.revocations().iter().map(|revocation| LaterRevocation::new(revocation, None));
    let revoke_later: Vec<_> = later.collect();
    let why = "it is overdue, and on no host".to_owned();
    let skipped = |name| SkippedSecret { name, why: why.clone(), command: None, is_missed: false };
    let skipped: Vec<SkippedSecret> = overdue.into_iter().map(skipped).collect();
    let Some(rotation) = bundle.rotation() else {
        let is_told = !revoke_later.is_empty() || !skipped.is_empty();
        let idle = RotationReport::new(RotationState::Nothing);
        return is_told.then_some(RotationReport { revoke_later, skipped, ..idle });
    };
    let message = format!("{}: `distribute rotate --resume` finishes it, `--abort` undoes it", text(rotation));
    let under_way = RotationReport::new(RotationState::UnderWay);
    Some(RotationReport { run: Some(rotation.run.clone()), message, revoke_later, skipped, ..under_way })
}

/// For commands that must not come in between.
pub fn refusal(rotation: &Rotation, bundle: &Path) -> Error {
    let error = |how: &str| Error::new(format!("{}{how}; nothing was done", text(rotation)));
    match RotationLock::holder(bundle) {
        Some(who) => {
            error(&format!(", and at work right now ({who})")).hint("wait for it to end, then do the same again")
        }
        None => error("")
            .hint("finish it: distribute rotate --resume")
            .hint("or give everybody the old values: distribute rotate --abort"),
    }
}

/// For commands that only look.
pub fn note(rotation: Option<&Rotation>, bundle: &Path) {
    let Some(rotation) = rotation else { return };
    let how = match RotationLock::holder(bundle) {
        Some(who) => format!("at work right now ({who})"),
        None => "`distribute rotate --resume` finishes it, `--abort` undoes it".to_owned(),
    };
    eprintln!("note: {}: {how}", text(rotation));
}
