//! An account's statements: closed ones from the ledger, drafts of open periods rated now.

use chrono::NaiveDate;

use crate::account::store::load_accounts;
use crate::books::Books;
use crate::card::store::load_cards;
use crate::close::account::AccountUsage;
use crate::close::statement::{Closing, Statement};
use crate::close::store::{closed_periods_of, heads, statements_of, waiting};
use crate::error::{Error, Result};
use crate::meter::store::{progress, usage_paths};
use crate::meter::usage::UsageTable;
use crate::span::Period;

/// A statement, or what it would be.
#[derive(Clone, Debug)]
pub struct Shown {
    pub statement: Statement,
    pub draft: bool,
    /// Usage without a price, which keeps a draft from closing.
    pub unpriced: Vec<String>,
}

/// Closed statements and drafts whose period touches `[from, to)`.
pub async fn statements(books: &Books, uin: u64, from: NaiveDate, to: NaiveDate) -> Result<Vec<Shown>> {
    let touches = |period: &Period| period.start < to && from < period.end;
    let mut shown: Vec<Shown> = statements_of(&books.ledger, uin)
        .await?
        .into_iter()
        .filter(|statement| touches(&statement.period))
        .map(|statement| Shown {
            statement,
            draft: false,
            unpriced: Vec::new(),
        })
        .collect();
    shown.extend(drafts(books, uin, from, to).await?);
    Ok(shown)
}

async fn drafts(books: &Books, uin: u64, from: NaiveDate, to: NaiveDate) -> Result<Vec<Shown>> {
    let accounts = load_accounts(&books.ledger).await?;
    let Some(account) = accounts.get(uin) else {
        return Err(Error::Usage(format!(
            "there is no account {uin}; `tallybook account list` shows those there are"
        )));
    };
    let Some(mut period) = account.open_period() else {
        return Ok(Vec::new());
    };
    let cards = load_cards(&books.ledger).await?;
    let metered = progress(&books.ledger).await?;
    let mut previous = heads(&books.ledger).await?.remove(&uin);
    let touched = waiting(&books.ledger).await?.remove(&uin);
    let closed = closed_periods_of(&books.ledger, uin).await?;
    let before = statements_of(&books.ledger, uin).await?;
    let again_from = touched
        .as_ref()
        .and_then(|touched| AccountUsage::needed_from(account, &closed, touched));
    let counters_from = account.terms_on(period.start).cycle.counters_from(&period);
    let usage_from = again_from.unwrap_or(period.start).min(period.start).min(counters_from);
    // A draft of the last period shows all of it, also past `to`.
    let usage_to = account.period_of(to).end;
    let paths = usage_paths(&books.ledger, usage_from, usage_to, metered.metering).await?;
    let mut table = UsageTable::default();
    for (path, metering) in paths {
        table.read((&books.data.join(&path), metering), usage_from, usage_to, &|row, _| {
            row == uin
        })?;
    }
    table.rows.sort_unstable_by_key(|row| row.day);
    let usage = AccountUsage {
        uin,
        account,
        cards: &cards,
        table: &table,
        rows: &table.rows,
        metering: metered.metering,
    };
    let mut again = touched.as_ref().map(|touched| (touched, &closed[..], &before[..]));
    let mut shown = Vec::new();
    while period.start < to && period.start <= books.clock.today().succ_opt().unwrap_or(NaiveDate::MAX) {
        let draft = usage.with_charges(period, again.take(), |charges| {
            let terms = account.terms_on(period.start);
            let card = cards.in_force(&terms.card, period.end);
            let card = card.or(cards.of_name(&terms.card).last());
            let currency = charges.currency.or(card.map(|card| card.currency));
            let has_obstacle = !charges.unpriced.is_empty() || charges.other_currency.is_some();
            let is_shown = !charges.charges.is_empty() || has_obstacle;
            let Some(currency) = currency.filter(|_| is_shown) else {
                return Ok(None);
            };
            let closing = Closing {
                uin,
                period,
                zone: terms.zone,
                currency,
                closed_at: books.clock.now(),
                high_water_batch: metered.batch_hi,
                charges: &charges.charges,
                previous_digest: previous.as_deref(),
            };
            let statement = Statement::draft(&closing).map_err(|e| Error::Unbalanced(e.to_string()))?;
            Ok(Some(Shown {
                statement,
                draft: true,
                unpriced: charges.unpriced.into_iter().chain(charges.other_currency).collect(),
            }))
        })?;
        if let Some(draft) = draft {
            previous = Some(draft.statement.digest.clone());
            if from < period.end {
                shown.push(draft);
            }
        }
        period = account.period_from(period.end);
    }
    Ok(shown)
}
