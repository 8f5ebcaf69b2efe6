//! The ledger of refused lines.

use std::collections::HashSet;

use super::alarm::store as alarms;
use super::alarm::{DISMISSED, TAKEN};
use super::filter::Filter;
use crate::pipeline::ingest::record::refusal::code;
use crate::pipeline::ingest::segment_builder::Refused;
use crate::storage::ledger::{Ledger, Row, Tx, Value, insert_rows, next_numbers, query, reseal};
use crate::support::error::{Error, Result};
use crate::support::quote::plain;
use crate::values::digest::sha256_hex;

/// What waits: neither taken nor dismissed.
pub(super) const WAITS: &str = "q.accepted_by IS NULL AND q.dismissed_by IS NULL";

/// Lines changed by one statement: each is found again by its number, for its seal.
const CHANGED_AT_ONCE: usize = 50;

/// Bytes of a line that are read to show a part of it.
const EXAMPLE_BYTES: usize = 240;

/// Puts refused lines into quarantine.
pub async fn add_quarantine(tx: &mut Tx, batch: i64, refused: Vec<Refused>, received_at: &str) -> Result<()> {
    if refused.is_empty() {
        return Ok(());
    }
    let count = i64::try_from(refused.len()).unwrap_or(i64::MAX);
    let first = next_numbers(tx, "quarantine", count).await?;
    let has_erased = refused.iter().any(Refused::is_of_erased_account);
    let rows = (first..).zip(refused).map(|(number, refused)| -> [Value; 9] {
        let is_kept = !refused.is_of_erased_account();
        [
            number.into(),
            batch.into(),
            i64::try_from(refused.line).unwrap_or(i64::MAX).into(),
            refused.refusal.code.into(),
            refused.refusal.sentence.into(),
            i64::try_from(refused.bytes.len()).unwrap_or(i64::MAX).into(),
            sha256_hex(&refused.bytes).into(),
            Value::Bytes(if is_kept { refused.bytes } else { Vec::new() }),
            received_at.into(),
        ]
    });
    insert_rows(
        tx,
        "quarantine (quarantine, batch, line, code, sentence, payload_bytes, payload_digest, payload, received_at)",
        rows,
    )
    .await?;
    if has_erased {
        query("UPDATE quarantine SET payload = NULL WHERE batch = ? AND code = ?")
            .bind(batch)
            .bind(code::ACCOUNT_ERASED)
            .execute(tx)
            .await?;
    }
    Ok(())
}

/// Beginnings of the digests of inputs that had lines of accounts that are erased: their files are not kept.
pub async fn digests_with_erased(ledger: &Ledger, digits: usize) -> Result<HashSet<String>> {
    let rows = query(
        "SELECT b.digest FROM batch b WHERE b.batch IN (SELECT q.batch FROM quarantine q WHERE q.code = ?) \
         OR b.batch IN (SELECT e.batch FROM erased_rows e)",
    )
    .bind(code::ACCOUNT_ERASED)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let digest: String = row.try_get(0)?;
            Ok(digest.chars().take(digits).collect())
        })
        .collect()
}

/// A refused line.
#[derive(Clone, Debug, serde::Serialize)]
pub struct QuarantinedLine {
    pub quarantine: i64,
    pub batch: i64,
    pub input: String,
    pub source: String,
    /// Its number in the input; of a JSON array, which record it is. From 1.
    pub line: i64,
    pub code: String,
    pub sentence: String,
    pub payload_bytes: i64,
    /// SHA-256 of the bytes that came.
    pub payload_digest: String,
    pub received_at: String,
    /// `waits`, `taken` or `dismissed`.
    pub state: &'static str,
    /// The retry's batch that took it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub accepted_by: Option<i64>,
    /// The audit entry that dismissed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dismissed_by: Option<i64>,
    /// The audit entry that corrected it, and the SHA-256 of the bytes that were taken in its place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected_by: Option<i64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub corrected_digest: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub payload: Option<String>,
    #[serde(skip)]
    pub bytes: Option<Vec<u8>>,
}

const COLUMNS: &str = "q.quarantine, q.batch, b.name, b.source, q.line, q.code, q.sentence, q.payload_bytes, q.payload_digest, \
     q.received_at, q.accepted_by, q.dismissed_by, q.corrected_by, q.corrected_digest";

const FROM: &str = "FROM quarantine q JOIN batch b ON b.batch = q.batch";

