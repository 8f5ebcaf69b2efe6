//! A night's report, as a person reads it in the terminal, and finds it again with `status`.

use std::fmt::Write as _;

use super::{Control, Night};
use crate::backup::create::BackedUp;
use crate::decisions::conflict::at_close::ClosedOver;
use crate::decisions::conflict::{Listed, SumOfMoney};
use crate::pipeline::close::Closed;
use crate::pipeline::export::Exported;
use crate::pipeline::ingest::Ingested;
use crate::pipeline::ingest::drop_folder::Reread;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::ingest::quarantine::store::Example;
use crate::pipeline::maintenance::Maintained;
use crate::pipeline::maintenance::rewrite_files::Rewritten;
use crate::pipeline::meter::Metered;
use crate::pipeline::meter::store::Total;
use crate::pipeline::retention::Expired;
use crate::pipeline::retention::blockers::{Held, NOT_LONG_CLOSED};
use crate::sources::pull::Pulled;
use crate::support::table::{Table, counted, grouped};

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
            "{now}: already ingested as batch {}{before}, nothing changed",
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
        let _infallible = write!(text, "; {} accepted from quarantine", counted(ingested.retried, "line"));
    }
    text.push('\n');
    if !ingested.left_out.is_empty() {
        let _infallible = writeln!(
            text,
            "  ignored partition columns, because they are not fields of a usage record: {}",
            ingested.left_out.join(", ")
        );
    }
    text.push_str(&skipped(
        ingested.skipped_events.iter().map(|(reason, events)| (reason, *events)),
    ));
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

/// What a source handed over, and how its pull ended.
pub fn pulled(pulled: &Pulled) -> String {
    let again = match pulled.again {
        0 => String::new(),
        again => format!(" ({} again, in the overlap: repeats count once)", grouped(again)),
    };
    let mut text = format!(
        "source {} ({}): {} received{again}, {} stored, {} quarantined, in {}",
        pulled.source,
        pulled.kind,
        grouped(pulled.received),
        grouped(pulled.stored),
        grouped(pulled.quarantined),
        counted(pulled.parts, "part"),
    );
    if let Some(message) = &pulled.message {
        let _infallible = write!(text, "; {}: {message}", pulled.state.text().replace('_', " "));
    }
    text.push('\n');
    text.push_str(&skipped(
        pulled.skipped_events.iter().map(|(reason, events)| (reason, *events)),
    ));
    for warning in &pulled.warnings {
        let _infallible = writeln!(text, "  {warning}");
    }
    text
}

/// Events that gave no record, by reason.
fn skipped<'a>(events: impl Iterator<Item = (&'a String, i64)>) -> String {
    events
        .map(|(reason, events)| format!("  {:>9} events without a record: {reason}\n", grouped(events)))
        .collect()
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
        (0, _) => write!(text, "its content is different, and records that differ are conflicts"),
        (_, None) => write!(text, "it has grown"),
        (_, Some(line)) => write!(
            text,
            "it has grown, and line {line}, which was cut off, is complete now"
        ),
    };
    if reread.gone > 0 {
        let gone = grouped(reread.gone);
        let _infallible = write!(
            text,
            "; records that are no longer in it: {gone}. They stay billed; send voids for those that are wrong"
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
        "metered  {} ({}); up to date through batch {}\n",
        counted(metered.batches, "batch"),
        counted(metered.rows, "record"),
        metered.batch_hi
    );
    for note in notes(metered) {
        let _infallible = writeln!(text, "         {note}");
    }
    text
}

/// What a metering found, a sentence each.
fn notes(metered: &Metered) -> Vec<String> {
    let late = metered.late_records.abs();
    let found = [
        (
            metered.new_accounts,
            "new account, with the default terms",
            "new accounts, with the default terms",
        ),
        (
            metered.conflicts,
            "conflict (same ID, different content): the first record counts",
            "conflicts (same ID, different content): the first record of each counts",
        ),
        (
            metered.completed,
            "line was cut off when it was first read: the complete line replaces it",
            "lines were cut off when they were first read: the complete lines replace them",
        ),
        (metered.voids, "void", "voids"),
        (
            metered.voids_of_voids,
            "void names another void, which has no effect: send the record again under a new ID",
            "voids name another void, which has no effect: send the records again under new IDs",
        ),
        (
            metered.unmetered,
            "record has no meter (see `tallybook status`)",
            "records have no meter (see `tallybook status`)",
        ),
        (
            usize::try_from(metered.classified_again).unwrap_or(0),
            "earlier record has a meter now, after a change of its rate card",
            "earlier records have a meter now, after a change of their rate card",
        ),
        (
            usize::try_from(late).unwrap_or(0),
            "record arrived after its period was closed: the next statement adjusts it",
            "records arrived after their period was closed: the next statements adjust them",
        ),
    ];
    found
        .into_iter()
        .filter(|(count, ..)| *count > 0)
        .map(|(count, one, many)| format!("{} {}", grouped_size(count), if count == 1 { one } else { many }))
        .collect()
}

