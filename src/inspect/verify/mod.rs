//! Verify: the books proved from what is there; what differs is named, and so is what can be proved no more.
//!
//! ```text
//! ledger      every row against its seal, counters against what they count, cards against their digests
//! files       every file that the ledger names against its digest
//! usage       raw measured again against usage files, these against the dashboards' rows, control totals
//! statements  rated and adjusted again from the usage, cards and statements of their day; chains of digests
//! exports     chains of manifests, files on disk, heads of the statement chains
//! erasures    certificates, second digests, numbers that may be no account's any more
//! proofs      of days about to go against their rows; raw that is gone, and the digests that stand for it
//! ```

mod day_digests;
mod erasures;
mod exports;
mod files;
mod ledger;
mod statements;
mod store;
mod usage;

use chrono::{Days, NaiveDate};

use crate::context::Books;
use crate::support::error::Result;

/// What was verified, what differs, and what could not be proved.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Verified {
    pub ledger_rows: u64,
    pub files: usize,
    pub raw_rows: i64,
    pub usage_sums: usize,
    pub statements: usize,
    pub exports: usize,
    /// Accounts whose statements stand under a pseudonym.
    #[serde(skip_serializing_if = "is_none")]
    pub erased_accounts: usize,
    /// UTC days whose raw is gone.
    pub expired: Vec<ExpiredDay>,
    /// Inputs whose original was changed after it was read, and what became of it.
    pub rewritten: Vec<String>,
    /// What was not asked for.
    pub left_out: Vec<String>,
    /// What could not be looked at because something else is damaged.
    pub not_proved: Vec<String>,
    /// Empty is good.
    pub differences: Vec<String>,
    /// All of them, also those that are not told.
    pub difference_count: usize,
}

/// A day whose raw cannot be measured again, and what stands for it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct ExpiredDay {
    pub day: String,
    pub expired_at: String,
    pub rows: i64,
    pub accounts: i64,
    /// SHA-256 over the accounts' lines `uin digest` of the day, in the order of the numbers.
    pub digest: String,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands a reference")]
fn is_none(count: &usize) -> bool {
    *count == 0
}

/// Differences told at most; their number is told in full.
const TOLD_MAX: usize = 40;

/// What is proved.
#[derive(Clone, Copy, Debug, Default)]
pub struct Scope {
    /// The first local day of what is proved; none: everything.
    pub since: Option<NaiveDate>,
}

impl Scope {
    /// Whether a UTC day has something of the scope: a local day may begin on the day before.
    fn has_utc_day(self, day: NaiveDate) -> bool {
        self.since.is_none_or(|since| since <= day + Days::new(1))
    }

    /// Whether days `[.., end)` reach into the scope.
    fn has_days_before(self, end: NaiveDate) -> bool {
        self.since.is_none_or(|since| since < end)
    }

    /// What is left out, in sentences.
    fn left_out(self) -> Vec<String> {
        let Some(since) = self.since else { return Vec::new() };
        vec![
            format!(
                "raw data and service log of days before {since}: files are checked for existence only; usage is not recomputed, \
                 and the digests of these days are not checked"
            ),
            format!("usage of metering runs without a day from {since} on, against the dashboard tables"),
            format!(
                "closed periods that end by {since}: digests of their statements are checked, but they are not rated again"
            ),
            format!("export files of those periods, and input files in done/ and refused/ received before {since}"),
            "identity index files as a whole: only entries that are used are checked".to_owned(),
        ]
    }
}

/// Proves the books.
pub async fn verify(books: &Books) -> Result<Verified> {
    verify_scope(books, Scope::default()).await
}

/// Proves what is in a scope, and says what it leaves out.
pub async fn verify_scope(books: &Books, scope: Scope) -> Result<Verified> {
    let mut verified = Verified {
        left_out: scope.left_out(),
        ..Verified::default()
    };
    ledger::verify(books, &mut verified).await;
    let damaged = files::verify(books, scope, &mut verified).await;
    let part = usage::verify(books, scope, &damaged, &mut verified).await;
    verified.part(part);
    let part = statements::verify(books, scope, &damaged, &mut verified).await;
    verified.part(part);
    let part = exports::verify(books, scope, &mut verified).await;
    verified.part(part);
    let part = erasures::verify(books, &mut verified).await;
    verified.part(part);
    let part = day_digests::verify(books, scope, &damaged, &mut verified).await;
    verified.part(part);
    if verified.difference_count > TOLD_MAX {
        let more = verified.difference_count - TOLD_MAX;
        verified.differences.push(format!("and {more} more"));
    }
    Ok(verified)
}

impl Verified {
    fn differs(&mut self, sentence: impl Into<String>) {
        self.difference_count += 1;
        if self.difference_count <= TOLD_MAX {
            self.differences.push(sentence.into());
        }
    }

    /// A part that only has sentences.
    fn sentences(&mut self, outcome: Result<Vec<String>>) {
        match outcome {
            Ok(sentences) => sentences.into_iter().for_each(|sentence| self.differs(sentence)),
            Err(error) => self.differs(error.to_string()),
        }
    }

    /// A part that fails by itself is a difference, and the other parts go on.
    fn part(&mut self, outcome: Result<()>) {
        if let Err(error) = outcome {
            self.differs(error.to_string());
        }
    }
}
