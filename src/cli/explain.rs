//! An explanation as a person reads it.

use std::fmt::Write as _;

use anyhow::Result;

use super::args::Args;
use super::run::report;
use crate::context::Books;
use crate::inspect::explain::{Behind, ControlTotals, Explained, Explanation, Limits, RecordBehind, explain_within};
use crate::pipeline::rate::Kind;
use crate::support::table::{counted, grouped};

/// Raw rows that are read in well under a second.
const QUICK_ROWS_MAX: i64 = 1 << 20;

/// Limits of an explanation that is to come quickly, or of one that is to be complete.
pub fn limits(told: usize, is_quick: bool) -> Limits {
    Limits {
        told,
        rows: if is_quick { QUICK_ROWS_MAX } else { i64::MAX },
    }
}

/// Explains, and prints.
pub async fn run(args: &Args, books: &Books, statement: &str, line: Option<u32>, limits: Limits) -> Result<()> {
    let explanation = explain_within(books, statement, line, limits).await?;
    report(args, &explanation, || text(&explanation));
    Ok(())
}

fn text(explanation: &Explanation) -> String {
    let e = explanation;
    let mut text = format!(
        "statement {} of account {}: {} to {}\nclosed {}, with all batches through {}\n",
        e.statement_id, e.uin, e.period_start, e.period_end, e.closed_at, e.batch_hi
    );
    for line in &e.lines {
        write_line(&mut text, line, &e.currency);
    }
    write_control(&mut text, &e.control);
    let _infallible = writeln!(
        text,
        "\nusage {} + adjustments {} + rounding {} = total {} {}\ndigest {}",
        e.usage_amount, e.adjustment_amount, e.rounding, e.total, e.currency, e.digest
    );
    if !e.previous_digest.is_empty() {
        let _infallible = writeln!(text, "after  {}", e.previous_digest);
    }
    text
}

/// Both sides of the control totals.
fn write_control(text: &mut String, control: &ControlTotals) {
    let statuses: Vec<String> = control
        .by_status
        .iter()
        .map(|(status, [records, raw])| format!("{} {status} ({})", grouped(*records), counted(*raw, "base unit")))
        .collect();
    let settled = match control.settled_outside {
        0 => String::new(),
        records => format!(" + {} settled outside", grouped(records)),
    };
    let _infallible = writeln!(
        text,
        "\naccount and period as of batch {}: {}\n{} metered = {} billed + {} adjusted later{settled} + {} waiting",
        control.batch_hi,
        statuses.join(", "),
        grouped(control.metered),
        grouped(control.billed),
        grouped(control.adjusted_later),
        grouped(control.waiting)
    );
}

fn write_line(text: &mut String, line: &Explained, currency: &str) {
    let app = line
        .appid
        .as_ref()
        .map(|appid| format!(" app {appid}"))
        .unwrap_or_default();
    let _infallible = writeln!(
        text,
        "\nline {} {}{app} {} {}: {} {currency}",
        line.line_no, line.kind, line.region, line.sku, line.amount
    );
    if !line.note.is_empty() {
        let _infallible = writeln!(text, "  {}", line.note);
    }
    for step in &line.steps {
        let _infallible = writeln!(text, "  {step}");
    }
    if let Some(behind) = &line.behind {
        write_behind(text, behind, line.kind == Kind::Adjustment.word());
    }
}

fn write_behind(text: &mut String, behind: &Behind, is_adjustment: bool) {
    let _infallible = writeln!(
        text,
        "  {} {}, {} reported, {} billable:",
        match (is_adjustment, behind.not_checked.is_empty()) {
            (true, _) => "added or removed since billing: net",
            (false, true) => "raw data:",
            (false, false) => "found in raw data so far:",
        },
        counted(behind.records, "record"),
        counted(behind.raw_units, "base unit"),
        grouped(behind.billable_units)
    );
    for record in &behind.told {
        write_record(text, record);
    }
    let told = i64::try_from(behind.told.len()).unwrap_or(i64::MAX);
    if told < behind.records.abs() && behind.not_checked.is_empty() {
        let _infallible = writeln!(text, "    more records exist (use --records to show more)");
    }
    for sentence in &behind.not_checked {
        let _infallible = writeln!(text, "    NOT CHECKED: {sentence} (use --full to check)");
    }
    for stands in &behind.expired {
        let _infallible = writeln!(
            text,
            "    expired {}: {} of the account, {} ms, kept as sha-256 {}",
            stands.utc_day,
            counted(stands.rows, "record"),
            stands.duration_ms,
            stands.digest
        );
    }
}

fn write_record(text: &mut String, record: &RecordBehind) {
    let how = match record.how {
        "counts since the close" => ", added after closing",
        "counts no more" => ", removed after closing",
        _ => "",
    };
    let _infallible = writeln!(
        text,
        "    {} {} (batch {} line {}), {}, {} ms, {}: {} -> {}{how}",
        record.source,
        record.id,
        record.batch,
        record.line,
        record.finished_at,
        record.duration_ms,
        record.parameters,
        record.raw_units,
        record.billable_units
    );
}
