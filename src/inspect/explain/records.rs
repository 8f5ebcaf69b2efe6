//! The raw records behind a line: which rows counted when the statement was closed.
//!
//! All of them are counted, and their files held against their digests, unless that would read too many rows: then of a usage line only
//! the first records are read, on the days that its usage names, and it is said what was not checked.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::ControlFlow;

use chrono::{Days, NaiveDate, TimeDelta, Utc};

use super::{Explained, Known, store};
use crate::catalog::account::Accounts;
use crate::catalog::account::add::default_terms;
use crate::catalog::account::erased::store::pseudonyms;
use crate::catalog::account::terms::Terms;
use crate::catalog::rate_card::store::{cards_up_to, load_cards};
use crate::context::Books;
use crate::pipeline::close::store::ClosedAs;
use crate::pipeline::ingest::record::fingerprint::identity_hash;
use crate::pipeline::meter::aggregate::measure::delta_of_record;
use crate::pipeline::meter::classify::sku_cache::{AccountCards, SkuCache};
use crate::pipeline::meter::dedupe::RowVerdict;
use crate::pipeline::meter::dedupe::identity_index::Verdict;
use crate::pipeline::meter::dedupe::stored_record::{Content, RealRecord, of_account};
use crate::pipeline::meter::dedupe::stored_verdicts::{AsOf, Keys};
use crate::pipeline::rate::Kind;
use crate::storage::durable_files::DataDir;
use crate::storage::raw::segment::{Groups, SegmentKind, check_written};
use crate::storage::raw::store::{Segment, segments_of_day};
use crate::storage::usage::row::Status;
use crate::support::error::{Error, Result};
use crate::support::table::grouped;
use crate::support::threads;
use crate::values::calendar::{day_of_number, midnight};

/// The records that count in a line; of an adjustment, those that count since, or no more.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Behind {
    /// Records that raw still holds, all of them unless something was not checked; negative ones count no more.
    pub records: i64,
    pub raw_units: i64,
    pub billable_units: i64,
    /// The first of them.
    pub told: Vec<RecordBehind>,
    /// What stands for the account's raw rows of expired days, among them those of the line.
    pub expired: Vec<Stands>,
    /// What was not checked, for it would take long.
    pub not_checked: Vec<String>,
    /// Whether only the first records were looked for.
    #[serde(skip)]
    is_part: bool,
}

/// A raw row that counts.
#[derive(Clone, Debug, serde::Serialize)]
pub struct RecordBehind {
    pub source: String,
    pub id: String,
    pub batch: i64,
    pub line: u32,
    pub finished_at: String,
    pub parameters: String,
    pub duration_ms: i64,
    pub raw_units: i64,
    pub billable_units: i64,
    /// `counts`, `counts since the close`, or `counts no more`.
    pub how: &'static str,
}

/// The digest of an account's rows of an expired UTC day.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Stands {
    pub utc_day: String,
    pub rows: i64,
    #[serde(rename = "duration_ms_total")]
    pub duration_ms: String,
    pub digest: String,
}

/// How much is told and read.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Records told of each line.
    pub told: usize,
    /// Raw rows up to which all records are counted.
    pub rows: i64,
}

/// A record that counted at one of two closings, with what it counted as.
struct Counted {
    record: RealRecord,
    what: CountedAs,
    now: bool,
    before: bool,
}

