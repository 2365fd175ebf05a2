//! `Contents`: what lies in a host's files of one service, each format in its own way.

#[cfg(test)]
mod tests;

use super::DesiredFile;
use super::desired::sha256;
use super::entitlement::Entitled;
use super::rendering::{Given, Rendering};
use crate::bundle::{Bundle, Content, Origin};
use crate::dialect::Dialect;
use crate::inventory::Host;
use crate::playbook::Format;
use crate::words::{Error, KeyName, Result, Secret, ServiceName, nearest};
use std::collections::BTreeMap;

/// Where they come from, for one host.
pub(super) struct Contents<'a> {
    pub bundle: &'a Bundle,
    pub host: &'a Host,
}

/// A value, and the service that it is of.
struct Value {
    key: KeyName,
    value: Secret,
    source: ServiceName,
}

impl Contents<'_> {
    /// The files of a service, in the order in which they are told.
    pub fn files(&self, entitled: &Entitled) -> Result<Vec<DesiredFile>> {
        self.refuse_lacking(entitled)?;
        let files = match entitled.service.format {
            Format::Raw => self.raw(entitled)?,
            Format::Files => self.one_a_key(entitled)?,
            Format::Template => vec![self.rendered(entitled)?],
            format => vec![self.whole(entitled, format.dialect().expect("one file is in a dialect"))?],
        };
        Ok(files)
    }

    fn content(&self, service: &ServiceName) -> Result<Content> {
        self.bundle.content(service, &self.host.name, &self.host.groups).ok_or_else(|| {
            let services = self.bundle.services();
            let error = Error::new(format!("service `{service}` is in a playbook, but not in the bundle"));
            match nearest(service.as_str(), services.iter().map(ServiceName::as_str)) {
                Some(near) => error.hint(format!("did you mean `{near}`?")),
                None => error.hint(format!("put it there: distribute bundle set {service}.KEY")),
            }
        })
    }

    /// Keys that the playbook requires and this host would not get.
    fn refuse_lacking(&self, entitled: &Entitled) -> Result<()> {
        let service = &entitled.service.name;
        let lacking = entitled.lacking(self.bundle, self.host);
        let Some(first) = lacking.first() else { return Ok(()) };
        // A service that is not there at all is told as that.
        entitled.sources.iter().try_for_each(|source| self.content(source).map(drop))?;
        let names = lacking.iter().map(|key| format!("`{key}`")).collect::<Vec<_>>().join(", ");
        let which = if lacking.len() == 1 { "the key" } else { "the keys" };
        let error = Error::new(format!(
            "service `{service}` requires {which} {names}, which host \"{}\" lacks",
            self.host.name
        ));
        Err(error.hint(format!("set it: distribute bundle set {}.{first}", entitled.first_source())))
    }

    fn raw(&self, entitled: &Entitled) -> Result<Vec<DesiredFile>> {
        let service = &entitled.service.name;
        let content = self.content(service)?;
        let mut files = Vec::new();
        if let Some(env) = &content.env {
            let path = format!("{service}/{service}.env");
            files.push(self.file(entitled, path, self.origin_of_env(service), env.to_secret(), Vec::new()));
        }
        files.extend(self.plain(entitled, content));
        Ok(files)
    }

    /// The files of the bundle as they are.
    fn plain(&self, entitled: &Entitled, content: Content) -> Vec<DesiredFile> {
        let service = &entitled.service.name;
        let file = |(name, content)| {
            let origin = self.bundle.origin_of_file(service, &name, &self.host.name, &self.host.groups);
            self.file(entitled, format!("{service}/{name}"), origin, content, Vec::new())
        };
        content.files.into_iter().map(file).collect()
    }

    fn origin_of_env(&self, service: &ServiceName) -> Origin {
        self.bundle.origin_of_env(service, &self.host.name, &self.host.groups)
    }

    fn one_a_key(&self, entitled: &Entitled) -> Result<Vec<DesiredFile>> {
        let service = &entitled.service.name;
        let mut files = Vec::new();
        for Value { key, value, source } in self.values(entitled)? {
            let mut origin = self.origin_of_env(&source);
            origin.overrides.retain(|other, _| *other == key && source == *service);
            files.push(self.file(entitled, format!("{service}/{key}"), origin, value.clone(), vec![(key, value)]));
        }
        if !entitled.service.is_plain() {
            return Ok(files);
        }
        for plain in self.plain(entitled, self.content(service)?) {
            if files.iter().any(|file| file.path == plain.path) {
                let error =
                    Error::new(format!("service `{service}`: a key and a file would both be secrets/{}", plain.path));
                return Err(error.hint(format!("rename one: distribute bundle set {service}/OTHER")));
            }
            files.push(plain);
        }
        Ok(files)
    }

    fn whole(&self, entitled: &Entitled, dialect: Dialect) -> Result<DesiredFile> {
        let service = &entitled.service.name;
        let values = self.values(entitled)?;
        if let Some(no) = values.iter().find_map(|one| no(dialect, one)) {
            return Err(no);
        }
        let (pairs, mut sources): (Vec<_>, Vec<_>) =
            values.into_iter().map(|one| ((one.key, one.value), one.source)).unzip();
        sources.dedup();
        let manifest = entitled.service.manifest.as_ref();
        let written = dialect.write(&pairs, manifest).map_err(|no| no.among(service, &pairs))?;
        let is_own = entitled.service.is_plain();
        let content = match (dialect, is_own) {
            // Comments stay.
            (Dialect::Docker, true) => self.commented(service, &pairs)?,
            _ => written,
        };
        let origin = match is_own {
            true => self.origin_of_env(service),
            false => self.origin_of(&entitled.sources),
        };
        Ok(self.file(entitled, format!("{service}{}", entitled.service.format.suffix()), origin, content, pairs))
    }

    fn commented(&self, service: &ServiceName, pairs: &[(KeyName, Secret)]) -> Result<Secret> {
        let text = self.content(service)?.env.unwrap_or_default().to_secret();
        match Dialect::Docker.read(text.expose()) {
            Ok(read) if read == pairs => Ok(text),
            _ => Err(Error::new(format!("service `{service}`: its env file has a comment at which docker would stop"))
                .hint(format!("UTF-8 and less than 64 KiB: distribute bundle edit {service}"))),
        }
    }

    /// The documents of services that a file is made of.
    fn origin_of(&self, sources: &[ServiceName]) -> Origin {
        let documents = sources.iter().flat_map(|source| self.origin_of_env(source).documents);
        Origin { documents: documents.collect(), overrides: BTreeMap::new() }
    }

    fn values(&self, entitled: &Entitled) -> Result<Vec<Value>> {
        if entitled.service.is_plain() { self.own(entitled) } else { self.union(entitled) }
    }

    fn own(&self, entitled: &Entitled) -> Result<Vec<Value>> {
        let (service, format) = (&entitled.service.name, entitled.service.format);
        let content = self.content(service)?;
        let env = match content.env {
            Some(env) => env,
            None if format == Format::Files => return Ok(Vec::new()),
            None => {
                let error =
                    format!("service `{service}` has files and no env file, so the {format} format cannot hold it");
                return Err(Error::new(error).hint("say format = \"raw\" in the playbook"));
            }
        };
        Ok(env.values().into_iter().map(|(key, value)| Value { key, value, source: service.clone() }).collect())
    }

    /// All values of its sources; a key that two of them give must have one value.
    fn union(&self, entitled: &Entitled) -> Result<Vec<Value>> {
        let service = &entitled.service.name;
        let mut values: Vec<Value> = Vec::new();
        let mut seen: BTreeMap<KeyName, usize> = BTreeMap::new();
        for source in &entitled.sources {
            let Some(env) = self.content(source)?.env else { continue };
            for (key, value) in env.values() {
                match seen.get(&key).map(|at| &values[*at]) {
                    Some(other) if other.value == value => continue,
                    Some(other) => {
                        let first = &other.source;
                        return Err(Error::new(format!(
                            "service `{service}`: `{first}` and `{source}` give `{key}` different values"
                        ))
                        .hint("rename the key in one of them, or leave one of them out of `include`"));
                    }
                    None => {}
                }
                seen.insert(key.clone(), values.len());
                values.push(Value { key, value, source: source.clone() });
            }
        }
        Ok(values)
    }

    fn rendered(&self, entitled: &Entitled) -> Result<DesiredFile> {
        let service = &entitled.service.name;
        let template = entitled.service.template.as_ref().expect("format `template` has one");
        let mut given = BTreeMap::new();
        for source in &entitled.sources {
            let content = self.content(source)?;
            let keys = content.env.map(|env| env.values()).unwrap_or_default();
            given.insert(source.clone(), Given { keys, files: content.files });
        }
        let rendering = Rendering::of(template, &given, self.host);
        let Rendering { content, used, made } = rendering.map_err(|error| error.at(format!("service `{service}`")))?;
        let origin = self.origin_of(&entitled.sources);
        let path = format!("{service}/{}", template.file);
        let mut file = self.file(entitled, path, origin, content, used);
        // Of what it was made, nothing comes back in a message, and nothing of what filters made of it.
        let of_one = |given: Given| given.keys.into_iter().map(|(_, value)| value).chain(given.files.into_values());
        file.values = given.into_values().flat_map(of_one).chain(made).collect();
        Ok(file)
    }

    fn file(
        &self,
        entitled: &Entitled,
        path: String,
        origin: Origin,
        content: Secret,
        values: Vec<(KeyName, Secret)>,
    ) -> DesiredFile {
        let access = &entitled.service.access;
        DesiredFile {
            path,
            service: entitled.service.name.clone(),
            format: entitled.service.format,
            manifest: entitled.service.manifest.clone(),
            origin,
            sha256: sha256(content.expose()),
            content,
            values: to_strike_out(entitled.service.format, &values),
            keys: values.into_iter().map(|(key, value)| (key, self.bundle.fingerprint(value.expose()))).collect(),
            mode: access.mode,
            owner: access.owner.clone(),
            group: access.group.clone(),
        }
    }
}

/// The values, and what stands for them in the file.
pub(super) fn to_strike_out(format: Format, values: &[(KeyName, Secret)]) -> Vec<Secret> {
    let written = |(key, value): &(KeyName, Secret)| format.dialect()?.written(key, value);
    values.iter().map(|(_, value)| value.clone()).chain(values.iter().filter_map(written)).collect()
}

/// The service that is named is the one whose value it is, be it in another's file.
fn no(dialect: Dialect, one: &Value) -> Option<Error> {
    let what = dialect.refuses(&one.key, &one.value)?;
    Some(crate::dialect::CannotHold { key: one.key.clone(), dialect, what }.of(&one.source, &one.value))
}
