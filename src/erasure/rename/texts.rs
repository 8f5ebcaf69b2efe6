//! Texts that people and programs wrote: reports, sentences, names of files, the audit trail. Where one says a number of the account, the
//! number goes; the trail keeps what was decided under the pseudonym.

use super::Renamed;
use crate::erasure::words::Words;
use crate::storage::ledger::{Tx, Value, rewrite_rows};
use crate::support::error::Result;
use crate::values::digest::sha256_hex;

/// How a column is written anew.
#[derive(Clone, Copy)]
enum Form {
    Erased,
    ErasedJson,
    Pseudonym,
    PseudonymJson,
}

/// Columns that may say a number.
const TEXTS: [(&str, &str, Form); 16] = [
    ("audit", "subject", Form::Pseudonym),
    ("audit", "detail", Form::PseudonymJson),
    ("audit", "reason", Form::Erased),
    ("batch", "name", Form::Erased),
    ("blocked_period", "why", Form::Erased),
    ("blocked_period", "unpriced", Form::ErasedJson),
    ("held_day", "sentence", Form::Erased),
    ("quarantine", "sentence", Form::Erased),
    ("run", "report", Form::ErasedJson),
    ("run", "text", Form::Erased),
    ("source_object", "object_key", Form::Erased),
    ("source_pull", "message", Form::Erased),
    ("source_version", "body", Form::ErasedJson),
    ("source_version", "origin", Form::Erased),
    ("unmetered", "sentence", Form::Erased),
    ("waiver", "reason", Form::Erased),
];

/// The tables of this file.
pub fn tables() -> impl Iterator<Item = &'static str> {
    TEXTS.into_iter().map(|(table, ..)| table)
}

pub async fn rename(tx: &mut Tx, words: &Words, renamed: &mut Renamed) -> Result<()> {
    for (table, column, form) in TEXTS {
        rename_column(tx, (table, column, form), words, renamed).await?;
    }
    Ok(())
}

async fn rename_column(
    tx: &mut Tx,
    (table, column, form): (&'static str, &str, Form),
    words: &Words,
    renamed: &mut Renamed,
) -> Result<()> {
    let (condition, binds) = says_a_number(column, words);
    let rows = rewrite_rows(tx, table, &condition, &binds, |row| {
        let Some(text) = row.text(column)? else { return Ok(()) };
        let other = match form {
            Form::Erased => words.erased(text),
            Form::ErasedJson => words.erased_json(text),
            Form::Pseudonym => words.pseudonymized(text),
            Form::PseudonymJson => words.pseudonymized_json(text),
        };
        let Some(other) = other else { return Ok(()) };
        if (table, column) == ("source_version", "body") {
            row.set("digest", sha256_hex(other.as_bytes()))?;
        }
        row.set(column, other)
    })
    .await?;
    renamed.add(table, rows);
    Ok(())
}

/// SQL for rows that may say one of the words: not all reports are read to find the few.
fn says_a_number(column: &str, words: &Words) -> (String, Vec<Value>) {
    let Some(needles) = words.needles() else {
        return ("1 = 1".to_owned(), Vec::new());
    };
    let binds: Vec<Value> = needles.iter().map(|needle| format!("%{needle}%").into()).collect();
    let likes = vec![format!("{column} LIKE ?"); binds.len()];
    (likes.join(" OR "), binds)
}
