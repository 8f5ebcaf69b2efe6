//! Instants: RFC 3339 text to nanoseconds since 1970-01-01T00:00:00Z, and the checks on a record's time.

#![expect(
    clippy::inline_always,
    reason = "every record has a time, and nearly every one is read this way"
)]

use crate::support::quote::quoted;

use super::refusal::{Refusal, code};

/// What the service writes for "not reached yet".
pub const NOT_REACHED: &str = "0000-00-00T00:00:00Z";

/// How far `finished_at` may lie ahead of the run's clock: clocks differ, but not by more than an hour.
pub const MAX_AHEAD_NS: i64 = 3_600 * NS_PER_SECOND;

pub(crate) const NS_PER_SECOND: i64 = 1_000_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// `YYYY-MM-DDTHH:MM:SS`
pub(crate) const DATE_TIME_BYTES: usize = 19;

/// A nanosecond is the finest that is kept.
const MAX_FRACTION_DIGITS: usize = 9;

/// Why a text is no instant.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantError {
    /// Not of the form.
    #[error("write it in RFC 3339 with an offset, such as 2026-10-22T07:54:27.746Z or 2026-10-22T15:54:27+08:00")]
    Form,
    /// A time without an offset.
    #[error(
        "the offset is missing; add it, as in 2026-10-22T07:54:27Z or 2026-10-22T15:54:27+08:00, or set the source's time zone in \
         the settings: [source.NAME] with zone = \"Asia/Shanghai\""
    )]
    NoOffset,
    /// A date and nothing more.
    #[error("a date alone is not enough; add a time of day and an offset, as in 2026-10-22T07:54:27Z")]
    DateOnly,
    /// A count of something.
    #[error(
        "a number of seconds, milliseconds or days is not accepted as a time; write it out, as in 2026-10-22T07:54:27Z"
    )]
    Count,
    /// A date in another form.
    #[error("the date is not in the form year-month-day; write it as in 2026-10-22T07:54:27Z")]
    DateForm,
    /// A comma before the fraction.
    #[error("there is a comma before the fraction of a second; write a point, as in 2026-10-22T07:54:27.746Z")]
    Comma,
    /// Letters in the place of the offset.
    #[error(
        "a time zone abbreviation is ambiguous (CST has three meanings); write the offset, such as +08:00, or Z for UTC"
    )]
    Abbreviation,
    /// A blank before a numeric offset.
    #[error("there is a space before the offset; remove it, as in 2026-10-22T15:54:27+08:00")]
    BlankBeforeOffset,
    /// In brackets stands no zone.
    #[error("the text in brackets is not an IANA time zone such as Asia/Shanghai; remove it: the offset is enough")]
    UnknownZone,
    /// In brackets stands a zone that has another offset.
    #[error("the zone in brackets has another offset at that time; it is unclear which of the two counts")]
    ZoneDiffers,
    /// A local time that its zone has twice.
    #[error(
        "the offset is missing, and this local time occurs twice in the source's time zone, when clocks are set back; send it with \
         its offset"
    )]
    LocalTwice,
    /// A local time that its zone never has.
    #[error(
        "the offset is missing, and this local time does not exist in the source's time zone, because clocks are set forward; send \
         it with its offset"
    )]
    LocalNever,
    /// No such day, time or offset.
    #[error("there is no such date, time of day or offset")]
    NoSuchTime,
    /// Second 60.
    #[error("leap seconds are not supported; send second 59 or second 0 of the next minute")]
    LeapSecond,
    /// Finer than a nanosecond.
    #[error("finer than a nanosecond: at most 9 digits after the point are allowed")]
    TooFine,
    /// Nanoseconds in 64 bits reach from 1677-09-21 to 2262-04-11.
    #[error("outside the supported range, 1677-09-22 to 2262-04-11")]
    OutOfRange,
}

/// The instant of an RFC 3339 text as most write it, in nanoseconds since 1970-01-01T00:00:00Z. The offset is required, `-00:00` counts as
/// UTC. For other ways to write it, and for what is wrong with one that is none, there is [`crate::pipeline::ingest::record::timestamp_text::read_time`].
#[inline(always)]
pub fn parse_instant(text: &str) -> Result<i64, InstantError> {
    let bytes = text.as_bytes();
    let (head, tail) = bytes.split_first_chunk::<DATE_TIME_BYTES>().ok_or(InstantError::Form)?;
    let local = local_seconds(head)?;
    let (nanoseconds, offset) = fraction(tail)?;
    (local - offset_seconds(offset)?)
        .checked_mul(NS_PER_SECOND)
        .and_then(|whole| whole.checked_add(nanoseconds))
        .ok_or(InstantError::OutOfRange)
}

