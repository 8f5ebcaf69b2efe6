//! The ledger of closing. Rows are only ever added.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::NaiveDate;
use rust_decimal::Decimal;

use super::period_charges::ClosedPeriod;
use super::statement::{Foot, Statement};
use super::{Blocked, Stated};
use crate::catalog::account::store::parse_uin;
use crate::storage::ledger::{
    Ledger, Row, Tx, Value, clear_table, delete_rows, insert_row, insert_rows, next_numbers, query, reseal,
};
use crate::storage::raw::store::parse_day;
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, month_text};
use crate::values::money::Currency;

/// The digest of each account's last statement.
#[tracing::instrument(skip_all)]
pub async fn heads(ledger: &Ledger) -> Result<HashMap<u64, String>> {
    Ok(chain_heads(ledger)
        .await?
        .into_iter()
        .map(|(uin, _, digest)| (uin, digest))
        .collect())
}

/// Account, id and digest of each account's last statement, by account number.
pub async fn chain_heads(ledger: &Ledger) -> Result<Vec<(u64, String, String)>> {
    let rows = query(
        "SELECT s.uin, s.statement_id, s.digest FROM (SELECT uin, MAX(period_start) AS period_start FROM statement GROUP BY uin) l \
         JOIN statement s ON s.uin = l.uin AND s.period_start = l.period_start ORDER BY LENGTH(s.uin), s.uin",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| Ok((parse_uin(&row.try_get::<String>(0)?)?, row.try_get(1)?, row.try_get(2)?)))
        .collect()
}

/// A close run about to be committed.
#[derive(Debug)]
pub struct NewClosing<'a> {
    pub closing: i64,
    pub batch_hi: i64,
    pub metering: i64,
    pub card_hi: i64,
    pub closed_at: &'a str,
}

/// Adds the row of a closing, whose statements and periods are still to be counted.
pub async fn add_closing(tx: &mut Tx, new: &NewClosing<'_>) -> Result<()> {
    let row: [Value; 7] = [
        new.closing.into(),
        new.batch_hi.into(),
        new.metering.into(),
        new.card_hi.into(),
        0.into(),
        0.into(),
        new.closed_at.into(),
    ];
    let into = "closing (closing, batch_hi, metering, card_hi, statements, periods, closed_at)";
    insert_row(tx, into, row).await
}

/// Says how many statements and periods a closing has.
pub async fn count_closing(tx: &mut Tx, closing: i64, statements: usize, periods: usize) -> Result<()> {
    query("UPDATE closing SET statements = ?, periods = ? WHERE closing = ?")
        .bind(count(statements))
        .bind(count(periods))
        .bind(closing)
        .execute(tx)
        .await?;
    reseal(tx, "closing", "closing = ?", &[closing.into()]).await
}

fn count(n: usize) -> i64 {
    i64::try_from(n).unwrap_or(i64::MAX)
}

/// What a statement rests on.
#[derive(Clone, Copy, Debug)]
pub struct ClosedAs {
    pub batch_hi: i64,
    pub metering: i64,
    pub card_hi: i64,
}

/// Closings whose statements or periods are not as many as they were.
pub async fn statement_counts(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT c.closing, c.statements, c.periods, COALESCE(s.found, 0), COALESCE(s.found, 0) + COALESCE(e.found, 0), \
         COALESCE(p.found, 0) FROM closing c \
         LEFT JOIN (SELECT closing, COUNT(*) AS found FROM statement GROUP BY closing) s ON s.closing = c.closing \
         LEFT JOIN (SELECT closing, COUNT(*) AS found FROM empty_period GROUP BY closing) e ON e.closing = c.closing \
         LEFT JOIN (SELECT closing, SUM(statements) AS found FROM stated_period GROUP BY closing) p ON p.closing = c.closing \
         ORDER BY c.closing",
    )
    .fetch_all(ledger)
    .await?;
    let mut differences = Vec::new();
    for row in rows {
        let of = |at: usize| row.try_get::<i64>(at);
        let (closing, statements, periods, found, found_periods, by_period) =
            (of(0)?, of(1)?, of(2)?, of(3)?, of(4)?, of(5)?);
        if (statements, periods) != (found, found_periods) {
            differences.push(format!(
                "closing {closing} made {statements} statements of {periods} periods; the ledger has {found} of {found_periods}"
            ));
        }
        if by_period != statements {
            differences.push(format!(
                "closing {closing} made {statements} statements, and its periods add up to {by_period}"
            ));
        }
    }
    Ok(differences)
}

