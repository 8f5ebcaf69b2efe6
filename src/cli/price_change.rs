//! What the money of a change looks like in a terminal.

use crate::inspect::preview::{Difference, Money};
use crate::support::table::{Table, counted};

/// Sums, then the largest accounts, then what stands in the way.
pub fn money_text(money: &Money) -> String {
    if money.accounts == 0 && money.obstacles.is_empty() {
        return "no effect on closed or open periods\n".to_owned();
    }
    let mut text = format!(
        "{}: {} rated again; the next statements carry the difference as adjustments\n",
        counted(money.accounts, "account"),
        counted(money.closed_periods, "closed period")
    );
    let mut sums = Table::new(&["amount before rounding", "accounts", "old", "new", "difference"]);
    for sum in &money.sums {
        let mut row = |what: &str, difference: &Difference| {
            let cells = [&difference.old, &difference.new, &difference.difference].map(Clone::clone);
            let first = [format!("{} {what}", sum.currency), sum.accounts.to_string()];
            sums.row(first.into_iter().chain(cells));
        };
        row("closed periods", &sum.closed);
        row("open periods so far", &sum.open);
    }
    if !sums.is_empty() {
        text.push_str(&sums.text());
    }
    let mut largest = Table::new(&[
        "largest",
        "currency",
        "closed periods",
        "old",
        "new",
        "open, old",
        "open, new",
        "difference",
    ]);
    for of in &money.largest {
        largest.row([
            of.uin.clone(),
            of.currency.clone(),
            of.closed_periods.to_string(),
            of.closed.old.clone(),
            of.closed.new.clone(),
            of.open.old.clone(),
            of.open.new.clone(),
            of.difference.clone(),
        ]);
    }
    if !largest.is_empty() {
        text.push_str(&largest.text());
    }
    for obstacle in &money.obstacles {
        text.push_str(&format!("WOULD NOT CLOSE: {obstacle}\n"));
    }
    text
}
