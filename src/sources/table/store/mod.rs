//! The connection to a database that is a source, and what is asked of it. Everything comes as text, in transactions that only read and
//! see one state of the database each.

mod mysql;
mod postgres;
mod sql;

use std::ops::ControlFlow;
use std::time::Duration;

use sqlx::mysql::MySqlConnection;
use sqlx::postgres::PgConnection;

use self::sql::{KeyType, Sql};
use super::column_type::ColumnType;
use super::fault::{fault_of, no_place};
use super::value::write_value;
use crate::catalog::source::kinds::table::Table;
use crate::catalog::source::secret::Secret;
use crate::sources::fetch::FetchError;
use crate::sources::line::{LineWriter, names};
use crate::sources::rounds::cursor::CursorType;
use crate::sources::rounds::page::{Page, PageBuilder};
use crate::sources::rounds::{Bounds, Extent, Rows, WithoutPlace};
use crate::storage::ledger::Engine;
use crate::support::quote::plain;

/// How long a server may take to let a connection in.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// A column as the server describes it.
#[derive(Clone, Debug)]
struct Described {
    type_name: String,
    column_type: ColumnType,
}

/// The cells of a row, each by its place: first the cursor and the key, then the columns of the lines.
pub type Cells<'c, 'r> = &'c dyn Fn(usize) -> Option<&'r [u8]>;

/// What is done with each row; it may say that it has had enough.
pub type EachRow<'f> = &'f mut (dyn for<'c, 'r> FnMut(Cells<'c, 'r>) -> ControlFlow<()> + Send);

/// What both drivers do in the same words, but in their own types.
macro_rules! statements {
    ($connection:ty) => {
        use futures_util::TryStreamExt as _;
        use sqlx::{AssertSqlSafe, Executor as _, Row as _, SqlSafeStr as _, Statement as _};

        pub async fn execute(connection: &mut $connection, sql: &'static str) -> sqlx::Result<()> {
            sqlx::raw_sql(sql).execute(connection).await.map(drop)
        }

        pub async fn types(connection: &mut $connection, sql: String) -> sqlx::Result<Vec<super::Described>> {
            // Prepared, a second statement in a query is refused.
            let statement = connection.prepare(AssertSqlSafe(sql).into_sql_str()).await?;
            Ok(statement.columns().iter().map(described).collect())
        }

        pub async fn each_row(
            connection: &mut $connection,
            sql: String,
            types: &mut (dyn FnMut(Vec<super::Described>) -> std::ops::ControlFlow<()> + Send),
            act: super::EachRow<'_>,
        ) -> sqlx::Result<()> {
            let mut rows = sqlx::raw_sql(AssertSqlSafe(sql)).fetch(connection);
            let mut is_first = true;
            while let Some(row) = rows.try_next().await? {
                if std::mem::take(&mut is_first) && types(row.columns().iter().map(described).collect()).is_break() {
                    break;
                }
                if act(&|at| cell(&row, at)).is_break() {
                    break;
                }
            }
            Ok(())
        }
    };
}
use statements;

enum Connection {
    Postgres(PgConnection),
    MySql(MySqlConnection),
}

/// Runs `$body` with the connection of whichever driver it is, and that driver's module as `$driver`.
macro_rules! on {
    ($connection:expr, |$inner:ident, $driver:ident| $body:expr) => {
        match $connection {
            Connection::Postgres($inner) => {
                use postgres as $driver;
                $body
            }
            Connection::MySql($inner) => {
                use mysql as $driver;
                $body
            }
        }
    };
}

/// An open connection, with what is known of the table.
pub struct Session {
    connection: Connection,
    definition: Table,
    sql: Sql,
    cursor_type: CursorType,
    key_type: KeyType,
    columns: Vec<(String, ColumnType)>,
    /// Of the cursor, the key and the columns, as they were described first.
    described: Vec<Described>,
    may_be_null: (bool, bool),
}

impl Session {
    /// Connects, and asks for the types of the columns.
    async fn connect(engine: Engine, definition: &Table, password: Option<&Secret>) -> Result<Self, FetchError> {
        let fault = |error| fault_of(definition, error);
        let mut connection = match tokio::time::timeout(CONNECT_LIMIT, connect(engine, definition, password)).await {
            Ok(connected) => connected.map_err(fault)?,
            Err(_) => return Err(fault(std::io::Error::from(std::io::ErrorKind::TimedOut).into())),
        };
        let (sql, names) = (Sql::new(engine, definition), names(&definition.columns));
        on!(&mut connection, |it, driver| driver::execute(it, driver::BEGIN).await).map_err(fault)?;
        let described = on!(&mut connection, |it, driver| driver::types(it, sql.types(&names)).await).map_err(fault)?;
        let cursor_type = cursor_type(definition, &described[0])?;
        let key_type = KeyType::of(engine, described[1].column_type, &described[1].type_name)
            .ok_or_else(|| no_key(definition, &described[1]))?;
        let columns = names.into_iter().zip(described[2..].iter().map(|it| it.column_type));
        let mut session = Self {
            connection,
            definition: definition.clone(),
            cursor_type,
            key_type,
            columns: columns.collect(),
            described,
            may_be_null: (true, true),
            sql,
        };
        session.look_up_nulls().await?;
        session.end().await?;
        Ok(session)
    }

