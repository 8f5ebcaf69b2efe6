//! Reading ahead: key runs of months are seldom in memory when a night begins. What the search will look at comes from disk while the
//! night reads its accounts and rows.

use super::identity_index::KeyRun;
use crate::context::Books;
use crate::pipeline::meter::store::{batch_counts, key_run_paths, progress};
use crate::support::error::Result;

/// Has what the search looks at in the key runs read from disk by another thread, as far as the new rows up to a batch will need
/// nearly all of it.
pub async fn read_key_runs_ahead(books: &Books, up_to: i64) -> Result<()> {
    let metered = progress(&books.ledger).await?;
    let batches = batch_counts(&books.ledger, metered.batch_hi, up_to).await?;
    let new_rows: i64 = batches.iter().map(|[_, _, stored, _]| stored).sum();
    let new_rows = usize::try_from(new_rows).unwrap_or(0);
    if new_rows == 0 {
        return Ok(());
    }
    let runs = key_run_paths(&books.ledger).await?;
    let places: Vec<_> = runs.iter().map(|(path, _)| books.data.join(path)).collect();
    std::thread::spawn(move || {
        for place in places {
            // What is wrong with a run is for the search to tell.
            if let Ok(run) = KeyRun::open(&place) {
                run.read_ahead(new_rows);
            }
        }
    });
    Ok(())
}