/// Periods of closings that have other statements than an export of them would take.
pub async fn stated_periods_that_differ(ledger: &Ledger) -> Result<Vec<String>> {
    let rows = query(
        "SELECT p.closing, p.period_start, p.period_end, p.statements, COALESCE(s.found, 0) FROM stated_period p LEFT JOIN \
         (SELECT closing, period_start, period_end, COUNT(*) AS found FROM statement GROUP BY closing, period_start, period_end) s \
         ON s.closing = p.closing AND s.period_start = p.period_start AND s.period_end = p.period_end \
         WHERE p.statements <> COALESCE(s.found, 0) ORDER BY p.closing, p.period_start, p.period_end",
    )
    .fetch_all(ledger)
    .await?;
    rows.iter()
        .map(|row| {
            let (closing, statements, found): (i64, i64, i64) = (row.try_get(0)?, row.try_get(3)?, row.try_get(4)?);
            let (start, end): (String, String) = (row.try_get(1)?, row.try_get(2)?);
            Ok(format!(
                "closing {closing} made {statements} statements of {start} to {end}; the ledger has {found}"
            ))
        })
        .collect()
}

/// What each closing rested on.
pub async fn closings(ledger: &Ledger) -> Result<HashMap<i64, ClosedAs>> {
    let rows = query("SELECT closing, batch_hi, metering, card_hi FROM closing")
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            let closed_as = ClosedAs {
                batch_hi: row.try_get(1)?,
                metering: row.try_get(2)?,
                card_hi: row.try_get(3)?,
            };
            Ok((row.try_get(0)?, closed_as))
        })
        .collect()
}

/// Records that an account's statements bill and adjust.
pub async fn billed_records(ledger: &Ledger, uin: u64) -> Result<i64> {
    let row = query("SELECT COALESCE(SUM(records + adjusted_records), 0) FROM statement WHERE uin = ?")
        .bind(uin.to_string())
        .fetch_one(ledger)
        .await?;
    row.try_get(0)
}

/// An account's closed periods, in order.
pub async fn closed_periods_of(ledger: &Ledger, uin: u64) -> Result<Vec<ClosedPeriod>> {
    let sql = format!("SELECT {CLOSED_COLUMNS} FROM closed_period WHERE uin = ? ORDER BY period_start");
    let rows = query(sql).bind(uin.to_string()).fetch_all(ledger).await?;
    rows.iter().map(|row| Ok(closed_period_of(row)?.1)).collect()
}

/// Closed periods that end after a day, of each of these accounts, in order.
pub async fn closed_periods_from(
    ledger: &Ledger,
    uins: &[u64],
    from: NaiveDate,
) -> Result<HashMap<u64, Vec<ClosedPeriod>>> {
    let marks = marks(uins.len());
    let rows = query(format!(
        "SELECT {CLOSED_COLUMNS} FROM closed_period WHERE uin IN ({marks}) AND period_end > ? ORDER BY uin, period_start"
    ))
    .bind_all(uins.iter().map(|uin| uin.to_string().into()))
    .bind(from.to_string())
    .fetch_all(ledger)
    .await?;
    let mut by_account: HashMap<u64, Vec<ClosedPeriod>> = HashMap::new();
    for row in rows {
        let (uin, closed) = closed_period_of(&row)?;
        by_account.entry(uin).or_default().push(closed);
    }
    Ok(by_account)
}

