//! The texts of SQL. Names are quoted; values are digits, times that were formatted here, or hexadecimal digits: nothing that a
//! definition or a row says can end a text and begin another.

use crate::catalog::source::kinds::table::Table;
use crate::sources::rounds::cursor::CursorType;
use crate::sources::rounds::{After, Bounds};
use crate::sources::table::column_type::ColumnType;
use crate::storage::ledger::Engine;
use crate::values::digest::hex;

/// How the rows are called in every statement.
const ROWS: &str = "source_rows";

/// A time cursor that is further ahead of the server's clock is no time at which a row was written. A day, as a time without a zone may
/// be that of another one.
const AHEAD: &str = "INTERVAL '1' DAY";

/// The type of the key, as it is compared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyType {
    Integer,
    Decimal,
    /// In PostgreSQL with the name of the type.
    Text(&'static str),
    Bytes,
    Time(CursorType),
}

impl KeyType {
    /// The type of a key column; none where rows cannot be put into an order by it and found again.
    pub fn of(engine: Engine, column_type: ColumnType, name: &str) -> Option<Self> {
        match column_type {
            ColumnType::Integer => Some(Self::Integer),
            ColumnType::Decimal => Some(Self::Decimal),
            ColumnType::Instant => Some(Self::Time(CursorType::Instant)),
            ColumnType::LocalTime => Some(Self::Time(CursorType::LocalTime)),
            ColumnType::HexBytes => Some(Self::Bytes),
            ColumnType::Bytes if name != "GEOMETRY" => Some(Self::Bytes),
            ColumnType::Text => text_key(engine, name).map(Self::Text),
            _ => None,
        }
    }
}

fn text_key(engine: Engine, name: &str) -> Option<&'static str> {
    match (engine, name) {
        (Engine::Postgres, "TEXT") => Some("text"),
        (Engine::Postgres, "VARCHAR") => Some("varchar"),
        (Engine::Postgres, "CHAR") => Some("bpchar"),
        (Engine::Postgres, "NAME") => Some("name"),
        (Engine::Postgres, "UUID") => Some("uuid"),
        (Engine::Postgres, _) | (_, "DATE" | "TIME" | "ENUM" | "SET" | "NULL") => None,
        _ => Some("text"),
    }
}

/// The statements about one definition.
#[derive(Debug)]
pub struct Sql {
    engine: Engine,
    from: String,
    cursor: String,
    key: String,
    /// The table's name in its parts; none of a query.
    table: Option<Vec<String>>,
    names: (String, String),
}

impl Sql {
    pub fn new(engine: Engine, definition: &Table) -> Self {
        let quoted = |name: &str| quote(engine, name);
        let table = definition.table.as_ref();
        let table: Option<Vec<String>> = table.map(|table| table.split('.').map(str::to_owned).collect());
        let from = match (&table, &definition.query) {
            (Some(parts), _) => format!("{} AS {ROWS}", quoted_parts(engine, parts)),
            // On lines of its own, so that a comment at its end does not go on.
            (None, query) => format!("(\n{}\n) AS {ROWS}", query.as_deref().unwrap_or_default()),
        };
        Self {
            engine,
            from,
            cursor: format!("{ROWS}.{}", quoted(&definition.cursor)),
            key: format!("{ROWS}.{}", quoted(&definition.key)),
            table,
            names: (definition.cursor.clone(), definition.key.clone()),
        }
    }

    fn column(&self, name: &str) -> String {
        format!("{ROWS}.{}", quote(self.engine, name))
    }

    /// A statement that gives no row, for the types of the cursor, the key and the columns.
    pub fn types(&self, columns: &[String]) -> String {
        let columns: Vec<String> = columns.iter().map(|name| self.column(name)).collect();
        let columns = [vec![self.cursor.clone(), self.key.clone()], columns].concat();
        format!("SELECT {} FROM {} LIMIT 0", columns.join(", "), self.from)
    }

    /// Two rows at most: the names among cursor and key that the table declares never to be NULL. None of a query, which declares nothing.
    pub fn declared_columns(&self) -> Option<String> {
        let table = self.table.as_ref()?;
        let (cursor, key) = (self.text(&self.names.0), self.text(&self.names.1));
        if self.engine == Engine::Postgres {
            return Some(format!(
                "SELECT CAST(attname AS text) FROM pg_attribute WHERE attrelid = to_regclass({}) AND attnotnull \
                 AND CAST(attname AS text) IN ({cursor}, {key})",
                self.text(&quoted_parts(self.engine, table))
            ));
        }
        let (schema, name) = match &table[..] {
            [schema, name] => (self.text(schema), self.text(name)),
            _ => ("DATABASE()".to_owned(), self.text(&table.concat())),
        };
        Some(format!(
            "SELECT column_name FROM information_schema.columns WHERE table_schema = {schema} AND table_name = {name} \
             AND is_nullable = 'NO' AND column_name IN ({cursor}, {key})"
        ))
    }

