//! The only place that asks the machine for the time.

use chrono::{DateTime, NaiveDate, SubsecRound as _, TimeDelta, Utc};

use crate::support::error::{Error, Result};
use crate::support::failpoint;

/// How far clocks that should agree may lie apart.
pub const TOLERANCE: TimeDelta = TimeDelta::hours(1);

/// A run's times, fixed when the run starts, so that everything it decides rests on the same instants.
///
/// The *run's* time is what records, periods and reports go by; `--as-of` sets it, to replay a night. The *machine's* is what the
/// machine says at that moment. What cannot be undone goes by the earlier of both, and of the ledger server's where one is known.
#[derive(Clone, Copy, Debug)]
pub struct Clock {
    run: DateTime<Utc>,
    machine: DateTime<Utc>,
    server: Option<DateTime<Utc>>,
    doubt: Option<Doubt>,
    vouched: bool,
}

/// Why the machine's clock is not believed. What cannot be undone waits until a person accepts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Doubt {
    pub why: Wrong,
    /// The latest time that is believed: records that were finished after it are refused.
    pub until: DateTime<Utc>,
}

/// What is wrong with the machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong {
    /// It is so many days (`clock_jump_days`) and more ahead of the newest one that was accepted.
    Ahead { newest: DateTime<Utc>, jump_days: u32 },
    /// It is more than [`TOLERANCE`] away from the ledger server's.
    AwayFrom { server: DateTime<Utc> },
}

impl Clock {
    /// The machine's time at this moment.
    pub fn system() -> Self {
        let now = machine_now();
        Self::of(now, now)
    }

    /// A run at another time, on this machine.
    ///
    /// # Errors
    /// [`Error::Usage`] when the time lies more than [`TOLERANCE`] ahead of the machine's.
    pub fn as_of(run: DateTime<Utc>) -> Result<Self> {
        let machine = machine_now();
        if run - machine <= TOLERANCE {
            return Ok(Self::of(run, machine));
        }
        let (run, machine) = (instant_text(run), instant_text(machine));
        Err(Error::Usage(format!(
            "--as-of {run} is in the future (system clock: {machine}). A past night can be replayed, but a future one cannot be \
             run early: it would close periods before their end. Omit --as-of to run as of now; if the system clock is wrong, \
             correct it first"
        )))
    }

    /// A run at one time on a machine that says another.
    pub fn of(run: DateTime<Utc>, machine: DateTime<Utc>) -> Self {
        Self {
            run,
            machine,
            server: None,
            doubt: None,
            vouched: false,
        }
    }

