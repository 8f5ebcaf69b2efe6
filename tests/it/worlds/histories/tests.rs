//! Laws of the model of histories.

use chrono::NaiveDate;
use proptest::test_runner::TestCaseError;
use rust_decimal::Decimal;

use super::*;
use crate::naive::card::GRACE_DAYS;
use crate::naive::history::{Group, HISTORY_COLUMNS, HistoryRow, HistoryStatement, Line as BilledLine, expect_history};
use crate::naive::identity::Status;
use crate::naive::{COLUMNS, Row, Totals, World, expect};
use crate::worlds::UINS;

/// All batches up to a step, to be closed once.
fn at_once(history: &History, steps: usize) -> World {
    let first = &history.steps[..steps];
    World {
        accounts: history.accounts.clone(),
        batches: first.iter().flat_map(|step| step.batches.clone()).collect(),
        clock: first.last().expect("a history has steps").clock,
    }
}

/// The columns that both models have, and nothing in the others.
fn plain(row: &HistoryRow) -> Option<Vec<String>> {
    let [_, cells @ .., statement, line] = row;
    let corrects_nothing = statement.is_empty() && line.is_empty();
    corrects_nothing.then(|| cells.to_vec())
}

/// The text of a cell, by column.
fn cell<'a>(row: &'a Row, column: &str) -> &'a str {
    let at = COLUMNS.iter().position(|name| *name == column).unwrap();
    &row.cells()[at]
}

/// A number of at most 6 decimals, in millionths.
fn micros(text: &str) -> i128 {
    let mut number: Decimal = text.parse().unwrap();
    number.rescale(6);
    number.mantissa()
}

/// Account, first day of the period, version, app, region and SKU.
type GroupKey = [String; 6];

/// Records by group, and quantities by group and price, without what came to nothing.
#[derive(Debug, Default, PartialEq)]
struct Sums {
    records: BTreeMap<GroupKey, i128>,
    quantities: BTreeMap<(GroupKey, i128), i128>,
}

impl Sums {
    fn add(&mut self, key: &GroupKey, records: i128, price: i128, quantity: i128) {
        *self.records.entry(key.clone()).or_default() += records;
        *self.quantities.entry((key.clone(), price)).or_default() += quantity;
    }

    fn without_zeros(mut self) -> Self {
        self.records.retain(|_, records| *records != 0);
        self.quantities.retain(|_, quantity| *quantity != 0);
        self
    }
}

fn group_key(uin: u64, group: &Group) -> GroupKey {
    let day = group.period.start.to_string();
    let version = group.version().from().to_string();
    let (appid, region) = (group.appid.to_string(), group.region.clone());
    [uin.to_string(), day, version, appid, region, group.sku.to_owned()]
}

/// What an account was billed for, in all its statements.
fn billed_in_nights(uin: u64, statements: &[HistoryStatement]) -> Sums {
    let mut sums = Sums::default();
    for statement in statements.iter().filter(|statement| statement.uin == uin) {
        for line in statement.usage.iter().chain(&statement.adjustments) {
            let BilledLine { records, quantity, .. } = *line;
            sums.add(&group_key(uin, &line.group), records, line.price, quantity);
        }
    }
    sums.without_zeros()
}

/// The same, when all is closed at once.
fn billed_at_once(uin: u64, world: &World) -> Sums {
    let mut sums = Sums::default();
    for statement in expect(world).statements.iter().filter(|statement| statement.uin == uin) {
        for row in statement.rows.iter().filter(|row| cell(row, "kind") == "usage") {
            let [version, appid, region, sku] =
                ["card_version", "appid", "region", "sku"].map(|column| cell(row, column).to_owned());
            let key = [
                uin.to_string(),
                statement.period.start.to_string(),
                version,
                appid,
                region,
                sku,
            ];
            let [price, quantity] = ["unit_price", "quantity"].map(|column| micros(cell(row, column)));
            sums.add(&key, cell(row, "records").parse().unwrap(), price, quantity);
        }
    }
    sums.without_zeros()
}

