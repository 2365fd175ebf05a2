//! When a unit or a container was started: what systemd's and docker's (or podman's) own commands say.

use crate::plan::Instance;
use crate::words::printable;
use chrono::{DateTime, NaiveDateTime};

/// What runs; nothing where nothing does, or nobody could say.
pub(super) fn instances(body: &[u8]) -> Vec<Instance> {
    let text = String::from_utf8_lossy(body);
    unit(&text).into_iter().chain(text.lines().filter_map(container)).collect()
}

/// `KEY=value` lines of `systemctl show`, with times in UTC.
fn unit(text: &str) -> Option<Instance> {
    let value = |key: &str| text.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix('='));
    let time = |key: &str| {
        let time = NaiveDateTime::parse_from_str(value(key)?, "%a %Y-%m-%d %H:%M:%S UTC").ok()?;
        Some(time.and_utc().timestamp())
    };
    if !["active", "reloading"].contains(&value("ActiveState")?) {
        return None;
    }
    let started = time("ActiveEnterTimestamp")?;
    let changed = time("StateChangeTimestamp").unwrap_or(started).max(started);
    Some(Instance { name: String::new(), made: started, started, changed })
}

/// `true "CREATED" "STARTED" /NAME`, times as RFC 3339 has them.
fn container(line: &str) -> Option<Instance> {
    let mut fields = line.splitn(4, ' ');
    if fields.next()? != "true" {
        return None;
    }
    let mut time = || DateTime::parse_from_rfc3339(fields.next()?.trim_matches('"')).ok().map(|time| time.timestamp());
    let (made, started) = (time()?, time()?);
    let name = printable(fields.next()?.trim_start_matches('/').as_bytes(), 128);
    Some(Instance { name, made, started, changed: started })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_that_runs() {
        let text = "ActiveState=active\nActiveEnterTimestamp=Sun 2026-11-22 04:00:00 UTC\n\
            StateChangeTimestamp=Sun 2026-11-22 05:00:00 UTC\n";
        let started = 1_795_320_000;
        let expected = Instance { name: String::new(), made: started, started, changed: started + 3600 };
        assert_eq!(instances(text.as_bytes()), [expected]);
        assert_eq!(instances(b"ActiveState=inactive\nActiveEnterTimestamp=\n"), []);
    }

    #[test]
    fn containers_that_run() {
        let text =
            "true \"2026-11-22T04:00:00.5Z\" \"2026-11-22T06:00:00.123456789+01:00\" /api\nfalse \"x\" \"y\" /old\n";
        let made = 1_795_320_000;
        let expected = Instance { name: "api".to_owned(), made, started: made + 3600, changed: made + 3600 };
        assert_eq!(instances(text.as_bytes()), [expected]);
    }
}
