//! `Consent`: whether something may be destroyed. On a terminal somebody is asked; elsewhere only `--yes` says so, and no variable does.

use super::Shared;
use super::prompt;
use crate::words::{Error, Result};
use std::io::IsTerminal;

/// Known before anything is opened or connected to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Consent {
    /// `--yes`, or nothing is destroyed with `--check`.
    Given,
    /// Somebody is there to be asked, once it is known what about.
    Ask,
}

impl Consent {
    /// `what` is going to be destroyed, as a sentence.
    ///
    /// # Errors
    /// When nobody is there to be asked, and `--yes` was not given.
    pub fn of(shared: &Shared, what: &str) -> Result<Self> {
        match () {
            () if shared.yes || shared.check => Ok(Self::Given),
            () if std::io::stdin().is_terminal() && !shared.is_json() => Ok(Self::Ask),
            () => Err(Error::new(format!("{what}, and there is nobody to ask; nothing was done"))
                .hint("look at it with --check, then say --yes")),
        }
    }

    /// Asks, where that is due.
    ///
    /// # Errors
    /// When the answer is anything but yes.
    pub fn ask(self, question: &str) -> Result<()> {
        match self {
            Self::Given => Ok(()),
            Self::Ask if prompt::is_yes(question)? => Ok(()),
            Self::Ask => Err(Error::new("not confirmed; nothing was changed")),
        }
    }
}
