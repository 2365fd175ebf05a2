//! `Baseline`: findings that somebody accepted, each with a reason and the last day on which it is accepted.

use super::{Finding, Rule};
use crate::words::{Error, Glob, HostName, Result, TomlFiles, TomlTable, printable};
use chrono::{Datelike, NaiveDate};

const KEYS: [&str; 5] = ["rule", "host", "path", "reason", "expires"];

/// Longer reasons are cut where they are shown.
const REASON_SHOWN: usize = 200;

/// What is accepted; by default nothing.
#[derive(Clone, Debug, Default)]
pub struct Baseline {
    entries: Vec<Accepted>,
}

/// One `[[ignore]]`: which findings are accepted, why, and until when.
#[derive(Clone, Debug)]
pub struct Accepted {
    rule: Rule,
    host: Glob,
    path: Glob,
    /// Safe for a terminal.
    pub reason: String,
    /// The last day, in UTC.
    pub expires: NaiveDate,
}

impl Baseline {
    /// Reads every `[[ignore]]` of these files; a key that nobody knows is an error, as everywhere.
    pub fn read(files: &TomlFiles) -> Result<Self> {
        let mut entries = Vec::new();
        for file in files.tables() {
            file.only(&["ignore"])?;
            for table in file.tables("ignore")? {
                entries.push(accepted(&table)?);
            }
        }
        Ok(Self { entries })
    }

    /// The entry that means this finding and holds longest.
    pub(super) fn of(&self, host: &HostName, finding: &Finding) -> Option<&Accepted> {
        self.entries.iter().filter(|entry| entry.means(host, finding)).max_by_key(|entry| entry.expires)
    }
}

impl Accepted {
    /// Is it still accepted on this day?
    pub(super) fn holds(&self, today: NaiveDate) -> bool {
        today <= self.expires
    }

    fn means(&self, host: &HostName, finding: &Finding) -> bool {
        self.rule == finding.rule && self.host.matches(host.as_str()) && self.path.matches(&finding.path)
    }
}

fn accepted(table: &TomlTable<'_>) -> Result<Accepted> {
    table.only(&KEYS)?;
    let glob = |key: &str| table.string(key).map(|text| Glob::new(text.unwrap_or("*")));
    Ok(Accepted {
        rule: table.required("rule", table.parsed("rule"))?,
        host: glob("host")?,
        path: glob("path")?,
        reason: table.required("reason", table.read("reason", reason))?,
        expires: table.required("expires", expires(table))?,
    })
}

fn reason(text: &str) -> Result<String> {
    match text.trim() {
        "" => Err(Error::new("it is empty").hint("whoever reads it in a year wants to know why this was accepted")),
        reason => Ok(printable(reason.as_bytes(), REASON_SHOWN)),
    }
}

/// A date of TOML's, or the same as a string.
fn expires(table: &TomlTable<'_>) -> Result<Option<NaiveDate>> {
    let date = match table.value("expires") {
        None => return Ok(None),
        Some(toml::Value::String(text)) => written(&text),
        // A time of day would need a zone, and would promise more than a day.
        Some(toml::Value::Datetime(toml::value::Datetime { date: Some(date), time: None, offset: None })) => {
            NaiveDate::from_ymd_opt(date.year.into(), date.month.into(), date.day.into())
        }
        Some(_) => None,
    };
    date.map(Some).ok_or_else(|| {
        let error =
            Error::new("\"expires\" is not a date").hint("write the last day on which it is accepted: 2026-12-31");
        table.wrong_at("expires", error)
    })
}

