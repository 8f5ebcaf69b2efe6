//! Adjustments that no statement can carry: the account is billed in another currency by now, and a statement has one. A person settles
//! them outside and says so; then the account closes.
//!
//! ```text
//! list        those that wait, with their money; and those that were settled
//! settle      one of them, for good: a ledger entry with its lines, its money, and who and why
//! ```
//!
//! What was settled is never billed. What its period should be from then on starts from it, as from what was billed: when its usage changes
//! again, only the difference waits.

use chrono::NaiveDate;
use rust_decimal::Decimal;

use crate::catalog::account::Accounts;
use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::store::load_cards_and_number;
use crate::context::Books;
use crate::pipeline::close::adjustment::closed_periods::{Past, read_past};
use crate::pipeline::close::adjustment::settlement::store::{add_settlement, last_closing, settlements};
use crate::pipeline::close::adjustment::settlement::{Settlement, settled_lines};
use crate::pipeline::close::due;
use crate::pipeline::close::due::Due;
use crate::pipeline::close::period_charges::{AccountUsage, Adjusted};
use crate::pipeline::close::reach_back;
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::storage::ledger::{Decision, Lease, add_audit, next_number};
use crate::support::error::{Error, Result};
use crate::values::calendar::Period;
use crate::values::money::{AMOUNT_DECIMALS, Currency, plain};

/// An adjustment as people see it.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Listed {
    pub uin: String,
    /// The closed period that it adjusts: its first day, and the day after its last.
    pub period_start: String,
    pub period_end: String,
    pub currency: String,
    /// Plain decimal, not rounded to the currency's minor unit; negative is given back.
    pub amount: String,
    /// Metered records, more or less than was billed.
    pub records: i64,
    /// `blocked`: it waits for a person; `settled`: outside, for good.
    pub state: &'static str,
    /// The period that cannot close with it, and its currency; none of a settled one.
    pub blocks: Option<String>,
    /// The number of its settlement.
    pub settlement: Option<i64>,
    pub settled_at: Option<String>,
    pub audit_entry: Option<i64>,
}

/// An adjustment that blocks its account.
struct Blocking {
    uin: u64,
    period: Period,
    currency: Currency,
    document: String,
    amount: Decimal,
    records: i64,
    blocks: String,
}

/// What the adjustments of an account rest on.
struct RestsOn {
    metering: i64,
    card_hi: i64,
}

/// Adjustments that another currency blocks, by account and period; with `all` also those that were settled, oldest first.
pub async fn list(books: &Books, all: bool) -> Result<Vec<Listed>> {
    let (blocking, _) = blocking(books).await?;
    let mut listed: Vec<Listed> = blocking.iter().map(Blocking::listed).collect();
    if all {
        listed.extend(settlements(&books.ledger).await?.iter().map(listed_settlement));
    }
    Ok(listed)
}

/// Notes for good that an adjustment was settled outside. The caller holds the lease.
pub async fn settle(books: &Books, lease: &Lease, uin: u64, start: NaiveDate, reason: &str) -> Result<Listed> {
    let (blocking, rests_on) = blocking(books).await?;
    let Some(found) = blocking.iter().find(|it| it.uin == uin && it.period.start == start) else {
        return Err(nothing_to_settle(books, &blocking, uin, start).await?);
    };
    let mut tx = books.ledger.begin().await?;
    lease.check(&mut tx).await?;
    let decision = Decision {
        who: &books.settings.who,
        action: "adjustment settle",
        subject: format!("account {uin}, {} to {}", found.period.start, found.period.end),
        detail: serde_json::json!({ "adjustment": found.listed() }),
        reason,
        at: books.clock.text(),
    };
    let settlement = Settlement {
        number: next_number(&mut tx, "settlement").await?,
        uin,
        period: found.period,
        currency: found.currency,
        amount: found.amount,
        records: found.records,
        document: found.document.clone(),
        closing: last_closing(&mut tx).await?,
        metering: rests_on.metering,
        card_hi: rests_on.card_hi,
        settled_at: books.clock.text(),
        audit: add_audit(&mut tx, &decision).await?,
    };
    add_settlement(&mut tx, &settlement).await?;
    books.ledger.commit(tx, "settle").await?;
    Ok(listed_settlement(&settlement))
}

