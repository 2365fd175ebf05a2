//! `Notifications`: who is told of this run, made ready before it begins: what a `[[notify]]` needs from the bundle is looked up while
//! nothing has happened yet.

use super::bundle::unknown_secret;
use super::shared::Shared;
use crate::bundle::{Bundle, SecretName};
use crate::notify::{self, Channel, Limits, Message, News, Url};
use crate::playbook::{self, Address, Notification, Playbook, When};
use crate::report::Report;
use crate::words::{Error, Outcome as HostOutcome, Result, RunId, Secret};
use chrono::{DateTime, Utc};
use std::collections::BTreeMap;
use std::io::Write;

/// Nobody is told with `--check`.
pub struct Notifications {
    told: Vec<Told>,
    secrets: Vec<Secret>,
    project: Option<String>,
}

struct Told {
    channel: Channel,
    on: Vec<&'static str>,
    when: When,
}

/// How a run ended.
pub struct Outcome<'a> {
    pub command: &'a str,
    pub run: &'a RunId,
    /// What the program exits with.
    pub status: u8,
    /// One paragraph; if it is empty, what the report has to say.
    pub message: &'a str,
    /// `None` for a run that ended before any host was visited.
    pub report: Option<&'a Report>,
    pub now: DateTime<Utc>,
}

impl Notifications {
    /// A secret that is not there, or an address that is none, is an error before the run begins.
    pub fn new(shared: &Shared, playbook: &Playbook, bundle: &Bundle) -> Result<Self> {
        let ready =
            |notification: &Notification| told(notification, bundle).map_err(|error| error.at(&notification.place));
        let told = playbook.notifications.iter().map(ready).collect::<Result<Vec<_>>>()?;
        let root = shared.project()?.root.canonicalize().ok();
        let project = root.as_deref().and_then(std::path::Path::file_name);
        Ok(Self {
            // A host may still say an earlier value.
            secrets: if told.is_empty() { Vec::new() } else { bundle.known_values() },
            told: if shared.check { Vec::new() } else { told },
            project: project.map(|name| name.to_string_lossy().into_owned()),
        })
    }

    /// The run begins. It is told once: a server in trouble must not hold it up.
    pub fn begin(&self, command: &str) {
        let once = Limits { pauses: Vec::new(), ..Limits::default() };
        send(&self.of(command).filter_map(|told| told.channel.begin()).collect::<Vec<_>>(), &once);
    }

    /// The run has ended. Whoever cannot be told is named on stderr; the exit status stays what it is.
    pub fn end(&self, outcome: &Outcome) {
        let news = self.news(outcome);
        let wants = |told: &&Told| match told.channel {
            Channel::Healthchecks { .. } => true,
            _ => is_wanted(told.when, &news),
        };
        let told = self.of(outcome.command).filter(wants);
        send(&told.map(|told| told.channel.end(&news, outcome.now)).collect::<Vec<_>>(), &Limits::default());
    }

    /// The same for a run that has nothing to say but its report.
    pub fn end_of(&self, report: &Report) {
        self.end_as(report.command, report);
    }

    /// The same for a command of two words, whose runs are told as those of the first.
    pub fn end_as(&self, command: &str, report: &Report) {
        let status = report.exit_status();
        let (run, now) = (&report.run, Utc::now());
        self.end(&Outcome { command, run, status, message: "", report: Some(report), now });
    }

    /// Tells that a run which began came to no result, and hands the error on.
    pub fn or_broken<T>(&self, command: &str, run: &RunId, result: Result<T>) -> Result<T> {
        result.inspect_err(|error| {
            let message = error.to_string();
            self.end(&Outcome { command, run, status: 1, message: &message, report: None, now: Utc::now() });
        })
    }

    fn of<'a>(&'a self, command: &'a str) -> impl Iterator<Item = &'a Told> {
        self.told.iter().filter(move |told| told.on.contains(&command))
    }

