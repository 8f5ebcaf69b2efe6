//! `terminate` and `reinstate`.

use anyhow::Result;
use chrono::NaiveDate;

use super::args::{Args, not_blank};
use super::parse;
use super::run::report;
use crate::catalog::account::end::reinstate::{Reinstated, last_day_to_reinstate, reinstate, try_reinstate};
use crate::catalog::account::end::terminate::{Terminated, terminate, try_terminate};
use crate::catalog::rate_card::store::load_cards;
use crate::context::Books;
use crate::pipeline::close::due::due_at;
use crate::storage::ledger::Lease;

/// What can be typed after `terminate`.
#[derive(Debug, clap::Args)]
pub struct TerminateArgs {
    /// Account number
    #[arg(value_parser = parse::uin)]
    pub uin: u64,
    /// The first day that is not billed, in the account's time zone, such as 2026-12-01
    #[arg(long, value_name = "DAY", value_parser = parse::day)]
    pub on: NaiveDate,
    /// The reason, for the audit trail
    #[arg(long, value_name = "TEXT", value_parser = not_blank)]
    pub reason: String,
    /// Write nothing; show what would happen
    #[arg(long)]
    pub dry_run: bool,
}

/// What ending an account does, as it is told.
#[derive(serde::Serialize)]
struct ToldEnd {
    uin: String,
    /// The first day that is not billed.
    end_day: NaiveDate,
    zone: &'static str,
    /// None where the account begins on its end day.
    last_period: Option<LastPeriod>,
    /// The last day on which it can be taken back.
    reinstate_until: NaiveDate,
    audit_entry: Option<i64>,
    dry_run: bool,
}

#[derive(serde::Serialize)]
struct LastPeriod {
    start: NaiveDate,
    end: NaiveDate,
    /// RFC 3339; none where it is closed.
    due_at: Option<String>,
}

/// Ends an account on a day, or tells what that would do.
pub(super) async fn run_terminate(args: &Args, books: &Books, end: &TerminateArgs) -> Result<()> {
    let terminated = if end.dry_run {
        try_terminate(books, end.uin, end.on, &end.reason).await?
    } else {
        let lease = Lease::take(&books.ledger, "terminate").await?;
        let terminated = terminate(books, &lease, end.uin, end.on, &end.reason).await;
        lease.release().await?;
        terminated?
    };
    let told = told_end(books, &terminated).await?;
    report(args, &told, || end_text(&told));
    Ok(())
}

/// Takes back the end of an account, or tells what that would do.
pub(super) async fn run_reinstate(args: &Args, books: &Books, uin: u64, reason: &str, dry_run: bool) -> Result<()> {
    let reinstated = if dry_run {
        try_reinstate(books, uin, reason).await?
    } else {
        let lease = Lease::take(&books.ledger, "reinstate").await?;
        let reinstated = reinstate(books, &lease, uin, reason).await;
        lease.release().await?;
        reinstated?
    };
    let told = serde_json::json!({
        "uin": uin.to_string(),
        "end_day": reinstated.end_day,
        "period": reinstated.period,
        "audit_entry": reinstated.audit_entry,
        "dry_run": dry_run,
    });
    report(args, &told, || reinstated_text(&reinstated));
    Ok(())
}

async fn told_end(books: &Books, terminated: &Terminated) -> Result<ToldEnd> {
    let cards = load_cards(&books.ledger).await?;
    let account = &terminated.account;
    let last_period = terminated.last_period.map(|period| {
        let is_closed = account.closed_to.is_some_and(|closed_to| period.end <= closed_to);
        LastPeriod {
            start: period.start,
            end: period.end,
            due_at: (!is_closed).then(|| due_at(account, &period, &cards).to_rfc3339()),
        }
    });
    Ok(ToldEnd {
        uin: terminated.uin.to_string(),
        end_day: terminated.end_day,
        zone: account.terms[0].zone.name(),
        last_period,
        reinstate_until: last_day_to_reinstate(terminated.end_day),
        audit_entry: terminated.audit_entry,
        dry_run: terminated.audit_entry.is_none(),
    })
}

fn end_text(told: &ToldEnd) -> String {
    let (uin, end_day) = (&told.uin, told.end_day);
    let mut text = match told.audit_entry {
        Some(entry) => format!("account {uin} ends on {end_day} ({}), audit entry {entry}\n", told.zone),
        None => format!("account {uin} would end on {end_day} ({})\n", told.zone),
    };
    text.push_str(&match &told.last_period {
        None => "it has no period: it begins on that day\n".to_owned(),
        Some(LastPeriod { start, end, due_at }) => match due_at {
            None => format!("its last period, {start} to {end}, is closed\n"),
            Some(due_at) => format!("its last period, {start} to {end}, closes from {due_at} on\n"),
        },
    });
    text.push_str(&format!(
        "usage of that day and later goes to quarantine (account_ended)\nuntil {}, `tallybook reinstate {uin} --reason TEXT` takes it \
         back\n",
        told.reinstate_until
    ));
    if told.dry_run {
        text.push_str("dry run: nothing was written\n");
    }
    text
}

fn reinstated_text(reinstated: &Reinstated) -> String {
    let Reinstated {
        uin,
        end_day,
        period,
        audit_entry,
    } = reinstated;
    let done = match audit_entry {
        Some(entry) => format!("account {uin} goes on: its end on {end_day} is taken back (audit entry {entry})"),
        None => format!("account {uin} would go on: its end on {end_day} would be taken back"),
    };
    let last = match audit_entry {
        Some(_) => "run `tallybook quarantine retry --code account_ended` for lines that were refused since",
        None => "dry run: nothing was written",
    };
    format!(
        "{done}\n\
         a new period begins on that day, {} to {}\n\
         {last}\n",
        period.start, period.end
    )
}
