//! Tables of MySQL and PostgreSQL as a source, read in rounds.

mod column_type;
mod fault;
mod store;
mod value;

use chrono_tz::Tz;

use self::store::Session;
use super::fetch::FetchError;
use super::rounds::{Order, Rounds};
use crate::catalog::source::kinds::table::Table;
use crate::storage::ledger::Engine;

/// One opened table.
pub type TableSource = Rounds<Session>;

/// A table as its definition has it. `from` is the definition's start, `zone` that of its times without an offset, `position` what the
/// books kept of the last part.
///
/// # Errors
/// Where the position is none of a table, or the place of the password is not clear.
pub fn open(
    engine: Engine,
    definition: &Table,
    from: &str,
    zone: Option<Tz>,
    position: Option<&str>,
) -> Result<TableSource, FetchError> {
    let order = Order {
        name: definition.name().to_owned(),
        place: definition.place(),
        password: definition.password().map_err(FetchError::NeedsPerson)?,
        cursor: definition.cursor.clone(),
        key: definition.key.clone(),
        overlap: definition.overlap.clone(),
        page_rows: definition.page_rows,
        from: from.to_owned(),
        zone,
    };
    Rounds::new(order, (engine, definition.clone()), position)
}
