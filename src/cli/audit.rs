//! `audit`: what is really on the hosts, judged. It reads and does not touch, unless `--fix` says so.

use super::fleet::{self, Errand, Moment};
use super::last_runs;
use super::notifications::Notifications;
use super::option_value::option_value;
use super::report_file::{self, ReportFile, ReportFormat};
use super::shared::{Timeout, print_error};
use super::{Shared, sources::Sources};
use crate::engine::{Intent, Work};
use crate::plan::{Baseline, Filter, Rule, Severity};
use crate::report::{self, Report};
use crate::words::{Error, Result, TomlFiles};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const AFTER: &str = "\
Examples:
  distribute audit                          read every host, say what is not as it should be
  distribute audit -q                       for cron: silent when all is well
  distribute audit --check --fix            what would be mended
  distribute audit --rule drift --severity high -o json";

fn after() -> String {
    let rules: Vec<&str> = Rule::ALL.iter().map(|rule| rule.as_str()).collect();
    format!("{AFTER}\n\nRules: {}", rules.join(", "))
}

/// Reads the hosts: modes, owners, parents, links, strays, drift, backups; `--fix` mends what is safe to mend
#[derive(clap::Args)]
#[command(after_help = after())]
pub struct Args {
    /// Mend modes, owners, access lists and what we left over ourselves; never a content. With --check: say what would be mended
    #[arg(long)]
    fix: bool,
    /// Only these rules; may be given several times, or with commas
    #[arg(long, value_name = "RULE", value_delimiter = ',', value_parser = option_value::<Rule>)]
    rule: Vec<Rule>,
    /// Only findings at least this bad: info, low, medium, high
    #[arg(long, value_name = "SEVERITY", default_value = "info", value_parser = option_value::<Severity>)]
    severity: Severity,
    /// Exit 3 if there is a finding at least this bad
    #[arg(long, value_name = "SEVERITY", default_value = "low", value_parser = option_value::<Severity>)]
    fail_on: Severity,
    /// TOML file of accepted findings, each with a reason and the day on which that ends
    #[arg(long, value_name = "PATH")]
    ignore_file: Option<PathBuf>,
    /// Also write a report to a file: junit=FILE or json=FILE; may be given several times
    #[arg(long, value_name = "FORMAT=FILE", value_parser = option_value::<ReportFile>)]
    report: Vec<ReportFile>,
    /// Also write metrics for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    metrics_textfile: Option<PathBuf>,
    #[command(flatten)]
    timeout: Timeout,
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let (moment, started) = (Moment::now(), Instant::now());
    let filter = filter(&args, moment)?;
    let sources = Sources::load(shared)?;
    sources.note_under_way();
    let plans = fleet::readable(shared, &sources)?;
    let errand = Errand::new("audit", intent(&args, shared), args.timeout.duration());
    let notifications = Notifications::new(shared, &sources.playbook, &sources.bundle)?;
    notifications.begin("audit");
    let report = fleet::go(shared, &sources, Errand { work: Work::Audit(filter), ..errand }, moment, plans);
    let mut report = notifications.or_broken("audit", &fleet::run_id(&sources, moment), report)?;
    report.fail_on = Some(args.fail_on);
    report.would_fix = args.fix && shared.check;
    last_runs::note(shared, &report, moment.now);
    let written = write_files(&args, &report, moment, started);
    let code = match shared.quiet && !shared.is_json() && report.is_clean() {
        true => Ok(ExitCode::SUCCESS),
        false => fleet::conclude(shared, &report, moment.now),
    };
    notifications.end_of(&report);
    let code = code?;
    Ok(written.map_or_else(
        |error| {
            print_error(&error);
            if code == ExitCode::SUCCESS { ExitCode::from(1) } else { code }
        },
        |()| code,
    ))
}

fn filter(args: &Args, moment: Moment) -> Result<Filter> {
    let baseline = args.ignore_file.as_deref().map(baseline).transpose()?.unwrap_or_default();
    Ok(Filter { rules: args.rule.clone(), severity: args.severity, baseline, today: moment.now.date_naive() })
}

fn baseline(path: &Path) -> Result<Baseline> {
    Baseline::read(&TomlFiles::read(path, "ignore file")?)
}

const fn intent(args: &Args, shared: &Shared) -> Intent {
    match (args.fix, shared.check) {
        (false, _) => Intent::Look,
        (true, true) => Intent::Check,
        (true, false) => Intent::Apply,
    }
}

/// Every file is tried; the first error is told.
fn write_files(args: &Args, report: &Report, moment: Moment, started: Instant) -> Result<()> {
    let mut result = Ok(());
    for file in &args.report {
        let text = match file.format {
            ReportFormat::Junit => report::junit(report),
            ReportFormat::Json => report::json(report),
        };
        result = result.and(report_file::write(&file.path, &text));
    }
    let metrics = args.metrics_textfile.as_deref().map_or(Ok(()), |path| write_metrics(path, report, moment, started));
    result.and(metrics)
}

fn write_metrics(path: &Path, report: &Report, moment: Moment, started: Instant) -> Result<()> {
    let before = match std::fs::read_to_string(path) {
        Ok(text) => Some(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => None,
        Err(error) => return Err(Error::new(format!("reading {}", path.display())).because(error)),
    };
    let text = report::metrics(report, moment.now, started.elapsed().as_secs_f64(), before.as_deref());
    report_file::write(path, &text)
}
