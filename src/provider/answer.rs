//! `Answer`: what a step that went well leaves us with.

use crate::words::Secret;

/// Of a step that ended with status 0 and left nothing running.
#[derive(Debug)]
pub struct Answer {
    /// What `generate` printed, without one newline at its end; empty for the other steps.
    pub value: Secret,
    /// The end of what it said, in one line without any secret, for who wants to see more.
    pub said: String,
}
