//! The ledger of identities that are disputed: voids, conflicts, and what people said about them.

use std::collections::HashSet;

use chrono::NaiveDate;

use crate::pipeline::meter::dedupe::resolution::{Resolution, Resolutions, Resolved, RowId};
use crate::pipeline::meter::dedupe::{Conflict, Void, VoidState};
use crate::storage::ledger::{
    Decision, Ledger, Row, Tx, Value, add_audit, insert_rows, next_number, next_numbers, query, reseal,
};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::calendar::{day_of_number, number_of_day};

/// All voids, in the order they came.
pub async fn load_voids(ledger: &Ledger) -> Result<Vec<Void>> {
    let rows =
        query("SELECT source, target, batch, line, state, utc_day, id, metering, took_batch, took_line FROM void ORDER BY batch, \
               line")
            .fetch_all(ledger)
            .await?;
    rows.iter()
        .map(|row| {
            let state: String = row.try_get(4)?;
            Ok(Void {
                source: row.try_get(0)?,
                target: row.try_get(1)?,
                id: row.try_get(6)?,
                batch: row.try_get(2)?,
                line: u32::try_from(row.try_get::<i64>(3)?).unwrap_or(0),
                state: void_state(&state)?,
                day: row
                    .try_get::<Option<String>>(5)?
                    .map(|day| Ok::<_, Error>(number_of_day(parse_day(&day)?)))
                    .transpose()?,
                metering: row.try_get(7)?,
                took: took(row)?,
            })
        })
        .collect()
}

/// The rows that voids had taken back by a metering.
pub async fn voided_rows(ledger: &Ledger, metering: i64) -> Result<HashSet<RowId>> {
    let mut rows = HashSet::new();
    query("SELECT took_batch, took_line FROM void WHERE took_batch IS NOT NULL AND metering <= ?")
        .bind(metering)
        .for_each(ledger, |row| {
            let (batch, line): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
            let line = u32::try_from(line);
            rows.insert((
                batch,
                line.map_err(|_| Error::Unbalanced(format!("the ledger holds a void of line {line:?}")))?,
            ));
            Ok(())
        })
        .await?;
    Ok(rows)
}

/// The row that a void took back.
fn took(row: &Row) -> Result<Option<RowId>> {
    let (batch, line): (Option<i64>, Option<i64>) = (row.try_get(8)?, row.try_get(9)?);
    Ok(batch.zip(line.and_then(|line| u32::try_from(line).ok())))
}

fn void_state(text: &str) -> Result<VoidState> {
    match text {
        "waiting" => Ok(VoidState::Waiting),
        "applied" => Ok(VoidState::Applied),
        "refused" => Ok(VoidState::Refused),
        "dismissed" => Ok(VoidState::Dismissed),
        other => Err(Error::Unbalanced(format!("the ledger holds a void in state {other:?}"))),
    }
}

fn void_state_text(state: VoidState) -> &'static str {
    match state {
        VoidState::Waiting => "waiting",
        VoidState::Applied => "applied",
        VoidState::Refused => "refused",
        VoidState::Dismissed => "dismissed",
    }
}

pub async fn add_voids(tx: &mut Tx, metering: i64, voids: &[Void], listed_at: &str) -> Result<()> {
    let rows = voids.iter().map(|void| -> [Value; 11] {
        [
            void.source.as_str().into(),
            void.target.as_str().into(),
            void.id.as_str().into(),
            void.batch.into(),
            i64::from(void.line).into(),
            void_state_text(void.state).into(),
            void.day.map(|day| day_of_number(day).to_string()).into(),
            listed_at.into(),
            applied_by(void, metering).into(),
            void.took.map(|took| took.0).into(),
            void.took.map(|took| i64::from(took.1)).into(),
        ]
    });
    insert_rows(
        tx,
        "void (source, target, id, batch, line, state, utc_day, listed_at, metering, took_batch, took_line)",
        rows,
    )
    .await?;
    Ok(())
}

/// The metering that took the record back, of a void that did.
fn applied_by(void: &Void, metering: i64) -> Option<i64> {
    (void.state == VoidState::Applied).then_some(metering)
}

