//! Histories in which accounts end and go on again. What the model says of an attempt stands beside it: whether it is refused, which
//! lines are refused at the door, and which come in when they are tried again.

use std::collections::BTreeMap;

use chrono::{DateTime, Days, NaiveDate, Utc};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::{DrawnHistory, calm_histories};
use crate::naive::calendar::Terms;
use crate::naive::card::DEFAULT_TERMS;
use crate::naive::history::{Breaks, History, Step, due_until};
use crate::naive::record::{Batch, Content, NaiveRecord};
use crate::worlds::UINS;

/// Attempts in each half of a step, at most.
const ATTEMPTS_MAX: usize = 3;

/// Days after its end on which an account can be taken back, at most.
const REINSTATE_DAYS: u64 = 30;

/// The first day on which an account may be ended, and how many there are: 25 October to 22 January.
const FIRST_DAY: &str = "2024-10-25";
const DAYS: u64 = 90;

/// What a person tries, and whether it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempt {
    /// The account.
    pub uin: u64,
    /// The day to end it on; none: it is to go on.
    pub end_day: Option<NaiveDate>,
    /// What the model says.
    pub is_refused: bool,
}

/// A history with ends of accounts. The model has what passes the door, the text what is sent.
#[derive(Debug, Clone)]
pub struct EndedHistory {
    /// Steps without what is refused; what retries take is their first and their last batch.
    pub drawn: DrawnHistory,
    /// By step: before anything of it comes, and after it.
    pub attempts: Vec<[Vec<Attempt>; 2]>,
    /// Lines that are in quarantine after the last step.
    pub refused: usize,
}

/// Histories with repeats and voids, in which accounts end and go on.
pub fn ended_histories() -> impl Strategy<Value = EndedHistory> {
    let day = (0..DAYS).prop_map(|day| FIRST_DAY.parse::<NaiveDate>().expect("a date") + Days::new(day));
    let end = (select(&UINS[..]), day).prop_map(|(uin, day)| Wanted::End(uin, day));
    let go_on = any::<Index>().prop_map(Wanted::GoOn);
    let anybody = select(&UINS[..]).prop_map(Wanted::GoOnWhoever);
    let half = vec(prop_oneof![4 => end, 3 => go_on, 1 => anybody], 0..=ATTEMPTS_MAX).boxed();
    let attempts = vec((half.clone(), half), 3);
    (calm_histories(), attempts).prop_map(|(drawn, attempts)| with_ends(drawn, &attempts))
}

/// What is drawn.
#[derive(Debug, Clone)]
enum Wanted {
    End(u64, NaiveDate),
    /// One of those that have ended; nothing where there is none.
    GoOn(Index),
    /// An account, whether it has ended or not.
    GoOnWhoever(u64),
}

fn with_ends(mut drawn: DrawnHistory, wanted: &[(Vec<Wanted>, Vec<Wanted>)]) -> EndedHistory {
    // Of an account that appears by itself, it would matter whether it has appeared.
    for uin in UINS {
        drawn.history.accounts.entry(uin).or_insert(DEFAULT_TERMS);
    }
    let mut door = Door::default();
    let mut attempts = Vec::new();
    let History { accounts, steps } = drawn.history;
    let mut passed = Vec::new();
    for (step, (before, after)) in steps.into_iter().zip(wanted) {
        let (tried_before, first) = door.attempts(&accounts, before, step.clock);
        let mut step = door.pass(&accounts, step);
        let (tried_after, last) = door.attempts(&accounts, after, step.clock);
        step.batches.insert(0, first);
        step.batches.push(last);
        step.breaks.clone_from(&door.breaks);
        door.last_night = Some(step.clock);
        attempts.push([tried_before, tried_after]);
        passed.push(step);
    }
    drawn.history = History {
        accounts,
        steps: passed,
    };
    EndedHistory {
        drawn,
        attempts,
        refused: door.refused.len(),
    }
}

type Accounts = BTreeMap<u64, Terms>;

/// Who has ended, what came in, and what did not.
#[derive(Default)]
struct Door {
    ended: BTreeMap<u64, NaiveDate>,
    breaks: Breaks,
    stored: Vec<NaiveRecord>,
    refused: Vec<NaiveRecord>,
    /// The clock of the last night.
    last_night: Option<DateTime<Utc>>,
}

/// Account and billing day of a record; none of a void.
fn account_day(accounts: &Accounts, record: &NaiveRecord) -> Option<(u64, NaiveDate)> {
    match &record.content {
        Content::Usage(usage) => Some((usage.uin, accounts[&usage.uin].day_of(usage.finished_at))),
        Content::Void(_) => None,
    }
}

