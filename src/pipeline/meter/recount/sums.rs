//! Sums that are held against each other: added up by sorting, in 48 bytes each. Pure.

use std::ops::Range;

use hashbrown::HashMap;

use crate::storage::usage::row::Status;

/// Whose sum it is, of what and of which day. In the order of accounts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Key {
    pub uin: u64,
    pub appid: u64,
    /// Local, days since 1970.
    pub day: i32,
    /// Region, SKU and status, as [`Names`] numbers them.
    pub slot: u32,
}

/// Records, raw and billable base units.
pub type SumValues = [i64; 3];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sum {
    pub key: Key,
    pub values: SumValues,
}

/// Room for sums that are not added up yet, so that few are sorted again and again.
const SLACK: usize = 1 << 20;

/// Sums by key.
#[derive(Default)]
pub struct Sums {
    all: Vec<Sum>,
    /// How many were left when they were last added up.
    keys: usize,
}

impl Sums {
    pub fn push(&mut self, sum: Sum) {
        self.all.push(sum);
        if self.all.len() >= 2 * self.keys + SLACK {
            self.add_up();
        }
    }

    /// Whether there are more keys than so many.
    pub fn are_more_than(&mut self, keys: usize) -> bool {
        if self.all.len() > keys {
            self.add_up();
        }
        self.all.len() > keys
    }

    /// Takes the sums of some days out, in order, and drops those of earlier days.
    pub fn take_days(&mut self, days: &Range<i32>) -> Vec<Sum> {
        self.add_up();
        let later = self.all.iter().filter(|sum| sum.key.day >= days.end).copied().collect();
        let mut taken = std::mem::replace(&mut self.all, later);
        self.keys = self.all.len();
        taken.retain(|sum| days.contains(&sum.key.day));
        taken
    }

    /// Sums beyond 64 bits were refused when they were metered, so these do not overflow; a damaged file shows as a difference.
    fn add_up(&mut self) {
        self.all.sort_unstable_by_key(|sum| sum.key);
        self.all.dedup_by(|next, kept| {
            let is_same = next.key == kept.key;
            if is_same {
                for (sum, more) in kept.values.iter_mut().zip(next.values) {
                    *sum = sum.saturating_add(more);
                }
            }
            is_same
        });
        self.keys = self.all.len();
    }
}

/// Regions, SKUs and statuses, numbered by first sight.
#[derive(Default)]
pub struct Names {
    places: Vec<(String, String)>,
    numbers: HashMap<(String, String), u32>,
}

/// A borrowed region and SKU, hashed as the owned pair is.
#[derive(Hash)]
struct PlaceRef<'a>(&'a str, &'a str);

impl hashbrown::Equivalent<(String, String)> for PlaceRef<'_> {
    fn equivalent(&self, owned: &(String, String)) -> bool {
        self.0 == owned.0 && self.1 == owned.1
    }
}

/// Statuses of a place.
const STATUSES: u32 = 8;

impl Names {
    pub fn slot(&mut self, region: &str, sku: &str, status: Status) -> u32 {
        let place = self.numbers.get(&PlaceRef(region, sku)).copied();
        place.unwrap_or_else(|| self.add(region, sku)) * STATUSES + status as u32
    }

    fn add(&mut self, region: &str, sku: &str) -> u32 {
        let number = u32::try_from(self.places.len()).expect("regions and SKUs are few");
        let place = (region.to_owned(), sku.to_owned());
        self.places.push(place.clone());
        self.numbers.insert(place, number);
        number
    }

    /// Region, SKU and status of a slot.
    pub fn of(&self, slot: u32) -> (&str, &str, Status) {
        let (region, sku) = &self.places[(slot / STATUSES) as usize];
        (region, sku, status_of(slot))
    }
}

pub fn status_of(slot: u32) -> Status {
    Status::ALL[(slot % STATUSES) as usize]
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_come_back_from_their_slots() {
        let mut names = Names::default();
        let first = names.slot("r", "A", Status::Metered);
        let other = names.slot("r", "A", Status::Duplicate);
        let second = names.slot("", "", Status::Failed);
        assert_eq!(names.slot("r", "A", Status::Metered), first);
        assert_eq!(names.of(first), ("r", "A", Status::Metered));
        assert_eq!(names.of(other), ("r", "A", Status::Duplicate));
        assert_eq!(names.of(second), ("", "", Status::Failed));
    }

    proptest! {
        #[test]
        fn sums_are_those_of_a_table_window_by_window(
            rows in prop::collection::vec((0_u64..5, 0_u64..2, 0_i32..9, 0_u32..3, -3_i64..9), 0..300),
            cuts in prop::collection::btree_set(0_i32..9, 0..4),
        ) {
            let mut table: BTreeMap<(u64, u64, i32, u32), i64> = BTreeMap::new();
            let mut sums = Sums::default();
            for &(uin, appid, day, slot, value) in &rows {
                *table.entry((uin, appid, day, slot)).or_default() += value;
                sums.push(Sum { key: Key { uin, appid, day, slot }, values: [1, value, value] });
            }
            let mut found: BTreeMap<(u64, u64, i32, u32), i64> = BTreeMap::new();
            let ends = cuts.into_iter().chain([9]);
            let mut start = 0;
            for end in ends {
                let taken = sums.take_days(&(start..end));
                prop_assert!(taken.is_sorted_by(|one, next| one.key < next.key));
                for Sum { key, values } in taken {
                    prop_assert!((start..end).contains(&key.day));
                    found.insert((key.uin, key.appid, key.day, key.slot), values[1]);
                }
                start = end;
            }
            prop_assert_eq!(found, table);
            prop_assert!(!sums.are_more_than(0));
        }
    }
}
