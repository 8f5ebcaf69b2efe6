//! Writes a dump, row by row, from a transaction that sees one state.

use std::io::Write;
use std::path::Path;

use super::kind::{Kind, push};
use super::tables::{TABLES, columns, condition, selected};
use super::{DumpEnd, FORMAT, Header, TableEnd, TableHeader, VERSION};
use crate::storage::ledger::row_checksum::{Sealer, is_sealed, name_of};
use crate::storage::ledger::{Engine, Reading, Row, TableChecksum, newest_schema, query};
use crate::support::error::{AtPath as _, Result};

/// A ledger is text that repeats: more costs more time than it saves bytes.
const LEVEL: i32 = 3;

/// Rows that are named as damaged at most.
const NAMED_MAX: usize = 10;

/// What was dumped.
#[derive(Clone, Debug, Default)]
pub struct Dumped {
    pub tables: u64,
    pub rows: u64,
    /// Rows that do not fit their checksums, and tables that have other rows than they should. They are in the dump as they are.
    pub damaged: Vec<String>,
}

/// Writes every row of the ledger in the state that a transaction sees. `path` names the file in errors. The file is not synced.
pub async fn write_dump<W: Write + Send>(reading: &mut Reading, file: W, path: &Path) -> Result<(W, Dumped)> {
    let mut packed = zstd::Encoder::new(file, LEVEL).at(path)?;
    packed.include_checksum(true).at(path)?;
    let mut writer = Writer {
        out: packed,
        path,
        line: Vec::new(),
    };
    let header = Header {
        format: FORMAT.to_owned(),
        version: VERSION,
        schema: newest_schema(),
    };
    writer.object(&header)?;
    let mut dumped = Dumped::default();
    for (table, order) in TABLES {
        let rows = write_table(&mut writer, reading, table, order, &mut dumped.damaged).await?;
        dumped.tables += 1;
        dumped.rows += rows;
    }
    let end = DumpEnd {
        end: true,
        tables: dumped.tables,
        rows: dumped.rows,
    };
    writer.object(&end)?;
    let file = writer.out.finish().at(path)?;
    Ok((file, dumped))
}

async fn write_table<W: Write + Send>(
    writer: &mut Writer<'_, W>,
    reading: &mut Reading,
    table: &str,
    order: &str,
    damaged: &mut Vec<String>,
) -> Result<u64> {
    let engine = reading.engine();
    let columns = columns(&mut *reading, engine, table).await?;
    let kinds: Vec<Kind> = columns.iter().map(|(_, kind)| *kind).collect();
    let names: Vec<&str> = columns.iter().map(|(name, _)| name.as_str()).collect();
    let selected: Vec<&str> = names.iter().map(|name| selected(table, name)).collect();
    let select = format!(
        "SELECT {} FROM {table}{} ORDER BY {}",
        selected.join(", "),
        condition(table),
        in_order(engine, order, &columns)
    );
    let sealer = is_sealed(table).then(|| Sealer::new(table, names.iter().copied()));
    writer.object(&TableHeader {
        table: table.to_owned(),
        columns: columns.clone(),
    })?;
    let mut found = TableChecksum::default();
    let mut broken = Vec::new();
    query(select)
        .for_each_in(reading, |row| {
            let seal = row.named::<i64>("seal").ok();
            found.add(seal.unwrap_or(0));
            if let Some(sealer) = &sealer
                && seal != Some(sealer.seal(row.values()))
            {
                broken.push(name_of(table, &row));
            }
            writer.row(&kinds, &row)
        })
        .await?;
    writer.object(&TableEnd {
        rows: found.rows.unsigned_abs(),
    })?;
    if sealer.is_some() {
        check_tally(reading, table, found, damaged).await?;
    }
    let more = broken.len().saturating_sub(NAMED_MAX);
    damaged.extend(broken.into_iter().take(NAMED_MAX));
    if more > 0 {
        damaged.push(format!("{more} more rows of {table}"));
    }
    Ok(found.rows.unsigned_abs())
}

/// The order of a table's rows as an engine takes it: the same rows in the same order from each.
fn in_order(engine: Engine, order: &str, columns: &[(String, Kind)]) -> String {
    let key = |name: &str| match columns.iter().find(|(column, _)| column == name) {
        Some((_, Kind::Text)) => engine.by_bytes(name),
        _ => name.to_owned(),
    };
    order.split(", ").map(key).collect::<Vec<_>>().join(", ")
}

/// Names a table that has other rows than its tally says.
async fn check_tally(
    reading: &mut Reading,
    table: &str,
    found: TableChecksum,
    damaged: &mut Vec<String>,
) -> Result<()> {
    let row = query("SELECT row_count, seals FROM tally WHERE name = ?")
        .bind(table)
        .fetch_optional(reading)
        .await?;
    let tally = match row {
        Some(row) => TableChecksum {
            rows: row.try_get(0)?,
            seals: row.try_get(1)?,
        },
        None => TableChecksum::default(),
    };
    if tally != found {
        damaged.push(format!(
            "table {table} has {} rows instead of {}",
            found.rows, tally.rows
        ));
    }
    Ok(())
}

/// Lines of a dump.
struct Writer<'p, W: Write> {
    out: zstd::Encoder<'static, W>,
    path: &'p Path,
    line: Vec<u8>,
}

impl<W: Write> Writer<'_, W> {
    fn object(&mut self, object: &impl serde::Serialize) -> Result<()> {
        self.line.clear();
        serde_json::to_writer(&mut self.line, object)?;
        self.end_line()
    }

    fn row(&mut self, kinds: &[Kind], row: &Row) -> Result<()> {
        self.line.clear();
        let values = kinds.iter().zip(row.values());
        for (at, (kind, value)) in values.enumerate() {
            self.line.push(if at == 0 { b'[' } else { b',' });
            push(&mut self.line, *kind, value);
        }
        self.line.push(b']');
        self.end_line()
    }

    fn end_line(&mut self) -> Result<()> {
        self.line.push(b'\n');
        self.out.write_all(&self.line).at(self.path)
    }
}
