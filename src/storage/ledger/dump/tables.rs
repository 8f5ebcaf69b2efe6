//! The tables of a dump: their order, and that of their rows.

use super::kind::Kind;
use crate::storage::ledger::{Channel, Engine, query};
use crate::support::error::{Error, Result};

/// A table and the order of its rows. Tables that others refer to stand before these. Where no key orders all rows, their seals do: rows
/// of equal content have equal ones.
pub(super) const TABLES: [(&str, &str); 63] = [
    ("fact", "name"),
    ("counter", "name"),
    ("tally", "name"),
    ("intake", "intake"),
    ("run", "run"),
    ("audit", "entry"),
    ("rate_card", "name, valid_from, revision"),
    ("withdrawn_card", "card"),
    ("account", "uin"),
    ("agreement", "agreement"),
    ("terms", "uin, from_day"),
    ("account_end", "entry"),
    ("account_profile", "uin, version"),
    ("account_label", "uin, version, label"),
    ("source_version", "source, version"),
    ("source_template", "source, definition"),
    ("source_state", "source"),
    ("batch", "batch"),
    ("reread", "batch, first_batch"),
    ("alarm", "alarm"),
    ("quarantine", "quarantine"),
    ("skipped_event", "batch, reason"),
    ("original", "place"),
    ("blanked_original", "digest, came_digest"),
    ("source_position", "source"),
    ("source_pull", "source"),
    ("source_object", "source, key_digest, etag, bytes"),
    ("segment", "path"),
    ("metering", "metering"),
    ("usage_file", "path"),
    ("key_run", "path"),
    ("unmetered_file", "path"),
    ("unmetered", "path, seal"),
    ("control_total", "metering, batch, status"),
    ("usage_daily", "uin, month, metering"),
    ("usage_total", "month, day, metering, task_type, region, sku, unit"),
    ("conflict", "conflict"),
    ("void", "batch, line"),
    ("late_usage", "metering, uin, day"),
    ("closing", "closing"),
    ("statement", "month, uin, period_start"),
    ("document", "document"),
    ("empty_period", "uin, period_start"),
    ("stated_period", "closing, period_start, period_end"),
    ("settlement", "settlement"),
    ("rerate", "uin, period_start, card"),
    ("draft", "month, uin, period_start"),
    ("account_month", "month, currency, uin, seal"),
    ("blocked_period", "uin, period_start"),
    ("export", "export"),
    ("expired_day", "day, kind"),
    ("expired_month", "kind, month"),
    ("proved_day", "day"),
    ("proved_account", "day, uin"),
    ("held_day", "day, code"),
    ("waiver", "day"),
    ("deletion", "deletion"),
    ("erasure", "erasure"),
    ("erased_account", "uin"),
    ("tombstone", "hash"),
    ("erased_statement", "month, uin, period_start"),
    ("erased_export", "export"),
    ("erased_rows", "erasure, batch, day"),
];

/// Tables that say who works now and where: leases, runs that have begun, files of this data folder that wait for their removal, and an
/// erasure on its way, which knows the account. A restored ledger has none of them.
pub const LEFT_OUT: [&str; 4] = ["lease", "begun_run", "dropped_file", "erasure_in_progress"];

/// A column that is not dumped as it is: a writer that is open has files that no backup has, so it is fenced there, and can commit
/// nothing into a ledger that was restored.
const FENCED: (&str, &str, &str) = (
    "intake",
    "state",
    "CASE WHEN state = 'open' THEN 'fenced' ELSE state END AS state",
);

/// Columns of exact decimals, which SQLite keeps as text.
const AMOUNTS: [(&str, &[&str]); 4] = [
    ("statement", &["usage_amount", "adjustment_amount", "rounding", "total"]),
    ("draft", &["usage_amount", "adjustment_amount", "rounding", "total"]),
    ("account_month", &["total"]),
    ("settlement", &["amount"]),
];

/// Columns that are kept for less than raw records: a backup has them apart.
const SHORT_LIVED: [(&str, &str); 1] = [("quarantine", "payload")];

/// Tables that a dump has, in its order.
pub fn dumped_tables() -> impl Iterator<Item = &'static str> {
    TABLES.iter().map(|(name, _)| *name)
}

/// The order of a table's rows; none for a table that no dump has.
pub(in crate::storage::ledger) fn order_of(table: &str) -> Option<&'static str> {
    TABLES.iter().find(|(name, _)| *name == table).map(|(_, order)| *order)
}

/// What is selected for a column of a table.
pub(super) fn selected<'c>(table: &str, column: &'c str) -> &'c str {
    let (of, name, fenced) = FENCED;
    if (table, column) == (of, name) { fenced } else { column }
}

/// Whether a dump has a column of one of its tables.
pub(super) fn is_dumped(table: &str, column: &str) -> bool {
    !SHORT_LIVED.contains(&(table, column))
}

/// The condition of a table's rows that a dump has: tallies are of its own tables.
pub(super) fn condition(table: &str) -> String {
    if table != "tally" {
        return String::new();
    }
    format!(" WHERE name NOT IN ('{}')", LEFT_OUT.join("', '"))
}

/// The columns of a table that a dump has: those of its order first, the others by name.
pub(super) async fn columns<'c>(
    on: impl Into<Channel<'c>>,
    engine: Engine,
    table: &str,
) -> Result<Vec<(String, Kind)>> {
    let rows = query(engine.columns()).bind(table).fetch_all(on).await?;
    let mut columns = Vec::new();
    for row in rows {
        let (name, in_engine): (String, String) = (row.try_get(0)?, row.try_get(1)?);
        let kind = if is_amount(table, &name) {
            Some(Kind::Amount)
        } else {
            Kind::of(&in_engine)
        };
        let kind = kind
            .ok_or_else(|| Error::Unbalanced(format!("the ledger's column {table}.{name} has the type {in_engine}")))?;
        if is_dumped(table, &name) {
            columns.push((name, kind));
        }
    }
    let keys: Vec<&str> = order_of(table).unwrap_or_default().split(", ").collect();
    let place = |name: &str| keys.iter().position(|key| *key == name).unwrap_or(keys.len());
    columns.sort_by(|(one, _), (other, _)| (place(one), one).cmp(&(place(other), other)));
    Ok(columns)
}

fn is_amount(table: &str, column: &str) -> bool {
    AMOUNTS
        .iter()
        .any(|(of, columns)| *of == table && columns.contains(&column))
}
