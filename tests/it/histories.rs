//! The program against the naive model of histories: late usage, voids, conflicts that people resolve, corrected prices,
//! and the adjustments that come of them.

use std::collections::HashSet;
use std::path::Path;

use proptest::prelude::*;
use proptest::test_runner::TestCaseError;
use tallybook::catalog::account::end::reinstate::reinstate;
use tallybook::catalog::account::end::terminate::{terminate, try_terminate};
use tallybook::catalog::rate_card::import::{Correction, import};
use tallybook::context::Books;
use tallybook::decisions::conflict::{list, resolve, show};
use tallybook::inspect::explain::explain;
use tallybook::inspect::verify::verify;
use tallybook::nightly::{Night, nightly};
use tallybook::pipeline::ingest::ingest;
use tallybook::pipeline::ingest::input::Input;
use tallybook::pipeline::ingest::quarantine::filter::Filter;
use tallybook::pipeline::ingest::quarantine::retry::retry;
use tallybook::pipeline::meter::dedupe::resolution::Resolution;
use tallybook::pipeline::meter::meter;
use tallybook::pipeline::meter::recount::recount;
use tallybook::storage::ledger::Lease;
use tallybook::values::parameters::are_equal;

use crate::laws::{add_accounts, check_totals_of, config, rows_of};
use crate::naive::card::{FOLDER, NAME};
use crate::naive::history::correction::corrected_card;
use crate::naive::history::{Decision, HISTORY_COLUMNS, expect_history};
use crate::world::{Place, run};
use crate::worlds::histories::ended::{Attempt, EndedHistory, ended_histories};
use crate::worlds::histories::{DrawnHistory, calm_histories, histories};

/// A card folder that a test may change.
fn cards() -> tempfile::TempDir {
    let cards = tempfile::tempdir().unwrap();
    let folder = cards.path().join(NAME);
    std::fs::create_dir(&folder).unwrap();
    for entry in std::fs::read_dir(Path::new(FOLDER).join(NAME)).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), folder.join(entry.file_name())).unwrap();
    }
    cards
}

/// The whole history; the last night.
async fn play(place: &Place, cards: &Path, drawn: &DrawnHistory) -> Option<Night> {
    play_with_ends(place, cards, drawn, &[]).await
}

/// The same, with what people try before and after what comes in each step.
async fn play_with_ends(
    place: &Place,
    cards: &Path,
    drawn: &DrawnHistory,
    attempts: &[[Vec<Attempt>; 2]],
) -> Option<Night> {
    let mut last = None;
    for (at, (step, texts)) in drawn.history.steps.iter().zip(&drawn.ndjson).enumerate() {
        let books = place.books(step.clock).await;
        if at == 0 {
            add_accounts(&books, &drawn.history.accounts).await;
        }
        let [before, after] = attempts.get(at).map_or([&[][..]; 2], |[before, after]| [before, after]);
        for attempt in before {
            end_or_go_on(&books, attempt).await;
        }
        for (number, text) in texts.iter().enumerate() {
            let path = place.file(&format!("{at}-{number}.ndjson"), text);
            ingest(&books, &Input::named(&path, None).unwrap(), "default")
                .await
                .unwrap();
        }
        // What came is not measured yet.
        for attempt in after {
            end_or_go_on(&books, attempt).await;
        }
        let lease = Lease::take(&books.ledger, "test").await.unwrap();
        meter(&books, &lease).await.unwrap();
        for decision in &step.decisions {
            decide(&books, &lease, decision).await;
        }
        lease.release().await.unwrap();
        if step.correction {
            correct(&books, cards).await;
        }
        last = Some(nightly(&books).await.unwrap());
        assert_eq!(
            recount(&books, &HashSet::new()).await.unwrap().differences,
            Vec::<String>::new()
        );
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    }
    last
}

/// Ends an account or lets it go on, as far as the model says that it can; lines that were refused are tried again.
async fn end_or_go_on(books: &Books, attempt: &Attempt) {
    let lease = Lease::take(&books.ledger, "test").await.unwrap();
    let done = match attempt.end_day {
        Some(day) => {
            let tried = try_terminate(books, attempt.uin, day, "tried").await.map(drop);
            let done = terminate(books, &lease, attempt.uin, day, "the model says so")
                .await
                .map(drop);
            assert_eq!(tried.is_ok(), done.is_ok(), "{attempt:?}: {tried:?}, {done:?}");
            done
        }
        None => reinstate(books, &lease, attempt.uin, "the model says so")
            .await
            .map(drop),
    };
    lease.release().await.unwrap();
    assert_eq!(done.is_err(), attempt.is_refused, "{attempt:?}: {done:?}");
    if attempt.end_day.is_none() && done.is_ok() {
        let refused = Filter {
            code: Some("account_ended".to_owned()),
            ..Filter::default()
        };
        retry(books, &refused).await.unwrap();
    }
}

