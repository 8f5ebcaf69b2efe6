//! The open conflicts of the periods that a close closed: from now on a decision about them is an adjustment.

use std::collections::HashMap;

use super::price_difference::Between;
use super::{ListedAll, Sided, SumOfMoney, all_with_sides};
use crate::context::Books;
use crate::pipeline::close::Closed;
use crate::pipeline::meter::snapshot::Snapshot;
use crate::support::error::Result;
use crate::values::calendar::Period;

/// Conflicts told one by one; `conflict list` has all.
const TOLD: usize = 10;

/// What was closed over.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct ClosedOver {
    /// Open conflicts with either content in a period that closed.
    pub count: usize,
    /// The first of them, each with the periods.
    pub conflicts: Vec<InPeriods>,
    /// What statements would come to more, if every later content stood.
    pub money: Vec<SumOfMoney>,
    /// Why some of the money cannot be told.
    pub note: String,
}

/// An open conflict and the closed periods that it touches.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct InPeriods {
    pub conflict: i64,
    pub source: String,
    pub id: String,
    /// Such as `account 7, 2024-11-01 to 2024-12-01`.
    pub periods: Vec<String>,
}

/// The open conflicts of the periods that were closed.
pub async fn closed_over(books: &Books, closed: &Closed) -> Result<ClosedOver> {
    if closed.closed_periods.is_empty() || crate::decisions::conflict::store::open_count(&books.ledger).await? == 0 {
        return Ok(ClosedOver::default());
    }
    let mut periods: HashMap<u64, Vec<Period>> = HashMap::new();
    for &(uin, period) in &closed.closed_periods {
        periods.entry(uin).or_default().push(period);
    }
    let all = all_with_sides(books).await?;
    let pairs: Vec<_> = all
        .iter()
        .map(|sided| (sided.stands.as_ref(), sided.later.as_ref()))
        .collect();
    let between = Between::read(books, &Snapshot::read(books).await?, &pairs).await?;
    let (mut over, mut told) = (Vec::new(), Vec::new());
    for sided in all {
        let touched = touched(&between, &sided, &periods)?;
        if touched.is_empty() {
            continue;
        }
        if told.len() < TOLD {
            told.push(InPeriods {
                conflict: sided.listed.row.conflict,
                source: sided.listed.row.source.clone(),
                id: sided.listed.row.id.clone(),
                periods: touched,
            });
        }
        over.push(sided);
    }
    let ListedAll { count, money, note, .. } = ListedAll::of(books, &over).await?;
    Ok(ClosedOver {
        count,
        conflicts: told,
        money,
        note,
    })
}

/// The closed periods in which either content of a conflict lies.
fn touched(between: &Between, sided: &Sided, periods: &HashMap<u64, Vec<Period>>) -> Result<Vec<String>> {
    let mut touched = Vec::new();
    for record in [&sided.stands, &sided.later].into_iter().flatten() {
        let Some((uin, day)) = between.day_of(record)? else {
            continue;
        };
        let of_account = periods.get(&uin).map_or(&[][..], Vec::as_slice);
        if let Some(period) = of_account.iter().find(|period| period.contains(day)) {
            let name = format!("account {uin}, {} to {}", period.start, period.end);
            if !touched.contains(&name) {
                touched.push(name);
            }
        }
    }
    Ok(touched)
}