    async fn look_up_nulls(&mut self) -> Result<(), FetchError> {
        if let Some(sql) = self.sql.declared_columns() {
            let declared: Vec<String> = self.texts(sql, 1).await?.into_iter().flatten().collect();
            let may = |name: &String| !declared.iter().any(|column| column == name);
            self.may_be_null = (may(&self.definition.cursor), may(&self.definition.key));
        }
        Ok(())
    }

    /// Begins to see one state of the database.
    async fn begin(&mut self) -> Result<(), FetchError> {
        let begun = on!(&mut self.connection, |it, driver| driver::execute(it, driver::BEGIN)
            .await);
        begun.map_err(|error| fault_of(&self.definition, error))
    }

    async fn end(&mut self) -> Result<(), FetchError> {
        let ended = on!(&mut self.connection, |it, driver| driver::execute(it, "COMMIT").await);
        ended.map_err(|error| fault_of(&self.definition, error))
    }

    async fn extent_from(&mut self, start: i128) -> Result<Extent, FetchError> {
        let sql = self.sql.bounds(self.cursor_type, start, self.may_be_null);
        let cells = self.texts(sql, 3).await?;
        let text = |at: usize| cells.get(at).and_then(|text| text.as_deref());
        let count = |at: usize| text(at).and_then(|text| text.parse().ok()).unwrap_or_default();
        let newest = text(0).map(|text| self.cursor_of(text)).transpose()?;
        Ok(Extent {
            newest,
            ahead: count(1),
            without_place: WithoutPlace {
                rows: count(2),
                key: None,
            },
        })
    }

    async fn read_page(&mut self, bounds: &Bounds, mut page: PageBuilder<'_>) -> Result<Page, FetchError> {
        let types: Vec<ColumnType> = self.columns.iter().map(|(_, column_type)| *column_type).collect();
        let writer = LineWriter::new(&self.definition.columns);
        let cursor_type = self.cursor_type;
        let (mut cursor, mut key, mut wrong) = (None, Vec::new(), None);
        let mut act = |cells: Cells<'_, '_>| {
            let text = String::from_utf8_lossy(cells(0).unwrap_or_default());
            let Some(value) = cursor_type.read_row(&text) else {
                wrong = Some(text.into_owned());
                return ControlFlow::Break(());
            };
            cursor = Some(value);
            key.clear();
            key.extend(cells(1).unwrap_or_default());
            page.add(value, |line| {
                writer.write(line, |line, at, place| {
                    let cell = cells(at + 2);
                    cell.map(|cell| write_value(line, cell, types[at], place)).is_some()
                });
            })
        };
        self.each_row(bounds, &mut act).await?;
        if let Some(text) = wrong {
            return Err(no_place(&self.definition, &text));
        }
        let key_shown = String::from_utf8_lossy(&key).into_owned();
        Ok(page.finish(cursor.map(|cursor| (cursor, key)), key_shown, bounds.rows))
    }

    /// Hands over the next rows in their order.
    async fn each_row(&mut self, bounds: &Bounds, act: EachRow<'_>) -> Result<(), FetchError> {
        let sql = self.sql.page(&self.columns, (self.cursor_type, &self.key_type), bounds);
        let mut changed = None;
        let (described, definition) = (&self.described, &self.definition);
        let mut check = |now: Vec<Described>| {
            changed = change(definition, described, &now);
            if changed.is_some() {
                ControlFlow::Break(())
            } else {
                ControlFlow::Continue(())
            }
        };
        on!(&mut self.connection, |it, driver| driver::each_row(
            it, sql, &mut check, act
        )
        .await)
        .map_err(|error| fault_of(&self.definition, error))?;
        changed.map_or(Ok(()), |what| Err(FetchError::NeedsPerson(what)))
    }

