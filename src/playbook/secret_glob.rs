//! `SecretGlob`: which secrets a policy means: `postgres.POSTGRES_PASSWORD`, `api.SESSION_*`, `tls/*.pem`. Without a scope in front
//! it means the secret wherever it has a value, overrides included; with `groups/web/` or `hosts/web1/` only that override.

use crate::words::{Error, Glob, Result};
use std::fmt;
use std::str::FromStr;

/// A name or a glob of secrets, 300 characters at most.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecretGlob {
    glob: Glob,
    is_scoped: bool,
}

impl SecretGlob {
    /// Is this secret meant? `name` is what it is called without its scope (`api.KEY`), `full` with it (`groups/web/api.KEY`).
    pub fn matches(&self, name: &str, full: &str) -> bool {
        self.glob.matches(if self.is_scoped { full } else { name })
    }

    /// Is one secret meant, by its name?
    pub fn is_plain(&self) -> bool {
        self.glob.is_plain()
    }
}

impl FromStr for SecretGlob {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let allowed = |b: u8| b.is_ascii_alphanumeric() || b"._-*?[]!/".contains(&b);
        let is_name = text.contains('.') || text.contains('/');
        if text.len() > 300 || !is_name || !text.bytes().all(allowed) || text.split('/').any(|part| part.is_empty()) {
            return Err(Error::new(format!("`{}` does not name secrets", text.escape_debug()))
                .hint("write SERVICE.KEY, a glob such as api.SESSION_* or api.*, or SERVICE/FILE for a file"));
        }
        let is_scoped =
            ["groups/", "hosts/"].iter().any(|scope| text.starts_with(scope)) && text.matches('/').count() > 1;
        Ok(Self { glob: Glob::new(text), is_scoped })
    }
}

impl fmt::Display for SecretGlob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.glob.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scope_in_front_narrows() {
        let glob = |text: &str| text.parse::<SecretGlob>().unwrap();
        let everywhere = glob("api.SESSION_*");
        assert!(everywhere.matches("api.SESSION_KEY", "groups/web/api.SESSION_KEY"));
        assert!(!everywhere.matches("api.PORT", "api.PORT"));
        let one = glob("groups/web/api.*");
        assert!(one.matches("api.KEY", "groups/web/api.KEY") && !one.matches("api.KEY", "api.KEY"));
        assert!(glob("tls/*.pem").matches("tls/key.pem", "hosts/web1/tls/key.pem"));
        assert!(glob("tls/key.pem").is_plain() && !everywhere.is_plain());
        for bad in ["", "api", "*", "api.KEY=x", "a b.c", "/api.K", "api//k", "api.K\n", "ä.K"] {
            assert!(bad.parse::<SecretGlob>().is_err(), "{bad:?}");
        }
    }
}
