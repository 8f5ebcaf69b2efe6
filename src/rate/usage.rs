//! From usage per day to usage per line: additive, whatever the order of the rows.

use chrono::NaiveDate;

use super::RateError;

/// Usage of one day, or a part of it: rows of the same key add up. Voids are negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DayUsage<'a> {
    /// The application.
    pub appid: u64,
    /// The region.
    pub region: &'a str,
    /// The SKU.
    pub sku: &'a str,
    /// The billing day, in the account's zone.
    pub day: NaiveDate,
    /// Records.
    pub records: i64,
    /// Billable base units (ms or counts), after the per-record policy.
    pub billable: i64,
}

/// Where the usage of a day is priced.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Span {
    /// The first day of the span.
    pub start: NaiveDate,
    /// The card version in force, as an index; none before the first version.
    pub version: Option<usize>,
}

/// The sum of the usage of one line; never zero, never negative.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct LineUsage<'a> {
    pub span: Span,
    pub appid: u64,
    pub region: &'a str,
    pub sku: &'a str,
    pub first_day: NaiveDate,
    pub last_day: NaiveDate,
    pub records: i64,
    pub billable: i64,
}

/// Sums rows per (span, app, region, SKU), in that order. A line that voids took back to nothing is left
/// out; one that has less than nothing is an error: usage and its voids share a day.
pub(super) fn sum_lines<'a>(
    uin: u64,
    rows: &[DayUsage<'a>],
    span_of: impl Fn(NaiveDate) -> Span,
) -> Result<Vec<LineUsage<'a>>, RateError> {
    let mut placed: Vec<(Span, &DayUsage<'a>)> = rows.iter().map(|row| (span_of(row.day), row)).collect();
    placed.sort_unstable_by(|(span, row), (other_span, other)| {
        let key = (span, row.appid, row.region, row.sku);
        key.cmp(&(other_span, other.appid, other.region, other.sku))
    });
    let same_line = |(span, row): &(Span, &DayUsage), (other_span, other): &(Span, &DayUsage)| {
        span == other_span && row.appid == other.appid && row.sku == other.sku && row.region == other.region
    };
    let mut lines = Vec::new();
    for line in placed.chunk_by(same_line) {
        lines.extend(sum_line(uin, line)?);
    }
    Ok(lines)
}

/// The sum of the rows of one line; none when nothing is left of it.
fn sum_line<'a>(uin: u64, rows: &[(Span, &DayUsage<'a>)]) -> Result<Option<LineUsage<'a>>, RateError> {
    let (span, first) = rows[0];
    let (mut first_day, mut last_day) = (first.day, first.day);
    // Summed wider than the columns, so that the order of the rows cannot decide about an overflow.
    let (mut records, mut billable) = (0_i128, 0_i128);
    for (_, row) in rows {
        first_day = first_day.min(row.day);
        last_day = last_day.max(row.day);
        records += i128::from(row.records);
        billable += i128::from(row.billable);
    }
    let key = || {
        format!(
            "account {uin}, app {}, region `{}`, SKU `{}`",
            first.appid, first.region, first.sku
        )
    };
    let (Ok(records), Ok(billable)) = (i64::try_from(records), i64::try_from(billable)) else {
        return Err(RateError::Overflow {
            what: format!("the usage of {} from {first_day} to {last_day}", key()),
        });
    };
    if records == 0 && billable == 0 {
        return Ok(None);
    }
    if records <= 0 || billable < 0 {
        return Err(RateError::NegativeUsage {
            key: key(),
            first_day,
            last_day,
            records,
            billable,
        });
    }
    let DayUsage { appid, region, sku, .. } = *first;
    Ok(Some(LineUsage {
        span,
        appid,
        region,
        sku,
        first_day,
        last_day,
        records,
        billable,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    fn row(sku: &'static str, on: &str, records: i64, billable: i64) -> DayUsage<'static> {
        DayUsage {
            appid: 1,
            region: "r",
            sku,
            day: day(on),
            records,
            billable,
        }
    }

    fn sums(rows: &[DayUsage<'static>]) -> Result<Vec<(&'static str, i64, i64)>, RateError> {
        let span = Span {
            start: day("2024-11-01"),
            version: Some(0),
        };
        let lines = sum_lines(7, rows, |_| span)?;
        Ok(lines
            .iter()
            .map(|line| (line.sku, line.records, line.billable))
            .collect())
    }

    #[test]
    fn rows_of_a_key_add_up_and_nothing_yields_no_line() {
        let rows = [
            row("B", "2024-11-02", 1, 5),
            row("A", "2024-11-03", 1, 9),
            row("B", "2024-11-01", 2, 5),
            row("A", "2024-11-03", -1, -9),
            row("C", "2024-11-03", 1, 0),
        ];
        assert_eq!(sums(&rows).unwrap(), [("B", 3, 10), ("C", 1, 0)]);
    }

    #[test]
    fn less_than_nothing_is_an_error_that_names_the_line() {
        for (records, billable) in [(-1, -1), (0, 1), (1, -1), (-1, 0)] {
            let error = sums(&[row("A", "2024-11-03", records, billable)]).unwrap_err();
            assert!(
                error.to_string().contains("account 7, app 1, region `r`, SKU `A`"),
                "{error}"
            );
        }
    }

    #[test]
    fn an_overflow_is_an_error_only_where_the_sum_itself_overflows() {
        let over = row("A", "2024-11-03", 1, i64::MAX);
        let back = row("A", "2024-11-03", -1, -i64::MAX);
        assert!(matches!(sums(&[over, over]), Err(RateError::Overflow { .. })));
        assert_eq!(sums(&[over, over, back]).unwrap(), [("A", 1, i64::MAX)]);
    }
}
