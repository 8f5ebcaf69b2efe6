//! What answers look like in a terminal.

use std::fmt::Write as _;
use std::io::{ErrorKind, Write as _};
use std::sync::atomic::{AtomicBool, Ordering};

use crate::inspect::statement::Shown;
use crate::inspect::status::Status;
use crate::inspect::verify::Verified;
use crate::nightly::report::grouped_size;
use crate::pipeline::close::statement::document::{COLUMNS, DocumentError, EXPORTED_COLUMNS, rows};
use crate::storage::ledger::Entry;
use crate::support::table::{Table, counted, grouped};

/// Whether a part of the output could not be written.
static OUTPUT_IS_LOST: AtomicBool = AtomicBool::new(false);

/// Prints to standard output. A reader that has gone (`| head`) is no failure: the work is done and recorded. A full disk is one, and
/// [`is_output_lost`] says so.
pub fn out(text: &str) {
    out_bytes(text.as_bytes());
}

/// Prints bytes as they are.
pub fn out_bytes(bytes: &[u8]) {
    let mut to = std::io::stdout();
    if let Err(error) = to.write_all(bytes).and_then(|()| to.flush())
        && error.kind() != ErrorKind::BrokenPipe
        && !OUTPUT_IS_LOST.swap(true, Ordering::Relaxed)
    {
        eprintln!("tallybook: writing the output: {error}");
    }
}

/// Whether a part of what was printed did not get to where it should.
pub fn is_output_lost() -> bool {
    OUTPUT_IS_LOST.load(Ordering::Relaxed)
}

/// A statement or draft, with its lines.
pub fn statement(shown: &Shown) -> Result<String, DocumentError> {
    let s = &shown.statement;
    let title = if shown.draft { "DRAFT, not closed" } else { "statement" };
    let mut text = format!(
        "{title} {} of account {}: {} to {}\n",
        s.statement_id,
        s.uin,
        s.period_start_text(),
        s.period_end_text()
    );
    text.push_str(&lines_table(shown)?.text());
    let _infallible = writeln!(text, "total {} {}", s.currency, s.total_text());
    for unpriced in &shown.unpriced {
        let _infallible = writeln!(text, "UNPRICED {unpriced}");
    }
    if let Some(day) = shown.usage_through.filter(|_| shown.draft) {
        let _infallible = writeln!(text, "usage through {day}");
    }
    if !shown.draft {
        let _infallible = writeln!(text, "closed {}, digest {}", s.closed_at_text(), s.digest);
    }
    Ok(text)
}

/// The lines of several statements under one header, each with its statement and whether that is closed.
pub fn statements_csv(shown: &[Shown]) -> Result<String, DocumentError> {
    let mut header = vec!["statement_id", "state", "period_start", "period_end", "currency"];
    header.extend(&COLUMNS[..EXPORTED_COLUMNS]);
    let mut table = Table::new(&header);
    for one in shown {
        let s = &one.statement;
        let state = if one.draft { "draft" } else { "closed" };
        let first = [
            s.statement_id.clone(),
            state.to_owned(),
            s.period_start_text(),
            s.period_end_text(),
            s.currency.to_string(),
        ];
        for row in rows(s.text()?)? {
            let cells = row.into_iter().take(EXPORTED_COLUMNS).map(String::from);
            table.row(first.iter().cloned().chain(cells));
        }
    }
    Ok(table.csv())
}