/// How many steps there are up to the last night in which an account closes a period; none if there is no such night.
/// After its first close, it closes in a night that is later than one more period is due.
fn steps_to_last_close(history: &History, uin: u64) -> usize {
    let has_due_usage = |at: &usize| {
        let until = due_until(history.terms(uin), &history.steps[*at]);
        let judged = judge(history, at + 1);
        let mut metered = judged.iter().filter(|record| record.metered().is_some());
        metered.any(|record| record.account_day.is_some_and(|(of, day)| of == uin && day < until))
    };
    let was_added = history.accounts.contains_key(&uin);
    let nights = history.steps.len();
    let Some(first) = (0..nights).find(|at| was_added || has_due_usage(at)) else {
        return 0;
    };
    let ends: Vec<NaiveDate> = history
        .steps
        .iter()
        .map(|step| due_until(history.terms(uin), step))
        .collect();
    let closes = |at: &usize| *at == first || (*at > first && ends[*at] > ends[*at - 1]);
    (0..nights).rev().find(closes).map_or(0, |at| at + 1)
}

/// The end of the last period that is due in a night, found day by day.
fn due_until(terms: Terms, step: &Step) -> NaiveDate {
    let days = terms.day_of(step.clock).iter_days().rev();
    let ends = days.map(|day| terms.cycle.period_of(day));
    let mut due = ends.filter(|period| terms.due_at(*period, GRACE_DAYS) <= step.clock);
    due.next().unwrap().end
}

fn records(totals: &Totals) -> u64 {
    totals.values().map(|total| total.records).sum()
}

