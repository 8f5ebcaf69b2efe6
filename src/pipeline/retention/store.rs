//! The ledger of expiry.

use std::collections::BTreeSet;

use chrono::{Months, NaiveDate, TimeDelta};

use super::blockers::Held;
use super::day_digest::Proof;
use super::deletion::{Deletion, note};
use super::record_digest::ProvedDay;
use crate::context::Books;
use crate::context::keeping::Class;
use crate::pipeline::ingest::quarantine::store::drop_payloads_before;
use crate::storage::ledger::{
    Decision, Lease, Ledger, Row, Tx, Value, add_audit, delete_rows, insert_row, insert_rows, query,
};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::parse_day;
use crate::support::clock::instant_text;
use crate::support::error::{Error, Result};
use crate::support::table::counted;

/// UTC days that have segments of a kind.
pub async fn days_with_segments(ledger: &Ledger, kind: SegmentKind) -> Result<Vec<NaiveDate>> {
    let rows = query("SELECT DISTINCT day FROM segment WHERE kind = ? ORDER BY day")
        .bind(kind.text())
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| parse_day(&row.try_get::<String>(0)?)).collect()
}

/// Marks a day. A late void's segment may bring a marked log day up again, so a mark that is there stays as it is.
pub async fn mark_expired(
    tx: &mut Tx,
    kind: SegmentKind,
    day: NaiveDate,
    rows: i64,
    duration_ms: &str,
    now: &str,
) -> Result<()> {
    let known = query("SELECT COUNT(*) FROM expired_day WHERE day = ? AND kind = ?")
        .bind(day.to_string())
        .bind(kind.text())
        .fetch_one(&mut *tx)
        .await?;
    if known.try_get::<i64>(0)? > 0 {
        return Ok(());
    }
    let row: [Value; 5] = [
        day.to_string().into(),
        kind.text().into(),
        now.into(),
        rows.into(),
        duration_ms.into(),
    ];
    insert_row(tx, "expired_day (day, kind, expired_at, row_count, duration_ms)", row).await
}

/// Days that are marked as expired, with their kind.
pub async fn marked_days(tx: &mut Tx) -> Result<BTreeSet<(NaiveDate, String)>> {
    let rows = query("SELECT day, kind FROM expired_day").fetch_all(tx).await?;
    rows.iter()
        .map(|row| Ok((parse_day(&row.try_get::<String>(0)?)?, row.try_get(1)?)))
        .collect()
}

/// What stands for a day, if it is proved.
pub async fn proved_day(ledger: &Ledger, day: NaiveDate) -> Result<Option<ProvedDay>> {
    let row = query("SELECT row_count, duration_ms, accounts FROM proved_day WHERE day = ?")
        .bind(day.to_string())
        .fetch_optional(ledger)
        .await?;
    let proved = |row: Row| {
        Ok(ProvedDay {
            rows: row.try_get(0)?,
            duration_ms: row.try_get(1)?,
            accounts: row.try_get(2)?,
        })
    };
    row.map(proved).transpose()
}

/// Accounts with rows of a day, as it was proved.
pub async fn proved_accounts(ledger: &Ledger, day: NaiveDate, proved: &ProvedDay) -> Result<BTreeSet<u64>> {
    let rows = query("SELECT uin FROM proved_account WHERE day = ?")
        .bind(day.to_string())
        .fetch_all(ledger)
        .await?;
    if i64::try_from(rows.len()) != Ok(proved.accounts) {
        return Err(Error::Unbalanced(format!(
            "{day} was verified with {}, and the ledger has {}; restore the ledger from a backup",
            counted(proved.accounts, "account"),
            rows.len()
        )));
    }
    rows.iter()
        .map(|row| crate::catalog::account::store::parse_uin(&row.try_get::<String>(0)?))
        .collect()
}

