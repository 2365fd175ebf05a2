//! How readers read: each makes assignments of a file, or says why it makes none of a line.

mod assignment;
pub mod compose;
mod cursor;
pub mod docker;
pub mod dotenv;
pub mod json;
pub mod kubernetes;
mod quoted_env;
pub mod shell;
pub mod systemd;

pub use assignment::{Assignment, NO_EQUALS, pairs};