/// The columns that make a [`ClosedPeriod`] and its account.
const CLOSED_COLUMNS: &str = "uin, period_start, period_end, closing";

fn closed_period_of(row: &Row) -> Result<(u64, ClosedPeriod)> {
    let closed = ClosedPeriod {
        period: Period {
            start: parse_day(&row.try_get::<String>(1)?)?,
            end: parse_day(&row.try_get::<String>(2)?)?,
        },
        closing: row.try_get(3)?,
    };
    Ok((parse_uin(&row.try_get::<String>(0)?)?, closed))
}

/// Adds statements and their lines.
#[tracing::instrument(skip_all)]
pub async fn add_statements(tx: &mut Tx, closing: i64, mut statements: Vec<Stated>) -> Result<()> {
    let first = next_numbers(tx, "document", count(statements.len())).await?;
    // Rows are made one by one as they are taken, so that some are made while others are written.
    let documents = (first..)
        .zip(&mut statements)
        .map(|(document, stated)| -> [Value; 2] { [document.into(), stated.statement.document.take().into()] });
    insert_rows(tx, "document (document, body)", documents).await?;
    let rows = (first..).zip(statements).map(|(document, stated)| -> [Value; 20] {
        let s = stated.statement;
        let closed_at = s.closed_at_text();
        [
            month_text(s.period.start).into(),
            s.uin.to_string().into(),
            s.period.start.to_string().into(),
            s.period.end.to_string().into(),
            s.statement_id.into(),
            s.zone.name().into(),
            s.currency.to_string().into(),
            i64::from(s.lines).into(),
            s.usage_amount.into(),
            s.adjustment_amount.into(),
            s.rounding.into(),
            s.total.into(),
            stated.records.into(),
            stated.adjusted_records.into(),
            closing.into(),
            closed_at.into(),
            s.high_water_batch.into(),
            s.previous_digest.unwrap_or_default().into(),
            s.digest.into(),
            document.into(),
        ]
    });
    insert_rows(
        tx,
        "statement (month, uin, period_start, period_end, statement_id, zone, currency, line_count, usage_amount, adjustment_amount, \
         rounding, total, records, adjusted_records, closing, closed_at, batch_hi, previous_digest, digest, document)",
        rows,
    )
    .await?;
    Ok(())
}

/// Adds periods that closed without a line.
pub async fn add_empty_periods(tx: &mut Tx, closing: i64, periods: &[(u64, Period)]) -> Result<()> {
    let rows = periods.iter().map(|(uin, period)| -> [Value; 4] {
        [
            uin.to_string().into(),
            period.start.to_string().into(),
            period.end.to_string().into(),
            closing.into(),
        ]
    });
    insert_rows(tx, "empty_period (uin, period_start, period_end, closing)", rows).await?;
    Ok(())
}

/// Says how many statements of each period a closing has; an export takes them together.
pub async fn add_stated_periods(tx: &mut Tx, closing: i64, periods: &BTreeMap<Period, i64>) -> Result<()> {
    let rows = periods.iter().map(|(period, statements)| -> [Value; 4] {
        [
            closing.into(),
            period.start.to_string().into(),
            period.end.to_string().into(),
            statements.into(),
        ]
    });
    insert_rows(
        tx,
        "stated_period (closing, period_start, period_end, statements)",
        rows,
    )
    .await?;
    Ok(())
}

/// What an open period would cost an account if it closed now.
#[derive(Clone, Debug)]
pub struct Draft {
    pub uin: u64,
    pub period: Period,
    pub currency: Currency,
    pub foot: Foot,
    pub lines: usize,
    pub records: i64,
    /// The last day with usage; none without usage.
    pub usage_through: Option<NaiveDate>,
    /// Kinds of usage without a price, which are not in the total.
    pub unpriced: usize,
}

