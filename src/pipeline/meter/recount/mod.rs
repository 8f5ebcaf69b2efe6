//! Recounting: all retained raw measured again under the stored verdicts. It must give the stored usage, always.
//!
//! What is in memory does not grow with what is stored: raw is measured some days at a time, and its sums are held against the usage of
//! these days once no later raw can add to them. Where even these are too many, all is counted several times, each time for a part of the
//! accounts.

mod sums;
mod window;

use std::collections::{BTreeSet, HashSet};
use std::ops::Range;

use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};

use self::sums::{Key, Names, Sum, SumValues, Sums, status_of};
use self::window::{Window, groups, rows_of, windows};
use super::aggregate::measure::{Listing, measure_segment};
use super::dedupe::stored_verdicts::{AsOf, Keys};
use super::store::{Progress, cards_are_the_same, progress, usage_paths};
use crate::catalog::account::add::default_terms;
use crate::catalog::account::erased::store::pseudonyms;
use crate::catalog::account::part::Part;
use crate::catalog::account::store::load_accounts;
use crate::catalog::rate_card::store::{cards_up_to, load_cards};
use crate::context::Books;
use crate::pipeline::meter::classify::sku_cache::{AccountCards, SkuCache};
use crate::storage::raw::segment::SegmentKind;
use crate::storage::raw::store::{Segment, expired_days, segments_between};
use crate::storage::usage::row::Status;
use crate::storage::usage::sku_region::SkuCode;
use crate::storage::usage::table::UsageRows;
use crate::support::error::Result;
use crate::support::progress::Work;
use crate::support::threads;
use crate::values::calendar::{all_days, day_of_number, number_of_day};

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

/// How much a recount may hold.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Raw rows that are looked up and measured together, unless a single segment has more.
    pub rows: i64,
    /// Sums of raw that wait for their usage, before accounts are counted in parts.
    pub sums: usize,
}

/// More parts than these would help nobody: what is left is of one account.
const PARTS_MAX: u64 = 1 << 10;

/// Together at most about a gigabyte.
const LIMITS: Limits = Limits {
    rows: 1 << 22,
    sums: 1 << 22,
};

/// What is recounted.
#[derive(Clone, Copy, Debug)]
pub struct Scope<'a> {
    /// Files that are damaged. Days with a damaged segment are left out; without its keys and usage nothing can be recounted.
    pub damaged: &'a HashSet<String>,
    /// The first local day whose usage is recounted; none: all.
    pub since: Option<NaiveDate>,
}

/// Measures all metered raw again and holds it against the usage files, but for days with a damaged segment.
pub async fn recount(books: &Books, damaged: &HashSet<String>) -> Result<Recount> {
    recount_since(books, Scope { damaged, since: None }).await
}

/// The same of what is in a scope.
pub async fn recount_since(books: &Books, scope: Scope<'_>) -> Result<Recount> {
    recount_within(books, scope, LIMITS).await
}

/// The same, with other limits.
pub async fn recount_within(books: &Books, scope: Scope<'_>, limits: Limits) -> Result<Recount> {
    let is_needed = |path: &&String| !path.starts_with("raw/") && !path.starts_with("log/");
    if let Some(path) = scope.damaged.iter().find(is_needed) {
        return Ok(Recount {
            not_counted: vec![format!("usage was not recomputed: {path} is damaged")],
            ..Recount::default()
        });
    }
    let progress = progress(&books.ledger).await?;
    if progress.metering == 0 {
        return Ok(Recount::default());
    }
    let metered = Metered::read(books, &progress, scope).await?;
    let keys = Keys::read(books).await?;
    let as_of = AsOf::read(books, progress.metering).await?;
    let windows = metered.windows(books, limits).await?;
    let counting = Counting {
        books,
        metered: &metered,
        keys: &keys,
        as_of: &as_of,
        windows: &windows,
        limits,
    };
    tokio::task::block_in_place(|| counting.in_parts())
}

/// Raw that is metered, and what it was metered with.
struct Metered {
    metering: i64,
    /// By day, without those that are damaged.
    segments: Vec<Segment>,
    since: NaiveDate,
    /// UTC days with a damaged segment.
    left_out: BTreeSet<NaiveDate>,
    /// UTC days whose raw is gone.
    expired: HashSet<NaiveDate>,
    map: AccountCards,
    /// Accounts whose raw is gone because they were erased.
    erased: HashSet<u64>,
    /// Whether all meterings knew the same cards.
    same_cards: bool,
}

