//! Times as services write them: RFC 3339, and what is as sure as that.
//!
//! Also taken are a blank for `T`, seconds left out, the offsets `+0800` and `+08`, ` UTC` for `Z`, and the name of a zone in brackets
//! that has the offset then. A time without an offset is one only where the settings give its sender a zone.

use std::collections::BTreeMap;

use chrono::{DateTime, LocalResult, Offset as _, TimeZone as _};
use chrono_tz::Tz;

use super::timestamp::{
    DATE_TIME_BYTES, InstantError, NS_PER_SECOND, fraction, local_seconds, offset_seconds, parse_instant,
};

/// Zones of senders that write local times.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    /// Who sent the records that do not say so.
    default_source: String,
    by_source: BTreeMap<String, Tz>,
}

impl Zones {
    /// None where no sender has one. `default_source` is who sent what does not say so.
    pub fn new(default_source: &str, by_source: &BTreeMap<String, Tz>) -> Option<Self> {
        (!by_source.is_empty()).then(|| Self {
            default_source: default_source.to_owned(),
            by_source: by_source.clone(),
        })
    }

    /// The zone of a record's sender.
    pub fn of(&self, source: Option<&str>) -> Option<Tz> {
        self.by_source.get(source.unwrap_or(&self.default_source)).copied()
    }
}

/// The instant of a text, in nanoseconds since 1970-01-01T00:00:00Z; `zone` is the sender's, for a time without an offset.
#[inline]
pub fn read_time(text: &str, zone: Option<Tz>) -> Result<i64, InstantError> {
    match parse_instant(text) {
        Err(InstantError::Form) => read_other(text, zone),
        read => read,
    }
}

#[cold]
fn read_other(text: &str, zone: Option<Tz>) -> Result<i64, InstantError> {
    let (text, named) = split_name(text);
    let (head, tail) = date_time(text)?;
    let local = local_seconds(&head).map_err(|error| match error {
        InstantError::Form => what_is_wrong(text),
        other => other,
    })?;
    let (nanoseconds, tail) = fraction(tail)?;
    let seconds = match (offset(tail)?, named, zone) {
        (Some(offset), None, _) => local - offset,
        (Some(offset), Some(named), _) => agreed(local - offset, offset, named)?,
        (None, None, Some(zone)) => of_local(local, zone)?,
        (None, _, _) => return Err(InstantError::NoOffset),
    };
    seconds
        .checked_mul(NS_PER_SECOND)
        .and_then(|whole| whole.checked_add(nanoseconds))
        .ok_or(InstantError::OutOfRange)
}

/// The text before a name in brackets, and the name.
fn split_name(text: &str) -> (&str, Option<&str>) {
    let split = text.strip_suffix(']').and_then(|text| text.rsplit_once('['));
    split.map_or((text, None), |(before, name)| (before, Some(name)))
}

/// `YYYY-MM-DDTHH:MM:SS`, and what follows it; seconds that are left out are 0.
fn date_time(text: &str) -> Result<([u8; DATE_TIME_BYTES], &[u8]), InstantError> {
    const MINUTES_BYTES: usize = DATE_TIME_BYTES - 3;
    let bytes = text.as_bytes();
    let (minutes, tail) = bytes
        .split_first_chunk::<MINUTES_BYTES>()
        .ok_or_else(|| what_is_wrong(text))?;
    if !matches!(minutes[10], b'T' | b't' | b' ') {
        return Err(what_is_wrong(text));
    }
    let (seconds, tail) = match tail {
        [b':', tens, ones, tail @ ..] => ([*tens, *ones], tail),
        tail => ([b'0', b'0'], tail),
    };
    let mut head = [0; DATE_TIME_BYTES];
    head[..MINUTES_BYTES].copy_from_slice(minutes);
    head[10] = b'T';
    head[MINUTES_BYTES] = b':';
    head[MINUTES_BYTES + 1..].copy_from_slice(&seconds);
    Ok((head, tail))
}

