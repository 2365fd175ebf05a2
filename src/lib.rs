//! The map of the house, in the order data flows. Each room imports only from rooms below it; `tests/floors.rs` checks that.

pub mod words;

pub mod dialect;

pub mod bundle;
pub mod import;
pub mod inventory;
pub mod playbook;

pub mod plan;

pub mod notify;
pub mod provider;
pub mod remote;
pub mod report;
pub mod shelf;
pub mod transport;

pub mod engine;

pub mod cli;