/// Adds drafts, for dashboards. `as_of`: the run's clock, RFC 3339.
#[tracing::instrument(skip_all)]
pub async fn add_drafts(tx: &mut Tx, drafts: &[Draft], as_of: &str) -> Result<()> {
    let rows = drafts.iter().map(|draft| -> [Value; 14] {
        [
            month_text(draft.period.start).into(),
            draft.uin.to_string().into(),
            draft.period.start.to_string().into(),
            draft.period.end.to_string().into(),
            draft.currency.to_string().into(),
            draft.foot.usage_amount.into(),
            draft.foot.adjustment_amount.into(),
            draft.foot.rounding.into(),
            draft.foot.total.into(),
            count(draft.lines).into(),
            draft.records.into(),
            count(draft.unpriced).into(),
            as_of.into(),
            draft
                .usage_through
                .map_or(Value::NullText, |day| day.to_string().into()),
        ]
    });
    let into = "draft (month, uin, period_start, period_end, currency, usage_amount, adjustment_amount, rounding, total, \
                line_count, records, unpriced, as_of, usage_through)";
    insert_rows(tx, into, rows).await?;
    Ok(())
}

/// Removes all drafts.
#[tracing::instrument(skip_all)]
pub async fn drop_drafts(tx: &mut Tx) -> Result<()> {
    clear_table(tx, "draft").await
}

/// Replaces the list of due periods that cannot close.
pub async fn replace_blocked(tx: &mut Tx, blocked: &[Blocked]) -> Result<()> {
    delete_rows(tx, "blocked_period", "1 = 1", &[]).await?;
    let mut rows = Vec::with_capacity(blocked.len());
    for blocked in blocked {
        rows.push([
            Value::from(blocked.uin.to_string()),
            blocked.period_start.as_str().into(),
            blocked.period_end.as_str().into(),
            blocked.why.as_str().into(),
            serde_json::to_string(&blocked.unpriced)?.into(),
        ]);
    }
    insert_rows(
        tx,
        "blocked_period (uin, period_start, period_end, why, unpriced)",
        rows,
    )
    .await?;
    Ok(())
}

/// What a [`Statement`] is made of, but its lines.
macro_rules! head_columns {
    () => {
        "s.statement_id, s.uin, s.period_start, s.period_end, s.zone, s.currency, s.line_count, s.usage_amount, \
         s.adjustment_amount, s.rounding, s.total, s.closed_at, s.batch_hi, s.previous_digest, s.digest"
    };
}

/// The columns that make a [`Statement`], in the order of [`statement_of`].
pub const STATEMENT_COLUMNS: &str = concat!(head_columns!(), ", d.body");

/// Where the account stands among them.
pub const UIN_COLUMN: usize = 1;

/// Where [`STATEMENT_COLUMNS`] come from. A statement stays when its lines are gone.
pub const STATEMENTS: &str = "statement s LEFT JOIN document d ON d.document = s.document";

/// The same of a statement whose lines are not wanted; in their place stands what is NULL, and text, on every engine.
const HEAD_COLUMNS: &str = concat!(head_columns!(), ", NULLIF('', '')");

/// Question marks for so many values.
pub(super) fn marks(values: usize) -> String {
    vec!["?"; values].join(",")
}

/// A statement as the ledger has it.
pub fn statement_of(row: &Row) -> Result<Statement> {
    let statement_id: String = row.try_get(0)?;
    let broken = |what: &str, value: &str| {
        Error::Unbalanced(format!(
            "statement {statement_id} in the ledger has the {what} {value:?}"
        ))
    };
    let amount = |index: usize| row.try_get::<Decimal>(index);
    let text = |index: usize| -> Result<String> { row.try_get(index) };
    let (zone, currency, closed_at, previous) = (text(4)?, text(5)?, text(11)?, text(13)?);
    Ok(Statement {
        uin: parse_uin(&text(UIN_COLUMN)?)?,
        period: Period {
            start: parse_day(&text(2)?)?,
            end: parse_day(&text(3)?)?,
        },
        zone: zone.parse().map_err(|_| broken("zone", &zone))?,
        currency: currency.parse().map_err(|_| broken("currency", &currency))?,
        closed_at: closed_at.parse().map_err(|_| broken("time", &closed_at))?,
        high_water_batch: row.try_get(12)?,
        lines: u32::try_from(row.try_get::<i64>(6)?).map_err(|_| broken("number of lines", "out of range"))?,
        usage_amount: amount(7)?,
        adjustment_amount: amount(8)?,
        rounding: amount(9)?,
        total: amount(10)?,
        document: row.try_get(15)?,
        previous_digest: (!previous.is_empty()).then_some(previous),
        digest: text(14)?,
        statement_id,
    })
}

