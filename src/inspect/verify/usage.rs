//! Raw against usage, usage against the dashboards' rows, and the control totals.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

use chrono::{Datelike as _, NaiveDate};

use super::files::DamagedFiles;
use super::{Scope, Verified, store};
use crate::context::Books;
use crate::pipeline::meter::balance;
use crate::pipeline::meter::balance::control;
use crate::pipeline::meter::recount;
use crate::pipeline::meter::recount::recount_since;
use crate::pipeline::meter::store::{progress, usage_paths};
use crate::pipeline::retention::row_retention::{USAGE, expired_months};
use crate::storage::usage::daily;
use crate::storage::usage::row::Status;
use crate::storage::usage::table::UsageRows;
use crate::support::error::{Error, Result};
use crate::values::calendar::{all_days, day_of_number, month_text};

pub async fn verify(books: &Books, scope: Scope, damaged: &DamagedFiles, verified: &mut Verified) -> Result<()> {
    let metered = progress(&books.ledger).await?;
    match control(books, 0, metered.batch_hi).await {
        Err(Error::Unbalanced(why)) => verified.differs(why),
        other => verified.part(other.map(drop)),
    }
    verified.sentences(unbalanced_batches(books, metered.batch_hi).await);
    let since = scope.since;
    let recounted = recount_since(books, recount::Scope { damaged, since }).await;
    match recounted {
        Ok(recounted) => {
            verified.raw_rows = recounted.rows;
            verified.usage_sums = recounted.compared;
            verified.not_proved.extend(recounted.not_counted);
            verified.sentences(Ok(recounted.differences));
        }
        Err(error) => verified.differs(format!("usage could not be recomputed from raw data: {error}")),
    }
    verified.sentences(store::daily_without_file(&books.ledger).await);
    let expired = expired_months(&books.ledger, USAGE).await?;
    let (first, to) = all_days();
    let from = scope.since.unwrap_or(first);
    for (path, metering) in usage_paths(&books.ledger, from, to, metered.metering).await? {
        if !damaged.contains(&path) {
            let part = verify_daily(books, &path, metering, &expired, verified).await;
            verified.part(part);
        }
    }
    Ok(())
}

/// Metered batches whose control totals do not balance, or are not what the door counted.
async fn unbalanced_batches(books: &Books, metered_to: i64) -> Result<Vec<String>> {
    let totals = balance::by_batch(&books.ledger, 0, metered_to).await?;
    let totals: HashMap<i64, balance::OfBatch> = totals.into_iter().map(|of| (of.batch, of)).collect();
    let mut differences = Vec::new();
    for (batch, door) in store::batches_received(&books.ledger, metered_to).await? {
        let of_batch = totals.get(&batch);
        let (received, [records, ms, counts]) = of_batch.map_or((0, [0; 3]), |of| (of.received, of.difference));
        if i128::from(door) != received || [records, ms, counts] != [0; 3] {
            differences.push(format!(
                "batch {batch}: {door} lines were ingested, the control totals have {received}, by status {}; raw units differ by \
                 {ms} ms and {counts} counts",
                received - records
            ));
        }
    }
    Ok(differences)
}

/// The number of a region's or SKU's name in [`Names`].
type Name = usize;

/// Names held once.
#[derive(Default)]
struct Names {
    texts: Vec<String>,
    by_text: HashMap<String, Name>,
}

impl Names {
    fn number(&mut self, text: &str) -> Name {
        if let Some(&known) = self.by_text.get(text) {
            return known;
        }
        self.texts.push(text.to_owned());
        self.by_text.insert(text.to_owned(), self.texts.len() - 1);
        self.texts.len() - 1
    }
}

/// Day, app, region and SKU, with records, raw and billable.
type Line = ((NaiveDate, u64, Name, Name), [i64; 3]);

/// An account and the first day of a month.
type AccountMonth = (u64, NaiveDate);

/// Records, raw and billable by day, region and SKU.
type Totals = BTreeMap<(NaiveDate, Name, Name), [i64; 3]>;

/// What a metering added to the dashboards is what its usage file says: this stands for the seals that these rows do not have. Both are
/// read account by account.
async fn verify_daily(
    books: &Books,
    path: &str,
    metering: i64,
    expired: &BTreeSet<String>,
    verified: &mut Verified,
) -> Result<()> {
    let mut names = Names::default();
    let mut months = FileMonths::open(&books.data.join(path), expired)?;
    let missing = |(uin, _): AccountMonth, verified: &mut Verified| {
        verified.differs(format!(
            "usage_daily of account {uin}, metering {metering}, is missing, but is in {path}"
        ));
    };
    store::usage_daily(&books.ledger, metering, |shown| {
        let month = (shown.uin, shown.first);
        while let Some(skipped) = months.next_before(month, &mut names)? {
            missing(skipped, verified);
        }
        let stored = months.next_of(month, &mut names)?;
        let counted: i64 = stored.iter().map(|(_, sums)| sums[0]).sum();
        let lines = lines_of(&shown, metering, &mut names)?;
        if shown.records != counted || summed(lines) != summed(stored) {
            verified.differs(format!(
                "usage_daily of account {}, metering {metering}, differs from {path}",
                shown.uin
            ));
        }
        Ok(())
    })
    .await?;
    while let Some(skipped) = months.next_before((u64::MAX, NaiveDate::MAX), &mut names)? {
        missing(skipped, verified);
    }
    verify_totals(books, path, metering, (months.totals, &names), verified).await
}

