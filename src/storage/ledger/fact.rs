//! Facts: what the books know of themselves, one value a name.

use super::{Channel, Tx, Value, delete_rows, insert_row, query};
use crate::support::error::Result;

/// The newest machine's clock that was accepted.
pub const NEWEST_MACHINE_CLOCK: &str = "newest_machine_clock";

/// The run's clock of the last command that wrote.
pub const LAST_RUN_CLOCK: &str = "last_run_clock";

/// The UTC day before which usage is refused.
pub const FIRST_DAY: &str = "first_day";

/// The salt of the tombstones of erased accounts.
pub const TOMBSTONE_SALT: &str = "tombstone_salt";

/// When and from which earlier backup the books were restored last.
pub const RESTORED: &str = "restored";

/// The value of a fact; none before it was set.
pub async fn fact<'c>(on: impl Into<Channel<'c>>, name: &str) -> Result<Option<String>> {
    let row = query("SELECT value FROM fact WHERE name = ?")
        .bind(name)
        .fetch_optional(on)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// The same, within a transaction: it stays until the transaction ends.
pub async fn fact_in(tx: &mut Tx, name: &str) -> Result<Option<String>> {
    let row = query("SELECT value FROM fact WHERE name = ?")
        .bind(name)
        .fetch_optional(&mut *tx)
        .await?;
    row.map(|row| row.try_get(0)).transpose()
}

/// Sets a fact.
pub async fn set_fact(tx: &mut Tx, name: &str, value: &str) -> Result<()> {
    delete_rows(tx, "fact", "name = ?", &[name.into()]).await?;
    let row: [Value; 2] = [name.into(), value.into()];
    insert_row(tx, "fact (name, value)", row).await
}
