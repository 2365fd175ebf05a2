//! `Place`: where each thing lies in the archive, and the names people say for a secret.
//! A path of the archive comes in and is checked once; behind it stand only `Place`s, which print as that path.

use crate::words::{Error, FileName, GroupName, HostName, KeyName, Result, ServiceName};
use std::fmt;
use std::str::FromStr;

/// For whom a value is: everybody, or the group or host that overrides it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    Common,
    Group(GroupName),
    Host(HostName),
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Common => f.write_str("services"),
            Self::Group(group) => write!(f, "groups/{group}"),
            Self::Host(host) => write!(f, "hosts/{host}"),
        }
    }
}

/// A file of the archive that holds secrets: a service's env file, or a plain file of it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Document {
    pub scope: Scope,
    pub service: ServiceName,
    /// `None` for the service's env file.
    pub file: Option<FileName>,
}

impl fmt::Display for Document {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.file {
            None => write!(f, "{}/{}.env", self.scope, self.service),
            Some(file) => write!(f, "{}/{}/{file}", self.scope, self.service),
        }
    }
}

/// Everything that may lie in the archive.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// `bundle.toml`
    Record,
    /// What a document holds in this generation.
    Now(Document),
    /// What the document held up to that generation; of an env file only the keys that were replaced.
    Earlier(u64, Document),
    /// New values of the rotation under way; of an env file only the keys that rotate.
    Pending(Document),
    /// Old values that a provider still accepts, until they are revoked.
    Revoking(Document),
    /// `keys/backup`: the age identity that opens backups.
    BackupKey,
    /// `keys/backup.age`: the same, itself locked; it goes to the hosts beside the backups.
    LockedBackupKey,
    /// `keys/former/7`: the backup key up to that generation, for what was sealed to it.
    FormerBackupKey(u64),
    /// The age identity made for this host.
    HostKey(HostName),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Record => f.write_str("bundle.toml"),
            Self::Now(document) => document.fmt(f),
            Self::Earlier(generation, document) => write!(f, "history/{generation}/{document}"),
            Self::Pending(document) => write!(f, "pending/{document}"),
            Self::Revoking(document) => write!(f, "revoking/{document}"),
            Self::BackupKey => f.write_str("keys/backup"),
            Self::LockedBackupKey => f.write_str("keys/backup.age"),
            Self::FormerBackupKey(generation) => write!(f, "keys/former/{generation}"),
            Self::HostKey(host) => write!(f, "keys/hosts/{host}"),
        }
    }
}

impl FromStr for Place {
    type Err = Error;

    fn from_str(path: &str) -> Result<Self> {
        let parts: Vec<&str> = path.split('/').collect();
        match parts.as_slice() {
            ["bundle.toml"] => Ok(Self::Record),
            ["keys", "backup"] => Ok(Self::BackupKey),
            ["keys", "backup.age"] => Ok(Self::LockedBackupKey),
            ["keys", "hosts", host] => Ok(Self::HostKey(host.parse()?)),
            ["keys", "former", number] => Ok(Self::FormerBackupKey(generation(path, number)?)),
            ["history", number, rest @ ..] => Ok(Self::Earlier(generation(path, number)?, document(path, rest)?)),
            ["pending", rest @ ..] => document(path, rest).map(Self::Pending),
            ["revoking", rest @ ..] => document(path, rest).map(Self::Revoking),
            parts => document(path, parts).map(Self::Now),
        }
    }
}

fn generation(path: &str, text: &str) -> Result<u64> {
    text.parse().ok().filter(|number: &u64| number.to_string() == text).ok_or_else(|| unknown(path))
}

fn document(path: &str, parts: &[&str]) -> Result<Document> {
    let (scope, rest) = match parts {
        ["services", rest @ ..] => (Scope::Common, rest),
        ["groups", group, rest @ ..] => (Scope::Group(group.parse()?), rest),
        ["hosts", host, rest @ ..] => (Scope::Host(host.parse()?), rest),
        _ => return Err(unknown(path)),
    };
    match rest {
        [env] => {
            let service = env.strip_suffix(".env").ok_or_else(|| unknown(path))?;
            Ok(Document { scope, service: service.parse()?, file: None })
        }
        // `x.env/` as a directory would collide with the env file `x.env` when the archive is unpacked.
        [service, file] if !service.ends_with(".env") => {
            Ok(Document { scope, service: service.parse()?, file: Some(file.parse()?) })
        }
        _ => Err(unknown(path)),
    }
}

fn unknown(path: &str) -> Error {
    Error::new(format!("`{}` has no place in a bundle", path.escape_debug()))
        .hint("a bundle holds bundle.toml, services/SERVICE.env, services/SERVICE/FILE, the same under groups/GROUP/ and hosts/HOST/, history/, pending/, revoking/ and keys/")
}