/// The seconds by which an offset is ahead of UTC; none where there is no offset.
fn offset(text: &[u8]) -> Result<Option<i64>, InstantError> {
    let seconds = match *text {
        [] => return Ok(None),
        [b'+' | b'-', ..] => match *text {
            [sign, h1, h2] => offset_seconds(&[sign, h1, h2, b':', b'0', b'0'])?,
            [sign, h1, h2, m1, m2] => offset_seconds(&[sign, h1, h2, b':', m1, m2])?,
            _ => offset_seconds(text)?,
        },
        [b'Z' | b'z'] => 0,
        [b'Z' | b'z', ..] => return Err(InstantError::Form),
        [b' ', ref name @ ..] if name.eq_ignore_ascii_case(b"UTC") => 0,
        [b',', digit, ..] if digit.is_ascii_digit() => return Err(InstantError::Comma),
        [b' ', b'+' | b'-', ..] => return Err(InstantError::BlankBeforeOffset),
        [b' ', letter, ..] | [letter, ..] if letter.is_ascii_alphabetic() => return Err(InstantError::Abbreviation),
        _ => return Err(InstantError::Form),
    };
    Ok(Some(seconds))
}

/// The instant, in seconds since 1970, if the zone of that name has the offset then.
fn agreed(instant: i64, offset: i64, named: &str) -> Result<i64, InstantError> {
    let zone: Tz = named.parse().map_err(|_| InstantError::UnknownZone)?;
    let then = DateTime::from_timestamp(instant, 0).ok_or(InstantError::OutOfRange)?;
    let own = zone.offset_from_utc_datetime(&then.naive_utc()).fix().local_minus_utc();
    if i64::from(own) == offset {
        Ok(instant)
    } else {
        Err(InstantError::ZoneDiffers)
    }
}

/// The instant of a local time, both in seconds since 1970.
fn of_local(local: i64, zone: Tz) -> Result<i64, InstantError> {
    let local = DateTime::from_timestamp(local, 0).ok_or(InstantError::OutOfRange)?;
    match zone.from_local_datetime(&local.naive_utc()) {
        LocalResult::Single(instant) => Ok(instant.timestamp()),
        LocalResult::Ambiguous(..) => Err(InstantError::LocalTwice),
        LocalResult::None => Err(InstantError::LocalNever),
    }
}

