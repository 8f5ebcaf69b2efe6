//! What reports look like in a terminal.

use std::fmt::Write as _;
use std::io::Write as _;

use super::table::{Table, grouped};
use crate::close::Closed;
use crate::expire::Expired;
use crate::export::Exported;
use crate::ingest::Ingested;
use crate::meter::Metered;
use crate::meter::store::Total;
use crate::nightly::{Control, Night};
use crate::query::statement::Shown;
use crate::query::status::Status;

/// Prints to standard output. A reader that has gone (`| head`) is no failure: the work is done and recorded.
pub fn out(text: &str) {
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// One input's line, and its quarantine by reason.
pub fn ingested(ingested: &Ingested) -> String {
    let batch = &ingested.batch;
    let mut text = if ingested.already {
        format!(
            "{}: ingested before as batch {}, nothing changed",
            batch.name, batch.batch
        )
    } else {
        format!(
            "{}: batch {}, {} received, {} stored, {} quarantined",
            batch.name,
            batch.batch,
            grouped(batch.received),
            grouped(batch.stored),
            grouped(batch.quarantined)
        )
    };
    if ingested.retried > 0 {
        let _infallible = write!(text, "; {} lines left quarantine", grouped(ingested.retried));
    }
    text.push('\n');
    for (code, count) in &ingested.quarantine {
        let _infallible = writeln!(text, "  {:>9} in quarantine: {code}", grouped(*count));
    }
    text
}

pub fn metered(metered: &Metered) -> String {
    let mut text = format!(
        "metered  {} batches, {} rows into {} usage rows; high-water batch {}\n",
        grouped(metered.batches),
        grouped(metered.rows),
        grouped_size(metered.usage_rows),
        metered.batch_hi
    );
    let notes = [
        (metered.new_accounts, "accounts appeared and have the default terms"),
        (metered.conflicts, "conflicts: same id, other content; the first stands"),
        (metered.voids, "voids"),
        (metered.unmetered, "records have no meter (see status)"),
        (
            usize::try_from(metered.placed_again).unwrap_or(0),
            "records found a meter after a card changed",
        ),
        (
            usize::try_from(metered.late_records.abs()).unwrap_or(0),
            "records came after their period's close and wait for an adjustment",
        ),
    ];
    for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
        let _infallible = writeln!(text, "         {} {what}", grouped_size(count));
    }
    text
}

/// Both sides of the control totals.
pub fn control(control: &Control) -> String {
    let mut table = Table::new(&[
        "control totals",
        "this run",
        "all batches",
        "raw ms",
        "raw counts",
        "uplift",
    ]);
    let line = |name: &str, run: &Total, all: &Total| {
        let numbers = [run.records, all.records, all.raw_ms, all.raw_count, all.uplift].map(grouped);
        std::iter::once(name.to_owned()).chain(numbers).collect::<Vec<_>>()
    };
    for ((status, run), (_, all)) in control.run.statuses.iter().zip(&control.all.statuses) {
        table.row(line(status, run, all));
    }
    table.row(line("= received", &control.run.received, &control.all.received));
    let verdict = if control.all.balances {
        "balance"
    } else {
        "DO NOT BALANCE"
    };
    format!(
        "{}the totals {verdict} as of batch {}\n",
        table.text(),
        control.batch_hi
    )
}

pub fn closed(closed: &Closed) -> String {
    let mut text = format!(
        "closed   {} periods, {} statements, {} lines\n",
        grouped_size(closed.periods),
        grouped_size(closed.statements),
        grouped(i64::try_from(closed.lines).unwrap_or(i64::MAX))
    );
    for (currency, total) in &closed.totals {
        let _infallible = writeln!(text, "         {currency} {total}");
    }
    for blocked in &closed.blocked {
        let _infallible = writeln!(
            text,
            "BLOCKED  account {}, {} to {}: {}",
            blocked.uin, blocked.period_start, blocked.period_end, blocked.why
        );
        for unpriced in &blocked.unpriced {
            let _infallible = writeln!(text, "         {unpriced}");
        }
    }
    text
}

pub fn exported(exported: &[Exported]) -> String {
    let mut text = String::new();
    for export in exported {
        let _infallible = writeln!(
            text,
            "exported {} statements to {}",
            grouped_size(export.statements),
            export.folder.display()
        );
    }
    if text.is_empty() {
        "exported nothing: no new statement\n".to_owned()
    } else {
        text
    }
}

pub fn expired(expired: &Expired) -> String {
    let rows: i64 = expired.days.iter().map(|(_, rows)| rows).sum();
    let mut text = format!(
        "expired  {} raw days ({} rows), {} service-log days, {} original files, {} quarantined lines' bytes\n",
        expired.days.len(),
        grouped(rows),
        expired.log_days,
        expired.original_files,
        expired.quarantine_payloads
    );
    for held in &expired.held {
        let _infallible = writeln!(text, "HELD     {}", held.sentence);
    }
    text
}