/// Writes what stands for a day, in place of what was written before more rows came.
pub async fn replace_proofs(tx: &mut Tx, day: NaiveDate, proved: &ProvedDay, accounts: &[Proof]) -> Result<()> {
    let day = day.to_string();
    for table in ["proved_day", "proved_account"] {
        delete_rows(tx, table, "day = ?", &[day.as_str().into()]).await?;
    }
    let row: [Value; 4] = [
        day.as_str().into(),
        proved.rows.into(),
        proved.duration_ms.as_str().into(),
        proved.accounts.into(),
    ];
    insert_row(tx, "proved_day (day, row_count, duration_ms, accounts)", row).await?;
    let rows = accounts.iter().map(|proof| -> [Value; 5] {
        [
            day.as_str().into(),
            proof.uin.to_string().into(),
            proof.rows.into(),
            proof.duration_ms.to_string().into(),
            proof.digest.as_str().into(),
        ]
    });
    insert_rows(tx, "proved_account (day, uin, row_count, duration_ms, digest)", rows).await?;
    Ok(())
}

/// The day must have as many rows as were proved: an ingest may have added some since.
pub async fn check_rows(tx: &mut Tx, day: NaiveDate, proved: i64) -> Result<()> {
    let row = query("SELECT COALESCE(SUM(row_count), 0) FROM segment WHERE kind = 'usage' AND day = ?")
        .bind(day.to_string())
        .fetch_one(&mut *tx)
        .await?;
    if row.try_get::<i64>(0)? == proved {
        return Ok(());
    }
    Err(Error::NeedsPerson(format!(
        "{day} received new records just before it expired; run the command again"
    )))
}

pub async fn is_waived(ledger: &Ledger, day: NaiveDate) -> Result<bool> {
    let row = query("SELECT COUNT(*) FROM waiver WHERE day = ?")
        .bind(day.to_string())
        .fetch_one(ledger)
        .await?;
    Ok(row.try_get::<i64>(0)? > 0)
}

/// A person's word that a day's unmetered records and conflicts may go. The same word again changes nothing.
pub async fn waive(books: &Books, day: NaiveDate, reason: &str) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    let same = query("SELECT COUNT(*) FROM waiver WHERE day = ? AND reason = ?")
        .bind(day.to_string())
        .bind(reason)
        .fetch_one(&mut tx)
        .await?;
    if same.try_get::<i64>(0)? > 0 {
        return Ok(());
    }
    check_waivable(books, &mut tx, day).await?;
    delete_rows(&mut tx, "waiver", "day = ?", &[day.to_string().into()]).await?;
    let row: [Value; 3] = [day.to_string().into(), reason.into(), books.clock.text().into()];
    insert_row(&mut tx, "waiver (day, reason, waived_at)", row).await?;
    let decision = Decision {
        who: &books.settings.who,
        action: "expire waive",
        subject: day.to_string(),
        detail: serde_json::json!({}),
        reason,
        at: books.clock.text(),
    };
    add_audit(&mut tx, &decision).await?;
    books.ledger.commit(tx, "waive").await
}

/// A word about a day that has nothing to let go is a mistyped day.
async fn check_waivable(books: &Books, tx: &mut Tx, day: NaiveDate) -> Result<()> {
    let today = books.clock.today();
    if day > today {
        return Err(Error::Usage(format!(
            "--waive {day}: this day is in the future (today is {today}, UTC); `tallybook status` lists the held days"
        )));
    }
    let count = async |tx: &mut Tx, sql: &'static str| {
        let row = query(sql).bind(day.to_string()).fetch_one(tx).await?;
        row.try_get::<i64>(0)
    };
    if count(tx, "SELECT COUNT(*) FROM segment WHERE kind = 'usage' AND day = ?").await? > 0 {
        return Ok(());
    }
    let why = match count(tx, "SELECT COUNT(*) FROM expired_day WHERE kind = 'usage' AND day = ?").await? {
        0 => "there are no records on this UTC day",
        _ => "its raw data has already expired",
    };
    Err(Error::Usage(format!(
        "--waive {day}: {why}, so there is nothing to waive; `tallybook status` lists the held days"
    )))
}