    /// The newest cursor value from `start` on, the rows whose cursor is too far ahead, and the rows that have no place in the order.
    pub fn bounds(&self, cursor_type: CursorType, start: i128, may_be_null: (bool, bool)) -> String {
        let (cursor, from) = (&self.cursor, &self.from);
        let start = self.cursor_value(cursor_type, start);
        let latest = match (self.engine, cursor_type) {
            (_, CursorType::Integer) => None,
            (Engine::Postgres, CursorType::Instant) => Some(format!("now() + {AHEAD}")),
            (Engine::Postgres, CursorType::LocalTime) => Some(format!("(now() AT TIME ZONE 'UTC') + {AHEAD}")),
            _ => Some(format!("UTC_TIMESTAMP() + {AHEAD}")),
        };
        let (within, ahead) = latest.map_or_else(
            || (String::new(), "0".to_owned()),
            |latest| {
                (
                    format!(" AND {cursor} <= {latest}"),
                    format!("(SELECT COUNT(*) FROM {from} WHERE {cursor} > {latest})"),
                )
            },
        );
        let without = self.without_place(cursor_type, may_be_null).map_or_else(
            || "0".to_owned(),
            |condition| format!("(SELECT COUNT(*) FROM {from} WHERE {condition})"),
        );
        format!("SELECT (SELECT MAX({cursor}) FROM {from} WHERE {cursor} >= {start}{within}), {ahead}, {without}")
    }

    /// Which rows have no cursor or no key.
    fn without_place(&self, cursor_type: CursorType, (cursor_null, key_null): (bool, bool)) -> Option<String> {
        let mut conditions = Vec::new();
        if cursor_null {
            conditions.push(format!("{} IS NULL", self.cursor));
        }
        if key_null {
            conditions.push(format!("{} IS NULL", self.key));
        }
        if cursor_type != CursorType::Integer {
            conditions.push(match self.engine {
                Engine::Postgres => format!("{} = '-infinity'", self.cursor),
                // A time of zeros.
                _ => format!("{} < TIMESTAMP'0001-01-01 00:00:00'", self.cursor),
            });
        }
        (!conditions.is_empty()).then(|| conditions.join(" OR "))
    }

    /// The next rows in their order: cursor, key, and the columns as they are selected.
    pub fn page(&self, columns: &[(String, ColumnType)], types: (CursorType, &KeyType), bounds: &Bounds) -> String {
        let (cursor, key) = (&self.cursor, &self.key);
        let columns: String = columns
            .iter()
            .map(|(name, column_type)| format!(", {}", self.selected(name, *column_type)))
            .collect();
        let ceiling = self.cursor_value(types.0, bounds.ceiling);
        let floor = match &bounds.after {
            After::Start(start) => format!("{cursor} >= {}", self.cursor_value(types.0, *start)),
            After::Row { cursor: at, key: of } => {
                let (at, of) = (self.cursor_value(types.0, *at), self.key_value(types.1, of));
                match self.engine {
                    Engine::Postgres => format!("({cursor}, {key}) > ({at}, {of})"),
                    // Its optimizer finds no range of an index in a comparison of pairs.
                    _ => format!("({cursor} > {at} OR ({cursor} = {at} AND {key} > {of}))"),
                }
            }
        };
        format!(
            "SELECT {cursor}, {key}{columns} FROM {} WHERE {floor} AND {cursor} <= {ceiling} AND {key} IS NOT NULL \
             ORDER BY {cursor}, {key} LIMIT {}",
            self.from, bounds.rows
        )
    }

    /// How many rows stand in one place of the order.
    pub fn rows_at(&self, types: (CursorType, &KeyType), at: i128, key: &[u8]) -> String {
        format!(
            "SELECT COUNT(*) FROM {} WHERE {} = {} AND {} = {}",
            self.from,
            self.cursor,
            self.cursor_value(types.0, at),
            self.key,
            self.key_value(types.1, key)
        )
    }

    fn selected(&self, name: &str, column_type: ColumnType) -> String {
        let column = self.column(name);
        match (self.engine, column_type) {
            (Engine::Postgres, ColumnType::SingleFloat) => format!("CAST({column} AS double precision)"),
            (_, ColumnType::SingleFloat) => format!("CAST({column} AS DOUBLE)"),
            (_, ColumnType::Bits) => format!("CAST({column} AS UNSIGNED)"),
            _ => column,
        }
    }

    fn cursor_value(&self, cursor_type: CursorType, value: i128) -> String {
        match (self.engine, cursor_type) {
            (Engine::Postgres, CursorType::Integer) => format!("CAST('{value}' AS bigint)"),
            (_, CursorType::Integer) => value.to_string(),
            (Engine::Postgres, CursorType::Instant) => {
                format!("CAST('{}+00' AS timestamptz)", CursorType::sql_time(value))
            }
            _ => format!("TIMESTAMP'{}'", CursorType::sql_time(value)),
        }
    }

