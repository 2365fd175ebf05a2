//! `ServiceGlob`: an entry of `include`: `*`, `api-*`, or the name of one service.

use crate::words::{Error, Glob, Result, ServiceName};
use std::fmt;
use std::str::FromStr;

/// A name or a glob of services, 128 characters at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceGlob(Glob);

impl ServiceGlob {
    /// Is this service meant?
    pub fn matches(&self, service: &ServiceName) -> bool {
        self.0.matches(service.as_str())
    }

    /// The one service that is meant, if there is no wildcard.
    pub fn exact(&self) -> Option<ServiceName> {
        self.0.is_plain().then(|| ServiceName::new(self.0.as_str()).ok()).flatten()
    }
}

impl FromStr for ServiceGlob {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*?[]!".contains(&b);
        let glob = Glob::new(text);
        if glob.is_plain() {
            ServiceName::new(text)?;
        }
        if text.len() > 128 || !text.bytes().all(allowed) {
            return Err(Error::new(format!("`{}` is not a service or a glob of services", text.escape_debug()))
                .hint("write \"*\", \"api-*\" or the name of a service"));
        }
        Ok(Self(glob))
    }
}

impl fmt::Display for ServiceGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_are_told_apart() {
        let service = |name| ServiceName::new(name).unwrap();
        let glob = |text: &str| text.parse::<ServiceGlob>().unwrap();
        assert_eq!(glob("aws").exact(), Some(service("aws")));
        assert_eq!(glob("api-*").exact(), None);
        assert!(glob("api-*").matches(&service("api-v2")) && !glob("api-*").matches(&service("aws")));
        assert_eq!(glob("api-[!x]*").to_string(), "api-[!x]*");
        for bad in ["", "a b", "a/b", "../x", "../*", "a\n*", "-x", "a[b", "ä*"] {
            assert!(bad.parse::<ServiceGlob>().is_err(), "{bad:?}");
        }
    }
}
