//! The ledger of exports.

use std::collections::HashMap;

use crate::close::statement::Statement;
use crate::close::store::{STATEMENT_COLUMNS, statement_of};
use crate::error::{Error, Result};
use crate::ledger::{Ledger, Row, Tx, Value, insert_row, insert_rows, query, reseal};

/// A recorded export.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Export {
    pub export: i64,
    pub folder: String,
    pub created_at: String,
    #[serde(skip)]
    pub manifest: String,
    pub manifest_digest: String,
    pub written: bool,
}

const COLUMNS: &str = "SELECT export, folder, created_at, manifest, manifest_digest, written FROM export";

fn export_of(row: &Row) -> Result<Export> {
    Ok(Export {
        export: row.try_get(0)?,
        folder: row.try_get(1)?,
        created_at: row.try_get(2)?,
        manifest: row.try_get(3)?,
        manifest_digest: row.try_get(4)?,
        written: row.try_get::<i64>(5)? == 1,
    })
}

/// Every export, oldest first.
pub async fn exports(ledger: &Ledger) -> Result<Vec<Export>> {
    let rows = query(format!("{COLUMNS} ORDER BY export")).fetch_all(ledger).await?;
    rows.iter().map(export_of).collect()
}

/// The manifest digest that each export names as the one before it; empty for the first.
pub async fn previous_digests(ledger: &Ledger) -> Result<HashMap<i64, String>> {
    let rows = query("SELECT export, previous_digest FROM export")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// One export.
pub async fn export(ledger: &Ledger, number: i64) -> Result<Export> {
    let row = query(format!("{COLUMNS} WHERE export = ?"))
        .bind(number)
        .fetch_optional(ledger)
        .await?;
    row.as_ref().map(export_of).transpose()?.ok_or_else(|| {
        Error::Usage(format!(
            "there is no export {number}; `tallybook status` lists the last ones"
        ))
    })
}

/// Statements that are in no export yet. Asked of two indexes alone: statements are large, and nearly all of them are exported.
const NEW: &str =
    "FROM statement s LEFT JOIN exported_statement e ON e.statement_id = s.statement_id WHERE e.statement_id IS NULL";

/// Periods (start, end) that have statements in no export yet.
pub async fn periods_to_export(ledger: &Ledger) -> Result<Vec<(String, String)>> {
    let rows = query(format!(
        "SELECT DISTINCT s.period_start, s.period_end {NEW} ORDER BY s.period_start, s.period_end"
    ))
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Ids of a period's statements that are in no export yet, in the order of the sheets.
pub async fn statements_to_export(ledger: &Ledger, start: &str, end: &str) -> Result<Vec<String>> {
    let rows = query(format!(
        "SELECT s.statement_id {NEW} AND s.period_start = ? AND s.period_end = ? ORDER BY LENGTH(s.uin), s.uin"
    ))
    .bind(start)
    .bind(end)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Ids of an export's statements, in the order of the sheets.
pub async fn statements_in(ledger: &Ledger, export: i64) -> Result<Vec<String>> {
    let rows = query(
        "SELECT s.statement_id FROM exported_statement e JOIN statement s ON s.statement_id = e.statement_id \
         WHERE e.export = ? ORDER BY LENGTH(s.uin), s.uin",
    )
    .bind(export)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Whole statements, in the order of the ids.
pub async fn statements(ledger: &Ledger, ids: &[String]) -> Result<Vec<Statement>> {
    let marks = vec!["?"; ids.len()].join(",");
    // Put in order here: a database would copy each document to sort it.
    let sql = format!("SELECT {STATEMENT_COLUMNS} FROM statement s WHERE s.statement_id IN ({marks})");
    let rows = query(sql)
        .bind_all(ids.iter().map(Value::from))
        .fetch_all(ledger)
        .await?;
    let statements: Result<Vec<Statement>> = rows.iter().map(statement_of).collect();
    let mut by_id: HashMap<String, Statement> = statements?
        .into_iter()
        .map(|statement| (statement.statement_id.clone(), statement))
        .collect();
    ids.iter()
        .map(|id| {
            by_id
                .remove(id)
                .ok_or_else(|| Error::Unbalanced(format!("statement {id} is not in the ledger")))
        })
        .collect()
}

/// The manifest digest of the last export; none before the first.
pub async fn last_manifest(ledger: &Ledger) -> Result<Option<(i64, String)>> {
    let row = query("SELECT export, manifest_digest FROM export ORDER BY export DESC LIMIT 1")
        .fetch_optional(ledger)
        .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Records an export and which statements are in it; none of them may be in another.
#[tracing::instrument(skip_all)]
pub async fn add_export(tx: &mut Tx, export: &Export, previous: &str, statements: &[String]) -> Result<()> {
    let row: [Value; 7] = [
        export.export.into(),
        export.folder.as_str().into(),
        export.created_at.as_str().into(),
        export.manifest.as_str().into(),
        export.manifest_digest.as_str().into(),
        previous.into(),
        0_i64.into(),
    ];
    let into = "export (export, folder, created_at, manifest, manifest_digest, previous_digest, written)";
    insert_row(tx, into, row).await?;
    let rows = statements
        .iter()
        .map(|id| -> [Value; 2] { [id.as_str().into(), export.export.into()] });
    insert_rows(tx, "exported_statement (statement_id, export)", rows).await?;
    Ok(())
}

pub async fn mark_written(ledger: &Ledger, export: i64) -> Result<()> {
    let mut tx = ledger.begin().await?;
    query("UPDATE export SET written = 1 WHERE export = ?")
        .bind(export)
        .execute(&mut tx)
        .await?;
    reseal(&mut tx, "export", "export = ?", &[export.into()]).await?;
    ledger.commit(tx, "export_written").await
}
