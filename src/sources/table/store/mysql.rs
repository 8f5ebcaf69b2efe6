//! MySQL and MariaDB as a source.

use sqlx::mysql::{MySqlColumn, MySqlConnection, MySqlRow};
use sqlx::{Column as _, ConnectOptions as _, MySql, TypeInfo as _};

use super::{Described, statements};
use crate::sources::table::column_type::ColumnType;
use crate::storage::ledger::mysql_options;

statements!(MySqlConnection);

/// A transaction that only reads and sees one state.
pub const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// What decides how values are written as text, and how long a table may be locked by others.
const SESSION: &str = "SET SESSION time_zone = '+00:00', sql_mode = '', lock_wait_timeout = 30; \
    SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ";

pub async fn connect(url: &str, password: &str) -> sqlx::Result<MySqlConnection> {
    let mut options = mysql_options(url)?.disable_statement_logging();
    if !password.is_empty() {
        options = options.password(password);
    }
    let mut connection = options.connect().await?;
    execute(&mut connection, SESSION).await?;
    Ok(connection)
}

fn described(column: &MySqlColumn) -> Described {
    let kind = column.type_info();
    let type_name = kind.name().to_owned();
    Described {
        column_type: ColumnType::of_mysql(&type_name, <str as sqlx::Type<MySql>>::compatible(kind)),
        type_name,
    }
}

fn cell(row: &MySqlRow, at: usize) -> Option<&[u8]> {
    // An error is a column that is not there.
    row.try_get_unchecked::<Option<&[u8]>, _>(at).ok().flatten()
}