    /// Both times given by a caller who vouches for them: they are held against no recorded clock, and not recorded.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            vouched: true,
            ..Self::of(now, now)
        }
    }

    /// With the time of the server that has the ledger.
    #[must_use]
    pub fn with_server(self, server: DateTime<Utc>) -> Self {
        Self {
            server: Some(server),
            ..self
        }
    }

    /// Not believed.
    #[must_use]
    pub fn doubted(self, doubt: Doubt) -> Self {
        Self {
            doubt: Some(doubt),
            ..self
        }
    }

    /// Why it is not believed; none when it is.
    pub fn doubt(self) -> Option<Doubt> {
        self.doubt
    }

    /// Why nothing that cannot be undone may be done; none when it may.
    pub fn objection(self) -> Option<String> {
        let (machine, doubt) = (instant_text(self.machine), self.doubt?);
        let wrong = match doubt.why {
            Wrong::Ahead { newest, jump_days } => format!(
                "the system clock says {machine}, more than {jump_days} days (`clock_jump_days`) after the last accepted time, {}",
                instant_text(newest)
            ),
            Wrong::AwayFrom { server } => format!(
                "the system clock says {machine}, which differs by more than an hour from the database server's clock, {}",
                instant_text(server)
            ),
        };
        Some(format!(
            "{wrong}: nothing is closed, exported or deleted. If the clock is wrong, correct it; if it is right, run the command \
             again with --accept-clock {}",
            hour_text(self.machine)
        ))
    }

    /// The time that a record's is held against: the run's, or the latest one that is believed.
    pub fn believed(self) -> DateTime<Utc> {
        self.doubt.map_or(self.run, |doubt| doubt.until.min(self.run))
    }

    /// The run's time by now: as much after its start as the machine's clock went on.
    pub fn by_now(self) -> DateTime<Utc> {
        if self.vouched {
            return self.run;
        }
        self.run + (machine_now() - self.machine).max(TimeDelta::zero())
    }

    /// The clock of what is done from now on, in a process that lasts.
    #[must_use]
    pub fn gone_on(self) -> Self {
        if self.vouched {
            return self;
        }
        Self {
            run: self.by_now(),
            machine: machine_now().max(self.machine),
            ..self
        }
    }

    /// The run's time.
    pub fn now(self) -> DateTime<Utc> {
        self.run
    }

    /// The run's time to the second: that of receipt, as the ledger keeps it.
    pub fn receipt(self) -> DateTime<Utc> {
        self.run.trunc_subsecs(0)
    }

    /// The machine's time when the run started.
    pub fn machine(self) -> DateTime<Utc> {
        self.machine
    }

    /// The machine's time by now. What other services hold against their own clocks goes by it.
    pub fn machine_by_now(self) -> DateTime<Utc> {
        if self.vouched { self.machine } else { machine_now() }
    }

    /// The time of the server that has the ledger, where there is one.
    pub fn server(self) -> Option<DateTime<Utc>> {
        self.server
    }

    /// The earliest of all: what cannot be undone goes by it.
    pub fn irreversible(self) -> DateTime<Utc> {
        let earlier = self.run.min(self.machine);
        self.server.map_or(earlier, |server| server.min(earlier))
    }

    /// Whether a caller vouches for the machine's time, so that it is held against nothing.
    pub fn is_vouched(self) -> bool {
        self.vouched
    }

    /// The UTC date of the run.
    pub fn today(self) -> NaiveDate {
        self.run.date_naive()
    }

    /// RFC 3339 in UTC, whole seconds, with a numeric offset: how instants stand in the ledger and in exports.
    pub fn text(self) -> String {
        instant_text(self.run)
    }
}

/// An instant to the hour, as `--accept-clock` names it: `2026-11-29T20Z`.
pub fn hour_text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%HZ").to_string()
}

/// What the machine says; in a debug build, what a test lets it say.
#[expect(clippy::disallowed_methods, reason = "the one place where the clock is read")]
fn machine_now() -> DateTime<Utc> {
    failpoint::machine_clock().unwrap_or_else(Utc::now)
}

/// RFC 3339 in UTC, whole seconds, `+00:00`.
pub fn instant_text(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S+00:00").to_string()
}

/// RFC 3339 in UTC with as many digits of the second as there are: an instant given in nanoseconds since 1970.
pub fn instant_ns_text(ns: i64) -> String {
    DateTime::from_timestamp_nanos(ns).to_rfc3339_opts(chrono::SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn what_cannot_be_undone_goes_by_the_earliest_clock() {
        let (june, july, august) = (
            at("2026-06-01T00:00:00Z"),
            at("2026-07-01T00:00:00Z"),
            at("2026-08-01T00:00:00Z"),
        );
        assert_eq!(Clock::of(june, july).irreversible(), june);
        assert_eq!(Clock::of(august, july).irreversible(), july);
        assert_eq!(Clock::of(august, july).with_server(june).irreversible(), june);
        assert_eq!(Clock::of(june, july).with_server(august).irreversible(), june);
        assert_eq!(Clock::at(july).irreversible(), july);
    }

    #[test]
    fn a_run_at_the_machines_time_or_before_it_is_taken_and_one_ahead_of_it_refused() {
        let machine = Clock::system().machine();
        let past = Clock::as_of(at("2024-02-29T12:00:00Z")).unwrap();
        assert_eq!(past.now(), at("2024-02-29T12:00:00Z"));
        assert!(past.machine() >= machine);
        assert!(Clock::as_of(machine + TimeDelta::minutes(59)).is_ok());
        let ahead = Clock::as_of(machine + TimeDelta::days(731)).unwrap_err();
        assert_eq!(u8::from(ahead.exit_code()), 2);
        assert!(ahead.to_string().contains("Omit --as-of"), "{ahead}");
    }
}
