//! What `quarantine` prints.

use std::fmt::Write as _;

use super::Listed;
use crate::pipeline::ingest::quarantine::alarm::Alarm;
use crate::pipeline::ingest::quarantine::correct::Corrected;
use crate::pipeline::ingest::quarantine::dismiss::Dismissed;
use crate::pipeline::ingest::quarantine::retry::Retried;
use crate::pipeline::ingest::quarantine::store::QuarantinedLine;
use crate::support::table::{Table, counted, grouped};

/// Lines told of a correction that are refused still.
const STILL_REFUSED: usize = 10;

/// Counts first, then the lines of the page.
pub fn list(listed: &Listed) -> String {
    if listed.counts.is_empty() {
        return "no matching lines in quarantine\n".to_owned();
    }
    let mut counts = Table::new(&["lines", "batch", "input", "reason"]);
    for count in &listed.counts {
        counts.row([
            grouped(count.lines),
            count.batch.to_string(),
            count.input.clone(),
            count.code.clone(),
        ]);
    }
    let mut lines = Table::new(&["number", "batch", "line", "reason", "sentence", "state"]);
    for line in &listed.lines {
        let numbers = [line.quarantine, line.batch, line.line].map(|number| number.to_string());
        let words = [line.code.clone(), line.sentence.clone(), line.state.to_owned()];
        lines.row(numbers.into_iter().chain(words));
    }
    let total: i64 = listed.counts.iter().map(|count| count.lines).sum();
    let mut text = format!("{}\n{}", counts.text(), lines.text());
    if let Some(after) = listed.after {
        let shown = grouped(i64::try_from(listed.lines.len()).unwrap_or(i64::MAX));
        let _infallible = writeln!(
            text,
            "\n{shown} of {} shown; for more use --after {after}",
            counted(total, "line")
        );
    }
    text
}

pub fn csv(listed: &Listed) -> String {
    let mut table = Table::new(&[
        "number",
        "batch",
        "input",
        "source",
        "line",
        "reason",
        "sentence",
        "bytes",
        "sha_256",
        "received_at",
        "state",
    ]);
    for line in &listed.lines {
        table.row([
            line.quarantine.to_string(),
            line.batch.to_string(),
            line.input.clone(),
            line.source.clone(),
            line.line.to_string(),
            line.code.clone(),
            line.sentence.clone(),
            line.payload_bytes.to_string(),
            line.payload_digest.clone(),
            line.received_at.clone(),
            line.state.to_owned(),
        ]);
    }
    table.csv()
}

/// Lines with their bytes.
pub fn shown(lines: &[QuarantinedLine], after: Option<i64>) -> String {
    let mut text = lines.iter().map(one_shown).collect::<Vec<_>>().join("\n");
    if lines.is_empty() {
        text.push_str("no matching lines in quarantine\n");
    }
    if let Some(after) = after {
        let _infallible = writeln!(text, "\nmore lines after {after}; use --limit to show more");
    }
    text
}

fn one_shown(line: &QuarantinedLine) -> String {
    let mut text = format!(
        "{} {} line {} (batch {}), received {}\n{}: {}\nsha-256 {}, {} bytes\n",
        line.quarantine,
        line.input,
        line.line,
        line.batch,
        line.received_at,
        line.code,
        line.sentence,
        line.payload_digest,
        line.payload_bytes,
    );
    if let Some(batch) = line.accepted_by {
        let _infallible = writeln!(text, "accepted by batch {batch}");
    }
    if let (Some(entry), Some(digest)) = (line.corrected_by, &line.corrected_digest) {
        let _infallible = writeln!(text, "corrected (audit entry {entry}), accepted with sha-256 {digest}");
    }
    if let Some(entry) = line.dismissed_by {
        let _infallible = writeln!(text, "dismissed (audit entry {entry})");
    }
    text.push_str(line.payload.as_deref().unwrap_or("(the content has expired)"));
    text.push('\n');
    text
}

/// Number, tab, line: as `quarantine correct` takes them. A line end within a JSON record is white space, and becomes a blank. Lines
/// whose bytes have expired are left out.
pub fn lines_only(lines: &[QuarantinedLine]) -> Vec<u8> {
    let mut text = Vec::new();
    for line in lines {
        if let Some(bytes) = &line.bytes {
            text.extend_from_slice(format!("{}\t", line.quarantine).as_bytes());
            text.extend(bytes.iter().map(|byte| if *byte == b'\n' { b' ' } else { *byte }));
            text.push(b'\n');
        }
    }
    text
}

pub fn retried(retried: &Retried) -> String {
    format!(
        "{} tried, {} accepted, {} without stored content\n",
        counted(retried.tried, "line"),
        grouped(retried.accepted),
        grouped(retried.without_bytes)
    )
}

pub fn corrected(corrected: &Corrected) -> String {
    let entries: Vec<String> = corrected.audit_entries.iter().map(ToString::to_string).collect();
    let audit = match entries.as_slice() {
        [] => String::new(),
        _ => format!(" (audit entry {})", entries.join(", ")),
    };
    let mut text = format!("{} accepted{audit}\n", counted(corrected.accepted, "corrected line"));
    if corrected.already > 0 {
        let _infallible = writeln!(
            text,
            "{} accepted by an earlier run",
            counted(corrected.already, "line")
        );
    }
    if !corrected.refused.is_empty() {
        let _infallible = writeln!(
            text,
            "{} still refused and left unchanged:",
            counted(corrected.refused.len(), "line")
        );
    }
    for line in corrected.refused.iter().take(STILL_REFUSED) {
        let _infallible = writeln!(text, "  {}: {} ({})", line.quarantine, line.sentence, line.code);
    }
    if corrected.refused.len() > STILL_REFUSED {
        let more = corrected.refused.len() - STILL_REFUSED;
        let _infallible = writeln!(text, "  and {more} more (use --json to list all)");
    }
    text
}

pub fn dismissed(dismissed: &Dismissed) -> String {
    match dismissed.audit_entry {
        None => "no matching lines are open in quarantine\n".to_owned(),
        Some(entry) => format!(
            "{} dismissed (audit entry {entry}); dismissed lines still count as quarantined\n",
            counted(dismissed.lines, "line")
        ),
    }
}

pub fn alarms(alarms: &[Alarm]) -> String {
    if alarms.is_empty() {
        return "no open alarms\n".to_owned();
    }
    let mut table = Table::new(&[
        "alarm", "batch", "input", "source", "reason", "lines", "refused", "waiting", "raised", "state",
    ]);
    for alarm in alarms {
        table.row([
            alarm.alarm.to_string(),
            alarm.batch.to_string(),
            alarm.input.clone(),
            alarm.source.clone(),
            alarm.code.clone(),
            grouped(alarm.received),
            grouped(alarm.refused),
            grouped(alarm.waiting),
            alarm.raised_at.clone(),
            alarm.state.clone(),
        ]);
    }
    table.text()
}
