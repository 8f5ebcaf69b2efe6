//! Statements rated again: from the usage, the cards and the statements of their day.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;

use super::files::DamagedFiles;
use super::{Scope, Verified};
use crate::catalog::account::Account;
use crate::catalog::account::erased::store::pseudonyms;
use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::catalog::RateCatalog;
use crate::catalog::rate_card::store::cards_up_to;
use crate::context::Books;
use crate::pipeline::close::adjustment::pending::settled;
use crate::pipeline::close::adjustment::settlement::store::settlements_of;
use crate::pipeline::close::adjustment::settlement::{Before, Settlement, settled_lines};
use crate::pipeline::close::draft::month_totals::sums_that_differ;
use crate::pipeline::close::period_charges::{AccountUsage, ClosedPeriod, NOT_TOUCHED, Touched, adjusted_with};
use crate::pipeline::close::statement::check::verify_chain;
use crate::pipeline::close::statement::{Statement, document};
use crate::pipeline::close::store::{
    ClosedAs, billed_records, closed_periods_of, closings, second_digests, stated_periods_that_differ,
    statement_counts, statements_of, statements_to_prove,
};
use crate::pipeline::close::{ClosingOf, state};
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::pipeline::retention::row_retention::{LINES, expired_months};
use crate::storage::usage::table::{UsageTable, Wanted};
use crate::support::error::{Error, Result};
use crate::support::table::counted;
use crate::values::calendar::{all_days, month_text};

pub async fn verify(books: &Books, scope: Scope, damaged: &DamagedFiles, verified: &mut Verified) -> Result<()> {
    verified.sentences(statement_counts(&books.ledger).await);
    verified.sentences(stated_periods_that_differ(&books.ledger).await);
    verified.sentences(sums_that_differ(&books.ledger).await);
    let expired = expired_months(&books.ledger, LINES).await?;
    let accounts = load_accounts(&books.ledger).await?;
    let mut closed = ClosedBooks::read(books, scope).await?;
    let (from, to) = all_days();
    let wanted = Wanted::new(accounts.iter().map(|(uin, _)| (uin, (from, to))));
    let progress = books.progress.records("statements", accounts.iter().count() as u64);
    let mut unread = accounts.iter().peekable();
    let mut done = 0;
    if let Some(files) = usage_files(books, damaged).await? {
        let mut usage = UsageTable::by_account(&books.data, &files, &wanted)?;
        loop {
            let (table, whole_to) = match tokio::task::block_in_place(|| usage.next_piece()) {
                Ok(Some(piece)) => piece,
                Ok(None) => break,
                Err(error) => {
                    verified.differs(format!("not all statements could be rated again: {error}"));
                    break;
                }
            };
            let is_whole = |(uin, _): &(u64, &Account)| whole_to.is_none_or(|whole_to| *uin < whole_to);
            while let Some(of) = unread.next_if(is_whole) {
                verify_account(books, &mut closed, of, Some(table), &expired, verified).await;
                done += 1;
                progress.at(done);
            }
        }
    } else {
        verified
            .not_proved
            .push("statements could not be rated again: a usage file is damaged".to_owned());
    }
    for of in unread {
        verify_account(books, &mut closed, of, None, &expired, verified).await;
    }
    Ok(())
}

/// An account's statements: each by itself, their chain, and rated again from the usage, where it can be read.
async fn verify_account(
    books: &Books,
    closed: &mut ClosedBooks,
    (uin, account): (u64, &Account),
    usage: Option<&UsageTable>,
    expired: &BTreeSet<String>,
    verified: &mut Verified,
) {
    let statements = match both_chains(books, closed, uin).await {
        Ok((statements, differences)) => {
            for sentence in differences {
                verified.differs(sentence);
            }
            statements
        }
        Err(error) => {
            verified.differs(error.to_string());
            return;
        }
    };
    verified.statements += statements.len();
    for statement in statements.iter().filter(|s| s.document.is_none()) {
        if !expired.contains(&month_text(statement.period.start)) {
            verified.differs(format!("the lines of statement {} are missing", statement.statement_id));
        }
    }
    let own = statements.iter().flat_map(Statement::verify);
    for difference in own.chain(verify_chain(&statements)) {
        verified.differs(difference.to_string());
    }
    if let Some(table) = usage {
        let part = closed
            .verify_account(books, uin, account, &statements, table, verified)
            .await;
        verified.part(part);
    }
}

/// An account's statements as they can be proved. Of an erased account the first digests are a chain still, which is all that can be said of
/// them.
async fn both_chains(books: &Books, closed: &ClosedBooks, uin: u64) -> Result<(Vec<Statement>, Vec<String>)> {
    if !closed.erased.contains(&uin) {
        return Ok((statements_of(&books.ledger, uin).await?, Vec::new()));
    }
    let first = statements_of(&books.ledger, uin).await?;
    let mut differences: Vec<String> = verify_chain(&first).iter().map(ToString::to_string).collect();
    let second = second_digests(&books.ledger, uin).await?;
    let without = first
        .iter()
        .filter(|statement| !second.contains_key(&statement.period.start));
    differences.extend(without.map(|statement| format!("statement {} has no second digest", statement.statement_id)));
    Ok((statements_to_prove(&books.ledger, uin).await?, differences))
}