pub async fn end_waits(tx: &mut Tx, metering: i64, voids: &[Void]) -> Result<()> {
    for void in voids {
        query(
            "UPDATE void SET state = ?, utc_day = ?, metering = ?, took_batch = ?, took_line = ? WHERE batch = ? AND line = ?",
        )
            .bind(void_state_text(void.state))
            .bind(void.day.map(|day| day_of_number(day).to_string()))
            .bind(applied_by(void, metering))
            .bind(void.took.map(|took| took.0))
            .bind(void.took.map(|took| i64::from(took.1)))
            .bind(void.batch)
            .bind(i64::from(void.line))
            .execute(tx)
            .await?;
        let row = [void.batch.into(), i64::from(void.line).into()];
        reseal(tx, "void", "batch = ? AND line = ?", &row).await?;
    }
    Ok(())
}

/// Cut lines whose whole came with batches after one and up to another: the whole line's place, and that of the cut one.
pub async fn cut_lines(ledger: &Ledger, after: i64, up_to: i64) -> Result<Vec<(RowId, RowId)>> {
    let rows = query(
        "SELECT batch, cut_line, first_batch FROM reread WHERE cut_line IS NOT NULL AND batch > ? AND batch <= ? \
         ORDER BY batch, first_batch",
    )
    .bind(after)
    .bind(up_to)
    .fetch_all(ledger)
    .await?;
    let mut lines = Vec::with_capacity(rows.len());
    for row in &rows {
        // A line beyond 2^32 was refused.
        if let Ok(line) = u32::try_from(row.try_get::<i64>(1)?) {
            lines.push(((row.try_get(0)?, line), (row.try_get(2)?, line)));
        }
    }
    Ok(lines)
}

/// Writes down what whole lines did: those that replace what was read of them, as decisions that the next metering books, and those
/// that took it back. Nobody decided it, so the audit trail names the program.
pub async fn add_completions(
    tx: &mut Tx,
    completing: &[(&Conflict, i32)],
    taken_back: &[&Void],
    at: &str,
) -> Result<()> {
    if !completing.is_empty() {
        let count = i64::try_from(completing.len()).unwrap_or(i64::MAX);
        let resolution = next_numbers(tx, "resolution", count).await?;
        add_conflicts_as(tx, completing, "replaced", Some(resolution)).await?;
    }
    let replaced = completing.iter().map(|(conflict, _)| {
        let record = &conflict.record;
        (conflict.first, (record.batch, record.line), &record.source, &record.id)
    });
    let taken = taken_back.iter().filter_map(|void| {
        let first = void.took?;
        Some((first, (void.batch, void.line), &void.source, &void.target))
    });
    for (first, whole, source, id) in replaced.chain(taken) {
        let decision = Decision {
            who: "tallybook",
            action: "whole line",
            subject: format!("batch {} line {}", first.0, first.1),
            detail: serde_json::json!({ "source": source, "id": id, "whole_batch": whole.0, "whole_line": whole.1 }),
            reason: "the input ended within this line when it was first read; the whole line stands in its place",
            at: at.to_owned(),
        };
        add_audit(tx, &decision).await?;
    }
    Ok(())
}

pub async fn add_conflicts(tx: &mut Tx, conflicts: &[(&Conflict, i32)]) -> Result<()> {
    add_conflicts_as(tx, conflicts, "open", None).await
}

/// In a state, with resolutions numbered from one on where they have one.
async fn add_conflicts_as(
    tx: &mut Tx,
    conflicts: &[(&Conflict, i32)],
    state: &str,
    resolution: Option<i64>,
) -> Result<()> {
    if conflicts.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(conflicts.len()).unwrap_or(i64::MAX);
    let first = next_numbers(tx, "conflict", count).await?;
    let rows = (first..)
        .zip(conflicts)
        .map(|(number, (conflict, day))| -> [Value; 12] {
            [
                number.into(),
                conflict.record.batch.into(),
                i64::from(conflict.record.line).into(),
                conflict.record.source.as_str().into(),
                conflict.record.id.as_str().into(),
                conflict.first.0.into(),
                i64::from(conflict.first.1).into(),
                conflict.record.content.uin().map(|uin| uin.to_string()).into(),
                day_of_number(*day).to_string().into(),
                day_of_number(conflict.first_day).to_string().into(),
                state.into(),
                resolution.map(|resolution| resolution + number - first).into(),
            ]
        });
    insert_rows(
        tx,
        "conflict (conflict, batch, line, source, id, first_batch, first_line, uin, utc_day, first_utc_day, state, resolution)",
        rows,
    )
    .await?;
    Ok(())
}

