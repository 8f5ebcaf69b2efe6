//! What people type: account numbers, days, months, times, zones. Each is refused with the form that is wanted.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};
use chrono_tz::{TZ_VARIANTS, Tz};

use crate::support::nearest::nearest;

/// An account's number.
pub fn uin(text: &str) -> Result<u64, String> {
    text.parse()
        .map_err(|_| "an account number has digits only, such as 100000000000".to_owned())
}

/// A day, such as `2026-11-01`.
pub fn day(text: &str) -> Result<NaiveDate, String> {
    parse_day(text).ok_or_else(|| match month(text) {
        Ok(first) => format!("write a day, such as {first}"),
        Err(_) => "write a day as YYYY-MM-DD, such as 2026-11-01".to_owned(),
    })
}

/// A day, or the first one of a month.
pub fn first_day(text: &str) -> Result<NaiveDate, String> {
    parse_day(text)
        .or_else(|| parse_month(text))
        .ok_or_else(|| "write a day as YYYY-MM-DD, such as 2026-11-01, or a month, such as 2026-11".to_owned())
}

/// The day after the last. A month would leave open whether it is meant with its days or without them.
pub fn day_after(text: &str) -> Result<NaiveDate, String> {
    match parse_month(text) {
        Some(first) => Err(format!(
            "--to is the day after the last: write {first} to end before this month, or --month {text} for this month"
        )),
        None => day(text),
    }
}

/// The first day of a month, such as `2026-10`.
pub fn month(text: &str) -> Result<NaiveDate, String> {
    parse_month(text).ok_or_else(|| "write a month as YYYY-MM, such as 2026-10".to_owned())
}

/// An instant, or the beginning of a day in UTC.
pub fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let midnight = || parse_day(text).map(|day| day.and_time(NaiveTime::MIN).and_utc());
    text.parse().ok().or_else(midnight).ok_or_else(|| {
        "write a time with an offset from UTC, such as 2026-11-01T03:00:00Z or 2026-11-01T11:00:00+08:00, or a day, such as 2026-11-01 \
         (00:00 UTC)"
            .to_owned()
    })
}

/// A time zone by its name in the database of time zones.
pub fn zone(text: &str) -> Result<Tz, String> {
    if let Ok(zone) = text.parse() {
        return Ok(zone);
    }
    let city = |name: &'static str| name.rsplit_once('/').map_or(name, |(_, city)| city);
    let names = || TZ_VARIANTS.iter().map(|zone| zone.name());
    let meant = nearest(text, names()).or_else(|| {
        let typed = text.rsplit_once('/').map_or(text, |(_, city)| city);
        let meant = nearest(typed, names().map(city))?;
        names().find(|name| city(name) == meant)
    });
    Err(match meant {
        Some(meant) => format!("unknown time zone; did you mean {meant}?"),
        None => "unknown time zone: write an IANA name such as Asia/Shanghai or America/Los_Angeles".to_owned(),
    })
}

/// Written with all its digits: `2026-1-1` may be anything.
fn parse_day(text: &str) -> Option<NaiveDate> {
    let has_form = text.len() == "2026-11-01".len() && text.is_ascii();
    text.parse().ok().filter(|_| has_form)
}

fn parse_month(text: &str) -> Option<NaiveDate> {
    let has_form = text.len() == "2026-11".len();
    has_form.then(|| parse_day(&format!("{text}-01"))).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_taken_where_a_time_is_and_a_month_where_a_first_day_is() {
        let text = |instant: DateTime<Utc>| instant.to_rfc3339();
        assert_eq!(instant("2026-11-01").map(text).unwrap(), "2026-11-01T00:00:00+00:00");
        assert_eq!(
            instant("2026-11-01T08:00:00+08:00").map(text).unwrap(),
            "2026-11-01T00:00:00+00:00"
        );
        assert_eq!(first_day("2026-11").unwrap().to_string(), "2026-11-01");
        assert_eq!(first_day("2026-11-09").unwrap().to_string(), "2026-11-09");
        assert_eq!(month("2026-10").unwrap().to_string(), "2026-10-01");
        assert!(day("2026-11").unwrap_err().contains("2026-11-01"));
        assert!(day_after("2026-11").unwrap_err().contains("--month 2026-11"));
        for wrong in ["2026-13", "2026-1-1", "01.11.2026", "20261101", "yesterday", ""] {
            assert!(first_day(wrong).unwrap_err().contains("2026-11-01"), "{wrong}");
            assert!(instant(wrong).unwrap_err().contains("2026-11-01T03:00:00Z"), "{wrong}");
            assert!(month(wrong).unwrap_err().contains("2026-10"), "{wrong}");
        }
    }

    #[test]
    fn a_mistyped_zone_is_answered_with_the_nearest() {
        assert_eq!(zone("Asia/Shanghai").unwrap(), chrono_tz::Asia::Shanghai);
        for (typed, meant) in [
            ("Asia/Shangai", "Asia/Shanghai"),
            ("asia/shanghai", "Asia/Shanghai"),
            ("Shanghai", "Asia/Shanghai"),
            ("America/LosAngeles", "America/Los_Angeles"),
            ("Europe/Tokyo", "Asia/Tokyo"),
        ] {
            let refused = zone(typed).unwrap_err();
            assert!(
                refused.contains(&format!("did you mean {meant}?")),
                "{typed}: {refused}"
            );
        }
        assert!(zone("Beijing time").unwrap_err().contains("such as Asia/Shanghai"));
    }
}
