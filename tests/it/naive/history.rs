//! Nights in a row: late usage, voids, resolved conflicts and a corrected price, and the adjustments that come of them.
//!
//! The model stays naive: each night it judges all lines from the first one on, rates all periods of an account from
//! the first one on, and takes what was billed off what should be.
//!
//! Where the rules are silent:
//! - a slice is the number of its tier, so a line that moves to the next tier moves to another slice;
//! - an account that was added has closed periods from before all usage; one that appears by itself begins with the
//!   first period that has metered usage at the night of its first close;
//! - the period of an adjustment's row is that of its statement;
//! - of lines with the same slice that stand for nothing, the one with the lowest price carries the records.

mod adjusting;
pub mod claims;
pub mod correction;
mod rating;
mod sheet;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, NaiveDate, Utc};

use super::calendar::{Period, Terms};
use super::card::{DEFAULT_TERMS, GRACE_DAYS};
use super::identity::Judged;
use super::record::{Batch, Usage};
use super::{COLUMNS, Totals, totals};
use adjusting::differences;
pub use rating::{Group, Line};
use rating::{UsageByPeriod, rate, usage_by_period};

/// The columns of `statement_lines.csv` that the model of a history predicts.
pub const HISTORY_COLUMNS: [&str; COLUMNS.len() + 3] = history_columns();

/// The cells of a row in the order of [`HISTORY_COLUMNS`], as the export prints them.
pub type HistoryRow = [String; HISTORY_COLUMNS.len()];

const fn history_columns() -> [&'static str; COLUMNS.len() + 3] {
    let mut columns = ["statement_id"; COLUMNS.len() + 3];
    let mut at = 0;
    while at < COLUMNS.len() {
        columns[at + 1] = COLUMNS[at];
        at += 1;
    }
    columns[at + 1] = "corrects_statement";
    columns[at + 2] = "corrects_line";
    columns
}

/// All that the statements of several nights depend on.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Accounts that were added with terms of their own, by UIN; others appear by themselves.
    pub accounts: BTreeMap<u64, Terms>,
    /// In order, by clock.
    pub steps: Vec<Step>,
}

/// What comes before a night, and the night.
#[derive(Debug, Clone)]
pub struct Step {
    /// In the order in which they were committed. All usage in them was finished by the clock.
    pub batches: Vec<Batch>,
    /// A person's word on open conflicts, in order, after the batches were metered and before the close.
    pub decisions: Vec<Decision>,
    /// Whether the prices of the card are corrected before the close; see [`correction`].
    pub correction: bool,
    /// Days of all steps so far on which accounts ended, also where that was taken back: periods begin on them.
    pub breaks: Breaks,
    /// When all due periods are closed.
    pub clock: DateTime<Utc>,
}

/// Days on which periods begin beside those of the cycle, by account.
pub type Breaks = BTreeMap<u64, BTreeSet<NaiveDate>>;

/// Resolves the open conflicts of an identity that have one content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision {
    /// The scope of the id.
    pub source: String,
    /// The id.
    pub id: String,
    /// What was sent and did not stand.
    pub content: Usage,
    /// Whether it stands from now on.
    pub replace: bool,
}

/// What must come of a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedHistory {
    /// By step, account (number) and period.
    pub statements: Vec<HistoryStatement>,
    /// By status, all records, after the last step.
    pub totals: Totals,
}

/// A closed period with at least one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryStatement {
    /// The position of the step whose night closed it.
    pub step: usize,
    /// The account.
    pub uin: u64,
    /// Dates in the account's zone.
    pub period: Period,
    /// Of its own usage, in the order of the rows.
    pub usage: Vec<Line>,
    /// Of what was closed earlier, in the order of the rows.
    pub adjustments: Vec<Line>,
    /// 2 decimals.
    pub total: String,
    /// With the rounding line, if there is one.
    pub rows: Vec<HistoryRow>,
}

impl History {
    /// The terms of an account: its own, or those of an account that appears by itself.
    pub fn terms(&self, uin: u64) -> Terms {
        self.accounts.get(&uin).copied().unwrap_or(DEFAULT_TERMS)
    }

    /// The same with its first steps only.
    pub fn first_steps(&self, count: usize) -> Self {
        let (accounts, steps) = (self.accounts.clone(), self.steps[..count].to_vec());
        Self { accounts, steps }
    }
}

impl ExpectedHistory {
    /// All rows of all statements, in the order in which they were closed.
    pub fn rows(&self) -> impl Iterator<Item = &HistoryRow> {
        self.statements.iter().flat_map(|statement| &statement.rows)
    }
}

