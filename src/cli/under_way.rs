//! A rotation that was begun and has not come to its end: every command says so, and some refuse to go on.

use crate::bundle::Rotation;
use crate::plan::rotation::shown;
use crate::report::{RotationReport, RotationState};
use crate::words::Error;

/// What is under way since when, for a line.
pub fn text(rotation: &Rotation) -> String {
    let secrets = match &rotation.secrets[..] {
        [one] => one.name.to_string(),
        many => format!("{} secrets", many.len()),
    };
    format!("a rotation of {secrets} is under way since {} ({})", shown(rotation.started), rotation.run)
}

/// For a report on the hosts.
pub fn report(rotation: &Rotation) -> RotationReport {
    let message = format!("{}: `distribute rotate --resume` finishes it, `--abort` undoes it", text(rotation));
    RotationReport { run: Some(rotation.run.clone()), message, ..RotationReport::new(RotationState::UnderWay) }
}

/// For commands that must not come in between.
pub fn refusal(rotation: &Rotation) -> Error {
    Error::new(format!("{}; nothing was done", text(rotation)))
        .hint("finish it: distribute rotate --resume")
        .hint("or give everybody the old values: distribute rotate --abort")
}

/// For commands that only look.
pub fn note(rotation: Option<&Rotation>) {
    if let Some(rotation) = rotation {
        eprintln!("note: {}: `distribute rotate --resume` finishes it, `--abort` undoes it", text(rotation));
    }
}
