//! The only place that asks the machine for the time.

use chrono::{DateTime, NaiveDate, Utc};

/// A run's time: fixed when the run starts, so that everything it decides rests on one instant.
/// `--as-of` replays a night with another one.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    now: DateTime<Utc>,
}

impl Clock {
    /// The machine's time at this moment.
    #[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
    pub fn system() -> Self {
        Self { now: Utc::now() }
    }

    /// A given time.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self { now }
    }

    pub fn now(self) -> DateTime<Utc> {
        self.now
    }

    /// The UTC date.
    pub fn today(self) -> NaiveDate {
        self.now.date_naive()
    }

    /// RFC 3339 in UTC, whole seconds, with a numeric offset: how instants stand in the ledger and in exports.
    pub fn text(self) -> String {
        instant_text(self.now)
    }
}

/// RFC 3339 in UTC, whole seconds, `+00:00`.
pub fn instant_text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// RFC 3339 in UTC with as many digits of the second as there are: an instant given in nanoseconds since 1970.
pub fn instant_ns_text(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}
