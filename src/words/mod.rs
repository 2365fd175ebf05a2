//! The smallest nouns. This room knows nobody; everybody knows it.

mod error;
mod failure;
mod generator;
mod glob;
mod key_pair;
mod mode;
mod name;
mod outcome;
mod pattern;
mod period;
mod printable;
mod redact;
mod remote_path;
mod run_id;
mod secret;
mod suggestion;
mod toml_files;
mod toml_table;

pub use error::{Error, Result};
pub use failure::{Failure, Phase};
pub use generator::{Generated, Generator, Random};
pub use glob::Glob;
pub use mode::Mode;
pub use name::{FileName, GroupName, HostName, KeyName, PlayName, Principal, ServiceName};
pub use outcome::Outcome;
pub use pattern::{Join, Names, Pattern, Subscript, Term};
pub use period::Period;
pub use printable::printable;
pub use redact::redact;
pub use remote_path::RemotePath;
pub use run_id::RunId;
pub use secret::Secret;
pub use suggestion::{named, nearest};
pub use toml_files::TomlFiles;
pub use toml_table::TomlTable;
