//! Explain: how a statement, a line or an adjustment came about, step by step, and the raw records behind it.
//!
//! ```text
//! read        the statement, what its closing rested on, the account's statements before it
//! rate        again, as the close did; another digest is an error, so that an explanation cannot drift from the bill
//! arithmetic  of each line: base units, quantity, tiers, price and its card, discount, rounding
//! records     the raw rows that count in it, and the digests that stand for those that have expired
//! control     metered = billed + adjusted later + settled outside + waiting, for the account and period
//! ```

mod adjustment;
mod arithmetic;
mod balance;
mod records;
mod store;

use chrono::NaiveDate;

use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::store::cards_up_to;
use crate::context::Books;
use crate::pipeline::close::adjustment::pending::settled;
use crate::pipeline::close::adjustment::settlement::Before;
use crate::pipeline::close::adjustment::settlement::store::settlements_of;
use crate::pipeline::close::period_charges::{AccountUsage, NOT_TOUCHED, Touched, adjusted_with, closed_period_of};
use crate::pipeline::close::statement::Statement;
use crate::pipeline::close::statement::document::Line;
use crate::pipeline::close::store::{ClosedAs, closed_periods_of, closings, statements_to_prove};
use crate::pipeline::close::{ClosingOf, state};
use crate::pipeline::meter::store::usage_paths;
use crate::pipeline::rate::Kind;
use crate::storage::usage::table::{UsageTable, Wanted};
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, all_days};
pub use adjustment::Billed;
pub use arithmetic::{Card, Usage};
pub use balance::ControlTotals;
pub use records::{Behind, Limits, RecordBehind, Stands};

/// A statement, and how each of its lines came about.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explanation {
    pub statement_id: String,
    pub uin: String,
    pub period_start: String,
    pub period_end: String,
    pub currency: String,
    pub closed_at: String,
    /// It rests on every batch up to this one.
    pub batch_hi: i64,
    pub usage_amount: String,
    pub adjustment_amount: String,
    pub rounding: String,
    pub total: String,
    pub previous_digest: String,
    pub digest: String,
    /// Of the account and period, as of now.
    pub control: ControlTotals,
    pub lines: Vec<Explained>,
}

/// How a line came about.
#[derive(Clone, Debug, serde::Serialize)]
pub struct Explained {
    pub line_no: u32,
    pub kind: &'static str,
    pub appid: Option<String>,
    pub region: String,
    pub sku: String,
    /// The period whose usage it bills: the statement's own, or one that was closed before.
    pub period_start: String,
    pub period_end: String,
    pub quantity: Option<String>,
    pub unit: String,
    pub unit_price: Option<String>,
    pub discount_percent: Option<String>,
    pub amount: String,
    pub note: String,
    /// The usage that it rests on; of an adjustment, what the line should be. None where nothing should be.
    pub usage: Option<Usage>,
    /// Of an adjustment: what was billed for the same before, line by line.
    pub billed: Vec<Billed>,
    /// What was billed and what should be, in sentences.
    pub steps: Vec<String>,
    /// The raw records that count in it; of an adjustment, those that count more or no more.
    pub behind: Option<Behind>,
    /// First day of the span of usage, and the day after it.
    #[serde(skip)]
    span: (NaiveDate, NaiveDate),
}

/// Everything that an explanation reads.
struct Known<'a> {
    usage: AccountUsage<'a>,
    statement: &'a Statement,
    /// What of the account was closed and settled before it.
    before: Before<'a>,
    closed_as: ClosedAs,
    /// What the account's closing before this one rested on.
    earlier: Option<ClosedAs>,
    cards: &'a [Card],
}

/// Explains a closed statement, or one line of it. `records_max` records are told of each line, and all are counted.
pub async fn explain(
    books: &Books,
    statement_id: &str,
    line_no: Option<u32>,
    records_max: usize,
) -> Result<Explanation> {
    let limits = Limits {
        told: records_max,
        rows: i64::MAX,
    };
    explain_within(books, statement_id, line_no, limits).await
}