/// The UTC day of an instant, as days since 1970-01-01.
#[inline]
pub fn utc_day(instant_ns: i64) -> i32 {
    const _: () = assert!(i64::MAX / (SECONDS_PER_DAY * NS_PER_SECOND) < i32::MAX as i64);
    #[expect(
        clippy::cast_possible_truncation,
        reason = "64 bits of nanoseconds are some 106,000 days either way"
    )]
    let day = instant_ns.div_euclid(SECONDS_PER_DAY * NS_PER_SECOND) as i32;
    day
}

/// Refuses a `finished_at` more than [`MAX_AHEAD_NS`] after the run's clock, and one on a UTC day (in days
/// since 1970-01-01) that `is_expired` names. Instants are in nanoseconds since 1970.
#[inline]
pub fn check_time(finished_at: i64, now: i64, is_expired: impl FnOnce(i32) -> bool) -> Result<(), Refusal> {
    if finished_at.saturating_sub(now) > MAX_AHEAD_NS {
        let sentence = format!(
            "`finished_at` is {}, more than 1 hour after this run's clock, {}",
            written(finished_at),
            written(now)
        );
        return Err(Refusal::new(code::IN_THE_FUTURE, sentence));
    }
    if is_expired(utc_day(finished_at)) {
        let sentence = format!(
            "`finished_at` is {}, on a UTC day whose raw records have expired; nothing can be added to it",
            written(finished_at)
        );
        return Err(Refusal::new(code::DAY_EXPIRED, sentence));
    }
    Ok(())
}

/// Refuses a `finished_at` before the first billing day. Instants are in nanoseconds since 1970.
#[inline]
pub fn check_first_day(finished_at: i64, first_day: i64) -> Result<(), Refusal> {
    if finished_at >= first_day {
        return Ok(());
    }
    Err(refuse_before(finished_at, first_day))
}

#[cold]
fn refuse_before(finished_at: i64, first_day: i64) -> Refusal {
    let day = chrono::DateTime::from_timestamp_nanos(first_day).date_naive();
    let sentence = format!(
        "`finished_at` is {}, before the first billing day, {day} (UTC); such times often come from a clock that was never set. If \
         the time is right, move the first day back (`tallybook first-day DAY --reason TEXT`) and retry the line",
        written(finished_at)
    );
    Refusal::new(code::BEFORE_FIRST_DAY, sentence)
}

/// The refusal of a `text` in `field` that is no instant.
#[cold]
pub(crate) fn refuse_instant(field: &str, text: &str, error: InstantError) -> Refusal {
    let code = match error {
        InstantError::LeapSecond => code::LEAP_SECOND,
        InstantError::TooFine | InstantError::OutOfRange => code::OUT_OF_RANGE,
        _ => code::NOT_A_TIME,
    };
    Refusal::new(code, format!("`{field}` is {}: {error}", quoted(text)))
}

