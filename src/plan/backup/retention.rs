//! `Retention`: which backups stay. Rules add up: what one of them keeps, stays.

use super::held;
use crate::plan::{DesiredSet, Purpose, RootFacts};
use crate::words::RunId;
use chrono::{Datelike, NaiveDate};
use std::collections::BTreeSet;

/// As restic's users know it: the newest, and the newest of each of so many days and weeks that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub last: Option<usize>,
    pub daily: Option<usize>,
    pub weekly: Option<usize>,
}

impl Retention {
    /// Does it say anything at all?
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// Those that go, the oldest first. Days are days in UTC, and weeks begin on Monday. `good` may be relied on; the newest of them never goes.
    pub fn surplus(&self, runs: &[RunId], good: impl Fn(&RunId) -> bool) -> Vec<RunId> {
        let mut newest_first: Vec<&RunId> = runs.iter().collect();
        newest_first.sort_unstable_by(|one, other| other.cmp(one));
        let mut kept: BTreeSet<&RunId> = newest_first.iter().take(self.last.unwrap_or(0)).copied().collect();
        kept.extend(newest_of_each(&newest_first, self.daily, |day| day));
        kept.extend(newest_of_each(&newest_first, self.weekly, |day| {
            day - chrono::Days::new(day.weekday().num_days_from_monday().into())
        }));
        kept.extend(newest_first.iter().copied().find(|run| good(run)));
        newest_first.into_iter().rev().filter(|run| !kept.contains(run)).cloned().collect()
    }
}

/// The newest of each of the last `count` periods that have one.
fn newest_of_each<'a>(
    newest_first: &[&'a RunId],
    count: Option<usize>,
    period: impl Fn(NaiveDate) -> NaiveDate,
) -> Vec<&'a RunId> {
    let mut seen = BTreeSet::new();
    let firsts = newest_first.iter().copied().filter(|run| seen.insert(period(run.time().date_naive())));
    firsts.take(count.unwrap_or(0)).collect()
}

/// The backups of a root that these rules do not keep, the oldest first; without a rule, what is more than the play keeps. That of the live
/// set stays as well, or the next deploy would seal it again.
pub fn to_prune(set: &DesiredSet, facts: &RootFacts, purpose: &Purpose, retention: Retention) -> Vec<RunId> {
    let retention = match retention.is_empty() {
        true => Retention { last: Some(set.keep as usize), ..retention },
        false => retention,
    };
    let held = held(set, facts, purpose);
    let runs: Vec<RunId> = held.iter().map(|one| one.run.clone()).collect();
    let is_good = |run: &RunId| held.iter().any(|one| one.run == *run && one.standing.is_good());
    let live = facts.live_run();
    retention.surplus(&runs, is_good).into_iter().filter(|run| live.as_ref() != Some(run)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(texts: &[&str]) -> Vec<RunId> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[track_caller]
    fn goes(retention: Retention, given: &[&str], good: impl Fn(&RunId) -> bool, expected: &[&str]) {
        let surplus: Vec<String> = retention.surplus(&runs(given), good).iter().map(ToString::to_string).collect();
        assert_eq!(surplus, expected);
    }

    const FIVE: [&str; 5] = [
        "1-20261101T020000Z-0001",
        "2-20261108T020000Z-0002",
        "3-20261109T020000Z-0003",
        "3-20261109T150000Z-0004",
        "4-20261110T020000Z-0005",
    ];

    #[test]
    fn the_last_stay() {
        let last = |count| Retention { last: Some(count), ..Retention::default() };
        goes(last(2), &FIVE, |_| true, &FIVE[..3]);
        goes(last(5), &FIVE, |_| true, &[]);
        goes(last(9), &FIVE, |_| true, &[]);
        goes(last(0), &FIVE, |_| true, &FIVE[..4]);
    }

    #[test]
    fn the_newest_good_one_never_goes() {
        let last = Retention { last: Some(1), ..Retention::default() };
        let good = runs(&FIVE[..2]);
        goes(last, &FIVE, |run| good.contains(run), &[FIVE[0], FIVE[2], FIVE[3]]);
        goes(last, &FIVE, |_| false, &FIVE[..4]);
    }

    #[test]
    fn of_each_day_and_each_week_the_newest_stays() {
        let daily = Retention { daily: Some(2), ..Retention::default() };
        goes(daily, &FIVE, |_| true, &[FIVE[0], FIVE[1], FIVE[2]]);
        // Weeks begin on Monday: the 1st and the 8th are Sundays.
        let weekly = Retention { weekly: Some(2), ..Retention::default() };
        goes(weekly, &FIVE, |_| true, &[FIVE[0], FIVE[2], FIVE[3]]);
        let both = Retention { daily: Some(2), weekly: Some(3), last: Some(1) };
        goes(both, &FIVE, |_| true, &[FIVE[2]]);
    }

    #[test]
    fn generations_order_what_clocks_do_not() {
        let jumped = ["7-20261110T020000Z-0001", "8-20251110T020000Z-0002"];
        goes(Retention { last: Some(1), ..Retention::default() }, &jumped, |_| true, &jumped[..1]);
    }
}