impl Door {
    /// What comes of attempts, and the lines that retries take then.
    fn attempts(&mut self, accounts: &Accounts, wanted: &[Wanted], clock: DateTime<Utc>) -> (Vec<Attempt>, Batch) {
        let (mut tried, mut lines) = (Vec::new(), Vec::new());
        for wanted in wanted {
            let (uin, end_day) = match wanted {
                Wanted::End(uin, day) => (*uin, Some(*day)),
                Wanted::GoOn(_) if self.ended.is_empty() => continue,
                Wanted::GoOn(index) => (*index.get(&self.ended.keys().copied().collect::<Vec<_>>()), None),
                Wanted::GoOnWhoever(uin) => (*uin, None),
            };
            let is_refused = match end_day {
                Some(day) => !self.terminate(accounts, uin, day),
                None => !self.reinstate(accounts, uin, clock),
            };
            if end_day.is_none() && !is_refused {
                lines.extend(self.try_again(accounts));
            }
            tried.push(Attempt {
                uin,
                end_day,
                is_refused,
            });
        }
        (tried, Batch { lines })
    }

    /// Whether an account ends on a day: it has not ended, nothing of that day or later is closed or stored.
    fn terminate(&mut self, accounts: &Accounts, uin: u64, day: NaiveDate) -> bool {
        let breaks = self.breaks.entry(uin).or_default();
        let closed_until = self.last_night.map(|clock| due_until(accounts[&uin], breaks, clock));
        let is_later =
            |record: &NaiveRecord| account_day(accounts, record).is_some_and(|(of, at)| of == uin && day <= at);
        let is_refused = self.ended.contains_key(&uin)
            || closed_until.is_some_and(|closed_until| day < closed_until)
            || self.stored.iter().any(is_later);
        if !is_refused {
            breaks.insert(day);
            self.ended.insert(uin, day);
        }
        !is_refused
    }

    /// Whether an account goes on.
    fn reinstate(&mut self, accounts: &Accounts, uin: u64, clock: DateTime<Utc>) -> bool {
        let today = accounts[&uin].day_of(clock);
        let ended = self.ended.get(&uin);
        let goes_on = ended.is_some_and(|ended| today <= *ended + Days::new(REINSTATE_DAYS));
        if goes_on {
            self.ended.remove(&uin);
        }
        goes_on
    }

    fn takes(&self, accounts: &Accounts, record: &NaiveRecord) -> bool {
        let Some((uin, day)) = account_day(accounts, record) else {
            return true;
        };
        self.ended.get(&uin).is_none_or(|ended| day < *ended)
    }

    /// Takes what was refused and passes now, in the order in which it came.
    fn try_again(&mut self, accounts: &Accounts) -> Vec<NaiveRecord> {
        let refused = std::mem::take(&mut self.refused);
        let (now, still) = refused.into_iter().partition(|record| self.takes(accounts, record));
        self.refused = still;
        self.stored.extend(Vec::clone(&now));
        now
    }

    /// The step with what passes.
    fn pass(&mut self, accounts: &Accounts, step: Step) -> Step {
        let mut batches = Vec::new();
        for batch in step.batches {
            let (passes, refused): (Vec<_>, Vec<_>) =
                batch.lines.into_iter().partition(|record| self.takes(accounts, record));
            self.stored.extend(passes.clone());
            self.refused.extend(refused);
            batches.push(Batch { lines: passes });
        }
        Step { batches, ..step }
    }
}

#[cfg(test)]
mod tests {
    use proptest::strategy::ValueTree as _;
    use proptest::test_runner::TestRunner;

    use super::*;

    /// What happens in none of the drawn histories would be tested in none.
    #[test]
    fn among_the_histories_every_answer_is_given() {
        let mut runner = TestRunner::deterministic();
        let [
            mut ended,
            mut not_ended,
            mut gone_on,
            mut not_gone_on,
            mut refused,
            mut again,
        ] = [0; 6];
        for _ in 0..400 {
            let history = ended_histories().new_tree(&mut runner).unwrap().current();
            for attempt in history.attempts.iter().flatten().flatten() {
                match (attempt.end_day, attempt.is_refused) {
                    (Some(_), false) => ended += 1,
                    (Some(_), true) => not_ended += 1,
                    (None, false) => gone_on += 1,
                    (None, true) => not_gone_on += 1,
                }
            }
            refused += history.refused;
            let steps = &history.drawn.history.steps;
            let retried = steps
                .iter()
                .flat_map(|step| [step.batches.first(), step.batches.last()]);
            again += retried.flatten().map(|batch| batch.lines.len()).sum::<usize>();
        }
        let found = [ended, not_ended, gone_on, not_gone_on, refused, again];
        assert!(found.iter().all(|count| *count > 30), "{found:?}");
    }
}