fn written(instant_ns: i64) -> String {
    chrono::DateTime::from_timestamp_nanos(instant_ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

/// The seconds since 1970 of `YYYY-MM-DDTHH:MM:SS` read as UTC.
#[inline(always)]
pub(crate) fn local_seconds(text: &[u8; DATE_TIME_BYTES]) -> Result<i64, InstantError> {
    let separated =
        text[4] == b'-' && text[7] == b'-' && matches!(text[10], b'T' | b't') && text[13] == b':' && text[16] == b':';
    if !separated {
        return Err(InstantError::Form);
    }
    let year = two_digits(text[0], text[1])? * 100 + two_digits(text[2], text[3])?;
    let month = two_digits(text[5], text[6])?;
    let day = two_digits(text[8], text[9])?;
    let hour = two_digits(text[11], text[12])?;
    let minute = two_digits(text[14], text[15])?;
    let second = two_digits(text[17], text[18])?;
    let exists = (1..=12).contains(&month)
        && 1 <= day
        && day <= days_in_month(year, month)
        && hour < 24
        && minute < 60
        && second <= 60;
    if !exists {
        return Err(InstantError::NoSuchTime);
    }
    if second == 60 {
        return Err(InstantError::LeapSecond);
    }
    Ok(days_since_1970(year, month, day) * SECONDS_PER_DAY + hour * 3_600 + minute * 60 + second)
}

/// The nanoseconds of an optional `.fff`, and what follows it.
#[inline(always)]
pub(crate) fn fraction(text: &[u8]) -> Result<(i64, &[u8]), InstantError> {
    let Some((b'.', rest)) = text.split_first() else {
        return Ok((0, text));
    };
    let count = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let (digits, offset) = rest.split_at(count);
    if digits.is_empty() {
        return Err(InstantError::Form);
    }
    let (kept, finer) = digits.split_at(count.min(MAX_FRACTION_DIGITS));
    if finer.iter().any(|&digit| digit != b'0') {
        return Err(InstantError::TooFine);
    }
    let value = kept.iter().fold(0, |value, digit| value * 10 + i64::from(digit - b'0'));
    let missing = kept.len()..MAX_FRACTION_DIGITS;
    Ok((missing.fold(value, |value, _| value * 10), offset))
}

/// The seconds by which `Z` or `±HH:MM` is ahead of UTC.
#[inline(always)]
pub(crate) fn offset_seconds(text: &[u8]) -> Result<i64, InstantError> {
    match *text {
        [b'Z' | b'z'] => Ok(0),
        [sign @ (b'+' | b'-'), h1, h2, b':', m1, m2] => {
            let (hours, minutes) = (two_digits(h1, h2)?, two_digits(m1, m2)?);
            if hours > 23 || minutes > 59 {
                return Err(InstantError::NoSuchTime);
            }
            let seconds = hours * 3_600 + minutes * 60;
            Ok(if sign == b'-' { -seconds } else { seconds })
        }
        _ => Err(InstantError::Form),
    }
}

#[inline]
fn two_digits(tens: u8, ones: u8) -> Result<i64, InstantError> {
    let (tens, ones) = (tens.wrapping_sub(b'0'), ones.wrapping_sub(b'0'));
    if tens < 10 && ones < 10 {
        Ok(i64::from(tens * 10 + ones))
    } else {
        Err(InstantError::Form)
    }
}

#[inline]
fn days_in_month(year: i64, month: i64) -> i64 {
    let is_leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 => 28 + i64::from(is_leap),
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a date in the proleptic Gregorian calendar, year 0 up: the year is taken to
/// begin in March, so that the leap day is its last, and 400 years are 146,097 days.
#[inline]
fn days_since_1970(year: i64, month: i64, day: i64) -> i64 {
    let year = year + 400 - i64::from(month <= 2);
    let month_from_march = (month + 9) % 12;
    let day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
    let days = year * 365 + year / 4 - year / 100 + year / 400 + day_of_year;
    // Counted from 1 March of the year -400, so that nothing divided is negative.
    days - 865_565
}

#[cfg(test)]
mod tests {
    use super::*;
    use chrono::{DateTime, NaiveDate};
    use proptest::prelude::*;

    #[test]
    fn every_day_of_the_calendar_is_counted_as_chrono_counts_it() {
        let epoch = NaiveDate::from_ymd_opt(1970, 1, 1).unwrap();
        let mut date = NaiveDate::from_ymd_opt(0, 1, 1).unwrap();
        while let Some(next) = date
            .succ_opt()
            .filter(|next| next < &NaiveDate::from_ymd_opt(2500, 1, 1).unwrap())
        {
            use chrono::Datelike;
            let days = days_since_1970(date.year().into(), date.month().into(), date.day().into());
            assert_eq!(days, (date - epoch).num_days(), "{date}");
            date = next;
        }
    }

    #[test]
    fn equal_instants_are_equal_whatever_their_text() {
        let noon = parse_instant("2026-10-22T12:00:00Z").unwrap();
        for text in [
            "2026-10-22T12:00:00.000Z",
            "2026-10-22t12:00:00z",
            "2026-10-22T20:00:00+08:00",
            "2026-10-22T12:00:00-00:00",
            "2026-10-21T12:01:00-23:59",
            "2026-10-22T12:00:00.000000000000Z",
        ] {
            assert_eq!(parse_instant(text), Ok(noon), "{text}");
        }
        assert_eq!(parse_instant("1970-01-01T00:00:00.000000001Z"), Ok(1));
        assert_eq!(parse_instant("1969-12-31T23:59:59.9Z"), Ok(-100_000_000));
    }

    #[test]
    fn what_is_no_instant_says_why() {
        use InstantError::{Form, LeapSecond, NoSuchTime, OutOfRange, TooFine};
        for (text, error) in [
            ("", Form),
            ("2026-10-22", Form),
            ("2026-10-22T12:00:00", Form),
            ("2026-10-22 12:00:00Z", Form),
            ("2026-10-22T12:00:00.Z", Form),
            ("2026-10-22T12:00:00,5Z", Form),
            ("2026-10-22T12:00:00+0800", Form),
            ("2026-10-22T12:00:00+08", Form),
            ("2026-10-22T12:00:00Z ", Form),
            (" 2026-10-22T12:00:00Z", Form),
            ("2026-1-22T12:00:00Z", Form),
            ("+2026-10-22T12:00:00Z", Form),
            ("1760000000", Form),
            ("2026-10-22T12:00:٠٠Z", Form),
            ("2026-02-29T12:00:00Z", NoSuchTime),
            ("1900-02-29T12:00:00Z", NoSuchTime),
            ("2026-13-01T12:00:00Z", NoSuchTime),
            ("2026-10-00T12:00:00Z", NoSuchTime),
            ("2026-10-22T24:00:00Z", NoSuchTime),
            ("2026-10-22T12:60:00Z", NoSuchTime),
            ("2026-10-22T12:00:61Z", NoSuchTime),
            ("2026-10-22T12:00:00+24:00", NoSuchTime),
            ("2026-10-22T12:00:00+08:60", NoSuchTime),
            ("0000-00-00T00:00:00Z", NoSuchTime),
            ("2016-12-31T23:59:60Z", LeapSecond),
            ("2026-10-22T12:00:00.0000000001Z", TooFine),
            ("1600-01-01T00:00:00Z", OutOfRange),
            ("9999-12-31T23:59:59Z", OutOfRange),
        ] {
            assert_eq!(parse_instant(text), Err(error), "{text}");
        }
        assert!(parse_instant("2000-02-29T00:00:00Z").is_ok());
    }

    #[test]
    fn an_hour_ahead_is_taken_and_a_nanosecond_more_is_not() {
        let now = parse_instant("2026-10-22T12:00:00Z").unwrap();
        assert!(check_time(now + MAX_AHEAD_NS, now, |_| false).is_ok());
        let refusal = check_time(now + MAX_AHEAD_NS + 1, now, |_| false).unwrap_err();
        assert_eq!(refusal.code, code::IN_THE_FUTURE);
        assert_eq!(
            refusal.sentence,
            "`finished_at` is 2026-10-22T13:00:00.000000001Z, more than 1 hour after this run's clock, 2026-10-22T12:00:00Z"
        );
        assert!(check_time(i64::MAX, i64::MIN, |_| false).is_err());
        assert!(check_time(i64::MIN, i64::MAX, |_| false).is_ok());
    }

    #[test]
    fn a_day_that_is_marked_expired_takes_nothing() {
        let late = parse_instant("2026-10-22T23:59:59.999999999Z").unwrap();
        let marked = utc_day(late);
        assert_eq!(
            check_time(late, late, |day| day == marked).unwrap_err().code,
            code::DAY_EXPIRED
        );
        assert!(check_time(late + 1, late, |day| day == marked).is_ok());
        assert_eq!(utc_day(-1), -1);
        assert_eq!(utc_day(0), 0);
    }

    proptest! {
        #[test]
        fn any_instant_is_read_as_chrono_reads_it(instant: i64, minutes in -1439_i32..=1439) {
            let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let time = DateTime::from_timestamp_nanos(instant).with_timezone(&offset);
            let text = time.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
            prop_assert_eq!(parse_instant(&text), Ok(instant), "{}", text);
        }

        #[test]
        fn any_text_is_answered_and_never_read_otherwise_than_by_chrono(
            text in "[0-9]{4}-[01][0-9]-[0-3][0-9][Tt \
                     ][0-2][0-9]:[0-6][0-9]:[0-6][0-9](\\.[0-9]{0,11})?(Z|z|[+-][0-2][0-9]:[0-6][0-9]|.{0,3})"
        ) {
            if let Ok(instant) = parse_instant(&text) {
                let time = DateTime::parse_from_rfc3339(&text).unwrap();
                prop_assert_eq!(time.timestamp_nanos_opt(), Some(instant));
            }
        }
    }
}
