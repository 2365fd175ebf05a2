//! Plays and services as written in TOML, checked key by key.

use super::{Access, Action, Format, Health, Play, Rollout, RotationPolicy, Service, ServiceGlob, Template};
use crate::dialect::Dialect;
use crate::dialect::Manifest;
use crate::words::{Error, KeyName, Mode, Pattern, Principal, RemotePath, Result, ServiceName, TomlTable};
use std::path::Path;

const PLAY: [&str; 9] = ["name", "hosts", "root", "owner", "group", "mode", "directory_mode", "keep", "service"];
const SERVICE: [&str; 12] = [
    "name",
    "format",
    "hosts",
    "include",
    "require",
    "namespace",
    "template",
    "owner",
    "group",
    "mode",
    "on_change",
    "health",
];

const TOP: [&str; 4] = ["play", "rotate", "rollout", "notify"];

const DEFAULT_KEEP: i64 = 5;

/// The plays of a file, each with its place; templates are looked for from that directory.
pub(super) fn plays(file: &TomlTable<'_>, directory: &Path) -> Result<Vec<(Play, String)>> {
    file.only(&TOP)?;
    file.tables("play")?.into_iter().map(|table| Ok((play(table.clone(), directory)?, table.place()))).collect()
}

/// The `[[rotate]]` tables of a file.
pub(super) fn rotations(file: &TomlTable<'_>) -> Result<Vec<RotationPolicy>> {
    file.tables("rotate")?.into_iter().map(RotationPolicy::read).collect()
}

/// The `[rollout]` table of a file, with its place.
pub(super) fn rollout(file: &TomlTable<'_>) -> Result<Option<(Rollout, String)>> {
    let Some(table) = file.table("rollout")? else { return Ok(None) };
    Ok(Some((Rollout::read(&table)?, table.place())))
}

/// Names the table by its own `name`, as far as it has one.
fn called<'a>(table: TomlTable<'a>, kind: &str, above: &str) -> Result<TomlTable<'a>> {
    let table = table.called(format!("{above}{kind}"));
    let name = table.required("name", table.string("name"))?;
    Ok(table.called(format!("{above}{kind} \"{}\"", name.escape_debug())))
}

fn play(table: TomlTable<'_>, directory: &Path) -> Result<Play> {
    let table = called(table, "play", "")?;
    table.only(&PLAY)?;
    let access = access(&table, &Access::default())?;
    let mut services: Vec<Service> = Vec::new();
    for inner in table.tables("service")? {
        let inner = called(inner, "service", &format!("play \"{}\": ", table.string("name")?.unwrap_or_default()))?;
        let service = service(&inner, &access, directory)?;
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

fn service(table: &TomlTable<'_>, play: &Access, directory: &Path) -> Result<Service> {
    table.only(&SERVICE)?;
    let format = table.parsed::<Format>("format")?.unwrap_or(Format::In(Dialect::Docker));
    let include = include(table)?;
    if !format.may_include() && !include.is_empty() {
        let error = Error::new(format!("format `{format}` cannot include other services"));
        return Err(table.wrong_at("include", error));
    }
    let name: ServiceName = table.required("name", table.parsed("name"))?;
    Ok(Service {
        format,
        hosts: table.read("hosts", Pattern::parse)?,
        include,
        require: require(table)?,
        manifest: manifest(table, format, &name)?,
        template: template(table, format, directory)?,
        name,
        access: access(table, play)?,
        on_change: table.table("on_change")?.map(|table| Action::read(&table)).transpose()?,
        health: table.table("health")?.map(|table| Health::read(&table)).transpose()?,
    })
}

fn require(table: &TomlTable<'_>) -> Result<Vec<KeyName>> {
    let keys = table.strings("require")?.unwrap_or_default();
    let keys: Result<Vec<KeyName>> = keys.into_iter().map(str::parse).collect();
    keys.map_err(|error| table.wrong_at("require", error.at("require")))
}

fn manifest(table: &TomlTable<'_>, format: Format, name: &ServiceName) -> Result<Option<Manifest>> {
    let namespace = table.string("namespace")?;
    match format {
        Format::In(Dialect::Kubernetes) => Ok(Some(Manifest::of(name, namespace).map_err(|error| table.wrong(error))?)),
        _ => only_of(table, "namespace", Format::In(Dialect::Kubernetes)).map(|()| None),
    }
}

fn template(table: &TomlTable<'_>, format: Format, directory: &Path) -> Result<Option<Template>> {
    match format {
        Format::Template => {
            table.required("template", table.read("template", |path| Template::read(path, directory))).map(Some)
        }
        _ => only_of(table, "template", Format::Template).map(|()| None),
    }
}

/// A key that means nothing in other formats.
fn only_of(table: &TomlTable<'_>, key: &str, format: Format) -> Result<()> {
    match table.has(key) {
        true => Err(table.wrong_at(key, Error::new(format!("\"{key}\" belongs to format `{format}`")))),
        false => Ok(()),
    }
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

fn include(table: &TomlTable<'_>) -> Result<Vec<ServiceGlob>> {
    let Some(list) = table.strings("include")? else { return Ok(Vec::new()) };
    if list.is_empty() {
        let why = Error::new("\"include\" is empty");
        return Err(table.wrong_at("include", why.hint("\"*\" includes every service that the host gets")));
    }
    let globs: Result<_> = list.into_iter().map(str::parse).collect();
    globs.map_err(|error: Error| table.wrong_at("include", error.at("include")))
}
