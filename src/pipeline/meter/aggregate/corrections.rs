//! Correcting: records that were metered before and count otherwise from now on. Voids take them back, a person's word puts
//! another content in their place, a changed card places them.

use std::collections::HashSet;

use super::measure::{RowFields, UnmeteredRecord, delta_of_fields, delta_of_record, unmetered_of};
use crate::pipeline::ingest::record::timestamp::utc_day;
use crate::pipeline::meter::balance::RECEIVED;
use crate::pipeline::meter::classify::sku_cache::SkuCache;
use crate::pipeline::meter::dedupe::Decided;
use crate::pipeline::meter::dedupe::stored_record::{Content, RealRecord};
use crate::pipeline::meter::snapshot::Snapshot;
use crate::pipeline::meter::totals::Outcome;
use crate::storage::usage::row::{Status, UsageRow};
use crate::storage::usage::sku_region::{NO_SKU_COUNT, NO_SKU_MS, UnitKind};
use crate::support::error::Result;

impl Outcome {
    /// Rows metered before that voids take back now, and unmetered ones that a changed card places.
    pub(crate) fn correct(
        &mut self,
        snapshot: &Snapshot,
        decided: &Decided,
        lookup: &SkuCache,
        new_unmetered: Vec<UnmeteredRecord>,
    ) -> Result<Vec<UsageRow>> {
        let mut corrections = Vec::new();
        let mut taken_back = HashSet::new();
        let mut stands = Vec::new();
        for (stood, now) in &decided.replaced {
            self.withdraw(
                snapshot,
                stood,
                Status::Conflict,
                lookup,
                &mut corrections,
                &mut taken_back,
            )?;
            stands.extend(self.accept(snapshot, now, lookup, &mut corrections)?);
        }
        for (record, _) in &decided.voided_before {
            self.withdraw(
                snapshot,
                record,
                Status::Voided,
                lookup,
                &mut corrections,
                &mut taken_back,
            )?;
            stands.retain(|r: &UnmeteredRecord| (r.batch, r.line) != (record.batch, record.line));
        }
        let new_unmetered: Vec<UnmeteredRecord> = new_unmetered.into_iter().chain(stands).collect();
        let rewrites = !new_unmetered.is_empty() || !taken_back.is_empty() || snapshot.tries_unmetered_again();
        if !rewrites {
            return Ok(corrections);
        }
        let mut kept = Vec::with_capacity(snapshot.unmetered.len() + new_unmetered.len());
        for record in &snapshot.unmetered {
            if taken_back.contains(&(record.batch, record.line)) {
                continue;
            }
            // A waived day that expired keeps its records as unmetered for good; nothing is added to it.
            if snapshot.expired.contains(&utc_day(record.finished_at_ns)) {
                continue;
            }
            if !self.classify_again(snapshot, record, lookup, &mut corrections)? {
                kept.push(record.clone());
            }
        }
        kept.extend(new_unmetered);
        kept.sort_unstable_by_key(|r| (r.batch, r.line));
        self.unmetered_file = Some(kept);
        Ok(corrections)
    }

    /// A record that counted counts no more: it was taken back, or another content stands in its place.
    fn withdraw(
        &mut self,
        snapshot: &Snapshot,
        record: &RealRecord,
        status: Status,
        lookup: &SkuCache,
        corrections: &mut Vec<UsageRow>,
        taken_back: &mut HashSet<(i64, u32)>,
    ) -> Result<()> {
        let Some(delta) = delta_of_record(record, &snapshot.map, lookup)? else {
            return Ok(());
        };
        let place = (record.batch, record.line);
        // While it waits in the unmetered file it counts as unmetered, whatever today's card says.
        let waits = snapshot
            .unmetered
            .binary_search_by_key(&place, |r| (r.batch, r.line))
            .is_ok();
        let counted = match (waits, &record.content) {
            (true, Content::Usage { duration_ms, .. }) => UsageRow {
                raw: *duration_ms,
                ..as_unmetered(delta)
            },
            _ if delta.status == Status::Failed => not_counting(share_then(snapshot, record, delta)?, Status::Failed),
            _ => delta,
        };
        if waits {
            taken_back.insert(place);
        }
        self.move_share(record.batch, counted, not_counting(delta, status), corrections);
        Ok(())
    }