fn line_of(row: &Row) -> Result<QuarantinedLine> {
    let (accepted_by, dismissed_by): (Option<i64>, Option<i64>) = (row.try_get(10)?, row.try_get(11)?);
    let state = match (accepted_by, dismissed_by) {
        (Some(_), _) => "taken",
        (None, Some(_)) => "dismissed",
        (None, None) => "waits",
    };
    Ok(QuarantinedLine {
        quarantine: row.try_get(0)?,
        batch: row.try_get(1)?,
        input: row.try_get(2)?,
        source: row.try_get(3)?,
        line: row.try_get(4)?,
        code: row.try_get(5)?,
        sentence: row.try_get(6)?,
        payload_bytes: row.try_get(7)?,
        payload_digest: row.try_get(8)?,
        received_at: row.try_get(9)?,
        state,
        accepted_by,
        dismissed_by,
        corrected_by: row.try_get(12)?,
        corrected_digest: row.try_get(13)?,
        payload: None,
        bytes: None,
    })
}

/// A part of the lines that a filter means, oldest first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Page {
    /// Also those that were taken or dismissed.
    pub all: bool,
    /// Only those with a higher number.
    pub after: i64,
    /// At most so many; none is no limit.
    pub limit: Option<u32>,
}

fn meant(filter: &Filter, page: Page) -> (String, Vec<Value>) {
    let (condition, mut values) = filter.condition();
    let waits = if page.all { "1 = 1" } else { WAITS };
    values.push(page.after.into());
    let limit = page.limit.map_or_else(String::new, |limit| format!(" LIMIT {limit}"));
    let sql = format!("{FROM} WHERE {condition} AND {waits} AND q.quarantine > ? ORDER BY q.quarantine{limit}");
    (sql, values)
}

/// Refused lines without their bytes.
pub async fn lines(ledger: &Ledger, filter: &Filter, page: Page) -> Result<Vec<QuarantinedLine>> {
    let (sql, values) = meant(filter, page);
    let rows = query(format!("SELECT {COLUMNS} {sql}"))
        .bind_all(values)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(line_of).collect()
}

/// Refused lines with their bytes, where these have not expired.
pub async fn lines_with_bytes(ledger: &Ledger, filter: &Filter, page: Page) -> Result<Vec<QuarantinedLine>> {
    let (sql, values) = meant(filter, page);
    let rows = query(format!("SELECT {COLUMNS}, q.payload {sql}"))
        .bind_all(values)
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(QuarantinedLine {
                bytes: row.try_get(14)?,
                ..line_of(row)?
            })
        })
        .collect()
}

/// SHA-256 of every line of a source that was refused, whatever became of it.
pub async fn digests_of_source(ledger: &Ledger, source: &str) -> Result<HashSet<String>> {
    let rows = query(format!("SELECT DISTINCT q.payload_digest {FROM} WHERE b.source = ?"))
        .bind(source)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// The batches that received lines which a filter means and which wait.
pub async fn batches_that_wait(ledger: &Ledger, filter: &Filter) -> Result<Vec<i64>> {
    let (condition, values) = filter.condition();
    let rows = query(format!(
        "SELECT DISTINCT q.batch {FROM} WHERE {condition} AND {WAITS} ORDER BY q.batch"
    ))
    .bind_all(values)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Refused lines of one input and reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Count {
    pub batch: i64,
    pub input: String,
    pub code: String,
    pub lines: i64,
}

/// How many lines a filter means, by input and reason, whatever page is shown.
pub async fn counts(ledger: &Ledger, filter: &Filter, all: bool) -> Result<Vec<Count>> {
    let (condition, values) = filter.condition();
    let waits = if all { "1 = 1" } else { WAITS };
    let rows = query(format!(
        "SELECT q.batch, b.name, q.code, COUNT(*) {FROM} WHERE {condition} AND {waits} \
         GROUP BY q.batch, b.name, q.code ORDER BY q.batch, q.code"
    ))
    .bind_all(values)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(Count {
                batch: row.try_get(0)?,
                input: row.try_get(1)?,
                code: row.try_get(2)?,
                lines: row.try_get(3)?,
            })
        })
        .collect()
}