/// The same; where more raw rows than a limit would be read for a line of usage, not all of its records are counted.
pub async fn explain_within(
    books: &Books,
    statement_id: &str,
    line_no: Option<u32>,
    limits: Limits,
) -> Result<Explanation> {
    let uin = store::account_of(&books.ledger, statement_id).await?;
    let statements = statements_to_prove(&books.ledger, uin).await?;
    let at = statements.iter().position(|s| s.statement_id == statement_id);
    let at = at.ok_or_else(|| Error::Usage(format!("there is no statement {statement_id}")))?;
    let statement = &statements[at];
    let periods = closed_periods_of(&books.ledger, uin).await?;
    let place = periods.iter().position(|closed| closed.period == statement.period);
    let place = place.ok_or_else(|| Error::Unbalanced(format!("statement {statement_id} is of no closed period")))?;
    let closings = closings(&books.ledger).await?;
    let closing = periods[place].closing;
    let of = |closing: i64| {
        let closed_as = closings.get(&closing).copied();
        closed_as.ok_or_else(|| Error::Unbalanced(format!("closing {closing} is not in the ledger")))
    };
    let closed_as = of(closing)?;
    let earlier = periods[..place].iter().rev().find(|closed| closed.closing != closing);
    let settled = settled(&books.ledger, uin).await?;
    let touched = adjusted_with(&periods, place, &settled);
    let settlements = settlements_of(&books.ledger, uin).await?;
    let accounts = load_accounts(&books.ledger).await?;
    let account = accounts
        .get(uin)
        .ok_or_else(|| Error::Unbalanced(format!("account {uin} has a statement and is not there")))?;
    let book = cards_up_to(&books.ledger, closed_as.card_hi).await?;
    let table = read_usage(books, uin, closed_as.metering).await?;
    let known = Known {
        usage: AccountUsage {
            uin,
            account,
            cards: &book,
            rows: table.of_account(uin),
            metering: closed_as.metering,
        },
        statement,
        before: Before {
            closed: &periods[..place],
            statements: &statements[..at],
            settlements: &settlements,
        }
        .known_to(closing),
        closed_as,
        earlier: earlier.map(|closed| of(closed.closing)).transpose()?,
        cards: &store::cards(&books.ledger, closed_as.card_hi).await?,
    };
    refuse_expired_lines(&known, touched)?;
    check_rated_again(&known, touched)?;
    let mut lines = explain_lines(&known, line_no)?;
    records::add(books, &known, &mut lines, limits).await?;
    let control = balance::control(books, &known, &statements[at + 1..], &settlements).await?;
    Ok(explanation(statement, closed_as, control, lines))
}

/// The account's usage as far as the closing knew it.
async fn read_usage(books: &Books, uin: u64, metering: i64) -> Result<UsageTable> {
    let (from, to) = all_days();
    let files = usage_paths(&books.ledger, from, to, metering).await?;
    let wanted = Wanted::new([(uin, (from, to))]);
    tokio::task::block_in_place(|| UsageTable::read(&books.data, &files, &wanted))
}

/// What an adjustment rests on must be there.
fn refuse_expired_lines(known: &Known, touched: Option<&Touched>) -> Result<()> {
    let before = touched.map_or(&[][..], |_| known.before.statements);
    let needed = before.iter().chain([known.statement]);
    for statement in needed {
        statement.text().map_err(|e| Error::Usage(e.to_string()))?;
    }
    Ok(())
}

/// The statement rated again must be the statement.
fn check_rated_again(known: &Known, touched: Option<&Touched>) -> Result<()> {
    let statement = known.statement;
    let again = touched.map(|touched| (touched, known.before));
    let again = again.unwrap_or((&NOT_TOUCHED, Before::NOTHING));
    known.usage.with_charges(statement.period, again, |charges| {
        let of = ClosingOf {
            uin: known.usage.uin,
            period: statement.period,
            zone: statement.zone,
            high_water_batch: statement.high_water_batch,
            head: statement.previous_digest.as_deref(),
        };
        let rated = state(&of, statement.closed_at, &charges)?;
        if let Some(stated) = rated
            && statement
                .is_the_same_as(&stated.statement)
                .map_err(|e| Error::Unbalanced(e.to_string()))?
        {
            return Ok(());
        }
        Err(Error::Unbalanced(format!(
            "statement {} cannot be explained: rating it again gives a different result; run `tallybook verify`",
            statement.statement_id
        )))
    })
}