    /// A conflicting record counts from now on, as a person said. Returns it when no meter takes it.
    fn accept(
        &mut self,
        snapshot: &Snapshot,
        record: &RealRecord,
        lookup: &SkuCache,
        corrections: &mut Vec<UsageRow>,
    ) -> Result<Option<UnmeteredRecord>> {
        let Some(delta) = delta_of_record(record, &snapshot.map, lookup)? else {
            return Ok(None);
        };
        let conflicting = not_counting(share_then(snapshot, record, delta)?, Status::Conflict);
        self.move_share(record.batch, conflicting, delta, corrections);
        if delta.status == Status::Unmetered {
            return unmetered_of(record, &snapshot.map, lookup);
        }
        Ok(None)
    }

    /// Whether today's card places a record that none did before.
    fn classify_again(
        &mut self,
        snapshot: &Snapshot,
        record: &UnmeteredRecord,
        lookup: &SkuCache,
        corrections: &mut Vec<UsageRow>,
    ) -> Result<bool> {
        let row = RowFields {
            uin: record.uin,
            appid: record.appid,
            duration_ms: record.duration_ms,
            finished_at_ns: record.finished_at_ns,
            failed: false,
        };
        let delta = delta_of_fields(&row, &record.task_type, &record.parameters, &snapshot.map, lookup)?;
        if delta.status != Status::Metered {
            return Ok(false);
        }
        let before = UsageRow {
            raw: record.duration_ms,
            ..as_unmetered(delta)
        };
        self.move_share(record.batch, before, delta, corrections);
        self.classified_again += 1;
        Ok(true)
    }

    /// Moves one record of an earlier batch from one status to another.
    fn move_share(&mut self, batch: i64, from: UsageRow, to: UsageRow, corrections: &mut Vec<UsageRow>) {
        let back = UsageRow {
            records: -from.records,
            raw: -from.raw,
            billable: -from.billable,
            ..from
        };
        let totals = self.totals.entry(batch).or_default();
        for delta in [back, to] {
            corrections.push(delta);
            totals.entry(delta.status.text()).or_default().add_share(&delta);
        }
        // A record measured in another unit than before moves the received side with it, in that unit.
        if back.unit != to.unit {
            let received = totals.entry(RECEIVED).or_default();
            for delta in [back, to] {
                match delta.unit {
                    UnitKind::Ms => received.raw_ms += i128::from(delta.raw),
                    UnitKind::Count => received.raw_count += i128::from(delta.raw),
                }
            }
        }
    }
}

fn nowhere(delta: UsageRow) -> u32 {
    if delta.unit == UnitKind::Count {
        NO_SKU_COUNT
    } else {
        NO_SKU_MS
    }
}

/// The usage of a record as it was measured when its batch was; the cards of today may count it in another unit.
fn share_then(snapshot: &Snapshot, record: &RealRecord, today: UsageRow) -> Result<UsageRow> {
    let Some(map) = snapshot.historic_cards.account_cards_of(record.batch) else {
        return Ok(today);
    };
    Ok(delta_of_record(record, map, &SkuCache::new(map))?.unwrap_or(today))
}

/// The same record under a status that bills nothing.
fn not_counting(delta: UsageRow, status: Status) -> UsageRow {
    UsageRow {
        status,
        code: nowhere(delta),
        appid: 0,
        billable: 0,
        ..delta
    }
}

fn as_unmetered(delta: UsageRow) -> UsageRow {
    UsageRow {
        status: Status::Unmetered,
        code: NO_SKU_MS,
        unit: UnitKind::Ms,
        appid: 0,
        billable: 0,
        ..delta
    }
}
