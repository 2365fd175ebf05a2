//! (being built)

mod endpoint;

pub use endpoint::{Connection, Endpoint, Escalation};
