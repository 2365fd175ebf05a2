//! `distribute inventory`: who there is, what a host gets, who gets a secret. From names alone: no bundle, no password.

use super::Shared;
use super::shared::{print_error, print_result};
use crate::inventory::{Group, Host, Inventory};
use crate::plan::entitlement::{Entitled, Entitlement, entitlements};
use crate::playbook::{Play, Playbook};
use crate::words::{Error, HostName, KeyName, Pattern, Result, ServiceName, nearest, plural};
use serde_json::{Value, json};
use std::collections::HashSet;
use std::process::ExitCode;

#[derive(clap::Args)]
pub struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(clap::Subcommand)]
enum Command {
    /// List the hosts with address, user and groups
    List,
    /// Draw groups and hosts as a tree
    Graph,
    /// Check the inventory, the playbooks, and that every pattern means somebody
    Check,
    /// Say what a host gets: files, services, owners and modes
    Host {
        #[arg(value_name = "HOST")]
        host: String,
    },
    /// Say which hosts get a secret
    Who {
        /// A service, service.KEY or service/FILE
        #[arg(value_name = "SECRET")]
        secret: String,
    },
}

pub fn run(args: Args, shared: &Shared) -> Result<ExitCode> {
    let project = shared.project()?;
    let inventory = Inventory::load(&project.inventory)?;
    let playbook = || Playbook::load(&project.playbooks);
    let answer = match args.command {
        Command::List => list(&inventory.select(&shared.pattern()?)?),
        Command::Graph => graph(&inventory, &inventory.select(&shared.pattern()?)?),
        Command::Check => return check(&inventory, &playbook()?, shared),
        Command::Host { host } => gets(&inventory, &playbook()?, known_host(&inventory, &host)?)?,
        Command::Who { secret } => who(&inventory, &playbook()?, &shared.pattern()?, &secret)?,
    };
    print_result(&answer.written(shared))?;
    Ok(ExitCode::SUCCESS)
}

/// What a command found, for people and for programs.
struct Answer {
    command: &'static str,
    text: String,
    json: Value,
}

impl Answer {
    fn written(self, shared: &Shared) -> String {
        if !shared.is_json() {
            return self.text;
        }
        let mut document =
            json!({"schema": "distribute.inventory/1", "command": format!("inventory {}", self.command)});
        if let (Value::Object(document), Value::Object(found)) = (&mut document, self.json) {
            document.extend(found);
        }
        format!("{document:#}\n")
    }
}

fn list(hosts: &[&Host]) -> Answer {
    let row = |host: &&Host| {
        vec![host.name.to_string(), host.endpoint.socket(), host.endpoint.user.clone(), spaced(&host.groups)]
    };
    let rows = std::iter::once(["HOST", "ADDRESS", "USER", "GROUPS"].map(str::to_owned).to_vec());
    let text = columns(rows.chain(hosts.iter().map(row)));
    Answer {
        command: "list",
        text,
        json: json!({"hosts": hosts.iter().map(|host| host_json(host)).collect::<Vec<_>>()}),
    }
}

fn host_json(host: &Host) -> Value {
    let endpoint = &host.endpoint;
    json!({
        "host": host.name, "address": endpoint.socket(), "user": endpoint.user, "jump": endpoint.jump,
        "become": endpoint.escalation.as_str(), "connection": endpoint.connection.as_str(), "groups": host.groups,
    })
}

/// As `ansible-inventory --graph`; with `--hosts` only those hosts are drawn.
fn graph(inventory: &Inventory, hosts: &[&Host]) -> Answer {
    let shown: HashSet<_> = hosts.iter().map(|host| &host.name).collect();
    let inner: HashSet<_> = inventory.groups().iter().flat_map(|group| &group.children).collect();
    let ungrouped: Vec<_> = hosts.iter().filter(|host| host.groups.is_empty()).map(|host| &host.name).collect();
    let mut text = String::from("@all:\n  |--@ungrouped:\n");
    for host in &ungrouped {
        text.push_str(&format!("  |  |--{host}\n"));
    }
    for group in inventory.groups().iter().filter(|group| !inner.contains(&group.name)) {
        draw(inventory, group, 1, &shown, &mut text);
    }
    let group = |group: &Group| {
        let hosts: Vec<_> = group.hosts.iter().filter(|host| shown.contains(host)).collect();
        json!({"group": group.name, "children": group.children, "hosts": hosts})
    };
    let groups: Vec<_> = inventory.groups().iter().map(group).collect();
    Answer { command: "graph", text, json: json!({"groups": groups, "ungrouped": ungrouped}) }
}

