//! `Settings`: what somebody wrote about a host, a group or all hosts, each value checked and with its place. An inventory
//! says where and how to log in; nothing in it can become an option of another program or part of a command.

use crate::words::{Error, RemotePath, Result, TomlTable};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::Ipv6Addr;
use std::path::PathBuf;

use super::{Connection, Escalation};

pub(super) const KEYS: [&str; 9] =
    ["address", "port", "user", "identity_file", "jump", "become", "connection", "root", "vars"];

/// A value, and where it was written, for messages.
#[derive(Clone, Debug)]
pub(super) struct Written<T> {
    pub value: T,
    pub place: String,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Settings {
    pub address: Option<Written<String>>,
    pub port: Option<Written<u16>>,
    pub user: Option<Written<String>>,
    pub identity_file: Option<Written<PathBuf>>,
    /// `jump = "none"` undoes the jump of a group.
    pub jump: Option<Written<Option<String>>>,
    pub escalation: Option<Written<Escalation>>,
    pub connection: Option<Written<Connection>>,
    pub root: Option<Written<RemotePath>>,
    /// `root` among the vars: weaker than `root` itself, in the same table.
    pub root_var: Option<Written<RemotePath>>,
    pub vars: BTreeMap<String, Written<toml::Value>>,
}

impl Settings {
    /// Reads the settings of a table that may have other keys too.
    pub fn read(table: &TomlTable<'_>) -> Result<Self> {
        let vars = table.table("vars")?;
        let root_var = vars.as_ref().map(|vars| text(vars, "root", root)).transpose()?.flatten();
        Ok(Self {
            address: text(table, "address", address)?,
            port: port(table)?,
            user: text(table, "user", user)?,
            identity_file: text(table, "identity_file", |path| identity_file(path, std::env::var_os("HOME")))?,
            jump: text(table, "jump", jump)?,
            escalation: text(table, "become", escalation)?,
            connection: text(table, "connection", connection)?,
            root: text(table, "root", root)?,
            root_var,
            vars: vars.map(|vars| values(&vars)).unwrap_or_default(),
        })
    }

    /// Joins what two files say of one thing. No file is above another: where they differ, that is an error.
    pub fn join(&mut self, other: Self) -> Result<()> {
        agree("address", &mut self.address, other.address)?;
        agree("port", &mut self.port, other.port)?;
        agree("user", &mut self.user, other.user)?;
        agree("identity_file", &mut self.identity_file, other.identity_file)?;
        agree("jump", &mut self.jump, other.jump)?;
        agree("become", &mut self.escalation, other.escalation)?;
        agree("connection", &mut self.connection, other.connection)?;
        agree("root", &mut self.root, other.root)?;
        agree("root", &mut self.root_var, other.root_var)?;
        for (key, value) in other.vars {
            let mut own = self.vars.remove(&key);
            agree(&key, &mut own, Some(value))?;
            self.vars.extend(own.map(|own| (key, own)));
        }
        Ok(())
    }

    /// Lets a nearer table speak over what was said so far.
    pub fn override_with(&mut self, nearer: &Self) {
        fn speak<T: Clone>(own: &mut Option<T>, nearer: &Option<T>) {
            if nearer.is_some() {
                own.clone_from(nearer);
            }
        }
        speak(&mut self.address, &nearer.address);
        speak(&mut self.port, &nearer.port);
        speak(&mut self.user, &nearer.user);
        speak(&mut self.identity_file, &nearer.identity_file);
        speak(&mut self.jump, &nearer.jump);
        speak(&mut self.escalation, &nearer.escalation);
        speak(&mut self.connection, &nearer.connection);
        // Within one table `root` beats the var; a nearer table beats both.
        speak(&mut self.root, &nearer.root_var);
        speak(&mut self.root, &nearer.root);
        self.vars.extend(nearer.vars.iter().map(|(key, value)| (key.clone(), value.clone())));
    }

    /// The root that this one table gives.
    pub fn own_root(&self) -> Option<&RemotePath> {
        self.root.as_ref().or(self.root_var.as_ref()).map(|root| &root.value)
    }
}

fn agree<T: PartialEq>(key: &str, own: &mut Option<Written<T>>, other: Option<Written<T>>) -> Result<()> {
    match (&own, other) {
        (Some(own), Some(other)) if own.value != other.value => {
            let why = format!("{}: \"{}\" is another than in {}", other.place, key.escape_debug(), own.place);
            Err(Error::new(why).hint("say it in one file only; no file stands above another"))
        }
        (Some(_), _) => Ok(()),
        (None, other) => {
            *own = other;
            Ok(())
        }
    }
}

fn text<T>(table: &TomlTable<'_>, key: &str, read: impl Fn(&str) -> Result<T>) -> Result<Option<Written<T>>> {
    Ok(table.read(key, read)?.map(|value| Written { value, place: table.place_of(key) }))
}

fn values(vars: &TomlTable<'_>) -> BTreeMap<String, Written<toml::Value>> {
    let value = |key| Some((str::to_owned(key), Written { value: vars.value(key)?, place: vars.place_of(key) }));
    vars.keys().filter_map(value).collect()
}

fn port(table: &TomlTable<'_>) -> Result<Option<Written<u16>>> {
    let Some(number) = table.integer("port")? else { return Ok(None) };
    match u16::try_from(number) {
        Ok(value) if value > 0 => Ok(Some(Written { value, place: table.place_of("port") })),
        _ => Err(table.wrong_at("port", Error::new(format!("port: {number} is not a port (1 to 65535)")))),
    }
}

fn not(kind: &str, text: &str) -> Error {
    Error::new(format!("`{}` is not {kind}", text.escape_debug()))
}

/// A host name, an IPv4 or an IPv6 address, by its characters; whether it exists is found out when connecting.
fn address(text: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    let name = text.bytes().all(plain) && !text.starts_with(['-', '.']) && (1..=253).contains(&text.len());
    if name || text.parse::<Ipv6Addr>().is_ok() {
        return Ok(text.to_owned());
    }
    let wrong = not("a host name or an IP address", text);
    Err(if text.contains(':') { wrong.hint("the port is a setting of its own: port = 2222") } else { wrong })
}

pub(super) fn user(text: &str) -> Result<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
    if text.bytes().all(plain) && !text.starts_with('-') && (1..=64).contains(&text.len()) {
        return Ok(text.to_owned());
    }
    Err(not("a user name", text))
}