/// A statement's lines.
pub fn lines_table(shown: &Shown) -> Result<Table, DocumentError> {
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
    for row in rows(shown.statement.text()?)? {
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
    Ok(table)
}

pub fn status(status: &Status) -> String {
    let mut text = format!("as of {}\n", status.as_of);
    let mut lines: Vec<(&str, String)> = vec![(
        "batches",
        format!("{}, metered through {}", status.batches, status.batches_metered),
    )];
    let clocks = [
        ("first day", &status.first_day),
        ("clock", &status.newest_machine_clock),
        ("last run", &status.last_run_clock),
    ];
    for (name, known) in clocks {
        lines.extend(known.clone().map(|known| (name, known)));
    }
    for s in &status.segments {
        let days = format!(
            "{} to {}",
            s.first_day.as_deref().unwrap_or("-"),
            s.last_day.as_deref().unwrap_or("-")
        );
        let kind = match s.kind.as_str() {
            "usage" => "raw",
            "log" => "service log",
            "payload" => "events",
            _ => "events without service log",
        };
        lines.push((
            kind,
            format!(
                "{}, {}, {} bytes, {days}",
                counted(s.files, "file"),
                counted(s.rows, "record"),
                grouped(s.bytes)
            ),
        ));
    }
    lines.push(("usage files", status.usage_files.to_string()));
    lines.push((
        "ID index",
        format!("{}, {}", counted(status.key_runs, "file"), counted(status.keys, "ID")),
    ));
    let ended = match status.accounts_ended {
        0 => String::new(),
        ended => format!(", {} ended", grouped(ended)),
    };
    lines.push(("accounts", grouped_size(status.accounts) + &ended));
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
    lines.extend(what_waits(status));
    lines.push((
        "raw days",
        format!(
            "{} expired, {} held",
            grouped(status.days_expired),
            status.days_held.len()
        ),
    ));
    let held = first_few(status.days_held.iter().map(|(day, why)| format!("{day}: {why}")));
    lines.extend(held.into_iter().map(|(_, why)| ("held", why)));
    for folder in &status.exports {
        lines.push(("export", format!("exports/{folder}")));
    }
    for run in &status.runs {
        lines.push((
            "run",
            format!(
                "{} {} as of {}, exit code {}",
                run.run.map_or_else(|| "-".to_owned(), |run| run.to_string()),
                run.command,
                run.as_of,
                run.exit_code
            ),
        ));
    }
    for (name, value) in lines {
        let _infallible = writeln!(text, "{name:<12} {value}");
    }
    if let Some(run) = status.runs.first() {
        let _infallible = write!(text, "\nreport of the last run:\n{}", run.text);
    }
    text
}

/// What waits for somebody: refused lines, records without a meter, conflicts, voids, late usage.
fn what_waits(status: &Status) -> Vec<(&'static str, String)> {
    let mut lines = Vec::new();
    for alarm in &status.alarms {
        lines.push(("ALARM", alarm.sentence()));
    }
    for source in status.sources.iter().filter(|source| source.kind != "files") {
        lines.push(("source", source.sentence()));
    }
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
    lines.extend(first_few(status.conflicts.iter().map(|c| {
        format!(
            "  {} {}: batch {} line {} differs from batch {} line {}",
            c.source, c.id, c.batch, c.line, c.first_batch, c.first_line
        )
    })));
    let of_voids = match status.voids_of_voids {
        0 => String::new(),
        1 => "; 1 names another void and has no effect".to_owned(),
        count => format!("; {} name other voids and have no effect", grouped(count)),
    };
    lines.push((
        "voids",
        format!("{} waiting for records{of_voids}", grouped(status.voids_waiting)),
    ));
    lines.extend(first_few(status.voids.iter().map(|v| {
        format!(
            "  {} {}: voided by batch {} line {}, waiting since {}",
            v.source, v.target, v.batch, v.line, v.since
        )
    })));
    lines.push((
        "late usage",
        format!("{} to be adjusted", counted(status.late_records, "record")),
    ));
    lines.extend(first_few(status.late_usage.iter().map(|l| {
        format!(
            "  account {}, {}: {}, {}",
            l.uin,
            l.day,
            counted(l.records, "record"),
            counted(l.billable, "base unit")
        )
    })));
    lines
}

/// Lines of a list in `status`; the whole list is in `status --json`.
const LISTED_MAX: usize = 10;

fn first_few(items: impl ExactSizeIterator<Item = String>) -> Vec<(&'static str, String)> {
    let more = items.len().saturating_sub(LISTED_MAX);
    let mut lines: Vec<(&str, String)> = items.take(LISTED_MAX).map(|item| ("", item)).collect();
    if more > 0 {
        lines.push(("", format!("  and {more} more (use --json to list all)")));
    }
    lines
}

/// The audit trail.
pub fn audit(trail: &[Entry]) -> String {
    if trail.is_empty() {
        return "the audit trail is empty\n".to_owned();
    }
    let mut table = Table::new(&["entry", "at", "who", "action", "subject", "reason"]);
    for entry in trail {
        let cells = [&entry.at, &entry.who, &entry.action, &entry.subject, &entry.reason];
        table.row(std::iter::once(entry.entry.to_string()).chain(cells.map(Clone::clone)));
    }
    table.text()
}

/// What was proved, what differs, what can be proved no more.
pub fn verified(verified: &Verified) -> String {
    let mut text = format!(
        "verified {}, {}, {}, {}, {}, {}: ",
        counted(verified.ledger_rows, "ledger row"),
        counted(verified.files, "file"),
        counted(verified.raw_rows, "raw record"),
        counted(verified.usage_sums, "usage sum"),
        counted(verified.statements, "statement"),
        counted(verified.exports, "export")
    );
    if verified.erased_accounts > 0 {
        let erased = counted(verified.erased_accounts, "erased account");
        text.truncate(text.len() - 2);
        let _infallible = write!(text, ", {erased}: ");
    }
    match verified.difference_count {
        0 => text.push_str("all agree\n"),
        count => {
            let _infallible = writeln!(text, "{}", counted(count, "difference"));
        }
    }
    for difference in &verified.differences {
        let _infallible = writeln!(text, "  {difference}");
    }
    for sentence in &verified.rewritten {
        let _infallible = writeln!(text, "CHANGED: {sentence}");
    }
    for sentence in &verified.left_out {
        let _infallible = writeln!(text, "SKIPPED: {sentence}");
    }
    for sentence in &verified.not_proved {
        let _infallible = writeln!(text, "NOT VERIFIED: {sentence}");
    }
    if let (Some(first), Some(last)) = (verified.expired.first(), verified.expired.last()) {
        let rows: i64 = verified.expired.iter().map(|day| day.rows).sum();
        let _infallible = writeln!(
            text,
            "raw data of {}, {} to {} ({}), has expired and can no longer be recomputed; these digests remain as evidence:",
            counted(verified.expired.len(), "day"),
            first.day,
            last.day,
            counted(rows, "record")
        );
    }
    for day in &verified.expired {
        let _infallible = writeln!(
            text,
            "  {}  {} of {}, expired {}, {}",
            day.day,
            counted(day.rows, "record"),
            counted(day.accounts, "account"),
            day.expired_at,
            day.digest
        );
    }
    text
}
