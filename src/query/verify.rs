//! Verify: recount everything that can be recounted and name what differs.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use super::store;
use crate::account::store::load_accounts;
use crate::books::Books;
use crate::card::store::load_cards;
use crate::close::PeriodRows;
use crate::close::proof::verify_chain;
use crate::close::statement::{Closing, Statement};
use crate::close::store::{chain_heads, statements_of};
use crate::digest::sha256_hex_of_file;
use crate::error::{Error, Result};
use crate::export::manifest::Manifest;
use crate::export::store::exports;
use crate::meter::rebuild::recount;
use crate::meter::store::usage_paths;
use crate::meter::usage::UsageTable;
use crate::nightly::control;

/// What was verified and what differs.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Verified {
    pub raw_rows: i64,
    pub usage_sums: usize,
    pub statements: usize,
    pub exports: usize,
    /// Empty is good.
    pub differences: Vec<String>,
}

/// Differences told at most; their number is told in full.
const TOLD_MAX: usize = 40;

/// Holds control totals, raw, usage, statements, their chains and the exports against each other.
pub async fn verify(books: &Books) -> Result<Verified> {
    let mut verified = Verified::default();
    let metered = crate::meter::store::progress(&books.ledger).await?;
    if let Err(Error::Unbalanced(why)) = control(books, 0, metered.batch_hi).await {
        verified.differences.push(why);
    }
    let recounted = recount(books).await?;
    verified.raw_rows = recounted.rows;
    verified.usage_sums = recounted.compared;
    verified.differences.extend(recounted.differences);
    verify_statements(books, &mut verified).await?;
    verify_exports(books, &mut verified).await?;
    if verified.differences.len() > TOLD_MAX {
        let more = verified.differences.len() - TOLD_MAX;
        verified.differences.truncate(TOLD_MAX);
        verified.differences.push(format!("and {more} more"));
    }
    Ok(verified)
}

/// Each statement: its own sums and digest, its place in the chain, and the same digest when rated again from the usage it
/// rests on.
async fn verify_statements(books: &Books, verified: &mut Verified) -> Result<()> {
    let meterings = store::closing_meterings(&books.ledger).await?;
    let accounts = load_accounts(&books.ledger).await?;
    let cards = load_cards(&books.ledger).await?;
    let mut tables: HashMap<i64, UsageTable> = HashMap::new();
    for (uin, account) in accounts.iter() {
        let statements = statements_of(&books.ledger, uin).await?;
        verified.statements += statements.len();
        let differences = statements
            .iter()
            .flat_map(Statement::verify)
            .chain(verify_chain(&statements));
        verified
            .differences
            .extend(differences.map(|difference| difference.to_string()));
        for statement in &statements {
            let metering = meterings.get(&statement.statement_id).copied().unwrap_or(0);
            let table = match tables.entry(metering) {
                Entry::Occupied(known) => known.into_mut(),
                Entry::Vacant(place) => place.insert(usage_up_to(books, metering).await?),
            };
            let start = table.rows.partition_point(|row| row.uin < uin);
            let end = table.rows.partition_point(|row| row.uin <= uin);
            let rows = PeriodRows::of(account, statement.period, table, &table.rows[start..end]);
            let rated = rows.rate(uin, statement.period, account, &cards)?;
            let charges = rated.complete().map_err(|e| Error::Unbalanced(e.to_string()))?;
            let closing = Closing {
                uin,
                period: statement.period,
                zone: statement.zone,
                currency: statement.currency,
                closed_at: statement.closed_at,
                high_water_batch: statement.high_water_batch,
                charges: &charges,
                previous_digest: statement.previous_digest.as_deref(),
            };
            let again = Statement::close(&closing).map(|s| s.digest);
            if again.as_ref().ok() != Some(&statement.digest) {
                verified.differences.push(format!(
                    "statement {}: rated again from its usage it has another digest ({})",
                    statement.statement_id,
                    again.unwrap_or_else(|e| e.to_string())
                ));
            }
        }
    }
    Ok(())
}

async fn usage_up_to(books: &Books, metering: i64) -> Result<UsageTable> {
    let (from, to) = crate::span::all_days();
    let mut table = UsageTable::default();
    for path in usage_paths(&books.ledger, from, to, metering).await? {
        table.read(&books.data.join(&path), from, to, &|_, _| true)?;
    }
    table.rows.sort_unstable_by_key(|row| (row.uin, row.day));
    Ok(table)
}

/// The chain of manifests, the files on disk against them, and the heads of the statement chains against the last one.
async fn verify_exports(books: &Books, verified: &mut Verified) -> Result<()> {
    let exports = exports(&books.ledger).await?;
    verified.exports = exports.len();
    let mut previous: Option<String> = None;
    for export in &exports {
        let manifest =
            Manifest::from_bytes(export.manifest.as_bytes()).map_err(|e| Error::Unbalanced(e.to_string()))?;
        if manifest.digest() != export.manifest_digest || manifest.previous_manifest != previous {
            verified.differences.push(format!(
                "export {}: its manifest is not the one that was recorded",
                export.export
            ));
        }
        previous = Some(export.manifest_digest.clone());
        let folder = books.data.join("exports").join(&export.folder);
        let on_disk = folder.join("manifest.json");
        if std::fs::read_to_string(&on_disk).ok().as_ref() != Some(&export.manifest) {
            verified.differences.push(format!(
                "export {}: {} is missing or changed; `tallybook export --again {}` writes it anew",
                export.export,
                on_disk.display(),
                export.export
            ));
        }
        for file in &manifest.files {
            let place = folder.join(&file.name);
            let found = place.exists().then(|| sha256_hex_of_file(&place)).transpose()?;
            if found.as_ref() != Some(&file.sha256) {
                verified.differences.push(format!(
                    "export {}: {} is missing or changed; `tallybook export --again {}` writes it anew",
                    export.export,
                    place.display(),
                    export.export
                ));
            }
        }
    }
    if let Some(last) = exports.last() {
        let manifest = Manifest::from_bytes(last.manifest.as_bytes()).map_err(|e| Error::Unbalanced(e.to_string()))?;
        let known: HashMap<String, String> = store::statement_digests(&books.ledger).await?;
        for head in &manifest.heads {
            if known.get(&head.statement_id) != Some(&head.digest) {
                verified.differences.push(format!(
                    "account {}: statement {} is not the one that the last export's manifest names",
                    head.uin, head.statement_id
                ));
            }
        }
        let heads = chain_heads(&books.ledger).await?.len();
        if heads < manifest.heads.len() {
            verified.differences.push(format!(
                "{} accounts had statements at the last export, {heads} have now",
                manifest.heads.len()
            ));
        }
    }
    Ok(())
}
