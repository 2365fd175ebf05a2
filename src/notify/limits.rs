//! `Limits`: how long is tried to tell somebody.

use std::time::Duration;

/// Of one message.
#[derive(Clone, Debug)]
pub struct Limits {
    /// For one try, from the name of the host to its answer; for a mail, until sendmail has taken it.
    pub one_try: Duration,
    /// Before each further try; there is one more try than pauses.
    pub pauses: Vec<Duration>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { one_try: Duration::from_secs(10), pauses: vec![Duration::from_secs(1), Duration::from_secs(4)] }
    }
}
