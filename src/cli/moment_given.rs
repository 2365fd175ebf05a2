//! `MomentGiven`: a point in time as people write it on a command line.

use crate::words::{Error, Period};
use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};
use std::str::FromStr;

/// A time, or how long ago.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MomentGiven {
    Time(DateTime<Utc>),
    Ago(Period),
}

impl MomentGiven {
    /// The time that is meant; one before all times is the first there is.
    pub fn time(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Time(time) => time,
            Self::Ago(period) => {
                let ago = i64::try_from(period.as_secs()).ok().and_then(chrono::TimeDelta::try_seconds);
                ago.and_then(|ago| now.checked_sub_signed(ago)).unwrap_or(DateTime::<Utc>::MIN_UTC)
            }
        }
    }
}

impl FromStr for MomentGiven {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self, Error> {
        if let Ok(time) = DateTime::parse_from_rfc3339(text) {
            return Ok(Self::Time(time.to_utc()));
        }
        for form in ["%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
            if let Ok(time) = NaiveDateTime::parse_from_str(text, form) {
                return Ok(Self::Time(time.and_utc()));
            }
        }
        if let Ok(day) = text.parse::<NaiveDate>() {
            return Ok(Self::Time(day.and_time(chrono::NaiveTime::MIN).and_utc()));
        }
        text.parse().map(Self::Ago).map_err(|_| {
            Error::new(format!("`{}` is not a time", text.escape_debug()))
                .hint("write 2026-11-20T12:00:00Z, 2026-11-20 12:00 (UTC), 2026-11-20, or 36h for that long ago")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_as_people_write_them() {
        let now: DateTime<Utc> = "2026-11-22T02:00:00Z".parse().unwrap();
        for (text, time) in [
            ("2026-11-20T12:00:00Z", "2026-11-20T12:00:00Z"),
            ("2026-11-20T12:00:00+02:00", "2026-11-20T10:00:00Z"),
            ("2026-11-20 12:00", "2026-11-20T12:00:00Z"),
            ("2026-11-20 12:00:30", "2026-11-20T12:00:30Z"),
            ("2026-11-20", "2026-11-20T00:00:00Z"),
            ("36h", "2026-11-20T14:00:00Z"),
            ("7d", "2026-11-15T02:00:00Z"),
        ] {
            assert_eq!(
                text.parse::<MomentGiven>().unwrap().time(now),
                time.parse::<DateTime<Utc>>().unwrap(),
                "{text}"
            );
        }
        for bad in ["", "yesterday", "2026-13-01", "12:00", "2026-11-20T25:00", "-3h"] {
            assert!(bad.parse::<MomentGiven>().is_err(), "{bad}");
        }
    }
}
