//! `RemotePath`: an absolute path on a host, normal and printable. It is data to the remote program, never text it evaluates.

use super::{Error, Result};
use std::fmt;
use std::str::FromStr;

/// A path without a trailing slash, 1024 bytes at most.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RemotePath(String);

impl RemotePath {
    /// Takes an absolute path without `.`, `..`, empty parts or control characters; a trailing slash is dropped.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text: String = text.into();
        let reason = if !text.starts_with('/') {
            "it is not absolute"
        } else if text.len() > 1024 {
            "it is longer than 1024 bytes"
        } else if text.chars().any(char::is_control) {
            "it holds a control character"
        } else if text.trim_end_matches('/').is_empty() {
            "it is the root of the file system"
        } else if text.trim_end_matches('/')[1..].split('/').any(|part| matches!(part, "" | "." | "..")) {
            "it has an empty, `.` or `..` part"
        } else {
            return Ok(Self(text.trim_end_matches('/').to_owned()));
        };
        Err(Error::new(format!("`{}` is not a path for secrets: {reason}", text.escape_debug())))
    }

    /// The path as it is sent to the host.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// `/`, every directory on the way, and the path itself.
    pub fn way(&self) -> impl Iterator<Item = &str> {
        let above = self.0.match_indices('/').skip(1).map(|(at, _)| &self.0[..at]);
        std::iter::once("/").chain(above).chain([self.as_str()])
    }

    /// The path of something below, for a report.
    pub fn join(&self, below: &str) -> String {
        format!("{}/{below}", self.0)
    }
}

impl FromStr for RemotePath {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for RemotePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_absolute_paths() {
        for bad in ["", "/", "//", "opt/x", "/opt/../etc", "/opt//x", "/opt/./x", "/opt/x\n", "/opt/\u{1b}[31m"] {
            assert!(RemotePath::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(RemotePath::new("/opt/x/").unwrap().as_str(), "/opt/x");
        assert_eq!(
            RemotePath::new("/opt/my/x").unwrap().way().collect::<Vec<_>>(),
            ["/", "/opt", "/opt/my", "/opt/my/x"]
        );
    }
}