pub async fn unmetered_on(ledger: &Ledger, day: NaiveDate) -> Result<i64> {
    let row = query("SELECT COALESCE(SUM(records), 0) FROM unmetered WHERE utc_day = ?")
        .bind(day.to_string())
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// Open conflicts of which either side lies on the day.
pub async fn conflicts_on(ledger: &Ledger, day: NaiveDate) -> Result<i64> {
    let row = query("SELECT COUNT(*) FROM conflict WHERE state = 'open' AND (utc_day = ? OR first_utc_day = ?)")
        .bind(day.to_string())
        .bind(day.to_string())
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// Replaced contents that no metering has booked yet, of which either side lies on the day.
pub async fn unbooked_resolutions(ledger: &Ledger, day: NaiveDate) -> Result<i64> {
    let row = query(
        "SELECT COUNT(*) FROM conflict WHERE state = 'replaced' AND metering IS NULL AND (utc_day = ? OR first_utc_day = ?)",
    )
    .bind(day.to_string())
    .bind(day.to_string())
    .fetch_one(ledger)
    .await?;
    row.try_get(0)
}

/// Late records of these accounts on the local days that a UTC day can touch, as far as no closed statement has them.
pub async fn late_usage_around(ledger: &Ledger, day: NaiveDate, uins: &BTreeSet<u64>) -> Result<i64> {
    let rows = query("SELECT uin, records FROM late_usage WHERE day >= ? AND day <= ? AND closing IS NULL")
        .bind((day - TimeDelta::days(1)).to_string())
        .bind((day + TimeDelta::days(1)).to_string())
        .fetch_all(ledger)
        .await?;
    let mut late = 0;
    for row in rows {
        if uins.contains(&crate::catalog::account::store::parse_uin(&row.try_get::<String>(0)?)?) {
            late += row.try_get::<i64>(1)?.abs().max(1);
        }
    }
    Ok(late)
}

/// Whether periods that the day can touch in some zone were closed by a later closing than this one.
pub async fn closed_since(ledger: &Ledger, day: NaiveDate, closing: i64) -> Result<bool> {
    let (first, last) = (day - TimeDelta::days(1), day + TimeDelta::days(1));
    for table in ["stated_period", "empty_period"] {
        let row = query(format!(
            "SELECT COUNT(*) FROM {table} WHERE closing > ? AND period_start <= ? AND period_end > ?"
        ))
        .bind(closing)
        .bind(last.to_string())
        .bind(first.to_string())
        .fetch_one(ledger)
        .await?;
        if row.try_get::<i64>(0)? > 0 {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Replaces the list of held days by the last run's.
pub async fn replace_held(ledger: &Ledger, lease: &Lease, held: &[Held]) -> Result<()> {
    let mut tx = ledger.begin().await?;
    lease.check(&mut tx).await?;
    delete_rows(&mut tx, "held_day", "1 = 1", &[]).await?;
    let rows = held.iter().map(|h| -> [Value; 4] {
        [
            h.day.to_string().into(),
            h.code.into(),
            h.sentence.as_str().into(),
            i64::from(h.needs_person).into(),
        ]
    });
    insert_rows(&mut tx, "held_day (day, code, sentence, needs_person)", rows).await?;
    ledger.commit(tx, "hold").await
}

/// Removes the bytes of quarantined lines received more than `months` ago; reason and digest stay.
pub async fn drop_old_payloads(books: &Books, lease: &Lease, months: u32) -> Result<u64> {
    let Some(limit) = books.clock.irreversible().checked_sub_months(Months::new(months)) else {
        return Ok(0);
    };
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let done = drop_payloads_before(&mut tx, &instant_text(limit)).await?;
    if done > 0 {
        let rows = i64::try_from(done).unwrap_or(i64::MAX);
        let subject = format!("received before {}", instant_text(limit));
        note(&mut tx, books, &Deletion::by_clock(Class::Quarantine, &subject, rows)).await?;
    }
    books.ledger.commit(tx, "expire_payloads").await?;
    Ok(done)
}