/// Adds to each line the records behind it, and checks that they are as many as were billed.
pub async fn add(books: &Books, known: &Known<'_>, lines: &mut [Explained], limits: Limits) -> Result<()> {
    let spans = lines.iter().filter(|line| line.appid.is_some()).map(|line| line.span);
    let Some((from, to)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Ok(());
    };
    // A local day lies in the UTC days around it.
    let first = from.checked_sub_days(Days::new(1)).unwrap_or(from);
    let expired = store::expired(&books.ledger, known.usage.uin, first, to).await?;
    if pseudonyms(&books.ledger).await?.contains(&known.usage.uin) {
        for line in lines.iter_mut().filter(|line| line.appid.is_some()) {
            line.behind = Some(Behind {
                expired: of_span(&expired, line.span),
                not_checked: vec!["its account was erased, and with it the raw records".to_owned()],
                is_part: true,
                ..Behind::default()
            });
        }
        return Ok(());
    }
    let segments = segments_of_days(books, first.iter_days().take_while(|day| *day <= to)).await?;
    let rows: i64 = segments.iter().map(|segment| segment.rows).sum();
    let reading = Reading::begin(books, known).await?;
    let mut found = Lines::of(lines, limits.told);
    match lines {
        [line] if rows > limits.rows && line.kind != Kind::Adjustment.word() => {
            let days = days_with_usage(known, line);
            let segments = segments_of_days(books, days.into_iter()).await?;
            let enough = i64::try_from(limits.told).unwrap_or(i64::MAX);
            let is_all = tokio::task::block_in_place(|| reading.first_records(&segments, enough, &mut found))?;
            found.not_checked = not_checked(line, is_all);
            found.is_part = !is_all;
        }
        _ => tokio::task::block_in_place(|| {
            // What is damaged is no evidence.
            let check = |at: usize| check_written(&books.data.join(&segments[at].path), &segments[at].digest);
            threads::map(segments.len(), check)?;
            reading.all_records(&segments, &mut found)
        })?,
    }
    let (not_checked, is_part) = (std::mem::take(&mut found.not_checked), found.is_part);
    for (line, mut behind) in lines
        .iter_mut()
        .filter(|line| line.appid.is_some())
        .zip(found.into_behind())
    {
        behind.expired = of_span(&expired, line.span);
        behind.not_checked.clone_from(&not_checked);
        behind.is_part = is_part;
        check(known, line, &behind)?;
        line.behind = Some(behind);
    }
    Ok(())
}

async fn segments_of_days(books: &Books, days: impl Iterator<Item = NaiveDate>) -> Result<Vec<Segment>> {
    let mut segments = Vec::new();
    for day in days {
        segments.extend(segments_of_day(&books.ledger, SegmentKind::Usage, day).await?);
    }
    Ok(segments)
}

/// The UTC days on which the records of a line were done, by its usage.
fn days_with_usage(known: &Known, line: &Explained) -> BTreeSet<NaiveDate> {
    let zone = known.usage.account.terms[0].zone;
    let rows = known.usage.rows.between(line.span.0, line.span.1, known.usage.metering);
    let mut days = BTreeSet::new();
    for (row, region, sku) in rows {
        if (region, sku) == (&*line.region, &*line.sku) && line.appid.as_deref() == Some(&row.appid.to_string()) {
            let end = midnight(zone, row.day + Days::new(1)) - TimeDelta::nanoseconds(1);
            days.insert(midnight(zone, row.day).with_timezone(&Utc).date_naive());
            days.insert(end.with_timezone(&Utc).date_naive());
        }
    }
    days
}

/// What the first records alone do not show.
fn not_checked(line: &Explained, is_all: bool) -> Vec<String> {
    let records = line.usage.as_ref().map_or(0, |usage| usage.records);
    let counted = if is_all {
        "days without usage of this line were not searched".to_owned()
    } else {
        format!(
            "only the first records found were counted, not all {} records of its usage",
            grouped(records)
        )
    };
    vec![counted, "the digests of the raw data files were not checked".to_owned()]
}

fn of_span(expired: &[Stands], (from, to): (NaiveDate, NaiveDate)) -> Vec<Stands> {
    let is_of_span = |stands: &&Stands| {
        let day: Option<NaiveDate> = stands.utc_day.parse().ok();
        // A local day lies in the UTC days around it.
        day.is_some_and(|day| from <= day.checked_add_days(Days::new(1)).unwrap_or(day) && day <= to)
    };
    expired.iter().filter(is_of_span).cloned().collect()
}

/// While all raw is there, the records must be those that the usage says.
fn check(known: &Known, line: &Explained, behind: &Behind) -> Result<()> {
    let Some(usage) = line
        .usage
        .as_ref()
        .filter(|_| line.kind != Kind::Adjustment.word() && behind.expired.is_empty())
    else {
        return Ok(());
    };
    let found = (behind.records, behind.raw_units, behind.billable_units);
    let is_part = behind.is_part && behind.records <= usage.records;
    if is_part || found == (usage.records, usage.raw_units, usage.billable_units) {
        return Ok(());
    }
    Err(Error::Unbalanced(format!(
        "line {} of statement {} is based on {} records with {} base units, but raw data has {} with {}; run `tallybook verify`",
        line.line_no,
        known.statement.statement_id,
        usage.records,
        usage.billable_units,
        behind.records,
        behind.billable_units
    )))
}

/// App, region and SKU of a line.
type Of = (String, String, String);

