//! Types of columns, as far as they decide how a value becomes JSON.

use crate::sources::rounds::cursor::CursorType;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ColumnType {
    /// Digits, perhaps with a sign.
    Integer,
    /// Digits with a fraction, exact.
    Decimal,
    /// Double precision: its shortest decimal means it again.
    Float,
    /// Single precision, which servers show shortened: it is selected as double precision, which it is exactly.
    SingleFloat,
    Bool,
    /// Checked by the server.
    Json,
    Instant,
    LocalTime,
    Text,
    /// Bytes that may be no text.
    Bytes,
    /// Bytes that the server shows as `\x` and hexadecimal digits.
    HexBytes,
    /// A number that is shown as bytes: it is selected as an integer.
    Bits,
}

impl ColumnType {
    /// The type of PostgreSQL's with this name.
    pub fn of_postgres(name: &str) -> Self {
        match name {
            "INT2" | "INT4" | "INT8" | "OID" => Self::Integer,
            "NUMERIC" => Self::Decimal,
            "FLOAT8" => Self::Float,
            "FLOAT4" => Self::SingleFloat,
            "BOOL" => Self::Bool,
            "JSON" | "JSONB" => Self::Json,
            "TIMESTAMPTZ" => Self::Instant,
            "TIMESTAMP" => Self::LocalTime,
            "BYTEA" => Self::HexBytes,
            // Every type has a text.
            _ => Self::Text,
        }
    }

    /// The type of MySQL's or MariaDB's with this name. `is_text`: whether it has a character set.
    pub fn of_mysql(name: &str, is_text: bool) -> Self {
        match name.strip_suffix(" UNSIGNED").unwrap_or(name) {
            "BOOLEAN" | "TINYINT" | "SMALLINT" | "MEDIUMINT" | "INT" | "BIGINT" | "YEAR" => Self::Integer,
            "DECIMAL" => Self::Decimal,
            "DOUBLE" => Self::Float,
            "FLOAT" => Self::SingleFloat,
            "JSON" => Self::Json,
            "TIMESTAMP" => Self::Instant,
            "DATETIME" => Self::LocalTime,
            "BIT" => Self::Bits,
            "DATE" | "TIME" | "ENUM" | "SET" | "NULL" => Self::Text,
            _ if is_text => Self::Text,
            _ => Self::Bytes,
        }
    }

    /// The type of what is selected for a column of this one.
    pub fn selected(self) -> Self {
        match self {
            Self::SingleFloat => Self::Float,
            Self::Bits => Self::Integer,
            other => other,
        }
    }

    /// The cursor that a column of this type can be.
    pub fn cursor(self) -> Option<CursorType> {
        match self {
            Self::Integer => Some(CursorType::Integer),
            Self::Instant => Some(CursorType::Instant),
            Self::LocalTime => Some(CursorType::LocalTime),
            _ => None,
        }
    }
}
