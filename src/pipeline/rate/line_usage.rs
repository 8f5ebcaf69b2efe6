//! From usage per day to usage per line: additive, whatever the order of the rows.

use std::collections::BTreeMap;

use chrono::NaiveDate;
use hashbrown::HashMap;
use hashbrown::hash_map::Entry;

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
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
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
    let mut sums: Vec<LineSum<'a>> = Vec::new();
    for row in rows {
        let sum = LineSum::of(span_of(row.day), row);
        match sums.last_mut() {
            // Usage files are sorted by line, then by day.
            Some(last) if last.is_same_line(&sum) => last.add(&sum),
            _ => sums.push(sum),
        }
    }
    if !sums.is_sorted_by(|one, next| one.key() < next.key()) {
        sums = added_up_by_place(sums);
        sums.sort_unstable_by(|one, other| one.key().cmp(&other.key()));
        sums.dedup_by(|sum, kept| {
            let is_same = kept.is_same_line(sum);
            if is_same {
                kept.add(sum);
            }
            is_same
        });
    }
    sums.iter().filter_map(|sum| sum.line(uin).transpose()).collect()
}

/// What makes a line: span, app, region, SKU.
type LineKey<'a> = (Span, u64, &'a str, &'a str);

/// The base units of each line by day, for packages that are counted by day.
pub(super) struct DaysOfLines<'a> {
    uin: u64,
    days: HashMap<LineKey<'a>, Vec<(NaiveDate, i128)>>,
}

impl<'a> DaysOfLines<'a> {
    /// Sums rows per line and day.
    pub(super) fn of(uin: u64, rows: &[DayUsage<'a>], span_of: impl Fn(NaiveDate) -> Span) -> Self {
        let mut days: HashMap<_, BTreeMap<NaiveDate, i128>> = HashMap::new();
        for row in rows {
            let of_line = days
                .entry((span_of(row.day), row.appid, row.region, row.sku))
                .or_default();
            *of_line.entry(row.day).or_default() += i128::from(row.billable);
        }
        let days = days.into_iter().map(|(line, days)| (line, days.into_iter().collect()));
        Self {
            uin,
            days: days.collect(),
        }
    }

    /// The days of a line, in order.
    pub(super) fn of_line(&self, line: &LineUsage<'a>) -> Result<&[(NaiveDate, i128)], RateError> {
        let key = (line.span, line.appid, line.region, line.sku);
        let days = self.days.get(&key).map_or(&[][..], Vec::as_slice);
        if let Some((day, base_units)) = days.iter().find(|(_, base_units)| *base_units < 0) {
            return Err(RateError::NegativeUsage {
                key: format!(
                    "account {}, app {}, region `{}`, SKU `{}`",
                    self.uin, line.appid, line.region, line.sku
                ),
                first_day: *day,
                last_day: *day,
                records: line.records,
                billable: i64::try_from(*base_units).unwrap_or(i64::MIN),
            });
        }
        Ok(days)
    }
}

/// Adds up what is of one line as far as its texts lie at the same places. Usage of many nights has each line many times, and its texts
/// once; to sort all of it would compare them again and again.
fn added_up_by_place(sums: Vec<LineSum>) -> Vec<LineSum> {
    let mut places = HashMap::with_capacity(sums.len());
    let mut added: Vec<LineSum> = Vec::new();
    for sum in sums {
        let texts: [*const str; 2] = [sum.region, sum.sku];
        match places.entry((sum.span, sum.appid, texts)) {
            Entry::Occupied(at) => {
                let at: &usize = at.get();
                added[*at].add(&sum);
            }
            Entry::Vacant(place) => {
                place.insert(added.len());
                added.push(sum);
            }
        }
    }
    added
}

/// What some rows of a line come to.
struct LineSum<'a> {
    span: Span,
    appid: u64,
    region: &'a str,
    sku: &'a str,
    first_day: NaiveDate,
    last_day: NaiveDate,
    // Wider than the columns, so that the order of the rows cannot decide about an overflow.
    records: i128,
    billable: i128,
}

impl<'a> LineSum<'a> {
    fn of(span: Span, row: &DayUsage<'a>) -> Self {
        Self {
            span,
            appid: row.appid,
            region: row.region,
            sku: row.sku,
            first_day: row.day,
            last_day: row.day,
            records: row.records.into(),
            billable: row.billable.into(),
        }
    }

    fn key(&self) -> LineKey<'a> {
        (self.span, self.appid, self.region, self.sku)
    }

    fn is_same_line(&self, other: &Self) -> bool {
        self.span == other.span
            && self.appid == other.appid
            && is_same_text(self.sku, other.sku)
            && is_same_text(self.region, other.region)
    }

    fn add(&mut self, other: &Self) {
        self.first_day = self.first_day.min(other.first_day);
        self.last_day = self.last_day.max(other.last_day);
        self.records += other.records;
        self.billable += other.billable;
    }

    /// The usage of the line; none when nothing is left of it.
    fn line(&self, uin: u64) -> Result<Option<LineUsage<'a>>, RateError> {
        let Self {
            span,
            appid,
            region,
            sku,
            first_day,
            last_day,
            ..
        } = *self;
        let key = || format!("account {uin}, app {appid}, region `{region}`, SKU `{sku}`");
        let (Ok(records), Ok(billable)) = (i64::try_from(self.records), i64::try_from(self.billable)) else {
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
}

/// Texts of one file are held once, so most that are the same lie at the same place.
fn is_same_text(one: &str, other: &str) -> bool {
    std::ptr::eq(one, other) || one == other
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
    fn a_text_that_lies_elsewhere_is_the_same_text() {
        let elsewhere: &'static str = String::from("A").leak();
        let rows = [
            row("A", "2024-11-02", 1, 5),
            row("B", "2024-11-02", 1, 7),
            row(elsewhere, "2024-11-03", 2, 9),
            row("A", "2024-11-04", 1, 1),
        ];
        assert_eq!(sums(&rows).unwrap(), [("A", 4, 15), ("B", 1, 7)]);
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
