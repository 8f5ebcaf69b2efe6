//! The control-total rule, stated once: what came in is what became of it.
//!
//! ```text
//! received = quarantined + duplicate + conflict + void + voided + failed + unmetered + metered
//! ```
//!
//! It holds for each batch and for all of them, in records, in milliseconds and in counts.

use std::collections::BTreeMap;

use super::store;
use super::store::Total;
use crate::context::Books;
use crate::storage::ledger::Ledger;
use crate::support::error::{Error, Result};

/// The name of the left side among a batch's control totals.
pub const RECEIVED: &str = "received";

/// Lines that never became rows.
pub const QUARANTINED: &str = "quarantined";

/// The right side: the eight statuses, in the order of the rules.
pub const STATUSES: [&str; 8] = [
    QUARANTINED,
    "duplicate",
    "conflict",
    "void",
    "voided",
    "failed",
    "unmetered",
    "metered",
];

/// Records, milliseconds and counts.
pub type Amounts = [i128; 3];

/// The left side less the right one; all zero where the rule holds.
pub fn difference<'a>(totals: impl IntoIterator<Item = (&'a str, Amounts)>) -> Amounts {
    let mut left_over = [0; 3];
    for (status, amounts) in totals {
        let sign = if status == RECEIVED { 1 } else { -1 };
        for (sum, amount) in left_over.iter_mut().zip(amounts) {
            *sum += sign * amount;
        }
    }
    left_over
}

/// Both sides, over the batches that a run metered and over all of them.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Control {
    /// The high-water batch that the totals are as of.
    pub batch_hi: i64,
    pub run: Sides,
    pub all: Sides,
}

/// Both sides of the rule.
#[derive(Clone, Debug, Default, serde::Serialize)]
pub struct Sides {
    pub received: Total,
    /// In the order of the rules.
    pub statuses: Vec<(&'static str, Total)>,
    pub balances: bool,
}

/// Reads both sides back from the ledger.
///
/// # Errors
/// [`Error::Unbalanced`] when they differ.
pub async fn control(books: &Books, after: i64, up_to: i64) -> Result<Control> {
    let control = Control {
        batch_hi: up_to,
        run: sides(books, after, up_to).await?,
        all: sides(books, 0, up_to).await?,
    };
    if control.all.balances && control.run.balances {
        return Ok(control);
    }
    Err(Error::Unbalanced(format!(
        "control totals up to batch {up_to}: {}",
        serde_json::to_string(&control)?
    )))
}

async fn sides(books: &Books, after: i64, up_to: i64) -> Result<Sides> {
    let totals = store::control_totals(&books.ledger, after, up_to).await?;
    let of = |status: &str| totals.get(status).copied().unwrap_or_default();
    let statuses: Vec<(&'static str, Total)> = STATUSES.iter().map(|&status| (status, of(status))).collect();
    let received = of(RECEIVED);
    let both = statuses.iter().copied().chain([(RECEIVED, received)]);
    let balances = difference(both.map(|(status, total)| (status, total.amounts()))) == [0; 3];
    Ok(Sides {
        received,
        statuses,
        balances,
    })
}

/// The control totals of one batch.
pub struct OfBatch {
    pub batch: i64,
    pub received: i128,
    pub difference: Amounts,
}

/// Each batch of a range, both ends included, that has control totals.
pub async fn by_batch(ledger: &Ledger, first: i64, last: i64) -> Result<Vec<OfBatch>> {
    let mut batches: BTreeMap<i64, Vec<(String, Amounts)>> = BTreeMap::new();
    for (batch, status, total) in store::control_totals_by_batch(ledger, first, last).await? {
        batches.entry(batch).or_default().push((status, total.amounts()));
    }
    let of_batch = |(batch, totals): (i64, Vec<(String, Amounts)>)| OfBatch {
        batch,
        received: totals
            .iter()
            .filter(|(status, _)| status == RECEIVED)
            .map(|(_, amounts)| amounts[0])
            .sum(),
        difference: difference(totals.iter().map(|(status, amounts)| (status.as_str(), *amounts))),
    };
    Ok(batches.into_iter().map(of_batch).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_in_less_what_became_of_it_is_nothing_where_the_rule_holds() {
        let received = (RECEIVED, [5, 100, 3]);
        assert_eq!(
            difference([received, ("metered", [4, 100, 1]), ("failed", [1, 0, 2])]),
            [0; 3]
        );
        assert_eq!(difference([received, ("metered", [4, 90, 3])]), [1, 10, 0]);
        assert_eq!(difference([("metered", [1, 0, 0])]), [-1, 0, 0]);
    }
}