fn explain_lines(known: &Known, line_no: Option<u32>) -> Result<Vec<Explained>> {
    let lines = known
        .statement
        .read_lines()
        .map_err(|e| Error::Unbalanced(e.to_string()))?;
    if let Some(line_no) = line_no.filter(|wanted| lines.iter().all(|line| line.line_no != *wanted)) {
        return Err(Error::Usage(format!(
            "statement {} has lines 1 to {}, not {line_no}",
            known.statement.statement_id,
            lines.len()
        )));
    }
    let wanted = lines
        .iter()
        .filter(|line| line_no.is_none_or(|wanted| wanted == line.line_no));
    wanted.map(|line| explain_line(known, line)).collect()
}

fn explain_line(known: &Known, line: &Line) -> Result<Explained> {
    let period = period_of(known, line);
    let mut explained = Explained::of(line, period, known.statement);
    explained.span = span_of(known, line, period);
    match line.kind {
        Kind::Rounding => explained.steps = arithmetic::rounding(known.statement),
        Kind::Adjustment => adjustment::explain(known, line, period, &mut explained)?,
        _ => arithmetic::explain(known, line, period, &mut explained)?,
    }
    Ok(explained)
}

/// The period whose usage a line bills.
fn period_of(known: &Known, line: &Line) -> Period {
    let day: NaiveDate = line.span_start_in(&known.statement.period);
    match line.kind {
        Kind::Adjustment => closed_period_of(known.usage.account, known.before.closed, day),
        _ => known.statement.period,
    }
}

/// The days of a line's span: until the next version of the card, or the period's end.
fn span_of(known: &Known, line: &Line, period: Period) -> (NaiveDate, NaiveDate) {
    let start = line.span_start_in(&known.statement.period);
    let versions = known.usage.cards.of_name(&line.card);
    let next = versions.iter().map(|card| card.from).find(|from| start < *from);
    (start, next.map_or(period.end, |next| next.min(period.end)))
}

impl Explained {
    fn of(line: &Line, period: Period, statement: &Statement) -> Self {
        use crate::values::money::{AMOUNT_DECIMALS, QUANTITY_DECIMALS, plain};
        Self {
            line_no: line.line_no,
            kind: line.kind.word(),
            appid: line.appid.map(|appid| appid.to_string()),
            region: line.region.to_string(),
            sku: line.sku.to_string(),
            period_start: period.bounds(statement.zone).0.to_rfc3339(),
            period_end: period.bounds(statement.zone).1.to_rfc3339(),
            quantity: line.priced.map(|priced| plain(priced.quantity, QUANTITY_DECIMALS)),
            unit: line.unit.to_string(),
            unit_price: line.priced.map(|priced| plain(priced.unit_price, 0)),
            discount_percent: line.priced.map(|priced| plain(priced.discount_percent, 0)),
            amount: plain(line.amount, AMOUNT_DECIMALS),
            note: line.note.to_string(),
            usage: None,
            billed: Vec::new(),
            steps: Vec::new(),
            behind: None,
            span: (period.start, period.end),
        }
    }
}

fn explanation(
    statement: &Statement,
    closed_as: ClosedAs,
    control: ControlTotals,
    lines: Vec<Explained>,
) -> Explanation {
    use crate::values::money::{AMOUNT_DECIMALS, plain};
    Explanation {
        statement_id: statement.statement_id.clone(),
        uin: statement.uin.to_string(),
        period_start: statement.period_start_text(),
        period_end: statement.period_end_text(),
        currency: statement.currency.to_string(),
        closed_at: statement.closed_at_text(),
        batch_hi: closed_as.batch_hi,
        usage_amount: plain(statement.usage_amount, AMOUNT_DECIMALS),
        adjustment_amount: plain(statement.adjustment_amount, AMOUNT_DECIMALS),
        rounding: plain(statement.rounding, AMOUNT_DECIMALS),
        total: statement.total_text(),
        previous_digest: statement.previous_digest.clone().unwrap_or_default(),
        digest: statement.digest.clone(),
        control,
        lines,
    }
}
