//! Admission: before a command writes, the machine's clock is held against the newest one that the books accepted, and against the
//! ledger server's.
//!
//! ```text
//! behind    more than an hour: refused; what comes next would be written into the past
//! ahead     more than `clock_jump_days`, or more than an hour from the server's: in doubt, nothing is done that cannot be undone
//! else      accepted, and recorded beside the run's clock
//! ```
//!
//! A run's clock (`--as-of`) is never part of it. New books, and those of programs that recorded no clock, accept the first one.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Timelike as _, Utc};

use crate::context::Books;
use crate::storage::ledger::fact::{LAST_RUN_CLOCK, NEWEST_MACHINE_CLOCK, fact, fact_in, set_fact};
use crate::storage::ledger::{Decision, Ledger, add_audit};
use crate::support::clock::{Clock, Doubt, TOLERANCE, Wrong, hour_text, instant_text};
use crate::support::error::{Error, Result};
use crate::support::failpoint;

/// Clocks of machines that write to the same books differ by this much at most: less is no run before the last one.
const SAME_TIME: TimeDelta = TimeDelta::seconds(60);

/// What there is to tell of an admitted run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Admitted {
    /// The run's clock lies before the last run's.
    pub before_last: Option<String>,
}

/// An hour of a machine's clock, which a person accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hour(DateTime<Utc>);

impl std::str::FromStr for Hour {
    type Err = String;

    /// `2026-11-29T20Z`, also with minutes, seconds or an offset; without one it is UTC.
    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let instant = DateTime::parse_from_rfc3339(text).map(|at| at.to_utc());
        let plain = text.strip_suffix('Z').unwrap_or(text);
        let read = |form: &str, rest: &str| NaiveDateTime::parse_from_str(&format!("{plain}{rest}"), form);
        let at = instant
            .or_else(|_| read("%Y-%m-%dT%H:%M", ":00").map(|at| at.and_utc()))
            .or_else(|_| read("%Y-%m-%dT%H:%M", "").map(|at| at.and_utc()))
            .map_err(|_| "write the current hour in UTC, such as 2026-11-29T20Z".to_owned())?;
        Ok(Self(hour_of(at)))
    }
}

fn hour_of(at: DateTime<Utc>) -> DateTime<Utc> {
    let hour = at.date_naive().and_hms_opt(at.hour(), 0, 0);
    hour.expect("every hour has a first second").and_utc()
}

/// What comes of a machine's clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    Behind { newest: DateTime<Utc> },
    Doubted(Doubt),
}

/// Admits a command that writes: records its clocks, or leaves the books' clock in doubt. `accept` is the hour that a person named.
///
/// # Errors
/// [`Error::NeedsPerson`] when the machine's clock lies more than an hour before the newest recorded one, and [`Error::Usage`] when the
/// named hour is not the machine's.
pub async fn admit(books: &mut Books, accept: Option<Hour>) -> Result<Admitted> {
    if books.clock.is_vouched() {
        return Ok(Admitted::default());
    }
    if let Some(server) = server_now(&books.ledger).await? {
        books.clock = books.clock.with_server(server);
    }
    if let Some(hour) = accept {
        check_hour(hour, books.clock)?;
    }
    let newest = instant_fact(&books.ledger, NEWEST_MACHINE_CLOCK).await?;
    let last = instant_fact(&books.ledger, LAST_RUN_CLOCK).await?;
    match (judge(books.clock, newest, books.settings.clock_jump_days), accept) {
        (Verdict::Good, _) => record(books, None).await?,
        (Verdict::Behind { .. } | Verdict::Doubted(_), Some(hour)) => record(books, Some((hour, newest))).await?,
        (Verdict::Behind { newest }, None) => return Err(behind(books.clock, newest)),
        (Verdict::Doubted(doubt), None) => books.clock = books.clock.doubted(doubt),
    }
    Ok(Admitted {
        before_last: last.and_then(|last| before_last(books.clock, last)),
    })
}

