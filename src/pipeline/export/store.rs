//! The ledger of exports.

use std::collections::{BTreeSet, HashMap};

use crate::pipeline::close::store::take_for_export;
use crate::pipeline::close::store::{STATEMENT_COLUMNS, STATEMENTS, UIN_COLUMN};
use crate::storage::ledger::{Ledger, Query, Row, Tx, Value, delete_rows, insert_row, query, reseal};
use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;

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
            "there is no export {number}; `tallybook status` lists the latest exports"
        ))
    })
}

/// Periods (start, end) that have statements in no export yet.
pub async fn periods_to_export(ledger: &Ledger) -> Result<Vec<(String, String)>> {
    let rows = query(
        "SELECT DISTINCT period_start, period_end FROM stated_period WHERE export IS NULL ORDER BY period_start, period_end",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// The statements of an export: those of a period that some closings made.
#[derive(Debug)]
pub struct Taken {
    pub start: String,
    pub end: String,
    closings: Vec<i64>,
    pub statements: usize,
}

/// A period's statements that are in no export yet.
pub async fn taken_by_none(ledger: &Ledger, start: &str, end: &str) -> Result<Taken> {
    let of_period = query(format!(
        "{STATED} export IS NULL AND period_start = ? AND period_end = ?"
    ));
    taken(ledger, of_period.bind(start).bind(end)).await
}

/// An export's statements.
pub async fn taken_by(ledger: &Ledger, export: i64) -> Result<Taken> {
    taken(ledger, query(format!("{STATED} export = ?")).bind(export)).await
}

const STATED: &str = "SELECT period_start, period_end, closing, statements FROM stated_period WHERE";

async fn taken(ledger: &Ledger, stated: Query) -> Result<Taken> {
    let rows = stated.fetch_all(ledger).await?;
    let first = rows
        .first()
        .ok_or_else(|| Error::Unbalanced("an export has no statements in the ledger".to_owned()))?;
    let mut taken = Taken {
        start: first.try_get(0)?,
        end: first.try_get(1)?,
        closings: Vec::new(),
        statements: 0,
    };
    for row in &rows {
        taken.closings.push(row.try_get(2)?);
        taken.statements += usize::try_from(row.try_get::<i64>(3)?).unwrap_or(0);
    }
    Ok(taken)
}

/// Statements that are read at a time: each answer is asked for again by itself when the connection is lost, and none keeps the ledger busy
/// for as long as an export takes.
const STATEMENTS_A_QUERY: usize = 500;

/// Hands on the statements of an export, whole and in the order of the sheets, some at a time as they are read: each row is one
/// statement, see [`statement_of`].
///
/// [`statement_of`]: crate::close::store::statement_of
pub async fn for_each_page(
    ledger: &Ledger,
    taken: &Taken,
    mut act: impl FnMut(Vec<Row>) -> Result<()> + Send,
) -> Result<()> {
    let marks = vec!["?"; taken.closings.len()].join(",");
    let these =
        format!("s.month = SUBSTR(?, 1, 7) AND s.period_start = ? AND s.period_end = ? AND s.closing IN ({marks})");
    let of_taken = |sql: String| {
        let bounds = [&taken.start, &taken.start, &taken.end].map(Value::from);
        let closings = taken.closings.iter().map(Value::from);
        query(sql).bind_all(bounds.into_iter().chain(closings))
    };
    // Numbers without leading zeros are in order by length, then by digits; the table has them by digits. A database that orders by both
    // would copy each document.
    let lengths = of_taken(format!("SELECT DISTINCT LENGTH(s.uin) FROM statement s WHERE {these}"));
    let lengths: Result<BTreeSet<i64>> = lengths
        .fetch_all(ledger)
        .await?
        .iter()
        .map(|row| row.try_get(0))
        .collect();
    for length in lengths? {
        let mut after = String::new();
        loop {
            let rows = of_taken(format!(
                "SELECT {STATEMENT_COLUMNS} FROM {STATEMENTS} WHERE {these} AND LENGTH(s.uin) = ? AND s.uin > ? \
                 ORDER BY s.uin LIMIT {STATEMENTS_A_QUERY}"
            ))
            .bind(length)
            .bind(after.as_str())
            .fetch_all(ledger)
            .await?;
            let (is_last, last) = (rows.len() < STATEMENTS_A_QUERY, rows.last());
            after = last.map_or(Ok(after), |row| row.try_get(UIN_COLUMN))?;
            act(rows)?;
            if is_last {
                break;
            }
        }
    }
    Ok(())
}

/// What each export took, by the periods of closings that it has: how many statements, of which period. An export has one period.
#[derive(Debug)]
pub struct TakenByExport {
    pub export: i64,
    /// `start_end`.
    pub periods: BTreeSet<String>,
    pub statements: i64,
}

/// What all exports took, by number.
pub async fn taken_by_exports(ledger: &Ledger) -> Result<Vec<TakenByExport>> {
    let rows = query(
        "SELECT export, period_start, period_end, SUM(statements) FROM stated_period WHERE export IS NOT NULL \
         GROUP BY export, period_start, period_end ORDER BY export",
    )
    .fetch_all(ledger)
    .await?;
    let mut taken: Vec<TakenByExport> = Vec::new();
    for row in rows {
        let (export, statements): (i64, i64) = (row.try_get(0)?, row.try_get(3)?);
        let period = format!("{}_{}", row.try_get::<String>(1)?, row.try_get::<String>(2)?);
        match taken.last_mut().filter(|last| last.export == export) {
            Some(last) => {
                last.periods.insert(period);
                last.statements += statements;
            }
            None => taken.push(TakenByExport {
                export,
                periods: BTreeSet::from([period]),
                statements,
            }),
        }
    }
    Ok(taken)
}

/// The manifest digest of the last export; none before the first.
pub async fn last_manifest(ledger: &Ledger) -> Result<Option<(i64, String)>> {
    let row = query("SELECT export, manifest_digest FROM export ORDER BY export DESC LIMIT 1")
        .fetch_optional(ledger)
        .await?;
    row.map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Records an export: it holds the statements of its period that no other has.
#[tracing::instrument(skip_all)]
pub async fn add_export(tx: &mut Tx, export: &Export, previous: &str, taken: &Taken) -> Result<()> {
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
    let recorded = take_for_export(tx, export.export, (&taken.start, &taken.end)).await?;
    if usize::try_from(recorded).ok() != Some(taken.statements) {
        return Err(Error::Unbalanced(format!(
            "export {} has {} statements, and the ledger has {recorded} for it",
            export.export, taken.statements
        )));
    }
    Ok(())
}

/// Digests of manifests that are not those of the chain any more, by export.
pub async fn second_digests(ledger: &Ledger) -> Result<HashMap<i64, String>> {
    let rows = query("SELECT export, manifest_digest FROM erased_export")
        .fetch_all(ledger)
        .await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
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

/// Puts another text in the place of a recorded manifest, whose digest stays what the next one names. The export's folder is to be
/// written again.
pub async fn replace_manifest(tx: &mut Tx, export: i64, manifest: &str) -> Result<()> {
    let replaced = query("UPDATE export SET manifest = ?, written = 0 WHERE export = ?")
        .bind(manifest)
        .bind(export)
        .execute(&mut *tx)
        .await?;
    if replaced != 1 {
        return Err(Error::Unbalanced(format!(
            "export {export} left the ledger while it was in use"
        )));
    }
    reseal(tx, "export", "export = ?", &[export.into()]).await?;
    delete_rows(tx, "erased_export", "export = ?", &[export.into()]).await?;
    let row: [Value; 2] = [export.into(), sha256_hex(manifest.as_bytes()).into()];
    insert_row(tx, "erased_export (export, manifest_digest)", row).await
}

/// The number and folder of every export, oldest first; not the manifests, which are long.
pub async fn export_folders(ledger: &Ledger) -> Result<Vec<ExportFolder>> {
    let rows = query("SELECT export, folder, written FROM export ORDER BY export")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            Ok(ExportFolder {
                export: row.try_get(0)?,
                folder: row.try_get(1)?,
                written: row.try_get::<i64>(2)? == 1,
            })
        })
        .collect()
}

/// Where an export lies, below `exports/`.
#[derive(Clone, Debug)]
pub struct ExportFolder {
    pub export: i64,
    pub folder: String,
    pub written: bool,
}
