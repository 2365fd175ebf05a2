//! What a rotation came to, as one paragraph: what happened, where the values are, what to do next.

use super::halt::Halt;
use crate::bundle::SecretName;
use crate::inventory::Inventory;
use crate::plan::rotation::{Leak, PlannedTurn, Selection};
use crate::playbook::{Playbook, Rollout};
use crate::report::{HostReport, Provider, RotationReport, Values};
use crate::words::{Error, HostName, Outcome, Period, listed, plural};

const BOTH_WAYS: &str =
    "`distribute rotate --resume` finishes it, `distribute rotate --abort` gives everybody the old values";

pub fn nothing(playbook: &Playbook, selection: &Selection, next: Option<&(SecretName, Period)>) -> String {
    match selection.is_due() {
        true if playbook.rotations.is_empty() => {
            "nothing is rotated: there is no [[rotate]] policy in the playbooks".to_owned()
        }
        true => match next {
            Some((name, left)) => format!("nothing is due; next is {name}, in {left}"),
            None => "nothing is due".to_owned(),
        },
        false => "nothing of what was named can be rotated".to_owned(),
    }
}

pub fn planned(turns: &[PlannedTurn], rollout: &Rollout) -> String {
    let steps = |planned: &PlannedTurn| {
        let steps = planned.policy.steps.all().map(|(name, _)| name).filter(|name| *name != "undo");
        let (steps, overlap) = (steps.collect::<Vec<_>>(), planned.policy.overlap);
        let after = if overlap.as_secs() > 0 { format!(" after {overlap}") } else { String::new() };
        (!steps.is_empty()).then(|| format!("{}: {}{after}", planned.turn.name, steps.join(", ")))
    };
    let steps: Vec<String> = turns.iter().filter_map(steps).collect();
    let steps = if steps.is_empty() { String::new() } else { format!("steps of {}; ", steps.join("; ")) };
    format!("{steps}everything would be put back {}", rollout.max_fail_text())
}

pub fn would_revoke(due: &[SecretName]) -> String {
    let due: Vec<String> = due.iter().map(ToString::to_string).collect();
    match due.is_empty() {
        true => "there is no old value to revoke".to_owned(),
        false => format!("would revoke the old value of {}", due.join(", ")),
    }
}

pub fn done(told: &RotationReport, reports: &[HostReport]) -> String {
    let (secrets, missing) = (plural(told.secrets.len(), "secret"), behind(told));
    if told.hosts.is_empty() {
        return format!("{secrets} rotated; no host holds it");
    }
    let hosts = told.hosts.len() - missing.len();
    let done = format!("{secrets} rotated; {} the new values{}", have(hosts), fallen_ill(reports, &missing));
    if missing.is_empty() {
        return done;
    }
    let is_away =
        |host: &&HostName| reports.iter().any(|report| report.host == **host && report.outcome == Outcome::Unreachable);
    let what = if missing.iter().all(|host| is_away(&host)) { "could not be reached" } else { "failed" };
    format!(
        "{done}, and {} {what}: mend that, then `distribute deploy` brings the new values there; until then no old value is revoked",
        listed(&missing)
    )
}

/// Hosts that have the new values, and failed all the same.
fn fallen_ill(reports: &[HostReport], missing: &[HostName]) -> String {
    let failed = reports.iter().filter(|report| report.outcome.is_failure() && !missing.contains(&report.host));
    let failed: Vec<HostName> = failed.map(|report| report.host.clone()).collect();
    match failed.is_empty() {
        true => String::new(),
        false => format!(" ({} failed when it had them: mend that, then `distribute deploy`)", listed(&failed)),
    }
}

pub fn interrupted(told: &RotationReport) -> String {
    format!(
        "the rotation of {} was interrupted and is under way: {}; {}; {BOTH_WAYS}",
        secrets(told),
        kept(told),
        whereabouts(told)
    )
}

pub fn not_committed(told: &RotationReport, error: &Error) -> String {
    format!(
        "the rotation of {} went everywhere, but secrets.age could not be saved ({error}), so it counts as under way: {}; \
         mend that{}, then `distribute rotate --resume` ends it; {}",
        secrets(told),
        kept(told),
        put_rescue_back(told),
        whereabouts(told)
    )
}

/// Whoever could read along still can.
pub fn leaks(leaks: &[Leak], inventory: &Inventory) -> Vec<String> {
    let warning = |leak: &Leak| match leak {
        Leak::Recipient(recipient) => Some(format!(
            "WARNING: secrets.age is still sealed to {recipient}, who can read the new values as well: distribute bundle recipients remove {recipient}, and rotate again"
        )),
        Leak::Host(host) if inventory.host(host).is_some() => Some(format!(
            "{host} is in the inventory and gets the new values as well: if it is not clean, take it out first, and rotate again"
        )),
        Leak::Host(_) | Leak::Former(..) => None,
    };
    leaks.iter().filter_map(warning).collect()
}

/// What was due to be revoked and could not be.
pub fn not_revoked(told: &RotationReport) -> Option<String> {
    let stuck: Vec<&str> =
        told.revoke_later.iter().filter(|later| later.why.is_some()).map(|later| later.secret.as_str()).collect();
    (!stuck.is_empty()).then(|| {
        format!(
            "the old value of {} could not be revoked: mend what is said of it, then `distribute rotate --revoke`",
            stuck.join(", ")
        )
    })
}