/// `none`, or `[user@]host[:port]`, several with commas; an IPv6 address stands in brackets.
fn jump(text: &str) -> Result<Option<String>> {
    if text == "none" {
        return Ok(None);
    }
    for hop in text.split(',') {
        check_hop(hop).map_err(|_| not("a jump host", hop).hint("write [user@]host[:port], several with commas"))?;
    }
    Ok(Some(text.to_owned()))
}

fn check_hop(hop: &str) -> Result<()> {
    let (login, place) = hop.split_once('@').map_or((None, hop), |(login, place)| (Some(login), place));
    if let Some(login) = login {
        user(login)?;
    }
    let (host, port) = match place.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, "")) if host.contains(':') => (host, None),
        Some((host, rest)) if host.contains(':') => {
            (host, Some(rest.strip_prefix(':').ok_or_else(|| not("a port", rest))?))
        }
        Some(_) => return Err(not("an IPv6 address", place)),
        None => place.split_once(':').map_or((place, None), |(host, port)| (host, Some(port))),
    };
    address(host)?;
    match port {
        Some(port) if !port.bytes().all(|b| b.is_ascii_digit()) || !port.parse::<u16>().is_ok_and(|port| port > 0) => {
            Err(not("a port", port))
        }
        _ => Ok(()),
    }
}

fn root(text: &str) -> Result<RemotePath> {
    RemotePath::new(text)
}

fn identity_file(text: &str, home: Option<OsString>) -> Result<PathBuf> {
    if text.is_empty() || text.starts_with('-') || text.chars().any(char::is_control) {
        return Err(not("a path of a file", text));
    }
    match (text.strip_prefix("~/"), home.filter(|home| !home.is_empty())) {
        (Some(below), Some(home)) => Ok(PathBuf::from(home).join(below)),
        (Some(_), None) => Err(Error::new("`~/` cannot be expanded: HOME is not set")),
        (None, _) if text.starts_with('~') => Err(not("a path of a file", text).hint("only `~/` is expanded")),
        (None, _) => Ok(PathBuf::from(text)),
    }
}

fn escalation(text: &str) -> Result<Escalation> {
    let all = [Escalation::None, Escalation::Sudo, Escalation::Doas];
    all.into_iter()
        .find(|escalation| escalation.as_str() == text)
        .ok_or_else(|| not("a way to become root", text).hint("known: none, sudo, doas"))
}

fn connection(text: &str) -> Result<Connection> {
    let all = [Connection::Ssh, Connection::Local];
    all.into_iter()
        .find(|connection| connection.as_str() == text)
        .ok_or_else(|| not("a connection", text).hint("known: ssh, local"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What must never reach a command line, a resolver or a terminal.
    const DANGEROUS: [&str; 18] = [
        "",
        "-oProxyCommand=x",
        "-x",
        "a b",
        "a\tb",
        "a\nb",
        "a\0b",
        "a;b",
        "$(x)",
        "$HOME",
        "`x`",
        "a'b",
        "a\"b",
        "%h",
        "a|b",
        "a&b",
        "ä",
        "a\u{1b}[31m",
    ];

    #[test]
    fn addresses_are_names_or_numbers() {
        for good in ["203.0.113.10", "web01.example.com", "web_1", "2001:db8::1", "::1", "localhost"] {
            assert_eq!(address(good).unwrap(), good);
        }
        for bad in DANGEROUS.iter().chain(&["web:22", "[::1]", "fe80::1%eth0", "root@web", "a/b", ".a"]) {
            assert!(address(bad).is_err(), "{bad:?}");
        }
        assert_eq!(address("web:22").unwrap_err().hints(), ["the port is a setting of its own: port = 2222"]);
    }

    #[test]
    fn users_are_plain() {
        for good in ["root", "deploy", "a.b-c_d", "_apt", "1000"] {
            assert_eq!(user(good).unwrap(), good);
        }
        for bad in DANGEROUS.iter().chain(&["samba$", "a@b", "DOMAIN\\a"]) {
            assert!(user(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn jumps_are_lists_of_hosts() {
        for good in ["bastion", "root@bastion", "root@bastion:2222", "a,b@c:1", "[2001:db8::1]:22", "u@[::1]"] {
            assert_eq!(jump(good).unwrap().as_deref(), Some(good));
        }
        assert_eq!(jump("none").unwrap(), None);
        for bad in DANGEROUS.iter().chain(&["a,", ",a", "a:0", "a:70000", "a:+1", "a:", "@a", "a@b@c", "[a]", "[::1]x"])
        {
            assert!(jump(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn the_home_directory_is_expanded() {
        let home = || Some(OsString::from("/home/me"));
        assert_eq!(identity_file("~/.ssh/id", home()).unwrap(), PathBuf::from("/home/me/.ssh/id"));
        assert_eq!(identity_file("/etc/id", None).unwrap(), PathBuf::from("/etc/id"));
        assert!(identity_file("~/.ssh/id", None).is_err());
        for bad in ["", "~root/id", "-F", "a\nb"] {
            assert!(identity_file(bad, home()).is_err(), "{bad:?}");
        }
    }
}