/// How many lines wait in quarantine, by reason; of one batch or of all.
pub async fn quarantine_counts(ledger: &Ledger, batch: Option<i64>) -> Result<Vec<(String, i64)>> {
    let rows = query(format!(
        "SELECT q.code, COUNT(*) FROM quarantine q WHERE {WAITS} AND (? = 0 OR q.batch = ?) GROUP BY q.code ORDER BY q.code"
    ))
    .bind(batch.unwrap_or(0))
    .bind(batch.unwrap_or(0))
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The first refused line of a reason.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Example {
    pub code: String,
    pub quarantine: i64,
    pub line: i64,
    pub sentence: String,
    /// The beginning of its bytes, escaped; none where they have expired.
    pub shown: Option<String>,
}

/// The first line that waits of each reason of a batch.
pub async fn examples(ledger: &Ledger, batch: i64) -> Result<Vec<Example>> {
    let rows = query(format!(
        "SELECT q.code, q.quarantine, q.line, q.sentence, SUBSTR(q.payload, 1, {EXAMPLE_BYTES}) FROM quarantine q \
         WHERE q.quarantine IN (SELECT MIN(q.quarantine) FROM quarantine q WHERE {WAITS} AND q.batch = ? GROUP BY q.code) \
         ORDER BY q.code"
    ))
    .bind(batch)
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let bytes: Option<Vec<u8>> = row.try_get(4)?;
            Ok(Example {
                code: row.try_get(0)?,
                quarantine: row.try_get(1)?,
                line: row.try_get(2)?,
                sentence: row.try_get(3)?,
                shown: bytes.map(|bytes| plain(&String::from_utf8_lossy(&bytes))),
            })
        })
        .collect()
}

/// A line that a retry took, and the SHA-256 of the bytes that were taken where a person corrected it.
#[derive(Clone, Debug)]
pub struct Taken {
    pub quarantine: i64,
    pub corrected_digest: Option<String>,
}

/// Marks lines as taken by a batch; each must still wait. `entry` is the audit entry of a correction.
pub async fn take(tx: &mut Tx, taken: &[Taken], batch: i64, entry: Option<i64>, at: &str) -> Result<()> {
    for line in taken {
        let corrected_by = entry.filter(|_| line.corrected_digest.is_some());
        let sql = format!(
            "UPDATE quarantine SET accepted_by = ?, corrected_by = ?, corrected_digest = ? WHERE quarantine = ? AND {}",
            WAITS.replace("q.", "")
        );
        let done = query(sql)
            .bind(batch)
            .bind(corrected_by)
            .bind(line.corrected_digest.clone())
            .bind(line.quarantine)
            .execute(tx)
            .await?;
        if done != 1 {
            return Err(overtaken());
        }
        reseal(tx, "quarantine", "quarantine = ?", &[line.quarantine.into()]).await?;
    }
    alarms::end(tx, TAKEN, None, at).await
}

/// Sets lines aside; each must still wait. `entry` is the audit entry of the decision.
pub async fn set_aside(tx: &mut Tx, numbers: &[i64], entry: i64, at: &str) -> Result<()> {
    for some in numbers.chunks(CHANGED_AT_ONCE) {
        let is_one_of = format!("quarantine IN ({})", vec!["?"; some.len()].join(", "));
        let values: Vec<Value> = some.iter().map(Value::from).collect();
        let sql = format!(
            "UPDATE quarantine SET dismissed_by = ? WHERE {is_one_of} AND {}",
            WAITS.replace("q.", "")
        );
        let done = query(sql).bind(entry).bind_all(values.clone()).execute(tx).await?;
        if done != some.len() as u64 {
            return Err(overtaken());
        }
        reseal(tx, "quarantine", &is_one_of, &values).await?;
    }
    alarms::end(tx, DISMISSED, Some(entry), at).await
}

fn overtaken() -> Error {
    Error::Overtaken(
        "another run accepted or dismissed one of these lines; nothing was written: run the command again".to_owned(),
    )
}

/// Puts the bytes of a line back, which a backup has apart.
pub async fn restore_payload(tx: &mut Tx, quarantine: i64, payload: Vec<u8>) -> Result<()> {
    let done = query("UPDATE quarantine SET payload = ? WHERE quarantine = ?")
        .bind(Value::Bytes(payload))
        .bind(quarantine)
        .execute(tx)
        .await?;
    if done == 1 {
        return Ok(());
    }
    Err(Error::Unbalanced(format!(
        "the backup has the bytes of line {quarantine} in quarantine, which the ledger has not"
    )))
}

/// Removes the bytes of lines received before an instant; reason and digest stay. Returns how many.
pub async fn drop_payloads_before(tx: &mut Tx, instant: &str) -> Result<u64> {
    query("UPDATE quarantine SET payload = NULL WHERE payload IS NOT NULL AND received_at < ?")
        .bind(instant)
        .execute(tx)
        .await
}
