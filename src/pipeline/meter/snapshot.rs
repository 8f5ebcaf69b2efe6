//! The snapshot of a metering: everything it reads from the ledger, at one point.

use std::collections::{BTreeMap, HashMap, HashSet};

use super::aggregate::measure::UnmeteredRecord;
use super::classify::historic_cards::HistoricCards;
use super::classify::unmetered;
use super::dedupe::identity_index::{Key, KeyRun};
use super::dedupe::resolution::{Resolutions, RowId};
use super::dedupe::stored_record;
use super::dedupe::stored_record::RealRecord;
use super::dedupe::{Void, VoidState};
use super::store;
use super::store::Progress;
use crate::catalog::account::Accounts;
use crate::catalog::account::add::default_terms;
use crate::catalog::account::store::load_accounts;
use crate::catalog::account::terms::Terms;
use crate::catalog::rate_card::store::load_cards_and_number;
use crate::context::Books;
use crate::pipeline::meter::classify::sku_cache::AccountCards;
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, batches_by_intake, expired_days, segments_between, segments_of_day};
use crate::support::error::Result;
use crate::values::calendar::{day_of_number, number_of_day};

/// What is to be metered, and with what.
pub struct Snapshot {
    pub progress: Progress,
    /// The last batch to be metered.
    pub up_to: i64,
    pub segments: Vec<Segment>,
    pub batch_counts: Vec<[i64; 4]>,
    pub accounts: Accounts,
    pub default_terms: Terms,
    pub map: AccountCards,
    /// The last card import.
    pub card_hi: i64,
    pub resolutions: Resolutions,
    /// Earlier cards, once it is known which records count otherwise from now on.
    pub historic_cards: HistoricCards,
    pub voids: Vec<Void>,
    /// UTC days marked expired, days since 1970.
    pub expired: HashSet<i32>,
    pub unmetered_paths: Vec<String>,
    pub unmetered: Vec<UnmeteredRecord>,
    key_runs: Vec<(String, i64)>,
    batches: HashMap<i64, i64>,
}

impl Snapshot {
    /// For all batches that no metering has seen.
    pub async fn read(books: &Books) -> Result<Self> {
        Self::read_up_to(books, store::last_batch(&books.ledger).await?).await
    }

    /// For those up to a batch.
    #[tracing::instrument(name = "read", skip_all)]
    pub async fn read_up_to(books: &Books, up_to: i64) -> Result<Self> {
        let ledger = &books.ledger;
        let progress = store::progress(ledger).await?;
        let (cards, card_hi) = load_cards_and_number(ledger).await?;
        let accounts = load_accounts(ledger).await?;
        let default_terms = default_terms(books, &cards)?;
        let unmetered_paths = store::unmetered_paths(ledger).await?;
        let unmetered = tokio::task::block_in_place(|| unmetered::read_all(&books.data, &unmetered_paths))?;
        Ok(Self {
            segments: segments_between(ledger, SegmentKind::Usage, progress.batch_hi, up_to).await?,
            batch_counts: store::batch_counts(ledger, progress.batch_hi, up_to).await?,
            map: AccountCards::new(&accounts, cards, &default_terms),
            card_hi,
            resolutions: store::load_resolutions(ledger).await?,
            historic_cards: HistoricCards::default(),
            voids: store::load_voids(ledger).await?,
            expired: expired_days(ledger).await?.into_iter().map(number_of_day).collect(),
            key_runs: store::key_run_paths(ledger).await?,
            batches: batches_by_intake(ledger).await?,
            progress,
            up_to,
            accounts,
            default_terms,
            unmetered_paths,
            unmetered,
        })
    }

    /// No new batch, no decision to book, and no reason to try unmetered records again.
    pub fn is_done(&self) -> bool {
        self.up_to == self.progress.batch_hi && !self.tries_unmetered_again() && self.resolutions.pending().is_empty()
    }

    /// Unmetered records are tried again when a card changed.
    pub fn tries_unmetered_again(&self) -> bool {
        !self.unmetered.is_empty() && self.card_hi != self.progress.card_hi
    }

    pub fn waiting_voids(&self) -> impl Iterator<Item = &Void> {
        self.voids.iter().filter(|void| void.state == VoidState::Waiting)
    }

    pub fn open_key_runs(&self, books: &Books) -> Result<Vec<KeyRun>> {
        self.key_runs
            .iter()
            .map(|(path, _)| KeyRun::open(&books.data.join(path)))
            .collect()
    }

    /// Reads the records that keys point to, as far as their raw is still there.
    pub async fn read_keys(&self, books: &Books, keys: &[Key]) -> Result<HashMap<RowId, RealRecord>> {
        let rows = keys.iter().map(|key| ((i64::from(key.batch), key.line), key.day));
        self.read_rows(books, rows).await
    }

    /// Reads both sides of the replacements that are to be booked.
    pub async fn read_replaced(&self, books: &Books) -> Result<HashMap<RowId, RealRecord>> {
        let pending = self.resolutions.pending();
        self.read_rows(books, pending.into_iter().flat_map(|(stood, stands)| [stood, stands]))
            .await
    }

    /// Reads rows by place and UTC day, as far as their raw is still there.
    pub async fn read_rows(
        &self,
        books: &Books,
        rows: impl Iterator<Item = (RowId, i32)>,
    ) -> Result<HashMap<RowId, RealRecord>> {
        let mut by_day: BTreeMap<i32, HashSet<RowId>> = BTreeMap::new();
        for (place, day) in rows {
            by_day.entry(day).or_default().insert(place);
        }
        let mut found = HashMap::new();
        for (day, wanted) in by_day {
            for segment in segments_of_day(&books.ledger, SegmentKind::Usage, day_of_number(day)).await? {
                if !wanted
                    .iter()
                    .any(|(batch, _)| segment.batch_lo <= *batch && *batch <= segment.batch_hi)
                {
                    continue;
                }
                let records = tokio::task::block_in_place(|| {
                    stored_record::of_segment(&books.data, &segment, &self.batches, &wanted)
                })?;
                found.extend(records.into_iter().map(|record| ((record.batch, record.line), record)));
            }
        }
        Ok(found)
    }
}
