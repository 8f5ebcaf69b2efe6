//! What else is written in the transaction of a batch: how far a source has been read.

use std::future::Future;
use std::pin::Pin;

use crate::storage::ledger::{Lease, Tx};
use crate::support::error::Result;

/// A future of a trait that is used as an object.
pub type Writing<'a> = Pin<Box<dyn Future<Output = Result<()>> + Send + 'a>>;

/// What else is written in the transaction of a batch.
pub trait Also: Send + Sync {
    /// The lease that must hold: of two that pull one source, one alone goes on.
    fn lease(&self) -> &Lease;

    /// Whether its batches are small parts of a queue: then the alarm of what is refused is that of all of a source's UTC day.
    fn is_queue(&self) -> bool;

    /// Writes it. `batch` is the batch that has the records, which may be an earlier one of the same bytes, and none where there are no
    /// records; `received` is how many records are new in it.
    fn write<'a>(&'a self, tx: &'a mut Tx, batch: Option<i64>, received: i64) -> Writing<'a>;
}