/// Lines that went after their retention can be adjusted no more. Where others are not there, their period would be billed a second time.
async fn refuse_lost_lines(ledger: &Ledger, statements: impl Iterator<Item = &Statement>) -> Result<()> {
    let mut without = statements.filter(|statement| statement.document.is_none()).peekable();
    if without.peek().is_none() {
        return Ok(());
    }
    let rows = query("SELECT month FROM expired_month WHERE kind = 'lines'")
        .fetch_all(ledger)
        .await?;
    let expired: Result<HashSet<String>> = rows.iter().map(|row| row.try_get(0)).collect();
    let expired = expired?;
    match without.find(|statement| !expired.contains(&month_text(statement.period.start))) {
        None => Ok(()),
        Some(lost) => Err(Error::Unbalanced(format!(
            "the lines of statement {} are missing before the end of their retention; restore the ledger from a backup",
            lost.statement_id
        ))),
    }
}

/// All statements of an account, in order.
pub async fn statements_of(ledger: &Ledger, uin: u64) -> Result<Vec<Statement>> {
    let sql = format!("SELECT {STATEMENT_COLUMNS} FROM {STATEMENTS} WHERE s.uin = ? ORDER BY s.period_start");
    let rows = query(sql).bind(uin.to_string()).fetch_all(ledger).await?;
    rows.iter().map(statement_of).collect()
}

/// Statements of each of these accounts whose period ends after a day, and before them, without its lines, the last one that ends
/// by then; in order.
pub async fn statements_from(ledger: &Ledger, uins: &[u64], from: NaiveDate) -> Result<HashMap<u64, Vec<Statement>>> {
    let marks = marks(uins.len());
    let last_before = format!(
        "SELECT {HEAD_COLUMNS} FROM (SELECT uin, MAX(period_start) AS period_start FROM statement WHERE uin IN ({marks}) \
         AND period_end <= ? GROUP BY uin) l JOIN statement s ON s.uin = l.uin AND s.period_start = l.period_start"
    );
    let after = format!("SELECT {STATEMENT_COLUMNS} FROM {STATEMENTS} WHERE s.uin IN ({marks}) AND s.period_end > ?");
    let mut by_account: HashMap<u64, Vec<Statement>> = HashMap::new();
    for sql in [last_before, after] {
        let rows = query(sql)
            .bind_all(uins.iter().map(|uin| uin.to_string().into()))
            .bind(from.to_string())
            .fetch_all(ledger)
            .await?;
        for row in rows {
            let statement = statement_of(&row)?;
            by_account.entry(statement.uin).or_default().push(statement);
        }
    }
    let is_told = |statement: &&Statement| from < statement.period.end;
    refuse_lost_lines(ledger, by_account.values().flatten().filter(is_told)).await?;
    // Put in order here: a database would copy each document to sort it.
    for statements in by_account.values_mut() {
        statements.sort_unstable_by_key(|statement| statement.period.start);
    }
    Ok(by_account)
}

/// Writes down the digests of a statement under a pseudonym: of its document as it is now, none where it is gone, and of the statement
/// before.
pub async fn add_second_digest(tx: &mut Tx, statement: &Statement, digest: Option<&str>) -> Result<()> {
    let row: [Value; 5] = [
        month_text(statement.period.start).into(),
        statement.uin.to_string().into(),
        statement.period.start.to_string().into(),
        digest.map(str::to_owned).into(),
        statement.previous_digest.clone().unwrap_or_default().into(),
    ];
    let columns = "erased_statement (month, uin, period_start, digest, previous_digest)";
    insert_row(tx, columns, row).await
}