pub fn night(night: &Night) -> String {
    let mut text = format!("night of {}\n", night.as_of);
    for card in &night.cards {
        let _infallible = writeln!(text, "card     {} of {}: {}", card.card, card.from, card.outcome);
    }
    for file in &night.dropped.ingested {
        let _infallible = write!(text, "file     {}", ingested(file));
    }
    for file in &night.dropped.refused {
        let _infallible = writeln!(text, "REFUSED  {}", file.why);
    }
    for name in &night.dropped.changed {
        let _infallible = writeln!(
            text,
            "CHANGED  {name} changed while it was read; it stays in the drop folder"
        );
    }
    text.push_str(&metered(&night.metered));
    text.push_str(&control(&night.control));
    text.push_str(&closed(&night.closed));
    text.push_str(&exported(&night.exported));
    text.push_str(&expired(&night.expired));
    let kept = &night.kept;
    let _infallible = writeln!(
        text,
        "kept     segments {} -> {}, key runs {} -> {}, {} files removed",
        kept.segments_merged.0,
        kept.segments_merged.1,
        kept.key_runs_merged.0,
        kept.key_runs_merged.1,
        kept.files_removed
    );
    for what in &night.needs_person {
        let _infallible = writeln!(text, "NEEDS A PERSON: {what}");
    }
    text
}

/// A statement or draft, with its lines.
pub fn statement(shown: &Shown) -> String {
    let s = &shown.statement;
    let title = if shown.draft { "DRAFT, not closed" } else { "statement" };
    let mut text = format!(
        "{title} {} of account {}: {} to {}\n",
        s.statement_id,
        s.uin,
        s.period_start_text(),
        s.period_end_text()
    );
    text.push_str(&lines_table(shown).text());
    let _infallible = writeln!(text, "total {} {}", s.currency, s.total_text());
    for unpriced in &shown.unpriced {
        let _infallible = writeln!(text, "UNPRICED {unpriced}");
    }
    if !shown.draft {
        let _infallible = writeln!(text, "closed {}, digest {}", s.closed_at_text(), s.digest);
    }
    text
}

/// A statement's lines.
pub fn lines_table(shown: &Shown) -> Table {
    let mut table = Table::new(&[
        "line",
        "app",
        "kind",
        "card version",
        "region",
        "sku",
        "unit",
        "records",
        "quantity",
        "unit price",
        "discount %",
        "amount",
        "note",
    ]);
    let cells = crate::close::document::cells(&shown.statement.document).unwrap_or_default();
    for row in cells {
        let cell = |at: usize| String::from(&*row[at]);
        table.row([
            cell(0),
            cell(1),
            cell(2),
            cell(4),
            cell(5),
            cell(6),
            cell(8),
            cell(9),
            cell(10),
            cell(11),
            cell(12),
            cell(13),
            cell(16),
        ]);
    }
    table
}

pub fn status(status: &Status) -> String {
    let mut text = format!("as of {}\n", status.as_of);
    let mut lines: Vec<(&str, String)> = vec![(
        "batches",
        format!("{}, metered up to {}", status.batches, status.batches_metered),
    )];
    for s in &status.segments {
        let days = format!(
            "{} to {}",
            s.first_day.as_deref().unwrap_or("-"),
            s.last_day.as_deref().unwrap_or("-")
        );
        let kind = if s.kind == "usage" { "raw" } else { "service log" };
        lines.push((
            kind,
            format!(
                "{} segments, {} rows, {} bytes, {days}",
                s.files,
                grouped(s.rows),
                grouped(s.bytes)
            ),
        ));
    }
    lines.push(("usage files", status.usage_files.to_string()));
    lines.push((
        "key runs",
        format!("{} with {} keys", status.key_runs, grouped(status.keys)),
    ));
    lines.push(("accounts", grouped_size(status.accounts)));
    lines.push((
        "periods",
        format!("{} closed, {} due", grouped(status.periods_closed), status.periods_due),
    ));
    lines.push((
        "statements",
        format!(
            "{}, {} not exported",
            grouped(status.statements),
            status.statements_not_exported
        ),
    ));
    for (code, count) in &status.quarantined {
        lines.push(("quarantine", format!("{} {code}", grouped(*count))));
    }
    for u in &status.unmetered {
        lines.push((
            "unmetered",
            format!("{} {}: {} ({})", grouped(u.records), u.task_type, u.sentence, u.code),
        ));
    }
    lines.push(("conflicts", format!("{} open", status.conflicts_open)));
    lines.push(("voids", format!("{} waiting for their record", status.voids_waiting)));
    lines.push((
        "late usage",
        format!("{} records wait for an adjustment", grouped(status.late_records)),
    ));
    lines.push((
        "days",
        format!("{} expired, {} held", status.days_expired, status.days_held.len()),
    ));
    for (day, why) in &status.days_held {
        lines.push(("held", format!("{day}: {why}")));
    }
    for folder in &status.exports {
        lines.push(("export", format!("exports/{folder}")));
    }
    for run in &status.runs {
        lines.push((
            "run",
            format!(
                "{} {} as of {}, exit code {}",
                run.run, run.command, run.as_of, run.exit_code
            ),
        ));
    }
    for (name, value) in lines {
        let _infallible = writeln!(text, "{name:<12} {value}");
    }
    text
}

fn grouped_size(number: usize) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}
