//! Objects that are gone from their bucket: noted when a whole listing does not have them, and forgotten a month later, so that the
//! ledger does not grow with all that ever lay in a bucket.
//!
//! What is forgotten is only that the object was read. Should it come back, it is read again, and its bytes are known by the digest that
//! its batch keeps for ever.

use chrono::{DateTime, Duration, Utc};

use super::listed::Listed;
use super::store::{self, Row};
use crate::context::Books;
use crate::storage::ledger::Lease;
use crate::support::error::Result;
use crate::values::digest::sha256_hex;

/// How long an object that is gone is remembered: a bucket that was emptied by mistake and is filled again is not read anew.
const REMEMBERED: Duration = Duration::days(30);

/// Rows that one listing changes; the next goes on.
const ROWS_MAX: usize = 100_000;

/// Rows that one transaction changes.
const ROWS_OF_TRANSACTION: usize = 1000;

/// What becomes of rows of objects.
#[derive(Debug, Default)]
struct Changes {
    /// By the digests of their keys.
    gone: Vec<String>,
    back: Vec<String>,
    forgotten: Vec<String>,
}

impl Changes {
    fn add(&mut self, row: Row, listed: &Listed, now: DateTime<Utc>) {
        if self.gone.len() + self.back.len() + self.forgotten.len() >= ROWS_MAX {
            return;
        }
        let since = row.gone_at.as_deref().map(DateTime::parse_from_rfc3339);
        match (listed.has(&row.key) || is_written_over(&row), since) {
            (true, None) => {}
            (true, Some(_)) => self.back.push(row.key_digest),
            (false, Some(Ok(since))) => {
                if now - since.to_utc() > REMEMBERED {
                    self.forgotten.push(row.key_digest);
                }
            }
            (false, None | Some(Err(_))) => self.gone.push(row.key_digest),
        }
    }
}

/// Whether the key of a row is not the one that came, because it said the number of an account that was erased. Whether that is still there
/// is not known.
fn is_written_over(row: &Row) -> bool {
    sha256_hex(row.key.as_bytes()) != row.key_digest
}

/// Compares what is remembered of a source with a whole listing.
///
/// # Errors
/// The ledger's, or another run has the source.
pub async fn note(books: &Books, lease: &Lease, source: &str, listed: &Listed) -> Result<()> {
    let now = books.clock.now();
    let mut changes = Changes::default();
    store::each_row(&books.ledger, source, |row| changes.add(row, listed, now)).await?;
    let all = [
        (Change::Gone, changes.gone),
        (Change::Back, changes.back),
        (Change::Forgotten, changes.forgotten),
    ];
    for (change, keys) in all {
        for keys in keys.chunks(ROWS_OF_TRANSACTION) {
            write(books, lease, source, change, keys).await?;
        }
    }
    Ok(())
}

/// What is written of keys.
#[derive(Clone, Copy, Debug)]
enum Change {
    Gone,
    Back,
    Forgotten,
}

async fn write(books: &Books, lease: &Lease, source: &str, change: Change, keys: &[String]) -> Result<()> {
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    match change {
        Change::Gone => store::set_gone(&mut tx, source, keys, Some(&books.clock.text())).await?,
        Change::Back => store::set_gone(&mut tx, source, keys, None).await?,
        Change::Forgotten => store::forget(&mut tx, source, keys).await?,
    }
    books.ledger.commit(tx, "gone objects").await
}