/// The name of a statement.
pub fn statement_id(uin: u64, period: Period) -> String {
    format!(
        "{uin}-{}-{}",
        period.start.format("%Y%m%d"),
        period.end.format("%Y%m%d")
    )
}

/// What must come of a history: each step meters its batches, takes its decisions and closes all due periods.
pub fn expect_history(history: &History) -> ExpectedHistory {
    let mut accounts: BTreeMap<u64, Account> = BTreeMap::new();
    let mut statements = Vec::new();
    for (at, step) in history.steps.iter().enumerate() {
        let judged = claims::judge(history, at + 1);
        let is_corrected = history.steps[..=at].iter().any(|step| step.correction);
        for uin in uins(history, &judged) {
            let account = accounts.entry(uin).or_insert_with(|| Account::new(history, uin));
            account.breaks = step.breaks.get(&uin).cloned().unwrap_or_default();
            let usage = usage_by_period(uin, account.terms, &account.breaks, &judged);
            statements.extend(account.night(at, step.clock, &usage, is_corrected));
        }
    }
    ExpectedHistory {
        statements,
        totals: totals(claims::judge(history, history.steps.len()).iter()),
    }
}

fn uins(history: &History, judged: &[Judged]) -> BTreeSet<u64> {
    let added = history.accounts.keys().copied();
    added.chain(judged.iter().filter_map(Judged::uin)).collect()
}

/// An account from night to night.
struct Account {
    uin: u64,
    terms: Terms,
    /// Days on which its periods begin beside those of the cycle.
    breaks: BTreeSet<NaiveDate>,
    /// The first day that is not closed, once there was a close. What was added begins before all usage.
    closed_until: Option<NaiveDate>,
    /// All lines but those of rounding, in the order in which they were billed.
    billed: Vec<Billed>,
}

/// A line that stands in a statement.
struct Billed {
    line: Line,
    statement: String,
    line_no: usize,
}

impl Account {
    fn new(history: &History, uin: u64) -> Self {
        let was_added = history.accounts.contains_key(&uin);
        Self {
            uin,
            terms: history.terms(uin),
            breaks: BTreeSet::new(),
            closed_until: was_added.then_some(NaiveDate::MIN),
            billed: Vec::new(),
        }
    }

    /// Closes what is due. All that changed in what was closed before goes to the first period that this night closes.
    fn night(
        &mut self,
        step: usize,
        clock: DateTime<Utc>,
        usage: &UsageByPeriod,
        is_corrected: bool,
    ) -> Vec<HistoryStatement> {
        let until = due_until(self.terms, &self.breaks, clock);
        let first_usage = usage.keys().next().map(|period| period.start);
        let Some(from) = self.closed_until.or(first_usage).filter(|from| *from < until) else {
            return Vec::new();
        };
        self.closed_until = Some(until);
        let (closed, closing): (Vec<Line>, Vec<Line>) = rate(self.terms, usage, until, is_corrected)
            .into_iter()
            .partition(|line| line.group.period.start < from);
        let mut sheets: BTreeMap<Period, (Vec<Line>, Vec<Line>)> = BTreeMap::new();
        for line in closing {
            sheets.entry(line.group.period).or_default().0.push(line);
        }
        let adjustments = differences(&closed, &self.billed);
        if !adjustments.is_empty() {
            let first = self.terms.cycle.period_between(from, &self.breaks);
            sheets.entry(first).or_default().1 = adjustments;
        }
        let issue = |(period, (usage, adjustments))| self.issue(step, period, usage, adjustments);
        sheets.into_iter().map(issue).collect()
    }

    fn issue(&mut self, step: usize, period: Period, usage: Vec<Line>, adjustments: Vec<Line>) -> HistoryStatement {
        let (total, rows) = sheet::write(self, period, &usage, &adjustments);
        let lines = usage.iter().chain(&adjustments).cloned();
        self.billed.extend((1..).zip(lines).map(|(line_no, line)| Billed {
            line,
            statement: statement_id(self.uin, period),
            line_no,
        }));
        HistoryStatement {
            step,
            uin: self.uin,
            period,
            usage,
            adjustments,
            total,
            rows,
        }
    }
}

/// The end of the last period that is due.
pub fn due_until(terms: Terms, breaks: &BTreeSet<NaiveDate>, clock: DateTime<Utc>) -> NaiveDate {
    let mut period = terms.cycle.period_between(terms.day_of(clock), breaks);
    while terms.due_at(period, GRACE_DAYS) > clock {
        let before = period.start.pred_opt().expect("tests are not that old");
        period = terms.cycle.period_between(before, breaks);
    }
    period.end
}
