//! `Deadlines`: how long each phase on the way to a host may take. Keepalives do not replace them: they never fire
//! while a socket is blocked, or while only the remote program hangs.

use std::time::Duration;

/// One limit a phase; a phase that takes longer is a failure.
#[derive(Clone, Copy, Debug)]
pub struct Deadlines {
    pub resolve: Duration,
    /// For each address of a host.
    pub connect: Duration,
    /// The banner and the key exchange.
    pub handshake: Duration,
    pub auth: Duration,
    /// Opening the channel that a command runs in.
    pub open: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            resolve: Duration::from_secs(5),
            connect: Duration::from_secs(10),
            handshake: Duration::from_secs(15),
            auth: Duration::from_secs(30),
            open: Duration::from_secs(15),
        }
    }
}

impl Deadlines {
    /// The default, with no phase longer than `limit`.
    pub fn with_limit(limit: Duration) -> Self {
        let usual = Self::default();
        Self {
            resolve: usual.resolve.min(limit),
            connect: usual.connect.min(limit),
            handshake: usual.handshake.min(limit),
            auth: usual.auth.min(limit),
            open: usual.open.min(limit),
        }
    }
}

/// A deadline as messages show it.
pub(super) fn shown(length: Duration) -> String {
    format!("{} s", length.as_secs_f64())
}
