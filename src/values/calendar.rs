//! Billing days, cycles and periods, in the account's own calendar.
//!
//! A billing day is a calendar date in the account's zone; periods are half-open runs of such dates.
//! Only [`midnight`] and [`local_day`] touch instants, so daylight saving is met in this file alone.

use std::fmt;

use chrono::{DateTime, Datelike, Days, LocalResult, Months, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc};
use chrono_tz::Tz;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// No zone is further from UTC than this, in either direction, with room to spare.
const OFFSET_MAX: TimeDelta = TimeDelta::hours(26);

/// A cycle that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error(
    "anchor day {anchor_day} is out of range; a monthly period starts on day 1 to 31 (31 is the last of a shorter month)"
)]
pub struct CycleError {
    /// The offender.
    pub anchor_day: u8,
}

/// How often an account is billed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", try_from = "CycleText")]
pub enum Cycle {
    /// From the anchor day of one month to that of the next.
    Monthly {
        /// 1..=31, clamped to the last day of a shorter month.
        anchor_day: u8,
    },
    /// Every day by itself.
    Daily,
}

/// [`Cycle`] as it is written, unchecked.
#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum CycleText {
    Monthly { anchor_day: u8 },
    Daily,
}

impl TryFrom<CycleText> for Cycle {
    type Error = CycleError;

    fn try_from(text: CycleText) -> Result<Self, CycleError> {
        match text {
            CycleText::Monthly { anchor_day } => Self::monthly(anchor_day),
            CycleText::Daily => Ok(Self::Daily),
        }
    }
}

/// Half-open `[start, end)`, in dates of the account's zone; never empty.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Period {
    /// The first day of it.
    pub start: NaiveDate,
    /// The first day after it.
    pub end: NaiveDate,
}

impl Cycle {
    /// A monthly cycle with an anchor day of 1..=31.
    ///
    /// # Errors
    /// Any other anchor day.
    pub fn monthly(anchor_day: u8) -> Result<Self, CycleError> {
        if (1..=31).contains(&anchor_day) {
            Ok(Self::Monthly { anchor_day })
        } else {
            Err(CycleError { anchor_day })
        }
    }

    /// The whole period of this cycle that `day` lies in.
    pub fn period_of(self, day: NaiveDate) -> Period {
        match self {
            Self::Daily => Period {
                start: day,
                end: next_day(day),
            },
            Self::Monthly { anchor_day } => {
                let this = anchor_in_month(day, anchor_day);
                if this <= day {
                    Period {
                        start: this,
                        end: anchor_in_month(month_after(day), anchor_day),
                    }
                } else {
                    Period {
                        start: anchor_in_month(month_before(day), anchor_day),
                        end: this,
                    }
                }
            }
        }
    }

    /// The period that follows without a gap. After a change of cycle the first one may be shorter than
    /// the cycle: it starts where the last one ended and ends where the cycle says.
    pub fn next(self, period: &Period) -> Period {
        Period {
            start: period.end,
            end: self.period_of(period.end).end,
        }
    }

    /// Where the counters of a period with this cycle start: with the period when it is monthly, with the
    /// calendar month when it is daily (rules, section 4).
    pub fn counters_from(self, period: &Period) -> NaiveDate {
        match self {
            Self::Monthly { .. } => period.start,
            Self::Daily => first_of_month(period.start),
        }
    }
}

impl Period {
    /// Whether `day` lies in it.
    pub fn contains(&self, day: NaiveDate) -> bool {
        self.start <= day && day < self.end
    }

    /// Its first instant and the first instant after it.
    pub fn bounds(&self, zone: Tz) -> (DateTime<Tz>, DateTime<Tz>) {
        (midnight(zone, self.start), midnight(zone, self.end))
    }

    /// The instant from which it may be closed: the midnight `grace_days` after its end.
    pub fn due_at(&self, zone: Tz, grace_days: u32) -> DateTime<Tz> {
        midnight(
            zone,
            self.end
                .checked_add_days(Days::new(u64::from(grace_days)))
                .unwrap_or(NaiveDate::MAX),
        )
    }
}

impl fmt::Display for Period {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "[{}, {})", self.start, self.end)
    }
}

/// The first instant that is on `date` in `zone`.
///
/// Where clocks go forward over midnight it is the first instant after the gap (a date that a zone left
/// out altogether begins with the date after it); where midnight comes twice it is the first of the two.
pub fn midnight(zone: Tz, date: NaiveDate) -> DateTime<Tz> {
    match zone.from_local_datetime(&date.and_time(NaiveTime::MIN)) {
        LocalResult::Single(instant) => instant,
        LocalResult::Ambiguous(one, other) => one.min(other),
        LocalResult::None => after_gap(zone, date),
    }
}

