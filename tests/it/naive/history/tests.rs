//! Histories against examples that were computed by hand.

use chrono_tz::Tz;

use super::claims::{judge, open_conflicts};
use super::correction::corrected_card;
use super::*;
use crate::naive::calendar::Cycle;
use crate::naive::identity::Status;
use crate::naive::record::{Content, NaiveRecord, Value};

const UIN: u64 = 7;

fn review(at: &str) -> Usage {
    Usage {
        uin: UIN,
        appid: 10,
        task_type: "Review".to_owned(),
        parameters: BTreeMap::new(),
        duration_ms: 0,
        finished_at: at.parse().unwrap(),
        failed: false,
    }
}

fn transcode(at: &str, kind: &str, side: i64, duration_ms: u64) -> Usage {
    let number = |number: i64| Value::Number(number.into());
    let parameters = [
        ("type", Value::Text(kind.to_owned())),
        ("width", number(side)),
        ("height", number(9_999)),
    ];
    Usage {
        task_type: "Transcode".to_owned(),
        parameters: parameters.map(|(name, value)| (name.to_owned(), value)).into(),
        duration_ms,
        ..review(at)
    }
}

fn record(id: &str, content: Content) -> NaiveRecord {
    NaiveRecord {
        source: "mps".to_owned(),
        id: id.to_owned(),
        content,
    }
}

fn sent(id: &str, usage: &Usage) -> NaiveRecord {
    record(id, Content::Usage(usage.clone()))
}

fn void(id: &str, target: &str) -> NaiveRecord {
    record(id, Content::Void(target.to_owned()))
}

fn step<const N: usize>(clock: &str, lines: [NaiveRecord; N]) -> Step {
    Step {
        batches: vec![Batch { lines: lines.into() }],
        decisions: Vec::new(),
        correction: false,
        breaks: Breaks::new(),
        clock: clock.parse().unwrap(),
    }
}

fn decision(id: &str, content: &Usage, replace: bool) -> Decision {
    Decision {
        source: "mps".to_owned(),
        id: id.to_owned(),
        content: content.clone(),
        replace,
    }
}

fn history<const N: usize>(cycle: Cycle, steps: [Step; N]) -> History {
    let terms = Terms {
        zone: Tz::UTC,
        cycle,
        discount: 0,
    };
    History {
        accounts: BTreeMap::from([(UIN, terms)]),
        steps: steps.into(),
    }
}

const MONTHS: Cycle = Cycle::Monthly(1);

/// What tells the lines of the statements of one account apart, joined by spaces; `-` for nothing.
fn shown(history: &History) -> Vec<String> {
    let columns = [
        "statement_id",
        "line_no",
        "kind",
        "records",
        "quantity",
        "unit_price",
        "amount",
        "corrects_statement",
        "corrects_line",
    ];
    let at = columns.map(|name| HISTORY_COLUMNS.iter().position(|column| *column == name).unwrap());
    let or_nothing = |cell: &String| if cell.is_empty() { "-".to_owned() } else { cell.clone() };
    let show = |row: &HistoryRow| at.map(|at| or_nothing(&row[at])).join(" ");
    expect_history(history).rows().map(show).collect()
}

fn totals_of(history: &History) -> Vec<String> {
    let statements = expect_history(history).statements;
    statements.into_iter().map(|statement| statement.total).collect()
}

fn statuses(history: &History) -> Vec<&'static str> {
    let judged = judge(history, history.steps.len());
    judged.iter().map(|line| line.status.word()).collect()
}

