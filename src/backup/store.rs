//! What a backup asks the ledger, in the state that it sees.

use std::collections::HashSet;

use super::manifest::BooksOf;
use crate::pipeline::ingest::drop_folder::DIGEST_DIGITS;
use crate::storage::ledger::{Ledger, Reading, query};
use crate::support::error::Result;

/// Which books these are, and how far they are.
pub async fn books_of(reading: &mut Reading) -> Result<BooksOf> {
    let first = query("SELECT digest, committed_at FROM batch ORDER BY batch LIMIT 1")
        .fetch_optional(&mut *reading)
        .await?;
    let first = first.map(|row| -> Result<String> {
        let (digest, at): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        Ok(format!("{digest} {at}"))
    });
    let writers = query("SELECT value FROM counter WHERE name = 'intake'")
        .fetch_one(reading)
        .await?;
    Ok(BooksOf {
        first_batch: first.transpose()?,
        writers: writers.try_get(0)?,
    })
}

/// The beginnings of the digests of all inputs that were read, as names in `done/` have them.
pub async fn read_inputs(reading: &mut Reading) -> Result<HashSet<String>> {
    let rows = query("SELECT digest FROM batch").fetch_all(reading).await?;
    let beginning = |digest: String| digest.chars().take(DIGEST_DIGITS).collect();
    rows.iter().map(|row| row.try_get(0).map(beginning)).collect()
}

/// Folder, manifest and its digest of every export whose files are in place.
pub async fn written_exports(reading: &mut Reading) -> Result<Vec<(String, String, String)>> {
    let rows = query(
        "SELECT e.folder, e.manifest, COALESCE(n.manifest_digest, e.manifest_digest) FROM export e \
         LEFT JOIN erased_export n ON n.export = e.export WHERE e.written = 1 ORDER BY e.export",
    )
    .fetch_all(reading)
    .await?;
    rows.iter()
        .map(|row| Ok((row.try_get(0)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

/// Hands on the bytes of refused lines: the day of their receipt, their number, and they themselves; by day and number.
pub async fn each_payload(
    reading: &mut Reading,
    mut act: impl FnMut(String, i64, Vec<u8>) -> Result<()> + Send,
) -> Result<()> {
    query(
        "SELECT SUBSTR(received_at, 1, 10) AS received_on, quarantine, payload FROM quarantine WHERE payload IS NOT NULL \
         ORDER BY received_on, quarantine",
    )
    .for_each_in(reading, |row| act(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?))
    .await
}

/// When an account was erased last, RFC 3339.
pub async fn last_erased(ledger: &Ledger) -> Result<Option<String>> {
    let row = query("SELECT MAX(erased_at) FROM erasure").fetch_one(ledger).await?;
    row.try_get(0)
}