/// Exactly `2026-12-31`: chrono by itself also takes blanks, signs and single digits.
fn written(text: &str) -> Option<NaiveDate> {
    let date: NaiveDate = text.parse().ok()?;
    (date.to_string() == text && (0..=9999).contains(&date.year())).then_some(date)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Baseline> {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ignore.toml");
        std::fs::write(&path, text).unwrap();
        TomlFiles::read(&path, "ignore file").and_then(|files| Baseline::read(&files))
    }

    fn finding(rule: Rule, path: &str) -> Finding {
        Finding::new(rule, path.to_owned(), "x", "y")
    }

    #[track_caller]
    fn holds(text: &str, cases: &[(&str, Rule, &str, bool)]) {
        let baseline = read(text).unwrap();
        for (host, rule, path, expected) in cases {
            let is_meant = baseline.of(&HostName::new(*host).unwrap(), &finding(*rule, path)).is_some();
            assert_eq!(is_meant, *expected, "{host} {rule} {path}");
        }
    }

    #[test]
    fn an_entry_means_what_its_globs_match() {
        holds(
            "[[ignore]]\nrule = 'parent-writable'\nhost = 'web*'\npath = '/opt/legacy/*'\nreason = 'r'\nexpires = 2026-12-31",
            &[
                ("web1", Rule::ParentWritable, "/opt/legacy/app", true),
                ("web1", Rule::ParentWritable, "/opt/legacy/app/deep", true),
                ("web1", Rule::ParentWritable, "/opt/legacy", false),
                ("web1", Rule::WrongMode, "/opt/legacy/app", false),
                ("db1", Rule::ParentWritable, "/opt/legacy/app", false),
            ],
        );
        holds(
            "[[ignore]]\nrule = 'drift'\nreason = 'r'\nexpires = '2026-12-31'",
            &[("web1", Rule::Drift, "/any", true), ("db1", Rule::Drift, "/other", true)],
        );
        holds("", &[("web1", Rule::Drift, "/any", false)]);
    }

    #[test]
    fn the_one_that_holds_longest_counts() {
        let entry = |reason, day| format!("[[ignore]]\nrule = 'drift'\nreason = '{reason}'\nexpires = {day}\n");
        let text = entry("early", "2026-11-01") + &entry("late", "2027-01-01") + &entry("middle", "2026-12-01");
        let baseline = read(&text).unwrap();
        let accepted = baseline.of(&HostName::new("web1").unwrap(), &finding(Rule::Drift, "/x")).unwrap();
        assert_eq!(accepted.reason, "late");
        let day = |text: &str| text.parse::<NaiveDate>().unwrap();
        assert!(accepted.holds(day("2026-12-31")) && accepted.holds(day("2027-01-01")));
        assert!(!accepted.holds(day("2027-01-02")));
    }

    #[test]
    fn a_reason_is_safe_to_show() {
        let baseline =
            read("[[ignore]]\nrule = 'drift'\nreason = \"\\n a\\u001b[31m\\nb \"\nexpires = 2026-12-31").unwrap();
        assert_eq!(baseline.entries[0].reason, "a\\u{1b}[31m b");
    }

    /// What is wrong in the entry, and the message behind the name of the file.
    const WRONG: [(&str, &str, &str); 13] = [
        ("rule = 'drift'\nreason = 'r'", "1: ignore: \"expires\" is missing", ""),
        ("rule = 'drift'\nexpires = 2026-12-31", "1: ignore: \"reason\" is missing", ""),
        ("reason = 'r'\nexpires = 2026-12-31", "1: ignore: \"rule\" is missing", ""),
        ("rule = 'drfit'", "2: ignore: rule: `drfit` is not a rule", "did you mean `drift`?"),
        ("rule = 'drift'\nreson = 'r'", "3: ignore: unknown key \"reson\"", "did you mean \"reason\"?"),
        ("rule = 'drift'\nhost = 1", "3: ignore: \"host\" must be a string, not an integer", ""),
        ("rule = 'drift'\nreason = '  '", "3: ignore: reason: it is empty", "wants to know why"),
        ("rule = 'drift'\nreason = 'r'\nexpires = 'soon'", "4: ignore: \"expires\" is not a date", "2026-12-31"),
        ("rule = 'drift'\nreason = 'r'\nexpires = '2026-2-30'", "4: ignore: \"expires\" is not a date", ""),
        ("rule = 'drift'\nreason = 'r'\nexpires = '2026-2-3'", "4: ignore: \"expires\" is not a date", ""),
        ("rule = 'drift'\nreason = 'r'\nexpires = 20261231", "4: ignore: \"expires\" is not a date", ""),
        ("rule = 'drift'\nreason = 'r'\nexpires = 2026-12-31T00:00:00Z", "4: ignore: \"expires\" is not a date", ""),
        ("rule = 'drift'\nreason = 'r'\nexpires = 10:00:00", "4: ignore: \"expires\" is not a date", ""),
    ];

    #[test]
    fn what_is_wrong_is_said_with_its_place() {
        for (entry, message, hint) in WRONG {
            let error = read(&format!("[[ignore]]\n{entry}\n")).unwrap_err();
            assert!(error.to_string().ends_with(&format!("/ignore.toml:{message}")), "{error}");
            assert!(error.hints().join(" ").contains(hint), "{entry}: {:?}", error.hints());
        }
        let error = read("[[ignored]]\nrule = 'drift'").unwrap_err();
        assert!(error.to_string().ends_with("ignore.toml:1: unknown key \"ignored\""), "{error}");
        assert_eq!(error.hints(), ["did you mean \"ignore\"?"]);
        assert!(read("ignore = 1").unwrap_err().to_string().contains("must be an array of tables, written [[ignore]]"));
    }
}