/// All usage files; none when one is damaged.
async fn usage_files(books: &Books, damaged: &DamagedFiles) -> Result<Option<Vec<(String, i64)>>> {
    let (from, to) = all_days();
    let metering = progress(&books.ledger).await?.metering;
    let files = usage_paths(&books.ledger, from, to, metering).await?;
    let is_damaged = |(path, _): &(String, i64)| damaged.contains(path);
    Ok((!files.iter().any(is_damaged)).then_some(files))
}

/// What closings rested on, and the cards as they were then.
struct ClosedBooks {
    closings: HashMap<i64, ClosedAs>,
    cards: HashMap<i64, RateCatalog>,
    /// Accounts under a pseudonym.
    erased: HashSet<u64>,
    /// Periods outside of it are not rated again.
    scope: Scope,
}

impl ClosedBooks {
    async fn read(books: &Books, scope: Scope) -> Result<Self> {
        let closings = closings(&books.ledger).await?;
        let mut cards = HashMap::new();
        for closed_as in closings.values() {
            if let Entry::Vacant(place) = cards.entry(closed_as.card_hi) {
                place.insert(cards_up_to(&books.ledger, closed_as.card_hi).await?);
            }
        }
        Ok(Self {
            closings,
            cards,
            erased: pseudonyms(&books.ledger).await?,
            scope,
        })
    }

    async fn verify_account(
        &mut self,
        books: &Books,
        uin: u64,
        account: &Account,
        statements: &[Statement],
        table: &UsageTable,
        verified: &mut Verified,
    ) -> Result<()> {
        let periods = closed_periods_of(&books.ledger, uin).await?;
        for (one, next) in periods.iter().zip(periods.iter().skip(1)) {
            if one.period.end != next.period.start {
                verified.differs(format!(
                    "account {uin}: after its closed period {} comes {}",
                    one.period, next.period
                ));
            }
        }
        let settled = settled(&books.ledger, uin).await?;
        let settlements = settlements_of(&books.ledger, uin).await?;
        for (at, closed) in periods.iter().enumerate() {
            if !self.scope.has_days_before(closed.period.end) {
                continue;
            }
            let closed_as = self.closings.get(&closed.closing).copied().ok_or_else(|| {
                Error::Unbalanced(format!(
                    "closing {} of account {uin} is not in the ledger",
                    closed.closing
                ))
            })?;
            let usage = AccountUsage {
                uin,
                account,
                cards: &self.cards[&closed_as.card_hi],
                rows: table.of_account(uin),
                metering: closed_as.metering,
            };
            let before = statements.partition_point(|s| s.period.start < closed.period.start);
            let stored = statements.get(before).filter(|s| s.period == closed.period);
            if self.erased.contains(&uin)
                && let Some(gone) = stored.filter(|stored| stored.document.is_none())
            {
                verified.not_proved.push(format!(
                    "statement {}: its lines had gone before its account was erased; only its totals were checked",
                    gone.statement_id
                ));
                continue;
            }
            let again = adjusted_with(&periods, at, &settled);
            if again.is_some() && statements[..before].iter().any(|s| s.document.is_none()) {
                verified.not_proved.push(format!(
                    "account {uin}, closed period {}: the statement lines that it adjusts are past their retention; only its \
                     digest was checked",
                    closed.period
                ));
                continue;
            }
            let past = Before {
                closed: &periods[..at],
                statements: &statements[..before],
                settlements: &settlements,
            };
            let again = again.map(|touched| (touched, past.known_to(closed.closing)));
            let again = again.unwrap_or((&NOT_TOUCHED, Before::NOTHING));
            verify_period(&usage, closed, closed_as, again, stored, verified)?;
        }
        for (at, settlement) in settlements.iter().enumerate() {
            self.verify_settlement(
                books,
                account,
                &periods,
                statements,
                &settlements[..at],
                settlement,
                table,
                verified,
            )
            .await?;
        }
        if let Some(last) = periods.last() {
            let settled = settlements.iter().filter(|settled| settled.closing < last.closing);
            let settled = settled.map(|settled| settled.records).sum();
            let metering = self
                .closings
                .get(&last.closing)
                .map_or(0, |closed_as| closed_as.metering);
            self.verify_records(books, uin, table, last.period.end, metering, settled, verified)
                .await?;
        }
        Ok(())
    }
}

