//! Where sealed backups are kept besides the hosts: a directory, or a bucket of something that speaks S3. A shelf takes what is new and
//! never replaces or removes anything. What lies on it was sealed before it came here.

#[cfg(feature = "s3")]
mod account;
#[cfg(feature = "s3")]
mod bucket;
#[cfg(feature = "s3")]
mod carrier;
mod directory;
mod shelf_path;
#[cfg(feature = "s3")]
mod trouble;

use crate::words::{Error, Result};
use directory::Directory;
use shelf_path::ShelfPath;
use std::fmt;

/// More than this is neither put nor got: a sealed set is a few kilobytes.
const LARGEST: u64 = 256 << 20;

/// A place that was named with `--to`. Its calls block.
pub struct Shelf(Place);

enum Place {
    Directory(Directory),
    #[cfg(feature = "s3")]
    Bucket(bucket::Bucket),
}

/// How a `put` ended that did not fail.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Put {
    /// It is there now.
    Stored,
    /// The same bytes lay there.
    AlreadyThere,
}

impl Shelf {
    /// `s3://bucket/prefix`, or a directory, which `put` makes. `variable` reads the environment, of which a bucket needs the credentials.
    /// Nothing is connected to yet.
    pub fn open(to: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Self> {
        match to.strip_prefix("s3://") {
            Some(rest) => bucket(rest, variable),
            None if to.contains("://") => Err(Error::new("this is no place to keep backups in")
                .hint("name a directory, or s3://BUCKET/PREFIX; AWS_ENDPOINT_URL names a server other than Amazon's")),
            None => Ok(Self(Place::Directory(Directory::new(to)?))),
        }
    }

    /// Puts something new at `below/name`. The same bytes there already are no error, others are: nothing is ever replaced.
    pub fn put(&self, path: &str, bytes: Vec<u8>) -> Result<Put> {
        let path = ShelfPath::new(path)?;
        if bytes.len() as u64 > LARGEST {
            return Err(too_large().at(path));
        }
        match &self.0 {
            Place::Directory(directory) => directory.put(&path, &bytes),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.put(&path, bytes),
        }
    }

    /// The bytes that lie there, if anything does.
    pub fn get(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let path = ShelfPath::new(path)?;
        match &self.0 {
            Place::Directory(directory) => directory.get(&path),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.get(&path),
        }
    }

    /// All that `put` may have put here, sorted. What has another kind of name is somebody else's.
    pub fn list(&self) -> Result<Vec<String>> {
        let mut paths = match &self.0 {
            Place::Directory(directory) => directory.list()?,
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.list()?,
        };
        paths.sort();
        Ok(paths)
    }

    /// For messages: the directory, or `s3://bucket/prefix`.
    pub fn shown(&self) -> String {
        match &self.0 {
            Place::Directory(directory) => directory.shown(),
            #[cfg(feature = "s3")]
            Place::Bucket(bucket) => bucket.shown(),
        }
    }
}

impl fmt::Debug for Shelf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Shelf({})", self.shown())
    }
}

#[cfg(feature = "s3")]
fn bucket(rest: &str, variable: &dyn Fn(&str) -> Option<String>) -> Result<Shelf> {
    Ok(Shelf(Place::Bucket(bucket::Bucket::open(rest, variable)?)))
}

#[cfg(not(feature = "s3"))]
fn bucket(_: &str, _: &dyn Fn(&str) -> Option<String>) -> Result<Shelf> {
    Err(Error::new("this distribute was built without s3")
        .hint("build it with `cargo install --path . --locked --features s3`, or name a directory"))
}

/// The end of a `put` where something lies already.
fn compared(path: &ShelfPath, there: &[u8], bytes: &[u8]) -> Result<Put> {
    if there == bytes {
        return Ok(Put::AlreadyThere);
    }
    Err(Error::new("something else lies there already under this name; it stays as it is")
        .hint("nothing is ever replaced: look at what is there, or keep these in another place")
        .at(path))
}

fn too_large() -> Error {
    Error::new("it is larger than 256 MiB")
}