/// What a value is called in its service.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    Key(KeyName),
    File(FileName),
}

/// One secret as people name it: `aws.AWS_KEY`, `tls/cert.pem`; an override carries `groups/web/` or `hosts/web1/` in front.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SecretName {
    pub scope: Scope,
    pub service: ServiceName,
    pub item: Item,
}

impl SecretName {
    /// A key of a service's env file, common to all hosts.
    pub fn key(service: &ServiceName, key: &KeyName) -> Self {
        Self { scope: Scope::Common, service: service.clone(), item: Item::Key(key.clone()) }
    }

    /// A file of a service, common to all hosts.
    pub fn file(service: &ServiceName, file: &FileName) -> Self {
        Self { scope: Scope::Common, service: service.clone(), item: Item::File(file.clone()) }
    }

    /// What it is called without the scope: `aws.KEY`.
    pub fn without_scope(&self) -> String {
        self.clone().within(Scope::Common).to_string()
    }

    /// The same secret as this group or host overrides it.
    pub fn within(self, scope: Scope) -> Self {
        Self { scope, ..self }
    }

    /// The file of the archive that holds it.
    pub fn document(&self) -> Document {
        let file = match &self.item {
            Item::Key(_) => None,
            Item::File(file) => Some(file.clone()),
        };
        Document { scope: self.scope.clone(), service: self.service.clone(), file }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.scope != Scope::Common {
            write!(f, "{}/", self.scope)?;
        }
        match &self.item {
            Item::Key(key) => write!(f, "{}.{key}", self.service),
            Item::File(file) => write!(f, "{}/{file}", self.service),
        }
    }
}

impl FromStr for SecretName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts: Vec<&str> = text.split('/').collect();
        let (scope, rest) = match parts.as_slice() {
            ["groups", group, rest @ ..] if !rest.is_empty() => (Scope::Group(group.parse()?), rest),
            ["hosts", host, rest @ ..] if !rest.is_empty() => (Scope::Host(host.parse()?), rest),
            rest => (Scope::Common, rest),
        };
        let (service, item) = match rest {
            [dotted] => {
                let (service, key) = dotted.rsplit_once('.').ok_or_else(|| not_a_secret(text))?;
                (service, Item::Key(key.parse()?))
            }
            [service, file] => (*service, Item::File(file.parse()?)),
            _ => return Err(not_a_secret(text)),
        };
        Ok(Self { scope, service: service.parse()?, item })
    }
}

fn not_a_secret(text: &str) -> Error {
    Error::new(format!("`{}` does not name a secret", text.escape_debug()))
        .hint("write SERVICE.KEY for a value, such as aws.AWS_SECRET_ACCESS_KEY, or SERVICE/FILE for a file, such as tls/cert.pem")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_prints_as_it_was_read() {
        for path in [
            "bundle.toml",
            "services/aws.env",
            "services/tls/cert.pem",
            "groups/web/aws.env",
            "groups/web/tls/cert.pem",
            "hosts/web1.example.com/aws.env",
            "history/7/services/aws.env",
            "history/7/hosts/web1/tls/cert.pem",
            "pending/services/aws.env",
            "revoking/hosts/web1/tls/cert.pem",
            "keys/backup",
            "keys/backup.age",
            "keys/former/7",
            "keys/hosts/web1.example.com",
        ] {
            assert_eq!(path.parse::<Place>().unwrap().to_string(), path);
        }
    }

    #[test]
    fn anything_else_has_no_place() {
        for path in [
            "",
            "aws.env",
            "services",
            "services/aws",
            "services/.env",
            "services/a.env/b",
            "services/a/b/c",
            "groups/aws.env",
            "etc/passwd",
            "keys/other",
            "keys/hosts",
            "keys/former/x",
            "history/07/services/a.env",
            "history/x/services/a.env",
            "services/-x.env",
            "Services/aws.env",
        ] {
            assert!(path.parse::<Place>().is_err(), "{path}");
        }
    }

    #[test]
    fn a_secret_prints_as_it_was_read() {
        for name in ["aws.KEY", "a.b.KEY", "tls/cert.pem", "groups/web/aws.KEY", "hosts/web1/tls/cert.pem"] {
            assert_eq!(name.parse::<SecretName>().unwrap().to_string(), name);
        }
        for name in ["", "aws", "aws.", ".KEY", "a/b/c", "aws.2KEY", "tls/.hidden", "groups/web"] {
            assert!(name.parse::<SecretName>().is_err() || name == "groups/web", "{name}");
        }
    }
}