/// What is found behind lines, as records come.
struct Lines {
    /// Days, and whether it is an adjustment.
    spans: Vec<((NaiveDate, NaiveDate), bool)>,
    by_name: HashMap<Of, Vec<usize>>,
    found: Vec<LineFound>,
    told_max: usize,
    not_checked: Vec<String>,
    is_part: bool,
}

#[derive(Default)]
struct LineFound {
    sums: [i64; 3],
    /// The first, by batch and line.
    told: BTreeMap<(i64, u32), RecordBehind>,
}

impl Lines {
    fn of(lines: &[Explained], told_max: usize) -> Self {
        let mut all = Self {
            spans: Vec::new(),
            by_name: HashMap::new(),
            found: Vec::new(),
            told_max,
            not_checked: Vec::new(),
            is_part: false,
        };
        for line in lines {
            if let Some(appid) = &line.appid {
                let name = (appid.clone(), line.region.clone(), line.sku.clone());
                all.by_name.entry(name).or_default().push(all.spans.len());
                all.spans.push((line.span, line.kind == Kind::Adjustment.word()));
                all.found.push(LineFound::default());
            }
        }
        all
    }

    fn add(&mut self, counted: &Counted) {
        let what = &counted.what;
        let name = (what.appid.to_string(), what.region.clone(), what.sku.clone());
        for &at in self.by_name.get(&name).into_iter().flatten() {
            let ((from, to), is_adjustment) = self.spans[at];
            if what.day < from || to <= what.day {
                continue;
            }
            let (sign, how) = match (is_adjustment, counted.before, counted.now) {
                (false, _, true) => (1, "counts"),
                (true, false, true) => (1, "counts since the close"),
                (true, true, false) => (-1, "counts no more"),
                _ => continue,
            };
            self.found[at].add(counted, sign, how, self.told_max);
        }
    }

    fn extend(&mut self, all: &[Counted]) {
        for counted in all {
            self.add(counted);
        }
    }

    /// Records found so far.
    fn records(&self) -> i64 {
        self.found.iter().map(|found| found.sums[0].abs()).sum()
    }

    fn into_behind(self) -> impl Iterator<Item = Behind> {
        self.found.into_iter().map(|LineFound { sums, told }| {
            let [records, raw_units, billable_units] = sums;
            Behind {
                records,
                raw_units,
                billable_units,
                told: told.into_values().collect(),
                ..Behind::default()
            }
        })
    }
}

impl LineFound {
    fn add(&mut self, counted: &Counted, sign: i64, how: &'static str, told_max: usize) {
        for (sum, value) in self.sums.iter_mut().zip([1, counted.what.raw, counted.what.billable]) {
            *sum += sign * value;
        }
        let place = (counted.record.batch, counted.record.line);
        let is_first = self.told.last_key_value().is_some_and(|(last, _)| place < *last);
        if self.told.len() < told_max || is_first {
            self.told.insert(place, told(counted, how));
        }
        if self.told.len() > told_max {
            self.told.pop_last();
        }
    }
}

fn told(counted: &Counted, how: &'static str) -> RecordBehind {
    let record = &counted.record;
    let (finished_at, parameters, duration_ms) = match &record.content {
        Content::Usage {
            finished_at_ns,
            parameters,
            duration_ms,
            ..
        } => (
            crate::support::clock::instant_ns_text(*finished_at_ns),
            parameters.clone(),
            *duration_ms,
        ),
        Content::Void { .. } => (String::new(), String::new(), 0),
    };
    RecordBehind {
        source: record.source.clone(),
        id: record.id.clone(),
        batch: record.batch,
        line: record.line,
        finished_at,
        parameters,
        duration_ms,
        raw_units: counted.what.raw,
        billable_units: counted.what.billable,
        how,
    }
}

/// Everything that says whether a row of the account counted.
struct Reading {
    data: DataDir,
    uin: u64,
    keys: Keys,
    now: Then,
    /// At the closing before.
    before: Option<Then>,
}

impl Reading {
    async fn begin(books: &Books, known: &Known<'_>) -> Result<Self> {
        let default_terms = default_terms(books, &load_cards(&books.ledger).await?)?;
        Ok(Self {
            data: books.data.clone(),
            uin: known.usage.uin,
            keys: Keys::read(books).await?,
            now: Then::read(books, &default_terms, known, known.closed_as).await?,
            before: match known.earlier {
                Some(earlier) => Some(Then::read(books, &default_terms, known, earlier).await?),
                None => None,
            },
        })
    }

