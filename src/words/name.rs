//! Names, checked once at the door and safe in a path, a request and a terminal ever after.

use super::{Error, Result};
use std::fmt;
use std::str::FromStr;

const LONGEST: usize = 128;

/// `[A-Za-z0-9._-]`, no leading dot or dash, 128 characters at most: no traversal, no option, no escape.
fn check(kind: &str, text: &str) -> Result<()> {
    let reason = if text.is_empty() {
        "it is empty"
    } else if text.len() > LONGEST {
        "it is longer than 128 characters"
    } else if text.starts_with('.') {
        "it starts with a dot"
    } else if text.starts_with('-') {
        "it starts with a dash"
    } else if !text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-')) {
        "only letters, digits, `.`, `_` and `-` are allowed"
    } else {
        return Ok(());
    };
    Err(Error::new(format!("`{}` is not a {kind} name: {reason}", text.escape_debug())))
}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            /// Takes the text only if it is such a name.
            pub fn new(text: impl Into<String>) -> Result<Self> {
                let text = text.into();
                check($kind, &text)?;
                Ok(Self(text))
            }

            /// The name as written.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl FromStr for $type {
            type Err = Error;

            fn from_str(text: &str) -> Result<Self> {
                Self::new(text)
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(&self.0)
            }
        }

        impl fmt::Debug for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", self.0)
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&self.0)
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = String::deserialize(deserializer)?;
                Self::new(text).map_err(serde::de::Error::custom)
            }
        }
    };
}

name!(
    /// A host as the inventory calls it; its address is another thing.
    HostName, "host"
);
name!(
    /// A group of the inventory.
    GroupName, "group"
);
name!(
    /// What secrets belong to; bundle, playbook and hosts call it the same.
    ServiceName, "service"
);
name!(
    /// A play of the playbook, as reports name it.
    PlayName, "play"
);
name!(
    /// A file of a service, or the name of its env file on a host.
    FileName, "file"
);
name!(
    /// A user or group on a host, by name or by number.
    Principal, "user or group"
);

/// The key of a value in an env file: `[A-Za-z_][A-Za-z0-9_-]*`. It holds no dot, so `service.KEY` splits at the last one.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyName(String);

impl KeyName {
    /// Takes the text only if it is such a name, of 128 characters at most.
    pub fn new(text: impl Into<String>) -> Result<Self> {
        let text = text.into();
        let head = text.bytes().next().is_some_and(|b| b.is_ascii_alphabetic() || b == b'_');
        let tail = text.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-'));
        if head && tail && text.len() <= LONGEST {
            return Ok(Self(text));
        }
        Err(Error::new(format!("`{}` is not a key name", text.escape_debug()))
            .hint("a key starts with a letter or `_` and holds letters, digits, `_` and `-`"))
    }

    /// The key as written.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for KeyName {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        Self::new(text)
    }
}

impl fmt::Display for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for KeyName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_travel_are_refused() {
        for bad in ["", ".", "..", ".x", "-x", "a/b", "a b", "a\nb", "a\0b", "ä", "$(x)", "a;b", &"x".repeat(129)] {
            assert!(ServiceName::new(bad).is_err(), "{bad:?}");
        }
        for good in ["aws", "github-oidc", "web01.example.com", "a_b", "1"] {
            assert_eq!(ServiceName::new(good).unwrap().as_str(), good);
        }
    }

    #[test]
    fn keys_have_no_dot() {
        for bad in ["", "1A", "A.B", "A B", "A=B", "-A", "A\n"] {
            assert!(KeyName::new(bad).is_err(), "{bad:?}");
        }
        assert_eq!(KeyName::new("AWS_SECRET").unwrap().as_str(), "AWS_SECRET");
    }
}
