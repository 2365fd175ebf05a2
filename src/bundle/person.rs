//! `Person`: who sits at the terminal, for keys that ask: the passphrase of an SSH key, the PIN or the touch of a hardware key.

use super::sealed::phrase;
use crate::words::{Secret, printable};
use age::secrecy::SecretString;

/// How to talk to whoever is there. Nobody is, unless the command line says so.
#[derive(Clone, Copy, Default)]
pub struct Person {
    /// Asks for something that is not shown; `None` if there was no answer.
    pub ask_hidden: Option<fn(&str) -> Option<Secret>>,
    /// Says something, such as: touch your key.
    pub tell: Option<fn(&str)>,
}

impl Person {
    /// The hidden answer of whoever is there.
    pub(super) fn hidden(&self, question: &str) -> Option<Secret> {
        self.ask_hidden.and_then(|ask| ask(question))
    }
}

/// What a plugin may want of him. What it says is foreign: it is escaped.
impl age::Callbacks for Person {
    fn display_message(&self, message: &str) {
        if let Some(tell) = self.tell {
            tell(&printable(message.as_bytes(), 300));
        }
    }

    fn confirm(&self, _message: &str, _yes: &str, _no: Option<&str>) -> Option<bool> {
        None
    }

    fn request_public_string(&self, _description: &str) -> Option<String> {
        None
    }

    fn request_passphrase(&self, description: &str) -> Option<SecretString> {
        phrase(&self.hidden(&printable(description.as_bytes(), 300))?)
    }
}
