//! Queries: one SQL text for every engine, with a question mark for each value.

use std::borrow::Cow;

use super::engine;
use super::engine::Pool;
use super::value::{Row, Value};
use super::{Ledger, Reading, Tx};
use crate::support::error::{Error, Result};

/// A query with its values, in the order of its question marks.
#[derive(Clone, Debug)]
pub struct Query {
    sql: Cow<'static, str>,
    values: Vec<Value>,
}

/// A query without values yet. The text is of ours: what people or records say is bound, never written into it.
pub fn query(sql: impl Into<Cow<'static, str>>) -> Query {
    Query {
        sql: sql.into(),
        values: Vec::new(),
    }
}

/// Where a query runs: in a transaction that writes or reads, or by itself on any connection of the ledger.
pub enum Channel<'c> {
    Pool(&'c Ledger),
    Tx(&'c mut Tx),
    Reading(&'c mut Reading),
}

impl<'c> From<&'c mut Reading> for Channel<'c> {
    fn from(reading: &'c mut Reading) -> Self {
        Self::Reading(reading)
    }
}

impl<'c> From<&'c Ledger> for Channel<'c> {
    fn from(ledger: &'c Ledger) -> Self {
        Self::Pool(ledger)
    }
}

impl<'c> From<&'c mut Tx> for Channel<'c> {
    fn from(tx: &'c mut Tx) -> Self {
        Self::Tx(tx)
    }
}

impl Query {
    /// Hands a value to the next question mark.
    #[must_use]
    pub fn bind(mut self, value: impl Into<Value>) -> Self {
        self.values.push(value.into());
        self
    }

    /// Hands values to the next question marks.
    #[must_use]
    pub fn bind_all(mut self, values: impl IntoIterator<Item = Value>) -> Self {
        self.values.extend(values);
        self
    }

    /// All rows of the answer. Outside a transaction it is asked again when the connection was lost.
    pub async fn fetch_all<'c>(self, on: impl Into<Channel<'c>>) -> Result<Vec<Row>> {
        let ledger = match on.into() {
            Channel::Tx(tx) => return Ok(tx.inner.fetch_all(&self.sql, &self.values).await?),
            Channel::Reading(reading) => return Ok(reading.inner.fetch_all(&self.sql, &self.values).await?),
            Channel::Pool(ledger) => ledger,
        };
        let mut patience = ledger.patience();
        loop {
            match ledger.pool.fetch_all(&self.sql, &self.values).await {
                Ok(rows) => return Ok(rows),
                Err(error) => patience.bear(error).await?,
            }
        }
    }

    /// The first row of the answer; none is no error.
    pub async fn fetch_optional<'c>(self, on: impl Into<Channel<'c>>) -> Result<Option<Row>> {
        Ok(self.fetch_all(on).await?.into_iter().next())
    }

    /// The only row of the answer.
    pub async fn fetch_one<'c>(self, on: impl Into<Channel<'c>>) -> Result<Row> {
        let row = self.fetch_optional(on).await?;
        row.ok_or(Error::Ledger(sqlx::Error::RowNotFound))
    }

    /// Hands each row of the answer on as it comes; for answers that are too large to hold. It is asked again when the connection
    /// was lost before the first row.
    pub async fn for_each(self, ledger: &Ledger, mut act: impl FnMut(Row) -> Result<()> + Send) -> Result<()> {
        let mut patience = ledger.patience();
        loop {
            let mut has_begun = false;
            let mut hand_on = |row| {
                has_begun = true;
                act(row)
            };
            match ledger.pool.for_each(&self.sql, &self.values, &mut hand_on).await {
                Err(Error::Ledger(error)) if !has_begun => patience.bear(error).await?,
                ended => return ended,
            }
        }
    }

    /// The same in a transaction that reads one state: it is not asked again, as another connection would see another state.
    pub async fn for_each_in(self, reading: &mut Reading, mut act: impl FnMut(Row) -> Result<()> + Send) -> Result<()> {
        reading.inner.for_each(&self.sql, &self.values, &mut act).await
    }

    /// Changes rows. Returns how many. In a transaction only: a change must be one with what belongs to it.
    pub async fn execute(self, tx: &mut Tx) -> Result<u64> {
        Ok(tx.inner.execute(&self.sql, &self.values).await?)
    }

    /// Changes rows that nothing else depends on, outside a transaction.
    pub async fn execute_alone(self, ledger: &Ledger) -> Result<u64> {
        Ok(ledger.pool.execute(&self.sql, &self.values).await?)
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // A pool knows its options, and they know the password.
        write!(f, "{:?} pool", engine::Pool::engine(self))
    }
}