#[test]
fn a_late_record_on_the_first_day_moves_the_slices_of_closed_days() {
    let (first, second, third) = ("2024-11-01T10:00:00Z", "2024-11-02T10:00:00Z", "2024-11-03T10:00:00Z");
    let [one, two, three] = [first, second, third].map(review);
    let history = history(
        Cycle::Daily,
        [
            step(
                "2024-11-06T00:00:00Z",
                [sent("a", &one), sent("b", &one), sent("c", &two), sent("d", &two)],
            ),
            step("2024-11-07T00:00:00Z", [sent("late", &one), sent("e", &three)]),
        ],
    );
    assert_eq!(
        shown(&history),
        [
            "7-20241101-20241102 1 usage 2 2.000000 0.5 1.0000000000 - -",
            "7-20241102-20241103 1 usage 2 1.000000 0.5 0.5000000000 - -",
            "7-20241102-20241103 2 usage 0 1.000000 0.25 0.2500000000 - -",
            // The first tier ends with the late record: the second day is all of the next tier, and so is the third.
            "7-20241103-20241104 1 usage 1 1.000000 0.25 0.2500000000 - -",
            "7-20241103-20241104 2 adjustment 1 1.000000 0.5 0.5000000000 7-20241101-20241102 1",
            "7-20241103-20241104 3 adjustment 0 -1.000000 0.5 -0.5000000000 7-20241102-20241103 1",
            "7-20241103-20241104 4 adjustment 0 1.000000 0.25 0.2500000000 7-20241102-20241103 2",
        ]
    );
    assert_eq!(totals_of(&history), ["1.00", "0.75", "0.50"]);
}

#[test]
fn the_credit_of_a_void_may_exceed_the_next_period() {
    let (november, december) = (review("2024-11-05T10:00:00Z"), review("2024-12-05T10:00:00Z"));
    let four = ["a", "b", "c", "d"].map(|id| sent(id, &november));
    let voids = [void("va", "a"), void("vb", "b"), void("vc", "c"), void("vd", "d")];
    let mut history = history(
        MONTHS,
        [
            step("2024-12-05T00:00:00Z", four),
            step("2024-12-20T00:00:00Z", voids),
            step("2025-01-04T00:00:00Z", [sent("e", &december)]),
        ],
    );
    assert_eq!(
        shown(&history),
        [
            "7-20241101-20241201 1 usage 4 3.000000 0.5 1.5000000000 - -",
            "7-20241101-20241201 2 usage 0 1.000000 0.25 0.2500000000 - -",
            // The second night closes nothing, so it is the third that gives the credit.
            "7-20241201-20250101 1 usage 1 1.000000 0.4 0.4000000000 - -",
            "7-20241201-20250101 2 adjustment -4 -3.000000 0.5 -1.5000000000 7-20241101-20241201 1",
            "7-20241201-20250101 3 adjustment 0 -1.000000 0.25 -0.2500000000 7-20241101-20241201 2",
        ]
    );
    assert_eq!(totals_of(&history), ["1.75", "-1.35"]);
    // Sent again: everything is known, and nothing is due.
    history.steps.push(step(
        "2025-02-04T00:00:00Z",
        [sent("a", &november), void("va", "a"), void("again", "a")],
    ));
    assert_eq!(totals_of(&history), ["1.75", "-1.35"]);
    assert_eq!(statuses(&history)[9..], ["duplicate"; 3]);
}

#[test]
fn a_conflict_that_replaces_a_closed_record_is_billed_by_the_difference() {
    let short = transcode("2024-11-05T10:00:00Z", "Standard", 720, 32_000);
    let long = transcode("2024-11-05T10:00:00Z", "Standard", 720, 62_000);
    let mut replaced = step("2025-01-04T00:00:00Z", [sent("a", &long), sent("a", &long)]);
    replaced.decisions.push(decision("a", &long, true));
    let repeats = [sent("a", &short), sent("a", &long), void("v", "a")];
    let history = history(
        MONTHS,
        [
            step("2024-12-04T00:00:00Z", [sent("a", &short)]),
            replaced,
            step("2025-02-04T00:00:00Z", repeats),
        ],
    );
    assert_eq!(
        shown(&history),
        [
            "7-20241101-20241201 1 usage 1 0.533333 0.0325 0.0173333225 - -",
            "7-20241101-20241201 2 rounding - - - 0.0026666775 - -",
            // 1.033333 - 0.533333
            "7-20241201-20250101 1 adjustment 0 0.500000 0.0325 0.0162500000 7-20241101-20241201 1",
            "7-20241201-20250101 2 rounding - - - 0.0037500000 - -",
            // A void takes back what stands: 1.033333 x 0.0325 = 0.0335833225
            "7-20250101-20250201 1 adjustment -1 -1.033333 0.0325 -0.0335833225 7-20241101-20241201 1",
            "7-20250101-20250201 2 rounding - - - 0.0035833225 - -",
        ]
    );
    assert_eq!(totals_of(&history), ["0.02", "0.02", "-0.03"]);
    let before_the_void = history.first_steps(2);
    assert_eq!(statuses(&before_the_void), ["conflict", "metered", "conflict"]);
    assert_eq!(
        statuses(&history),
        ["conflict", "voided", "conflict", "duplicate", "duplicate", "void"]
    );
}

