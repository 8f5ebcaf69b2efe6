//! Quarantined lines in another form: what a person writes is taken in the place of what came.
//!
//! A corrected line is read as one of the same input (its source, and of a CSV its header). It takes its status in the batch that
//! received it: the retry's batch takes one off the quarantined lines and adds one to where it belongs now. What does not pass the check
//! changes nothing. The bytes that came stay until they expire; the audit trail has who and why, and the digests of both.

use std::collections::{BTreeMap, BTreeSet};

use super::dismiss::refuse_missing;
use super::filter::Filter;
use super::retry::{Attempt, Attempted, Correction, take_what_passes};
use super::store::{Page, QuarantinedLine, lines};
use crate::context::Books;
use crate::pipeline::ingest::record::is_blank;
use crate::pipeline::ingest::store::batch;
use crate::support::error::{Error, Result};
use crate::values::digest::sha256_hex;

/// Lines asked for by one query.
const ASKED_AT_ONCE: usize = 500;

/// What a correction did.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Corrected {
    pub accepted: i64,
    /// Lines that were taken in this form before: the same file again does only what is missing.
    pub already: usize,
    /// Lines that are refused in their new form too, and stay as they were.
    pub refused: Vec<StillRefused>,
    /// One for each batch that received some of the lines.
    pub audit_entries: Vec<i64>,
}

/// A line that is refused in its new form too.
#[derive(Clone, Debug, serde::Serialize)]
pub struct StillRefused {
    pub quarantine: i64,
    pub code: &'static str,
    pub sentence: String,
}

/// Takes one line in another form. It is an error when that is refused too.
pub async fn edit(books: &Books, number: i64, bytes: &[u8], reason: &str) -> Result<Corrected> {
    if is_blank(bytes) {
        return Err(Error::Usage(format!(
            "the corrected line {number} is empty; to dismiss a line, use `tallybook quarantine dismiss`. Nothing was written"
        )));
    }
    let corrected = take(
        books,
        vec![(number, bytes.to_vec())],
        &Correction { reason, file: None },
    )
    .await?;
    match corrected.refused.first() {
        None => Ok(corrected),
        Some(still) => Err(Error::Usage(format!(
            "the corrected line {number} is refused as well: {} ({}). Nothing was written",
            still.sentence, still.code
        ))),
    }
}

/// Takes lines of a file of corrections: on each line a number in quarantine, a tab, and the line as it should have come; the form in
/// which `quarantine show --lines-only` prints them.
pub async fn correct(books: &Books, name: &str, file: &[u8], reason: &str) -> Result<Corrected> {
    let corrections = parse(name, file)?;
    let digest = sha256_hex(file);
    let correction = Correction {
        reason,
        file: Some((name, &digest)),
    };
    take(books, corrections, &correction).await
}

fn parse(name: &str, file: &[u8]) -> Result<Vec<(i64, Vec<u8>)>> {
    let mut seen = BTreeSet::new();
    let mut corrections = Vec::new();
    for (at, line) in file.split(|byte| *byte == b'\n').enumerate() {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        if line.is_empty() {
            continue;
        }
        let bad = |what: String| {
            Error::Usage(format!(
                "{name}, line {}: {what}; expected is the number that `tallybook quarantine list` shows, a tab, and the corrected line, \
                 as `tallybook quarantine show --lines-only` prints them. Nothing was written",
                at + 1
            ))
        };
        let tab = line.iter().position(|byte| *byte == b'\t');
        let (number, rest) = tab.map_or((line, &[][..]), |tab| (&line[..tab], &line[tab + 1..]));
        let number = std::str::from_utf8(number).ok().and_then(|text| text.parse().ok());
        let Some(number) = number.filter(|_| tab.is_some()) else {
            return Err(bad("it does not begin with a number and a tab".to_owned()));
        };
        if is_blank(rest) {
            return Err(bad(format!(
                "the corrected line {number} is empty (to dismiss a line, use `tallybook quarantine dismiss`)"
            )));
        }
        if !seen.insert(number) {
            return Err(bad(format!("line {number} appears twice")));
        }
        corrections.push((number, rest.to_vec()));
    }
    Ok(corrections)
}

async fn take(books: &Books, corrections: Vec<(i64, Vec<u8>)>, correction: &Correction<'_>) -> Result<Corrected> {
    let mut lines = named(books, &corrections).await?;
    let mut corrected = Corrected::default();
    let mut by_batch: BTreeMap<i64, Vec<Attempt>> = BTreeMap::new();
    for (number, bytes) in corrections {
        let line = lines.remove(&number).expect("each number was found, and is there once");
        if line.accepted_by.is_some() {
            corrected.already += 1;
            continue;
        }
        by_batch.entry(line.batch).or_default().push(Attempt {
            is_corrected: sha256_hex(&bytes) != line.payload_digest,
            line,
            bytes,
        });
    }
    for (number, mut attempts) in by_batch {
        attempts.sort_by_key(|attempt| attempt.line.quarantine);
        let batch = batch(&books.ledger, number).await?;
        corrected.add(take_what_passes(books, &batch, &attempts, Some(correction)).await?);
    }
    Ok(corrected)
}

/// The lines that corrections name: each must wait, or have been taken in that form before.
async fn named(books: &Books, corrections: &[(i64, Vec<u8>)]) -> Result<BTreeMap<i64, QuarantinedLine>> {
    let all = Page {
        all: true,
        ..Page::default()
    };
    let mut named = BTreeMap::new();
    for some in corrections.chunks(ASKED_AT_ONCE) {
        let numbers: Vec<i64> = some.iter().map(|(number, _)| *number).collect();
        let mut found = lines(&books.ledger, &Filter::of_numbers(numbers.clone()), all).await?;
        let digests: BTreeMap<i64, String> = some
            .iter()
            .map(|(number, bytes)| (*number, sha256_hex(bytes)))
            .collect();
        found.retain(|line| {
            let taken = line.corrected_digest.as_ref().unwrap_or(&line.payload_digest);
            line.state == "waits" || line.state == "taken" && digests.get(&line.quarantine) == Some(taken)
        });
        refuse_missing(&numbers, &found)?;
        named.extend(found.into_iter().map(|line| (line.quarantine, line)));
    }
    Ok(named)
}

impl Corrected {
    fn add(&mut self, attempted: Attempted) {
        self.accepted += attempted.accepted;
        self.audit_entries.extend(attempted.entry);
        self.refused
            .extend(attempted.refused.into_iter().map(|refused| StillRefused {
                quarantine: i64::try_from(refused.line).unwrap_or(i64::MAX),
                code: refused.refusal.code,
                sentence: refused.refusal.sentence,
            }));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(file: &str) -> String {
        parse("f", file.as_bytes()).unwrap_err().to_string()
    }

    #[test]
    fn a_file_of_corrections_names_what_each_line_replaces() {
        let parsed = parse("f", b"7\t{\"id\":\"a\"}\r\n\n8\ta,\"b\tc\"\n").unwrap();
        let expected = [(7, b"{\"id\":\"a\"}".to_vec()), (8, b"a,\"b\tc\"".to_vec())];
        assert_eq!(parsed, expected);
        assert!(said("{}\n").contains("f, line 1: it does not begin with a number and a tab"));
        assert!(said("7\ta\n7\tb\n").contains("f, line 2: line 7 appears twice"));
        assert!(said("7\t\n").contains("the corrected line 7 is empty"));
        assert!(said("7\n").contains("does not begin with a number and a tab"));
    }
}
