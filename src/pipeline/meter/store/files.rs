//! Usage files and files of unmetered records that are laid out as before, and their copies.

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
