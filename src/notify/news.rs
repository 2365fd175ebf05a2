//! `News`: how a run went, in words that may leave this machine.

use crate::words::{Secret, printable, redact};
use serde_json::{Map, Value, json};

const LONGEST: usize = 4000;

/// Names, counts and outcomes; never a value.
#[derive(Clone, Debug)]
pub struct News {
    /// Such as `rotate`.
    pub command: String,
    pub run: String,
    /// What the project's directory is called.
    pub project: Option<String>,
    /// What the program exits with.
    pub status: u8,
    /// Of hosts, by outcome.
    pub summary: Vec<(&'static str, usize)>,
    /// One paragraph.
    pub message: String,
    /// Each host and what it came to.
    pub hosts: Vec<(String, &'static str)>,
}

impl News {
    /// Strikes out of every free text what is a secret's.
    pub fn redacted<'a>(self, secrets: impl Iterator<Item = &'a Secret> + Clone) -> Self {
        let clean = |text: &str| redact(&printable(text.as_bytes(), LONGEST), secrets.clone());
        Self {
            message: clean(&self.message),
            project: self.project.as_deref().map(clean),
            hosts: cleaned(self.hosts, secrets.clone()),
            ..self
        }
    }

    /// Did something change on a host?
    pub fn has_changed(&self) -> bool {
        self.hosts.iter().any(|(_, outcome)| *outcome == "changed")
    }

    /// The exit status in a word.
    pub fn outcome(&self) -> &'static str {
        match self.status {
            0 if self.has_changed() => "changed",
            0 => "ok",
            2 => "failed",
            3 => "findings",
            4 => "unreachable",
            130 => "interrupted",
            _ => "error",
        }
    }

    /// The document that a webhook gets, `distribute.notify/1`. Fields are added, never changed.
    pub fn json(&self) -> String {
        let summary: Map<String, Value> =
            self.summary.iter().map(|(name, count)| ((*name).to_owned(), json!(count))).collect();
        let mut document = json!({ "schema": "distribute.notify/1", "command": self.command, "run": self.run });
        if let Some(project) = &self.project {
            document["project"] = json!(project);
        }
        document["status"] = json!(self.status);
        document["outcome"] = json!(self.outcome());
        document["summary"] = Value::Object(summary);
        document["message"] = json!(self.message);
        let hosts = self.hosts.iter().map(|(host, outcome)| json!({ "host": host, "outcome": outcome }));
        document["hosts"] = hosts.collect();
        document.to_string()
    }
}

/// All at once: a bundle may hold as many values as there are hosts. A value that stands in more than one name leaves none.
fn cleaned<'a>(
    hosts: Vec<(String, &'static str)>,
    secrets: impl Iterator<Item = &'a Secret>,
) -> Vec<(String, &'static str)> {
    let names: Vec<&str> = hosts.iter().map(|(host, _)| host.as_str()).collect();
    let clean = redact(&printable(names.join(" ").as_bytes(), usize::MAX), secrets);
    let clean: Vec<&str> = clean.split(' ').collect();
    match clean.len() == hosts.len() {
        true => clean.iter().zip(&hosts).map(|(name, (_, outcome))| ((*name).to_owned(), *outcome)).collect(),
        false => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_goes_out_holds_no_value() {
        let news = News {
            command: "rotate".to_owned(),
            run: "42-20261121T020000Z-7f3a".to_owned(),
            project: Some("correct-horse servers".to_owned()),
            status: 2,
            summary: vec![("failed", 1)],
            message: "web1: \u{1b}[31mrefused correct-horse\nand rrect-horse".to_owned(),
            hosts: vec![("web1".to_owned(), "failed")],
        };
        let secret = Secret::new(*b"correct-horse");
        let document = news.redacted([&secret].into_iter()).json();
        assert!(!document.contains("rrect-h") && !document.contains('\u{1b}'), "{document}");
        let read: Value = serde_json::from_str(&document).unwrap();
        assert_eq!(
            (&read["outcome"], &read["status"], &read["summary"]["failed"]),
            (&"failed".into(), &2.into(), &1.into())
        );
        assert_eq!(read["hosts"], json!([{ "host": "web1", "outcome": "failed" }]));
    }
}