/// Why a text does not even begin as a time.
fn what_is_wrong(text: &str) -> InstantError {
    let bytes = text.as_bytes();
    let is_digit = |at: usize| bytes.get(at).is_some_and(u8::is_ascii_digit);
    let digits = bytes.iter().take_while(|byte| byte.is_ascii_digit()).count();
    let is_number = is_digit(0)
        && bytes
            .iter()
            .all(|byte| matches!(byte, b'0'..=b'9' | b'.' | b'e' | b'E' | b'+'));
    let has_hyphens = digits == 4 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    if is_number {
        InstantError::Count
    } else if has_hyphens && bytes.len() == 10 {
        InstantError::DateOnly
    } else if digits > 0 && !has_hyphens {
        InstantError::DateForm
    } else {
        InstantError::Form
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const INSTANT: &str = "2026-10-05T01:30:00Z";

    #[test]
    fn a_sure_instant_is_read_however_services_write_it() {
        let expected = parse_instant(INSTANT);
        for text in [
            INSTANT,
            "2026-10-05t01:30:00z",
            "2026-10-05T01:30:00.000Z",
            "2026-10-05T01:30Z",
            "2026-10-05 01:30Z",
            "2026-10-05 01:30:00Z",
            "2026-10-05 01:30:00.000000+00:00",
            "2026-10-05 09:30:00+08:00",
            "2026-10-05T09:30:00+0800",
            "2026-10-05T09:30:00.000+0800",
            "2026-10-05 09:30:00+08",
            "2026-10-05T09:30+08",
            "2026-10-04T21:30:00-04",
            "2026-10-05 01:30:00 UTC",
            "2026-10-05 01:30:00.000000 UTC",
            "2026-10-05 01:30 utc",
            "2026-10-05T09:30:00+08:00[Asia/Shanghai]",
            "2026-10-05T09:30+08:00[Asia/Shanghai]",
            "2026-10-05T01:30:00Z[UTC]",
            "2026-10-04T21:30:00-04:00[America/New_York]",
        ] {
            assert_eq!(read_time(text, None), expected, "{text}");
            // An offset holds whatever the sender's zone is.
            assert_eq!(read_time(text, Some(Tz::Asia__Tokyo)), expected, "{text}");
        }
        assert_eq!(
            read_time("2026-10-05 01:30:00.123456789 UTC", None),
            expected.map(|at| at + 123_456_789)
        );
    }

    #[test]
    fn what_is_wrong_with_a_time_is_said() {
        use InstantError::{
            Abbreviation, BlankBeforeOffset, Comma, Count, DateForm, DateOnly, Form, LeapSecond, NoOffset, NoSuchTime,
            OutOfRange, TooFine, UnknownZone, ZoneDiffers,
        };
        for (text, error) in [
            ("", Form),
            ("soon", Form),
            ("2026-10-05T09:30:00", NoOffset),
            ("2026-10-05 09:30", NoOffset),
            ("2026-10-05 09:30:00.123", NoOffset),
            ("2026-10-05T09:30:00[Asia/Shanghai]", NoOffset),
            ("2026-10-05", DateOnly),
            ("1760000000", Count),
            ("1760000000000", Count),
            ("1.76E+09", Count),
            ("45935.0625", Count),
            ("05/10/2026 09:30", DateForm),
            ("2026/10/05 09:30:00", DateForm),
            ("5.10.2026 09:30", DateForm),
            ("20261005T013000Z", DateForm),
            ("2026-10-05T01:30:00,123Z", Comma),
            ("2026-10-05 01:30:00 PST", Abbreviation),
            ("2026-10-05 01:30:00 GMT", Abbreviation),
            ("2026-10-05T01:30:00UTC", Abbreviation),
            ("2026-10-05 09:30:00 +0800", BlankBeforeOffset),
            ("2026-10-05 09:30:00 +0800 CST", BlankBeforeOffset),
            ("2026-10-05T09:30:00+08:00[Asia/Peking]", UnknownZone),
            ("2026-10-05T09:30:00+09:00[Asia/Shanghai]", ZoneDiffers),
            ("2026-10-05T01:30:00Z[America/New_York]", ZoneDiffers),
            ("2026-10-05T09:30:00+8", Form),
            ("2026-10-05T09:30:00+08:0", Form),
            ("2026-10-05T09:30:00+080", Form),
            ("2026-10-05_09:30:00Z", Form),
            ("2026-10-05  09:30:00Z", Form),
            ("2026-10-05T9:30:00Z", Form),
            ("2026-10-05T01:30:00Z ", Form),
            ("2026-13-05 01:30Z", NoSuchTime),
            ("2026-10-05 24:00 UTC", NoSuchTime),
            ("2026-10-05 01:30:00+24", NoSuchTime),
            ("2026-10-05 01:30:60 UTC", LeapSecond),
            ("2026-10-05 01:30:00.0000000001 UTC", TooFine),
            ("0001-01-01 00:00:00 UTC", OutOfRange),
        ] {
            assert_eq!(read_time(text, None), Err(error), "{text}");
        }
    }

    #[test]
    fn a_local_time_is_one_in_its_senders_zone_unless_that_has_it_twice_or_never() {
        let new_york = Some(Tz::America__New_York);
        assert_eq!(
            read_time("2026-10-05 09:30:00", Some(Tz::Asia__Shanghai)),
            parse_instant(INSTANT)
        );
        assert_eq!(read_time("2026-10-04T21:30", new_york), parse_instant(INSTANT));
        assert_eq!(
            read_time("2026-11-01 01:30:00", new_york),
            Err(InstantError::LocalTwice)
        );
        assert_eq!(
            read_time("2026-03-08 02:30:00", new_york),
            Err(InstantError::LocalNever)
        );
        assert_eq!(
            read_time("2026-11-01 01:30:00-04:00", new_york),
            parse_instant("2026-11-01T05:30:00Z")
        );
    }

    proptest! {
        #[test]
        fn any_text_is_answered_and_a_time_written_otherwise_is_the_same_time(
            instant in -9_000_000_000_i64..9_000_000_000, minutes in -1439_i32..=1439, text in "[0-9T: +Zz.\\[\\]a-zA-Z/-]{0,30}",
        ) {
            let _answered = read_time(&text, Some(Tz::Asia__Shanghai));
            let offset = chrono::FixedOffset::east_opt(minutes * 60).unwrap();
            let at = DateTime::from_timestamp(instant, 0).unwrap().with_timezone(&offset);
            let expected = Ok(instant * NS_PER_SECOND);
            for form in ["%Y-%m-%d %H:%M:%S%:z", "%Y-%m-%dT%H:%M:%S%z", "%Y-%m-%d %H:%M:%S.000%z"] {
                prop_assert_eq!(read_time(&at.format(form).to_string(), None), expected);
            }
        }
    }
}
