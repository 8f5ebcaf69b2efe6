//! Values of the cursor column: integers and times, each as one whole number, so that they compare and subtract exactly.

use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeZone as _, Utc};
use chrono_tz::Tz;

use crate::catalog::source::kinds::table::Overlap;

const MICROSECONDS: i128 = 1_000_000;

/// What the cursor column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CursorType {
    Integer,
    /// A time that is known everywhere: `timestamptz`, `TIMESTAMP` of MySQL.
    Instant,
    /// A time without a zone: `timestamp`, `DATETIME`.
    LocalTime,
}

impl CursorType {
    /// What a person or a position says: an integer, or a time as RFC 3339 has it, with an offset or without.
    ///
    /// # Errors
    /// What is expected.
    pub fn read(self, text: &str) -> Result<i128, &'static str> {
        match self {
            Self::Integer => text.parse().map_err(|_| "a whole number"),
            Self::Instant => DateTime::parse_from_rfc3339(text)
                .map(|time| microseconds(time.naive_utc()))
                .map_err(|_| "a time with an offset, such as 2026-11-01T00:00:00Z"),
            Self::LocalTime => local_time(&text.replacen('T', " ", 1))
                .or_else(|| text.parse().ok().map(|day: NaiveDate| microseconds(day.into())))
                .ok_or("a time without an offset, such as 2026-11-01T00:00:00, as the column has none"),
        }
    }

    /// What the database says of a row; `+00` is how PostgreSQL ends an instant in UTC.
    pub fn read_row(self, text: &str) -> Option<i128> {
        match self {
            Self::Integer => text.parse().ok(),
            Self::Instant => local_time(text.strip_suffix("+00").unwrap_or(text)),
            Self::LocalTime => local_time(text),
        }
    }

    /// For people and positions: what [`Self::read`] reads.
    pub fn text(self, value: i128) -> String {
        match (self, time(value)) {
            (Self::Instant, Some(time)) => time.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
            (Self::LocalTime, Some(time)) => time.format("%Y-%m-%dT%H:%M:%S%.6f").to_string(),
            _ => value.to_string(),
        }
    }

    /// A time as SQL writes it within its quotes.
    pub fn sql_time(value: i128) -> String {
        let time = time(value).unwrap_or(NaiveDateTime::MIN);
        time.format("%Y-%m-%d %H:%M:%S%.6f").to_string()
    }

    /// The instant of a value, where it is one, or is one in a zone; of a time that the zone has twice, the first.
    pub fn instant(self, value: i128, zone: Option<Tz>) -> Option<DateTime<Utc>> {
        match (self, zone) {
            (Self::Instant, _) => time(value).map(|time| time.and_utc()),
            (Self::LocalTime, Some(zone)) => {
                let local = zone.from_local_datetime(&time(value)?);
                local.earliest().map(|time| time.to_utc())
            }
            _ => None,
        }
    }

    /// How far the overlap goes back, if it is of this type.
    pub fn reach(self, overlap: &Overlap) -> Option<i128> {
        match (self, overlap) {
            (Self::Integer, Overlap::Integer(value)) => Some(i128::from(*value)),
            (Self::Instant | Self::LocalTime, Overlap::Time { seconds, .. }) => {
                Some(i128::from(*seconds) * MICROSECONDS)
            }
            _ => None,
        }
    }
}

fn local_time(text: &str) -> Option<i128> {
    NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f")
        .ok()
        .map(microseconds)
}

fn microseconds(time: NaiveDateTime) -> i128 {
    i128::from(time.and_utc().timestamp_micros())
}

fn time(value: i128) -> Option<NaiveDateTime> {
    let microseconds = i64::try_from(value).ok()?;
    DateTime::from_timestamp_micros(microseconds).map(|time| time.naive_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_row_and_a_person_say_is_one_value() {
        use CursorType::{Instant, Integer, LocalTime};
        for (cursor, person, row, text) in [
            (Integer, "-7", "-7", "-7"),
            (
                Integer,
                "18446744073709551615",
                "18446744073709551615",
                "18446744073709551615",
            ),
            (
                Instant,
                "2026-11-01T08:00:00.5+08:00",
                "2026-11-01 00:00:00.5+00",
                "2026-11-01T00:00:00.500000Z",
            ),
            (
                Instant,
                "2026-11-01T00:00:00Z",
                "2026-11-01 00:00:00",
                "2026-11-01T00:00:00.000000Z",
            ),
            (
                LocalTime,
                "2026-11-01T00:00:00.000001",
                "2026-11-01 00:00:00.000001",
                "2026-11-01T00:00:00.000001",
            ),
            (
                LocalTime,
                "2026-11-01",
                "2026-11-01 00:00:00",
                "2026-11-01T00:00:00.000000",
            ),
        ] {
            let value = cursor.read(person).unwrap();
            assert_eq!(cursor.read_row(row), Some(value), "{person}");
            assert_eq!(cursor.text(value), text);
            assert_eq!(cursor.read(text), Ok(value), "{text}");
        }
        assert_eq!(
            CursorType::sql_time(Instant.read("1969-12-31T23:59:59.999999Z").unwrap()),
            "1969-12-31 23:59:59.999999"
        );
    }

    #[test]
    fn a_time_without_an_offset_is_an_instant_in_the_zone_of_its_source() {
        let value = CursorType::LocalTime.read("2026-11-01T08:00:00").unwrap();
        let instant = |zone| CursorType::LocalTime.instant(value, zone).map(|at| at.to_rfc3339());
        assert_eq!(instant(None), None);
        assert_eq!(instant(Some(Tz::Asia__Shanghai)).unwrap(), "2026-11-01T00:00:00+00:00");
        let twice = CursorType::LocalTime.read("2026-10-25T02:30:00").unwrap();
        let first = CursorType::LocalTime.instant(twice, Some(Tz::Europe__Berlin)).unwrap();
        assert_eq!(first.to_rfc3339(), "2026-10-25T00:30:00+00:00");
        assert_eq!(CursorType::Integer.instant(7, Some(Tz::UTC)), None);
        assert!(
            CursorType::Instant
                .instant(value, Some(Tz::Asia__Shanghai))
                .unwrap()
                .to_rfc3339()
                .contains("T08")
        );
    }

    #[test]
    fn a_value_of_another_type_is_refused_with_what_is_expected() {
        for (cursor, text) in [
            (CursorType::Integer, "2026-11-01T00:00:00Z"),
            (CursorType::Integer, "1.5"),
            (CursorType::Instant, "2026-11-01T00:00:00"),
            (CursorType::Instant, "7"),
            (CursorType::LocalTime, "2026-11-01T00:00:00Z"),
            (CursorType::LocalTime, "soon"),
        ] {
            assert!(cursor.read(text).is_err(), "{text}");
        }
        for text in ["infinity", "0000-00-00 00:00:00", "0044-03-15 00:00:00+00 BC"] {
            assert_eq!(CursorType::Instant.read_row(text), None, "{text}");
        }
    }
}