/// Every resolved conflict.
pub async fn load_resolutions(ledger: &Ledger) -> Result<Resolutions> {
    let rows = query(
        "SELECT first_batch, first_line, first_utc_day, batch, line, utc_day, state, resolution, metering FROM conflict \
         WHERE resolution IS NOT NULL ORDER BY resolution",
    )
    .fetch_all(ledger)
    .await?;
    let line = |row: &Row, at: usize| -> Result<u32> { Ok(u32::try_from(row.try_get::<i64>(at)?).unwrap_or(0)) };
    let day = |row: &Row, at: usize| -> Result<i32> { Ok(number_of_day(parse_day(&row.try_get::<String>(at)?)?)) };
    let resolved = rows.iter().map(|row| {
        Ok(Resolved {
            first: (row.try_get(0)?, line(row, 1)?),
            first_day: day(row, 2)?,
            later: (row.try_get(3)?, line(row, 4)?),
            day: day(row, 5)?,
            word: word_of(&row.try_get::<String>(6)?)?,
            resolution: row.try_get(7)?,
            metering: row.try_get(8)?,
        })
    });
    Ok(Resolutions::new(resolved.collect::<Result<_>>()?))
}

fn word_of(state: &str) -> Result<Resolution> {
    match state {
        "kept" => Ok(Resolution::Kept),
        "replaced" => Ok(Resolution::Replaced),
        "repeated" => Ok(Resolution::Repeated),
        other => Err(Error::Unbalanced(format!(
            "the ledger holds a resolved conflict in state {other:?}"
        ))),
    }
}

/// Notes that this metering booked every replacement that waited.
pub async fn book_replacements(tx: &mut Tx, metering: i64) -> Result<()> {
    let done = query("UPDATE conflict SET metering = ? WHERE state = 'replaced' AND metering IS NULL")
        .bind(metering)
        .execute(tx)
        .await?;
    if done == 0 {
        return Ok(());
    }
    reseal(
        tx,
        "conflict",
        "state = 'replaced' AND metering = ?",
        &[metering.into()],
    )
    .await
}

/// Writes a decision into an open conflict; it must still be open.
pub async fn resolve_conflict(tx: &mut Tx, number: i64, state: &str) -> Result<()> {
    let resolution = next_number(tx, "resolution").await?;
    let done = query("UPDATE conflict SET state = ?, resolution = ? WHERE conflict = ? AND state = 'open'")
        .bind(state)
        .bind(resolution)
        .bind(number)
        .execute(tx)
        .await?;
    if done != 1 {
        return Err(Error::Usage(format!(
            "conflict {number} was resolved by another run; nothing was written"
        )));
    }
    reseal(tx, "conflict", "conflict = ?", &[number.into()]).await
}

/// Conflicts of a waived day that nobody resolved: their content is gone with the day.
pub async fn let_conflicts_go(tx: &mut Tx, day: NaiveDate) -> Result<()> {
    let condition = "state = 'open' AND (utc_day = ? OR first_utc_day = ?)";
    let (day, update) = (
        day.to_string(),
        format!("UPDATE conflict SET state = 'expired' WHERE {condition}"),
    );
    let done = query(update).bind(day.as_str()).bind(day.as_str()).execute(tx).await?;
    if done == 0 {
        return Ok(());
    }
    let binds = [day.as_str().into(), day.as_str().into()];
    reseal(
        tx,
        "conflict",
        "state = 'expired' AND (utc_day = ? OR first_utc_day = ?)",
        &binds,
    )
    .await
}

/// Notes that a void waits no more; it must still wait.
pub async fn dismiss_void(tx: &mut Tx, id: &str, (batch, line): (i64, i64)) -> Result<()> {
    let done = query("UPDATE void SET state = 'dismissed' WHERE batch = ? AND line = ? AND state = 'waiting'")
        .bind(batch)
        .bind(line)
        .execute(tx)
        .await?;
    if done != 1 {
        return Err(Error::Usage(format!(
            "void {id:?} is no longer waiting: another run found its record; nothing was written"
        )));
    }
    let row = [batch.into(), line.into()];
    reseal(tx, "void", "batch = ? AND line = ?", &row).await
}
