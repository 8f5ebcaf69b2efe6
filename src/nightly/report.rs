//! A night's report, as a person reads it in the terminal, and finds it again with `status`.

use std::fmt::Write as _;

use super::{Control, Night};
use crate::decisions::conflict::at_close::ClosedOver;
use crate::decisions::conflict::{Listed, SumOfMoney};
use crate::pipeline::close::Closed;
use crate::pipeline::export::Exported;
use crate::pipeline::ingest::Ingested;
use crate::pipeline::ingest::drop_folder::Reread;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::ingest::quarantine::store::Example;
use crate::pipeline::maintenance::rewrite_files::Rewritten;
use crate::pipeline::meter::Metered;
use crate::pipeline::meter::store::Total;
use crate::pipeline::retention::Expired;
use crate::pipeline::retention::blockers::{Held, NOT_LONG_CLOSED};
use crate::support::table::{Table, grouped};

/// One input's line, its quarantine by reason with an example of each, and its alarm.
pub fn ingested(ingested: &Ingested) -> String {
    let batch = &ingested.batch;
    let mut text = if ingested.already {
        let now = ingested.known_as.as_deref().unwrap_or(&batch.name);
        let before = if now == batch.name {
            String::new()
        } else {
            format!(" under the name {}", batch.name)
        };
        format!(
            "{now}: ingested before as batch {}{before}, nothing changed",
            batch.batch
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
    if !ingested.left_out.is_empty() {
        let _infallible = writeln!(
            text,
            "  left out, for a record has no such field: the folders' partitions {}",
            ingested.left_out.join(", ")
        );
    }
    for (code, count) in &ingested.quarantine {
        let _infallible = writeln!(text, "  {:>9} in quarantine: {code}", grouped(*count));
        for example in ingested.examples.iter().filter(|example| example.code == *code) {
            text.push_str(&refused_example(example));
        }
    }
    if !ingested.quarantine.is_empty() {
        let _infallible = writeln!(
            text,
            "            see `tallybook quarantine list --batch {}`",
            batch.batch
        );
    }
    text
}

/// What an original became that changed after it was read.
pub fn changed(reread: &Reread) -> String {
    let Reread {
        name,
        batch,
        first_batch,
        same_bytes,
        ..
    } = reread;
    let mut text =
        format!("{name} changed after it was read as batch {first_batch}, and was read again as batch {batch}: ");
    let _infallible = match (*same_bytes, reread.cut_line) {
        (0, _) => write!(text, "its bytes are other ones, and what differs is a conflict"),
        (_, None) => write!(text, "it has grown"),
        (_, Some(line)) => write!(text, "it has grown, and line {line}, which was cut, is whole now"),
    };
    if reread.gone > 0 {
        let gone = grouped(reread.gone);
        let _infallible = write!(
            text,
            "; {gone} of its records are gone from it and stay billed: void those that are none"
        );
    }
    text
}

/// Such as `line 2: ...`, and below it the beginning of the line.
fn refused_example(example: &Example) -> String {
    let shown = match &example.shown {
        Some(shown) => format!("            {shown}\n"),
        None => String::new(),
    };
    format!("            line {}: {}\n{shown}", example.line, example.sentence)
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
        (
            metered.completed,
            "lines were cut when they were first read; the whole line stands in the place of each",
        ),
        (metered.voids, "voids"),
        (
            metered.voids_of_voids,
            "voids name a void and take nothing back: send the record again under an id of its own",
        ),
        (metered.unmetered, "records have no meter (see status)"),
        (
            usize::try_from(metered.classified_again).unwrap_or(0),
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
    if closed.adjusted_accounts > 0 {
        let _infallible = writeln!(
            text,
            "         {} accounts had closed periods rated again",
            grouped_size(closed.adjusted_accounts)
        );
    }
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
    for day in &expired.proved_ahead {
        let _infallible = writeln!(text, "proved   {day}, which is due tomorrow");
    }
    let (waiting, held): (Vec<&Held>, Vec<_>) = expired.held.iter().partition(|held| held.code == NOT_LONG_CLOSED);
    if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
        let _infallible = writeln!(
            text,
            "HELD     {} days, {} to {}: closed too short a time ago; their raw rows go in a night that comes 12 hours after one that \
             found them closed",
            waiting.len(),
            first.day,
            last.day
        );
    }
    for held in held {
        let _infallible = writeln!(text, "HELD     {}", held.sentence);
    }
    text
}

pub fn night(night: &Night) -> String {
    let mut text = format!("night of {}\n", night.as_of);
    for card in &night.cards {
        let _infallible = writeln!(text, "card     {} of {}: {}", card.card, card.from, card.outcome);
    }
    if let Some(folder) = &night.no_card_folder {
        let folder = folder.display();
        let _infallible = writeln!(
            text,
            "card     there is no folder {folder}: no card is imported, those of the ledger hold"
        );
    }
    for file in &night.dropped.ingested {
        let _infallible = write!(text, "file     {}", ingested(file));
        if file.alarm.as_ref().is_some_and(Alarm::is_of_no_record) {
            text.push_str("            the file was moved to `refused/` in the drop folder\n");
        }
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
    for reread in &night.dropped.reread {
        let _infallible = writeln!(text, "CHANGED  {}", changed(reread));
    }
    for left in &night.dropped.left {
        let _infallible = writeln!(text, "LEFT     {} is left for the next night: {}", left.name, left.why);
    }
    text.push_str(&metered(&night.metered));
    for conflict in &night.conflicts {
        let _infallible = writeln!(
            text,
            "         conflict {}, {} {}: if the later stood, {}",
            conflict.row.conflict,
            conflict.row.source,
            conflict.row.id,
            money_text(conflict)
        );
    }
    text.push_str(&control(&night.control));
    text.push_str(&closed(&night.closed));
    text.push_str(&closed_over(&night.closed_over));
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
    if kept.rewritten.files + kept.rewritten.left > 0 {
        text.push_str(&rewritten(&kept.rewritten));
    }
    for what in &night.needs_person {
        let _infallible = writeln!(text, "NEEDS A PERSON: {what}");
    }
    text
}

/// Files that were rewritten for other readers.
pub fn rewritten(rewritten: &Rewritten) -> String {
    let mut text = format!(
        "rewrote  {} files ({} MB), whose rows other readers (Spark, DuckDB) could miss; rows unchanged",
        grouped_size(rewritten.files),
        rewritten.bytes.div_ceil(1_000_000)
    );
    if rewritten.left > 0 {
        let _infallible = write!(
            text,
            "; {} files are left: the next night goes on, or `tallybook rewrite-files` now",
            grouped_size(rewritten.left)
        );
    }
    text.push('\n');
    text
}

/// What statements would come to more if the later content of a conflict stood.
pub fn money_text(conflict: &Listed) -> String {
    let mut parts: Vec<String> = conflict
        .money
        .iter()
        .map(|money| {
            let sign = if money.amount.starts_with('-') { "" } else { "+" };
            let closed = if money.closed { " (closed: an adjustment)" } else { "" };
            format!(
                "account {} {}{} {}{closed}",
                money.uin, sign, money.amount, money.currency
            )
        })
        .collect();
    if !conflict.note.is_empty() {
        parts.push(conflict.note.clone());
    }
    parts.join(", ")
}

/// What statements would come to more if the later content of every open conflict stood.
pub fn sums_text(count: usize, sums: &[SumOfMoney], note: &str) -> String {
    let mut parts: Vec<String> = sums
        .iter()
        .map(|sum| {
            let sign = if sum.amount.starts_with('-') { "" } else { "+" };
            let closed = if sum.closed { ", closed: adjustments" } else { "" };
            format!(
                "{sign}{} {} ({} accounts{closed})",
                sum.amount, sum.currency, sum.accounts
            )
        })
        .collect();
    if !note.is_empty() {
        parts.push(note.to_owned());
    }
    if parts.is_empty() {
        parts.push("no statement changes".to_owned());
    }
    format!(
        "{} open conflicts; if the later content of each stood: {}\n",
        grouped_size(count),
        parts.join("; ")
    )
}

/// The open conflicts of the periods that closed.
pub fn closed_over(over: &ClosedOver) -> String {
    let mut text = String::new();
    if over.count == 0 {
        return text;
    }
    let _infallible = write!(
        text,
        "CONFLICTS in periods that closed: {}",
        sums_text(over.count, &over.money, &over.note)
    );
    for conflict in &over.conflicts {
        let _infallible = writeln!(
            text,
            "         conflict {}, {} {}: {}",
            conflict.conflict,
            conflict.source,
            conflict.id,
            conflict.periods.join("; ")
        );
    }
    let more = over.count.saturating_sub(over.conflicts.len());
    if more > 0 {
        let _infallible = writeln!(text, "         and {more} more (tallybook conflict list)");
    }
    text
}

/// A count with its thousands apart.
pub fn grouped_size(number: usize) -> String {
    grouped(i64::try_from(number).unwrap_or(i64::MAX))
}
