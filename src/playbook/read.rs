//! Plays and services as written in TOML, checked key by key.

use super::{Access, Action, Format, Health, Play, Service, ServiceGlob};
use crate::words::{Error, Mode, Pattern, Principal, RemotePath, Result, TomlTable, nearest};

const PLAY: [&str; 9] = ["name", "hosts", "root", "owner", "group", "mode", "directory_mode", "keep", "service"];
const SERVICE: [&str; 9] = ["name", "format", "hosts", "include", "owner", "group", "mode", "on_change", "health"];

/// What a later command reads from the same files.
const LATER: [&str; 2] = ["rotate", "rollout"];

const DEFAULT_KEEP: i64 = 5;

/// The plays of a file, each with its place.
pub(super) fn plays(file: &TomlTable<'_>) -> Result<Vec<(Play, String)>> {
    file.only(&[&["play", "notify"], &LATER[..]].concat())?;
    for key in LATER.into_iter().filter(|key| file.has(key) && !file.is_table(key)) {
        file.tables(key)?;
    }
    file.tables("play")?.into_iter().map(|table| Ok((play(table.clone())?, table.place()))).collect()
}

/// Names the table by its own `name`, as far as it has one.
fn called<'a>(table: TomlTable<'a>, kind: &str, above: &str) -> Result<TomlTable<'a>> {
    let table = table.called(format!("{above}{kind}"));
    let name = table.required("name", table.string("name"))?;
    Ok(table.called(format!("{above}{kind} \"{}\"", name.escape_debug())))
}

fn play(table: TomlTable<'_>) -> Result<Play> {
    let table = called(table, "play", "")?;
    table.only(&PLAY)?;
    let access = access(&table, &Access::default())?;
    let mut services: Vec<Service> = Vec::new();
    for inner in table.tables("service")? {
        let inner = called(inner, "service", &format!("play \"{}\": ", table.string("name")?.unwrap_or_default()))?;
        let service = service(&inner, &access)?;
        if services.iter().any(|other| other.name == service.name) {
            return Err(inner.wrong(Error::new("this service is in the play a second time")));
        }
        if let Some(other) = services.iter().find(|other| other.entry() == service.entry()) {
            let why = format!("it would be secrets/{} on a host, and so would \"{}\"", service.entry(), other.name);
            return Err(inner.wrong(Error::new(why)));
        }
        services.push(service);
    }
    Ok(Play {
        name: table.required("name", table.parsed("name"))?,
        hosts: table.required("hosts", table.read("hosts", Pattern::parse))?,
        root: table.read("root", RemotePath::new)?,
        access,
        keep: keep(&table)?,
        services,
    })
}

fn service(table: &TomlTable<'_>, play: &Access) -> Result<Service> {
    table.only(&SERVICE)?;
    let format = format(table)?;
    let include = include(table)?;
    if format == Format::Raw && !include.is_empty() {
        return Err(table.wrong_at("include", Error::new("format `raw` cannot include other services")));
    }
    Ok(Service {
        name: table.required("name", table.parsed("name"))?,
        format,
        hosts: table.read("hosts", Pattern::parse)?,
        include,
        access: access(table, play)?,
        on_change: table.table("on_change")?.map(|table| Action::read(&table)).transpose()?,
        health: table.table("health")?.map(|table| Health::read(&table)).transpose()?,
    })
}

fn access(table: &TomlTable<'_>, outer: &Access) -> Result<Access> {
    let or = |key: &str, outer: &Principal| Ok(table.parsed(key)?.unwrap_or_else(|| outer.clone()));
    Ok(Access {
        owner: or("owner", &outer.owner)?,
        group: or("group", &outer.group)?,
        mode: mode(table, "mode")?.unwrap_or(outer.mode),
        directory_mode: mode(table, "directory_mode")?.unwrap_or(outer.directory_mode),
    })
}

fn mode(table: &TomlTable<'_>, key: &str) -> Result<Option<Mode>> {
    if matches!(table.value(key), Some(toml::Value::Integer(_))) {
        let why = Error::new(format!("\"{key}\" must be a string, so that it is read as octal"));
        return Err(table.wrong_at(key, why.hint(format!("{key} = \"640\""))));
    }
    match table.parsed::<Mode>(key)? {
        Some(mode) if mode.is_world_writable() => {
            let why = Error::new(format!("{key}: {mode} lets everybody on the host write"));
            Err(table.wrong_at(key, why.hint("leave the last bit out: secrets are written by their owner only")))
        }
        mode => Ok(mode),
    }
}

fn keep(table: &TomlTable<'_>) -> Result<u32> {
    match table.integer("keep")?.unwrap_or(DEFAULT_KEEP) {
        keep @ 1..=1000 => Ok(u32::try_from(keep).expect("it is at most 1000")),
        keep => Err(table.wrong_at("keep", Error::new(format!("keep: {keep} does not lie between 1 and 1000")))),
    }
}

fn format(table: &TomlTable<'_>) -> Result<Format> {
    let wrong = |error: Error| Err(table.wrong_at("format", error));
    match table.string("format")? {
        None | Some("docker") => Ok(Format::Docker),
        Some("raw") => Ok(Format::Raw),
        Some(known @ ("compose" | "systemd" | "shell" | "json")) => {
            let error = Error::new(format!("format `{known}` is not supported yet"));
            wrong(error.hint("supported: docker (one env file), raw (files as they are)"))
        }
        Some(other) => {
            let error = Error::new(format!("format `{}` is not known", other.escape_debug()));
            wrong(match nearest(other, ["docker", "raw", "compose", "systemd", "shell", "json"]) {
                Some(meant) => error.hint(format!("did you mean \"{meant}\"?")),
                None => error.hint("supported: docker (one env file), raw (files as they are)"),
            })
        }
    }
}

fn include(table: &TomlTable<'_>) -> Result<Vec<ServiceGlob>> {
    let Some(list) = table.strings("include")? else { return Ok(Vec::new()) };
    if list.is_empty() {
        let why = Error::new("\"include\" is empty");
        return Err(table.wrong_at("include", why.hint("\"*\" includes every service that the host gets")));
    }
    let globs: Result<_> = list.into_iter().map(str::parse).collect();
    globs.map_err(|error: Error| table.wrong_at("include", error.at("include")))
}