fn judge(clock: Clock, newest: Option<DateTime<Utc>>, jump_days: u32) -> Verdict {
    let machine = clock.machine();
    let jump = TimeDelta::days(jump_days.into());
    if let Some(newest) = newest {
        if newest - machine > TOLERANCE {
            return Verdict::Behind { newest };
        }
        if machine - newest > jump {
            return Verdict::Doubted(Doubt {
                why: Wrong::Ahead { newest, jump_days },
                until: newest + jump,
            });
        }
    }
    match clock.server() {
        Some(server) if (machine - server).abs() > TOLERANCE => Verdict::Doubted(Doubt {
            why: Wrong::AwayFrom { server },
            until: newest.unwrap_or(machine.min(server)) + jump,
        }),
        _ => Verdict::Good,
    }
}

fn check_hour(Hour(hour): Hour, clock: Clock) -> Result<()> {
    let machine = clock.machine();
    if hour == hour_of(machine) {
        return Ok(());
    }
    Err(Error::Usage(format!(
        "--accept-clock {} does not match the system clock, which says {}: check that this is the correct time; if so, use \
         --accept-clock {}",
        hour_text(hour),
        instant_text(machine),
        hour_text(machine)
    )))
}

fn behind(clock: Clock, newest: DateTime<Utc>) -> Error {
    Error::NeedsPerson(format!(
        "the system clock says {}, more than an hour before the last accepted time, {}; nothing was done. If the clock is wrong, \
         correct it; if it is right and the earlier time was wrong, run the command again with --accept-clock {}. Commands that \
         only read still work",
        instant_text(clock.machine()),
        instant_text(newest),
        hour_text(clock.machine())
    ))
}

fn before_last(clock: Clock, last: DateTime<Utc>) -> Option<String> {
    let is_before = last - clock.now() > SAME_TIME;
    is_before.then(|| {
        format!(
            "this run is as of {}, earlier than the last run, which was as of {}",
            clock.text(),
            instant_text(last)
        )
    })
}

/// Records both clocks. `accepted` is the hour that a person named, with the newest clock before that: a decision for the audit trail.
async fn record(books: &Books, accepted: Option<(Hour, Option<DateTime<Utc>>)>) -> Result<()> {
    let clock = books.clock;
    let (machine, run) = (instant_text(clock.machine()), clock.text());
    let mut tx = books.ledger.begin().await?;
    let newest = fact_in(&mut tx, NEWEST_MACHINE_CLOCK).await?;
    // Both are texts of one form: their order is that of the instants.
    let is_newer = accepted.is_some() || newest.is_none_or(|newest| newest < machine);
    if is_newer {
        set_fact(&mut tx, NEWEST_MACHINE_CLOCK, &machine).await?;
    }
    let moved = fact_in(&mut tx, LAST_RUN_CLOCK).await?.is_none_or(|last| last != run);
    if moved {
        set_fact(&mut tx, LAST_RUN_CLOCK, &run).await?;
    }
    if let Some((Hour(hour), before)) = accepted {
        let decision = Decision {
            who: &books.settings.who,
            action: "clock accept",
            subject: format!("machine's clock {machine}"),
            detail: serde_json::json!({
                "newest_before": before.map(instant_text),
                "server": clock.server().map(instant_text),
            }),
            reason: &format!("--accept-clock {}", hour_text(hour)),
            at: clock.text(),
        };
        add_audit(&mut tx, &decision).await?;
    }
    if is_newer || moved {
        books.ledger.commit(tx, "clock").await?;
    }
    Ok(())
}

async fn instant_fact(ledger: &Ledger, name: &str) -> Result<Option<DateTime<Utc>>> {
    let Some(text) = fact(ledger, name).await? else {
        return Ok(None);
    };
    let no_instant = |_| Error::Unbalanced(format!("the ledger's {name} is {text}, which is not a time"));
    text.parse().map(Some).map_err(no_instant)
}

