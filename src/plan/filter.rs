//! `Filter`: which findings of an audit count: those of the rules asked for, bad enough, and that nobody accepted.

use super::{Baseline, Finding, Rule, Severity};
use crate::words::HostName;
use chrono::NaiveDate;

/// What was asked for with `--rule`, `--severity` and `--ignore-file`.
#[derive(Clone, Debug)]
pub struct Filter {
    /// Empty means all of them.
    pub rules: Vec<Rule>,
    /// The least that is shown.
    pub severity: Severity,
    pub baseline: Baseline,
    /// In UTC, as the dates of the baseline.
    pub today: NaiveDate,
}

/// What is left of a host's findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sieved {
    pub counted: Vec<Finding>,
    /// How many somebody accepted.
    pub accepted: usize,
}

impl Filter {
    /// Does it count? What does not is not mended either.
    pub fn admits(&self, host: &HostName, finding: &Finding) -> bool {
        self.is_asked_for(finding) && !self.is_accepted(host, finding)
    }

    /// Keeps what counts. Where an entry has expired, the finding says so: somebody will ask why it is back.
    pub fn sieve(&self, host: &HostName, findings: Vec<Finding>) -> Sieved {
        let asked = findings.into_iter().filter(|finding| self.is_asked_for(finding));
        let (accepted, counted): (Vec<_>, Vec<_>) = asked.partition(|finding| self.is_accepted(host, finding));
        let counted = counted.into_iter().map(|finding| self.explained(host, finding)).collect();
        Sieved { counted, accepted: accepted.len() }
    }

    fn is_asked_for(&self, finding: &Finding) -> bool {
        finding.severity >= self.severity && (self.rules.is_empty() || self.rules.contains(&finding.rule))
    }

    fn is_accepted(&self, host: &HostName, finding: &Finding) -> bool {
        self.baseline.of(host, finding).is_some_and(|entry| entry.holds(self.today))
    }

    fn explained(&self, host: &HostName, mut finding: Finding) -> Finding {
        if let Some(expired) = self.baseline.of(host, &finding) {
            finding.note = Some(format!("accepted until {}: {}", expired.expires, expired.reason));
        }
        finding
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::TomlFiles;

    const IGNORE: &str = "\
[[ignore]]
rule = 'parent-writable'
host = 'web*'
reason = 'moves in December'
expires = 2026-11-01
";

    fn filter(rules: &[Rule], severity: Severity, today: &str) -> Filter {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ignore.toml");
        std::fs::write(&path, IGNORE).unwrap();
        let baseline = Baseline::read(&TomlFiles::read(&path, "ignore file").unwrap()).unwrap();
        Filter { rules: rules.to_vec(), severity, baseline, today: today.parse().unwrap() }
    }

    fn findings() -> Vec<Finding> {
        let of = |rule: Rule| Finding::new(rule, "/opt/app".to_owned(), "0755", "0777");
        vec![of(Rule::ParentWritable), of(Rule::Missing), of(Rule::WrongMode), of(Rule::ClearSwap)]
    }

    /// The rules that count, and how many were accepted; `admits` says the same.
    #[track_caller]
    fn case(filter: &Filter, host: &str, counted: &[Rule], accepted: usize) {
        let host = HostName::new(host).unwrap();
        let admitted: Vec<Rule> =
            findings().iter().filter(|finding| filter.admits(&host, finding)).map(|finding| finding.rule).collect();
        let sieved = filter.sieve(&host, findings());
        let left: Vec<Rule> = sieved.counted.iter().map(|finding| finding.rule).collect();
        assert_eq!((left.as_slice(), sieved.accepted), (counted, accepted));
        assert_eq!(admitted, left);
    }

    #[test]
    fn only_what_was_asked_for_counts() {
        use Rule::{ClearSwap, Missing, ParentWritable, WrongMode};
        let on = |rules: &[Rule], severity| filter(rules, severity, "2026-10-01");
        case(&on(&[], Severity::Info), "db1", &[ParentWritable, Missing, WrongMode, ClearSwap], 0);
        case(&on(&[], Severity::Info), "web1", &[Missing, WrongMode, ClearSwap], 1);
        case(&on(&[], Severity::Medium), "db1", &[ParentWritable, Missing], 0);
        case(&on(&[], Severity::High), "web1", &[], 1);
        case(&on(&[WrongMode, ParentWritable], Severity::Info), "web1", &[WrongMode], 1);
        // What was not asked for was not accepted either.
        case(&on(&[WrongMode], Severity::Info), "web1", &[WrongMode], 0);
        case(&on(&[WrongMode], Severity::High), "web1", &[], 0);
    }

    #[test]
    fn it_holds_on_its_last_day_and_counts_again_on_the_next() {
        let on = |today| filter(&[Rule::ParentWritable], Severity::Info, today);
        case(&on("2026-11-01"), "web1", &[], 1);
        case(&on("2026-11-02"), "web1", &[Rule::ParentWritable], 0);
        let note = |today, host| on(today).sieve(&HostName::new(host).unwrap(), findings()).counted[0].note.clone();
        assert_eq!(note("2026-11-02", "web1").as_deref(), Some("accepted until 2026-11-01: moves in December"));
        assert_eq!(note("2026-11-02", "db1"), None);
    }

    #[test]
    fn without_a_baseline_everything_counts() {
        let filter = Filter { baseline: Baseline::default(), ..filter(&[], Severity::Info, "2026-10-01") };
        assert_eq!(filter.sieve(&HostName::new("web1").unwrap(), findings()).counted, findings());
    }
}
