//! How far a source has been read: written in the transaction of the batch that it belongs to.

use chrono::{DateTime, Utc};

use super::objects::{SeenObject, store as objects};
use super::store::{self, NewPosition};
use crate::pipeline::ingest::also::{Also, Writing};
use crate::storage::ledger::{Lease, Tx};

/// What a part moves on.
pub struct Advance<'a> {
    pub source: &'a str,
    pub kind: &'static str,
    pub place: &'a str,
    pub lease: &'a Lease,
    pub position: Option<&'a str>,
    pub newest: Option<DateTime<Utc>>,
    /// The run's clock, RFC 3339.
    pub at: String,
    pub is_queue: bool,
    /// What was read of a bucket or folder.
    pub object: Option<SeenObject>,
}

impl Also for Advance<'_> {
    fn lease(&self) -> &Lease {
        self.lease
    }

    fn is_queue(&self) -> bool {
        self.is_queue
    }

    fn write<'a>(&'a self, tx: &'a mut Tx, batch: Option<i64>, received: i64) -> Writing<'a> {
        Box::pin(async move {
            let new = NewPosition {
                source: self.source,
                kind: self.kind,
                place: self.place,
                position: self.position,
                newest: self.newest,
                batch,
                received,
                at: &self.at,
            };
            if let (Some(batch), Some(object)) = (batch, &self.object) {
                objects::add(tx, self.source, batch, std::slice::from_ref(object)).await?;
            }
            store::advance(tx, &new).await
        })
    }
}
