//! What should be, minus all that was billed.

use std::collections::{BTreeMap, BTreeSet};

use super::Billed;
use super::rating::{Group, Line};

/// Slice, unit price and discount: what the lines of a group differ in.
type Price = (usize, i128, i128);

/// What a group comes to.
#[derive(Default)]
struct Sum {
    records: i128,
    quantities: BTreeMap<Price, i128>,
}

/// The adjustment lines that make of what was billed what should be, in order.
pub fn differences(should_be: &[Line], billed: &[Billed]) -> Vec<Line> {
    let should_be = sums(should_be.iter());
    let billed = sums(billed.iter().map(|billed| &billed.line));
    let groups: BTreeSet<&Group> = should_be.keys().chain(billed.keys()).copied().collect();
    let nothing = Sum::default();
    groups
        .into_iter()
        .flat_map(|group| {
            let [should_be, billed] = [&should_be, &billed].map(|sums| sums.get(group).unwrap_or(&nothing));
            difference(group, should_be, billed)
        })
        .collect()
}

fn sums<'a>(lines: impl Iterator<Item = &'a Line>) -> BTreeMap<&'a Group, Sum> {
    let mut sums: BTreeMap<&Group, Sum> = BTreeMap::new();
    for line in lines {
        let sum = sums.entry(&line.group).or_default();
        sum.records += line.records;
        let price = (line.slice, line.price, line.discount);
        *sum.quantities.entry(price).or_default() += line.quantity;
    }
    sums
}

/// The records stand on the first line; where only they differ, on a line without quantity.
fn difference(group: &Group, should_be: &Sum, billed: &Sum) -> Vec<Line> {
    let mut records = should_be.records - billed.records;
    let mut moved = moved(should_be, billed);
    if moved.is_empty() && records != 0 {
        let mut prices = should_be.quantities.keys().chain(billed.quantities.keys());
        moved.push((*prices.next().expect("records stand on a line"), 0));
    }
    let line = |((slice, price, discount), quantity)| Line {
        group: group.clone(),
        slice,
        price,
        discount,
        records: std::mem::take(&mut records),
        quantity,
    };
    moved.into_iter().map(line).collect()
}

/// Differing quantities by slice, what is taken back first, and price.
fn moved(should_be: &Sum, billed: &Sum) -> Vec<(Price, i128)> {
    let mut moved = should_be.quantities.clone();
    for (&price, quantity) in &billed.quantities {
        *moved.entry(price).or_default() -= quantity;
    }
    let mut moved: Vec<(Price, i128)> = moved.into_iter().filter(|&(_, quantity)| quantity != 0).collect();
    moved.sort_by_key(|&((slice, price, discount), quantity)| (slice, quantity > 0, price, discount));
    moved
}
