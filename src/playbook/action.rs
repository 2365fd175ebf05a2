//! `Action` and `Health`: what is to happen when a service's secrets change, and how one sees that it went well. Both are
//! argument lists for a host, data that no shell evaluates.

use crate::words::{Error, Period, RemotePath, Result, TomlTable};

/// What to run on a host when a service's secrets changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// `systemctl VERB -- UNITS`
    Systemd { units: Vec<String>, verb: String },
    /// `docker compose -f FILE up -d`, recreating these services of the file, or all.
    Compose { file: String, recreate: Vec<String> },
    /// A program and its arguments; no shell reads them.
    Command(Vec<String>),
}

/// Something on a host that reads secrets when it starts, as far as an action names it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Consumer {
    /// A systemd unit. One that is only told to reload keeps running.
    Unit { name: String, reloads: bool },
    /// A container of docker, or podman where there is no docker.
    Container { name: String },
    /// The containers of a compose file, or of one service of it. They read an env file when they are made, not when they start.
    Compose { file: String, service: Option<String> },
}

/// A check that must succeed after a change; when it fails, the host switches back if it can.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Health {
    pub probe: Probe,
    /// From 1s to 1h; 60s unless given.
    pub within: Period,
}

/// What a health check asks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Probe {
    /// A URL, fetched on the host.
    Http(String),
    /// A program and its arguments; no shell reads them.
    Command(Vec<String>),
}

const VERBS: [&str; 4] = ["restart", "reload", "try-restart", "reload-or-restart"];

impl Action {
    /// The program and its arguments, for the host.
    pub fn argv(&self) -> Vec<String> {
        let list = |fixed: &[&str], own: &[String]| {
            fixed.iter().map(|text| (*text).to_owned()).chain(own.iter().cloned()).collect()
        };
        match self {
            Self::Systemd { units, verb } => list(&["systemctl", verb, "--"], units),
            Self::Compose { file, recreate } => {
                list(&["docker", "compose", "-f", file, "up", "-d", "--no-deps", "--force-recreate"], recreate)
            }
            Self::Command(argv) => argv.clone(),
        }
    }

    /// Who reads the secrets; nothing where the action does not name him.
    pub fn consumers(&self) -> Vec<Consumer> {
        match self {
            Self::Systemd { units, verb } => {
                let reloads = verb == "reload" || verb == "reload-or-restart";
                units.iter().map(|name| Consumer::Unit { name: name.clone(), reloads }).collect()
            }
            Self::Compose { file, recreate } if recreate.is_empty() => {
                vec![Consumer::Compose { file: file.clone(), service: None }]
            }
            Self::Compose { file, recreate } => {
                let of = |name: &String| Consumer::Compose { file: file.clone(), service: Some(name.clone()) };
                recreate.iter().map(of).collect()
            }
            Self::Command(argv) => restarted(argv),
        }
    }

    /// Reads `on_change`.
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self> {
        table.only(&["systemd", "do", "compose", "recreate", "command"])?;
        let action = match one_of(table, &["systemd", "compose", "command"])? {
            "systemd" => Self::Systemd { units: names(table, "systemd", "a unit")?, verb: verb(table)? },
            "compose" => Self::Compose { file: compose_file(table)?, recreate: names(table, "recreate", "a service")? },
            _ => Self::Command(command(table)?),
        };
        for (key, belongs) in [("do", "systemd"), ("recreate", "compose")] {
            if table.has(key) && !table.has(belongs) {
                return Err(table.wrong_at(key, Error::new(format!("\"{key}\" belongs to \"{belongs}\""))));
            }
        }
        match &action {
            Self::Systemd { units, .. } if units.is_empty() => {
                Err(table.wrong_at("systemd", Error::new("\"systemd\" names no unit")))
            }
            _ => Ok(action),
        }
    }
}

/// `docker restart NAME` and `systemctl restart NAME` name it as well.
fn restarted(argv: &[String]) -> Vec<Consumer> {
    let [program, verb, names @ ..] = argv else { return Vec::new() };
    let program = program.rsplit('/').next().unwrap_or(program);
    let plain = |name: &&String| !name.starts_with('-') && !name.is_empty() && name.bytes().all(is_of_a_name);
    // `-t 10` is an option and its value, and 10 no container.
    let is_value = |at: usize| at > 0 && takes_value(&names[at - 1]);
    let names = names.iter().enumerate().filter(|(at, _)| !is_value(*at)).map(|(_, name)| name).filter(plain).cloned();
    match (program, verb.as_str()) {
        ("docker" | "podman", "restart") => names.map(|name| Consumer::Container { name }).collect(),
        ("systemctl", "restart" | "try-restart") => names.map(|name| Consumer::Unit { name, reloads: false }).collect(),
        _ => Vec::new(),
    }
}

/// Options of `docker restart`, `podman restart` and `systemctl restart` whose value is the next argument.
fn takes_value(option: &str) -> bool {
    matches!(
        option,
        "-t" | "--time"
            | "--timeout"
            | "-s"
            | "--signal"
            | "-f"
            | "--filter"
            | "-H"
            | "--host"
            | "-M"
            | "--machine"
            | "--type"
    )
}

