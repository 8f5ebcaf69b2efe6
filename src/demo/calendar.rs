//! The days and nights of the month: October 2026 in UTC+8, and the nights in which its usage comes.

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};

use crate::values::calendar::Cycle;

/// The month's first instant, 2026-10-01T00:00:00+08:00, in milliseconds since 1970.
pub(super) const START_MS: i64 = 1_790_784_000_000;

/// A day in milliseconds. UTC+8 knows no daylight saving.
pub(super) const DAY_MS: i64 = 86_400_000;

/// How many days the month has.
pub(super) const DAYS: usize = 31;

/// Night 0 is that of 2026-10-02; the last, that of 2026-11-05, is the one after the month's close.
pub(super) const NIGHTS: usize = 35;

/// The last night.
pub(super) const LAST_NIGHT: usize = NIGHTS - 1;

/// A night begins at 02:30 in UTC+8: the day before is complete, and nobody is awake.
const NIGHT_STARTS_MS: i64 = (2 * 60 + 30) * 60_000;

/// Days between a period's end and its close, as both cards say.
const GRACE_DAYS: i64 = 3;

/// The month's first day.
pub(super) fn first_day() -> NaiveDate {
    NaiveDate::from_ymd_opt(2026, 10, 1).expect("October begins with a first day")
}

/// The date of a day of the month, counted from 0.
pub(super) fn date_of_day(day: usize) -> NaiveDate {
    first_day() + TimeDelta::days(count(day))
}

/// The day of the month, counted from 0, that an instant of the month lies in. It comes on time in the night of
/// the same number.
pub(super) fn day_of(instant_ms: i64) -> usize {
    usize::try_from((instant_ms - START_MS).div_euclid(DAY_MS)).unwrap_or(0)
}

/// When a night runs.
pub(super) fn as_of(night: usize) -> DateTime<Utc> {
    let start_ms = START_MS + (count(night) + 1) * DAY_MS + NIGHT_STARTS_MS;
    DateTime::from_timestamp_millis(start_ms).expect("a night of 2026 is an instant")
}

/// The night in which the period of a day is closed; it may lie beyond the last.
pub(super) fn closing_night(cycle: Cycle, day: usize) -> usize {
    let due = cycle.period_of(date_of_day(day)).end + TimeDelta::days(GRACE_DAYS);
    let nights = due.signed_duration_since(date_of_day(1)).num_days();
    usize::try_from(nights).expect("a period of the month is due after 2 October")
}

fn count(number: usize) -> i64 {
    i64::try_from(number).expect("a number of days")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_month_is_october_2026_in_utc_plus_8() {
        let start = DateTime::from_timestamp_millis(START_MS).unwrap();
        assert_eq!(start, "2026-10-01T00:00:00+08:00".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(date_of_day(DAYS), NaiveDate::from_ymd_opt(2026, 11, 1).unwrap());
        assert_eq!(
            (
                day_of(START_MS),
                day_of(START_MS + DAY_MS - 1),
                day_of(START_MS + DAY_MS)
            ),
            (0, 0, 1)
        );
    }

    #[test]
    fn nights_run_from_2_october_to_5_november() {
        assert_eq!(as_of(0), "2026-10-02T02:30:00+08:00".parse::<DateTime<Utc>>().unwrap());
        assert_eq!(
            as_of(LAST_NIGHT),
            "2026-11-05T02:30:00+08:00".parse::<DateTime<Utc>>().unwrap()
        );
    }

    #[test]
    fn periods_close_three_days_after_their_end() {
        let night_of = |date: &str| (0..NIGHTS).find(|&night| as_of(night).to_rfc3339().starts_with(date));
        let monthly = |anchor_day| Cycle::Monthly { anchor_day };
        // The night of 4 November in UTC+8 is still 3 November in UTC.
        assert_eq!(Some(closing_night(monthly(1), 0)), night_of("2026-11-03"));
        assert_eq!(Some(closing_night(monthly(1), 30)), night_of("2026-11-03"));
        assert_eq!(Some(closing_night(monthly(15), 13)), night_of("2026-10-17"));
        assert!(closing_night(monthly(15), 14) > LAST_NIGHT);
        assert_eq!(Some(closing_night(Cycle::Daily, 4)), night_of("2026-10-08"));
    }
}