/// Resolves the open conflict of that identity and content; `show` must show that content.
async fn decide(books: &Books, lease: &Lease, decision: &Decision) {
    let open = list(books, false, None).await.unwrap();
    let of_identity = open
        .iter()
        .filter(|listed| listed.row.source == decision.source && listed.row.id == decision.id);
    for listed in of_identity {
        let shown = show(books, listed.row.conflict).await.unwrap();
        let later = |name: &str| {
            shown
                .fields
                .iter()
                .find(|field| field.0 == name)
                .map(|field| field.2.as_str())
        };
        let content = &decision.content;
        let parameters = later("parameters").unwrap_or_default();
        let at: Option<chrono::DateTime<chrono::Utc>> = later("finished_at").and_then(|text| text.parse().ok());
        let is_it = later("uin") == Some(&content.uin.to_string())
            && later("appid") == Some(&content.appid.to_string())
            && later("task_type") == Some(&content.task_type)
            && later("duration_ms") == Some(&content.duration_ms.to_string())
            && later("status") == Some(if content.failed { "FAIL" } else { "SUCCESS" })
            && at == Some(content.finished_at)
            && are_equal(parameters, &parameters_of(content).to_string());
        if is_it {
            let word = if decision.replace {
                Resolution::Replaced
            } else {
                Resolution::Kept
            };
            resolve(books, lease, listed.row.conflict, word, "the model says so")
                .await
                .unwrap();
            return;
        }
    }
    panic!("no open conflict is {decision:?}");
}

fn parameters_of(content: &crate::naive::record::Usage) -> serde_json::Value {
    let text = content.parameters.iter().map(|(name, value)| {
        let value = match value {
            crate::naive::record::Value::Text(text) => serde_json::Value::from(text.as_str()),
            crate::naive::record::Value::Number(number) => {
                serde_json::from_str(&number.normalize().to_string()).unwrap()
            }
        };
        (name.clone(), value)
    });
    serde_json::Value::Object(text.collect())
}

async fn correct(books: &Books, cards: &Path) {
    let from = "2024-11-12";
    let file = cards.join(NAME).join(format!("{from}.toml"));
    std::fs::write(&file, corrected_card()).unwrap();
    let correction = Correction {
        from: from.parse().unwrap(),
        reason: "the model says so",
    };
    import(books, &[file], Some(correction)).await.unwrap();
}

fn check(drawn: &DrawnHistory) -> Result<(), TestCaseError> {
    check_with_ends(drawn, &[])
}

fn check_ended(ended: &EndedHistory) -> Result<(), TestCaseError> {
    check_with_ends(&ended.drawn, &ended.attempts)
}

fn check_with_ends(drawn: &DrawnHistory, attempts: &[[Vec<Attempt>; 2]]) -> Result<(), TestCaseError> {
    let cards = cards();
    let place = Place::with_cards(cards.path(), NAME);
    let night = run(play_with_ends(&place, cards.path(), drawn, attempts));
    let expected = expect_history(&drawn.history);
    let mut rows: Vec<Vec<String>> = expected.rows().map(|row| row.to_vec()).collect();
    rows.sort_by_key(|row| {
        (
            row[1].parse::<u64>().unwrap(),
            row[3].clone(),
            row[6].parse::<u32>().unwrap(),
        )
    });
    prop_assert_eq!(rows_of(&place, &HISTORY_COLUMNS), rows);
    if let Some(night) = night {
        check_totals_of(&night, &expected.totals)?;
    }
    run(explain_some(&place, drawn));
    Ok(())
}

/// Statements explained in a case; each takes a look at all raw days of its period.
const EXPLAINED_MAX: usize = 6;

/// The last statements can be explained: an explanation that does not come out again is an error.
async fn explain_some(place: &Place, drawn: &DrawnHistory) {
    let Some(last) = drawn.history.steps.last() else { return };
    let books = place.books(last.clock).await;
    let rows = rows_of(place, &["uin", "period_start", "line_no", "statement_id"]);
    let ids = rows.iter().filter(|row| row[2] == "1").map(|row| &row[3]);
    for id in ids.rev().take(EXPLAINED_MAX) {
        let explanation = explain(&books, id, None, 3).await.unwrap();
        assert_eq!(&explanation.statement_id, id);
    }
    books.ledger.close().await;
}

/// Half a year on raw goes; no total changes, and every proof that is left still holds.
fn check_expiry(drawn: &DrawnHistory) -> Result<(), TestCaseError> {
    let Some(last) = drawn.history.steps.last() else {
        return Ok(());
    };
    let cards = cards();
    let place = &Place::with_cards(cards.path(), NAME);
    run(play(place, cards.path(), drawn));
    let lines = |place: &Place| rows_of(place, &HISTORY_COLUMNS);
    let later = last.clock + chrono::TimeDelta::days(250);
    run(async {
        let books = place.books(later).await;
        // Everything that waits is billed first.
        nightly(&books).await.unwrap();
        books.ledger.close().await;
    });
    let before = lines(place);
    run(async {
        let books = place.books(later + chrono::TimeDelta::days(1)).await;
        nightly(&books).await.unwrap();
        assert_eq!(verify(&books).await.unwrap().differences, Vec::<String>::new());
        books.ledger.close().await;
    });
    prop_assert_eq!(lines(place), before);
    run(explain_some(place, drawn));
    Ok(())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_adjustment_is_what_the_naive_model_says(drawn in histories()) {
        check(&drawn)?;
    }

    #[test]
    fn late_usage_and_voids_are_adjusted_as_the_naive_model_says(drawn in calm_histories()) {
        check(&drawn)?;
    }

    #[test]
    fn accounts_that_end_and_go_on_are_billed_as_the_naive_model_says(ended in ended_histories()) {
        check_ended(&ended)?;
    }
}

proptest! {
    // Most of a year of daily periods in each case.
    #![proptest_config(ProptestConfig { cases: config().cases.div_ceil(8), ..config() })]

    #[test]
    fn expiry_never_changes_a_total(drawn in histories()) {
        check_expiry(&drawn)?;
    }
}