/// The metered rows of a usage file whose month has not expired, in the order of accounts and months; one row group is in memory.
struct FileMonths<'e> {
    rows: UsageRows,
    expired: &'e BTreeSet<String>,
    /// Row groups that were read.
    read: usize,
    /// What was read and not taken. The last account may go on in the next row group.
    months: BTreeMap<AccountMonth, Vec<Line>>,
    last_uin: u64,
    /// Of all that was read.
    totals: Totals,
}

impl<'e> FileMonths<'e> {
    fn open(path: &Path, expired: &'e BTreeSet<String>) -> Result<Self> {
        Ok(Self {
            rows: UsageRows::open(path)?,
            expired,
            read: 0,
            months: BTreeMap::new(),
            last_uin: 0,
            totals: Totals::new(),
        })
    }

    /// Takes the next month, if it comes before one.
    fn next_before(&mut self, end: AccountMonth, names: &mut Names) -> Result<Option<AccountMonth>> {
        self.read_to(end.0, names)?;
        let next = self.months.first_entry().filter(|next| *next.key() < end);
        Ok(next.map(|next| next.remove_entry().0))
    }

    /// Takes the lines of a month; none where it has none.
    fn next_of(&mut self, month: AccountMonth, names: &mut Names) -> Result<Vec<Line>> {
        self.read_to(month.0, names)?;
        Ok(self.months.remove(&month).unwrap_or_default())
    }

    /// Reads until there is something before an account that is whole, or the account itself is.
    fn read_to(&mut self, uin: u64, names: &mut Names) -> Result<()> {
        while self.read < self.rows.groups() {
            let first = self.months.first_key_value().map(|((first, _), _)| *first);
            if self.last_uin > uin || first.is_some_and(|first| first < uin.min(self.last_uin)) {
                return Ok(());
            }
            self.read_group(names)?;
        }
        Ok(())
    }

    fn read_group(&mut self, names: &mut Names) -> Result<()> {
        let group = tokio::task::block_in_place(|| self.rows.read(self.read))?;
        group.for_each(|row| {
            self.last_uin = row.uin;
            let day = day_of_number(row.day);
            if row.status == Status::Metered && !self.expired.contains(&month_text(day)) {
                let (region, sku) = (names.number(row.region), names.number(row.sku));
                let values = [row.records, row.raw, row.billable];
                let month = self.months.entry((row.uin, month_start(day))).or_default();
                month.push(((day, row.appid, region, sku), values));
                let total = self.totals.entry((day, region, sku)).or_default();
                for (total, value) in total.iter_mut().zip(values) {
                    *total = total.saturating_add(value);
                }
            }
            Ok(())
        })?;
        self.read += 1;
        Ok(())
    }
}

fn month_start(day: NaiveDate) -> NaiveDate {
    day.with_day(1).expect("every month has a first day")
}

/// The lines of a row of `usage_daily`.
fn lines_of(shown: &store::AccountMonth, metering: i64, names: &mut Names) -> Result<Vec<Line>> {
    let mut lines = Vec::new();
    let told = |what: &str| {
        Error::Unbalanced(format!(
            "usage_daily of account {}, metering {metering}: {what}",
            shown.uin
        ))
    };
    for of in daily::from_text(&shown.days).map_err(|error| told(&error.to_string()))? {
        let (region, sku) = (names.number(&of.region), names.number(&of.sku));
        for sums in of.days {
            let day = shown.first.with_day(sums.day);
            let day = day.ok_or_else(|| told("it has a day outside of its month"))?;
            lines.push(((day, of.appid, region, sku), [sums.records, sums.raw, sums.billable]));
        }
    }
    Ok(lines)
}

fn summed(lines: Vec<Line>) -> BTreeMap<(NaiveDate, u64, Name, Name), [i64; 3]> {
    let mut all: BTreeMap<_, [i64; 3]> = BTreeMap::new();
    for (key, values) in lines {
        for (sum, value) in all.entry(key).or_default().iter_mut().zip(values) {
            *sum = sum.saturating_add(value);
        }
    }
    all
}

/// The totals of all accounts are their sums.
async fn verify_totals(
    books: &Books,
    path: &str,
    metering: i64,
    (totals, names): (Totals, &Names),
    verified: &mut Verified,
) -> Result<()> {
    let text = |name: Name| names.texts[name].clone();
    let mut sums: BTreeMap<[String; 3], [i64; 3]> = totals
        .into_iter()
        .map(|((day, region, sku), sums)| ([day.to_string(), text(region), text(sku)], sums))
        .collect();
    let mut shown = store::usage_totals(&books.ledger, metering).await?;
    shown.retain(|_, sums| *sums != [0; 3]);
    sums.retain(|_, sums| *sums != [0; 3]);
    if shown != sums {
        verified.differs(format!("usage_total of metering {metering} differs from {path}"));
    }
    Ok(())
}
