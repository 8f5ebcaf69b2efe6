//! What the calendar reads from the ledger.

use std::collections::{BTreeMap, BTreeSet};

use chrono::NaiveDate;

use super::{Longer, Proof, Proved};
use crate::context::keeping::Class;
use crate::pipeline::retention::deletion::Deleted;
use crate::storage::ledger::{Ledger, Row, query};
use crate::storage::raw::store::parse_day;
use crate::support::error::Result;

/// Rows of segments of some kinds, and their oldest day.
pub async fn of_segments(ledger: &Ledger, kinds: &[&str]) -> Result<(i64, Option<NaiveDate>)> {
    let mut all: (i64, Option<NaiveDate>) = (0, None);
    for kind in kinds {
        let row = query("SELECT COALESCE(SUM(row_count), 0), MIN(day) FROM segment WHERE kind = ?")
            .bind(*kind)
            .fetch_one(ledger)
            .await?;
        let day: Option<String> = row.try_get(1)?;
        let day = day.as_deref().map(parse_day).transpose()?;
        all = (all.0 + row.try_get::<i64>(0)?, all.1.min(day).or(all.1).or(day));
    }
    Ok(all)
}

/// Days that the last night held.
pub async fn held_days(ledger: &Ledger) -> Result<Vec<Longer>> {
    let rows = query("SELECT day, sentence FROM held_day ORDER BY day, code")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(Longer {
                what: row.try_get(0)?,
                why: row.try_get(1)?,
            })
        })
        .collect()
}

/// Refused lines whose bytes are there, and the day of the oldest receipt.
pub async fn quarantined_bytes(ledger: &Ledger) -> Result<(i64, Option<NaiveDate>)> {
    let row = query("SELECT COUNT(*), MIN(received_at) FROM quarantine WHERE payload IS NOT NULL")
        .fetch_one(ledger)
        .await?;
    let oldest: Option<String> = row.try_get(1)?;
    let day = oldest
        .as_deref()
        .and_then(|at| at.get(..10))
        .map(parse_day)
        .transpose()?;
    Ok((row.try_get(0)?, day))
}

/// Versions of definitions and templates that were added, and the day of the oldest.
pub async fn source_versions(ledger: &Ledger) -> Result<(i64, Option<String>)> {
    let (versions, oldest) = months(ledger, "SELECT COUNT(*), MIN(imported_at) FROM source_version").await?;
    let (templates, oldest_template) = months(ledger, "SELECT COUNT(*), MIN(added_at) FROM source_template").await?;
    let oldest = [oldest, oldest_template].into_iter().flatten().min();
    Ok((versions + templates, oldest.map(|at| at.chars().take(10).collect())))
}

/// Rows of usage for dashboards, and their oldest month.
pub async fn usage_months(ledger: &Ledger) -> Result<(i64, Option<String>)> {
    months(ledger, "SELECT COUNT(*), MIN(month) FROM usage_daily").await
}

/// Documents with lines of statements, and their oldest month.
pub async fn statement_months(ledger: &Ledger) -> Result<(i64, Option<String>)> {
    let sql = "SELECT COUNT(*), MIN(s.month) FROM statement s WHERE s.document IN (SELECT d.document FROM document d)";
    months(ledger, sql).await
}

async fn months(ledger: &Ledger, sql: &'static str) -> Result<(i64, Option<String>)> {
    let row = query(sql).fetch_one(ledger).await?;
    Ok((row.try_get(0)?, row.try_get(1)?))
}

/// How much of a class was deleted so far.
pub async fn deleted_rows(ledger: &Ledger, class: Class) -> Result<i64> {
    let deletions = deletions(ledger).await?.into_iter();
    let of_class = deletions.filter(|deletion| deletion.deleted.class == class.text());
    Ok(of_class.map(|deletion| deletion.deleted.rows).sum())
}

/// All deletions, newest first. Those of before they were written down are days that are marked as expired; who did them is not known.
pub async fn deletions(ledger: &Ledger) -> Result<Vec<Proved>> {
    let rows = query(
        "SELECT class, subject, row_count, deleted_at, who, why, audit_entry FROM deletion ORDER BY deleted_at DESC, deletion DESC",
    )
    .fetch_all(ledger)
    .await?;
    let mut all: Vec<Deleted> = rows.iter().map(deleted_of).collect::<Result<_>>()?;
    let noted: BTreeSet<(String, String)> = all.iter().map(|it| (it.class.clone(), it.subject.clone())).collect();
    for earlier in marked_days(ledger).await? {
        if !noted.contains(&(earlier.class.clone(), earlier.subject.clone())) {
            all.push(earlier);
        }
    }
    all.sort_by(|a, b| b.deleted_at.cmp(&a.deleted_at));
    let mut proofs = proofs(ledger).await?;
    let proved = all.into_iter().map(|deleted| Proved {
        proof: (deleted.class == Class::Raw.text())
            .then(|| proofs.remove(&deleted.subject))
            .flatten(),
        deleted,
    });
    Ok(proved.collect())
}

fn deleted_of(row: &Row) -> Result<Deleted> {
    Ok(Deleted {
        class: row.try_get(0)?,
        subject: row.try_get(1)?,
        rows: row.try_get(2)?,
        deleted_at: row.try_get(3)?,
        who: Some(row.try_get(4)?),
        why: row.try_get(5)?,
        audit_entry: row.try_get(6)?,
    })
}

async fn marked_days(ledger: &Ledger) -> Result<Vec<Deleted>> {
    let rows = query("SELECT kind, day, row_count, expired_at FROM expired_day ORDER BY day")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            let class = match row.try_get::<String>(0)?.as_str() {
                "usage" => Class::Raw,
                "log" => Class::Log,
                _ => Class::Queue,
            };
            Ok(Deleted {
                class: class.text().to_owned(),
                subject: row.try_get(1)?,
                rows: row.try_get(2)?,
                deleted_at: row.try_get(3)?,
                who: None,
                why: "clock".to_owned(),
                audit_entry: None,
            })
        })
        .collect()
}

async fn proofs(ledger: &Ledger) -> Result<BTreeMap<String, Proof>> {
    let rows = query("SELECT day, row_count, duration_ms, accounts FROM proved_day")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            let proof = Proof {
                records: row.try_get(1)?,
                duration_ms: row.try_get(2)?,
                accounts: row.try_get(3)?,
            };
            Ok((row.try_get(0)?, proof))
        })
        .collect()
}