pub fn could_not_revoke(error: &Error) -> String {
    format!(
        "everybody has the new values, but the old ones could not be revoked ({error}); the next `distribute rotate` tries it again"
    )
}

pub fn put_back(told: &RotationReport, halt: Option<&Halt>) -> String {
    let again = "the new values were dropped and are kept in the history of secrets.age";
    let open = providers(told);
    let open = if open.is_empty() { String::new() } else { format!(" {open}.") };
    let behind: Vec<HostName> = not_old(told);
    let late = match behind.is_empty() {
        true => String::new(),
        false => format!(
            " {} could not be put back and may have the new values: `distribute deploy` brings the old ones there.",
            listed(&behind)
        ),
    };
    match halt {
        Some(halt) => format!(
            "ROTATION FAILED and was put back: {}. {} the old values, and {again}.{open}{late} Mend the cause{}, then run the same command again.",
            why(halt),
            have(told.hosts.len() - behind.len()),
            hint(halt)
        ),
        None => format!(
            "the rotation of {} was undone: {} the old values, and {again}.{open}{late}",
            secrets(told),
            have(told.hosts.len() - behind.len())
        ),
    }
}

pub fn not_undone(told: &RotationReport, halt: Option<&Halt>, stuck: &[String]) -> String {
    let cause = halt.map(|halt| format!("{}, and then ", why(halt))).unwrap_or_default();
    let stuck = if stuck.is_empty() {
        "it was interrupted on the way back".to_owned()
    } else {
        format!("it could not be undone: {}", stuck.join("; "))
    };
    format!(
        "ROTATION FAILED and is under way: {cause}{stuck}. {} ({}). Mend the cause, then `distribute rotate --abort` tries to undo it again, and `--resume` to finish it.",
        sentence(&whereabouts(told)),
        kept(told)
    )
}

pub fn not_dropped(told: &RotationReport, halt: Option<&Halt>, error: &Error) -> String {
    let cause = halt.map(|halt| format!("{}, and then ", why(halt))).unwrap_or_default();
    format!(
        "ROTATION FAILED and counts as under way: {cause}secrets.age could not be saved: {error}. {}. Mend that{}, then `distribute rotate --abort` ends it.",
        sentence(&whereabouts(told)),
        put_rescue_back(told)
    )
}

/// Why no value is lost.
fn kept(told: &RotationReport) -> String {
    let rescue = told.rescue.iter().map(|path| format!(" and in {path}")).collect::<String>();
    format!("the new values are in secrets.age beside the old ones{rescue}, so none is lost")
}

/// A save is refused when somebody put another file in the bundle's place, which does not know the new values.
fn put_rescue_back(told: &RotationReport) -> String {
    let rescue = told.rescue.iter();
    rescue.map(|path| format!(" (if another secrets.age was put there meanwhile: cp {path} secrets.age)")).collect()
}

fn why(halt: &Halt) -> &str {
    match halt {
        Halt::Interrupted => "it was interrupted",
        Halt::Failed { why, .. } => why,
    }
}

fn hint(halt: &Halt) -> String {
    match halt {
        Halt::Failed { hint: Some(hint), .. } => format!(" ({hint})"),
        _ => String::new(),
    }
}

fn secrets(told: &RotationReport) -> String {
    match &told.secrets[..] {
        [one] => one.name.clone(),
        [one, other] => format!("{} and {}", one.name, other.name),
        many => plural(many.len(), "secret"),
    }
}

/// Which values are where, host by host and provider by provider.
fn whereabouts(told: &RotationReport) -> String {
    let with = |wanted: Values| {
        let hosts: Vec<HostName> =
            told.hosts.iter().filter(|(_, values)| *values == wanted).map(|(host, _)| host.clone()).collect();
        (!hosts.is_empty()).then(|| listed(&hosts))
    };
    let parts = [
        with(Values::New).map(|hosts| format!("new values on {hosts}")),
        with(Values::Old).map(|hosts| format!("old values on {hosts}")),
        with(Values::Unknown).map(|hosts| format!("old or new values on {hosts}")),
        Some(providers(told)).filter(|text| !text.is_empty()),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// What is not as it was at a provider.
fn providers(told: &RotationReport) -> String {
    let with = |wanted: Provider, what: &str| {
        let names: Vec<&str> =
            told.secrets.iter().filter(|secret| secret.provider == wanted).map(|secret| secret.name.as_str()).collect();
        (!names.is_empty()).then(|| format!("the provider of {} {what}", names.join(", ")))
    };
    let parts = [
        with(Provider::New, "accepts the new value"),
        with(Provider::Both, "accepts both values"),
        with(Provider::Unknown, "accepts the old value, the new one or both, which is not known"),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join("; ")
}

fn behind(told: &RotationReport) -> Vec<HostName> {
    told.hosts.iter().filter(|(_, values)| *values != Values::New).map(|(host, _)| host.clone()).collect()
}

fn not_old(told: &RotationReport) -> Vec<HostName> {
    told.hosts.iter().filter(|(_, values)| *values != Values::Old).map(|(host, _)| host.clone()).collect()
}

fn have(hosts: usize) -> String {
    match hosts {
        0 => "no host has".to_owned(),
        1 => "1 host has".to_owned(),
        many => format!("{many} hosts have"),
    }
}

/// With a capital at its beginning.
fn sentence(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().collect::<String>() + letters.as_str())
}