impl ClosedBooks {
    /// A settlement made again from the usage, the cards and the statements of its day must be the same.
    #[expect(clippy::too_many_arguments, reason = "the account as it was, and where to tell")]
    async fn verify_settlement(
        &mut self,
        books: &Books,
        account: &Account,
        periods: &[ClosedPeriod],
        statements: &[Statement],
        before: &[Settlement],
        settlement: &Settlement,
        table: &UsageTable,
        verified: &mut Verified,
    ) -> Result<()> {
        let (number, uin) = (settlement.number, settlement.uin);
        let closed = periods.partition_point(|closed| closed.closing <= settlement.closing);
        let stated_to = periods[..closed].last().map(|last| last.period.end);
        let stated = statements.partition_point(|s| stated_to.is_some_and(|to| s.period.end <= to));
        if statements[..stated].iter().any(|s| s.document.is_none()) {
            verified.not_proved.push(format!(
                "settlement {number} of account {uin}: the statement lines that it adjusts are past their retention; only its \
                 checksum was checked"
            ));
            return Ok(());
        }
        if let Entry::Vacant(place) = self.cards.entry(settlement.card_hi) {
            place.insert(cards_up_to(&books.ledger, settlement.card_hi).await?);
        }
        let usage = AccountUsage {
            uin,
            account,
            cards: &self.cards[&settlement.card_hi],
            rows: table.of_account(uin),
            metering: settlement.metering,
        };
        let past = Before {
            closed: &periods[..closed],
            statements: &statements[..stated],
            settlements: before,
        };
        let again = usage.with_adjustment_of(settlement.period, past, |adjusted| settled_lines(&adjusted.lines))?;
        let lines = document::lines(&again.0).map_err(|e| Error::Unbalanced(e.to_string()))?;
        if (lines, again.1, again.2) != (settlement.read_lines()?, settlement.amount, settlement.records) {
            verified.differs(format!(
                "settlement {number} of account {uin}, period {}: recomputed from its usage it comes to {} {} instead of {} {}",
                settlement.period, again.1, settlement.currency, settlement.amount, settlement.currency
            ));
        }
        Ok(())
    }

    /// Metered usage = usage billed + usage adjusted + usage `settled` outside, in records, over all closed periods of an account.
    #[expect(clippy::too_many_arguments, reason = "both sides, and where to tell")]
    async fn verify_records(
        &self,
        books: &Books,
        uin: u64,
        table: &UsageTable,
        closed_to: NaiveDate,
        metering: i64,
        settled: i64,
        verified: &mut Verified,
    ) -> Result<()> {
        let rows = table.of_account(uin);
        let known = rows.between(all_days().0, closed_to, metering);
        let metered: i64 = known.map(|(row, ..)| row.records).sum();
        let billed = billed_records(&books.ledger, uin).await?;
        if metered != billed + settled {
            let settled = if settled == 0 {
                String::new()
            } else {
                format!(", and {settled} were settled outside")
            };
            verified.differs(format!(
                "account {uin}: closed periods have {metered} metered records, but its statements bill {billed}{settled}"
            ));
        }
        Ok(())
    }
}

fn verify_period(
    usage: &AccountUsage,
    closed: &ClosedPeriod,
    closed_as: ClosedAs,
    again: (&Touched, Before),
    stored: Option<&Statement>,
    verified: &mut Verified,
) -> Result<()> {
    let uin = usage.uin;
    let period = closed.period;
    usage.with_charges(period, again, |charges| {
        if let Some(first) = charges.unpriced.first() {
            verified.differs(format!(
                "account {uin}, closed period {period}, has usage without a price: {first}"
            ));
            return Ok(());
        }
        let Some(stored) = stored else {
            if !charges.charges.is_empty() {
                verified.differs(format!(
                    "account {uin}, closed period {period}, has no statement, but rating it again gives {}",
                    counted(charges.charges.len(), "line")
                ));
            }
            return Ok(());
        };
        let of = ClosingOf {
            uin,
            period,
            zone: stored.zone,
            high_water_batch: closed_as.batch_hi,
            head: stored.previous_digest.as_deref(),
        };
        let rated = state(&of, stored.closed_at, &charges)?;
        let is_the_same = match &rated {
            Some(again) => stored.is_the_same_as(&again.statement),
            None => Ok(false),
        };
        if !is_the_same.map_err(|e| Error::Unbalanced(e.to_string()))? {
            verified.differs(format!(
                "statement {}: rated again from its usage, it {}",
                stored.statement_id,
                rated.as_ref().map_or_else(
                    || "has no line".to_owned(),
                    |stated| first_difference(stored, &stated.statement)
                )
            ));
        }
        Ok(())
    })
}

/// Where a statement and the one rated again part.
fn first_difference(stored: &Statement, again: &Statement) -> String {
    let (Ok(was), Ok(is)) = (stored.read_lines(), again.read_lines()) else {
        return format!("has another digest ({})", again.digest);
    };
    let amount = |at: usize, lines: &[document::Line]| {
        lines.get(at).map_or_else(
            || "no line".to_owned(),
            |line| {
                let quantity = line.priced.map_or_else(String::new, |p| {
                    let packages = p
                        .packages
                        .map_or_else(String::new, |packages| format!("in {packages} packages "));
                    format!("{} of {} {packages}", p.quantity, line.sku)
                });
                format!("{quantity}for {}", line.amount)
            },
        )
    };
    let at = (0..was.len().max(is.len())).find(|&at| was.get(at) != is.get(at));
    at.map_or_else(
        || format!("has another digest ({})", again.digest),
        |at| {
            format!(
                "has {1} in line {0}, but {2} was billed",
                at + 1,
                amount(at, &is),
                amount(at, &was)
            )
        },
    )
}