    /// Adds all records of some segments.
    fn all_records(&self, segments: &[Segment], found: &mut Lines) -> Result<()> {
        let (now, before) = (self.now.placing(), self.before.as_ref().map(Then::placing));
        for segment in segments {
            let groups = Groups::open(&self.data.join(&segment.path))?;
            let read = |at| self.counted(&groups, at, &now, before.as_ref());
            threads::in_order(groups.count(), 1, read, |counted| {
                found.extend(&counted);
                Ok(())
            })?;
        }
        Ok(())
    }

    /// Adds records until there are enough. Returns whether there were no more.
    fn first_records(&self, segments: &[Segment], enough: i64, found: &mut Lines) -> Result<bool> {
        let (now, before) = (self.now.placing(), self.before.as_ref().map(Then::placing));
        for segment in segments {
            let groups = Groups::open(&self.data.join(&segment.path))?;
            let mut read = |at| {
                let counted = self.counted(&groups, at, &now, before.as_ref())?;
                found.extend(&counted);
                let is_enough = found.records() >= enough;
                Ok::<_, Error>(if is_enough {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                })
            };
            for at in 0..groups.count() {
                if read(at)?.is_break() {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    /// The account's records in a row group that counted at one of the closings.
    fn counted(&self, groups: &Groups, at: usize, now: &Placing, before: Option<&Placing>) -> Result<Vec<Counted>> {
        let batch_of = |intake| self.keys.batch_of(intake).map(i64::from);
        let records = of_account(groups, at, batch_of, self.uin)?;
        let mut found = Vec::with_capacity(records.len());
        for record in records {
            let hash = identity_hash(&record.source, &record.id);
            if let Some(verdict) = self.keys.own_verdict(hash, (record.batch, record.line))? {
                found.extend(count(record, verdict, now, before)?);
            }
        }
        Ok(found)
    }
}

/// What counted, and as what, when a closing was made.
struct Then {
    batch_hi: i64,
    as_of: AsOf,
    /// Places by the cards that its last metering knew.
    map: AccountCards,
}

/// The same, while records are placed.
struct Placing<'a> {
    then: &'a Then,
    lookup: SkuCache<'a>,
}

/// What a record counted as.
struct CountedAs {
    appid: u64,
    region: String,
    sku: String,
    day: NaiveDate,
    raw: i64,
    billable: i64,
}

impl Then {
    async fn read(books: &Books, default_terms: &Terms, known: &Known<'_>, closed_as: ClosedAs) -> Result<Self> {
        let card_hi = store::card_hi_of_metering(&books.ledger, closed_as.metering).await?;
        let cards = cards_up_to(&books.ledger, card_hi).await?;
        let accounts: BTreeMap<_, _> = [(known.usage.uin, known.usage.account.clone())].into();
        Ok(Self {
            batch_hi: closed_as.batch_hi,
            as_of: AsOf::read(books, closed_as.metering).await?,
            map: AccountCards::new(&Accounts::new(accounts), cards, default_terms),
        })
    }

    fn placing(&self) -> Placing<'_> {
        Placing {
            then: self,
            lookup: SkuCache::new(&self.map),
        }
    }
}

impl Placing<'_> {
    fn counts(&self, record: &RealRecord, verdict: Verdict) -> Result<Option<CountedAs>> {
        let stands = self.then.as_of.of((record.batch, record.line), verdict);
        if stands != RowVerdict::Accepted || self.then.batch_hi < record.batch {
            return Ok(None);
        }
        let delta = delta_of_record(record, &self.then.map, &self.lookup)?;
        Ok(delta.filter(|delta| delta.status == Status::Metered).map(|delta| {
            let place = self.lookup.sku_region_of(delta.code);
            CountedAs {
                appid: delta.appid,
                region: place.region.to_string(),
                sku: place.sku.to_string(),
                day: day_of_number(delta.day),
                raw: delta.raw,
                billable: delta.billable,
            }
        }))
    }
}

fn count(record: RealRecord, verdict: Verdict, now: &Placing, before: Option<&Placing>) -> Result<Option<Counted>> {
    let counts_now = now.counts(&record, verdict)?;
    let counted_before = match before {
        Some(before) => before.counts(&record, verdict)?,
        None => None,
    };
    let (is_now, was_before) = (counts_now.is_some(), counted_before.is_some());
    Ok(counts_now.or(counted_before).map(|what| Counted {
        record,
        what,
        now: is_now,
        before: was_before,
    }))
}
