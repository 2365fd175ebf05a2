//! `Notification`: who is to hear of a run, and when, as a `[[notify]]` says. What a secret's name means is the bundle's to say.

use crate::words::{Error, Result, TomlTable, named};

/// One `[[notify]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notification {
    pub channel: Channel,
    /// Commands whose runs are told.
    pub on: Vec<&'static str>,
    pub when: When,
    /// `file:line`, for messages.
    pub place: String,
}

/// Who hears of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Channel {
    /// `sign` names the secret that signs what is sent.
    Webhook { url: Address, sign: Option<String> },
    /// Hears of every run, from its beginning on; that is what it is for.
    Healthchecks { url: Address },
    /// A mail through the program of that path.
    Sendmail { to: String, from: Option<String>, program: String },
}

/// A URL, or the name of the secret that is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    Plain(String),
    Secret(String),
}

/// Of which runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    Always,
    /// Something changed, or it did not end well.
    Change,
    /// It did not end with exit status 0.
    Failure,
}

const COMMANDS: [(&str, &str); 4] =
    [("rotate", "rotate"), ("deploy", "deploy"), ("audit", "audit"), ("backup", "backup")];
const WHEN: [(&str, When); 3] = [("always", When::Always), ("change", When::Change), ("failure", When::Failure)];
const CHANNELS: [&str; 3] = ["webhook", "healthchecks", "sendmail"];
const SENDMAIL: &str = "/usr/sbin/sendmail";

impl Notification {
    /// Every `[[notify]]` of a file.
    pub(super) fn all(file: &TomlTable<'_>) -> Result<Vec<Self>> {
        file.tables("notify")?.into_iter().map(|table| Self::read(&table)).collect()
    }

    fn read(table: &TomlTable<'_>) -> Result<Self> {
        Ok(Self { channel: channel(table)?, on: on(table)?, when: when(table)?, place: table.place() })
    }
}

fn channel(table: &TomlTable<'_>) -> Result<Channel> {
    let given: Vec<&str> = CHANNELS.into_iter().filter(|channel| table.has(channel)).collect();
    match given[..] {
        ["webhook"] => {
            table.only(&["webhook", "sign", "on", "when"])?;
            let sign = table.string("sign")?.map(str::to_owned);
            Ok(Channel::Webhook { url: address(table, "webhook")?, sign })
        }
        ["healthchecks"] => {
            table.only(&["healthchecks", "on"])?;
            Ok(Channel::Healthchecks { url: address(table, "healthchecks")? })
        }
        ["sendmail"] => {
            table.only(&["sendmail", "from", "program", "on", "when"])?;
            let to = table.required("sendmail", table.read("sendmail", mailbox))?;
            let program = table.read("program", absolute)?.unwrap_or_else(|| SENDMAIL.to_owned());
            Ok(Channel::Sendmail { to, from: table.read("from", mailbox)?, program })
        }
        _ => {
            table.only(&[&CHANNELS[..], &["sign", "from", "program", "on", "when"]].concat())?;
            let error = Error::new("it says not exactly one way to tell somebody");
            Err(table.wrong(error.hint("each [[notify]] has one of webhook, healthchecks and sendmail")))
        }
    }
}

/// The address itself is never quoted: it is a secret more often than not.
fn address(table: &TomlTable<'_>, key: &str) -> Result<Address> {
    if !table.is_table(key) {
        let text = table.required(key, table.string(key))?;
        return Ok(Address::Plain(text.to_owned()));
    }
    let inner = table.required(key, table.table(key))?;
    inner.only(&["secret"])?;
    Ok(Address::Secret(inner.required("secret", inner.string("secret"))?.to_owned()))
}

fn on(table: &TomlTable<'_>) -> Result<Vec<&'static str>> {
    let Some(list) = table.strings("on")? else { return Ok(vec!["rotate"]) };
    let wrong = |error: Error| table.wrong_at("on", error.at("on"));
    if list.is_empty() {
        return Err(wrong(Error::new("it is empty").hint("name commands: rotate, deploy, audit, backup")));
    }
    list.into_iter().map(|command| named(command, "a command that is told", &COMMANDS).map_err(wrong)).collect()
}

fn when(table: &TomlTable<'_>) -> Result<When> {
    Ok(table.read("when", |text| named(text, "a time to tell", &WHEN))?.unwrap_or(When::Change))
}

/// One mailbox, which is neither an option nor a second header.
fn mailbox(text: &str) -> Result<String> {
    let is_plain = |c: char| c.is_ascii_graphic() && !"\"(),:;<>[\\]".contains(c);
    match !text.is_empty() && !text.starts_with('-') && text.chars().all(is_plain) {
        true => Ok(text.to_owned()),
        false => Err(Error::new(format!("`{}` is not a mail address", text.escape_debug()))
            .hint("write one address alone: ops@example.com; for more, another [[notify]]")),
    }
}

fn absolute(text: &str) -> Result<String> {
    match text.starts_with('/') && !text.chars().any(char::is_control) {
        true => Ok(text.to_owned()),
        false => Err(Error::new(format!("`{}` is not an absolute path", text.escape_debug()))),
    }
}