/// Why there is nothing to settle, with what there is.
async fn nothing_to_settle(books: &Books, blocking: &[Blocking], uin: u64, start: NaiveDate) -> Result<Error> {
    let settled = settlements(&books.ledger).await?;
    if let Some(done) = settled.iter().rfind(|it| it.uin == uin && it.period.start == start) {
        return Ok(Error::Usage(format!(
            "the adjustment of account {uin}, {}, is already settled: {} {} on {} (settlement {}, audit entry {})",
            done.period,
            plain(done.amount, AMOUNT_DECIMALS),
            done.currency,
            done.settled_at,
            done.number,
            done.audit
        )));
    }
    let of_account: Vec<String> = blocking
        .iter()
        .filter(|it| it.uin == uin)
        .map(|it| it.period.start.to_string())
        .collect();
    let what = if of_account.is_empty() {
        "it has none that is blocked by a change of currency; other adjustments appear on its next statement".to_owned()
    } else {
        format!(
            "its blocked adjustments are for periods that begin on {}",
            of_account.join(", ")
        )
    };
    Ok(Error::Usage(format!(
        "account {uin} has no adjustment to settle for the period that begins on {start}: {what}; `tallybook adjustment list` \
         shows all of them"
    )))
}

/// Every adjustment that keeps its account from closing because of its currency.
async fn blocking(books: &Books) -> Result<(Vec<Blocking>, RestsOn)> {
    let (cards, card_hi) = load_cards_and_number(&books.ledger).await?;
    let accounts = load_accounts(&books.ledger).await?;
    let metering = progress(&books.ledger).await?.metering;
    let rests_on = RestsOn { metering, card_hi };
    let mut open: Vec<Due> = accounts
        .iter()
        .filter_map(|(uin, account)| first_open(uin, account))
        .collect();
    let past = read_past(&books.ledger, &open).await?;
    open.retain(|open| past.contains_key(&open.uin));
    reach_back(&mut open, &accounts, &past);
    let Some((from, to)) = due::days_needed(&open) else {
        return Ok((Vec::new(), rests_on));
    };
    let files = usage_paths(&books.ledger, from, to, metering).await?;
    let mut found = Vec::new();
    tokio::task::block_in_place(|| {
        due::by_piece(&books.data, &files, &open, |table, open| {
            for open in open {
                let usage = AccountUsage {
                    uin: open.uin,
                    account: account_of(&accounts, open.uin)?,
                    cards: &cards,
                    rows: table.of_account(open.uin),
                    metering,
                };
                let past = Past::again(past.get(&open.uin));
                let period = open.periods[0];
                let blocking = usage.with_charges(period, past, |charges| {
                    let billed_in = charges.billed_in();
                    let adjusted = charges.in_other_currency.iter();
                    adjusted
                        .map(|it| Blocking::of(open.uin, it, period, billed_in))
                        .collect()
                });
                match blocking {
                    // Something of it does not fit, which its close tells.
                    Err(Error::TooLarge(_)) => {}
                    blocking => found.append(&mut blocking?),
                }
            }
            Ok(())
        })
    })?;
    Ok((found, rests_on))
}

fn account_of(accounts: &Accounts, uin: u64) -> Result<&crate::catalog::account::Account> {
    let found = accounts.get(uin);
    found.ok_or_else(|| Error::Unbalanced(format!("account {uin} has open periods and is not there")))
}

/// The period that carries an account's adjustments.
fn first_open(uin: u64, account: &crate::catalog::account::Account) -> Option<Due> {
    let first = account.open_period()?;
    account.closed_to?;
    Some(Due {
        uin,
        periods: vec![first],
        from: account.counters_from(&first),
    })
}

impl Blocking {
    fn of(uin: u64, adjusted: &Adjusted, open: Period, billed_in: Option<Currency>) -> Result<Self> {
        let currency = adjusted.currency.ok_or_else(|| {
            Error::Unbalanced(format!(
                "account {uin}: an adjustment of {} has no currency",
                adjusted.period
            ))
        })?;
        let (document, amount, records) = settled_lines(&adjusted.lines)?;
        let billed_in = billed_in.map_or_else(|| "another currency".to_owned(), |currency| currency.to_string());
        Ok(Self {
            uin,
            period: adjusted.period,
            currency,
            document,
            amount,
            records,
            blocks: format!("{} to {} in {billed_in}", open.start, open.end),
        })
    }

    fn listed(&self) -> Listed {
        Listed {
            uin: self.uin.to_string(),
            period_start: self.period.start.to_string(),
            period_end: self.period.end.to_string(),
            currency: self.currency.to_string(),
            amount: plain(self.amount, AMOUNT_DECIMALS),
            records: self.records,
            state: "blocked",
            blocks: Some(self.blocks.clone()),
            settlement: None,
            settled_at: None,
            audit_entry: None,
        }
    }
}

fn listed_settlement(settlement: &Settlement) -> Listed {
    Listed {
        uin: settlement.uin.to_string(),
        period_start: settlement.period.start.to_string(),
        period_end: settlement.period.end.to_string(),
        currency: settlement.currency.to_string(),
        amount: plain(settlement.amount, AMOUNT_DECIMALS),
        records: settlement.records,
        state: "settled",
        blocks: None,
        settlement: Some(settlement.number),
        settled_at: Some(settlement.settled_at.clone()),
        audit_entry: Some(settlement.audit),
    }
}
