//! Alarms: an input of which no record, or too few, could be taken needs a person. The alarm ends when one dismisses it, or when a
//! retry or a correction has taken its lines, or the last of them was dismissed.

pub mod store;

use crate::context::{Books, Settings};
use crate::storage::ledger::{Decision, add_audit};
use crate::support::error::{Error, Result};
use crate::support::table::grouped;

/// At least one line was refused and none stored.
pub const NO_RECORD: &str = "no_record";

/// Of at least `alarm_lines_min` lines more than `alarm_refused_percent` in a hundred were refused.
pub const MANY_REFUSED: &str = "many_refused";

/// The states of an alarm.
pub(super) const OPEN: &str = "open";
pub(super) const DISMISSED: &str = "dismissed";
pub(super) const TAKEN: &str = "taken";

/// An input that needs a person.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Alarm {
    pub alarm: i64,
    pub batch: i64,
    pub input: String,
    pub source: String,
    /// [`NO_RECORD`] or [`MANY_REFUSED`].
    pub code: String,
    /// Lines of the input, and those that were refused when it came.
    pub received: i64,
    pub refused: i64,
    /// Lines that still wait in quarantine.
    pub waiting: i64,
    pub raised_at: String,
    /// `open`, `dismissed` or `taken`.
    pub state: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<String>,
    /// The reason of most lines, and what is said of the first of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub most: Option<(String, String)>,
}

impl Alarm {
    /// Whether not one record of the input was taken.
    pub fn is_of_no_record(&self) -> bool {
        self.code == NO_RECORD
    }

    /// What a person reads, in one line: what happened, the reason of most lines, and what ends it.
    pub fn sentence(&self) -> String {
        let (received, refused) = (grouped(self.received), grouped(self.refused));
        let what = match (self.is_of_no_record(), self.received) {
            (true, 1) => "its only line was refused".to_owned(),
            (true, _) => format!("all of its {received} lines were refused"),
            (false, _) => format!("{refused} of its {received} lines were refused"),
        };
        let most = self.most.as_ref().map_or_else(String::new, |(code, sentence)| {
            format!(", mostly as {code} (such as: {sentence})")
        });
        let batch = self.batch;
        format!(
            "{} (batch {batch}): {what}{most}; see `tallybook quarantine list --batch {batch}`. To end this alarm, fix the cause \
             and run `tallybook quarantine retry --batch {batch}`, correct the lines (`tallybook quarantine correct`), or dismiss \
             them with `tallybook quarantine dismiss --batch {batch} --reason TEXT`",
            self.input
        )
    }
}

/// The alarm that an input raises, by its counts of lines.
pub fn raised(settings: &Settings, received: i64, stored: i64, refused: i64) -> Option<&'static str> {
    if refused == 0 {
        return None;
    }
    if stored == 0 {
        return Some(NO_RECORD);
    }
    let is_large = received >= i64::from(settings.alarm_lines_min);
    let is_much = i128::from(refused) * 100 > i128::from(received) * i128::from(settings.alarm_refused_percent);
    (is_large && is_much).then_some(MANY_REFUSED)
}

/// Ends one alarm and leaves its lines in quarantine. Returns the audit entry.
pub async fn dismiss(books: &Books, number: i64, reason: &str) -> Result<i64> {
    let at = books.clock.text();
    let alarm = store::alarm(&books.ledger, number).await?;
    if alarm.state != OPEN {
        return Err(Error::Usage(format!(
            "alarm {number} is already {}; nothing was written",
            alarm.state
        )));
    }
    let decision = Decision {
        who: &books.settings.who,
        action: "alarm dismiss",
        subject: format!("alarm {number}"),
        detail: serde_json::json!({ "batch": alarm.batch, "input": alarm.input, "received": alarm.received, "refused": alarm.refused }),
        reason,
        at: at.clone(),
    };
    let mut tx = books.ledger.begin().await?;
    let entry = add_audit(&mut tx, &decision).await?;
    store::end_one(&mut tx, number, DISMISSED, Some(entry), &at).await?;
    books.ledger.commit(tx, "dismiss").await?;
    Ok(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_input_without_a_record_or_with_more_than_one_line_in_ten_refused_needs_a_person() {
        let settings = Settings::default();
        let raised = |received, stored| raised(&settings, received, stored, received - stored);
        assert_eq!(raised(0, 0), None, "an empty file, or a header alone");
        assert_eq!(raised(1, 0), Some(NO_RECORD));
        assert_eq!(raised(1000, 0), Some(NO_RECORD));
        assert_eq!(raised(99, 1), None, "too small for a share to mean something");
        assert_eq!(raised(100, 90), None, "one in ten is not more than one in ten");
        assert_eq!(raised(100, 89), Some(MANY_REFUSED));
        assert_eq!(raised(1_000_000, 899_999), Some(MANY_REFUSED));
        assert_eq!(raised(1_000_000, 1_000_000), None);
    }

    #[test]
    fn both_limits_are_settings() {
        let settings = Settings {
            alarm_lines_min: 10,
            alarm_refused_percent: 50,
            ..Settings::default()
        };
        assert_eq!(raised(&settings, 10, 5, 5), None);
        assert_eq!(raised(&settings, 10, 4, 6), Some(MANY_REFUSED));
        assert_eq!(raised(&settings, 9, 1, 8), None);
    }
}
