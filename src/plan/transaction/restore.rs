//! A transaction that brings back what was: the set before by one rename, or a new set of old contents. What goes out of sight is sealed first.

use super::{Builder, Transaction};
use crate::plan::backup::Backup;
use crate::plan::{DesiredSet, Purpose, RootFacts};
use crate::words::Failure;

impl Transaction {
    /// `want` is what is brought back, from the set `before` if that is still there; `replaced` is what is live now, where nothing sealed says it yet.
    ///
    /// # Errors
    /// Where nothing may be written, as for a push.
    pub fn restore(
        want: &DesiredSet,
        facts: &RootFacts,
        uid: u32,
        purpose: &Purpose,
        before: Option<&str>,
        replaced: Option<&Backup>,
    ) -> Result<Self, Failure> {
        let mut builder = Builder::of(want, facts, uid, purpose)?;
        builder.before = before.map(str::to_owned);
        builder.replaced = replaced;
        builder.compare()?;
        Ok(builder.out)
    }
}