    /// The next page begins after the last row of this one: no other may stand in its place.
    async fn check_last_row(&mut self, page: &Page) -> Result<(), FetchError> {
        let (false, Some((cursor, key))) = (page.is_last, &page.last) else {
            return Ok(());
        };
        let sql = self.sql.rows_at((self.cursor_type, &self.key_type), *cursor, key);
        let cells = self.texts(sql, 1).await?;
        let rows: u64 = cells
            .first()
            .and_then(|text| text.as_deref()?.parse().ok())
            .unwrap_or_default();
        if rows <= 1 {
            return Ok(());
        }
        let definition = &self.definition;
        Err(FetchError::NeedsPerson(format!(
            "{}: {rows} rows have {} {} and {} {}; name a column in `key` that tells them apart",
            definition.name(),
            definition.cursor,
            self.cursor_type.text(*cursor),
            definition.key,
            plain(&String::from_utf8_lossy(key))
        )))
    }

    /// The value of a cursor cell.
    fn cursor_of(&self, text: &str) -> Result<i128, FetchError> {
        self.cursor_type
            .read_row(text)
            .ok_or_else(|| no_place(&self.definition, text))
    }

    /// The first `width` cells of all rows of a small answer.
    async fn texts(&mut self, sql: String, width: usize) -> Result<Vec<Option<String>>, FetchError> {
        let mut texts = Vec::new();
        let mut act = |cells: Cells<'_, '_>| {
            texts.extend((0..width).map(|at| cells(at).map(|cell| String::from_utf8_lossy(cell).into_owned())));
            ControlFlow::Continue(())
        };
        let mut any_types = |_: Vec<Described>| ControlFlow::Continue(());
        on!(&mut self.connection, |it, driver| driver::each_row(
            it,
            sql,
            &mut any_types,
            &mut act
        )
        .await)
        .map_err(|error| fault_of(&self.definition, error))?;
        Ok(texts)
    }
}

impl Rows for Session {
    type Definition = (Engine, Table);

    async fn open((engine, definition): &(Engine, Table), password: Option<&Secret>) -> Result<Self, FetchError> {
        Self::connect(*engine, definition, password).await
    }

    fn cursor_type(&self) -> CursorType {
        self.cursor_type
    }

    async fn extent(&mut self, start: i128) -> Result<Extent, FetchError> {
        self.begin().await?;
        let extent = self.extent_from(start).await?;
        self.end().await?;
        Ok(extent)
    }

    async fn page(&mut self, bounds: &Bounds, page: PageBuilder<'_>) -> Result<Page, FetchError> {
        self.begin().await?;
        let page = self.read_page(bounds, page).await?;
        self.check_last_row(&page).await?;
        self.end().await?;
        Ok(page)
    }
}

async fn connect(engine: Engine, definition: &Table, password: Option<&Secret>) -> sqlx::Result<Connection> {
    // No password of the ledger's, which the environment may have, goes to another server.
    let password = password.map_or("", Secret::reveal);
    Ok(match engine {
        Engine::Postgres => Connection::Postgres(postgres::connect(&definition.url, password).await?),
        _ => Connection::MySql(mysql::connect(&definition.url, password).await?),
    })
}

fn cursor_type(definition: &Table, described: &Described) -> Result<CursorType, FetchError> {
    let Described { type_name, column_type } = described;
    let cursor = &definition.cursor;
    let found = column_type.cursor().ok_or_else(|| {
        format!("`cursor`: the column {cursor} is of type {type_name}; a time or an integer is needed (`query` can cast it to one)")
    });
    let found = found.and_then(|found| match found.reach(&definition.overlap) {
        Some(_) => Ok(found),
        None => Err(format!(
            "`overlap`: the column {cursor} is of type {type_name}; write {}",
            if found == CursorType::Integer {
                "a whole number, such as 1000"
            } else {
                "a time, such as \"10m\""
            }
        )),
    });
    found.map_err(FetchError::NeedsPerson)
}

fn no_key(definition: &Table, described: &Described) -> FetchError {
    FetchError::NeedsPerson(format!(
        "`key`: the column {} is of type {}, which gives rows no order that can be taken up again; name a column of integers or text \
         (`query` can cast it to one)",
        definition.key, described.type_name
    ))
}

/// What has become of the columns since they were described.
fn change(definition: &Table, before: &[Described], now: &[Described]) -> Option<String> {
    let columns = names(&definition.columns);
    let names = [&definition.cursor, &definition.key].into_iter().chain(&columns);
    let mut pairs = names.zip(before.iter().zip(now));
    let changed = pairs.find(|(_, (before, now))| before.column_type.selected() != now.column_type);
    changed.map(|(name, (before, now))| {
        format!(
            "{}: the column {name} was of type {} and is of type {} now; check that it still means the same, and pull again",
            definition.name(),
            before.type_name,
            now.type_name
        )
    })
}
