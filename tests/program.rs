//! The remote program under test directly: real shells, real files, and the bytes that go over the wire.

#[path = "support/remote_shell.rs"]
mod remote_shell;

#[path = "program/audits.rs"]
mod audits;
#[path = "program/counts.rs"]
mod counts;
#[path = "program/drills.rs"]
mod drills;
#[path = "program/faults.rs"]
mod faults;
#[path = "program/fences.rs"]
mod fences;
#[path = "program/kills.rs"]
mod kills;
#[path = "program/locks.rs"]
mod locks;
#[path = "program/payloads.rs"]
mod payloads;
#[path = "program/returns.rs"]
mod returns;
#[path = "program/state.rs"]
mod state;
#[path = "program/stories.rs"]
mod stories;
#[path = "program/strange.rs"]
mod strange;
