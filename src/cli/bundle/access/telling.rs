//! What a change of access means, for people and for machines.

use super::{Access, PASSWORD};
use crate::bundle::Recipient;
use crate::report::ExposureReport;
use crate::words::plural;
use serde_json::{Value, json};

impl Access<'_> {
    pub(super) fn gained(&self) -> Vec<&Recipient> {
        self.opened
            .bundle
            .recipients()
            .iter()
            .filter(|one| !self.recipients.iter().any(|old| old.key == one.key))
            .collect()
    }

    pub(super) fn lost(&self) -> Vec<&Recipient> {
        let now = self.opened.bundle.recipients();
        self.recipients.iter().filter(|old| !now.iter().any(|one| one.key == old.key)).collect()
    }

    pub(super) fn lines(&self) -> Vec<String> {
        if !self.opened.bundle.is_changed() {
            return vec!["nothing changed".to_owned()];
        }
        // Whoever knew the password knows it still.
        let is_kept = |one: &&Recipient| self.was_password && !self.is_password_new && one.name() == PASSWORD;
        let (kept, gained): (Vec<&Recipient>, Vec<&Recipient>) = self.gained().into_iter().partition(is_kept);
        let mut lines: Vec<String> = gained.into_iter().map(|one| format!("gains access: {one}")).collect();
        if !kept.is_empty() {
            lines.push("the password opens it as before: it locks vault-identity.age, which belongs into git beside the bundle".to_owned());
        }
        lines.extend(self.lost().into_iter().map(|one| format!("loses access: {one}")));
        if self.is_password_new && self.identity.is_none() {
            lines.push("gains access: whoever knows the new password".to_owned());
        }
        if self.is_password_new && self.was_password {
            lines.push("loses access: whoever knows only the password until now".to_owned());
        }
        if lines.is_empty() {
            lines.push("nobody gains or loses access".to_owned());
        }
        lines
    }

    pub(super) fn fields(&self, command: &str, exposed: &[ExposureReport]) -> Value {
        let shown = |one: &&Recipient| json!({ "label": one.label, "recipient": one.key });
        let bundle = &self.opened.bundle;
        let exposures: Vec<Value> = exposed.iter().map(ExposureReport::json).collect();
        json!({
            "command": command, "change": if bundle.is_changed() { "changed" } else { "unchanged" },
            "gains": self.gained().iter().map(shown).collect::<Vec<_>>(),
            "loses": self.lost().iter().map(shown).collect::<Vec<_>>(),
            "new_password": self.is_password_new, "exposures": exposures,
        })
    }
}

pub fn exposed(exposure: &ExposureReport) -> String {
    let way_out = exposure.way_out().map(|command| format!("rotate them: {command}\n")).unwrap_or_default();
    format!(
        "{} could read {}:\n{}{way_out}",
        exposure.name,
        plural(exposure.left.len(), "secret"),
        exposure.names("  ")
    )
}

pub fn copies(count: usize) -> String {
    match count {
        1 => "1 copy".to_owned(),
        count => format!("{count} copies"),
    }
}