impl Metered {
    async fn read(books: &Books, progress: &Progress, scope: Scope<'_>) -> Result<Self> {
        let ledger = &books.ledger;
        let since = scope.since.unwrap_or(all_days().0);
        let mut segments = segments_between(ledger, SegmentKind::Usage, 0, progress.batch_hi).await?;
        // A local day may begin on the UTC day before.
        segments.retain(|segment| since <= segment.day + Days::new(1));
        let is_damaged = |segment: &Segment| scope.damaged.contains(&segment.path);
        let left_out = segments.iter().filter(|segment| is_damaged(segment));
        let left_out = left_out.map(|segment| segment.day).collect();
        segments.retain(|segment| !is_damaged(segment));
        // The cards as the last metering knew them: a card that came since has given no record a SKU yet.
        let cards = cards_up_to(ledger, progress.card_hi).await?;
        let default_terms = default_terms(books, &load_cards(ledger).await?)?;
        Ok(Self {
            metering: progress.metering,
            segments,
            since,
            left_out,
            expired: expired_days(ledger).await?,
            map: AccountCards::new(&load_accounts(ledger).await?, cards, &default_terms),
            erased: pseudonyms(ledger).await?,
            same_cards: cards_are_the_same(ledger).await?,
        })
    }

    /// The windows, each with the usage files that have one of its days.
    async fn windows(&self, books: &Books, limits: Limits) -> Result<Vec<(Window<'_>, Vec<String>)>> {
        let mut all = Vec::new();
        for window in windows(&self.segments, self.since, limits.rows) {
            let Range { start, end } = window.days;
            let paths = usage_paths(&books.ledger, start, end, self.metering).await?;
            all.push((window, paths.into_iter().map(|(path, _)| path).collect()));
        }
        Ok(all)
    }

    /// Whether all raw of a local day is there and was measured.
    fn is_whole(&self, day: NaiveDate) -> bool {
        let days = [day - TimeDelta::days(1), day, day + TimeDelta::days(1)];
        days.iter()
            .all(|day| !self.expired.contains(day) && !self.left_out.contains(day))
    }

    /// What of a sum is compared; none when nothing is.
    fn compared(&self, sum: &Sum) -> Option<SumValues> {
        let mut values = sum.values;
        let counts = [Status::Metered, Status::Unmetered].contains(&status_of(sum.key.slot));
        // What does not count keeps the raw units of the card it was received under, and a later card may count the same record in
        // another unit: then only the records are compared.
        if !self.same_cards && !counts {
            values[1] = 0;
        }
        (values != [0; 3] && self.is_whole(day_of_number(sum.key.day))).then_some(values)
    }
}

/// What comparing came to.
#[derive(Default)]
struct Found {
    compared: usize,
    differing: usize,
    told: Vec<String>,
}

/// A recount that is going on.
struct Counting<'a> {
    books: &'a Books,
    metered: &'a Metered,
    keys: &'a Keys,
    as_of: &'a AsOf,
    windows: &'a [(Window<'a>, Vec<String>)],
    limits: Limits,
}

