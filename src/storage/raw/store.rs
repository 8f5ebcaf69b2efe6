//! The ledger's manifest of segments.

use std::collections::BTreeSet;

use chrono::NaiveDate;

use super::segment::{NewSegment, SegmentKind};
use crate::storage::ledger::{Channel, Ledger, Reading, Row, Tx, Value, delete_rows, insert_rows, query, reseal};
use crate::storage::parquet_writer::LAYOUT;
use crate::support::error::{Error, Result};

/// A segment that the ledger names.
#[derive(Clone, Debug)]
pub struct Segment {
    pub path: String,
    pub day: NaiveDate,
    pub batch_lo: i64,
    pub batch_hi: i64,
    pub rows: i64,
    pub bytes: i64,
    pub digest: String,
}

/// A day of the ledger, `YYYY-MM-DD`.
pub fn parse_day(text: &str) -> Result<NaiveDate> {
    text.parse()
        .map_err(|_| Error::Unbalanced(format!("the ledger holds {text:?} where a date belongs")))
}

/// Names new segments of the batches `batch_lo..=batch_hi`.
pub async fn add_segments(tx: &mut Tx, segments: &[NewSegment], batch_lo: i64, batch_hi: i64) -> Result<()> {
    let rows = segments.iter().map(|s| -> [Value; 9] {
        [
            s.path.as_str().into(),
            s.kind.text().into(),
            s.day.to_string().into(),
            batch_lo.into(),
            batch_hi.into(),
            i64::try_from(s.rows).expect("a segment's rows fit").into(),
            i64::try_from(s.bytes).expect("a file's size fits").into(),
            s.digest.as_str().into(),
            LAYOUT.into(),
        ]
    });
    insert_rows(
        tx,
        "segment (path, kind, day, batch_lo, batch_hi, row_count, bytes, digest, layout)",
        rows,
    )
    .await?;
    Ok(())
}

/// Segments with a batch after `after`, up to `up_to`, by day and path.
pub async fn segments_between(ledger: &Ledger, kind: SegmentKind, after: i64, up_to: i64) -> Result<Vec<Segment>> {
    let rows = query(
        "SELECT path, day, batch_lo, batch_hi, row_count, bytes, digest FROM segment \
         WHERE kind = ? AND batch_hi > ? AND batch_lo <= ? ORDER BY day, path",
    )
    .bind(kind.text())
    .bind(after)
    .bind(up_to)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(segment_of).collect()
}

/// Segments of one day.
pub async fn segments_of_day(ledger: &Ledger, kind: SegmentKind, day: NaiveDate) -> Result<Vec<Segment>> {
    let rows = query(
        "SELECT path, day, batch_lo, batch_hi, row_count, bytes, digest FROM segment WHERE kind = ? AND day = ? ORDER BY path",
    )
    .bind(kind.text())
    .bind(day.to_string())
    .fetch_all(ledger)
    .await?;
    rows.iter().map(segment_of).collect()
}

/// Segments of a day and of all later ones, as a transaction sees them.
pub async fn segments_from(tx: &mut Tx, kind: SegmentKind, day: NaiveDate) -> Result<Vec<Segment>> {
    let rows = query(
        "SELECT path, day, batch_lo, batch_hi, row_count, bytes, digest FROM segment WHERE kind = ? AND day >= ? ORDER BY path",
    )
    .bind(kind.text())
    .bind(day.to_string())
    .fetch_all(tx)
    .await?;
    rows.iter().map(segment_of).collect()
}

/// UTC days with records of a batch after `after`.
pub async fn days_after(reading: &mut Reading, after: i64) -> Result<BTreeSet<NaiveDate>> {
    let rows = query("SELECT DISTINCT day FROM segment WHERE kind = 'usage' AND batch_hi > ?")
        .bind(after)
        .fetch_all(reading)
        .await?;
    rows.iter().map(|row| parse_day(&row.try_get::<String>(0)?)).collect()
}

/// Takes files out of the manifest that are not there: nothing is removed from disk.
pub async fn forget_segments(tx: &mut Tx, paths: &[String]) -> Result<()> {
    for path in paths {
        delete_rows(tx, "segment", "path = ?", &[path.as_str().into()]).await?;
    }
    Ok(())
}

fn segment_of(row: &Row) -> Result<Segment> {
    Ok(Segment {
        path: row.try_get(0)?,
        day: parse_day(&row.try_get::<String>(1)?)?,
        batch_lo: row.try_get(2)?,
        batch_hi: row.try_get(3)?,
        rows: row.try_get(4)?,
        bytes: row.try_get(5)?,
        digest: row.try_get(6)?,
    })
}

/// A file that the ledger names, to be copied under another name.
#[derive(Clone, Debug)]
pub struct NamedFile {
    pub path: String,
    pub digest: String,
}

/// A copy of such a file.
#[derive(Clone, Debug)]
pub struct CopiedFile {
    pub path: String,
    pub bytes: u64,
    pub digest: String,
}

/// Segments of batches up to `up_to` that are laid out as before, by path.
pub async fn segments_of_before(ledger: &Ledger, up_to: i64) -> Result<Vec<NamedFile>> {
    let rows = query("SELECT path, digest FROM segment WHERE layout IS NULL AND batch_hi <= ? ORDER BY path")
        .bind(up_to)
        .fetch_all(ledger)
        .await?;
    rows.iter().map(named_file).collect()
}

