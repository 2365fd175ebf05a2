//! `Error`: something *we* could not do, for a tired person to read: what, then how to go on.
//! A host's trouble is not an `Error` but a [`Failure`](super::Failure) in the report.

use std::fmt;

/// With our [`Error`], unless another is named.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// A message in lower case without a final period, hints on lines of their own, and the cause if there is one.
#[derive(Debug)]
pub struct Error {
    message: String,
    hints: Vec<String>,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl Error {
    /// Takes the message alone; hints, cause and place are added behind it.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hints: Vec::new(), source: None }
    }

    /// Adds what to do next, as a line of its own.
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Names the cause; it is printed behind the message.
    pub fn because(mut self, source: impl std::error::Error + Send + Sync + 'static) -> Self {
        self.source = Some(Box::new(source));
        self
    }

    /// Puts the place in front: `place: message`.
    pub fn at(mut self, place: impl fmt::Display) -> Self {
        self.message = format!("{place}: {}", self.message);
        self
    }

    /// The message with its places, without the cause.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do next, in the order in which it was added.
    pub fn hints(&self) -> &[String] {
        &self.hints
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        if let Some(source) = &self.source {
            write!(f, ": {source}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Error {}