impl Counting<'_> {
    /// With as few parts of the accounts as memory has room for.
    fn in_parts(&self) -> Result<Recount> {
        let rows = rows_of(&self.metered.segments);
        let mut parts = 1;
        let mut found = loop {
            let work = rows.unsigned_abs() * parts;
            let progress = self.books.progress.records("measuring raw again", work);
            match self.count(parts, &progress)? {
                Some(found) => break found,
                None => parts *= 2,
            }
        };
        if found.differing > TOLD_MAX {
            found.told.push(format!("and {} more", found.differing - TOLD_MAX));
        }
        let left_out = self.metered.left_out.iter();
        Ok(Recount {
            rows,
            compared: found.compared,
            not_counted: left_out
                .map(|day| format!("usage of {day} was not recomputed: a raw file is damaged"))
                .collect(),
            differences: found.told,
        })
    }

    /// None when there are too many sums for so few parts.
    fn count(&self, parts: u64, progress: &Work) -> Result<Option<Found>> {
        let mut found = Found::default();
        let mut rows = 0;
        for part in Part::all(parts) {
            let (mut names, mut counted) = (Names::default(), Sums::default());
            for (window, paths) in self.windows {
                let is_counted = self.measure(window, part, &mut names, &mut counted)?;
                let days = number_of_day(window.days.start)..number_of_day(window.days.end);
                let stored = self.stored(paths, &days, part, &mut names)?;
                let (true, Some(mut stored)) = (is_counted, stored) else {
                    return Ok(None);
                };
                rows += rows_of(window.segments).unsigned_abs();
                progress.at(rows);
                self.compare(&counted.take_days(&days), &stored.take_days(&days), &names, &mut found);
            }
        }
        Ok(Some(found))
    }

    /// Adds what raw of a window gives; false when it is too much.
    fn measure(&self, window: &Window, part: Part, names: &mut Names, counted: &mut Sums) -> Result<bool> {
        let lookup = SkuCache::new(&self.metered.map);
        let mut places = SkuSlots::default();
        for segments in groups(window.segments, self.limits.rows) {
            let verdicts = self.keys.of_segments(&self.books.data, segments, self.as_of)?;
            let measure = |at: usize| {
                let segment = &segments[at];
                let from = segment.day.and_hms_opt(0, 0, 0);
                let from = from.map_or(DateTime::<Utc>::MIN_UTC, |from| from.and_utc());
                let days = self.metered.map.local_days(from, from + TimeDelta::days(1));
                let place = self.books.data.join(&segment.path);
                let (map, verdicts) = (&self.metered.map, verdicts.at(at));
                measure_segment(
                    &place,
                    segment.batch_lo,
                    verdicts,
                    map,
                    &days,
                    &lookup,
                    Listing::Nothing,
                )
            };
            threads::in_order(segments.len(), 1, measure, |measured| {
                for share in measured.sums.iter().filter(|share| part.has(share.uin)) {
                    counted.push(Sum {
                        key: Key {
                            uin: share.uin,
                            appid: share.appid,
                            day: share.day,
                            slot: places.slot(share.code, share.status, &lookup, names),
                        },
                        values: [share.records, share.raw, share.billable],
                    });
                }
                Ok(())
            })?;
            if self.is_too_much(counted, part) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn is_too_much(&self, sums: &mut Sums, part: Part) -> bool {
        part.of < PARTS_MAX && sums.are_more_than(self.limits.sums)
    }

    /// What usage files have of some days; none when it is too much.
    fn stored(&self, paths: &[String], days: &Range<i32>, part: Part, names: &mut Names) -> Result<Option<Sums>> {
        let mut stored = Sums::default();
        for path in paths {
            let file = UsageRows::open(&self.books.data.join(path))?;
            threads::in_order(
                file.groups(),
                1,
                |at| file.read(at),
                |rows| {
                    rows.for_each(|row| {
                        if days.contains(&row.day) && part.has(row.uin) && !self.metered.erased.contains(&row.uin) {
                            stored.push(Sum {
                                key: Key {
                                    uin: row.uin,
                                    appid: row.appid,
                                    day: row.day,
                                    slot: names.slot(row.region, row.sku, row.status),
                                },
                                values: [row.records, row.raw, row.billable],
                            });
                        }
                        Ok(())
                    })
                },
            )?;
            if self.is_too_much(&mut stored, part) {
                return Ok(None);
            }
        }
        Ok(Some(stored))
    }

    /// Both sides are in the order of their keys.
    fn compare(&self, counted: &[Sum], stored: &[Sum], names: &Names, found: &mut Found) {
        let compared = |sum: &Sum| self.metered.compared(sum).map(|values| (sum.key, values));
        let mut counted = counted.iter().filter_map(compared).peekable();
        let mut stored = stored.iter().filter_map(compared).peekable();
        loop {
            let key = match (counted.peek(), stored.peek()) {
                (None, None) => return,
                (Some((key, _)), None) | (None, Some((key, _))) => *key,
                (Some((one, _)), Some((other, _))) => *one.min(other),
            };
            let of_raw = counted.next_if(|(of, _)| *of == key).map(|(_, values)| values);
            let of_usage = stored.next_if(|(of, _)| *of == key).map(|(_, values)| values);
            found.compared += usize::from(of_usage.is_some());
            if of_raw != of_usage {
                found.differing += 1;
                if found.told.len() < TOLD_MAX {
                    found.told.push(difference(&key, names, of_raw, of_usage));
                }
            }
        }
    }
}

fn difference(key: &Key, names: &Names, of_raw: Option<SumValues>, of_usage: Option<SumValues>) -> String {
    let (region, sku, status) = names.of(key.slot);
    let text = |values: Option<SumValues>| {
        let [records, raw, billable] = values.unwrap_or_default();
        format!("{records} records, {raw} raw, {billable} billable")
    };
    let (uin, appid, day, status) = (key.uin, key.appid, day_of_number(key.day), status.text());
    format!(
        "account {uin}, app {appid}, {region} {sku}, {day}, {status}: raw data gives {}; stored usage is {}",
        text(of_raw),
        text(of_usage)
    )
}

/// The slots of a cache's SKUs.
#[derive(Default)]
struct SkuSlots {
    slots: Vec<Option<u32>>,
}

impl SkuSlots {
    fn slot(&mut self, code: SkuCode, status: Status, lookup: &SkuCache, names: &mut Names) -> u32 {
        let at = code as usize * Status::ALL.len() + status as usize;
        if self.slots.len() <= at {
            self.slots.resize(at + 1, None);
        }
        *self.slots[at].get_or_insert_with(|| {
            let place = lookup.sku_region_of(code);
            names.slot(&place.region, &place.sku, status)
        })
    }
}