#[test]
fn a_corrected_price_takes_the_old_one_back_in_every_closed_month() {
    let hd = |at, ms| transcode(at, "Standard", 720, ms);
    let november = [
        sent("a", &hd("2024-11-05T10:00:00Z", 60_000)),
        sent("b", &hd("2024-11-20T10:00:00Z", 60_000)),
    ];
    let mut correction = step("2025-02-04T00:00:00Z", []);
    correction.correction = true;
    let history = history(
        MONTHS,
        [
            step("2024-12-04T00:00:00Z", november),
            step(
                "2025-01-04T00:00:00Z",
                [sent("c", &hd("2024-12-05T10:00:00Z", 120_000))],
            ),
            correction,
        ],
    );
    assert_eq!(
        shown(&history)[4..],
        [
            "7-20241201-20250101 2 rounding - - - 0.0046000000 - -",
            // The first version keeps its price.
            "7-20250101-20250201 1 adjustment 0 -1.000000 0.0327 -0.0327000000 7-20241101-20241201 2",
            "7-20250101-20250201 2 adjustment 0 1.000000 0.0427 0.0427000000 7-20241101-20241201 2",
            "7-20250101-20250201 3 adjustment 0 -2.000000 0.0327 -0.0654000000 7-20241201-20250101 1",
            "7-20250101-20250201 4 adjustment 0 2.000000 0.0427 0.0854000000 7-20241201-20250101 1",
        ]
    );
    assert_eq!(totals_of(&history), ["0.07", "0.07", "0.03"]);
}

#[test]
fn a_closed_period_without_statement_is_adjusted_and_corrects_nothing() {
    let october = review("2024-10-25T10:00:00Z");
    let history = history(
        MONTHS,
        [
            step("2024-12-04T00:00:00Z", []),
            step("2025-01-04T00:00:00Z", [sent("a", &october)]),
            step("2025-02-04T00:00:00Z", [sent("b", &october)]),
        ],
    );
    assert_eq!(
        shown(&history),
        [
            "7-20241201-20250101 1 adjustment 1 1.000000 0.5 0.5000000000 - -",
            "7-20250101-20250201 1 adjustment 1 1.000000 0.5 0.5000000000 7-20241201-20250101 1",
        ]
    );
}

#[test]
fn an_account_that_appears_by_itself_begins_with_its_usage_and_has_late_usage_before_it() {
    let [october, november] = ["2024-10-25T10:00:00Z", "2024-11-25T10:00:00Z"].map(review);
    let of = |first: &Usage, second: &Usage| History {
        accounts: BTreeMap::new(),
        steps: vec![
            step("2024-12-05T00:00:00Z", [sent("a", first)]),
            step("2025-01-05T00:00:00Z", [sent("b", second)]),
        ],
    };
    assert_eq!(
        shown(&of(&november, &october)),
        [
            "7-20241101-20241201 1 usage 1 1.000000 0.4 0.4000000000 - -",
            "7-20241201-20250101 1 adjustment 1 1.000000 0.5 0.5000000000 - -",
        ]
    );
    // Failed work alone begins nothing.
    let failed = Usage {
        failed: true,
        ..october.clone()
    };
    assert_eq!(
        shown(&of(&failed, &october)),
        ["7-20241001-20241101 1 usage 1 1.000000 0.5 0.5000000000 - -"]
    );
}

