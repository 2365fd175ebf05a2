//! `Secret`: bytes that cannot print themselves and are wiped when dropped.

use std::fmt;
use zeroize::Zeroizing;

/// A value, or a whole file that holds values. There is no `Display`; `expose` is the single way in.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes the bytes over; a copy that the caller keeps is not wiped.
    pub fn new(bytes: impl Into<Vec<u8>>) -> Self {
        Self(Zeroizing::new(bytes.into()))
    }

    /// The bytes themselves. Search for this word to find every place where a secret is looked at.
    pub fn expose(&self) -> &[u8] {
        &self.0
    }

    /// In bytes.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Does it hold no byte at all?
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Secret({} bytes)", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_only_the_length() {
        let secret = Secret::new(*b"poison");
        assert_eq!(format!("{secret:?}"), "Secret(6 bytes)");
        assert_eq!(format!("{:?}", Some(secret)), "Some(Secret(6 bytes))");
    }
}
