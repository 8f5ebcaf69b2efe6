//! Recounting: all retained raw measured again under the stored verdicts. It must give the stored usage, always.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use chrono::{DateTime, NaiveDate, TimeDelta, Utc};
use polars::prelude::Column;

use super::dedupe::RowVerdict;
use super::key_run::{KeyRun, Verdict, keys_of_hash};
use super::measure::measure_segment;
use super::place::{Map, Placer};
use super::plan::Plan;
use super::resolution::Place;
use super::store::{cards_are_the_same, progress, usage_paths};
use super::sums::{Share, Status};
use crate::books::Books;
use crate::card::store::cards_up_to;
use crate::error::{Doing as _, Error, Result};
use crate::parallel;
use crate::raw::segment::{SegmentKind, read_columns};
use crate::raw::store::{Segment, batches_by_intake, expired_days, segments_between};
use crate::span::{all_days, day_of_number};

/// Account, app, region, SKU, day, status.
type Key = (u64, u64, String, String, NaiveDate, String);

/// Records, raw and billable base units.
type Sums = [i64; 3];

/// What a recount found.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Recount {
    /// Raw rows measured again.
    pub rows: i64,
    /// Usage sums compared: those of days whose raw is all there.
    pub compared: usize,
    /// What could not be measured, because a file is damaged.
    pub not_counted: Vec<String>,
    /// Sentences that name what differs; empty is good.
    pub differences: Vec<String>,
}

/// Differences told at most; their number is told in full.
const TOLD_MAX: usize = 20;

/// Measures all metered raw again and holds it against the usage files. Days with a damaged segment are left out; without its
/// keys and usage nothing can be recounted.
pub async fn recount(books: &Books, damaged: &HashSet<String>) -> Result<Recount> {
    if let Some(path) = damaged
        .iter()
        .find(|path| !path.starts_with("raw/") && !path.starts_with("log/"))
    {
        return Ok(Recount {
            not_counted: vec![format!("raw was not measured again: {path} is damaged")],
            ..Recount::default()
        });
    }
    if progress(&books.ledger).await?.metering == 0 {
        return Ok(Recount::default());
    }
    let plan = Plan::read(books).await?;
    let metered_to = plan.progress.batch_hi;
    let mut segments = segments_between(&books.ledger, SegmentKind::Usage, 0, metered_to).await?;
    let left_out: BTreeSet<NaiveDate> = segments
        .iter()
        .filter(|segment| damaged.contains(&segment.path))
        .map(|segment| segment.day)
        .collect();
    segments.retain(|segment| !damaged.contains(&segment.path));
    // The cards as the last metering knew them: a card that came since has placed nothing yet.
    let cards = cards_up_to(&books.ledger, plan.progress.card_hi).await?;
    let map = Map::new(&plan.accounts, cards, &plan.default_terms);
    let same_cards = cards_are_the_same(&books.ledger).await?;
    let batches = batches_by_intake(&books.ledger).await?;
    let expired: HashSet<NaiveDate> = expired_days(&books.ledger).await?;
    let (from, to) = all_days();
    let paths = usage_paths(&books.ledger, from, to, plan.progress.metering).await?;
    tokio::task::block_in_place(|| {
        let runs = plan.open_key_runs(books)?;
        let voided = voided_rows(&plan);
        let mut counted = measured_again(books, &plan, &map, &segments, &batches, &runs, &voided)?;
        let mut stored = stored_usage(books, &paths)?;
        let is_whole = |key: &Key| {
            let days = [key.4 - TimeDelta::days(1), key.4, key.4 + TimeDelta::days(1)];
            days.iter().all(|day| !expired.contains(day) && !left_out.contains(day))
        };
        if !same_cards {
            forget_raw_of_uncounted(&mut counted);
            forget_raw_of_uncounted(&mut stored);
        }
        counted.retain(|key, sums| is_whole(key) && *sums != [0; 3]);
        stored.retain(|key, sums| is_whole(key) && *sums != [0; 3]);
        Ok(Recount {
            rows: segments.iter().map(|s| s.rows).sum(),
            compared: stored.len(),
            not_counted: left_out
                .iter()
                .map(|day| format!("raw of {day} was not measured again: a segment is damaged"))
                .collect(),
            differences: differences(&counted, &stored),
        })
    })
}

/// Records that a void took back.
fn voided_rows(plan: &Plan) -> HashSet<Place> {
    plan.voids.iter().filter_map(|void| void.took).collect()
}

/// What does not count keeps the raw units of the card it was received under, and a later card may count the same record in
/// another unit: then only the records are compared.
fn forget_raw_of_uncounted(sums: &mut BTreeMap<Key, Sums>) {
    let counts = [Status::Metered.text(), Status::Unmetered.text()];
    for (key, sums) in sums {
        if !counts.contains(&key.5.as_str()) {
            sums[1] = 0;
        }
    }
}

