//! From sources to what is to become true on each host: pure and synchronous, so that it can be shown before it is done.
//!
//! `DesiredSet` is what a play wants on a host, made from inventory, playbook and bundle alone. `RootFacts` is what the host
//! says is there. `Transaction` is the difference: the steps that make it right, and what a report says about them.
//! `--check` stops there; a run sends it. It is one function for both.

mod audit;
pub mod backup;
mod baseline;
mod change;
mod contents;
mod desired;
mod difference;
mod enrolment;
pub mod entitlement;
mod facts;
mod filter;
mod finding;
mod flaw;
mod keys_in;
mod policy;
mod refusal;
mod rendering;
pub mod restore;
pub mod rotation;
mod rule;
mod step;
#[cfg(test)]
mod tests;
mod transaction;

pub use audit::{Audit, around, consumers};
pub use baseline::{Accepted, Baseline};
pub use change::{Change, FileChange, KeyChange};
pub use desired::{DesiredFile, DesiredService, DesiredSet};
pub use enrolment::{LOCAL, admit, override_groups, roots, wanted};
pub use facts::{HostFacts, Instance, Kind, Manifest, Mount, RootFacts, Stat};
pub use filter::{Filter, Sieved};
pub use finding::{Finding, Severity};
pub use flaw::{Flaw, FlawRule};
pub use refusal::lock_failure;
pub use rule::Rule;
pub use step::{Staged, Step};
pub use transaction::{Purpose, Transaction};
