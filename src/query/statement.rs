//! An account's statements: closed ones from the ledger, drafts of open periods rated now.

use chrono::NaiveDate;

use crate::account::store::load_accounts;
use crate::books::Books;
use crate::card::store::load_cards;
use crate::close::PeriodRows;
use crate::close::statement::{Closing, Statement};
use crate::close::store::{heads, statements_of};
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
    let usage_from = account
        .terms_on(period.start)
        .cycle
        .counters_from(&period)
        .min(period.start);
    let paths = usage_paths(&books.ledger, usage_from, to, metered.metering).await?;
    let mut table = UsageTable::default();
    // A draft of the last period shows all of it, also past `to`.
    let usage_to = account.period_of(to).end;
    for path in paths {
        table.read(&books.data.join(&path), usage_from, usage_to, &|row, _| row == uin)?;
    }
    table.rows.sort_unstable_by_key(|row| row.day);
    let mut shown = Vec::new();
    while period.start < to && period.start <= books.clock.today().succ_opt().unwrap_or(NaiveDate::MAX) {
        let rows = PeriodRows::of(account, period, &table, &table.rows);
        let rated = rows.rate(uin, period, account, &cards)?;
        let terms = account.terms_on(period.start);
        let card = cards
            .in_force(&terms.card, period.end)
            .or(cards.of_name(&terms.card).last());
        let currency = rated.currency().or(card.map(|card| card.currency));
        let (charges, unpriced) = rated.draft();
        if let Some(currency) = currency.filter(|_| !charges.is_empty() || !unpriced.is_empty()) {
            let closing = Closing {
                uin,
                period,
                zone: account.terms_on(period.start).zone,
                currency,
                closed_at: books.clock.now(),
                high_water_batch: metered.batch_hi,
                charges: &charges,
                previous_digest: previous.as_deref(),
            };
            let statement = Statement::draft(&closing).map_err(|e| Error::Unbalanced(e.to_string()))?;
            previous = Some(statement.digest.clone());
            if from < period.end {
                let unpriced = unpriced.iter().map(ToString::to_string).collect();
                shown.push(Shown {
                    statement,
                    draft: true,
                    unpriced,
                });
            }
        }
        period = account.period_from(period.end);
    }
    Ok(shown)
}
