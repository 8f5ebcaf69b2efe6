//! The raw records behind a line: which rows counted when the statement was closed.

use std::collections::{BTreeMap, HashMap, HashSet};

use chrono::{Days, NaiveDate};

use super::{Explained, Known, store};
use crate::account::AccountBook;
use crate::books::Books;
use crate::card::store::cards_up_to;
use crate::close::store::ClosedAs;
use crate::error::{Error, Result};
use crate::ingest::fingerprint::identity_hash;
use crate::meter::content::{self, Content, RealRecord};
use crate::meter::key_run::{KeyRun, Verdict, keys_of_hash};
use crate::meter::measure::share_of_record;
use crate::meter::place::{Map, Placer};
use crate::meter::plan::Plan;
use crate::meter::resolution::Place;
use crate::meter::sums::Status;
use crate::rate::Kind;
use crate::raw::segment::{SegmentKind, check_written};
use crate::raw::store::{batches_by_intake, segments_of_day};
use crate::span::day_of_number;

/// The records that count in a line; of an adjustment, those that count since, or no more.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Behind {
    /// Records that raw still holds, all of them; negative ones count no more.
    pub records: i64,
    pub raw_units: i64,
    pub billable_units: i64,
    /// The first of them.
    pub told: Vec<RecordBehind>,
    /// What stands for the account's raw rows of expired days, among them those of the line.
    pub expired: Vec<Stands>,
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

/// A record that counted at one of two closings, with what it counted as.
struct Counted {
    record: RealRecord,
    what: CountedAs,
    now: bool,
    before: bool,
}

/// Adds to each line the records behind it, and checks that they are as many as were billed.
pub async fn add(books: &Books, known: &Known<'_>, lines: &mut [Explained], told_max: usize) -> Result<()> {
    let spans = lines.iter().filter(|line| line.appid.is_some()).map(|line| line.span);
    let Some((from, to)) = spans.reduce(|a, b| (a.0.min(b.0), a.1.max(b.1))) else {
        return Ok(());
    };
    // A local day lies in the UTC days around it.
    let first = from.checked_sub_days(Days::new(1)).unwrap_or(from);
    let expired = store::expired(&books.ledger, known.usage.uin, first, to).await?;
    let counted = counted(books, known, first, to).await?;
    for line in lines.iter_mut().filter(|line| line.appid.is_some()) {
        let behind = behind(line, &counted, &expired, told_max);
        check(known, line, &behind)?;
        line.behind = Some(behind);
    }
    Ok(())
}

fn behind(line: &Explained, counted: &[Counted], expired: &[Stands], told_max: usize) -> Behind {
    let is_adjustment = line.kind == Kind::Adjustment.word();
    let (from, to) = line.span;
    let mut behind = Behind::default();
    for record in counted {
        let what = &record.what;
        let is_of_line = line.appid.as_deref() == Some(&what.appid.to_string())
            && (line.region.as_str(), line.sku.as_str()) == (&what.region, &what.sku)
            && from <= what.day
            && what.day < to;
        let (sign, how) = match (is_adjustment, record.before, record.now) {
            (false, _, true) => (1, "counts"),
            (true, false, true) => (1, "counts since the close"),
            (true, true, false) => (-1, "counts no more"),
            _ => continue,
        };
        if is_of_line {
            behind.records += sign;
            behind.raw_units += sign * what.raw;
            behind.billable_units += sign * what.billable;
            if behind.told.len() < told_max {
                behind.told.push(told(record, how));
            }
        }
    }
    let utc = |stands: &&Stands| {
        let day: Option<NaiveDate> = stands.utc_day.parse().ok();
        // A local day lies in the UTC days around it.
        day.is_some_and(|day| from <= day.checked_add_days(Days::new(1)).unwrap_or(day) && day <= to)
    };
    behind.expired = expired.iter().filter(utc).cloned().collect();
    behind
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
            crate::clock::instant_ns_text(*finished_at_ns),
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
    if found == (usage.records, usage.raw_units, usage.billable_units) {
        return Ok(());
    }
    Err(Error::Unbalanced(format!(
        "line {} of statement {} rests on {} records with {} base units, and raw has {} with {}; run `verify`",
        line.line_no,
        known.statement.statement_id,
        usage.records,
        usage.billable_units,
        behind.records,
        behind.billable_units
    )))
}