#[test]
fn records_alone_stand_on_a_line_without_quantity() {
    let nothing = transcode("2024-11-20T10:00:00Z", "Fast", 1, 0);
    let one = transcode("2024-11-20T10:00:00Z", "Fast", 1080, 60_000);
    let history = history(
        MONTHS,
        [
            step("2024-12-04T00:00:00Z", [sent("a", &nothing)]),
            step("2025-01-04T00:00:00Z", [sent("b", &nothing)]),
            step(
                "2025-02-04T00:00:00Z",
                [void("va", "a"), void("vb", "b"), sent("c", &one)],
            ),
        ],
    );
    assert_eq!(
        shown(&history),
        [
            "7-20241101-20241201 1 usage 1 0.000000 0.07 0.0000000000 - -",
            "7-20241201-20250101 1 adjustment 1 0.000000 0.07 0.0000000000 7-20241101-20241201 1",
            // Fast.FHD, then Fast.SD.
            "7-20250101-20250201 1 adjustment 1 1.000000 0.2 0.2000000000 - -",
            "7-20250101-20250201 2 adjustment -2 0.000000 0.07 0.0000000000 7-20241101-20241201 1",
        ]
    );
}

#[test]
fn a_decision_makes_repeats_duplicates_and_leaves_the_conflicts() {
    let [one, two, three] = [1, 2, 3].map(|ms| transcode("2024-11-05T10:00:00Z", "Standard", 1, ms));
    let mut first = step(
        "2024-11-06T00:00:00Z",
        [sent("a", &one), sent("a", &two), sent("a", &two), sent("a", &three)],
    );
    first.decisions.push(decision("a", &two, false));
    let mut history = history(MONTHS, [first]);
    let open = open_conflicts(&history);
    assert_eq!(open.len(), 1);
    assert_eq!((&open[0].content, open[0].can_replace), (&three, true));
    history.steps.push(step(
        "2024-11-07T00:00:00Z",
        [sent("a", &two), sent("a", &three), void("v", "a"), sent("a", &one)],
    ));
    assert_eq!(
        statuses(&history),
        [
            "voided",
            "conflict",
            "conflict",
            "conflict",
            "duplicate",
            "conflict",
            "void",
            "duplicate"
        ]
    );
    let open = open_conflicts(&history);
    assert_eq!((open.len(), open[0].can_replace), (1, false));
    history.steps[1].decisions.push(decision("a", &three, false));
    assert_eq!(open_conflicts(&history), []);
}

#[test]
fn a_void_that_waits_takes_back_what_comes_first() {
    let [one, two] = [1, 2].map(|ms| transcode("2024-11-05T10:00:00Z", "Standard", 1, ms));
    let history = history(
        MONTHS,
        [
            step("2024-11-06T00:00:00Z", [void("v", "a")]),
            step("2024-12-04T00:00:00Z", [sent("a", &one), sent("a", &two)]),
        ],
    );
    assert_eq!(statuses(&history), ["void", "voided", "conflict"]);
    assert_eq!(shown(&history), [""; 0]);
    assert_eq!(expect_history(&history).totals[&Status::Voided].records, 1);
}

#[test]
fn a_replaced_record_leaves_one_account_for_another() {
    let here = review("2024-11-05T10:00:00Z");
    let there = Usage { uin: 8, ..here.clone() };
    let mut replaced = step("2025-01-05T00:00:00Z", [sent("a", &there)]);
    replaced.decisions.push(decision("a", &there, true));
    let history = history(MONTHS, [step("2024-12-05T00:00:00Z", [sent("a", &here)]), replaced]);
    assert_eq!(
        shown(&history),
        [
            "7-20241101-20241201 1 usage 1 1.000000 0.5 0.5000000000 - -",
            "7-20241201-20250101 1 adjustment -1 -1.000000 0.5 -0.5000000000 7-20241101-20241201 1",
            "8-20241101-20241201 1 usage 1 1.000000 0.5 0.5000000000 - -",
        ]
    );
}

#[test]
fn the_corrected_card_differs_in_prices_alone() {
    let text = corrected_card();
    assert!(text.contains("mainland = \"0.0427\", other = \"0.0512\""));
    assert!(text.contains("{ from = 0, to = \"0.02\", unit_price = \"0.56\" }"));
    assert!(text.contains("{ from = 5, unit_price = \"0.010001\" }"));
    let path = format!(
        "{}/{}/2024-11-12.toml",
        crate::naive::card::FOLDER,
        crate::naive::card::NAME
    );
    let real = std::fs::read_to_string(path).unwrap();
    let changed = text.lines().zip(real.lines()).filter(|(one, other)| one != other);
    let prices = real.lines().filter(|line| line.contains("unit_price"));
    assert_eq!(changed.count(), prices.count());
    assert_eq!(text.lines().count(), real.lines().count());
}