/// The date that calendars in `zone` show at `instant`: the billing day.
pub fn local_day(zone: Tz, instant: DateTime<Utc>) -> NaiveDate {
    instant.with_timezone(&zone).date_naive()
}

/// [`local_day`] of an instant in nanoseconds since 1970-01-01T00:00:00Z.
pub fn local_day_of_ns(zone: Tz, instant_ns: i64) -> NaiveDate {
    local_day(zone, DateTime::from_timestamp_nanos(instant_ns))
}

/// Bisects for the first second whose local time is not before the missing midnight of `date`.
fn after_gap(zone: Tz, date: NaiveDate) -> DateTime<Tz> {
    let missing = date.and_time(NaiveTime::MIN);
    let mut before = (missing - OFFSET_MAX).and_utc().timestamp();
    let mut after = (missing + OFFSET_MAX).and_utc().timestamp();
    let local = |second: i64| {
        let instant = DateTime::from_timestamp(second, 0).expect("within two days of a date");
        instant.with_timezone(&zone)
    };
    while before + 1 < after {
        let middle = before.midpoint(after);
        if local(middle).naive_local() < missing {
            before = middle;
        } else {
            after = middle;
        }
    }
    local(after)
}

/// The anchor day in the month of `day`, clamped to the month's end.
fn anchor_in_month(day: NaiveDate, anchor_day: u8) -> NaiveDate {
    let last = u32::from(day.num_days_in_month());
    day.with_day(u32::from(anchor_day).clamp(1, last))
        .expect("clamped to the month")
}

fn first_of_month(day: NaiveDate) -> NaiveDate {
    day.with_day(1).expect("every month has a first day")
}

fn next_day(day: NaiveDate) -> NaiveDate {
    day.succ_opt().expect("usage is not from the year 262142")
}

fn month_after(day: NaiveDate) -> NaiveDate {
    first_of_month(day)
        .checked_add_months(Months::new(1))
        .expect("usage is not from the year 262142")
}

fn month_before(day: NaiveDate) -> NaiveDate {
    first_of_month(day)
        .checked_sub_months(Months::new(1))
        .expect("usage is not from the year -262143")
}

/// Before and after every date that is written with a year of four digits, as the ledger's texts are.
pub fn all_days() -> (NaiveDate, NaiveDate) {
    let day = |year, month, day| NaiveDate::from_ymd_opt(year, month, day).expect("a date");
    (day(0, 1, 1), day(9999, 12, 31))
}

/// A date as days since 1970-01-01, the form in which dates are columns.
pub fn number_of_day(day: NaiveDate) -> i32 {
    day.to_epoch_days()
}

/// The date of a number of days since 1970-01-01.
pub fn day_of_number(number: i32) -> NaiveDate {
    NaiveDate::from_epoch_days(number).expect("dates in columns come from dates")
}