/// The account's rows that counted at this closing or at the one before it, by batch and line.
async fn counted(books: &Books, known: &Known<'_>, first: NaiveDate, to: NaiveDate) -> Result<Vec<Counted>> {
    let plan = Plan::read(books).await?;
    let now = Then::read(books, &plan, known, known.closed_as).await?;
    let before = match known.earlier {
        Some(earlier) => Some(Then::read(books, &plan, known, earlier).await?),
        None => None,
    };
    let batches = batches_by_intake(&books.ledger).await?;
    let runs = plan.open_key_runs(books)?;
    let now = now.placing();
    let before = before.as_ref().map(Then::placing);
    let mut found = Vec::new();
    let mut day = Some(first);
    while let Some(utc_day) = day.filter(|day| *day <= to) {
        for segment in segments_of_day(&books.ledger, SegmentKind::Usage, utc_day).await? {
            let read = || {
                // What is damaged is no evidence.
                check_written(&books.data.join(&segment.path), &segment.digest)?;
                content::of_account(&books.data, &segment, &batches, known.usage.uin)
            };
            let records: Vec<RealRecord> = tokio::task::block_in_place(read)?;
            for record in records {
                found.extend(count(record, &runs, &now, before.as_ref())?);
            }
        }
        day = utc_day.succ_opt();
    }
    found.sort_by_key(|counted| (counted.record.batch, counted.record.line));
    Ok(found)
}

/// What counted, and as what, when a closing was made.
struct Then {
    batch_hi: i64,
    stands: HashMap<Place, bool>,
    /// Rows that a void had taken back.
    voided: HashSet<Place>,
    /// Places by the cards that its last metering knew.
    map: Map,
}

/// The same, while records are placed.
struct Placing<'a> {
    then: &'a Then,
    placer: Placer<'a>,
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
    async fn read(books: &Books, plan: &Plan, known: &Known<'_>, closed_as: ClosedAs) -> Result<Self> {
        let card_hi = store::card_hi_of_metering(&books.ledger, closed_as.metering).await?;
        let cards = cards_up_to(&books.ledger, card_hi).await?;
        let accounts: BTreeMap<_, _> = [(known.usage.uin, known.usage.account.clone())].into();
        let voids = plan
            .voids
            .iter()
            .filter(|void| void.metering.is_some_and(|at| at <= closed_as.metering));
        Ok(Self {
            batch_hi: closed_as.batch_hi,
            stands: plan.resolutions.booked(closed_as.metering),
            voided: voids.filter_map(|void| void.took).collect(),
            map: Map::new(&AccountBook::new(accounts), cards, &plan.default_terms),
        })
    }

    fn placing(&self) -> Placing<'_> {
        Placing {
            then: self,
            placer: Placer::new(&self.map),
        }
    }
}

impl Placing<'_> {
    fn counts(&self, record: &RealRecord, verdict: Verdict) -> Result<Option<CountedAs>> {
        let place = (record.batch, record.line);
        let stands = self.then.stands.get(&place).copied();
        let stands = stands.unwrap_or(verdict == Verdict::Accepted);
        if !stands || self.then.batch_hi < record.batch || self.then.voided.contains(&place) {
            return Ok(None);
        }
        let share = share_of_record(record, &self.then.map, &self.placer)?;
        Ok(share.filter(|share| share.status == Status::Metered).map(|share| {
            let place = self.placer.place_of(share.code);
            CountedAs {
                appid: share.appid,
                region: place.region.to_string(),
                sku: place.sku.to_string(),
                day: day_of_number(share.day),
                raw: share.raw,
                billable: share.billable,
            }
        }))
    }
}

fn count(record: RealRecord, runs: &[KeyRun], now: &Placing, before: Option<&Placing>) -> Result<Option<Counted>> {
    let hash = identity_hash(&record.source, &record.id);
    let mut keys = keys_of_hash(runs, hash)?.into_iter();
    let own = keys.find(|key| (i64::from(key.batch), key.line) == (record.batch, record.line));
    let Some(key) = own else { return Ok(None) };
    let counts_now = now.counts(&record, key.verdict)?;
    let counted_before = match before {
        Some(before) => before.counts(&record, key.verdict)?,
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
