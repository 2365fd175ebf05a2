//! (being built)

pub mod entitlement;