    fn news(&self, outcome: &Outcome) -> News {
        let hosts = outcome.report.map(|report| &report.hosts[..]).unwrap_or_default();
        let message = match outcome.message {
            "" => outcome.report.map(sentence).unwrap_or_default(),
            message => message.to_owned(),
        };
        let news = News {
            command: outcome.command.to_owned(),
            run: outcome.run.to_string(),
            project: self.project.clone(),
            status: outcome.status,
            summary: outcome.report.map(summary).unwrap_or_default(),
            message,
            hosts: hosts.iter().map(|host| (host.host.to_string(), host.outcome.as_str())).collect(),
        };
        news.redacted(self.secrets.iter())
    }
}

fn send(messages: &[Message], limits: &Limits) {
    for line in notify::send(messages, limits) {
        let _ = writeln!(std::io::stderr().lock(), "notify: {line}");
    }
}

fn is_wanted(when: When, news: &News) -> bool {
    match when {
        When::Always => true,
        When::Change => news.status != 0 || news.has_changed(),
        When::Failure => news.status != 0,
    }
}

fn told(notification: &Notification, bundle: &Bundle) -> Result<Told> {
    let channel = match &notification.channel {
        playbook::Channel::Webhook { url: address, sign } => {
            let key = sign.as_deref().map(|name| secret(name, bundle).map_err(|error| error.at("sign"))).transpose()?;
            Channel::Webhook { url: url(address, "webhook", bundle)?, key }
        }
        playbook::Channel::Healthchecks { url: address } => {
            Channel::Healthchecks { url: url(address, "healthchecks", bundle)? }
        }
        playbook::Channel::Sendmail { to, from, program } => {
            Channel::Sendmail { program: program.clone(), to: to.clone(), from: from.clone() }
        }
    };
    Ok(Told { channel, on: notification.on.clone(), when: notification.when })
}

fn url(address: &Address, key: &str, bundle: &Bundle) -> Result<Url> {
    match address {
        Address::Plain(text) => Url::new(text.as_bytes()).map_err(|error| error.at(key)),
        Address::Secret(name) => {
            let value = secret(name, bundle).map_err(|error| error.at(key))?;
            Url::new(value.expose()).map_err(|error| error.at(name.escape_debug()).at(key))
        }
    }
}

fn secret(name: &str, bundle: &Bundle) -> Result<Secret> {
    let name: SecretName = name.parse()?;
    match bundle.value(&name) {
        None => Err(unknown_secret(&name, bundle)),
        // Signed with nothing, anybody could have signed it.
        Some(value) if value.is_empty() => Err(Error::new(format!("{name} is empty"))),
        Some(value) => Ok(value.clone()),
    }
}

fn summary(report: &Report) -> Vec<(&'static str, usize)> {
    use HostOutcome::{Changed, Failed, Ok, Skipped, Unreachable};
    let counts = [Ok, Changed, Failed, Unreachable, Skipped].map(|outcome| (outcome.as_str(), report.count(outcome)));
    let all = [("hosts", report.hosts.len())].into_iter().chain(counts).chain([("findings", report.findings())]);
    all.collect()
}

/// Counts, and each cause of failure with its hosts.
fn sentence(report: &Report) -> String {
    if let Some(rotation) = report.rotation.as_ref().filter(|rotation| !rotation.message.is_empty()) {
        return rotation.message.clone();
    }
    let counts = summary(report).into_iter().filter(|(_, count)| *count > 0);
    let counts: Vec<String> = counts.map(|(name, count)| format!("{count} {name}")).collect();
    let mut causes: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for host in &report.hosts {
        if let Some(failure) = &host.error {
            causes.entry(format!("{}: {}", failure.phase, failure.message)).or_default().push(host.host.as_str());
        }
        for problem in host.backups.iter().filter_map(|backup| backup.problem.as_ref()) {
            causes.entry(problem.clone()).or_default().push(host.host.as_str());
        }
    }
    let causes: String = causes.iter().map(|(cause, hosts)| format!("; {}: {cause}", hosts.join(", "))).collect();
    let interrupted = if report.interrupted { "; it was interrupted" } else { "" };
    format!("{} {}: {}{interrupted}{causes}", report.command, report.run, counts.join(", "))
}
