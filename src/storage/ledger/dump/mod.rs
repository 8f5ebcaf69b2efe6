//! The ledger as a file: every row of every table, with its type, the same bytes from every engine for the same books.
//!
//! ```text
//! {"format":"tallybook ledger","version":1,"schema":23}                      the version of the tables
//! {"table":"batch","columns":[["batch","integer"],["name","text"], ...]}     a table, in an order that its foreign keys allow
//! [1,"usage.csv", ...]                                                       a row, in the order of the table's key
//! {"rows":1}                                                                 the table's end
//! {"end":true,"tables":46,"rows":1234}                                       the end
//! ```
//!
//! JSON, a line each, packed with zstd (`zstd -dc FILE | head`). Integers are numbers of 64 bits; amounts are decimals as text, without
//! zeros that say nothing; bytes are Base64. A value of another kind than its column's (nobody of ours writes one) is an object that names
//! its kind, so that what `verify` would say of it is not lost.
//!
//! Not in a dump: what says who works now and where ([`LEFT_OUT`]), and what is kept for less than raw records are
//! ([`tables::is_dumped`]): a dump is kept as long as they are.

mod kind;
mod read;
mod restore;
mod tables;
mod write;

pub use read::{Dump, DumpRow};
pub(super) use restore::RESTORING;
pub use restore::{end_restore, restore_rows};
pub(super) use tables::order_of;
pub use tables::{LEFT_OUT, dumped_tables};
pub use write::{Dumped, write_dump};

/// The first line's name of the format.
const FORMAT: &str = "tallybook ledger";

/// The layout of the lines; a change of it changes the number.
const VERSION: u64 = 1;

/// The first line.
#[derive(serde::Deserialize, serde::Serialize)]
struct Header {
    format: String,
    version: u64,
    /// Of the tables.
    schema: i64,
}

/// The line before a table's rows.
#[derive(serde::Deserialize, serde::Serialize)]
struct TableHeader {
    table: String,
    columns: Vec<(String, kind::Kind)>,
}

/// The line after a table's rows.
#[derive(serde::Deserialize, serde::Serialize)]
struct TableEnd {
    rows: u64,
}

/// The last line.
#[derive(serde::Deserialize, serde::Serialize)]
struct DumpEnd {
    end: bool,
    tables: u64,
    rows: u64,
}
