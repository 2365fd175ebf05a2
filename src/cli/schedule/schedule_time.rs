//! `ScheduleTime`: when a job runs, as people write it: `Sun 02:00`, `1st 05:00`, or `03:00` for its usual day. It leaves as systemd's calendar and
//! as the five fields of a crontab.

use crate::words::{Error, Result, named};
use std::fmt;
use std::str::FromStr;

/// A minute of a day by the local clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScheduleTime {
    day: Day,
    hour: u8,
    minute: u8,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Day {
    Every,
    /// As cron counts: 0 is Sunday.
    Weekday(usize),
    /// Of each month.
    First,
}

const DAYS: [(&str, &str); 7] = [
    ("sun", "sunday"),
    ("mon", "monday"),
    ("tue", "tuesday"),
    ("wed", "wednesday"),
    ("thu", "thursday"),
    ("fri", "friday"),
    ("sat", "saturday"),
];
/// As systemd writes them.
const SHOWN: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

impl ScheduleTime {
    /// Of a job that runs once a week: without a weekday on Sunday.
    pub const fn weekly(self) -> Self {
        self.unless_given(Day::Weekday(0))
    }

    /// Of a job that runs once a month: without a day on the first.
    pub const fn monthly(self) -> Self {
        self.unless_given(Day::First)
    }

    const fn unless_given(self, day: Day) -> Self {
        match self.day {
            Day::Every => Self { day, ..self },
            Day::Weekday(_) | Day::First => self,
        }
    }

    /// For `OnCalendar=`.
    pub fn calendar(&self) -> String {
        let date = match self.day {
            Day::Every => "*-*-*".to_owned(),
            Day::Weekday(day) => format!("{} *-*-*", SHOWN[day]),
            Day::First => "*-*-01".to_owned(),
        };
        format!("{date} {:02}:{:02}:00", self.hour, self.minute)
    }

    /// The first five fields of a line of a crontab.
    pub fn cron(&self) -> String {
        let date = match self.day {
            Day::Every => "* * *".to_owned(),
            Day::Weekday(day) => format!("* * {day}"),
            Day::First => "1 * *".to_owned(),
        };
        format!("{} {} {date}", self.minute, self.hour)
    }
}

impl FromStr for ScheduleTime {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let words: Vec<&str> = text.split_whitespace().collect();
        let (day, clock) = match words[..] {
            [clock] => (Day::Every, clock),
            ["1st", clock] => (Day::First, clock),
            [day, clock] => (Day::Weekday(weekday(day)?), clock),
            _ => return Err(wrong(text)),
        };
        let (hour, minute) = clock.split_once(':').ok_or_else(|| wrong(text))?;
        let number = |digits: &str, limit: u8| {
            let is_two = digits.len() == 2 && digits.bytes().all(|b| b.is_ascii_digit());
            digits.parse().ok().filter(|number| is_two && *number < limit).ok_or_else(|| wrong(text))
        };
        Ok(Self { day, hour: number(hour, 24)?, minute: number(minute, 60)? })
    }
}

fn weekday(text: &str) -> Result<usize> {
    let typed = text.to_lowercase();
    if let Some(day) = DAYS.iter().position(|(_, long)| *long == typed) {
        return Ok(day);
    }
    let names: Vec<(&'static str, usize)> = DAYS.iter().enumerate().map(|(day, (short, _))| (*short, day)).collect();
    named(&typed, "a weekday", &names)
}

fn wrong(text: &str) -> Error {
    Error::new(format!("`{}` is not a time to run at", text.escape_debug()))
        .hint("write a time, 03:00, or with a weekday before it: Sun 02:00")
}

impl fmt::Display for ScheduleTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let day = match self.day {
            Day::Every => String::new(),
            Day::Weekday(day) => format!("{} ", SHOWN[day]),
            Day::First => "1st ".to_owned(),
        };
        f.pad(&format!("{day}{:02}:{:02}", self.hour, self.minute))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_gives_both_calendars() {
        for (text, shown, calendar, cron) in [
            ("Sun 02:00", "Sun 02:00", "Sun *-*-* 02:00:00", "0 2 * * 0"),
            ("saturday 23:59", "Sat 23:59", "Sat *-*-* 23:59:00", "59 23 * * 6"),
            ("03:05", "03:05", "*-*-* 03:05:00", "5 3 * * *"),
            (" MON  00:00 ", "Mon 00:00", "Mon *-*-* 00:00:00", "0 0 * * 1"),
            ("1st 05:10", "1st 05:10", "*-*-01 05:10:00", "10 5 1 * *"),
        ] {
            let time: ScheduleTime = text.parse().unwrap();
            assert_eq!((time.to_string(), time.calendar(), time.cron()), (shown.into(), calendar.into(), cron.into()));
            assert_eq!(time.to_string().parse::<ScheduleTime>().unwrap(), time);
        }
    }

    #[test]
    fn without_a_weekday_a_weekly_job_runs_on_sunday() {
        let time = |text: &str| text.parse::<ScheduleTime>().unwrap();
        assert_eq!(time("23:30").weekly(), time("Sun 23:30"));
        assert_eq!(time("Sat 23:30").weekly(), time("Sat 23:30"));
        assert_eq!(time("23:30").monthly(), time("1st 23:30"));
        assert_eq!(time("Sat 23:30").monthly(), time("Sat 23:30"));
    }

    #[test]
    fn other_times_are_refused_with_a_hint() {
        for bad in ["", "24:00", "03:60", "3:00", "+3:00", "03", "03:00:00", "Sun", "Sun 02:00 x", "03:0a", "02:00 Sun"]
        {
            let error = bad.parse::<ScheduleTime>().unwrap_err();
            assert!(!error.hints().is_empty(), "{bad}: {error}");
        }
        let error = "Snu 02:00".parse::<ScheduleTime>().unwrap_err();
        assert_eq!(
            (error.message(), error.hints()),
            ("`snu` is not a weekday", &["did you mean `sun`?".to_owned()][..])
        );
    }
}