fn draw(inventory: &Inventory, group: &Group, depth: usize, shown: &HashSet<&HostName>, text: &mut String) {
    let bars = |depth: usize| format!("  {}|--", "|  ".repeat(depth - 1));
    text.push_str(&format!("{}@{}:\n", bars(depth), group.name));
    for child in &group.children {
        let child = inventory.groups().iter().find(|other| other.name == *child);
        draw(inventory, child.expect("the inventory knows its groups"), depth + 1, shown, text);
    }
    for host in group.hosts.iter().filter(|host| shown.contains(host)) {
        text.push_str(&format!("{}{host}\n", bars(depth + 1)));
    }
}

/// Every pattern of every play and service, then every host's files; all problems are told, not only the first.
fn check(inventory: &Inventory, playbook: &Playbook, shared: &Shared) -> Result<ExitCode> {
    let problems = problems(inventory, playbook);
    let services: usize = playbook.plays.iter().map(|play| play.services.len()).sum();
    let counts = [
        (inventory.hosts().len(), "host"),
        (inventory.groups().len(), "group"),
        (playbook.plays.len(), "play"),
        (services, "service"),
    ];
    let words: Vec<_> = counts.iter().map(|(count, word)| plural(*count, word)).collect();
    let text = format!(
        "{}: {}\n",
        words.join(", "),
        if problems.is_empty() { "all is well".into() } else { plural(problems.len(), "problem") }
    );
    let told: Vec<_> = problems.iter().map(|e| json!({"message": e.to_string(), "hints": e.hints()})).collect();
    let [hosts, groups, plays, services] = counts.map(|(count, _)| count);
    let json = json!({"hosts": hosts, "groups": groups, "plays": plays, "services": services, "problems": told});
    problems.iter().for_each(print_error);
    print_result(&Answer { command: "check", text, json }.written(shared))?;
    Ok(ExitCode::from(u8::from(!problems.is_empty())))
}

fn problems(inventory: &Inventory, playbook: &Playbook) -> Vec<Error> {
    let patterns: Vec<_> = playbook.plays.iter().flat_map(|play| pattern_problems(inventory, play)).collect();
    if !patterns.is_empty() {
        return patterns;
    }
    // The same mistake shows on many hosts: the first is enough.
    inventory.hosts().iter().find_map(|host| entitlements(inventory, playbook, host).err()).into_iter().collect()
}

fn pattern_problems(inventory: &Inventory, play: &Play) -> Vec<Error> {
    let place = format!("play \"{}\"", play.name);
    let hosts = match inventory.select(&play.hosts) {
        Ok(hosts) => hosts,
        Err(error) => return vec![error.at("hosts").at(place)],
    };
    let problem = |(name, pattern): (&ServiceName, &Pattern)| {
        let at = |error: Error| error.at(format!("service \"{name}\": hosts")).at(&place);
        match inventory.select(pattern) {
            Err(error) => Some(at(error)),
            Ok(own) if own.iter().any(|host| hosts.iter().any(|other| other.name == host.name)) => None,
            Ok(_) => {
                Some(at(Error::new(format!("`{pattern}` and the play's `{}` have no host in common", play.hosts))))
            }
        }
    };
    let narrowed = play.services.iter().filter_map(|service| Some((&service.name, service.hosts.as_ref()?)));
    narrowed.filter_map(problem).collect()
}

fn known_host<'a>(inventory: &'a Inventory, name: &str) -> Result<&'a Host> {
    let wanted = HostName::new(name)?;
    inventory.host(&wanted).ok_or_else(|| {
        let error = Error::new(format!("there is no host \"{wanted}\" in the inventory"));
        match nearest(name, inventory.hosts().iter().map(|host| host.name.as_str())) {
            Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
            None => error.hint("`distribute inventory list` shows all hosts"),
        }
    })
}

fn gets(inventory: &Inventory, playbook: &Playbook, host: &Host) -> Result<Answer> {
    let found = entitlements(inventory, playbook, host)?;
    let mut text = format!("{} ({}@{})\n", host.name, host.endpoint.user, host.endpoint.socket());
    if found.is_empty() {
        text.push_str("no play means this host: it gets nothing\n");
    }
    for entitlement in &found {
        text.push_str(&format!("\nplay {}, root {}\n", entitlement.play.name, entitlement.root));
        text.push_str(&columns(entitlement.services.iter().map(|entitled| file_row(entitled, entitlement))));
    }
    let plays: Vec<_> = found.iter().map(play_json).collect();
    Ok(Answer {
        command: "host",
        text,
        json: json!({"host": host.name, "address": host.endpoint.socket(), "plays": plays}),
    })
}

