//! The control totals of an account and period: both sides, as of now.
//!
//! ```text
//! metered = billed in the statement + adjusted in later ones + settled outside + waiting for an adjustment
//! ```

use std::collections::BTreeMap;

use super::{Known, store};
use crate::context::Books;
use crate::pipeline::close::adjustment::settlement::Settlement;
use crate::pipeline::close::statement::Statement;
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::pipeline::rate::Kind;
use crate::storage::usage::row::Status;
use crate::storage::usage::table::UsageRows;
use crate::support::error::{Error, Result};
use crate::values::calendar::{Period, number_of_day};

/// Both sides, in records.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct ControlTotals {
    /// Every batch up to it is counted.
    pub batch_hi: i64,
    /// Records and raw base units by status; what has no account is in the totals of its batch alone.
    pub by_status: BTreeMap<String, [i64; 2]>,
    pub metered: i64,
    pub billed: i64,
    pub adjusted_later: i64,
    /// Settled outside by a person: another currency kept it from every statement.
    pub settled_outside: i64,
    pub waiting: i64,
}

/// Counts both sides; they must agree.
pub async fn control(
    books: &Books,
    known: &Known<'_>,
    after: &[Statement],
    settlements: &[Settlement],
) -> Result<ControlTotals> {
    let (uin, period) = (known.usage.uin, known.statement.period);
    let progress = progress(&books.ledger).await?;
    let mut totals = ControlTotals {
        batch_hi: progress.batch_hi,
        ..ControlTotals::default()
    };
    let days = number_of_day(period.start)..number_of_day(period.end);
    for (path, _) in usage_paths(&books.ledger, period.start, period.end, progress.metering).await? {
        tokio::task::block_in_place(|| {
            UsageRows::open(&books.data.join(&path))?.for_each_of(uin, |row| {
                if days.contains(&row.day) {
                    let sums = totals.by_status.entry(row.status.text().to_owned()).or_default();
                    sums[0] += row.records;
                    sums[1] += row.raw;
                }
                Ok(())
            })
        })?;
    }
    totals.by_status.retain(|_, sums| *sums != [0, 0]);
    totals.metered = totals.by_status.get(Status::Metered.text()).map_or(0, |sums| sums[0]);
    totals.billed = records(known.statement, |kind, _| kind != Kind::Adjustment, period)?;
    for statement in after {
        totals.adjusted_later += records(
            statement,
            |kind, is_of_period| kind == Kind::Adjustment && is_of_period,
            period,
        )?;
    }
    let of_period: Vec<&Settlement> = settlements.iter().filter(|settled| settled.period == period).collect();
    totals.settled_outside = of_period.iter().map(|settled| settled.records).sum();
    // What was settled waits no more, though only the account's next close says so.
    let last_closing = store::last_closing_of(&books.ledger, uin).await?;
    let since = of_period.iter().filter(|settled| last_closing <= settled.closing);
    totals.waiting =
        store::waiting_records(&books.ledger, uin, &period).await? - since.map(|settled| settled.records).sum::<i64>();
    if totals.metered == totals.billed + totals.adjusted_later + totals.settled_outside + totals.waiting {
        return Ok(totals);
    }
    Err(Error::Unbalanced(format!(
        "account {uin}, {period}: {} records are metered, but {} are billed, {} adjusted later, {} settled outside and {} waiting",
        totals.metered, totals.billed, totals.adjusted_later, totals.settled_outside, totals.waiting
    )))
}

/// Records of a statement's lines that `wanted` takes, given their kind and whether their usage is of the period.
fn records(statement: &Statement, wanted: impl Fn(Kind, bool) -> bool, period: Period) -> Result<i64> {
    let lines = statement.read_lines().map_err(|e| Error::Unbalanced(e.to_string()))?;
    let of_line = |line: &crate::pipeline::close::statement::document::Line| {
        let is_of_period = period.contains(line.span_start_in(&statement.period));
        wanted(line.kind, is_of_period).then(|| line.records.unwrap_or(0))
    };
    Ok(lines.iter().filter_map(of_line).sum())
}
