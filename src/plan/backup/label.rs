//! `Label`: `backup.toml` in a backup: whose it is, which run made it, and of each file what the run recorded. No values.

use super::Why;
use crate::dialect::Dialect;
use crate::plan::{DesiredFile, DesiredSet, policy};
use crate::playbook::Format;
use crate::words::{Error, HostName, Mode, PlayName, Result, RunId, ServiceName, as_text, printable};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

const VERSION: u64 = 1;

/// What a backup says of itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Label {
    version: u64,
    /// The id of the bundle that it was made from.
    pub bundle: String,
    pub host: HostName,
    pub play: PlayName,
    /// Where on the host the set lay.
    pub root: String,
    #[serde(with = "as_text")]
    pub run: RunId,
    #[serde(with = "as_text")]
    pub why: Why,
    /// Of what was read back from a host: the run whose set was live.
    #[serde(default, with = "run", skip_serializing_if = "Option::is_none")]
    pub of: Option<RunId>,
    /// What had been put there, and somebody removed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub removed: Vec<String>,
    #[serde(rename = "file", default)]
    pub files: Vec<LabelledFile>,
}

/// A file of the set, as the run recorded it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabelledFile {
    /// In the set, and in the archive.
    pub path: String,
    /// `None` of a file that no service of the play had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub service: Option<ServiceName>,
    /// In what it is written. Labels from before there were others do not say it.
    #[serde(default = "docker", with = "as_text", skip_serializing_if = "is_docker")]
    pub format: Format,
    /// In hexadecimal.
    pub sha256: String,
    #[serde(with = "as_text")]
    pub mode: Mode,
    pub owner: String,
    pub group: String,
    /// The documents of the bundle that it was made of: `services/aws.env`.
    #[serde(default)]
    pub from: Vec<String>,
    /// Key -> the layer that gave its value, where that is not the common one: `groups/web`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub overrides: BTreeMap<String, String>,
    /// It was not what had been put there, or no link led to it: somebody changed it on the host.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub edited: bool,
}

fn docker() -> Format {
    Format::In(Dialect::Docker)
}

fn is_docker(format: &Format) -> bool {
    *format == Format::In(Dialect::Docker)
}

impl LabelledFile {
    /// With what the bundle says of it; who may read it is still to be said.
    pub(super) fn of(path: &str, sha256: String, wanted: Option<&DesiredFile>) -> Self {
        let origin = wanted.map(|file| file.origin.clone()).unwrap_or_default();
        Self {
            path: path.to_owned(),
            service: None,
            format: wanted.map_or(Format::In(Dialect::Docker), |file| file.format),
            sha256,
            mode: policy::FILE,
            owner: String::new(),
            group: String::new(),
            from: origin.documents.iter().map(ToString::to_string).collect(),
            overrides: origin.overrides.iter().map(|(key, scope)| (key.to_string(), scope.to_string())).collect(),
            edited: false,
        }
    }
}

impl Label {
    pub(super) fn of_set(set: &DesiredSet, run: &RunId, why: Why, bundle_id: &str) -> Self {
        let file = |file: &DesiredFile| LabelledFile {
            service: Some(file.service.clone()),
            mode: file.mode,
            owner: file.owner.to_string(),
            group: file.group.to_string(),
            ..LabelledFile::of(&file.path, file.sha256.clone(), Some(file))
        };
        Self { files: set.files.iter().map(file).collect(), ..Self::empty(set, run, why, bundle_id) }
    }

    /// Of this play on this host, without a file yet.
    pub fn empty(set: &DesiredSet, run: &RunId, why: Why, bundle_id: &str) -> Self {
        Self {
            version: VERSION,
            bundle: bundle_id.to_owned(),
            host: set.host.clone(),
            play: set.play.clone(),
            root: set.root.as_str().to_owned(),
            run: run.clone(),
            why,
            of: None,
            removed: Vec::new(),
            files: Vec::new(),
        }
    }

    /// Why it does not belong here: to this play of this host, under the name of this run, to this bundle.
    pub fn is_not_of(&self, set: &DesiredSet, run: &RunId, bundle_id: &str) -> Option<String> {
        let Self { host, root, .. } = self;
        match () {
            () if self.bundle != bundle_id => {
                Some(format!("it is of another bundle ({})", printable(self.bundle.as_bytes(), 64)))
            }
            () if *host != set.host => Some(format!("it is the backup of another host, {host}")),
            () if *root != set.root.as_str() => {
                Some(format!("it is the backup of another place, {}", printable(root.as_bytes(), 200)))
            }
            () if self.run != *run => Some(format!("it is the backup of another run, {}", self.run)),
            () => None,
        }
    }

    /// What it says of the file with this path.
    pub fn file(&self, path: &str) -> Option<&LabelledFile> {
        self.files.iter().find(|file| file.path == path)
    }

    pub(super) fn to_toml(&self) -> Result<String> {
        toml::to_string(self).map_err(|_| Error::new("the label of the backup cannot be written"))
    }

    pub(super) fn from_toml(bytes: &[u8]) -> Result<Self> {
        #[derive(Deserialize)]
        struct Head {
            version: u64,
        }
        let wrong = || Error::new("its label is not what it should be");
        let text = std::str::from_utf8(bytes).map_err(|_| wrong())?;
        let head: Head = toml::from_str(text).map_err(|_| wrong())?;
        if head.version != VERSION {
            return Err(Error::new(format!("its label is version {}, made by a newer distribute", head.version)));
        }
        toml::from_str(text).map_err(|_| wrong())
    }
}

/// A run that may be missing.
mod run {
    use super::*;
    use serde::{Deserializer, Serializer};

    pub fn serialize<S: Serializer>(run: &Option<RunId>, to: S) -> Result<S::Ok, S::Error> {
        run.as_ref().map(ToString::to_string).serialize(to)
    }

    pub fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<RunId>, D::Error> {
        as_text::deserialize(from).map(Some)
    }
}
