//! Files of meterings that are written anew: those that are laid out as before, and those from which rows go.

use super::{NewKeyRun, add_key_run, add_unmetered, drop_key_runs, drop_unmetered};
use crate::pipeline::meter::aggregate::measure::UnmeteredRecord;
use crate::storage::ledger::{Ledger, Tx, Value, delete_rows, insert_row, query, reseal};
use crate::storage::parquet_writer::LAYOUT;
use crate::storage::raw::store::{CopiedFile, NamedFile, named_file, note_dropped, replace_file};
use crate::support::error::{Error, Result};

/// Usage files that are laid out as before, by path.
pub async fn usage_files_of_before(ledger: &Ledger) -> Result<Vec<NamedFile>> {
    let rows = query("SELECT path, digest FROM usage_file WHERE layout IS NULL ORDER BY path")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(named_file).collect()
}

/// Files of unmetered records that are laid out as before, by path.
pub async fn unmetered_files_of_before(ledger: &Ledger) -> Result<Vec<NamedFile>> {
    let rows = query("SELECT path, digest FROM unmetered_file WHERE layout IS NULL ORDER BY path")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(named_file).collect()
}

/// Names a copy in the place of a usage file, of the same metering, days and rows.
pub async fn replace_usage_file(tx: &mut Tx, path: &str, copy: &CopiedFile) -> Result<()> {
    replace_file(tx, "usage_file", path, copy).await
}

/// Names a copy in the place of a file of unmetered records. Their list names the file, so the copy is there before it is named, and the
/// file goes when it is not named any more.
pub async fn replace_unmetered_file(tx: &mut Tx, path: &str, copy: &CopiedFile) -> Result<()> {
    let row = query("SELECT metering, row_count FROM unmetered_file WHERE path = ?")
        .bind(path)
        .fetch_optional(&mut *tx)
        .await?
        .ok_or_else(|| Error::Unbalanced(format!("{path} left the ledger while it was in use")))?;
    let row: [Value; 5] = [
        copy.path.as_str().into(),
        row.try_get::<i64>(0)?.into(),
        row.try_get::<i64>(1)?.into(),
        copy.digest.as_str().into(),
        LAYOUT.into(),
    ];
    insert_row(tx, "unmetered_file (path, metering, row_count, digest, layout)", row).await?;
    query("UPDATE unmetered SET path = ? WHERE path = ?")
        .bind(copy.path.as_str())
        .bind(path)
        .execute(&mut *tx)
        .await?;
    reseal(tx, "unmetered", "path = ?", &[copy.path.as_str().into()]).await?;
    delete_rows(tx, "unmetered_file", "path = ?", &[path.into()]).await?;
    note_dropped(tx, &[path.to_owned()]).await
}

/// Names a key run in the place of another, of the same metering; none where no key was left.
pub async fn replace_key_run(tx: &mut Tx, path: &str, new: Option<&NewKeyRun>) -> Result<()> {
    let metering = metering_of(tx, "key_run", path).await?;
    drop_key_runs(tx, &[path.to_owned()]).await?;
    match new {
        Some(new) => add_key_run(tx, metering, new).await,
        None => Ok(()),
    }
}

/// Names a file of some of the unmetered records in the place of another; none where no record was left.
pub async fn replace_unmetered(
    tx: &mut Tx,
    path: &str,
    new: Option<(&str, &str)>,
    records: &[UnmeteredRecord],
) -> Result<()> {
    let metering = metering_of(tx, "unmetered_file", path).await?;
    drop_unmetered(tx, &[path.to_owned()]).await?;
    match new {
        Some(new) => add_unmetered(tx, metering, new, records).await,
        None => Ok(()),
    }
}

/// The metering that a file is of.
async fn metering_of(tx: &mut Tx, table: &str, path: &str) -> Result<i64> {
    let row = query(format!("SELECT metering FROM {table} WHERE path = ?"))
        .bind(path)
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| Error::Unbalanced(format!("{path} left the ledger while it was in use")))?;
    row.try_get(0)
}
