//! `RotationReport`: what a rotation came to: which values are where, and one paragraph for whoever was woken by it.

use crate::bundle::Revocation;
use crate::plan::rotation::{PlannedTurn, SkippedSecret, shown};
use crate::words::{HostName, RunId, ServiceName, listed, plural};
use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

/// Of one invocation of `rotate`.
#[derive(Clone, Debug)]
pub struct RotationReport {
    /// The rotation, which may have been begun by an earlier invocation; `None` if there was none.
    pub run: Option<RunId>,
    pub state: RotationState,
    pub secrets: Vec<RotatedSecret>,
    pub skipped: Vec<SkippedSecret>,
    /// Hosts in the batches in which they go.
    pub batches: Vec<Vec<HostName>>,
    /// Which values each host has now, as far as we know; hosts in inventory order.
    pub hosts: Vec<(HostName, Values)>,
    /// Secrets whose old value is accepted no more.
    pub revoked: Vec<String>,
    /// Secrets whose old value is accepted until then, and why it stays so.
    pub revoke_later: Vec<LaterRevocation>,
    /// Where the bundle as it was before is kept.
    pub copy: Option<String>,
    /// It is about the old values: everybody is to have them again.
    pub is_way_back: bool,
    /// It went everywhere, and yet something of ours could not be done.
    pub is_stuck: bool,
    /// Where the bundle with the new values beside the old ones is kept, as long as the rotation is under way.
    pub rescue: Option<String>,
    /// What happened and what to do, as a paragraph.
    pub message: String,
}

/// How far a rotation came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RotationState {
    /// There is nothing to rotate.
    Nothing,
    /// With `--check`: it would be done.
    Planned,
    Done,
    /// Everybody has the old values again, and that was asked for.
    Aborted,
    /// It failed, and everybody has the old values again.
    PutBack,
    /// It was begun and has not come to an end.
    UnderWay,
}

/// A secret, and where its values are.
#[derive(Clone, Debug)]
pub struct RotatedSecret {
    pub name: String,
    pub public: Option<String>,
    pub host: Option<HostName>,
    /// `password:40`
    pub generate: String,
    pub why: String,
    pub holders: Vec<HostName>,
    /// Services that act when it changes.
    pub services: Vec<ServiceName>,
    /// What `deploy` would send.
    pub bundle: Values,
    /// What the steps told the provider to accept.
    pub provider: Provider,
}

/// The old or the new values of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Values {
    Old,
    New,
    Unknown,
}

/// What a provider accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// There is no provider: no step `set`.
    None,
    Old,
    New,
    Both,
    Unknown,
}

/// An old value that is not revoked yet.
#[derive(Clone, Debug)]
pub struct LaterRevocation {
    pub secret: String,
    pub after: DateTime<Utc>,
    /// `None` while its overlap lasts.
    pub why: Option<String>,
}

impl RotationState {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nothing => "nothing",
            Self::Planned => "planned",
            Self::Done => "done",
            Self::Aborted => "aborted",
            Self::PutBack => "put-back",
            Self::UnderWay => "under-way",
        }
    }
}

impl Values {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Old => "old",
            Self::New => "new",
            Self::Unknown => "unknown",
        }
    }
}

impl Provider {
    /// The word in JSON.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Old => "old",
            Self::New => "new",
            Self::Both => "both",
            Self::Unknown => "unknown",
        }
    }
}

impl LaterRevocation {
    /// `why` it was not revoked although its time has come.
    pub fn new(revocation: &Revocation, why: Option<String>) -> Self {
        Self { secret: revocation.secret.to_string(), after: revocation.after, why }
    }
}

impl RotatedSecret {
    /// As planned; nothing has happened yet.
    pub fn new(planned: &PlannedTurn) -> Self {
        Self {
            name: planned.turn.name.to_string(),
            public: planned.turn.public.as_ref().map(ToString::to_string),
            host: planned.host.clone(),
            generate: planned.policy.maker(),
            why: planned.why.clone(),
            holders: planned.holders.clone(),
            services: planned.acting.clone(),
            bundle: Values::Old,
            provider: if planned.policy.steps.set.is_some() { Provider::Old } else { Provider::None },
        }
    }
}

impl RotationReport {
    /// Nothing has happened yet.
    pub fn new(state: RotationState) -> Self {
        Self {
            run: None,
            state,
            secrets: Vec::new(),
            skipped: Vec::new(),
            batches: Vec::new(),
            hosts: Vec::new(),
            revoked: Vec::new(),
            revoke_later: Vec::new(),
            copy: None,
            rescue: None,
            is_way_back: false,
            is_stuck: false,
            message: String::new(),
        }
    }

    /// Did it not come to the end that was wanted?
    pub fn has_failed(&self) -> bool {
        self.is_stuck || matches!(self.state, RotationState::PutBack | RotationState::UnderWay)
    }

    /// Was something left undone that was asked for, or that is due?
    pub fn has_missed(&self) -> bool {
        self.skipped.iter().any(|skipped| skipped.is_missed)
            || self.revoke_later.iter().any(|revocation| revocation.why.is_some())
    }

