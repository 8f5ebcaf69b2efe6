//! Export: every statement goes to finance in exactly one export.
//!
//! ```text
//! finish      exports that the ledger has and the disk has not
//! write       the sheets of one period's new statements, beside their place
//! record      export, manifest and which statements it holds: one transaction
//! move        the folder into place, whole
//! ```

pub mod csv;
pub mod manifest;
pub mod store;

use std::io::BufWriter;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, Receiver, SyncSender};

use rayon::prelude::*;
use tokio::task::{JoinHandle, block_in_place, spawn_blocking};

use crate::context::Books;
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document::DocumentError;
use crate::pipeline::close::store::{chain_heads, statement_of};
use crate::storage::durable_files::{NewFile, create_dir_durably, rename_durably, sync_all, write_durably};
use crate::storage::ledger::{Lease, Ledger, Row, next_number};
use crate::support::error::{AtPath as _, Error, Result};
use crate::support::failpoint;
use crate::values::digest::sha256_hex;
use csv::{CsvError, Rows, Sheets, Written};
use manifest::{FileEntry, Head, Manifest, Totals};
use store::{Export, Taken};

/// Statements whose rows are made by one thread at a time.
const STATEMENTS_OF_A_TASK: usize = 50;

const LINES_NAME: &str = "statement_lines.csv";
const STATEMENTS_NAME: &str = "statements.csv";
pub const MANIFEST_NAME: &str = "manifest.json";

/// What an export holds.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Exported {
    pub export: i64,
    pub folder: PathBuf,
    pub statements: usize,
    pub manifest_digest: String,
}

/// Exports every statement that no export has, one export per period. Nothing new, nothing exported.
pub async fn export_new(books: &Books, lease: &Lease) -> Result<Vec<Exported>> {
    if books.clock.doubt().is_some() {
        return Ok(Vec::new());
    }
    finish_interrupted(books).await?;
    let mut new = Vec::new();
    for (start, end) in store::periods_to_export(&books.ledger).await? {
        new.push(export_period(books, lease, &start, &end).await?);
    }
    Ok(new)
}

/// Writes an export again from the ledger: the same bytes, into `target` or its own place.
pub async fn export_again(books: &Books, number: i64, target: Option<&Path>) -> Result<Exported> {
    let export = store::export(&books.ledger, number).await?;
    let taken = store::taken_by(&books.ledger, number).await?;
    let place = target.map_or_else(|| place_of(books, &export.folder), Path::to_owned);
    if target.is_some() {
        refuse_occupied(&place)?;
    }
    let staging = staging_of(&place);
    write_sheets(books, &staging, &taken).await?;
    check_sheets(&staging, &export)?;
    write_durably(&staging.join(MANIFEST_NAME), export.manifest.as_bytes())?;
    if place.exists() {
        remove_folder(&place)?;
    }
    move_into_place(&staging, &place)?;
    // A copy for a person says nothing about the export's own place.
    if target.is_none() {
        store::mark_written(&books.ledger, number).await?;
    }
    Ok(exported(export, place, taken.statements))
}

fn exported(export: Export, folder: PathBuf, statements: usize) -> Exported {
    Exported {
        export: export.export,
        folder,
        statements,
        manifest_digest: export.manifest_digest,
    }
}

/// A folder that a person names is never emptied.
fn refuse_occupied(path: &Path) -> Result<()> {
    if path.exists() && (!path.is_dir() || std::fs::read_dir(path).at(path)?.next().is_some()) {
        return Err(Error::Usage(format!(
            "--to {} is not empty; use a new or empty folder",
            path.display()
        )));
    }
    Ok(())
}

/// Writes exports that the ledger has and the disk has not.
pub async fn finish_interrupted(books: &Books) -> Result<()> {
    for export in store::exports(&books.ledger).await?.into_iter().filter(|e| !e.written) {
        export_again(books, export.export, None).await?;
    }
    Ok(())
}

#[tracing::instrument(skip_all)]
async fn export_period(books: &Books, lease: &Lease, start: &str, end: &str) -> Result<Exported> {
    let previous = store::last_manifest(&books.ledger).await?;
    let number = previous.as_ref().map_or(1, |(number, _)| number + 1);
    let folder = format!("{start}_{end}/{number:06}");
    let place = place_of(books, &folder);
    let staging = staging_of(&place);
    let taken = store::taken_by_none(&books.ledger, start, end).await?;
    let ledger = books.ledger.clone();
    let heads = tokio::spawn(async move { heads(&ledger).await });
    let (files, totals) = write_sheets(books, &staging, &taken).await?;
    let manifest = Manifest::new(
        format!("{number:06}"),
        books.clock.now(),
        folder.clone(),
        previous.as_ref().map(|(_, digest)| digest.clone()),
        files,
        &totals,
        done(heads).await?,
    )
    .to_text();
    let export = Export {
        export: number,
        folder,
        created_at: books.clock.text(),
        manifest_digest: sha256_hex(manifest.as_bytes()),
        manifest,
        written: false,
    };
    write_durably(&staging.join(MANIFEST_NAME), export.manifest.as_bytes())?;
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    if next_number(&mut tx, "export").await? != number {
        return Err(Error::Unbalanced(format!("export {number} was done by another run")));
    }
    let previous = previous.map(|(_, digest)| digest).unwrap_or_default();
    store::add_export(&mut tx, &export, &previous, &taken).await?;
    books.ledger.commit(tx, "export").await?;
    move_into_place(&staging, &place)?;
    store::mark_written(&books.ledger, number).await?;
    Ok(exported(export, place, taken.statements))
}