impl Health {
    const DEFAULT: Period = Period::from_secs(60);
    const LONGEST: Period = Period::from_secs(3600);

    /// Reads `health`.
    pub(super) fn read(table: &TomlTable<'_>) -> Result<Self> {
        table.only(&["http", "command", "within"])?;
        let probe = match one_of(table, &["http", "command"])? {
            "http" => Probe::Http(table.required("http", table.parsed::<Url>("http"))?.0),
            _ => Probe::Command(command(table)?),
        };
        let within = table.parsed("within")?.unwrap_or(Self::DEFAULT);
        if !(Period::from_secs(1)..=Self::LONGEST).contains(&within) {
            return Err(table.wrong_at("within", Error::new("\"within\" must lie between 1s and 1h")));
        }
        Ok(Self { probe, within })
    }
}

/// The one of these keys that is there.
fn one_of<'k>(table: &TomlTable<'_>, keys: &[&'k str]) -> Result<&'k str> {
    let given: Vec<_> = keys.iter().filter(|key| table.has(key)).collect();
    match given[..] {
        [key] => Ok(key),
        [] => Err(table.wrong(Error::new(format!("one of {} is needed", keys.join(", "))))),
        [_, second, ..] => {
            Err(table.wrong_at(second, Error::new(format!("only one of {} is possible", keys.join(", ")))))
        }
    }
}

fn verb(table: &TomlTable<'_>) -> Result<String> {
    let verb = table.string("do")?.unwrap_or("restart");
    if VERBS.contains(&verb) {
        return Ok(verb.to_owned());
    }
    let why = Error::new(format!("do: `{}` is not known", verb.escape_debug()));
    Err(table.wrong_at("do", why.hint(format!("known: {}", VERBS.join(", ")))))
}

/// Units, or services of a compose file: names that cannot be an option.
fn names(table: &TomlTable<'_>, key: &str, kind: &str) -> Result<Vec<String>> {
    let list = table.strings(key)?.unwrap_or_default();
    for name in &list {
        if name.is_empty() || name.len() > 256 || name.starts_with('-') || !name.bytes().all(is_of_a_name) {
            let why = Error::new(format!("{key}: `{}` is not the name of {kind}", name.escape_debug()));
            return Err(table.wrong_at(key, why));
        }
    }
    Ok(list.into_iter().map(str::to_owned).collect())
}

fn is_of_a_name(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"@._:\\-".contains(&byte)
}

fn compose_file(table: &TomlTable<'_>) -> Result<String> {
    let file = table.string("compose")?.unwrap_or_default();
    match RemotePath::new(file) {
        Ok(path) if path.as_str() == file => Ok(file.to_owned()),
        _ => {
            let why = format!("compose: `{}` is not the absolute path of a file", file.escape_debug());
            Err(table.wrong_at("compose", Error::new(why)))
        }
    }
}

fn command(table: &TomlTable<'_>) -> Result<Vec<String>> {
    let argv = table.strings("command")?.unwrap_or_default();
    let wrong = |why: String| Err(table.wrong_at("command", Error::new(format!("command: {why}"))));
    let Some(program) = argv.first() else { return wrong("it is empty".to_owned()) };
    if let Some(item) = argv.iter().find(|item| item.chars().any(char::is_control)) {
        return wrong(format!("`{}` holds a control character", item.escape_debug()));
    }
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"._+-".contains(&b);
    let by_name = program.bytes().all(plain) && !program.starts_with(['-', '.']) && !program.is_empty();
    let by_path = RemotePath::new(*program).is_ok_and(|path| path.as_str() == *program);
    if !by_name && !by_path {
        return wrong(format!("`{}` is neither the name of a program nor an absolute path", program.escape_debug()));
    }
    Ok(argv.into_iter().map(str::to_owned).collect())
}

struct Url(String);

impl std::str::FromStr for Url {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let wrong = |why: &str| Err(Error::new(format!("`{}` {why}", text.escape_debug())));
        let Some(rest) = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://")) else {
            return wrong("starts with neither http:// nor https://");
        };
        if text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return wrong("holds white space or a control character");
        }
        match rest.split(['/', '?', '#']).next() {
            None | Some("") => wrong("names no host"),
            // An argument is seen by everybody on the host, so the value is not repeated here either.
            Some(host) if host.contains('@') => {
                Err(Error::new("a URL with a login in it would show it to everybody on the host"))
            }
            Some(_) => Ok(Self(text.to_owned())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::words::TomlFiles;

    fn read<T>(text: &str, read: impl Fn(&TomlTable<'_>) -> Result<T>) -> Result<T> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("a.toml");
        std::fs::write(&file, text).unwrap();
        let files = TomlFiles::read(&file, "playbook").unwrap();
        let table = files.tables().next().unwrap();
        read(&table)
    }

    #[track_caller]
    fn argv(text: &str, expected: &str) {
        assert_eq!(read(text, Action::read).unwrap().argv().join(" "), expected);
    }

    #[test]
    fn an_action_is_an_argument_list() {
        argv("systemd = ['a.service', 'b@1']", "systemctl restart -- a.service b@1");
        argv("systemd = ['a.service']\ndo = 'reload-or-restart'", "systemctl reload-or-restart -- a.service");
        let up = "docker compose -f /srv/api/compose.yml up -d --no-deps --force-recreate";
        argv("compose = '/srv/api/compose.yml'\nrecreate = ['api', 'web']", &format!("{up} api web"));
        argv("compose = '/srv/api/compose.yml'", up);
        argv("command = ['/usr/bin/touch', '/tmp/a b', '$(x)']", "/usr/bin/touch /tmp/a b $(x)");
        argv("command = ['nginx', '-s', 'reload']", "nginx -s reload");
    }

    #[test]
    fn who_is_restarted() {
        let of = |line: &str| {
            let argv = line.split(' ').map(str::to_owned).collect();
            let name = |consumer| match consumer {
                Consumer::Unit { name, .. } | Consumer::Container { name } => name,
                Consumer::Compose { file, .. } => file,
            };
            Action::Command(argv).consumers().into_iter().map(name).collect::<Vec<_>>().join(" ")
        };
        assert_eq!(of("/usr/bin/docker restart -t 10 one two"), "one two");
        assert_eq!(of("podman restart --time=10 one"), "one");
        assert_eq!(of("systemctl restart --no-block -- a.service"), "a.service");
        assert_eq!(of("systemctl daemon-reload a.service"), "");
        assert_eq!(of("true"), "");
    }

    #[track_caller]
    fn refused<T>(result: Result<T>, why: &str) {
        let error = result.err().expect(why).to_string();
        assert!(error.contains(why), "{error:?} lacks {why:?}");
    }

    #[test]
    fn a_bad_action_is_refused() {
        let action = |text: &str, why: &str| refused(read(text, Action::read), why);
        action("", "one of systemd, compose, command is needed");
        action("systemd = ['a']\ncommand = ['b']", "only one of");
        action("systemd = []", "names no unit");
        action("systemd = 'a'", "array of strings");
        for unit in ["-H", "", "a b", "a;b", "a\\nb", "*", "a/b"] {
            action(&format!("systemd = [\"{unit}\"]"), "is not the name of a unit");
        }
        action("systemd = ['a']\ndo = 'stop'", "do: `stop` is not known");
        action("command = ['a']\ndo = 'restart'", "\"do\" belongs to \"systemd\"");
        action("systemd = ['a']\nrecreate = ['b']", "\"recreate\" belongs to \"compose\"");
        for file in ["compose.yml", "/srv/../c.yml", "-f", "/srv/a\\nb", "/srv/"] {
            action(&format!("compose = \"{file}\""), "is not the absolute path");
        }
        action("compose = '/c.yml'\nrecreate = ['--all']", "is not the name of a service");
        action("command = []", "it is empty");
        action("command = \"reload\"", "array of strings");
        for program in ["./x", "", "-x", "a b", "/usr/../x", "x;y", "bin/x"] {
            action(&format!("command = [\"{program}\"]"), "neither the name");
        }
        action("command = [\"x\", \"a\\nb\"]", "control character");
        action("command = [\"x\", \"a\\u0000b\"]", "control character");
        action("comand = ['x']", "unknown key \"comand\"");
    }

    #[test]
    fn health_is_probed_within_a_time() {
        let health = |text: &str| read(text, Health::read).unwrap();
        let http = |url: &str| Probe::Http(url.to_owned());
        let url = "http://localhost:8080/api/v1/health?a=b@c";
        assert_eq!(health(&format!("http = '{url}'")), Health { probe: http(url), within: Period::from_secs(60) });
        assert_eq!(health("command = ['true']\nwithin = '1h'").within, Period::from_secs(3600));
        let bad = |text: &str, why: &str| refused(read(text, Health::read), why);
        bad("within = '5s'", "one of http, command is needed");
        bad("http = 'http://a'\ncommand = ['b']", "only one of");
        bad("command = ['a']\nwithin = '0s'", "between 1s and 1h");
        bad("command = ['a']\nwithin = '61m'", "between 1s and 1h");
        bad("command = ['a']\nwithin = 60", "must be a string");
        bad("command = ['a']\nwithin = '1x'", "is not a period");
        bad("http = 'ftp://a'", "neither http:// nor https://");
        bad("http = '-o/x'", "neither http:// nor https://");
        bad("http = 'http://'", "names no host");
        bad("http = 'http:///x'", "names no host");
        bad("http = 'http://a b'", "white space");
        bad("http = \"http://a\\n\"", "white space");
        let login = read("http = 'http://u:poison@a'", Health::read).unwrap_err().to_string();
        assert!(login.contains("a URL with a login") && !login.contains("poison"), "{login}");
        bad("http = 'http://a'\nwithn = '1s'", "unknown key \"withn\"");
    }
}
