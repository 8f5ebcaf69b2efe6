//! Answers of any engine as text, each value written in one way.

use std::str::FromStr as _;

use rust_decimal::Decimal;
use sqlx::{AssertSqlSafe, Column as _, Connection as _, Row as _, TypeInfo as _, ValueRef as _};
use sqlx::{MySqlConnection, PgConnection, SqliteConnection};

/// What a question gets.
pub struct Answer {
    pub columns: Vec<String>,
    pub rows: Vec<Vec<Cell>>,
}

/// A value, with the engine's name for its type.
pub struct Cell {
    pub kind: String,
    text: Option<String>,
}

/// Decimals that the engines agree on: SQLite adds charges up in floating point.
const DECIMALS: u32 = 6;

/// Decimals of a price.
const PRICE_DECIMALS: u32 = 12;

/// What the engines call text; MySQL's is in the order of its bytes, which looks like bytes to the driver.
const TEXT_KINDS: [&str; 5] = ["TEXT", "VARCHAR", "VARBINARY", "BLOB", "LONGBLOB"];

/// Asks as a dashboard does: over a connection of its own, in plain SQL without parameters.
pub fn ask(url: &str, sql: &str) -> Result<Answer, sqlx::Error> {
    macro_rules! ask_with {
        ($connection:ty) => {{
            let mut connection = <$connection>::connect(url).await?;
            let asked = sqlx::raw_sql(AssertSqlSafe(sql.to_owned()));
            let rows = asked.fetch_all(&mut connection).await?;
            connection.close().await?;
            let first = rows.first().map_or(&[][..], |row| row.columns());
            let columns = first.iter().map(|column| column.name().to_owned()).collect();
            let cells = rows.iter().map(|row| {
                let cell = |at| {
                    let raw = row.try_get_raw(at)?;
                    let kind = raw.type_info().name().to_owned();
                    // Without a check, as the text of every value is wanted: of dates and numbers too.
                    let text = row.try_get_unchecked(at)?;
                    Ok::<_, sqlx::Error>(Cell { kind, text })
                };
                (0..row.len()).map(cell).collect()
            });
            let rows = cells.collect::<Result<_, sqlx::Error>>()?;
            Ok(Answer { columns, rows })
        }};
    }
    crate::world::run(async {
        match url.split(':').next().unwrap() {
            "postgres" => ask_with!(PgConnection),
            "mysql" => ask_with!(MySqlConnection),
            _ => ask_with!(SqliteConnection),
        }
    })
}

impl Answer {
    /// Every row's values, as [`Cell::shown`] writes them.
    pub fn shown(&self) -> Vec<Vec<String>> {
        let row = |row: &Vec<Cell>| row.iter().map(Cell::shown).collect();
        self.rows.iter().map(row).collect()
    }
}

impl Cell {
    pub fn is_null(&self) -> bool {
        self.text.is_none()
    }

    /// Decimals without zeros that say nothing, instants as RFC 3339, `-` for nothing.
    pub fn shown(&self) -> String {
        self.shown_to(DECIMALS)
    }

    /// The same with all decimals that a price has, of a view that adds nothing up.
    pub fn exact(&self) -> String {
        self.shown_to(PRICE_DECIMALS)
    }

    fn shown_to(&self, decimals: u32) -> String {
        let Some(text) = &self.text else {
            return "-".to_owned();
        };
        if is_instant(text) {
            return format!("{}T{}Z", &text[..10], &text[11..19]);
        }
        // Names made of digits are no numbers.
        let is_number = text.contains('.') || !TEXT_KINDS.contains(&self.kind.as_str());
        match Decimal::from_str(text) {
            Ok(number) if is_number => number.round_dp(decimals).normalize().to_string(),
            _ => text.clone(),
        }
    }
}

/// `2024-12-10 00:00:00` with whatever the engine writes after it, or with a `T` in the middle.
fn is_instant(text: &str) -> bool {
    let fits = |(sign, like): (u8, u8)| match like {
        b'0' => sign.is_ascii_digit(),
        b' ' => sign == b' ' || sign == b'T',
        _ => sign == like,
    };
    19 <= text.len() && text.bytes().zip(*b"0000-00-00 00:00:00").all(fits)
}