proptest! {
    #[test]
    fn one_night_is_what_the_model_without_history_says(drawn in calm_histories()) {
        check_one_night(drawn.history)?;
    }

    #[test]
    fn one_night_with_conflicts_is_what_the_model_without_history_says(drawn in histories()) {
        check_one_night(drawn.history)?;
    }

    /// For each account and the steps up to its last close: what it was billed for, usage and adjustments of all
    /// statements together, is what closing once bills. Quantities by group and price, records by group.
    #[test]
    fn what_comes_late_is_billed_as_if_it_had_come_in_time(drawn in calm_histories()) {
        let statements = expect_history(&drawn.history).statements;
        for uin in UINS {
            let steps = steps_to_last_close(&drawn.history, uin);
            let in_nights = billed_in_nights(uin, &statements);
            if steps == 0 {
                prop_assert_eq!(in_nights, Sums::default());
            } else {
                prop_assert_eq!(in_nights, billed_at_once(uin, &at_once(&drawn.history, steps)));
            }
        }
    }

    /// The same with conflicts, decisions and a corrected price: as if no night before the last one had closed anything.
    #[test]
    fn what_is_decided_late_is_billed_as_if_it_had_been_decided_in_time(drawn in histories()) {
        let statements = expect_history(&drawn.history).statements;
        for uin in UINS {
            let steps = steps_to_last_close(&drawn.history, uin);
            let mut at_once = drawn.history.first_steps(steps);
            for step in at_once.steps.iter_mut().rev().skip(1) {
                step.clock = "2024-02-01T00:00:00Z".parse().unwrap();
            }
            let at_once = expect_history(&at_once).statements;
            prop_assert!(at_once.iter().all(|statement| statement.adjustments.is_empty()));
            prop_assert_eq!(billed_in_nights(uin, &statements), billed_in_nights(uin, &at_once));
        }
    }

    #[test]
    fn what_comes_before_the_first_night_is_billed_in_any_number_of_nights(mut drawn in calm_histories()) {
        let world = at_once(&drawn.history, drawn.history.steps.len());
        let [first, later @ ..] = &mut drawn.history.steps[..] else { panic!("steps") };
        first.batches.clone_from(&world.batches);
        for step in later {
            step.batches.clear();
        }
        let mut rows: Vec<_> = expect_history(&drawn.history).statements;
        rows.sort_by_key(|statement| (statement.uin, statement.period));
        let rows: Vec<_> = rows.iter().flat_map(|statement| &statement.rows).map(plain).collect();
        let expected: Vec<_> = expect(&world).rows().map(|row| Some(row.cells().to_vec())).collect();
        prop_assert_eq!(rows, expected);
    }

    #[test]
    fn a_second_night_at_the_same_clock_adds_nothing(drawn in histories()) {
        let expected = expect_history(&drawn.history);
        let mut again = drawn.history;
        let clock = again.steps.last().unwrap().clock;
        again.steps.push(Step { batches: Vec::new(), decisions: Vec::new(), correction: false, breaks: Breaks::new(), clock });
        prop_assert_eq!(expect_history(&again), expected);
    }

    #[test]
    fn a_later_step_changes_no_statement(drawn in histories()) {
        let all = expect_history(&drawn.history).statements;
        for steps in 0..drawn.history.steps.len() {
            let first = expect_history(&drawn.history.first_steps(steps)).statements;
            prop_assert_eq!(&first[..], &all[..first.len()]);
            prop_assert!(all[first.len()..].iter().all(|statement| statement.step >= steps));
        }
    }

    #[test]
    fn rows_say_all_lines_and_add_up_to_the_total(drawn in histories()) {
        for statement in expect_history(&drawn.history).statements {
            let at = |name| HISTORY_COLUMNS.iter().position(|column| *column == name).unwrap();
            let sum: Decimal = statement.rows.iter().map(|row| row[at("amount")].parse::<Decimal>().unwrap()).sum();
            prop_assert_eq!(sum, statement.total.parse().unwrap());
            let of_kind = |kind| statement.rows.iter().filter(|row| row[at("kind")] == kind).count();
            prop_assert_eq!(of_kind("usage"), statement.usage.len());
            prop_assert_eq!(of_kind("adjustment"), statement.adjustments.len());
            prop_assert!(of_kind("rounding") <= 1 && !statement.rows.is_empty());
        }
    }

    #[test]
    fn every_line_that_came_has_one_status(drawn in histories()) {
        let batches = || drawn.history.steps.iter().flat_map(|step| &step.batches);
        let lines: usize = batches().map(|batch| batch.lines.len()).sum();
        prop_assert_eq!(records(&expect_history(&drawn.history).totals), lines as u64);
        let texts: Vec<&String> = drawn.ndjson.iter().flatten().collect();
        prop_assert_eq!(texts.len(), batches().count());
        for (text, batch) in texts.into_iter().zip(batches()) {
            prop_assert_eq!(text.lines().count(), batch.lines.len());
        }
    }

    #[test]
    fn nights_are_in_order_and_nothing_comes_before_it_was_finished(drawn in histories()) {
        let steps = &drawn.history.steps;
        prop_assert!(steps.windows(2).all(|steps| steps[0].clock < steps[1].clock));
        for step in steps {
            let mut records = step.batches.iter().flat_map(|batch| &batch.lines);
            prop_assert!(records.all(|record| was_finished(record, step.clock)));
        }
    }

    #[test]
    fn calm_histories_have_no_conflicts(drawn in calm_histories()) {
        let totals = expect_history(&drawn.history).totals;
        prop_assert!(!totals.contains_key(&Status::Conflict));
    }
}

/// All batches in one step, to be closed at the last clock.
fn check_one_night(history: History) -> Result<(), TestCaseError> {
    let world = at_once(&history, history.steps.len());
    let step = Step {
        batches: world.batches.clone(),
        decisions: Vec::new(),
        correction: false,
        breaks: Breaks::new(),
        clock: world.clock,
    };
    let one_night = History {
        accounts: history.accounts,
        steps: vec![step],
    };
    let (found, expected) = (expect_history(&one_night), expect(&world));
    prop_assert_eq!(&found.totals, &expected.totals);
    let rows: Vec<_> = found.rows().map(plain).collect();
    let wanted: Vec<_> = expected.rows().map(|row| Some(row.cells().to_vec())).collect();
    prop_assert_eq!(rows, wanted);
    let totals: Vec<_> = found.statements.into_iter().map(|statement| statement.total).collect();
    let wanted: Vec<_> = expected
        .statements
        .into_iter()
        .map(|statement| statement.total)
        .collect();
    prop_assert_eq!(totals, wanted);
    Ok(())
}
