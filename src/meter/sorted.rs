//! New rows sorted by identity hash, then batch and line, in partitions by the hash's first byte.

use rayon::prelude::*;

use super::identities::{Identities, Row};

const PARTITIONS: usize = 256;

/// A hash and its row.
type Entry = (u64, Row);

/// Sorted rows.
pub struct Sorted {
    partitions: Vec<Vec<Entry>>,
}

impl Sorted {
    pub fn of(identities: &Identities) -> Self {
        let mut counts = [0_usize; PARTITIONS];
        for &key in &identities.key {
            counts[partition(key)] += 1;
        }
        let mut partitions: Vec<Vec<Entry>> = counts.iter().map(|&count| Vec::with_capacity(count)).collect();
        for (row, &key) in (0..).zip(&identities.key) {
            partitions[partition(key)].push((key, row));
        }
        partitions.par_iter_mut().for_each(|entries| {
            entries.sort_unstable_by(|a, b| {
                a.0.cmp(&b.0)
                    .then_with(|| identities.order(a.1).cmp(&identities.order(b.1)))
            });
        });
        Self { partitions }
    }

    /// Rows by ascending hash.
    pub fn iter(&self) -> impl Iterator<Item = Entry> + '_ {
        self.partitions.iter().flatten().copied()
    }

    /// The partitions, each sorted, each above the one before.
    pub fn partitions(&self) -> &[Vec<Entry>] {
        &self.partitions
    }

    /// The rows of a hash, first one first.
    pub fn of_hash(&self, hash: u64) -> impl Iterator<Item = Row> + '_ {
        let entries = &self.partitions[partition(hash)];
        let start = entries.partition_point(|entry| entry.0 < hash);
        entries[start..]
            .iter()
            .take_while(move |entry| entry.0 == hash)
            .map(|entry| entry.1)
    }
}

fn partition(hash: u64) -> usize {
    usize::from(hash.to_be_bytes()[0])
}