async fn server_now(ledger: &Ledger) -> Result<Option<DateTime<Utc>>> {
    if failpoint::machine_clock().is_some() {
        return Ok(failpoint::server_clock());
    }
    let seconds = ledger.server_seconds().await?;
    Ok(seconds.and_then(|seconds| DateTime::from_timestamp(seconds, 0)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    const NOW: &str = "2026-11-29T20:21:00Z";

    fn verdict(machine: &str, newest: Option<&str>, server: Option<&str>) -> Verdict {
        let clock = Clock::of(at(NOW), at(machine));
        let clock = server.map_or(clock, |server| clock.with_server(at(server)));
        judge(clock, newest.map(at), 8)
    }

    #[test]
    fn a_clock_within_the_jump_is_good_and_the_first_one_too() {
        assert_eq!(verdict(NOW, None, None), Verdict::Good);
        assert_eq!(verdict(NOW, Some("2026-11-21T20:21:00Z"), None), Verdict::Good);
        assert_eq!(verdict(NOW, Some("2026-11-29T21:21:00Z"), None), Verdict::Good);
    }

    #[test]
    fn a_clock_that_jumps_is_in_doubt_and_times_are_believed_up_to_the_jump() {
        let newest = "2026-11-20T20:21:00Z";
        let doubt = Doubt {
            why: Wrong::Ahead {
                newest: at(newest),
                jump_days: 8,
            },
            until: at("2026-11-28T20:21:00Z"),
        };
        assert_eq!(verdict(NOW, Some(newest), None), Verdict::Doubted(doubt));
        let clock = Clock::of(at(NOW), at(NOW)).doubted(doubt);
        assert_eq!(clock.believed(), at("2026-11-28T20:21:00Z"));
        assert!(clock.objection().unwrap().ends_with("--accept-clock 2026-11-29T20Z"));
        let replay = Clock::of(at("2026-10-01T00:00:00Z"), at(NOW)).doubted(doubt);
        assert_eq!(replay.believed(), at("2026-10-01T00:00:00Z"));
    }

    #[test]
    fn a_clock_more_than_an_hour_behind_the_newest_is_behind() {
        let newest = "2026-11-29T21:21:01Z";
        assert_eq!(verdict(NOW, Some(newest), None), Verdict::Behind { newest: at(newest) });
    }

    #[test]
    fn a_clock_more_than_an_hour_from_the_servers_is_in_doubt_on_either_side() {
        for server in ["2026-11-29T19:20:59Z", "2026-11-29T21:21:01Z"] {
            let Verdict::Doubted(doubt) = verdict(NOW, None, Some(server)) else {
                panic!("{server} is good");
            };
            assert_eq!(doubt.why, Wrong::AwayFrom { server: at(server) });
            assert_eq!(doubt.until, at(NOW).min(at(server)) + TimeDelta::days(8));
        }
        assert_eq!(verdict(NOW, None, Some("2026-11-29T21:21:00Z")), Verdict::Good);
    }

    #[test]
    fn the_hour_is_read_in_every_form_that_names_it() {
        let hour: Hour = "2026-11-29T20Z".parse().unwrap();
        for form in [
            "2026-11-29T20",
            "2026-11-29T20:59Z",
            "2026-11-29T20:00:00Z",
            "2026-11-30T04:59:59+08:00",
        ] {
            assert_eq!(form.parse(), Ok(hour), "{form}");
        }
        for form in ["", "now", "2026-11-29", "20Z"] {
            assert!(form.parse::<Hour>().unwrap_err().contains("2026-11-29T20Z"), "{form}");
        }
        let clock = Clock::of(at(NOW), at(NOW));
        assert!(check_hour(hour, clock).is_ok());
        let other = check_hour("2026-11-29T19Z".parse().unwrap(), clock)
            .unwrap_err()
            .to_string();
        assert!(other.contains("--accept-clock 2026-11-29T20Z"), "{other}");
    }
}