    /// What is to be rotated and what not, before the hosts are told of.
    pub(super) fn plan_text(&self) -> String {
        let mut text = String::new();
        if !self.secrets.is_empty() {
            let verb = match self.state {
                RotationState::Planned if self.is_way_back => "would give everybody the old values of",
                RotationState::Planned => "would rotate",
                RotationState::Done => "rotated",
                RotationState::Aborted => "undone the rotation of",
                RotationState::PutBack => "failed to rotate",
                RotationState::Nothing | RotationState::UnderWay => "rotating",
            };
            text.push_str(&format!("{verb} {}\n", plural(self.secrets.len(), "secret")));
            let width = self.secrets.iter().map(|secret| secret.name.len()).max().unwrap_or(0);
            self.secrets.iter().for_each(|secret| text.push_str(&secret.line(width)));
            text.push('\n');
        }
        text + &self.batches_text() + &self.skipped_text()
    }

    fn batches_text(&self) -> String {
        if self.batches.len() < 2 {
            return String::new();
        }
        let batch = |hosts: &Vec<HostName>| listed(hosts);
        let batches: Vec<String> = self.batches.iter().map(batch).collect();
        format!("in {} batches: {}\n\n", batches.len(), batches.join(" | "))
    }

    fn skipped_text(&self) -> String {
        let mut text = String::new();
        let mut folded: Vec<(&SkippedSecret, Vec<String>)> = Vec::new();
        for skipped in &self.skipped {
            match folded.iter_mut().find(|(other, _)| (&other.why, &other.command) == (&skipped.why, &skipped.command))
            {
                Some((_, names)) => names.push(skipped.name.to_string()),
                None => folded.push((skipped, vec![skipped.name.to_string()])),
            }
        }
        for (skipped, names) in folded {
            text.push_str(&format!("not rotated: {}: {}\n", names.join(", "), skipped.why));
            if let Some(command) = &skipped.command {
                text.push_str(&format!("  hint: {command}\n"));
            }
        }
        if text.is_empty() { text } else { text + "\n" }
    }

    /// What it came to, after the hosts.
    pub(super) fn end_text(&self, now: DateTime<Utc>) -> String {
        let mut text = String::new();
        if !self.revoked.is_empty() {
            text.push_str(&format!("revoked the old value of {}\n", self.revoked.join(", ")));
        }
        for later in &self.revoke_later {
            let after = shown(later.after);
            match &later.why {
                None if later.after <= now => text.push_str(&format!(
                    "the old value of {} was to be accepted until {after}, and still is: `distribute rotate --revoke` ends that\n",
                    later.secret
                )),
                None => text.push_str(&format!(
                    "the old value of {} is accepted until {after}; the next rotate after that revokes it\n",
                    later.secret
                )),
                Some(why) => text.push_str(&format!("the old value of {} is still accepted: {why}\n", later.secret)),
            }
        }
        if !self.message.is_empty() {
            text.push_str(&format!("{}\n", self.message));
        }
        if text.is_empty() { text } else { text + "\n" }
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "run": self.run.as_ref().map(ToString::to_string),
            "state": self.state.as_str(),
            "message": self.message,
            "secrets": self.secrets.iter().map(RotatedSecret::json).collect::<Vec<_>>(),
            "skipped": self.skipped.iter().map(|skipped| json!({
                "secret": skipped.name.to_string(), "why": skipped.why, "command": skipped.command,
            })).collect::<Vec<_>>(),
            "batches": self.batches,
            "hosts": self.hosts.iter().map(|(host, values)| json!({
                "host": host, "values": values.as_str(),
            })).collect::<Vec<_>>(),
            "revoked": self.revoked,
            "revoke_later": self.revoke_later.iter().map(|later| json!({
                "secret": later.secret, "after": later.after.to_rfc3339_opts(SecondsFormat::Secs, true), "why": later.why,
            })).collect::<Vec<_>>(),
            "copy": self.copy,
            "rescue": self.rescue,
        })
    }
}

impl RotatedSecret {
    fn line(&self, width: usize) -> String {
        let on =
            if self.holders.is_empty() { "on no host".to_owned() } else { format!("on {}", listed(&self.holders)) };
        let acts = match &self.services[..] {
            [] => String::new(),
            services => format!("; acts: {}", services.iter().map(ServiceName::as_str).collect::<Vec<_>>().join(", ")),
        };
        let public = self.public.iter().map(|public| format!(" (and {public})")).collect::<String>();
        format!("  {:<width$}{public}  {}; {}; {on}{acts}\n", self.name, self.why, self.generate)
    }

    fn json(&self) -> Value {
        json!({
            "secret": self.name, "public": self.public, "scope": if self.host.is_some() { "host" } else { "fleet" },
            "host": self.host, "generate": self.generate, "why": self.why, "hosts": self.holders, "services": self.services,
            "bundle": self.bundle.as_str(), "provider": self.provider.as_str(),
        })
    }
}