/// Where an export lies.
pub fn place_of(books: &Books, folder: &str) -> PathBuf {
    books.data.join("exports").join(folder)
}

/// Beside the place, so that the move stays within one file system.
fn staging_of(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!(".{name}.unfinished"))
}

/// Writes both sheets: while some statements are being loaded, the rows of others are made, and those of others written.
#[tracing::instrument(skip_all)]
async fn write_sheets(books: &Books, staging: &Path, taken: &Taken) -> Result<(Vec<FileEntry>, Totals)> {
    if staging.exists() {
        remove_folder(staging)?;
    }
    create_dir_durably(staging)?;
    let places = [LINES_NAME, STATEMENTS_NAME].map(|name| staging.join(name));
    let [lines, statements] = places.each_ref().map(|path| NewFile::create_buffered(path));
    let sheets = Sheets::new(lines?, statements?);
    let (loaded, pages) = mpsc::sync_channel(1);
    let (made, rows) = mpsc::sync_channel(1);
    let making = spawn_blocking(move || make_rows(&pages, &made));
    let writing = spawn_blocking(move || write_rows(sheets?, &rows));
    let loading = load(books, taken, &loaded).await;
    drop(loaded);
    // When the disk takes no more, or a document does not read, that is what to tell: the others only found that nobody takes what they have.
    let failed = |e: CsvError| Error::damaged(staging, e.to_string());
    let [lines, statements] = done(writing).await.map_err(failed)?;
    let totals = done(making).await?;
    loading?;
    let files = vec![
        FileEntry::new(LINES_NAME, lines),
        FileEntry::new(STATEMENTS_NAME, statements),
    ];
    sync_all(&places)?;
    Ok((files, totals))
}

/// Loads statements and hands them on, in order and in pages.
async fn load(books: &Books, taken: &Taken, to: &SyncSender<Vec<Row>>) -> Result<()> {
    let mut loaded = 0;
    store::for_each_page(&books.ledger, taken, |page| {
        loaded += page.len();
        let refused = |_| Error::Unbalanced("statements that were loaded were not written".to_owned());
        block_in_place(|| to.send(page)).map_err(refused)
    })
    .await?;
    if loaded != taken.statements {
        return Err(Error::Unbalanced(format!(
            "{} statements of {} to {} are to be exported, and the ledger has {loaded}",
            taken.statements, taken.start, taken.end
        )));
    }
    Ok(())
}

/// Makes the rows of statements as they come, until nobody takes them any more. Returns what the statements come to.
fn make_rows(pages: &Receiver<Vec<Row>>, to: &SyncSender<Vec<Rows>>) -> Result<Totals> {
    let mut totals = Totals::default();
    for page in pages {
        let made: Vec<(Rows, Totals)> = page
            .par_chunks(STATEMENTS_OF_A_TASK)
            .map(rows_of)
            .collect::<Result<_>>()?;
        let (rows, sums): (Vec<Rows>, Vec<Totals>) = made.into_iter().unzip();
        for sums in &sums {
            totals.append(sums).map_err(|e| Error::Unbalanced(e.to_string()))?;
        }
        if to.send(rows).is_err() {
            break;
        }
    }
    Ok(totals)
}

/// The rows of some statements, and what they come to.
fn rows_of(page: &[Row]) -> Result<(Rows, Totals)> {
    let statements: Vec<Statement> = page.iter().map(statement_of).collect::<Result<_>>()?;
    let mut totals = Totals::default();
    for statement in &statements {
        totals.add(statement).map_err(|e| Error::Unbalanced(e.to_string()))?;
    }
    let refused = |e: CsvError| match e {
        CsvError::Document {
            source: DocumentError::Expired { .. },
            ..
        } => Error::Usage(e.to_string()),
        _ => Error::Unbalanced(e.to_string()),
    };
    Ok((Rows::of(&statements).map_err(refused)?, totals))
}

fn write_rows(
    mut sheets: Sheets<BufWriter<NewFile>>,
    rows: &Receiver<Vec<Rows>>,
) -> std::result::Result<[Written; 2], CsvError> {
    for rows in rows {
        for rows in rows {
            sheets.append(rows)?;
        }
    }
    sheets.finish()
}

/// The last statement of each account.
async fn heads(ledger: &Ledger) -> Result<Vec<Head>> {
    let heads = chain_heads(ledger).await?;
    Ok(heads
        .into_iter()
        .map(|(uin, id, digest)| Head::new(uin, id, digest))
        .collect())
}

/// What a task comes to; its panic is ours.
async fn done<T>(task: JoinHandle<T>) -> T {
    task.await
        .unwrap_or_else(|failed| std::panic::resume_unwind(failed.into_panic()))
}

/// What was written again must be what was recorded.
fn check_sheets(staging: &Path, export: &Export) -> Result<()> {
    let recorded = Manifest::from_bytes(export.manifest.as_bytes()).map_err(|e| Error::Unbalanced(e.to_string()))?;
    for file in &recorded.files {
        let digest = crate::values::digest::sha256_hex_of_file(&staging.join(&file.name))?;
        if digest != file.sha256 {
            return Err(Error::Unbalanced(format!(
                "export {}: {} now has the digest {digest}, recorded is {}",
                export.export, file.name, file.sha256
            )));
        }
    }
    Ok(())
}

fn remove_folder(folder: &Path) -> Result<()> {
    std::fs::remove_dir_all(folder).at(folder)?;
    failpoint::file("removed", folder);
    Ok(())
}

fn move_into_place(staging: &Path, path: &Path) -> Result<()> {
    if let Some(parent) = path.parent() {
        create_dir_durably(parent)?;
    }
    rename_durably(staging, path)
}
