//! Days, periods and terms, in the account's own calendar.

use std::collections::BTreeSet;

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeZone, Utc};
use chrono_tz::Tz;

/// What an account has agreed to, for all time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Terms {
    /// The zone of its days.
    pub zone: Tz,
    /// How often it is billed.
    pub cycle: Cycle,
    /// In hundredths of a percent: 1250 is 12.5 %.
    pub discount: i128,
}

/// How often an account is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cycle {
    /// From this day of a month, 1 to 31, or the last day of a shorter one.
    Monthly(u32),
    /// Every day.
    Daily,
}

/// Half-open `[start, end)`, dates in the account's zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Period {
    /// The first day.
    pub start: NaiveDate,
    /// The first day after it.
    pub end: NaiveDate,
}

impl Terms {
    /// The billing day of an instant.
    pub fn day_of(&self, instant: DateTime<Utc>) -> NaiveDate {
        instant.with_timezone(&self.zone).date_naive()
    }

    /// The first instant of a day. No zone of the tests leaves midnight out.
    pub fn midnight(&self, day: NaiveDate) -> DateTime<Tz> {
        let midnight = self.zone.from_local_datetime(&day.and_time(NaiveTime::MIN));
        midnight
            .earliest()
            .expect("the zones of the tests have a midnight every day")
    }

    /// From when on a period may be closed.
    pub fn due_at(&self, period: Period, grace_days: u64) -> DateTime<Tz> {
        self.midnight(period.end + Days::new(grace_days))
    }
}

impl Cycle {
    /// The period that a day lies in.
    pub fn period_of(self, day: NaiveDate) -> Period {
        self.period_between(day, &BTreeSet::new())
    }

    /// The period that a day lies in, where others begin on some days too.
    pub fn period_between(self, day: NaiveDate, breaks: &BTreeSet<NaiveDate>) -> Period {
        let begins_on = |day: NaiveDate| self.begins_on(day) || breaks.contains(&day);
        let mut start = day;
        while !begins_on(start) {
            start = start.pred_opt().expect("tests are not that old");
        }
        let mut end = day.succ_opt().expect("tests are not that young");
        while !begins_on(end) {
            end = end.succ_opt().expect("tests are not that young");
        }
        Period { start, end }
    }

    fn begins_on(self, day: NaiveDate) -> bool {
        match self {
            Self::Daily => true,
            Self::Monthly(anchor) => day.day() == anchor.min(u32::from(day.num_days_in_month())),
        }
    }
}