    /// The value of a key that the server gave.
    fn key_value(&self, key_type: &KeyType, key: &[u8]) -> String {
        let is_postgres = self.engine == Engine::Postgres;
        match key_type {
            KeyType::Integer if is_postgres => format!("CAST({} AS bigint)", self.bytes_as_text(key)),
            KeyType::Decimal if is_postgres => format!("CAST({} AS numeric)", self.bytes_as_text(key)),
            // They came from a column of numbers.
            KeyType::Integer | KeyType::Decimal => digits(key),
            KeyType::Text("text") => self.bytes_as_text(key),
            KeyType::Text(name) => format!("CAST({} AS {name})", self.bytes_as_text(key)),
            // `\x` and digits, as the server shows bytes.
            KeyType::Bytes if is_postgres => format!("CAST({} AS bytea)", self.bytes_as_text(key)),
            KeyType::Bytes => format!("X'{}'", hex(key)),
            KeyType::Time(CursorType::Instant) if is_postgres => {
                format!("CAST({} AS timestamptz)", self.bytes_as_text(key))
            }
            KeyType::Time(_) => format!("CAST({} AS {})", self.bytes_as_text(key), self.local_time()),
        }
    }

    fn local_time(&self) -> &'static str {
        match self.engine {
            Engine::Postgres => "timestamp",
            _ => "DATETIME(6)",
        }
    }

    fn text(&self, text: &str) -> String {
        self.bytes_as_text(text.as_bytes())
    }

    fn bytes_as_text(&self, bytes: &[u8]) -> String {
        match self.engine {
            // A literal takes the collation of the column that it is compared with, which orders the rows; the result of a function would
            // bring its own.
            Engine::Postgres => {
                let text = String::from_utf8_lossy(bytes);
                let escapes: String = text.chars().map(|sign| format!("\\+{:06x}", u32::from(sign))).collect();
                format!("U&'{escapes}'")
            }
            _ => format!("_utf8mb4 X'{}'", hex(bytes)),
        }
    }
}

/// A number as the server wrote it, and nothing else of it.
fn digits(key: &[u8]) -> String {
    let is_of_number = |byte: &&u8| byte.is_ascii_digit() || matches!(byte, b'-' | b'.');
    key.iter().filter(is_of_number).map(|byte| char::from(*byte)).collect()
}

fn quoted_parts(engine: Engine, parts: &[String]) -> String {
    let parts: Vec<String> = parts.iter().map(|part| quote(engine, part)).collect();
    parts.join(".")
}

fn quote(engine: Engine, name: &str) -> String {
    match engine {
        Engine::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
        _ => format!("`{}`", name.replace('`', "``")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sql(engine: Engine, rows: &str) -> Sql {
        let text = format!("url = 'u'\n{rows}\ncursor = 'a\"`b'\nkey = 'id'\noverlap = 1\n[columns]\nid = 'id'");
        Sql::new(engine, &toml::from_str(&text).unwrap())
    }

    #[test]
    fn names_are_quoted_and_texts_are_hexadecimal_digits() {
        let bounds = Bounds {
            after: After::Row {
                cursor: -5,
                key: b"x';".to_vec(),
            },
            ceiling: 7,
            rows: 10,
        };
        let columns = [("c".to_owned(), ColumnType::SingleFloat)];
        let types = (CursorType::Integer, &KeyType::Text("text"));
        let postgres = sql(Engine::Postgres, "table = 'my.us\"age'").page(&columns, types, &bounds);
        assert_eq!(
            postgres,
            "SELECT source_rows.\"a\"\"`b\", source_rows.\"id\", CAST(source_rows.\"c\" AS double precision) \
             FROM \"my\".\"us\"\"age\" AS source_rows WHERE (source_rows.\"a\"\"`b\", source_rows.\"id\") > \
             (CAST('-5' AS bigint), U&'\\+000078\\+000027\\+00003b') \
             AND source_rows.\"a\"\"`b\" <= CAST('7' AS bigint) AND source_rows.\"id\" IS NOT NULL \
             ORDER BY source_rows.\"a\"\"`b\", source_rows.\"id\" LIMIT 10"
        );
        let mysql = sql(Engine::MySql, "query = 'SELECT 1 -- all'").page(&columns, types, &bounds);
        assert_eq!(
            mysql,
            "SELECT source_rows.`a\"``b`, source_rows.`id`, CAST(source_rows.`c` AS DOUBLE) FROM (\nSELECT 1 -- all\n) AS source_rows \
             WHERE (source_rows.`a\"``b` > -5 OR (source_rows.`a\"``b` = -5 AND source_rows.`id` > \
             _utf8mb4 X'78273b')) AND source_rows.`a\"``b` <= 7 AND source_rows.`id` IS NOT NULL \
             ORDER BY source_rows.`a\"``b`, source_rows.`id` LIMIT 10"
        );
    }

    #[test]
    fn rows_without_a_place_are_counted_only_where_there_may_be_some() {
        let sql = sql(Engine::Postgres, "table = 'usage'");
        let declared = sql.bounds(CursorType::Integer, 1, (false, false));
        assert!(declared.ends_with(", 0, 0") && !declared.contains("NULL"), "{declared}");
        let open = sql.bounds(CursorType::Instant, 0, (true, true));
        assert!(
            open.contains("IS NULL OR source_rows.\"id\" IS NULL OR") && open.contains("INTERVAL '1' DAY"),
            "{open}"
        );
    }
}