/// Both sides of the control totals.
pub fn control(control: &Control) -> String {
    let mut table = Table::new(&[
        "control totals",
        "this run",
        "all batches",
        "raw ms",
        "raw counts",
        "added by minimums and rounding",
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
        "closed   {}, {}, {}\n",
        counted(closed.periods, "period"),
        counted(closed.statements, "statement"),
        counted(closed.lines, "line")
    );
    if closed.adjusted_accounts > 0 {
        let _infallible = writeln!(
            text,
            "         rated closed periods again for {}",
            counted(closed.adjusted_accounts, "account")
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
            "exported {} to {}",
            counted(export.statements, "statement"),
            export.folder.display()
        );
    }
    if text.is_empty() {
        "exported nothing: no new statements\n".to_owned()
    } else {
        text
    }
}

pub fn expired(expired: &Expired) -> String {
    let rows: i64 = expired.days.iter().map(|(_, rows)| rows).sum();
    let mut text = format!(
        "expired  {} of raw data ({}), {} of service log, {}, the content of {}\n",
        counted(expired.days.len(), "day"),
        counted(rows, "record"),
        counted(expired.log_days, "day"),
        counted(expired.original_files, "input file"),
        counted(expired.quarantine_payloads, "quarantined line")
    );
    let queue_data = &expired.queue_data;
    if !queue_data.is_empty() {
        let _infallible = writeln!(
            text,
            "         {} of queues, and the service-log fields of {}",
            counted(queue_data.payloads, "payload"),
            counted(queue_data.bare, "payload")
        );
    }
    let configuration = &expired.configuration;
    if configuration.sources + configuration.versions > 0 {
        let _infallible = writeln!(
            text,
            "         the definition of {} and {} of others, of accounts that ended",
            counted(configuration.sources, "source"),
            counted(configuration.versions, "earlier version")
        );
    }
    for sentence in configuration.sentences() {
        let _infallible = writeln!(text, "HELD     {sentence}");
    }
    for day in &expired.proved_ahead {
        let _infallible = writeln!(text, "verified raw data of {day}, which expires tomorrow");
    }
    let (waiting, held): (Vec<&Held>, Vec<_>) = expired.held.iter().partition(|held| held.code == NOT_LONG_CLOSED);
    if let (Some(first), Some(last)) = (waiting.first(), waiting.last()) {
        let _infallible = writeln!(
            text,
            "HELD     {}, {} to {}: closed too recently; a nightly run deletes their raw data at least 12 hours after one that found \
             them closed",
            counted(waiting.len(), "day"),
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
    let mut text = format!("nightly run as of {}\n", night.as_of);
    for card in &night.cards {
        let _infallible = writeln!(text, "card     {} of {}: {}", card.card, card.from, card.outcome);
    }
    if let Some(folder) = &night.no_card_folder {
        let folder = folder.display();
        let _infallible = writeln!(
            text,
            "card     the folder {folder} does not exist: nothing imported, the rate cards imported earlier stay in force"
        );
    }
    for one in &night.pulled {
        let _infallible = write!(text, "pull     {}", pulled(one));
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
            "CHANGED  {name} changed while it was read; it stays in the drop folder for the next run"
        );
    }
    for reread in &night.dropped.reread {
        let _infallible = writeln!(text, "CHANGED  {}", changed(reread));
    }
    for left in &night.dropped.left {
        let _infallible = writeln!(text, "LEFT     {} is left for the next run: {}", left.name, left.why);
    }
    text.push_str(&metered(&night.metered));
    for conflict in &night.conflicts {
        let _infallible = writeln!(
            text,
            "         conflict {}, {} {}: with the later version, {}",
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
    text.push_str(&compacted(&night.kept));
    if let Some(done) = &night.backup {
        let _infallible = write!(text, "backup   {}", backed_up(done));
    }
    for what in &night.needs_person {
        let _infallible = writeln!(text, "ACTION REQUIRED: {what}");
    }
    text
}

/// What a backup has, what went over and what went.
pub fn backed_up(done: &BackedUp) -> String {
    format!(
        "backup {} in {}: {}, {} bytes, {}; copied {}, {} bytes; removed {}\n",
        done.number,
        done.folder,
        counted(done.files, "file"),
        grouped_size(done.bytes),
        counted(done.ledger_rows, "ledger row"),
        counted(done.new_files, "file"),
        grouped_size(done.new_bytes),
        counted(done.removed_files, "file"),
    )
}

/// Small files that were merged, and files that nothing needs any more.
fn compacted(kept: &Maintained) -> String {
    let merged = [
        ("raw data", kept.segments_merged),
        ("identity index", kept.key_runs_merged),
    ];
    let mut parts: Vec<String> = merged
        .into_iter()
        .filter(|(_, (before, _))| *before > 0)
        .map(|(what, (before, after))| format!("{what} {before} to {}", counted(after, "file")))
        .collect();
    if parts.is_empty() {
        parts.push("nothing to do".to_owned());
    }
    if kept.files_removed > 0 {
        parts.push(format!("{} deleted", counted(kept.files_removed, "obsolete file")));
    }
    let mut text = format!("compacted storage: {}\n", parts.join(", "));
    if kept.rewritten.files + kept.rewritten.left > 0 {
        text.push_str(&rewritten(&kept.rewritten));
    }
    text
}

/// Files that were rewritten for other readers.
pub fn rewritten(rewritten: &Rewritten) -> String {
    let mut text = format!(
        "rewrote  {} ({} MB) in which Spark and DuckDB could miss rows; the data is unchanged",
        counted(rewritten.files, "file"),
        rewritten.bytes.div_ceil(1_000_000)
    );
    if rewritten.left > 0 {
        let _infallible = write!(
            text,
            "; {} left for the next nightly run, or for `tallybook rewrite-files` now",
            counted(rewritten.left, "file")
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
            let closed = if money.closed { " (adjusts a closed period)" } else { "" };
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
            let closed = if sum.closed { ", adjusting closed periods" } else { "" };
            format!(
                "{sign}{} {} ({}{closed})",
                sum.amount,
                sum.currency,
                counted(sum.accounts, "account")
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
        "{}; with the later version of each: {}\n",
        counted(count, "open conflict"),
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
        let _infallible = writeln!(text, "         and {more} more (see `tallybook conflict list`)");
    }
    text
}

/// A count with its thousands apart.
pub fn grouped_size(number: impl TryInto<i64>) -> String {
    grouped(number.try_into().unwrap_or(i64::MAX))
}