/// The month of a day, `YYYY-MM`.
pub fn month_text(day: NaiveDate) -> String {
    day.format("%Y-%m").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn date(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn zone(name: &str) -> Tz {
        name.parse().unwrap()
    }

    fn period(start: &str, end: &str) -> Period {
        Period {
            start: date(start),
            end: date(end),
        }
    }

    #[test]
    fn a_monthly_period_is_clamped_to_the_end_of_the_month() {
        let cycle = Cycle::monthly(31).unwrap();
        assert_eq!(cycle.period_of(date("2024-02-28")), period("2024-01-31", "2024-02-29"));
        assert_eq!(cycle.period_of(date("2024-02-29")), period("2024-02-29", "2024-03-31"));
        assert_eq!(cycle.period_of(date("2023-03-01")), period("2023-02-28", "2023-03-31"));
        assert_eq!(cycle.period_of(date("2024-12-31")), period("2024-12-31", "2025-01-31"));
        assert_eq!(
            Cycle::monthly(1).unwrap().period_of(date("2024-11-30")),
            period("2024-11-01", "2024-12-01")
        );
    }

    #[test]
    fn the_first_period_after_a_change_of_cycle_starts_where_the_last_one_ended() {
        let november = period("2024-11-01", "2024-12-01");
        assert_eq!(
            Cycle::monthly(15).unwrap().next(&november),
            period("2024-12-01", "2024-12-15")
        );
        assert_eq!(Cycle::Daily.next(&november), period("2024-12-01", "2024-12-02"));
    }

    #[test]
    fn counters_start_with_the_month_of_a_daily_period() {
        let day = period("2024-11-17", "2024-11-18");
        assert_eq!(Cycle::Daily.counters_from(&day), date("2024-11-01"));
        assert_eq!(Cycle::monthly(17).unwrap().counters_from(&day), date("2024-11-17"));
    }

    #[test]
    fn an_anchor_day_outside_1_to_31_is_refused_in_code_and_in_json() {
        assert!(Cycle::monthly(0).is_err() && Cycle::monthly(32).is_err());
        let error = serde_json::from_str::<Cycle>(r#"{"monthly":{"anchor_day":32}}"#).unwrap_err();
        assert!(error.to_string().contains("anchor day 32"), "{error}");
        for cycle in [Cycle::Daily, Cycle::Monthly { anchor_day: 31 }] {
            let text = serde_json::to_string(&cycle).unwrap();
            assert_eq!(serde_json::from_str::<Cycle>(&text).unwrap(), cycle);
        }
    }

    #[test]
    fn midnight_is_the_first_instant_of_the_date_in_gaps_and_overlaps() {
        let at = |name: &str, day: &str| midnight(zone(name), date(day)).to_rfc3339();
        assert_eq!(at("Asia/Shanghai", "2024-11-01"), "2024-11-01T00:00:00+08:00");
        assert_eq!(at("America/New_York", "2024-11-03"), "2024-11-03T00:00:00-04:00");
        // Clocks go from 00:00 to 01:00.
        assert_eq!(at("America/Sao_Paulo", "2018-11-04"), "2018-11-04T01:00:00-02:00");
        // Clocks go from 24:00 back to 23:00: the date begins after the hour was repeated.
        assert_eq!(at("America/Sao_Paulo", "2018-02-18"), "2018-02-18T00:00:00-03:00");
        // Clocks go from 01:00 back to 00:00: midnight comes twice.
        assert_eq!(at("America/Havana", "2024-11-03"), "2024-11-03T00:00:00-04:00");
        // Samoa had no 30 December 2011.
        assert_eq!(at("Pacific/Apia", "2011-12-30"), "2011-12-31T00:00:00+14:00");
        assert_eq!(at("UTC", "2024-02-29"), "2024-02-29T00:00:00+00:00");
    }

    #[test]
    fn exactly_midnight_belongs_to_the_day_that_begins() {
        let shanghai = zone("Asia/Shanghai");
        let instant = "2024-10-31T16:00:00Z".parse::<DateTime<Utc>>().unwrap();
        assert_eq!(local_day(shanghai, instant), date("2024-11-01"));
        let nanoseconds = instant.timestamp_nanos_opt().unwrap();
        assert_eq!(local_day_of_ns(shanghai, nanoseconds), date("2024-11-01"));
        assert_eq!(local_day_of_ns(shanghai, nanoseconds - 1), date("2024-10-31"));
        assert_eq!(local_day_of_ns(zone("UTC"), -1), date("1969-12-31"));
    }

    #[test]
    fn a_period_is_due_when_its_grace_has_passed_in_the_account_zone() {
        let due = period("2024-11-01", "2024-12-01").due_at(zone("Asia/Shanghai"), 3);
        assert_eq!(due.to_rfc3339(), "2024-12-04T00:00:00+08:00");
    }

    proptest! {
        #[test]
        fn periods_follow_each_other_without_gap_or_overlap(offset in 0_u64..20_000, anchor_day in 1_u8..=31) {
            let day = date("1990-01-01") + Days::new(offset);
            for cycle in [Cycle::Monthly { anchor_day }, Cycle::Daily] {
                let period = cycle.period_of(day);
                prop_assert!(period.contains(day));
                prop_assert_eq!(cycle.next(&period), cycle.period_of(period.end));
                prop_assert_eq!(cycle.period_of(period.end).start, period.end);
            }
        }

        #[test]
        fn midnight_splits_days_in_every_zone(offset in 0_u64..9_000, at in 0..chrono_tz::TZ_VARIANTS.len()) {
            let zone = chrono_tz::TZ_VARIANTS[at];
            let day = date("2012-01-01") + Days::new(offset);
            let first = midnight(zone, day);
            prop_assert!(first.date_naive() == day || zone.from_local_datetime(&day.and_hms_opt(12, 0, 0).unwrap()).single().is_none());
            prop_assert!((first - TimeDelta::seconds(1)).date_naive() < day);
        }
    }
}
