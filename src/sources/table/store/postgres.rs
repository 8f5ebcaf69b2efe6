//! PostgreSQL as a source.

use sqlx::postgres::{PgColumn, PgConnection, PgRow};
use sqlx::{Column as _, ConnectOptions as _, TypeInfo as _};

use super::{Described, statements};
use crate::sources::table::column_type::ColumnType;
use crate::storage::ledger::postgres_options;

statements!(PgConnection);

/// A transaction that only reads and sees one state. What decides how values are written as text holds in it, whatever the session, the
/// role or a pooler between have set.
pub const BEGIN: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; SET LOCAL timezone = 'UTC'; SET LOCAL datestyle = 'ISO, YMD'; \
    SET LOCAL intervalstyle = 'postgres'; SET LOCAL extra_float_digits = 1; SET LOCAL bytea_output = 'hex'; \
    SET LOCAL standard_conforming_strings = on; SET LOCAL lock_timeout = '30s'; SET LOCAL client_min_messages = 'error'";

pub async fn connect(url: &str, password: &str) -> sqlx::Result<PgConnection> {
    let options = postgres_options(url)?
        .application_name("tallybook")
        .password(password)
        .disable_statement_logging();
    options.connect().await
}

fn described(column: &PgColumn) -> Described {
    let type_name = column.type_info().name().to_owned();
    Described {
        column_type: ColumnType::of_postgres(&type_name),
        type_name,
    }
}

fn cell(row: &PgRow, at: usize) -> Option<&[u8]> {
    // An error is a NULL, or a column that is not there.
    row.try_get_raw(at).ok()?.as_bytes().ok()
}
