//! `KeysIn`: the keys and values in a file of a host, by the format that it is in; and the same file with other values.

use super::DesiredFile;
use crate::bundle::EnvFile;
use crate::dialect::Dialect;
use crate::playbook::Format;
use crate::words::{KeyName, Secret};

/// `None` of a file that has none, or that somebody made something else of.
pub(super) fn keys_in(file: &DesiredFile, content: &Secret) -> Option<EnvFile> {
    match (file.format, file.format.dialect()) {
        // Comments stay.
        (Format::In(Dialect::Docker), _) if !file.path.contains('/') => EnvFile::parse(content.expose()).ok(),
        (_, Some(dialect)) => dialect.read(content.expose()).ok().map(env),
        (Format::Files, None) => Some(env(vec![(key_of(file)?, content.clone())])),
        (_, None) => None,
    }
}

/// Written anew; `None` where the format cannot hold them, or has a file for each.
pub(super) fn with_keys(file: &DesiredFile, env: &EnvFile) -> Option<Secret> {
    match file.format.dialect()? {
        _ if file.format == Format::In(Dialect::Docker) => Some(env.to_secret()),
        dialect => dialect.write(&env.values(), file.manifest.as_ref()).ok(),
    }
}

/// Of format `files`: the file's name, unless it is a file of the bundle.
fn key_of(file: &DesiredFile) -> Option<KeyName> {
    let is_plain = file.origin.documents.iter().any(|document| document.file.is_some());
    let (_, name) = file.path.rsplit_once('/').filter(|_| !is_plain)?;
    KeyName::new(name).ok()
}

fn env(values: Vec<(KeyName, Secret)>) -> EnvFile {
    let mut env = EnvFile::default();
    values.into_iter().for_each(|(key, value)| _ = env.set(&key, value));
    env
}
