//! Searching for numbers: in the bytes of files, in the columns of Parquet, in packed files, and in the rows of the ledger.

use std::path::{Path, PathBuf};

use tallybook::context::Books;
use tallybook::storage::ledger::{Value, query};
use tallybook::storage::raw::segment::read_columns;

use crate::crashes::books::with_books;

/// How a file of zstd begins.
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// All files below a folder, in order.
pub fn files_below(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            files_below(&path, files);
        } else {
            files.push(path);
        }
    }
}

fn has(bytes: &[u8], what: &[u8]) -> bool {
    memchr::memmem::find(bytes, what).is_some()
}

/// What is found in the files below a folder: texts, and numbers as 64 bits.
pub fn found_in_files(folder: &Path, texts: &[String], numbers: &[u64]) -> Vec<String> {
    let mut files = Vec::new();
    files_below(folder, &mut files);
    let mut found = Vec::new();
    for file in files {
        let name = file.strip_prefix(folder).unwrap().display().to_string();
        let bytes = std::fs::read(&file).unwrap();
        let plain = if bytes.starts_with(&ZSTD) {
            zstd::decode_all(&bytes[..]).unwrap()
        } else {
            Vec::new()
        };
        for text in texts {
            let is_there = has(&bytes, text.as_bytes()) || has(&plain, text.as_bytes()) || name.contains(text);
            if is_there || in_columns(&file, text) {
                found.push(format!("{text} in {name}"));
            }
        }
        for number in numbers {
            if has(&bytes, &number.to_le_bytes()) || has(&plain, &number.to_le_bytes()) {
                found.push(format!("{number} as 64 bits in {name}"));
            }
        }
    }
    found
}

/// Whether a cell of a Parquet file has a text.
fn in_columns(file: &Path, text: &str) -> bool {
    if file.extension().is_none_or(|extension| extension != "parquet") {
        return false;
    }
    let frame = read_columns(&file.to_path_buf(), &[]).unwrap();
    let has_text = |cell: String| cell.contains(text);
    frame
        .columns()
        .iter()
        .any(|column| (0..frame.height()).any(|row| has_text(column.get(row).unwrap().to_string())))
}

/// Rows of the ledger that have one of the texts.
pub fn found_in_ledger(path: &Path, texts: &[String]) -> Vec<String> {
    with_books(path, async |books| found_in_tables(books, texts).await)
}

/// The same, of books that are open.
pub async fn found_in_tables(books: &Books, texts: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for table in books.ledger.tables().await.unwrap() {
        let rows = query(format!("SELECT * FROM {table}"))
            .fetch_all(&books.ledger)
            .await
            .unwrap();
        for row in rows {
            for (column, value) in row.names().iter().zip(row.values()) {
                let cell = match value {
                    Value::Text(text) => text.clone(),
                    Value::Bytes(bytes) => String::from_utf8_lossy(bytes).into_owned(),
                    Value::Integer(number) => number.to_string(),
                    _ => continue,
                };
                let said = texts.iter().filter(|text| cell.contains(*text));
                found.extend(said.map(|text| format!("{text} in {table}.{column}: {cell}")));
            }
        }
    }
    found
}