fn measured_again(
    books: &Books,
    plan: &Plan,
    map: &Map,
    segments: &[Segment],
    batches: &HashMap<i64, i64>,
    runs: &[KeyRun],
    voided: &HashSet<Place>,
) -> Result<BTreeMap<Key, Sums>> {
    let placer = Placer::new(map);
    let stands = plan.resolutions.booked(plan.progress.metering);
    let parts: Vec<Vec<Share>> = parallel::map(segments.len(), |at| {
        let segment = &segments[at];
        let place = books.data.join(&segment.path);
        let verdicts = stored_verdicts(&place, batches, runs, voided, &stands)?;
        let from = segment
            .day
            .and_hms_opt(0, 0, 0)
            .map_or(DateTime::<Utc>::MIN_UTC, |t| t.and_utc());
        let days = map.local_days(from, from + TimeDelta::days(1));
        let measured = measure_segment(&place, segment.batch_lo, &verdicts, map, &days, &placer)?;
        Ok(measured.sums.iter().collect())
    })?;
    let places = placer.into_places();
    let mut counted: BTreeMap<Key, Sums> = BTreeMap::new();
    for share in parts.into_iter().flatten() {
        let place = places.get(share.code);
        let key = (
            share.uin,
            share.appid,
            place.region.to_string(),
            place.sku.to_string(),
            day_of_number(share.day),
            share.status.text().to_owned(),
        );
        add(&mut counted, key, [share.records, share.raw, share.billable]);
    }
    Ok(counted)
}

fn stored_verdicts(
    place: &std::path::PathBuf,
    batches: &HashMap<i64, i64>,
    runs: &[KeyRun],
    voided: &HashSet<Place>,
    stands: &HashMap<Place, bool>,
) -> Result<Vec<RowVerdict>> {
    let frame = read_columns(place, &["intake", "line", "key"])?;
    let intake = frame.column("intake").and_then(Column::i64).doing("reading intakes")?;
    let line = frame.column("line").and_then(Column::u32).doing("reading lines")?;
    let key = frame.column("key").and_then(Column::u64).doing("reading keys")?;
    let mut verdicts = Vec::with_capacity(frame.height());
    for ((intake, line), hash) in intake
        .into_no_null_iter()
        .zip(line.into_no_null_iter())
        .zip(key.into_no_null_iter())
    {
        let batch = batches
            .get(&intake)
            .and_then(|batch| u32::try_from(*batch).ok())
            .ok_or_else(|| {
                Error::damaged(
                    place,
                    format!("has rows of intake {intake}, which no committed batch has"),
                )
            })?;
        let own = keys_of_hash(runs, hash)?
            .into_iter()
            .find(|k| (k.batch, k.line) == (batch, line));
        let at = (i64::from(batch), line);
        let stands = |verdict| stands.get(&at).copied().unwrap_or(verdict == Verdict::Accepted);
        verdicts.push(match own.map(|key| key.verdict) {
            None => RowVerdict::Duplicate,
            Some(verdict) if !stands(verdict) => RowVerdict::Conflict,
            Some(_) if voided.contains(&at) => RowVerdict::Voided,
            Some(_) => RowVerdict::Accepted,
        });
    }
    Ok(verdicts)
}

fn stored_usage(books: &Books, paths: &[(String, i64)]) -> Result<BTreeMap<Key, Sums>> {
    let mut stored: BTreeMap<Key, Sums> = BTreeMap::new();
    for (path, _) in paths {
        super::usage_table::for_each_row(&books.data.join(path), |row| {
            let key = (
                row.uin,
                row.appid,
                row.region.to_owned(),
                row.sku.to_owned(),
                day_of_number(row.day),
                row.status.to_owned(),
            );
            add(&mut stored, key, [row.records, row.raw, row.billable]);
        })?;
    }
    Ok(stored)
}

/// Sums beyond 64 bits were refused when they were metered, so these do not overflow; a damaged file shows as a difference.
fn add(sums: &mut BTreeMap<Key, Sums>, key: Key, more: Sums) {
    let sum = sums.entry(key).or_default();
    for (sum, more) in sum.iter_mut().zip(more) {
        *sum = sum.saturating_add(more);
    }
}

fn differences(counted: &BTreeMap<Key, Sums>, stored: &BTreeMap<Key, Sums>) -> Vec<String> {
    let keys: std::collections::BTreeSet<&Key> = counted.keys().chain(stored.keys()).collect();
    let differing: Vec<&Key> = keys
        .into_iter()
        .filter(|key| counted.get(*key) != stored.get(*key))
        .collect();
    let mut told: Vec<String> = differing
        .iter()
        .take(TOLD_MAX)
        .map(|key| {
            let (uin, appid, region, sku, day, status) = key;
            let text = |sums: Option<&Sums>| {
                let [records, raw, billable] = sums.copied().unwrap_or_default();
                format!("{records} records, {raw} raw, {billable} billable")
            };
            format!(
                "account {uin}, app {appid}, {region} {sku}, {day}, {status}: raw gives {}; usage has {}",
                text(counted.get(*key)),
                text(stored.get(*key))
            )
        })
        .collect();
    if differing.len() > TOLD_MAX {
        told.push(format!("and {} more sums", differing.len() - TOLD_MAX));
    }
    told
}