fn file_row(entitled: &Entitled<'_>, entitlement: &Entitlement<'_>) -> Vec<String> {
    let access = &entitled.service.access;
    let made_of = match entitled.service.is_plain() {
        true => entitled.service.name.to_string(),
        false => format!("{}: {}", entitled.service.name, spaced(&entitled.sources)),
    };
    let path = format!("  {}", shown_path(entitled, entitlement));
    vec![path, access.mode.to_string(), format!("{}:{}", access.owner, access.group), made_of]
}

/// A directory is shown with a slash behind it.
fn shown_path(entitled: &Entitled<'_>, entitlement: &Entitlement<'_>) -> String {
    let slash = if entitled.service.format.is_directory() { "/" } else { "" };
    entitled.path(&entitlement.root) + slash
}

fn play_json(entitlement: &Entitlement<'_>) -> Value {
    let file = |entitled: &Entitled<'_>| {
        let access = &entitled.service.access;
        json!({
            "path": entitled.path(&entitlement.root), "service": entitled.service.name, "sources": entitled.sources,
            "format": entitled.service.format.as_str(), "owner": access.owner, "group": access.group,
            "mode": access.mode.to_string(), "directory_mode": access.directory_mode.to_string(),
        })
    };
    let files: Vec<_> = entitlement.services.iter().map(file).collect();
    json!({"play": entitlement.play.name, "root": entitlement.root.as_str(), "files": files})
}

fn who(inventory: &Inventory, playbook: &Playbook, pattern: &Pattern, secret: &str) -> Result<Answer> {
    let service = service_of(playbook, secret)?;
    let (mut rows, mut told) = (Vec::new(), Vec::new());
    for host in inventory.select(pattern)? {
        for entitlement in entitlements(inventory, playbook, host)? {
            for entitled in entitlement.services.iter().filter(|entitled| entitled.holds(&service)) {
                let (play, by, path) =
                    (&entitlement.play.name, &entitled.service.name, shown_path(entitled, &entitlement));
                rows.push(vec![host.name.to_string(), play.to_string(), path]);
                let path = entitled.path(&entitlement.root);
                told.push(json!({"host": host.name, "play": play, "service": by, "path": path}));
            }
        }
    }
    let text = match rows.is_empty() {
        true => format!("no host gets {secret}\n"),
        false => columns(std::iter::once(["HOST", "PLAY", "PATH"].map(str::to_owned).to_vec()).chain(rows)),
    };
    Ok(Answer { command: "who", text, json: json!({"secret": secret, "service": service, "hosts": told}) })
}

/// The service of `service`, `service.KEY` or `service/FILE`. A service may have a dot in its name, a key has none.
fn service_of(playbook: &Playbook, secret: &str) -> Result<ServiceName> {
    let known = services_named(playbook);
    let is_known = |text: &str| known.iter().find(|name| name.as_str() == text).cloned();
    let by_key = || secret.rsplit_once('.').filter(|(_, key)| KeyName::new(*key).is_ok()).map(|(service, _)| service);
    let by_file = || secret.split_once('/').map(|(service, _)| service);
    let stem = by_file().or_else(by_key).unwrap_or(secret);
    is_known(secret).or_else(|| is_known(stem)).ok_or_else(|| {
        let error = Error::new(format!("service `{}` is in no playbook", stem.escape_debug()));
        match nearest(stem, known.iter().map(ServiceName::as_str)) {
            Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
            None => error.hint(format!("services: {}", spaced(&known))),
        }
    })
}

/// Every service that a playbook names, itself or in an include.
fn services_named(playbook: &Playbook) -> Vec<ServiceName> {
    let mut known: Vec<ServiceName> = Vec::new();
    for service in playbook.plays.iter().flat_map(|play| &play.services) {
        let exact = service.include.iter().filter_map(|glob| glob.exact());
        for name in std::iter::once(service.name.clone()).chain(exact) {
            if !known.contains(&name) {
                known.push(name);
            }
        }
    }
    known
}

/// Rows with their columns below one another, two spaces apart.
fn columns(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let rows: Vec<_> = rows.into_iter().collect();
    let count = rows.iter().map(Vec::len).max().unwrap_or(0);
    let width = |column: usize| rows.iter().filter_map(|row| row.get(column)).map(String::len).max().unwrap_or(0);
    let widths: Vec<_> = (0..count).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<_> = row.iter().zip(&widths).map(|(cell, width)| format!("{cell:width$}")).collect();
        format!("{}\n", cells.join("  ").trim_end())
    };
    rows.iter().map(line).collect()
}

fn spaced<T: std::fmt::Display>(names: &[T]) -> String {
    names.iter().map(T::to_string).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