/// The second digests of an account's statements, by the period's start: of the document, and of the statement before.
pub async fn second_digests(ledger: &Ledger, uin: u64) -> Result<BTreeMap<NaiveDate, SecondDigests>> {
    let rows = query("SELECT period_start, digest, previous_digest FROM erased_statement WHERE uin = ?")
        .bind(uin.to_string())
        .fetch_all(ledger)
        .await?;
    rows.iter()
        .map(|row| {
            let digests = SecondDigests {
                digest: row.try_get(1)?,
                previous_digest: Some(row.try_get::<String>(2)?).filter(|digest| !digest.is_empty()),
            };
            Ok((parse_day(&row.try_get::<String>(0)?)?, digests))
        })
        .collect()
}

/// An account's statements with the digests by which they can be proved: under a pseudonym the second ones, which are of the documents as
/// they are now. One whose lines had gone before has its first one alone.
pub async fn statements_to_prove(ledger: &Ledger, uin: u64) -> Result<Vec<Statement>> {
    let mut statements = statements_of(ledger, uin).await?;
    let mut second = second_digests(ledger, uin).await?;
    for statement in &mut statements {
        if let Some(digests) = second.remove(&statement.period.start) {
            statement.previous_digest = digests.previous_digest;
            statement.digest = digests.digest.unwrap_or_else(|| statement.digest.clone());
        }
    }
    Ok(statements)
}

/// The digests of a statement under a pseudonym.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SecondDigests {
    /// None where its lines had gone before its account was erased.
    pub digest: Option<String>,
    pub previous_digest: Option<String>,
}

/// Gives the statements of a period that no export has to one. Returns how many it has now.
pub async fn take_for_export(tx: &mut Tx, export: i64, (start, end): (&str, &str)) -> Result<i64> {
    query("UPDATE stated_period SET export = ? WHERE export IS NULL AND period_start = ? AND period_end = ?")
        .bind(export)
        .bind(start)
        .bind(end)
        .execute(&mut *tx)
        .await?;
    reseal(tx, "stated_period", "export = ?", &[export.into()]).await?;
    let row = query("SELECT COALESCE(SUM(statements), 0) FROM stated_period WHERE export = ?")
        .bind(export)
        .fetch_one(&mut *tx)
        .await?;
    row.try_get(0)
}

/// A statement that is exported and not needed for an adjustment that waits: its lines may go when they are old enough.
const LINES_MAY_GO: &str = "EXISTS (SELECT 1 FROM stated_period p WHERE p.closing = s.closing AND p.period_start = s.period_start \
     AND p.period_end = s.period_end AND p.export IS NOT NULL) \
     AND s.uin NOT IN (SELECT l.uin FROM late_usage l WHERE l.closing IS NULL) \
     AND s.uin NOT IN (SELECT r.uin FROM rerate r WHERE r.closing IS NULL)";

/// Months before one, as `YYYY-MM`, with statements whose lines may go.
pub async fn months_whose_lines_may_go(ledger: &Ledger, before: &str) -> Result<BTreeSet<String>> {
    let rows = query(format!(
        "SELECT DISTINCT s.month FROM statement s JOIN document d ON d.document = s.document WHERE s.month < ? AND {LINES_MAY_GO}"
    ))
    .bind(before)
    .fetch_all(ledger)
    .await?;
    rows.iter().map(|row| row.try_get(0)).collect()
}

/// Deletes the lines of a month's statements that may go; the statements stay.
pub async fn drop_lines_of_month(tx: &mut Tx, month: &str) -> Result<i64> {
    let of_month = format!("document IN (SELECT s.document FROM statement s WHERE s.month = ? AND {LINES_MAY_GO})");
    delete_rows(tx, "document", &of_month, &[month.into()]).await
}