/// A row of path and digest.
pub fn named_file(row: &Row) -> Result<NamedFile> {
    Ok(NamedFile {
        path: row.try_get(0)?,
        digest: row.try_get(1)?,
    })
}

/// Names a copy in the place of a segment, which is removed after the commit.
pub async fn replace_segment(tx: &mut Tx, path: &str, copy: &CopiedFile) -> Result<()> {
    replace_file(tx, "segment", path, copy).await
}

/// Names a copy in the place of a file that a row of `table` names, and that is removed after the commit.
pub async fn replace_file(tx: &mut Tx, table: &str, path: &str, copy: &CopiedFile) -> Result<()> {
    let replaced = query(format!(
        "UPDATE {table} SET path = ?, bytes = ?, digest = ?, layout = ? WHERE path = ?"
    ))
    .bind(copy.path.as_str())
    .bind(i64::try_from(copy.bytes).expect("a file's size fits"))
    .bind(copy.digest.as_str())
    .bind(LAYOUT)
    .bind(path)
    .execute(&mut *tx)
    .await?;
    if replaced != 1 {
        return Err(Error::Unbalanced(format!("{path} left the ledger while it was in use")));
    }
    reseal(tx, table, "path = ?", &[copy.path.as_str().into()]).await?;
    note_dropped(tx, &[path.to_owned()]).await
}

/// Takes files out of the manifest; they are removed from disk after the commit.
pub async fn drop_segments(tx: &mut Tx, paths: &[String]) -> Result<()> {
    for path in paths {
        if delete_rows(tx, "segment", "path = ?", &[path.as_str().into()]).await? != 1 {
            return Err(Error::Unbalanced(format!(
                "segment {path} left the ledger while it was in use"
            )));
        }
    }
    note_dropped(tx, paths).await
}

/// Notes files for removal after the commit.
pub async fn note_dropped(tx: &mut Tx, paths: &[String]) -> Result<()> {
    insert_rows(
        tx,
        "dropped_file (path)",
        paths.iter().map(|p| [Value::from(p.as_str())]),
    )
    .await?;
    Ok(())
}

/// Files that a committed transaction dropped.
pub async fn dropped_files(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query("SELECT path FROM dropped_file ORDER BY path")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Forgets files that are gone from disk.
pub async fn forget_dropped(ledger: &Ledger, paths: &[String]) -> Result<()> {
    let mut tx = ledger.begin().await?;
    for path in paths {
        delete_rows(&mut tx, "dropped_file", "path = ?", &[path.as_str().into()]).await?;
    }
    ledger.commit(tx, "forget_dropped").await
}

/// Every file that any stage's committed row names.
pub async fn named_files(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT path FROM segment UNION ALL SELECT path FROM usage_file UNION ALL SELECT path FROM key_run \
         UNION ALL SELECT path FROM unmetered_file UNION ALL SELECT path FROM dropped_file",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// A file that is in use: a committed row names it.
#[derive(Clone, Debug)]
pub struct FileInUse {
    pub path: String,
    /// SHA-256.
    pub digest: String,
    /// None where the ledger does not say.
    pub bytes: Option<i64>,
}

/// Every file in use, by path.
pub async fn files_in_use<'c>(on: impl Into<Channel<'c>>) -> Result<Vec<FileInUse>> {
    let rows = query(
        "SELECT path, digest, bytes FROM segment UNION ALL SELECT path, digest, bytes FROM usage_file \
         UNION ALL SELECT path, digest, bytes FROM key_run UNION ALL SELECT path, digest, NULL FROM unmetered_file \
         ORDER BY path",
    )
    .fetch_all(on)
    .await?;
    rows.iter()
        .map(|row| {
            Ok(FileInUse {
                path: row.try_get(0)?,
                digest: row.try_get(1)?,
                bytes: row.try_get(2)?,
            })
        })
        .collect()
}

/// The batch of each committed intake that wrote raw rows.
pub async fn batches_by_intake(ledger: &Ledger) -> Result<std::collections::HashMap<i64, i64>> {
    let rows = query("SELECT intake, batch FROM batch").fetch_all(ledger).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Fails when a day is marked expired: its rows must not be written.
pub async fn refuse_expired(tx: &mut Tx, days: impl IntoIterator<Item = NaiveDate>) -> Result<()> {
    for day in days {
        let row = query("SELECT COUNT(*) FROM expired_day WHERE day = ? AND kind = 'usage'")
            .bind(day.to_string())
            .fetch_one(&mut *tx)
            .await?;
        if row.try_get::<i64>(0)? > 0 {
            return Err(Error::Overtaken(format!(
                "UTC day {day} expired while this input was being read; nothing was written: run the same command again"
            )));
        }
    }
    Ok(())
}

/// UTC days marked expired.
pub async fn expired_days(ledger: &Ledger) -> Result<std::collections::HashSet<NaiveDate>> {
    let rows = query("SELECT day FROM expired_day WHERE kind = 'usage'")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| parse_day(&row.try_get::<String>(0)?)).collect()
}
